//! `ip neighbour`.

use super::ip::{Show, Style, behind_show, invalid};
use super::options::Failure;
use crate::engine::sys::{Family, NeighbourState, NeighbourView, Sys};

/// `ip neighbour`.
pub(crate) fn neighbours(sys: &Sys, show: Show, words: &[&str]) -> Result<String, Failure> {
    let words = behind_show(words);
    let (mut device, mut state, mut address) = (None, None, None);
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let mut value = || rest.next().copied().ok_or_else(|| invalid(word));
        match *word {
            "dev" => device = Some(value()?),
            "nud" => state = Some(value()?.to_ascii_uppercase()),
            "to" => address = Some(value()?),
            other => address = Some(other),
        }
    }
    let shown = |entry: &&NeighbourView| {
        device.is_none_or(|name| entry.device == name)
            && address.is_none_or(|text| entry.address.to_string() == text)
            && state.as_deref().is_none_or(|name| state_name(entry.state) == name || name == "ALL")
            && show.family.is_none_or(|family| (family == Family::Ipv4) == entry.address.is_ipv4())
    };
    Ok(sys
        .neighbours()
        .iter()
        .filter(shown)
        .map(|entry| describe(entry, show.style, device.is_some()))
        .collect())
}

fn describe(entry: &NeighbourView, style: Style, without_device: bool) -> String {
    let mut text = format!("{} ", entry.address);
    if !without_device {
        text += &format!("dev {} ", entry.device);
    }
    if let Some(mac) = entry.mac {
        text += &format!("lladdr {mac}");
    }
    let state = state_name(entry.state);
    // A timer that is to come holds a reference. BusyBox divides the times by a clock rate that makes them 0.
    let held = match entry.state {
        NeighbourState::Incomplete
        | NeighbourState::Reachable
        | NeighbourState::Delay
        | NeighbourState::Probe => " ref 1",
        NeighbourState::Stale | NeighbourState::Failed | NeighbourState::Permanent => "",
    };
    match (style, entry.mac) {
        (Style::Iproute2, None) => format!("{text}{state} \n"),
        (Style::Iproute2, Some(_)) => format!("{text} {state} \n"),
        (Style::BusyBox, _) => format!("{text}{held} used 0/0/0 probes {} {state}\n", entry.probes),
    }
}

fn state_name(state: NeighbourState) -> &'static str {
    match state {
        NeighbourState::Incomplete => "INCOMPLETE",
        NeighbourState::Reachable => "REACHABLE",
        NeighbourState::Stale => "STALE",
        NeighbourState::Delay => "DELAY",
        NeighbourState::Probe => "PROBE",
        NeighbourState::Failed => "FAILED",
        NeighbourState::Permanent => "PERMANENT",
    }
}
