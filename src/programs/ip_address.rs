//! `ip address` and `ip link`.

use ipnet::IpNet;

use super::ip::{Show, Style, behind_show, invalid, no_device};
use super::ip_details::details;
use super::options::Failure;
use crate::engine::sys::{
    AddressState, AddressView, Family, InterfaceKind, InterfaceView, IpvlanMode, Scope, Sys, UpperView,
};

/// Which entries are shown.
#[derive(Default)]
struct Filter<'a> {
    device: Option<&'a str>,
    scope: Option<Scope>,
    up: bool,
    master: Option<&'a str>,
    kind: Option<&'a str>,
}

impl<'a> Filter<'a> {
    fn parse(words: &[&'a str]) -> Result<Filter<'a>, Failure> {
        let mut filter = Filter::default();
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            let mut value = || rest.next().copied().ok_or_else(|| invalid(word));
            match *word {
                "dev" => filter.device = Some(value()?),
                "up" => filter.up = true,
                "master" => filter.master = Some(value()?),
                "type" => filter.kind = Some(value()?),
                "scope" => {
                    filter.scope = Some(match value()? {
                        "global" => Scope::Global,
                        "link" => Scope::Link,
                        "host" => Scope::Host,
                        other => return Err(invalid(other)),
                    });
                }
                name => filter.device = Some(name),
            }
        }
        Ok(filter)
    }

    fn devices(&self, sys: &Sys, style: Style) -> Result<Vec<InterfaceView>, Failure> {
        let mut devices = sys.interfaces();
        if let Some(name) = self.device
            && !devices.iter().any(|device| device.name == name)
        {
            return Err(no_device(style, name));
        }
        devices.retain(|device| {
            self.device.is_none_or(|name| device.name == name)
                && (!self.up || device.up)
                && self.master.is_none_or(|bridge| device.master.as_deref() == Some(bridge))
                && self.kind.is_none_or(|kind| kind_name(device.kind) == Some(kind))
        });
        Ok(devices)
    }
}

/// `ip address`.
pub(crate) fn addresses(sys: &Sys, show: Show, words: &[&str]) -> Result<String, Failure> {
    let words = behind_show(words);
    let filter = Filter::parse(words)?;
    let all = sys.interfaces();
    let dump = show.style == Style::BusyBox || filter.device.is_none();
    let listing = match show.family {
        Some(Family::Ipv6) if dump => Listing::Ipv6,
        _ => Listing::Addresses,
    };
    let mut text = String::new();
    for device in filter.devices(sys, show.style)? {
        let shown: Vec<&AddressView> = device
            .addresses
            .iter()
            .filter(|a| show.family.is_none_or(|family| family == family_of(&a.address)))
            .filter(|a| filter.scope.is_none_or(|scope| scope == a.scope))
            .collect();
        let filtered = show.family.is_some() || filter.scope.is_some();
        if filtered && shown.is_empty() {
            continue;
        }
        if show.brief {
            let addresses: Vec<String> = shown.iter().map(|a| format!("{} ", a.address)).collect();
            let name = device_name(&device, &all);
            text += &format!("{name:<16} {:<14} {}\n", state(&device), addresses.concat());
            continue;
        }
        if !show.one_line {
            text += &head(&device, &all, show, listing);
            if show.family.is_none() {
                text += &hardware(&device, &all, show);
            }
        }
        for address in shown {
            text += &address_lines(&device, address, show);
        }
        if show.statistics && !show.one_line {
            text += &statistics(&device);
        }
    }
    Ok(text)
}

/// `ip link`.
pub(crate) fn links(sys: &Sys, show: Show, words: &[&str]) -> Result<String, Failure> {
    let words = behind_show(words);
    let filter = Filter::parse(words)?;
    let all = sys.interfaces();
    let mut text = String::new();
    for device in filter.devices(sys, show.style)? {
        if show.brief {
            let name = device_name(&device, &all);
            text += &format!(
                "{name:<16} {:<14} {} <{}> \n",
                state(&device),
                device.mac,
                flags(&device, &all, show.style)
            );
            continue;
        }
        let mut lines = head(&device, &all, show, Listing::Links) + &hardware(&device, &all, show);
        if show.one_line {
            lines = lines.trim_end_matches('\n').replace('\n', "\\") + "\n";
        }
        text += &lines;
        if show.statistics && !show.one_line {
            text += &statistics(&device);
        }
    }
    Ok(text)
}

/// What a list of devices is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Listing {
    Links,
    Addresses,
    /// IPv6's own list of devices, which tells neither queue, nor bridge, nor group.
    Ipv6,
}

/// Index, name, flags and settings.
fn head(device: &InterfaceView, all: &[InterfaceView], show: Show, listing: Listing) -> String {
    let mut text = format!(
        "{}: {}: <{}> mtu {} {}",
        device.index,
        device_name(device, all),
        flags(device, all, show.style),
        device.mtu,
        if listing == Listing::Ipv6 { "" } else { "qdisc noqueue " },
    );
    if let Some(bridge) = device.master.as_ref().filter(|_| listing != Listing::Ipv6) {
        text += &format!("master {bridge} ");
    }
    if show.style == Style::Iproute2 {
        text += &format!("state {} ", state(device));
        text += match listing {
            Listing::Links => "mode DEFAULT group default ",
            Listing::Addresses => "group default ",
            Listing::Ipv6 => "",
        };
    }
    if queue_length(device) > 0 {
        text += &format!("qlen {}", queue_length(device));
    }
    text + "\n"
}

/// `NAME`, or `NAME@PEER` for the end of a virtual cable.
pub(crate) fn device_name(device: &InterfaceView, all: &[InterfaceView]) -> String {
    let name = &device.name;
    let Some(peer) = device.peer else { return name.clone() };
    let near = if device.peer_elsewhere { None } else { all.iter().find(|other| other.index == peer) };
    match near {
        Some(other) => format!("{name}@{}", other.name),
        None => format!("{name}@if{peer}"),
    }
}

fn flags(device: &InterfaceView, all: &[InterfaceView], style: Style) -> String {
    let mut flags = Vec::new();
    if device.up && !device.running {
        flags.push("NO-CARRIER");
    }
    match device.kind {
        InterfaceKind::Loopback => flags.push("LOOPBACK"),
        InterfaceKind::Dummy => flags.extend(["BROADCAST", "NOARP"]),
        InterfaceKind::Bridge
        | InterfaceKind::Veth
        | InterfaceKind::Nic
        | InterfaceKind::External
        | InterfaceKind::Vlan
        | InterfaceKind::Macvlan
        | InterfaceKind::Ipvlan => {
            flags.extend(["BROADCAST", "MULTICAST"]);
            if let Some(UpperView::Ipvlan(IpvlanMode::L3 | IpvlanMode::L3s, _)) = device.upper {
                flags.push("NOARP");
            }
        }
    }
    if device.up {
        flags.push("UP");
    }
    if device.up && device.running {
        flags.push("LOWER_UP");
    }
    // Neither program can see the flags of a peer elsewhere; BusyBox takes that for a peer that is down.
    let peer_down = match device.peer {
        Some(_) if device.peer_elsewhere => style == Style::BusyBox,
        Some(peer) => all.iter().any(|other| other.index == peer && !other.up),
        None => false,
    };
    if peer_down {
        flags.push("M-DOWN");
    }
    flags.join(",")
}

fn state(device: &InterfaceView) -> &'static str {
    match (device.kind, device.up, device.running) {
        (InterfaceKind::Loopback | InterfaceKind::Dummy, true, _)
        | (InterfaceKind::Macvlan | InterfaceKind::Ipvlan, true, true) => "UNKNOWN",
        (_, true, true) => "UP",
        (
            InterfaceKind::Veth | InterfaceKind::Vlan | InterfaceKind::Macvlan | InterfaceKind::Ipvlan,
            true,
            false,
        ) => "LOWERLAYERDOWN",
        _ => "DOWN",
    }
}

fn queue_length(device: &InterfaceView) -> u32 {
    match device.kind {
        InterfaceKind::Loopback => 1000,
        InterfaceKind::Bridge
        | InterfaceKind::Veth
        | InterfaceKind::Dummy
        | InterfaceKind::Nic
        | InterfaceKind::External
        | InterfaceKind::Vlan
        | InterfaceKind::Macvlan
        | InterfaceKind::Ipvlan => 0,
    }
}

fn hardware(device: &InterfaceView, all: &[InterfaceView], show: Show) -> String {
    let (kind, broadcast) = match device.kind {
        InterfaceKind::Loopback => ("loopback", "00:00:00:00:00:00"),
        _ => ("ether", "ff:ff:ff:ff:ff:ff"),
    };
    let peer = match show.style {
        Style::Iproute2 if device.peer.is_some() && device.peer_elsewhere => " link-netnsid 0",
        _ => "",
    };
    let details = match show.style {
        Style::Iproute2 if show.details => details(device, all),
        Style::Iproute2 | Style::BusyBox => String::new(),
    };
    format!("    link/{kind} {} brd {broadcast}{peer}{details}\n", device.mac)
}

fn address_lines(device: &InterfaceView, address: &AddressView, show: Show) -> String {
    let start = if show.one_line { format!("{}: {}", device.index, device.name) } else { String::new() };
    let separator = if show.one_line { "\\" } else { "\n" };
    let scope = scope_name(address.scope);
    let middle = match address.address {
        IpNet::V4(network) => {
            // Docker gives the broadcast address, `ip address add` and the kernel's loopback do not.
            let named = matches!(
                device.kind,
                InterfaceKind::Bridge | InterfaceKind::Veth | InterfaceKind::Macvlan | InterfaceKind::Ipvlan
            ) && network.prefix_len() < 31;
            let broadcast = if named { format!(" brd {}", network.broadcast()) } else { String::new() };
            format!("inet {network}{broadcast} scope {scope} {}", device.name)
        }
        IpNet::V6(network) => {
            format!("inet6 {network} scope {scope} {}", detection(address.state, show.style))
        }
    };
    format!("{start}    {middle}{separator}       valid_lft forever preferred_lft forever\n")
}

/// The flags of duplicate address detection, a space behind each.
fn detection(state: AddressState, style: Style) -> &'static str {
    match (state, style) {
        (AddressState::Valid, _) => "",
        // BusyBox prints what it knows no name for as a number, `IFA_F_NODAD` among it.
        (AddressState::Undetected, Style::BusyBox) => "flags 02 ",
        (AddressState::Undetected, Style::Iproute2) => "nodad ",
        (AddressState::Tentative, _) => "tentative ",
        (AddressState::Duplicate, Style::BusyBox) => "tentative dadfailed ",
        (AddressState::Duplicate, Style::Iproute2) => "dadfailed tentative ",
    }
}

fn statistics(device: &InterfaceView) -> String {
    let counters = &device.counters;
    format!(
        "    RX: bytes  packets  errors  dropped overrun mcast   \n    {:<10} {:<8} {:<7} {:<7} {:<7} {:<7} \n    \
         TX: bytes  packets  errors  dropped carrier collsns \n    {:<10} {:<8} {:<7} {:<7} {:<7} {:<7} \n",
        counters.received_bytes,
        counters.received_packets,
        0,
        counters.received_dropped,
        0,
        counters.received_multicast,
        counters.transmitted_bytes,
        counters.transmitted_packets,
        0,
        counters.transmitted_dropped,
        0,
        0
    )
}

fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::Global => "global",
        Scope::Link => "link",
        Scope::Host => "host",
    }
}

fn family_of(network: &IpNet) -> Family {
    match network {
        IpNet::V4(_) => Family::Ipv4,
        IpNet::V6(_) => Family::Ipv6,
    }
}

fn kind_name(kind: InterfaceKind) -> Option<&'static str> {
    match kind {
        InterfaceKind::Bridge => Some("bridge"),
        InterfaceKind::Veth => Some("veth"),
        InterfaceKind::Dummy => Some("dummy"),
        InterfaceKind::Vlan => Some("vlan"),
        InterfaceKind::Macvlan => Some("macvlan"),
        InterfaceKind::Ipvlan => Some("ipvlan"),
        InterfaceKind::Loopback | InterfaceKind::Nic | InterfaceKind::External => None,
    }
}
