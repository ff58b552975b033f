//! The ICMP errors and resets that answer a packet: what REJECT sends, and what a router says about a packet that it cannot
//! pass on (RFC 792, RFC 4443).
//!
//! An answer belongs to the connection of the packet it answers (`nf_ct_attach`), so that translations are undone on it.

use linkspan_nat::icmp::{self, IcmpError};
use linkspan_nat::packet::{IpVersion, PacketView};
use linkspan_nat::rule::RejectWith;

use super::icmp_limit::Message;
use super::id::{DeviceId, NamespaceId};
use super::ip::Packet;
use super::{Engine, captured};

impl Engine {
    /// Sends an ICMP error about a packet to its source, unless RFC 1122 section 3.2.2 forbids it or there were too many.
    pub(super) fn answer_error(&mut self, namespace: NamespaceId, packet: &Packet, error: IcmpError) {
        let to = packet.source();
        let Some(hop) = self.route_any(namespace, to, packet.destination()) else { return };
        let own = packet.destination();
        let source = if self.is_local(namespace, own) {
            Some(own)
        } else if hop.source == Some(to) {
            // To ourselves: a local address on the device the packet could not leave by.
            hop.source
        } else {
            self.source_for(namespace, &hop, to)
        };
        let Some(source) = source else { return };
        let Some(bytes) = icmp::emit_error(&captured(&packet.frame), error, source) else { return };
        if self.may_answer_with(namespace, packet.ingress, &bytes) {
            self.answer(namespace, packet, bytes);
        }
    }

    /// Whether the namespace's limits let this ICMP message go, in answer to a packet that arrived by a device.
    pub(super) fn may_answer_with(
        &mut self,
        namespace: NamespaceId,
        arrived: Option<DeviceId>,
        bytes: &[u8],
    ) -> bool {
        let Ok(view) = PacketView::parse(bytes) else { return false };
        let Some(kind) = view.icmp_type_code() else { return false };
        let message = Message { version: view.layout().version(), kind, to: view.destination() };
        self.may_send_icmp(namespace, message, arrived)
    }

    /// Tells the source of a packet that no route leads on.
    pub(super) fn answer_no_route(&mut self, namespace: NamespaceId, packet: &Packet) {
        if self.may_report_no_route(namespace, packet.source()) {
            self.answer_error(namespace, packet, net_unreachable(packet.layout.version()));
        }
    }

    /// Sends the answer to a packet; it belongs to the packet's connection, so that translations are undone on it.
    fn answer(&mut self, namespace: NamespaceId, packet: &Packet, mut bytes: Vec<u8>) {
        self.set_default_ttl(namespace, &mut bytes);
        let space = self.namespaces.get(namespace.index()).and_then(Option::as_ref);
        let connection = packet.tracked.and_then(|c| space.and_then(|s| s.netfilter.answer_connection(c)));
        let frame = self.pool.copy_of(&bytes);
        self.ip_send_tracked(namespace, frame, connection);
    }

    /// Answers a packet as a REJECT rule says.
    pub(super) fn reject(&mut self, namespace: NamespaceId, packet: &Packet, with: RejectWith) {
        if with == RejectWith::TcpReset {
            if let Some(bytes) = icmp::emit_tcp_reset(packet.frame.bytes()) {
                self.answer(namespace, packet, bytes);
            }
            return;
        }
        if let Some(error) = reject_error(with) {
            self.answer_error(namespace, packet, error);
        }
    }
}

/// The ICMP error of a REJECT rule; a TCP reset is no ICMP error.
fn reject_error(with: RejectWith) -> Option<IcmpError> {
    Some(match with {
        RejectWith::IcmpUnreachable(0) => IcmpError::NetUnreachable,
        RejectWith::IcmpUnreachable(1) => IcmpError::HostUnreachable,
        RejectWith::IcmpUnreachable(2) => IcmpError::ProtocolUnreachable,
        RejectWith::IcmpUnreachable(9) => IcmpError::NetProhibited,
        RejectWith::IcmpUnreachable(10) => IcmpError::HostProhibited,
        RejectWith::IcmpUnreachable(13) => IcmpError::AdministrativelyProhibited,
        RejectWith::IcmpUnreachable(_) => IcmpError::PortUnreachable,
        RejectWith::Icmp6Unreachable(0) => IcmpError::NoRoute6,
        RejectWith::Icmp6Unreachable(1) => IcmpError::AdministrativelyProhibited6,
        RejectWith::Icmp6Unreachable(3) => IcmpError::AddressUnreachable6,
        RejectWith::Icmp6Unreachable(5) => IcmpError::PolicyFail6,
        RejectWith::Icmp6Unreachable(6) => IcmpError::RejectRoute6,
        RejectWith::Icmp6Unreachable(_) => IcmpError::PortUnreachable6,
        RejectWith::TcpReset => return None,
    })
}

/// A packet is larger than the way on.
pub(super) fn too_big_error(version: IpVersion, mtu: u32) -> IcmpError {
    match version {
        IpVersion::V4 => IcmpError::FragmentationNeeded { mtu: u16::try_from(mtu).unwrap_or(u16::MAX) },
        IpVersion::V6 => IcmpError::PacketTooBig { mtu },
    }
}

/// Nobody answers for the next hop.
pub(super) fn host_unreachable(version: IpVersion) -> IcmpError {
    match version {
        IpVersion::V4 => IcmpError::HostUnreachable,
        IpVersion::V6 => IcmpError::AddressUnreachable6,
    }
}

/// No route leads on.
fn net_unreachable(version: IpVersion) -> IcmpError {
    match version {
        IpVersion::V4 => IcmpError::NetUnreachable,
        IpVersion::V6 => IcmpError::NoRoute6,
    }
}
