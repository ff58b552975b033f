//! The answers that a namespace gives on its own: ICMP errors, echo replies and TCP resets; and the reading of
//! errors for the sockets they concern.
//!
//! Errors follow RFC 1122 3.2.2, RFC 1812 4.3.2.7 and RFC 4443 2.4, with Linux's sizes and header fields: IPv4
//! answers quote up to 576 bytes in all and have precedence "internetwork control", IPv6 answers stay below 1280
//! bytes. Rate limits are the caller's, as is the knowledge which unicast-looking address is a broadcast.

mod received;

pub use received::{IcmpErrorMessage, SocketError};

use crate::emit::{self, DEFAULT_TTL, IpHeader, TcpSegment};
use crate::packet::{ICMP, ICMPV6, IpVersion, PacketView, TcpFlags, Transport};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Longest IPv4 error (RFC 1812, 4.3.2.3; Linux `icmp_send`).
const IPV4_ERROR_LIMIT: usize = 576;

/// Longest IPv6 error: the minimum MTU (RFC 4443, 2.4 (c)).
const IPV6_ERROR_LIMIT: usize = 1280;

/// Bits of the offending type of service that an IPv4 error keeps, and the precedence it adds (Linux
/// `IPTOS_TOS_MASK`, `IPTOS_PREC_INTERNETCONTROL`).
const TOS_MASK: u8 = 0x1e;
const INTERNETWORK_CONTROL: u8 = 0xc0;

/// What an ICMP error says. Names ending in 6 are ICMPv6's; time exceeded exists in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IcmpError {
    /// Type 3, code 0. `--reject-with icmp-net-unreachable`.
    NetUnreachable,
    /// Type 3, code 1. `icmp-host-unreachable`.
    HostUnreachable,
    /// Type 3, code 2. `icmp-proto-unreachable`.
    ProtocolUnreachable,
    /// Type 3, code 3. `icmp-port-unreachable`.
    PortUnreachable,
    /// Type 3, code 4.
    FragmentationNeeded {
        /// Next-hop MTU in bytes (RFC 1191).
        mtu: u16,
    },
    /// Type 3, code 9. `icmp-net-prohibited`.
    NetProhibited,
    /// Type 3, code 10. `icmp-host-prohibited`.
    HostProhibited,
    /// Type 3, code 13. `icmp-admin-prohibited`.
    AdministrativelyProhibited,
    /// Type 12, code 0.
    ParameterProblem {
        /// Offset of the offending byte.
        pointer: u8,
    },
    /// Time to live or hop limit exceeded: type 11, code 0; ICMPv6 type 3, code 0.
    TtlExceeded,
    /// Reassembly time exceeded: type 11, code 1; ICMPv6 type 3, code 1.
    ReassemblyTimeExceeded,
    /// ICMPv6 type 1, code 0. `--reject-with icmp6-no-route`.
    NoRoute6,
    /// ICMPv6 type 1, code 1. `icmp6-adm-prohibited`.
    AdministrativelyProhibited6,
    /// ICMPv6 type 1, code 2: beyond the scope of the source address.
    BeyondScope6,
    /// ICMPv6 type 1, code 3. `icmp6-addr-unreachable`.
    AddressUnreachable6,
    /// ICMPv6 type 1, code 4. `icmp6-port-unreachable`.
    PortUnreachable6,
    /// ICMPv6 type 1, code 5. `icmp6-policy-fail`.
    PolicyFail6,
    /// ICMPv6 type 1, code 6. `icmp6-reject-route`.
    RejectRoute6,
    /// ICMPv6 type 2.
    PacketTooBig {
        /// Next-hop MTU in bytes.
        mtu: u32,
    },
    /// ICMPv6 type 4.
    ParameterProblem6 {
        /// 0 erroneous field, 1 unknown next header, 2 unknown option.
        code: u8,
        /// Offset of the offending byte.
        pointer: u32,
    },
}

impl IcmpError {
    /// Type, code and bytes 4 to 7 in the given version; `None` when the version has no such error.
    fn header(self, version: IpVersion) -> Option<((u8, u8), [u8; 4])> {
        const NONE: [u8; 4] = [0; 4];
        Some(match (version, self) {
            (IpVersion::V4, IcmpError::NetUnreachable) => ((3, 0), NONE),
            (IpVersion::V4, IcmpError::HostUnreachable) => ((3, 1), NONE),
            (IpVersion::V4, IcmpError::ProtocolUnreachable) => ((3, 2), NONE),
            (IpVersion::V4, IcmpError::PortUnreachable) => ((3, 3), NONE),
            (IpVersion::V4, IcmpError::FragmentationNeeded { mtu }) => ((3, 4), u32::from(mtu).to_be_bytes()),
            (IpVersion::V4, IcmpError::NetProhibited) => ((3, 9), NONE),
            (IpVersion::V4, IcmpError::HostProhibited) => ((3, 10), NONE),
            (IpVersion::V4, IcmpError::AdministrativelyProhibited) => ((3, 13), NONE),
            (IpVersion::V4, IcmpError::TtlExceeded) => ((11, 0), NONE),
            (IpVersion::V4, IcmpError::ReassemblyTimeExceeded) => ((11, 1), NONE),
            (IpVersion::V4, IcmpError::ParameterProblem { pointer }) => ((12, 0), [pointer, 0, 0, 0]),
            (IpVersion::V6, IcmpError::NoRoute6) => ((1, 0), NONE),
            (IpVersion::V6, IcmpError::AdministrativelyProhibited6) => ((1, 1), NONE),
            (IpVersion::V6, IcmpError::BeyondScope6) => ((1, 2), NONE),
            (IpVersion::V6, IcmpError::AddressUnreachable6) => ((1, 3), NONE),
            (IpVersion::V6, IcmpError::PortUnreachable6) => ((1, 4), NONE),
            (IpVersion::V6, IcmpError::PolicyFail6) => ((1, 5), NONE),
            (IpVersion::V6, IcmpError::RejectRoute6) => ((1, 6), NONE),
            (IpVersion::V6, IcmpError::PacketTooBig { mtu }) => ((2, 0), mtu.to_be_bytes()),
            (IpVersion::V6, IcmpError::TtlExceeded) => ((3, 0), NONE),
            (IpVersion::V6, IcmpError::ReassemblyTimeExceeded) => ((3, 1), NONE),
            (IpVersion::V6, IcmpError::ParameterProblem6 { code, pointer }) => {
                ((4, code), pointer.to_be_bytes())
            }
            (IpVersion::V4 | IpVersion::V6, _) => return None,
        })
    }

    /// The error that a header of the given version states; `None` for codes that nothing here sends.
    fn from_header(version: IpVersion, type_code: (u8, u8), rest: [u8; 4]) -> Option<IcmpError> {
        let pointer = u32::from_be_bytes(rest);
        let candidates = [
            IcmpError::NetUnreachable,
            IcmpError::HostUnreachable,
            IcmpError::ProtocolUnreachable,
            IcmpError::PortUnreachable,
            IcmpError::FragmentationNeeded { mtu: u16::from_be_bytes([rest[2], rest[3]]) },
            IcmpError::NetProhibited,
            IcmpError::HostProhibited,
            IcmpError::AdministrativelyProhibited,
            IcmpError::ParameterProblem { pointer: rest[0] },
            IcmpError::TtlExceeded,
            IcmpError::ReassemblyTimeExceeded,
            IcmpError::NoRoute6,
            IcmpError::AdministrativelyProhibited6,
            IcmpError::BeyondScope6,
            IcmpError::AddressUnreachable6,
            IcmpError::PortUnreachable6,
            IcmpError::PolicyFail6,
            IcmpError::RejectRoute6,
            IcmpError::PacketTooBig { mtu: pointer },
            IcmpError::ParameterProblem6 { code: type_code.1, pointer },
        ];
        candidates
            .into_iter()
            .find(|error| error.header(version).is_some_and(|(found, _)| found == type_code))
    }
}

/// The ICMP error from `source` about a packet, to be sent to that packet's source. `None` where none may be sent:
/// about an ICMP error (or an ICMP message that cannot be read), an IPv4 fragment other than the first, a
/// multicast or broadcast destination (but IPv6 packet too big and unknown option may, RFC 4443 2.4 (e.3)), a
/// source that names no single host; and when `source` or the error belongs to the other IP version.
pub fn emit_error(offending: &[u8], error: IcmpError, source: IpAddr) -> Option<Vec<u8>> {
    let view = PacketView::parse(offending).ok()?;
    let version = view.layout().version();
    let (type_code, rest) = error.header(version)?;
    if source.is_ipv4() != view.source().is_ipv4() || !is_single_host(view.source()) || is_about_error(&view)
    {
        return None;
    }
    let group_allowed =
        matches!(error, IcmpError::PacketTooBig { .. } | IcmpError::ParameterProblem6 { code: 2, .. });
    if is_group(view.destination()) && !group_allowed {
        return None;
    }
    let (tos, header, limit) = match version {
        IpVersion::V4 if view.layout().fragment_offset() != 0 => return None,
        IpVersion::V4 => (view.tos() & TOS_MASK | INTERNETWORK_CONTROL, 20, IPV4_ERROR_LIMIT),
        IpVersion::V6 => (0, 40, IPV6_ERROR_LIMIT),
    };
    let quote = view.bytes().len().min(limit - header - 8);
    let header = IpHeader { tos, dont_fragment: false, ..IpHeader::new(source, view.source(), 0) };
    emit::emit_icmp(&header, type_code, rest, &view.bytes()[..quote]).ok()
}

/// The reply to an ICMP or ICMPv6 echo request, from the address it was sent to. `None` for anything else: a
/// fragment, a wrong checksum, a group destination (Linux: `icmp_echo_ignore_broadcasts`; for IPv6 multicast see
/// [`emit_echo_reply_from`]).
pub fn emit_echo_reply(request: &[u8]) -> Option<Vec<u8>> {
    let destination = PacketView::parse(request).ok()?.destination();
    emit_echo_reply_from(request, destination)
}

/// The reply to an echo request from an address of the answering interface, as for an IPv6 multicast request.
pub fn emit_echo_reply_from(request: &[u8], source: IpAddr) -> Option<Vec<u8>> {
    let view = PacketView::parse(request).ok()?;
    let kind = match (view.layout().transport(), view.icmp_type_code()?) {
        (Transport::Icmp, (8, 0)) => 0,
        (Transport::Icmpv6, (128, 0)) => 129,
        _ => return None,
    };
    let one_family = source.is_ipv4() == view.source().is_ipv4();
    if !one_family
        || is_group(source)
        || !is_single_host(view.source())
        || view.layout().is_fragment()
        || !view.transport_checksum_is_valid()
    {
        return None;
    }
    let tos = if source.is_ipv4() { view.tos() } else { 0 };
    let header = IpHeader { tos, dont_fragment: false, ..IpHeader::new(source, view.source(), 0) };
    let (_, rest) = view.transport_bytes().split_at_checked(4)?;
    let (rest, payload) = rest.split_first_chunk::<4>()?;
    emit::emit_icmp(&header, (kind, 0), *rest, payload).ok()
}

/// The reset that answers a TCP segment without a connection (RFC 9293, 3.10.7.1), also for
/// `--reject-with tcp-reset`. `None` in answer to a reset, to a segment that cannot be read or is a fragment, and
/// where source or destination is no single host.
pub fn emit_tcp_reset(offending: &[u8]) -> Option<Vec<u8>> {
    let view = PacketView::parse(offending).ok()?;
    let flags = view.tcp_flags()?;
    let ends_are_hosts = is_single_host(view.source()) && is_single_host(view.destination());
    if flags.contains(TcpFlags::RST) || view.layout().is_fragment() || !ends_are_hosts {
        return None;
    }
    let segment = if flags.contains(TcpFlags::ACK) {
        TcpSegment { sequence: view.tcp_acknowledgement()?, flags: TcpFlags::RST, ..TcpSegment::default() }
    } else {
        let control = u32::from(flags.contains(TcpFlags::SYN)) + u32::from(flags.contains(TcpFlags::FIN));
        let length = view.payload().len() as u32 + control;
        let acknowledgement = view.tcp_sequence()?.wrapping_add(length);
        let flags = TcpFlags::RST.union(TcpFlags::ACK);
        TcpSegment { acknowledgement, flags, ..TcpSegment::default() }
    };
    let source = SocketAddr::new(view.destination(), view.destination_port()?);
    let destination = SocketAddr::new(view.source(), view.source_port()?);
    emit::emit_tcp(source, destination, DEFAULT_TTL, &segment, &[]).ok()
}

/// Whether an error about this packet would be an error about an error.
fn is_about_error(view: &PacketView<'_>) -> bool {
    match (view.layout().version(), view.protocol(), view.icmp_type_code()) {
        // Types beyond 18 are treated as errors, as Linux does (`NR_ICMP_TYPES`).
        (IpVersion::V4, ICMP, Some((kind, _))) => view.is_icmp_error() || kind > 18,
        (IpVersion::V6, ICMPV6, Some((kind, _))) => kind < 128 || kind == 137,
        (IpVersion::V4, ICMP, None) => true,
        (IpVersion::V6, ICMPV6, None) => view.layout().fragment_offset() == 0,
        _ => false,
    }
}

/// Whether an address can be a packet's source: not unspecified and no group (RFC 1122, 3.2.1.3).
fn is_single_host(address: IpAddr) -> bool {
    let network = matches!(address, IpAddr::V4(address) if address.octets()[0] == 0);
    !address.is_unspecified() && !network && !is_group(address)
}

fn is_group(address: IpAddr) -> bool {
    address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fragment::refragment;
    use crate::packet::TCP;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn udp(from: &str, to: &str, length: usize) -> Vec<u8> {
        emit::emit_udp(from.parse().unwrap(), to.parse().unwrap(), 64, &vec![7; length]).unwrap()
    }

    const V4: (&str, &str) = ("10.0.0.1:1000", "10.0.0.2:53");
    const V6: (&str, &str) = ("[2001:db8::1]:1000", "[2001:db8::2]:53");

    #[test]
    fn an_error_quotes_up_to_the_limit() {
        for (ends, router, error, limit) in [
            (V4, "10.0.0.254", IcmpError::PortUnreachable, 576),
            (V6, "2001:db8::fe", IcmpError::PortUnreachable6, 1280),
        ] {
            for length in [0, 30, 3000] {
                let offending = udp(ends.0, ends.1, length);
                let packet = emit_error(&offending, error, ip(router)).unwrap();
                let view = PacketView::parse(&packet).unwrap();
                let header = view.layout().transport_offset() + 8;
                assert_eq!(packet.len(), (offending.len() + header).min(limit));
                assert_eq!(view.payload(), &offending[..packet.len() - header]);
                assert!(view.header_checksum_is_valid() && view.transport_checksum_is_valid());
                assert_eq!(view.embedded_tuple(), PacketView::parse(&offending).unwrap().tuple());
                assert!(etherparse::SlicedPacket::from_ip(&packet).is_ok());
            }
        }
    }

    #[test]
    fn the_bytes_of_a_port_unreachable() {
        let offending = udp(V4.0, V4.1, 0);
        let packet = emit_error(&offending, IcmpError::PortUnreachable, ip("10.0.0.2")).unwrap();
        // IPv4 with type of service 0xc0 and 56 bytes; then type 3, code 3. The checksums are etherparse's below.
        let ip_header =
            [0x45, 0xc0, 0, 56, 0, 0, 0, 0, 64, 1, packet[10], packet[11], 10, 0, 0, 2, 10, 0, 0, 1];
        assert_eq!(packet[..20], ip_header);
        assert_eq!(packet[20..28], [3, 3, packet[22], packet[23], 0, 0, 0, 0]);
        assert_eq!(packet[28..], offending);
        let (header, _) = etherparse::Ipv4Header::from_slice(&packet).unwrap();
        assert_eq!(header.header_checksum, header.calc_header_checksum());
        let icmp = etherparse::Icmpv4Slice::from_slice(&packet[20..]).unwrap();
        assert_eq!(icmp.checksum(), icmp.icmp_type().calc_checksum(icmp.payload()));
    }

    #[test]
    fn some_packets_get_no_error() {
        let router = ip("10.0.0.254");
        let error = |packet: &[u8]| emit_error(packet, IcmpError::HostUnreachable, router);
        let first = error(&udp(V4.0, V4.1, 10)).unwrap();
        assert_eq!(error(&first), None, "an error about an error");
        assert_eq!(error(&udp(V4.0, "224.0.0.1:5", 10)), None, "to a multicast group");
        assert_eq!(error(&udp(V4.0, "255.255.255.255:5", 10)), None, "to everybody");
        assert_eq!(error(&udp("0.0.0.0:68", V4.1, 10)), None, "from nobody");
        let large = udp(V4.0, V4.1, 100);
        let pieces = refragment(&large, 68, 0).unwrap();
        assert!(error(&pieces[0]).is_some());
        assert_eq!(error(&pieces[1]), None, "about a later fragment");
        let echo = emit::emit_echo_request(ip("10.0.0.1"), ip("10.0.0.2"), 64, 1, 1, b"").unwrap();
        assert!(error(&echo).is_some());
        assert_eq!(emit_error(&echo, IcmpError::NoRoute6, router), None, "the other version's error");
        let to_group = udp(V6.0, "[ff02::1]:5", 10);
        let router = ip("2001:db8::fe");
        assert_eq!(emit_error(&to_group, IcmpError::NoRoute6, router), None);
        assert!(emit_error(&to_group, IcmpError::PacketTooBig { mtu: 1280 }, router).is_some());
    }

    #[test]
    fn an_echo_comes_back() {
        for (from, to, kind) in [("10.0.0.1", "10.0.0.2", 0), ("2001:db8::1", "2001:db8::2", 129)] {
            let request = emit::emit_echo_request(ip(from), ip(to), 3, 77, 5, b"payload!").unwrap();
            let reply = emit_echo_reply(&request).unwrap();
            let view = PacketView::parse(&reply).unwrap();
            assert_eq!((view.source(), view.destination(), view.ttl()), (ip(to), ip(from), 64));
            assert_eq!(
                (view.icmp_type_code(), view.icmp_id(), view.icmp_sequence()),
                (Some((kind, 0)), Some(77), Some(5))
            );
            assert_eq!(view.payload(), b"payload!");
            assert!(view.transport_checksum_is_valid());
            assert_eq!(emit_echo_reply(&reply), None);
            let mut broken = request.clone();
            let last = broken.len() - 1;
            broken[last] ^= 1;
            assert_eq!(emit_echo_reply(&broken), None);
        }
        let to_all = emit::emit_echo_request(ip("fe80::1"), ip("ff02::1"), 1, 1, 1, b"").unwrap();
        assert_eq!(emit_echo_reply(&to_all), None);
        let reply = emit_echo_reply_from(&to_all, ip("fe80::2")).unwrap();
        assert_eq!(PacketView::parse(&reply).unwrap().source(), ip("fe80::2"));
    }

    #[test]
    fn a_reset_takes_its_numbers_from_the_segment() {
        let (from, to) = ("10.0.0.1:1000".parse().unwrap(), "10.0.0.2:80".parse().unwrap());
        let cases = [
            (TcpFlags::SYN, 0, TcpFlags::RST.union(TcpFlags::ACK), 0, 1001),
            (TcpFlags::FIN, 5, TcpFlags::RST.union(TcpFlags::ACK), 0, 1006),
            (TcpFlags::ACK, 5, TcpFlags::RST, 2000, 0),
        ];
        for (flags, length, expected, sequence, acknowledgement) in cases {
            let segment = TcpSegment { sequence: 1000, acknowledgement: 2000, flags, window: 9 };
            let packet = emit::emit_tcp(from, to, 64, &segment, &vec![1; length]).unwrap();
            let reset = emit_tcp_reset(&packet).unwrap();
            let view = PacketView::parse(&reset).unwrap();
            assert_eq!(view.tcp_flags(), Some(expected));
            assert_eq!(view.tcp_sequence(), Some(sequence));
            assert_eq!(view.tcp_acknowledgement(), Some(acknowledgement));
            assert_eq!(
                (view.source_port(), view.destination_port(), view.protocol()),
                (Some(80), Some(1000), TCP)
            );
            assert!(view.transport_checksum_is_valid());
            assert_eq!(emit_tcp_reset(&reset), None);
        }
        assert_eq!(emit_tcp_reset(&udp(V4.0, V4.1, 30)), None);
    }
}
