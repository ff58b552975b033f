//! Captures in pcapng (draft-ietf-opsawg-pcapng), for Wireshark and tcpdump.
//!
//! Every interface gets a file of its own, and `merged.pcapng` holds all of them in the order of events. Times are
//! virtual nanoseconds since the start of the run. What became of a packet is a comment on it: the rule that dropped
//! it stands on the last frame that was seen of it before, a translation on the first frame after, and a delivery on
//! the frame that was delivered.
//!
//! As on Linux, a packet that ends before it reaches an interface is not in a capture, and one on `lo` is there once.
//! Frames on `lo` are bare IP packets (LINKTYPE_RAW). Checksums are those of the events.
//!
//! Limits: [`PACKETS_PER_INTERFACE`] packets of one interface and [`BYTES_KEPT`] bytes in all; what comes later is
//! counted, and [`Capture::notes`] and the files say so.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::Duration;

mod stream;

pub use stream::Stream;

use bytes::Bytes;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::{DataLink, Endianness, PcapResult};

use super::rules::rewritings;
use super::summary::{self, Summary, count, endpoint};
use super::trail::Trails;
use super::{DeviceNaming, Naming};
use crate::engine::event::{DropReason, Event, EventKind, Receiver};
use crate::engine::id::DeviceId;

/// Packets kept of one interface.
pub const PACKETS_PER_INTERFACE: usize = 1_000_000;

/// Bytes kept of all packets together, comments included: 256 MiB.
pub const BYTES_KEPT: usize = 256 << 20;

/// What a kept packet takes beside its bytes: more than its record here and its block in two files.
const PACKET_OVERHEAD: usize = 128;

/// Packets whose frames are remembered, to put comments on.
const PACKETS_UNDER_WAY: usize = 4_096;

/// Longest comment in characters; pcapng's limit is 65,535 bytes.
const COMMENT_LENGTH: usize = 2_000;

/// `if_tsresol`: 10 to the power of minus 9 seconds.
const NANOSECONDS: u8 = 9;

/// `epb_flags`: direction inbound or outbound in the lowest two bits.
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;

/// The longest file name without suffixes, in bytes; Linux takes 255.
const FILE_NAME_LENGTH: usize = 200;

/// What is captured.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Selection {
    /// Every interface.
    #[default]
    All,
    /// Only these.
    Only(Vec<Choice>),
}

/// Interfaces of one namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The namespace's name.
    pub namespace: String,
    /// One of its devices; `None` takes all.
    pub device: Option<String>,
    /// Which of their frames.
    pub frames: Frames,
}

/// Which frames of an interface are captured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Frames {
    /// Those that come and those that go.
    #[default]
    Both,
    /// Those that go.
    Sent,
}

impl Selection {
    /// Which frames of a device are wanted; `None`: not captured.
    fn takes(&self, device: &DeviceNaming) -> Option<Frames> {
        match self {
            Selection::All => Some(Frames::Both),
            Selection::Only(choices) => {
                let mut fitting = choices.iter().filter(|choice| {
                    choice.namespace == device.namespace
                        && choice.device.as_ref().is_none_or(|name| *name == device.name)
                });
                fitting.next().map(|choice| choice.frames)
            }
        }
    }
}

/// A capture that is going on.
#[derive(Debug)]
pub struct Capture {
    selection: Selection,
    limits: Limits,
    interfaces: Vec<Interface>,
    /// `None` for devices that are not captured.
    devices: BTreeMap<DeviceId, Option<usize>>,
    packets: Vec<Packet>,
    bytes: usize,
    trails: Trails,
    under_way: BTreeMap<u64, UnderWay>,
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    packets: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Interface {
    device: DeviceId,
    naming: DeviceNaming,
    frames: Frames,
    kept: usize,
    missed: u64,
}

#[derive(Debug)]
struct Packet {
    time: Duration,
    interface: usize,
    flags: u32,
    frame: Bytes,
    comment: String,
}

/// A captured packet.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Virtual time since the start of the run.
    pub time: Duration,
    /// Where it was seen.
    pub device: &'a DeviceNaming,
    /// Whether it came in or went out there.
    pub direction: Direction,
    /// The Ethernet frame; on a loopback device the IP packet.
    pub frame: &'a [u8],
    /// What became of it; empty if nothing in particular.
    pub comment: &'a str,
}

/// Which way a packet passed a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// It came in.
    In,
    /// It went out.
    Out,
}

impl Seen<'_> {
    /// What it is.
    pub fn summary(&self) -> Summary {
        if self.device.is_loopback() { summary::packet(self.frame) } else { summary::frame(self.frame) }
    }
}

/// A packet between its first and last event.
#[derive(Debug, Default)]
struct UnderWay {
    /// Where its frames are in the capture.
    frames: Vec<usize>,
    /// Comments for its next frame.
    pending: String,
}

impl Capture {
    /// A capture without packets.
    pub fn new(selection: Selection) -> Capture {
        Capture::with_limits(selection, Limits { packets: PACKETS_PER_INTERFACE, bytes: BYTES_KEPT })
    }

    fn with_limits(selection: Selection, limits: Limits) -> Capture {
        Capture {
            selection,
            limits,
            interfaces: Vec::new(),
            devices: BTreeMap::new(),
            packets: Vec::new(),
            bytes: 0,
            trails: Trails::default(),
            under_way: BTreeMap::new(),
        }
    }

    /// Takes in an event. Events come in order.
    pub fn push(&mut self, event: &Event, naming: &dyn Naming) {
        let trail = self.trails.follow(event, naming);
        match &event.kind {
            EventKind::Received { device, frame } => self.keep(event, *device, frame, INBOUND, naming),
            EventKind::Transmitted { device, frame } => self.keep(event, *device, frame, OUTBOUND, naming),
            EventKind::Filtered { steps, .. } => {
                for rewriting in rewritings(steps) {
                    let pending = &mut self.under_way(event.trace.0).pending;
                    append(pending, &format!("translated: {rewriting}"));
                }
            }
            EventKind::Delivered { namespace, receiver, source, source_port, destination_port } => {
                let namespace = naming.namespace(*namespace);
                let source = endpoint(*source, (*source_port != 0).then_some(*source_port));
                let taker = match receiver {
                    Receiver::Socket(_, transport) => {
                        format!("{transport} port {destination_port} of {namespace}")
                    }
                    Receiver::Raw(_) => format!("a raw socket of {namespace}"),
                    Receiver::Stack => format!("{namespace} itself"),
                };
                self.comment(event.trace.0, None, &format!("delivered: to {taker}, from {source}"));
            }
            EventKind::Dropped { device, reason, .. } => {
                let cause = trail.cause(*reason).unwrap_or(reason.text());
                let verb = match reason {
                    DropReason::Rejected => "rejected",
                    _ => "dropped",
                };
                let comment = format!("{verb}: {cause}");
                self.comment(event.trace.0, *device, &comment);
            }
            EventKind::Sent { .. }
            | EventKind::Bridged { .. }
            | EventKind::Routed { .. }
            | EventKind::Neighbour { .. }
            | EventKind::DuplicateAddress { .. }
            | EventKind::SocketError { .. }
            | EventKind::Fragmented { .. }
            | EventKind::Reassembled { .. }
            | EventKind::Queued { .. }
            | EventKind::Applied { .. }
            | EventKind::Undone { .. } => {}
        }
    }

    /// What is missing, in sentences; empty if nothing is.
    pub fn notes(&self) -> Vec<String> {
        self.interfaces.iter().filter_map(Interface::note).collect()
    }

    /// The files, by name: one for each interface in order of its first packet, then `merged.pcapng`. The names hold
    /// nothing but letters, digits, `.`, `_` and `-`, and differ in more than case.
    pub fn finish(self) -> PcapResult<Vec<(String, Vec<u8>)>> {
        let mut used = BTreeSet::new();
        let mut files = Vec::with_capacity(self.interfaces.len() + 1);
        for (index, interface) in self.interfaces.iter().enumerate() {
            let packets = self.packets.iter().filter(|packet| packet.interface == index);
            let bytes = write(std::slice::from_ref(interface), packets.map(|packet| (0, packet)))?;
            files.push((file_name(&interface.naming, &mut used), bytes));
        }
        files.push(("merged.pcapng".to_owned(), self.merged()?));
        Ok(files)
    }

    /// One file with what was captured so far on all interfaces.
    pub fn merged(&self) -> PcapResult<Vec<u8>> {
        write(&self.interfaces, self.packets.iter().map(|packet| (packet.interface as u32, packet)))
    }

    /// What was captured so far, in order.
    pub fn seen(&self) -> impl Iterator<Item = Seen<'_>> {
        self.packets.iter().filter_map(|packet| {
            let direction = if packet.flags == INBOUND { Direction::In } else { Direction::Out };
            let device = &self.interfaces.get(packet.interface)?.naming;
            let (time, frame, comment) = (packet.time, &packet.frame, packet.comment.as_str());
            Some(Seen { time, device, direction, frame, comment })
        })
    }

    fn keep(&mut self, event: &Event, device: DeviceId, frame: &Bytes, flags: u32, naming: &dyn Naming) {
        let Some(index) = self.interface(device, naming) else { return };
        let limits = self.limits;
        let interface = &mut self.interfaces[index];
        // A packet on `lo` comes and goes; one of both is enough.
        if flags == OUTBOUND && interface.naming.is_loopback()
            || flags == INBOUND && interface.frames == Frames::Sent
        {
            return;
        }
        let size = frame.len() + PACKET_OVERHEAD;
        if interface.kept >= limits.packets || self.bytes + size > limits.bytes {
            interface.missed += 1;
            return;
        }
        interface.kept += 1;
        self.bytes += size;
        let position = self.packets.len();
        let under_way = self.under_way(event.trace.0);
        under_way.frames.push(position);
        let comment = std::mem::take(&mut under_way.pending);
        self.bytes += comment.len();
        self.packets.push(Packet {
            time: event.time,
            interface: index,
            flags,
            frame: frame.clone(),
            comment,
        });
    }

    /// The interface of a device, if it is captured.
    fn interface(&mut self, device: DeviceId, naming: &dyn Naming) -> Option<usize> {
        if let Some(known) = self.devices.get(&device) {
            return *known;
        }
        let naming = naming.device(device);
        let index = self.selection.takes(&naming).map(|frames| {
            self.interfaces.push(Interface { device, naming, frames, kept: 0, missed: 0 });
            self.interfaces.len() - 1
        });
        self.devices.insert(device, index);
        index
    }

    fn under_way(&mut self, trace: u64) -> &mut UnderWay {
        if self.under_way.len() >= PACKETS_UNDER_WAY && !self.under_way.contains_key(&trace) {
            self.under_way.pop_first();
        }
        self.under_way.entry(trace).or_default()
    }

    /// Puts a comment on the newest frame of a packet, preferring the newest on `device`.
    fn comment(&mut self, trace: u64, device: Option<DeviceId>, text: &str) {
        let Some(under_way) = self.under_way.get_mut(&trace) else { return };
        let on_device = |position: &&usize| {
            let interface = self.packets.get(**position).map(|packet| packet.interface);
            interface.and_then(|i| self.interfaces.get(i)).map(|i| i.device) == device
        };
        let newest = under_way.frames.iter().rev();
        let Some(position) = newest.clone().find(on_device).or_else(|| newest.clone().next()).copied() else {
            return;
        };
        let pending = std::mem::take(&mut under_way.pending);
        let Some(packet) = self.packets.get_mut(position) else { return };
        let before = packet.comment.len();
        if !pending.is_empty() {
            append(&mut packet.comment, &pending);
        }
        append(&mut packet.comment, text);
        self.bytes += packet.comment.len() - before;
    }
}

impl Interface {
    fn note(&self) -> Option<String> {
        let packets = usize::try_from(self.missed).unwrap_or(usize::MAX);
        (packets > 0).then(|| {
            format!(
                "{}: {} not captured, because the limit of {PACKETS_PER_INTERFACE} packets or {} MiB was reached",
                self.naming,
                count(packets, "packet"),
                BYTES_KEPT >> 20,
            )
        })
    }

    fn block(&self) -> InterfaceDescriptionBlock<'static> {
        let link = if self.naming.is_loopback() { DataLink::RAW } else { DataLink::ETHERNET };
        let mut block = InterfaceDescriptionBlock::new(link, 0);
        let name = format!("{}/{}", self.naming.namespace, self.naming.name);
        block.options = vec![
            InterfaceDescriptionOption::IfName(Cow::Owned(bounded(&name))),
            InterfaceDescriptionOption::IfDescription(Cow::Owned(bounded(&self.naming.to_string()))),
            InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
        ];
        if let Some(note) = self.note() {
            block.options.push(InterfaceDescriptionOption::Comment(Cow::Owned(bounded(&note))));
        }
        block
    }
}

/// Writes a section. The byte order is fixed, so that the same run gives the same file on every machine.
fn write<'a>(
    interfaces: &[Interface],
    packets: impl Iterator<Item = (u32, &'a Packet)>,
) -> PcapResult<Vec<u8>> {
    let mut writer = begin(Vec::new())?;
    for interface in interfaces {
        writer.write_pcapng_block(interface.block())?;
    }
    for (interface, packet) in packets {
        writer.write_pcapng_block(packet.block(interface))?;
    }
    Ok(writer.into_inner())
}

fn begin<W: Write>(sink: W) -> PcapResult<PcapNgWriter<W>> {
    let application = SectionHeaderOption::UserApplication(Cow::Borrowed("linkspan"));
    let section = SectionHeaderBlock {
        endianness: Endianness::Little,
        options: vec![application],
        ..SectionHeaderBlock::default()
    };
    PcapNgWriter::with_section_header(sink, section)
}

impl Packet {
    fn block(&self, interface_id: u32) -> EnhancedPacketBlock<'_> {
        let mut options = vec![EnhancedPacketOption::Flags(self.flags)];
        if !self.comment.is_empty() {
            options.push(EnhancedPacketOption::Comment(Cow::Borrowed(&self.comment)));
        }
        EnhancedPacketBlock {
            interface_id,
            timestamp: self.time,
            original_len: u32::try_from(self.frame.len()).unwrap_or(u32::MAX),
            data: Cow::Borrowed(&self.frame),
            options,
        }
    }
}

/// `NAMESPACE-DEVICE.pcapng`, with a number where that is taken.
fn file_name(naming: &DeviceNaming, used: &mut BTreeSet<String>) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' };
    let mut stem: String =
        format!("{}-{}", naming.namespace, naming.name).chars().map(safe).take(FILE_NAME_LENGTH).collect();
    if stem.starts_with(['.', '-']) {
        stem.insert(0, '_');
    }
    let mut name = format!("{stem}.pcapng");
    let mut number = 2;
    while !used.insert(name.to_ascii_lowercase()) {
        name = format!("{stem}-{number}.pcapng");
        number += 1;
    }
    name
}

fn append(comment: &mut String, text: &str) {
    if !comment.is_empty() {
        comment.push_str("; ");
    }
    comment.push_str(text);
    if comment.len() > COMMENT_LENGTH {
        *comment = bounded(comment);
    }
}

fn bounded(text: &str) -> String {
    text.chars().take(COMMENT_LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::engine::id::SocketId;
    use crate::engine::plan::Transport;
    use etherparse::SlicedPacket;
    use linkspan_nat::ruleset::Hook;
    use pcap_parser::pcapng::Block;
    use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
    use pcap_parser::{Linktype, OptionCode, PcapBlockOwned, PcapError, PcapNGReader};

    /// What another implementation reads from a file.
    #[derive(Debug, Default, PartialEq)]
    struct Read {
        interfaces: Vec<(String, String, i32, u8)>,
        notes: Vec<String>,
        packets: Vec<(u32, u64, u32, String, Vec<u8>)>,
    }

    fn read(bytes: &[u8]) -> Read {
        let mut read = Read::default();
        let mut reader = PcapNGReader::new(1 << 20, bytes).unwrap();
        loop {
            match reader.next() {
                Ok((offset, PcapBlockOwned::NG(block))) => {
                    match block {
                        Block::SectionHeader(_) => {}
                        Block::InterfaceDescription(idb) => {
                            let Linktype(link) = idb.linktype;
                            let name = idb.if_name().unwrap().unwrap().to_owned();
                            let description = idb.if_description().unwrap().unwrap().to_owned();
                            read.interfaces.push((name, description, link, idb.if_tsresol));
                            let notes = idb.options.iter().filter(|o| o.code == OptionCode::Comment);
                            read.notes.extend(notes.map(|o| o.as_str().unwrap().to_owned()));
                        }
                        Block::EnhancedPacket(epb) => {
                            let option = |code| epb.options.iter().find(|o| o.code == code);
                            let comment =
                                option(OptionCode::Comment).map_or("", |o| o.as_str().unwrap()).to_owned();
                            let flags = option(OptionCode(2)).unwrap().as_u32_le().unwrap();
                            let time = u64::from(epb.ts_high) << 32 | u64::from(epb.ts_low);
                            let data = epb.packet_data().to_vec();
                            read.packets.push((epb.if_id, time, flags, comment, data));
                        }
                        other => panic!("unexpected {other:?}"),
                    }
                    reader.consume(offset);
                }
                Ok(_) => panic!("a block of another format"),
                Err(PcapError::Eof) => return read,
                Err(PcapError::Incomplete(_)) => {
                    reader.refill().unwrap();
                }
                Err(error) => panic!("{error:?}"),
            }
        }
    }

    fn syn() -> Vec<u8> {
        tcp_packet([172, 18, 0, 2], 40000, [172, 18, 0, 3], 5432, "S", b"")
    }

    fn events() -> Vec<Event> {
        let mut events = crossing(1, &syn());
        events.push(event(
            8,
            1,
            EventKind::Delivered {
                namespace: DB,
                receiver: Receiver::Socket(SocketId(0), Transport::Tcp),
                source: [172, 18, 0, 2].into(),
                source_port: 40000,
                destination_port: 5432,
            },
        ));
        events.extend(crossing(2, &syn()).into_iter().take(5));
        let filtered = EventKind::Filtered {
            namespace: HOST,
            hook: Hook::Forward,
            ingress: Some(DOCKER0),
            egress: Some(DOCKER0),
            steps: vec![matched("DOCKER-ISOLATION-STAGE-2", 1, 7)],
            accepted: false,
        };
        events.push(event(9, 2, filtered));
        let dropped =
            EventKind::Dropped { namespace: Some(HOST), device: Some(DOCKER0), reason: DropReason::Filtered };
        events.push(event(9, 2, dropped));
        let frame = Bytes::from(syn());
        events.push(event(10, 3, EventKind::Transmitted { device: WEB_LO, frame: frame.clone() }));
        events.push(event(10, 3, EventKind::Received { device: WEB_LO, frame }));
        events
    }

    fn capture(selection: Selection, limits: Limits) -> (Vec<String>, Vec<(String, Vec<u8>)>) {
        let mut capture = Capture::with_limits(selection, limits);
        for event in events() {
            capture.push(&event, &Names);
        }
        (capture.notes(), capture.finish().unwrap())
    }

    const AMPLE: Limits = Limits { packets: 100, bytes: 1 << 20 };

    #[test]
    fn another_reader_finds_names_times_and_verdicts() {
        let (notes, files) = capture(Selection::All, AMPLE);
        assert_eq!(notes, Vec::<String>::new());
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "web-eth0.pcapng",
                "host-vethweb.pcapng",
                "host-vethdb.pcapng",
                "db-eth0.pcapng",
                "web-lo.pcapng",
                "merged.pcapng"
            ]
        );
        let merged = read(&files[5].1);
        let interface = |name: &str, text: &str, link| (name.to_owned(), text.to_owned(), link, 9);
        assert_eq!(merged.interfaces[0], interface("web/eth0", "eth0 of web", 1));
        assert_eq!(merged.interfaces[4], interface("web/lo", "lo of web", 101));
        let rows: Vec<(u32, u64, u32, &str)> = merged
            .packets
            .iter()
            .map(|(i, time, flags, comment, _)| (*i, *time, *flags, &comment[..]))
            .collect();
        let delivered = "delivered: to tcp port 5432 of db, from 172.18.0.2:40000";
        let dropped = "dropped: rule filter DOCKER-ISOLATION-STAGE-2 1 -o docker0 -j DROP";
        assert_eq!(
            rows,
            [
                (0, 2_000, 2, ""),
                (1, 3_000, 1, ""),
                (2, 5_000, 2, ""),
                (3, 6_000, 1, delivered),
                (0, 2_000, 2, ""),
                (1, 3_000, 1, dropped),
                (4, 10_000, 1, ""),
            ]
        );
        for (interface, .., data) in &merged.packets {
            let parsed = match interface {
                4 => SlicedPacket::from_ip(data),
                _ => SlicedPacket::from_ethernet(data),
            };
            assert!(parsed.unwrap().transport.is_some());
        }
        let web = read(&files[0].1);
        assert_eq!((web.interfaces.len(), web.packets.len(), web.packets[0].0), (1, 2, 0));
        assert_eq!(web.packets[0].4, ethernet(&syn()));
    }

    #[test]
    fn the_same_run_gives_the_same_bytes() {
        assert_eq!(capture(Selection::All, AMPLE), capture(Selection::All, AMPLE));
    }

    #[test]
    fn only_what_is_selected_is_kept() {
        let only = |namespace: &str, device: Option<&str>| {
            let choice = Choice {
                namespace: namespace.to_owned(),
                device: device.map(str::to_owned),
                frames: Frames::Both,
            };
            let (_, files) = capture(Selection::Only(vec![choice]), AMPLE);
            files.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(only("web", None), ["web-eth0.pcapng", "web-lo.pcapng", "merged.pcapng"]);
        assert_eq!(only("host", Some("vethdb")), ["host-vethdb.pcapng", "merged.pcapng"]);
        assert_eq!(only("nobody", None), ["merged.pcapng"]);
    }

    #[test]
    fn what_exceeds_the_limits_is_noted() {
        for limits in [Limits { packets: 1, bytes: 1 << 20 }, Limits { packets: 100, bytes: 900 }] {
            let (notes, files) = capture(Selection::All, limits);
            assert!(notes[0].starts_with("eth0 of web: 1 packet not captured"), "{notes:?}");
            let merged = read(&files.last().unwrap().1);
            assert_eq!(merged.notes, notes);
            assert!(merged.packets.len() < 7);
        }
    }

    #[test]
    fn file_names_are_safe_and_differ() {
        let mut used = BTreeSet::new();
        let mut name = |namespace: &str, name: &str| {
            file_name(&DeviceNaming { namespace: namespace.to_owned(), name: name.to_owned() }, &mut used)
        };
        assert_eq!(name("a/b", "eth0"), "a_b-eth0.pcapng");
        assert_eq!(name("A b", "eth0"), "A_b-eth0-2.pcapng");
        assert_eq!(name("../x", "e"), "_.._x-e.pcapng");
        assert!(name(&"ü".repeat(300), "e").len() < 255);
    }
}
