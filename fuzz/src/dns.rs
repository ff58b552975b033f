//! The embedded name server: any query, any server's reply, in any order. Whoever asked is answered at most once, with the
//! query's own id, within what the transport carries; what is asked outside is bounded and ends in time.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use linkspan::docker::dns::{Action, Asker, ExchangeId, Incoming, MAX_IN_FLIGHT, Resolver, ResolverPolicy};
use linkspan::docker::dns_message::{Query, TcpMessages, Transport, frame, relay};
use linkspan::docker::names::{ExternalServer, Names, NetworkKey, Sandbox, SandboxEndpoint, ServerOrigin};
use linkspan::engine::plan::Owner;

use super::input::Input;

struct Stage {
    resolver: Resolver,
    names: Names,
    sandbox: Sandbox,
    now: Duration,
    /// What is asked outside, with the query that is sent there.
    open: BTreeMap<ExchangeId, Vec<u8>>,
    /// The queries by their asker.
    asked: BTreeMap<u64, Vec<u8>>,
}

/// Messages, each led by a byte that says what it is.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let policy = if input.flag() { ResolverPolicy::docker_28() } else { ResolverPolicy::docker_20_10() };
    let mut stage = Stage::new(policy, input.flag());
    while !input.is_empty() {
        let kind = input.byte();
        let message = input.chunk(250);
        match kind % 6 {
            0 | 1 => stage.query(message, if kind & 0x80 == 0 { Transport::Udp } else { Transport::Tcp }),
            2 => stage.reply(message, false),
            3 => stage.reply(message, true),
            4 => stage.wait(Duration::from_millis(u64::from(kind) * 20)),
            _ => segments(message, kind),
        }
        assert!(stage.open.len() <= MAX_IN_FLIGHT);
    }
    stage.wait(Duration::from_secs(60));
    assert!(stage.open.is_empty(), "asked for ever: {:?}", stage.open.keys());
    assert_eq!(stage.resolver.deadline(), None);
}

impl Stage {
    fn new(policy: ResolverPolicy, external_access: bool) -> Stage {
        let mut names = Names::default();
        let app = NetworkKey("app".into());
        names.add_network(app.clone(), "app", false);
        let addresses: Vec<IpAddr> = (0..40).map(|last| [172, 18, 0, 2 + last].into()).collect();
        for (number, name, addresses) in
            [(1, "web", &addresses[..1]), (2, "many", &addresses[..]), (3, "a-b.c", &addresses[..2])]
        {
            names.add_endpoint(&app, Owner::Endpoint(number), &[name.to_owned()], addresses);
        }
        let server =
            |text: &str| ExternalServer { address: text.parse().unwrap(), origin: ServerOrigin::Host };
        let sandbox = Sandbox {
            endpoints: vec![SandboxEndpoint { network: app, link_aliases: BTreeMap::new() }],
            servers: vec![server("203.0.113.53:53"), server("127.0.0.53:53")],
            ndots_set: false,
            external_access,
        };
        let (resolver, now) = (Resolver::new(policy), Duration::ZERO);
        Stage { resolver, names, sandbox, now, open: BTreeMap::new(), asked: BTreeMap::new() }
    }

    fn query(&mut self, bytes: &[u8], transport: Transport) {
        let socket = self.asked.len() as u64;
        self.asked.insert(socket, bytes.to_vec());
        let asker = Asker { socket, peer: "127.0.0.1:4000".parse().unwrap() };
        let incoming = Incoming { asker, transport, bytes };
        let actions =
            self.resolver.query(self.now, incoming, &self.names, &self.sandbox, &mut |bound| bound - 1);
        assert!(Query::parse(bytes).is_ok() || actions.is_empty(), "an answer to what is no query");
        self.perform(actions);
    }

    /// A server's message for the oldest exchange; with the right id and a reply's flags if `mend` says so.
    fn reply(&mut self, bytes: &[u8], mend: bool) {
        let Some((exchange, query)) = self.open.first_key_value() else { return };
        let (exchange, mut message) = (*exchange, bytes.to_vec());
        if mend && message.len() >= 12 {
            message[..2].copy_from_slice(&query[..2]);
            message[2] |= 0x80;
        }
        let actions =
            self.resolver.upstream_reply(self.now, exchange, &message, &mut self.names, &self.sandbox);
        self.perform(actions);
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.resolver.deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            let actions = self.resolver.advance(self.now);
            assert!(self.resolver.deadline().is_none_or(|next| next > self.now), "a timer fires for ever");
            self.perform(actions);
        }
        self.now = end;
    }

    fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Reply { asker, transport, bytes } => {
                    let query = self.asked.remove(&asker.socket).expect("answered twice");
                    self.asked.insert(u64::MAX - asker.socket, Vec::new());
                    assert_eq!(bytes.get(..2), query.get(..2), "another id");
                    assert!(bytes[2] & 0x80 != 0, "no response: {bytes:02x?}");
                    assert!(bytes.len() <= 65_535);
                    // What a server sent is cut by nobody, what is made here is made to fit.
                    let query = Query::parse(&query).expect("only queries are answered");
                    let limit = query.reply_limit(transport);
                    let local = query.name().is_some_and(|name| name.starts_with("many"));
                    assert!(
                        !local || bytes.len() <= limit.max(query_length(&bytes)),
                        "{} of {limit}",
                        bytes.len()
                    );
                    assert!(relay(&bytes).is_some(), "a reply that cannot be read: {bytes:02x?}");
                }
                Action::Forward { bytes, exchange, .. } => {
                    assert!(Query::parse(&bytes).is_ok());
                    assert!(self.open.insert(exchange, bytes).is_none(), "an exchange is used twice");
                }
                Action::Abandon { exchange } => {
                    assert!(self.open.remove(&exchange).is_some(), "given up twice");
                }
            }
        }
    }
}

/// Header and question, which a reply repeats whatever its limit.
fn query_length(reply: &[u8]) -> usize {
    let mut at = 12;
    while let Some(length) = reply.get(at).filter(|length| **length != 0) {
        at += usize::from(*length) + 1;
    }
    at + 5
}

/// Messages over TCP arrive as they were sent, however the stream is cut.
fn segments(bytes: &[u8], cut: u8) {
    let framed = frame(bytes).expect("it is short");
    let stream = [framed.clone(), framed].concat();
    let mut messages = TcpMessages::default();
    let mut found = Vec::new();
    for piece in stream.chunks(usize::from(cut / 6) + 1) {
        messages.push(piece);
        while let Some(message) = messages.next() {
            found.push(message);
        }
    }
    assert_eq!(found, [bytes, bytes]);
}
