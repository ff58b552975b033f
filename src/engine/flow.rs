//! Flows whose way is known: what the first packets of a flow were told is remembered, so that the next ones need not
//! ask again.
//!
//! Every stage of a packet's way is decided by tables: leaving its namespace (route, OUTPUT and POSTROUTING,
//! neighbour), crossing a bridge whose namespace filters bridged packets, entering a namespace (address, PREROUTING
//! and INPUT, socket). Linux remembers such answers per socket (`sk_dst_cache`) and per flow (the nf_tables
//! flowtable), Open vSwitch as megaflows. Here a [`Decision`] is drawn up while a packet goes the ordinary way
//! ([`Draft`]), and it is void as soon as that way does anything that a repetition could not: translate, answer,
//! wait, flood, fragment. There is no second implementation of forwarding, only its answers.
//!
//! A decision holds while nothing changed that it rests on: `Engine::epoch` moves with every plan and every `iptables`
//! command, [`super::namespace::Namespace::epoch`] with sockets, neighbours and path MTUs; connections and rules are
//! asked again by [`linkspan_nat::netfilter::Passage`], which also counts them; the bridge learns and looks up every
//! time. What a repetition does is what the ordinary way does, frame by frame through the same FIFO: counters,
//! connection tracking, learning and the order of things are the same with and without (`tests/flows.rs`).
//! Packets that are watched are never repeated, because a story needs every step.
//!
//! A frame carries the decision of its last stage as its hint; that decision knows the one of the next stage. The
//! first stage is found by the packet's addresses and ports. Memory is bounded: [`DECISIONS`] in a ring, and as many
//! flows.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use hashbrown::HashTable;
use linkspan_nat::netfilter::{HookStep, Netfilter, PacketConnection, Passage};
use linkspan_nat::packet::TCP;
use linkspan_nat::rule::Family;
use linkspan_switch::bridge::PortId;
use linkspan_switch::ethernet::{ETHERNET_HEADER_LEN, EthernetHeader};
use linkspan_switch::fdb::{FdbTarget, nanoseconds};
use linkspan_switch::frame::{Checksum, Frame, TraceId};
use linkspan_switch::offload;
use linkspan_switch::storm::StormFrame;

use super::Engine;
use super::device::{Device, Kind};
use super::ethernet::longest_from_peer;
use super::event::DropReason;
use super::flow_key::{FlowKey, checksums_are_valid, datagram, segment_flags, tcp_flags};
use super::id::{DeviceId, NamespaceId, SocketId};
use super::namespace::Namespace;
use super::receive_buffer::Ends;

/// Decisions and flows that are remembered at most; the oldest decision makes room for another, and the flows are
/// forgotten together. 10,000 connections take 60,000.
const DECISIONS: usize = 1 << 17;

/// What is remembered.
#[derive(Default)]
pub(super) struct Flows {
    known: HashTable<Known>,
    ring: Vec<Decision>,
    next: usize,
}

/// A flow that left a namespace before.
struct Known {
    key: FlowKey,
    first: Handle,
    misses: u32,
}

/// Names a decision: its place in the ring and the generation of that place; zero names none.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Handle(u64);

/// What became of a packet at one stage, to become of the next one of its flow too. With ten thousand flows every one is a
/// cache miss, so it is two lines.
#[repr(align(64))]
struct Decision {
    generation: u32,
    /// Packets that could not be repeated since the last one that was drawn up.
    misses: u32,
    basis: Basis,
    /// The device that received the packet; at the first stage none did.
    device: Option<DeviceId>,
    /// Nanoseconds of virtual time.
    until: u64,
    /// Longest IP packet.
    limit: u32,
    way: Way,
    passage: Option<Passage>,
    next: Handle,
}

const _: () = assert!(size_of::<Decision>() == 128);

/// What a decision rests on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Basis {
    pub(super) namespace: NamespaceId,
    pub(super) epoch: u64,
    pub(super) namespace_epoch: u64,
}

/// How a packet goes on.
enum Way {
    /// Out of a device with this Ethernet header.
    Send { exit: Exit, header: [u8; ETHERNET_HEADER_LEN] },
    /// Through a bridge from port to port, and out of the device behind it.
    Bridge { bridge: DeviceId, ingress: PortId, egress: PortId, exit: Exit },
    /// Into a UDP socket; the payload begins here, from the Ethernet header on.
    Datagram { socket: SocketId, ends: Rc<Ends>, payload: usize },
}

/// The device by which a packet leaves.
#[derive(Clone, Copy)]
pub(super) struct Exit {
    device: DeviceId,
    /// What receives it at once: the device is up, a veth without a wire, and the MTUs of both ends are in the decision's
    /// limit.
    peer: Option<DeviceId>,
}

/// A decision that is being drawn up while a packet goes the ordinary way.
pub(super) struct Draft {
    origin: Origin,
    basis: Basis,
    device: Option<DeviceId>,
    family: Family,
    steps: Vec<HookStep>,
    connection: Option<PacketConnection>,
    bridged: Option<(DeviceId, PortId, PortId)>,
    until: Option<Duration>,
    limit: usize,
}

/// What leads to a decision.
#[derive(Clone, Copy)]
enum Origin {
    Flow(FlowKey),
    After(Handle),
}

impl Handle {
    /// The handle as a word that others keep.
    pub(super) fn to_bits(self) -> u64 {
        self.0
    }

    /// The inverse of [`Handle::to_bits`].
    pub(super) fn from_bits(bits: u64) -> Handle {
        Handle(bits)
    }
}

impl Flows {
    fn get(&self, handle: Handle) -> Option<&Decision> {
        let decision = self.ring.get(handle.0 as u32 as usize)?;
        (decision.generation == (handle.0 >> 32) as u32).then_some(decision)
    }

    fn get_mut(&mut self, handle: Handle) -> Option<&mut Decision> {
        let decision = self.ring.get_mut(handle.0 as u32 as usize)?;
        (decision.generation == (handle.0 >> 32) as u32).then_some(decision)
    }

    /// The device by which a local datagram of `length` bytes leaves, if a decision still says so, whose basis the caller
    /// has seen to hold.
    #[inline]
    pub(super) fn way_out(
        &self,
        handle: Handle,
        netfilter: &mut Netfilter,
        now: Duration,
        length: usize,
    ) -> Option<Exit> {
        let Decision { way: Way::Send { exit, .. }, limit, until, passage, .. } = self.get(handle)? else {
            return None;
        };
        let holds = length <= *limit as usize
            && nanoseconds(now) < *until
            && passage.as_ref().is_none_or(|passage| netfilter.repeat(passage, now, None, length));
        holds.then_some(*exit)
    }

    fn insert(&mut self, mut decision: Decision) -> Handle {
        let slot = self.next;
        self.next = if slot + 1 == DECISIONS { 0 } else { slot + 1 };
        match self.ring.get_mut(slot) {
            Some(old) => {
                decision.generation = old.generation.wrapping_add(1).max(1);
                *old = decision;
            }
            None => self.ring.push(decision),
        }
        Handle(u64::from(self.ring[slot].generation) << 32 | slot as u64)
    }

    /// Remembers where a decision comes after.
    fn link(&mut self, origin: Origin, handle: Handle) {
        match origin {
            Origin::Flow(key) => {
                if let Some(known) = self.known.find_mut(key.hash(), |known| known.key == key) {
                    (known.first, known.misses) = (handle, 0);
                }
            }
            Origin::After(before) => {
                if let Some(before) = self.get_mut(before) {
                    (before.next, before.misses) = (handle, 0);
                }
            }
        }
    }
}

impl Decision {
    /// Takes a frame from port to port through the bridge. False, and nothing happened, if the decision does not hold.
    #[inline]
    fn cross(
        &self,
        devices: &mut [Option<Device>],
        namespaces: &mut [Option<Box<Namespace>>],
        now: Duration,
        frame: &Frame,
    ) -> bool {
        let Way::Bridge { bridge, ingress, egress, .. } = self.way else { return false };
        let bytes = frame.bytes();
        let Ok(header) = EthernetHeader::parse(bytes) else { return false };
        let length = bytes.len() - ETHERNET_HEADER_LEN;
        if length > self.limit as usize {
            return false;
        }
        let Some(Some(Device { kind: Kind::Bridge(bridge), .. })) = devices.get_mut(bridge.index()) else {
            return false;
        };
        let towards = bridge.switch.fdb().lookup(now, header.destination, None);
        // Learning the source must not change where the frame goes.
        if towards != Some(FdbTarget::Port(egress)) || header.source == header.destination {
            return false;
        }
        if let Some(passage) = &self.passage {
            let Some(Some(space)) = namespaces.get_mut(self.basis.namespace.index()) else { return false };
            if !space.netfilter.repeat(passage, now, segment_flags(bytes), length) {
                return false;
            }
        }
        bridge.switch.ingress_decided(now, ingress, &header, None);
        true
    }

    /// Lets a datagram in whose payload begins at `payload`; the payload's length. `None`, and nothing happened, if the
    /// decision does not hold.
    #[inline]
    fn admit(
        &self,
        payload: usize,
        namespaces: &mut [Option<Box<Namespace>>],
        now: Duration,
        frame: &Frame,
    ) -> Option<usize> {
        let bytes = frame.bytes();
        let length = datagram(bytes, payload)?.len();
        // A partial checksum was never computed, because the packet never left the machine.
        if frame.checksum() == Checksum::Complete && !checksums_are_valid(bytes) {
            return None;
        }
        if let Some(passage) = &self.passage {
            let space = namespaces.get_mut(self.basis.namespace.index())?.as_mut()?;
            if !space.netfilter.repeat(passage, now, None, bytes.len().saturating_sub(ETHERNET_HEADER_LEN)) {
                return None;
            }
        }
        Some(length)
    }
}

impl Engine {
    /// Something changed in a namespace that decisions rest on.
    pub(super) fn namespace_changed(&mut self, namespace: NamespaceId) {
        if let Some(Some(space)) = self.namespaces.get_mut(namespace.index()) {
            space.epoch += 1;
        }
    }

    /// Sends a local TCP segment by a decision of its flow. Gives it back if that does not hold.
    #[inline]
    pub(super) fn send_by(
        &mut self,
        handle: Handle,
        namespace: NamespaceId,
        frame: Frame,
    ) -> Result<Handle, Frame> {
        let bytes = frame.bytes();
        let family = match bytes.first() {
            Some(first) if first >> 4 == 6 => Family::Ipv6,
            _ => Family::Ipv4,
        };
        let flags = tcp_flags(TCP, family, bytes);
        match self.send_decided(handle, namespace, frame, flags) {
            None => Ok(handle),
            Some(frame) => Err(frame),
        }
    }

    /// Sends a local packet the way its flow goes, and says by which decision. Gives it back if that is not known.
    #[inline]
    pub(super) fn send_known(&mut self, namespace: NamespaceId, frame: Frame) -> Result<Handle, Frame> {
        if frame.mark() != 0 {
            return Err(frame);
        }
        let Some(key) = FlowKey::parse(namespace, frame.bytes()) else { return Err(frame) };
        let hash = key.hash();
        let Some(known) = self.flows.known.find_mut(hash, |known| known.key == key) else {
            return Err(self.first_of_flow(key, hash, frame));
        };
        let flags = tcp_flags(key.protocol, key.family, frame.bytes());
        let handle = known.first;
        let Some(frame) = self.send_decided(handle, namespace, frame, flags) else { return Ok(handle) };
        if let Some(known) = self.flows.known.find_mut(hash, |known| known.key == key) {
            known.misses = known.misses.wrapping_add(1);
            // A way that cannot be repeated is tried ever more rarely.
            if known.misses.is_power_of_two() {
                self.begin_draft(Origin::Flow(key), namespace, None, key.family);
            }
        }
        Err(frame)
    }

    /// Sends a local packet as a decision says. Gives it back if that does not hold.
    #[inline]
    fn send_decided(
        &mut self,
        handle: Handle,
        namespace: NamespaceId,
        mut frame: Frame,
        flags: Option<u8>,
    ) -> Option<Frame> {
        let (now, length) = (self.now, frame.len());
        if let Some(decision) = self.flows.get(handle)
            && let Way::Send { exit, header } = &decision.way
            && (length <= decision.limit as usize || longest_segment(&frame) <= decision.limit as usize)
            && self.holds(&decision.basis)
            && nanoseconds(now) < decision.until
            && let Some(Some(space)) = self.namespaces.get_mut(namespace.index())
            && decision.passage.as_ref().is_none_or(|p| space.netfilter.repeat(p, now, flags, length))
        {
            self.next_trace += 1;
            frame.set_trace(TraceId(self.next_trace));
            frame.prepend(header);
            frame.set_hint(handle.0);
            let exit = *exit;
            self.exit(exit, frame);
            return None;
        }
        Some(frame)
    }

    /// Sends a frame by a device that was asked before.
    #[inline]
    fn exit(&mut self, exit: Exit, frame: Frame) {
        let Exit { device, peer } = exit;
        if let Some(peer) = peer
            && let Some(Some(sender)) = self.devices.get_mut(device.index())
        {
            sender.counters.transmitted_packets += 1;
            sender.counters.transmitted_bytes += frame.len() as u64;
            return self.fifo.push(peer, frame);
        }
        self.transmit(device, frame, None);
    }

    /// The decision by which a flow leaves its namespace and the Ethernet header that it leaves with, if there is one
    /// that rests on `basis`.
    pub(super) fn first_decision(
        &self,
        basis: &Basis,
        protocol: u8,
        source: SocketAddr,
        destination: SocketAddr,
    ) -> Option<(Handle, [u8; ETHERNET_HEADER_LEN])> {
        let key = FlowKey::new(basis.namespace, protocol, source, destination);
        let known = self.flows.known.find(key.hash(), |known| known.key == key)?;
        match self.flows.get(known.first)? {
            Decision { way: Way::Send { header, .. }, basis: same, .. } if same == basis => {
                Some((known.first, *header))
            }
            _ => None,
        }
    }

    /// Sends a frame whose header is that of [`Engine::first_decision`] by the device that [`Flows::way_out`] named.
    #[inline]
    pub(super) fn send_framed(&mut self, handle: Handle, exit: Exit, mut frame: Frame) {
        self.next_trace += 1;
        frame.set_trace(TraceId(self.next_trace));
        frame.set_hint(handle.0);
        self.exit(exit, frame);
    }

    #[cold]
    fn first_of_flow(&mut self, key: FlowKey, hash: u64, frame: Frame) -> Frame {
        if self.flows.known.len() >= DECISIONS {
            self.flows.known.clear();
        }
        let known = Known { key, first: Handle::default(), misses: 0 };
        self.flows.known.insert_unique(hash, known, |known| known.key.hash());
        frame
    }

    /// Receives a frame the way its flow goes. Gives it back if that is not known.
    #[inline]
    pub(super) fn receive_known(&mut self, device: DeviceId, mut frame: Frame) -> Option<Frame> {
        let before = Handle(frame.hint());
        let handle = self.flows.get(before).map_or(Handle::default(), |before| before.next);
        if let Some(decision) = self.flows.get(handle)
            && decision.device == Some(device)
            && self.holds(&decision.basis)
            && nanoseconds(self.now) < decision.until
        {
            match &decision.way {
                Way::Bridge { exit, ingress, .. } => {
                    let (exit, ingress) = (*exit, *ingress);
                    if decision.cross(&mut self.devices, &mut self.namespaces, self.now, &frame) {
                        if !self.guard.count(self.now) {
                            self.storm = storm_frame(&frame, ingress).map(|last| self.guard.exceeded(last));
                        }
                        self.count_received(device, frame.len());
                        frame.set_hint(handle.0);
                        self.exit(exit, frame);
                        return None;
                    }
                }
                Way::Datagram { socket, ends, payload } => {
                    if let Some(length) = decision.admit(*payload, &mut self.namespaces, self.now, &frame) {
                        let (namespace, whole) = (decision.basis.namespace, frame.len());
                        frame.narrow(*payload, length);
                        let taken = self.sockets.push(*socket, ends, frame);
                        self.count_received(device, whole);
                        if let Err(frame) = taken {
                            let reason = DropReason::ReceiveBufferFull;
                            self.drop_frame(frame, Some(namespace), Some(device), reason);
                        }
                        return None;
                    }
                }
                Way::Send { .. } => {}
            }
        }
        Some(self.receive_anew(before, device, frame))
    }

    /// A frame could not be received as the one before: sees whether it is time to draw a decision up again.
    #[cold]
    fn receive_anew(&mut self, before: Handle, device: DeviceId, mut frame: Frame) -> Frame {
        frame.set_hint(0);
        if let Some(previous) = self.flows.get_mut(before) {
            previous.misses = previous.misses.wrapping_add(1);
            if previous.misses.is_power_of_two()
                && let Some(Some(receiver)) = self.devices.get(device.index())
            {
                let family = match frame.bytes().get(ETHERNET_HEADER_LEN).map(|first| first >> 4) {
                    Some(6) => Family::Ipv6,
                    _ => Family::Ipv4,
                };
                let namespace = receiver.namespace;
                self.begin_draft(Origin::After(before), namespace, Some(device), family);
            }
        }
        frame
    }

    #[inline]
    fn count_received(&mut self, device: DeviceId, length: usize) {
        if let Some(Some(receiver)) = self.devices.get_mut(device.index()) {
            receiver.counters.received_packets += 1;
            receiver.counters.received_bytes += length as u64;
        }
    }

    #[inline]
    pub(super) fn basis(&self, namespace: NamespaceId) -> Option<Basis> {
        let namespace_epoch = self.namespaces.get(namespace.index())?.as_ref()?.epoch;
        Some(Basis { namespace, epoch: self.epoch, namespace_epoch })
    }

    /// True if nothing changed that a decision on this basis rests on.
    #[inline]
    pub(super) fn holds(&self, basis: &Basis) -> bool {
        let space = self.namespaces.get(basis.namespace.index()).and_then(Option::as_ref);
        self.epoch == basis.epoch && space.is_some_and(|space| space.epoch == basis.namespace_epoch)
    }

    fn begin_draft(
        &mut self,
        origin: Origin,
        namespace: NamespaceId,
        device: Option<DeviceId>,
        family: Family,
    ) {
        self.draft = self.basis(namespace).map(|basis| {
            Box::new(Draft {
                origin,
                basis,
                device,
                family,
                steps: Vec::new(),
                connection: None,
                bridged: None,
                until: None,
                limit: usize::MAX,
            })
        });
    }

    /// The packet leaves by a device: the draft of a sender's or a bridge's decision is complete.
    #[cold]
    pub(super) fn finish_transmit(&mut self, device: DeviceId, frame: &mut Frame) {
        let Some(mut draft) = self.draft.take() else { return };
        let mut exit = Exit { device, peer: None };
        if let Some(Some(Device { up: true, mtu, kind: Kind::Veth { peer, link: None, .. }, .. })) =
            self.devices.get(device.index())
        {
            exit.peer = Some(*peer);
            draft.limited(*mtu as usize);
            if let Some(Some(receiver)) = self.devices.get(peer.index()) {
                draft.limited(longest_from_peer(receiver.mtu));
            }
        }
        let way = match (draft.origin, draft.bridged) {
            (Origin::After(_), Some((bridge, ingress, egress))) => {
                Way::Bridge { bridge, ingress, egress, exit }
            }
            (Origin::Flow(_), None) if draft.until.is_some() => {
                let Some(header) = frame.bytes().first_chunk() else { return };
                Way::Send { exit, header: *header }
            }
            _ => return,
        };
        if let Some(handle) = self.remember(*draft, way) {
            frame.set_hint(handle.0);
        }
    }

    /// The packet reaches a UDP socket: the draft of its receiver's decision is complete.
    #[cold]
    pub(super) fn finish_datagram(&mut self, socket: SocketId, ends: Rc<Ends>, payload: usize) {
        if let Some(draft) = self.draft.take()
            && matches!(draft.origin, Origin::After(_))
            && draft.bridged.is_none()
        {
            let payload = ETHERNET_HEADER_LEN + payload;
            self.remember(*draft, Way::Datagram { socket, ends, payload });
        }
    }

    fn remember(&mut self, draft: Draft, way: Way) -> Option<Handle> {
        let Draft { origin, basis, device, family, steps, connection, until, limit, .. } = draft;
        let passage = if steps.is_empty() && connection.is_none() {
            None
        } else {
            let space = self.namespaces.get_mut(basis.namespace.index())?.as_mut()?;
            Some(space.netfilter.remember(family, &steps, connection)?)
        };
        let handle = self.flows.insert(Decision {
            generation: 1,
            misses: 0,
            basis,
            device,
            until: until.map_or(u64::MAX, nanoseconds),
            limit: u32::try_from(limit).unwrap_or(u32::MAX),
            way,
            passage,
            next: Handle::default(),
        });
        self.flows.link(origin, handle);
        Some(handle)
    }
}

impl Draft {
    /// A hook let the packet through.
    pub(super) fn passed(&mut self, steps: Vec<HookStep>, connection: Option<PacketConnection>) {
        self.steps.extend(steps);
        self.connection = connection;
    }

    /// A bridge found the port where the packet leaves.
    pub(super) fn bridged(&mut self, bridge: DeviceId, ingress: PortId, egress: PortId) {
        self.bridged = Some((bridge, ingress, egress));
    }

    /// The next hop's hardware address is known until then.
    pub(super) fn resolved(&mut self, until: Duration) {
        self.until = Some(until);
    }

    /// Packets of more bytes go another way.
    pub(super) fn limited(&mut self, limit: usize) {
        self.limit = self.limit.min(limit);
    }
}

/// What the storm guard says of a frame on a bridge's port.
#[cold]
fn storm_frame(frame: &Frame, port: PortId) -> Option<StormFrame> {
    let header = EthernetHeader::parse(frame.bytes()).ok()?;
    Some(StormFrame { header, port: Some(port) })
}

/// Bytes of the longest IP packet that a frame without link header is cut into.
fn longest_segment(frame: &Frame) -> usize {
    offload::segment_size(frame, 0)
}
