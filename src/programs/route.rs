//! `route [-n] [-A inet6]`, and the table that `netstat -r` shows too.

use std::net::IpAddr;

use ipnet::IpNet;

use super::arguments;
use super::options::{Failure, Options, Syntax, finish};
use super::resolver::reverse;
use crate::engine::sys::{ExitCode, Family, RouteView, Sys};

pub(super) const SYNTAX: Syntax = Syntax {
    letters: "neA:46",
    long: &[],
    stop_at_operand: false,
    usage: "route [-ne] [-A inet[6]] [{add|del}]",
};

/// Shows routes.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let options = Options::parse(program, words, &SYNTAX)?;
    if !options.operands.is_empty() {
        return Err(Failure::new(program, "SIOCADDRT: Operation not permitted"));
    }
    let numeric = options.has('n');
    let text = match options.value('A') == Some("inet6") || options.has('6') {
        true => ipv6_table(sys),
        false => ipv4_table(sys, numeric, options.has('e')).await,
    };
    sys.print(text).await;
    Ok(ExitCode::SUCCESS)
}

/// The IPv4 table; with `window` in netstat's columns.
pub(crate) async fn ipv4_table(sys: &Sys, numeric: bool, window: bool) -> String {
    let last = if window { "  MSS Window  irtt Iface" } else { "Metric Ref    Use Iface" };
    let mut text =
        format!("Kernel IP routing table\nDestination     Gateway         Genmask         Flags {last}\n");
    for route in sys.routes(Family::Ipv4) {
        let IpNet::V4(network) = route.destination else { continue };
        let destination = match network.prefix_len() {
            0 if !numeric => "default".to_owned(),
            _ if numeric => network.addr().to_string(),
            _ => reverse_or(sys, IpAddr::V4(network.addr())).await,
        };
        let gateway = match route.gateway {
            None if numeric => "0.0.0.0".to_owned(),
            None => "*".to_owned(),
            Some(gateway) if numeric => gateway.to_string(),
            Some(gateway) => reverse_or(sys, gateway).await,
        };
        let start =
            format!("{destination:<15.15} {gateway:<15.15} {:<16}{:<6}", network.netmask(), flags(&route));
        text += &match window {
            true => format!("{start}{:>5} {:<5} {:>6} {}\n", 0, 0, 0, route.device),
            false => format!("{start}{:<6} {:<2} {:>7} {}\n", route.metric, 0, 0, route.device),
        };
    }
    text
}

fn ipv6_table(sys: &Sys) -> String {
    let mut text = format!(
        "Kernel IPv6 routing table\n{:<44}{:<40}Flags Metric Ref    Use Iface\n",
        "Destination", "Next Hop"
    );
    for route in sys.routes(Family::Ipv6) {
        let gateway = route.gateway.map_or("::".to_owned(), |gateway| gateway.to_string());
        text += &format!(
            "{:<43} {gateway:<39} {:<5} {:<6} {:<6} {:>6} {}\n",
            route.destination.to_string(),
            flags(&route),
            route.metric,
            0,
            0,
            route.device
        );
    }
    text
}

async fn reverse_or(sys: &Sys, address: IpAddr) -> String {
    reverse(sys, address).await.unwrap_or_else(|| address.to_string())
}

fn flags(route: &RouteView) -> String {
    let host = route.destination.prefix_len() == route.destination.max_prefix_len();
    let mut flags = "U".to_owned();
    if route.gateway.is_some() {
        flags.push('G');
    }
    if host {
        flags.push('H');
    }
    flags
}
