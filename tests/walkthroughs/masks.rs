//! What legitimately differs between two runs of a walkthrough, replaced by what it stands for: the patterns are those the
//! recordings were masked with, in the same order, so that masking a masked transcript changes nothing.
//!
//! Ids keep their identity: the first id is `<ID1>`, its twelve digits `<id1>`. A transcript still says that what
//! `docker run` printed is what `docker ps` shows.

use std::collections::{BTreeMap, BTreeSet};

use fancy_regex::{Captures, Regex};
use serde_json::{Map, Value};

/// A line of a transcript.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Command,
    Exit,
    Output,
}

/// Masks a whole transcript.
pub(crate) fn mask(transcript: &str) -> String {
    let mut lines = Vec::new();
    let mut output: Vec<&str> = Vec::new();
    for line in transcript.lines() {
        let kind = kind(line);
        if kind == Kind::Output {
            output.push(line);
            continue;
        }
        lines.extend(json_in_order(&output).into_iter().map(|line| (Kind::Output, line)));
        output.clear();
        lines.push((kind, line.to_owned()));
    }
    lines.extend(json_in_order(&output).into_iter().map(|line| (Kind::Output, line)));
    let mut masks = Masks::new(transcript);
    let mut masked: Vec<String> = lines
        .into_iter()
        .map(|(kind, line)| if kind == Kind::Command { line } else { masks.line(&line) })
        .collect();
    sort_linked_variables(&mut masked);
    masked.join("\n") + "\n"
}

fn kind(line: &str) -> Kind {
    if line.starts_with("$ ") {
        Kind::Command
    } else if line.starts_with("[exit ") && line.ends_with(']') {
        Kind::Exit
    } else {
        Kind::Output
    }
}

/// JSON at the beginning of an output, with what depends on random ids in a fixed order.
fn json_in_order(lines: &[&str]) -> Vec<String> {
    let same = || lines.iter().map(|line| (*line).to_owned()).collect();
    let whole = lines.join("\n");
    let text = whole.trim_start();
    if !text.starts_with(['[', '{']) {
        return same();
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let Some(Ok(value)) = values.next() else { return same() };
    let rest = &text[values.byte_offset()..];
    if !rest.is_empty() && !rest.starts_with('\n') {
        return same();
    }
    let rest = rest.trim_matches('\n');
    let value = in_order(value);
    let shown = if whole.trim().contains('\n') {
        // The client indents by four.
        let two = serde_json::to_string_pretty(&value).unwrap();
        let lines = two.lines().map(|line| {
            let text = line.trim_start();
            format!("{}{text}", " ".repeat(2 * (line.len() - text.len())))
        });
        lines.collect::<Vec<String>>().join("\n")
    } else {
        value.to_string()
    };
    let mut all: Vec<String> = shown.lines().map(str::to_owned).collect();
    if !rest.is_empty() {
        all.extend(rest.lines().map(str::to_owned));
    }
    all
}

fn in_order(value: Value) -> Value {
    match value {
        Value::Array(values) => Value::Array(values.into_iter().map(in_order).collect()),
        Value::Object(fields) => {
            let by_id =
                !fields.is_empty() && fields.iter().all(|(key, value)| is_id(key) && value.is_object());
            let mut fields: Vec<(String, Value)> = fields.into_iter().collect();
            if by_id {
                let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
                fields.sort_by_key(|(_, value)| (text(value, "Name"), text(value, "IPv4Address")));
            }
            let fields = fields.into_iter().map(|(key, value)| {
                let value = match (key.as_str(), value) {
                    ("Pid", Value::Number(id)) if id.as_u64() != Some(0) => Value::from("<PID>"),
                    (_, value) => in_order(value),
                };
                (key, value)
            });
            Value::Object(fields.collect::<Map<String, Value>>())
        }
        other => other,
    }
}

fn is_id(key: &str) -> bool {
    key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The variables a link carries over come in random order.
fn sort_linked_variables(lines: &mut [String]) {
    let linked = Regex::new(r"^[A-Z0-9_.]+_ENV_[A-Za-z0-9_]*=").unwrap();
    let mut at = 0;
    while at < lines.len() {
        let count = lines[at..].iter().take_while(|line| linked.is_match(line).unwrap()).count();
        lines[at..at + count].sort();
        at += count.max(1);
    }
}

/// Numbers by order of appearance.
#[derive(Default)]
struct Numbers(BTreeMap<String, usize>);

impl Numbers {
    fn of(&mut self, value: &str) -> usize {
        let next = self.0.len() + 1;
        *self.0.entry(value.to_owned()).or_insert(next)
    }
}

struct Masks {
    ids: Numbers,
    ports: Numbers,
    macs: Numbers,
    /// Names that somebody chose; any other name of a container is random.
    chosen: BTreeSet<String>,
    before_ids: Vec<(Regex, &'static str)>,
    after_ids: Vec<(Regex, &'static str)>,
    after_index: Vec<(Regex, &'static str)>,
    long_id: Regex,
    bridge: Regex,
    short_id: Regex,
    numeric_id: Regex,
    index: Regex,
    mac: Regex,
    derived: Regex,
    port: Vec<Regex>,
    link_local: Regex,
    random_name: Regex,
    inspected_name: Regex,
    columns: Regex,
}

const RANDOM_PORT: &str = r"(?:3276[89]|327[789]\d|32[89]\d\d|3[3-9]\d{3}|[45]\d{4}|6[0-5]\d{3})";

impl Masks {
    fn new(transcript: &str) -> Masks {
        let pattern = |text: &str| Regex::new(text).unwrap();
        let named = pattern(r"--name[= ](\S+)");
        let created = pattern(r"network create .*?(\S+)\n");
        let names = |pattern: &Regex| -> Vec<String> {
            let found = pattern.captures_iter(transcript).map(|found| found.unwrap()[1].to_owned());
            found.collect()
        };
        let fixed = |masks: &[(&str, &'static str)]| -> Vec<(Regex, &'static str)> {
            masks.iter().map(|(text, mask)| (pattern(text), *mask)).collect()
        };
        Masks {
            ids: Numbers::default(),
            ports: Numbers::default(),
            macs: Numbers::default(),
            chosen: names(&named).into_iter().chain(names(&created)).collect(),
            before_ids: fixed(BEFORE_IDS),
            after_ids: fixed(AFTER_IDS),
            after_index: fixed(AFTER_INDEX),
            long_id: pattern(r"\b[0-9a-f]{64}\b"),
            bridge: pattern(r"\bbr-([0-9a-f]{12})\b"),
            short_id: pattern(r"(?<![0-9a-z:.])(?=[0-9a-f]*[a-f])(?=[0-9a-f]*[0-9])[0-9a-f]{12}(?![0-9a-z])"),
            numeric_id: pattern(r"(?<![0-9a-z:.\-+])[0-9]{12}(?![0-9a-z])"),
            index: pattern(r"^\d+: ((?!lo\b)[\w.<>-]+)(@[\w.-]+)?(?=:|\s)"),
            mac: pattern(r"\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b"),
            derived: pattern(
                r"^(02:42:(ac:(1[0-9a-f])|0a:|c0:a8|cb:00|c6:33|a9:fe)|00:00:00:00:00:00|ff:ff:ff:ff:ff:ff|02:00:|33:33:|01:00:5e|01:80:c2|02:42:00|aa:|02:11:|92:d0)",
            ),
            port: vec![
                pattern(&format!("(?<=[:\"\\]. (=]){RANDOM_PORT}(?=->|\"|$|/tcp|/udp| failed|: )")),
                pattern(r"(?<=127\.0\.0\.11:)(?!53\b)\d+"),
                pattern(&format!(r"(?<=--sport ){RANDOM_PORT}\b")),
            ],
            link_local: pattern(r"fe80::(?!42:ac|42:aff|42:c0|42:cb|1\b|cbff:fe00|c0ff:fea8)[0-9a-f:]+"),
            random_name: pattern(r"Up <AGO>.*\s([a-z]+_[a-z]+\d?)$"),
            inspected_name: pattern(r#""Name": "/([a-z]+_[a-z]+\d?)""#),
            columns: pattern(r"(\S) {2,}(?=\S)"),
        }
    }

    fn line(&mut self, line: &str) -> String {
        let mut line = line.to_owned();
        let apply = |masks: &[(Regex, &str)], line: String| {
            masks.iter().fold(line, |line, (pattern, mask)| pattern.replace_all(&line, *mask).into_owned())
        };
        line = apply(&self.before_ids, line);
        let Masks { ids, ports, macs, .. } = self;
        let mut id = |text: &str| ids.of(&text[..12]);
        line = replace(&self.long_id, &line, |found| format!("<ID{}>", id(&found[0])));
        line = replace(&self.bridge, &line, |found| format!("br-<id{}>", id(&found[1])));
        line = replace(&self.short_id, &line, |found| format!("<id{}>", id(&found[0])));
        line = replace(&self.numeric_id, &line, |found| format!("<id{}>", id(&found[0])));
        line = apply(&self.after_ids, line);
        line = replace(&self.index, &line, |found| {
            let parent = found.get(2).map_or("", |parent| parent.as_str());
            let parent = if parent.starts_with("@if") { "@if<N>" } else { parent };
            format!("<N>: {}{parent}", &found[1])
        });
        line = apply(&self.after_index, line);
        line = replace(&self.mac, &line, |found| match self.derived.is_match(&found[0]).unwrap() {
            true => found[0].to_owned(),
            false => format!("<MAC{}>", macs.of(&found[0])),
        });
        for pattern in &self.port {
            line = replace(pattern, &line, |found| format!("<PORT{}>", ports.of(&found[0])));
        }
        line = self.link_local.replace_all(&line, "fe80::<X>").into_owned();
        if let Some(found) = self.random_name.captures(line.as_str()).unwrap()
            && !self.chosen.contains(&found[1])
        {
            line = format!("{}<NAME>", &line[..found.get(1).unwrap().start()]);
        }
        line = replace(&self.inspected_name, &line, |found| {
            if self.chosen.contains(&found[1]) {
                found[0].to_owned()
            } else {
                "\"Name\": \"/<NAME>\"".to_owned()
            }
        });
        line = self.columns.replace_all(&line, "$1  ").into_owned();
        line.trim_end_matches([' ', '\t']).to_owned()
    }
}

/// Before anything has an identity.
const BEFORE_IDS: &[(&str, &str)] = &[
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?[+-]\d{4}| ?[+-]\d\d:\d\d|Z)?( UTC)?", "<TIME>"),
    (r"\b(sha256:)[0-9a-f]{64}", "sha256:<DIGEST>"),
];

/// Between the ids and the numbers of interfaces.
const AFTER_IDS: &[(&str, &str)] = &[
    (r"\bveth[0-9a-f]{7}\b", "veth<X>"),
    (r"\bdm-[0-9a-f]{12}\b", "dm-<X>"),
    (r"time=[0-9.]+ ms", "time=<T> ms"),
    (r"(round-trip min/avg/max = ).*", "${1}<T>"),
    (r"(?<= )\d+\.\d+ ?ms\b", "<T> ms"),
    (r"\bid: \d+", "id: <N>"),
    (r"Query time: \d+ msec", "Query time: <T> msec"),
    (r";; WHEN: .*", ";; WHEN: <TIME>"),
];

/// Between the numbers of interfaces and MAC addresses.
const AFTER_INDEX: &[(&str, &str)] = &[
    (r"link-netnsid \d+|link-netns \S+", "link-netnsid <N>"),
    (r"\bUp (About an? \w+|Less than a second|\d+ \w+)( \((?:un)?healthy\))?", "Up <AGO>"),
    (
        r"\b(About an? \w+|Less than a second|\d+ (?:seconds?|minutes?|hours?|days?|weeks?|months?)) ago\b",
        "<AGO>",
    ),
];

fn replace(pattern: &Regex, line: &str, mut by: impl FnMut(&Captures<'_, str>) -> String) -> String {
    pattern.replace_all(line, |found: &Captures<'_, str>| by(found)).into_owned()
}
