//! The outside world's DNS server as a program: it answers from an [`AuthorityZone`] over UDP and TCP.

use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use super::authority::AuthorityZone;
use crate::docker::dns_message::{TcpMessages, Transport, frame};
use crate::engine::sys::{Errno, ExitCode, Scope, Sys, TcpListener, TcpStream, UdpSocket};

/// Where a DNS server listens (RFC 1035 section 4.2).
const PORT: u16 = 53;
/// Most bytes read from a connection at once.
const READ: usize = 65_536;

/// Serves a zone until it is ended. As name servers do, it binds every address by itself, so that an answer comes from
/// the address that was asked.
pub(super) async fn serve(sys: Sys, zone: Rc<AuthorityZone>) -> ExitCode {
    let mut servers: Vec<Pin<Box<dyn Future<Output = ()>>>> = Vec::new();
    let interfaces = sys.interfaces();
    for address in interfaces.iter().flat_map(|i| &i.addresses).filter(|a| a.scope != Scope::Link) {
        let local = SocketAddr::new(address.address.addr(), PORT);
        let opened = sys.udp_socket().and_then(|socket| socket.bind(local).map(|_| socket));
        let (Ok(udp), Ok(tcp)) = (opened, sys.tcp_listen(local, 128)) else { return ExitCode::FAILURE };
        let (first, second) = (zone.clone(), zone.clone());
        servers.push(Box::pin(async move { serve_udp(&udp, &first).await }));
        servers.push(Box::pin(async move { serve_tcp(&tcp, &second).await }));
    }
    std::future::poll_fn(|context| {
        servers.retain_mut(|server| server.as_mut().poll(context).is_pending());
        if servers.is_empty() { Poll::Ready(ExitCode::FAILURE) } else { Poll::Pending }
    })
    .await
}

async fn serve_udp(socket: &UdpSocket, zone: &AuthorityZone) {
    loop {
        match socket.receive().await {
            Ok(datagram) => {
                if let Some(answer) = zone.answer(&datagram.payload, Transport::Udp) {
                    // The asker may have no route any more.
                    let _ = socket.send_to(&answer, datagram.source);
                }
            }
            Err(Errno::BadDescriptor) => return,
            Err(_) => {}
        }
    }
}

/// One connection after another: a client of this server asks one question and leaves.
async fn serve_tcp(listener: &TcpListener, zone: &AuthorityZone) {
    while let Ok((stream, _)) = listener.accept().await {
        // A client that breaks off is the end of its connection only.
        let _ = serve_stream(&stream, zone).await;
    }
}

async fn serve_stream(stream: &TcpStream, zone: &AuthorityZone) -> Result<(), Errno> {
    let mut messages = TcpMessages::default();
    loop {
        let bytes = stream.read(READ).await?;
        if bytes.is_empty() {
            return Ok(());
        }
        messages.push(&bytes);
        while let Some(message) = messages.next() {
            if let Some(framed) = zone.answer(&message, Transport::Tcp).and_then(|answer| frame(&answer)) {
                stream.write_all(&framed).await?;
            }
        }
    }
}
