//! What one packet met at the hooks of a namespace, so that the next packets of its flow need not be asked again.
//!
//! Linux's flowtable and Open vSwitch's megaflows remember a flow's verdict; a [`Passage`] does the same for one
//! namespace, and stays exact: every repetition moves the connection on and counts every rule and policy that the
//! first packet was counted by. It is made from the trace of a real run ([`super::HookStep`]), so there is no
//! second opinion on what rules say, and it is refused where the next packet could fare differently: rules that
//! ask for more than the flow (length, TTL, rate, most TCP flags), rules that change the packet, translations,
//! connections that are not confirmed. It ends by itself when a rule changes or the connection's state does.

use super::{HookStep, Netfilter, PacketConnection};
use crate::conntrack::{ConnectionId, Direction};
use crate::evaluate::TraceStep;
use crate::rule::{CtState, Family, Match, Rule, Target};
use crate::ruleset::{Counted, Table};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

/// FIN, SYN, RST: segments that carry one of them are never repeated.
const NOT_STEADY: u8 = 0x07;
/// FIN, SYN, RST, ACK: for the segments that are repeated, these are always 0, 0, 0 and 1.
const STEADY: u8 = 0x17;
const ACK: u8 = 0x10;

/// A packet's way through the hooks of one namespace.
#[derive(Debug, Clone)]
pub struct Passage {
    family: Family,
    rules: u64,
    connection: Option<(ConnectionId, Direction, CtState)>,
    /// Most flows of a namespace meet the same rules and share this: one list, however many flows.
    counted: Rc<Vec<Counted>>,
}

/// The lists of counters that flows met last, to be shared by the next.
pub(super) type CountedLists = VecDeque<Rc<Vec<Counted>>>;

/// How many lists are looked through for one to share.
const LISTS: usize = 16;

impl Netfilter {
    /// What to remember of a packet that was accepted at every hook, with the steps of all of them in order and the
    /// connection it had at the last. `None` if its flow's next packet may fare differently.
    pub fn remember(
        &mut self,
        family: Family,
        steps: &[HookStep],
        connection: Option<PacketConnection>,
    ) -> Option<Passage> {
        let connection = match connection {
            None => None,
            Some(PacketConnection { state, id: Some(id), direction }) => {
                self.conntrack.as_ref().filter(|conntrack| conntrack.is_steady(id))?;
                Some((id, direction, state))
            }
            Some(PacketConnection { id: None, .. }) => return None,
        };
        let rules = &self.rules[family as usize];
        let mut counted = Vec::new();
        for step in steps {
            match step {
                HookStep::Tracked { .. } => {}
                HookStep::Bound { .. } | HookStep::Rewritten { .. } => return None,
                HookStep::Table(TraceStep::Policy { table, hook, .. }) => {
                    counted.push(rules.counted_policy(*table, *hook)?);
                }
                HookStep::Table(TraceStep::Rule { rule, matched }) => {
                    let (entry, place) = rules.counted_rule(rule)?;
                    if rule.table == Table::Nat || !is_steady(entry, *matched) {
                        return None;
                    }
                    counted.extend(matched.then_some(place));
                }
            }
        }
        let counted = match self.counted.iter().find(|list| ***list == counted) {
            Some(list) => Rc::clone(list),
            None => {
                let list = Rc::new(counted);
                self.counted.truncate(LISTS - 1);
                self.counted.push_front(Rc::clone(&list));
                list
            }
        };
        Some(Passage { family, rules: self.generation, connection, counted })
    }

    /// Takes a packet of `length` bytes of the same flow the same way. False, and nothing happened, if the passage
    /// no longer holds: then the hooks must be asked.
    #[inline]
    pub fn repeat(&mut self, passage: &Passage, now: Duration, tcp_flags: Option<u8>, length: usize) -> bool {
        let steady = tcp_flags.is_none_or(|flags| flags & NOT_STEADY == 0 && flags & ACK != 0);
        if passage.rules != self.generation || !steady {
            return false;
        }
        if let Some((id, direction, state)) = passage.connection
            && !self
                .conntrack
                .as_mut()
                .is_some_and(|conntrack| conntrack.repeat(now, id, direction, state, tcp_flags, length))
        {
            return false;
        }
        self.rules[passage.family as usize].count(&passage.counted, length);
        true
    }
}

/// Whether a rule says the same of every packet of a flow, and does nothing to it.
fn is_steady(rule: &Rule, matched: bool) -> bool {
    let quiet = match rule.target {
        Target::Continue
        | Target::Return
        | Target::Jump(_)
        | Target::Goto(_)
        | Target::Accept
        | Target::Drop
        | Target::Reject(_) => true,
        Target::Log(_)
        | Target::Mark(_)
        | Target::ConnMark(_)
        | Target::NoTrack { .. }
        | Target::ChecksumFill
        | Target::TcpMss(_)
        | Target::Dnat(_)
        | Target::Snat(_)
        | Target::Masquerade(_)
        | Target::Redirect(_) => !matched,
    };
    quiet && rule.matches.iter().all(asks_only_for_the_flow)
}

fn asks_only_for_the_flow(condition: &Match) -> bool {
    match condition {
        Match::Tcp(tcp) => tcp.flags.is_none_or(|flags| flags.value.mask & !STEADY == 0),
        Match::Conntrack(conntrack) => conntrack.is_steady(),
        Match::Limit(_) | Match::Length(_) | Match::Ttl(_) | Match::Icmp(_) => false,
        Match::Udp(_)
        | Match::Sctp(_)
        | Match::State(_)
        | Match::AddressType { .. }
        | Match::Mark(_)
        | Match::Comment(_)
        | Match::Multiport(_)
        | Match::IpRange(_)
        | Match::Physdev(_)
        | Match::Mac(_) => true,
    }
}
