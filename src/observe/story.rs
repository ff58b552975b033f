//! The story of a run, told as it happens.
//!
//! Verbose: each packet has a headline, who to whom and what, and one indented line for every hop with its virtual
//! time in seconds. Packets take turns; when one comes back its headline is repeated. What the segments of a packet do
//! alike at one instant, after it was cut, is told once. The first drop for each reason is explained. Normal: one line for each packet
//! that matters, when it is delivered, refused or dropped; a lookup at the embedded DNS server is one line. ARP, NDP and the segments inside open TCP connections are
//! only counted there, unless one is lost; copies of flooded frames that reach the wrong host are not mentioned. Of lines
//! that say the same again and again, the first are told and the others counted (`flood`). Quiet: nothing.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use flood::{Alike, Floods};
use hops::describe;

use linkspan_switch::mac::MacAddress;

use super::summary::{Role, Summary, count};
use super::trail::{Trail, Trails};
use super::words::explanation;
use super::{DeviceNaming, Naming};
use crate::engine::event::{DropReason, Event, EventKind, NeighbourState};

mod flood;
mod hops;

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Verbosity {
    /// Nothing.
    Quiet,
    /// One line for each packet that matters; floods are folded.
    #[default]
    Normal,
    /// Every hop of every packet.
    Verbose,
}

/// Whether the story has colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Palette {
    /// Text only.
    #[default]
    Plain,
    /// ANSI escape sequences (ECMA-48 SGR).
    Ansi,
}

impl Palette {
    fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Strong => "1",
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Faint => "2",
            Tone::Plain => return text.to_owned(),
        };
        match self {
            Palette::Plain => text.to_owned(),
            Palette::Ansi => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}

#[derive(Clone, Copy)]
enum Tone {
    Plain,
    Strong,
    Good,
    Bad,
    Faint,
}

/// A line of a hop before it is painted.
type Line = (Tone, String);

/// Tells a run. Events go in in order.
#[derive(Debug, Default)]
pub struct Story {
    verbosity: Verbosity,
    palette: Palette,
    trails: Trails,
    /// The packet the last line was about.
    current: Option<u64>,
    /// Reasons of drops that were explained: once is enough.
    explained: BTreeSet<DropReason>,
    folded: Folded,
    floods: Floods,
    /// The last hop that was told, and whose.
    hop: (u64, String),
}

/// Packets that normal verbosity only counts.
#[derive(Debug, Default)]
struct Folded {
    resolving: usize,
    carrying: usize,
}

impl Story {
    /// A story that has not begun.
    pub fn new(verbosity: Verbosity, palette: Palette) -> Story {
        Story { verbosity, palette, ..Story::default() }
    }

    /// Tells an event: lines without line ends, perhaps none.
    pub fn push(&mut self, event: &Event, naming: &dyn Naming) -> Vec<String> {
        match self.verbosity {
            Verbosity::Quiet => Vec::new(),
            Verbosity::Normal => self.outcome(event, naming),
            Verbosity::Verbose => self.hop(event, naming),
        }
    }

    /// What is left to tell at the end.
    pub fn finish(&mut self) -> Vec<String> {
        let mut lines = self.pause();
        lines.extend(self.uneventful());
        lines
    }

    /// What is left to tell of floods when something else is told next, as the end of a step; what comes then is told anew.
    pub fn pause(&mut self) -> Vec<String> {
        let counts = self.floods.take();
        counts.into_iter().map(|text| self.palette.paint(Tone::Faint, &text)).collect()
    }

    fn uneventful(&mut self) -> Option<String> {
        self.folded.take().map(|text| self.palette.paint(Tone::Faint, &text))
    }

    fn hop(&mut self, event: &Event, naming: &dyn Naming) -> Vec<String> {
        let palette = self.palette;
        let trail = self.trails.follow(event, naming);
        let mut lines = Vec::new();
        // Trace 0 belongs to no packet.
        let id = event.trace.0;
        if id != 0 && (self.current != Some(id) || !trail.told) {
            let continued = if trail.told { " (continued)" } else { "" };
            let headline = match &trail.first {
                Some(first) => {
                    trail.told = true;
                    format!("#{id}  {}{continued}", headline(first, naming))
                }
                None => format!("#{id}"),
            };
            if trail.told || self.current != Some(id) {
                lines.push(palette.paint(Tone::Strong, &headline));
            }
        }
        self.current = Some(id);
        let time = seconds(event.time);
        for (tone, text) in describe(event, trail, naming) {
            let line = format!("  {time}  {}", palette.paint(tone, &text));
            let again = id != 0 && lines.is_empty() && self.hop == (id, line.clone());
            if !again {
                self.hop = (id, line.clone());
                lines.push(line);
            }
        }
        if let EventKind::Dropped { reason, .. } = &event.kind
            && self.explained.insert(*reason)
        {
            lines.push(format!("  {time}  {}", palette.paint(Tone::Faint, explanation(*reason))));
        }
        lines
    }

    fn outcome(&mut self, event: &Event, naming: &dyn Naming) -> Vec<String> {
        let trail = self.trails.follow(event, naming);
        if let (false, Some(first)) = (trail.told, &trail.first) {
            match first.role {
                Role::Resolves => self.folded.resolving += 1,
                Role::Carries => self.folded.carrying += 1,
                Role::Opens | Role::Ends | Role::Message => {}
            }
            trail.told = true;
        }
        let Some(End { line: (tone, text), alike }) = end(event, trail, naming) else { return Vec::new() };
        let palette = self.palette;
        let mut lines: Vec<String> =
            self.floods.ebb(event.time).iter().map(|text| palette.paint(Tone::Faint, text)).collect();
        let (told, counts) = self.floods.admit(event.time, alike);
        lines.extend(counts.iter().map(|text| palette.paint(Tone::Faint, text)));
        if told {
            lines.extend(self.uneventful());
            lines.push(format!("{}  {}", seconds(event.time), palette.paint(tone, &text)));
        }
        lines
    }
}

impl Folded {
    fn take(&mut self) -> Option<String> {
        let Folded { resolving, carrying } = std::mem::take(self);
        let mut parts = Vec::new();
        if resolving > 0 {
            parts.push(count(resolving, "ARP or discovery packet"));
        }
        if carrying > 0 {
            parts.push(format!("{} inside open connections", count(carrying, "TCP segment")));
        }
        (!parts.is_empty()).then(|| format!("            … {}", parts.join(", ")))
    }
}

/// `web → db  TCP SYN 172.18.0.2:40000 → 172.18.0.3:5432`.
fn headline(summary: &Summary, naming: &dyn Naming) -> String {
    match (summary.source, summary.destination) {
        (Some(source), Some(destination)) => {
            format!("{} → {}  {}", who(source, naming), who(destination, naming), summary.text)
        }
        _ => summary.text.clone(),
    }
}

fn who(address: IpAddr, naming: &dyn Naming) -> String {
    naming.address_owner(address).unwrap_or_else(|| address.to_string())
}

/// Virtual time in seconds, as wide as runs of a quarter of an hour need.
fn seconds(time: Duration) -> String {
    format!("{:>10.6}", time.as_secs_f64())
}

/// Docker's embedded DNS server, at 127.0.0.11 in every container on a user-defined network.
const EMBEDDED_DNS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 11));

fn is_lookup(packet: &Summary) -> bool {
    [packet.source, packet.destination].contains(&Some(EMBEDDED_DNS)) && packet.text.starts_with("DNS ")
}

/// A question to the embedded DNS server and its answer are one line, told when the answer is there; that a name has no
/// address of the other family is nothing to tell.
fn looked_up(packet: &Summary, asker: &str) -> Option<Line> {
    let (kind, answer) = packet.text.split_once(", ")?;
    let told = kind.starts_with("DNS answer")
        && !(answer.starts_with("AAAA ") && answer.ends_with(": no such record"));
    told.then(|| (Tone::Good, format!("{asker} asks {EMBEDDED_DNS} for {answer}")))
}

/// The end of a packet's way: its line, and what lines alike have in common.
struct End {
    line: Line,
    alike: Alike,
}

/// What ends a packet's way in normal verbosity, if it is worth a line.
fn end(event: &Event, trail: &Trail, naming: &dyn Naming) -> Option<End> {
    let told = |first: &Summary| {
        let mut text = headline(first, naming);
        for rewriting in &trail.rewritings {
            text.push_str(&format!(", {rewriting}"));
        }
        text
    };
    match &event.kind {
        EventKind::Delivered { namespace, .. } => {
            let first = trail.first.as_ref()?;
            match first.role {
                Role::Opens | Role::Ends | Role::Message => {}
                Role::Carries | Role::Resolves => return None,
            }
            let name = naming.namespace(*namespace);
            if is_lookup(first) {
                let line = looked_up(first, &name)?;
                return Some(End {
                    line,
                    alike: Alike::other(format!("{name} asks {EMBEDDED_DNS} for names")),
                });
            }
            let expected = first.destination.map(|d| who(d, naming)) == Some(name.clone());
            let place = if expected { String::new() } else { format!(" in {name}") };
            let verdict = format!("delivered{place}");
            Some(End {
                line: (Tone::Good, format!("{}: {verdict}", told(first))),
                alike: Alike::packet(trail, &verdict, naming),
            })
        }
        EventKind::Dropped { reason: DropReason::OtherHost | DropReason::NotForUs, .. } => None,
        EventKind::Dropped { reason, .. } => {
            let first = trail.first.as_ref();
            if first.is_some_and(|first| first.role == Role::Resolves) {
                return None;
            }
            let what = first.map_or_else(|| "a packet".to_owned(), told);
            let verdict = dropped(event, *reason, trail, naming);
            Some(End {
                line: (Tone::Bad, format!("{what}: {verdict}")),
                alike: Alike::packet(trail, &verdict, naming),
            })
        }
        EventKind::Neighbour { device, address, state: NeighbourState::Failed, .. } => {
            let device = naming.device(*device);
            Some(End {
                line: (Tone::Bad, format!("nobody on {device} answers for {address}")),
                alike: Alike::other(format!("nobody on {device} answers for an address")),
            })
        }
        EventKind::DuplicateAddress { device, address, mac } => {
            let text = duplicate_address(&naming.device(*device), *address, *mac);
            Some(End { line: (Tone::Bad, text.clone()), alike: Alike::other(text) })
        }
        EventKind::SocketError { namespace, errno, .. } => {
            let text = format!("a program in {} sees: {errno}", naming.namespace(*namespace));
            Some(End { line: (Tone::Bad, text.clone()), alike: Alike::other(text) })
        }
        EventKind::Sent { .. }
        | EventKind::Received { .. }
        | EventKind::Transmitted { .. }
        | EventKind::Bridged { .. }
        | EventKind::Filtered { .. }
        | EventKind::Routed { .. }
        | EventKind::Neighbour { .. }
        | EventKind::Fragmented { .. }
        | EventKind::Reassembled { .. }
        | EventKind::Queued { .. }
        | EventKind::Applied { .. }
        | EventKind::Undone { .. } => None,
    }
}

/// `eth0 of db may not use fe80::1: somebody else has it (02:00:00:00:00:01)`.
fn duplicate_address(device: &DeviceNaming, address: Ipv6Addr, mac: Option<MacAddress>) -> String {
    let holder = mac.map(|mac| format!(" ({mac})")).unwrap_or_default();
    format!("{device} may not use {address}: somebody else has it{holder}")
}

/// `refused at eth0 of db: nothing listens on the port`, and the rule behind it.
fn dropped(event: &Event, reason: DropReason, trail: &Trail, naming: &dyn Naming) -> String {
    let verb = match reason {
        DropReason::Rejected => "rejected",
        DropReason::NoSocket => "refused",
        _ => "dropped",
    };
    let place = match &event.kind {
        EventKind::Dropped { device: Some(device), .. } => format!(" at {}", naming.device(*device)),
        EventKind::Dropped { namespace: Some(namespace), .. } => {
            format!(" in {}", naming.namespace(*namespace))
        }
        _ => String::new(),
    };
    match trail.cause(reason) {
        Some(cause) => format!("{verb}{place} by {cause}"),
        None => format!("{verb}{place}: {}", reason.text()),
    }
}

#[cfg(test)]
mod tests;
