//! Frames between devices: reception, bridging, wires; everything below IP but ARP.
//!
//! Bridged IP frames pass the hooks of the bridge's namespace as with `bridge-nf-call-iptables=1`: PREROUTING before
//! the forwarding decision (so that a DNAT can turn a bridged frame into a routed one), FORWARD and POSTROUTING after
//! it, once per egress port, with the bridge as both interfaces and the ports as physical ones.

use std::net::IpAddr;

use linkspan_nat::packet::Layout;
use linkspan_nat::rule::Family;
use linkspan_nat::ruleset::Hook;
use linkspan_switch::bridge::{Decision, DropReason as BridgeDrop, FloodKind, PortId};
use linkspan_switch::ethernet::{ETHERNET_HEADER_LEN, EtherType, EthernetHeader};
use linkspan_switch::fdb::FdbTarget;
use linkspan_switch::frame::Frame;
use linkspan_switch::mac::MacAddress;
use linkspan_switch::offload;
use linkspan_switch::storm::StormFrame;
use linkspan_switch::vlan::{self, VLAN_TAG_LEN};

use super::device::Kind;
use super::event::{BridgeDecision, DropReason, EventKind};
use super::id::{DeviceId, LinkId, NamespaceId};
use super::ip::{Packet, Tracked};
use super::link::{Link, Passage};
use super::{Engine, Timer, captured, captured_segments};

impl Engine {
    /// A device receives a frame.
    #[inline]
    pub(super) fn receive(&mut self, device: DeviceId, frame: Frame) {
        if frame.hint() == 0 || self.observed {
            return self.receive_unknown(device, frame, None);
        }
        if let Some(frame) = self.receive_known(device, frame) {
            self.receive_unknown(device, frame, None);
            self.draft = None;
        }
    }

    /// A device received a frame, and somebody looks.
    #[cold]
    fn observe_received(&mut self, device: DeviceId, frame: &Frame, ethernet: bool) {
        self.show_received(device, frame);
        if self.watched {
            for shown in captured_segments(frame, network_offset(frame, ethernet)) {
                self.event(frame.trace(), |_| EventKind::Received { device, frame: shown });
            }
        }
    }

    /// `lo` receives a packet that connection tracking knows from its way out.
    pub(super) fn receive_tracked(&mut self, device: DeviceId, frame: Frame) {
        let tracked = self.fifo.pop_tracked();
        self.receive_unknown(device, frame, tracked);
    }

    /// A device receives a frame of which nothing is known yet.
    fn receive_unknown(&mut self, device: DeviceId, frame: Frame, tracked: Option<Tracked>) {
        let Some(Some(receiver)) = self.devices.get_mut(device.index()) else {
            return self.drop_frame(frame, None, Some(device), DropReason::Gone);
        };
        let namespace = receiver.namespace;
        if !receiver.up {
            receiver.counters.received_dropped += 1;
            return self.drop_frame(frame, Some(namespace), Some(device), DropReason::DeviceDown);
        }
        receiver.counters.received_packets += 1;
        receiver.counters.received_bytes += frame.len() as u64;
        let loopback = !receiver.is_ethernet();
        let master = receiver.master;
        let carries = receiver.uppers.is_some();
        if self.observed {
            self.observe_received(device, &frame, !loopback);
        }
        let frame = match carries {
            false => frame,
            true => match self.uppers_ingress(device, frame) {
                Some(frame) => frame,
                None => return,
            },
        };
        if self.observed && master.is_none() {
            self.show_own(device, &frame);
        }
        if loopback {
            return self.ip_receive_frame(namespace, device, None, frame, tracked, false);
        }
        match master {
            Some((bridge, port)) => self.bridge_ingress(bridge, port, device, frame),
            None => self.ethernet_receive(namespace, device, frame),
        }
    }

    /// Sends an Ethernet frame (on `lo`: an IP packet) by a device.
    pub(super) fn transmit(&mut self, device: DeviceId, mut frame: Frame, tracked: Option<Tracked>) {
        if self.draft.is_some() {
            self.finish_transmit(device, &mut frame);
        }
        let Some(Some(sender)) = self.devices.get_mut(device.index()) else {
            return self.drop_frame(frame, None, Some(device), DropReason::Gone);
        };
        let namespace = sender.namespace;
        let ethernet = sender.is_ethernet();
        let header = if ethernet { ETHERNET_HEADER_LEN } else { 0 };
        let refused = if !sender.up {
            Some(DropReason::DeviceDown)
        } else if exceeds(&frame, header + sender.mtu as usize) {
            Some(DropReason::ExceedsMtu)
        } else {
            None
        };
        if let Some(reason) = refused {
            sender.counters.transmitted_dropped += 1;
            return self.drop_frame(frame, Some(namespace), Some(device), reason);
        }
        if let Kind::Veth { peer, .. } = sender.kind
            && !self.peer_takes(peer, &frame)
        {
            return self.refused_by_peer(device, peer, frame);
        }
        let Some(Some(sender)) = self.devices.get_mut(device.index()) else { return };
        sender.counters.transmitted_packets += 1;
        sender.counters.transmitted_bytes += frame.len() as u64;
        let next = match &sender.kind {
            Kind::Veth { peer, link: None, .. } if !self.observed => {
                return self.fifo.push(*peer, frame);
            }
            Kind::Veth { peer, link: None, .. } => Next::Arrive(*peer),
            Kind::Loopback => Next::Arrive(device),
            Kind::Bridge(_) => Next::Bridge,
            Kind::Nic { link: Some((link, end)) } | Kind::Veth { link: Some((link, end)), .. } => {
                Next::Wire(*link, *end)
            }
            Kind::Nic { link: None } => Next::Nowhere,
            Kind::Dummy => Next::Swallow,
            Kind::External => Next::Outside,
            Kind::Vlan { .. } | Kind::Macvlan { .. } | Kind::Ipvlan { .. } => Next::Parent,
        };
        if self.observed {
            self.show_sent(device, &frame);
        }
        if self.watched {
            for shown in captured_segments(&frame, network_offset(&frame, ethernet)) {
                self.event(frame.trace(), |_| EventKind::Transmitted { device, frame: shown });
            }
        }
        match next {
            Next::Arrive(device) => match tracked {
                Some(tracked) => self.fifo.push_tracked(device, frame, tracked),
                None => self.fifo.push(device, frame),
            },
            Next::Bridge => self.bridge_egress(device, frame),
            Next::Wire(link, end) => self.wire(link, end, frame),
            Next::Nowhere => self.drop_frame(frame, Some(namespace), Some(device), DropReason::NoCarrier),
            Next::Swallow => {}
            Next::Outside => self.leave(device, frame),
            Next::Parent => self.upper_egress(device, frame),
        }
    }

    /// Whether the other end of a veth is long enough for a frame (`is_skb_forwardable`): there is room for a VLAN tag, and
    /// what is still to be cut passes whole.
    #[inline]
    fn peer_takes(&self, peer: DeviceId, frame: &Frame) -> bool {
        let Some(Some(receiver)) = self.devices.get(peer.index()) else { return true };
        let limit = ETHERNET_HEADER_LEN + longest_from_peer(receiver.mtu);
        frame.len() <= limit || frame.segmentation().is_some()
    }

    /// The other end of a veth is too short for a frame: both ends count it, and whoever captures sees it leave.
    #[cold]
    fn refused_by_peer(&mut self, device: DeviceId, peer: DeviceId, frame: Frame) {
        if let Some(Some(sender)) = self.devices.get_mut(device.index()) {
            sender.counters.transmitted_dropped += 1;
        }
        let mut namespace = None;
        if let Some(Some(receiver)) = self.devices.get_mut(peer.index()) {
            receiver.counters.received_dropped += 1;
            namespace = Some(receiver.namespace);
        }
        self.event(frame.trace(), |_| EventKind::Transmitted { device, frame: captured(&frame) });
        self.drop_frame(frame, namespace, Some(peer), DropReason::ExceedsMtu);
    }

    /// A frame leaves the engine: the outside knows no offload.
    fn leave(&mut self, device: DeviceId, mut frame: Frame) {
        if frame.segmentation().is_some() {
            let header = network_offset(&frame, true);
            match offload::segment(frame.share(), header) {
                Ok(segments) => self.outputs.extend(segments.map(|segment| (device, segment))),
                Err(_) => self.drop_frame(frame, None, Some(device), DropReason::BadFrame),
            }
        } else if offload::complete_checksum(&mut frame).is_ok() {
            self.outputs.push_back((device, frame));
        }
    }

    /// A frame enters a wire. Where that takes time or may fail, each segment has its own fate.
    fn wire(&mut self, link: LinkId, end: usize, frame: Frame) {
        let ideal = |wire: &Link| wire.directions[end].is_ideal();
        if frame.segmentation().is_none()
            || self.links.get(link.index()).and_then(Option::as_ref).is_none_or(ideal)
        {
            return self.wire_frame(link, end, frame);
        }
        match offload::segment(frame.share(), network_offset(&frame, true)) {
            Ok(segments) => segments.for_each(|segment| self.wire_frame(link, end, segment)),
            Err(_) => self.drop_frame(frame, None, None, DropReason::BadFrame),
        }
    }

    fn wire_frame(&mut self, link: LinkId, end: usize, mut frame: Frame) {
        let now = self.now;
        let random = &mut self.random;
        let Some(Some(wire)) = self.links.get_mut(link.index()) else {
            return self.drop_frame(frame, None, None, DropReason::Gone);
        };
        let device = wire.ends[1 - end];
        let sender = wire.ends[end];
        let unit = || super::unit(random);
        let passage = wire.directions[end].send(now, frame.len(), unit);
        match passage {
            Passage::Immediate => self.fifo.push(device, frame),
            Passage::Dropped(reason) => self.drop_frame(frame, None, Some(sender), reason),
            Passage::Later { arrival, duplicate } => {
                // A frame whose checksum cannot be completed arrives as it is and is refused there.
                let _ = offload::complete_checksum(&mut frame);
                self.event(frame.trace(), |_| EventKind::Queued { link, arrival });
                let lane = u64::from(link.0) * 2 + end as u64;
                if let Some(again) = duplicate {
                    let copy = frame.share();
                    self.timers.push(again, lane, Timer::Arrival { link, device, frame: copy });
                }
                self.timers.push(arrival, lane, Timer::Arrival { link, device, frame });
            }
        }
    }

    /// A frame arrives on a bridge's port.
    fn bridge_ingress(&mut self, bridge: DeviceId, port: PortId, physical: DeviceId, mut frame: Frame) {
        let Ok(header) = EthernetHeader::parse(frame.bytes()) else {
            return self.drop_frame(frame, None, Some(physical), DropReason::BadFrame);
        };
        let Some(namespace) = self.devices[bridge.index()].as_ref().filter(|b| b.up).map(|b| b.namespace)
        else {
            return self.drop_frame(frame, None, Some(bridge), DropReason::DeviceDown);
        };
        if !self.bridge_hooks(namespace, header.ethertype) {
            return self.bridge_decide(namespace, bridge, port, physical, header, Content::Frame(frame));
        }
        frame.pull_front(ETHERNET_HEADER_LEN);
        let Some(packet) = self.parse_packet(namespace, bridge, Some(physical), frame, None) else { return };
        let before = packet.destination();
        let Some(packet) = self.hook(namespace, Hook::Prerouting, packet, Some(bridge), None) else { return };
        let after = packet.destination();
        let mut header = header;
        if before != after {
            // The DNATed packet is routed: by the bridge's own stack, unless it stays on this very bridge. Either way its source
            // is asked for.
            if let (IpAddr::V4(source), IpAddr::V4(after)) = (packet.source(), after)
                && let Some(reason) = self.refuse_source(namespace, bridge, source, after)
            {
                return self.drop_frame(packet.frame, Some(namespace), Some(bridge), reason);
            }
            match self.route(namespace, after) {
                Some(route) if route.device == bridge && !self.is_local(namespace, after) => {
                    return self.bridge_redirected(namespace, bridge, packet, route.gateway.unwrap_or(after));
                }
                _ => {
                    header.destination =
                        self.devices[bridge.index()].as_ref().map_or(header.destination, |b| b.mac)
                }
            }
        }
        self.bridge_decide(namespace, bridge, port, physical, header, Content::Packet(packet));
    }

    /// A bridged packet whose new destination is on the same bridge: its hardware address is the neighbour's.
    fn bridge_redirected(
        &mut self,
        namespace: NamespaceId,
        bridge: DeviceId,
        packet: Packet,
        next_hop: IpAddr,
    ) {
        let physical = packet.physical_ingress;
        let Some(mut packet) = self.hook(namespace, Hook::Forward, packet, Some(bridge), Some(bridge)) else {
            return;
        };
        packet.physical_ingress = physical;
        let Some(packet) = self.hook(namespace, Hook::Postrouting, packet, None, Some(bridge)) else {
            return;
        };
        self.send_to_neighbour(namespace, bridge, next_hop, packet.frame);
    }

    fn bridge_decide(
        &mut self,
        namespace: NamespaceId,
        bridge: DeviceId,
        port: PortId,
        physical: DeviceId,
        header: EthernetHeader,
        content: Content,
    ) {
        let now = self.now;
        let watched = self.watched;
        let Some(Kind::Bridge(device)) = self.devices[bridge.index()].as_mut().map(|d| &mut d.kind) else {
            return self.drop_frame(content.into_frame(header), None, Some(bridge), DropReason::Gone);
        };
        let storm_frame = StormFrame { header, port: Some(port) };
        let known =
            watched && device.switch.fdb().lookup(now, header.source, None) == Some(FdbTarget::Port(port));
        let decision = device.switch.ingress(now, port, &header, None);
        if watched {
            let described = describe(device, decision, Some(port));
            let learned = (!known && !matches!(decision, Decision::Drop(_))).then_some(header.source);
            if let Some(decision) = described {
                let kind = EventKind::Bridged { bridge, ingress: Some(physical), decision, learned };
                self.event(content.trace(), |_| kind);
            }
        }
        let flooding = matches!(decision, Decision::Flood(_) | Decision::FloodAndLocal(_));
        let counted = match flooding {
            true => {
                self.guard.flooded(now, storm_frame).and_then(|()| self.guard.processed(now, storm_frame))
            }
            false => self.guard.processed(now, storm_frame),
        };
        if let Err(storm) = counted {
            self.storm = Some(storm);
        }
        match decision {
            Decision::Local => self.bridge_local(namespace, bridge, header, content),
            Decision::Forward(egress) => {
                if let Some(draft) = &mut self.draft {
                    draft.bridged(bridge, port, egress);
                }
                self.bridge_forward(namespace, bridge, egress, header, content);
            }
            Decision::Flood(kind) => self.bridge_flood(namespace, bridge, port, kind, header, content, false),
            Decision::FloodAndLocal(kind) => {
                self.bridge_flood(namespace, bridge, port, kind, header, content, true)
            }
            Decision::Drop(reason) => {
                let frame = content.into_frame(header);
                self.drop_frame(frame, Some(namespace), Some(physical), translate(reason));
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "a decision's parts, which the caller has in registers")]
    fn bridge_flood(
        &mut self,
        namespace: NamespaceId,
        bridge: DeviceId,
        ingress: PortId,
        kind: FloodKind,
        header: EthernetHeader,
        content: Content,
        local: bool,
    ) {
        self.draft = None;
        let mut egress = PortId(0);
        loop {
            let next = match self.devices[bridge.index()].as_ref().map(|d| &d.kind) {
                Some(Kind::Bridge(device)) => device.switch.next_flood_port(Some(ingress), kind, egress),
                _ => None,
            };
            let Some(next) = next else { break };
            egress = next;
            let copy = content.share();
            self.bridge_forward(namespace, bridge, egress, header, copy);
        }
        if local {
            self.bridge_local(namespace, bridge, header, content);
        } else if egress == PortId(0) {
            let frame = content.into_frame(header);
            self.drop_frame(frame, Some(namespace), Some(bridge), DropReason::BridgeNoPort);
        }
    }

    /// Up into the namespace that the bridge belongs to.
    fn bridge_local(
        &mut self,
        namespace: NamespaceId,
        bridge: DeviceId,
        header: EthernetHeader,
        content: Content,
    ) {
        if let Some(Some(device)) = self.devices.get_mut(bridge.index()) {
            device.counters.received_packets += 1;
            device.counters.received_bytes += content.length() as u64;
        }
        if self.observed {
            let frame = content.share().into_frame(header);
            self.observe_received(bridge, &frame, true);
            self.show_own(bridge, &frame);
        }
        if self.devices[bridge.index()].as_ref().is_some_and(|device| device.uppers.is_some()) {
            let frame = content.into_frame(header);
            if let Some(frame) = self.uppers_ingress(bridge, frame) {
                self.ethernet_receive(namespace, bridge, frame);
            }
            return;
        }
        match content {
            Content::Frame(frame) => self.ethernet_receive(namespace, bridge, frame),
            Content::Packet(packet) => self.ip_receive(namespace, packet, true),
        }
    }

    fn bridge_forward(
        &mut self,
        namespace: NamespaceId,
        bridge: DeviceId,
        egress: PortId,
        header: EthernetHeader,
        content: Content,
    ) {
        let Some(device) = self.bridge_port(bridge, egress) else {
            let frame = content.into_frame(header);
            return self.drop_frame(frame, Some(namespace), Some(bridge), DropReason::BridgeNoPort);
        };
        match content {
            Content::Frame(frame) => self.transmit(device, frame, None),
            Content::Packet(mut packet) => {
                packet.physical_egress = Some(device);
                let Some(packet) = self.hook(namespace, Hook::Forward, packet, Some(bridge), Some(bridge))
                else {
                    return;
                };
                let Some(packet) = self.hook(namespace, Hook::Postrouting, packet, None, Some(bridge)) else {
                    return;
                };
                self.bridge_refragment(namespace, device, header, packet);
            }
        }
    }

    /// Fragments that connection tracking put together are cut again before they leave, as `br_nf_dev_queue_xmit`.
    fn bridge_refragment(
        &mut self,
        namespace: NamespaceId,
        device: DeviceId,
        header: EthernetHeader,
        packet: Packet,
    ) {
        let Some(largest) = packet.reassembled else {
            return self.transmit(device, with_header(packet.frame, header), None);
        };
        let mtu = Some(largest as u32);
        for frame in self.fragments(namespace, packet, mtu) {
            let frame = with_header(frame, header);
            self.transmit(device, frame, None);
        }
    }

    /// The bridge's own namespace sends a frame by the bridge.
    fn bridge_egress(&mut self, bridge: DeviceId, frame: Frame) {
        let now = self.now;
        let Ok(header) = EthernetHeader::parse(frame.bytes()) else {
            return self.drop_frame(frame, None, Some(bridge), DropReason::BadFrame);
        };
        let Some(Kind::Bridge(device)) = self.devices[bridge.index()].as_mut().map(|d| &mut d.kind) else {
            return self.drop_frame(frame, None, Some(bridge), DropReason::Gone);
        };
        let decision = device.switch.egress_from_local(now, header.destination, None);
        if self.watched
            && let Some(Kind::Bridge(device)) = self.devices[bridge.index()].as_ref().map(|d| &d.kind)
            && let Some(decision) = describe(device, decision, None)
        {
            self.event(frame.trace(), |_| EventKind::Bridged {
                bridge,
                ingress: None,
                decision,
                learned: None,
            });
        }
        match decision {
            Decision::Forward(egress) => match self.bridge_port(bridge, egress) {
                Some(device) => self.transmit(device, frame, None),
                None => self.drop_frame(frame, None, Some(bridge), DropReason::BridgeNoPort),
            },
            Decision::Flood(kind) | Decision::FloodAndLocal(kind) => {
                let mut egress = PortId(0);
                let mut any = false;
                loop {
                    let next = match self.devices[bridge.index()].as_ref().map(|d| &d.kind) {
                        Some(Kind::Bridge(device)) => device.switch.next_flood_port(None, kind, egress),
                        _ => None,
                    };
                    let Some(next) = next else { break };
                    egress = next;
                    if let Some(device) = self.bridge_port(bridge, egress) {
                        any = true;
                        self.transmit(device, frame.share(), None);
                    }
                }
                if !any {
                    self.drop_frame(frame, None, Some(bridge), DropReason::BridgeNoPort);
                }
            }
            Decision::Local => self.drop_frame(frame, None, Some(bridge), DropReason::BridgeNoPort),
            Decision::Drop(reason) => self.drop_frame(frame, None, Some(bridge), translate(reason)),
        }
    }

    fn bridge_port(&self, bridge: DeviceId, port: PortId) -> Option<DeviceId> {
        match self.devices.get(bridge.index())?.as_ref().map(|d| &d.kind) {
            Some(Kind::Bridge(device)) => device.device(port),
            _ => None,
        }
    }

    fn bridge_hooks(&mut self, namespace: NamespaceId, ethertype: EtherType) -> bool {
        let family = match ethertype {
            EtherType::IPV4 => Family::Ipv4,
            EtherType::IPV6 => Family::Ipv6,
            _ => return false,
        };
        let space = self.namespaces[namespace.index()].as_mut();
        space.is_some_and(|n| n.bridge_netfilter && n.netfilter.is_active(family))
    }

    /// A frame reaches the stack of the device's namespace.
    fn ethernet_receive(&mut self, namespace: NamespaceId, device: DeviceId, mut frame: Frame) {
        let Ok(header) = EthernetHeader::parse(frame.bytes()) else {
            return self.drop_frame(frame, Some(namespace), Some(device), DropReason::BadFrame);
        };
        let Some(Some(receiver)) = self.devices.get_mut(device.index()) else {
            return self.drop_frame(frame, None, Some(device), DropReason::Gone);
        };
        if header.destination.is_multicast() {
            receiver.counters.received_multicast += 1;
        } else if header.destination != receiver.mac {
            receiver.counters.received_dropped += 1;
            return self.drop_frame(frame, Some(namespace), Some(device), DropReason::OtherHost);
        }
        frame.pull_front(ETHERNET_HEADER_LEN);
        match header.ethertype {
            EtherType::ARP => self.arp_receive(namespace, device, frame),
            EtherType::IPV4 | EtherType::IPV6 => {
                self.ip_receive_frame(namespace, device, None, frame, None, false)
            }
            _ => self.drop_frame(frame, Some(namespace), Some(device), DropReason::UnknownEtherType),
        }
    }

    /// Puts an Ethernet header before an IP packet and sends it.
    pub(super) fn send_with_mac(&mut self, device: DeviceId, destination: MacAddress, frame: Frame) {
        let Some(Some(sender)) = self.devices.get(device.index()) else {
            return self.drop_frame(frame, None, Some(device), DropReason::Gone);
        };
        let version = frame.bytes().first().map_or(4, |b| b >> 4);
        let ethertype = if version == 6 { EtherType::IPV6 } else { EtherType::IPV4 };
        let header = EthernetHeader { destination, source: sender.mac, ethertype };
        self.transmit(device, with_header(frame, header), None);
    }

    /// Reads the IP header of a frame whose Ethernet header is gone.
    #[inline]
    pub(super) fn parse_packet(
        &mut self,
        namespace: NamespaceId,
        ingress: DeviceId,
        physical_ingress: Option<DeviceId>,
        mut frame: Frame,
        tracked: Option<Tracked>,
    ) -> Option<Packet> {
        let Ok(layout) = Layout::parse(frame.bytes()) else {
            self.drop_frame(frame, Some(namespace), Some(ingress), DropReason::BadPacket);
            return None;
        };
        if frame.segmentation().is_none() {
            frame.truncate(layout.total_length());
        }
        Some(Packet {
            frame,
            layout,
            ingress: Some(ingress),
            physical_ingress,
            physical_egress: None,
            tracked,
            reassembled: None,
        })
    }
}

enum Next {
    Arrive(DeviceId),
    Bridge,
    Wire(LinkId, usize),
    Nowhere,
    Swallow,
    Outside,
    Parent,
}

/// What a bridge forwards: a frame as it came, or a packet that passed PREROUTING and has no header now.
enum Content {
    Frame(Frame),
    Packet(Packet),
}

impl Content {
    fn share(&self) -> Content {
        match self {
            Content::Frame(frame) => Content::Frame(frame.share()),
            Content::Packet(packet) => Content::Packet(packet.share()),
        }
    }

    fn trace(&self) -> linkspan_switch::frame::TraceId {
        match self {
            Content::Frame(frame) => frame.trace(),
            Content::Packet(packet) => packet.frame.trace(),
        }
    }

    fn length(&self) -> usize {
        match self {
            Content::Frame(frame) => frame.len(),
            Content::Packet(packet) => packet.frame.len() + ETHERNET_HEADER_LEN,
        }
    }

    fn into_frame(self, header: EthernetHeader) -> Frame {
        match self {
            Content::Frame(frame) => frame,
            Content::Packet(packet) => with_header(packet.frame, header),
        }
    }
}

/// True if a frame, or a segment of it, is longer than a device takes. A VLAN tag does not count, as in
/// `is_skb_forwardable`.
#[inline]
fn exceeds(frame: &Frame, limit: usize) -> bool {
    frame.len() > limit && exceeds_cut(frame, limit)
}

/// The longest IP packet that arrives from the other end of a veth with this MTU.
pub(super) fn longest_from_peer(mtu: u32) -> usize {
    mtu as usize + VLAN_TAG_LEN
}

fn exceeds_cut(frame: &Frame, limit: usize) -> bool {
    let tag = if matches!(vlan::peek(frame.bytes()), Ok(Some(_))) { VLAN_TAG_LEN } else { 0 };
    if frame.segmentation().is_none() {
        return frame.len() > limit + tag;
    }
    // On `lo`, whose frames have no Ethernet header, nothing is longer than its MTU.
    offload::segment_size(frame, ETHERNET_HEADER_LEN + tag) > limit - ETHERNET_HEADER_LEN
}

/// Where the IP header of a frame begins.
pub(super) fn network_offset(frame: &Frame, ethernet: bool) -> usize {
    match ethernet {
        true if matches!(vlan::peek(frame.bytes()), Ok(Some(_))) => ETHERNET_HEADER_LEN + VLAN_TAG_LEN,
        true => ETHERNET_HEADER_LEN,
        false => 0,
    }
}

#[inline]
pub(super) fn with_header(mut frame: Frame, header: EthernetHeader) -> Frame {
    let mut bytes = [0; ETHERNET_HEADER_LEN];
    // There is room for a header.
    let _ = header.emit(&mut bytes);
    frame.prepend(&bytes);
    frame
}

fn describe(
    device: &super::device::BridgeDevice,
    decision: Decision,
    ingress: Option<PortId>,
) -> Option<BridgeDecision> {
    let ports = |kind| device.switch.flood_ports(ingress, kind).count();
    Some(match decision {
        Decision::Local => BridgeDecision::Local,
        Decision::Forward(port) => BridgeDecision::Forward(device.device(port)?),
        Decision::Flood(kind) => BridgeDecision::Flood { ports: ports(kind), local: false },
        Decision::FloodAndLocal(kind) => BridgeDecision::Flood { ports: ports(kind), local: true },
        Decision::Drop(_) => return None,
    })
}

fn translate(reason: BridgeDrop) -> DropReason {
    match reason {
        BridgeDrop::UnknownPort | BridgeDrop::OwnAddress => DropReason::BridgeNoPort,
        BridgeDrop::PortDisabled => DropReason::DeviceDown,
        BridgeDrop::InvalidSource => DropReason::BridgeBadSource,
        BridgeDrop::ReservedMulticast => DropReason::BridgeReserved,
        BridgeDrop::SamePort => DropReason::BridgeSamePort,
        BridgeDrop::Isolated => DropReason::BridgeIsolated,
    }
}
