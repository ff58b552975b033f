//! `curl`: fetches `http://` addresses, in curl 7.88's words and with its exit codes.
//!
//! It writes as curl does on a terminal without a progress meter. There is no TLS: `https` is answered like by a curl
//! that was built without it, and `-k` changes nothing. A proxy comes from `-x` or, as curl wants it, from `http_proxy` in
//! lower case.

use std::net::SocketAddr;
use std::time::Duration;

use super::arguments;
use super::http::Head;
use super::http_client::{Url, UrlError, proxy_for, read_body};
use super::options::{Mistake, Options, Syntax};
use super::resolver::{Want, resolve};
use crate::engine::sys::{Errno, ExitCode, Sys, TcpStream};

/// Options without a letter.
const CONNECT_TIMEOUT: char = '\u{e000}';
const RETRY: char = '\u{e001}';
const RETRY_DELAY: char = '\u{e002}';
const RETRY_REFUSED: char = '\u{e003}';
const FAIL_WITH_BODY: char = '\u{e004}';
const NO_PROXY: char = '\u{e005}';
const MAX_REDIRECTIONS: char = '\u{e006}';
const URL: char = '\u{e007}';
/// Without effect here.
const WITHOUT_EFFECT: char = '\u{e008}';

pub(super) const SYNTAX: Syntax = Syntax {
    letters: concat!(
        "fsSo:OILivm:H:d:X:kx:w:A:u:N46gG#",
        "\u{e000}:\u{e001}:\u{e002}:\u{e003}\u{e004}\u{e005}:\u{e006}:\u{e007}:\u{e008}"
    ),
    long: &[
        ("fail", 'f'),
        ("silent", 's'),
        ("show-error", 'S'),
        ("output", 'o'),
        ("remote-name", 'O'),
        ("head", 'I'),
        ("location", 'L'),
        ("include", 'i'),
        ("verbose", 'v'),
        ("max-time", 'm'),
        ("connect-timeout", CONNECT_TIMEOUT),
        ("header", 'H'),
        ("data", 'd'),
        ("data-raw", 'd'),
        ("data-ascii", 'd'),
        ("request", 'X'),
        ("insecure", 'k'),
        ("proxy", 'x'),
        ("noproxy", NO_PROXY),
        ("write-out", 'w'),
        ("user-agent", 'A'),
        ("user", 'u'),
        ("no-buffer", 'N'),
        ("ipv4", '4'),
        ("ipv6", '6'),
        ("globoff", 'g'),
        ("get", 'G'),
        ("retry", RETRY),
        ("retry-delay", RETRY_DELAY),
        ("retry-connrefused", RETRY_REFUSED),
        ("retry-all-errors", RETRY_REFUSED),
        ("fail-with-body", FAIL_WITH_BODY),
        ("max-redirs", MAX_REDIRECTIONS),
        ("url", URL),
        ("http1.1", WITHOUT_EFFECT),
        ("http1.0", WITHOUT_EFFECT),
        ("compressed", WITHOUT_EFFECT),
        ("no-progress-meter", WITHOUT_EFFECT),
        ("progress-bar", '#'),
    ],
    stop_at_operand: false,
    usage: "curl [options...] <url>",
};

/// How long curl waits for a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(300);

/// A proxy's port if none is said.
const PROXY_PORT: u16 = 1080;

/// Fetches addresses.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let (_, words) = arguments(&sys);
    let options = match Options::read(words, &SYNTAX) {
        Ok(options) => options,
        Err(mistake) => {
            let dashed = |option: &str| {
                if option.chars().count() == 1 { format!("-{option}") } else { format!("--{option}") }
            };
            let complaint = match mistake {
                Mistake::Unknown(option) => format!("option {}: is unknown", dashed(&option)),
                Mistake::NoValue(option) => format!("option {}: requires parameter", dashed(&option)),
            };
            return usage(&sys, &complaint).await;
        }
    };
    let addresses: Vec<&str> =
        options.values(URL).chain(options.operands.iter().map(String::as_str)).collect();
    if addresses.is_empty() {
        return usage(&sys, "").await;
    }
    let settings = match Settings::read(&options) {
        Ok(settings) => settings,
        Err(option) => {
            return usage(&sys, &format!("option {option}: expected a proper numerical parameter")).await;
        }
    };
    let mut status = ExitCode::SUCCESS;
    for address in addresses {
        let transfer = Client { sys: &sys, options: &options, settings: &settings };
        status = transfer.fetch_patiently(address).await;
    }
    status
}

/// A command line that is wrong.
async fn usage(sys: &Sys, complaint: &str) -> ExitCode {
    let complaint = if complaint.is_empty() { String::new() } else { format!("curl: {complaint}\n") };
    sys.print_error(format!("{complaint}curl: try 'curl --help' or 'curl --manual' for more information\n"))
        .await;
    ExitCode(2)
}

/// The options that are numbers.
struct Settings {
    whole: Option<Duration>,
    connect: Duration,
    retries: u32,
    delay: Option<Duration>,
    redirections: usize,
}

impl Settings {
    /// The error is the option as curl names it.
    fn read(options: &Options) -> Result<Settings, &'static str> {
        let seconds = |letter, shown| match options.value(letter) {
            None => Ok(None),
            Some(text) => {
                let time = text.parse().ok().and_then(|number| Duration::try_from_secs_f64(number).ok());
                time.ok_or(shown).map(|time| Some(time).filter(|time| !time.is_zero()))
            }
        };
        let count = |letter, shown, default| match options.value(letter) {
            None => Ok(default),
            Some(text) => text.parse::<u32>().map_err(|_| shown),
        };
        Ok(Settings {
            whole: seconds('m', "-m")?,
            connect: seconds(CONNECT_TIMEOUT, "--connect-timeout")?.unwrap_or(CONNECT_LIMIT),
            retries: count(RETRY, "--retry", 0)?,
            delay: seconds(RETRY_DELAY, "--retry-delay")?,
            redirections: count(MAX_REDIRECTIONS, "--max-redirs", 50)? as usize,
        })
    }
}

/// Why a transfer ended: curl's exit code and its text behind the code.
struct Problem {
    code: u8,
    text: String,
    /// Whether `--retry` tries again.
    transient: bool,
}

impl Problem {
    fn new(code: u8, text: impl Into<String>) -> Problem {
        Problem { code, text: text.into(), transient: code == 28 }
    }
}

/// What `--write-out` can say.
#[derive(Default)]
struct Facts {
    code: u16,
    size: usize,
    redirections: usize,
    remote: Option<SocketAddr>,
    local: Option<SocketAddr>,
    address: String,
    connected: Duration,
    kind: String,
}

struct Client<'a> {
    sys: &'a Sys,
    options: &'a Options,
    settings: &'a Settings,
}

impl Client<'_> {
    /// Fetches one address, again if it was told to.
    async fn fetch_patiently(&self, address: &str) -> ExitCode {
        let mut pause = Duration::from_secs(1);
        let mut left = self.settings.retries;
        loop {
            let began = self.sys.now();
            let mut facts = Facts::default();
            let fetch = self.fetch(address, &mut facts, began);
            let result = match self.settings.whole {
                None => fetch.await,
                Some(limit) => match self.sys.timeout(limit, fetch).await {
                    Some(result) => result,
                    None => Err(self.timed_out(&facts, began)),
                },
            };
            let (code, text) = match &result {
                Ok(()) => (0, String::new()),
                Err(problem) => (problem.code, problem.text.clone()),
            };
            if code != 0 && (!self.options.has('s') || self.options.has('S')) {
                self.sys.print_error(format!("curl: ({code}) {text}\n")).await;
            }
            let again = result.is_err_and(|problem| {
                problem.transient || self.options.has(RETRY_REFUSED) && problem.code == 7
            });
            if left > 0 && again {
                left -= 1;
                let wait = self.settings.delay.unwrap_or(pause);
                if !self.options.has('s') {
                    let note = format!(
                        "Warning: Problem : {}. Will retry in {} seconds. {} retries left.\n",
                        if code == 7 { "connection refused" } else { "timeout" },
                        wait.as_secs(),
                        left + 1
                    );
                    self.sys.print_error(note).await;
                }
                self.sys.sleep(wait).await;
                pause = pause.saturating_mul(2).min(Duration::from_secs(600));
                continue;
            }
            if let Some(format) = self.options.value('w') {
                let total = self.sys.now().saturating_sub(began);
                self.sys.print(written_out(format, &facts, total, code, &text)).await;
            }
            return ExitCode(code);
        }
    }

    fn timed_out(&self, facts: &Facts, began: Duration) -> Problem {
        let waited = self.sys.now().saturating_sub(began).as_millis();
        match facts.remote {
            Some(_) => Problem::new(
                28,
                format!("Operation timed out after {waited} milliseconds with {} bytes received", facts.size),
            ),
            None => Problem::new(28, format!("Connection timed out after {waited} milliseconds")),
        }
    }

    async fn fetch(&self, address: &str, facts: &mut Facts, began: Duration) -> Result<(), Problem> {
        let mut url = Url::parse(address).map_err(wrong_url)?;
        if self.options.has('G')
            && let Some(data) = self.data()
        {
            url.path += if url.path.contains('?') { "&" } else { "?" };
            url.path += &data;
        }
        let named = url.file_name().to_owned();
        let mut method = self.options.value('X').map(str::to_owned);
        let mut with_data = !self.options.has('G');
        for followed in 0.. {
            facts.redirections = followed;
            facts.address = format!("http://{}{}", url.authority, url.path);
            let stream = self.connect(&url, facts, began).await?;
            let data = self.data().filter(|_| with_data);
            let asked = match (&method, &data, self.options.has('I')) {
                (Some(method), _, _) => method.as_str(),
                (None, _, true) => "HEAD",
                (None, Some(_), false) => "POST",
                (None, None, false) => "GET",
            };
            let request = self.request(&url, asked, data.as_deref());
            self.show('>', &request).await;
            let sent = [request.as_bytes(), data.as_deref().unwrap_or_default().as_bytes()].concat();
            let received = async {
                stream.write_all(&sent).await?;
                Response::read(&stream).await
            };
            let lost = |errno: Errno| Problem::new(56, format!("Recv failure: {errno}"));
            let response = match received.await.map_err(lost)? {
                Ok(response) => response,
                Err(nothing) => return Err(nothing),
            };
            facts.code = response.code();
            facts.kind = response.head.field("content-type").unwrap_or_default().to_owned();
            self.show('<', &response.text).await;
            let code = facts.code;
            if code >= 400 && self.options.has('f') && !self.options.has(FAIL_WITH_BODY) {
                return Err(http_error(code));
            }
            if self.options.has('i') || self.options.has('I') {
                self.print(&named, response.text.as_bytes(), facts).await?;
            }
            let bodiless = asked == "HEAD" || code == 204 || code == 304;
            let location = response.head.field("location").filter(|_| (300..=399).contains(&code));
            let follow = location.filter(|_| self.options.has('L')).map(str::to_owned);
            let mut cut = 0;
            if !bodiless {
                let body = read_body(&stream, &response.head).await.map_err(lost)?;
                facts.size = body.bytes.len();
                cut = body.missing;
                if follow.is_none() {
                    self.print(&named, &body.bytes, facts).await?;
                }
            }
            self.note("Closing connection 0").await;
            if cut > 0 {
                return Err(Problem::new(18, format!("transfer closed with {cut} bytes remaining to read")));
            }
            let Some(location) = follow else {
                let fails = code >= 400 && self.options.has(FAIL_WITH_BODY);
                return if fails { Err(http_error(code)) } else { Ok(()) };
            };
            if followed >= self.settings.redirections {
                let limit = self.settings.redirections;
                return Err(Problem::new(47, format!("Maximum ({limit}) redirects followed")));
            }
            self.note(&format!("Issue another request to this URL: '{location}'")).await;
            url = url.redirected(&location).map_err(wrong_url)?;
            // 301, 302 and 303 turn a POST into a GET, others keep it (RFC 9110 section 15.4).
            if code <= 303 && method.is_none() {
                with_data = false;
            }
            if code == 303 {
                method = None;
            }
        }
        Ok(())
    }

    /// A connection to the host or to the proxy that is responsible for it.
    async fn connect(&self, url: &Url, facts: &mut Facts, began: Duration) -> Result<TcpStream, Problem> {
        let proxy = match self.proxy(url) {
            None => None,
            Some(text) => {
                let mut proxy = Url::parse(&text).map_err(wrong_url)?;
                if proxy.authority == proxy.host || proxy.authority.ends_with(']') {
                    proxy.port = PROXY_PORT;
                }
                Some(proxy)
            }
        };
        let target = proxy.as_ref().unwrap_or(url);
        let want = match (self.options.has('4'), self.options.has('6')) {
            (true, false) => Want::Ipv4,
            (false, true) => Want::Ipv6,
            _ => Want::Any,
        };
        let found = match resolve(self.sys, &target.host, want).await {
            Ok(found) if !found.is_empty() => found,
            _ => {
                let (code, what) = if proxy.is_some() { (5, "proxy") } else { (6, "host") };
                let text = format!("Could not resolve {what}: {}", target.host);
                self.note(&text).await;
                self.note("Closing connection 0").await;
                return Err(Problem::new(code, text));
            }
        };
        let until = self.sys.now().saturating_add(self.settings.connect);
        let mut refused = None;
        for address in found {
            let remote = SocketAddr::new(address, target.port);
            self.note(&format!("  Trying {remote}...")).await;
            let left = until.saturating_sub(self.sys.now());
            match self.sys.timeout(left, self.sys.tcp_connect(remote)).await {
                Some(Ok(stream)) => {
                    (facts.remote, facts.local) = (Some(remote), stream.local_address().ok());
                    facts.connected = self.sys.now().saturating_sub(began);
                    let (host, port) = (&target.host, target.port);
                    self.note(&format!("Connected to {host} ({address}) port {port} (#0)")).await;
                    return Ok(stream);
                }
                Some(Err(errno)) => {
                    self.note(&format!("connect to {address} port {} failed: {errno}", target.port)).await;
                    refused = Some(errno);
                }
                None => {
                    refused = None;
                    break;
                }
            }
        }
        let waited = self.sys.now().saturating_sub(began).as_millis();
        let (code, why) = match refused {
            Some(Errno::TimedOut) => (28, "Couldn't connect to server"),
            Some(_) => (7, "Couldn't connect to server"),
            None => (28, "Timeout was reached"),
        };
        let (host, port) = (&target.host, target.port);
        let text = format!("Failed to connect to {host} port {port} after {waited} ms: {why}");
        self.note(&text).await;
        self.note("Closing connection 0").await;
        Err(Problem::new(code, text))
    }

    fn proxy(&self, url: &Url) -> Option<String> {
        let named = self.options.value('x');
        proxy_for(&url.host, &|name| match name {
            "http_proxy" => named.or_else(|| self.sys.variable(name)).map(str::to_owned),
            "no_proxy" => self.options.value(NO_PROXY).or_else(|| self.sys.variable(name)).map(str::to_owned),
            // Servers set HTTP_PROXY from a request's header, so curl does not read it.
            "HTTP_PROXY" => None,
            _ => self.sys.variable(name).map(str::to_owned),
        })
    }

    fn request(&self, url: &Url, method: &str, data: Option<&str>) -> String {
        let target = match self.proxy(url) {
            Some(_) => format!("http://{}{}", url.authority, url.path),
            None => url.path.clone(),
        };
        let own: Vec<(&str, &str)> = self
            .options
            .values('H')
            .filter_map(|line| line.split_once([':', ';']))
            .map(|(name, value)| (name.trim(), value.trim()))
            .collect();
        let mut text = format!("{method} {target} HTTP/1.1\r\n");
        let mut field = |name: &str, value: String| {
            // A header of the user's replaces curl's own; one without a value takes it away.
            if !own.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
                text += &format!("{name}: {value}\r\n");
            }
        };
        field("Host", url.authority.clone());
        if let Some(user) = self.options.value('u').or(url.user.as_deref()) {
            field("Authorization", format!("Basic {}", base64(user.as_bytes())));
        }
        field("User-Agent", self.options.value('A').unwrap_or("curl/7.88.1").to_owned());
        field("Accept", "*/*".to_owned());
        if let Some(data) = data {
            field("Content-Length", data.len().to_string());
            field("Content-Type", "application/x-www-form-urlencoded".to_owned());
        }
        for (name, value) in own.iter().filter(|(_, value)| !value.is_empty()) {
            text += &format!("{name}: {value}\r\n");
        }
        text + "\r\n"
    }

    /// What `-d` sends; several are joined, `@FILE` is a file without its line ends.
    fn data(&self) -> Option<String> {
        let parts: Vec<String> = self
            .options
            .values('d')
            .map(|part| match part.strip_prefix('@') {
                Some(file) => {
                    let path = if file.starts_with('/') { file.to_owned() } else { format!("/{file}") };
                    let content = self.sys.read_file(&path).unwrap_or_default();
                    String::from_utf8_lossy(&content).replace(['\r', '\n'], "")
                }
                None => part.to_owned(),
            })
            .collect();
        if parts.is_empty() { None } else { Some(parts.join("&")) }
    }

    /// Writes what was received to where the options say.
    async fn print(&self, named: &str, bytes: &[u8], facts: &Facts) -> Result<(), Problem> {
        let file = match self.options.value('o') {
            Some(file) => Some(file),
            None if self.options.has('O') => Some(named),
            None => None,
        };
        let failed = || Problem::new(23, "Failed writing received data to disk/application");
        match file {
            None | Some("-") => {
                // Who reads may have gone.
                let _ = self.sys.write(bytes).await;
                Ok(())
            }
            Some("/dev/null") => Ok(()),
            Some("") => Err(failed()),
            Some(file) => {
                let path = if file.starts_with('/') { file.to_owned() } else { format!("/{file}") };
                let again = self.options.has('i') && facts.size > 0;
                self.sys.write_file(&path, bytes, again).map_err(|_| failed())
            }
        }
    }

    async fn note(&self, text: &str) {
        if self.options.has('v') {
            self.sys.print_error(format!("* {text}\n")).await;
        }
    }

    async fn show(&self, mark: char, head: &str) {
        if self.options.has('v') {
            let lines: String = head.split_inclusive('\n').map(|line| format!("{mark} {line}")).collect();
            self.sys.print_error(lines).await;
        }
    }
}

/// A response's head, taken apart and as it came.
struct Response {
    head: Head,
    text: String,
}

impl Response {
    /// Reads a head; a peer that says nothing or no HTTP is a problem of its own.
    async fn read(stream: &TcpStream) -> Result<Result<Response, Problem>, Errno> {
        let first = stream.read(65_536).await?;
        if first.is_empty() {
            return Ok(Err(Problem::new(52, "Empty reply from server")));
        }
        let known = first.len().min(5);
        if first[..known] != b"HTTP/"[..known] {
            return Ok(Err(Problem::new(1, "Received HTTP/0.9 when not allowed")));
        }
        let Some(head) = Head::read(stream, first).await? else {
            return Ok(Err(Problem::new(52, "Empty reply from server")));
        };
        let mut text = format!("{}\r\n", head.start);
        for (name, value) in &head.fields {
            text += &format!("{}: {value}\r\n", capitalized(name));
        }
        text += "\r\n";
        Ok(Ok(Response { head, text }))
    }

    fn code(&self) -> u16 {
        self.head.start.split_whitespace().nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
    }
}

/// Header names are kept in lower case; servers write them like this.
fn capitalized(name: &str) -> String {
    let part = |part: &str| {
        let mut letters = part.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    };
    name.split('-').map(part).collect::<Vec<_>>().join("-")
}

fn http_error(code: u16) -> Problem {
    let transient = [408, 429, 500, 502, 503, 504].contains(&code);
    Problem { code: 22, text: format!("The requested URL returned error: {code}"), transient }
}

fn wrong_url(error: UrlError) -> Problem {
    match error {
        UrlError::Scheme(scheme) => {
            let text = format!("Protocol \"{scheme}\" not supported or disabled in libcurl");
            Problem::new(1, text)
        }
        UrlError::Authority(_) => Problem::new(3, "URL using bad/illegal format or missing URL"),
    }
}

/// What `-w` prints: text with escapes and `%{NAME}`; a name curl does not know is nothing.
fn written_out(format: &str, facts: &Facts, total: Duration, code: u8, error: &str) -> String {
    let address = |address: Option<SocketAddr>| address.map(|a| a.ip().to_string()).unwrap_or_default();
    let port = |address: Option<SocketAddr>| address.map_or(0, |a| a.port()).to_string();
    let variable = |name: &str| match name {
        "http_code" | "response_code" => format!("{:03}", facts.code),
        "size_download" => facts.size.to_string(),
        "num_redirects" => facts.redirections.to_string(),
        "remote_ip" => address(facts.remote),
        "remote_port" => port(facts.remote),
        "local_ip" => address(facts.local),
        "local_port" => port(facts.local),
        "url_effective" => facts.address.clone(),
        "content_type" => facts.kind.clone(),
        "time_total" => format!("{:.6}", total.as_secs_f64()),
        "time_connect" => format!("{:.6}", facts.connected.as_secs_f64()),
        "exitcode" => code.to_string(),
        "errormsg" => error.to_owned(),
        _ => String::new(),
    };
    let mut text = String::new();
    let mut rest = format;
    while let Some(at) = rest.find(['%', '\\']) {
        text += &rest[..at];
        rest = &rest[at..];
        if let Some((name, after)) = rest.strip_prefix("%{").and_then(|name| name.split_once('}')) {
            text += &variable(name);
            rest = after;
            continue;
        }
        let (shown, length) = match rest.get(..2) {
            Some("\\n") => ("\n", 2),
            Some("\\t") => ("\t", 2),
            Some("\\r") => ("\r", 2),
            Some("%%") => ("%", 2),
            _ => (&rest[..1], 1),
        };
        text += shown;
        rest = &rest[length..];
    }
    text + rest
}

/// RFC 4648 section 4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let padded = [0, group[0], group.get(1).copied().unwrap_or(0), group.get(2).copied().unwrap_or(0)];
        let number = u32::from_be_bytes(padded);
        for digit in 0..4 {
            let letter = ALPHABET[(number >> (18 - 6 * digit)) as usize & 63];
            text.push(if digit <= group.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_out() {
        let facts = Facts { code: 200, size: 6, ..Facts::default() };
        let written = |format| written_out(format, &facts, Duration::from_millis(1500), 7, "");
        assert_eq!(written("%{http_code}\\n"), "200\n");
        assert_eq!(written("a %{size_download} %{time_total}%%%{nosuch}\\q%"), "a 6 1.500000%\\q%");
    }

    #[test]
    fn names_and_passwords_are_coded() {
        assert_eq!(base64(b"Aladdin:open sesame"), "QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(
            (base64(b""), base64(b"abc"), base64(b"ab")),
            (String::new(), "YWJj".into(), "YWI=".into())
        );
    }
}
