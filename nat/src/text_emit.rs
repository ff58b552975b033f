//! The text of a rule as `iptables -S` and iptables-save of iptables 1.8.9 print it.

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::names::protocol_name;
use crate::rule::{
    AddressRange, AddressTypeSet, ConnMark, Family, IcmpType, InterfacePattern, IpRangeMatch, LimitUnit,
    Match, MultiportMatch, NatRange, Negatable, PortMatch, PortSide, RandomPorts, Range16, RejectWith, Rule,
    StateSet, Target, TcpMss, TtlMatch,
};
use crate::ruleset::Counters;

/// The specification of a rule: everything behind `-A chain `, empty for a rule without conditions and target.
/// Parsing it gives the rule back.
pub fn emit_rule(rule: &Rule, family: Family) -> String {
    emit_counted(rule, family, None)
}

/// As [`emit_rule`], with `-c packets bytes` before the target.
pub(crate) fn emit_counted(rule: &Rule, family: Family, counters: Option<Counters>) -> String {
    let mut words: Vec<String> = Vec::new();
    if let Some(source) = rule.source {
        words.push(format!("{}-s {}", bang(source.negated), source.value));
    }
    if let Some(destination) = rule.destination {
        words.push(format!("{}-d {}", bang(destination.negated), destination.value));
    }
    if let Some(name) = rule.in_interface {
        words.push(format!("{}-i {}", bang(name.negated), name.value));
    }
    if let Some(name) = rule.out_interface {
        words.push(format!("{}-o {}", bang(name.negated), name.value));
    }
    if let Some(protocol) = rule.protocol {
        let text =
            protocol_name(protocol.value).map_or_else(|| protocol.value.to_string(), |name| name.to_owned());
        words.push(format!("{}-p {text}", bang(protocol.negated)));
    }
    if let Some(wanted) = rule.fragment {
        words.push(format!("{}-f", bang(!wanted)));
    }
    words.extend(
        rule.matches.iter().map(|m| format!("-m {}{}", match_name(m, family), match_options(m, family))),
    );
    if let Some(counters) = counters {
        words.push(format!("-c {} {}", counters.packets, counters.bytes));
    }
    if let Some(target) = target_text(&rule.target) {
        words.push(target);
    }
    words.join(" ")
}

/// The name by which `-m` loads a match.
pub(crate) fn match_name(condition: &Match, family: Family) -> &'static str {
    match (condition, family) {
        (Match::Tcp(_), _) => "tcp",
        (Match::Udp(_), _) => "udp",
        (Match::Sctp(_), _) => "sctp",
        (Match::Icmp(_), Family::Ipv4) => "icmp",
        (Match::Icmp(_), Family::Ipv6) => "icmp6",
        (Match::Conntrack(_), _) => "conntrack",
        (Match::State(_), _) => "state",
        (Match::AddressType { .. }, _) => "addrtype",
        (Match::Mark(_), _) => "mark",
        (Match::Comment(_), _) => "comment",
        (Match::Multiport(_), _) => "multiport",
        (Match::IpRange(_), _) => "iprange",
        (Match::Limit(_), _) => "limit",
        (Match::Physdev(_), _) => "physdev",
        (Match::Mac(_), _) => "mac",
        (Match::Length(_), _) => "length",
        (Match::Ttl(_), Family::Ipv4) => "ttl",
        (Match::Ttl(_), Family::Ipv6) => "hl",
    }
}

/// The options of a match, each with a blank before it.
pub(crate) fn match_options(condition: &Match, family: Family) -> String {
    let mut out = String::new();
    match condition {
        Match::Tcp(tcp) => {
            ports(&mut out, &tcp.ports);
            if let Some(f) = tcp.flags {
                option(&mut out, f.negated, "--tcp-flags", &tcp_flags(f.value.mask));
                out.push(' ');
                out.push_str(&tcp_flags(f.value.compared));
            }
        }
        Match::Udp(value) | Match::Sctp(value) => ports(&mut out, value),
        Match::Icmp(kind) => {
            let name = if family == Family::Ipv4 { "--icmp-type" } else { "--icmpv6-type" };
            let text = match kind.value {
                IcmpType::Any => "any".to_owned(),
                IcmpType::Type(kind) => kind.to_string(),
                IcmpType::Code(kind, code) => format!("{kind}/{code}"),
            };
            option(&mut out, kind.negated, name, &text);
        }
        Match::Conntrack(conntrack) => out.push_str(&conntrack.text("--")),
        Match::State(states) => option(&mut out, states.negated, "--state", &state_names(states.value)),
        Match::AddressType { source, destination } => {
            for (name, types) in [("--src-type", source), ("--dst-type", destination)] {
                if let Some(types) = types {
                    option(&mut out, types.negated, name, &type_names(types.value));
                }
            }
        }
        Match::Mark(mark) => {
            option(&mut out, mark.negated, "--mark", &masked(mark.value.value, mark.value.mask));
        }
        Match::Comment(text) => option(&mut out, false, "--comment", &quoted(text)),
        Match::Multiport(multiport) => {
            let MultiportMatch { side, ports } = &**multiport;
            let name = match side {
                PortSide::Source => "--sports",
                PortSide::Destination => "--dports",
                PortSide::Either => "--ports",
            };
            let list: Vec<String> = ports.value.iter().map(|r| range(*r, ':')).collect();
            option(&mut out, ports.negated, name, &list.join(","));
        }
        Match::IpRange(iprange) => {
            let IpRangeMatch { source, destination } = **iprange;
            for (name, addresses) in [("--src-range", source), ("--dst-range", destination)] {
                if let Some(a) = addresses {
                    option(&mut out, a.negated, name, &format!("{}-{}", a.value.first, a.value.last));
                }
            }
        }
        Match::Limit(limit) => {
            option(&mut out, false, "--limit", &format!("{}/{}", limit.count, unit_name(limit.unit)));
            if limit.burst != DEFAULT_BURST {
                option(&mut out, false, "--limit-burst", &limit.burst.to_string());
            }
        }
        Match::Physdev(p) => {
            interface(&mut out, "--physdev-in", p.input);
            flag(&mut out, "--physdev-is-in", p.is_in);
            interface(&mut out, "--physdev-out", p.output);
            flag(&mut out, "--physdev-is-out", p.is_out);
            flag(&mut out, "--physdev-is-bridged", p.is_bridged);
        }
        Match::Mac(mac) => option(&mut out, mac.negated, "--mac-source", &mac_text(mac.value)),
        Match::Length(lengths) => option(&mut out, lengths.negated, "--length", &range(lengths.value, ':')),
        Match::Ttl(ttl) => {
            let name = if family == Family::Ipv4 { "ttl" } else { "hl" };
            let (negated, operation, value) = match *ttl {
                TtlMatch::Equal(value) => (false, "eq", value),
                TtlMatch::NotEqual(value) => (true, "eq", value),
                TtlMatch::Less(value) => (false, "lt", value),
                TtlMatch::Greater(value) => (false, "gt", value),
            };
            option(&mut out, negated, &format!("--{name}-{operation}"), &value.to_string());
        }
    }
    out
}

fn target_text(target: &Target) -> Option<String> {
    let text = match target {
        Target::Continue => return None,
        Target::Accept => "ACCEPT".to_owned(),
        Target::Drop => "DROP".to_owned(),
        Target::Return => "RETURN".to_owned(),
        Target::Jump(chain) => chain.to_string(),
        Target::Goto(chain) => return Some(format!("-g {chain}")),
        Target::Dnat(value) => format!("DNAT --to-destination {}{}", nat(value), nat_flags(value, " --")),
        Target::Snat(value) => format!("SNAT --to-source {}{}", nat(value), nat_flags(value, " --")),
        Target::Masquerade(value) | Target::Redirect(value) => {
            let name = if matches!(target, Target::Redirect(_)) { "REDIRECT" } else { "MASQUERADE" };
            let ports = value.ports.map_or_else(String::new, |p| format!(" --to-ports {}", range(p, '-')));
            format!("{name}{ports}{}", nat_flags(value, " --"))
        }
        Target::Reject(with) => format!("REJECT --reject-with {}", reject_name(*with)),
        Target::Log(log) => {
            let mut text = "LOG".to_owned();
            if !log.prefix.is_empty() {
                option(&mut text, false, "--log-prefix", &quoted(&log.prefix));
            }
            if log.level != DEFAULT_LOG_LEVEL {
                option(&mut text, false, "--log-level", &log.level.to_string());
            }
            for (name, bit) in LOG_FLAGS {
                flag(&mut text, name, (log.flags & bit != 0).then_some(true));
            }
            text
        }
        Target::Mark(mark) => format!("MARK --set-xmark {:#x}/{:#x}", mark.value, mark.mask),
        Target::ConnMark(ConnMark::Set(mark)) => {
            format!("CONNMARK --set-xmark {:#x}/{:#x}", mark.value, mark.mask)
        }
        Target::ConnMark(ConnMark::Save { nfmask, ctmask }) => {
            format!("CONNMARK --save-mark --nfmask {nfmask:#x} --ctmask {ctmask:#x}")
        }
        Target::ConnMark(ConnMark::Restore { nfmask, ctmask }) => {
            format!("CONNMARK --restore-mark --nfmask {nfmask:#x} --ctmask {ctmask:#x}")
        }
        Target::NoTrack { legacy: true } => "NOTRACK".to_owned(),
        Target::NoTrack { legacy: false } => "CT --notrack".to_owned(),
        Target::ChecksumFill => "CHECKSUM --checksum-fill".to_owned(),
        Target::TcpMss(TcpMss::ClampToPmtu) => "TCPMSS --clamp-mss-to-pmtu".to_owned(),
        Target::TcpMss(TcpMss::Set(mss)) => format!("TCPMSS --set-mss {mss}"),
    };
    Some(format!("-j {text}"))
}

/// `--limit-burst` when not given (`libxt_limit.c`).
pub(crate) const DEFAULT_BURST: u32 = 5;
/// `--log-level` when not given: warning.
pub(crate) const DEFAULT_LOG_LEVEL: u8 = 4;
/// The options of LOG and their XT_LOG_* bits (`linux/netfilter/xt_LOG.h`).
pub(crate) const LOG_FLAGS: [(&str, u8); 5] = [
    ("--log-tcp-sequence", 1),
    ("--log-tcp-options", 2),
    ("--log-ip-options", 4),
    ("--log-uid", 8),
    ("--log-macdecode", 32),
];
/// The kinds of REJECT by name; the second name is an alias.
pub(crate) const REJECTS: [(Family, &str, &str, RejectWith); 14] = [
    (Family::Ipv4, "icmp-net-unreachable", "net-unreach", RejectWith::IcmpUnreachable(0)),
    (Family::Ipv4, "icmp-host-unreachable", "host-unreach", RejectWith::IcmpUnreachable(1)),
    (Family::Ipv4, "icmp-proto-unreachable", "proto-unreach", RejectWith::IcmpUnreachable(2)),
    (Family::Ipv4, "icmp-port-unreachable", "port-unreach", RejectWith::IcmpUnreachable(3)),
    (Family::Ipv4, "icmp-net-prohibited", "net-prohib", RejectWith::IcmpUnreachable(9)),
    (Family::Ipv4, "icmp-host-prohibited", "host-prohib", RejectWith::IcmpUnreachable(10)),
    (Family::Ipv4, "icmp-admin-prohibited", "admin-prohib", RejectWith::IcmpUnreachable(13)),
    (Family::Ipv4, "tcp-reset", "tcp-rst", RejectWith::TcpReset),
    (Family::Ipv6, "icmp6-no-route", "no-route", RejectWith::Icmp6Unreachable(0)),
    (Family::Ipv6, "icmp6-adm-prohibited", "adm-prohibited", RejectWith::Icmp6Unreachable(1)),
    (Family::Ipv6, "icmp6-addr-unreachable", "addr-unreach", RejectWith::Icmp6Unreachable(3)),
    (Family::Ipv6, "icmp6-port-unreachable", "port-unreach", RejectWith::Icmp6Unreachable(4)),
    (Family::Ipv6, "icmp6-policy-fail", "policy-fail", RejectWith::Icmp6Unreachable(5)),
    (Family::Ipv6, "tcp-reset", "tcp-reset", RejectWith::TcpReset),
];

pub(crate) fn reject_name(with: RejectWith) -> &'static str {
    REJECTS.iter().find(|(_, _, _, w)| *w == with).map_or("icmp-port-unreachable", |(_, name, _, _)| name)
}

pub(crate) fn unit_name(unit: LimitUnit) -> &'static str {
    match unit {
        LimitUnit::Second => "sec",
        LimitUnit::Minute => "min",
        LimitUnit::Hour => "hour",
        LimitUnit::Day => "day",
    }
}

/// TCP flag names in header order; the order in which iptables prints them.
pub(crate) const TCP_FLAGS: [(&str, u8); 6] =
    [("FIN", 1), ("SYN", 2), ("RST", 4), ("PSH", 8), ("ACK", 16), ("URG", 32)];

pub(crate) fn tcp_flags(bits: u8) -> String {
    if bits == 0 {
        return "NONE".to_owned();
    }
    let names: Vec<&str> =
        TCP_FLAGS.iter().filter(|(_, bit)| bits & bit != 0).map(|(name, _)| *name).collect();
    names.join(",")
}

pub(crate) fn state_names(states: StateSet) -> String {
    let names: Vec<&str> =
        StateSet::NAMES.iter().filter(|(_, s)| states.intersects(*s)).map(|(name, _)| *name).collect();
    names.join(",")
}

pub(crate) fn type_names(types: AddressTypeSet) -> String {
    let names: Vec<&str> =
        AddressTypeSet::NAMES.iter().filter(|(_, t)| types.contains(*t)).map(|(name, _)| *name).collect();
    names.join(",")
}

pub(crate) fn masked(value: u32, mask: u32) -> String {
    if mask == u32::MAX { format!("{value:#x}") } else { format!("{value:#x}/{mask:#x}") }
}

pub(crate) fn range(range: Range16, separator: char) -> String {
    if range.first == range.last {
        range.first.to_string()
    } else {
        format!("{}{separator}{}", range.first, range.last)
    }
}

pub(crate) fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// The addresses and ports of a translation; IPv6 addresses stand in brackets when ports follow.
pub(crate) fn nat(value: &NatRange) -> String {
    let addresses = value.addresses.map_or_else(String::new, |AddressRange { first, last }| {
        let bracket = first.is_ipv6() && value.ports.is_some();
        let show = |a: IpAddr| if bracket { format!("[{a}]") } else { a.to_string() };
        if first == last { show(first) } else { format!("{}-{}", show(first), show(last)) }
    });
    let ports = value.ports.map_or_else(String::new, |p| format!(":{}", range(p, '-')));
    addresses + &ports
}

/// The flags of a translation, each behind `lead`.
pub(crate) fn nat_flags(value: &NatRange, lead: &str) -> String {
    let random = match value.random {
        RandomPorts::No => String::new(),
        RandomPorts::Random => format!("{lead}random"),
        RandomPorts::Fully => format!("{lead}random-fully"),
    };
    if value.persistent { format!("{random}{lead}persistent") } else { random }
}

/// A text as iptables quotes it: as it is if it holds only letters, digits, `_` and `-`.
pub(crate) fn quoted(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        if matches!(c, '"' | '\'' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

impl std::fmt::Display for InterfacePattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            InterfacePattern::Exact(name) => write!(f, "{name}"),
            InterfacePattern::Prefix(name) => write!(f, "{name}+"),
        }
    }
}

fn bang(negated: bool) -> &'static str {
    if negated { "! " } else { "" }
}

fn option(out: &mut String, negated: bool, name: &str, value: &str) {
    // Writing to a String cannot fail.
    let _ = write!(out, " {}{name} {value}", bang(negated));
}

fn flag(out: &mut String, name: &str, wanted: Option<bool>) {
    if let Some(yes) = wanted {
        let _ = write!(out, " {}{name}", bang(!yes));
    }
}

fn interface(out: &mut String, name: &str, wanted: Option<Negatable<InterfacePattern>>) {
    if let Some(wanted) = wanted {
        option(out, wanted.negated, name, &wanted.value.to_string());
    }
}

fn ports(out: &mut String, wanted: &PortMatch) {
    for (name, value) in [("--sport", wanted.source), ("--dport", wanted.destination)] {
        if let Some(value) = value {
            option(out, value.negated, name, &range(value.value, ':'));
        }
    }
}
