//! `ip route` and `ip route get`.

use std::cmp::Ordering;
use std::net::IpAddr;

use ipnet::IpNet;

use super::ip::{Show, Style, behind_show, invalid, no_device};
use super::options::Failure;
use crate::engine::sys::{ExitCode, Family, RouteView, Sys};

/// `ip route`.
pub(crate) fn routes(sys: &Sys, show: Show, words: &[&str]) -> Result<String, Failure> {
    if let Some((&"get", rest)) = words.split_first() {
        return get(sys, show, rest);
    }
    let words = behind_show(words);
    let family = show.family.unwrap_or(Family::Ipv4);
    let mut routes = sys.routes(family);
    if family == Family::Ipv6 {
        routes.sort_by(|left, right| in_tree_order(left.destination, right.destination));
    }
    // The tool of BusyBox does not leave out the table where the kernel keeps those.
    let shows_multicast = family == Family::Ipv6 && show.style == Style::BusyBox && words.is_empty();
    let devices = sys.interfaces();
    let mut rest = words.iter();
    let mut without_device = false;
    while let Some(word) = rest.next() {
        let mut value = || rest.next().copied().ok_or_else(|| invalid(word));
        match *word {
            "dev" => {
                let name = value()?;
                if !devices.iter().any(|device| device.name == name) {
                    return Err(no_device(show.style, name));
                }
                routes.retain(|route| route.device == name);
                without_device = true;
            }
            "via" => {
                let gateway = value()?;
                routes.retain(|route| route.gateway.is_some_and(|g| g.to_string() == gateway));
            }
            "table" => {
                if !["main", "all", "254"].contains(&value()?) {
                    routes.clear();
                }
            }
            "default" => routes.retain(|route| route.destination.prefix_len() == 0),
            "root" | "exact" | "match" => {}
            prefix => {
                let network: IpNet = prefix.parse().map_err(|_| invalid(prefix))?;
                routes.retain(|route| route.destination == network.trunc());
            }
        }
    }
    let line = |route: &RouteView| {
        let running = devices.iter().any(|device| device.name == route.device && device.running);
        format!("{}\n", describe(route, show.style, without_device, running))
    };
    let mut text: String = routes.iter().map(line).collect();
    let up = devices.iter().filter(|device| shows_multicast && device.name != "lo" && device.running);
    for device in up.filter(|device| device.addresses.iter().any(|a| !a.address.addr().is_ipv4())) {
        text += &format!("multicast ff00::/8 dev {}  metric 256 \n", device.name);
    }
    Ok(text)
}

/// The order of the kernel's tree of IPv6 routes: what is within a prefix comes before the prefix (`fib6_walk`).
fn in_tree_order(left: IpNet, right: IpNet) -> Ordering {
    match (left.contains(&right), right.contains(&left)) {
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        _ => left.addr().cmp(&right.addr()),
    }
}

fn describe(route: &RouteView, style: Style, without_device: bool, running: bool) -> String {
    let mut text = match route.destination {
        network if network.prefix_len() == 0 => "default ".to_owned(),
        network if network.prefix_len() == network.max_prefix_len() => format!("{} ", network.addr()),
        network => format!("{network} "),
    };
    if let Some(gateway) = route.gateway {
        text += &format!("via {gateway} ");
    }
    if !without_device {
        text += &format!("dev {} ", route.device);
    }
    let ipv4 = matches!(route.destination, IpNet::V4(_));
    let on_link = ipv4 && route.gateway.is_none();
    match style {
        Style::BusyBox => {
            if on_link {
                text += "scope link ";
            }
            if let Some(source) = route.source {
                text += &format!(" src {source} ");
            }
            if route.metric > 0 {
                text += &format!(" metric {} ", route.metric);
            }
        }
        Style::Iproute2 => {
            if route.connected {
                text += "proto kernel ";
            }
            if on_link {
                text += "scope link ";
            }
            if let Some(source) = route.source {
                text += &format!("src {source} ");
            }
            if route.metric > 0 {
                text += &format!("metric {} ", route.metric);
            }
            if !running {
                text += "linkdown ";
            }
            if !ipv4 {
                text += "pref medium";
            }
        }
    }
    text
}

fn get(sys: &Sys, show: Show, words: &[&str]) -> Result<String, Failure> {
    let [destination, ..] = words else {
        return Err(Failure::new("ip", "need at least a destination address"));
    };
    let text = destination.split('/').next().unwrap_or(destination);
    let destination: IpAddr = text.parse().map_err(|_| invalid(text))?;
    let devices = sys.interfaces();
    let local = devices.iter().any(|device| device.addresses.iter().any(|a| a.address.addr() == destination));
    let source_end = if show.style == Style::Iproute2 { "uid 0 \n    cache " } else { "" };
    if local {
        let device = if show.style == Style::Iproute2 { "table local src" } else { " src" };
        let cache = if show.style == Style::Iproute2 { "uid 0 \n    cache <local> " } else { "" };
        return Ok(format!("local {destination} dev lo {device} {destination} {cache}\n"));
    }
    let route = sys.route_to(destination).map_err(|errno| {
        let prefix = if show.style == Style::BusyBox { "ip: " } else { "" };
        Failure { text: format!("{prefix}RTNETLINK answers: {errno}\n"), status: ExitCode(2) }
    })?;
    let of_device = || {
        let device = devices.iter().find(|device| device.name == route.device)?;
        let mut addresses = device.addresses.iter().map(|a| a.address.addr());
        addresses.find(|address| address.is_ipv4() == destination.is_ipv4())
    };
    let mut line = format!("{destination} ");
    if let Some(gateway) = route.gateway {
        line += &format!("via {gateway} ");
    }
    line += &format!("dev {} ", route.device);
    if let Some(source) = route.source.or_else(of_device) {
        line += if show.style == Style::BusyBox { " src " } else { "src " };
        line += &format!("{source} ");
    }
    Ok(format!("{line}{source_end}\n"))
}
