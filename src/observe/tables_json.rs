//! Tables as JSON, for programs: the same rows as [`super::tables`], numbers as numbers, `null` where there is nothing.
//! Fields are only ever added; names and meanings stay. Durations are nanoseconds.

use std::time::Duration;

use linkspan_nat::conntrack::{Connection, ConnectionId, Direction, Status};
use linkspan_nat::ruleset::{Policy, RuleSet, Table as FilterTable};
use linkspan_nat::text_emit::emit_rule;
use linkspan_nat::tuple::Tuple;
use serde_json::{Value, json};

use super::words::neighbour_name;
use crate::engine::view::{FdbView, InterfaceKind, InterfaceView, NeighbourView, RouteView, SocketView};

/// Devices with addresses and counters.
#[must_use]
pub fn interfaces(views: &[InterfaceView]) -> Value {
    let row = |view: &InterfaceView| {
        let kind = match view.kind {
            InterfaceKind::Loopback => "loopback",
            InterfaceKind::Bridge => "bridge",
            InterfaceKind::Veth => "veth",
            InterfaceKind::Dummy => "dummy",
            InterfaceKind::Nic => "nic",
            InterfaceKind::External => "external",
            InterfaceKind::Vlan => "vlan",
            InterfaceKind::Macvlan => "macvlan",
            InterfaceKind::Ipvlan => "ipvlan",
        };
        json!({
            "index": view.index,
            "name": view.name,
            "kind": kind,
            "up": view.up,
            "running": view.running,
            "mtu": view.mtu,
            "mac": view.mac.to_string(),
            "master": view.master,
            "addresses": view.addresses.iter().map(|a| a.address.to_string()).collect::<Vec<_>>(),
            "received_packets": view.counters.received_packets,
            "transmitted_packets": view.counters.transmitted_packets,
            "dropped": view.counters.received_dropped + view.counters.transmitted_dropped,
        })
    };
    views.iter().map(row).collect()
}

/// Forwarding tables of bridges.
#[must_use]
pub fn fdb(views: &[FdbView]) -> Value {
    let row = |view: &FdbView| {
        json!({
            "bridge": view.bridge,
            "mac": view.mac.to_string(),
            "port": view.device,
            "permanent": view.permanent,
            "age_ns": nanoseconds(view.age),
        })
    };
    views.iter().map(row).collect()
}

/// Neighbour entries.
#[must_use]
pub fn neighbours(views: &[NeighbourView]) -> Value {
    let row = |view: &NeighbourView| {
        json!({
            "address": view.address.to_string(),
            "device": view.device,
            "mac": view.mac.map(|mac| mac.to_string()),
            "state": neighbour_name(view.state),
        })
    };
    views.iter().map(row).collect()
}

/// Routes.
#[must_use]
pub fn routes(views: &[RouteView]) -> Value {
    let row = |view: &RouteView| {
        json!({
            "destination": view.destination.to_string(),
            "gateway": view.gateway.map(|gateway| gateway.to_string()),
            "device": view.device,
            "source": view.source.map(|source| source.to_string()),
            "metric": view.metric,
            "connected": view.connected,
        })
    };
    views.iter().map(row).collect()
}

/// Rules of one family, with the policies of built-in chains (`number` is `null` there).
#[must_use]
pub fn rules(set: &RuleSet) -> Value {
    let mut rows = Vec::new();
    for table in FilterTable::ALL {
        for chain in set.chains(table) {
            let row = |number: Option<usize>, packets: u64, bytes: u64, text: String| {
                json!({
                    "table": table.name(),
                    "chain": chain.name().to_string(),
                    "number": number,
                    "packets": packets,
                    "bytes": bytes,
                    "rule": text,
                })
            };
            for (index, entry) in chain.rules().iter().enumerate() {
                let counters = entry.counters();
                let text = emit_rule(entry.rule(), set.family());
                rows.push(row(Some(index + 1), counters.packets, counters.bytes, text));
            }
            if chain.hook().is_some() {
                let counters = chain.policy_counters();
                let policy = if chain.policy() == Policy::Accept { "ACCEPT" } else { "DROP" };
                rows.push(row(None, counters.packets, counters.bytes, policy.to_owned()));
            }
        }
    }
    Value::Array(rows)
}

/// Tracked connections.
#[must_use]
pub fn connections(list: &[(ConnectionId, Connection)], now: Duration) -> Value {
    let row = |(_, connection): &(ConnectionId, Connection)| {
        let packets = |direction| connection.counters(direction).packets;
        json!({
            "protocol": connection.original().protocol,
            "tcp_state": connection.tcp_state().map(|state| state.name()),
            "replied": connection.status().contains(Status::SEEN_REPLY),
            "assured": connection.status().contains(Status::ASSURED),
            "original": tuple(connection.original()),
            "reply": tuple(connection.reply()),
            "original_packets": packets(Direction::Original),
            "reply_packets": packets(Direction::Reply),
            "expires_ns": nanoseconds(connection.expires().saturating_sub(now)),
        })
    };
    list.iter().map(row).collect()
}

/// Local sockets.
#[must_use]
pub fn sockets(views: &[SocketView]) -> Value {
    let row = |view: &SocketView| {
        json!({
            "protocol": view.transport.to_string(),
            "local": view.local.to_string(),
            "remote": view.remote.map(|remote| remote.to_string()),
            "state": (!view.state.is_empty()).then_some(&view.state),
            "receive_queue": view.receive_queue,
            "send_queue": view.send_queue,
            "program": view.program,
        })
    };
    views.iter().map(row).collect()
}

fn tuple(tuple: &Tuple) -> Value {
    json!({
        "source": tuple.source.to_string(),
        "source_port": tuple.source_port,
        "destination": tuple.destination.to_string(),
        "destination_port": tuple.destination_port,
    })
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
