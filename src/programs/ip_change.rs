//! What `ip` changes: `ip address add`, `ip route replace`, `ip link set`, `ip neighbour del` and the like.
//!
//! The texts of errors are BusyBox's, which tells the system call's name for links and knows no `neigh add`, or
//! iproute2's, which repeats what the kernel says beside the error number. Options that change nothing here (`label`,
//! `brd`, `proto`, `scope`, `txqueuelen`, ...) are read and have no effect.

use std::net::IpAddr;

use ipnet::IpNet;

use super::ip::{Show, Style, invalid, no_device};
use super::options::Failure;
use crate::engine::sys::{
    Change, DuplicateDetection, Errno, Existing, ExitCode, Family, IpvlanFlag, IpvlanMode, MacAddress,
    MacvlanMode, NeighbourState, NewDevice, RouteChange, Sys, VlanId,
};

/// The words behind a verb.
struct Words<'a> {
    rest: std::slice::Iter<'a, &'a str>,
    style: Style,
}

impl<'a> Words<'a> {
    fn new(words: &'a [&'a str], style: Style) -> Words<'a> {
        Words { rest: words.iter(), style }
    }

    fn next(&mut self) -> Option<&'a str> {
        self.rest.next().copied()
    }

    /// The value behind a word.
    fn value(&mut self) -> Result<&'a str, Failure> {
        self.next().ok_or_else(|| match self.style {
            Style::BusyBox => Failure::new("ip", "command line is not complete, try \"help\""),
            Style::Iproute2 => failure("Command line is not complete. Try option \"help\"", 255),
        })
    }

    fn number(&mut self, name: &str) -> Result<u32, Failure> {
        let text = self.value()?;
        text.parse().map_err(|_| match self.style {
            Style::BusyBox => Failure::new("ip", format!("invalid argument '{text}' to '{name}'")),
            Style::Iproute2 => {
                failure(&format!("Error: argument \"{text}\" is wrong: \"{name}\" value is invalid"), 255)
            }
        })
    }

    fn mac(&mut self) -> Result<MacAddress, Failure> {
        let text = self.value()?;
        text.parse().map_err(|_| match self.style {
            Style::BusyBox => Failure::new("ip", format!("\"{text}\" is invalid lladdr")),
            Style::Iproute2 => failure(&format!("\"{text}\" is invalid lladdr."), 1),
        })
    }

    fn address(&mut self) -> Result<IpAddr, Failure> {
        let text = self.value()?;
        text.parse().map_err(|_| match self.style {
            Style::BusyBox => {
                Failure::new("ip", format!("an inet address is expected rather than \"{text}\""))
            }
            Style::Iproute2 => {
                failure(&format!("Error: any valid address is expected rather than \"{text}\"."), 1)
            }
        })
    }
}

/// `ip address VERB ...`; `None` if the verb changes nothing.
pub(crate) fn address(sys: &Sys, show: Show, verb: &str, words: &[&str]) -> Option<Result<(), Failure>> {
    let run = match verb {
        "add" | "a" | "replace" | "change" | "del" | "delete" | "d" => change_address,
        "flush" | "f" => flush_addresses,
        _ => return None,
    };
    Some(run(sys, show, verb, words))
}

fn change_address(sys: &Sys, show: Show, verb: &str, words: &[&str]) -> Result<(), Failure> {
    let (mut text, mut device, mut detection) = (None, None, DuplicateDetection::Wanted);
    let mut words = Words::new(words, show.style);
    while let Some(word) = words.next() {
        match word {
            "dev" => device = Some(words.value()?),
            "local" => text = Some(words.value()?),
            "brd" | "broadcast" | "label" | "scope" | "peer" | "valid_lft" | "preferred_lft" | "metric" => {
                words.value()?;
            }
            "nodad" => detection = DuplicateDetection::Omitted,
            "noprefixroute" => {}
            other => text = Some(other),
        }
    }
    let device = device.ok_or_else(|| match show.style {
        Style::BusyBox => Failure::new("ip", "need \"dev IFACE\""),
        Style::Iproute2 => failure("Not enough information: \"dev\" argument is required.", 1),
    })?;
    let view = sys.interfaces().into_iter().find(|view| view.name == device);
    let view = view.ok_or_else(|| missing(show.style, device))?;
    let text = text.unwrap_or_default();
    let address = prefix(text, show.style)?;
    if verb.starts_with('d') {
        let whole = text.contains('/');
        let held = view.addresses.iter().map(|held| held.address);
        let found = held.into_iter().find(|held| *held == address || !whole && held.addr() == address.addr());
        let change = Change::RemoveAddress(device.to_owned(), found.unwrap_or(address));
        return carry_out(sys, show.style, &change, "ipv4: Address not found.", Errno::AddressNotAvailable);
    }
    let there = view.addresses.iter().any(|held| held.address == address);
    if there && verb != "add" && verb != "a" {
        return Ok(());
    }
    let change = Change::AddAddress(device.to_owned(), address, detection);
    carry_out(sys, show.style, &change, "ipv4: Address already assigned.", Errno::FileExists)
}

fn flush_addresses(sys: &Sys, show: Show, _: &str, words: &[&str]) -> Result<(), Failure> {
    let device = words.iter().rfind(|word| **word != "dev").copied().ok_or_else(|| match show.style {
        Style::BusyBox => Failure::new("ip", "flush requires an argument"),
        Style::Iproute2 => failure("Flush requires arguments.", 1),
    })?;
    let view = sys.interfaces().into_iter().find(|view| view.name == device);
    for held in view.ok_or_else(|| no_device(show.style, device))?.addresses {
        let family = if held.address.addr().is_ipv4() { Family::Ipv4 } else { Family::Ipv6 };
        if show.family.is_none_or(|wanted| wanted == family) {
            change(sys, show.style, &Change::RemoveAddress(device.to_owned(), held.address))?;
        }
    }
    Ok(())
}

/// `ip route VERB ...`
pub(crate) fn route(sys: &Sys, show: Show, verb: &str, words: &[&str]) -> Option<Result<(), Failure>> {
    let run = match verb {
        "add" | "a" | "append" | "replace" | "change" | "chg" | "del" | "delete" | "d" => change_route,
        "flush" | "f" => flush_routes,
        _ => return None,
    };
    Some(run(sys, show, verb, words))
}

fn change_route(sys: &Sys, show: Show, verb: &str, words: &[&str]) -> Result<(), Failure> {
    let mut route = RouteChange {
        destination: default_of(show.family == Some(Family::Ipv6)),
        gateway: None,
        device: None,
        source: None,
        metric: None,
    };
    let mut is_default = false;
    let mut words = Words::new(words, show.style);
    while let Some(word) = words.next() {
        match word {
            "via" => route.gateway = Some(words.address()?),
            "dev" | "oif" => {
                let device = words.value()?;
                if !sys.interfaces().iter().any(|view| view.name == device) {
                    return Err(missing(show.style, device));
                }
                route.device = Some(device.to_owned());
            }
            "src" => route.source = Some(words.address()?),
            "metric" | "priority" | "preference" => route.metric = Some(words.number("metric")?),
            "table" | "proto" | "protocol" | "scope" | "mtu" | "advmss" => {
                words.value()?;
            }
            "onlink" | "unicast" | "to" => {}
            "default" | "any" | "all" => is_default = true,
            text => route.destination = prefix(text, show.style)?,
        }
    }
    if is_default && route.gateway.is_some_and(|gateway| gateway.is_ipv6()) {
        route.destination = default_of(true);
    }
    if verb.starts_with('d') {
        return change(sys, show.style, &Change::RemoveRoute(route));
    }
    let existing = match verb {
        "replace" => Existing::Replace,
        "change" | "chg" => Existing::Require,
        _ => Existing::Refuse,
    };
    let with_gateway = route.gateway.is_some();
    sys.administer(&Change::AddRoute(route, existing)).map_err(|errno| {
        let says = match errno {
            Errno::NetworkUnreachable if with_gateway => Some("Nexthop has invalid gateway."),
            Errno::NetworkDown => Some("Device for nexthop is not up."),
            Errno::InvalidArgument => Some("Invalid prefix for given prefix length."),
            _ => None,
        };
        answer(show.style, errno, says)
    })
}

fn flush_routes(sys: &Sys, show: Show, _: &str, words: &[&str]) -> Result<(), Failure> {
    let (mut device, mut destination) = (None, None);
    let mut words = Words::new(words, show.style);
    while let Some(word) = words.next() {
        match word {
            "dev" => device = Some(words.value()?),
            "table" | "proto" | "scope" => {
                words.value()?;
            }
            "cache" => return Ok(()),
            "default" => destination = Some(default_of(show.family == Some(Family::Ipv6))),
            "exact" | "root" | "match" | "to" | "all" => {}
            text => destination = Some(prefix(text, show.style)?),
        }
    }
    for route in sys.routes(show.family.unwrap_or(Family::Ipv4)) {
        if device.is_none_or(|name| route.device == name)
            && destination.is_none_or(|wanted| route.destination == wanted)
        {
            let gone = RouteChange {
                destination: route.destination,
                gateway: route.gateway,
                device: Some(route.device),
                source: None,
                metric: Some(route.metric),
            };
            change(sys, show.style, &Change::RemoveRoute(gone))?;
        }
    }
    Ok(())
}

/// `ip link VERB ...`
pub(crate) fn link(sys: &Sys, show: Show, verb: &str, words: &[&str]) -> Option<Result<(), Failure>> {
    let run = match verb {
        "set" | "s" => set_link,
        "add" | "a" => add_link,
        "del" | "delete" | "d" => delete_link,
        _ => return None,
    };
    Some(run(sys, show, words))
}

fn set_link(sys: &Sys, show: Show, words: &[&str]) -> Result<(), Failure> {
    let style = show.style;
    let mut changes: Vec<(&str, &str, Change)> = Vec::new();
    let mut words = Words::new(words, style);
    let mut device = words.value()?;
    if device == "dev" {
        device = words.value()?;
    }
    let name = device.to_owned();
    while let Some(word) = words.next() {
        match word {
            "up" => changes.push(("SIOCGIFFLAGS", "SIOCSIFFLAGS", Change::SetUp(name.clone(), true))),
            "down" => changes.push(("SIOCGIFFLAGS", "SIOCSIFFLAGS", Change::SetUp(name.clone(), false))),
            "mtu" => {
                let change = Change::SetMtu(name.clone(), words.number("mtu")?);
                changes.push(("SIOCSIFMTU", "SIOCSIFMTU", change));
            }
            "address" => {
                let change = Change::SetMac(name.clone(), words.mac()?);
                changes.push(("SIOCGIFINDEX", "SIOCSIFHWADDR", change));
            }
            "name" => {
                let change = Change::Rename(name.clone(), words.value()?.to_owned());
                changes.push(("SIOCSIFNAME", "SIOCSIFNAME", change));
            }
            "master" => {
                let master = words.value()?;
                if !sys.interfaces().iter().any(|view| view.name == master) {
                    return Err(match style {
                        Style::BusyBox => failure(&format!("ip: can't find device '{master}'"), 2),
                        Style::Iproute2 => failure(
                            &format!("Error: argument \"{master}\" is wrong: Device does not exist\n"),
                            255,
                        ),
                    });
                }
                changes.push(("", "", Change::SetMaster(name.clone(), Some(master.to_owned()))));
            }
            "nomaster" => changes.push(("", "", Change::SetMaster(name.clone(), None))),
            "arp" | "multicast" | "promisc" | "qlen" | "txqueuelen" | "alias" | "group" | "type" => {
                words.value()?;
            }
            other => return Err(unknown(style, other, "link")),
        }
    }
    let there = sys.interfaces().iter().any(|view| view.name == name);
    if !there && style == Style::Iproute2 {
        return Err(missing(style, &name));
    }
    // Its name is the last to change, because the others use the old one.
    changes.sort_by_key(|(.., change)| matches!(change, Change::Rename(..)));
    for (asking, setting, change) in &changes {
        let Err(errno) = sys.administer(change) else { continue };
        return Err(match (style, setting.is_empty(), errno) {
            (Style::BusyBox, false, Errno::NoSuchDevice) => failure(&format!("ip: {asking}: {errno}"), 2),
            (Style::BusyBox, false, errno) => failure(&format!("ip: {setting}: {errno}"), 2),
            (_, _, errno) => {
                let said = match change {
                    Change::SetMtu(_, mtu) if errno == Errno::InvalidArgument && *mtu < 68 => {
                        Some("mtu less than device minimum.")
                    }
                    Change::SetMtu(..) if errno == Errno::InvalidArgument => {
                        Some("mtu greater than device maximum.")
                    }
                    _ => None,
                };
                answer(style, errno, said)
            }
        });
    }
    Ok(())
}

fn add_link(sys: &Sys, show: Show, words: &[&str]) -> Result<(), Failure> {
    let style = show.style;
    let (mut name, mut kind, mut mac, mut mtu, mut peer) = (None, None, None, None, None);
    let (mut parent, mut vlan, mut mode) = (None, None, None);
    let mut flag = IpvlanFlag::Bridge;
    let mut words = Words::new(words, style);
    while let Some(word) = words.next() {
        match word {
            "type" => kind = Some(words.value()?),
            "name" => name = Some(words.value()?),
            "address" => mac = Some(words.mac()?),
            "mtu" => mtu = Some(words.number("mtu")?),
            "peer" => {
                peer = Some(match words.value()? {
                    "name" => words.value()?,
                    name => name,
                });
            }
            "link" => parent = Some(words.value()?),
            "id" => vlan = Some(words.number("id")?),
            "mode" => mode = Some(words.value()?),
            "bridge" if kind == Some("ipvlan") => flag = IpvlanFlag::Bridge,
            "private" if kind == Some("ipvlan") => flag = IpvlanFlag::Private,
            "vepa" if kind == Some("ipvlan") => flag = IpvlanFlag::Vepa,
            "protocol" | "txqueuelen" | "qlen" => {
                words.value()?;
            }
            other => name = Some(other),
        }
    }
    let kind = kind.ok_or_else(|| match style {
        Style::BusyBox => answer(style, Errno::NotSupported, None),
        Style::Iproute2 => failure("Not enough information: \"type\" argument is required", 1),
    })?;
    let kind = match kind {
        "dummy" => NewDevice::Dummy,
        "bridge" => NewDevice::Bridge,
        "veth" => NewDevice::Veth(peer.map(str::to_owned)),
        "vlan" => {
            let parent = parent_of(sys, style, parent)?;
            let id = vlan.and_then(|id| VlanId::new(u16::try_from(id).ok()?).ok());
            let id =
                id.ok_or_else(|| answer(style, Errno::InvalidArgument, Some("8021q: Invalid VLAN id.")))?;
            NewDevice::Vlan { parent, id }
        }
        "macvlan" => {
            let parent = parent_of(sys, style, parent)?;
            let mode = match mode {
                None | Some("vepa") => MacvlanMode::Vepa,
                Some("bridge") => MacvlanMode::Bridge,
                Some("private") => MacvlanMode::Private,
                Some("passthru") => MacvlanMode::Passthru,
                Some(other) => {
                    let text = "\"mode\" must be \"private\", \"vepa\", \"bridge\" or \"passthru\"";
                    return Err(failure(&format!("Error: argument of {text}, not \"{other}\""), 255));
                }
            };
            NewDevice::Macvlan { parent, mode }
        }
        "ipvlan" => {
            let parent = parent_of(sys, style, parent)?;
            let mode = match mode {
                None | Some("l3") => IpvlanMode::L3,
                Some("l2") => IpvlanMode::L2,
                Some("l3s") => IpvlanMode::L3s,
                Some(other) => {
                    let text = "\"mode\" must be either \"l2\", \"l3\" or \"l3s\"";
                    return Err(failure(&format!("Error: argument of {text}, not \"{other}\""), 255));
                }
            };
            NewDevice::Ipvlan { parent, mode, flag }
        }
        _ => return Err(answer(style, Errno::NotSupported, Some("Unknown device type."))),
    };
    let free = |prefix: &str| {
        let all = sys.interfaces();
        let taken = |name: &String| all.iter().any(|view| view.name == *name);
        (0..=all.len()).map(|number| format!("{prefix}{number}")).find(|name| !taken(name))
    };
    let name = match (name, &kind) {
        (Some(name), _) => name.to_owned(),
        (None, NewDevice::Dummy) => free("dummy").unwrap_or_default(),
        (None, NewDevice::Bridge) => free("bridge").unwrap_or_default(),
        (None, NewDevice::Veth(_)) => free("veth").unwrap_or_default(),
        (None, NewDevice::Vlan { .. }) => free("vlan").unwrap_or_default(),
        (None, NewDevice::Macvlan { .. }) => free("macvlan").unwrap_or_default(),
        (None, NewDevice::Ipvlan { .. }) => free("ipvlan").unwrap_or_default(),
    };
    change(sys, style, &Change::AddDevice { name, kind, mac, mtu })
}

/// The device behind `link`, which must be there.
fn parent_of(sys: &Sys, style: Style, name: Option<&str>) -> Result<String, Failure> {
    let name = name.ok_or_else(|| answer(style, Errno::InvalidArgument, None))?;
    if !sys.interfaces().iter().any(|view| view.name == name) {
        return Err(match style {
            Style::BusyBox => failure(&format!("ip: can't find device '{name}'"), 1),
            Style::Iproute2 => missing(style, name),
        });
    }
    Ok(name.to_owned())
}

fn delete_link(sys: &Sys, show: Show, words: &[&str]) -> Result<(), Failure> {
    let name = words.iter().find(|word| **word != "dev").copied().unwrap_or_default();
    if !sys.interfaces().iter().any(|view| view.name == name) {
        return Err(match show.style {
            Style::BusyBox => failure(&format!("ip: can't find device '{name}'"), 2),
            Style::Iproute2 => missing(show.style, name),
        });
    }
    change(sys, show.style, &Change::RemoveDevice(name.to_owned()))
}

/// `ip neighbour VERB ...`
pub(crate) fn neighbour(sys: &Sys, show: Show, verb: &str, words: &[&str]) -> Option<Result<(), Failure>> {
    match (verb, show.style) {
        ("flush" | "f", _) => Some(flush_neighbours(sys, show, words)),
        ("add" | "a" | "replace" | "change" | "chg" | "del" | "delete" | "d", Style::Iproute2) => {
            Some(change_neighbour(sys, show, verb, words))
        }
        ("add" | "replace" | "change" | "del", Style::BusyBox) => Some(Err(invalid(verb))),
        _ => None,
    }
}

fn change_neighbour(sys: &Sys, show: Show, verb: &str, words: &[&str]) -> Result<(), Failure> {
    let (mut address, mut mac, mut device) = (None, None, None);
    let mut words = Words::new(words, show.style);
    while let Some(word) = words.next() {
        match word {
            "dev" => device = Some(words.value()?),
            "lladdr" => mac = Some(words.mac()?),
            "nud" => {
                words.value()?;
            }
            "to" => address = Some(words.address()?),
            text => address = Some(Words::new(&[text], show.style).address()?),
        }
    }
    let (Some(address), Some(device)) = (address, device) else {
        return Err(failure("Device and destination are required arguments.", 255));
    };
    if !sys.interfaces().iter().any(|view| view.name == device) {
        return Err(missing(show.style, device));
    }
    let device = device.to_owned();
    if verb.starts_with('d') {
        return change(sys, show.style, &Change::RemoveNeighbour(device, address));
    }
    let existing = match verb {
        "replace" => Existing::Replace,
        "change" | "chg" => Existing::Require,
        _ => Existing::Refuse,
    };
    // An entry without a hardware address knows nothing: it is as if it were not there.
    let Some(mac) = mac else { return Ok(()) };
    change(sys, show.style, &Change::AddNeighbour(device, address, mac, existing))
}

fn flush_neighbours(sys: &Sys, show: Show, words: &[&str]) -> Result<(), Failure> {
    let (mut device, mut wanted) = (None, None);
    let mut words = Words::new(words, show.style);
    while let Some(word) = words.next() {
        match word {
            "dev" => device = Some(words.value()?),
            "nud" => {
                words.value()?;
            }
            "to" => wanted = Some(words.address()?),
            "all" => {}
            text => wanted = Some(Words::new(&[text], show.style).address()?),
        }
    }
    for entry in sys.neighbours() {
        // Permanent entries stay unless they are asked for.
        let kept = entry.state == NeighbourState::Permanent || entry.mac.is_none();
        if !kept
            && device.is_none_or(|name| entry.device == name)
            && wanted.is_none_or(|address| entry.address == address)
        {
            change(sys, show.style, &Change::RemoveNeighbour(entry.device, entry.address))?;
        }
    }
    Ok(())
}

fn change(sys: &Sys, style: Style, change: &Change) -> Result<(), Failure> {
    sys.administer(change).map_err(|errno| answer(style, errno, None))
}

/// Carries a change out; iproute2 shows what the kernel `says` beside the error number `about`.
fn carry_out(sys: &Sys, style: Style, change: &Change, says: &str, about: Errno) -> Result<(), Failure> {
    sys.administer(change).map_err(|errno| answer(style, errno, (errno == about).then_some(says)))
}

fn answer(style: Style, errno: Errno, says: Option<&str>) -> Failure {
    match (style, says) {
        (Style::BusyBox, _) => failure(&format!("ip: RTNETLINK answers: {errno}"), 2),
        (Style::Iproute2, None) => failure(&format!("RTNETLINK answers: {errno}"), 2),
        (Style::Iproute2, Some(says)) => failure(&format!("Error: {says}"), 2),
    }
}

/// A device that a change names and that is not there.
fn missing(style: Style, name: &str) -> Failure {
    match style {
        Style::BusyBox => no_device(style, name),
        Style::Iproute2 => failure(&format!("Cannot find device \"{name}\""), 1),
    }
}

fn unknown(style: Style, word: &str, object: &str) -> Failure {
    match style {
        Style::BusyBox => Failure { status: ExitCode(2), ..invalid(word) },
        Style::Iproute2 => failure(
            &format!("Error: either \"dev\" is duplicate, or \"{word}\" is a garbage in ip {object}."),
            255,
        ),
    }
}

fn failure(text: &str, status: u8) -> Failure {
    Failure { text: format!("{text}\n"), status: ExitCode(status) }
}

/// A prefix; without a length, one address.
fn prefix(text: &str, style: Style) -> Result<IpNet, Failure> {
    let parsed = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    parsed.ok_or_else(|| match style {
        Style::BusyBox => {
            let address = text.split('/').next().unwrap_or(text);
            Failure::new("ip", format!("an inet prefix is expected rather than \"{address}\""))
        }
        Style::Iproute2 => {
            failure(&format!("Error: any valid prefix is expected rather than \"{text}\"."), 1)
        }
    })
}

fn default_of(ipv6: bool) -> IpNet {
    match ipv6 {
        false => IpNet::V4(ipnet::Ipv4Net::default()),
        true => IpNet::V6(ipnet::Ipv6Net::default()),
    }
}
