//! `wget`: fetches `http://` addresses with HTTP/1.1 requests, follows redirections.
//!
//! The environment's `http_proxy` is used, in lower case only as BusyBox, GNU's wget and curl do, because a CGI program's
//! `HTTP_PROXY` is a header that any client may send. `no_proxy` or `NO_PROXY` excepts hosts from it as curl and Go do;
//! BusyBox's own wget knows no exceptions. `-Y off` ignores all of it. A file that is there already is
//! not overwritten unless `-O` names it. Texts are BusyBox 1.35's.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::arguments;
use super::http::Head;
use super::http_client::{Body, Url, UrlError, proxy_for, read_body};
use super::options::{Failure, Options, Syntax, finish, invalid_number};
use super::resolver::{Want, remote_host, resolve};
use super::tasks::turn;
use crate::engine::sys::{Errno, ExitCode, Sys, TcpStream};

pub(super) const SYNTAX: Syntax = Syntax {
    letters: concat!("cqSO:o:P:Y:U:T:t:s46", "\u{e000}:\u{e001}:\u{e002}:\u{e003}"),
    long: &[
        ("continue", 'c'),
        ("spider", 's'),
        ("quiet", 'q'),
        ("server-response", 'S'),
        ("output-document", 'O'),
        ("output-file", 'o'),
        ("directory-prefix", 'P'),
        ("proxy", 'Y'),
        ("user-agent", 'U'),
        ("timeout", 'T'),
        ("tries", 't'),
        ("header", HEADER),
        ("post-data", POST_DATA),
        ("post-file", POST_FILE),
        ("no-check-certificate", '\u{e003}'),
    ],
    stop_at_operand: false,
    usage: "wget [-cqS] [--spider] [-O FILE] [-o LOGFILE] [--header STR]\n\
            \t[--post-data STR | --post-file FILE] [-Y on/off]\n\
            \t[--no-check-certificate] [-P DIR] [-U AGENT] [-T SEC] URL...\n\n\
            Retrieve files via HTTP or FTP\n\n\
            \t--spider\tOnly check URL existence: $? is 0 if exists\n\
            \t--header STR\tAdd STR (of form 'header: value') to headers\n\
            \t--post-data STR\tSend STR using POST method\n\
            \t--post-file FILE\tSend FILE using POST method\n\
            \t--no-check-certificate\tDon't validate the server's certificate\n\
            \t-c\t\tContinue retrieval of aborted transfer\n\
            \t-q\t\tQuiet\n\
            \t-P DIR\t\tSave to DIR (default .)\n\
            \t-S    \t\tShow server response\n\
            \t-T SEC\t\tNetwork read timeout is SEC seconds\n\
            \t-O FILE\t\tSave to FILE ('-' for stdout)\n\
            \t-o LOGFILE\tLog messages to FILE\n\
            \t-U STR\t\tUse STR for User-Agent header\n\
            \t-Y on/off\tUse proxy",
};

/// Options without a letter.
const HEADER: char = '\u{e000}';
const POST_DATA: char = '\u{e001}';
const POST_FILE: char = '\u{e002}';

/// Redirections followed at most.
const MAX_REDIRECTIONS: usize = 5;

/// BusyBox's default for `-T`.
const DEFAULT_TIMEOUT: u64 = 900;

/// Fetches addresses.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let options = Options::parse(program, words, &SYNTAX)?;
    if options.operands.is_empty() {
        return Err(Failure::usage("", SYNTAX.usage));
    }
    let seconds: u64 = match options.value('T') {
        None => DEFAULT_TIMEOUT,
        Some(text) => text.parse().map_err(|_| invalid_number(program, text))?,
    };
    let client = Client {
        sys,
        program,
        options: &options,
        timeout: if seconds == 0 { Duration::MAX } else { Duration::from_secs(seconds) },
    };
    for address in &options.operands {
        client.fetch(address).await?;
    }
    Ok(ExitCode::SUCCESS)
}

struct Client<'a> {
    sys: &'a Sys,
    program: &'a str,
    options: &'a Options,
    timeout: Duration,
}

impl Client<'_> {
    async fn fetch(&self, address: &str) -> Result<(), Failure> {
        let wrong = |error| self.fail(wrong_url(address, error));
        let mut url = Url::parse(address).map_err(wrong)?;
        let named = if url.file_name().is_empty() { "index.html" } else { url.file_name() }.to_owned();
        for _ in 0..=MAX_REDIRECTIONS {
            let (stream, proxied) = self.connect(&url).await?;
            turn(self.sys).await;
            let request = self.request(&url, proxied)?;
            let exchange = async {
                stream.write_all(&request).await?;
                Head::read(&stream, Vec::new()).await
            };
            let head = self.limited(exchange).await?.map_err(|errno| self.fail(errno.text()))?;
            let head = head.ok_or_else(|| self.fail("error getting response"))?;
            let status: u16 = head.start.split_whitespace().nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
            if self.options.has('S') {
                self.show_head(&head, (200..=399).contains(&status)).await;
            }
            match (status, head.field("location")) {
                (300..=399, Some(location)) => {
                    url = url.redirected(location).map_err(|error| self.fail(wrong_url(location, error)))?;
                }
                (200..=299, _) => return self.store(&stream, head, &named).await,
                _ => return Err(self.fail(format!("server returned error: {}", head.start))),
            }
        }
        Err(self.fail("too many redirections"))
    }

    fn request(&self, url: &Url, proxied: bool) -> Result<Vec<u8>, Failure> {
        let data = match (self.options.value(POST_DATA), self.options.value(POST_FILE)) {
            (Some(text), _) => Some(text.as_bytes().to_vec()),
            (None, Some(file)) => {
                let failed = |errno: Errno| self.fail(format!("can't open '{file}': {errno}"));
                Some(self.sys.read_file(&absolute(file)).map_err(failed)?)
            }
            (None, None) => None,
        };
        let method = match (&data, self.options.has('s')) {
            (Some(_), _) => "POST",
            (None, true) => "HEAD",
            (None, false) => "GET",
        };
        let target = if proxied { format!("http://{}{}", url.authority, url.path) } else { url.path.clone() };
        let own: Vec<&str> = self.options.values(HEADER).collect();
        // A header of the user's replaces the one BusyBox would send.
        let replaced = |name: &str| {
            own.iter()
                .any(|line| line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)))
        };
        let mut request = format!("{method} {target} HTTP/1.1\r\n");
        if !replaced("Host:") {
            request += &format!("Host: {}\r\n", url.authority);
        }
        if !replaced("User-Agent:") {
            request += &format!("User-Agent: {}\r\n", self.options.value('U').unwrap_or("Wget"));
        }
        request += "Connection: close\r\n";
        for line in &own {
            request += &format!("{line}\r\n");
        }
        if let Some(data) = &data {
            if !replaced("Content-Type:") {
                request += "Content-Type: application/x-www-form-urlencoded\r\n";
            }
            request += &format!("Content-Length: {}\r\n", data.len());
        }
        request += "\r\n";
        Ok([request.into_bytes(), data.unwrap_or_default()].concat())
    }

    /// Connects to the host or to the proxy that is responsible for it.
    async fn connect(&self, url: &Url) -> Result<(TcpStream, bool), Failure> {
        let proxy = match self.options.value('Y') {
            Some("off") => None,
            _ => proxy_for(&url.host, &|name| self.sys.variable(name).map(str::to_owned)),
        };
        let target = match &proxy {
            Some(text) => &Url::parse(text).map_err(|error| self.fail(wrong_url(text, error)))?,
            None => url,
        };
        let want = match (self.options.has('4'), self.options.has('6')) {
            (true, false) => Want::Ipv4,
            (false, true) => Want::Ipv6,
            _ => Want::Any,
        };
        let bad_address = || self.fail(format!("bad address '{}'", target.host));
        let found = resolve(self.sys, &target.host, want).await.map_err(|_| bad_address())?;
        let address: IpAddr = *found.first().ok_or_else(bad_address)?;
        let remote = SocketAddr::new(address, target.port);
        if !self.quiet() {
            self.sys.print_error(format!("Connecting to {} ({remote})\n", target.authority)).await;
        }
        let stream = self.limited(self.sys.tcp_connect(remote)).await?;
        let stream = stream
            .map_err(|errno| self.fail(format!("can't connect to {}: {errno}", remote_host(address))))?;
        Ok((stream, proxy.is_some()))
    }

    async fn store(&self, stream: &TcpStream, head: Head, named: &str) -> Result<(), Failure> {
        if self.options.has('s') {
            if !self.quiet() {
                self.sys.print_error("remote file exists\n").await;
            }
            return Ok(());
        }
        let file = match (self.options.value('O'), self.options.value('P')) {
            (Some(file), _) => file.to_owned(),
            (None, Some(directory)) => format!("{}/{named}", directory.trim_end_matches('/')),
            (None, None) => named.to_owned(),
        };
        if self.options.value('O').is_none() && self.sys.read_file(&absolute(&file)).is_ok() {
            return Err(self.fail(format!("can't open '{file}': {}", Errno::FileExists)));
        }
        if !self.quiet() {
            let text =
                if file == "-" { "writing to stdout\n".to_owned() } else { format!("saving to '{file}'\n") };
            self.sys.print_error(text).await;
        }
        let body = self.limited(read_body(stream, &head)).await?.map_err(|errno| self.fail(errno.text()))?;
        let Body { bytes: body, missing } = body;
        if missing > 0 {
            return Err(self.fail("connection closed prematurely"));
        }
        self.write(&file, &body).await?;
        if !self.quiet() {
            self.show_progress(&file, body.len()).await;
        }
        Ok(())
    }

    async fn write(&self, file: &str, body: &[u8]) -> Result<(), Failure> {
        if file == "-" {
            let _ = self.sys.write(body).await;
            return Ok(());
        }
        if file == "/dev/null" {
            return Ok(());
        }
        let failed = |errno: Errno| self.fail(format!("can't open '{file}': {errno}"));
        self.sys.write_file(&absolute(file), body, false).map_err(failed)
    }

    async fn show_progress(&self, file: &str, length: usize) {
        let name = file.rsplit('/').next().unwrap_or(file);
        let bar = "*".repeat(32);
        let last = if file == "-" { "written to stdout".to_owned() } else { format!("'{file}' saved") };
        self.sys.print_error(format!("{name:<20} 100% |{bar}| {length:>5}  0:00:00 ETA\n{last}\n")).await;
    }

    async fn show_head(&self, head: &Head, whole: bool) {
        let mut text = format!("  {}\n", head.start);
        for (name, value) in head.fields.iter().filter(|_| whole) {
            text += &format!("  {name}: {value}\n");
        }
        self.sys.print_error(text).await;
    }

    async fn limited<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        let done = self.sys.timeout(self.timeout, work).await;
        done.ok_or_else(|| self.fail("download timed out"))
    }

    fn quiet(&self) -> bool {
        self.options.has('q')
    }

    fn fail(&self, message: impl AsRef<str>) -> Failure {
        Failure::new(self.program, message)
    }
}

/// BusyBox's words for an address it does not fetch.
fn wrong_url(text: &str, error: UrlError) -> String {
    match error {
        // What follows is not BusyBox's: it would speak FTP.
        UrlError::Scheme(scheme) if scheme == "ftp" => format!("FTP is not spoken here: {text}"),
        UrlError::Scheme(_) => format!("not an http or ftp url: {text}"),
        UrlError::Authority(authority) => format!("bad address '{authority}'"),
    }
}

/// A path of the file system; programs run in its root.
fn absolute(file: &str) -> String {
    if file.starts_with('/') { file.to_owned() } else { format!("/{file}") }
}
