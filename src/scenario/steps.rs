//! Steps: what happens, in order.
//!
//! A step is a mapping (`in:` where, `run:` the command as typed, `expect:` what it must give; or `check:`; or
//! `event:`), or one line: a docker command, an event, or a check. Events are a closed list ([`Event`]).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::checks::{Check, Claim, looks_like_check};
use super::diagnostic::{Diagnostic, Diagnostics, Span, did_you_mean};
use super::keys::{Shape, integer};
use super::keys::{linkspan, validate};
use super::read::texts;
use super::yaml::{Node, Value};

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// A title for people.
    pub name: Option<String>,
    /// What a learner reads before it.
    pub text: Option<String>,
    /// What happens.
    pub action: Action,
    /// What a command must give. The default is exit code 0.
    pub expect: Expect,
    /// Where it was written.
    pub span: Span,
    /// Where its command or event was written.
    pub written: Span,
}

/// What happens in a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A command in a namespace. A docker command typed on the host is `Docker`.
    Run {
        /// Where.
        target: Target,
        /// As typed.
        command: String,
    },
    /// A docker command line, beginning with `docker`, on a host.
    Docker {
        /// Which host; absent: the only one.
        host: Option<String>,
        /// As typed.
        command: String,
    },
    /// An event.
    Event(Event),
    /// Checks made at this point.
    Check(Vec<Check>),
}

/// Where something happens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A Docker host; absent: the only one.
    Host(Option<String>),
    /// An outside machine.
    World(String),
    /// A service (its first container) or a container.
    Container(String),
}

/// Something that befalls the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Time passes.
    Wait(Duration),
    /// A link is unplugged.
    LinkDown(String),
    /// A link is plugged in again.
    LinkUp(String),
    /// A container's main process dies.
    Crash(String),
    /// dockerd stops and starts.
    DaemonRestart,
    /// dockerd stops.
    DaemonStop,
    /// dockerd starts.
    DaemonStart,
    /// firewalld empties the packet filter and tells dockerd.
    FirewalldReload,
    /// The host reboots; absent: the only one.
    HostReboot(Option<String>),
}

/// What a command must give.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expect {
    /// The exit code; absent: 0, unless a text is expected, then any.
    pub exit: Option<i32>,
    /// Texts the output has.
    pub contains: Vec<String>,
    /// Texts the output does not have.
    pub lacks: Vec<String>,
    /// The whole output, without its last line end.
    pub output: Option<String>,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (prefix, name) = text.split_once(':').map_or((None, text), |(prefix, name)| (Some(prefix), name));
        if !is_name(name) {
            let what =
                if text.is_empty() { "a name is missing".to_owned() } else { format!("`{text}` is no name") };
            return Err(format!("{what}: expected one container, `host`, `host:NAME` or `world:NAME`"));
        }
        match prefix {
            Some("host") => Ok(Self::Host(Some(name.to_owned()))),
            Some("world") => Ok(Self::World(name.to_owned())),
            Some(prefix) => Err(format!("`{prefix}:` is unknown: expected `host:NAME` or `world:NAME`")),
            None if name == "host" => Ok(Self::Host(None)),
            None => Ok(Self::Container(name.to_owned())),
        }
    }
}

/// Docker's rule for names, and a single letter besides.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(None) => f.write_str("host"),
            Self::Host(Some(name)) => write!(f, "host:{name}"),
            Self::World(name) => write!(f, "world:{name}"),
            Self::Container(name) => f.write_str(name),
        }
    }
}

const EVENTS: &str = "`wait TIME`, `link down NAME`, `link up NAME`, `crash NAME`, `daemon restart`, `daemon stop`, \
                      `daemon start`, `firewalld reload`, `host reboot`";

impl FromStr for Event {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let name = |name: &str| {
            if is_name(name) { Ok(name.to_owned()) } else { Err(format!("`{name}` is not a name")) }
        };
        match words.as_slice() {
            ["wait", time] => duration(time).map(Self::Wait),
            ["link", "down", link] => name(link).map(Self::LinkDown),
            ["link", "up", link] => name(link).map(Self::LinkUp),
            ["crash", container] => name(container).map(Self::Crash),
            ["daemon", "restart"] => Ok(Self::DaemonRestart),
            ["daemon", "stop"] => Ok(Self::DaemonStop),
            ["daemon", "start"] => Ok(Self::DaemonStart),
            ["firewalld", "reload"] => Ok(Self::FirewalldReload),
            ["host", "reboot"] => Ok(Self::HostReboot(None)),
            ["host", "reboot", host] => name(host).map(|host| Self::HostReboot(Some(host))),
            _ => Err(format!("`{}` is not an event: expected {EVENTS}", short(text))),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wait(time) => write!(f, "wait {time:?}"),
            Self::LinkDown(name) => write!(f, "link down {name}"),
            Self::LinkUp(name) => write!(f, "link up {name}"),
            Self::Crash(name) => write!(f, "crash {name}"),
            Self::DaemonRestart => f.write_str("daemon restart"),
            Self::DaemonStop => f.write_str("daemon stop"),
            Self::DaemonStart => f.write_str("daemon start"),
            Self::FirewalldReload => f.write_str("firewalld reload"),
            Self::HostReboot(None) => f.write_str("host reboot"),
            Self::HostReboot(Some(name)) => write!(f, "host reboot {name}"),
        }
    }
}

/// A duration in Compose's form: `1h30m`, `2.5s`, `20ms`, `100us`, `5ns`; at most a century.
///
/// # Errors
/// A message saying what was expected.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("`{}` is not a time: expected a number with a unit, as 300s, 1m30s or 20ms", short(text));
    let mut rest = text.trim();
    let mut nanos = 0.0f64;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        nanos += number
            * match &rest[..unit] {
                "ns" => 1.0,
                "us" | "µs" => 1e3,
                "ms" => 1e6,
                "s" => 1e9,
                "m" => 60e9,
                "h" => 3600e9,
                "d" => 86_400e9,
                _ => return Err(wrong()),
            };
        rest = &rest[unit..];
    }
    const CENTURY: f64 = 36_525.0 * 86_400e9;
    if nanos > CENTURY {
        return Err(format!("`{}` is longer than a century", short(text)));
    }
    Ok(Duration::from_nanos(nanos.round() as u64))
}

fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

/// A line typed while a world runs: a docker command, an event, or a place, `$` and a command, as the story prints them.
///
/// # Errors
/// What was expected instead, for people.
pub fn typed(line: &str) -> Result<Action, String> {
    let line = line.trim();
    if is_docker(line) {
        return Ok(Action::Docker { host: None, command: line.to_owned() });
    }
    match line.split_once('$') {
        Some((place, command)) if !place.contains(char::is_whitespace) && !command.trim().is_empty() => {
            let command = command.trim().to_owned();
            match place.parse()? {
                Target::Host(host) if is_docker(&command) => Ok(Action::Docker { host, command }),
                target => Ok(Action::Run { target, command }),
            }
        }
        _ => line.parse().map(Action::Event).map_err(|message: String| {
            format!(
                "{message}; type a docker command, an event, or PLACE$ COMMAND, such as web$ ping -c 1 client"
            )
        }),
    }
}

/// Reads `steps:`.
pub(super) fn read_steps(node: &Node, diagnostics: &mut Diagnostics) -> Vec<Step> {
    node.items().iter().filter_map(|item| read_step(item, diagnostics)).collect()
}

/// Reads `checks:`.
pub(super) fn read_checks(node: &Node, diagnostics: &mut Diagnostics) -> Vec<Check> {
    node.items().iter().flat_map(|item| read_check(item, diagnostics)).collect()
}

fn read_step(node: &Node, diagnostics: &mut Diagnostics) -> Option<Step> {
    let span = node.span;
    let plain = |action| {
        Some(Step { name: None, text: None, action, expect: Expect::default(), span, written: span })
    };
    match &node.value {
        Value::String(line) if looks_like_check(line) => plain(Action::Check(read_check(node, diagnostics))),
        Value::String(line) if is_docker(line) => {
            plain(Action::Docker { host: None, command: line.trim().to_owned() })
        }
        Value::String(line) => plain(Action::Event(event(line, span, diagnostics)?)),
        Value::Mapping(entries) if entries.len() == 1 && looks_like_check(&entries[0].key) => {
            plain(Action::Check(read_check(node, diagnostics)))
        }
        // YAML cuts an unquoted command at its first `: `.
        Value::Mapping(entries) if entries.len() == 1 && is_docker(&entries[0].key) => {
            diagnostics.push(
                Diagnostic::error(span, "this docker command is cut in two by its `: `")
                    .help("quote the whole command".to_owned()),
            );
            None
        }
        Value::Mapping(_) => step_mapping(node, diagnostics),
        _ => {
            let message = format!("a step must be text or a mapping, found {}", node.kind());
            diagnostics
                .push(Diagnostic::error(span, message).label("expected a command, an event or a check"));
            None
        }
    }
}

fn step_mapping(node: &Node, diagnostics: &mut Diagnostics) -> Option<Step> {
    validate(node, &Shape::Object(&linkspan::STEP), diagnostics, &mut Vec::new());
    let text = |key: &str| node.get(key).and_then(Node::text).map(|text| text.trim().to_owned());
    let kinds = ["run", "check", "event"].into_iter().filter(|kind| node.get(kind).is_some()).count();
    if kinds != 1 {
        let message = if kinds == 0 { "the step does nothing" } else { "the step does two things" };
        diagnostics
            .push(Diagnostic::error(node.span, message).label("expected one of `run`, `check`, `event`"));
        return None;
    }
    let action = if let Some(check) = node.get("check") {
        Action::Check(read_check_or_checks(check, diagnostics))
    } else if let Some(name) = node.get("event") {
        Action::Event(event(&name.text()?, name.span, diagnostics)?)
    } else {
        let command = text("run")?;
        if command.is_empty() {
            diagnostics.error(node.span, "the command is empty");
            return None;
        }
        let target = match node.get("in") {
            None => Target::Host(None),
            Some(place) => match place.text()?.parse::<Target>() {
                Ok(target) => target,
                Err(message) => {
                    diagnostics.error(place.span, message);
                    return None;
                }
            },
        };
        match target {
            Target::Host(host) if is_docker(&command) => Action::Docker { host, command },
            target => Action::Run { target, command },
        }
    };
    for key in ["in", "expect"] {
        if let Some(value) = node.get(key)
            && !matches!(action, Action::Run { .. } | Action::Docker { .. })
            && (key == "in" || !matches!(action, Action::Event(Event::DaemonRestart | Event::DaemonStart)))
        {
            diagnostics.push(Diagnostic::error(value.span, format!("`{key}` belongs to `run`")));
        }
    }
    let expect = node.get("expect").map_or_else(Expect::default, expect);
    let written = node.get("run").map_or(node.span, |command| command.span);
    Some(Step { name: text("name"), text: text("text"), action, expect, span: node.span, written })
}

fn expect(node: &Node) -> Expect {
    if let Some(exit) = integer(node) {
        return Expect { exit: i32::try_from(exit).ok(), ..Expect::default() };
    }
    if let Value::String(text) = &node.value {
        return Expect { contains: vec![text.clone()], ..Expect::default() };
    }
    if let Value::Sequence(_) = &node.value {
        return Expect { contains: texts(Some(node)), ..Expect::default() };
    }
    Expect {
        exit: node.get("exit").and_then(integer).and_then(|exit| i32::try_from(exit).ok()),
        contains: texts(node.get("contains")),
        lacks: texts(node.get("lacks")),
        output: node.get("output").and_then(Node::text).map(|text| text.trim_end_matches('\n').to_owned()),
    }
}

fn is_docker(line: &str) -> bool {
    line.split_whitespace().next() == Some("docker")
}

fn event(line: &str, span: Span, diagnostics: &mut Diagnostics) -> Option<Event> {
    match line.parse() {
        Ok(event) => Some(event),
        Err(message) => {
            let first = line.split_whitespace().next().unwrap_or("");
            let known = ["wait", "link", "crash", "daemon", "host", "docker", "only"];
            let help = if first == "wait" {
                let number = line.split_whitespace().nth(1).filter(|text| text.parse::<f64>().is_ok());
                number.map(|number| format!("did you mean `wait {number}s`?"))
            } else if known.contains(&first) {
                None
            } else {
                did_you_mean(first, known).or_else(|| {
                    let form =
                        "a command is written `in: CONTAINER` with `run: COMMAND`, or begins with `docker`";
                    Some(form.to_owned())
                })
            };
            diagnostics.push(Diagnostic::error(span, message).help(help));
            None
        }
    }
}

/// A check or a list of them.
pub(super) fn read_check_or_checks(node: &Node, diagnostics: &mut Diagnostics) -> Vec<Check> {
    if let Value::Sequence(_) = &node.value {
        read_checks(node, diagnostics)
    } else {
        read_check(node, diagnostics)
    }
}

/// One item of `checks:`, as text or as the mapping YAML makes of it; several entries are several checks.
fn read_check(node: &Node, diagnostics: &mut Diagnostics) -> Vec<Check> {
    let lines: Vec<(String, Span)> = match &node.value {
        Value::String(line) => vec![(line.clone(), node.span)],
        Value::Mapping(entries) => entries
            .iter()
            .map(|entry| {
                let value = entry.value.text().unwrap_or_default();
                (format!("{}: {value}", entry.key), entry.key_span.to(entry.value.span))
            })
            .collect(),
        _ => return Vec::new(),
    };
    let mut checks = Vec::new();
    for (line, span) in lines {
        match line.parse::<Claim>() {
            Ok(claim) => checks.push(Check { claim, span }),
            Err(error) => diagnostics.push(Diagnostic::error(span, error.to_string()).label("not a check")),
        }
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("2.5s"), Ok(Duration::from_millis(2500)));
        assert_eq!(duration("20ms"), Ok(Duration::from_millis(20)));
        for bad in ["", "5", "s", "1x", "-1s", "1..2s", "99999999999h", "1s x"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn typed_lines_are_commands_events_or_places() {
        let run = |place: &str, command: &str| {
            Ok(Action::Run { target: place.parse().unwrap(), command: command.to_owned() })
        };
        let docker = |line: &str| Ok(Action::Docker { host: None, command: line.to_owned() });
        assert_eq!(typed(" docker stop web "), docker("docker stop web"));
        assert_eq!(typed("host$ docker ps"), docker("docker ps"));
        assert_eq!(typed("web$ echo $HOME"), run("web", "echo $HOME"));
        assert_eq!(typed("world:outside$ ip a"), run("world:outside", "ip a"));
        assert_eq!(typed("crash web"), Ok(Action::Event(Event::Crash("web".to_owned()))));
        for line in ["", "web$", "$ ls", "pign web", "a b$ c"] {
            assert!(typed(line).is_err(), "{line:?}");
        }
        assert!(typed("pign web").unwrap_err().contains("PLACE$ COMMAND"));
    }

    #[test]
    fn events_parse_and_emit() {
        for line in [
            "link down eth0",
            "link up eth0",
            "crash web",
            "daemon restart",
            "firewalld reload",
            "host reboot",
            "wait 300s",
        ] {
            assert_eq!(line.parse::<Event>().unwrap().to_string(), line);
        }
        assert!("daemon dance".parse::<Event>().unwrap_err().contains("expected `wait TIME`"));
    }

    #[test]
    fn expectations_come_short_and_long() {
        let text = "steps:\n- {run: id, expect: 3}\n- {run: id, expect: x}\n- {run: id, expect: [x, y]}\n\
                    - {run: id, expect: {contains: [x, y]}}\n";
        let source = crate::scenario::MemorySource::default().with_file("/a.yaml", text);
        let options = crate::scenario::LoadOptions::default();
        let scenario = crate::scenario::load(&source, std::path::Path::new("/a.yaml"), &options).unwrap();
        let found: Vec<_> = scenario.steps.iter().map(|step| &step.expect).collect();
        assert_eq!(found[0].exit, Some(3));
        assert_eq!(found[1].contains, ["x"]);
        assert_eq!(found[2].contains, ["x", "y"]);
        assert_eq!(found[2], found[3]);
    }

    #[test]
    fn targets() {
        assert_eq!("world:a".parse(), Ok(Target::World("a".into())));
        assert_eq!("host".parse(), Ok(Target::Host(None)));
        for bad in ["", "a b", "x:y", "host:", "-a"] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }
}
