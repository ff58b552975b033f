//! Listings of a rule set in the columns of iptables 1.8.9 (nf_tables): `-S` and `-L`.

use std::net::IpAddr;

use crate::cidr::Cidr;
use crate::names::{icmp_name, protocol_name, service_name};
use crate::rule::{
    ConnMark, Family, IcmpType, IpRangeMatch, Match, MultiportMatch, Negatable, PortMatch, PortSide, Range16,
    Rule, Target, TcpMss, TtlMatch,
};
use crate::ruleset::{Chain, Counters, Entry, Policy, RuleSet, Table};
use crate::text_emit::{
    LOG_FLAGS, emit_counted, mac_text, masked, nat, nat_flags, range, reject_name, state_names, tcp_flags,
    type_names, unit_name,
};

/// How a listing is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ListOptions {
    /// `-n`: numbers, not names.
    pub numeric: bool,
    /// `-v`: counters and interfaces.
    pub verbose: bool,
    /// `-x`: counters in full.
    pub exact: bool,
    /// `--line-numbers`.
    pub line_numbers: bool,
}

/// `-S [chain [number]]`: policies, chains, then rules. `None` if the chain is not there.
pub fn list_save(
    rules: &RuleSet,
    table: Table,
    chain: Option<&str>,
    number: Option<usize>,
    verbose: bool,
) -> Option<String> {
    let chains = selected(rules, table, chain)?;
    let mut out = String::new();
    if number.is_none() {
        for chain in &chains {
            let counters = policy_counters(chain, verbose);
            match chain.hook() {
                Some(_) => out += &format!("-P {} {}{counters}\n", chain.name(), policy(chain.policy())),
                None => out += &format!("-N {}\n", chain.name()),
            }
        }
    }
    for chain in &chains {
        for (index, entry) in chain.rules().iter().enumerate() {
            if number.is_none_or(|n| n == index + 1) {
                let counters = verbose.then(|| entry.counters());
                let text = emit_counted(entry.rule(), rules.family(), counters);
                out += format!("-A {} {text}", chain.name()).trim_end();
                out.push('\n');
            }
        }
    }
    Some(out)
}

/// `-L [chain [number]]`. `None` if the chain is not there.
pub fn list_table(
    rules: &RuleSet,
    table: Table,
    chain: Option<&str>,
    number: Option<usize>,
    options: ListOptions,
) -> Option<String> {
    let chains = selected(rules, table, chain)?;
    let mut out = String::new();
    for (position, chain) in chains.iter().enumerate() {
        if number.is_none() {
            if position > 0 {
                out.push('\n');
            }
            header(&mut out, rules, table, chain, options);
        }
        for (index, entry) in chain.rules().iter().enumerate() {
            if number.is_none_or(|n| n == index + 1) {
                if options.line_numbers {
                    out += &format!("{:<4} ", index + 1);
                }
                row(&mut out, entry, rules.family(), options);
            }
        }
    }
    Some(out)
}

fn selected<'a>(rules: &'a RuleSet, table: Table, chain: Option<&str>) -> Option<Vec<&'a Chain>> {
    match chain {
        Some(name) => rules.chain(table, name).map(|chain| vec![chain]),
        None => Some(rules.chains(table)),
    }
}

fn policy(policy: Policy) -> &'static str {
    match policy {
        Policy::Accept => "ACCEPT",
        Policy::Drop => "DROP",
    }
}

fn policy_counters(chain: &Chain, verbose: bool) -> String {
    let Counters { packets, bytes } = chain.policy_counters();
    if verbose { format!(" -c {packets} {bytes}") } else { String::new() }
}

fn header(out: &mut String, rules: &RuleSet, table: Table, chain: &Chain, options: ListOptions) {
    let Counters { packets, bytes } = chain.policy_counters();
    let note = match chain.hook() {
        Some(_) if options.verbose => {
            let number = |n| count(n, 0, options.exact);
            format!("policy {} {} packets, {} bytes", policy(chain.policy()), number(packets), number(bytes))
        }
        Some(_) => format!("policy {}", policy(chain.policy())),
        None => format!("{} references", rules.references(table, chain.name())),
    };
    *out += &format!("Chain {} ({note})\n", chain.name());
    if options.line_numbers {
        *out += "num  ";
    }
    if options.verbose {
        *out += if options.exact { "    pkts      bytes " } else { " pkts bytes " };
    }
    *out += "target     prot opt ";
    if options.verbose {
        *out += "in     out     ";
    }
    *out += "source               destination         \n";
}

fn row(out: &mut String, entry: &Entry, family: Family, options: ListOptions) {
    let rule = entry.rule();
    if options.verbose {
        let Counters { packets, bytes } = entry.counters();
        let width = if options.exact { 8 } else { 5 };
        *out += &format!("{} {} ", count(packets, width, options.exact), count(bytes, width, options.exact));
    }
    let (mark, protocol) = rule.protocol.map_or((' ', 0), |p| (negation(p.negated), p.value));
    let protocol = match protocol_name(protocol) {
        Some(name) if !options.numeric => name.to_owned(),
        _ => protocol.to_string(),
    };
    let fragment = match rule.fragment {
        None => "--",
        Some(true) => "-f",
        Some(false) => "!f",
    };
    *out += &format!("{:<9} {mark}{protocol:<4} {fragment} ", target_name(&rule.target));
    if options.verbose {
        let any = if options.numeric { "*" } else { "any" };
        let name = |wanted: Option<Negatable<_>>| match wanted {
            None => any.to_owned(),
            Some(Negatable { negated, value }) => format!("{}{value}", if negated { "!" } else { "" }),
        };
        *out += &format!(" {:<6} {:<6} ", name(rule.in_interface), name(rule.out_interface));
    }
    for (address, end) in [(rule.source, " "), (rule.destination, " ")] {
        let mark = negation(address.is_some_and(|a| a.negated));
        *out += &format!("{mark}{:<19}{end}", address_text(address, family, options.numeric));
    }
    if matches!(rule.target, Target::Goto(_)) {
        *out += "[goto] ";
    }
    *out += &details(rule, family, options.numeric);
    out.push('\n');
}

fn negation(negated: bool) -> char {
    if negated { '!' } else { ' ' }
}

fn address_text(address: Option<Negatable<Cidr>>, family: Family, numeric: bool) -> String {
    let Some(Negatable { value, .. }) = address else {
        return match (numeric, family) {
            (false, _) => "anywhere".to_owned(),
            (true, Family::Ipv4) => "0.0.0.0/0".to_owned(),
            (true, Family::Ipv6) => "::/0".to_owned(),
        };
    };
    let loopback = matches!(value.address(), IpAddr::V4(a) if a.octets() == [127, 0, 0, 1]);
    match value.is_host() {
        true if loopback && !numeric => "localhost".to_owned(),
        true => value.address().to_string(),
        false => value.to_string(),
    }
}

/// A counter right-aligned in `width`: at most five digits, else thousands (K), millions (M), and so on, rounded.
fn count(number: u64, width: usize, exact: bool) -> String {
    if exact || number <= 99_999 {
        return format!("{number:>width$}");
    }
    let mut scaled = number.saturating_add(500) / 1000;
    let mut units = ['K', 'M', 'G', 'T'].into_iter();
    let mut unit = units.next().unwrap_or('K');
    for next in units {
        if scaled <= 9999 {
            break;
        }
        scaled = (scaled + 500) / 1000;
        unit = next;
    }
    format!("{scaled:>0$}{unit}", width.saturating_sub(1))
}

fn target_name(target: &Target) -> &str {
    match target {
        Target::Continue => "",
        Target::Accept => "ACCEPT",
        Target::Drop => "DROP",
        Target::Return => "RETURN",
        Target::Jump(chain) | Target::Goto(chain) => chain,
        Target::Dnat(_) => "DNAT",
        Target::Snat(_) => "SNAT",
        Target::Masquerade(_) => "MASQUERADE",
        Target::Redirect(_) => "REDIRECT",
        Target::Reject(_) => "REJECT",
        Target::Log(_) => "LOG",
        Target::Mark(_) => "MARK",
        Target::ConnMark(_) => "CONNMARK",
        Target::NoTrack { .. } => "CT",
        Target::ChecksumFill => "CHECKSUM",
        Target::TcpMss(_) => "TCPMSS",
    }
}

/// What stands behind the destination: every part with a blank before it.
fn details(rule: &Rule, family: Family, numeric: bool) -> String {
    let names = Names { numeric, protocol: rule.protocol.map_or(0, |p| p.value) };
    let mut parts: Vec<String> = rule.matches.iter().map(|m| match_details(m, family, names)).collect();
    parts.extend(target_details(&rule.target, numeric));
    parts.iter().map(|part| format!(" {part}")).collect()
}

/// How ports are shown: as numbers, or by the service's name over the rule's protocol.
#[derive(Clone, Copy)]
struct Names {
    numeric: bool,
    protocol: u8,
}

fn port_text(ports: Range16, names: Names) -> String {
    let name = |port: u16| match service_name(port, names.protocol) {
        Some(name) if !names.numeric => name.to_owned(),
        _ => port.to_string(),
    };
    if ports.first == ports.last {
        name(ports.first)
    } else {
        format!("{}:{}", name(ports.first), name(ports.last))
    }
}

fn port_details(name: &str, ports: &PortMatch, names: Names) -> String {
    let mut out = name.to_owned();
    for (name, wanted) in [("spt", ports.source), ("dpt", ports.destination)] {
        if let Some(Negatable { negated, value }) = wanted {
            let plural = if value.first == value.last { "" } else { "s" };
            let mark = if negated { "!" } else { "" };
            out += &format!(" {name}{plural}:{mark}{}", port_text(value, names));
        }
    }
    out
}

fn match_details(condition: &Match, family: Family, names: Names) -> String {
    let numeric = names.numeric;
    let not = |negated: bool| if negated { "! " } else { "" };
    match condition {
        Match::Tcp(tcp) => {
            let mut out = port_details("tcp", &tcp.ports, names);
            if let Some(Negatable { negated, value }) = tcp.flags {
                let mark = if negated { "!" } else { "" };
                out += &if numeric {
                    format!(" flags:{mark}0x{:02X}/0x{:02X}", value.mask, value.compared)
                } else {
                    format!(" flags:{mark}{}/{}", tcp_flags(value.mask), tcp_flags(value.compared))
                };
            }
            out
        }
        Match::Udp(ports) => port_details("udp", ports, names),
        Match::Sctp(ports) => port_details("sctp", ports, names),
        Match::Icmp(kind) => icmp_details(*kind, family, numeric),
        Match::Conntrack(conntrack) => conntrack.text("").trim_start().to_owned(),
        Match::State(states) => format!("{}state {}", not(states.negated), state_names(states.value)),
        Match::AddressType { source, destination } => {
            let mut out = "ADDRTYPE match".to_owned();
            for (name, types) in [("src-type", source), ("dst-type", destination)] {
                if let Some(Negatable { negated, value }) = types {
                    out += &format!(" {name} {}{}", if *negated { "!" } else { "" }, type_names(*value));
                }
            }
            out
        }
        Match::Mark(mark) => {
            format!("mark match {}{}", not(mark.negated), masked(mark.value.value, mark.value.mask))
        }
        Match::Comment(text) => format!("/* {text} */"),
        Match::Multiport(multiport) => {
            let MultiportMatch { side, ports } = &**multiport;
            let name = match side {
                PortSide::Source => "sports",
                PortSide::Destination => "dports",
                PortSide::Either => "ports",
            };
            let list: Vec<String> = ports.value.iter().map(|r| port_text(*r, names)).collect();
            format!("multiport {name} {}{}", if ports.negated { " !" } else { "" }, list.join(","))
        }
        Match::IpRange(iprange) => {
            let IpRangeMatch { source, destination } = **iprange;
            let parts = [("source", source), ("destination", destination)].map(|(name, range)| {
                range.map(|r| format!("{name} IP range {}{}-{}", not(r.negated), r.value.first, r.value.last))
            });
            parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
        }
        Match::Limit(limit) => {
            format!("limit: avg {}/{} burst {}", limit.count, unit_name(limit.unit), limit.burst)
        }
        Match::Physdev(_) => format!("PHYSDEV match{}", crate::text_emit::match_options(condition, family)),
        Match::Mac(mac) => format!("MAC {}{}", not(mac.negated), mac_text(mac.value)),
        Match::Length(lengths) => {
            format!("length {}{}", if lengths.negated { "!" } else { "" }, range(lengths.value, ':'))
        }
        Match::Ttl(ttl) => {
            let name = if family == Family::Ipv4 { "TTL" } else { "HL" };
            let (operation, value) = match *ttl {
                TtlMatch::Equal(value) => ("==", value),
                TtlMatch::NotEqual(value) => ("!=", value),
                TtlMatch::Less(value) => ("<", value),
                TtlMatch::Greater(value) => (">", value),
            };
            format!("{name} match {name} {operation} {value}")
        }
    }
}

fn icmp_details(kind: Negatable<IcmpType>, family: Family, numeric: bool) -> String {
    let name = if family == Family::Ipv4 { "icmp" } else { "ipv6-icmp" };
    let mark = if kind.negated { "!" } else { "" };
    if let (false, Some(text)) = (numeric, icmp_name(kind.value, family)) {
        return format!("{name} {mark}{text}");
    }
    let glue = if kind.negated { " !" } else { "" };
    match kind.value {
        IcmpType::Any => format!("{name}{glue}type 255"),
        IcmpType::Type(kind) => format!("{name}{glue}type {kind}"),
        IcmpType::Code(kind, code) => format!("{name}{glue}type {kind} code {code}"),
    }
}

/// Syslog's names of the levels as iptables prints them.
const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "error", "warn", "notice", "info", "debug"];

fn target_details(target: &Target, numeric: bool) -> Option<String> {
    Some(match target {
        Target::Continue
        | Target::Accept
        | Target::Drop
        | Target::Return
        | Target::Jump(_)
        | Target::Goto(_) => return None,
        Target::Dnat(value) | Target::Snat(value) => format!("to:{}{}", nat(value), nat_flags(value, " ")),
        Target::Masquerade(value) | Target::Redirect(value) => {
            let lead = if matches!(target, Target::Redirect(_)) { "redir ports" } else { "masq ports:" };
            let ports = value.ports.map(|p| format!("{lead} {}", range(p, '-'))).unwrap_or_default();
            let text = format!("{ports}{}", nat_flags(value, " "));
            let text = text.trim_start();
            if text.is_empty() {
                return None;
            }
            text.to_owned()
        }
        Target::Reject(with) => format!("reject-with {}", reject_name(*with)),
        Target::Log(log) => {
            let prefix =
                if log.prefix.is_empty() { String::new() } else { format!(" prefix \"{}\"", log.prefix) };
            match LEVELS.get(usize::from(log.level)) {
                Some(level) if !numeric => {
                    let flags: String = LOG_FLAGS
                        .iter()
                        .filter(|(_, bit)| log.flags & bit != 0)
                        .map(|(name, _)| name.trim_start_matches("--log").replacen('-', " ", 1))
                        .collect();
                    format!("LOG level {level}{flags}{prefix}")
                }
                _ => format!("LOG flags {} level {}{prefix}", log.flags, log.level),
            }
        }
        Target::Mark(mark) => {
            let change = if mark.mask == 0 {
                format!("xor {:#x}", mark.value)
            } else if mark.value == 0 && mark.mask != u32::MAX {
                format!("and {:#x}", !mark.mask)
            } else if mark.value == mark.mask {
                format!("or {:#x}", mark.value)
            } else if mark.mask == u32::MAX {
                format!("set {:#x}", mark.value)
            } else {
                format!("xset {:#x}/{:#x}", mark.value, mark.mask)
            };
            format!("MARK {change}")
        }
        Target::ConnMark(ConnMark::Set(mark)) => {
            if mark.mask == u32::MAX {
                format!("CONNMARK set {:#x}", mark.value)
            } else {
                format!("CONNMARK xset {:#x}/{:#x}", mark.value, mark.mask)
            }
        }
        Target::ConnMark(ConnMark::Save { nfmask, ctmask }) => {
            format!("CONNMARK save{}", mask_text("nfmask", *nfmask, "ctmask", *ctmask))
        }
        Target::ConnMark(ConnMark::Restore { nfmask, ctmask }) => {
            format!("CONNMARK restore{}", mask_text("ctmask", *ctmask, "nfmask", *nfmask))
        }
        Target::NoTrack { legacy: true } => "NOTRACK".to_owned(),
        Target::NoTrack { legacy: false } => "CT notrack".to_owned(),
        Target::ChecksumFill => "CHECKSUM fill".to_owned(),
        Target::TcpMss(TcpMss::ClampToPmtu) => "TCPMSS clamp to PMTU".to_owned(),
        Target::TcpMss(TcpMss::Set(mss)) => format!("TCPMSS set {mss}"),
    })
}

fn mask_text(first: &str, first_mask: u32, second: &str, second_mask: u32) -> String {
    if first_mask == u32::MAX && second_mask == u32::MAX {
        String::new()
    } else if first_mask == second_mask {
        format!(" mask {first_mask:#x}")
    } else {
        format!(" {first} {first_mask:#x} {second} ~{second_mask:#x}")
    }
}
