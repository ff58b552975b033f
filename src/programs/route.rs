//! `route [-n] [-A inet6] [{add|del} ...]`, and the table that `netstat -r` shows too.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

use super::arguments;
use super::options::{Failure, Options, Syntax, finish};
use super::resolver::{Want, resolve, reverse};
use crate::engine::sys::{Change, Existing, ExitCode, Family, RouteChange, RouteView, Sys};

pub(super) const SYNTAX: Syntax = Syntax {
    letters: "neA:46",
    long: &[],
    stop_at_operand: true,
    usage: "route [-ne] [-A inet[6]] [{add|del} [-net|-host] TARGET [netmask MASK]\n\
            \t[gw GATEWAY] [metric N] [mss BYTES] [window BYTES] [reject] [IFACE]]\n\n\
            Show or edit kernel routing tables\n\n\
            \t-n\tDon't resolve names\n\
            \t-e\tDisplay other/more information\n\
            \t-A inet[6]\tSelect address family",
};

/// Shows or changes routes.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let options = Options::parse(program, words, &SYNTAX)?;
    let numeric = options.has('n');
    let ipv6 = options.value('A') == Some("inet6") || options.has('6');
    if let Some((verb, words)) = options.operands.split_first() {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let adds = match verb.as_str() {
            "add" => true,
            "del" | "delete" => false,
            _ => return Err(Failure::usage("", SYNTAX.usage)),
        };
        let route = read_change(sys, program, ipv6, adds, &words).await?;
        let (call, change) = match adds {
            true => ("SIOCADDRT", Change::AddRoute(route, Existing::Refuse)),
            false => ("SIOCDELRT", Change::RemoveRoute(route)),
        };
        let done = sys.administer(&change);
        done.map_err(|errno| Failure::new(program, format!("{call}: {errno}")))?;
        return Ok(ExitCode::SUCCESS);
    }
    let text = match ipv6 {
        true => ipv6_table(sys),
        false => ipv4_table(sys, numeric, options.has('e')).await,
    };
    sys.print(text).await;
    Ok(ExitCode::SUCCESS)
}

/// The route behind `add` or `del`.
async fn read_change(
    sys: &Sys,
    program: &str,
    ipv6: bool,
    adds: bool,
    words: &[&str],
) -> Result<RouteChange, Failure> {
    let usage = || Failure::usage("", SYNTAX.usage);
    let conflict = |text: String| Failure::new(program, text);
    let mut words = words.iter().copied();
    let (mut net, mut host) = (false, false);
    let mut target = words.next().ok_or_else(usage)?;
    if target == "-net" || target == "-host" {
        (net, host) = (target == "-net", target == "-host");
        target = words.next().ok_or_else(usage)?;
    }
    let (text, prefix) = match target.split_once('/') {
        Some((text, prefix)) => (text, Some(prefix.parse::<u8>().map_err(|_| usage())?)),
        None => (target, None),
    };
    let mut route = RouteChange {
        destination: default_of(ipv6),
        gateway: None,
        device: None,
        source: None,
        metric: None,
    };
    let mut mask = None;
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(usage);
        match word {
            "netmask" if !ipv6 && prefix.is_none() => mask = Some(value()?),
            "gw" | "gateway" if route.gateway.is_none() => {
                route.gateway = Some(address_of(sys, program, value()?, ipv6).await?);
            }
            "metric" => route.metric = Some(value()?.parse().map_err(|_| usage())?),
            "mss" | "window" | "irtt" => {
                value()?;
            }
            "reject" => return Err(conflict("SIOCADDRT: Operation not supported".to_owned())),
            "mod" | "dyn" | "reinstate" => {}
            "dev" | "device" => route.device = Some(value()?.to_owned()),
            device if route.device.is_none() => route.device = Some(device.to_owned()),
            _ => return Err(usage()),
        }
    }
    let whole = text == "default" || text == "0.0.0.0" && !host && mask.is_none() && prefix.is_none();
    if ipv6 {
        // The kernel's metric for a route of SIOCADDRT, unless another is given.
        route.metric = route.metric.or(adds.then_some(1));
        if text != "default" {
            let address = address_of(sys, program, text, true).await?;
            route.destination = IpNet::new(address, prefix.unwrap_or(128)).map_err(|_| usage())?;
        }
    } else if !whole {
        let address = match text.parse::<Ipv4Addr>() {
            Ok(address) => address,
            Err(_) => match address_of(sys, program, text, false).await? {
                IpAddr::V4(address) => address,
                IpAddr::V6(_) => return Err(conflict(format!("resolving {text}"))),
            },
        };
        let mask = match (mask, prefix) {
            (Some(mask), _) => mask.parse::<Ipv4Addr>().map_err(|_| conflict(format!("resolving {mask}")))?,
            (None, Some(prefix)) => {
                Ipv4Net::new(Ipv4Addr::UNSPECIFIED, prefix).map_err(|_| usage())?.netmask()
            }
            (None, None) if net => Ipv4Addr::UNSPECIFIED,
            (None, None) => Ipv4Addr::BROADCAST,
        };
        if !net && mask != Ipv4Addr::BROADCAST {
            let shown = u32::from_be_bytes(mask.octets()).swap_bytes();
            return Err(conflict(format!("netmask {shown:08x} and host route conflict")));
        }
        let prefix = ipnet::ipv4_mask_to_prefix(mask)
            .map_err(|_| conflict(format!("bogus netmask {:08x}", u32::from(mask).swap_bytes())))?;
        let wanted = Ipv4Net::new(address, prefix).map_err(|_| usage())?;
        if prefix > 0 && wanted.trunc() != wanted {
            return Err(conflict("netmask and route address conflict".to_owned()));
        }
        route.destination = IpNet::V4(wanted);
    }
    Ok(route)
}

async fn address_of(sys: &Sys, program: &str, name: &str, ipv6: bool) -> Result<IpAddr, Failure> {
    let want = if ipv6 { Want::Ipv6 } else { Want::Ipv4 };
    let found = resolve(sys, name, want).await.ok().and_then(|found| found.first().copied());
    found.ok_or_else(|| Failure::new(program, format!("resolving {name}")))
}

fn default_of(ipv6: bool) -> IpNet {
    match ipv6 {
        true => IpNet::V6(ipnet::Ipv6Net::default()),
        false => IpNet::V4(Ipv4Net::default()),
    }
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
