//! A matrix as text for people: a grid where it fits, else a list by source; what servers see; what it cost.
//!
//! A cell has one sign for each thing tried, in a fixed order: name, ping, TCP, UDP. A letter is good news, a mark says
//! what came instead. With several names, addresses or ports a letter stands for all, a small letter for some. Columns
//! are as wide as their contents, so the text depends on the matrix only, never on a terminal.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{By, Matrix, Outcome, Party, PartyId, PartyKind, PartyState, Tried};
use crate::scenario::render::{Style, counted, totals};
use crate::world::probe::Attempt;

/// Parties of the largest grid; more make a list.
const GRID: usize = 14;
/// Longest list of sources in a line; of a longer one the rest is counted.
const SOURCES: usize = 8;

impl Matrix {
    /// Lines for people. `verbose` adds every attempt.
    #[must_use]
    pub fn table(&self, style: Style, verbose: bool) -> Vec<String> {
        let mut lines = Vec::new();
        let cells = self.cells();
        let signs = Signs::of(&cells);
        if self.parties.len() <= GRID {
            lines.extend(self.grid(&cells, signs, style));
        } else {
            lines.extend(self.list(&cells, signs, style));
        }
        lines.push(String::new());
        lines.extend(legend(signs).into_iter().map(|line| style.faint(&line)));
        for (heading, section) in [
            ("published ports", self.published(style)),
            ("whom servers see, where it is not the client's own address", self.translated()),
            ("not running", self.down()),
        ] {
            if !section.is_empty() {
                lines.push(String::new());
                lines.push(style.strong(heading));
                lines.extend(section.into_iter().map(|line| format!("  {line}")));
            }
        }
        if verbose {
            lines.push(String::new());
            lines.push(style.strong("every attempt"));
            lines.extend(self.details(style));
        }
        lines.push(String::new());
        lines.push(self.summary());
        lines
    }

    /// One line: how much was tried, how much works, and what it cost.
    #[must_use]
    pub fn summary(&self) -> String {
        let works = self.attempts.iter().filter(|tried| tried.outcome.reaches()).count();
        let attempts = counted(self.attempts.len() as u64, "attempt");
        format!("{attempts}, {works} reach their target; {}", totals(&self.totals))
    }

    fn cells(&self) -> BTreeMap<(PartyId, PartyId), Cell> {
        let mut cells: BTreeMap<(PartyId, PartyId), Cell> = BTreeMap::new();
        for tried in &self.attempts {
            cells.entry((tried.from, tried.to)).or_default().add(tried);
        }
        cells
    }

    fn grid(&self, cells: &BTreeMap<(PartyId, PartyId), Cell>, signs: Signs, style: Style) -> Vec<String> {
        let label = |party: &Party| clean(&party.label);
        let corner = "from \\ to";
        let first = self.parties.iter().map(|p| label(p).chars().count()).max().unwrap_or(0);
        let first = first.max(corner.len());
        let width = |party: &Party| label(party).chars().count().max(signs.width());
        let mut head = style.faint(&format!("{corner:<first$}"));
        for party in &self.parties {
            head.push_str(&format!("  {}", style.strong(&pad(&label(party), width(party)))));
        }
        let mut lines = vec![trimmed(head)];
        for (from, source) in self.numbered() {
            if source.state != PartyState::Up {
                continue;
            }
            let mut line = style.strong(&pad(&label(source), first));
            for (to, target) in self.numbered() {
                let text = match cells.get(&(from, to)) {
                    Some(cell) => cell.text(signs),
                    None => " ".to_owned(),
                };
                let padded = pad(&text, width(target));
                let cell = cells.get(&(from, to));
                line.push_str(&format!(
                    "  {}",
                    cell.map_or(padded.clone(), |cell| cell.paint(&padded, style))
                ));
            }
            lines.push(trimmed(line));
        }
        lines
    }

    fn list(&self, cells: &BTreeMap<(PartyId, PartyId), Cell>, signs: Signs, style: Style) -> Vec<String> {
        let mut lines = Vec::new();
        for (from, source) in self.numbered().filter(|(_, party)| party.state == PartyState::Up) {
            lines.push(style.strong(&clean(&source.label)));
            let mut groups: Vec<(String, &Cell, Vec<String>)> = Vec::new();
            for (to, target) in self.numbered() {
                let Some(cell) = cells.get(&(from, to)) else { continue };
                let text = cell.text(signs);
                match groups.iter_mut().find(|(known, ..)| *known == text) {
                    Some((_, _, targets)) => targets.push(clean(&target.label)),
                    None => groups.push((text, cell, vec![clean(&target.label)])),
                }
            }
            for (text, cell, targets) in groups {
                lines.push(format!(
                    "  {}  {}",
                    cell.paint(&pad(&text, signs.width()), style),
                    targets.join(" ")
                ));
            }
        }
        lines
    }

    fn published(&self, style: Style) -> Vec<String> {
        let mut lines: Vec<(String, Vec<Sources>)> = Vec::new();
        for tried in &self.attempts {
            let By::Published { address, port, container, target } = &tried.by else { continue };
            let at = std::net::SocketAddr::new(*address, *port);
            let key = format!("{at} to {} {target}", clean(container));
            let from = clean(&self.party(tried.from).label);
            let at = lines.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
                lines.push((key, Vec::new()));
                lines.len() - 1
            });
            let outcomes = &mut lines[at].1;
            let plain = plain(tried.outcome);
            match outcomes.iter_mut().find(|(known, _)| *known == plain) {
                Some((_, sources)) => sources.push(from),
                None => outcomes.push((plain, vec![from])),
            }
        }
        let width = lines.iter().map(|(key, _)| key.chars().count()).max().unwrap_or(0);
        let told = |(outcome, sources): &Sources| {
            format!("{} from {}", painted(*outcome, style), self.together(sources))
        };
        lines
            .iter()
            .map(|(key, outcomes)| {
                format!("{}  {}", pad(key, width), outcomes.iter().map(told).collect::<Vec<_>>().join("; "))
            })
            .collect()
    }

    /// Where the server sees somebody else than the client.
    fn translated(&self) -> Vec<String> {
        let mut lines: Vec<(String, Vec<String>)> = Vec::new();
        for tried in &self.attempts {
            let Outcome::Ok(Some(seen)) = tried.outcome else { continue };
            let (from, to) = (self.party(tried.from), self.party(tried.to));
            if from.own.contains(&seen) || seen.is_loopback() {
                continue;
            }
            let target = match &tried.by {
                By::Published { container, .. } => format!("{} (published)", clean(container)),
                By::Name(_) | By::Address { .. } => clean(&to.label),
            };
            let key = format!("{} sees {}", target, self.owner(seen));
            let from = clean(&from.label);
            match lines.iter_mut().find(|(known, _)| *known == key) {
                Some((_, sources)) if sources.contains(&from) => {}
                Some((_, sources)) => sources.push(from),
                None => lines.push((key, vec![from])),
            }
        }
        lines.into_iter().map(|(key, sources)| format!("{key} for {}", self.together(&sources))).collect()
    }

    /// A list of places that stays readable: all containers at once, or some of many.
    fn together(&self, sources: &[String]) -> String {
        if sources.len() <= SOURCES {
            return sources.join(", ");
        }
        let running = self.parties.iter().filter(|party| party.state == PartyState::Up);
        let containers: Vec<String> = running
            .filter(|party| party.kind == PartyKind::Container)
            .map(|party| clean(&party.label))
            .collect();
        if containers.iter().all(|container| sources.contains(container)) {
            let others = sources.iter().filter(|source| !containers.contains(source)).map(String::as_str);
            let all = format!("all {} containers", containers.len());
            return std::iter::once(all.as_str()).chain(others).collect::<Vec<_>>().join(", ");
        }
        format!("{} and {} more", sources[..SOURCES].join(", "), sources.len() - SOURCES)
    }

    /// An address, and whose it is if that is known.
    fn owner(&self, address: IpAddr) -> String {
        match self.owner_of(address) {
            Some(owner) => format!("{address} ({})", clean(&owner.label)),
            None => address.to_string(),
        }
    }

    fn down(&self) -> Vec<String> {
        let why = |party: &Party| match &party.state {
            PartyState::Up => None,
            PartyState::Down(why) => Some(clean(why)),
            PartyState::Missing => Some(format!("{}: there is no such container", clean(&party.name))),
        };
        self.parties.iter().filter_map(why).collect()
    }

    fn details(&self, style: Style) -> Vec<String> {
        let mut lines = Vec::new();
        let mut rows: Vec<(PartyId, PartyId, String, Vec<String>)> = Vec::new();
        for tried in &self.attempts {
            let by = clean(&tried.by.to_string());
            let told = match tried.attempt {
                Attempt::Ping | Attempt::Tcp(_) | Attempt::Udp(_)
                    if matches!(tried.by, By::Published { .. }) =>
                {
                    painted(tried.outcome, style)
                }
                attempt => format!("{attempt} {}", painted(tried.outcome, style)),
            };
            match rows.last_mut() {
                Some((from, to, known, list)) if (*from, *to) == (tried.from, tried.to) && *known == by => {
                    list.push(told);
                }
                _ => rows.push((tried.from, tried.to, by, vec![told])),
            }
        }
        let label = |id: PartyId| clean(&self.party(id).label);
        let targets = rows.iter().map(|row| label(row.1).chars().count()).max().unwrap_or(0);
        let ways = rows.iter().map(|row| row.2.chars().count()).max().unwrap_or(0);
        let mut source = None;
        for (from, to, by, list) in rows {
            if source != Some(from) {
                lines.push(format!("  {}", style.strong(&label(from))));
                source = Some(from);
            }
            lines.push(format!("    {}  {}  {}", pad(&label(to), targets), pad(&by, ways), list.join(", ")));
        }
        lines
    }
}

/// An outcome and those who have it.
type Sources = (Outcome, Vec<String>);

/// What one pair came to.
#[derive(Debug, Default)]
struct Cell {
    names: Tally,
    pings: Tally,
    tcp: Tally,
    udp: Tally,
}

/// Several outcomes of one kind.
#[derive(Debug, Default)]
struct Tally {
    good: usize,
    bad: Vec<Outcome>,
}

/// Which signs a cell has.
#[derive(Debug, Clone, Copy)]
struct Signs {
    names: bool,
    udp: bool,
    tcp: bool,
}

impl Signs {
    fn of(cells: &BTreeMap<(PartyId, PartyId), Cell>) -> Signs {
        let any = |tally: fn(&Cell) -> &Tally| cells.values().any(|cell| !tally(cell).is_empty());
        Signs { names: any(|c| &c.names), tcp: any(|c| &c.tcp), udp: any(|c| &c.udp) }
    }

    fn width(self) -> usize {
        1 + usize::from(self.names) + usize::from(self.tcp) + usize::from(self.udp)
    }
}

impl Tally {
    fn add(&mut self, outcome: Outcome) {
        if outcome.reaches() { self.good += 1 } else { self.bad.push(outcome) }
    }

    fn is_empty(&self) -> bool {
        self.good == 0 && self.bad.is_empty()
    }

    fn sign(&self, letter: char) -> char {
        match (self.good, self.bad.first()) {
            (0, None) => ' ',
            (0, Some(outcome)) => mark(*outcome),
            (_, None) => letter,
            (_, Some(_)) => letter.to_ascii_lowercase(),
        }
    }
}

impl Cell {
    fn add(&mut self, tried: &Tried) {
        // Published ports are told apart: they are the host's, and lead elsewhere.
        if matches!(tried.by, By::Published { .. }) {
            return;
        }
        let by_name = matches!(tried.by, By::Name(_));
        match tried.attempt {
            Attempt::Ping if by_name => {
                if tried.outcome.has_no_name() {
                    self.names.bad.push(tried.outcome);
                } else {
                    self.names.good += 1;
                    self.pings.add(tried.outcome);
                }
            }
            _ if tried.outcome.has_no_name() => {}
            Attempt::Ping => self.pings.add(tried.outcome),
            Attempt::Tcp(_) => self.tcp.add(tried.outcome),
            Attempt::Udp(_) => self.udp.add(tried.outcome),
        }
    }

    fn tallies(&self) -> [&Tally; 4] {
        [&self.names, &self.pings, &self.tcp, &self.udp]
    }

    fn text(&self, signs: Signs) -> String {
        let mut text = String::new();
        if signs.names {
            text.push(self.names.sign('N'));
        }
        text.push(self.pings.sign('P'));
        if signs.tcp {
            text.push(self.tcp.sign('T'));
        }
        if signs.udp {
            text.push(self.udp.sign('U'));
        }
        text
    }

    /// Green if all is well, red if nothing is, plain between.
    fn paint(&self, text: &str, style: Style) -> String {
        let way = &self.tallies()[1..];
        let good = way.iter().any(|tally| tally.good > 0);
        let bad = self.tallies().iter().any(|tally| !tally.bad.is_empty());
        match (good, bad) {
            (true, false) => style.good(text),
            (false, _) => style.bad(text),
            (true, true) => text.to_owned(),
        }
    }
}

fn mark(outcome: Outcome) -> char {
    match outcome {
        Outcome::Ok(_) | Outcome::Silent => '+',
        Outcome::Refused | Outcome::Closed => 'x',
        Outcome::Timeout | Outcome::NoAnswer | Outcome::NotMade => '.',
        Outcome::Unreachable | Outcome::NoRoute | Outcome::NoRouteBeyond => '!',
        Outcome::Unresolved | Outcome::NameTimeout => '?',
    }
}

fn legend(signs: Signs) -> Vec<String> {
    let mut letters = Vec::new();
    if signs.names {
        letters.push("N name resolves");
    }
    letters.push("P ping");
    if signs.tcp {
        letters.push("T TCP ports");
    }
    if signs.udp {
        letters.push("U UDP ports");
    }
    let names = if signs.names { "? unresolved  " } else { "" };
    vec![
        format!("{}  (small: some of several)", letters.join("  ")),
        format!("{names}. no answer  x refused  ! unreachable"),
    ]
}

fn plain(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Ok(_) => Outcome::Ok(None),
        other => other,
    }
}

fn painted(outcome: Outcome, style: Style) -> String {
    let text = outcome.to_string();
    if outcome.reaches() { style.good(&text) } else { style.bad(&text) }
}

fn pad(text: &str, width: usize) -> String {
    let spaces = width.saturating_sub(text.chars().count());
    format!("{text}{}", " ".repeat(spaces))
}

fn trimmed(line: String) -> String {
    line.trim_end().to_owned()
}

/// Names come from files and must not steer a terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
