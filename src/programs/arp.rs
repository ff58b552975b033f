//! `arp [-an] [-i DEVICE] [HOST]`: the IPv4 neighbours.

use super::arguments;
use super::options::{Failure, Options, Syntax, finish};
use super::resolver::{Want, resolve, reverse};
use crate::engine::sys::{ExitCode, NeighbourState, Sys};

pub(super) const SYNTAX: Syntax = Syntax {
    letters: "anvi:H:",
    long: &[],
    stop_at_operand: false,
    usage: "arp [-vn] [-i IF] [-a] [HOSTNAME]",
};

/// Shows neighbours.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let options = Options::parse(program, words, &SYNTAX)?;
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
