//! A learning bridge that decides as the Linux bridge without spanning tree does (IEEE 802.1D relay).
//!
//! The bridge holds no frames. [`Bridge::ingress`] learns a frame's source and decides where it goes;
//! the caller runs whatever stands between the decision and the wire (netfilter hooks), then moves the
//! frame itself, to one port or to each of [`Bridge::flood_ports`]. Frames of the bridge's own network stack
//! enter at [`Bridge::egress_from_local`].
//!
//! As in Linux:
//! * Group and zero source addresses are dropped before learning.
//! * A frame never leaves by the port it came in on, unless that port is a hairpin, and never goes from one
//!   isolated port to another.
//! * A frame whose source is one of the bridge's own addresses is forwarded but not learned.
//! * Of the reserved groups 01:80:c2:00:00:00 to 0f none is forwarded, but :00: with spanning tree off
//!   BPDUs pass, so that bridges around this one can find a loop through it. The sender is learned from
//!   all of them but pause frames (:01).
//! * Multicast is flooded as with no querier on the network.
//! * Port numbers start at 1, the lowest free one is taken, and number 0 is the bridge's own, which leaves
//!   1,023 for ports (`BR_MAX_PORTS` is 1,024).

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::ethernet::EthernetHeader;
use crate::fdb::{Fdb, FdbConfig, FdbEntry, FdbTarget, Learned, nanoseconds};
use crate::mac::{MacAddress, MacKey};
use crate::vlan::VlanId;

/// Port numbers of one bridge, 0 included (Linux `BR_MAX_PORTS`); ports have the numbers below it from 1.
pub const MAX_PORTS: u16 = 1024;

/// Where spanning tree speaks (IEEE 802.1D-2004 table 7-9): the reserved group that is forwarded.
const BPDU_GROUP: MacAddress = MacAddress([0x01, 0x80, 0xc2, 0, 0, 0]);

/// Where pause frames go (IEEE 802.3 annex 31B): the reserved group nothing is learned from.
const PAUSE_GROUP: MacAddress = MacAddress([0x01, 0x80, 0xc2, 0, 0, 1]);

/// The number of a port on its bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId(pub u16);

impl fmt::Display for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// How a bridge behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BridgeConfig {
    /// How long a learned address lives without a frame from it. Default 300 s.
    pub ageing: Duration,
    /// Learned addresses at most. Default 16,384.
    pub fdb_limit: usize,
}

impl Default for BridgeConfig {
    fn default() -> BridgeConfig {
        let FdbConfig { ageing, limit } = FdbConfig::default();
        BridgeConfig { ageing, fdb_limit: limit }
    }
}

/// How a port behaves (`bridge link set`). The default is the kernel's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortConfig {
    /// Frames may leave by this port though they came in on it. Default off.
    pub hairpin: bool,
    /// No frames to or from other isolated ports. Default off.
    pub isolated: bool,
    /// Sources are learned. Default on.
    pub learning: bool,
    /// Unicast to unknown addresses is flooded to this port. Default on.
    pub flood_unknown: bool,
    /// Multicast is flooded to this port. Default on.
    pub flood_multicast: bool,
    /// Broadcast is flooded to this port. Default on.
    pub flood_broadcast: bool,
}

impl Default for PortConfig {
    fn default() -> PortConfig {
        PortConfig {
            hairpin: false,
            isolated: false,
            learning: true,
            flood_unknown: true,
            flood_multicast: true,
            flood_broadcast: true,
        }
    }
}

/// A request the bridge cannot satisfy. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BridgeError {
    /// Every port number is taken (Linux answers EXFULL, "Exchange full").
    #[error("the bridge has {} ports already, as many as a bridge can have; connect to another network", MAX_PORTS - 1)]
    TooManyPorts,
    /// There is no such port.
    #[error("the bridge has no port {port}; list its ports to see which it has")]
    UnknownPort {
        /// The number asked for.
        port: PortId,
    },
    /// The address cannot belong to one station.
    #[error("{address} is a group or the zero address; a forwarding entry needs a station's address")]
    NotAStation {
        /// The address asked for.
        address: MacAddress,
    },
}

/// Where a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// To the bridge's own network stack only.
    Local,
    /// Out of one port. [`Bridge::may_egress`] holds for it.
    Forward(PortId),
    /// Out of each of [`Bridge::flood_ports`].
    Flood(FloodKind),
    /// Out of each of [`Bridge::flood_ports`], and to the bridge's own network stack.
    FloodAndLocal(FloodKind),
    /// Nowhere; the reason has been counted.
    Drop(DropReason),
}

/// Why a frame is flooded; ports can refuse each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloodKind {
    /// To a station whose port is not known.
    UnknownUnicast,
    /// To a group.
    Multicast,
    /// To every station.
    Broadcast,
}

/// Why the bridge dropped a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DropReason {
    /// It came in on a port the bridge does not have.
    UnknownPort,
    /// The port it came in on, or the only port it could leave by, is down.
    PortDisabled,
    /// Its source is a group or zero.
    InvalidSource,
    /// Its destination is a group reserved for the neighbouring device.
    ReservedMulticast,
    /// Its destination is behind the port it came from.
    SamePort,
    /// It came from an isolated port and its destination is behind another.
    Isolated,
    /// The bridge's own stack sent it to one of the bridge's own addresses.
    OwnAddress,
}

impl DropReason {
    /// Every reason, in the order of the counters.
    pub const ALL: [DropReason; 7] = [
        DropReason::UnknownPort,
        DropReason::PortDisabled,
        DropReason::InvalidSource,
        DropReason::ReservedMulticast,
        DropReason::SamePort,
        DropReason::Isolated,
        DropReason::OwnAddress,
    ];
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DropReason::UnknownPort => "no such bridge port",
            DropReason::PortDisabled => "bridge port down",
            DropReason::InvalidSource => "invalid source address",
            DropReason::ReservedMulticast => "reserved multicast",
            DropReason::SamePort => "destination behind the port it came from",
            DropReason::Isolated => "both ports isolated",
            DropReason::OwnAddress => "sent to the bridge's own address",
        })
    }
}

/// Dropped frames by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DropCounters([u64; DropReason::ALL.len()]);

impl DropCounters {
    /// Frames dropped for `reason`.
    pub fn get(&self, reason: DropReason) -> u64 {
        self.0[reason as usize]
    }

    /// Frames dropped in all.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    fn count(&mut self, reason: DropReason) {
        self.0[reason as usize] += 1;
    }
}

/// What happened on a port since it was added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortCounters {
    /// Frames that came in, dropped ones included.
    pub received: u64,
    /// Addresses that moved to this port from another.
    pub moves: u64,
    /// Frames whose source was not learned because the table was full.
    pub not_learned: u64,
    /// Frames that came in here and went nowhere.
    pub drops: DropCounters,
}

impl PortCounters {
    #[cold]
    fn count(&mut self, learned: Learned) {
        match learned {
            Learned::Moved { .. } => self.moves += 1,
            Learned::Full => self.not_learned += 1,
            Learned::New | Learned::Refreshed | Learned::Configured => {}
        }
    }
}

/// A port: its settings and counters.
#[derive(Clone, Copy, Debug)]
pub struct Port {
    config: PortConfig,
    enabled: bool,
    counters: PortCounters,
}

impl Port {
    /// The port's settings.
    pub fn config(&self) -> PortConfig {
        self.config
    }

    /// Whether the port is up.
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// What happened on the port.
    pub fn counters(&self) -> PortCounters {
        self.counters
    }
}

/// A learning bridge.
#[derive(Debug)]
pub struct Bridge {
    /// Indexed by port number; number 0 stays empty.
    ports: Vec<Option<Port>>,
    fdb: Fdb,
    local_drops: DropCounters,
}

impl Bridge {
    /// A bridge without ports.
    pub fn new(config: BridgeConfig) -> Bridge {
        let fdb = Fdb::new(FdbConfig { ageing: config.ageing, limit: config.fdb_limit });
        Bridge { ports: vec![None], fdb, local_drops: DropCounters::default() }
    }

    /// Takes a frame that came in on `port` at `now`: learns its source and decides where it goes. `vlan` is
    /// the VLAN to learn and look up in, `None` on a bridge that does not tell VLANs apart.
    #[inline(always)]
    pub fn ingress(
        &mut self,
        now: Duration,
        port: PortId,
        header: &EthernetHeader,
        vlan: Option<VlanId>,
    ) -> Decision {
        self.ingress_keyed(nanoseconds(now), port, header.destination.key(), header.source.key(), vlan)
    }

    #[inline]
    fn ingress_keyed(
        &mut self,
        now: u64,
        port: PortId,
        destination: MacKey,
        source: MacKey,
        vlan: Option<VlanId>,
    ) -> Decision {
        if let Some(reason) = self.admit(now, port, destination, source, vlan) {
            return Decision::Drop(reason);
        }
        // What nearly every frame is, known unicast, without the ways of the others.
        if !destination.is_multicast()
            && let Some(FdbTarget::Port(egress)) = self.fdb.lookup_at(now, destination, vlan)
            && self.obstacle(Some(port), egress).is_none()
        {
            return Decision::Forward(egress);
        }
        self.ingress_otherwise(now, port, destination, vlan)
    }

    /// The decision for a frame that was counted and learned.
    #[inline(never)]
    fn ingress_otherwise(
        &mut self,
        now: u64,
        port: PortId,
        destination: MacKey,
        vlan: Option<VlanId>,
    ) -> Decision {
        let decision = self.relay(now, Some(port), destination, vlan);
        if let Decision::Drop(reason) = decision
            && let Some(ingress) = slot_mut(&mut self.ports, port)
        {
            ingress.counters.drops.count(reason);
        }
        decision
    }

    /// Takes a frame that came in on `port` at `now` and of which the caller knows what [`Bridge::ingress`] would
    /// decide: counts it and learns its source, and spares the decision.
    #[inline(always)]
    pub fn ingress_decided(
        &mut self,
        now: Duration,
        port: PortId,
        header: &EthernetHeader,
        vlan: Option<VlanId>,
    ) {
        self.admit(nanoseconds(now), port, header.destination.key(), header.source.key(), vlan);
    }

    /// Counts a frame and learns its source. Says why it is dropped, which has been counted, if it is.
    #[inline]
    fn admit(
        &mut self,
        now: u64,
        port: PortId,
        destination: MacKey,
        source: MacKey,
        vlan: Option<VlanId>,
    ) -> Option<DropReason> {
        let Some(ingress) = slot_mut(&mut self.ports, port) else {
            self.local_drops.count(DropReason::UnknownPort);
            return Some(DropReason::UnknownPort);
        };
        ingress.counters.received += 1;
        if let Some(reason) = refuse(ingress, destination, source) {
            ingress.counters.drops.count(reason);
            return Some(reason);
        }
        if ingress.config.learning {
            let learned = self.fdb.learn_at(now, source, vlan, port);
            if learned != Learned::Refreshed {
                ingress.counters.count(learned);
            }
        }
        None
    }

    /// Decides where a frame goes that the bridge's own network stack sends to `destination` at `now`.
    /// Never [`Decision::Local`] or [`Decision::FloodAndLocal`].
    pub fn egress_from_local(
        &mut self,
        now: Duration,
        destination: MacAddress,
        vlan: Option<VlanId>,
    ) -> Decision {
        let decision = match self.relay(nanoseconds(now), None, destination.key(), vlan) {
            Decision::Local => Decision::Drop(DropReason::OwnAddress),
            Decision::FloodAndLocal(kind) => Decision::Flood(kind),
            decision @ (Decision::Forward(_) | Decision::Flood(_) | Decision::Drop(_)) => decision,
        };
        if let Decision::Drop(reason) = decision {
            self.local_drops.count(reason);
        }
        decision
    }

    /// Whether a frame from `ingress` (`None`: the bridge's own stack) may leave by `egress`.
    #[inline]
    pub fn may_egress(&self, ingress: Option<PortId>, egress: PortId) -> bool {
        self.obstacle(ingress, egress).is_none()
    }

    /// The ports a frame from `ingress` (`None`: the bridge's own stack) is flooded to, in port order.
    pub fn flood_ports(&self, ingress: Option<PortId>, kind: FloodKind) -> impl Iterator<Item = PortId> + '_ {
        let first = self.next_flood_port(ingress, kind, PortId(0));
        std::iter::successors(first, move |last| self.next_flood_port(ingress, kind, *last))
    }

    /// The first of [`Bridge::flood_ports`] whose number is above `after`: for callers that change the
    /// bridge or what is around it between ports. Start with `PortId(0)`.
    pub fn next_flood_port(&self, ingress: Option<PortId>, kind: FloodKind, after: PortId) -> Option<PortId> {
        let length = self.ports.len() as u16;
        (after.0.saturating_add(1)..length).map(PortId).find(|&egress| {
            slot(&self.ports, egress).is_some_and(|port| port.config.floods(kind))
                && self.may_egress(ingress, egress)
        })
    }

    /// Adds a port, up, with the lowest free number.
    ///
    /// # Errors
    /// [`BridgeError::TooManyPorts`] if none is free.
    pub fn add_port(&mut self, config: PortConfig) -> Result<PortId, BridgeError> {
        let port = Port { config, enabled: true, counters: PortCounters::default() };
        let free =
            self.ports.iter().skip(1).position(Option::is_none).map_or(self.ports.len(), |index| index + 1);
        if free >= usize::from(MAX_PORTS) {
            return Err(BridgeError::TooManyPorts);
        }
        if free == self.ports.len() {
            self.ports.push(Some(port));
        } else {
            self.ports[free] = Some(port);
        }
        Ok(PortId(free as u16))
    }

    /// Removes a port and every address behind it.
    ///
    /// # Errors
    /// [`BridgeError::UnknownPort`] if there is none.
    pub fn remove_port(&mut self, port: PortId) -> Result<(), BridgeError> {
        let slot = self.ports.get_mut(usize::from(port.0)).filter(|slot| slot.is_some());
        *slot.ok_or(BridgeError::UnknownPort { port })? = None;
        self.fdb.remove_port(port);
        while self.ports.len() > 1 && self.ports.last().is_some_and(Option::is_none) {
            self.ports.pop();
        }
        Ok(())
    }

    /// Brings a port up or down. Going down forgets what was learned on it, as a lost carrier does.
    ///
    /// # Errors
    /// [`BridgeError::UnknownPort`] if there is none.
    pub fn set_enabled(&mut self, port: PortId, enabled: bool) -> Result<(), BridgeError> {
        slot_mut(&mut self.ports, port).ok_or(BridgeError::UnknownPort { port })?.enabled = enabled;
        if !enabled {
            self.fdb.flush_learned(Some(port));
        }
        Ok(())
    }

    /// A port's settings and counters.
    pub fn port(&self, port: PortId) -> Option<&Port> {
        slot(&self.ports, port)
    }

    /// A port's settings, to change them.
    pub fn port_mut(&mut self, port: PortId) -> Option<&mut PortConfig> {
        slot_mut(&mut self.ports, port).map(|port| &mut port.config)
    }

    /// The ports' numbers, in order.
    pub fn ports(&self) -> impl Iterator<Item = PortId> + '_ {
        (1..self.ports.len() as u16).map(PortId).filter(|&port| slot(&self.ports, port).is_some())
    }

    /// Makes `address` one of the bridge's own, in every VLAN: frames to it go [`Decision::Local`].
    ///
    /// # Errors
    /// [`BridgeError::NotAStation`] for a group or zero.
    pub fn add_local(&mut self, address: MacAddress) -> Result<(), BridgeError> {
        require_station(address)?;
        self.fdb.add_permanent(address, None);
        Ok(())
    }

    /// Ties `address` to `port`: it neither ages nor moves.
    ///
    /// # Errors
    /// [`BridgeError::NotAStation`] for a group or zero, [`BridgeError::UnknownPort`].
    pub fn add_static(
        &mut self,
        address: MacAddress,
        vlan: Option<VlanId>,
        port: PortId,
    ) -> Result<(), BridgeError> {
        require_station(address)?;
        slot(&self.ports, port).ok_or(BridgeError::UnknownPort { port })?;
        self.fdb.add_static(address, vlan, port);
        Ok(())
    }

    /// Forgets an address, however it was known. Returns whether it was.
    pub fn remove_address(&mut self, address: MacAddress, vlan: Option<VlanId>) -> bool {
        self.fdb.remove(address, vlan)
    }

    /// Forgets what was learned on `port`, or on every port.
    pub fn flush_learned(&mut self, port: Option<PortId>) {
        self.fdb.flush_learned(port);
    }

    /// Frees the room of expired addresses. Decisions do not depend on it.
    pub fn collect(&mut self, now: Duration) {
        self.fdb.collect(now);
    }

    /// Changes the bridge's settings; addresses age by the new time at once.
    pub fn set_config(&mut self, config: BridgeConfig) {
        self.fdb.set_config(FdbConfig { ageing: config.ageing, limit: config.fdb_limit });
    }

    /// The addresses the bridge knows, by address, then VLAN.
    pub fn fdb_entries(&self, now: Duration) -> Vec<FdbEntry> {
        self.fdb.entries(now)
    }

    /// The forwarding database, to read.
    pub fn fdb(&self) -> &Fdb {
        &self.fdb
    }

    /// Drops that belong to no port: frames of the bridge's own stack, and frames from unknown ports.
    pub fn local_drops(&self) -> DropCounters {
        self.local_drops
    }

    /// The forwarding decision common to both directions, without counting.
    #[inline]
    fn relay(
        &self,
        now: u64,
        ingress: Option<PortId>,
        destination: MacKey,
        vlan: Option<VlanId>,
    ) -> Decision {
        if destination.is_multicast() {
            if ingress.is_some() && destination.is_reserved_link_local() && destination != BPDU_GROUP.key() {
                return Decision::Drop(DropReason::ReservedMulticast);
            }
            let kind = if destination.is_broadcast() { FloodKind::Broadcast } else { FloodKind::Multicast };
            return Decision::FloodAndLocal(kind);
        }
        match self.lookup(now, destination, vlan) {
            Some(FdbTarget::Local) => Decision::Local,
            Some(FdbTarget::Port(egress)) => match self.obstacle(ingress, egress) {
                None => Decision::Forward(egress),
                Some(reason) => Decision::Drop(reason),
            },
            None => Decision::Flood(FloodKind::UnknownUnicast),
        }
    }

    /// The entry for an address. The bridge's own addresses hold in every VLAN.
    #[inline]
    fn lookup(&self, now: u64, address: MacKey, vlan: Option<VlanId>) -> Option<FdbTarget> {
        let target = self.fdb.lookup_at(now, address, vlan);
        if target.is_none() && vlan.is_some() {
            return self.fdb.lookup_at(now, address, None).filter(|target| *target == FdbTarget::Local);
        }
        target
    }

    /// Why a frame from `ingress` may not leave by `egress`, if it may not (Linux `should_deliver`).
    #[inline]
    fn obstacle(&self, ingress: Option<PortId>, egress: PortId) -> Option<DropReason> {
        let Some(port) = slot(&self.ports, egress) else { return Some(DropReason::UnknownPort) };
        if !port.enabled {
            return Some(DropReason::PortDisabled);
        }
        if ingress == Some(egress) && !port.config.hairpin {
            return Some(DropReason::SamePort);
        }
        if port.config.isolated
            && ingress
                .and_then(|ingress| slot(&self.ports, ingress))
                .is_some_and(|ingress| ingress.config.isolated)
        {
            return Some(DropReason::Isolated);
        }
        None
    }
}

impl PortConfig {
    fn floods(&self, kind: FloodKind) -> bool {
        match kind {
            FloodKind::UnknownUnicast => self.flood_unknown,
            FloodKind::Multicast => self.flood_multicast,
            FloodKind::Broadcast => self.flood_broadcast,
        }
    }
}

/// Why a frame is dropped before its source is learned, if it is.
#[inline]
fn refuse(ingress: &Port, destination: MacKey, source: MacKey) -> Option<DropReason> {
    if !ingress.enabled {
        return Some(DropReason::PortDisabled);
    }
    if !source.is_valid_source() {
        return Some(DropReason::InvalidSource);
    }
    (destination == PAUSE_GROUP.key()).then_some(DropReason::ReservedMulticast)
}

fn require_station(address: MacAddress) -> Result<(), BridgeError> {
    if address.is_valid_source() { Ok(()) } else { Err(BridgeError::NotAStation { address }) }
}

#[inline]
fn slot(ports: &[Option<Port>], port: PortId) -> Option<&Port> {
    ports.get(usize::from(port.0))?.as_ref()
}

#[inline]
fn slot_mut(ports: &mut [Option<Port>], port: PortId) -> Option<&mut Port> {
    ports.get_mut(usize::from(port.0))?.as_mut()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ethernet::EtherType;

    const NOW: Duration = Duration::from_secs(1);

    const fn mac(last: u8) -> MacAddress {
        MacAddress([2, 0x42, 0xac, 0x11, 0, last])
    }

    fn frame(source: MacAddress, destination: MacAddress) -> EthernetHeader {
        EthernetHeader { destination, source, ethertype: EtherType::IPV4 }
    }

    fn bridge(ports: usize) -> Bridge {
        let mut bridge = Bridge::new(BridgeConfig::default());
        for _ in 0..ports {
            bridge.add_port(PortConfig::default()).unwrap();
        }
        bridge
    }

    fn send(bridge: &mut Bridge, port: u16, source: MacAddress, destination: MacAddress) -> Decision {
        bridge.ingress(NOW, PortId(port), &frame(source, destination), None)
    }

    #[test]
    fn unknown_is_flooded_and_known_is_forwarded() {
        let mut bridge = bridge(3);
        assert_eq!(send(&mut bridge, 1, mac(1), mac(2)), Decision::Flood(FloodKind::UnknownUnicast));
        assert_eq!(send(&mut bridge, 2, mac(2), mac(1)), Decision::Forward(PortId(1)));
        assert_eq!(send(&mut bridge, 1, mac(1), mac(2)), Decision::Forward(PortId(2)));
        assert_eq!(send(&mut bridge, 2, mac(9), mac(2)), Decision::Drop(DropReason::SamePort));
        let counters = bridge.port(PortId(2)).unwrap().counters();
        assert_eq!(
            (counters.received, counters.drops.get(DropReason::SamePort), counters.drops.total()),
            (2, 1, 1)
        );
    }

    #[test]
    fn a_decided_frame_is_counted_and_learned_as_any_other() {
        let (mut asked, mut decided) = (bridge(2), bridge(2));
        // Learned, refused, moved to another port.
        for (port, source) in [(1, mac(1)), (1, MacAddress::ZERO), (2, mac(1))] {
            let header = frame(source, mac(2));
            asked.ingress(NOW, PortId(port), &header, None);
            decided.ingress_decided(NOW, PortId(port), &header, None);
        }
        assert_eq!(asked.fdb_entries(NOW), decided.fdb_entries(NOW));
        for port in [PortId(1), PortId(2)] {
            assert_eq!(asked.port(port).unwrap().counters(), decided.port(port).unwrap().counters());
        }
        assert_eq!(decided.port(PortId(2)).unwrap().counters().moves, 1);
    }

    #[test]
    fn groups_go_everywhere_and_to_the_bridge() {
        let mut bridge = bridge(3);
        let group = MacAddress([0x33, 0x33, 0, 0, 0, 1]);
        assert_eq!(
            send(&mut bridge, 1, mac(1), MacAddress::BROADCAST),
            Decision::FloodAndLocal(FloodKind::Broadcast)
        );
        assert_eq!(send(&mut bridge, 1, mac(1), group), Decision::FloodAndLocal(FloodKind::Multicast));
        assert_eq!(bridge.egress_from_local(NOW, group, None), Decision::Flood(FloodKind::Multicast));
        let ports: Vec<_> = bridge.flood_ports(Some(PortId(2)), FloodKind::Broadcast).collect();
        assert_eq!(ports, [PortId(1), PortId(3)]);
        assert_eq!(bridge.flood_ports(None, FloodKind::Broadcast).count(), 3);
    }

    #[test]
    fn own_addresses_are_local_in_every_vlan_and_never_learned() {
        let mut bridge = bridge(2);
        bridge.add_local(mac(9)).unwrap();
        assert_eq!(send(&mut bridge, 1, mac(1), mac(9)), Decision::Local);
        let vlan = VlanId::new(5).ok();
        assert_eq!(bridge.ingress(NOW, PortId(1), &frame(mac(1), mac(9)), vlan), Decision::Local);
        assert_eq!(send(&mut bridge, 2, mac(9), mac(1)), Decision::Forward(PortId(1)));
        assert_eq!(send(&mut bridge, 1, mac(1), mac(9)), Decision::Local);
        assert_eq!(bridge.egress_from_local(NOW, mac(9), None), Decision::Drop(DropReason::OwnAddress));
        assert_eq!(bridge.egress_from_local(NOW, mac(1), None), Decision::Forward(PortId(1)));
        assert_eq!(bridge.local_drops().get(DropReason::OwnAddress), 1);
        assert!(bridge.add_local(MacAddress::BROADCAST).is_err());
        assert!(bridge.add_static(mac(3), None, PortId(7)).is_err());
    }

    #[test]
    fn reserved_groups_stop_here_but_bpdus_pass() {
        let mut bridge = bridge(2);
        let reserved = |last| MacAddress([0x01, 0x80, 0xc2, 0, 0, last]);
        assert_eq!(send(&mut bridge, 1, mac(1), reserved(0)), Decision::FloodAndLocal(FloodKind::Multicast));
        assert_eq!(send(&mut bridge, 1, mac(2), reserved(1)), Decision::Drop(DropReason::ReservedMulticast));
        assert_eq!(
            send(&mut bridge, 1, mac(3), reserved(0xe)),
            Decision::Drop(DropReason::ReservedMulticast)
        );
        assert_eq!(
            send(&mut bridge, 1, mac(4), reserved(0x10)),
            Decision::FloodAndLocal(FloodKind::Multicast)
        );
        let learned: Vec<_> = bridge.fdb_entries(NOW).iter().map(|entry| entry.address).collect();
        assert_eq!(learned, [mac(1), mac(3), mac(4)]);
    }

    #[test]
    fn impossible_sources_and_ports_are_dropped_unlearned() {
        let mut bridge = bridge(2);
        for source in [MacAddress::ZERO, MacAddress::BROADCAST, MacAddress([1, 0, 0x5e, 0, 0, 1])] {
            assert_eq!(send(&mut bridge, 1, source, mac(2)), Decision::Drop(DropReason::InvalidSource));
        }
        for port in [0, 3, u16::MAX] {
            assert_eq!(send(&mut bridge, port, mac(1), mac(2)), Decision::Drop(DropReason::UnknownPort));
        }
        bridge.set_enabled(PortId(1), false).unwrap();
        assert_eq!(send(&mut bridge, 1, mac(1), mac(2)), Decision::Drop(DropReason::PortDisabled));
        assert!(bridge.fdb().is_empty());
        assert_eq!(bridge.local_drops().get(DropReason::UnknownPort), 3);
        assert_eq!(bridge.flood_ports(None, FloodKind::Broadcast).collect::<Vec<_>>(), [PortId(2)]);
    }

    #[test]
    fn port_settings_hold() {
        let mut bridge = bridge(3);
        for (port, address) in [(1, mac(1)), (2, mac(2)), (3, mac(3))] {
            send(&mut bridge, port, address, MacAddress::BROADCAST);
        }
        bridge.port_mut(PortId(1)).unwrap().hairpin = true;
        assert_eq!(send(&mut bridge, 1, mac(1), mac(1)), Decision::Forward(PortId(1)));
        for port in [1, 2] {
            bridge.port_mut(PortId(port)).unwrap().isolated = true;
        }
        assert_eq!(send(&mut bridge, 1, mac(1), mac(2)), Decision::Drop(DropReason::Isolated));
        assert_eq!(send(&mut bridge, 1, mac(1), mac(3)), Decision::Forward(PortId(3)));
        assert_eq!(bridge.egress_from_local(NOW, mac(2), None), Decision::Forward(PortId(2)));
        bridge.port_mut(PortId(3)).unwrap().flood_unknown = false;
        assert_eq!(bridge.flood_ports(Some(PortId(1)), FloodKind::UnknownUnicast).count(), 0);
        assert_eq!(
            bridge.flood_ports(Some(PortId(1)), FloodKind::Multicast).collect::<Vec<_>>(),
            [PortId(3)]
        );
        bridge.port_mut(PortId(3)).unwrap().learning = false;
        send(&mut bridge, 3, mac(8), mac(1));
        assert_eq!(send(&mut bridge, 1, mac(1), mac(8)), Decision::Flood(FloodKind::UnknownUnicast));
    }

    #[test]
    fn moves_and_a_full_table_are_counted() {
        let mut bridge = Bridge::new(BridgeConfig { fdb_limit: 1, ..BridgeConfig::default() });
        for _ in 0..2 {
            bridge.add_port(PortConfig::default()).unwrap();
        }
        send(&mut bridge, 1, mac(1), mac(9));
        send(&mut bridge, 2, mac(1), mac(9));
        send(&mut bridge, 2, mac(2), mac(9));
        let counters = bridge.port(PortId(2)).unwrap().counters();
        assert_eq!((counters.moves, counters.not_learned), (1, 1));
    }

    #[test]
    fn a_bridge_has_1023_ports_and_reuses_the_lowest_number() {
        let mut bridge = bridge(1023);
        assert_eq!(bridge.add_port(PortConfig::default()), Err(BridgeError::TooManyPorts));
        bridge.remove_port(PortId(7)).unwrap();
        assert_eq!(bridge.remove_port(PortId(7)), Err(BridgeError::UnknownPort { port: PortId(7) }));
        assert_eq!(bridge.add_port(PortConfig::default()), Ok(PortId(7)));
        for port in 2..1024 {
            bridge.remove_port(PortId(port)).unwrap();
        }
        assert_eq!(bridge.ports().collect::<Vec<_>>(), [PortId(1)]);
    }
}
