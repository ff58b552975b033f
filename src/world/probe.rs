//! Probes: one attempt to reach something, made with real packets from inside a namespace, and what came of it.
//!
//! A probe is a program: it resolves the name with the stub resolver every program uses, then pings, connects or
//! sends a datagram. The source address the server saw is what the server's own answer says (`HOSTNAME sees CLIENT`,
//! the answer of `listen` to everything and of `httpd` to `/cgi-bin/who`).

use std::cell::RefCell;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use domain::base::iana::Rtype;

use super::job::Job;
use super::process::Place;
use super::{Limit, Location, World, WorldError};
use crate::engine::sys::{Errno, Family, Sys};
use crate::programs::dns;
use crate::programs::icmp::{self, Message};
use crate::programs::resolver::{self, Want};

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attempt {
    /// An echo request.
    Ping,
    /// A TCP connection to a port.
    Tcp(u16),
    /// A datagram to a port.
    Udp(u16),
}

impl std::fmt::Display for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Attempt::Ping => f.write_str("ping"),
            Attempt::Tcp(port) => write!(f, "{port}/tcp"),
            Attempt::Udp(port) => write!(f, "{port}/udp"),
        }
    }
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

impl fmt::Display for ProbeOutcome {
    /// Writes the words of checks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProbeOutcome::Ok(Some(source)) => return write!(f, "ok from {source}"),
            ProbeOutcome::Ok(None) => "ok",
            ProbeOutcome::Refused => "refused",
            ProbeOutcome::Timeout => "timeout",
            ProbeOutcome::Unreachable => "unreachable",
            ProbeOutcome::Unresolved => "unresolved",
            ProbeOutcome::NoAnswer => "no-answer",
        })
    }
}

/// An outcome, and what a person at the prompt would have seen besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeReport {
    /// How it ended.
    pub outcome: ProbeOutcome,
    /// What the outcome alone does not tell.
    pub detail: Detail,
}

/// What an outcome alone does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Nothing more to say.
    Plain,
    /// The server took the connection and closed it without a word, as a proxy does whose own connection fails.
    Closed,
    /// The server took the connection and said nothing.
    Silent,
    /// The namespace the probe left from has no route to the address.
    NoRoute,
    /// A router said that it has no route to the address.
    NoRouteBeyond,
    /// No name server answered for so long that a person would have given up.
    NameTimeout,
}

/// How the attempts at one target are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    /// Before the first.
    pub launch: Duration,
    /// Whether each resolves the name for itself.
    pub resolves_again: bool,
    /// Whether an ICMP error does not end the wait for an echo: `ping` does not look at those.
    pub waits_for_echoes: bool,
    /// How long an echo, or the answer to a datagram, is waited for.
    pub ping: Duration,
    /// How long a connection is waited for; with its name, if it resolves that.
    pub tcp: Duration,
}

impl Manner {
    /// As long as it takes to tell what went wrong.
    pub const PATIENT: Manner = Manner {
        launch: Duration::ZERO,
        resolves_again: false,
        waits_for_echoes: false,
        ping: PATIENCE,
        tcp: PATIENCE,
    };
    /// As the recordings of a real engine: `docker exec`, then `ping -W1` and `timeout 2 wget`.
    pub const RECORDER: Manner = Manner {
        launch: Duration::from_millis(200),
        resolves_again: true,
        waits_for_echoes: true,
        ping: Duration::from_secs(1),
        tcp: Duration::from_secs(2),
    };
}

/// A place that probes leave from, looked up once.
#[derive(Clone)]
pub struct ProbeOrigin(Rc<Place>);

/// The numbers of probes that have ended since the last look, in the order in which they did.
#[derive(Clone, Default)]
pub struct EndedProbes(Rc<RefCell<Vec<u64>>>);

impl EndedProbes {
    /// Those since the last call.
    pub fn take(&self) -> Vec<u64> {
        self.0.take()
    }
}

/// Attempts at one target that are under way.
pub struct PendingProbe {
    job: Job,
    reports: Rc<RefCell<Vec<ProbeReport>>>,
    attempts: usize,
}

impl PendingProbe {
    /// One report for each attempt, in order, once the last has ended.
    pub fn reports(&self) -> Option<Vec<ProbeReport>> {
        let reports = self.reports.borrow();
        (reports.len() == self.attempts).then(|| reports.clone())
    }
}

/// How long an attempt may take. ARP gives up after 3 s, so a neighbour that is not there is told from silence.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a person waits for a name: the recordings of a real engine give `wget` so long.
const NAME_PATIENCE: Duration = Duration::from_secs(2);
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
        Ok(self.probe_sized(from, target, attempt, None)?.outcome)
    }

    /// As [`World::probe`], with so many bytes of payload in the echo request, the datagram or the TCP stream.
    pub fn probe_sized(
        &mut self,
        from: &Location,
        target: &str,
        attempt: Attempt,
        size: Option<usize>,
    ) -> Result<ProbeReport, WorldError> {
        let origin = self.probe_origin(from)?;
        let mut probe = self.start_attempts(&origin, target, &[attempt], size, Manner::PATIENT, None);
        self.finish(&mut probe.job, RESOLVE_LIMIT)?;
        let report = probe.reports().and_then(|reports| reports.first().copied());
        Ok(report.unwrap_or(plain(ProbeOutcome::Timeout)))
    }

    /// Looks up a place for many probes.
    pub fn probe_origin(&self, from: &Location) -> Result<ProbeOrigin, WorldError> {
        Ok(ProbeOrigin(self.locate(from)?))
    }

    /// Starts attempts at one target, one after the other. They go on while the world does; when the last has ended,
    /// `ended` has the number.
    pub fn start_probe(
        &mut self,
        from: &ProbeOrigin,
        target: &str,
        attempts: &[Attempt],
        manner: Manner,
        number: u64,
        ended: &EndedProbes,
    ) -> PendingProbe {
        self.start_attempts(from, target, attempts, None, manner, Some((number, ended.clone())))
    }

    fn start_attempts(
        &mut self,
        from: &ProbeOrigin,
        target: &str,
        attempts: &[Attempt],
        size: Option<usize>,
        manner: Manner,
        ended: Option<(u64, EndedProbes)>,
    ) -> PendingProbe {
        let reports: Rc<RefCell<Vec<ProbeReport>>> = Rc::default();
        let (slot, name, list) = (reports.clone(), target.to_owned(), attempts.to_vec());
        let job = self.start_task_at(&from.0, "probe", move |sys| async move {
            if !manner.launch.is_zero() {
                sys.sleep(manner.launch).await;
            }
            let mut found = None;
            for attempt in list {
                let limit = match attempt {
                    Attempt::Ping | Attempt::Udp(_) => manner.ping,
                    Attempt::Tcp(_) => manner.tcp,
                };
                let began = sys.now();
                let (address, late) = match found {
                    Some(found) if !manner.resolves_again => found,
                    // What not every probe does is on the heap while it is done: thousands are under way at a time.
                    _ => *found.insert(Box::pin(address_of(&sys, &name)).await),
                };
                let spent = sys.now().saturating_sub(began);
                let left = match attempt {
                    Attempt::Tcp(_) if manner.resolves_again => limit.saturating_sub(spent),
                    _ => limit,
                };
                let report = match address {
                    Some(address) => {
                        let sent = sys.now();
                        let report = probe(&sys, address, attempt, size, left).await;
                        let told =
                            report.outcome == ProbeOutcome::Unreachable && report.detail == Detail::Plain;
                        if told && attempt == Attempt::Ping && manner.waits_for_echoes {
                            sys.sleep(left.saturating_sub(sys.now().saturating_sub(sent))).await;
                        }
                        report
                    }
                    None => {
                        let detail = if late { Detail::NameTimeout } else { Detail::Plain };
                        ProbeReport { outcome: ProbeOutcome::Unresolved, detail }
                    }
                };
                slot.borrow_mut().push(report);
            }
            if let Some((number, EndedProbes(list))) = ended {
                list.borrow_mut().push(number);
            }
        });
        PendingProbe { job, reports, attempts: attempts.len() }
    }

    /// Ends attempts that are under way.
    pub fn stop_probe(&mut self, probe: &PendingProbe) {
        self.stop(&probe.job);
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

/// The first address of a name, and whether a person would have given up before.
async fn address_of(sys: &Sys, name: &str) -> (Option<IpAddr>, bool) {
    if let Ok(address) = name.parse() {
        return (Some(address), false);
    }
    let began = sys.now();
    let found = resolver::resolve(sys, name, Want::Any).await;
    let address = found.ok().and_then(|addresses| addresses.first().copied());
    (address, sys.now().saturating_sub(began) > NAME_PATIENCE)
}

async fn probe(
    sys: &Sys,
    address: IpAddr,
    attempt: Attempt,
    size: Option<usize>,
    patience: Duration,
) -> ProbeReport {
    let tried = sys.timeout(patience, async {
        match attempt {
            Attempt::Ping => ping(sys, address, size).await,
            Attempt::Tcp(port) => Box::pin(tcp(sys, SocketAddr::new(address, port), size)).await,
            Attempt::Udp(port) => Box::pin(udp(sys, SocketAddr::new(address, port), size)).await,
        }
    });
    match (tried.await, attempt) {
        (Some(Ok((seen, detail))), _) => ProbeReport { outcome: ProbeOutcome::Ok(seen), detail },
        (Some(Err(Errno::ConnectionRefused | Errno::ConnectionReset)), _) => plain(ProbeOutcome::Refused),
        (Some(Err(Errno::TimedOut)), _) => plain(ProbeOutcome::Timeout),
        // A router's answer has the same error code.
        (Some(Err(Errno::NetworkUnreachable)), _) if sys.route_to(address).is_err() => {
            ProbeReport { outcome: ProbeOutcome::Unreachable, detail: Detail::NoRoute }
        }
        (Some(Err(Errno::NetworkUnreachable)), Attempt::Tcp(_)) => {
            ProbeReport { outcome: ProbeOutcome::Unreachable, detail: Detail::NoRouteBeyond }
        }
        (Some(Err(_)), _) => plain(ProbeOutcome::Unreachable),
        (None, Attempt::Udp(_)) => plain(ProbeOutcome::NoAnswer),
        (None, Attempt::Ping | Attempt::Tcp(_)) => plain(ProbeOutcome::Timeout),
    }
}

fn plain(outcome: ProbeOutcome) -> ProbeReport {
    ProbeReport { outcome, detail: Detail::Plain }
}

/// The address the server saw, if it said so, and how it behaved.
type Answer = (Option<IpAddr>, Detail);

async fn ping(sys: &Sys, address: IpAddr, size: Option<usize>) -> Result<Answer, Errno> {
    let family = match address {
        IpAddr::V4(_) => Family::Ipv4,
        IpAddr::V6(_) => Family::Ipv6,
    };
    // As much as `ping` sends.
    let payload = vec![0; size.unwrap_or(56)];
    let socket = sys.ping_socket(family)?;
    let id = (sys.random() & 0xffff) as u16;
    socket.send_to(&icmp::echo_request(address.is_ipv6(), id, 0, &payload), address, None)?;
    loop {
        let packet = socket.receive().await?;
        match icmp::parse(&packet.payload) {
            Some(Message::EchoReply { id: found, .. }) if found == id => return Ok((None, Detail::Plain)),
            Some(Message::TimeExceeded(quoted) | Message::Unreachable { quoted, .. })
                if quoted.destination == Some(address) && quoted.payload[4..6] == id.to_be_bytes() =>
            {
                return Err(Errno::HostUnreachable);
            }
            _ => {}
        }
    }
}

async fn tcp(sys: &Sys, address: SocketAddr, size: Option<usize>) -> Result<Answer, Errno> {
    let stream = sys.tcp_connect(address).await?;
    // A server that speaks HTTP says whom it sees; one that does not has accepted all the same.
    if stream.write_all(&request(size)).await.is_err() {
        return Ok((None, Detail::Closed));
    }
    let answer = sys.timeout(Duration::from_secs(1), stream.read_to_end(65_536)).await;
    if size.is_some() && answer.is_none() {
        // What was asked is whether so much arrives, not whether the connection opens.
        return Err(Errno::TimedOut);
    }
    Ok(match answer {
        Some(Ok(text)) if !text.is_empty() => (seen(&text), Detail::Plain),
        Some(Ok(_) | Err(_)) => (None, Detail::Closed),
        None => (None, Detail::Silent),
    })
}

async fn udp(sys: &Sys, address: SocketAddr, size: Option<usize>) -> Result<Answer, Errno> {
    let socket = sys.udp_socket()?;
    socket.connect(address)?;
    // A name server answers nothing but queries; RFC 6761 keeps this name free.
    let query =
        (address.port() == resolver::DNS_PORT).then(|| dns::question(0, "probe.invalid", Rtype::A, None));
    let mut payload = query.flatten().unwrap_or_else(|| b"probe\n".to_vec());
    if let Some(size) = size {
        payload.resize(size, b'.');
    }
    socket.send(&payload)?;
    let answer = socket.receive().await?;
    Ok((seen(&answer.payload), Detail::Plain))
}

/// A request to a web server, made longer by a header that says nothing.
fn request(size: Option<usize>) -> Vec<u8> {
    const LINE: &[u8] = b"GET /cgi-bin/who HTTP/1.0\r\n";
    const HEADER: &[u8] = b"X-Padding: ";
    const END: &[u8] = b"\r\n";
    let mut text = LINE.to_vec();
    if let Some(padding) = size.map(|size| size.saturating_sub(LINE.len() + HEADER.len() + 2 * END.len())) {
        text.extend_from_slice(HEADER);
        text.resize(text.len() + padding, b'.');
        text.extend_from_slice(END);
    }
    text.extend_from_slice(END);
    text
}

/// The address behind `sees` in a server's answer. One of an IPv6 socket may stand in brackets, and name an IPv4 client.
fn seen(answer: &[u8]) -> Option<IpAddr> {
    let text = String::from_utf8_lossy(answer);
    let (_, rest) = text.rsplit_once(" sees ")?;
    let address: IpAddr = rest.split_whitespace().next()?.trim_matches(['[', ']']).parse().ok()?;
    Some(address.to_canonical())
}
