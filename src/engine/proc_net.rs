//! Tables of a namespace as files below `/proc/net`: `arp`, `if_inet6`, `route`, `tcp`, `tcp6`, `udp` and `udp6`.
//!
//! Addresses are written as a machine of little-endian order keeps them. What this kernel has no notion of is zero: timers,
//! users, inodes, the kernel's own pointers, and what TCP thinks of its path. Reference: Linux `net/ipv4/arp.c`, `fib_trie.c`,
//! `tcp_ipv4.c`, `udp.c` and their IPv6 counterparts, `net/ipv6/addrconf.c`.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use linkspan_nat::rule::Family;
use linkspan_switch::mac::MacAddress;

use super::Engine;
use super::event::NeighbourState;
use super::id::NamespaceId;
use super::plan::Transport;
use super::view::{AddressState, InterfaceView, NeighbourView, RouteView, Scope, SocketView};

/// The files' names.
pub(super) const FILES: [&str; 7] = ["arp", "if_inet6", "route", "tcp", "tcp6", "udp", "udp6"];

/// Flags of a route (`RTF_UP`, `RTF_GATEWAY`, `RTF_HOST`).
const UP: u16 = 1;
const GATEWAY: u16 = 2;
const HOST: u16 = 4;

impl Engine {
    /// The content of one of the files; `None` for any other name.
    pub(super) fn table_file(&self, namespace: NamespaceId, name: &str) -> Option<String> {
        let sockets = |transport, ipv6| {
            let of = |view: &SocketView| view.transport == transport && view.local.is_ipv6() == ipv6;
            self.sockets(namespace).into_iter().filter(of).collect::<Vec<_>>()
        };
        Some(match name {
            "arp" => arp(&self.neighbours(namespace)),
            "if_inet6" => addresses(&self.interfaces(namespace)),
            "route" => routes(&self.routes(namespace, Family::Ipv4)),
            "tcp" => tcp(&sockets(Transport::Tcp, false), false),
            "tcp6" => tcp(&sockets(Transport::Tcp, true), true),
            "udp" => udp(&sockets(Transport::Udp, false), false),
            "udp6" => udp(&sockets(Transport::Udp, true), true),
            _ => return None,
        })
    }
}

fn arp(neighbours: &[NeighbourView]) -> String {
    let mut text =
        "IP address       HW type     Flags       HW address            Mask     Device\n".to_owned();
    for neighbour in neighbours.iter().filter(|neighbour| neighbour.address.is_ipv4()) {
        let complete = match neighbour.state {
            NeighbourState::Incomplete | NeighbourState::Failed => 0,
            NeighbourState::Permanent => 6,
            NeighbourState::Reachable
            | NeighbourState::Stale
            | NeighbourState::Delay
            | NeighbourState::Probe => 2,
        };
        let mac = neighbour.mac.unwrap_or(MacAddress::ZERO).to_string();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:<16} 0x{:<10}0x{complete:<10}{mac:<17}     {:<8} {}",
            neighbour.address, 1, "*", neighbour.device
        );
    }
    text
}

/// Address, interface number, prefix length, scope and flags (`if_addr.h`), all hexadecimal, and the interface.
fn addresses(interfaces: &[InterfaceView]) -> String {
    const PERMANENT: u8 = 0x80;
    let mut text = String::new();
    for interface in interfaces {
        for held in &interface.addresses {
            let IpNet::V6(network) = held.address else { continue };
            let scope = match held.scope {
                Scope::Global => 0,
                Scope::Host => 0x10,
                Scope::Link => 0x20,
            };
            let flags = match held.state {
                AddressState::Valid => 0,
                AddressState::Undetected => 0x02,
                AddressState::Tentative => 0x40,
                AddressState::Duplicate => 0x48,
            };
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{:032x} {:02x} {:02x} {scope:02x} {:02x} {:>8}",
                network.addr().to_bits(),
                interface.index,
                network.prefix_len(),
                PERMANENT | flags,
                interface.name,
            );
        }
    }
    text
}

fn routes(routes: &[RouteView]) -> String {
    let mut lines = vec![
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT".to_owned(),
    ];
    for route in routes {
        let IpNet::V4(destination) = route.destination else { continue };
        let gateway = match route.gateway {
            Some(IpAddr::V4(gateway)) => gateway,
            _ => std::net::Ipv4Addr::UNSPECIFIED,
        };
        let mut flags = UP;
        if route.gateway.is_some() {
            flags |= GATEWAY;
        }
        if destination.prefix_len() == 32 {
            flags |= HOST;
        }
        lines.push(format!(
            "{}\t{}\t{}\t{flags:04X}\t0\t0\t{}\t{}\t0\t0\t0",
            route.device,
            hexadecimal(destination.network().into()),
            hexadecimal(gateway.into()),
            route.metric,
            hexadecimal(destination.netmask().into()),
        ));
    }
    lines.iter().map(|line| format!("{line:<127}\n")).collect()
}

fn tcp(sockets: &[SocketView], ipv6: bool) -> String {
    let mut lines = vec![match ipv6 {
        false => format!(
            "{:<149}",
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
        ),
        true => "  sl  local_address                         remote_address                        st tx_queue rx_queue tr \
                 tm->when retrnsmt   uid  timeout inode"
            .to_owned(),
    }];
    for (number, socket) in sockets.iter().enumerate() {
        let state = match socket.state.as_str() {
            "ESTABLISHED" => 1,
            "SYN_SENT" => 2,
            "SYN_RECV" => 3,
            "FIN_WAIT1" => 4,
            "FIN_WAIT2" => 5,
            "TIME_WAIT" => 6,
            "CLOSE_WAIT" => 8,
            "LAST_ACK" => 9,
            "LISTEN" => 10,
            "CLOSING" => 11,
            _ => 7,
        };
        let rest = if state == 10 { "100 0 0 10 0" } else { "20 0 0 10 -1" };
        let line = format!("{number:4}: {} 0 1 0000000000000000 {rest}", middle(socket, state));
        lines.push(if ipv6 { line } else { format!("{line:<149}") });
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn udp(sockets: &[SocketView], ipv6: bool) -> String {
    let mut lines = vec![match ipv6 {
        false => format!(
            "{:<127}",
            "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer \
             drops"
        ),
        true => "  sl  local_address                         remote_address                        st tx_queue rx_queue tr \
                 tm->when retrnsmt   uid  timeout inode ref pointer drops"
            .to_owned(),
    }];
    for (number, socket) in sockets.iter().enumerate() {
        let state = if socket.remote.is_some() { 1 } else { 7 };
        let line = format!("{number:5}: {} 0 2 0000000000000000 0", middle(socket, state));
        lines.push(if ipv6 { line } else { format!("{line:<127}") });
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// What TCP and UDP have alike: ends, state, queues, timers, user and timeout.
fn middle(socket: &SocketView, state: u8) -> String {
    let nobody: IpAddr = match socket.local {
        SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    let remote = socket.remote.unwrap_or(SocketAddr::new(nobody, 0));
    let end = |end: SocketAddr| format!("{}:{:04X}", hexadecimal(end.ip()), end.port());
    format!(
        "{} {} {state:02X} {:08X}:{:08X} 00:00000000 00000000     0        0",
        end(socket.local),
        end(remote),
        socket.send_queue,
        socket.receive_queue
    )
}

/// An address in words of 32 bits, each as a little-endian machine reads it.
fn hexadecimal(address: IpAddr) -> String {
    let words = |octets: &[u8]| -> String {
        octets
            .chunks_exact(4)
            .map(|word| format!("{:08X}", u32::from_le_bytes([word[0], word[1], word[2], word[3]])))
            .collect()
    };
    match address {
        IpAddr::V4(address) => words(&address.octets()),
        IpAddr::V6(address) => words(&address.octets()),
    }
}
