//! `wget`: fetches `http://` addresses with HTTP/1.1 requests, follows redirections.
//!
//! The environment's `http_proxy` is used, in lower case only as BusyBox, GNU's wget and curl do, because a CGI program's
//! `HTTP_PROXY` is a header that any client may send. `no_proxy` or `NO_PROXY` excepts hosts from it as curl and Go do;
//! BusyBox's own wget knows no exceptions. `-Y off` ignores all of it. Texts are BusyBox 1.35's.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::arguments;
use super::http::Head;
use super::options::{Failure, Options, Syntax, finish, invalid_number};
use super::resolver::{Want, resolve};
use super::tasks::turn;
use super::url::Url;
use crate::engine::sys::{Errno, ExitCode, Sys, TcpStream};

pub(super) const SYNTAX: Syntax = Syntax {
    letters: "cqSO:o:P:Y:U:T:t:s46",
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
    ],
    stop_at_operand: false,
    usage: "wget [-cqS] [--spider] [-O FILE] [-o LOGFILE]\n\
            \t[-P DIR] [-U AGENT] [-T SEC] [-Y on/off] URL...",
};

/// Redirections followed at most.
const MAX_REDIRECTIONS: usize = 5;

/// The longest body kept in memory.
const MAX_BODY: usize = 1 << 30;

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
        let mut url = Url::parse(address).map_err(|message| self.fail(message))?;
        let named = url.file_name().to_owned();
        for _ in 0..=MAX_REDIRECTIONS {
            let (stream, proxied) = self.connect(&url).await?;
            turn(self.sys).await;
            let method = if self.options.has('s') { "HEAD" } else { "GET" };
            let target =
                if proxied { format!("http://{}{}", url.authority, url.path) } else { url.path.clone() };
            let agent = self.options.value('U').unwrap_or("Wget");
            let request = format!(
                "{method} {target} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {agent}\r\nConnection: close\r\n\r\n",
                url.authority
            );
            let exchange = async {
                stream.write_all(request.as_bytes()).await?;
                Head::read(&stream, Vec::new()).await
            };
            let head = self.limited(exchange).await?.map_err(|errno| self.fail(errno.text()))?;
            let head = head.ok_or_else(|| self.fail("error getting response"))?;
            if self.options.has('S') {
                self.show_head(&head).await;
            }
            let status: u16 = head.start.split_whitespace().nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
            match (status, head.field("location")) {
                (300..=399, Some(location)) => url = self.redirected(&url, location)?,
                (200..=299, _) => return self.store(&stream, head, &named).await,
                _ => return Err(self.fail(format!("server returned error: {}", head.start))),
            }
        }
        Err(self.fail("too many redirections"))
    }

    fn redirected(&self, url: &Url, location: &str) -> Result<Url, Failure> {
        match location.starts_with('/') {
            true => Ok(Url { path: location.to_owned(), ..url.clone() }),
            false => Url::parse(location).map_err(|message| self.fail(message)),
        }
    }

    /// Connects to the host or to the proxy that is responsible for it.
    async fn connect(&self, url: &Url) -> Result<(TcpStream, bool), Failure> {
        let proxy = match self.options.value('Y') {
            Some("off") => None,
            _ => proxy_for(&url.host, &|name| self.sys.variable(name).map(str::to_owned)),
        };
        let target = match &proxy {
            Some(text) => &Url::parse(text).map_err(|message| self.fail(message))?,
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
            .map_err(|errno| self.fail(format!("can't connect to remote host ({address}): {errno}")))?;
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
        if !self.quiet() {
            let text =
                if file == "-" { "writing to stdout\n".to_owned() } else { format!("saving to '{file}'\n") };
            self.sys.print_error(text).await;
        }
        let mut body = head.rest.clone();
        let limit = match head.field("content-length").and_then(|text| text.parse::<usize>().ok()) {
            Some(length) => length.min(MAX_BODY),
            None => MAX_BODY,
        };
        let chunked =
            head.field("transfer-encoding").is_some_and(|text| text.eq_ignore_ascii_case("chunked"));
        let limit = if chunked { MAX_BODY } else { limit };
        while body.len() < limit {
            let part = self.limited(stream.read(limit - body.len())).await?;
            let part = part.map_err(|errno| self.fail(errno.text()))?;
            if part.is_empty() {
                break;
            }
            body.extend(part);
        }
        body.truncate(limit);
        if head.field("content-length").is_some() && !chunked && body.len() < limit {
            return Err(self.fail("connection closed prematurely"));
        }
        let body = if chunked { unchunk(&body) } else { body };
        self.write(&file, &body).await?;
        if !self.quiet() {
            self.show_progress(&file, body.len()).await;
        }
        Ok(())
    }

    async fn write(&self, file: &str, body: &[u8]) -> Result<(), Failure> {
        if file == "-" {
            let _ = self.sys.stdout().write_all(body).await;
            return Ok(());
        }
        if file == "/dev/null" {
            return Ok(());
        }
        let path = if file.starts_with('/') { file.to_owned() } else { format!("/{file}") };
        let failed = |errno: Errno| self.fail(format!("can't open '{file}': {errno}"));
        self.sys.write_file(&path, body, false).map_err(failed)
    }

    async fn show_progress(&self, file: &str, length: usize) {
        let name = file.rsplit('/').next().unwrap_or(file);
        let bar = "*".repeat(32);
        let last = if file == "-" { "written to stdout".to_owned() } else { format!("'{file}' saved") };
        self.sys.print_error(format!("{name:<20} 100% |{bar}| {length:>5}  0:00:00 ETA\n{last}\n")).await;
    }

    async fn show_head(&self, head: &Head) {
        let mut text = format!("  {}\n", head.start);
        for (name, value) in &head.fields {
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

/// The proxy for a host. `no_proxy` holds names, suffixes with or without a leading dot or `*.`, addresses, networks, or
/// `*`; the lower-case variable wins.
fn proxy_for(host: &str, variable: &impl Fn(&str) -> Option<String>) -> Option<String> {
    let proxy = variable("http_proxy").filter(|proxy| !proxy.is_empty())?;
    let exceptions = variable("no_proxy").or_else(|| variable("NO_PROXY")).unwrap_or_default();
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let excepted = |entry: &str| {
        let entry = entry.trim().to_ascii_lowercase();
        if entry == "*" {
            return true;
        }
        if let (Ok(network), Ok(address)) = (entry.parse::<ipnet::IpNet>(), host.parse::<IpAddr>()) {
            return network.contains(&address);
        }
        let suffix = entry.strip_prefix('*').unwrap_or(&entry).trim_start_matches('.').trim_end_matches('.');
        !suffix.is_empty() && (host == suffix || host.ends_with(&format!(".{suffix}")))
    };
    if exceptions.split([',', ' ']).any(excepted) { None } else { Some(proxy) }
}

/// Takes the chunks of RFC 9112 section 7.1 apart; what cannot be read ends the body.
fn unchunk(mut coded: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = coded.windows(2).position(|window| window == b"\r\n") {
        let size = String::from_utf8_lossy(&coded[..end]);
        let size = size.split(';').next().unwrap_or_default().trim();
        let Ok(size) = usize::from_str_radix(size, 16) else { break };
        let rest = &coded[end + 2..];
        let taken = size.min(rest.len());
        body.extend_from_slice(&rest[..taken]);
        if size == 0 || taken < size {
            break;
        }
        coded = rest[taken..].strip_prefix(b"\r\n").unwrap_or_default();
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_holds_suffixes_and_networks() {
        let with = |exceptions: &str, host: &str| {
            let exceptions = exceptions.to_owned();
            let variable = move |name: &str| match name {
                "http_proxy" => Some("http://p:1".to_owned()),
                "no_proxy" => Some(exceptions.clone()),
                _ => None,
            };
            proxy_for(host, &variable).is_some()
        };
        let rules = "*.test.example.com,.example2.com,10.0.0.0/8";
        for direct in ["a.test.example.com", "example2.com", "x.example2.com", "10.1.2.3"] {
            assert!(!with(rules, direct), "{direct}");
        }
        for proxied in ["example.com", "notexample2.com", "11.1.2.3"] {
            assert!(with(rules, proxied), "{proxied}");
        }
    }

    #[test]
    fn chunks_are_joined() {
        assert_eq!(unchunk(b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"), b"abcde");
        assert_eq!(unchunk(b"ff\r\nabc"), b"abc");
    }
}
