//! Floods: lines of normal verbosity that say the same again and again.
//!
//! Lines are alike when the same two ends send the same kind of packet and it ends in the same way; addresses, ports,
//! sizes and numbers may differ, and addresses that nobody has are all alike. Of lines alike [`TOLD`] are told while
//! less than [`QUIET`] lies between one and the next, the others are counted; the count is told once they have ebbed
//! away, at the end of a step, or when more than [`KINDS`] kinds are about and this one was silent longest. So a story
//! grows with what happens in it and with virtual time, not with the number of packets, and what is remembered is
//! bounded.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::Naming;
use super::super::summary::Summary;
use super::super::trail::Trail;
use super::hops::trimmed;

/// Lines alike that are told before the others are counted.
const TOLD: u64 = 12;

/// Silence that ends a flood. Programs that repeat themselves once a second, as ping does, are told in full.
const QUIET: Duration = Duration::from_secs(1);

/// Kinds of lines remembered at a time: as many as packets under way.
const KINDS: usize = 4_096;

/// What lines alike have in common.
#[derive(Debug)]
pub(super) struct Alike {
    /// Who sends what to whom, without addresses and numbers.
    what: String,
    /// How it ends; empty when `what` says it all.
    verdict: String,
    /// The destination port, which may differ.
    port: Option<u16>,
}

impl Alike {
    /// A packet by its ends, its kind and its verdict.
    pub(super) fn packet(trail: &Trail, verdict: &str, naming: &dyn Naming) -> Alike {
        let Some(first) = &trail.first else {
            return Alike { what: "packets".to_owned(), verdict: verdict.to_owned(), port: None };
        };
        let translated = if trail.rewritings.is_empty() { "" } else { ", translated" };
        Alike {
            what: format!("{}{translated}", parties(first, naming)),
            verdict: verdict.to_owned(),
            port: first.destination_port,
        }
    }

    /// Something that is not about one packet.
    pub(super) fn other(what: String) -> Alike {
        Alike { what, verdict: String::new(), port: None }
    }
}

/// `web → db  TCP SYN`.
fn parties(first: &Summary, naming: &dyn Naming) -> String {
    let numeric = |word: &&str| word.contains(':') || word.starts_with(|c: char| c.is_ascii_digit());
    let kind: Vec<&str> = first.text.split_whitespace().take_while(|word| !numeric(word)).collect();
    let kind = kind.join(" ");
    match (first.source, first.destination) {
        (Some(source), Some(destination)) => {
            let who =
                |address| naming.address_owner(address).unwrap_or_else(|| "addresses of nobody".to_owned());
            format!("{} → {}  {kind}", who(source), who(destination))
        }
        _ => kind,
    }
}

/// The floods of a story.
#[derive(Debug, Default)]
pub(super) struct Floods {
    kinds: BTreeMap<(String, String), Flood>,
    /// No flood ebbs away before this moment.
    next_ebb: Duration,
}

/// Lines of one kind.
#[derive(Debug)]
struct Flood {
    told: u64,
    counted: u64,
    /// When the first and the newest line that was only counted were due.
    since: Duration,
    newest: Duration,
    /// The port of those counted; `None` when they differ.
    port: Option<u16>,
}

impl Floods {
    /// Whether a line is told. Otherwise it is counted. What room for it costs, another kind's count, comes with it.
    pub(super) fn admit(&mut self, now: Duration, alike: Alike) -> (bool, Option<String>) {
        let Alike { what, verdict, port } = alike;
        let key = (what, verdict);
        let full = self.kinds.len() >= KINDS && !self.kinds.contains_key(&key);
        let made_room = if full { self.forget_oldest() } else { None };
        let flood =
            self.kinds.entry(key).or_insert(Flood { told: 0, counted: 0, since: now, newest: now, port });
        flood.newest = now;
        if flood.told < TOLD {
            flood.told += 1;
            return (true, made_room);
        }
        if flood.counted == 0 {
            (flood.since, flood.port) = (now, port);
        }
        if flood.port != port {
            flood.port = None;
        }
        flood.counted += 1;
        (false, made_room)
    }

    /// Forgets the kinds that were silent long enough and gives their counts.
    pub(super) fn ebb(&mut self, now: Duration) -> Vec<String> {
        if now < self.next_ebb {
            return Vec::new();
        }
        let over = |flood: &Flood| now.saturating_sub(flood.newest) >= QUIET;
        let (ended, going): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut self.kinds).into_iter().partition(|(_, flood)| over(flood));
        self.next_ebb = going.values().map(|flood| flood.newest).min().unwrap_or(now).saturating_add(QUIET);
        self.kinds = going;
        counts(ended)
    }

    /// Forgets all kinds and gives their counts.
    pub(super) fn take(&mut self) -> Vec<String> {
        counts(std::mem::take(&mut self.kinds))
    }

    fn forget_oldest(&mut self) -> Option<String> {
        let (key, _) = self.kinds.iter().min_by_key(|(_, flood)| flood.newest)?;
        let key = key.clone();
        let flood = self.kinds.remove(&key)?;
        counts([(key, flood)]).pop()
    }
}

/// The counts of floods, in the order in which they began to be counted.
fn counts(floods: impl IntoIterator<Item = ((String, String), Flood)>) -> Vec<String> {
    let mut counted: Vec<_> = floods.into_iter().filter(|(_, flood)| flood.counted > 0).collect();
    counted.sort_by_key(|(_, flood)| flood.since);
    counted.iter().map(|((what, verdict), flood)| flood.count(what, verdict)).collect()
}

impl Flood {
    fn count(&self, what: &str, verdict: &str) -> String {
        let during = match self.newest.saturating_sub(self.since) {
            Duration::ZERO => String::new(),
            time => format!(" in {} s", trimmed(time)),
        };
        let port = self.port.map(|port| format!(" to port {port}")).unwrap_or_default();
        let verdict = if verdict.is_empty() { String::new() } else { format!(": {verdict}") };
        format!("            … {} more like this{during}: {what}{port}{verdict}", thousands(self.counted))
    }
}

/// A number in groups of three digits.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alike(what: &str, port: u16) -> Alike {
        Alike { what: what.to_owned(), verdict: "delivered".to_owned(), port: Some(port) }
    }

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_flood_is_told_at_first_and_counted_then() {
        let mut floods = Floods::default();
        let told = (0..50_000).filter(|millis| floods.admit(at(*millis), alike("a → b  UDP", 9)).0).count();
        assert_eq!(told as u64, TOLD);
        assert!(floods.ebb(at(50_998)).is_empty(), "it has not ebbed away yet");
        let ebbed = floods.ebb(at(50_999));
        assert_eq!(
            ebbed,
            ["            … 49,988 more like this in 49.987 s: a → b  UDP to port 9: delivered"]
        );
        assert!(floods.admit(at(51_000), alike("a → b  UDP", 9)).0, "what comes afterwards is told again");
        assert!(floods.take().is_empty());
    }

    #[test]
    fn what_comes_once_a_second_is_no_flood() {
        let mut floods = Floods::default();
        for second in 0..100 {
            assert!(floods.ebb(at(second * 1_000)).is_empty());
            assert!(floods.admit(at(second * 1_000), alike("a → b  ICMP echo request", 0)).0);
        }
    }

    #[test]
    fn ports_that_differ_are_not_named() {
        let mut floods = Floods::default();
        for port in 0..20 {
            floods.admit(at(0), alike("a → b  TCP SYN", port));
        }
        assert_eq!(floods.take(), ["            … 8 more like this: a → b  TCP SYN: delivered"]);
    }

    #[test]
    fn kinds_without_end_are_forgotten_and_lose_no_count() {
        let mut floods = Floods::default();
        let mut lines = Vec::new();
        for _ in 0..20 {
            floods.admit(at(0), alike("first", 1));
        }
        for kind in 0..3 * KINDS {
            let (told, line) = floods.admit(at(1), alike(&format!("{kind}"), 1));
            assert!(told && floods.kinds.len() <= KINDS);
            lines.extend(line);
        }
        assert_eq!(lines, ["            … 8 more like this: first to port 1: delivered"]);
        assert!(floods.take().is_empty());
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(7, "7"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(thousands(number), text);
        }
    }
}
