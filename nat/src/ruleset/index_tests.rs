//! An indexed run is what a plain walk is, counters and token buckets included, and looks at few rules.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::*;
use crate::evaluate::{Effects, Facts, TraceStep, Verdict};
use crate::interface::InterfaceName;
use crate::rule::{AddressType, CtState};
use crate::text::parse_rule;

const CHAINS: [&str; 3] = ["FORWARD", "A", "B"];

/// A rule set whose chains have an index from so many rules on.
fn indexed_from(rules: u32) -> RuleSet {
    let mut set = RuleSet::new(Family::Ipv4);
    for table in Table::ALL {
        set.data_mut(table).set_indexed_from(rules);
    }
    for chain in &CHAINS[1..] {
        set.new_chain(Table::Filter, *chain).unwrap();
    }
    set
}

#[derive(Debug, Clone)]
enum Step {
    Append(usize, String),
    Insert(usize, usize, String),
    Replace(usize, usize, String),
    Delete(usize, usize),
    DeleteOldest,
    Flush(usize),
    Packet { source: u8, destination: u8, input: bool, output: bool, protocol: u8, port: Option<u16> },
}

fn words(list: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(list)
}

/// Of few values, so that rules share keys and packets match.
fn rule() -> impl Strategy<Value = String> {
    let source = words(&["", "-s 10.0.0.1", "-s 10.0.0.0/24", "-s 10.0.0.0/8", "! -s 10.0.0.1"]);
    let destination = words(&["", "-d 10.0.0.2", "-d 10.0.0.3", "-d 10.0.0.0/24", "! -d 10.0.0.2"]);
    let devices = words(&["", "-i a0", "-o b0", "-i a0 -o b0", "! -i a0 -o b0", "-i a+", "-i a0 ! -o a0"]);
    let limit = || words(&["", "", "-m limit --limit 1/m --limit-burst 2", "-m mark --mark 1"]);
    let ports = words(&[
        "",
        "-p tcp",
        "-p tcp -m tcp --dport 80",
        "-p tcp -m tcp --dport 81",
        "-p tcp -m tcp --dport 80:90",
        "-p tcp -m tcp ! --dport 80",
        "-p udp -m udp --dport 80",
        "! -p tcp",
    ]);
    let target = words(&[
        "",
        "-j ACCEPT",
        "-j DROP",
        "-j RETURN",
        "-j MARK --set-xmark 0x1/0xffffffff",
        "-j A",
        "-j B",
        "-g B",
    ]);
    (source, destination, devices, ports, limit(), target).prop_map(
        |(source, destination, devices, ports, limit, target)| {
            // A limit stands before the ports or behind them.
            let (protocol, dport) = match ports.split_once(" -m ") {
                Some((protocol, dport)) => (protocol, format!("-m {dport}")),
                None => (ports, String::new()),
            };
            let (first, second) = match source.is_empty() {
                true => (limit, dport.as_str()),
                false => (dport.as_str(), limit),
            };
            format!("{source} {destination} {devices} {protocol} {first} {second} {target}")
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let chain = || 0..CHAINS.len();
    let packet =
        (1u8..4, 1u8..5, any::<bool>(), any::<bool>(), words(&["tcp", "udp", "icmp"]), of(79u16..83));
    prop_oneof![
        3 => (chain(), rule()).prop_map(|(chain, rule)| Step::Append(chain, rule)),
        4 => (chain(), 1usize..12, rule()).prop_map(|(chain, at, rule)| Step::Insert(chain, at, rule)),
        1 => (chain(), 1usize..12, rule()).prop_map(|(chain, at, rule)| Step::Replace(chain, at, rule)),
        1 => (chain(), 1usize..12).prop_map(|(chain, at)| Step::Delete(chain, at)),
        1 => Just(Step::DeleteOldest),
        1 => chain().prop_map(Step::Flush),
        8 => packet.prop_map(|(source, destination, input, output, protocol, port)| {
            let protocol = match protocol {
                "tcp" => 6,
                "udp" => 17,
                _ => 1,
            };
            let port = port.filter(|_| protocol != 1);
            Step::Packet { source, destination, input, output, protocol, port }
        }),
    ]
}

fn facts(source: u8, destination: u8, protocol: u8, port: Option<u16>) -> Facts<'static> {
    let address = |last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
    Facts {
        source: address(source),
        destination: address(destination),
        protocol,
        source_port: port.map(|_| 4_000),
        destination_port: port,
        tcp_flags: (protocol == 6).then_some(2),
        icmp: None,
        in_interface: None,
        out_interface: None,
        physical_in: None,
        physical_out: None,
        bridged: false,
        fragment: false,
        length: 60,
        ttl: 64,
        mark: 0,
        connection_mark: 0,
        state: CtState::New,
        connection: None,
        address_type: &|_| AddressType::Unicast,
        mac: None,
        now: Duration::ZERO,
    }
}

fn name(text: &str) -> InterfaceName {
    InterfaceName::parse(text).unwrap()
}

fn read(table: Table, text: &str) -> Rule {
    let words: Vec<&str> = text.split_whitespace().collect();
    parse_rule(Family::Ipv4, table, &words).unwrap()
}

/// Every rule with its identity and counters.
fn listing(rules: &RuleSet) -> Vec<(String, RuleId, Counters)> {
    let chains = rules.chains(Table::Filter).into_iter();
    let of = |chain: &Chain| {
        let name = chain.name().to_string();
        let rules: Vec<_> = chain.rules().iter().map(|e| (name.clone(), e.id(), e.counters())).collect();
        rules
    };
    chains.flat_map(of).collect()
}

proptest! {
    #[test]
    fn an_indexed_run_is_a_plain_walk(steps in vec(step(), 1..80)) {
        let (mut indexed, mut plain) = (indexed_from(0), indexed_from(u32::MAX));
        for (moment, step) in steps.into_iter().enumerate() {
            match step {
                Step::Append(chain, text) => {
                    let add = |set: &mut RuleSet| set.append(Table::Filter, CHAINS[chain], read(Table::Filter, &text), None);
                    prop_assert_eq!(add(&mut indexed), add(&mut plain));
                }
                Step::Insert(chain, at, text) => {
                    let add = |set: &mut RuleSet| set.insert(Table::Filter, CHAINS[chain], at, read(Table::Filter, &text), None);
                    prop_assert_eq!(add(&mut indexed), add(&mut plain));
                }
                Step::Replace(chain, at, text) => {
                    let put = |set: &mut RuleSet| set.replace(Table::Filter, CHAINS[chain], at, read(Table::Filter, &text), None);
                    prop_assert_eq!(put(&mut indexed), put(&mut plain));
                }
                Step::Delete(chain, at) => {
                    let cut = |set: &mut RuleSet| set.delete_number(Table::Filter, CHAINS[chain], at);
                    prop_assert_eq!(cut(&mut indexed), cut(&mut plain));
                }
                Step::DeleteOldest => {
                    let oldest = listing(&plain).into_iter().map(|(_, id, _)| id).min();
                    if let Some(oldest) = oldest {
                        prop_assert!(indexed.find(oldest).is_some() && plain.find(oldest).is_some());
                        prop_assert!(indexed.delete_id(oldest) && plain.delete_id(oldest));
                        prop_assert!(indexed.find(oldest).is_none());
                    }
                }
                Step::Flush(chain) => {
                    indexed.flush(Table::Filter, Some(CHAINS[chain])).unwrap();
                    plain.flush(Table::Filter, Some(CHAINS[chain])).unwrap();
                }
                Step::Packet { source, destination, input, output, protocol, port } => {
                    let mut facts = facts(source, destination, protocol, port);
                    facts.in_interface = input.then(|| name("a0"));
                    facts.out_interface = output.then(|| name("b0"));
                    facts.now = Duration::from_secs(moment as u64);
                    let run = |set: &mut RuleSet| {
                        let mut effects = Effects::default();
                        let outcome = set.evaluate(Table::Filter, Hook::Forward, &facts, &mut effects, None);
                        (outcome, effects)
                    };
                    prop_assert_eq!(run(&mut indexed), run(&mut plain));
                }
            }
            prop_assert_eq!(listing(&indexed), listing(&plain));
        }
    }
}

/// Ten thousand endpoints as Docker 28 writes them, each with a published port.
fn town(endpoints: u16) -> RuleSet {
    let mut rules = RuleSet::new(Family::Ipv4);
    rules.new_chain(Table::Nat, "DOCKER").unwrap();
    rules.new_chain(Table::Filter, "DOCKER").unwrap();
    let add = |rules: &mut RuleSet, table, chain: &str, text: &str| {
        rules.append(table, chain, read(table, text), Some(RuleOwner(1))).unwrap();
    };
    add(&mut rules, Table::Nat, "PREROUTING", "-m addrtype --dst-type LOCAL -j DOCKER");
    add(&mut rules, Table::Filter, "FORWARD", "-o br0 -j DOCKER");
    for number in 0..endpoints {
        let [high, low] = number.to_be_bytes();
        let address = format!("172.18.{high}.{low}");
        let port = 10_000 + number;
        let raw = format!("-d {address} ! -i br0 -j DROP");
        add(&mut rules, Table::Raw, "PREROUTING", &raw);
        let nat = format!("! -i br0 -p tcp -m tcp --dport {port} -j DNAT --to-destination {address}:80");
        add(&mut rules, Table::Nat, "DOCKER", &nat);
        let open = format!("-d {address} ! -i br0 -o br0 -p tcp -m tcp --dport 80 -j ACCEPT");
        rules.insert(Table::Filter, "DOCKER", 1, read(Table::Filter, &open), Some(RuleOwner(1))).unwrap();
    }
    add(&mut rules, Table::Filter, "DOCKER", "! -i br0 -o br0 -j DROP");
    rules
}

#[test]
fn a_packet_looks_at_as_few_rules_among_ten_thousand_as_among_ten() {
    let looked_at = |endpoints: u16| {
        let mut rules = town(endpoints);
        let mut trace = Vec::new();
        let mut packet = facts(1, 1, 6, Some(10_007));
        packet.in_interface = Some(name("eth0"));
        packet.address_type = &|_| AddressType::Local;
        for table in [Table::Raw, Table::Nat] {
            let mut effects = Effects::default();
            let outcome = rules.evaluate(table, Hook::Prerouting, &packet, &mut effects, Some(&mut trace));
            assert_eq!(matches!(outcome.verdict, Verdict::Dnat(_)), table == Table::Nat);
        }
        packet.destination = IpAddr::V4(Ipv4Addr::new(172, 18, 0, 7));
        packet.destination_port = Some(80);
        packet.out_interface = Some(name("br0"));
        let mut effects = Effects::default();
        let outcome = rules.evaluate(Table::Filter, Hook::Forward, &packet, &mut effects, Some(&mut trace));
        assert_eq!(outcome.verdict, Verdict::Accept);
        let rule = outcome.rule.unwrap();
        assert_eq!((&*rule.chain, rule.number), ("DOCKER", usize::from(endpoints) - 7));
        trace.iter().filter(|step| matches!(step, TraceStep::Rule { .. })).count()
    };
    let few = looked_at(16);
    assert_eq!(looked_at(10_000), few);
    assert_eq!(few, 4);
}
