//! What a bridge does with a frame: where it goes, and the hooks that bridged IP passes.
//!
//! As with `bridge-nf-call-iptables=1`, bridged IP frames pass the hooks of the bridge's namespace: PREROUTING before
//! the forwarding decision (so that a DNAT can turn a bridged frame into a routed one), FORWARD and POSTROUTING after
//! it, once per egress port, with the bridge as both interfaces and the ports as physical ones.

use std::net::IpAddr;

use linkspan_nat::rule::Family;
use linkspan_nat::ruleset::Hook;
use linkspan_switch::bridge::{Decision, DropReason as BridgeDrop, FloodKind, PortId};
use linkspan_switch::ethernet::{ETHERNET_HEADER_LEN, EtherType, EthernetHeader};
use linkspan_switch::fdb::FdbTarget;
use linkspan_switch::frame::Frame;
use linkspan_switch::storm::StormFrame;

use super::Engine;
use super::device::Kind;
use super::ethernet::with_header;
use super::event::{BridgeDecision, DropReason, EventKind};
use super::id::{DeviceId, NamespaceId};
use super::ip::Packet;

impl Engine {
    /// A frame arrives on a bridge's port.
    pub(super) fn bridge_ingress(
        &mut self,
        bridge: DeviceId,
        port: PortId,
        physical: DeviceId,
        mut frame: Frame,
    ) {
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
    pub(super) fn bridge_egress(&mut self, bridge: DeviceId, frame: Frame) {
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
