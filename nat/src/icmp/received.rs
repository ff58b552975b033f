//! An ICMP error that arrived, as the socket it concerns sees it (Linux: `icmp_err_convert`,
//! `icmpv6_err_convert`).

use super::IcmpError;
use crate::packet::{IpVersion, MalformedPacket, PacketView};
use crate::tuple::Tuple;
use std::net::IpAddr;

/// An ICMP or ICMPv6 error and the packet it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IcmpErrorMessage {
    /// Who reports it.
    pub reporter: IpAddr,
    /// IP version.
    pub version: IpVersion,
    /// Type and code as they arrived.
    pub type_code: (u8, u8),
    /// The error, if it is one that this crate names.
    pub error: Option<IcmpError>,
    /// Next-hop MTU in bytes of fragmentation needed and packet too big. An MTU of 0, from a router older than
    /// RFC 1191, counts as absent.
    pub mtu: Option<u32>,
    /// The flow of the quoted packet, in that packet's direction: its source is the socket's own end.
    pub embedded: Tuple,
}

/// The errno that a socket reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SocketError {
    /// ENETUNREACH.
    NetworkUnreachable,
    /// EHOSTUNREACH.
    HostUnreachable,
    /// ENOPROTOOPT.
    ProtocolNotAvailable,
    /// ECONNREFUSED.
    ConnectionRefused,
    /// EMSGSIZE.
    MessageTooLong,
    /// EOPNOTSUPP: source route failed.
    NotSupported,
    /// EHOSTDOWN.
    HostDown,
    /// ENONET.
    NotOnNetwork,
    /// EACCES.
    PermissionDenied,
    /// EPROTO.
    ProtocolError,
}

impl IcmpErrorMessage {
    /// Reads an ICMP error. `Ok(None)` for any other packet, for an error whose quote cannot be read and for
    /// redirect, which concerns routes and not sockets.
    pub fn parse(packet: &[u8]) -> Result<Option<IcmpErrorMessage>, MalformedPacket> {
        Ok(IcmpErrorMessage::of(&PacketView::parse(packet)?))
    }

    /// The same for a packet that has been parsed.
    pub fn of(view: &PacketView<'_>) -> Option<IcmpErrorMessage> {
        let embedded = view.embedded_tuple()?;
        let type_code = view.icmp_type_code()?;
        let version = view.layout().version();
        if version == IpVersion::V4 && type_code.0 == 5 {
            return None;
        }
        let rest = *view.transport_bytes().get(4..)?.first_chunk::<4>()?;
        let error = IcmpError::from_header(version, type_code, rest);
        let mtu = match error {
            Some(IcmpError::FragmentationNeeded { mtu }) => Some(u32::from(mtu)),
            Some(IcmpError::PacketTooBig { mtu }) => Some(mtu),
            _ => None,
        };
        let mtu = mtu.filter(|mtu| *mtu != 0);
        Some(IcmpErrorMessage { reporter: view.source(), version, type_code, error, mtu, embedded })
    }

    /// The errno, and whether it ends a connection attempt at once ("fatal") or is only kept as a soft error.
    /// `None` for messages without effect on sockets, such as source quench.
    pub fn socket_error(&self) -> Option<(SocketError, bool)> {
        match self.version {
            IpVersion::V4 => socket_error_v4(self.type_code),
            IpVersion::V6 => socket_error_v6(self.type_code),
        }
    }
}

fn socket_error_v4(type_code: (u8, u8)) -> Option<(SocketError, bool)> {
    Some(match type_code {
        (3, 0 | 11) => (SocketError::NetworkUnreachable, false),
        (3, 1 | 12) => (SocketError::HostUnreachable, false),
        (3, 2) => (SocketError::ProtocolNotAvailable, true),
        (3, 3) => (SocketError::ConnectionRefused, true),
        (3, 4) => (SocketError::MessageTooLong, false),
        (3, 5) => (SocketError::NotSupported, false),
        (3, 6 | 9) => (SocketError::NetworkUnreachable, true),
        (3, 7) => (SocketError::HostDown, true),
        (3, 8) => (SocketError::NotOnNetwork, true),
        (3, 10 | 13 | 14 | 15) => (SocketError::HostUnreachable, true),
        (11, _) => (SocketError::HostUnreachable, false),
        (12, _) => (SocketError::ProtocolError, true),
        _ => return None,
    })
}

fn socket_error_v6(type_code: (u8, u8)) -> Option<(SocketError, bool)> {
    Some(match type_code {
        (1, 0) => (SocketError::NetworkUnreachable, false),
        (1, 1 | 5 | 6) => (SocketError::PermissionDenied, true),
        (1, 2 | 3) => (SocketError::HostUnreachable, false),
        (1, 4) => (SocketError::ConnectionRefused, true),
        (2, _) => (SocketError::MessageTooLong, false),
        (3, _) => (SocketError::HostUnreachable, false),
        (4, _) => (SocketError::ProtocolError, true),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit;
    use crate::icmp::emit_error;

    #[test]
    fn what_is_sent_is_read() {
        let v4 =
            emit::emit_udp("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap(), 1, b"").unwrap();
        let v6 =
            emit::emit_udp("[2001:db8::1]:1".parse().unwrap(), "[2001:db8::2]:2".parse().unwrap(), 1, b"")
                .unwrap();
        let host = SocketError::HostUnreachable;
        let cases = [
            (IcmpError::HostUnreachable, &v4, None, (host, false)),
            (IcmpError::PortUnreachable, &v4, None, (SocketError::ConnectionRefused, true)),
            (
                IcmpError::FragmentationNeeded { mtu: 1400 },
                &v4,
                Some(1400),
                (SocketError::MessageTooLong, false),
            ),
            (IcmpError::AdministrativelyProhibited, &v4, None, (host, true)),
            (IcmpError::ParameterProblem { pointer: 9 }, &v4, None, (SocketError::ProtocolError, true)),
            (IcmpError::TtlExceeded, &v4, None, (host, false)),
            (IcmpError::TtlExceeded, &v6, None, (host, false)),
            (IcmpError::ReassemblyTimeExceeded, &v6, None, (host, false)),
            (IcmpError::PacketTooBig { mtu: 1280 }, &v6, Some(1280), (SocketError::MessageTooLong, false)),
            (IcmpError::PortUnreachable6, &v6, None, (SocketError::ConnectionRefused, true)),
            (IcmpError::RejectRoute6, &v6, None, (SocketError::PermissionDenied, true)),
            (
                IcmpError::ParameterProblem6 { code: 1, pointer: 6 },
                &v6,
                None,
                (SocketError::ProtocolError, true),
            ),
        ];
        for (error, offending, mtu, errno) in cases {
            let flow = PacketView::parse(offending).unwrap();
            let packet = emit_error(offending, error, flow.destination()).unwrap();
            let message = IcmpErrorMessage::parse(&packet).unwrap().unwrap();
            assert_eq!((message.error, message.mtu), (Some(error), mtu));
            assert_eq!((message.reporter, Some(message.embedded)), (flow.destination(), flow.tuple()));
            assert_eq!(message.socket_error(), Some(errno));
            assert_eq!(IcmpErrorMessage::parse(offending), Ok(None));
        }
    }
}
