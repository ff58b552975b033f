//! Frames between devices: reception, sending, wires; everything below IP but ARP and what bridges do (`bridging`).

use linkspan_nat::packet::Layout;
use linkspan_switch::ethernet::{ETHERNET_HEADER_LEN, EtherType, EthernetHeader};
use linkspan_switch::frame::Frame;
use linkspan_switch::mac::MacAddress;
use linkspan_switch::offload;
use linkspan_switch::vlan::{self, VLAN_TAG_LEN};

use super::device::Kind;
use super::event::{DropReason, EventKind};
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
    pub(super) fn observe_received(&mut self, device: DeviceId, frame: &Frame, ethernet: bool) {
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

    /// A frame reaches the stack of the device's namespace.
    pub(super) fn ethernet_receive(&mut self, namespace: NamespaceId, device: DeviceId, mut frame: Frame) {
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
