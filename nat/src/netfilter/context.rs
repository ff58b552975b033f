//! What goes into a hook with a packet and what comes out of it.

use crate::conntrack::{ConnectionId, Direction};
use crate::evaluate::{RuleRef, TraceStep};
use crate::interface::InterfaceName;
use crate::nat::{Manipulation, NatBinding};
use crate::rule::{AddressType, CtState, RejectWith, TcpMss};
use crate::ruleset::{Hook, Table};
use crate::tuple::Tuple;
use std::net::IpAddr;
use std::time::Duration;

/// What a hook needs to know beside the packet, and what it leaves for later hooks.
pub struct HookContext<'a> {
    /// Virtual time since the start of the run.
    pub now: Duration,
    /// The interface the packet came in by; for a bridged packet the bridge.
    pub in_interface: Option<InterfaceName>,
    /// The interface it goes out by.
    pub out_interface: Option<InterfaceName>,
    /// The bridge port it came in by.
    pub physical_in: Option<InterfaceName>,
    /// The bridge port it goes out by, where it is bridged.
    pub physical_out: Option<InterfaceName>,
    /// Whether it is bridged, not routed.
    pub bridged: bool,
    /// The source MAC address, if it came in an Ethernet frame.
    pub mac: Option<[u8; 6]>,
    /// The packet's mark; carried from hook to hook.
    pub mark: u32,
    /// The packet's connection; carried from hook to hook, `None` before the first.
    pub connection: Option<PacketConnection>,
    /// The type of an address by the namespace's routes.
    pub address_type: &'a dyn Fn(IpAddr) -> AddressType,
    /// The address of the outgoing interface that packets to a destination take; for MASQUERADE.
    pub masquerade_source: &'a dyn Fn(IpAddr) -> Option<IpAddr>,
    /// The first address of the incoming interface, of the packet's family; for REDIRECT.
    pub redirect_address: &'a dyn Fn() -> Option<IpAddr>,
    /// Where the search for a free port begins.
    pub random: &'a mut dyn FnMut() -> u16,
    /// Out: the MSS option that the caller shall set on a SYN.
    pub tcp_mss: Option<TcpMss>,
    /// Out: the LOG rules that were met.
    pub logged: Vec<RuleRef>,
    /// Out, if given: everything that was looked at and decided.
    pub trace: Option<&'a mut Vec<HookStep>>,
}

/// The connection of a packet and its place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketConnection {
    /// The state as rules see it.
    pub state: CtState,
    /// The connection; `None` for INVALID and UNTRACKED packets.
    pub id: Option<ConnectionId>,
    /// The packet's direction in it.
    pub direction: Direction,
}

impl PacketConnection {
    /// Of a packet without a connection.
    pub(super) fn without(state: CtState) -> PacketConnection {
        PacketConnection { state, id: None, direction: Direction::Original }
    }
}

/// What is to be done with the packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Accept,
    /// It is discarded.
    Drop(DropCause),
    /// It is discarded and answered.
    Reject {
        /// With what.
        with: RejectWith,
        /// By which rule.
        rule: RuleRef,
    },
}

/// Why a packet was dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DropCause {
    /// A rule said so.
    Rule(RuleRef),
    /// A built-in chain's policy said so.
    Policy {
        /// The table.
        table: Table,
        /// The chain.
        hook: Hook,
    },
    /// It opens a connection and the table is full of assured ones.
    TableFull,
    /// The tuples of its connection belong to another and no other port was free.
    Clash,
    /// MASQUERADE or REDIRECT found no address on the interface.
    NoLocalAddress(Option<RuleRef>),
    /// Its masqueraded connection now leaves by another interface.
    DeviceChanged,
    /// It cannot be rewritten: a redirect about a translated flow, or an address of the other family.
    Untranslatable,
}

/// How many packets were dropped, by cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DropCounters {
    /// [`DropCause::Rule`].
    pub rule: u64,
    /// [`DropCause::Policy`].
    pub policy: u64,
    /// [`Verdict::Reject`].
    pub reject: u64,
    /// [`DropCause::TableFull`].
    pub table_full: u64,
    /// [`DropCause::Clash`].
    pub clash: u64,
    /// [`DropCause::NoLocalAddress`].
    pub no_local_address: u64,
    /// [`DropCause::DeviceChanged`].
    pub device_changed: u64,
    /// [`DropCause::Untranslatable`].
    pub untranslatable: u64,
    /// Fragments that reassembly refused.
    pub fragment: u64,
}

impl DropCounters {
    pub(super) fn count(&mut self, verdict: &Verdict) {
        let counter = match verdict {
            Verdict::Accept => return,
            Verdict::Reject { .. } => &mut self.reject,
            Verdict::Drop(DropCause::Rule(_)) => &mut self.rule,
            Verdict::Drop(DropCause::Policy { .. }) => &mut self.policy,
            Verdict::Drop(DropCause::TableFull) => &mut self.table_full,
            Verdict::Drop(DropCause::Clash) => &mut self.clash,
            Verdict::Drop(DropCause::NoLocalAddress(_)) => &mut self.no_local_address,
            Verdict::Drop(DropCause::DeviceChanged) => &mut self.device_changed,
            Verdict::Drop(DropCause::Untranslatable) => &mut self.untranslatable,
        };
        *counter += 1;
    }
}

/// One step of a traced packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookStep {
    /// A rule or a policy was looked at.
    Table(TraceStep),
    /// Connection tracking placed the packet.
    Tracked {
        /// At which hook.
        hook: Hook,
        /// As what.
        connection: PacketConnection,
    },
    /// The translation of a new connection was decided, perhaps to none.
    Bound {
        /// At which hook.
        hook: Hook,
        /// The decision.
        binding: NatBinding,
        /// The rule that asked for it; `None` for the null binding without a rule.
        rule: Option<RuleRef>,
    },
    /// The packet was rewritten.
    Rewritten {
        /// At which hook.
        hook: Hook,
        /// Which end.
        manipulation: Manipulation,
        /// Its tuple before.
        before: Tuple,
        /// Its tuple after.
        after: Tuple,
    },
}
