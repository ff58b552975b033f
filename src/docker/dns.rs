//! The resolver every container on a user-defined network finds at 127.0.0.11 port 53, as a sans-I/O machine.
//!
//! One [`Resolver`] serves one container. A query goes in with an opaque [`Asker`]; out come [`Action`]s. A name of
//! the container's networks is answered here; everything else is forwarded, over the transport it came by, to at
//! most three outside servers one after the other, four seconds each. Where releases of Docker differ, a
//! [`ResolverPolicy`] says which way.
//!
//! ```text
//! query -> local answer?  yes -> Reply
//!          ndots rule?    yes -> Reply (no records)
//!          slot free?     no  -> wait (28) or silence (20.10)
//!          Forward to server 1 .. 3: reply accepted -> Reply
//!                                    failure, 4 s   -> next server; none left -> SERVFAIL (28),
//!                                                      the last reply or silence (20.10)
//! ```
//!
//! Limits: 1,024 forwarded queries at once, and as many waiting. Time is a [`Duration`] since the world began.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use domain::base::Ttl;
use domain::base::iana::{Class, Opcode, Rcode, Rtype};

use super::dns_message::{
    Answer, Oversize, Query, Relayed, ReplyHead, Transport, parse_name, relay, reverse_address,
};
use super::names::{ExternalServer, Family, Lookup, Names, NodataRule, Sandbox, ServerOrigin};

/// The address containers find the resolver at (libnetwork `resolverIPSandbox`); it answers on port 53 only.
pub const RESOLVER_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);

/// TTL of local answers (libnetwork `respTTL`).
pub const LOCAL_TTL: Ttl = Ttl::from_secs(600);

/// Outside servers used for one query (libnetwork `maxExtDNS`).
pub const MAX_SERVERS: usize = 3;

/// How long one server has (libnetwork `extIOTimeout`).
pub const SERVER_TIMEOUT: Duration = Duration::from_secs(4);

/// Queries forwarded at once by one resolver (libnetwork `maxConcurrent`).
pub const MAX_IN_FLIGHT: usize = 1024;

/// Queries that wait for a free slot; libnetwork sets no limit, a bound is needed here.
const MAX_WAITING: usize = 1024;

/// Whom a reply goes to: the resolver's socket and the other end. Handed back unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asker {
    /// The caller's name for the socket (UDP) or connection (TCP).
    pub socket: u64,
    /// The asking program's address.
    pub peer: SocketAddr,
}

/// A message that reached 127.0.0.11 port 53.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    /// Who sent it.
    pub asker: Asker,
    /// How it came.
    pub transport: Transport,
    /// The message, without TCP length bytes.
    pub bytes: &'a [u8],
}

/// One attempt at one outside server; never used twice by a resolver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExchangeId(pub u64);

/// The namespace a forwarded query leaves from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dial {
    /// The container's own.
    Container,
    /// The host's.
    Host,
}

/// What the caller must do. TCP messages are without their length bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send a message to the asker.
    Reply {
        /// Whom to.
        asker: Asker,
        /// By what transport, the one the query came by.
        transport: Transport,
        /// The message.
        bytes: Vec<u8>,
    },
    /// Send a query to an outside server and report its reply or failure under `exchange`.
    Forward {
        /// From which namespace.
        from: Dial,
        /// The server.
        server: SocketAddr,
        /// By what transport.
        transport: Transport,
        /// The message.
        bytes: Vec<u8>,
        /// The attempt.
        exchange: ExchangeId,
    },
    /// Give an attempt up: close its socket; whatever still comes is ignored.
    Abandon {
        /// The attempt.
        exchange: ExchangeId,
    },
}

/// Where releases of Docker differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResolverPolicy {
    /// Which replies send the query to the next server.
    pub retry: Retry,
    /// Which servers of the host's resolv.conf are dialled from the host's namespace.
    pub host_servers: HostServers,
    /// What a container without access to the outside may forward.
    pub internal: InternalForwarding,
    /// What the client gets when no server gave an acceptable reply.
    pub exhausted: Exhausted,
    /// What happens beyond [`MAX_IN_FLIGHT`].
    pub crowded: Crowded,
    /// How a large local answer is made to fit.
    pub oversize: Oversize,
    /// When a name without an address of the family asked is answered here.
    pub nodata: NodataRule,
}

/// Which replies send the query to the next server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Everything but success and an authoritative NXDOMAIN (20.10).
    AnyError,
    /// SERVFAIL and REFUSED (28).
    ServerFailure,
}

/// Which servers of the host's resolv.conf are dialled from the host's namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostServers {
    /// Loopback ones, such as 127.0.0.53 (20.10).
    Loopback,
    /// All (28).
    All,
}

/// What a container that is only on internal networks may forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InternalForwarding {
    /// Everything; what leaves from the container's namespace is lost there (20.10).
    Everything,
    /// Only to servers dialled from the container's namespace (28).
    ContainerOnly,
}

/// What the client gets when no server gave an acceptable reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exhausted {
    /// What the last server that was dialled said, or nothing at all if it said nothing (20.10).
    LastReply,
    /// SERVFAIL (28).
    ServerFailure,
}

/// What happens to a query beyond [`MAX_IN_FLIGHT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crowded {
    /// It is not forwarded, so nothing is answered (20.10).
    Skip,
    /// It waits four seconds for a slot and is then REFUSED (28).
    Wait,
}

/// One container's resolver.
#[derive(Debug)]
pub struct Resolver {
    policy: ResolverPolicy,
    /// Once a query was for outside: there are as many resolvers as containers.
    forwarding: Option<Box<Forwarding>>,
}

/// What is asked outside.
#[derive(Debug, Default)]
struct Forwarding {
    last_exchange: u64,
    exchanges: BTreeMap<ExchangeId, Pending>,
    timers: BTreeSet<(Duration, ExchangeId)>,
    waiting: VecDeque<(Duration, Pending)>,
}

#[derive(Debug)]
struct Pending {
    asker: Asker,
    transport: Transport,
    bytes: Vec<u8>,
    query: Query,
    servers: VecDeque<(SocketAddr, Dial)>,
    deadline: Duration,
    /// The server was reached as far as its protocol tells.
    dialled: bool,
    last_reply: Option<Vec<u8>>,
}

impl ResolverPolicy {
    /// The rules of 20.10.
    pub const fn docker_20_10() -> Self {
        Self {
            retry: Retry::AnyError,
            host_servers: HostServers::Loopback,
            internal: InternalForwarding::Everything,
            exhausted: Exhausted::LastReply,
            crowded: Crowded::Skip,
            oversize: Oversize::Cut,
            nodata: NodataRule::NetworkWithoutIpv6,
        }
    }

    /// The rules of 28.
    pub const fn docker_28() -> Self {
        Self {
            retry: Retry::ServerFailure,
            host_servers: HostServers::All,
            internal: InternalForwarding::ContainerOnly,
            exhausted: Exhausted::ServerFailure,
            crowded: Crowded::Wait,
            oversize: Oversize::CompressThenCut,
            nodata: NodataRule::EitherFamily,
        }
    }

    fn dial(&self, server: &ExternalServer) -> Dial {
        match (server.origin, self.host_servers) {
            (ServerOrigin::Option, _) => Dial::Container,
            (ServerOrigin::Host, HostServers::All) => Dial::Host,
            (ServerOrigin::Host, HostServers::Loopback) if server.address.ip().is_loopback() => Dial::Host,
            (ServerOrigin::Host, HostServers::Loopback) => Dial::Container,
        }
    }

    fn servers(&self, sandbox: &Sandbox) -> VecDeque<(SocketAddr, Dial)> {
        let usable = |dial| match (self.internal, dial) {
            (InternalForwarding::ContainerOnly, Dial::Host) => sandbox.external_access,
            (InternalForwarding::ContainerOnly, Dial::Container) | (InternalForwarding::Everything, _) => {
                true
            }
        };
        sandbox
            .servers
            .iter()
            .filter(|server| server.address.ip() != IpAddr::V4(RESOLVER_ADDRESS))
            .take(MAX_SERVERS)
            .map(|server| (server.address, self.dial(server)))
            .filter(|&(_, dial)| usable(dial))
            .collect()
    }

    fn accepts(&self, reply: &Relayed) -> bool {
        match (self.retry, reply.rcode) {
            (_, Rcode::NOERROR) => true,
            (_, Rcode::SERVFAIL | Rcode::REFUSED) => false,
            (Retry::AnyError, Rcode::NXDOMAIN) => reply.authoritative,
            (Retry::AnyError, _) => false,
            (Retry::ServerFailure, _) => true,
        }
    }
}

impl Resolver {
    /// An idle resolver.
    pub fn new(policy: ResolverPolicy) -> Self {
        Self { policy, forwarding: None }
    }

    /// Takes a query. `random(n)` gives a number below `n` and shuffles an answer of several addresses; always
    /// answering `n - 1` keeps the order of registration. What is no query is dropped.
    pub fn query(
        &mut self,
        now: Duration,
        incoming: Incoming<'_>,
        names: &Names,
        sandbox: &Sandbox,
        random: &mut dyn FnMut(u32) -> u32,
    ) -> Vec<Action> {
        let Incoming { asker, transport, bytes } = incoming;
        let Ok(query) = Query::parse(bytes) else { return Vec::new() };
        let reply = |rcode, recursion_available, answers: &[Answer]| {
            let head = ReplyHead { rcode, recursion_available };
            query.reply(head, answers, LOCAL_TTL, query.reply_limit(transport), self.policy.oversize)
        };
        let local = if query.header.opcode() != Opcode::QUERY {
            reply(Rcode::NOTIMP, false, &[])
        } else if let Some(mut answers) = self.answer(&query, names, sandbox) {
            shuffle(&mut answers, random);
            reply(Rcode::NOERROR, true, &answers)
        } else if kept_inside(&query, sandbox) {
            reply(Rcode::NOERROR, true, &[])
        } else {
            let servers = self.policy.servers(sandbox);
            let bytes = bytes.to_vec();
            let deadline = now + SERVER_TIMEOUT;
            let pending = Pending {
                asker,
                transport,
                bytes,
                query,
                servers,
                deadline,
                dialled: false,
                last_reply: None,
            };
            return self.forward(now, pending);
        };
        local.map(|bytes| Action::Reply { asker, transport, bytes }).into_iter().collect()
    }

    /// Takes an outside server's message. One that does not answer the exchange is ignored, as it may be late;
    /// one that cannot be read counts as a failure.
    pub fn upstream_reply(
        &mut self,
        now: Duration,
        exchange: ExchangeId,
        bytes: &[u8],
        names: &mut Names,
        sandbox: &Sandbox,
    ) -> Vec<Action> {
        let Some(pending) = self.forwarding.as_mut().and_then(|outside| outside.exchanges.get_mut(&exchange))
        else {
            return Vec::new();
        };
        if bytes.get(..2) != Some(&pending.query.header.id().to_be_bytes()) {
            return Vec::new();
        }
        let Some(reply) = relay(bytes) else { return self.upstream_error(now, exchange) };
        if !self.policy.accepts(&reply) {
            pending.last_reply = Some(reply.bytes);
            return self.give_up(now, exchange);
        }
        for (owner, address) in &reply.addresses {
            names.learn_external(sandbox, owner, *address);
        }
        let mut actions = vec![Action::Abandon { exchange }];
        if let Some(pending) = self.remove(exchange) {
            let Pending { asker, transport, .. } = pending;
            actions.push(Action::Reply { asker, transport, bytes: reply.bytes });
        }
        self.start_waiting(now, &mut actions);
        actions
    }

    /// Takes the news that a server cannot be reached or closed the connection: on to the next one.
    pub fn upstream_error(&mut self, now: Duration, exchange: ExchangeId) -> Vec<Action> {
        if let Some(outside) = &mut self.forwarding
            && let Some(pending) = outside.exchanges.get_mut(&exchange)
            && pending.dialled
        {
            // What could not be read takes the place of what an earlier server said.
            pending.last_reply = None;
        }
        self.give_up(now, exchange)
    }

    /// Leaves a server for the next one.
    fn give_up(&mut self, now: Duration, exchange: ExchangeId) -> Vec<Action> {
        let Some(pending) = self.remove(exchange) else { return Vec::new() };
        let mut actions = vec![Action::Abandon { exchange }];
        self.next_server(now, pending, &mut actions);
        self.start_waiting(now, &mut actions);
        actions
    }

    /// Takes the news that a TCP connection stands: the server has its four seconds from now on.
    pub fn upstream_connected(&mut self, now: Duration, exchange: ExchangeId) {
        if let Some(outside) = &mut self.forwarding
            && let Some(pending) = outside.exchanges.get_mut(&exchange)
        {
            outside.timers.remove(&(pending.deadline, exchange));
            pending.deadline = now + SERVER_TIMEOUT;
            pending.dialled = true;
            outside.timers.insert((pending.deadline, exchange));
        }
    }

    /// When [`Resolver::advance`] must be called next.
    pub fn deadline(&self) -> Option<Duration> {
        let outside = self.forwarding.as_ref()?;
        let waiting = outside.waiting.front().map(|(deadline, _)| *deadline);
        let exchange = outside.timers.first().map(|(deadline, _)| *deadline);
        waiting.into_iter().chain(exchange).min()
    }

    /// Runs every timer that is due at `now`.
    pub fn advance(&mut self, now: Duration) -> Vec<Action> {
        let mut actions = Vec::new();
        while let Some(&(deadline, exchange)) =
            self.forwarding.as_ref().and_then(|outside| outside.timers.first())
            && deadline <= now
        {
            actions.extend(self.upstream_error(now, exchange));
        }
        let waiting = self.forwarding.iter_mut().flat_map(|outside| {
            std::iter::from_fn(|| outside.waiting.pop_front_if(|(deadline, _)| *deadline <= now))
        });
        waiting.for_each(|(_, pending)| refuse(&pending, Rcode::REFUSED, &mut actions));
        actions
    }

    /// The local answer; None when the query is for outside.
    fn answer(&self, query: &Query, names: &Names, sandbox: &Sandbox) -> Option<Vec<Answer>> {
        if query.question.qclass() != Class::IN {
            return None;
        }
        let name = query.name()?;
        let lookup = |family| sandbox.resolve(names, &name, family, self.policy.nodata);
        let family = match query.question.qtype() {
            Rtype::A => Family::Ipv4,
            Rtype::AAAA => Family::Ipv6,
            Rtype::MX => {
                let known =
                    [Family::Ipv4, Family::Ipv6].iter().any(|family| lookup(*family) != Lookup::Unknown);
                return known.then(Vec::new);
            }
            Rtype::PTR => {
                let target = sandbox.resolve_address(names, reverse_address(&name)?)?;
                return Some(vec![Answer::Pointer(parse_name(&target)?)]);
            }
            _ => return None,
        };
        match lookup(family) {
            Lookup::Found(addresses) => Some(addresses.into_iter().map(Answer::Address).collect()),
            Lookup::NoData => Some(Vec::new()),
            Lookup::Unknown => None,
        }
    }

    fn forward(&mut self, now: Duration, mut pending: Pending) -> Vec<Action> {
        let mut actions = Vec::new();
        let outside = self.forwarding.get_or_insert_default();
        if outside.exchanges.len() < MAX_IN_FLIGHT || pending.servers.is_empty() {
            self.next_server(now, pending, &mut actions);
            return actions;
        }
        match self.policy.crowded {
            Crowded::Skip => {}
            Crowded::Wait if outside.waiting.len() < MAX_WAITING => {
                pending.deadline = now + SERVER_TIMEOUT;
                outside.waiting.push_back((pending.deadline, pending));
            }
            Crowded::Wait => refuse(&pending, Rcode::REFUSED, &mut actions),
        }
        actions
    }

    fn next_server(&mut self, now: Duration, mut pending: Pending, actions: &mut Vec<Action>) {
        let Some((server, from)) = pending.servers.pop_front() else {
            return match self.policy.exhausted {
                Exhausted::ServerFailure => refuse(&pending, Rcode::SERVFAIL, actions),
                Exhausted::LastReply => {
                    let Pending { asker, transport, last_reply, .. } = pending;
                    actions.extend(last_reply.map(|bytes| Action::Reply { asker, transport, bytes }));
                }
            };
        };
        let outside = self.forwarding.get_or_insert_default();
        outside.last_exchange += 1;
        let exchange = ExchangeId(outside.last_exchange);
        pending.deadline = now + SERVER_TIMEOUT;
        pending.dialled = pending.transport == Transport::Udp;
        let (transport, bytes) = (pending.transport, pending.bytes.clone());
        outside.timers.insert((pending.deadline, exchange));
        outside.exchanges.insert(exchange, pending);
        actions.push(Action::Forward { from, server, transport, bytes, exchange });
    }

    fn start_waiting(&mut self, now: Duration, actions: &mut Vec<Action>) {
        while let Some(outside) = &mut self.forwarding
            && outside.exchanges.len() < MAX_IN_FLIGHT
            && let Some((_, pending)) = outside.waiting.pop_front()
        {
            self.next_server(now, pending, actions);
        }
    }

    fn remove(&mut self, exchange: ExchangeId) -> Option<Pending> {
        let outside = self.forwarding.as_mut()?;
        let pending = outside.exchanges.remove(&exchange)?;
        outside.timers.remove(&(pending.deadline, exchange));
        Some(pending)
    }
}

/// Whether an unknown single-label host name is answered empty, for the client to go on with its search list.
fn kept_inside(query: &Query, sandbox: &Sandbox) -> bool {
    let host = matches!(query.question.qtype(), Rtype::A | Rtype::AAAA);
    let labels = query.question.qname().iter().filter(|label| !label.is_root()).count();
    host && sandbox.ndots_set && labels <= 1
}

/// Fisher-Yates from the back.
fn shuffle(answers: &mut [Answer], random: &mut dyn FnMut(u32) -> u32) {
    for last in (1..answers.len()).rev() {
        let bound = u32::try_from(last + 1).unwrap_or(u32::MAX);
        let other = usize::try_from(random(bound)).unwrap_or(last).min(last);
        answers.swap(last, other);
    }
}

fn refuse(pending: &Pending, rcode: Rcode, actions: &mut Vec<Action>) {
    let head = ReplyHead { rcode, recursion_available: false };
    let limit = pending.query.reply_limit(pending.transport);
    let bytes = pending.query.reply(head, &[], LOCAL_TTL, limit, Oversize::Cut);
    let Pending { asker, transport, .. } = *pending;
    actions.extend(bytes.map(|bytes| Action::Reply { asker, transport, bytes }));
}

#[cfg(test)]
#[path = "dns_tests.rs"]
mod tests;
