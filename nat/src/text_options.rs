//! The options of matches and targets on an iptables command line, collected into a [`Rule`].

use crate::conntrack_match::ConntrackMatch;
use crate::names::parse_icmp;
use crate::rule::{
    AddressTypeSet, ConnMark, Family, IcmpType, InterfacePattern, Limit, LimitUnit, Log, MaskedMark, Match,
    MultiportMatch, NatRange, Negatable, PortMatch, PortSide, RandomPorts, Range16, RejectWith, Rule,
    StateSet, Target, TcpFlags, TcpMatch, TcpMss, TtlMatch,
};
use crate::ruleset::Table;
use crate::text::{IptablesError, NAT_DROP, parameter};
use crate::text_emit::{DEFAULT_BURST, DEFAULT_LOG_LEVEL, LOG_FLAGS, REJECTS, match_name};
use crate::text_values::{
    address_range, flag_bits, interface, log_level, mac_address, mark_and_mask, nat_ports, nat_range,
    number32, port_range, rate, states_of,
};

/// Targets that are no chains, including those that are known but refused.
const TARGETS: [&str; 18] = [
    "ACCEPT",
    "DROP",
    "RETURN",
    "QUEUE",
    "DNAT",
    "SNAT",
    "MASQUERADE",
    "REDIRECT",
    "REJECT",
    "LOG",
    "MARK",
    "CONNMARK",
    "NOTRACK",
    "CT",
    "CHECKSUM",
    "TCPMSS",
    "NFQUEUE",
    "TPROXY",
];

/// Whether a chain may not have this name.
pub(crate) fn is_target_name(name: &str) -> bool {
    TARGETS.contains(&name)
}

/// A rule under construction.
pub(crate) struct RuleBuilder {
    pub(crate) rule: Rule,
    family: Family,
    loaded: Vec<Loaded>,
    target: Option<(String, bool)>,
}

/// A match and whether any option of it has been given.
struct Loaded {
    condition: Match,
    given: bool,
}

/// Words an option took; `None` if the option is not known.
type Taken = Result<Option<usize>, IptablesError>;

impl RuleBuilder {
    pub(crate) fn new(family: Family) -> RuleBuilder {
        RuleBuilder { rule: Rule::default(), family, loaded: Vec::new(), target: None }
    }

    /// `-m name`.
    pub(crate) fn load(&mut self, name: &str) -> Result<(), IptablesError> {
        let Some(condition) = empty_match(name, self.family) else {
            return parameter(format!("Couldn't load match `{name}':No such file or directory\n"));
        };
        self.loaded.push(Loaded { condition, given: false });
        Ok(())
    }

    /// `-j name`.
    pub(crate) fn target(&mut self, name: &str, option: &str) -> Result<(), IptablesError> {
        if self.target.is_some() {
            return parameter(format!("multiple {option} flags not allowed"));
        }
        let plain = NatRange::default();
        self.target = Some((name.to_owned(), false));
        self.rule.target = match name {
            "ACCEPT" => Target::Accept,
            "DROP" => Target::Drop,
            "RETURN" => Target::Return,
            "DNAT" => Target::Dnat(plain),
            "SNAT" => Target::Snat(plain),
            "MASQUERADE" => Target::Masquerade(plain),
            "REDIRECT" => Target::Redirect(plain),
            "REJECT" => Target::Reject(match self.family {
                Family::Ipv4 => RejectWith::IcmpUnreachable(3),
                Family::Ipv6 => RejectWith::Icmp6Unreachable(4),
            }),
            "LOG" => Target::Log(Log { prefix: String::new(), level: DEFAULT_LOG_LEVEL, flags: 0 }),
            "MARK" => Target::Mark(MaskedMark { value: 0, mask: 0 }),
            "CONNMARK" => Target::ConnMark(ConnMark::Set(MaskedMark { value: 0, mask: 0 })),
            "NOTRACK" => Target::NoTrack { legacy: true },
            "CT" => Target::NoTrack { legacy: false },
            "CHECKSUM" => Target::ChecksumFill,
            "TCPMSS" => Target::TcpMss(TcpMss::ClampToPmtu),
            name if is_target_name(name) => {
                return parameter(format!("Couldn't load target `{name}':No such file or directory\n"));
            }
            chain => Target::Jump(chain.into()),
        };
        Ok(())
    }

    /// `-g name`.
    pub(crate) fn goto(&mut self, name: &str) -> Result<(), IptablesError> {
        if self.target.is_some() {
            return parameter("multiple -g flags not allowed");
        }
        self.target = Some((name.to_owned(), true));
        self.rule.target = Target::Goto(name.into());
        Ok(())
    }

    /// `-i` or `-o`; `+` alone is every interface and no condition.
    pub(crate) fn interface(
        &self,
        name: &str,
        negated: bool,
    ) -> Result<Option<Negatable<InterfacePattern>>, IptablesError> {
        match name {
            "+" if negated => parameter("rule would never match an interface"),
            "+" => Ok(None),
            name => Ok(Some(Negatable { negated, value: interface(name)? })),
        }
    }

    /// Any other option: of the target, of a loaded match, or of the protocol's match, which is then loaded. Gives
    /// how many of `rest` it took.
    pub(crate) fn option(
        &mut self,
        name: &str,
        negated: bool,
        rest: &[String],
    ) -> Result<usize, IptablesError> {
        if let Some(count) = target_option(&mut self.rule.target, name, negated, rest, self.family)? {
            if let Some((_, given)) = &mut self.target {
                *given = true;
            }
            return Ok(count);
        }
        if let Some(count) = self.match_option(name, negated, rest)? {
            return Ok(count);
        }
        let protocol = match (self.rule.protocol, self.family) {
            (Some(Negatable { negated: false, value: 6 }), _) => "tcp",
            (Some(Negatable { negated: false, value: 17 }), _) => "udp",
            (Some(Negatable { negated: false, value: 132 }), _) => "sctp",
            (Some(Negatable { negated: false, value: 1 }), Family::Ipv4) => "icmp",
            (Some(Negatable { negated: false, value: 58 }), Family::Ipv6) => "icmp6",
            _ => "",
        };
        let unloaded = !self.loaded.iter().any(|l| match_name(&l.condition, self.family) == protocol);
        if unloaded && let Some(condition) = empty_match(protocol, self.family) {
            self.loaded.push(Loaded { condition, given: false });
            if let Some(count) = self.match_option(name, negated, rest)? {
                return Ok(count);
            }
        }
        parameter(format!("unknown option \"{name}\""))
    }

    fn match_option(&mut self, name: &str, negated: bool, rest: &[String]) -> Taken {
        for loaded in self.loaded.iter_mut().rev() {
            if let Some(count) = match_option(&mut loaded.condition, name, negated, rest, self.family)? {
                loaded.given = true;
                return Ok(Some(count));
            }
        }
        Ok(None)
    }

    /// The rule, after the checks that iptables makes at the end.
    pub(crate) fn finish(&mut self, table: Table) -> Result<Rule, IptablesError> {
        let mut rule = self.rule.clone();
        let protocol = rule.protocol.filter(|p| !p.negated).map(|p| p.value);
        for Loaded { condition, given } in &self.loaded {
            check_match(condition, *given, protocol, self.family)?;
            rule.matches.push(condition.clone());
        }
        let given = self.target.as_ref().is_some_and(|(_, given)| *given);
        check_target(&rule.target, given, table, protocol)?;
        Ok(rule)
    }
}

fn empty_match(name: &str, family: Family) -> Option<Match> {
    let no_states = Negatable::plain(StateSet::default());
    Some(match (name, family) {
        ("tcp", _) => Match::Tcp(TcpMatch::default()),
        ("udp", _) => Match::Udp(PortMatch::default()),
        ("sctp", _) => Match::Sctp(PortMatch::default()),
        ("icmp", Family::Ipv4) | ("icmp6" | "icmpv6" | "ipv6-icmp", Family::Ipv6) => {
            Match::Icmp(Negatable::plain(IcmpType::Any))
        }
        ("conntrack", _) => Match::Conntrack(Box::default()),
        ("state", _) => Match::State(no_states),
        ("addrtype", _) => Match::AddressType { source: None, destination: None },
        ("mark", _) => Match::Mark(Negatable::plain(MaskedMark { value: 0, mask: 0 })),
        ("comment", _) => Match::Comment(String::new()),
        ("multiport", _) => {
            let ports = Negatable::plain(Vec::new());
            Match::Multiport(Box::new(MultiportMatch { side: PortSide::Either, ports }))
        }
        ("iprange", _) => Match::IpRange(Box::default()),
        ("limit", _) => Match::Limit(Limit { count: 3, unit: LimitUnit::Hour, burst: DEFAULT_BURST }),
        ("physdev", _) => Match::Physdev(Box::default()),
        ("mac", _) => Match::Mac(Negatable::plain([0; 6])),
        ("length", _) => Match::Length(Negatable::plain(Range16 { first: 0, last: 0 })),
        ("ttl", Family::Ipv4) | ("hl", Family::Ipv6) => Match::Ttl(TtlMatch::Equal(0)),
        _ => return None,
    })
}

fn check_match(
    condition: &Match,
    given: bool,
    protocol: Option<u8>,
    family: Family,
) -> Result<(), IptablesError> {
    let name = match_name(condition, family);
    let needed = match condition {
        Match::Tcp(_) => Some((6, "TCP", "tcp")),
        Match::Udp(_) => Some((17, "UDP", "udp")),
        Match::Sctp(_) => Some((132, "SCTP", "sctp")),
        Match::Icmp(_) if family == Family::Ipv4 => Some((1, "ICMP", "icmp")),
        Match::Icmp(_) => Some((58, "ICMPv6", "ipv6-icmp")),
        _ => None,
    };
    if let Some((number, upper, lower)) = needed
        && protocol != Some(number)
    {
        return parameter(format!("{upper} match requires '-p {lower}'"));
    }
    if let (Match::Multiport(_), None | Some(0..=5 | 7..=16 | 18..=32 | 34..=131 | 133..=135 | 137..)) =
        (condition, protocol)
    {
        return parameter("multiport needs `-p tcp', `-p udp', `-p udplite', `-p sctp' or `-p dccp'");
    }
    if given {
        return Ok(());
    }
    let required = |option: &str| parameter(format!("{name}: option \"{option}\" must be specified\n"));
    match condition {
        Match::Tcp(_) | Match::Udp(_) | Match::Sctp(_) | Match::Limit(_) => Ok(()),
        Match::Icmp(_) if family == Family::Ipv4 => required("--icmp-type"),
        Match::Icmp(_) => required("--icmpv6-type"),
        Match::Conntrack(_) => parameter("conntrack: At least one option is required"),
        Match::State(_) => required("--state"),
        Match::AddressType { .. } => parameter("addrtype: you must specify --src-type or --dst-type"),
        Match::Mark(_) => required("--mark"),
        Match::Comment(_) => required("--comment"),
        Match::Multiport(_) => parameter("multiport expection an option"),
        Match::IpRange(_) => parameter("iprange match: You must specify `--src-range' or `--dst-range'"),
        Match::Physdev(_) => parameter("PHYSDEV: no physdev option specified"),
        Match::Mac(_) => required("--mac-source"),
        Match::Length(_) => required("--length"),
        Match::Ttl(_) => parameter("TTL match: You must specify one of `--ttl-eq', `--ttl-lt', `--ttl-gt"),
    }
}

fn check_target(
    target: &Target,
    given: bool,
    table: Table,
    protocol: Option<u8>,
) -> Result<(), IptablesError> {
    let required =
        |name: &str, option: &str| parameter(format!("{name}: option \"{option}\" must be specified\n"));
    match target {
        Target::Drop if table == Table::Nat => return parameter(NAT_DROP),
        Target::Dnat(range) if range.addresses.is_none() && range.ports.is_none() => {
            return required("DNAT", "--to-destination");
        }
        Target::Snat(range) if range.addresses.is_none() && range.ports.is_none() => {
            return required("SNAT", "--to-source");
        }
        Target::Mark(_) if !given => {
            return parameter("MARK: One of the --set-xmark, --{and,or,xor,set}-mark options is required");
        }
        Target::ConnMark(_) if !given => return parameter("CONNMARK target: No operation specified"),
        Target::ChecksumFill if !given => return required("CHECKSUM", "--checksum-fill"),
        Target::NoTrack { legacy: false } if !given => return required("CT", "--notrack"),
        Target::TcpMss(_) if !given => return parameter("TCPMSS target: At least one parameter is required"),
        _ => {}
    }
    if let Target::Dnat(range) | Target::Snat(range) | Target::Masquerade(range) | Target::Redirect(range) =
        target
        && range.ports.is_some()
        && !matches!(protocol, Some(6 | 17 | 33 | 132))
    {
        return parameter("Need TCP, UDP, SCTP or DCCP with port specification");
    }
    Ok(())
}

fn value<'a>(name: &str, rest: &'a [String]) -> Result<&'a str, IptablesError> {
    match rest.first() {
        Some(value) => Ok(value),
        None => parameter(format!("option \"{name}\" requires an argument")),
    }
}

fn match_option(condition: &mut Match, name: &str, negated: bool, rest: &[String], family: Family) -> Taken {
    match condition {
        Match::Tcp(tcp) => match name {
            "--syn" => {
                tcp.flags = Some(Negatable { negated, value: TcpFlags::SYN });
                return Ok(Some(0));
            }
            "--tcp-flags" => {
                let (mask, compared) = (value(name, rest)?, rest.get(1));
                let Some(compared) = compared.filter(|c| !c.starts_with('-') && *c != "!") else {
                    return parameter("--tcp-flags requires two args.");
                };
                let flags = TcpFlags { mask: flag_bits(mask)?, compared: flag_bits(compared)? };
                tcp.flags = Some(Negatable { negated, value: flags });
                return Ok(Some(2));
            }
            _ => return port_option(&mut tcp.ports, name, negated, rest),
        },
        Match::Udp(ports) | Match::Sctp(ports) => return port_option(ports, name, negated, rest),
        Match::Icmp(kind) => {
            let known = match family {
                Family::Ipv4 => name == "--icmp-type",
                Family::Ipv6 => name == "--icmpv6-type",
            };
            if !known {
                return Ok(None);
            }
            let text = value(name, rest)?;
            let Some(value) = parse_icmp(text, family) else {
                let what = if family == Family::Ipv4 { "ICMP" } else { "ICMPv6" };
                return parameter(format!("Unknown {what} type `{text}'"));
            };
            *kind = Negatable { negated, value };
        }
        Match::Conntrack(conntrack) => match ConntrackMatch::option_of(name) {
            Some(option) => conntrack.set(option, negated, value(name, rest)?, family)?,
            None => return Ok(None),
        },
        Match::State(states) if name == "--state" => {
            *states = Negatable { negated, value: states_of(value(name, rest)?, "state", 5)? };
        }
        Match::AddressType { source, destination } => {
            let slot = match name {
                "--src-type" => source,
                "--dst-type" => destination,
                _ => return Ok(None),
            };
            let mut types = AddressTypeSet::default();
            for word in value(name, rest)?.split(',') {
                match AddressTypeSet::NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)) {
                    Some((_, kind)) => types = types.with(*kind),
                    None => return parameter(format!("addrtype: bad type \"{word}\"")),
                }
            }
            *slot = Some(Negatable { negated, value: types });
        }
        Match::Mark(mark) if name == "--mark" => {
            *mark = Negatable { negated, value: mark_and_mask(value(name, rest)?, "mark", name)? };
        }
        Match::Comment(text) if name == "--comment" => {
            let new = value(name, rest)?;
            if new.len() > 255 || new.contains('\n') {
                return parameter("COMMENT: Comment must be one line of at most 255 characters");
            }
            new.clone_into(text);
        }
        Match::Multiport(multiport) => {
            multiport.side = match name {
                "--sports" | "--source-ports" => PortSide::Source,
                "--dports" | "--destination-ports" => PortSide::Destination,
                "--ports" => PortSide::Either,
                _ => return Ok(None),
            };
            let list = value(name, rest)?;
            let ranges: Result<Vec<_>, _> = list.split(',').map(port_range).collect();
            let ranges = ranges?;
            if ranges.iter().map(|r| if r.first == r.last { 1 } else { 2 }).sum::<usize>() > 15 {
                return parameter("too many ports specified");
            }
            multiport.ports = Negatable { negated, value: ranges };
        }
        Match::IpRange(iprange) => {
            let slot = match name {
                "--src-range" => &mut iprange.source,
                "--dst-range" => &mut iprange.destination,
                _ => return Ok(None),
            };
            let text = value(name, rest)?;
            let Some(value) = address_range(text, family) else {
                return parameter(format!("iprange: Bad value for \"{name}\" option: \"{text}\""));
            };
            *slot = Some(Negatable { negated, value });
        }
        Match::Limit(limit) => {
            if negated && matches!(name, "--limit" | "--limit-burst") {
                return parameter(format!("limit: option \"{name}\" cannot be inverted.\n"));
            }
            match name {
                "--limit" => (limit.count, limit.unit) = rate(value(name, rest)?)?,
                "--limit-burst" => match value(name, rest)?.parse() {
                    Ok(burst @ 0..=10_000) => limit.burst = if burst == 0 { DEFAULT_BURST } else { burst },
                    _ => {
                        return parameter(format!(
                            "limit: bad value for option \"{name}\", or out of range (0-10000).\n"
                        ));
                    }
                },
                _ => return Ok(None),
            }
        }
        Match::Physdev(physdev) => match name {
            "--physdev-in" => {
                physdev.input = Some(Negatable { negated, value: interface(value(name, rest)?)? });
            }
            "--physdev-out" => {
                physdev.output = Some(Negatable { negated, value: interface(value(name, rest)?)? });
            }
            "--physdev-is-in" => {
                physdev.is_in = Some(!negated);
                return Ok(Some(0));
            }
            "--physdev-is-out" => {
                physdev.is_out = Some(!negated);
                return Ok(Some(0));
            }
            "--physdev-is-bridged" => {
                physdev.is_bridged = Some(!negated);
                return Ok(Some(0));
            }
            _ => return Ok(None),
        },
        Match::Mac(mac) if name == "--mac-source" => {
            let Some(value) = mac_address(value(name, rest)?) else {
                return parameter("Invalid MAC address specified.");
            };
            *mac = Negatable { negated, value };
        }
        Match::Length(lengths) if name == "--length" => {
            let text = value(name, rest)?;
            let (first, last) = text.split_once(':').unwrap_or((text, text));
            let first = if first.is_empty() { Some(0) } else { first.parse().ok() };
            let last = if last.is_empty() { Some(u16::MAX) } else { last.parse().ok() };
            match (first, last) {
                (Some(first), Some(last)) if first <= last => {
                    *lengths = Negatable { negated, value: Range16 { first, last } };
                }
                _ => {
                    return parameter(format!(
                        "length: bad value for option \"{name}\" near \"{text}\", or out of range (0-65535).\n"
                    ));
                }
            }
        }
        Match::Ttl(ttl) => {
            let prefix = if family == Family::Ipv4 { "ttl" } else { "hl" };
            let kind = name.strip_prefix("--").and_then(|n| n.strip_prefix(prefix));
            let make: fn(u8) -> TtlMatch = match (kind, negated) {
                (Some("" | "-eq"), false) => TtlMatch::Equal,
                (Some("" | "-eq"), true) => TtlMatch::NotEqual,
                (Some("-lt"), false) => TtlMatch::Less,
                (Some("-gt"), false) => TtlMatch::Greater,
                (Some("-lt" | "-gt"), true) => {
                    return parameter(format!("{prefix}: option \"{name}\" cannot be inverted.\n"));
                }
                _ => return Ok(None),
            };
            match value(name, rest)?.parse() {
                Ok(value) => *ttl = make(value),
                Err(_) => {
                    return parameter(format!(
                        "{prefix}: bad value for option \"{name}\", or out of range (0-255).\n"
                    ));
                }
            }
        }
        Match::State(_) | Match::Mark(_) | Match::Comment(_) | Match::Mac(_) | Match::Length(_) => {
            return Ok(None);
        }
    }
    Ok(Some(1))
}

fn port_option(ports: &mut PortMatch, name: &str, negated: bool, rest: &[String]) -> Taken {
    let (slot, full) = match name {
        "--sport" | "--source-port" => (&mut ports.source, "--source-port"),
        "--dport" | "--destination-port" => (&mut ports.destination, "--destination-port"),
        _ => return Ok(None),
    };
    if slot.is_some() {
        return parameter(format!("Only one `{full}' allowed"));
    }
    let range = port_range(value(name, rest)?)?;
    // Every port is no condition; the program drops it when it prints the rule.
    *slot = (negated || range != Range16 { first: 0, last: u16::MAX })
        .then_some(Negatable { negated, value: range });
    Ok(Some(1))
}

fn target_option(target: &mut Target, name: &str, negated: bool, rest: &[String], family: Family) -> Taken {
    if negated && !matches!(target, Target::Continue | Target::Accept | Target::Drop | Target::Return) {
        return Ok(None);
    }
    let is_source = matches!(target, Target::Snat(_));
    match target {
        Target::Dnat(range) | Target::Snat(range) => match name {
            "--to-destination" if !is_source => *range = nat_range(value(name, rest)?, *range, family)?,
            "--to-source" if is_source => *range = nat_range(value(name, rest)?, *range, family)?,
            "--to" => *range = nat_range(value(name, rest)?, *range, family)?,
            _ => return Ok(nat_flag(range, name)),
        },
        Target::Masquerade(range) | Target::Redirect(range) => match name {
            "--to-ports" | "--to-port" => range.ports = Some(nat_ports(value(name, rest)?)?),
            "--persistent" => return Ok(None),
            _ => return Ok(nat_flag(range, name)),
        },
        Target::Reject(with) if name == "--reject-with" => {
            let text = value(name, rest)?;
            match REJECTS.iter().find(|(f, long, short, _)| *f == family && (*long == text || *short == text))
            {
                Some((_, _, _, found)) => *with = *found,
                None => return parameter(format!("unknown reject type \"{text}\"")),
            }
        }
        Target::Log(log) => match name {
            "--log-prefix" => {
                // The kernel's field holds 29 bytes; iptables cuts the rest off.
                log.prefix = value(name, rest)?.chars().filter(|c| *c != '\n').collect();
                while log.prefix.len() > 29 {
                    log.prefix.pop();
                }
            }
            "--log-level" => {
                let text = value(name, rest)?;
                match log_level(text) {
                    Some(level) => log.level = level,
                    None => return parameter(format!("log level \"{text}\" unknown\n")),
                }
            }
            _ => match LOG_FLAGS.iter().find(|(known, _)| *known == name) {
                Some((_, bit)) => {
                    log.flags |= bit;
                    return Ok(Some(0));
                }
                None => return Ok(None),
            },
        },
        Target::Mark(mark) => {
            let Some(change) = mark_change(name, rest, "MARK")? else { return Ok(None) };
            *mark = change;
        }
        Target::ConnMark(change) => return connmark_option(change, name, rest),
        Target::NoTrack { legacy: false } if name == "--notrack" => return Ok(Some(0)),
        Target::ChecksumFill if name == "--checksum-fill" => return Ok(Some(0)),
        Target::TcpMss(change) => match name {
            "--clamp-mss-to-pmtu" => {
                *change = TcpMss::ClampToPmtu;
                return Ok(Some(0));
            }
            "--set-mss" => match value(name, rest)?.parse() {
                Ok(mss) => *change = TcpMss::Set(mss),
                Err(_) => {
                    return parameter(format!(
                        "TCPMSS: bad value for option \"{name}\", or out of range (0-65535).\n"
                    ));
                }
            },
            _ => return Ok(None),
        },
        Target::Continue
        | Target::Accept
        | Target::Drop
        | Target::Return
        | Target::Jump(_)
        | Target::Goto(_)
        | Target::Reject(_)
        | Target::NoTrack { .. }
        | Target::ChecksumFill => return Ok(None),
    }
    Ok(Some(1))
}

fn nat_flag(range: &mut NatRange, name: &str) -> Option<usize> {
    match name {
        "--random" => range.random = RandomPorts::Random,
        "--random-fully" => range.random = RandomPorts::Fully,
        "--persistent" => range.persistent = true,
        _ => return None,
    }
    Some(0)
}

fn connmark_option(change: &mut ConnMark, name: &str, rest: &[String]) -> Taken {
    const ALL: u32 = u32::MAX;
    match (name, &mut *change) {
        ("--save-mark", _) => *change = ConnMark::Save { nfmask: ALL, ctmask: ALL },
        ("--restore-mark", _) => *change = ConnMark::Restore { nfmask: ALL, ctmask: ALL },
        (
            "--mask" | "--nfmask" | "--ctmask",
            ConnMark::Save { nfmask, ctmask } | ConnMark::Restore { nfmask, ctmask },
        ) => {
            let mask = number32(value(name, rest)?, "CONNMARK", name)?;
            if name != "--ctmask" {
                *nfmask = mask;
            }
            if name != "--nfmask" {
                *ctmask = mask;
            }
            return Ok(Some(1));
        }
        _ => {
            let Some(mark) = mark_change(name, rest, "CONNMARK")? else { return Ok(None) };
            *change = ConnMark::Set(mark);
            return Ok(Some(1));
        }
    }
    Ok(Some(0))
}

fn mark_change(name: &str, rest: &[String], who: &str) -> Result<Option<MaskedMark>, IptablesError> {
    Ok(Some(match name {
        "--set-xmark" => {
            let text = value(name, rest)?;
            let (new, mask) = text.split_once('/').map_or((text, None), |(new, mask)| (new, Some(mask)));
            let mask = mask.map_or(Ok(u32::MAX), |mask| number32(mask, who, name))?;
            MaskedMark { value: number32(new, who, name)?, mask }
        }
        "--set-mark" => {
            let mark = mark_and_mask(value(name, rest)?, who, name)?;
            MaskedMark { value: mark.value, mask: mark.mask | mark.value }
        }
        "--or-mark" => {
            let bits = number32(value(name, rest)?, who, name)?;
            MaskedMark { value: bits, mask: bits }
        }
        "--and-mark" => MaskedMark { value: 0, mask: !number32(value(name, rest)?, who, name)? },
        "--xor-mark" => MaskedMark { value: number32(value(name, rest)?, who, name)?, mask: 0 },
        _ => return Ok(None),
    }))
}
