//! What an observer makes of a real run: a refused connection and one that a rule drops, over a bridge.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod common;

use std::net::IpAddr;
use std::time::Duration;

use common::Bench;
use linkspan::engine::Engine;
use linkspan::engine::event::{Event, EventKind};
use linkspan::engine::id::{DeviceId, NamespaceId};
use linkspan::observe::json::JsonLines;
use linkspan::observe::pcapng::{Capture, Selection};
use linkspan::observe::story::{Palette, Story, Verbosity};
use linkspan::observe::{DeviceNaming, Naming, tables};
use linkspan_nat::evaluate::RuleRef;
use linkspan_nat::rule::Family;

struct Names<'a>(&'a Engine);

impl Naming for Names<'_> {
    fn namespace(&self, id: NamespaceId) -> String {
        self.0.namespace_name(id).unwrap().to_string()
    }

    fn device(&self, id: DeviceId) -> DeviceNaming {
        let (namespace, name) = self.0.device_name(id).unwrap();
        DeviceNaming { namespace: self.namespace(namespace), name: name.to_string() }
    }

    fn address_owner(&self, address: IpAddr) -> Option<String> {
        let has = |id: &NamespaceId| {
            let interfaces = self.0.interfaces(*id);
            interfaces.iter().flat_map(|i| &i.addresses).any(|a| a.address.addr() == address)
        };
        match self.0.namespace_ids().iter().copied().filter(has).collect::<Vec<_>>()[..] {
            [one] => Some(self.namespace(one)),
            _ => None,
        }
    }

    fn rule_text(&self, namespace: NamespaceId, family: Family, rule: &RuleRef) -> Option<String> {
        let (.., entry) = self.0.rules(namespace, family)?.find(rule.id)?;
        Some(linkspan_nat::text_emit::emit_rule(entry.rule(), family))
    }
}

/// web tries two ports of db: nothing listens on 81, and a rule of the host drops what goes to 82.
fn run() -> (Bench, Vec<Event>) {
    let mut bench = Bench::new(0);
    bench.bridge("host", "br0", "172.18.0.1/16");
    bench.forward("host");
    bench.container("web", "br0", "172.18.0.2/16", Some("172.18.0.1"));
    bench.container("db", "br0", "172.18.0.3/16", Some("172.18.0.1"));
    bench.iptables("host", "-A FORWARD -p tcp --dport 82 -j DROP");
    bench.engine.borrow_mut().watch(true);
    bench.run("web", |sys| async move {
        assert!(sys.tcp_connect("172.18.0.3:81".parse().unwrap()).await.is_err());
        let silent = sys.tcp_connect("172.18.0.3:82".parse().unwrap());
        assert!(sys.timeout(Duration::from_millis(500), silent).await.is_none());
    });
    let events = bench.engine.borrow_mut().take_events();
    (bench, events)
}

fn tell(verbosity: Verbosity) -> String {
    let (bench, events) = run();
    let engine = bench.engine.borrow();
    let names = Names(&engine);
    let mut story = Story::new(verbosity, Palette::Plain);
    let mut lines: Vec<String> = events.iter().flat_map(|event| story.push(event, &names)).collect();
    lines.extend(story.finish());
    lines.join("\n")
}

#[test]
fn a_run_is_told_in_a_few_lines() {
    insta::assert_snapshot!(tell(Verbosity::Normal), @r#"
              … 2 ARP or discovery packets
    0.000000  web → db  TCP SYN 172.18.0.2:32768 → 172.18.0.3:81: refused at eth0 of db: nothing listens on the port
    0.000000  db → web  TCP RST 172.18.0.3:81 → 172.18.0.2:32768: delivered
    0.000000  web → db  TCP SYN 172.18.0.2:32769 → 172.18.0.3:82: dropped at br0 of host by rule filter FORWARD 1 -p tcp -m tcp --dport 82 -j DROP
    "#);
}

#[test]
fn a_run_is_told_hop_by_hop() {
    insta::assert_snapshot!(tell(Verbosity::Verbose), @r#"
    #1  web → db  TCP SYN 172.18.0.2:32768 → 172.18.0.3:81
        0.000000  web sends it
        0.000000  web routes 172.18.0.3 by eth0, where it is a neighbour (route 172.18.0.0/16)
        0.000000  neighbour 172.18.0.3 on eth0 of web: unknown, so it is asked for
    #2  web → db  ARP who has 172.18.0.3? tell 172.18.0.2
        0.000000  leaves by eth0 of web
        0.000000  arrives at vethweb of host
        0.000000  bridge br0 of host learns that 1a:5f:84:9d:6a:a5 is behind vethweb
        0.000000  bridge br0 of host: broadcast, flooded to 1 port and to its own host
        0.000000  leaves by vethdb of host
        0.000000  arrives at br0 of host
        0.000000  dropped at br0 of host: a multicast or broadcast nobody here takes
        0.000000  Broadcasts and multicasts reach every host; most have nothing to do with them.
        0.000000  arrives at eth0 of db
        0.000000  neighbour 172.18.0.2 on eth0 of db at 1a:5f:84:9d:6a:a5: known, but not confirmed lately
        0.000000  delivered to db itself, from 172.18.0.2
    #3  db → web  ARP 172.18.0.3 is at 6e:16:0d:ee:89:20
        0.000000  leaves by eth0 of db
        0.000000  arrives at vethdb of host
        0.000000  bridge br0 of host learns that 6e:16:0d:ee:89:20 is behind vethdb
        0.000000  bridge br0 of host: 1a:5f:84:9d:6a:a5 is known behind vethweb
        0.000000  leaves by vethweb of host
        0.000000  arrives at eth0 of web
        0.000000  neighbour 172.18.0.3 on eth0 of web at 6e:16:0d:ee:89:20: confirmed
    #1  web → db  TCP SYN 172.18.0.2:32768 → 172.18.0.3:81 (continued)
        0.000000  leaves by eth0 of web
        0.000000  arrives at vethweb of host
        0.000000  bridge br0 of host: 6e:16:0d:ee:89:20 is known behind vethdb
        0.000000  FORWARD of host: policy ACCEPT of filter FORWARD
        0.000000  leaves by vethdb of host
        0.000000  arrives at eth0 of db
        0.000000  refused at eth0 of db: nothing listens on the port
        0.000000  No program has the port open at this address; the sender is told.
    #4  db → web  TCP RST 172.18.0.3:81 → 172.18.0.2:32768
        0.000000  db sends it
        0.000000  db routes 172.18.0.2 by eth0, where it is a neighbour (route 172.18.0.0/16)
        0.000000  neighbour 172.18.0.2 on eth0 of db at 1a:5f:84:9d:6a:a5: used although not confirmed lately; it will be probed soon
        0.000000  leaves by eth0 of db
        0.000000  arrives at vethdb of host
        0.000000  bridge br0 of host: 1a:5f:84:9d:6a:a5 is known behind vethweb
        0.000000  FORWARD of host: policy ACCEPT of filter FORWARD
        0.000000  leaves by vethweb of host
        0.000000  arrives at eth0 of web
        0.000000  delivered to a TCP socket of web, port 32768, from 172.18.0.3:81
    #5  web → db  TCP SYN 172.18.0.2:32769 → 172.18.0.3:82
        0.000000  web sends it
        0.000000  web routes 172.18.0.3 by eth0, where it is a neighbour (route 172.18.0.0/16)
        0.000000  leaves by eth0 of web
        0.000000  arrives at vethweb of host
        0.000000  bridge br0 of host: 6e:16:0d:ee:89:20 is known behind vethdb
        0.000000  FORWARD of host: rule filter FORWARD 1 -p tcp -m tcp --dport 82 -j DROP
        0.000000  FORWARD of host: the packet goes no further
        0.000000  dropped at br0 of host by rule filter FORWARD 1 -p tcp -m tcp --dport 82 -j DROP
        0.000000  The sender gets no answer and waits until it gives up.
    "#);
}

#[test]
fn a_capture_holds_what_interfaces_saw() {
    let (bench, events) = run();
    let engine = bench.engine.borrow();
    let names = Names(&engine);
    let mut capture = Capture::new(Selection::All);
    events.iter().for_each(|event| capture.push(event, &names));
    let files = capture.finish().unwrap();
    let seen = |e: &&Event| matches!(e.kind, EventKind::Received { .. } | EventKind::Transmitted { .. });
    let (_, merged) = files.last().unwrap();
    // Every frame is an enhanced packet block, whose type is 6.
    let mut rest = &merged[..];
    let mut packets = 0;
    while let Some((head, _)) = rest.split_first_chunk::<8>() {
        let length = u32::from_le_bytes(head[4..].try_into().unwrap()) as usize;
        packets += usize::from(head[..4] == [6, 0, 0, 0]);
        rest = &rest[length..];
    }
    assert_eq!(packets, events.iter().filter(seen).count());
    let text = String::from_utf8_lossy(merged);
    assert!(text.contains("dropped: rule filter FORWARD 1 -p tcp -m tcp --dport 82 -j DROP"));
    assert!(text.contains("dropped: nothing listens on the port"));
    let mut json = JsonLines::new();
    let objects: Vec<_> = events.iter().map(|event| json.value(event, &names)).collect();
    let cause = objects.iter().find(|o| o["reason"] == "filtered").map(|o| o["cause"].clone());
    assert_eq!(cause.unwrap(), "rule filter FORWARD 1 -p tcp -m tcp --dport 82 -j DROP");
    let totals = tables::Totals { time: engine.now(), frames: packets as u64, drops: engine.drops() };
    assert!(tables::counters(&totals).contains("dropped by a filter rule or policy"));
}
