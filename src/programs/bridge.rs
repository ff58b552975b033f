//! `bridge fdb` and `bridge link` of iproute2, and `brctl show`.

use super::arguments;
use super::options::{Failure, finish};
use crate::engine::sys::{ExitCode, InterfaceKind, Sys};

/// iproute2's `bridge`.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (_, words) = arguments(sys);
    let words: Vec<&str> = words.iter().map(String::as_str).filter(|word| !word.starts_with('-')).collect();
    let text = match words.as_slice() {
        ["fdb"] => fdb(sys, &[])?,
        ["fdb", "show", rest @ ..] => fdb(sys, rest)?,
        ["link"] => links(sys, &[])?,
        ["link", "show", rest @ ..] => links(sys, rest)?,
        ["fdb" | "link", ..] => {
            let text = "RTNETLINK answers: Operation not permitted\n".to_owned();
            return Err(Failure { text, status: ExitCode(255) });
        }
        _ => {
            let text = "Usage: bridge { fdb | link } [ show [ br BRIDGE ] [ dev DEVICE ] ]\n".to_owned();
            return Err(Failure { text, status: ExitCode(255) });
        }
    };
    sys.print(text).await;
    Ok(ExitCode::SUCCESS)
}

fn fdb(sys: &Sys, words: &[&str]) -> Result<String, Failure> {
    let mut entries = sys.fdb();
    for pair in words.chunks(2) {
        match pair {
            ["br" | "brport" | "dev", name]
                if !sys.interfaces().iter().any(|device| device.name == *name) =>
            {
                let text = format!("Cannot find device \"{name}\"\n");
                return Err(Failure { text, status: ExitCode(255) });
            }
            ["br", name] => entries.retain(|entry| entry.bridge == *name),
            ["brport" | "dev", name] => entries.retain(|entry| entry.device == *name),
            _ => {}
        }
    }
    let line = |entry: &crate::engine::sys::FdbView| {
        let permanent = if entry.permanent { "permanent" } else { "" };
        format!("{} dev {} master {} {permanent}\n", entry.mac, entry.device, entry.bridge)
    };
    Ok(entries.iter().map(line).collect())
}

fn links(sys: &Sys, words: &[&str]) -> Result<String, Failure> {
    let only = match words {
        ["dev", name, ..] => Some(*name),
        _ => None,
    };
    let all = sys.interfaces();
    let ports = all.iter().filter(|device| only.is_none_or(|name| device.name == name));
    let line = |device: &crate::engine::sys::InterfaceView| {
        let bridge = device.master.as_ref()?;
        let works = all.iter().any(|master| master.name == *bridge && master.up);
        let (flags, state) = match (device.up, device.running) {
            (true, true) if works => ("BROADCAST,MULTICAST,UP,LOWER_UP", "forwarding"),
            (true, true) => ("BROADCAST,MULTICAST,UP,LOWER_UP,M-DOWN", "disabled"),
            (true, false) => ("NO-CARRIER,BROADCAST,MULTICAST,UP", "disabled"),
            (false, _) => ("BROADCAST,MULTICAST", "disabled"),
        };
        let name = super::ip_address::device_name(device, &all);
        Some(format!(
            "{}: {name}: <{flags}> mtu {} master {bridge} state {state} priority 32 cost 2 \n",
            device.index, device.mtu
        ))
    };
    Ok(ports.filter_map(line).collect())
}

/// bridge-utils' `brctl show`.
pub(crate) async fn brctl(sys: Sys) -> ExitCode {
    let (program, words) = arguments(&sys);
    let only = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["show"] => None,
        ["show", name] => Some((*name).to_owned()),
        _ => {
            let failure = Failure::new(program, "expected show [BRIDGE]");
            return finish(&sys, Err(failure)).await;
        }
    };
    let all = sys.interfaces();
    sys.print("bridge name\tbridge id\t\tSTP enabled\tinterfaces\n").await;
    let bridges = all.iter().filter(|d| d.kind == InterfaceKind::Bridge);
    for bridge in bridges.filter(|d| only.as_ref().is_none_or(|name| d.name == *name)) {
        let id = bridge.mac.to_string().replace(':', "");
        let ports: Vec<&str> = all
            .iter()
            .filter(|device| device.master.as_ref() == Some(&bridge.name))
            .map(|device| device.name.as_str())
            .collect();
        let ports = ports.join("\n\t\t\t\t\t\t\t");
        sys.print(format!("{}\t\t8000.{id}\tno\t\t{ports}\n", bridge.name)).await;
    }
    ExitCode::SUCCESS
}
