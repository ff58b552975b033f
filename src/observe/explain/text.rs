//! An explanation as text for people: the packets with their hops under the places they came through, then the
//! verdict, the rule, the line of the scenario and what to do.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Cause, Drop, End, Explanation, Hop, Layer, Lookup, Outcome, Part, Passage, SourceLine};

/// Whether the text has colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// Text only.
    #[default]
    Plain,
    /// ANSI escape sequences (ECMA-48 SGR).
    Ansi,
}

/// Columns of the kinds of places.
const LABEL: usize = 20;

impl Layout {
    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Layout::Plain => text.to_owned(),
            Layout::Ansi => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }

    fn strong(self, text: &str) -> String {
        self.paint("1", text)
    }

    fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    fn bad(self, text: &str) -> String {
        self.paint("31", text)
    }

    fn docker(self, text: &str) -> String {
        self.paint("34", text)
    }

    fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }
}

/// The text without a line end at its end.
pub(super) fn render(explanation: &Explanation, layout: Layout) -> String {
    let attempt = &explanation.attempt;
    let title = format!("{} -> {}", attempt.from, attempt.to);
    let mut text = format!("{} ({})\n", layout.strong(&title), explanation.kind());
    if attempt.namespace != attempt.from {
        let _ = writeln!(text, "{} is in the network namespace of {}", attempt.from, attempt.namespace);
    }
    for note in &explanation.notes {
        let _ = writeln!(text, "note: {}", shown(note));
    }
    if let Some(lookup) = &explanation.lookup {
        text.push_str(&looked_up(lookup, &attempt.from, layout));
    }
    for (at, passage) in explanation.passages.iter().enumerate() {
        text.push_str(&passage_text(at + 1, passage, layout));
    }
    text.push('\n');
    text.push_str(&verdict(explanation, layout));
    if !explanation.story.is_empty() {
        let _ = write!(text, "\n\n{}", layout.strong("every event"));
        explanation.story.iter().for_each(|line| {
            let _ = write!(text, "\n  {line}");
        });
    }
    text
}

fn looked_up(lookup: &Lookup, from: &str, layout: Layout) -> String {
    let mut text = format!("\n{}\n", layout.strong(&format!("the name {}", lookup.name)));
    if lookup.answers.is_empty() && !lookup.addresses.is_empty() {
        let _ = writeln!(text, "    no name server is asked: /etc/hosts of {from} has it");
    }
    for answer in &lookup.answers {
        let _ = writeln!(text, "    {answer}");
    }
    if lookup.addresses.len() > 1 {
        let all: Vec<String> = lookup.addresses.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "    the first of {} is tried", all.join(", "));
    }
    text
}

fn passage_text(number: usize, passage: &Passage, layout: Layout) -> String {
    let part = match passage.part {
        Part::Lookup => "name lookup",
        Part::LookupAnswer => "answer to the lookup",
        Part::Request => "there",
        Part::Answer => "back",
        Part::Relay => "sent on",
    };
    let (from, to) = &passage.ends;
    let mut headline = format!("{number}. {part}: {from} → {to}  {}", passage.summary);
    if !passage.time.is_zero() {
        let _ = write!(headline, "  (after {})", seconds(passage.time));
    }
    let mut text = format!("\n{}\n", layout.strong(&headline));
    let mut place: Option<&str> = None;
    let mut marked = false;
    for hop in &passage.hops {
        if place != Some(hop.place.as_str()) {
            let _ = writeln!(text, "  {}", hop.place);
            (place, marked) = (Some(hop.place.as_str()), false);
        }
        if hop.is_dockers() && !marked {
            marked = true;
            let _ = writeln!(text, "    {}", layout.docker("── from here Docker's rules:"));
        }
        let _ = writeln!(text, "    {}", hop_text(hop, layout));
    }
    if passage.repeated > 0 {
        let more = format!("{} more like it, with the same end", passage.repeated);
        let _ = writeln!(text, "    {}", layout.faint(&more));
    }
    text
}

fn hop_text(hop: &Hop, layout: Layout) -> String {
    let label = format!("{:LABEL$}", hop.layer.label());
    let device = hop.device.as_ref().map(|name| format!("{name} ")).unwrap_or_default();
    let line = match hop.layer {
        Layer::Drop | Layer::Neighbour => format!("{label} {}", shown(&hop.text)),
        _ => format!("{label} {device}{}", shown(&hop.text)),
    };
    match hop.layer {
        Layer::Drop => layout.bad(&line),
        _ => line,
    }
}

/// Text that came from elsewhere (what programs print, comments in rules, lines of files) must not steer the terminal.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

fn verdict(explanation: &Explanation, layout: Layout) -> String {
    let sentence = format!("{}: {}", explanation.outcome.word(), explanation.sentence());
    let painted =
        if explanation.outcome.is_reached() { layout.good(&sentence) } else { layout.bad(&sentence) };
    let mut lines = vec![painted];
    let mut field = |name: &str, text: &str| lines.push(format!("  {name:<10} {text}"));
    if let Some(drop) = &explanation.drop {
        field("reason", &reason(drop));
        if let Some(behind) = &drop.behind {
            field("behind it", &reason(behind));
        }
        if let Some(rule) = &drop.rule {
            let whose = match (rule.number, rule.docker) {
                (None, _) => "",
                (Some(_), true) => "  (Docker's)",
                (Some(_), false) => "  (not Docker's)",
            };
            field("rule", &shown(&format!("{rule}{whose}")));
        }
    }
    for error in &explanation.errors {
        field("error", &format!("the program sees \"{error}\""));
    }
    if let Some(Cause { text, line, suggestion }) = &explanation.cause {
        field("cause", text);
        if let Some(SourceLine { file, line, column, text }) = line {
            field("", &format!("{file}:{line}:{column}"));
            field("", &format!("{}{}", layout.faint(&format!("{line} | ")), shown(text.trim_end())));
        }
        if !suggestion.is_empty() {
            field("try", suggestion);
        }
    } else if let Some(drop) = &explanation.drop {
        field("meaning", drop.meaning());
    }
    lines.join("\n")
}

fn reason(drop: &Drop) -> String {
    let place = match &drop.device {
        Some(device) => format!("{device} of {}", drop.place),
        None => drop.place.clone(),
    };
    format!("{:?}, at {place}: {}", drop.reason, drop.reason.text())
}

fn seconds(time: Duration) -> String {
    let text = format!("{:.6}", time.as_secs_f64());
    format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
}

impl Explanation {
    fn kind(&self) -> String {
        use super::Protocol;
        match (self.attempt.protocol, self.attempt.port) {
            (Protocol::Tcp, _) => "a TCP connection".to_owned(),
            (Protocol::Udp, _) => "a UDP datagram".to_owned(),
            (Protocol::Icmp, _) => "a ping".to_owned(),
        }
    }

    /// The verdict in a sentence without a full stop.
    pub fn sentence(&self) -> String {
        let (from, to) = (&self.attempt.from, &self.attempt.to);
        match self.outcome {
            Outcome::Reached(Some(seen)) => format!("{from} reaches {to}, where it is seen as {seen}"),
            Outcome::Reached(None) if self.silent => {
                format!("{from} is connected to {to}, and then hears nothing")
            }
            Outcome::Reached(None) => format!("{from} reaches {to}"),
            Outcome::Closed => format!("{from} is connected, and the connection is closed at once"),
            Outcome::Refused => format!("{from} is told at once that {to} does not take it"),
            Outcome::TimedOut => format!("nothing comes back, and {from} waits in vain"),
            Outcome::Unreachable if self.passages.is_empty() => {
                format!("{from} cannot send anything to {to}")
            }
            Outcome::Unreachable => format!("{from} is told that {to} cannot be reached"),
            Outcome::Unresolved => {
                format!(
                    "{from} finds no address for the name {}, so nothing was sent to it",
                    self.attempt.target
                )
            }
            Outcome::NoAnswer => {
                let mut sent = self.passages.iter().rev().filter(|passage| passage.part != Part::Answer);
                let taken = self.drop.is_none().then(|| sent.next()).flatten().map(|passage| &passage.end);
                match taken {
                    Some(End::Delivered { place }) => {
                        format!("{place} took the datagram and sent nothing back")
                    }
                    _ => "the datagram was sent and nothing came back, not even an error".to_owned(),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Attempt, Protocol};
    use super::*;

    #[test]
    fn text_from_elsewhere_cannot_steer_the_terminal() {
        let attempt = Attempt {
            from: "web".to_owned(),
            namespace: "web".to_owned(),
            to: "db".to_owned(),
            target: "db".to_owned(),
            protocol: Protocol::Icmp,
            port: None,
        };
        let text = "run: \u{1b}[2J".to_owned();
        let line = SourceLine { file: "a.yaml".to_owned(), line: 3, column: 1, text };
        let cause = Cause { text: "a step".to_owned(), line: Some(line), suggestion: "remove it".to_owned() };
        let explanation = Explanation {
            attempt,
            lookup: None,
            passages: Vec::new(),
            outcome: Outcome::TimedOut,
            silent: false,
            errors: Vec::new(),
            drop: None,
            cause: Some(cause),
            notes: vec!["a program printed \u{9b}2J".to_owned()],
            story: Vec::new(),
        };
        let text = explanation.to_string();
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        assert!(text.contains("printed \u{fffd}2J") && text.contains("3 | run: \u{fffd}[2J"), "{text}");
    }
}
