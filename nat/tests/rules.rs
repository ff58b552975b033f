//! Properties of rules: the text form reads back to the same rule, and a run through the chains is what a naive
//! recursive reading of the same rules gives.

#![allow(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests; helpers outside a test function are tests too"
)]

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use linkspan_nat::cidr::Cidr;
use linkspan_nat::conntrack_match::ConntrackMatch;
use linkspan_nat::evaluate::{Effects, Facts, TraceStep, Verdict};
use linkspan_nat::interface::InterfaceName;
use linkspan_nat::rule::*;
use linkspan_nat::ruleset::{Hook, Policy, RuleOwner, RuleSet, RulesetError, Table};
use linkspan_nat::text::{apply_command, parse_command, parse_rule};
use linkspan_nat::text_emit::emit_rule;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

fn negatable<T: std::fmt::Debug>(inner: impl Strategy<Value = T>) -> impl Strategy<Value = Negatable<T>> {
    (any::<bool>(), inner).prop_map(|(negated, value)| Negatable { negated, value })
}

fn name(text: &str) -> InterfaceName {
    InterfaceName::parse(text).unwrap()
}

fn pattern() -> impl Strategy<Value = InterfacePattern> {
    prop_oneof![
        "[a-z]{1,14}[0-9]".prop_map(|n| InterfacePattern::Exact(name(&n))),
        "[a-z]{1,14}".prop_map(|n| InterfacePattern::Prefix(name(&n))),
    ]
}

fn range() -> impl Strategy<Value = Range16> {
    (any::<u16>(), 1u16..).prop_map(|(a, b)| Range16 { first: a.min(b).max(1), last: a.max(b) })
}

fn ports() -> impl Strategy<Value = PortMatch> {
    (of(negatable(range())), of(negatable(range())))
        .prop_map(|(source, destination)| PortMatch { source, destination })
}

fn addresses() -> impl Strategy<Value = AddressRange> {
    (any::<u32>(), any::<u32>()).prop_map(|(a, b)| AddressRange {
        first: IpAddr::V4(Ipv4Addr::from(a.min(b))),
        last: IpAddr::V4(Ipv4Addr::from(a.max(b))),
    })
}

fn states(with_nat: bool) -> impl Strategy<Value = StateSet> {
    let of_state =
        [CtState::New, CtState::Invalid, CtState::Established, CtState::Related, CtState::Untracked];
    let mut all = of_state.map(StateSet::of).to_vec();
    if with_nat {
        all.extend([StateSet::SNAT, StateSet::DNAT]);
    }
    vec(prop::sample::select(all), 1..4)
        .prop_map(|s| s.into_iter().fold(StateSet::default(), StateSet::union))
}

fn types() -> impl Strategy<Value = AddressTypeSet> {
    let kinds = vec![AddressType::Local, AddressType::Unicast, AddressType::Broadcast, AddressType::Prohibit];
    vec(prop::sample::select(kinds), 1..3)
        .prop_map(|k| k.into_iter().fold(AddressTypeSet::default(), AddressTypeSet::with))
}

fn mark() -> impl Strategy<Value = MaskedMark> {
    (any::<u32>(), any::<u32>()).prop_map(|(value, mask)| MaskedMark { value, mask })
}

/// Matches that need `-p tcp` or no protocol at all.
fn condition() -> impl Strategy<Value = Match> {
    let flags = (0u8..0x40, 0u8..0x40).prop_map(|(mask, compared)| TcpFlags { mask, compared });
    let units = vec![LimitUnit::Second, LimitUnit::Minute, LimitUnit::Hour, LimitUnit::Day];
    let side = prop::sample::select(vec![PortSide::Source, PortSide::Destination, PortSide::Either]);
    prop_oneof![
        (ports(), of(negatable(flags))).prop_map(|(ports, flags)| Match::Tcp(TcpMatch { ports, flags })),
        negatable(states(true)).prop_map(|asked| Match::Conntrack(Box::new(ConntrackMatch::states(asked)))),
        negatable(states(false)).prop_map(Match::State),
        (of(negatable(types())), negatable(types()))
            .prop_map(|(source, d)| Match::AddressType { source, destination: Some(d) }),
        negatable(mark()).prop_map(Match::Mark),
        "[ -~]{0,40}".prop_map(Match::Comment),
        (side, negatable(vec(range(), 1..7)))
            .prop_map(|(side, ports)| Match::Multiport(Box::new(MultiportMatch { side, ports }))),
        (negatable(addresses()), of(negatable(addresses()))).prop_map(|(s, destination)| Match::IpRange(
            Box::new(IpRangeMatch { source: Some(s), destination })
        )),
        (1u32..20, prop::sample::select(units), 1u32..10_000)
            .prop_map(|(count, unit, burst)| Match::Limit(Limit { count, unit, burst })),
        (of(negatable(pattern())), any::<bool>(), of(any::<bool>())).prop_map(|(input, yes, is_out)| {
            Match::Physdev(Box::new(PhysdevMatch {
                input,
                is_out,
                is_bridged: Some(yes),
                ..PhysdevMatch::default()
            }))
        }),
        negatable(any::<[u8; 6]>()).prop_map(Match::Mac),
        negatable(range()).prop_map(Match::Length),
        any::<u8>().prop_map(|v| Match::Ttl(TtlMatch::Less(v))),
        any::<u8>().prop_map(|v| Match::Ttl(TtlMatch::NotEqual(v))),
    ]
}

fn nat_range() -> impl Strategy<Value = NatRange> {
    let random = prop::sample::select(vec![RandomPorts::No, RandomPorts::Random, RandomPorts::Fully]);
    (addresses(), of(range()), random, any::<bool>()).prop_map(|(addresses, ports, random, persistent)| {
        NatRange { addresses: Some(addresses), ports, random, persistent }
    })
}

fn target() -> impl Strategy<Value = Target> {
    let masquerade = |mut r: NatRange| {
        (r.addresses, r.persistent) = (None, false);
        r
    };
    prop_oneof![
        prop::sample::select(vec![Target::Continue, Target::Accept, Target::Return, Target::ChecksumFill]),
        "[A-Z]{1,20}-[a-z]{1,5}".prop_map(|c| Target::Jump(c.as_str().into())),
        "[A-Z]{1,20}-[a-z]{1,5}".prop_map(|c| Target::Goto(c.as_str().into())),
        nat_range().prop_map(Target::Dnat),
        nat_range().prop_map(Target::Snat),
        nat_range().prop_map(move |r| Target::Masquerade(masquerade(r))),
        nat_range().prop_map(move |r| Target::Redirect(masquerade(r))),
        prop::sample::select(vec![0u8, 1, 2, 3, 9, 10, 13])
            .prop_map(|c| Target::Reject(RejectWith::IcmpUnreachable(c))),
        ("[ -~]{0,29}", 0u8..8, 0u8..16).prop_map(|(prefix, level, flags)| Target::Log(Log {
            prefix,
            level,
            flags
        })),
        mark().prop_map(Target::Mark),
        mark().prop_map(|m| Target::ConnMark(ConnMark::Set(m))),
        (any::<u32>(), any::<u32>())
            .prop_map(|(nfmask, ctmask)| Target::ConnMark(ConnMark::Save { nfmask, ctmask })),
        any::<bool>().prop_map(|legacy| Target::NoTrack { legacy }),
        any::<u16>().prop_map(|mss| Target::TcpMss(TcpMss::Set(mss))),
    ]
}

fn rule() -> impl Strategy<Value = Rule> {
    let block =
        || (any::<u32>(), 1u8..=32).prop_map(|(a, p)| Cidr::new(IpAddr::V4(Ipv4Addr::from(a)), p).unwrap());
    (
        of(negatable(block())),
        of(negatable(block())),
        of(negatable(pattern())),
        of(negatable(pattern())),
        of(any::<bool>()),
        vec(condition(), 0..4),
        target(),
    )
        .prop_map(|(source, destination, in_interface, out_interface, fragment, matches, target)| Rule {
            source,
            destination,
            in_interface,
            out_interface,
            protocol: Some(Negatable::plain(6)),
            fragment,
            matches,
            target,
        })
}

/// Takes a line apart as a shell does with double quotes and backslashes.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), None, false);
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_with(String::new);
            }
            ' ' if !quoted => words.extend(word.take()),
            '\\' => word.get_or_insert_with(String::new).extend(characters.next()),
            c => word.get_or_insert_with(String::new).push(c),
        }
    }
    words.extend(word);
    words
}

fn facts(mark: u32, source: u8, port: u16) -> Facts<'static> {
    Facts {
        source: IpAddr::V4(Ipv4Addr::new(10, 0, 0, source)),
        destination: IpAddr::V4(Ipv4Addr::new(172, 17, 0, 2)),
        protocol: 6,
        source_port: Some(40_000),
        destination_port: Some(port),
        tcp_flags: Some(2),
        icmp: None,
        in_interface: Some(name("docker0")),
        out_interface: Some(name("eth0")),
        physical_in: None,
        physical_out: None,
        bridged: false,
        fragment: false,
        length: 60,
        ttl: 64,
        mark,
        connection_mark: 0,
        state: CtState::New,
        connection: None,
        address_type: &|_| AddressType::Unicast,
        mac: None,
        now: Duration::ZERO,
    }
}

fn run(rules: &mut RuleSet, lines: &[&str]) {
    for line in lines {
        let words = words(line);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        apply_command(rules, &parse_command(Family::Ipv4, &words).unwrap(), None).unwrap();
    }
}

/// The model's rule: an optional source and what then happens.
#[derive(Debug, Clone)]
enum Act {
    Accept,
    Drop,
    Return,
    Continue,
    SetMark(u32),
    Jump(usize),
    Goto(usize),
}

#[derive(Debug, Clone)]
struct Line {
    source: Option<u8>,
    mark: Option<u32>,
    act: Act,
}

fn line(chain: usize) -> impl Strategy<Value = Line> {
    let next = chain + 1..5;
    let jump = if chain < 4 {
        prop_oneof![next.clone().prop_map(Act::Jump), next.prop_map(Act::Goto)].boxed()
    } else {
        Just(Act::Return).boxed()
    };
    let plain = prop_oneof![
        Just(Act::Accept),
        Just(Act::Drop),
        Just(Act::Return),
        Just(Act::Continue),
        (0u32..3).prop_map(Act::SetMark),
    ];
    (of(0u8..3), of(0u32..3), prop_oneof![plain, jump]).prop_map(|(source, mark, act)| Line {
        source,
        mark,
        act,
    })
}

/// `Some(verdict)` if a rule of the chain or one it leads to decides.
fn model(chains: &[Vec<Line>], chain: usize, source: u8, mark: &mut u32) -> Option<Verdict> {
    for line in &chains[chain] {
        if line.source.is_some_and(|s| s != source) || line.mark.is_some_and(|m| m != *mark) {
            continue;
        }
        match line.act {
            Act::Accept => return Some(Verdict::Accept),
            Act::Drop => return Some(Verdict::Drop),
            Act::Return => return None,
            Act::Continue => {}
            Act::SetMark(new) => *mark = new,
            Act::Jump(next) => {
                if let Some(verdict) = model(chains, next, source, mark) {
                    return Some(verdict);
                }
            }
            Act::Goto(next) => return model(chains, next, source, mark),
        }
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_rule_reads_back_from_its_text(rule in rule()) {
        let text = emit_rule(&rule, Family::Ipv4);
        let words = words(&text);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        prop_assert_eq!(parse_rule(Family::Ipv4, Table::Mangle, &words), Ok(rule), "{}", text);
    }

    #[test]
    fn no_words_make_the_parser_panic(words in vec("(-[A-Za-z]{1,3}|--[a-z-]{1,12}|!|tcp|[0-9:,/.-]{1,9}|\\PC{0,6})", 0..9)) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        for family in [Family::Ipv4, Family::Ipv6] {
            if let Ok(parsed) = parse_command(family, &words) {
                let _ = apply_command(&mut RuleSet::new(family), &parsed, None);
            }
        }
    }

    #[test]
    fn a_run_is_what_a_naive_reading_gives(
        chains in (vec(line(0), 0..6), vec(line(1), 0..6), vec(line(2), 0..6), vec(line(3), 0..6), vec(line(4), 0..6)),
        source in 0u8..3,
        drop in any::<bool>(),
    ) {
        let chains = [chains.0, chains.1, chains.2, chains.3, chains.4];
        let names = ["FORWARD", "A", "B", "C", "D"];
        let mut rules = RuleSet::new(Family::Ipv4);
        for name in &names[1..] {
            rules.new_chain(Table::Filter, *name).unwrap();
        }
        let policy = if drop { Policy::Drop } else { Policy::Accept };
        rules.set_policy(Table::Filter, "FORWARD", policy).unwrap();
        for (chain, lines) in chains.iter().enumerate() {
            for line in lines {
                let target = match line.act {
                    Act::Accept => Target::Accept,
                    Act::Drop => Target::Drop,
                    Act::Return => Target::Return,
                    Act::Continue => Target::Continue,
                    Act::SetMark(value) => Target::Mark(MaskedMark { value, mask: u32::MAX }),
                    Act::Jump(next) => Target::Jump(names[next].into()),
                    Act::Goto(next) => Target::Goto(names[next].into()),
                };
                let rule = Rule {
                    source: line.source.map(|s| Negatable::plain(Cidr::host(IpAddr::V4(Ipv4Addr::new(10, 0, 0, s))))),
                    matches: line.mark.iter().map(|m| Match::Mark(Negatable::plain(MaskedMark { value: *m, mask: u32::MAX }))).collect(),
                    target,
                    ..Rule::default()
                };
                rules.append(Table::Filter, names[chain], rule, None).unwrap();
            }
        }
        let mut mark = 0;
        let decided = model(&chains, 0, source, &mut mark);
        let (mut effects, mut trace) = (Effects::default(), Vec::new());
        let facts = facts(0, source, 80);
        let outcome = rules.evaluate(Table::Filter, Hook::Forward, &facts, &mut effects, Some(&mut trace));
        let fallback = if drop { Verdict::Drop } else { Verdict::Accept };
        prop_assert_eq!(outcome.verdict, decided.unwrap_or(fallback));
        prop_assert_eq!(outcome.rule.is_some(), decided.is_some());
        prop_assert_eq!(effects.mark_of(&facts), mark);
        let by_policy = rules.chain(Table::Filter, "FORWARD").unwrap().policy_counters().packets;
        prop_assert_eq!(by_policy, u64::from(decided.is_none()));
        let traced = trace.iter().filter(|s| matches!(s, TraceStep::Rule { matched: true, .. })).count() as u64;
        let counted: u64 = rules.chains(Table::Filter).iter().flat_map(|c| c.rules()).map(|e| e.counters().packets).sum();
        prop_assert_eq!(traced, counted);
    }
}

#[test]
fn a_published_port_is_translated_by_dockers_rules() {
    let mut rules = RuleSet::new(Family::Ipv4);
    assert!(!rules.has_rules(Table::Nat, Hook::Prerouting));
    run(
        &mut rules,
        &[
            "-t nat -N DOCKER",
            "-t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
            "-t nat -A DOCKER -i docker0 -j RETURN",
            "-t nat -A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80",
        ],
    );
    assert!(rules.has_rules(Table::Nat, Hook::Prerouting));
    let mut packet = facts(0, 1, 8080);
    packet.address_type = &|_| AddressType::Local;
    packet.in_interface = Some(name("eth0"));
    packet.out_interface = None;
    let outcome = rules.evaluate(Table::Nat, Hook::Prerouting, &packet, &mut Effects::default(), None);
    let Verdict::Dnat(range) = outcome.verdict else { panic!("{outcome:?}") };
    assert_eq!(range.ports, Some(Range16::single(80)));
    let by = outcome.rule.unwrap();
    assert_eq!((&*by.chain, by.number), ("DOCKER", 2));
    assert_eq!(rules.find(by.id).unwrap().3.counters().bytes, 60);
    packet.in_interface = Some(name("docker0"));
    let outcome = rules.evaluate(Table::Nat, Hook::Prerouting, &packet, &mut Effects::default(), None);
    assert_eq!((outcome.verdict, outcome.rule), (Verdict::Accept, None));
}

#[test]
fn a_limit_lets_its_burst_and_then_its_rate_through() {
    let mut rules = RuleSet::new(Family::Ipv4);
    run(&mut rules, &["-P FORWARD DROP", "-A FORWARD -m limit --limit 2/s --limit-burst 3 -j ACCEPT"]);
    let mut passed = Vec::new();
    for tenth in 0..40u64 {
        let mut packet = facts(0, 1, 80);
        packet.now = Duration::from_millis(tenth * 100);
        let outcome = rules.evaluate(Table::Filter, Hook::Forward, &packet, &mut Effects::default(), None);
        if outcome.verdict == Verdict::Accept {
            passed.push(tenth);
        }
    }
    assert_eq!(passed, [0, 1, 2, 5, 10, 15, 20, 25, 30, 35]);
}

#[test]
fn a_refused_command_of_several_rules_adds_none() {
    let mut rules = RuleSet::new(Family::Ipv4);
    let parsed = parse_command(Family::Ipv4, &["-D", "INPUT", "-s", "1.1.1.1,2.2.2.2"]).unwrap();
    run(&mut rules, &["-A INPUT -s 1.1.1.1"]);
    let refused = apply_command(&mut rules, &parsed, Some(RuleOwner(1)));
    assert_eq!(refused, Err(RulesetError::BadRule.into()));
    assert_eq!(rules.chain(Table::Filter, "INPUT").unwrap().rules().len(), 1);
}

#[test]
fn ip6tables_speaks_ipv6() {
    let mut rules = RuleSet::new(Family::Ipv6);
    for (table, line) in [
        ("filter", "-s fd00::1/128 -d 2001:db8::/32 -p ipv6-icmp -m icmp6 --icmpv6-type 128 -j ACCEPT"),
        ("filter", "-p ipv6-icmp -m icmp6 --icmpv6-type 1/4 -j REJECT --reject-with icmp6-port-unreachable"),
        ("filter", "! -s fd00::1/128 -m hl --hl-eq 3 -j REJECT --reject-with icmp6-adm-prohibited"),
        ("nat", "-p tcp -j DNAT --to-destination [fd00::2]:80"),
    ] {
        let chain = if table == "nat" { "OUTPUT" } else { "FORWARD" };
        let line = format!("-t {table} -A {chain} {line}");
        let words: Vec<&str> = line.split(' ').collect();
        apply_command(&mut rules, &parse_command(Family::Ipv6, &words).unwrap(), None).unwrap();
        let list = parse_command(Family::Ipv6, &["-t", table, "-S", chain]).unwrap();
        let printed = apply_command(&mut rules, &list, None).unwrap();
        assert_eq!(printed.lines().last(), line.split_once(&format!("{table} ")).map(|(_, rest)| rest));
    }
    let error = parse_command(Family::Ipv6, &["-A", "INPUT", "-s", "1.2.3.4"]).unwrap_err();
    assert!(
        error
            .text(Family::Ipv6)
            .starts_with("ip6tables v1.8.9 (nf_tables): host/network `1.2.3.4' not found\n")
    );
}
