//! Packets made by hand, as hping3 and dsniff's programs make them: IPv4 headers with what people want to get wrong, TCP,
//! UDP and ICMP with their checksums; and how fast who floods may send.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::icmp::checksum;
use crate::engine::sys::Sys;

/// IP protocol numbers.
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;

/// An IPv4 header of 20 bytes. Its length and checksum are right, the rest is as it is given.
#[derive(Debug, Clone, Copy)]
pub(super) struct IpHeader {
    pub(super) source: Ipv4Addr,
    pub(super) destination: Ipv4Addr,
    pub(super) protocol: u8,
    pub(super) ttl: u8,
    pub(super) identification: u16,
    pub(super) dont_fragment: bool,
    pub(super) more_fragments: bool,
    /// Bytes, of which a multiple of eight counts.
    pub(super) offset: u16,
}

impl IpHeader {
    /// The packet with this content.
    pub(super) fn packet(&self, content: &[u8]) -> Vec<u8> {
        let flags = u16::from(self.dont_fragment) << 14 | u16::from(self.more_fragments) << 13;
        let mut packet = vec![0x45, 0];
        packet.extend(u16::try_from(20 + content.len()).unwrap_or(u16::MAX).to_be_bytes());
        packet.extend(self.identification.to_be_bytes());
        packet.extend((flags | self.offset >> 3).to_be_bytes());
        packet.extend([self.ttl, self.protocol, 0, 0]);
        packet.extend(self.source.octets());
        packet.extend(self.destination.octets());
        let sum = checksum(&packet);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet.extend(content);
        packet
    }

    /// Writes the checksum of a TCP segment or UDP datagram that this header will carry.
    fn complete(&self, content: &mut [u8], at: usize) {
        let mut pseudo = [self.source.octets(), self.destination.octets()].concat();
        pseudo.extend([0, self.protocol]);
        pseudo.extend(u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes());
        pseudo.extend(&*content);
        let sum = checksum(&pseudo);
        content[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }
}

/// What a TCP header says.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TcpHeader {
    pub(super) ports: (u16, u16),
    pub(super) sequence: u32,
    pub(super) acknowledgement: u32,
    pub(super) flags: u8,
    pub(super) window: u16,
}

/// A TCP segment.
pub(super) fn tcp(ip: &IpHeader, header: &TcpHeader, data: &[u8]) -> Vec<u8> {
    let mut segment = [header.ports.0.to_be_bytes(), header.ports.1.to_be_bytes()].concat();
    segment.extend(header.sequence.to_be_bytes());
    segment.extend(header.acknowledgement.to_be_bytes());
    segment.extend([5 << 4, header.flags]);
    segment.extend(header.window.to_be_bytes());
    segment.extend([0; 4]);
    segment.extend(data);
    ip.complete(&mut segment, 16);
    segment
}

/// A UDP datagram.
pub(super) fn udp(ip: &IpHeader, ports: (u16, u16), data: &[u8]) -> Vec<u8> {
    let mut datagram = [ports.0.to_be_bytes(), ports.1.to_be_bytes()].concat();
    datagram.extend(u16::try_from(8 + data.len()).unwrap_or(u16::MAX).to_be_bytes());
    datagram.extend([0; 2]);
    datagram.extend(data);
    ip.complete(&mut datagram, 6);
    datagram
}

/// How fast a program floods that sends as fast as it can: 100,000 packets a second to begin with. Pauses grow while it
/// goes on, because every packet costs real time; a minute takes about 350,000 of them.
#[derive(Debug, Default)]
pub(super) struct Flood {
    sent: u32,
}

impl Flood {
    /// What a packet takes at first.
    const GAP: Duration = Duration::from_micros(10);
    /// Packets that make the gap longer by [`Self::GAP`].
    const GROWTH: u32 = 10_000;

    /// Waits until the next packet.
    pub(super) async fn pause(&mut self, sys: &Sys) {
        self.sent = self.sent.saturating_add(1);
        sys.sleep(Self::GAP * (1 + self.sent / Self::GROWTH)).await;
    }
}

/// An address from the run's seed.
pub(super) fn random_address(sys: &Sys) -> Ipv4Addr {
    Ipv4Addr::from(sys.random())
}
