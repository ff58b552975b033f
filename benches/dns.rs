//! How many questions the embedded DNS server answers in a second, in memory: a message in, a message out.
//!
//! The stage is one network of 100 containers with two names each, and a resolver of Docker 28. The questions are for the
//! address of each of 200 names, and for the name of each of 100 addresses. The goal is a million answers a second, the
//! aim three. The same through sockets and rules of a container's namespace is part of `scale.rs`' matrix.

#![allow(clippy::disallowed_types, reason = "the reference uses the standard hash map and never iterates it")]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures wall time")]
#![allow(clippy::expect_used, reason = "a benchmark that cannot be set up has nothing to measure")]
#![allow(clippy::print_stdout, reason = "a benchmark reports to the terminal")]
#![allow(missing_docs, reason = "a benchmark is no library")]

mod stage;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use criterion::Throughput;
use domain::base::iana::Rtype;
use linkspan::docker::dns::{Action, Asker, Incoming, Resolver, ResolverPolicy};
use linkspan::docker::dns_message::{Transport, question};
use linkspan::docker::names::{Names, NetworkKey, Sandbox, SandboxEndpoint};
use linkspan::engine::plan::Owner;
use stage::{median, nanoseconds_each};

const CONTAINERS: u8 = 100;
const ROUNDS: usize = 15;
const QUESTIONS_PER_ROUND: usize = 300_000;

struct Server {
    names: Names,
    sandbox: Sandbox,
    resolver: Resolver,
    questions: Vec<Vec<u8>>,
    asker: Asker,
}

impl Server {
    fn new(ask: impl Fn(u8) -> Vec<Vec<u8>>) -> Server {
        let mut names = Names::default();
        let app = NetworkKey("app".into());
        names.add_network(app.clone(), "app", false);
        let mut questions = Vec::new();
        for number in 0..CONTAINERS {
            let list = [format!("shop-web-{number}"), format!("web{number}")];
            let address = IpAddr::from([172, 18, 0, number + 2]);
            names.add_endpoint(&app, Owner::Endpoint(number.into()), &list, &[address]);
            questions.extend(ask(number));
        }
        let sandbox = Sandbox {
            endpoints: vec![SandboxEndpoint { network: app, link_aliases: BTreeMap::new() }],
            servers: Vec::new(),
            ndots_set: false,
            external_access: true,
        };
        let resolver = Resolver::new(ResolverPolicy::docker_28());
        let asker = Asker { socket: 1, peer: "127.0.0.1:40000".parse().expect("an address") };
        Server { names, sandbox, resolver, questions, asker }
    }

    /// Answers so many questions; how many answers have a record.
    fn run(&mut self, count: usize) -> u64 {
        let Server { names, sandbox, resolver, questions, asker } = self;
        let mut answered = 0;
        for bytes in questions.iter().cycle().take(count) {
            let incoming = Incoming { asker: *asker, transport: Transport::Udp, bytes };
            let actions = resolver.query(Duration::ZERO, incoming, names, sandbox, &mut |bound| bound - 1);
            // The low byte of the count of answers.
            answered += u64::from(matches!(&actions[..], [Action::Reply { bytes, .. }] if bytes[7] == 1));
        }
        answered
    }
}

fn ask(name: &str, kind: Rtype) -> Vec<u8> {
    question(9, name, kind).expect("a name")
}

fn forward(number: u8) -> Vec<Vec<u8>> {
    vec![ask(&format!("shop-web-{number}"), Rtype::A), ask(&format!("web{number}"), Rtype::A)]
}

fn reverse(number: u8) -> Vec<Vec<u8>> {
    vec![ask(&format!("{}.0.18.172.in-addr.arpa", number + 2), Rtype::PTR)]
}

fn figure(title: &str, mut server: Server) {
    let once = |server: &mut Server| {
        let answered = server.run(QUESTIONS_PER_ROUND);
        assert_eq!(answered, QUESTIONS_PER_ROUND as u64, "every question has an answer");
        answered
    };
    let rounds = (0..ROUNDS).map(|_| nanoseconds_each(QUESTIONS_PER_ROUND, || once(&mut server)));
    let each = median(rounds.collect());
    println!("DNS, {title}: {each:.0} ns each, {:.2} million answers/s (goal 1, aim 3)", 1e3 / each);
}

fn main() {
    if stage::wants_figures() {
        figure("addresses of names", Server::new(forward));
        figure("names of addresses", Server::new(reverse));
    }
    let mut criterion = stage::criterion();
    let mut group = criterion.benchmark_group("dns");
    group.throughput(Throughput::Elements(300));
    for (name, mut server) in [("forward", Server::new(forward)), ("reverse", Server::new(reverse))] {
        group.bench_function(name, |bencher| bencher.iter(|| server.run(300)));
    }
    group.finish();
    criterion.final_summary();
}
