//! The run of one packet through the chains of one table at one hook.
//!
//! The packet is a plain struct of [`Facts`]; nothing is allocated unless a trace is asked for or a `LOG` rule is
//! met. As in Linux, MARK, CONNMARK, LOG, NOTRACK, CHECKSUM and TCPMSS take effect on [`Effects`] and the packet
//! goes on to the next rule; a mark set by one rule is what later rules and tables see. The first terminating
//! target ends the table.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::conntrack::{Connection, Direction, Status};
use crate::interface::InterfaceName;
use crate::rule::{
    AddressType, AddressTypeSet, ConnMark, CtState, IcmpType, InterfacePattern, IpRangeMatch, Limit, Match,
    MultiportMatch, NatRange, Negatable, PhysdevMatch, PortMatch, PortSide, Range16, RejectWith, Rule,
    StateSet, Target, TcpMss, TtlMatch,
};
use crate::ruleset::{Hook, MAX_DEPTH, Policy, RuleId, RuleSet, Table};

/// What rules can ask of a packet.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// IP protocol number; for IPv6 the one after the extension headers.
    pub protocol: u8,
    /// Source port of TCP, UDP or SCTP; `None` otherwise and in later fragments.
    pub source_port: Option<u16>,
    /// Destination port, as above.
    pub destination_port: Option<u16>,
    /// TCP flags, FIN 1 to URG 0x20.
    pub tcp_flags: Option<u8>,
    /// ICMP or ICMPv6 type and code.
    pub icmp: Option<(u8, u8)>,
    /// The interface of the host that received the packet.
    pub in_interface: Option<InterfaceName>,
    /// The interface of the host that will send it.
    pub out_interface: Option<InterfaceName>,
    /// The bridge port it came in by.
    pub physical_in: Option<InterfaceName>,
    /// The bridge port it goes out by; known only where it is bridged.
    pub physical_out: Option<InterfaceName>,
    /// Whether it is bridged, not routed.
    pub bridged: bool,
    /// Whether it is a second or further fragment.
    pub fragment: bool,
    /// Length of the IP packet in bytes.
    pub length: u16,
    /// TTL or hop limit.
    pub ttl: u8,
    /// The packet's mark before [`Effects::mark`].
    pub mark: u32,
    /// The connection's mark before [`Effects::connection_mark`].
    pub connection_mark: u32,
    /// What connection tracking says.
    pub state: CtState,
    /// The flow, and the packet's direction in it.
    pub connection: Option<(&'a Connection, Direction)>,
    /// The type of an address by the host's routes; asked only by `addrtype` rules.
    pub address_type: &'a dyn Fn(IpAddr) -> AddressType,
    /// The source MAC address, if the packet came in an Ethernet frame.
    pub mac: Option<[u8; 6]>,
    /// Virtual time since the start of the run.
    pub now: Duration,
}

/// What rules that do not end the table did to the packet. Carried from table to table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Effects {
    /// The packet's new mark.
    pub mark: Option<u32>,
    /// The connection's new mark.
    pub connection_mark: Option<u32>,
    /// The packet shall not be tracked.
    pub no_track: bool,
    /// The transport checksum shall be computed.
    pub checksum_fill: bool,
    /// The MSS option of the segment shall be changed.
    pub tcp_mss: Option<TcpMss>,
    /// The LOG rules that were met, in order.
    pub logged: Vec<RuleRef>,
}

/// A rule and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleRef {
    /// The table.
    pub table: Table,
    /// The chain's name.
    pub chain: Arc<str>,
    /// The rule's 1-based number.
    pub number: usize,
    /// The rule's identity.
    pub id: RuleId,
}

/// How a table ended for a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What is to be done.
    pub verdict: Verdict,
    /// The rule that decided; `None` if the policy did.
    pub rule: Option<RuleRef>,
}

/// What is to be done with the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// On to the next table.
    Accept,
    /// Discard it.
    Drop,
    /// Discard it and answer.
    Reject(RejectWith),
    /// Translate the flow's destination.
    Dnat(NatRange),
    /// Translate the flow's source.
    Snat(NatRange),
    /// Translate the flow's source to the address of the outgoing interface.
    Masquerade(NatRange),
    /// Translate the flow's destination to the address of the incoming interface.
    Redirect(NatRange),
}

/// One step of a traced run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TraceStep {
    /// A rule was looked at.
    Rule {
        /// Which.
        rule: RuleRef,
        /// Whether the packet matched it.
        matched: bool,
    },
    /// The policy of a built-in chain decided.
    Policy {
        /// The table.
        table: Table,
        /// The built-in chain.
        hook: Hook,
        /// The policy.
        policy: Policy,
    },
}

/// The state of a `-m limit`: credit in nanoseconds, refilled by the clock, as `xt_limit.c` keeps it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokenBucket {
    credit: u64,
    cap: u64,
    cost: u64,
    refilled: Duration,
}

impl TokenBucket {
    pub(crate) fn of(condition: &Match) -> Option<TokenBucket> {
        let Match::Limit(Limit { count, unit, burst }) = condition else { return None };
        let cost = u64::from(unit.seconds()) * 1_000_000_000 / u64::from((*count).max(1));
        let cap = cost.saturating_mul(u64::from(*burst));
        Some(TokenBucket { credit: cap, cap, cost, refilled: Duration::ZERO })
    }

    fn take(&mut self, now: Duration) -> bool {
        let passed = now.saturating_sub(self.refilled).as_nanos();
        self.refilled = self.refilled.max(now);
        self.credit = self.credit.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX)).min(self.cap);
        let enough = self.credit >= self.cost;
        if enough {
            self.credit -= self.cost;
        }
        enough
    }
}

impl RuleSet {
    /// Runs a packet through `table` at `hook`. A table without a chain there accepts. Counts every rule that
    /// matched and the policy; appends to `trace` every rule looked at and the policy. In a long chain only those
    /// rules are looked at that can match a packet of these interfaces, addresses and ports.
    pub fn evaluate(
        &mut self,
        table: Table,
        hook: Hook,
        facts: &Facts<'_>,
        effects: &mut Effects,
        mut trace: Option<&mut Vec<TraceStep>>,
    ) -> Outcome {
        let data = self.table_mut(table);
        let Some(base) = data.base(hook) else {
            return Outcome { verdict: Verdict::Accept, rule: None };
        };
        let mut callers = [(0usize, 0usize); MAX_DEPTH];
        let mut depth = 0;
        let (mut slot, mut index) = (base, 0);
        loop {
            let step = data.chains[slot].as_mut().map(|chain| {
                index = chain.next_possible(index, facts);
                chain.entry_and_name(index)
            });
            let Some((Some(entry), chain)) = step else {
                if depth == 0 {
                    break;
                }
                depth -= 1;
                (slot, index) = callers[depth];
                continue;
            };
            index += 1;
            let here = |id| RuleRef { table, chain: chain.clone(), number: index, id };
            let matched = matches(&entry.rule, &mut entry.buckets, facts, effects);
            if let Some(trace) = trace.as_deref_mut() {
                trace.push(TraceStep::Rule { rule: here(entry.id), matched });
            }
            if !matched {
                continue;
            }
            entry.counters.count(facts.length);
            let verdict = match &entry.rule.target {
                Target::Continue => continue,
                Target::Return => {
                    if depth == 0 {
                        break;
                    }
                    depth -= 1;
                    (slot, index) = callers[depth];
                    continue;
                }
                Target::Jump(_) => {
                    if let (Some(next), true) = (entry.next, depth < MAX_DEPTH) {
                        callers[depth] = (slot, index);
                        depth += 1;
                        (slot, index) = (next as usize, 0);
                    }
                    continue;
                }
                Target::Goto(_) => {
                    if let Some(next) = entry.next {
                        (slot, index) = (next as usize, 0);
                    }
                    continue;
                }
                Target::Log(_) => {
                    effects.logged.push(here(entry.id));
                    continue;
                }
                Target::Mark(mark) => {
                    effects.mark = Some((effects.mark_of(facts) & !mark.mask) ^ mark.value);
                    continue;
                }
                Target::ConnMark(change) => {
                    effects.change_connection_mark(*change, facts);
                    continue;
                }
                Target::NoTrack { .. } => {
                    effects.no_track = true;
                    continue;
                }
                Target::ChecksumFill => {
                    effects.checksum_fill = true;
                    continue;
                }
                Target::TcpMss(change) => {
                    effects.tcp_mss = Some(*change);
                    continue;
                }
                Target::Accept => Verdict::Accept,
                Target::Drop => Verdict::Drop,
                Target::Reject(with) => Verdict::Reject(*with),
                Target::Dnat(range) => Verdict::Dnat(*range),
                Target::Snat(range) => Verdict::Snat(*range),
                Target::Masquerade(range) => Verdict::Masquerade(*range),
                Target::Redirect(range) => Verdict::Redirect(*range),
            };
            return Outcome { verdict, rule: Some(here(entry.id)) };
        }
        let mut policy = Policy::Accept;
        if let Some(chain) = data.chains[base].as_mut() {
            chain.policy_counters.count(facts.length);
            policy = chain.policy;
        }
        if let Some(trace) = trace {
            trace.push(TraceStep::Policy { table, hook, policy });
        }
        let verdict = match policy {
            Policy::Accept => Verdict::Accept,
            Policy::Drop => Verdict::Drop,
        };
        Outcome { verdict, rule: None }
    }
}

impl Effects {
    /// The mark the packet now has.
    pub fn mark_of(&self, facts: &Facts<'_>) -> u32 {
        self.mark.unwrap_or(facts.mark)
    }

    fn change_connection_mark(&mut self, change: ConnMark, facts: &Facts<'_>) {
        let packet = self.mark_of(facts);
        let connection = self.connection_mark.unwrap_or(facts.connection_mark);
        match change {
            ConnMark::Set(mark) => self.connection_mark = Some((connection & !mark.mask) ^ mark.value),
            ConnMark::Save { nfmask, ctmask } => {
                self.connection_mark = Some((connection & !ctmask) ^ (packet & nfmask));
            }
            ConnMark::Restore { nfmask, ctmask } => {
                self.mark = Some((packet & !nfmask) ^ (connection & ctmask));
            }
        }
    }
}

fn matches(rule: &Rule, buckets: &mut [TokenBucket], facts: &Facts<'_>, effects: &Effects) -> bool {
    if let Some(p) = rule.protocol
        && (p.value == facts.protocol) == p.negated
    {
        return false;
    }
    if let Some(source) = rule.source
        && source.value.contains(facts.source) == source.negated
    {
        return false;
    }
    if let Some(destination) = rule.destination
        && destination.value.contains(facts.destination) == destination.negated
    {
        return false;
    }
    if !interface_fits(rule.in_interface, facts.in_interface)
        || !interface_fits(rule.out_interface, facts.out_interface)
        || rule.fragment.is_some_and(|wanted| wanted != facts.fragment)
    {
        return false;
    }
    let mut buckets = buckets.iter_mut();
    rule.matches.iter().all(|condition| match condition {
        Match::Limit(_) => buckets.next().is_some_and(|bucket| bucket.take(facts.now)),
        other => holds(other, facts, effects),
    })
}

fn holds(condition: &Match, facts: &Facts<'_>, effects: &Effects) -> bool {
    match condition {
        Match::Tcp(tcp) => {
            ports_fit(&tcp.ports, facts)
                && facts.tcp_flags.is_some_and(|flags| {
                    tcp.flags.is_none_or(|f| (flags & f.value.mask == f.value.compared) != f.negated)
                })
        }
        Match::Udp(ports) | Match::Sctp(ports) => ports_fit(ports, facts),
        Match::Icmp(wanted) => facts.icmp.is_some_and(|(kind, code)| {
            let equal = match wanted.value {
                IcmpType::Any => true,
                IcmpType::Type(wanted) => kind == wanted,
                IcmpType::Code(wanted, wanted_code) => kind == wanted && code == wanted_code,
            };
            equal != wanted.negated
        }),
        Match::Conntrack(conntrack) => conntrack.fits(present(facts), facts.connection, facts.now),
        Match::State(states) => states.value.intersects(present(facts)) != states.negated,
        Match::AddressType { source, destination } => {
            type_fits(*source, facts.source, facts) && type_fits(*destination, facts.destination, facts)
        }
        Match::Mark(mark) => (effects.mark_of(facts) & mark.value.mask == mark.value.value) != mark.negated,
        Match::Comment(_) => true,
        Match::Multiport(multiport) => {
            let MultiportMatch { side, ports } = &**multiport;
            let (Some(source), Some(destination)) = (facts.source_port, facts.destination_port) else {
                return false;
            };
            let any = ports.value.iter().any(|range| match side {
                PortSide::Source => range.contains(source),
                PortSide::Destination => range.contains(destination),
                PortSide::Either => range.contains(source) || range.contains(destination),
            });
            any != ports.negated
        }
        Match::IpRange(iprange) => {
            let IpRangeMatch { source, destination } = **iprange;
            source.is_none_or(|r| r.value.contains(facts.source) != r.negated)
                && destination.is_none_or(|r| r.value.contains(facts.destination) != r.negated)
        }
        Match::Limit(_) => false,
        Match::Physdev(physdev) => physdev_fits(physdev, facts),
        Match::Mac(mac) => facts.mac.is_some_and(|found| (found == mac.value) != mac.negated),
        Match::Length(range) => range.value.contains(facts.length) != range.negated,
        Match::Ttl(ttl) => match *ttl {
            TtlMatch::Equal(value) => facts.ttl == value,
            TtlMatch::NotEqual(value) => facts.ttl != value,
            TtlMatch::Less(value) => facts.ttl < value,
            TtlMatch::Greater(value) => facts.ttl > value,
        },
    }
}

/// What connection tracking says of a packet, with its flow's translations.
fn present(facts: &Facts<'_>) -> StateSet {
    let mut present = StateSet::of(facts.state);
    if let Some((connection, _)) = facts.connection {
        for (status, state) in [(Status::SRC_NAT, StateSet::SNAT), (Status::DST_NAT, StateSet::DNAT)] {
            if connection.status().contains(status) {
                present = present.union(state);
            }
        }
    }
    present
}

/// Whether an interface fits; a packet without one has the empty name, which no pattern matches.
fn interface_fits(wanted: Option<Negatable<InterfacePattern>>, found: Option<InterfaceName>) -> bool {
    wanted.is_none_or(|w| found.is_some_and(|name| w.value.matches(&name)) != w.negated)
}

fn ports_fit(wanted: &PortMatch, facts: &Facts<'_>) -> bool {
    port_fits(wanted.source, facts.source_port) && port_fits(wanted.destination, facts.destination_port)
}

fn port_fits(wanted: Option<Negatable<Range16>>, found: Option<u16>) -> bool {
    found.is_some_and(|port| wanted.is_none_or(|w| w.value.contains(port) != w.negated))
}

fn type_fits(wanted: Option<Negatable<AddressTypeSet>>, address: IpAddr, facts: &Facts<'_>) -> bool {
    wanted.is_none_or(|w| w.value.contains((facts.address_type)(address)) != w.negated)
}

fn physdev_fits(wanted: &PhysdevMatch, facts: &Facts<'_>) -> bool {
    interface_fits(wanted.input, facts.physical_in)
        && interface_fits(wanted.output, facts.physical_out)
        && wanted.is_in.is_none_or(|yes| facts.physical_in.is_some() == yes)
        && wanted.is_out.is_none_or(|yes| facts.physical_out.is_some() == yes)
        && wanted.is_bridged.is_none_or(|yes| facts.bridged == yes)
}
