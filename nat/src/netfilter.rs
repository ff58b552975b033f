//! The packet hooks of one network namespace, for both address families: rules, connection tracking and address
//! translation in the order of Linux's priorities (`linux/netfilter_ipv4.h`):
//!
//! | hook | what runs |
//! |---|---|
//! | PREROUTING | reassembly, raw, tracking, mangle, nat (destination) |
//! | INPUT | mangle, filter, nat (source), confirm |
//! | FORWARD | mangle, filter |
//! | OUTPUT | reassembly, raw, tracking, mangle, nat (destination), filter |
//! | POSTROUTING | mangle, nat (source), confirm |
//!
//! Reassembly is a call of its own, [`Netfilter::defragment`], because it may replace the packet; all else is
//! [`Netfilter::traverse`]. What a packet carries from hook to hook is in [`HookContext`]: its mark and its
//! connection (Linux: `skb->mark`, `skb->_nfct`). The connection must be taken off when a packet enters another
//! namespace, not when it passes the loopback device.
//!
//! As in Linux, tracking and translation begin when a rule needs them, for each family, and then stay for good:
//! flows that are translated stay so when the rules are flushed. A namespace without rules costs one branch. The
//! nat table sees the first packet of a connection only; for all others a look-up gives the connection, whose two
//! tuples say what to rewrite, and nothing is allocated.
//!
//! Limits: transport checksums are not verified before tracking (`nf_conntrack_checksum`); tables without a rule
//! at a hook are passed over, so an accepting policy counts no packets there.

mod context;
mod passage;
mod rewrite;

pub use context::{DropCause, DropCounters, HookContext, HookStep, PacketConnection, Verdict};
use passage::CountedLists;
pub use passage::Passage;

use crate::conntrack::{
    Connection, ConnectionFilter, ConnectionId, ConnectionOwner, Conntrack, Direction, Status, TrackedPacket,
    Tracking,
};
use crate::evaluate::{Effects, Facts, Outcome, RuleRef, Verdict as TableVerdict};
use crate::fragment::{ExpiredDatagram, FragmentError, Reassembler, Reassembly};
use crate::nat::{self, Manipulation};
use crate::packet::{IpVersion, Layout, PacketMut, PacketView};
use crate::rule::{CtState, Family, NatRange};
use crate::ruleset::{Hook, RuleSet, Table};
use rewrite::{RewriteError, rewrite, rewrite_error};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// ICMPv6 messages that are not tracked: multicast listener and neighbour discovery
/// (`nf_conntrack_proto_icmpv6.c`).
const UNTRACKED_ICMPV6: [u8; 8] = [130, 131, 132, 133, 134, 135, 136, 143];

/// What became of a packet that may be a fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Defragmentation {
    /// Goes on as it is: no fragment, or nothing here needs whole packets.
    Pass,
    /// Was kept until the others come.
    Held,
    /// Was the last one missing; this packet goes on in its place.
    Complete {
        /// The whole packet.
        packet: Vec<u8>,
        /// Length of the largest fragment; on its way out the packet is cut to no more than that again.
        largest_fragment: usize,
    },
    /// Was dropped.
    Dropped(FragmentError),
}

/// The hooks of one network namespace.
#[derive(Debug)]
pub struct Netfilter {
    rules: [RuleSet; 2],
    activity: [Activity; 2],
    /// Whether rules may have changed since `activity` was derived from them.
    changed: bool,
    /// Moves whenever rules may have changed.
    generation: u64,
    counted: CountedLists,
    hash_seed: u64,
    /// Once there was a connection: most containers of a large world have none yet, and thousands share what they have
    /// else. The same goes for what follows.
    conntrack: Option<Box<Conntrack>>,
    reassembler: Option<Box<Reassembler>>,
    drops: Option<Box<DropCounters>>,
}

/// What there is to do for one family.
#[derive(Debug, Clone, Copy, Default)]
struct Activity {
    /// Whether any hook has anything to do.
    any: bool,
    tables: [[bool; 5]; 4],
    tracking: bool,
    nat: bool,
}

/// Where a packet is.
#[derive(Clone, Copy)]
struct Place {
    family: Family,
    hook: Hook,
    activity: Activity,
}

impl Default for Netfilter {
    fn default() -> Netfilter {
        Netfilter::new(0)
    }
}

impl Netfilter {
    /// Empty rules, nothing tracked. The seed is the one of [`Conntrack::new`].
    pub fn new(hash_seed: u64) -> Netfilter {
        Netfilter::with_rules([RuleSet::new(Family::Ipv4), RuleSet::new(Family::Ipv6)], hash_seed)
    }

    /// The same with these rules, IPv4 and IPv6. Namespaces made from clones of one empty pair share it until their
    /// rules change.
    pub fn with_rules(rules: [RuleSet; 2], hash_seed: u64) -> Netfilter {
        Netfilter {
            rules,
            activity: [Activity::default(); 2],
            changed: true,
            generation: 0,
            counted: CountedLists::new(),
            hash_seed,
            conntrack: None,
            reassembler: None,
            drops: None,
        }
    }

    /// The rules of a family.
    pub fn rules(&self, family: Family) -> &RuleSet {
        &self.rules[family as usize]
    }

    /// The rules of a family, for changing.
    pub fn rules_mut(&mut self, family: Family) -> &mut RuleSet {
        self.changed = true;
        self.generation += 1;
        &mut self.rules[family as usize]
    }

    /// Whether packets of a family have anything to pass here; where not, the hooks need not be called.
    #[inline]
    pub fn is_active(&mut self, family: Family) -> bool {
        if self.changed {
            self.follow_rules();
        }
        self.activity[family as usize].any
    }

    /// Whether a packet of a family passes a hook as if nothing were there: no table has rules for it, and its
    /// connection is neither to be found, nor confirmed, nor translated. What most packets of an established flow
    /// meet at INPUT and POSTROUTING.
    #[inline]
    pub fn is_idle(&mut self, family: Family, hook: Hook, connection: Option<PacketConnection>) -> bool {
        if !self.is_active(family) {
            return true;
        }
        let activity = &self.activity[family as usize];
        let used = |table: Table| activity.tables[table as usize][hook as usize];
        if used(Table::Raw) || used(Table::Mangle) || used(Table::Filter) {
            return false;
        }
        match connection {
            Some(PacketConnection { state: CtState::Established, id: Some(id), .. }) => self
                .connection(id)
                .is_none_or(|c| !c.status().is_translated() && c.masquerade_device.is_none()),
            // Tracked already, and no part of a connection.
            Some(PacketConnection { id: None, .. }) => true,
            Some(_) => false,
            None => !activity.tracking,
        }
    }

    /// The connections; `None` as long as there was none.
    pub fn conntrack(&self) -> Option<&Conntrack> {
        self.conntrack.as_deref()
    }

    /// The connections, for settings and removal.
    pub fn conntrack_mut(&mut self) -> &mut Conntrack {
        self.conntrack.get_or_insert_with(|| Box::new(Conntrack::new(self.hash_seed)))
    }

    /// A connection by identity.
    #[inline]
    fn connection(&self, id: ConnectionId) -> Option<&Connection> {
        self.conntrack.as_ref()?.get(id)
    }

    /// Packets that were dropped here.
    pub fn drops(&self) -> DropCounters {
        self.drops.as_deref().copied().unwrap_or_default()
    }

    /// The tracked connections, oldest first.
    pub fn list_connections(&self, now: Duration) -> Vec<(ConnectionId, &Connection)> {
        self.conntrack.as_ref().map(|conntrack| conntrack.list(now)).unwrap_or_default()
    }

    /// Forgets the connections that rules of `owner` translated, and says how many.
    pub fn flush_owner(&mut self, owner: ConnectionOwner) -> usize {
        self.flush(&ConnectionFilter::owned_by(owner))
    }

    /// Forgets the connections whose replies come from an address or go to it, and says how many.
    pub fn flush_address(&mut self, address: IpAddr) -> usize {
        self.flush(&ConnectionFilter { reply_end: Some(address), ..ConnectionFilter::default() })
    }

    fn flush(&mut self, which: &ConnectionFilter) -> usize {
        self.conntrack.as_mut().map_or(0, |conntrack| conntrack.flush(which))
    }

    /// Forgets the flows of UDP that were opened to a port, and to an address if one is given, as libnetwork does when it
    /// publishes a port to which somebody has talked in vain.
    pub fn flush_udp_to(&mut self, port: u16, address: Option<IpAddr>) -> usize {
        self.flush(&ConnectionFilter {
            protocol: Some(17),
            destination_port: Some(port),
            original_destination: address,
            ..ConnectionFilter::default()
        })
    }

    /// Drops what is out of date; returns the incomplete datagrams, for ICMP time exceeded.
    pub fn expire(&mut self, now: Duration) -> Vec<ExpiredDatagram> {
        if let Some(conntrack) = &mut self.conntrack {
            conntrack.expire(now);
        }
        self.reassembler.as_mut().map(|reassembler| reassembler.expire(now)).unwrap_or_default()
    }

    /// When incomplete datagrams are next given up. Connections need no call (see [`Conntrack`]).
    pub fn deadline(&self) -> Option<Duration> {
        self.reassembler.as_ref()?.deadline()
    }

    /// To be called before [`Netfilter::traverse`] in PREROUTING and OUTPUT: tracking needs whole packets.
    /// Without tracking, and at other hooks, fragments pass.
    pub fn defragment(
        &mut self,
        now: Duration,
        hook: Hook,
        layout: &Layout,
        bytes: &[u8],
    ) -> Defragmentation {
        if !layout.is_fragment() || !matches!(hook, Hook::Prerouting | Hook::Output) {
            return Defragmentation::Pass;
        }
        if !self.current_activity(family_of(layout)).tracking {
            return Defragmentation::Pass;
        }
        match self.reassembler.get_or_insert_default().push(now, bytes) {
            Reassembly::Incomplete => Defragmentation::Held,
            Reassembly::Complete { packet, largest_fragment } => {
                Defragmentation::Complete { packet, largest_fragment }
            }
            Reassembly::Dropped(error) => {
                self.drops.get_or_insert_default().fragment += 1;
                Defragmentation::Dropped(error)
            }
        }
    }

    /// Takes a packet through everything at one hook. It may come out rewritten: after PREROUTING and OUTPUT the
    /// caller routes by the destination it then has.
    ///
    /// A packet that opens a connection and is given up between hooks should be told to [`Netfilter::release`];
    /// so should a rejected one, once the answer is sent.
    pub fn traverse(
        &mut self,
        hook: Hook,
        packet: &mut PacketMut<'_>,
        context: &mut HookContext<'_>,
    ) -> Verdict {
        let family = family_of(&packet.layout());
        let activity = self.current_activity(family);
        if !activity.any {
            return Verdict::Accept;
        }
        let Err(verdict) = self.run(Place { family, hook, activity }, packet, context) else {
            return Verdict::Accept;
        };
        self.drops.get_or_insert_default().count(&verdict);
        if let (Verdict::Drop(_), Some(connection)) = (&verdict, context.connection) {
            self.release(connection);
        }
        verdict
    }

    /// Forgets the connection of a packet that is dropped, if no packet of it ever got through.
    pub fn release(&mut self, connection: PacketConnection) {
        if let (Some(id), Some(conntrack)) = (connection.id, &mut self.conntrack) {
            conntrack.release(id);
        }
    }

    /// What the ICMP error or reset that answers a packet carries: RELATED, in the opposite direction, so that it
    /// is translated back although its connection may not be confirmed (`nf_ct_attach`).
    pub fn answer_connection(&self, connection: PacketConnection) -> Option<PacketConnection> {
        let id = connection.id.filter(|id| self.connection(*id).is_some())?;
        let direction = connection.direction.reversed();
        Some(PacketConnection { state: CtState::Related, id: Some(id), direction })
    }

    fn run(
        &mut self,
        place: Place,
        packet: &mut PacketMut<'_>,
        context: &mut HookContext<'_>,
    ) -> Result<(), Verdict> {
        match place.hook {
            Hook::Prerouting | Hook::Output => {
                self.filter(place, Table::Raw, packet, context)?;
                self.track(place, packet, context)?;
                self.filter(place, Table::Mangle, packet, context)?;
                self.translate(place, Manipulation::Destination, packet, context)?;
                if place.hook == Hook::Output {
                    self.filter(place, Table::Filter, packet, context)?;
                }
                Ok(())
            }
            Hook::Forward => {
                self.filter(place, Table::Mangle, packet, context)?;
                self.filter(place, Table::Filter, packet, context)
            }
            Hook::Input => {
                self.filter(place, Table::Mangle, packet, context)?;
                self.filter(place, Table::Filter, packet, context)?;
                self.translate(place, Manipulation::Source, packet, context)?;
                self.confirm(context)
            }
            Hook::Postrouting => {
                self.filter(place, Table::Mangle, packet, context)?;
                self.translate(place, Manipulation::Source, packet, context)?;
                self.confirm(context)
            }
        }
    }

    /// Runs a table other than nat.
    fn filter(
        &mut self,
        place: Place,
        table: Table,
        packet: &mut PacketMut<'_>,
        context: &mut HookContext<'_>,
    ) -> Result<(), Verdict> {
        if !place.activity.tables[table as usize][place.hook as usize] {
            return Ok(());
        }
        let outcome = self.evaluate(place, table, packet, context);
        stop(table, place.hook, outcome).map_or(Ok(()), Err)
    }

    /// Runs a table and carries out what its rules did on the way.
    fn evaluate(
        &mut self,
        place: Place,
        table: Table,
        packet: &mut PacketMut<'_>,
        context: &mut HookContext<'_>,
    ) -> Outcome {
        let connection_id = context.connection.and_then(|c| c.id);
        let connection = connection_id.zip(self.conntrack.as_ref()).and_then(|(id, table)| table.get(id));
        let facts = facts(packet.view(), context, connection);
        let rules = &mut self.rules[place.family as usize];
        let mut effects = Effects::default();
        let outcome = match context.trace.as_deref_mut() {
            None => rules.evaluate(table, place.hook, &facts, &mut effects, None),
            Some(trace) => {
                let mut steps = Vec::new();
                let outcome = rules.evaluate(table, place.hook, &facts, &mut effects, Some(&mut steps));
                trace.extend(steps.into_iter().map(HookStep::Table));
                outcome
            }
        };
        if let Some(mark) = effects.mark {
            context.mark = mark;
        }
        if let (Some(mark), Some(id)) = (effects.connection_mark, connection_id)
            && let Some(connection) = self.conntrack_mut().get_mut(id)
        {
            connection.mark = mark;
        }
        if effects.no_track && context.connection.is_none() {
            context.connection = Some(PacketConnection::without(CtState::Untracked));
        }
        if effects.checksum_fill {
            packet.complete_checksum();
        }
        context.tcp_mss = effects.tcp_mss.or(context.tcp_mss);
        context.logged.append(&mut effects.logged);
        outcome
    }

    /// Finds or begins the packet's connection, unless an earlier hook did.
    fn track(
        &mut self,
        place: Place,
        packet: &PacketMut<'_>,
        context: &mut HookContext<'_>,
    ) -> Result<(), Verdict> {
        if !place.activity.tracking || context.connection.is_some() {
            return Ok(());
        }
        let view = packet.view();
        let untracked = place.family == Family::Ipv6
            && view.icmp_type_code().is_some_and(|(kind, _)| UNTRACKED_ICMPV6.contains(&kind));
        let tracking = if untracked {
            None
        } else if view.is_icmp_error() {
            let embedded = view.embedded_tuple();
            Some(embedded.map_or(Tracking::Invalid, |embedded| {
                self.conntrack_mut().track_error(context.now, &embedded, view.destination())
            }))
        } else {
            let length = view.layout().total_length();
            let tcp_flags = view.tcp_flags().map(|flags| flags.0);
            Some(view.tuple().map_or(Tracking::Invalid, |tuple| {
                self.conntrack_mut().track(context.now, &TrackedPacket { tuple, tcp_flags, length })
            }))
        };
        let connection = match tracking {
            None => PacketConnection::without(CtState::Untracked),
            Some(Tracking::Invalid) => PacketConnection::without(CtState::Invalid),
            Some(Tracking::Full) => return Err(Verdict::Drop(DropCause::TableFull)),
            Some(Tracking::Connection { id, direction, state }) => {
                PacketConnection { state, id: Some(id), direction }
            }
        };
        context.connection = Some(connection);
        if let Some(trace) = context.trace.as_deref_mut() {
            trace.push(HookStep::Tracked { hook: place.hook, connection });
        }
        Ok(())
    }

    /// Decides the translation of a new connection, and rewrites the packet as its connection says.
    fn translate(
        &mut self,
        place: Place,
        manipulation: Manipulation,
        packet: &mut PacketMut<'_>,
        context: &mut HookContext<'_>,
    ) -> Result<(), Verdict> {
        if !place.activity.nat {
            return Ok(());
        }
        let Some(PacketConnection { state, id: Some(id), direction }) = context.connection else {
            return Ok(());
        };
        let Some(connection) = self.connection(id) else { return Ok(()) };
        let open = state == CtState::New
            && !nat::is_decided(connection, manipulation)
            && !connection.status().contains(Status::CONFIRMED);
        if open {
            self.decide(place, manipulation, id, packet, context)?;
        } else if place.hook == Hook::Postrouting
            && direction == Direction::Original
            && connection.masquerade_device.is_some_and(|device| context.out_interface != Some(device))
        {
            // The flow now leaves by another device, whose address it does not have; the next packet begins anew.
            self.conntrack_mut().kill(context.now, id);
            return Err(Verdict::Drop(DropCause::DeviceChanged));
        }
        let Some(connection) = self.connection(id) else { return Ok(()) };
        let before = context.trace.is_some().then(|| packet.view().tuple()).flatten();
        let rewritten = if state == CtState::Related && packet.view().is_icmp_error() {
            rewrite_error(packet, connection, direction, manipulation)
        } else {
            match nat::target(connection, direction, manipulation) {
                Some(target) => rewrite(packet, &target, manipulation).map_err(RewriteError::from),
                None => Ok(()),
            }
        };
        rewritten.map_err(|_| Verdict::Drop(DropCause::Untranslatable))?;
        if let (Some(trace), Some(before), Some(after)) =
            (context.trace.as_deref_mut(), before, packet.view().tuple())
            && before != after
        {
            trace.push(HookStep::Rewritten { hook: place.hook, manipulation, before, after });
        }
        Ok(())
    }

    /// Asks the nat table what becomes of a connection.
    fn decide(
        &mut self,
        place: Place,
        manipulation: Manipulation,
        id: ConnectionId,
        packet: &mut PacketMut<'_>,
        context: &mut HookContext<'_>,
    ) -> Result<(), Verdict> {
        let outcome = if place.activity.tables[Table::Nat as usize][place.hook as usize] {
            self.evaluate(place, Table::Nat, packet, context)
        } else {
            Outcome { verdict: TableVerdict::Accept, rule: None }
        };
        let range = match &outcome.verdict {
            TableVerdict::Accept => None,
            TableVerdict::Drop | TableVerdict::Reject(_) => {
                return stop(Table::Nat, place.hook, outcome).map_or(Ok(()), Err);
            }
            TableVerdict::Dnat(range) | TableVerdict::Snat(range) => Some(*range),
            // An interface without an address yet, as before DHCP, is not masqueraded.
            TableVerdict::Masquerade(_) if packet.view().source().is_unspecified() => None,
            TableVerdict::Masquerade(range) => {
                let address = (context.masquerade_source)(packet.view().destination());
                let range = local_range(address, range, &outcome.rule)?;
                if let Some(connection) = self.conntrack_mut().get_mut(id) {
                    connection.masquerade_device = context.out_interface;
                }
                Some(range)
            }
            TableVerdict::Redirect(range) => {
                let address = match (place.hook, place.family) {
                    (Hook::Output, Family::Ipv4) => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
                    (Hook::Output, Family::Ipv6) => Some(IpAddr::V6(Ipv6Addr::LOCALHOST)),
                    _ => (context.redirect_address)(),
                };
                Some(local_range(address, range, &outcome.rule)?)
            }
        };
        let now = context.now;
        let binding = match range {
            None => nat::bind_null(self.conntrack_mut(), now, id, manipulation, context.random),
            Some(range) => {
                let owner = self.rule_owner(place.family, outcome.rule.as_ref());
                nat::bind(self.conntrack_mut(), now, id, manipulation, &range, owner, context.random)
            }
        };
        if let (Some(trace), Some(binding)) = (context.trace.as_deref_mut(), binding) {
            trace.push(HookStep::Bound { hook: place.hook, binding, rule: outcome.rule });
        }
        Ok(())
    }

    fn rule_owner(&self, family: Family, rule: Option<&RuleRef>) -> Option<ConnectionOwner> {
        let rule = rule?;
        let chain = self.rules[family as usize].chain(rule.table, &rule.chain)?;
        let entry = chain.rules().get(rule.number.checked_sub(1)?)?;
        entry.owner().map(|owner| ConnectionOwner(owner.0))
    }

    /// Puts the packet's connection into the table, as the packet gets through.
    fn confirm(&mut self, context: &mut HookContext<'_>) -> Result<(), Verdict> {
        let Some(PacketConnection { state: CtState::New, id: Some(id), direction }) = context.connection
        else {
            return Ok(());
        };
        // A connection that was flushed while its packet was on the way is not an error: the packet goes on.
        if self.connection(id).is_none() {
            return Ok(());
        }
        match self.conntrack_mut().confirm(context.now, id) {
            Ok(id) => {
                context.connection = Some(PacketConnection { state: CtState::New, id: Some(id), direction });
                Ok(())
            }
            Err(_) => Err(Verdict::Drop(DropCause::Clash)),
        }
    }

    #[inline]
    fn current_activity(&mut self, family: Family) -> Activity {
        if self.changed {
            self.follow_rules();
        }
        self.activity[family as usize]
    }

    #[cold]
    fn follow_rules(&mut self) {
        self.changed = false;
        for (rules, activity) in self.rules.iter().zip(&mut self.activity) {
            activity.follow(rules);
        }
    }
}

impl Activity {
    /// Brings the activity up to date. Tracking and translation never end.
    fn follow(&mut self, rules: &RuleSet) {
        for table in Table::ALL {
            for hook in Hook::ALL {
                self.tables[table as usize][hook as usize] = rules.has_rules(table, hook);
            }
        }
        self.nat |= rules.translates();
        self.tracking |= rules.needs_tracking();
        self.any = self.tracking || self.tables.iter().flatten().any(|used| *used);
    }
}

fn family_of(layout: &Layout) -> Family {
    match layout.version() {
        IpVersion::V4 => Family::Ipv4,
        IpVersion::V6 => Family::Ipv6,
    }
}

fn facts<'f, 'a: 'f>(
    view: PacketView<'_>,
    context: &HookContext<'a>,
    connection: Option<&'f Connection>,
) -> Facts<'f> {
    let layout = view.layout();
    Facts {
        source: view.source(),
        destination: view.destination(),
        protocol: view.protocol(),
        source_port: view.source_port(),
        destination_port: view.destination_port(),
        tcp_flags: view.tcp_flags().map(|flags| flags.0),
        icmp: view.icmp_type_code(),
        in_interface: context.in_interface,
        out_interface: context.out_interface,
        physical_in: context.physical_in,
        physical_out: context.physical_out,
        bridged: context.bridged,
        fragment: layout.fragment_offset() != 0,
        length: u16::try_from(layout.total_length()).unwrap_or(u16::MAX),
        ttl: view.ttl(),
        mark: context.mark,
        connection_mark: connection.map_or(0, Connection::mark),
        state: context.connection.map_or(CtState::Invalid, |c| c.state),
        connection: connection.zip(context.connection.map(|place| place.direction)),
        address_type: context.address_type,
        mac: context.mac,
        now: context.now,
    }
}

/// The verdict of a table that ends the packet's way.
fn stop(table: Table, hook: Hook, outcome: Outcome) -> Option<Verdict> {
    match (outcome.verdict, outcome.rule) {
        (TableVerdict::Drop, Some(rule)) => Some(Verdict::Drop(DropCause::Rule(rule))),
        (TableVerdict::Drop, None) => Some(Verdict::Drop(DropCause::Policy { table, hook })),
        (TableVerdict::Reject(with), Some(rule)) => Some(Verdict::Reject { with, rule }),
        // The rule tables let translating targets into the nat table only.
        _ => None,
    }
}

fn local_range(
    address: Option<IpAddr>,
    range: &NatRange,
    rule: &Option<RuleRef>,
) -> Result<NatRange, Verdict> {
    match address {
        Some(address) => Ok(nat::range_of(address, range)),
        None => Err(Verdict::Drop(DropCause::NoLocalAddress(rule.clone()))),
    }
}
