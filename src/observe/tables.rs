//! Tables as text, for people: what a namespace has, and the counters of a run.
//!
//! Columns are as wide as their longest cell, so output depends on the values only, never on a terminal.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use linkspan_nat::conntrack::{Connection, ConnectionId, Direction, Status};
use linkspan_nat::ruleset::{Policy, RuleSet, Table as FilterTable};
use linkspan_nat::text_emit::emit_rule;
use linkspan_nat::tuple::Tuple;

use super::summary::{count, endpoint};
use super::words::neighbour_name;
use crate::engine::event::DropReason;
use crate::engine::view::{FdbView, InterfaceKind, InterfaceView, NeighbourView, RouteView, SocketView};

/// Devices with addresses and counters.
pub fn interfaces(views: &[InterfaceView]) -> String {
    let header =
        ["INDEX", "NAME", "KIND", "STATE", "MTU", "MAC", "MASTER", "ADDRESSES", "RX", "TX", "DROPPED"];
    render(
        &header,
        views.iter().map(|view| {
            let state = match (view.up, view.running) {
                (false, _) => "down",
                (true, false) => "up, no carrier",
                (true, true) => "up",
            };
            let addresses: Vec<String> = view.addresses.iter().map(|a| a.address.to_string()).collect();
            vec![
                view.index.to_string(),
                view.name.clone(),
                kind(view.kind).to_owned(),
                state.to_owned(),
                view.mtu.to_string(),
                view.mac.to_string(),
                or_dash(view.master.as_ref()),
                or_dash((!addresses.is_empty()).then(|| addresses.join(", "))),
                view.counters.received_packets.to_string(),
                view.counters.transmitted_packets.to_string(),
                (view.counters.received_dropped + view.counters.transmitted_dropped).to_string(),
            ]
        }),
    )
}

/// Forwarding tables of bridges.
pub fn fdb(views: &[FdbView]) -> String {
    render(
        &["BRIDGE", "MAC", "PORT", "AGE"],
        views.iter().map(|view| {
            let age = if view.permanent { "permanent".to_owned() } else { seconds(view.age) };
            vec![view.bridge.clone(), view.mac.to_string(), view.device.clone(), age]
        }),
    )
}

/// Neighbour entries.
pub fn neighbours(views: &[NeighbourView]) -> String {
    render(
        &["ADDRESS", "DEVICE", "MAC", "STATE"],
        views.iter().map(|view| {
            vec![
                view.address.to_string(),
                view.device.clone(),
                or_dash(view.mac),
                neighbour_name(view.state).to_owned(),
            ]
        }),
    )
}

/// Routes.
pub fn routes(views: &[RouteView]) -> String {
    let header = ["DESTINATION", "GATEWAY", "DEVICE", "SOURCE", "METRIC", "ORIGIN"];
    render(
        &header,
        views.iter().map(|view| {
            let destination = match view.destination.prefix_len() {
                0 => "default".to_owned(),
                _ => view.destination.to_string(),
            };
            vec![
                destination,
                or_dash(view.gateway),
                view.device.clone(),
                or_dash(view.source),
                view.metric.to_string(),
                if view.connected { "connected" } else { "static" }.to_owned(),
            ]
        }),
    )
}

/// Rules of one family in the order of tables, with policies and counters. Built-in chains without rules that accept
/// are left out.
pub fn rules(set: &RuleSet) -> String {
    let mut rows = Vec::new();
    for table in FilterTable::ALL {
        for chain in set.chains(table) {
            let accepting = chain.policy() == Policy::Accept;
            if chain.hook().is_some() && chain.rules().is_empty() && accepting {
                continue;
            }
            let place = |number: String| vec![table.name().to_owned(), chain.name().to_string(), number];
            for (index, entry) in chain.rules().iter().enumerate() {
                let counters = entry.counters();
                let mut row = place((index + 1).to_string());
                row.extend([counters.packets.to_string(), counters.bytes.to_string()]);
                row.push(emit_rule(entry.rule(), set.family()));
                rows.push(row);
            }
            if chain.hook().is_some() {
                let counters = chain.policy_counters();
                let mut row = place("policy".to_owned());
                row.extend([counters.packets.to_string(), counters.bytes.to_string()]);
                row.push(if accepting { "ACCEPT" } else { "DROP" }.to_owned());
                rows.push(row);
            }
        }
    }
    render(&["TABLE", "CHAIN", "NUMBER", "PACKETS", "BYTES", "RULE"], rows.into_iter())
}

/// Tracked connections: both directions as packets have them, so that every translation shows.
pub fn connections(list: &[(ConnectionId, &Connection)], now: Duration) -> String {
    let header = ["PROTOCOL", "STATE", "ORIGINAL", "REPLY", "PACKETS", "EXPIRES"];
    render(
        &header,
        list.iter().map(|(_, connection)| {
            let state = match connection.tcp_state() {
                Some(state) => state.name(),
                None if connection.status().contains(Status::ASSURED) => "ASSURED",
                None if connection.status().contains(Status::SEEN_REPLY) => "REPLIED",
                None => "UNREPLIED",
            };
            let packets = |direction| connection.counters(direction).packets;
            vec![
                protocol(connection.original().protocol),
                state.to_owned(),
                tuple(connection.original()),
                tuple(connection.reply()),
                format!("{}/{}", packets(Direction::Original), packets(Direction::Reply)),
                seconds(connection.expires().saturating_sub(now)),
            ]
        }),
    )
}

/// Local sockets.
pub fn sockets(views: &[SocketView]) -> String {
    let header = ["PROTOCOL", "LOCAL", "REMOTE", "STATE", "RECV-Q", "SEND-Q", "PROGRAM"];
    render(
        &header,
        views.iter().map(|view| {
            vec![
                view.transport.to_string(),
                view.local.to_string(),
                or_dash(view.remote),
                or_dash((!view.state.is_empty()).then_some(&view.state)),
                view.receive_queue.to_string(),
                view.send_queue.to_string(),
                or_dash(view.program.as_ref()),
            ]
        }),
    )
}

/// Names: the network, the name, its address.
pub fn names(rows: Vec<[String; 3]>) -> String {
    render(&["NETWORK", "NAME", "ADDRESS"], rows.into_iter().map(Vec::from))
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Totals<'a> {
    /// Virtual time since the start.
    pub time: Duration,
    /// Frames received by devices.
    pub frames: u64,
    /// Packets that ended early, by reason.
    pub drops: &'a BTreeMap<DropReason, u64>,
}

/// A few lines: virtual time, frames, drops by reason, most first.
pub fn counters(totals: &Totals<'_>) -> String {
    let dropped: u64 = totals.drops.values().sum();
    let total = |number: u64, noun| count(usize::try_from(number).unwrap_or(usize::MAX), noun);
    let mut text = format!(
        "{} in {} of virtual time, {dropped} dropped",
        total(totals.frames, "frame"),
        seconds(totals.time)
    );
    let mut reasons: Vec<(u64, DropReason)> = totals
        .drops
        .iter()
        .filter(|(_, number)| **number > 0)
        .map(|(reason, number)| (*number, *reason))
        .collect();
    reasons.sort_by_key(|(number, reason)| (std::cmp::Reverse(*number), *reason));
    if !reasons.is_empty() {
        let rows =
            reasons.into_iter().map(|(number, reason)| vec![number.to_string(), reason.text().to_owned()]);
        text.push('\n');
        text.push_str(&render(&["DROPPED", "REASON"], rows));
    }
    text
}

fn render(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header.to_vec());
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

fn or_dash(value: Option<impl Display>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn kind(kind: InterfaceKind) -> &'static str {
    match kind {
        InterfaceKind::Loopback => "loopback",
        InterfaceKind::Bridge => "bridge",
        InterfaceKind::Veth => "veth",
        InterfaceKind::Dummy => "dummy",
        InterfaceKind::Nic => "nic",
        InterfaceKind::External => "external",
        InterfaceKind::Vlan => "vlan",
        InterfaceKind::Macvlan => "macvlan",
        InterfaceKind::Ipvlan => "ipvlan",
    }
}

fn protocol(number: u8) -> String {
    match number {
        1 => "icmp".to_owned(),
        6 => "tcp".to_owned(),
        17 => "udp".to_owned(),
        58 => "icmpv6".to_owned(),
        number => number.to_string(),
    }
}

fn tuple(tuple: &Tuple) -> String {
    if tuple.is_icmp() {
        return format!("{} → {}, id {}", tuple.source, tuple.destination, tuple.source_port);
    }
    let port = |port| (port != 0).then_some(port);
    format!(
        "{} → {}",
        endpoint(tuple.source, port(tuple.source_port)),
        endpoint(tuple.destination, port(tuple.destination_port))
    )
}

fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::NeighbourState;
    use crate::engine::id::DeviceId;
    use crate::engine::plan::Transport;
    use crate::engine::view::{AddressState, AddressView, Counters, Scope};
    use linkspan_nat::conntrack::{Conntrack, TrackedPacket};
    use linkspan_nat::rule::{Family, Rule, Target};
    use linkspan_nat::ruleset::Hook;
    use linkspan_switch::mac::MacAddress;

    const MAC: MacAddress = MacAddress([2, 0x42, 0xac, 0x12, 0, 2]);

    #[test]
    fn views_become_tables() {
        let eth0 = InterfaceView {
            id: DeviceId(1),
            index: 2,
            name: "eth0".to_owned(),
            kind: InterfaceKind::Veth,
            up: true,
            running: true,
            mtu: 1500,
            mac: MAC,
            addresses: vec![AddressView {
                address: "172.18.0.2/16".parse().unwrap(),
                scope: Scope::Global,
                state: AddressState::Valid,
            }],
            upper: None,
            peer: Some(5),
            peer_id: None,
            peer_elsewhere: true,
            master: None,
            port: None,
            counters: Counters { received_packets: 12, received_dropped: 1, ..Counters::default() },
        };
        let fdb_entry = |permanent| FdbView {
            mac: MAC,
            device: "vethweb".to_owned(),
            bridge: "docker0".to_owned(),
            permanent,
            age: Duration::from_millis(1_500),
        };
        let neighbour = NeighbourView {
            address: [172, 18, 0, 1].into(),
            device: "eth0".to_owned(),
            mac: None,
            state: NeighbourState::Failed,
            probes: 6,
        };
        let route = RouteView {
            destination: "0.0.0.0/0".parse().unwrap(),
            gateway: Some([172, 18, 0, 1].into()),
            device: "eth0".to_owned(),
            source: None,
            metric: 0,
            connected: false,
        };
        let socket = SocketView {
            transport: Transport::Tcp,
            local: "0.0.0.0:80".parse().unwrap(),
            v6only: false,
            remote: None,
            state: "LISTEN".to_owned(),
            receive_queue: 0,
            send_queue: 0,
            backlog: Some(511),
            program: Some("1/nginx".to_owned()),
        };
        let text = [
            interfaces(&[eth0]),
            fdb(&[fdb_entry(true), fdb_entry(false)]),
            neighbours(&[neighbour]),
            routes(&[route]),
            sockets(&[socket]),
        ]
        .join("\n\n");
        insta::assert_snapshot!(text, @r#"
        INDEX  NAME  KIND  STATE  MTU   MAC                MASTER  ADDRESSES      RX  TX  DROPPED
        2      eth0  veth  up     1500  02:42:ac:12:00:02  -       172.18.0.2/16  12  0   1

        BRIDGE   MAC                PORT     AGE
        docker0  02:42:ac:12:00:02  vethweb  permanent
        docker0  02:42:ac:12:00:02  vethweb  1.500 s

        ADDRESS     DEVICE  MAC  STATE
        172.18.0.1  eth0    -    FAILED

        DESTINATION  GATEWAY     DEVICE  SOURCE  METRIC  ORIGIN
        default      172.18.0.1  eth0    -       0       static

        PROTOCOL  LOCAL       REMOTE  STATE   RECV-Q  SEND-Q  PROGRAM
        tcp       0.0.0.0:80  -       LISTEN  0       0       1/nginx
        "#);
    }

    #[test]
    fn rules_connections_and_totals_become_tables() {
        let mut set = RuleSet::new(Family::Ipv4);
        let rule = Rule { target: Target::Drop, ..Rule::default() };
        set.append(FilterTable::Filter, "FORWARD", rule, None).unwrap();
        set.set_policy(FilterTable::Filter, Hook::Input.chain_name(), Policy::Drop).unwrap();
        let mut conntrack = Conntrack::new(1);
        let tuple = Tuple {
            source: [172, 18, 0, 2].into(),
            destination: [172, 18, 0, 3].into(),
            protocol: 17,
            source_port: 4000,
            destination_port: 53,
        };
        let packet = TrackedPacket { tuple, tcp_flags: None, length: 60 };
        let linkspan_nat::conntrack::Tracking::Connection { id, .. } =
            conntrack.track(Duration::ZERO, &packet)
        else {
            panic!("not tracked")
        };
        let connection = conntrack.get(id).unwrap();
        let drops = BTreeMap::from([(DropReason::NoRoute, 1), (DropReason::Filtered, 3)]);
        let totals = Totals { time: Duration::from_millis(2_500), frames: 40, drops: &drops };
        let text =
            [rules(&set), connections(&[(id, connection)], Duration::ZERO), counters(&totals)].join("\n\n");
        insta::assert_snapshot!(text, @r#"
        TABLE   CHAIN    NUMBER  PACKETS  BYTES  RULE
        filter  INPUT    policy  0        0      DROP
        filter  FORWARD  1       0        0      -j DROP
        filter  FORWARD  policy  0        0      ACCEPT

        PROTOCOL  STATE      ORIGINAL                         REPLY                            PACKETS  EXPIRES
        udp       UNREPLIED  172.18.0.2:4000 → 172.18.0.3:53  172.18.0.3:53 → 172.18.0.2:4000  1/0      10.000 s

        40 frames in 2.500 s of virtual time, 4 dropped
        DROPPED  REASON
        3        dropped by a filter rule or policy
        1        no route to the destination
        "#);
    }
}
