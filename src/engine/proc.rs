//! What a kernel shows as files: `/proc/sys`, `/proc/net/dev` and `/sys/class/net`, as far as the rest of the kernel
//! here knows the answers. `sysctl` is these files by another name.

use std::fmt::Write as _;

use linkspan_switch::fdb::FdbConfig;

use super::Engine;
use super::administer::Change;
use super::errno::Errno;
use super::id::NamespaceId;
use super::plan::Sysctl;
use super::view::{InterfaceKind, InterfaceView, SettingsView};

/// Parameters that can be read, as files below [`PARAMETERS`].
const KEYS: [&str; 6] = [
    "net/bridge/bridge-nf-call-ip6tables",
    "net/bridge/bridge-nf-call-iptables",
    "net/ipv4/ip_forward",
    "net/ipv4/ip_local_port_range",
    "net/ipv6/conf/all/disable_ipv6",
    "net/ipv6/conf/all/forwarding",
];

const PARAMETERS: &str = "/proc/sys/";
const DEVICES: &str = "/sys/class/net/";

impl Engine {
    /// The content of a file of the kernel's; `None` if the path is not among them.
    pub(super) fn read_kernel_file(
        &self,
        namespace: NamespaceId,
        path: &str,
    ) -> Option<Result<Vec<u8>, Errno>> {
        let text = if let Some(key) = path.strip_prefix(PARAMETERS) {
            self.settings(namespace).and_then(|settings| parameter(&settings, key))
        } else if matches!(path, "/proc/net/dev" | "/proc/self/net/dev") {
            Some(counters(&self.interfaces(namespace)))
        } else if let Some(rest) = path.strip_prefix(DEVICES) {
            let (name, attribute) = rest.split_once('/').unwrap_or((rest, ""));
            let devices = self.interfaces(namespace);
            let device = devices.iter().find(|device| device.name == name);
            device.and_then(|device| {
                device_attribute(device, attribute)
                    .or_else(|| self.port_attribute(namespace, &devices, device, attribute))
            })
        } else {
            return None;
        };
        Some(text.map(|text| text.into_bytes()).ok_or(Errno::NoSuchFile))
    }

    /// The kernel's files whose paths start with `prefix`.
    pub(super) fn kernel_files(&self, namespace: NamespaceId, prefix: &str) -> Vec<String> {
        if !prefix.starts_with("/proc/") && !prefix.starts_with("/sys/") {
            return Vec::new();
        }
        let mut paths: Vec<String> = KEYS.iter().map(|key| format!("{PARAMETERS}{key}")).collect();
        paths.push("/proc/net/dev".to_owned());
        for device in self.interfaces(namespace) {
            let name = device.name;
            paths.extend(ATTRIBUTES.iter().map(|attribute| format!("{DEVICES}{name}/{attribute}")));
            if device.kind == InterfaceKind::Bridge {
                paths
                    .extend(BRIDGE_ATTRIBUTES.map(|attribute| format!("{DEVICES}{name}/bridge/{attribute}")));
            }
            if let Some(bridge) = device.master {
                for attribute in PORT_ATTRIBUTES {
                    paths.push(format!("{DEVICES}{name}/brport/{attribute}"));
                    paths.push(format!("{DEVICES}{bridge}/brif/{name}/{attribute}"));
                }
            }
        }
        paths.retain(|path| path.starts_with(prefix));
        paths.sort();
        paths
    }

    /// A file of a port: `brport/ATTRIBUTE` of the port itself, `brif/PORT/ATTRIBUTE` of its bridge.
    fn port_attribute(
        &self,
        namespace: NamespaceId,
        devices: &[InterfaceView],
        device: &InterfaceView,
        path: &str,
    ) -> Option<String> {
        let (port, attribute) = match path.split_once('/')? {
            ("bridge", attribute) if device.kind == InterfaceKind::Bridge => {
                return bridge_attribute(attribute);
            }
            ("brport", attribute) => (device, attribute),
            ("brif", rest) => {
                let (name, attribute) = rest.split_once('/')?;
                let is_port = |port: &&InterfaceView| {
                    port.name == name && port.master.as_deref() == Some(device.name.as_str())
                };
                (devices.iter().find(is_port)?, attribute)
            }
            _ => return None,
        };
        let config = self.port_config(namespace, &port.name)?;
        Some(match attribute {
            "hairpin_mode" => flag(config.hairpin),
            "isolated" => flag(config.isolated),
            "learning" => flag(true),
            // Forwarding, or disabled.
            "state" => format!("{}\n", if port.running { 3 } else { 0 }),
            _ => return None,
        })
    }
}

/// A bridge's settings as Docker leaves them, times in hundredths of a second.
fn bridge_attribute(attribute: &str) -> Option<String> {
    Some(match attribute {
        "ageing_time" => format!("{}\n", FdbConfig::default().ageing.as_millis() / 10),
        "forward_delay" => "1500\n".to_owned(),
        "multicast_snooping" => flag(true),
        "stp_state" => flag(false),
        _ => return None,
    })
}

/// A setting that is on or off.
fn flag(value: bool) -> String {
    format!("{}\n", u8::from(value))
}

/// What writing a file of the kernel's changes; `None` if it is not one of them.
pub(super) fn change_of(path: &str, content: &[u8]) -> Option<Result<Change, Errno>> {
    let Some(key) = path.strip_prefix(PARAMETERS) else {
        let others = path.starts_with("/proc/") || path.starts_with(DEVICES);
        return others.then_some(Err(Errno::PermissionDenied));
    };
    let text = String::from_utf8_lossy(content);
    let value = text.trim();
    let flag = || value.parse::<u32>().map(|number| number != 0).map_err(|_| Errno::InvalidArgument);
    let sysctl = match key {
        "net/ipv4/ip_forward" => flag().map(Sysctl::Ipv4Forward),
        "net/ipv6/conf/all/forwarding" => flag().map(Sysctl::Ipv6Forward),
        "net/ipv6/conf/all/disable_ipv6" => flag().map(Sysctl::DisableIpv6All),
        "net/bridge/bridge-nf-call-iptables" | "net/bridge/bridge-nf-call-ip6tables" => {
            flag().map(Sysctl::BridgeNetfilter)
        }
        "net/ipv4/ip_local_port_range" => {
            let numbers: Vec<u16> = value.split_whitespace().filter_map(|word| word.parse().ok()).collect();
            match numbers.as_slice() {
                [first, last] if first <= last && *first > 0 => Ok(Sysctl::LocalPortRange(*first, *last)),
                _ => Err(Errno::InvalidArgument),
            }
        }
        _ => Err(Errno::NoSuchFile),
    };
    Some(sysctl.map(Change::SetSysctl))
}

fn parameter(settings: &SettingsView, key: &str) -> Option<String> {
    Some(match key {
        "net/ipv4/ip_forward" => flag(settings.ipv4_forward),
        "net/ipv6/conf/all/forwarding" => flag(settings.ipv6_forward),
        "net/ipv6/conf/all/disable_ipv6" => flag(settings.ipv6_disabled),
        "net/bridge/bridge-nf-call-iptables" | "net/bridge/bridge-nf-call-ip6tables" => {
            flag(settings.bridge_netfilter)
        }
        "net/ipv4/ip_local_port_range" => {
            format!("{}\t{}\n", settings.local_ports.0, settings.local_ports.1)
        }
        _ => return None,
    })
}

const ATTRIBUTES: [&str; 5] = ["address", "carrier", "ifindex", "mtu", "operstate"];

const PORT_ATTRIBUTES: [&str; 4] = ["hairpin_mode", "isolated", "learning", "state"];
const BRIDGE_ATTRIBUTES: [&str; 4] = ["ageing_time", "forward_delay", "multicast_snooping", "stp_state"];

fn device_attribute(device: &InterfaceView, attribute: &str) -> Option<String> {
    let running = device.up && device.running;
    Some(match attribute {
        "address" => format!("{}\n", device.mac),
        "carrier" => format!("{}\n", u8::from(running)),
        "ifindex" => format!("{}\n", device.index),
        "mtu" => format!("{}\n", device.mtu),
        "operstate" if device.name == "lo" => "unknown\n".to_owned(),
        "operstate" => if running { "up\n" } else { "down\n" }.to_owned(),
        _ => return None,
    })
}

/// The columns of `dev_seq_printf_stats`.
fn counters(devices: &[InterfaceView]) -> String {
    let mut text = "Inter-|   Receive                                                |  Transmit\n \
                    face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo \
                    colls carrier compressed\n"
        .to_owned();
    for device in devices {
        let held = &device.counters;
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:>6}: {:>7} {:>7} {:>4} {:>4} {:>4} {:>5} {:>10} {:>9} {:>8} {:>7} {:>4} {:>4} {:>4} {:>5} {:>7} {:>10}",
            device.name,
            held.received_bytes,
            held.received_packets,
            0,
            held.received_dropped,
            0,
            0,
            0,
            0,
            held.transmitted_bytes,
            held.transmitted_packets,
            0,
            held.transmitted_dropped,
            0,
            0,
            0,
            0
        );
    }
    text
}
