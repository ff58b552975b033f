//! Local delivery: what happens to a packet whose destination is this namespace.
//!
//! INPUT, reassembly if connection tracking did not do it, checksum, then the protocol: ICMP and NDP are answered by
//! the namespace itself, UDP and TCP by sockets; raw sockets get copies. Where nobody listens, the namespace answers
//! as RFC 1122 says: port unreachable, protocol unreachable, reset.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use linkspan_nat::fragment::Reassembly;
use linkspan_nat::icmp::{self, IcmpError, IcmpErrorMessage, SocketError};
use linkspan_nat::packet::{ICMP, ICMPV6, IpVersion, Layout, TCP, TcpFlags, Transport as Header, UDP};
use linkspan_nat::ruleset::Hook;
use linkspan_switch::frame::Checksum;
use linkspan_switch::mac::MacAddress;

use super::errno::Errno;
use super::event::{DropReason, EventKind, Receiver};
use super::id::{DeviceId, NamespaceId};
use super::ip::Packet;
use super::namespace_settings::NamespaceParameter;
use super::ndp::{self, Kind, NeighbourMessage};
use super::receive_buffer::Ends;
use super::stream::TcpReceiver;
use super::{Engine, plan};

impl Engine {
    /// A packet for this namespace arrived on a device.
    pub(super) fn ip_local_input(&mut self, namespace: NamespaceId, device: DeviceId, packet: Packet) {
        let Some(packet) = self.defragment(namespace, packet) else { return };
        let Some(packet) = self.hook(namespace, Hook::Input, packet, Some(device), None) else { return };
        let complete = packet.frame.checksum() == Checksum::Complete;
        let valid = packet.view().is_some_and(|v| !complete || v.transport_checksum_is_valid());
        if !valid {
            return self.drop_frame(packet.frame, Some(namespace), Some(device), DropReason::BadChecksum);
        }
        let copied = self.raw_deliver(namespace, &packet);
        if copied {
            self.draft = None;
        }
        match packet.layout.transport() {
            Header::Icmp => self.icmp_receive(namespace, packet),
            Header::Icmpv6 => self.icmpv6_receive(namespace, device, packet),
            Header::Udp => self.udp_deliver(namespace, device, packet),
            Header::Tcp => self.tcp_deliver(namespace, device, packet),
            Header::Unreadable => {
                self.drop_frame(packet.frame, Some(namespace), Some(device), DropReason::BadPacket)
            }
            Header::Sctp | Header::Other if copied => {}
            Header::Sctp | Header::Other => {
                if packet.layout.version() == IpVersion::V4 {
                    self.answer_error(namespace, &packet, IcmpError::ProtocolUnreachable);
                }
                self.drop_frame(packet.frame, Some(namespace), Some(device), DropReason::NoProtocol);
            }
        }
    }

    /// Puts fragments together. `None` while parts are missing.
    fn defragment(&mut self, namespace: NamespaceId, packet: Packet) -> Option<Packet> {
        if !packet.layout.is_fragment() {
            return Some(packet);
        }
        let now = self.now;
        let space = self.namespaces.get_mut(namespace.index())?.as_mut()?;
        match space.reassembler.get_or_insert_default().push(now, packet.frame.bytes()) {
            Reassembly::Incomplete => {
                self.arm_fragments(namespace);
                None
            }
            Reassembly::Dropped(_) => {
                self.drop_frame(packet.frame, Some(namespace), packet.ingress, DropReason::Fragment);
                None
            }
            Reassembly::Complete { packet: bytes, largest_fragment } => {
                self.replaced(namespace, packet, &bytes, largest_fragment)
            }
        }
    }

    fn delivered_to_stack(&mut self, namespace: NamespaceId, packet: &Packet) {
        if self.watched {
            let source = packet.source();
            self.event(packet.frame.trace(), |_| EventKind::Delivered {
                namespace,
                receiver: Receiver::Stack,
                source,
                source_port: 0,
                destination_port: 0,
            });
        }
    }

    fn icmp_receive(&mut self, namespace: NamespaceId, packet: Packet) {
        self.delivered_to_stack(namespace, &packet);
        let Some(view) = packet.view() else { return };
        if view.icmp_type_code().is_some_and(|(kind, _)| kind == 8) {
            let (source, destination) = (view.source(), view.destination());
            let reply = match self.echo_source(namespace, source, destination) {
                Some(own) => icmp::emit_echo_reply_from(packet.frame.bytes(), own),
                None => None,
            };
            if let Some(mut reply) = reply
                && self.may_answer_with(namespace, packet.ingress, &reply)
            {
                self.set_default_ttl(namespace, &mut reply);
                let frame = self.pool.copy_of(&reply);
                self.ip_send(namespace, frame);
            }
            return;
        }
        if let Some(error) = IcmpErrorMessage::of(&view) {
            self.icmp_error(namespace, &packet, &error);
        }
    }

    /// The address that answers an echo request of IPv4, if it is answered. RFC 1122 section 3.2.2.6 leaves one to a broadcast open;
    /// Linux ignores it unless told otherwise.
    fn echo_source(&self, namespace: NamespaceId, asker: IpAddr, asked: IpAddr) -> Option<IpAddr> {
        let set = |parameter| self.namespace_settings.number(namespace, parameter) != 0;
        if set(NamespaceParameter::ICMP_ECHO_IGNORE_ALL) {
            return None;
        }
        if self.is_local(namespace, asked) {
            return Some(asked);
        }
        if set(NamespaceParameter::ICMP_ECHO_IGNORE_BROADCASTS) {
            return None;
        }
        let hop = self.route_any(namespace, asker, IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED))?;
        self.source_for(namespace, &hop, asker)
    }

    fn icmpv6_receive(&mut self, namespace: NamespaceId, device: DeviceId, packet: Packet) {
        let Some(view) = packet.view() else { return };
        match view.icmp_type_code() {
            Some((ndp::SOLICITATION | ndp::ADVERTISEMENT, _)) => {
                self.delivered_to_stack(namespace, &packet);
                // RFC 4861 section 7.1: anything with another hop limit came from beyond the link.
                if view.ttl() == 255
                    && let Some(message) = NeighbourMessage::parse(view.transport_bytes())
                {
                    let trace = packet.frame.trace();
                    self.ndp_receive(trace, namespace, device, view.source(), message);
                }
            }
            Some((128, _)) => {
                self.delivered_to_stack(namespace, &packet);
                let destination = view.destination();
                let set = |parameter| self.namespace_settings.number(namespace, parameter) != 0;
                let ignored = set(NamespaceParameter::ICMP6_ECHO_IGNORE_ALL)
                    || destination.is_multicast() && set(NamespaceParameter::ICMP6_ECHO_IGNORE_MULTICAST);
                let reply = if ignored {
                    None
                } else if destination.is_multicast() {
                    let hop =
                        self.route_any(namespace, view.source(), IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED));
                    let own = hop.and_then(|hop| self.source_for(namespace, &hop, view.source()));
                    own.and_then(|own| icmp::emit_echo_reply_from(packet.frame.bytes(), own))
                } else {
                    icmp::emit_echo_reply(packet.frame.bytes())
                };
                if let Some(reply) = reply
                    && self.may_answer_with(namespace, packet.ingress, &reply)
                {
                    let frame = self.pool.copy_of(&reply);
                    self.ip_send(namespace, frame);
                }
            }
            _ => {
                self.delivered_to_stack(namespace, &packet);
                if let Some(error) = IcmpErrorMessage::of(&view) {
                    self.icmp_error(namespace, &packet, &error);
                }
            }
        }
    }

    fn ndp_receive(
        &mut self,
        trace: linkspan_switch::frame::TraceId,
        namespace: NamespaceId,
        device: DeviceId,
        source: IpAddr,
        message: NeighbourMessage,
    ) {
        let target = IpAddr::V6(message.target);
        match message.kind {
            Kind::Solicitation => {
                if source.is_unspecified() && self.object(trace, device, message.target, None) {
                    return;
                }
                if !self.is_local(namespace, target) {
                    return;
                }
                if let Some(mac) = message.mac
                    && !source.is_unspecified()
                {
                    self.learn_neighbour(trace, namespace, device, source, mac, false, true);
                }
                let own = self.devices[device.index()].as_ref().map(|d| d.mac);
                let kind = Kind::Advertisement { solicited: !source.is_unspecified(), overrides: true };
                let reply = NeighbourMessage { kind, target: message.target, mac: own };
                let all_nodes = std::net::Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
                let to = match source {
                    IpAddr::V6(source) if !source.is_unspecified() => source,
                    _ => all_nodes,
                };
                self.send_ndp(namespace, device, message.target, to, reply, message.mac);
            }
            Kind::Advertisement { solicited, overrides: _ } => {
                if self.object(trace, device, message.target, message.mac) {
                    return;
                }
                if let Some(mac) = message.mac {
                    self.learn_neighbour(trace, namespace, device, target, mac, solicited, false);
                }
            }
        }
    }

    /// Asks for the hardware address of an IPv6 neighbour.
    pub(super) fn send_solicitation(
        &mut self,
        device: DeviceId,
        target: std::net::Ipv6Addr,
        mac: Option<MacAddress>,
    ) {
        let Some(Some(sender)) = self.devices.get(device.index()) else { return };
        let namespace = sender.namespace;
        let own = Some(sender.mac);
        let hop = super::ip::Hop { device, gateway: None, source: None, prefix: 128 };
        let Some(IpAddr::V6(source)) = self.source_for(namespace, &hop, IpAddr::V6(target)) else { return };
        let message = NeighbourMessage { kind: Kind::Solicitation, target, mac: own };
        let destination = if mac.is_some() { target } else { ndp::solicited_node(target) };
        self.send_ndp(namespace, device, source, destination, message, mac);
    }

    pub(super) fn send_ndp(
        &mut self,
        namespace: NamespaceId,
        device: DeviceId,
        source: std::net::Ipv6Addr,
        destination: std::net::Ipv6Addr,
        message: NeighbourMessage,
        mac: Option<MacAddress>,
    ) {
        let bytes = message.emit(source, destination);
        let mut frame = self.pool.copy_of(&bytes[..message.emitted_length()]);
        frame.set_trace(self.new_trace());
        let Ok(layout) = Layout::parse(frame.bytes()) else { return };
        let packet = Packet::own(frame, layout);
        let Some(packet) = self.hook(namespace, Hook::Output, packet, None, Some(device)) else { return };
        let Some(packet) = self.hook(namespace, Hook::Postrouting, packet, None, Some(device)) else {
            return;
        };
        match mac.filter(|_| !destination.is_multicast()) {
            Some(mac) => self.send_with_mac(device, mac, packet.frame),
            None => self.send_to_neighbour(namespace, device, IpAddr::V6(destination), packet.frame),
        }
    }

    /// An ICMP error about a packet this namespace sent.
    fn icmp_error(&mut self, namespace: NamespaceId, packet: &Packet, error: &IcmpErrorMessage) {
        let now = self.now;
        let sent = error.embedded;
        if let Some(mtu) = error.mtu
            && let Some(Some(space)) = self.namespaces.get_mut(namespace.index())
        {
            // RFC 1191 section 3 and RFC 8201 section 4: never below the protocol's minimum.
            let minimum = if sent.destination.is_ipv4() { 552 } else { 1_280 };
            space.learn_path_mtu(now, sent.destination, mtu.max(minimum));
        }
        let Some((kind, fatal)) = error.socket_error() else { return };
        let local = SocketAddr::new(sent.source, sent.source_port);
        let remote = SocketAddr::new(sent.destination, sent.destination_port);
        let trace = packet.frame.trace();
        let errno = errno(kind);
        match sent.protocol {
            UDP => self.udp_error(trace, namespace, local, remote, errno, fatal),
            TCP => self.tcp_error(trace, namespace, local, remote, errno, error.mtu),
            ICMP | ICMPV6 => {}
            _ => {}
        }
    }

    fn tcp_deliver(&mut self, namespace: NamespaceId, device: DeviceId, packet: Packet) {
        let Some(view) = packet.view() else { return };
        if !self.is_local(namespace, view.destination()) {
            return self.drop_frame(packet.frame, Some(namespace), Some(device), DropReason::NotForUs);
        }
        let (source, source_port, destination_port) =
            (view.source(), view.source_port().unwrap_or(0), view.destination_port().unwrap_or(0));
        // Only a SYN begins a connection, which asks for the way back.
        let opens = view.tcp_flags().is_some_and(|flags| flags.contains(TcpFlags::SYN));
        let mtu = if opens { self.tcp_mtu(namespace, source) } else { 0 };
        match self.tcp_ingress(namespace, &packet, mtu) {
            Some(TcpReceiver::BacklogFull) => {
                self.drop_frame(packet.frame, Some(namespace), Some(device), DropReason::BacklogFull);
            }
            Some(TcpReceiver::Malformed) => {
                self.drop_frame(packet.frame, Some(namespace), Some(device), DropReason::BadPacket);
            }
            Some(taker) => {
                if self.watched {
                    let receiver = match taker {
                        TcpReceiver::Socket(socket) => Receiver::Socket(socket, plan::Transport::Tcp),
                        TcpReceiver::Stack | TcpReceiver::BacklogFull | TcpReceiver::Malformed => {
                            Receiver::Stack
                        }
                    };
                    self.event(packet.frame.trace(), |_| EventKind::Delivered {
                        namespace,
                        receiver,
                        source,
                        source_port,
                        destination_port,
                    });
                }
            }
            None => {
                if let Some(mut reset) = icmp::emit_tcp_reset(packet.frame.bytes()) {
                    self.set_default_ttl(namespace, &mut reset);
                    let frame = self.pool.copy_of(&reset);
                    self.drop_frame(packet.frame, Some(namespace), Some(device), DropReason::NoSocket);
                    self.ip_send(namespace, frame);
                } else {
                    self.drop_frame(packet.frame, Some(namespace), Some(device), DropReason::NoSocket);
                }
            }
        }
    }

    fn udp_deliver(&mut self, namespace: NamespaceId, device: DeviceId, packet: Packet) {
        let Some(view) = packet.view() else { return };
        let source = SocketAddr::new(view.source(), view.source_port().unwrap_or(0));
        let destination = SocketAddr::new(view.destination(), view.destination_port().unwrap_or(0));
        let Some(socket) = self.udp_lookup(namespace, destination, source) else {
            if self.is_local(namespace, destination.ip()) {
                let error = match packet.layout.version() {
                    IpVersion::V4 => IcmpError::PortUnreachable,
                    IpVersion::V6 => IcmpError::PortUnreachable6,
                };
                self.answer_error(namespace, &packet, error);
            }
            return self.drop_frame(packet.frame, Some(namespace), Some(device), DropReason::NoSocket);
        };
        let ends = Rc::new(Ends { source, destination });
        let payload = packet.layout.transport_offset() + 8;
        if self.draft.is_some() {
            self.finish_datagram(socket, Rc::clone(&ends), payload);
        }
        if self.watched {
            self.event(packet.frame.trace(), |_| EventKind::Delivered {
                namespace,
                receiver: Receiver::Socket(socket, plan::Transport::Udp),
                source: source.ip(),
                source_port: source.port(),
                destination_port: destination.port(),
            });
        }
        let Some(length) = packet.view().map(|view| view.payload().len()) else { return };
        let mut frame = packet.frame;
        frame.narrow(payload, length);
        if let Err(frame) = self.sockets.push(socket, &ends, frame) {
            self.drop_frame(frame, Some(namespace), Some(device), DropReason::ReceiveBufferFull);
        }
    }
}

fn errno(kind: SocketError) -> Errno {
    match kind {
        SocketError::NetworkUnreachable | SocketError::NotOnNetwork => Errno::NetworkUnreachable,
        SocketError::HostUnreachable | SocketError::HostDown => Errno::HostUnreachable,
        SocketError::ProtocolNotAvailable => Errno::ProtocolNotAvailable,
        SocketError::ConnectionRefused => Errno::ConnectionRefused,
        SocketError::MessageTooLong => Errno::MessageTooLong,
        SocketError::PermissionDenied => Errno::PermissionDenied,
        SocketError::NotSupported | SocketError::ProtocolError => Errno::InvalidArgument,
    }
}
