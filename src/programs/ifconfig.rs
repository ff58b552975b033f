//! `ifconfig [-a] [DEVICE]`: shows devices; it changes none.

use ipnet::IpNet;

use super::arguments;
use super::options::{Failure, finish};
use crate::engine::sys::{ExitCode, InterfaceKind, InterfaceView, Scope, Sys};

/// Shows devices.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let mut devices = sys.interfaces();
    match words {
        [] => devices.retain(|device| device.up),
        [option] if option == "-a" => {}
        [option, ..] if option.starts_with('-') => {
            let complaint = format!("{program}: unrecognized option: {}\n", option.trim_start_matches('-'));
            return Err(Failure::usage(&complaint, "ifconfig [-a] [INTERFACE]"));
        }
        [name] => {
            devices.retain(|device| device.name == *name);
            if devices.is_empty() {
                let text = format!("{name}: error fetching interface information: Device not found");
                return Err(Failure::new(program, text));
            }
        }
        [..] => return Err(Failure::new(program, "SIOCSIFADDR: Operation not permitted")),
    }
    devices.sort_by(|a, b| a.name.cmp(&b.name));
    for device in &devices {
        sys.print(describe(device)).await;
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(device: &InterfaceView) -> String {
    let loopback = device.kind == InterfaceKind::Loopback;
    let kind = if loopback {
        "Local Loopback  ".to_owned()
    } else {
        format!("Ethernet  HWaddr {}  ", device.mac.to_string().to_uppercase())
    };
    let mut text = format!("{:<9} Link encap:{kind}\n", device.name);
    for address in &device.addresses {
        text += &match address.address {
            IpNet::V4(network) if loopback => {
                format!("          inet addr:{}  Mask:{}\n", network.addr(), network.netmask())
            }
            IpNet::V4(network) => format!(
                "          inet addr:{}  Bcast:{}  Mask:{}\n",
                network.addr(),
                network.broadcast(),
                network.netmask()
            ),
            IpNet::V6(network) => {
                let scope = match address.scope {
                    Scope::Global => "Global",
                    Scope::Link => "Link",
                    Scope::Host => "Host",
                };
                format!("          inet6 addr: {network} Scope:{scope}\n")
            }
        };
    }
    let flags = [
        (device.up, "UP "),
        (!loopback, "BROADCAST "),
        (loopback, "LOOPBACK "),
        (device.up && device.running, "RUNNING "),
        (!loopback, "MULTICAST "),
    ];
    let flags: String = flags.into_iter().filter_map(|(set, name)| set.then_some(name)).collect();
    let counters = &device.counters;
    text += &format!(
        "          {flags} MTU:{}  Metric:1\n          RX packets:{} errors:0 dropped:{} overruns:0 frame:0\n          \
         TX packets:{} errors:0 dropped:{} overruns:0 carrier:0\n          collisions:0 txqueuelen:{} \n          \
         RX bytes:{} ({})  TX bytes:{} ({})\n\n",
        device.mtu,
        counters.received_packets,
        counters.received_dropped,
        counters.transmitted_packets,
        counters.transmitted_dropped,
        if loopback { 1000 } else { 0 },
        counters.received_bytes,
        readable(counters.received_bytes),
        counters.transmitted_bytes,
        readable(counters.transmitted_bytes),
    );
    text
}

/// Bytes as ifconfig shows them in parentheses: one decimal, steps of 1,024.
fn readable(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut tenths, mut unit) = (u128::from(bytes) * 10, 0);
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}
