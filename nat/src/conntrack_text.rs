//! The table as `conntrack -L` prints it, and what happens to it as `-E` does (conntrack-tools 1.4.7, libnetfilter_conntrack's default output).

use crate::conntrack::{Connection, ConntrackEvent, Direction, EventKind, Status};
use crate::tuple::Tuple;
use std::fmt::Write;
use std::time::Duration;

/// What the listing shows besides the tuples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Accounting {
    /// `nf_conntrack_acct=0`, Linux's default.
    #[default]
    Hidden,
    /// `nf_conntrack_acct=1`: packets and bytes of each direction.
    Shown,
}

/// One line of `conntrack -L`, without line end.
pub fn line(connection: &Connection, now: Duration, accounting: Accounting) -> String {
    let protocol = connection.original().protocol;
    let seconds = connection.expires().saturating_sub(now).as_secs();
    let mut line = format!("{:<8} {protocol} {seconds} ", protocol_name(protocol));
    push_state_and_tuples(&mut line, connection, accounting);
    let _ = write!(line, "mark={} use=1", connection.mark());
    line
}

/// One line of `conntrack -E`, without line end; `extended` names the network protocol too.
pub fn event_line(event: &ConntrackEvent, extended: bool) -> String {
    let connection = &event.connection;
    let original = connection.original();
    let kind = match event.kind {
        EventKind::New => "[NEW]",
        EventKind::Update => "[UPDATE]",
        EventKind::Destroy => "[DESTROY]",
    };
    let mut line = format!("{kind:>9} ");
    if extended {
        line.push_str(network_protocol(original.source.is_ipv6()));
    }
    let _ = write!(line, "{:<8} {} ", protocol_name(original.protocol), original.protocol);
    let left = connection.expires().saturating_sub(event.at).as_secs();
    // What ended by itself has no time left.
    if event.kind != EventKind::Destroy || left > 0 {
        let _ = write!(line, "{left} ");
    }
    push_state_and_tuples(&mut line, connection, Accounting::Hidden);
    if connection.mark() != 0 {
        let _ = write!(line, "mark={} ", connection.mark());
    }
    line.truncate(line.trim_end().len());
    line
}

/// The column that `-o extended` adds: a name and the number of its address family.
pub fn network_protocol(ipv6: bool) -> &'static str {
    if ipv6 { "ipv6     10 " } else { "ipv4     2 " }
}

fn push_state_and_tuples(line: &mut String, connection: &Connection, accounting: Accounting) {
    if let Some(state) = connection.tcp_state() {
        line.push_str(state.name());
        line.push(' ');
    }
    push_direction(line, connection, Direction::Original, accounting);
    if !connection.status().contains(Status::SEEN_REPLY) {
        line.push_str("[UNREPLIED] ");
    }
    push_direction(line, connection, Direction::Reply, accounting);
    if connection.status().contains(Status::ASSURED) {
        line.push_str("[ASSURED] ");
    }
}

fn push_direction(line: &mut String, connection: &Connection, direction: Direction, accounting: Accounting) {
    let tuple = connection.tuple(direction);
    let _ = write!(line, "src={} dst={} ", tuple.source, tuple.destination);
    push_identifiers(line, tuple);
    if accounting == Accounting::Shown {
        let counters = connection.counters(direction);
        let _ = write!(line, "packets={} bytes={} ", counters.packets, counters.bytes);
    }
}

fn push_identifiers(line: &mut String, tuple: &Tuple) {
    let (source, destination) = (tuple.source_port, tuple.destination_port);
    let _ = match tuple.protocol {
        1 | 58 => {
            let [kind, code] = destination.to_be_bytes();
            write!(line, "type={kind} code={code} id={source} ")
        }
        6 | 17 | 33 | 132 | 136 => write!(line, "sport={source} dport={destination} "),
        47 => write!(line, "srckey={source:#x} dstkey={destination:#x} "),
        _ => Ok(()),
    };
}

fn protocol_name(protocol: u8) -> &'static str {
    match protocol {
        1 => "icmp",
        6 => "tcp",
        17 => "udp",
        33 => "dccp",
        47 => "gre",
        58 => "icmpv6",
        132 => "sctp",
        136 => "udplite",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conntrack::{Conntrack, TrackedPacket, Tracking};

    fn tuple(protocol: u8, source_port: u16, destination_port: u16) -> Tuple {
        let (source, destination) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        Tuple { source, destination, protocol, source_port, destination_port }
    }

    fn open(table: &mut Conntrack, tuple: Tuple, tcp_flags: Option<u8>) {
        let packet = TrackedPacket { tuple, tcp_flags, length: 60 };
        let Tracking::Connection { id, .. } = table.track(Duration::ZERO, &packet) else {
            panic!("not tracked")
        };
        table.confirm(Duration::ZERO, id).unwrap();
    }

    #[test]
    fn lines_are_those_of_conntrack_tools() {
        let mut table = Conntrack::default();
        let tcp = tuple(6, 40000, 80);
        open(&mut table, tcp, Some(0x02));
        let reply = tcp.inverted().unwrap();
        table.track(Duration::ZERO, &TrackedPacket { tuple: reply, tcp_flags: Some(0x12), length: 60 });
        table.track(Duration::ZERO, &TrackedPacket { tuple: tcp, tcp_flags: Some(0x10), length: 52 });
        open(&mut table, tuple(17, 5353, 53), None);
        open(&mut table, tuple(1, 77, 0x0800), None);
        open(&mut table, tuple(89, 0, 0), None);
        let now = Duration::from_millis(500);
        let lines: Vec<String> =
            table.list(now).into_iter().map(|(_, c)| line(c, now, Accounting::Hidden)).collect();
        assert_eq!(
            lines,
            [
                "tcp      6 431999 ESTABLISHED src=10.0.0.1 dst=10.0.0.2 sport=40000 dport=80 src=10.0.0.2 \
                 dst=10.0.0.1 sport=80 dport=40000 [ASSURED] mark=0 use=1",
                "udp      17 29 src=10.0.0.1 dst=10.0.0.2 sport=5353 dport=53 [UNREPLIED] src=10.0.0.2 \
                 dst=10.0.0.1 sport=53 dport=5353 mark=0 use=1",
                "icmp     1 29 src=10.0.0.1 dst=10.0.0.2 type=8 code=0 id=77 [UNREPLIED] src=10.0.0.2 \
                 dst=10.0.0.1 type=0 code=0 id=77 mark=0 use=1",
                "unknown  89 599 src=10.0.0.1 dst=10.0.0.2 [UNREPLIED] src=10.0.0.2 dst=10.0.0.1 mark=0 use=1",
            ]
        );
        let (_, first) = table.list(now)[0];
        let counted = line(first, now, Accounting::Shown);
        assert!(counted.contains("dport=80 packets=2 bytes=112 src="), "{counted}");
    }
}
