//! What a kernel shows as files: `/proc/sys`, `/proc/net/dev`, `/proc/net/snmp`, `snmp6`, `netstat`, the tables of `proc_net`, and
//! `/sys/class/net`, as far as the rest of the kernel here knows the answers. `sysctl` is these files by another name.

use std::fmt::Write as _;

use linkspan_nat::interface::InterfaceName;
use linkspan_nat::rule::Family;
use linkspan_switch::fdb::FdbConfig;

use super::Engine;
use super::administer::Change;
use super::errno::Errno;
use super::id::NamespaceId;
use super::interface_settings::{InterfaceParameter, SettingScope};
use super::namespace_settings::{NamespaceParameter, integer};
use super::plan::{SettingError, Sysctl};
use super::proc_net::FILES;
use super::view::{InterfaceKind, InterfaceView, SettingsView};

/// Parameters that can be read besides those of interfaces, as files below [`PARAMETERS`].
const KEYS: [&str; 4] = [
    "net/bridge/bridge-nf-call-ip6tables",
    "net/bridge/bridge-nf-call-iptables",
    "net/ipv4/ip_forward",
    "net/ipv4/ip_local_port_range",
];

const PARAMETERS: &str = "/proc/sys/";
/// The interfaces' folders there.
const INTERFACES_V4: &str = "net/ipv4/conf/";
const INTERFACES_V6: &str = "net/ipv6/conf/";
const DEVICES: &str = "/sys/class/net/";

impl Engine {
    /// The content of a file of the kernel's; `None` if the path is not among them.
    pub(super) fn read_kernel_file(
        &self,
        namespace: NamespaceId,
        path: &str,
    ) -> Option<Result<Vec<u8>, Errno>> {
        let text = if let Some(key) = path.strip_prefix(PARAMETERS) {
            match key.strip_prefix(INTERFACES_V4).or_else(|| key.strip_prefix(INTERFACES_V6)) {
                Some(_) => self.interface_parameter(namespace, key).map(|value| format!("{value}\n")),
                None => match NamespaceParameter::find(key) {
                    Some(parameter) => Some(format!("{}\n", self.namespace_setting(namespace, parameter))),
                    None => self.settings(namespace).and_then(|settings| parameter(&settings, key)),
                },
            }
        } else if matches!(path, "/proc/net/dev" | "/proc/self/net/dev") {
            Some(counters(&self.interfaces(namespace)))
        } else if let Some(text) = net_file(path).and_then(|name| self.table_file(namespace, name)) {
            Some(text)
        } else if let Some(text) = self.snmp.file(namespace, path) {
            Some(text)
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
        paths.extend(NamespaceParameter::all().map(|parameter| format!("{PARAMETERS}{}", parameter.key())));
        paths.extend(
            ["/proc/net/dev", "/proc/net/netstat", "/proc/net/snmp", "/proc/net/snmp6"].map(str::to_owned),
        );
        paths.extend(FILES.map(|name| format!("/proc/net/{name}")));
        let devices = self.interfaces(namespace);
        for (family, folder) in [(Family::Ipv4, INTERFACES_V4), (Family::Ipv6, INTERFACES_V6)] {
            let scopes =
                ["all", "default"].into_iter().chain(devices.iter().map(|device| device.name.as_str()));
            for scope in scopes {
                paths.extend(
                    InterfaceParameter::all(family)
                        .map(|parameter| format!("{PARAMETERS}{folder}{scope}/{}", parameter.name())),
                );
            }
        }
        for device in devices {
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

    fn interface_parameter(&self, namespace: NamespaceId, key: &str) -> Option<i64> {
        let (scope, parameter) = interface_key(key)?;
        self.interface_setting(namespace, scope, parameter)
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
            "state" => {
                let bridge = devices.iter().find(|bridge| Some(&bridge.name) == port.master.as_ref());
                let forwards = port.running && bridge.is_some_and(|bridge| bridge.up);
                format!("{}\n", if forwards { 3 } else { 0 })
            }
            _ => return None,
        })
    }
}

impl Sysctl {
    /// The setting that a file below `/proc/sys/` is, with the value that its new content says.
    ///
    /// # Errors
    /// [`SettingError::Unknown`] if no such parameter is known here, [`SettingError::Value`] if it does not take the value.
    pub fn parse(key: &str, value: &str) -> Result<Sysctl, SettingError> {
        let number = || {
            let number = integer(value).and_then(|number| i32::try_from(number).ok());
            number.map(i64::from).ok_or(SettingError::Value)
        };
        let flag = || number().map(|number| number != 0);
        if let Some((scope, parameter)) = interface_key(key) {
            let value = number().ok().filter(|value| parameter.takes(*value)).ok_or(SettingError::Value)?;
            return Ok(Sysctl::interface(scope, parameter, value));
        }
        if let Some(parameter) = NamespaceParameter::find(key) {
            return parameter.parse(value).map(Sysctl::Namespace);
        }
        match key {
            "net/ipv4/ip_forward" => flag().map(Sysctl::Ipv4Forward),
            "net/bridge/bridge-nf-call-iptables" | "net/bridge/bridge-nf-call-ip6tables" => {
                flag().map(Sysctl::BridgeNetfilter)
            }
            "net/ipv4/ip_local_port_range" => {
                let numbers: Vec<u16> =
                    value.split_whitespace().filter_map(|word| word.parse().ok()).collect();
                match numbers.as_slice() {
                    [first, last] if first <= last && *first > 0 => Ok(Sysctl::LocalPortRange(*first, *last)),
                    _ => Err(SettingError::Value),
                }
            }
            _ => Err(SettingError::Unknown),
        }
    }
}

/// A path below `net/ipv4/conf/` or `net/ipv6/conf/`: whose parameter, and which.
fn interface_key(key: &str) -> Option<(SettingScope, InterfaceParameter)> {
    let (family, rest) = match key.strip_prefix(INTERFACES_V4) {
        Some(rest) => (Family::Ipv4, rest),
        None => (Family::Ipv6, key.strip_prefix(INTERFACES_V6)?),
    };
    let (scope, name) = rest.split_once('/')?;
    let scope = match scope {
        "all" => SettingScope::All,
        "default" => SettingScope::Default,
        interface => SettingScope::Interface(InterfaceName::parse(interface).ok()?),
    };
    Some((scope, InterfaceParameter::find(family, name)?))
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
    let sysctl = Sysctl::parse(key, text.trim()).map_err(|error| match error {
        SettingError::Unknown => Errno::NoSuchFile,
        SettingError::Value => Errno::InvalidArgument,
    });
    Some(sysctl.map(Change::SetSysctl))
}

/// The name of a file below `/proc/net`.
fn net_file(path: &str) -> Option<&str> {
    path.strip_prefix("/proc/net/").or_else(|| path.strip_prefix("/proc/self/net/"))
}

fn parameter(settings: &SettingsView, key: &str) -> Option<String> {
    Some(match key {
        "net/ipv4/ip_forward" => flag(settings.ipv4_forward),
        "net/bridge/bridge-nf-call-iptables" | "net/bridge/bridge-nf-call-ip6tables" => {
            flag(settings.bridge_netfilter)
        }
        "net/ipv4/ip_local_port_range" => {
            format!("{}\t{}\n", settings.local_ports.0, settings.local_ports.1)
        }
        _ => return None,
    })
}

const ATTRIBUTES: [&str; 6] = ["address", "carrier", "ifindex", "iflink", "mtu", "operstate"];

const PORT_ATTRIBUTES: [&str; 4] = ["hairpin_mode", "isolated", "learning", "state"];
const BRIDGE_ATTRIBUTES: [&str; 4] = ["ageing_time", "forward_delay", "multicast_snooping", "stp_state"];

fn device_attribute(device: &InterfaceView, attribute: &str) -> Option<String> {
    let running = device.up && device.running;
    Some(match attribute {
        "address" => format!("{}\n", device.mac),
        "carrier" => format!("{}\n", u8::from(running)),
        "ifindex" => format!("{}\n", device.index),
        "iflink" => format!("{}\n", device.peer.unwrap_or(device.index)),
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
