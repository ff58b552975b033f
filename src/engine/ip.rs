//! The IP layer: reception, routing, forwarding and output. The hooks it runs are in `netfilter`, cutting and putting
//! together in `ip_fragments`, what answers a packet in `icmp_errors`.
//!
//! The order is Linux's: a received packet passes PREROUTING, the routing decision, then INPUT (local) or time to
//! live, FORWARD, POSTROUTING; a local one passes the routing decision, OUTPUT (and is routed again if that changed
//! its destination or mark), POSTROUTING. MTU checks use the segment size of offloaded packets.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use linkspan_nat::icmp::IcmpError;
use linkspan_nat::netfilter::PacketConnection;
use linkspan_nat::packet::{ChecksumState, IpVersion, Layout, PacketMut, PacketView};
use linkspan_nat::rule::Family;
use linkspan_nat::ruleset::Hook;
use linkspan_switch::frame::{Checksum, Frame, TraceId};
use linkspan_switch::mac::MacAddress;

use super::device::Kind;
use super::event::{DropReason, EventKind, NeighbourState};
use super::flow::Handle;
use super::icmp_errors::{host_unreachable, too_big_error};
use super::id::{DeviceId, NamespaceId};
use super::neighbour::Resolution;
use super::route::{is_link_local, is_loopback};
use super::{Engine, Timer, captured, ndp};

/// What connection tracking knows of a packet, carried from hook to hook (`skb->_nfct`).
pub(crate) type Tracked = PacketConnection;

/// A packet at the IP layer: the frame starts at its IP header.
pub(crate) struct Packet {
    pub(crate) frame: Frame,
    pub(crate) layout: Layout,
    pub(crate) ingress: Option<DeviceId>,
    pub(crate) physical_ingress: Option<DeviceId>,
    pub(crate) physical_egress: Option<DeviceId>,
    pub(crate) tracked: Option<Tracked>,
    /// Put together from fragments, the largest of which had this size.
    pub(crate) reassembled: Option<usize>,
}

impl Packet {
    /// A packet that came from no device: the host's own, or one that it speaks of.
    #[inline]
    pub(crate) fn own(frame: Frame, layout: Layout) -> Packet {
        Packet {
            frame,
            layout,
            ingress: None,
            physical_ingress: None,
            physical_egress: None,
            tracked: None,
            reassembled: None,
        }
    }

    #[inline]
    pub(crate) fn view(&self) -> Option<PacketView<'_>> {
        PacketView::with_layout(self.frame.bytes(), self.layout)
    }

    #[inline]
    pub(crate) fn destination(&self) -> IpAddr {
        self.view().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |v| v.destination())
    }

    #[inline]
    pub(crate) fn source(&self) -> IpAddr {
        self.view().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |v| v.source())
    }

    pub(crate) fn share(&self) -> Packet {
        Packet {
            frame: self.frame.share(),
            layout: self.layout,
            ingress: self.ingress,
            physical_ingress: self.physical_ingress,
            physical_egress: self.physical_egress,
            tracked: self.tracked,
            reassembled: self.reassembled,
        }
    }

    #[inline]
    pub(super) fn family(&self) -> Family {
        match self.layout.version() {
            IpVersion::V4 => Family::Ipv4,
            IpVersion::V6 => Family::Ipv6,
        }
    }
}

/// Where a packet goes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hop {
    pub(crate) device: DeviceId,
    pub(crate) gateway: Option<IpAddr>,
    pub(crate) source: Option<IpAddr>,
    pub(crate) prefix: u8,
}

impl Engine {
    /// True if packets to this address end in the namespace.
    #[inline]
    pub(super) fn is_local(&self, namespace: NamespaceId, address: IpAddr) -> bool {
        self.namespaces[namespace.index()].as_ref().is_some_and(|n| n.is_local(address))
    }

    /// The way to an address: `lo` for the namespace's own ones.
    pub(super) fn route(&self, namespace: NamespaceId, destination: IpAddr) -> Option<Hop> {
        let space = self.namespaces.get(namespace.index())?.as_ref()?;
        if space.is_local(destination) {
            let source = Some(destination);
            let prefix = if destination.is_ipv4() { 32 } else { 128 };
            return Some(Hop { device: space.loopback, gateway: None, source, prefix });
        }
        let usable = |d: DeviceId| self.devices[d.index()].as_ref().is_some_and(|d| d.up);
        let route = space.routes.lookup(destination, usable)?;
        let prefix = route.destination.prefix_len();
        Some(Hop { device: route.device, gateway: route.gateway, source: route.source, prefix })
    }

    /// The source address of a packet that leaves by a hop (`inet_select_addr`, RFC 6724 as far as scopes go).
    pub(super) fn source_for(
        &self,
        namespace: NamespaceId,
        hop: &Hop,
        destination: IpAddr,
    ) -> Option<IpAddr> {
        if hop.source.is_some() {
            return hop.source;
        }
        let device = self.devices[hop.device.index()].as_ref()?;
        let towards = hop.gateway.unwrap_or(destination);
        let same = |net: &&IpNet| net.addr().is_ipv4() == destination.is_ipv4();
        if let IpAddr::V6(v6) = destination {
            let link_local = is_link_local(v6) || v6.segments()[0] == 0xff02;
            let scope = |net: &&IpNet| matches!(net.addr(), IpAddr::V6(a) if is_link_local(a) == link_local);
            let own = device.addresses.iter().filter(same);
            return own
                .clone()
                .filter(scope)
                .max_by_key(|net| (net.contains(&towards), std::cmp::Reverse(net.prefix_len())))
                .or_else(|| own.clone().next())
                .map(IpNet::addr)
                .or_else(|| self.any_address(namespace, destination));
        }
        let mut own = device.addresses.iter().filter(same);
        let first = own.clone().next();
        own.find(|net| net.contains(&towards))
            .or(first)
            .map(IpNet::addr)
            .or_else(|| self.any_address(namespace, destination))
    }

    fn any_address(&self, namespace: NamespaceId, like: IpAddr) -> Option<IpAddr> {
        let space = self.namespaces[namespace.index()].as_ref()?;
        let devices = space.devices.iter().filter_map(|d| self.devices[d.index()].as_ref());
        devices
            .flat_map(|d| d.addresses.iter().map(IpNet::addr))
            .find(|a| a.is_ipv4() == like.is_ipv4() && !is_loopback(*a) && !is_v6_link_local(*a))
    }

    pub(super) fn any_ipv4(&self, namespace: NamespaceId) -> Option<Ipv4Addr> {
        match self.any_address(namespace, IpAddr::V4(Ipv4Addr::UNSPECIFIED)) {
            Some(IpAddr::V4(address)) => Some(address),
            _ => None,
        }
    }

    /// A frame whose Ethernet header is gone enters the IP layer.
    pub(super) fn ip_receive_frame(
        &mut self,
        namespace: NamespaceId,
        device: DeviceId,
        physical: Option<DeviceId>,
        frame: Frame,
        tracked: Option<Tracked>,
        prerouted: bool,
    ) {
        if let Some(packet) = self.parse_packet(namespace, device, physical, frame, tracked) {
            self.ip_receive(namespace, packet, prerouted);
        }
    }

    /// A packet enters the IP layer; `prerouted` if a bridge already ran PREROUTING.
    pub(super) fn ip_receive(&mut self, namespace: NamespaceId, packet: Packet, prerouted: bool) {
        let Some(device) = packet.ingress else { return };
        let loopback = self.devices[device.index()].as_ref().is_none_or(|d| !d.is_ethernet());
        if let Some(reason) = self.refuse_received(device, &packet, loopback) {
            return self.drop_frame(packet.frame, Some(namespace), Some(device), reason);
        }
        let packet = if prerouted {
            packet
        } else {
            let Some(packet) = self.hook(namespace, Hook::Prerouting, packet, Some(device), None) else {
                return;
            };
            packet
        };
        let destination = packet.destination();
        if !loopback
            && let (IpAddr::V4(source), IpAddr::V4(destination)) = (packet.source(), destination)
            && let Some(reason) = self.refuse_source(namespace, device, source, destination)
        {
            return self.drop_frame(packet.frame, Some(namespace), Some(device), reason);
        }
        if self.is_local(namespace, destination) {
            let martian = !loopback && is_loopback(destination) && !self.routes_localnet(device);
            if martian {
                return self.drop_frame(packet.frame, Some(namespace), Some(device), DropReason::Martian);
            }
            return self.ip_local_input(namespace, device, packet);
        }
        if self.is_group(namespace, device, destination) {
            return self.ip_local_input(namespace, device, packet);
        }
        self.ip_forward(namespace, device, packet);
    }

    /// Whether a device does without IPv6. `net.ipv6.conf.all` says so for the devices that are there, and for those to come.
    pub(super) fn ipv6_disabled(&self, device: DeviceId) -> bool {
        self.devices[device.index()].as_ref().is_none_or(|d| d.ipv6_disabled)
    }

    /// Whether no device of a namespace has IPv6.
    pub(super) fn without_ipv6(&self, namespace: NamespaceId) -> bool {
        self.namespaces[namespace.index()]
            .as_ref()
            .is_none_or(|space| space.ipv6_disabled && space.devices.iter().all(|id| self.ipv6_disabled(*id)))
    }

    /// Broadcast of one of the device's subnets, limited broadcast, or multicast.
    fn is_group(&self, _namespace: NamespaceId, device: DeviceId, address: IpAddr) -> bool {
        if address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST) {
            return true;
        }
        let Some(Some(device)) = self.devices.get(device.index()) else { return false };
        device.addresses.iter().any(|net| match (net, address) {
            (IpNet::V4(net), IpAddr::V4(a)) => net.prefix_len() < 31 && net.broadcast() == a,
            _ => false,
        })
    }

    fn ip_forward(&mut self, namespace: NamespaceId, ingress: DeviceId, mut packet: Packet) {
        // IPv4 asks the interface, IPv6 the whole namespace.
        let forwarding = match packet.layout.version() {
            IpVersion::V4 => self.devices[ingress.index()].as_ref().is_some_and(|d| d.ipv4_forward),
            IpVersion::V6 => self.namespaces[namespace.index()].as_ref().is_some_and(|n| n.ipv6_forward),
        };
        let destination = packet.destination();
        if !forwarding || is_loopback(destination) || is_v6_link_local(destination) {
            let reason = if forwarding { DropReason::Martian } else { DropReason::ForwardingOff };
            return self.drop_frame(packet.frame, Some(namespace), Some(ingress), reason);
        }
        let Some(hop) = self.route(namespace, destination) else {
            self.answer_no_route(namespace, &packet);
            return self.drop_frame(packet.frame, Some(namespace), Some(ingress), DropReason::NoRoute);
        };
        self.event_routed(namespace, &packet, &hop, true);
        if packet.view().is_some_and(|v| v.ttl() <= 1) {
            self.answer_error(namespace, &packet, IcmpError::TtlExceeded);
            return self.drop_frame(packet.frame, Some(namespace), Some(ingress), DropReason::TtlExceeded);
        }
        let mtu = self.device_mtu(hop.device);
        if self.too_big(&packet, mtu) && self.may_not_fragment(&packet) {
            self.answer_error(namespace, &packet, too_big_error(packet.layout.version(), mtu));
            return self.drop_frame(
                packet.frame,
                Some(namespace),
                Some(hop.device),
                DropReason::FragmentationNeeded,
            );
        }
        let checksum = checksum_state(&packet.frame);
        if let Some(mut edit) = PacketMut::with_layout(packet.frame.bytes_mut(), packet.layout, checksum) {
            // Above 1, checked before.
            let _ = edit.decrement_ttl();
        }
        let Some(packet) = self.hook(namespace, Hook::Forward, packet, Some(ingress), Some(hop.device))
        else {
            return;
        };
        self.ip_finish(namespace, packet, hop);
    }

    /// A local packet starts its way: routed by its destination, through OUTPUT.
    pub(super) fn ip_send(&mut self, namespace: NamespaceId, frame: Frame) {
        self.ip_send_tracked(namespace, frame, None);
    }

    /// Sends a local packet by the decision `known`, if that still holds, or as any other. The decision by which it went;
    /// the default if there was none.
    pub(super) fn ip_send_along(
        &mut self,
        known: Handle,
        namespace: NamespaceId,
        mut frame: Frame,
    ) -> Handle {
        self.draft = None;
        if !self.observed {
            match self.send_by(known, namespace, frame).or_else(|frame| self.send_known(namespace, frame)) {
                Ok(by) => return by,
                Err(unknown) => frame = unknown,
            }
        }
        self.ip_send_anew(namespace, frame, None);
        Handle::default()
    }

    pub(super) fn ip_send_tracked(
        &mut self,
        namespace: NamespaceId,
        mut frame: Frame,
        tracked: Option<Tracked>,
    ) {
        self.draft = None;
        if !self.observed && tracked.is_none() {
            match self.send_known(namespace, frame) {
                Ok(_) => return,
                Err(unknown) => frame = unknown,
            }
        }
        self.ip_send_anew(namespace, frame, tracked);
    }

    /// Sends a local packet whose way is not known.
    fn ip_send_anew(&mut self, namespace: NamespaceId, mut frame: Frame, tracked: Option<Tracked>) {
        self.next_trace += 1;
        frame.set_trace(TraceId(self.next_trace));
        if self.watched {
            self.event(frame.trace(), |_| EventKind::Sent { namespace, packet: captured(&frame) });
        }
        self.ip_send_unknown(namespace, frame, tracked);
        self.draft = None;
    }

    fn ip_send_unknown(&mut self, namespace: NamespaceId, frame: Frame, tracked: Option<Tracked>) {
        let Ok(layout) = Layout::parse(frame.bytes()) else {
            return self.drop_frame(frame, Some(namespace), None, DropReason::BadPacket);
        };
        let packet = Packet { tracked, ..Packet::own(frame, layout) };
        let destination = packet.destination();
        let Some(hop) = self.route_any(namespace, destination, packet.source()) else {
            return self.drop_frame(packet.frame, Some(namespace), None, DropReason::NoRoute);
        };
        let mark = packet.frame.mark();
        let Some(packet) = self.hook(namespace, Hook::Output, packet, None, Some(hop.device)) else { return };
        let changed = packet.destination();
        let hop = if changed == destination && packet.frame.mark() == mark {
            hop
        } else {
            let Some(hop) = self.route_any(namespace, changed, packet.source()) else {
                return self.drop_frame(packet.frame, Some(namespace), None, DropReason::NoRoute);
            };
            hop
        };
        self.event_routed(namespace, &packet, &hop, false);
        self.ip_finish(namespace, packet, hop);
    }

    /// A packet of another namespace goes on here as if it were sent here, by one device: what no route over it says
    /// how to reach is taken for a neighbour, as in `ip_route_output_key` with an output interface.
    pub(super) fn ip_send_by(&mut self, namespace: NamespaceId, device: DeviceId, frame: Frame) {
        let Some(mut packet) = self.parse_packet(namespace, device, None, frame, None) else { return };
        packet.ingress = None;
        let hop_to = |engine: &Engine, destination: IpAddr| {
            let hop = engine.route(namespace, destination);
            let local = engine.is_local(namespace, destination);
            let on_link = Hop { device, gateway: None, source: None, prefix: 0 };
            hop.filter(|hop| local || hop.device == device).unwrap_or(on_link)
        };
        let hop = hop_to(self, packet.destination());
        let Some(packet) = self.hook(namespace, Hook::Output, packet, None, Some(hop.device)) else { return };
        let hop = hop_to(self, packet.destination());
        self.event_routed(namespace, &packet, &hop, false);
        self.ip_finish(namespace, packet, hop);
    }

    /// As [`Engine::route`], for groups too: they leave by the device that has the source address.
    pub(super) fn route_any(
        &self,
        namespace: NamespaceId,
        destination: IpAddr,
        source: IpAddr,
    ) -> Option<Hop> {
        let group = destination.is_multicast()
            || destination == IpAddr::V4(Ipv4Addr::BROADCAST)
            || is_v6_link_local(destination) && !self.is_local(namespace, destination);
        if group && !source.is_unspecified() {
            let space = self.namespaces[namespace.index()].as_ref()?;
            let owner = space.devices.iter().copied().find(|d| {
                self.devices[d.index()]
                    .as_ref()
                    .is_some_and(|d| d.up && d.is_ethernet() && d.has_address(source))
            });
            if let Some(device) = owner {
                let prefix = if destination.is_ipv4() { 32 } else { 128 };
                return Some(Hop { device, gateway: None, source: Some(source), prefix });
            }
        }
        self.route(namespace, destination)
    }

    /// POSTROUTING, fragments, neighbour, device.
    fn ip_finish(&mut self, namespace: NamespaceId, packet: Packet, hop: Hop) {
        let Some(packet) = self.hook(namespace, Hook::Postrouting, packet, None, Some(hop.device)) else {
            return;
        };
        let destination = packet.destination();
        let next_hop = hop.gateway.unwrap_or(destination);
        let local = packet.ingress.is_none();
        let device_mtu = self.device_mtu(hop.device);
        let mtu = match &self.namespaces[namespace.index()] {
            Some(space) if local => space.path_mtu(self.now, destination, device_mtu),
            _ => device_mtu,
        };
        if !self.too_big(&packet, mtu) {
            if let Some(draft) = &mut self.draft {
                draft.limited(mtu as usize);
            }
            return self.send_to_hop(namespace, hop.device, next_hop, packet.frame, packet.tracked);
        }
        if self.may_not_fragment(&packet) && packet.reassembled.is_none() {
            let error = too_big_error(packet.layout.version(), mtu);
            self.answer_error(namespace, &packet, error);
            return self.drop_frame(
                packet.frame,
                Some(namespace),
                Some(hop.device),
                DropReason::FragmentationNeeded,
            );
        }
        for frame in self.fragments(namespace, packet, Some(mtu)) {
            self.send_to_hop(namespace, hop.device, next_hop, frame, None);
        }
    }

    fn send_to_hop(
        &mut self,
        namespace: NamespaceId,
        device: DeviceId,
        next_hop: IpAddr,
        frame: Frame,
        tracked: Option<Tracked>,
    ) {
        match self.devices[device.index()].as_ref().map(|d| &d.kind) {
            Some(Kind::Loopback) => self.transmit(device, frame, tracked),
            Some(_) => self.send_to_neighbour(namespace, device, next_hop, frame),
            None => self.drop_frame(frame, Some(namespace), Some(device), DropReason::Gone),
        }
    }

    /// Sends a packet to a neighbour, asking for its hardware address first if need be.
    pub(super) fn send_to_neighbour(
        &mut self,
        namespace: NamespaceId,
        device: DeviceId,
        next_hop: IpAddr,
        frame: Frame,
    ) {
        if let Some(mac) = self.group_mac(device, next_hop).or_else(|| self.mac_without_link(device)) {
            return self.send_with_mac(device, mac, frame);
        }
        let now = self.now;
        let Some(Some(space)) = self.namespaces.get_mut(namespace.index()) else {
            return self.drop_frame(frame, Some(namespace), Some(device), DropReason::Gone);
        };
        let trace = frame.trace();
        self.address_filters.note(namespace, next_hop);
        match space.neighbours.resolve(now, device, next_hop, frame) {
            Resolution::Send { frame, mac, arm } => {
                if let Some(draft) = &mut self.draft
                    && let Some(until) = space.neighbours.reachable_until(device, next_hop)
                {
                    draft.resolved(until);
                }
                if let Some(time) = arm {
                    self.namespace_changed(namespace);
                    let state = NeighbourState::Delay;
                    self.event(trace, |_| EventKind::Neighbour {
                        device,
                        address: next_hop,
                        mac: Some(mac),
                        state,
                    });
                    self.arm_neighbour(time, namespace, device, next_hop);
                }
                self.send_with_mac(device, mac, frame);
            }
            Resolution::Solicit { arm } => {
                let state = NeighbourState::Incomplete;
                self.event(trace, |_| EventKind::Neighbour { device, address: next_hop, mac: None, state });
                self.arm_neighbour(arm, namespace, device, next_hop);
                self.solicit(device, next_hop, None);
            }
            Resolution::Waiting => {}
            Resolution::QueueFull(frame) => {
                self.drop_frame(frame, Some(namespace), Some(device), DropReason::NeighbourQueueFull);
            }
            Resolution::TableFull(frame) => {
                self.drop_frame(frame, Some(namespace), Some(device), DropReason::NeighbourTableFull);
            }
        }
    }

    fn arm_neighbour(
        &mut self,
        time: std::time::Duration,
        namespace: NamespaceId,
        device: DeviceId,
        address: IpAddr,
    ) {
        self.timers.push(time, u64::MAX, Timer::Neighbour { namespace, device, address });
    }

    /// The hardware address of a broadcast or multicast destination.
    fn group_mac(&self, device: DeviceId, address: IpAddr) -> Option<MacAddress> {
        match address {
            IpAddr::V4(a) if a.is_multicast() => {
                let o = a.octets();
                Some(MacAddress([0x01, 0x00, 0x5e, o[1] & 0x7f, o[2], o[3]]))
            }
            IpAddr::V6(a) if a.is_multicast() => Some(ndp::multicast_mac(a)),
            IpAddr::V4(a) if a.is_broadcast() => Some(MacAddress::BROADCAST),
            IpAddr::V4(a) => {
                let device = self.devices[device.index()].as_ref()?;
                let broadcast = device.addresses.iter().any(|net| match net {
                    IpNet::V4(net) => net.prefix_len() < 31 && net.broadcast() == a,
                    IpNet::V6(_) => false,
                });
                broadcast.then_some(MacAddress::BROADCAST)
            }
            IpAddr::V6(_) => None,
        }
    }

    /// A packet waited in vain for its neighbour: whoever sent it hears that the host is unreachable.
    pub(super) fn neighbour_failed(&mut self, namespace: NamespaceId, device: DeviceId, frame: Frame) {
        if let Ok(layout) = Layout::parse(frame.bytes()) {
            let packet = Packet::own(frame.share(), layout);
            self.answer_error(namespace, &packet, host_unreachable(packet.layout.version()));
        }
        self.drop_frame(frame, Some(namespace), Some(device), DropReason::NeighbourFailed);
    }

    #[inline]
    pub(super) fn device_mtu(&self, device: DeviceId) -> u32 {
        self.devices[device.index()].as_ref().map_or(1_500, |d| d.mtu)
    }

    fn event_routed(&mut self, namespace: NamespaceId, packet: &Packet, hop: &Hop, forwarded: bool) {
        if self.watched {
            let (destination, gateway, device, prefix) =
                (packet.destination(), hop.gateway, hop.device, hop.prefix);
            self.event(packet.frame.trace(), |_| EventKind::Routed {
                namespace,
                destination,
                gateway,
                device,
                prefix,
                forwarded,
            });
        }
    }
}

/// True for IPv6 link-local addresses.
pub(crate) fn is_v6_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(a) if is_link_local(a))
}

/// The checksum state of a frame in nat's words.
pub(crate) fn checksum_state(frame: &Frame) -> ChecksumState {
    match frame.checksum() {
        Checksum::Complete => ChecksumState::Complete,
        Checksum::Partial { .. } => ChecksumState::Partial,
    }
}
