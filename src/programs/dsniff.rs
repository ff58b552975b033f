//! `macof` and `arpspoof` of dsniff 2.4: what a machine on the wire does to a switch's table and to its neighbours' tables.
//!
//! `macof` sends TCP SYNs from ever new hardware addresses; one time in two those are group addresses, which a bridge
//! refuses. `arpspoof` says every two seconds that an address is at its own hardware address, to one target or to all. It
//! does not clean up when it is ended. Both need CAP_NET_RAW; options that are not named in their usage are refused.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::arguments;
use super::arping::message;
use super::craft::{self, Flood, IpHeader, TcpHeader, random_address};
use super::options::{Failure, Mistake, Options, Syntax, finish};
use super::resolver::{Want, resolve};
use crate::engine::sys::{Errno, ExitCode, InterfaceKind, InterfaceView, MacAddress, PacketSocket, Sys};

pub(super) const MACOF: Syntax = Syntax {
    letters: "s:d:e:x:y:i:n:",
    long: &[],
    stop_at_operand: false,
    usage: "macof [-s src] [-d dst] [-e tha] [-x sport] [-y dport]\n             [-i interface] [-n times]",
};

pub(super) const ARPSPOOF: Syntax = Syntax {
    letters: "i:t:r",
    long: &[],
    stop_at_operand: false,
    usage: "arpspoof [-i interface] [-t target] [-r] host",
};

/// Between two claims.
const CLAIM: Duration = Duration::from_secs(2);

/// What macof's segments say.
const SYN: u8 = 2;
const WINDOW: u16 = 512;

/// Fills a switch's table.
pub(crate) async fn macof(sys: Sys) -> ExitCode {
    let result = flood(&sys).await;
    finish(&sys, result).await
}

/// Claims an address.
pub(crate) async fn arpspoof(sys: Sys) -> ExitCode {
    let result = spoof(&sys).await;
    finish(&sys, result).await
}

async fn flood(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let options = read(program, words, &MACOF)?;
    if !options.operands.is_empty() {
        return Err(usage("", &MACOF));
    }
    let (_, socket) = open(sys, program, options.value('i'))?;
    let times: Option<u32> = options.value('n').map(|_| options.number(program, 'n', 0)).transpose()?;
    let source = address(sys, program, options.value('s')).await?;
    let destination = address(sys, program, options.value('d')).await?;
    let port = |letter| options.value(letter).map(|_| options.number(program, letter, 0u16)).transpose();
    let (from, to) = (port('x')?, port('y')?);
    let target: Option<MacAddress> = match options.value('e') {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| usage("", &MACOF))?),
    };
    let mut pace = Flood::default();
    let mut sent = 0;
    while times.is_none_or(|times| sent < times) {
        let own = random_mac(sys);
        let towards = target.map_or_else(|| random_mac(sys), |target| target.0);
        let random = sys.random().to_be_bytes();
        let (drawn_from, drawn_to) =
            (u16::from_be_bytes([random[0], random[1]]), u16::from_be_bytes([random[2], random[3]]));
        let ip = IpHeader {
            source: source.unwrap_or_else(|| random_address(sys)),
            destination: destination.unwrap_or_else(|| random_address(sys)),
            protocol: craft::TCP,
            ttl: 64,
            identification: drawn_from ^ drawn_to,
            dont_fragment: false,
            more_fragments: false,
            offset: 0,
        };
        let ports = (from.unwrap_or(drawn_from), to.unwrap_or(drawn_to));
        let sequence = sys.random();
        let header = TcpHeader { ports, sequence, flags: SYN, window: WINDOW, ..TcpHeader::default() };
        let packet = ip.packet(&craft::tcp(&ip, &header, &[]));
        let frame = [&towards[..], &own, &[8, 0], &packet].concat();
        socket.send(&frame).map_err(|errno| Failure::new(program, format!("write: {errno}")))?;
        sent += 1;
        let (own, towards) = (MacAddress(own), MacAddress(towards));
        let (source, destination) = (ip.source, ip.destination);
        let ends = format!("{source}.{} > {destination}.{}", ports.0, ports.1);
        sys.print_error(format!("{own} {towards} {ends}: S {sequence}:{sequence}(0) win {WINDOW}\n")).await;
        pace.pause(sys).await;
    }
    Ok(ExitCode::SUCCESS)
}

async fn spoof(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let options = read(program, words, &ARPSPOOF)?;
    let [host] = options.operands.as_slice() else { return Err(usage("", &ARPSPOOF)) };
    if options.has('r') && options.value('t').is_none() {
        return Err(usage("", &ARPSPOOF));
    }
    let host = address(sys, program, Some(host)).await?.unwrap_or(Ipv4Addr::UNSPECIFIED);
    let target = address(sys, program, options.value('t')).await?;
    let (device, socket) = open(sys, program, options.value('i'))?;
    let own = device.mac.0;
    // Who is told, and what.
    let mut claims: Vec<([u8; 6], Ipv4Addr, Ipv4Addr)> = Vec::new();
    match target {
        None => claims.push(([0xff; 6], Ipv4Addr::UNSPECIFIED, host)),
        Some(target) => {
            let find = async |address: Ipv4Addr| {
                let missing = || Failure::new(program, format!("couldn't arp for host {address}"));
                find_mac(sys, &device, address).await.ok_or_else(missing)
            };
            claims.push((find(target).await?, target, host));
            if options.has('r') {
                claims.push((find(host).await?, host, target));
            }
        }
    }
    loop {
        for (towards, told, claimed) in &claims {
            let frame = message(*towards, true, (own, *claimed), (*towards, *told));
            socket.send(&frame).map_err(|errno| Failure::new(program, format!("write: {errno}")))?;
            let (mac, towards) = (MacAddress(own), MacAddress(*towards));
            sys.print_error(format!("{mac} {towards} 0806 42: arp reply {claimed} is-at {mac}\n")).await;
        }
        sys.sleep(CLAIM).await;
    }
}

/// Asks the kernel for a neighbour's hardware address, by sending something there.
async fn find_mac(sys: &Sys, device: &InterfaceView, address: Ipv4Addr) -> Option<[u8; 6]> {
    const NOWHERE: u16 = 67;
    let known = || {
        let mut neighbours = sys.neighbours().into_iter();
        let entry = neighbours.find(|n| n.device == device.name && n.address == IpAddr::V4(address))?;
        entry.mac.map(|mac| mac.0)
    };
    for _ in 0..3 {
        if let Some(mac) = known() {
            return Some(mac);
        }
        let socket = sys.udp_socket().ok()?;
        // Whether it arrives does not matter.
        let _ = socket.send_to(&[0], (address, NOWHERE).into());
        sys.sleep(Duration::from_secs(1)).await;
    }
    known()
}

/// The interface, the first one if none is named, and a socket on it.
fn open(sys: &Sys, program: &str, name: Option<&str>) -> Result<(InterfaceView, PacketSocket), Failure> {
    let fits = |device: &InterfaceView| match name {
        Some(name) => device.name == name,
        None => device.up && device.kind != InterfaceKind::Loopback,
    };
    let device = sys.interfaces().into_iter().find(fits).ok_or_else(|| {
        let text =
            name.map_or_else(|| "no suitable device found".to_owned(), |n| format!("unknown device {n}"));
        Failure::new(program, text)
    })?;
    // The EtherType is one that nobody uses: only to send.
    let socket = sys.packet_socket(&device.name, Some(0)).map_err(|errno| match errno {
        Errno::PermissionDenied => {
            Failure::new(program, "libnet_open_link(): UID/EUID 0 or capability CAP_NET_RAW required")
        }
        _ => Failure::new(program, format!("libnet_open_link(): {errno}")),
    })?;
    Ok((device, socket))
}

async fn address(sys: &Sys, program: &str, text: Option<&str>) -> Result<Option<Ipv4Addr>, Failure> {
    let Some(text) = text else { return Ok(None) };
    match resolve(sys, text, Want::Ipv4).await.ok().and_then(|found| found.first().copied()) {
        Some(IpAddr::V4(address)) => Ok(Some(address)),
        Some(IpAddr::V6(_)) | None => Err(Failure::new(program, format!("unknown host {text}"))),
    }
}

fn random_mac(sys: &Sys) -> [u8; 6] {
    let (high, low) = (sys.random().to_be_bytes(), sys.random().to_be_bytes());
    [high[0], high[1], high[2], high[3], low[0], low[1]]
}

fn read(program: &str, words: &[String], syntax: &Syntax) -> Result<Options, Failure> {
    Options::read(words, syntax).map_err(|mistake| match mistake {
        Mistake::Unknown(option) => usage(&format!("{program}: invalid option -- '{option}'\n"), syntax),
        Mistake::NoValue(option) => {
            usage(&format!("{program}: option requires an argument -- '{option}'\n"), syntax)
        }
    })
}

fn usage(complaint: &str, syntax: &Syntax) -> Failure {
    let text = format!("{complaint}Version: 2.4\nUsage: {}\n", syntax.usage);
    Failure { text, status: ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use crate::engine::sys::{Powers, Privilege};

    #[test]
    fn macof_fills_the_table_with_addresses_that_nobody_has() {
        let world = World::new();
        let known = |world: &World| world.run("host", "bridge fdb show br br0").0.lines().count();
        let before = known(&world);
        let (printed, status) = world.run("a", "macof -i eth0 -n 40 -s 10.9.9.9 -y 80");
        assert_eq!((printed.lines().count(), status), (40, 0), "{printed}");
        assert!(
            printed.lines().all(|line| line.contains(" 10.9.9.9.") && line.contains(".80: S ")),
            "{printed}"
        );
        let after = known(&world);
        assert!(after > before + 5 && after <= before + 40, "{before} {after}");
    }

    #[test]
    fn arpspoof_moves_a_neighbours_entry_to_itself() {
        let world = World::new();
        world.run("b", "ping -c 1 10.0.0.1");
        let (printed, _) = world.run("a", "timeout 3 arpspoof -i eth0 -t 10.0.0.3 10.0.0.1");
        let line = "02:42:0a:00:00:02 02:42:0a:00:00:03 0806 42: arp reply 10.0.0.1 is-at 02:42:0a:00:00:02";
        assert_eq!(printed.lines().filter(|printed| *printed == line).count(), 2, "{printed}");
        assert!(world.run("b", "ip neigh").0.contains("10.0.0.1 dev eth0 lladdr 02:42:0a:00:00:02"));
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        let world = World::new();
        for (line, says) in [
            ("macof -z", "macof: invalid option -- 'z'\nVersion: 2.4\nUsage: macof [-s src]"),
            ("macof -i eth7", "macof: unknown device eth7\n"),
            ("macof -e nonsense", "Usage: macof"),
            ("arpspoof", "Usage: arpspoof [-i interface]"),
            ("arpspoof -r 10.0.0.1", "Usage: arpspoof [-i interface]"),
            ("arpspoof -t 10.0.0.9 10.0.0.1", "arpspoof: couldn't arp for host 10.0.0.9\n"),
        ] {
            let (printed, status) = world.run("a", line);
            assert!(printed.contains(says) && status == 1, "{line}: {printed}");
        }
        let powers = Powers { privilege: Privilege::Ordinary, raw: false };
        for words in [&["macof", "-n", "1"][..], &["arpspoof", "10.0.0.1"]] {
            let started = world.start_as("a", powers, words);
            assert_eq!(world.finish(&started), 1);
            assert!(started.text().contains("capability CAP_NET_RAW required"), "{}", started.text());
        }
    }
}
