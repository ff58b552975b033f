//! `httpd [-f] [-p [ADDRESS:]PORT] [-h HOME]`: a small web server.
//!
//! It serves the files of its home with BusyBox's headers. `/` is `index.html`, or without one a line with the host's
//! name. `/cgi-bin/who` is the one CGI program there is: it answers `HOSTNAME sees $REMOTE_ADDR`. Without `-f` the server is
//! started as another process and the command returns.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::arguments;
use super::http::{self, Head};
use super::options::{Failure, Options, Syntax, finish};
use super::tasks::{First, Tasks, first, turn};
use crate::engine::sys::{Errno, ExitCode, Launch, Sys, TcpListener, TcpStream};

pub(super) const SYNTAX: Syntax = Syntax {
    letters: "fvip:h:c:u:",
    long: &[],
    stop_at_operand: false,
    usage: "httpd [-ifv[v]] [-c CONFFILE] [-p [IP:]PORT] [-h HOME]",
};

/// Connections that wait to be accepted, as BusyBox's `listen` call.
const BACKLOG: usize = 9;

/// Serves files.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let options = Options::parse(program, words, &SYNTAX)?;
    if !options.has('f') {
        return detach(sys, program, words);
    }
    let port = options.value('p').unwrap_or("80");
    let (address, port) = match port.rsplit_once(':') {
        Some((address, port)) => {
            let text = address.trim_matches(['[', ']']);
            let bad = || Failure::new(program, format!("bad address '{address}'"));
            (Some(text.parse::<IpAddr>().map_err(|_| bad())?), port)
        }
        None => (None, port),
    };
    let port: u16 = port.parse().map_err(|_| super::options::invalid_number(program, port))?;
    let listener = listen(sys, address, port, BACKLOG)
        .map_err(|errno| Failure::new(program, format!("bind: {errno}")))?;
    let on_ipv6 = listener.local_address().is_ok_and(|local| local.is_ipv6());
    let home = options.value('h').unwrap_or("").trim_end_matches('/').to_owned();
    let mut tasks = Tasks::new();
    loop {
        match first(listener.accept(), tasks.run()).await {
            First::Left(Ok((stream, peer))) => {
                let client = remote_address(peer.ip(), on_ipv6);
                tasks.push(Box::pin(serve(sys.clone(), stream, client, home.clone())));
            }
            First::Left(Err(errno)) => return Err(Failure::new(program, format!("accept: {errno}"))),
            First::Right(never) => match never {},
        }
    }
}

/// Listens on an address, or on every IPv6 and IPv4 address; without IPv6 on every IPv4 one.
pub(crate) fn listen(
    sys: &Sys,
    address: Option<IpAddr>,
    port: u16,
    backlog: usize,
) -> Result<TcpListener, Errno> {
    match address {
        Some(address) => sys.tcp_listen(SocketAddr::new(address, port), backlog),
        None => match sys.tcp_listen(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port), backlog) {
            Err(Errno::AddressFamilyNotSupported | Errno::AddressNotAvailable) => {
                sys.tcp_listen(SocketAddr::new(std::net::Ipv4Addr::UNSPECIFIED.into(), port), backlog)
            }
            result => result,
        },
    }
}

fn detach(sys: &Sys, program: &str, words: &[String]) -> Result<ExitCode, Failure> {
    let mut command = vec!["httpd".to_owned(), "-f".to_owned()];
    command.extend_from_slice(words);
    let launch = Launch {
        arguments: command,
        environment: sys.environment(),
        stdin: crate::engine::sys::Pipe::empty(),
        stdout: sys.stdout().clone(),
        stderr: sys.stderr().clone(),
        replaces: false,
    };
    sys.launch(launch).map_err(|errno| Failure::new(program, format!("fork: {errno}")))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(sys: Sys, stream: TcpStream, client: String, home: String) {
    let Ok(Some(head)) = Head::read(&stream, Vec::new()).await else { return };
    for part in answer(&sys, &head, &client, &home) {
        if stream.write_all(&part).await.is_err() {
            return;
        }
        turn(&sys).await;
    }
    http::close(&sys, stream).await;
}

/// The pieces of the reply, each written by itself: a file's headers, then the file.
fn answer(sys: &Sys, head: &Head, client: &str, home: &str) -> Vec<Vec<u8>> {
    let mut words = head.start.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let with_body = method != "HEAD";
    if method != "GET" && method != "HEAD" {
        return vec![error("501 Not Implemented", "The requested method is not recognized", true)];
    }
    let path = target.split(['?', '#']).next().unwrap_or_default();
    if !path.starts_with('/') || path.split('/').any(|part| part == "..") {
        return vec![error("400 Bad Request", "Unsupported method", with_body)];
    }
    if path == "/cgi-bin/who" {
        let body = format!("{} sees {client}\n", sys.hostname());
        return vec![http::response("200 OK", "text/plain", body.as_bytes(), with_body)];
    }
    let file = if path.ends_with('/') { format!("{home}{path}index.html") } else { format!("{home}{path}") };
    match sys.read_file(&file) {
        Ok(content) => page(sys, kind(&file), content, with_body),
        Err(_) if path == "/" => {
            page(sys, "text/html", format!("{}\n", sys.hostname()).into_bytes(), with_body)
        }
        Err(_) => vec![error("404 Not Found", "The requested URL was not found", with_body)],
    }
}

/// `REMOTE_ADDR` as BusyBox sets it: an address of an IPv6 socket stands in brackets, and on such a socket an IPv4 client
/// has a mapped one.
fn remote_address(client: IpAddr, on_ipv6: bool) -> String {
    match client {
        IpAddr::V4(address) if on_ipv6 => format!("[{}]", address.to_ipv6_mapped()),
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

/// A file as BusyBox's httpd sends it; every file is as old as the run.
fn page(sys: &Sys, kind: &str, content: Vec<u8>, with_body: bool) -> Vec<Vec<u8>> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nDate: {}\r\nConnection: close\r\nContent-type: {kind}\r\nAccept-Ranges: bytes\r\n\
         Last-Modified: {}\r\nETag: \"{:x}-{:x}\"\r\nContent-Length: {}\r\n\r\n",
        http::date(sys.now()),
        http::date(Duration::ZERO),
        http::EPOCH,
        content.len(),
        content.len(),
    );
    if with_body { vec![head.into_bytes(), content] } else { vec![head.into_bytes()] }
}

fn error(status: &str, text: &str, with_body: bool) -> Vec<u8> {
    let body = format!(
        "<HTML><HEAD><TITLE>{status}</TITLE></HEAD>\n<BODY><H1>{status}</H1>\n{text}\n</BODY></HTML>\n"
    );
    http::response(status, "text/html", body.as_bytes(), with_body)
}

fn kind(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html" | "htm") => "text/html",
        Some("txt") => "text/plain",
        Some("css") => "text/css",
        Some("js") => "application/javascript",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}
