//! `ifconfig [-a] [DEVICE [ADDRESS] [netmask MASK] [up|down] ...]`: shows devices, or changes one.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

use super::arguments;
use super::options::{Failure, finish};
use super::resolver::{Want, resolve};
use crate::engine::sys::{
    Change, DuplicateDetection, Errno, ExitCode, InterfaceKind, InterfaceView, Scope, Sys,
};

const USAGE: &str = "ifconfig [-a] [IFACE] [ADDRESS]\n\n\
    Configure a network interface\n\n\
    \t[add ADDRESS[/PREFIXLEN]]\n\
    \t[del ADDRESS[/PREFIXLEN]]\n\
    \t[[-]broadcast [ADDRESS]] [[-]pointopoint [ADDRESS]]\n\
    \t[netmask ADDRESS] [dstaddr ADDRESS]\n\
    \t[outfill NN] [keepalive NN]\n\
    \t[hw ether|infiniband ADDRESS] [metric NN] [mtu NN]\n\
    \t[[-]trailers] [[-]arp] [[-]allmulti]\n\
    \t[multicast] [[-]promisc] [txqueuelen NN] [[-]dynamic]\n\
    \t[mem_start NN] [io_addr NN] [irq NN]\n\
    \t[up|down] ...";

/// Shows or changes devices.
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
            return Err(Failure::usage(&complaint, USAGE));
        }
        [name] => {
            devices.retain(|device| device.name == *name);
            if devices.is_empty() {
                let text = format!("{name}: error fetching interface information: Device not found");
                return Err(Failure::new(program, text));
            }
        }
        [name, words @ ..] => {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            change(sys, program, name, &words).await?;
            return Ok(ExitCode::SUCCESS);
        }
    }
    devices.sort_by(|a, b| a.name.cmp(&b.name));
    for device in &devices {
        sys.print(describe(device)).await;
    }
    Ok(ExitCode::SUCCESS)
}

/// Carries out what stands behind a device's name, word by word as BusyBox does. `eth0:1` is another address of `eth0`.
async fn change(sys: &Sys, program: &str, name: &str, words: &[&str]) -> Result<(), Failure> {
    let (device, alias) = match name.split_once(':') {
        Some((device, _)) => (device, true),
        None => (name, false),
    };
    let usage = || Failure::usage("", USAGE);
    let call = |call: &str, change: &Change| {
        sys.administer(change).map_err(|errno| Failure::new(program, format!("{call}: {errno}")))
    };
    let unknown = |call: &str| Failure::new(program, format!("{call}: {}", Errno::NoSuchDevice));
    let view = sys.interfaces().into_iter().find(|view| view.name == device);
    // The address that `netmask` is about.
    let mut current = view.as_ref().filter(|_| !alias).and_then(primary);
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(usage);
        match word {
            "up" | "down" => {
                view.as_ref().ok_or_else(|| unknown("SIOCGIFFLAGS"))?;
                if !alias {
                    call("SIOCSIFFLAGS", &Change::SetUp(device.to_owned(), word == "up"))?;
                }
            }
            "mtu" => {
                let mtu = value()?.parse().unwrap_or(0);
                call("SIOCSIFMTU", &Change::SetMtu(device.to_owned(), mtu))?;
            }
            "hw" => {
                let (kind, text) = (value()?, value()?);
                let mac = text.parse().ok().filter(|_| kind == "ether");
                let mac = mac.ok_or_else(|| Failure::new(program, format!("invalid hw-addr {text}")))?;
                call("SIOCSIFHWADDR", &Change::SetMac(device.to_owned(), mac))?;
            }
            "add" | "del" => {
                let text = value()?;
                let address =
                    text.parse::<IpNet>().ok().or_else(|| Some(IpNet::from(text.parse::<IpAddr>().ok()?)));
                let address =
                    address.ok_or_else(|| Failure::new(program, format!("bad address '{text}'")))?;
                view.as_ref().ok_or_else(|| unknown("SIOCGIFINDEX"))?;
                match word {
                    "add" => call(
                        "SIOCSIFADDR",
                        &Change::AddAddress(device.to_owned(), address, DuplicateDetection::Wanted),
                    )?,
                    _ => call("SIOCDIFADDR", &Change::RemoveAddress(device.to_owned(), address))?,
                }
            }
            "netmask" => {
                let text = value()?;
                let mask =
                    text.parse::<Ipv4Addr>().ok().and_then(|mask| ipnet::ipv4_mask_to_prefix(mask).ok());
                let prefix = mask.ok_or_else(|| Failure::new(program, format!("bad address '{text}'")))?;
                view.as_ref().ok_or_else(|| unknown("SIOCSIFNETMASK"))?;
                let held = current.ok_or_else(|| {
                    Failure::new(program, format!("SIOCSIFNETMASK: {}", Errno::AddressNotAvailable))
                })?;
                current =
                    Some(replace(sys, program, "SIOCSIFNETMASK", device, current, held.addr(), prefix)?);
            }
            "-arp" => return Err(Failure::new(program, format!("SIOCSIFFLAGS: {}", Errno::NotSupported))),
            "broadcast" | "pointopoint" | "dstaddr" | "metric" | "txqueuelen" | "keepalive" | "outfill"
            | "mem_start" | "io_addr" | "irq" | "tunnel" => {
                value()?;
            }
            "-broadcast" | "-pointopoint" | "arp" | "trailers" | "-trailers" | "promisc" | "-promisc"
            | "multicast" | "-multicast" | "allmulti" | "-allmulti" | "dynamic" | "-dynamic" => {}
            text => {
                let found =
                    resolve(sys, text, Want::Ipv4).await.ok().and_then(|found| found.first().copied());
                let Some(IpAddr::V4(address)) = found else {
                    return Err(Failure::new(program, format!("bad address '{text}'")));
                };
                view.as_ref().ok_or_else(|| unknown("SIOCSIFADDR"))?;
                if address.is_unspecified() {
                    if let Some(held) = current.take() {
                        call("SIOCSIFADDR", &Change::RemoveAddress(device.to_owned(), IpNet::V4(held)))?;
                    }
                    continue;
                }
                let prefix = class_prefix(address);
                current = Some(replace(sys, program, "SIOCSIFADDR", device, current, address, prefix)?);
                call("SIOCSIFFLAGS", &Change::SetUp(device.to_owned(), true))?;
            }
        }
    }
    Ok(())
}

/// Puts an address in the place of another one.
fn replace(
    sys: &Sys,
    program: &str,
    call: &str,
    device: &str,
    before: Option<Ipv4Net>,
    address: Ipv4Addr,
    prefix: u8,
) -> Result<Ipv4Net, Failure> {
    let fails = |errno: Errno| Failure::new(program, format!("{call}: {errno}"));
    let wanted = Ipv4Net::new(address, prefix).map_err(|_| fails(Errno::InvalidArgument))?;
    if before == Some(wanted) {
        return Ok(wanted);
    }
    if let Some(before) = before {
        sys.administer(&Change::RemoveAddress(device.to_owned(), IpNet::V4(before))).map_err(fails)?;
    }
    sys.administer(&Change::AddAddress(device.to_owned(), IpNet::V4(wanted), DuplicateDetection::Wanted))
        .map_err(fails)?;
    Ok(wanted)
}

fn primary(device: &InterfaceView) -> Option<Ipv4Net> {
    device.addresses.iter().find_map(|held| match held.address {
        IpNet::V4(network) => Some(network),
        IpNet::V6(_) => None,
    })
}

/// The prefix the kernel gives an address that comes without a mask (`inet_abc_len`).
fn class_prefix(address: Ipv4Addr) -> u8 {
    match address.octets()[0] {
        0..=127 => 8,
        128..=191 => 16,
        192..=223 => 24,
        _ => 32,
    }
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
