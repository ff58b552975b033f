//! One line for the bytes of a packet: `TCP SYN 172.18.0.2:40000 → 172.18.0.3:5432`.
//!
//! Headers are read by etherparse, leniently: what cannot be read is described as far as it goes, and no bytes make
//! this fail. ARP is RFC 826, ICMP RFC 792, ICMPv6 RFC 4443, NDP RFC 4861, DNS RFC 1035. DNS is looked for on port
//! 53 and, over UDP, on 127.0.0.11, whose port Docker's embedded server rewrites; over TCP only in segments that
//! hold whole messages.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use domain::base::{Message, ParsedName};
use domain::rdata::AllRecordData;
use etherparse::{
    ArpOperation, EtherType, Icmpv4Slice, Icmpv6Slice, IpNumber, Ipv6ExtensionSlice, LaxIpv4Slice,
    LaxIpv6Slice, LaxNetSlice, LaxSlicedPacket, LinkSlice, TcpSlice, TransportSlice, UdpSlice,
};
use linkspan_nat::rule::Family;
use linkspan_switch::mac::MacAddress;

/// The DNS port (RFC 1035 section 4.2).
const DNS_PORT: u16 = 53;

/// Where Docker's embedded DNS server listens in every container.
const EMBEDDED_DNS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11));

/// DNS records shown of an answer; the rest is counted.
const RECORDS_SHOWN: usize = 4;

/// Longest text of one DNS record that is shown, in characters.
const RECORD_LENGTH: usize = 80;

/// What a packet does for those who talk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Opens a TCP connection: SYN, SYN-ACK.
    Opens,
    /// Ends a TCP connection: FIN, RST.
    Ends,
    /// Belongs to an open TCP connection: data, ACK.
    Carries,
    /// Stands for itself: UDP, ICMP and all other protocols.
    Message,
    /// Keeps the network going: ARP, NDP, multicast listener reports.
    Resolves,
}

/// What can be read from a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Source: of the IP header, or the sender of an ARP message.
    pub source: Option<IpAddr>,
    /// Destination: of the IP header, or the target of an ARP message.
    pub destination: Option<IpAddr>,
    /// Source port of TCP or UDP.
    pub source_port: Option<u16>,
    /// Destination port of TCP or UDP.
    pub destination_port: Option<u16>,
    /// What the packet does.
    pub role: Role,
    /// The whole line.
    pub text: String,
}

impl Summary {
    /// IPv4 or IPv6, if it is either; ARP counts as neither.
    pub fn family(&self) -> Option<Family> {
        match self.source? {
            IpAddr::V4(_) => Some(Family::Ipv4),
            IpAddr::V6(_) => Some(Family::Ipv6),
        }
    }

    fn bare(text: impl Into<String>) -> Summary {
        Summary {
            source: None,
            destination: None,
            source_port: None,
            destination_port: None,
            role: Role::Message,
            text: text.into(),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Reads an Ethernet frame.
pub fn frame(bytes: &[u8]) -> Summary {
    match LaxSlicedPacket::from_ethernet(bytes) {
        Ok(sliced) => summarise(&sliced).unwrap_or_else(|| unknown_frame(&sliced, bytes)),
        Err(_) => Summary::bare(format!("broken Ethernet frame of {}", count(bytes.len(), "byte"))),
    }
}

/// Reads an IP packet without a link header.
pub fn packet(bytes: &[u8]) -> Summary {
    let sliced = LaxSlicedPacket::from_ip(bytes).ok();
    sliced
        .and_then(|sliced| summarise(&sliced))
        .unwrap_or_else(|| Summary::bare(format!("broken IP packet of {}", count(bytes.len(), "byte"))))
}

/// An address with its port, as URLs write it.
pub(super) fn endpoint(address: IpAddr, port: Option<u16>) -> String {
    match port {
        Some(port) => SocketAddr::new(address, port).to_string(),
        None => address.to_string(),
    }
}

/// `1 byte`, `2 bytes`.
pub(super) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

fn summarise(sliced: &LaxSlicedPacket<'_>) -> Option<Summary> {
    match sliced.net.as_ref()? {
        LaxNetSlice::Arp(arp) => Some(summarise_arp(arp)),
        LaxNetSlice::Ipv4(ip) => Some(Packet::of_ipv4(ip).summarise(sliced.transport.as_ref())),
        LaxNetSlice::Ipv6(ip) => Some(Packet::of_ipv6(ip).summarise(sliced.transport.as_ref())),
    }
}

fn unknown_frame(sliced: &LaxSlicedPacket<'_>, bytes: &[u8]) -> Summary {
    let Some(LinkSlice::Ethernet2(link)) = &sliced.link else {
        return Summary::bare(format!("Ethernet frame of {}", count(bytes.len(), "byte")));
    };
    let ends = format!("{} → {}", MacAddress(link.source()), MacAddress(link.destination()));
    let length = count(bytes.len(), "byte");
    Summary::bare(match link.ether_type() {
        EtherType::IPV4 => format!("broken IPv4 packet {ends}, {length}"),
        EtherType::IPV6 => format!("broken IPv6 packet {ends}, {length}"),
        EtherType::ARP => format!("broken ARP message {ends}, {length}"),
        EtherType(other) => format!("EtherType {other:#06x} {ends}, {length}"),
    })
}

fn summarise_arp(arp: &etherparse::ArpPacketSlice<'_>) -> Summary {
    let address = |bytes: &[u8]| <[u8; 4]>::try_from(bytes).ok().map(Ipv4Addr::from);
    let (Some(sender), Some(target)) =
        (address(arp.sender_protocol_addr()), address(arp.target_protocol_addr()))
    else {
        return Summary { role: Role::Resolves, ..Summary::bare("ARP message of unknown kind") };
    };
    let mac = <[u8; 6]>::try_from(arp.sender_hw_addr()).map(MacAddress);
    let mac = mac.map_or_else(|_| "an unknown hardware address".to_owned(), |mac| mac.to_string());
    let text = match arp.operation() {
        ArpOperation::REQUEST if sender == target => format!("ARP announces that {sender} is at {mac}"),
        ArpOperation::REQUEST if sender.is_unspecified() => format!("ARP asks whether anybody has {target}"),
        ArpOperation::REQUEST => format!("ARP who has {target}? tell {sender}"),
        ArpOperation::REPLY => format!("ARP {sender} is at {mac}"),
        ArpOperation(other) => format!("ARP operation {other} of {sender} about {target}"),
    };
    Summary {
        source: Some(IpAddr::V4(sender)),
        destination: Some(IpAddr::V4(target)),
        role: Role::Resolves,
        ..Summary::bare(text)
    }
}

/// The IP header of a packet.
struct Packet<'a> {
    source: IpAddr,
    destination: IpAddr,
    protocol: IpNumber,
    payload: &'a [u8],
    /// First byte in the whole packet and whether more follow.
    fragment: Option<(usize, bool)>,
}

impl<'a> Packet<'a> {
    fn of_ipv4(ip: &LaxIpv4Slice<'a>) -> Packet<'a> {
        let header = ip.header();
        let offset = usize::from(header.fragments_offset().value()) * 8;
        Packet {
            source: IpAddr::V4(header.source_addr()),
            destination: IpAddr::V4(header.destination_addr()),
            protocol: ip.payload().ip_number,
            payload: ip.payload().payload,
            fragment: header.is_fragmenting_payload().then_some((offset, header.more_fragments())),
        }
    }

    fn of_ipv6(ip: &LaxIpv6Slice<'a>) -> Packet<'a> {
        let fragment = ip.extensions().clone().into_iter().find_map(|extension| match extension {
            Ipv6ExtensionSlice::Fragment(header) if header.is_fragmenting_payload() => {
                Some((usize::from(header.fragment_offset().value()) * 8, header.more_fragments()))
            }
            _ => None,
        });
        Packet {
            source: IpAddr::V6(ip.header().source_addr()),
            destination: IpAddr::V6(ip.header().destination_addr()),
            protocol: ip.payload().ip_number,
            payload: ip.payload().payload,
            fragment,
        }
    }

    fn summarise(&self, transport: Option<&TransportSlice<'_>>) -> Summary {
        if let Some((offset, more)) = self.fragment {
            return self.fragment(offset, more);
        }
        match transport {
            Some(TransportSlice::Tcp(tcp)) => self.tcp(tcp),
            Some(TransportSlice::Udp(udp)) => self.udp(udp),
            Some(TransportSlice::Icmpv4(icmp)) => self.icmpv4(icmp),
            Some(TransportSlice::Icmpv6(icmp)) => self.icmpv6(icmp),
            Some(TransportSlice::Igmp(_)) => Summary { role: Role::Resolves, ..self.line("IGMP", None, "") },
            None => self.other(),
        }
    }

    /// `WHAT source → destination, detail`.
    fn line(&self, what: &str, ports: Option<(u16, u16)>, detail: &str) -> Summary {
        let source = endpoint(self.source, ports.map(|p| p.0));
        let destination = endpoint(self.destination, ports.map(|p| p.1));
        let comma = if detail.is_empty() { "" } else { ", " };
        Summary {
            source: Some(self.source),
            destination: Some(self.destination),
            source_port: ports.map(|p| p.0),
            destination_port: ports.map(|p| p.1),
            role: Role::Message,
            text: format!("{what} {source} → {destination}{comma}{detail}"),
        }
    }

    fn fragment(&self, offset: usize, more: bool) -> Summary {
        let what = format!("fragment of {}", protocol_name(self.protocol));
        let end = offset + self.payload.len();
        let tail = if more { "more follow" } else { "the last one" };
        self.line(&what, None, &format!("bytes {offset} to {end}, {tail}"))
    }

    fn other(&self) -> Summary {
        let name = protocol_name(self.protocol);
        self.line(&name, None, &count(self.payload.len(), "byte"))
    }

    fn tcp(&self, tcp: &TcpSlice<'_>) -> Summary {
        let length = tcp.payload().len();
        let (what, role) = match (tcp.syn(), tcp.ack(), tcp.rst(), tcp.fin()) {
            (_, _, true, _) => ("TCP RST", Role::Ends),
            (true, true, ..) => ("TCP SYN-ACK", Role::Opens),
            (true, false, ..) => ("TCP SYN", Role::Opens),
            (.., true) => ("TCP FIN", Role::Ends),
            _ if length > 0 => ("TCP data", Role::Carries),
            _ => ("TCP ACK", Role::Carries),
        };
        let ports = (tcp.source_port(), tcp.destination_port());
        let dns = (ports.0 == DNS_PORT || ports.1 == DNS_PORT).then(|| dns_over_tcp(tcp.payload())).flatten();
        let (what, detail) = match dns {
            Some((what, detail)) => (format!("TCP {what}"), detail),
            None if length > 0 => (what.to_owned(), count(length, "byte")),
            None => (what.to_owned(), String::new()),
        };
        Summary { role, ..self.line(&what, Some(ports), &detail) }
    }

    fn udp(&self, udp: &UdpSlice<'_>) -> Summary {
        let ports = (udp.source_port(), udp.destination_port());
        let dns_like = ports.0 == DNS_PORT
            || ports.1 == DNS_PORT
            || self.source == EMBEDDED_DNS
            || self.destination == EMBEDDED_DNS;
        match dns_like.then(|| dns(udp.payload())).flatten() {
            Some((what, detail)) => self.line(what, Some(ports), &detail),
            None => self.line("UDP", Some(ports), &count(udp.payload().len(), "byte")),
        }
    }

    fn icmpv4(&self, icmp: &Icmpv4Slice<'_>) -> Summary {
        let (kind, code) = (icmp.type_u8(), icmp.code_u8());
        let rest = icmp.bytes5to8();
        let (what, detail) = match kind {
            0 => ("ICMP echo reply".to_owned(), echo(rest)),
            8 => ("ICMP echo request".to_owned(), echo(rest)),
            3 => (format!("ICMP {}", unreachable4(code)), self.about(icmp.payload(), mtu4(code, rest))),
            5 => ("ICMP redirect".to_owned(), self.about(icmp.payload(), None)),
            11 if code == 1 => ("ICMP reassembly time exceeded".to_owned(), self.about(icmp.payload(), None)),
            11 => ("ICMP time exceeded".to_owned(), self.about(icmp.payload(), None)),
            12 => ("ICMP parameter problem".to_owned(), self.about(icmp.payload(), None)),
            _ => (format!("ICMP type {kind} code {code}"), String::new()),
        };
        self.line(&what, None, &detail)
    }

    fn icmpv6(&self, icmp: &Icmpv6Slice<'_>) -> Summary {
        let (kind, code) = (icmp.type_u8(), icmp.code_u8());
        let rest = icmp.bytes5to8();
        let target = || icmp.slice().get(8..).and_then(|b| b.first_chunk::<16>()).map(|b| Ipv6Addr::from(*b));
        let target_text = || target().map_or_else(|| "an unreadable address".to_owned(), |a| a.to_string());
        let resolves = |text: String| Summary {
            source: Some(self.source),
            destination: Some(self.destination),
            role: Role::Resolves,
            ..Summary::bare(text)
        };
        let (what, detail) = match kind {
            1 => (format!("ICMPv6 {}", unreachable6(code)), self.about(icmp.payload(), None)),
            2 => {
                let mtu = u32::from_be_bytes(rest);
                ("ICMPv6 packet too big".to_owned(), self.about(icmp.payload(), Some(mtu)))
            }
            3 => ("ICMPv6 time exceeded".to_owned(), self.about(icmp.payload(), None)),
            4 => ("ICMPv6 parameter problem".to_owned(), self.about(icmp.payload(), None)),
            128 => ("ICMPv6 echo request".to_owned(), echo(rest)),
            129 => ("ICMPv6 echo reply".to_owned(), echo(rest)),
            130..=132 | 143 => {
                return Summary { role: Role::Resolves, ..self.line("ICMPv6 multicast listener", None, "") };
            }
            133 => return Summary { role: Role::Resolves, ..self.line("NDP router solicitation", None, "") },
            134 => {
                return Summary { role: Role::Resolves, ..self.line("NDP router advertisement", None, "") };
            }
            135 if self.source.is_unspecified() => {
                return resolves(format!("NDP asks whether anybody has {}", target_text()));
            }
            135 => return resolves(format!("NDP who has {}? tell {}", target_text(), self.source)),
            136 => return resolves(format!("NDP {} is here", target_text())),
            137 => return Summary { role: Role::Resolves, ..self.line("NDP redirect", None, "") },
            _ => (format!("ICMPv6 type {kind} code {code}"), String::new()),
        };
        self.line(&what, None, &detail)
    }

    /// The packet that an ICMP error quotes.
    fn about(&self, quoted: &[u8], mtu: Option<u32>) -> String {
        let mtu = mtu.map(|mtu| format!("at most {mtu} bytes, ")).unwrap_or_default();
        let net = LaxSlicedPacket::from_ip(quoted).ok().and_then(|sliced| sliced.net);
        let inner = match &net {
            Some(LaxNetSlice::Ipv4(ip)) => Packet::of_ipv4(ip),
            Some(LaxNetSlice::Ipv6(ip)) => Packet::of_ipv6(ip),
            Some(LaxNetSlice::Arp(_)) | None => return format!("{mtu}about an unreadable packet"),
        };
        let name = protocol_name(inner.protocol);
        let with_ports = matches!(inner.protocol, IpNumber::TCP | IpNumber::UDP);
        let ports = match inner.payload {
            [a, b, c, d, ..] if with_ports => {
                Some((u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d])))
            }
            _ => None,
        };
        let line = inner.line(&name, ports, "");
        format!("{mtu}about {line}")
    }
}

fn protocol_name(protocol: IpNumber) -> String {
    match protocol {
        IpNumber::ICMP => "ICMP".to_owned(),
        IpNumber::IPV6_ICMP => "ICMPv6".to_owned(),
        other => other.keyword_str().map_or_else(|| format!("IP protocol {}", other.0), str::to_owned),
    }
}

fn echo(rest: [u8; 4]) -> String {
    let [a, b, c, d] = rest;
    format!("id {}, sequence {}", u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
}

/// Codes of destination unreachable (RFC 792, RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1).
fn unreachable4(code: u8) -> String {
    let text = match code {
        0 => "network unreachable",
        1 => "host unreachable",
        2 => "protocol unreachable",
        3 => "port unreachable",
        4 => "fragmentation needed",
        5 => "source route failed",
        9 => "network administratively prohibited",
        10 => "host administratively prohibited",
        13 => "communication administratively prohibited",
        _ => return format!("destination unreachable code {code}"),
    };
    text.to_owned()
}

/// Codes of destination unreachable (RFC 4443 section 3.1).
fn unreachable6(code: u8) -> String {
    let text = match code {
        0 => "no route",
        1 => "administratively prohibited",
        2 => "beyond scope of source address",
        3 => "address unreachable",
        4 => "port unreachable",
        5 => "source address failed policy",
        6 => "route rejected",
        _ => return format!("destination unreachable code {code}"),
    };
    text.to_owned()
}

/// The next hop's MTU (RFC 1191 section 4).
fn mtu4(code: u8, rest: [u8; 4]) -> Option<u32> {
    (code == 4).then(|| u32::from(u16::from_be_bytes([rest[2], rest[3]])))
}

/// Reads a message with the two-byte length of RFC 1035 section 4.2.2, if it fills the segment.
fn dns_over_tcp(payload: &[u8]) -> Option<(&'static str, String)> {
    let (length, message) = payload.split_first_chunk::<2>()?;
    (usize::from(u16::from_be_bytes(*length)) == message.len()).then(|| dns(message)).flatten()
}

/// Question and answers of a DNS message; `None` if it is none.
fn dns(payload: &[u8]) -> Option<(&'static str, String)> {
    let message = Message::from_slice(payload).ok()?;
    let question = message.question().next().and_then(Result::ok)?;
    let question = clean(&format!("{} {}", question.qtype(), question.qname()), RECORD_LENGTH);
    if !message.header().qr() {
        return Some(("DNS query", question));
    }
    let code = message.header().rcode();
    let mut records = Vec::new();
    if let Ok(section) = message.answer() {
        for record in section.limit_to_in::<AllRecordData<&[u8], ParsedName<&[u8]>>>() {
            let Ok(record) = record else { break };
            let text = format!("{} {}", record.rtype(), record.data());
            records.push(clean(&text, RECORD_LENGTH));
        }
    }
    let hidden = records.len().saturating_sub(RECORDS_SHOWN);
    records.truncate(RECORDS_SHOWN);
    let mut answer = records.join(", ");
    if hidden > 0 {
        answer.push_str(&format!(" and {hidden} more"));
    }
    if answer.is_empty() {
        let truncated = message.header().tc();
        let empty = message.header_counts().ancount() == 0;
        answer = match code {
            _ if truncated => "truncated, ask by TCP".to_owned(),
            domain::base::iana::Rcode::NOERROR if empty => "no such record".to_owned(),
            code => code.to_string(),
        };
    }
    Some(("DNS answer", format!("{question}: {answer}")))
}

/// Text from the wire, safe for a terminal: no control characters, bounded length.
fn clean(text: &str, length: usize) -> String {
    let mut clean: String =
        text.chars().take(length).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(length).is_some() {
        clean.push('…');
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::super::testing::{arp_request, dns_answer, dns_query, ethernet, tcp_packet, udp_packet};
    use super::*;
    use etherparse::PacketBuilder;
    use proptest::prelude::*;

    fn icmp_error(kind: u8, code: u8, rest: [u8; 4], quoted: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        PacketBuilder::ipv4([10, 0, 0, 9], [172, 18, 0, 2], 64)
            .icmpv4_raw(kind, code, rest)
            .write(&mut bytes, quoted)
            .unwrap();
        bytes
    }

    #[test]
    fn tcp_is_told_by_its_flags() {
        let flags = |flags: &str, payload: &[u8]| {
            packet(&tcp_packet([172, 18, 0, 2], 40000, [172, 18, 0, 3], 5432, flags, payload))
        };
        let syn = flags("S", b"");
        assert_eq!(syn.text, "TCP SYN 172.18.0.2:40000 → 172.18.0.3:5432");
        assert_eq!((syn.role, syn.destination_port), (Role::Opens, Some(5432)));
        assert_eq!(flags("SA", b"").text, "TCP SYN-ACK 172.18.0.2:40000 → 172.18.0.3:5432");
        assert_eq!(flags("A", b"").role, Role::Carries);
        assert_eq!(flags("A", b"x").text, "TCP data 172.18.0.2:40000 → 172.18.0.3:5432, 1 byte");
        assert_eq!(flags("FA", b"").role, Role::Ends);
        assert_eq!(flags("RA", b"").text, "TCP RST 172.18.0.2:40000 → 172.18.0.3:5432");
    }

    #[test]
    fn arp_and_dns_are_read() {
        assert_eq!(frame(&arp_request()).text, "ARP who has 172.18.0.3? tell 172.18.0.2");
        let query = packet(&udp_packet([172, 18, 0, 2], 4000, [127, 0, 0, 11], 35001, &dns_query()));
        assert_eq!(query.text, "DNS query 172.18.0.2:4000 → 127.0.0.11:35001, A db");
        let answer = packet(&udp_packet([10, 0, 0, 53], 53, [172, 18, 0, 2], 4000, &dns_answer()));
        assert_eq!(answer.text, "DNS answer 10.0.0.53:53 → 172.18.0.2:4000, A db: A 172.18.0.3");
        let mut segment = (dns_answer().len() as u16).to_be_bytes().to_vec();
        segment.extend(dns_answer());
        let answer = packet(&tcp_packet([10, 0, 0, 53], 53, [172, 18, 0, 2], 4000, "A", &segment));
        assert_eq!(answer.text, "TCP DNS answer 10.0.0.53:53 → 172.18.0.2:4000, A db: A 172.18.0.3");
    }

    #[test]
    fn icmp_errors_name_the_packet_they_are_about() {
        let udp = udp_packet([172, 18, 0, 2], 4000, [172, 18, 0, 3], 53, b"abc");
        assert_eq!(
            packet(&icmp_error(3, 3, [0; 4], &udp[..28])).text,
            "ICMP port unreachable 10.0.0.9 → 172.18.0.2, about UDP 172.18.0.2:4000 → 172.18.0.3:53"
        );
        assert_eq!(
            packet(&icmp_error(3, 4, [0, 0, 5, 120], &udp[..28])).text,
            "ICMP fragmentation needed 10.0.0.9 → 172.18.0.2, at most 1400 bytes, \
             about UDP 172.18.0.2:4000 → 172.18.0.3:53"
        );
        assert_eq!(
            packet(&icmp_error(8, 0, [0, 7, 0, 1], b"")).text,
            "ICMP echo request 10.0.0.9 → 172.18.0.2, id 7, sequence 1"
        );
    }

    #[test]
    fn neighbour_discovery_names_its_target() {
        let mut body = vec![0; 16];
        body[15] = 3;
        let mut bytes = Vec::new();
        PacketBuilder::ipv6([0xfe; 16], [0xff; 16], 255)
            .icmpv6_raw(135, 0, [0; 4])
            .write(&mut bytes, &body)
            .unwrap();
        let summary = packet(&bytes);
        assert!(summary.text.starts_with("NDP who has ::3? tell fefe:"), "{summary}");
        assert_eq!((summary.role, summary.family()), (Role::Resolves, Some(Family::Ipv6)));
    }

    #[test]
    fn fragments_and_strangers_are_told() {
        let mut bytes = udp_packet([172, 18, 0, 2], 4000, [172, 18, 0, 3], 53, &[0; 24]);
        bytes[6..8].copy_from_slice(&0x2002_u16.to_be_bytes());
        assert_eq!(
            packet(&bytes).text,
            "fragment of UDP 172.18.0.2 → 172.18.0.3, bytes 16 to 48, more follow"
        );
        let mut other = ethernet(&[0; 46]);
        other[12..14].copy_from_slice(&[0x88, 0xb5]);
        assert_eq!(frame(&other).text, "EtherType 0x88b5 02:42:ac:12:00:02 → 02:42:ac:12:00:03, 60 bytes");
        assert_eq!(frame(&[1, 2, 3]).text, "broken Ethernet frame of 3 bytes");
        assert_eq!(packet(&[]).text, "broken IP packet of 0 bytes");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn any_bytes_give_one_clean_line(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            start in 0_usize..4,
        ) {
            let templates = [
                ethernet(&tcp_packet([1, 2, 3, 4], 1, [5, 6, 7, 8], 53, "A", b"")),
                ethernet(&udp_packet([1, 2, 3, 4], 1, [5, 6, 7, 8], 53, &dns_answer())),
                arp_request(),
                Vec::new(),
            ];
            // Valid beginnings take the arbitrary bytes deeper into the readers.
            for keep in [0, 14, 34, 42, 54] {
                let mut mixed = templates[start].iter().copied().take(keep).collect::<Vec<u8>>();
                mixed.extend(&bytes);
                for summary in [frame(&mixed), packet(&mixed), packet(mixed.get(14..).unwrap_or_default())] {
                    prop_assert!(!summary.text.is_empty());
                    prop_assert!(!summary.text.chars().any(char::is_control));
                }
            }
        }
    }
}
