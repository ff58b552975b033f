//! `netstat [-tulnpar]`, and `-i` for the devices.

use std::net::SocketAddr;

use super::options::{Failure, Options, Syntax, finish};
use super::resolver::reverse;
use super::{arguments, route};
use crate::engine::sys::{ExitCode, InterfaceKind, SocketView, Sys, Transport};

pub(super) const SYNTAX: Syntax = Syntax {
    letters: "tulnpariexwW",
    long: &[],
    stop_at_operand: false,
    usage: "netstat [-ral] [-tuwx] [-enWp]",
};

/// Shows sockets, routes or devices.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let options = Options::parse(program, words, &SYNTAX)?;
    if options.has('r') {
        sys.print(route::ipv4_table(sys, options.has('n'), true).await).await;
        return Ok(ExitCode::SUCCESS);
    }
    if options.has('i') {
        sys.print(devices(sys)).await;
        return Ok(ExitCode::SUCCESS);
    }
    let kinds = match (options.has('l'), options.has('a')) {
        (_, true) => "servers and established",
        (true, false) => "only servers",
        (false, false) => "w/o servers",
    };
    let any_transport = !["t", "u", "w", "x"].iter().any(|l| l.chars().any(|l| options.has(l)));
    let column = if options.has('p') { "PID/Program name    " } else { "" };
    if any_transport || options.has('t') || options.has('u') || options.has('w') {
        sys.print(format!(
            "Active Internet connections ({kinds})\nProto Recv-Q Send-Q Local Address           \
             Foreign Address         State       {column}\n"
        ))
        .await;
    }
    let mut sockets = sys.sockets();
    sockets.sort_by_key(|socket| (socket.transport == Transport::Udp, socket.local.is_ipv6()));
    for socket in sockets {
        let selected = match socket.transport {
            Transport::Tcp => any_transport || options.has('t'),
            Transport::Udp => any_transport || options.has('u'),
        };
        let server = socket.remote.is_none();
        if selected && (options.has('a') || options.has('l') == server) {
            sys.print(line(sys, &socket, options.has('n'), options.has('p')).await).await;
        }
    }
    if any_transport || options.has('x') {
        sys.print(format!(
            "Active UNIX domain sockets ({kinds})\nProto RefCnt Flags       Type       State         I-Node {}Path\n",
            if options.has('p') { "PID/Program name    " } else { "" }
        ))
        .await;
    }
    Ok(ExitCode::SUCCESS)
}

async fn line(sys: &Sys, socket: &SocketView, numeric: bool, program: bool) -> String {
    // BusyBox does not say tcp6.
    let transport = socket.transport.to_string();
    let local = address(sys, socket.local, numeric).await;
    let remote = match socket.remote {
        Some(remote) => address(sys, remote, numeric).await,
        None if socket.local.is_ipv6() => ":::*".to_owned(),
        None => "0.0.0.0:*".to_owned(),
    };
    let program = match (program, &socket.program) {
        (true, Some(name)) => name.as_str(),
        (true, None) => "-",
        (false, _) => "",
    };
    format!(
        "{transport:<5} {:>6} {:>6} {local:<23} {remote:<23} {:<12}{program}\n",
        socket.receive_queue, socket.send_queue, socket.state
    )
}

async fn address(sys: &Sys, address: SocketAddr, numeric: bool) -> String {
    let ip = address.ip();
    let name = if numeric || ip.is_unspecified() { None } else { reverse(sys, ip).await };
    let name = name.unwrap_or_else(|| ip.to_string());
    format!("{name}:{}", address.port())
}

fn devices(sys: &Sys) -> String {
    let mut text = "Kernel Interface table\nIface             MTU    RX-OK RX-ERR RX-DRP RX-OVR    \
                    TX-OK TX-ERR TX-DRP TX-OVR Flg\n"
        .to_owned();
    for device in sys.interfaces().into_iter().filter(|device| device.up) {
        let counters = &device.counters;
        let kind = if device.kind == InterfaceKind::Loopback { "LRU" } else { "BMRU" };
        text += &format!(
            "{:<16} {:>5} {:>8} {:>6} {:>6} {:<6} {:>8} {:>6} {:>6} {:>6} {kind}\n",
            device.name,
            device.mtu,
            counters.received_packets,
            0,
            counters.received_dropped,
            0,
            counters.transmitted_packets,
            0,
            counters.transmitted_dropped,
            0
        );
    }
    text
}
