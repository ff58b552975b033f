//! The facts observed of the real resolver, one by one, with the outside server of the same stage upstream.

use domain::base::{Message, MessageBuilder, ParsedName};
use domain::rdata::AllRecordData;
use proptest::prelude::*;

use super::super::dns_message::question;
use super::super::names::{NetworkKey, SandboxEndpoint};
use super::*;
use crate::engine::plan::Owner;
use crate::world::authority::AuthorityZone;

const OLD: ResolverPolicy = ResolverPolicy::docker_20_10();
const NEW: ResolverPolicy = ResolverPolicy::docker_28();
const SECOND: Duration = Duration::from_secs(1);

struct Stage {
    names: Names,
    sandbox: Sandbox,
    resolver: Resolver,
}

fn asker() -> Asker {
    Asker { socket: 1, peer: "127.0.0.1:40000".parse().unwrap() }
}

fn server(text: &str, origin: ServerOrigin) -> ExternalServer {
    ExternalServer { address: format!("{text}:53").parse().unwrap(), origin }
}

fn stage(policy: ResolverPolicy) -> Stage {
    let mut names = Names::default();
    let app = NetworkKey("app".into());
    let other = NetworkKey("other".into());
    names.add_network(app.clone(), "app", false);
    names.add_network(other.clone(), "other", false);
    let hosts = [
        (&app, "c1", 2, "c1"),
        (&app, "web1", 3, "web"),
        (&app, "web2", 4, "web"),
        (&other, "far", 2, "far"),
    ];
    for (network, name, last, alias) in hosts {
        let second = if *network == app { [172, 31, 0, last] } else { [10, 77, 0, last] };
        let list = [name.to_owned(), alias.to_owned()];
        assert!(names.add_endpoint(
            network,
            Owner::Endpoint(u32::from_be_bytes(second)),
            &list,
            &[IpAddr::from(second)]
        ));
    }
    let sandbox = Sandbox {
        endpoints: vec![SandboxEndpoint { network: app, link_aliases: BTreeMap::new() }],
        servers: vec![server("203.0.113.53", ServerOrigin::Host)],
        ndots_set: false,
        external_access: true,
    };
    Stage { names, sandbox, resolver: Resolver::new(policy) }
}

impl Stage {
    fn send(&mut self, now: Duration, transport: Transport, bytes: &[u8]) -> Vec<Action> {
        let keep_order = &mut |bound| bound - 1;
        let incoming = Incoming { asker: asker(), transport, bytes };
        self.resolver.query(now, incoming, &self.names, &self.sandbox, keep_order)
    }

    fn start(&mut self, name: &str, kind: Rtype) -> Vec<Action> {
        self.send(Duration::ZERO, Transport::Udp, &question(9, name, kind).unwrap())
    }

    fn upstream(&mut self, exchange: ExchangeId, bytes: &[u8]) -> Vec<Action> {
        self.resolver.upstream_reply(Duration::ZERO, exchange, bytes, &mut self.names, &self.sandbox)
    }

    /// Asks and lets the outside server answer whatever is forwarded.
    fn ask(&mut self, name: &str, kind: Rtype) -> (bool, Vec<u8>) {
        let actions = self.start(name, kind);
        match &actions[..] {
            [Action::Reply { bytes, .. }] => (false, bytes.clone()),
            [Action::Forward { bytes, exchange, transport, .. }] => {
                let reply = AuthorityZone::default_stage().answer(bytes, *transport).unwrap();
                (true, replied(&self.upstream(*exchange, &reply)))
            }
            _ => panic!("{actions:?}"),
        }
    }
}

fn replied(actions: &[Action]) -> Vec<u8> {
    match actions {
        [.., Action::Reply { asker: to, bytes, .. }] => {
            assert_eq!(*to, asker());
            bytes.clone()
        }
        _ => panic!("{actions:?}"),
    }
}

fn forwarded(actions: &[Action]) -> (SocketAddr, Dial, ExchangeId) {
    match actions {
        [.., Action::Forward { server, from, exchange, .. }] => (*server, *from, *exchange),
        _ => panic!("{actions:?}"),
    }
}

fn records(bytes: &[u8]) -> Vec<String> {
    let message = Message::from_slice(bytes).unwrap();
    let records = message.answer().unwrap().limit_to::<AllRecordData<&[u8], ParsedName<&[u8]>>>();
    records
        .map(|record| record.unwrap())
        .map(|record| format!("{} {} {}", record.owner(), record.ttl().as_secs(), record.data()))
        .collect()
}

fn rcode(bytes: &[u8]) -> Rcode {
    Message::from_slice(bytes).unwrap().header().rcode()
}

fn reply_with(code: Rcode, authoritative: bool) -> Vec<u8> {
    let mut bytes = question(9, "x.test", Rtype::A).unwrap();
    bytes[2] |= if authoritative { 0x84 } else { 0x80 };
    bytes[3] = code.to_int();
    bytes
}

#[test]
fn docker_names_are_answered_here_with_these_sizes_and_flags() {
    let cases: [(&str, Rtype, &[&str], usize); 8] = [
        ("web1", Rtype::A, &["web1 600 172.31.0.3"], 42),
        ("web1", Rtype::AAAA, &[], 22),
        ("web1", Rtype::MX, &[], 22),
        ("WEB1", Rtype::A, &["WEB1 600 172.31.0.3"], 42),
        ("web1.app", Rtype::A, &["web1.app 600 172.31.0.3"], 50),
        ("c1", Rtype::A, &["c1 600 172.31.0.2"], 38),
        ("web", Rtype::A, &["web 600 172.31.0.3", "web 600 172.31.0.4"], 59),
        ("3.0.31.172.in-addr.arpa", Rtype::PTR, &["3.0.31.172.in-addr.arpa 600 web1.app."], 86),
    ];
    for policy in [OLD, NEW] {
        for (name, kind, expected, size) in cases {
            let (outside, bytes) = stage(policy).ask(name, kind);
            assert!(!outside);
            assert_eq!(
                (records(&bytes), bytes.len()),
                (expected.iter().map(ToString::to_string).collect(), size)
            );
            assert_eq!(&bytes[..4], &[0, 9, 0x81, 0x80]);
            assert_eq!(&bytes[8..12], &[0; 4]);
        }
    }
}

#[test]
fn rd_is_copied_and_edns_gets_no_additional_record() {
    let mut builder = MessageBuilder::new_vec().question();
    builder.push((parse_name("web1").unwrap(), Rtype::A)).unwrap();
    let mut builder = builder.additional();
    builder
        .opt(|opt| {
            opt.set_udp_payload_size(1232);
            Ok(())
        })
        .unwrap();
    let bytes = replied(&stage(OLD).send(Duration::ZERO, Transport::Udp, &builder.finish()));
    assert_eq!((&bytes[2..4], bytes.len()), (&[0x80, 0x80][..], 42));
}

#[test]
fn everything_else_is_forwarded_and_passed_through() {
    let cases = [
        ("web1", Rtype::TXT, Rcode::NXDOMAIN, 0, 22),
        ("web1", Rtype::ANY, Rcode::NXDOMAIN, 0, 22),
        ("web1.other", Rtype::A, Rcode::NXDOMAIN, 0, 28),
        ("far", Rtype::A, Rcode::NXDOMAIN, 0, 21),
        ("localhost", Rtype::A, Rcode::NXDOMAIN, 0, 27),
        ("99.0.31.172.in-addr.arpa", Rtype::PTR, Rcode::NXDOMAIN, 0, 42),
        ("2.0.77.10.in-addr.arpa", Rtype::PTR, Rcode::NXDOMAIN, 0, 40),
        ("www.example.test", Rtype::A, Rcode::NOERROR, 1, 50),
        ("www.example.test", Rtype::AAAA, Rcode::NOERROR, 1, 62),
        ("v4only.example.test", Rtype::AAAA, Rcode::NOERROR, 0, 37),
        ("uponly", Rtype::A, Rcode::NOERROR, 1, 40),
    ];
    for (name, kind, code, count, size) in cases {
        let mut stage = stage(NEW);
        let (outside, bytes) = stage.ask(name, kind);
        assert!(outside, "{name} {kind}");
        assert_eq!((rcode(&bytes), records(&bytes).len(), bytes.len()), (code, count, size), "{name} {kind}");
        assert!(records(&bytes).iter().all(|record| record.contains(" 300 ")));
        assert_eq!(stage.resolver.deadline(), None);
    }
    let (_, alias) = stage(OLD).ask("alias.example.test", Rtype::A);
    let chain = ["alias.example.test 300 www.example.test.", "www.example.test 300 198.51.100.7"];
    assert_eq!(records(&alias), chain);
    let (_, big) = stage(OLD).ask("big.example.test", Rtype::TXT);
    assert!(Message::from_slice(&big).unwrap().header().tc());
}

#[test]
fn failures_of_the_only_server_pass_through_before_28_and_become_servfail_in_it() {
    for (name, code) in [("refused.example.test", Rcode::REFUSED), ("servfail.example.test", Rcode::SERVFAIL)]
    {
        assert_eq!(rcode(&stage(OLD).ask(name, Rtype::A).1), code);
        assert_eq!(rcode(&stage(NEW).ask(name, Rtype::A).1), Rcode::SERVFAIL);
    }
}

#[test]
fn tcp_is_forwarded_over_tcp() {
    let actions = stage(OLD).send(Duration::ZERO, Transport::Tcp, &question(9, "a.test", Rtype::A).unwrap());
    assert!(matches!(actions[..], [Action::Forward { transport: Transport::Tcp, .. }]));
}

#[test]
fn a_set_ndots_keeps_single_labels_inside() {
    let mut stage = stage(NEW);
    stage.sandbox.ndots_set = true;
    for (name, kind, outside) in [
        ("nosuch", Rtype::A, false),
        ("nosuch", Rtype::AAAA, false),
        ("nosuch", Rtype::TXT, true),
        ("no.such", Rtype::A, true),
    ] {
        let (forwarded, bytes) = stage.ask(name, kind);
        assert_eq!(forwarded, outside, "{name} {kind}");
        assert_eq!(rcode(&bytes), if outside { Rcode::NXDOMAIN } else { Rcode::NOERROR });
    }
}

#[test]
fn at_most_three_servers_get_four_seconds_each() {
    for (policy, answered) in [(OLD, false), (NEW, true)] {
        let mut stage = stage(policy);
        stage.sandbox.servers =
            (1..=5).map(|n| server(&format!("9.9.9.{n}"), ServerOrigin::Option)).collect();
        let mut actions = stage.start("a.test", Rtype::A);
        for (round, now) in [4, 8, 12].into_iter().enumerate() {
            let (to, from, _) = forwarded(&actions);
            assert_eq!((to.to_string(), from), (format!("9.9.9.{}:53", round + 1), Dial::Container));
            assert_eq!(stage.resolver.deadline(), Some(SECOND * now));
            assert_eq!(stage.resolver.advance(SECOND * now - Duration::from_nanos(1)), []);
            actions = stage.resolver.advance(SECOND * now);
        }
        assert_eq!(actions.len(), if answered { 2 } else { 1 });
        if answered {
            assert_eq!(rcode(&replied(&actions)), Rcode::SERVFAIL);
        }
        assert_eq!(stage.resolver.deadline(), None);
    }
}

#[test]
fn the_next_server_is_asked_after_these_replies() {
    for (code, authoritative, old, new) in [
        (Rcode::NOERROR, false, false, false),
        (Rcode::SERVFAIL, false, true, true),
        (Rcode::REFUSED, true, true, true),
        (Rcode::NXDOMAIN, false, true, false),
        (Rcode::NXDOMAIN, true, false, false),
        (Rcode::FORMERR, false, true, false),
    ] {
        for (policy, retried) in [(OLD, old), (NEW, new)] {
            let mut stage = stage(policy);
            stage.sandbox.servers.push(server("9.9.9.9", ServerOrigin::Host));
            let (_, _, exchange) = forwarded(&stage.start("x.test", Rtype::A));
            let actions = stage.upstream(exchange, &reply_with(code, authoritative));
            assert_eq!(actions[0], Action::Abandon { exchange });
            assert_eq!(matches!(actions[1], Action::Forward { .. }), retried, "{code} {policy:?}");
        }
    }
}

#[test]
fn late_foreign_and_broken_replies() {
    let mut stage = stage(OLD);
    let (_, _, exchange) = forwarded(&stage.start("x.test", Rtype::A));
    let mut foreign = reply_with(Rcode::NOERROR, false);
    foreign[1] = 8;
    assert_eq!(stage.upstream(exchange, &foreign), []);
    assert_eq!(stage.upstream(ExchangeId(77), &foreign), []);
    assert_eq!(stage.upstream(exchange, &[0, 9, 1]), [Action::Abandon { exchange }]);
    assert_eq!(stage.upstream(exchange, &reply_with(Rcode::NOERROR, false)), []);
}

#[test]
fn who_dials_depends_on_origin_and_release() {
    let cases = [
        ("203.0.113.53", ServerOrigin::Host, Dial::Container, Dial::Host),
        ("127.0.0.53", ServerOrigin::Host, Dial::Host, Dial::Host),
        ("127.0.0.53", ServerOrigin::Option, Dial::Container, Dial::Container),
    ];
    for (address, origin, old, new) in cases {
        for (policy, expected) in [(OLD, old), (NEW, new)] {
            let mut stage = stage(policy);
            stage.sandbox.servers = vec![server("127.0.0.11", origin), server(address, origin)];
            assert_eq!(forwarded(&stage.start("a.test", Rtype::A)).1, expected);
        }
    }
}

#[test]
fn an_internal_container_reaches_only_servers_dialled_from_itself_in_28() {
    let mut new = stage(NEW);
    new.sandbox.external_access = false;
    assert_eq!(rcode(&replied(&new.start("a.test", Rtype::A))), Rcode::SERVFAIL);
    new.sandbox.servers.push(server("9.9.9.9", ServerOrigin::Option));
    assert_eq!(forwarded(&new.start("a.test", Rtype::A)).0.to_string(), "9.9.9.9:53");
    let mut old = stage(OLD);
    old.sandbox.external_access = false;
    assert_eq!(forwarded(&old.start("a.test", Rtype::A)).1, Dial::Container);
}

#[test]
fn beyond_1024_queries_28_waits_and_refuses_and_20_10_is_silent() {
    let mut old = stage(OLD);
    let mut new = stage(NEW);
    let first = forwarded(&new.start("a.test", Rtype::A)).2;
    assert_eq!(old.start("a.test", Rtype::A).len(), 1);
    for _ in 1..MAX_IN_FLIGHT {
        assert_eq!((new.start("a.test", Rtype::A).len(), old.start("a.test", Rtype::A).len()), (1, 1));
    }
    for _ in 0..MAX_WAITING {
        assert_eq!((new.start("b.test", Rtype::A), old.start("b.test", Rtype::A)), (vec![], vec![]));
    }
    assert_eq!(rcode(&replied(&new.start("c.test", Rtype::A))), Rcode::REFUSED);
    let actions = new.upstream(first, &reply_with(Rcode::NOERROR, false));
    assert!(matches!(actions[..], [Action::Abandon { .. }, Action::Reply { .. }, Action::Forward { .. }]));
    // The first 1,023 time out, which frees their slots for those that wait.
    let actions = new.resolver.advance(SECOND * 4);
    assert_eq!(
        actions.iter().filter(|action| matches!(action, Action::Abandon { .. })).count(),
        MAX_IN_FLIGHT
    );
    assert_eq!(new.resolver.advance(SECOND * 8).len(), 2 * (MAX_IN_FLIGHT - 1));
    assert_eq!(new.resolver.deadline(), None);
}

#[test]
fn a_connection_restarts_the_four_seconds() {
    let mut stage = stage(NEW);
    let (_, _, exchange) = forwarded(&stage.start("a.test", Rtype::A));
    stage.resolver.upstream_connected(SECOND * 3, exchange);
    assert_eq!(stage.resolver.deadline(), Some(SECOND * 7));
    assert_eq!(stage.resolver.advance(SECOND * 4), []);
}

#[test]
fn answers_are_shuffled_by_the_callers_randomness() {
    let stage = stage(OLD);
    let mut resolver = Resolver::new(OLD);
    let bytes = question(9, "web", Rtype::A).unwrap();
    let actions = resolver.query(
        Duration::ZERO,
        Incoming { asker: asker(), transport: Transport::Udp, bytes: &bytes },
        &stage.names,
        &stage.sandbox,
        &mut |_| 0,
    );
    assert_eq!(records(&replied(&actions)), ["web 600 172.31.0.4", "web 600 172.31.0.3"]);
}

#[test]
fn garbage_is_dropped_and_other_opcodes_are_not_implemented() {
    let mut stage = stage(NEW);
    for bytes in [&[][..], &[0; 11], &[0; 12], &reply_with(Rcode::NOERROR, false)] {
        assert_eq!(stage.send(Duration::ZERO, Transport::Udp, bytes), []);
    }
    let mut status = question(9, "web1", Rtype::A).unwrap();
    status[2] |= 0x10;
    assert_eq!(rcode(&replied(&stage.send(Duration::ZERO, Transport::Udp, &status))), Rcode::NOTIMP);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn arbitrary_bytes_never_panic_and_every_reply_parses(
        bytes in proptest::collection::vec(any::<u8>(), 0..64),
        reply in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let mut stage = stage(NEW);
        let mut actions = stage.send(Duration::ZERO, Transport::Udp, &bytes);
        if let [Action::Forward { exchange, .. }] = actions[..] {
            actions.extend(stage.upstream(exchange, &[&bytes[..2], &reply[..]].concat()));
        }
        for action in actions {
            if let Action::Reply { bytes, .. } = action {
                prop_assert!(Message::from_slice(&bytes).unwrap().header().qr());
            }
        }
    }
}
