//! `http-proxy [-p PORT]`: a forward proxy, as a company's is.
//!
//! A request in absolute form (`GET http://host/path`) is made in its client's place, one for each connection; `CONNECT
//! host:port` joins the connection to one there (RFC 9112 section 3.2.2, RFC 9110 section 9.3.6). Names are resolved where
//! the proxy runs. Without a proxy's request (origin form) the answer is 400, without a way to the host 502, and 504 when it
//! keeps silent.

use std::net::SocketAddr;
use std::time::Duration;

use super::arguments;
use super::http::{self, Head};
use super::http_client::Url;
use super::httpd;
use super::options::{Failure, Options, Syntax, finish, invalid_number};
use super::relay::relay;
use super::resolver::{Want, resolve};
use super::tasks::{First, Tasks, first};
use crate::engine::sys::{Errno, ExitCode, Sys, TcpStream};

pub(super) const SYNTAX: Syntax =
    Syntax { letters: "p:", long: &[], stop_at_operand: false, usage: "http-proxy [-p PORT]" };

/// Squid's port.
const PORT: &str = "3128";
/// Connections that wait to be accepted (`net.core.somaxconn` of a recent kernel).
const BACKLOG: usize = 4_096;
/// How long a server may take to take a connection: Squid's `connect_timeout`.
const PATIENCE: Duration = Duration::from_secs(60);
/// Fields that are for the proxy and not for the server behind it (RFC 9110 section 7.6.1).
const OWN_FIELDS: [&str; 8] = [
    "connection",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
];

/// Serves until it is ended.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let options = Options::parse(program, words, &SYNTAX)?;
    let port = options.value('p').unwrap_or(PORT);
    let port: u16 = port.parse().map_err(|_| invalid_number(program, port))?;
    let listener = httpd::listen(sys, None, port, BACKLOG)
        .map_err(|errno| Failure::new(program, format!("bind: {errno}")))?;
    let mut tasks = Tasks::new();
    loop {
        match first(listener.accept(), tasks.run()).await {
            First::Left(Ok((stream, _))) => tasks.push(Box::pin(serve(sys.clone(), stream))),
            First::Left(Err(errno)) => return Err(Failure::new(program, format!("accept: {errno}"))),
            First::Right(never) => match never {},
        }
    }
}

/// What a client wants.
#[derive(Debug, PartialEq, Eq)]
enum Wish {
    /// A connection to a host and port.
    Tunnel { host: String, port: u16 },
    /// What this request gets there.
    Fetch { url: Url, request: String },
}

async fn serve(sys: Sys, client: TcpStream) {
    let Ok(Some(head)) = Head::read(&client, Vec::new()).await else { return };
    let Some(wish) = Wish::of(&head, sys.hostname()) else {
        return refuse(&sys, client, "400 Bad Request", "expected CONNECT or an http:// address\n").await;
    };
    let (host, port) = match &wish {
        Wish::Tunnel { host, port } => (host, *port),
        Wish::Fetch { url, .. } => (&url.host, url.port),
    };
    let server = match sys.timeout(PATIENCE, connect(&sys, host, port)).await {
        Some(Ok(server)) => server,
        Some(Err(Errno::TimedOut)) | None => {
            return refuse(&sys, client, "504 Gateway Timeout", &format!("{host}: no answer\n")).await;
        }
        Some(Err(errno)) => {
            return refuse(&sys, client, "502 Bad Gateway", &format!("{host}: {errno}\n")).await;
        }
    };
    let begun = match &wish {
        Wish::Tunnel { .. } => client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await,
        Wish::Fetch { request, .. } => server.write_all(request.as_bytes()).await,
    };
    if begun.is_ok() && server.write_all(&head.rest).await.is_ok() {
        relay(&client, &server).await;
    }
}

async fn connect(sys: &Sys, host: &str, port: u16) -> Result<TcpStream, Errno> {
    let addresses = resolve(sys, host, Want::Any).await.map_err(|_| Errno::HostUnreachable)?;
    let address = *addresses.first().ok_or(Errno::HostUnreachable)?;
    sys.tcp_connect(SocketAddr::new(address, port)).await
}

async fn refuse(sys: &Sys, client: TcpStream, status: &str, why: &str) {
    if client.write_all(&http::response(status, "text/plain", why.as_bytes(), true)).await.is_ok() {
        http::close(sys, client).await;
    }
}

impl Wish {
    /// Reads a request; `name` is what the proxy calls itself. `None`: it is not one for a proxy.
    fn of(head: &Head, name: &str) -> Option<Wish> {
        let mut words = head.start.split_whitespace();
        let (method, target) = (words.next()?, words.next()?);
        if method == "CONNECT" {
            let (host, port) = target.rsplit_once(':')?;
            let host = host.trim_matches(['[', ']']).to_owned();
            return (!host.is_empty()).then_some(Wish::Tunnel { host, port: port.parse().ok()? });
        }
        if !target.starts_with("http://") {
            return None;
        }
        let url = Url::parse(target).ok()?;
        let mut request = format!("{method} {} HTTP/1.1\r\nHost: {}\r\n", url.path, url.authority);
        for (field, value) in &head.fields {
            if !OWN_FIELDS.contains(&field.as_str()) {
                request += &format!("{field}: {value}\r\n");
            }
        }
        request += &format!("Via: 1.1 {name}\r\nConnection: close\r\n\r\n");
        Some(Wish::Fetch { url, request })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(text: &str) -> Option<Wish> {
        let mut lines = text.lines();
        let start = lines.next().unwrap_or_default().to_owned();
        let fields = lines.filter_map(|line| line.split_once(": "));
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Wish::of(&Head { start, fields, rest: Vec::new() }, "gate")
    }

    #[test]
    fn a_request_goes_on_in_origin_form_without_what_is_the_proxys() {
        let asked = "GET http://web:81/a?b HTTP/1.1\nhost: other\nproxy-connection: keep-alive\naccept: */*";
        let Some(Wish::Fetch { url, request }) = wish(asked) else { panic!("not understood") };
        assert_eq!((url.host.as_str(), url.port), ("web", 81));
        assert_eq!(
            request,
            "GET /a?b HTTP/1.1\r\nHost: web:81\r\naccept: */*\r\nVia: 1.1 gate\r\nConnection: close\r\n\r\n"
        );
    }

    #[test]
    fn a_tunnel_needs_a_port_and_other_requests_are_for_somebody_else() {
        let tunnel = |host: &str| Some(Wish::Tunnel { host: host.to_owned(), port: 443 });
        assert_eq!(wish("CONNECT web:443 HTTP/1.1"), tunnel("web"));
        assert_eq!(wish("CONNECT [fd00::7]:443 HTTP/1.1"), tunnel("fd00::7"));
        for other in
            ["CONNECT web HTTP/1.1", "CONNECT :1 HTTP/1.1", "GET / HTTP/1.1", "GET https://x/ HTTP/1.1", ""]
        {
            assert_eq!(wish(other), None, "{other}");
        }
    }
}
