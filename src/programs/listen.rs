//! `listen PORT[/tcp|/udp]...`: what listens in a container when nothing says so.
//!
//! A TCP connection that begins like an HTTP request gets a page with one line, `HOSTNAME sees CLIENT`, whatever path it
//! asks for: the application it plays is not known, and neither are its pages. On a port whose server speaks something
//! else (PostgreSQL's, Redis', ...) such a request gets the bare line, which is no HTTP, and is hung up on, as those
//! servers do. Any other connection stays open and every chunk of data is answered with that line. A datagram is answered with that line too. It runs until it is ended; a
//! port that is taken ends it at once.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::arguments;
use super::http::{self, Head, looks_like_request};
use super::httpd;
use super::options::{Failure, finish};
use super::tasks::{First, Tasks, first};
use crate::engine::sys::{Errno, ExitCode, Sys, TcpListener, TcpStream, UdpSocket};

/// Connections that wait to be accepted (`net.core.somaxconn` of a recent kernel).
const BACKLOG: usize = 4_096;

/// Ports of servers that speak no HTTP, by IANA's list and their own documentation, ascending.
const OTHER_PROTOCOLS: [u16; 50] = [
    21, 22, 23, 25, 53, 110, 143, 389, 465, 587, 636, 993, 995, 1025, 1433, 1521, 1883, 2181, 2888, 3306,
    3389, 3888, 4222, 4369, 5432, 5433, 5671, 5672, 5900, 6379, 6380, 6432, 7199, 7687, 8883, 9042, 9092,
    9160, 9300, 11207, 11210, 11211, 11280, 25672, 26257, 27017, 27018, 33060, 33061, 61616,
];

/// Listens.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    if words.is_empty() {
        return Err(Failure::usage("", "listen PORT[/tcp|/udp]..."));
    }
    let mut tasks = Tasks::new();
    for word in words {
        let (port, transport) = word.split_once('/').unwrap_or((word, "tcp"));
        let port: u16 = port.parse().map_err(|_| super::options::invalid_number(program, port))?;
        let taken = |errno: Errno| Failure::new(program, format!("{word}: {errno}"));
        match transport {
            "tcp" => {
                let listener = httpd::listen(sys, None, port, BACKLOG).map_err(taken)?;
                tasks.push(Box::pin(serve_tcp(sys.clone(), listener)));
            }
            "udp" => {
                let socket = bind_any(sys, port).map_err(taken)?;
                tasks.push(Box::pin(serve_udp(sys.clone(), socket)));
            }
            other => {
                let text = format!("expected tcp or udp behind the port, found '{other}'");
                return Err(Failure::new(program, text));
            }
        }
    }
    tasks.finish().await;
    Ok(ExitCode::FAILURE)
}

/// A UDP socket on every IPv6 and IPv4 address; without IPv6 on every IPv4 one.
pub(crate) fn bind_any(sys: &Sys, port: u16) -> Result<UdpSocket, Errno> {
    let socket = sys.udp_socket()?;
    match socket.bind(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port)) {
        Err(Errno::AddressFamilyNotSupported | Errno::AddressNotAvailable) => {
            socket.bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port))?;
        }
        result => {
            result?;
        }
    }
    Ok(socket)
}

async fn serve_tcp(sys: Sys, listener: TcpListener) {
    let port = listener.local_address().map_or(0, |address| address.port());
    let web = OTHER_PROTOCOLS.binary_search(&port).is_err();
    let mut tasks = Tasks::new();
    loop {
        match first(listener.accept(), tasks.run()).await {
            First::Left(Ok((stream, peer))) => {
                tasks.push(Box::pin(serve_stream(sys.clone(), stream, peer.ip(), web)))
            }
            First::Left(Err(_)) => return,
            First::Right(never) => match never {},
        }
    }
}

async fn serve_stream(sys: Sys, stream: TcpStream, client: IpAddr, web: bool) {
    let line = http::greeting(sys.hostname(), client);
    let mut received = Vec::new();
    loop {
        let Ok(part) = stream.read(65_536).await else { return };
        if part.is_empty() {
            return;
        }
        received.extend(part);
        if looks_like_request(&received) {
            if received.len() < "OPTIONS ".len() && !received.contains(&b' ') {
                continue;
            }
            let Ok(Some(head)) = Head::read(&stream, received).await else { return };
            let with_body = !head.start.starts_with("HEAD ");
            let page = match web {
                true => http::response("200 OK", "text/plain", line.as_bytes(), with_body),
                false => line.into_bytes(),
            };
            if stream.write_all(&page).await.is_ok() {
                http::close(&sys, stream).await;
            }
            return;
        }
        received.clear();
        if stream.write_all(line.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn serve_udp(sys: Sys, socket: UdpSocket) {
    loop {
        match socket.receive().await {
            Ok(datagram) => {
                let line = http::greeting(sys.hostname(), datagram.source.ip());
                // What cannot be answered is lost, as datagrams are.
                let _ = socket.send_to(line.as_bytes(), datagram.source);
            }
            Err(Errno::BadDescriptor) => return,
            Err(_) => {}
        }
    }
}
