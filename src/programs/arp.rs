//! `arp [-an] [-i DEVICE] [HOST]`: the IPv4 neighbours; `-s HOST MAC` makes a permanent one, `-d HOST` removes one.

use super::arguments;
use super::options::{Failure, Options, Syntax, finish};
use super::resolver::{Want, resolve, reverse};
use crate::engine::sys::{Change, Errno, Existing, ExitCode, MacAddress, NeighbourState, Sys};

pub(super) const SYNTAX: Syntax = Syntax {
    letters: "anvi:H:A:p:sdD",
    long: &[],
    stop_at_operand: false,
    usage: "arp\n\
            [-vn]\t[-H HWTYPE] [-i IF] -a [HOSTNAME]\n\
            [-v]\t\t    [-i IF] -d HOSTNAME [pub]\n\
            [-v]\t[-H HWTYPE] [-i IF] -s HOSTNAME HWADDR [temp]\n\
            [-v]\t[-H HWTYPE] [-i IF] -s HOSTNAME HWADDR [netmask MASK] pub\n\
            [-v]\t[-H HWTYPE] [-i IF] -Ds HOSTNAME IFACE [netmask MASK] pub\n\n\
            Manipulate ARP cache\n\n\
            \t-a\t\tDisplay (all) hosts\n\
            \t-d\t\tDelete ARP entry\n\
            \t-s\t\tSet new entry\n\
            \t-v\t\tVerbose\n\
            \t-n\t\tDon't resolve names\n\
            \t-i IF\t\tNetwork interface\n\
            \t-D\t\tRead HWADDR from IFACE\n\
            \t-A,-p AF\tProtocol family\n\
            \t-H HWTYPE\tHardware address type",
};

/// Shows or changes neighbours.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let options = Options::parse(program, words, &SYNTAX)?;
    if options.has('s') || options.has('d') {
        change(sys, program, &options).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let only = match options.operands.first() {
        None => None,
        Some(host) => {
            let found = resolve(sys, host, Want::Ipv4).await;
            let found = found.map_err(|_| Failure::new(program, format!("bad address '{host}'")))?;
            found.first().copied().map(|address| (host, address))
        }
    };
    let mut shown = 0;
    for entry in sys.neighbours() {
        let wanted = entry.address.is_ipv4()
            && options.value('i').is_none_or(|device| entry.device == device)
            && only.is_none_or(|(_, address)| entry.address == address);
        if !wanted {
            continue;
        }
        shown += 1;
        let name = if options.has('n') { None } else { reverse(sys, entry.address).await };
        let name = name.as_deref().unwrap_or("?");
        let hardware = match (entry.mac, entry.state) {
            (Some(mac), NeighbourState::Permanent) => format!("{mac} [ether] PERM"),
            (Some(mac), state) if state != NeighbourState::Failed => format!("{mac} [ether] "),
            _ => "<incomplete> ".to_owned(),
        };
        sys.print(format!("{name} ({}) at {hardware} on {}\n", entry.address, entry.device)).await;
    }
    if let (0, Some((host, _))) = (shown, only) {
        sys.print(format!("{program}: {host}: no match found\n")).await;
    }
    Ok(ExitCode::SUCCESS)
}

async fn change(sys: &Sys, program: &str, options: &Options) -> Result<(), Failure> {
    let fail = |text: String| Failure::new(program, text);
    let mut operands = options.operands.iter();
    let host = operands.next().ok_or_else(|| fail("need host name".to_owned()))?;
    let found = resolve(sys, host, Want::Ipv4).await.ok().and_then(|found| found.first().copied());
    let address = found.ok_or_else(|| fail(format!("{host}: Host name lookup failure")))?;
    if options.has('s') {
        let text = operands.next().ok_or_else(|| fail("need hardware address".to_owned()))?;
        // An entry for others to ask for is an answer of this machine's (proxy ARP), which there is not.
        if options.has('D') || operands.any(|word| word == "pub") {
            return Err(fail(format!("SIOCSARP: {}", Errno::NotSupported)));
        }
        let mac: MacAddress = text.parse().map_err(|_| fail("invalid hardware address".to_owned()))?;
        let fails = |errno: Errno| fail(format!("SIOCSARP: {errno}"));
        let device = match options.value('i') {
            Some(device) => device.to_owned(),
            None => sys.route_to(address).map_err(fails)?.device,
        };
        let change = Change::AddNeighbour(device, address, mac, Existing::Replace);
        return sys.administer(&change).map_err(fails);
    }
    let entry = sys.neighbours().into_iter().find(|entry| {
        entry.address == address && options.value('i').is_none_or(|device| entry.device == device)
    });
    let device = match entry {
        Some(entry) => entry.device,
        None => return Err(fail(format!("SIOCDARP(pub): {}", Errno::NoSuchFile))),
    };
    sys.administer(&Change::RemoveNeighbour(device, address)).map_err(|errno| match errno {
        Errno::PermissionDenied => fail(format!("SIOCDARP(priv): {errno}")),
        errno => fail(format!("SIOCDARP(pub): {errno}")),
    })
}
