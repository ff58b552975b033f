//! The device smoltcp is polled with, and the interfaces it is polled through.
//!
//! smoltcp keeps the MTU in its `Interface`, not in the device handed to a poll, so connections share one
//! interface per MTU in use; an `Interface` is about 3 KiB and sockets are not tied to it. With any-IP on it
//! needs no address and no route of its own. Checksums of arriving segments are ours to verify (the caller may
//! vouch for them), those of leaving segments are left to the caller, because most never leave its machine. So is
//! cutting what is larger than a segment, if the caller offers to.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroUsize;
use std::time::Duration;

use smoltcp::iface::{Config, Interface};
use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium, PacketMeta, RxToken, TxToken};
use smoltcp::time::Instant;
use smoltcp::wire::HardwareAddress;

use super::segment::{Segment, Sent};
use super::types::{Scope, Sender};

/// Smallest MTU used, IPv4's own (RFC 791): a SYN with all options fits it, and a segment has room for data behind them.
const MINIMUM_MTU: usize = 68;

/// Smallest MTU used for IPv6, whose links carry 1280 bytes: a header with TCP and all its options leaves room for data.
/// smoltcp drops what does not fit, so less would stall a connection rather than fragment.
const MINIMUM_MTU_IPV6: usize = 128;

/// The MTU a connection of a family works with where the device or the path has `mtu`.
pub(super) fn usable_mtu(mtu: usize, ipv6: bool) -> usize {
    mtu.max(if ipv6 { MINIMUM_MTU_IPV6 } else { MINIMUM_MTU })
}

/// Interfaces kept; more MTUs than that at once are re-made on demand, so that path MTU messages naming
/// every possible value cost time, not memory.
const INTERFACES: usize = 32;

/// Packets kept for reuse of their memory.
const SPARE: usize = 64;

/// Largest packet that is left to be cut: what an IP header can say.
const LARGEST: Option<NonZeroUsize> = NonZeroUsize::new(u16::MAX as usize);

/// Bytes at the start of reused memory that are cleared: no header is longer. smoltcp writes the rest itself.
const LONGEST_HEADER: usize = 128;

/// One interface per MTU in use.
pub(super) struct Interfaces {
    seed: u64,
    made: u64,
    /// The caller cuts what is larger than a segment.
    pub(super) offload: bool,
    by_mtu: BTreeMap<usize, Interface>,
}

impl Interfaces {
    pub(super) fn new(seed: u64) -> Self {
        Interfaces { seed, made: 0, offload: false, by_mtu: BTreeMap::new() }
    }

    /// The interface for `mtu`, kept within what TCP/IP can carry.
    pub(super) fn get(&mut self, mtu: usize) -> &mut Interface {
        let mtu = mtu.clamp(MINIMUM_MTU, usize::from(u16::MAX));
        if self.by_mtu.len() >= INTERFACES && !self.by_mtu.contains_key(&mtu) {
            self.by_mtu.clear();
        }
        let (seed, made, offload) = (self.seed, &mut self.made, self.offload);
        self.by_mtu.entry(mtu).or_insert_with(|| {
            *made += 1;
            let mut config = Config::new(HardwareAddress::Ip);
            config.random_seed = split_mix(seed.wrapping_add(made.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
            let mut nothing = VecDeque::new();
            let mut spare = Vec::new();
            let mut port = Port::new(mtu, (Scope(0), None), None, &mut nothing, &mut spare);
            port.offload = offload;
            let mut interface = Interface::new(config, &mut port, Instant::ZERO);
            interface.set_any_ip(true);
            interface
        })
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): neighbouring seeds give unrelated sequences.
pub(super) fn split_mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// smoltcp's clock counts microseconds.
pub(super) fn instant(time: Duration) -> Instant {
    Instant::from_micros(i64::try_from(time.as_micros()).unwrap_or(i64::MAX))
}

/// The inverse of [`instant`]; a time before zero, smoltcp's "at once", is zero.
pub(super) fn duration(instant: Instant) -> Duration {
    Duration::from_micros(u64::try_from(instant.total_micros()).unwrap_or(0))
}

/// A packet to send.
pub(super) struct Packet {
    pub(super) scope: Scope,
    pub(super) sender: Option<Sender>,
    pub(super) octets: Vec<u8>,
    /// Octets of data in each segment, if the packet is still to be cut.
    pub(super) segment_size: Option<u16>,
}

impl Packet {
    /// A packet of one segment, in no connection's name.
    pub(super) fn whole(scope: Scope, octets: Vec<u8>) -> Packet {
        Packet { scope, sender: None, octets, segment_size: None }
    }
}

/// A device for one poll: at most one packet in, any number out.
pub(super) struct Port<'a> {
    mtu: usize,
    /// Whose packets go out.
    from: (Scope, Option<Sender>),
    /// Asked once, when the interface is made.
    offload: bool,
    incoming: Option<&'a [u8]>,
    outgoing: &'a mut VecDeque<Packet>,
    spare: &'a mut Vec<Vec<u8>>,
}

impl<'a> Port<'a> {
    pub(super) fn new(
        mtu: usize,
        from: (Scope, Option<Sender>),
        incoming: Option<&'a [u8]>,
        outgoing: &'a mut VecDeque<Packet>,
        spare: &'a mut Vec<Vec<u8>>,
    ) -> Self {
        Port { mtu, from, offload: false, incoming, outgoing, spare }
    }

    /// What the packet sent last says, if one was sent since the queue held `before`.
    pub(super) fn last_sent(&self, before: usize) -> Option<Sent> {
        if self.outgoing.len() <= before {
            return None;
        }
        Segment::sent(&self.outgoing.back()?.octets)
    }

    pub(super) fn queued(&self) -> usize {
        self.outgoing.len()
    }

    fn sending(&mut self) -> Sending<'_> {
        Sending { from: self.from, segment_size: None, outgoing: self.outgoing, spare: self.spare }
    }
}

/// Gives a sent packet's memory back.
pub(super) fn recycle(spare: &mut Vec<Vec<u8>>, octets: Vec<u8>) {
    if spare.len() < SPARE {
        spare.push(octets);
    }
}

pub(super) struct Received<'a>(&'a [u8]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

pub(super) struct Sending<'a> {
    from: (Scope, Option<Sender>),
    segment_size: Option<u16>,
    outgoing: &'a mut VecDeque<Packet>,
    spare: &'a mut Vec<Vec<u8>>,
}

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut octets = self.spare.pop().unwrap_or_default();
        octets.resize(length, 0);
        octets[..length.min(LONGEST_HEADER)].fill(0);
        let result = f(&mut octets);
        let ((scope, sender), segment_size) = (self.from, self.segment_size);
        self.outgoing.push_back(Packet { scope, sender, octets, segment_size });
        result
    }

    fn set_meta(&mut self, meta: PacketMeta) {
        self.segment_size = meta.segmentation_offload_size.map(u16::from);
    }
}

impl Device for Port<'_> {
    type RxToken<'t>
        = Received<'t>
    where
        Self: 't;
    type TxToken<'t>
        = Sending<'t>
    where
        Self: 't;

    fn receive(&mut self, _now: Instant) -> Option<(Received<'_>, Sending<'_>)> {
        let packet = self.incoming.take()?;
        Some((Received(packet), self.sending()))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Sending<'_>> {
        Some(self.sending())
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        capabilities.checksum.ipv4 = Checksum::Tx;
        capabilities.checksum.tcp = Checksum::None;
        if self.offload {
            // smoltcp 0.14 would drop the same over IPv6 as too large a packet.
            capabilities.segmentation.tcpv4 = LARGEST;
        }
        capabilities
    }
}
