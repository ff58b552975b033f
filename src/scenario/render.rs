//! A run and its report as text: what `linkspan run` tells while it happens and what is said of a failure.
//!
//! Everything is a value in and lines out; who prints, and whether with colours, is not decided here. Lines never end in
//! a line break. What programs print is shown as it came, without control characters other than tabs, so that a
//! container cannot steer the terminal.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::diagnostic::{Diagnostic, SourceMap, Span};
use super::report::{
    CheckFailure, CheckReport, ContainerReport, NetworkReport, Progress, Report, StepReport, Totals,
};

/// How text is set off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Plain text.
    Plain,
    /// ANSI colours.
    Colour,
}

impl Style {
    /// Good news.
    #[must_use]
    pub fn good(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// Bad news.
    #[must_use]
    pub fn bad(self, text: &str) -> String {
        self.wrap("31", text)
    }

    /// What stands out.
    #[must_use]
    pub fn strong(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// What stands back.
    #[must_use]
    pub fn faint(self, text: &str) -> String {
        self.wrap("2", text)
    }

    /// Whether diagnostics are rendered with colours.
    #[must_use]
    pub fn is_colour(self) -> bool {
        self == Self::Colour
    }

    fn wrap(self, code: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Colour => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }
}

/// What is told of one thing that happened. `sources` shows the lines warnings are about.
#[must_use]
pub fn progress(progress: &Progress<'_>, sources: &SourceMap, style: Style) -> Vec<String> {
    match progress {
        Progress::Network(report) => {
            vec![format!("{}   {}", style.faint("network"), clean(&network(report)))]
        }
        Progress::Container(report) => {
            vec![format!("{} {}", style.faint("container"), clean(&container(report)))]
        }
        Progress::Replaced { text } => vec![format!("{}   {}", style.faint("outside"), clean(text))],
        Progress::StepStarted { place, title, time } => {
            let at = style.faint(&format!("[{}]", duration(*time)));
            let prompt = if place.is_empty() { "*".to_owned() } else { format!("{place}$") };
            vec![format!("{at} {} {}", style.strong(&prompt), style.strong(&clean(title)))]
        }
        Progress::Output { text } => indented(text, "    "),
        Progress::StepFinished(step) => {
            step.failures.iter().map(|failure| format!("{} {}", style.bad("✗"), clean(failure))).collect()
        }
        Progress::CheckFinished(check) => check_lines(check, style),
        Progress::Story { lines } => {
            lines.iter().map(|line| style.faint(&format!("    | {}", clean(line)))).collect()
        }
        Progress::Json { lines } => lines.to_vec(),
        Progress::Warning(diagnostic) => lines(&diagnostic.render(sources, style.is_colour())),
    }
}

fn network(report: &NetworkReport) -> String {
    let internal = if report.internal { ", internal" } else { "" };
    format!("{} ({}{internal}) {}", report.name, report.driver, report.subnets.join(", "))
}

fn container(report: &ContainerReport) -> String {
    let mut words = vec![report.name.clone()];
    for (network, addresses) in &report.networks {
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let sign = if addresses.is_empty() { "" } else { "=" };
        words.push(format!("{network}{sign}{}", addresses.join(",")));
    }
    words.extend(Some(report.published.clone()).filter(|published| !published.is_empty()));
    words.extend(report.exited.map(|status| format!("exited ({status})")));
    words.join("  ")
}

/// One thing that happened as a JSON object on a line; the engine's own events are lines already.
#[must_use]
pub fn progress_json(progress: &Progress<'_>, sources: &SourceMap) -> Vec<String> {
    let value = match progress {
        Progress::Network(report) => json!({
            "event": "network",
            "name": report.name,
            "driver": report.driver,
            "internal": report.internal,
            "subnets": report.subnets,
        }),
        Progress::Container(report) => json!({
            "event": "container",
            "name": report.name,
            "networks": report.networks.iter().map(|(name, addresses)| {
                let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                json!({ "name": name, "address": addresses.first(), "addresses": addresses })
            }).collect::<Vec<_>>(),
            "published": report.published,
            "exited": report.exited,
        }),
        Progress::Replaced { text } => json!({ "event": "replaced", "text": text }),
        Progress::StepStarted { place, title, time } => {
            json!({ "event": "step", "place": place, "title": title, "time": time.as_secs_f64() })
        }
        Progress::Output { text } => json!({ "event": "output", "text": text }),
        Progress::StepFinished(step) => tagged("step-finished", step_json(step, sources)),
        Progress::CheckFinished(check) => tagged("check", check_json(check, sources)),
        Progress::Story { lines } => json!({ "event": "story", "lines": lines }),
        Progress::Json { lines } => return lines.to_vec(),
        Progress::Warning(diagnostic) => tagged("warning", diagnostic_json(diagnostic, sources)),
    };
    vec![value.to_string()]
}

/// The whole report as JSON. Captures are left out; times are seconds of virtual time.
#[must_use]
pub fn report_json(report: &Report) -> Value {
    let sources = &report.sources;
    let all = |diagnostics: &[Diagnostic]| -> Vec<Value> {
        diagnostics.iter().map(|diagnostic| diagnostic_json(diagnostic, sources)).collect()
    };
    json!({
        "event": "report",
        "name": report.name,
        "file": report.file.to_string_lossy(),
        "passed": report.passed(),
        "steps": report.steps.iter().map(|step| step_json(step, sources)).collect::<Vec<_>>(),
        "checks": report.checks.iter().map(|check| check_json(check, sources)).collect::<Vec<_>>(),
        "failure": report.failure.as_ref().map(|failure| diagnostic_json(failure, sources)),
        "warnings": all(&report.warnings),
        "totals": {
            "frames": report.totals.frames,
            "drops": report.totals.drops,
            "time": report.totals.time.as_secs_f64(),
        },
    })
}

/// The line a run ends with.
#[must_use]
pub fn summary(report: &Report, style: Style) -> String {
    let verdict = if report.passed() { style.good("passed") } else { style.bad("failed") };
    let failed_checks = report.checks.iter().filter(|check| check.failure.is_some()).count();
    let failed_steps = report.steps.iter().filter(|step| !step.failures.is_empty()).count();
    let count = |failed: usize, all: usize, what: &str| match (failed, all) {
        (_, 0) => String::new(),
        (0, all) => format!("{}, ", counted(all as u64, what)),
        (failed, all) => format!("{failed} of {} failed, ", counted(all as u64, what)),
    };
    format!(
        "{verdict}: {}{}{}",
        count(failed_steps, report.steps.len(), "step"),
        count(failed_checks, report.checks.len(), "check"),
        totals(&report.totals)
    )
}

/// Frames, drops and virtual time.
#[must_use]
pub fn totals(totals: &Totals) -> String {
    format!(
        "{}, {}, {} of virtual time",
        counted(totals.frames, "frame"),
        counted(totals.drops, "drop"),
        duration(totals.time)
    )
}

/// Everything that did not hold, each with its place in the file; empty when the run passed.
#[must_use]
pub fn failures(report: &Report, style: Style) -> Vec<String> {
    let place = |span: Span| match report.sources.position(span) {
        Some(position) => style.faint(&format!("  {position}")),
        None => String::new(),
    };
    let mut out = Vec::new();
    if let Some(failure) = &report.failure {
        out.extend(lines(&failure.render(&report.sources, style.is_colour())));
    }
    for step in report.steps.iter().filter(|step| !step.failures.is_empty()) {
        out.push(format!("{} {}{}", style.bad("✗"), clean(&step_title(step)), place(step.span)));
        out.extend(step.failures.iter().map(|failure| format!("    {}", clean(failure))));
        if !step.output.is_empty() {
            out.push("    it printed:".to_owned());
            out.extend(indented(&step.output, "    | "));
        }
    }
    for check in &report.checks {
        let Some(failure) = &check.failure else { continue };
        out.push(format!("{} {}{}", style.bad("✗"), clean(&check.claim), place(check.span)));
        out.extend(failure_lines(failure, style));
    }
    out
}

/// A failed check without colours, for formats that carry text.
#[must_use]
pub fn failure_text(failure: &CheckFailure) -> String {
    failure_lines(failure, Style::Plain).join("\n")
}

/// A step as a person would point at it: `client$ ping web`.
#[must_use]
pub fn step_title(step: &StepReport) -> String {
    if step.place.is_empty() { step.title.clone() } else { format!("{}$ {}", step.place, step.title) }
}

/// A duration for people: the largest unit in which it is at least one, with three digits after the point at most.
#[must_use]
pub fn duration(time: Duration) -> String {
    let nanos = time.as_nanos();
    let (unit, name) = match nanos {
        0 => return "0 s".to_owned(),
        1..1_000 => (1, "ns"),
        1_000..1_000_000 => (1_000, "us"),
        1_000_000..1_000_000_000 => (1_000_000, "ms"),
        _ => (1_000_000_000, "s"),
    };
    let mut text = (nanos / unit).to_string();
    let digits = format!("{:03}", nanos % unit * 1_000 / unit);
    let digits = digits.trim_end_matches('0');
    if !digits.is_empty() {
        let _ = write!(text, ".{digits}");
    }
    format!("{text} {name}")
}

/// A number with its noun.
#[must_use]
pub fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

fn check_lines(check: &CheckReport, style: Style) -> Vec<String> {
    match &check.failure {
        None => vec![format!("{} {}", style.good("✓"), clean(&check.claim))],
        Some(failure) => {
            let mut out = vec![format!("{} {}", style.bad("✗"), clean(&check.claim))];
            out.extend(failure_lines(failure, style));
            out
        }
    }
}

fn failure_lines(failure: &CheckFailure, style: Style) -> Vec<String> {
    let mut out = vec![
        format!("    expected: {}", clean(&failure.expected)),
        format!("    found:    {}", clean(&failure.found)),
    ];
    let why = &failure.why;
    let said = [("because:  ", &why.because), ("by:       ", &why.line), ("try:      ", &why.suggestion)];
    for (label, text) in said {
        out.extend(text.as_ref().map(|text| format!("    {label}{}", clean(text))));
    }
    out.extend(why.story.iter().map(|line| style.faint(&format!("    | {}", clean(line)))));
    out
}

fn indented(text: &str, margin: &str) -> Vec<String> {
    text.lines().map(|line| format!("{margin}{}", clean(line)).trim_end().to_owned()).collect()
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

/// Control characters but tabs as `^X`.
pub(crate) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' => out.push('\t'),
            '\u{0}'..='\u{1f}' => {
                out.push('^');
                out.extend(char::from_u32(u32::from(character) + 0x40));
            }
            '\u{7f}'..='\u{9f}' => out.push('\u{fffd}'),
            _ => out.push(character),
        }
    }
    out
}

fn tagged(event: &str, value: Value) -> Value {
    let mut tagged = json!({ "event": event });
    if let (Value::Object(out), Value::Object(fields)) = (&mut tagged, value) {
        out.extend(fields);
    }
    tagged
}

fn step_json(step: &StepReport, sources: &SourceMap) -> Value {
    json!({
        "place": step.place,
        "title": step.title,
        "output": step.output,
        "status": step.status,
        "failures": step.failures,
        "begin": step.time.0.as_secs_f64(),
        "end": step.time.1.as_secs_f64(),
        "at": at(step.span, sources),
    })
}

fn check_json(check: &CheckReport, sources: &SourceMap) -> Value {
    let failure = check.failure.as_ref().map(|failure| {
        let why = &failure.why;
        json!({
            "expected": failure.expected,
            "found": failure.found,
            "because": why.because,
            "line": why.line,
            "suggestion": why.suggestion,
            "story": why.story,
        })
    });
    json!({
        "claim": check.claim,
        "passed": check.failure.is_none(),
        "failure": failure,
        "time": check.time.as_secs_f64(),
        "at": at(check.span, sources),
    })
}

fn diagnostic_json(diagnostic: &Diagnostic, sources: &SourceMap) -> Value {
    json!({
        "message": diagnostic.message,
        "label": diagnostic.label,
        "help": diagnostic.help,
        "at": diagnostic.span.and_then(|span| at(span, sources)),
    })
}

fn at(span: Span, sources: &SourceMap) -> Option<String> {
    sources.position(span).map(|position| position.to_string())
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::report::Why;
    use super::*;
    use std::path::Path;

    /// A report of one good and one bad step, one good and one bad check.
    pub(in crate::scenario) fn sample() -> Report {
        let mut sources = SourceMap::default();
        let file = sources.add(Path::new("shop.yaml"), "steps:\n  - x\nchecks:\n  - y\n".to_owned());
        let span = |start| Span { file, start, end: start + 1 };
        let ms = Duration::from_millis;
        let step = |title: &str, failures: Vec<String>| StepReport {
            title: title.to_owned(),
            place: "client".to_owned(),
            output: "PING web\nbell \u{7}\n".to_owned(),
            status: Some(u8::from(!failures.is_empty())),
            failures,
            time: (ms(5), ms(1005)),
            span: span(11),
        };
        let check = |claim: &str, failure| CheckReport {
            claim: claim.to_owned(),
            failure,
            time: ms(2),
            span: span(25),
        };
        Report {
            started: Vec::new(),
            name: "shop".to_owned(),
            file: "shop.yaml".into(),
            steps: vec![
                step("ping -c 1 web", Vec::new()),
                step("ping <db>", vec!["exit code 1, expected 0".to_owned()]),
            ],
            checks: vec![
                check("client -> web:80: ok", None),
                check(
                    "client -> db:5432: ok",
                    Some(CheckFailure {
                        expected: "ok".to_owned(),
                        found: "timeout".to_owned(),
                        why: Why {
                            because: Some("they share no network".to_owned()),
                            line: Some("shop.yaml:2:5: db".to_owned()),
                            suggestion: Some("connect client to `back`".to_owned()),
                            story: vec!["br-1 -> br-2".to_owned(), "DROP in DOCKER-ISOLATION".to_owned()],
                        },
                    }),
                ),
            ],
            failure: None,
            warnings: Vec::new(),
            totals: Totals { frames: 1234, drops: 1, time: Duration::from_micros(3_200_500) },
            captures: Vec::new(),
            sources,
        }
    }

    #[test]
    fn failures_say_what_where_and_why() {
        insta::assert_snapshot!(failures(&sample(), Style::Plain).join("\n"), @r#"
        ✗ client$ ping <db>  shop.yaml:2:5
            exit code 1, expected 0
            it printed:
            | PING web
            | bell ^G
        ✗ client -> db:5432: ok  shop.yaml:4:5
            expected: ok
            found:    timeout
            because:  they share no network
            by:       shop.yaml:2:5: db
            try:      connect client to `back`
            | br-1 -> br-2
            | DROP in DOCKER-ISOLATION
        "#);
    }

    #[test]
    fn a_run_is_told_line_by_line() {
        let report = sample();
        let story = ["a -> b".to_owned()];
        let warning = Diagnostic::warning(report.steps[0].span, "look here").label("at this");
        let told = [
            Progress::Network(&NetworkReport {
                name: "shop_default".to_owned(),
                driver: "bridge".to_owned(),
                internal: true,
                subnets: vec!["172.18.0.0/16".to_owned()],
            }),
            Progress::Container(&ContainerReport {
                name: "shop-web-1".to_owned(),
                networks: vec![("shop_default".to_owned(), vec![[172, 18, 0, 2].into()])],
                published: "0.0.0.0:8080->80/tcp".to_owned(),
                exited: None,
            }),
            Progress::StepStarted { place: "client", title: "ping web", time: Duration::from_millis(1500) },
            Progress::Output { text: "one\n\ntwo\n" },
            Progress::StepFinished(&report.steps[1]),
            Progress::StepStarted { place: "", title: "wait 5s", time: Duration::ZERO },
            Progress::CheckFinished(&report.checks[0]),
            Progress::CheckFinished(&report.checks[1]),
            Progress::Story { lines: &story },
            Progress::Warning(&warning),
        ];
        let lines: Vec<String> =
            told.iter().flat_map(|p| progress(p, &report.sources, Style::Plain)).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        network   shop_default (bridge, internal) 172.18.0.0/16
        container shop-web-1  shop_default=172.18.0.2  0.0.0.0:8080->80/tcp
        [1.5 s] client$ ping web
            one

            two
        ✗ exit code 1, expected 0
        [0 s] * wait 5s
        ✓ client -> web:80: ok
        ✗ client -> db:5432: ok
            expected: ok
            found:    timeout
            because:  they share no network
            by:       shop.yaml:2:5: db
            try:      connect client to `back`
            | br-1 -> br-2
            | DROP in DOCKER-ISOLATION
            | a -> b
        warning: look here
         --> shop.yaml:2:5
          |
        2 |   - x
          |     ^ at this
        "#);
        for one in &told {
            for line in progress_json(one, &report.sources) {
                let value: Value = serde_json::from_str(&line).unwrap();
                assert!(value["event"].is_string(), "{line}");
            }
        }
    }

    #[test]
    fn summaries_count() {
        let mut report = sample();
        insta::assert_snapshot!(summary(&report, Style::Plain), @"failed: 1 of 2 steps failed, 1 of 2 checks failed, 1234 frames, 1 drop, 3.2 s of virtual time");
        report.steps.remove(1);
        report.checks.remove(1);
        insta::assert_snapshot!(summary(&report, Style::Plain), @"passed: 1 step, 1 check, 1234 frames, 1 drop, 3.2 s of virtual time");
        report.steps.clear();
        report.checks.clear();
        insta::assert_snapshot!(summary(&report, Style::Colour).escape_debug(), @r#"\u{1b}[32mpassed\u{1b}[0m: 1234 frames, 1 drop, 3.2 s of virtual time"#);
    }

    #[test]
    fn json_tells_the_verdict_and_the_reason() {
        let value = report_json(&sample());
        assert_eq!(value["passed"], false);
        assert_eq!(value["checks"][1]["failure"]["found"], "timeout");
        assert_eq!(value["checks"][1]["at"], "shop.yaml:4:5");
        assert_eq!(value["steps"][1]["status"], 1);
        assert_eq!(value["totals"]["frames"], 1234);
    }

    #[test]
    fn durations_have_one_unit() {
        for (nanos, text) in [
            (0, "0 s"),
            (999, "999 ns"),
            (1_500, "1.5 us"),
            (20_000_000, "20 ms"),
            (1_000_000_001, "1 s"),
            (300_010_000_000, "300.01 s"),
        ] {
            assert_eq!(duration(Duration::from_nanos(nanos)), text);
        }
    }

    #[test]
    fn programs_cannot_steer_the_terminal() {
        assert_eq!(clean("a\u{1b}[2J\tb\u{9b}c\r"), "a^[[2J\tb\u{fffd}c^M");
    }
}
