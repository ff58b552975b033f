//! Joining fragments: RFC 791 and RFC 815 for IPv4, RFC 8200 and RFC 5722 for IPv6, with the choices of Linux
//! (`ip_fragment.c`, `nf_conntrack_reasm.c`, `inet_fragment.c`).
//!
//! A fragment that lies inside data received without a gap is a duplicate and is ignored; any other overlap drops
//! the whole datagram. Memory is bounded for all datagrams together, and fragments for each; what does not fit is
//! refused, and what never completes expires. Memory counts data plus a fixed cost per fragment and datagram.

use super::set_ipv4_fragment;
use crate::packet::{IpVersion, Layout, MalformedPacket, PacketView};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// Counted per fragment besides its data, so that tiny fragments cost what they cost.
const FRAGMENT_COST: usize = 128;

/// Largest length that an IPv4 header or an IPv6 payload length can state.
const LENGTH_LIMIT: usize = 65535;

/// ECN codepoints (RFC 3168, section 5).
const ECN_MASK: u8 = 3;
const CONGESTION_EXPERIENCED: u8 = 3;

/// Bounds of a [`Reassembler`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes held for all incomplete datagrams. Linux: `ipfrag_high_thresh`, 4 MiB.
    pub memory: usize,
    /// Fragments of one datagram. The default, 2048, lets the largest datagram arrive over an MTU of 68.
    pub fragments: usize,
    /// How long IPv4 fragments wait. Linux: `ipfrag_time`, 30 s.
    pub timeout_v4: Duration,
    /// How long IPv6 fragments wait. RFC 8200 4.5, Linux: `ip6frag_time` and `nf_conntrack_frag6_timeout`, 60 s.
    pub timeout_v6: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            memory: 4 << 20,
            fragments: 2048,
            timeout_v4: Duration::from_secs(30),
            timeout_v6: Duration::from_secs(60),
        }
    }
}

/// Collects fragments until their datagrams are whole.
#[derive(Debug, Default)]
pub struct Reassembler {
    limits: Limits,
    datagrams: BTreeMap<Key, Datagram>,
    /// Datagrams by the time they expire; the number keeps the order of arrival.
    timers: BTreeMap<(Duration, u64), Key>,
    next_timer: u64,
    memory: usize,
}

/// What became of a fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reassembly {
    /// Kept, or ignored as a duplicate; the datagram still has gaps.
    Incomplete,
    /// The datagram is whole.
    Complete {
        /// The packet, with no trace of fragmentation.
        packet: Vec<u8>,
        /// Length of the largest fragment, headers included: the limit for cutting it again.
        largest_fragment: usize,
    },
    /// Not kept.
    Dropped(FragmentError),
}

/// Why a fragment, or its whole datagram, was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FragmentError {
    /// Not an IP packet.
    #[error(transparent)]
    Malformed(#[from] MalformedPacket),
    /// A whole packet; it needs no reassembly.
    #[error("packet is not a fragment: expected a fragment offset or more fragments to come")]
    NotAFragment,
    /// Overlaps what was received; the datagram is dropped (RFC 5722).
    #[error("fragment of bytes {start} to {end} overlaps others: the datagram is dropped")]
    Overlap {
        /// First byte.
        start: usize,
        /// Byte behind the last.
        end: usize,
    },
    /// Contradicts the datagram's known end; the datagram is dropped.
    #[error("fragment of bytes {start} to {end} contradicts the end of the datagram, which is dropped")]
    InconsistentEnd {
        /// First byte.
        start: usize,
        /// Byte behind the last.
        end: usize,
    },
    /// No data; the datagram is dropped.
    #[error("fragment at byte {start} has no data")]
    Empty {
        /// Its offset.
        start: usize,
    },
    /// An IPv6 fragment, not the last, whose length is no multiple of 8 (RFC 8200: parameter problem).
    #[error("fragment data of {found} bytes, with more to come: expected a multiple of 8")]
    Unaligned {
        /// Its data's length.
        found: usize,
    },
    /// The datagram would be longer than a packet can be ("ping of death").
    #[error("fragment ends at byte {end} of the packet: expected at most 65535")]
    TooLong {
        /// Where it ends.
        end: usize,
    },
    /// The memory for fragments is used up.
    #[error("{limit} bytes of fragments are waiting: no more are kept until some complete or expire")]
    OutOfMemory {
        /// The bound.
        limit: usize,
    },
    /// Too many fragments of one datagram, which is dropped.
    #[error("more than {limit} fragments of one datagram: the datagram is dropped")]
    TooManyFragments {
        /// The bound.
        limit: usize,
    },
    /// Fragments with and without ECN mixed; the datagram is dropped (RFC 3168 5.3).
    #[error("fragments with and without ECN in one datagram: the datagram is dropped")]
    MixedEcn,
}

/// A datagram that did not complete in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiredDatagram {
    /// Its source.
    pub source: IpAddr,
    /// Its destination.
    pub destination: IpAddr,
    /// The first fragment, if it arrived: to be quoted in ICMP time exceeded, code 1. Without it none is sent.
    pub first_fragment: Option<Vec<u8>>,
}

/// RFC 791: source, destination, protocol, identification. RFC 8200: the same without the protocol (0 here).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    identification: u32,
}

#[derive(Debug)]
struct Datagram {
    timer: (Duration, u64),
    /// Data by offset, without overlaps.
    pieces: BTreeMap<usize, Vec<u8>>,
    received: usize,
    /// Highest end seen; the datagram's length once `ended`.
    length: usize,
    ended: bool,
    /// Headers of the first fragment, as received.
    first: Option<(Vec<u8>, Layout)>,
    largest: usize,
    /// Largest fragment with don't-fragment set (IPv4).
    largest_dont_fragment: usize,
    /// Bit set of the ECN codepoints seen (IPv4).
    ecn: u8,
    memory: usize,
}

/// How a piece goes with what is there.
enum Fit {
    Free,
    Duplicate,
    Overlap,
}

impl Reassembler {
    /// An empty reassembler.
    pub fn new(limits: Limits) -> Reassembler {
        Reassembler { limits, ..Reassembler::default() }
    }

    /// Takes a fragment, which starts at its IP header.
    pub fn push(&mut self, now: Duration, packet: &[u8]) -> Reassembly {
        let view = match PacketView::parse(packet) {
            Ok(view) if view.layout().is_fragment() => view,
            Ok(_) => return Reassembly::Dropped(FragmentError::NotAFragment),
            Err(error) => return Reassembly::Dropped(error.into()),
        };
        let key = Key::of(&view);
        match self.insert(now, key, &view) {
            Ok(None) => Reassembly::Incomplete,
            Ok(Some((packet, largest_fragment))) => Reassembly::Complete { packet, largest_fragment },
            Err(error) => {
                if error.drops_datagram() {
                    let _ = self.remove(&key);
                }
                Reassembly::Dropped(error)
            }
        }
    }

    /// Drops the datagrams whose time is over, oldest first.
    pub fn expire(&mut self, now: Duration) -> Vec<ExpiredDatagram> {
        let mut expired = Vec::new();
        while let Some((_, key)) = self.timers.first_key_value().filter(|((at, _), _)| *at <= now) {
            let key = *key;
            let Some(mut datagram) = self.remove(&key) else { break };
            let first_fragment = datagram.first.take().map(|(mut packet, _)| {
                packet.extend(datagram.pieces.remove(&0).unwrap_or_default());
                packet
            });
            expired.push(ExpiredDatagram {
                source: key.source,
                destination: key.destination,
                first_fragment,
            });
        }
        expired
    }

    /// When [`Reassembler::expire`] next has something to do.
    pub fn deadline(&self) -> Option<Duration> {
        self.timers.first_key_value().map(|((at, _), _)| *at)
    }

    /// Bytes counted against the memory limit.
    pub fn memory(&self) -> usize {
        self.memory
    }

    /// Datagrams that wait for more fragments.
    pub fn waiting(&self) -> usize {
        self.datagrams.len()
    }

    fn insert(
        &mut self,
        now: Duration,
        key: Key,
        view: &PacketView<'_>,
    ) -> Result<Option<(Vec<u8>, usize)>, FragmentError> {
        let layout = view.layout();
        let (header, data) = split(view);
        let start = layout.fragment_offset();
        let data = match (layout.version(), layout.more_fragments()) {
            (_, false) => data,
            // Linux cuts the surplus off (`ip_frag_queue`).
            (IpVersion::V4, true) => &data[..data.len() & !7],
            (IpVersion::V6, true) if data.len().is_multiple_of(8) => data,
            (IpVersion::V6, true) => return Err(FragmentError::Unaligned { found: data.len() }),
        };
        let end = start + data.len();
        let packet_end = end + overhead(&layout, header.len());
        if packet_end > LENGTH_LIMIT {
            return Err(FragmentError::TooLong { end: packet_end });
        }
        if data.is_empty() {
            return Err(FragmentError::Empty { start });
        }
        let cost = data.len() + FRAGMENT_COST + if start == 0 { header.len() } else { 0 };
        let known = self.datagrams.get(&key);
        if let Some(datagram) = known {
            datagram.check_end(start, end, layout.more_fragments())?;
            match datagram.fit(start, end) {
                Fit::Free => {}
                Fit::Duplicate => return Ok(None),
                Fit::Overlap => return Err(FragmentError::Overlap { start, end }),
            }
            if datagram.pieces.len() >= self.limits.fragments {
                return Err(FragmentError::TooManyFragments { limit: self.limits.fragments });
            }
        }
        if self.memory + cost > self.limits.memory {
            return Err(FragmentError::OutOfMemory { limit: self.limits.memory });
        }
        if known.is_none() {
            self.start(now, key);
        }
        let Some(datagram) = self.datagrams.get_mut(&key) else { return Ok(None) };
        self.memory += cost;
        datagram.memory += cost;
        datagram.add(view, header, start, data);
        if !datagram.is_whole() {
            return Ok(None);
        }
        let Some(datagram) = self.remove(&key) else { return Ok(None) };
        datagram.join().map(Some)
    }

    fn start(&mut self, now: Duration, key: Key) {
        let timeout = if key.source.is_ipv4() { self.limits.timeout_v4 } else { self.limits.timeout_v6 };
        let timer = (now.saturating_add(timeout), self.next_timer);
        self.next_timer += 1;
        self.timers.insert(timer, key);
        self.datagrams.insert(key, Datagram::new(timer));
    }

    fn remove(&mut self, key: &Key) -> Option<Datagram> {
        let datagram = self.datagrams.remove(key)?;
        self.timers.remove(&datagram.timer);
        self.memory -= datagram.memory;
        Some(datagram)
    }
}

impl FragmentError {
    /// Whether the datagram goes with the fragment.
    fn drops_datagram(self) -> bool {
        match self {
            FragmentError::Overlap { .. }
            | FragmentError::InconsistentEnd { .. }
            | FragmentError::Empty { .. }
            | FragmentError::TooManyFragments { .. }
            | FragmentError::MixedEcn => true,
            FragmentError::Malformed(_)
            | FragmentError::NotAFragment
            | FragmentError::Unaligned { .. }
            | FragmentError::TooLong { .. }
            | FragmentError::OutOfMemory { .. } => false,
        }
    }
}

impl Key {
    fn of(view: &PacketView<'_>) -> Key {
        let layout = view.layout();
        let protocol = match layout.version() {
            IpVersion::V4 => layout.protocol(),
            IpVersion::V6 => 0,
        };
        let (source, destination) = (view.source(), view.destination());
        Key { source, destination, protocol, identification: layout.identification() }
    }
}

impl Datagram {
    fn new(timer: (Duration, u64)) -> Datagram {
        Datagram {
            timer,
            pieces: BTreeMap::new(),
            received: 0,
            length: 0,
            ended: false,
            first: None,
            largest: 0,
            largest_dont_fragment: 0,
            ecn: 0,
            memory: 0,
        }
    }

    /// The last fragment fixes the length; nothing may lie behind it, and there is one end only.
    fn check_end(&self, start: usize, end: usize, more: bool) -> Result<(), FragmentError> {
        let consistent = match (more, self.ended) {
            (false, true) => end == self.length,
            (false, false) => end >= self.length,
            (true, true) => end <= self.length,
            (true, false) => true,
        };
        if consistent { Ok(()) } else { Err(FragmentError::InconsistentEnd { start, end }) }
    }

    fn fit(&self, start: usize, end: usize) -> Fit {
        let touching = self.pieces.range(..end).next_back().map(|(at, data)| at + data.len());
        if touching.is_none_or(|reached| reached <= start) {
            return Fit::Free;
        }
        // Inside a run without gaps?
        let mut covered = end;
        for (at, data) in self.pieces.range(..end).rev() {
            if at + data.len() < covered {
                return Fit::Overlap;
            }
            if *at <= start {
                return Fit::Duplicate;
            }
            covered = *at;
        }
        Fit::Overlap
    }

    fn add(&mut self, view: &PacketView<'_>, header: &[u8], start: usize, data: &[u8]) {
        let layout = view.layout();
        if start == 0 {
            self.first = Some((header.to_vec(), layout));
        }
        self.pieces.insert(start, data.to_vec());
        self.received += data.len();
        self.length = self.length.max(start + data.len());
        self.ended |= !layout.more_fragments();
        self.largest = self.largest.max(layout.total_length());
        if layout.version() == IpVersion::V4 {
            self.ecn |= 1 << (view.tos() & ECN_MASK);
            if layout.dont_fragment() {
                self.largest_dont_fragment = self.largest_dont_fragment.max(layout.total_length());
            }
        }
    }

    fn is_whole(&self) -> bool {
        self.ended && self.first.is_some() && self.received == self.length
    }

    fn join(self) -> Result<(Vec<u8>, usize), FragmentError> {
        let Some((mut packet, layout)) = self.first else { return Err(FragmentError::NotAFragment) };
        // The first fragment's header may be longer than the one that was checked on arrival.
        let end = self.length + overhead(&layout, packet.len());
        if end > LENGTH_LIMIT {
            return Err(FragmentError::TooLong { end });
        }
        if let Some((offset, link)) = layout.fragment_header() {
            packet[link] = packet[offset];
            packet.truncate(offset);
        }
        let header = packet.len();
        packet.reserve(self.length);
        for data in self.pieces.values() {
            packet.extend_from_slice(data);
        }
        match layout.version() {
            IpVersion::V4 => {
                packet[1] = joined_tos(packet[1], self.ecn)?;
                // Linux keeps the flag when the largest fragment had it (`ip_frag_reasm`).
                let dont_fragment = self.largest_dont_fragment == self.largest;
                set_ipv4_fragment(&mut packet, header, dont_fragment, false, 0);
            }
            IpVersion::V6 => {
                let payload = (packet.len() - 40) as u16;
                packet[4..6].copy_from_slice(&payload.to_be_bytes());
            }
        }
        Ok((packet, self.largest))
    }
}

/// Headers (an IPv6 fragment header included) and data of a fragment.
fn split<'a>(view: &PacketView<'a>) -> (&'a [u8], &'a [u8]) {
    let layout = view.layout();
    match layout.fragment_header() {
        Some((offset, _)) => view.bytes().split_at(offset + 8),
        None => view.bytes().split_at(layout.transport_offset()),
    }
}

/// What the headers add to the data's length where a length field counts them: all for IPv4, the extension headers
/// that remain for IPv6.
fn overhead(layout: &Layout, header: usize) -> usize {
    match layout.version() {
        IpVersion::V4 => header,
        IpVersion::V6 => header.saturating_sub(40 + 8),
    }
}

/// The type of service of a datagram whose fragments had the ECN codepoints in the bit set `seen`, as
/// `ip_frag_ecn_table` of Linux has it: congestion on one counts for all; not-ECT beside others is invalid.
fn joined_tos(tos: u8, seen: u8) -> Result<u8, FragmentError> {
    if seen & 1 != 0 && seen != 1 {
        return Err(FragmentError::MixedEcn);
    }
    Ok(if seen & (1 << CONGESTION_EXPERIENCED) != 0 { tos | CONGESTION_EXPERIENCED } else { tos })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit;
    use crate::fragment::fragment;

    const START: Duration = Duration::from_secs(100);

    fn pieces(v6: bool) -> Vec<Vec<u8>> {
        let data: Vec<u8> = (0..200).collect();
        let (from, to) = if v6 {
            ("[2001:db8::1]:1".parse().unwrap(), "[2001:db8::2]:2".parse().unwrap())
        } else {
            ("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap())
        };
        let mut packet = emit::emit_udp(from, to, 64, &data).unwrap();
        if !v6 {
            set_ipv4_fragment(&mut packet, 20, false, false, 0);
        }
        fragment(&packet, 104, 5).unwrap()
    }

    /// A raw IPv4 fragment.
    fn piece(offset: usize, length: usize, more: bool) -> Vec<u8> {
        let mut packet = vec![0; 20 + length];
        packet[..20].copy_from_slice(&pieces(false)[0][..20]);
        set_ipv4_fragment(&mut packet, 20, false, more, (offset / 8) as u16);
        packet
    }

    fn push(reassembler: &mut Reassembler, packet: &[u8]) -> Reassembly {
        reassembler.push(START, packet)
    }

    #[test]
    fn duplicates_are_ignored() {
        for v6 in [false, true] {
            let mut reassembler = Reassembler::default();
            let pieces = pieces(v6);
            for piece in &pieces[..pieces.len() - 1] {
                assert_eq!(push(&mut reassembler, piece), Reassembly::Incomplete);
                assert_eq!(push(&mut reassembler, piece), Reassembly::Incomplete);
            }
            let last = push(&mut reassembler, &pieces[pieces.len() - 1]);
            assert!(matches!(last, Reassembly::Complete { .. }), "{last:?}");
        }
    }

    #[test]
    fn an_overlap_drops_the_datagram() {
        let mut reassembler = Reassembler::default();
        assert_eq!(push(&mut reassembler, &piece(0, 16, true)), Reassembly::Incomplete);
        let overlap = FragmentError::Overlap { start: 8, end: 24 };
        assert_eq!(push(&mut reassembler, &piece(8, 16, true)), Reassembly::Dropped(overlap));
        assert_eq!((reassembler.waiting(), reassembler.memory(), reassembler.deadline()), (0, 0, None));
        // Around a piece, and across a gap.
        for (first, second) in [((8, 8), (0, 24)), ((0, 8), (0, 16))] {
            assert_eq!(push(&mut reassembler, &piece(first.0, first.1, true)), Reassembly::Incomplete);
            let result = push(&mut reassembler, &piece(second.0, second.1, true));
            assert!(matches!(result, Reassembly::Dropped(FragmentError::Overlap { .. })), "{result:?}");
        }
    }

    #[test]
    fn a_piece_within_joined_pieces_is_a_duplicate() {
        let mut reassembler = Reassembler::default();
        for offset in [0, 8, 16] {
            assert_eq!(push(&mut reassembler, &piece(offset, 8, true)), Reassembly::Incomplete);
        }
        assert_eq!(push(&mut reassembler, &piece(8, 16, true)), Reassembly::Incomplete);
        assert_eq!(reassembler.waiting(), 1);
    }

    #[test]
    fn two_ends_contradict_each_other() {
        let mut reassembler = Reassembler::default();
        assert_eq!(push(&mut reassembler, &piece(16, 8, false)), Reassembly::Incomplete);
        let expected = FragmentError::InconsistentEnd { start: 24, end: 32 };
        assert_eq!(push(&mut reassembler, &piece(24, 8, true)), Reassembly::Dropped(expected));
    }

    #[test]
    fn a_packet_longer_than_a_packet_can_be_is_refused() {
        let mut reassembler = Reassembler::default();
        let result = push(&mut reassembler, &piece(65528, 100, false));
        assert_eq!(result, Reassembly::Dropped(FragmentError::TooLong { end: 65648 }));
        assert_eq!(reassembler.memory(), 0);
    }

    #[test]
    fn time_is_over_after_30_and_60_seconds() {
        let mut reassembler = Reassembler::default();
        let (v4, v6) = (pieces(false), pieces(true));
        assert_eq!(push(&mut reassembler, &v6[1]), Reassembly::Incomplete);
        assert_eq!(push(&mut reassembler, &v4[0]), Reassembly::Incomplete);
        let at = START + Duration::from_secs(30);
        assert_eq!(reassembler.deadline(), Some(at));
        assert_eq!(reassembler.expire(at - Duration::from_nanos(1)), []);
        let expired = reassembler.expire(at);
        assert_eq!(expired.len(), 1);
        assert_eq!(expired[0].first_fragment.as_deref(), Some(&v4[0][..]));
        assert_eq!(reassembler.deadline(), Some(START + Duration::from_secs(60)));
        let expired = reassembler.expire(START + Duration::from_secs(60));
        assert_eq!(expired.iter().map(|e| e.first_fragment.clone()).collect::<Vec<_>>(), [None]);
        assert_eq!(reassembler.memory(), 0);
    }

    #[test]
    fn memory_and_fragments_are_bounded() {
        let mut reassembler = Reassembler::new(Limits { memory: 500, fragments: 2, ..Limits::default() });
        assert_eq!(push(&mut reassembler, &piece(0, 8, true)), Reassembly::Incomplete);
        assert_eq!(push(&mut reassembler, &piece(16, 8, true)), Reassembly::Incomplete);
        let mut other = piece(0, 300, true);
        other[4] = 9;
        let full = Reassembly::Dropped(FragmentError::OutOfMemory { limit: 500 });
        assert_eq!(push(&mut reassembler, &other), full);
        assert!(reassembler.memory() <= 500);
        let many = Reassembly::Dropped(FragmentError::TooManyFragments { limit: 2 });
        assert_eq!(push(&mut reassembler, &piece(32, 8, true)), many);
        assert_eq!(reassembler.memory(), 0);
    }

    #[test]
    fn a_whole_packet_is_no_fragment() {
        let packet = piece(0, 8, false);
        let result = push(&mut Reassembler::default(), &packet);
        assert_eq!(result, Reassembly::Dropped(FragmentError::NotAFragment));
    }

    #[test]
    fn congestion_on_one_fragment_counts_for_all() {
        let with_ecn = |mut packet: Vec<u8>, ecn: u8| {
            packet[1] = ecn;
            packet
        };
        let mut reassembler = Reassembler::default();
        push(&mut reassembler, &with_ecn(piece(0, 8, true), 2));
        let Reassembly::Complete { packet, .. } = push(&mut reassembler, &with_ecn(piece(8, 8, false), 3))
        else {
            panic!("not complete")
        };
        assert_eq!(packet[1], 3);
        push(&mut reassembler, &with_ecn(piece(0, 8, true), 0));
        let mixed = push(&mut reassembler, &with_ecn(piece(8, 8, false), 3));
        assert_eq!(mixed, Reassembly::Dropped(FragmentError::MixedEcn));
    }
}
