//! Probes: one attempt to reach something, made with real packets from inside a namespace, and what came of it.
//!
//! A probe is a program: it resolves the name with the stub resolver every program uses, then pings, connects or
//! sends a datagram. The source address the server saw is what the server's own answer says (`HOSTNAME sees CLIENT`,
//! the answer of `listen` to everything and of `httpd` to `/cgi-bin/who`).

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use super::{Limit, Location, World, WorldError};
use crate::engine::sys::{Errno, Family, Sys};
use crate::programs::icmp::{self, Message};
use crate::programs::resolver::{self, Want};

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// An echo request.
    Ping,
    /// A TCP connection to a port.
    Tcp(u16),
    /// A datagram to a port.
    Udp(u16),
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// It works; the source address the server saw, if it says so.
    Ok(Option<IpAddr>),
    /// A reset, or ICMP port unreachable.
    Refused,
    /// Silence.
    Timeout,
    /// An ICMP error, a neighbour that does not answer, or no route.
    Unreachable,
    /// The name does not resolve.
    Unresolved,
    /// A datagram was sent and nothing came back, not even an error.
    NoAnswer,
}

/// How long an attempt may take. ARP gives up after 3 s, so a neighbour that is not there is told from silence.
const PATIENCE: Duration = Duration::from_secs(5);
/// Resolving may take two servers and two attempts of 5 s each.
const RESOLVE_LIMIT: Limit = Limit(Duration::from_secs(60));

impl World {
    /// Tries to reach `target`, a name or an address, from a place.
    pub fn probe(
        &mut self,
        from: &Location,
        target: &str,
        attempt: Attempt,
    ) -> Result<ProbeOutcome, WorldError> {
        let result = Rc::new(RefCell::new(ProbeOutcome::Timeout));
        let (slot, name) = (result.clone(), target.to_owned());
        let mut job = self.start_task(from, "probe", move |sys| async move {
            let outcome = probe(&sys, &name, attempt).await;
            *slot.borrow_mut() = outcome;
        })?;
        self.finish(&mut job, RESOLVE_LIMIT)?;
        let outcome = *result.borrow();
        Ok(outcome)
    }

    /// The addresses a name has for a place; empty if it does not resolve.
    pub fn resolve(&mut self, from: &Location, name: &str) -> Result<Vec<IpAddr>, WorldError> {
        let result = Rc::new(RefCell::new(Vec::new()));
        let (slot, name) = (result.clone(), name.to_owned());
        let mut job = self.start_task(from, "probe", move |sys| async move {
            let found = resolver::resolve(&sys, &name, Want::Any).await;
            *slot.borrow_mut() = found.unwrap_or_default();
        })?;
        self.finish(&mut job, RESOLVE_LIMIT)?;
        let addresses = result.borrow().clone();
        Ok(addresses)
    }
}

async fn probe(sys: &Sys, target: &str, attempt: Attempt) -> ProbeOutcome {
    let Ok(addresses) = resolver::resolve(sys, target, Want::Any).await else {
        return ProbeOutcome::Unresolved;
    };
    let Some(address) = addresses.first().copied() else { return ProbeOutcome::Unresolved };
    let tried = sys.timeout(PATIENCE, async {
        match attempt {
            Attempt::Ping => ping(sys, address).await,
            Attempt::Tcp(port) => tcp(sys, SocketAddr::new(address, port)).await,
            Attempt::Udp(port) => udp(sys, SocketAddr::new(address, port)).await,
        }
    });
    match (tried.await, attempt) {
        (Some(Ok(seen)), _) => ProbeOutcome::Ok(seen),
        (Some(Err(Errno::ConnectionRefused)), _) => ProbeOutcome::Refused,
        (Some(Err(Errno::TimedOut)), _) => ProbeOutcome::Timeout,
        (Some(Err(Errno::ConnectionReset)), _) => ProbeOutcome::Refused,
        (Some(Err(_)), _) => ProbeOutcome::Unreachable,
        (None, Attempt::Udp(_)) => ProbeOutcome::NoAnswer,
        (None, Attempt::Ping | Attempt::Tcp(_)) => ProbeOutcome::Timeout,
    }
}

async fn ping(sys: &Sys, address: IpAddr) -> Result<Option<IpAddr>, Errno> {
    let (family, protocol) = match address {
        IpAddr::V4(_) => (Family::Ipv4, icmp::ICMP),
        IpAddr::V6(_) => (Family::Ipv6, icmp::ICMPV6),
    };
    let socket = sys.raw_socket(family, protocol)?;
    let id = (sys.random() & 0xffff) as u16;
    socket.send_to(&icmp::echo_request(address.is_ipv6(), id, 0, &[0; 56]), address, None)?;
    loop {
        let packet = socket.receive().await?;
        match icmp::parse(&packet.payload) {
            Some(Message::EchoReply { id: found, .. }) if found == id => return Ok(None),
            Some(Message::TimeExceeded(quoted) | Message::Unreachable { quoted, .. })
                if quoted.destination == Some(address) && quoted.payload[4..6] == id.to_be_bytes() =>
            {
                return Err(Errno::HostUnreachable);
            }
            _ => {}
        }
    }
}

async fn tcp(sys: &Sys, address: SocketAddr) -> Result<Option<IpAddr>, Errno> {
    let stream = sys.tcp_connect(address).await?;
    // A server that speaks HTTP says whom it sees; one that does not has accepted all the same.
    if stream.write_all(b"GET /cgi-bin/who HTTP/1.0\r\n\r\n").await.is_err() {
        return Ok(None);
    }
    let answer = sys.timeout(Duration::from_secs(1), stream.read_to_end(65_536)).await;
    Ok(answer.and_then(Result::ok).and_then(|text| seen(&text)))
}

async fn udp(sys: &Sys, address: SocketAddr) -> Result<Option<IpAddr>, Errno> {
    let socket = sys.udp_socket()?;
    socket.connect(address)?;
    socket.send(b"probe\n")?;
    let answer = socket.receive().await?;
    Ok(seen(&answer.payload))
}

/// The address behind `sees` in a server's answer.
fn seen(answer: &[u8]) -> Option<IpAddr> {
    let text = String::from_utf8_lossy(answer);
    let (_, rest) = text.rsplit_once(" sees ")?;
    rest.split_whitespace().next()?.parse().ok()
}
