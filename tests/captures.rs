//! What another reader finds in the captures of every scenario: named interfaces, virtual nanoseconds, packets that
//! decode and whose checksums are right, and the reason on every packet that was dropped.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(clippy::disallowed_methods, reason = "tests read the repository's scenarios")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use etherparse::SlicedPacket;
use linkspan::lab;
use linkspan::scenario::report::{Report, RunOptions};
use linkspan::scenario::{DiskSource, LoadOptions, MemorySource, load};
use linkspan_nat::packet::PacketView;
use pcap_parser::pcapng::Block;
use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{Linktype, OptionCode, PcapBlockOwned, PcapError, PcapNGReader};

/// What stands in one file.
#[derive(Default)]
struct Capture {
    /// Name and link type.
    interfaces: Vec<(String, i32)>,
    packets: Vec<Packet>,
}

struct Packet {
    interface: usize,
    time: u64,
    comment: String,
    bytes: Vec<u8>,
}

/// LINKTYPE_RAW: packets of `lo` begin with the IP header.
const RAW: i32 = 101;
const ETHERNET: i32 = 1;

fn read(file: &str, bytes: &[u8]) -> Capture {
    let mut capture = Capture::default();
    let mut reader = PcapNGReader::new(1 << 20, bytes).unwrap();
    loop {
        match reader.next() {
            Ok((offset, PcapBlockOwned::NG(block))) => {
                match block {
                    Block::SectionHeader(_) => {}
                    Block::InterfaceDescription(interface) => {
                        assert_eq!(interface.if_tsresol, 9, "{file}: nanoseconds");
                        let Linktype(link) = interface.linktype;
                        let name = interface.if_name().unwrap().unwrap().to_owned();
                        let named = name.split_once('/').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty());
                        assert!(named, "{file}: interface {name:?}");
                        assert_eq!(link == RAW, name.ends_with("/lo"), "{file}: {name}");
                        assert!(link == RAW || link == ETHERNET);
                        capture.interfaces.push((name, link));
                    }
                    Block::EnhancedPacket(packet) => {
                        let comment = packet.options.iter().find(|o| o.code == OptionCode::Comment);
                        assert_eq!(packet.caplen, packet.origlen, "{file}: whole packets");
                        capture.packets.push(Packet {
                            interface: packet.if_id as usize,
                            time: u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low),
                            comment: comment.map_or("", |o| o.as_str().unwrap()).to_owned(),
                            bytes: packet.packet_data().to_vec(),
                        });
                    }
                    other => panic!("{file}: unexpected {other:?}"),
                }
                reader.consume(offset);
            }
            Ok(_) => panic!("{file}: a block of another format"),
            Err(PcapError::Eof) => return capture,
            Err(PcapError::Incomplete(_)) => reader.refill().unwrap(),
            Err(error) => panic!("{file}: {error:?}"),
        }
    }
}

/// Everything that must hold in a file; returns it for more questions.
fn judge(file: &str, bytes: &[u8]) -> Capture {
    let capture = read(file, bytes);
    let mut last: BTreeMap<usize, u64> = BTreeMap::new();
    for (number, packet) in capture.packets.iter().enumerate() {
        let (name, link) = &capture.interfaces[packet.interface];
        let place = format!("{file}: packet {} on {name}", number + 1);
        let before = last.insert(packet.interface, packet.time).unwrap_or_default();
        assert!(packet.time >= before, "{place}: time goes back from {before} to {}", packet.time);
        let sliced = match *link {
            RAW => SlicedPacket::from_ip(&packet.bytes),
            _ => SlicedPacket::from_ethernet(&packet.bytes),
        };
        let sliced = sliced.unwrap_or_else(|error| panic!("{place}: {error}: {:02x?}", packet.bytes));
        if sliced.net.as_ref().is_some_and(|net| net.is_ip()) {
            let tags =
                if *link == RAW { 0 } else { sliced.link_exts.iter().map(|tag| tag.header_len()).sum() };
            let header = if *link == RAW { 0 } else { 14 + tags };
            judge_checksums(&place, &packet.bytes[header..]);
        }
    }
    capture
}

fn judge_checksums(place: &str, bytes: &[u8]) {
    let view = PacketView::parse(bytes).unwrap_or_else(|error| panic!("{place}: {error:?}"));
    assert!(view.header_checksum_is_valid(), "{place}: checksum of the IP header");
    assert!(view.transport_checksum_is_valid(), "{place}: checksum of protocol {}", view.protocol());
}

fn captured(report: &Report) -> BTreeMap<&str, Capture> {
    let files: BTreeMap<&str, Capture> =
        report.captures.iter().map(|(name, bytes)| (name.as_str(), judge(name, bytes))).collect();
    assert!(files.len() > 1, "no captures");
    let merged = &files["merged.pcapng"];
    let of_each: usize =
        files.iter().filter(|(name, _)| **name != "merged.pcapng").map(|(_, c)| c.packets.len()).sum();
    assert_eq!(merged.packets.len(), of_each, "merged.pcapng has every packet once");
    // An interface that was made anew has its name, and a file of its own.
    let each = files.iter().filter(|(name, _)| **name != "merged.pcapng");
    let mut single: Vec<_> = each.flat_map(|(_, capture)| capture.interfaces.clone()).collect();
    let mut all = merged.interfaces.clone();
    single.sort();
    all.sort();
    assert_eq!(single, all);
    files
}

const OPTIONS: RunOptions =
    RunOptions { seed: 0, capture: true, story: linkspan::scenario::report::StoryLevel::Quiet, json: false };

fn files_below(folder: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files_below(&path, files);
        } else if path.extension().is_some_and(|end| end == "yaml" || end == "yml") {
            files.push(path);
        }
    }
}

#[test]
fn the_captures_of_every_scenario_are_sound() {
    let mut files = Vec::new();
    files_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios"), &mut files);
    assert!(files.iter().any(|file| file.ends_with("quickstart.yaml")));
    for file in files {
        let scenario = load(&DiskSource, &file, &LoadOptions::default()).unwrap_or_else(|e| panic!("{e}"));
        if scenario.steps.is_empty() && scenario.checks.is_empty() {
            continue;
        }
        let report = lab::run(&scenario, &OPTIONS, &mut |_| {});
        let captures = captured(&report);
        assert!(!captures["merged.pcapng"].packets.is_empty(), "{}", file.display());
    }
}

fn run(text: &str) -> Report {
    let source = MemorySource::default().with_file("shop/s.yaml", text);
    let scenario = load(&source, Path::new("shop/s.yaml"), &LoadOptions::default()).unwrap();
    let report = lab::run(&scenario, &OPTIONS, &mut |_| {});
    assert!(report.passed(), "{report:#?}");
    report
}

#[test]
fn a_dropped_packet_says_why() {
    let report = run("
services:
  web: {image: nginx, networks: [a]}
  db: {image: postgres, networks: {b: {ipv4_address: 10.7.0.9}}}
networks:
  a:
  b: {ipam: {config: [{subnet: 10.7.0.0/24}]}}
steps:
  - {in: host, run: iptables -I DOCKER-USER -s 10.7.0.0/24 -d 198.51.100.7 -j DROP}
checks:
  - web -> 10.7.0.9:5432: timeout
  - db -> 198.51.100.7:80: timeout
  - web -> 198.51.100.7:80: ok
  - web -> 198.51.100.7:81: refused
  - web -> 10.250.0.1:80: unreachable
");
    let files = captured(&report);
    let merged = &files["merged.pcapng"];
    let on = |interface: &str, text: &str| {
        let packets = merged.packets.iter();
        let found = packets.filter(|p| merged.interfaces[p.interface].0.contains(interface));
        found.filter(|p| p.comment.contains(text)).count()
    };
    assert!(
        on("", "dropped: rule filter DOCKER-ISOLATION-STAGE-2") + on("", "dropped: rule filter DOCKER") > 0
    );
    assert!(on("host/", "dropped: rule filter DOCKER-USER 1 -s 10.7.0.0/24 -d 198.51.100.7/32 -j DROP") > 0);
    assert!(on("", "translated: ") > 0 && on("", "delivered: to tcp port 80") > 0);
    let drops =
        merged.packets.iter().filter(|p| p.comment.contains("dropped: ") || p.comment.contains("rejected: "));
    for packet in drops {
        let reason = packet.comment.rsplit(": ").next().unwrap();
        assert!(!reason.trim().is_empty(), "{:?}", packet.comment);
    }
}

#[test]
fn fragments_tunnels_of_bytes_and_both_families_are_sound() {
    let report = run("
services:
  web: {image: nginx, networks: [a]}
  client: {image: busybox, command: sleep infinity, networks: [a], sysctls: {net.ipv6.conf.all.disable_ipv6: 0}}
networks:
  a: {enable_ipv6: true, driver_opts: {com.docker.network.driver.mtu: 1400}, ipam: {config: [{subnet: 10.9.0.0/24}, {subnet: 'fd00:9::/64'}]}}
world:
  links: {eth0: {delay: 3ms, loss: 2%, duplicate: 10%, reorder: 10%}}
steps:
  - {in: client, run: ping -c 2 -s 3000 web}
  - {in: client, run: ping -c 3 -s 3000 203.0.113.1, expect: {contains: packets transmitted}}
  - {in: client, run: ping -6 -c 2 -s 3000 web}
  - {in: client, run: traceroute -n 198.51.100.7}
  - {in: client, run: wget -q -O - http://www.example.test/}
");
    let files = captured(&report);
    let merged = &files["merged.pcapng"];
    let fragment = |bytes: &[u8]| bytes.get(12..14) == Some(&[8, 0]) && bytes[20] & 0x20 != 0;
    assert!(merged.packets.iter().any(|p| fragment(&p.bytes)));
    let fragment_v6 = |bytes: &[u8]| bytes.get(12..14) == Some(&[0x86, 0xdd]) && bytes[20] == 44;
    assert!(merged.packets.iter().any(|p| fragment_v6(&p.bytes)), "the sender cuts IPv6");
    assert!(merged.packets.iter().any(|p| p.bytes.get(12..14) == Some(&[8, 6])));
}
