//! Reports as JUnit XML, the form CI systems read: one suite per file, one case per step and check.
//!
//! Cases that fail carry what was expected, what was found and the way of the packet as their text. A scenario that
//! could not be run to its end has a case of its own, and so has a file that was refused. Warnings are the standard
//! error of the case that everything came up. Times are virtual, so two
//! runs write the same bytes; there are no dates.

use std::path::Path;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report as Document, TestCase, TestCaseStatus, TestSuite};
use thiserror::Error;

use super::render::{failure_text, step_title};
use super::report::Report;

/// A document that grows suite by suite.
#[derive(Debug, Clone)]
pub struct Junit {
    document: Document,
    time: Duration,
}

/// The document could not be written.
#[derive(Debug, Error)]
#[error("the JUnit document cannot be written: {0}")]
pub struct JunitError(#[from] quick_junit::SerializeError);

/// A case of a suite that is no scenario's report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// What was tried.
    pub name: String,
    /// How it ended.
    pub result: CaseResult,
}

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaseResult {
    /// It passed; what was found.
    Passed(String),
    /// Nothing was expected of it; what was found.
    Skipped(String),
}

impl Default for Junit {
    fn default() -> Self {
        Self { document: Document::new("linkspan"), time: Duration::ZERO }
    }
}

impl Junit {
    /// Adds what a run found. `seed` is named when one file is run with several.
    pub fn ran(&mut self, report: &Report, seed: Option<u64>) {
        let mut suite = TestSuite::new(suite_name(&report.file, seed));
        suite.set_time(report.totals.time);
        self.time += report.totals.time;
        // That everything was created and started is a test too, and the only one of a plain Compose file.
        let mut start = case(&report.name, "runs", Duration::ZERO);
        if let Some(failure) = &report.failure {
            let text = failure.render(&report.sources, false);
            start.status = broken(NonSuccessKind::Error, &failure.message, &text);
        }
        let warnings: Vec<String> =
            report.warnings.iter().map(|warning| warning.render(&report.sources, false)).collect();
        if !warnings.is_empty() {
            start.set_system_err(warnings.join("\n"));
        }
        suite.add_test_case(start);
        for step in &report.steps {
            let taken = step.time.1.saturating_sub(step.time.0);
            let mut case = case(&report.name, &step_title(step), taken);
            if !step.output.is_empty() {
                case.set_system_out(without_tabs(&step.output));
            }
            if let Some(first) = step.failures.first() {
                let text = with_place(step.failures.join("\n"), report.sources.position(step.span));
                case.status = broken(NonSuccessKind::Failure, first, &text);
            }
            suite.add_test_case(case);
        }
        for check in &report.checks {
            let mut case = case(&report.name, &check.claim, check.time);
            if let Some(failure) = &check.failure {
                let message = format!("expected {}, found {}", failure.expected, failure.found);
                let text = with_place(failure_text(failure), report.sources.position(check.span));
                case.status = broken(NonSuccessKind::Failure, &message, &text);
            }
            suite.add_test_case(case);
        }
        self.document.add_test_suite(suite);
    }

    /// Adds a suite of cases about one file; `class` is the scenario's name.
    pub fn suite(&mut self, file: &Path, class: &str, time: Duration, cases: impl Iterator<Item = Case>) {
        let mut suite = TestSuite::new(suite_name(file, None));
        suite.set_time(time);
        self.time += time;
        for Case { name, result } in cases {
            let mut case = case(class, &name, Duration::ZERO);
            match result {
                CaseResult::Passed(found) => {
                    case.set_system_out(found);
                }
                CaseResult::Skipped(found) => {
                    case.status = TestCaseStatus::skipped();
                    case.status.set_message(found);
                }
            }
            suite.add_test_case(case);
        }
        self.document.add_test_suite(suite);
    }

    /// Adds a file that was refused, with what was said about it.
    pub fn refused(&mut self, file: &Path, text: &str) {
        let mut suite = TestSuite::new(suite_name(file, None));
        let mut case = case(&file.to_string_lossy(), "loads", Duration::ZERO);
        let message = text.lines().next().unwrap_or("refused");
        case.status = broken(NonSuccessKind::Error, message, text);
        suite.add_test_case(case);
        self.document.add_test_suite(suite);
    }

    /// The document.
    ///
    /// # Errors
    /// When XML cannot hold it.
    pub fn finish(mut self) -> Result<String, JunitError> {
        self.document.set_time(self.time);
        Ok(self.document.to_string()?)
    }
}

fn suite_name(file: &Path, seed: Option<u64>) -> String {
    match seed {
        Some(seed) => format!("{} (seed {seed})", file.display()),
        None => file.display().to_string(),
    }
}

/// Tabs as columns of eight: the report's XML leaves them out.
fn without_tabs(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut column = 0;
    for letter in text.chars() {
        match letter {
            '\t' => {
                let width = 8 - column % 8;
                out.extend(std::iter::repeat_n(' ', width));
                column += width;
            }
            '\n' => {
                out.push('\n');
                column = 0;
            }
            other => {
                out.push(other);
                column += 1;
            }
        }
    }
    out
}

fn case(class: &str, name: &str, time: Duration) -> TestCase {
    let mut case = TestCase::new(name, TestCaseStatus::success());
    case.set_classname(class);
    case.set_time(time);
    case
}

fn broken(kind: NonSuccessKind, message: &str, text: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(message);
    status.set_description(text);
    status
}

fn with_place(text: String, position: Option<super::diagnostic::Position>) -> String {
    match position {
        Some(position) => format!("{position}\n{text}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::super::diagnostic::Diagnostic;
    use super::super::render::tests::sample;
    use super::*;

    #[test]
    fn a_suite_per_file_a_case_per_step_and_check() {
        let mut junit = Junit::default();
        junit.ran(&sample(), None);
        junit.refused(Path::new("bad.yaml"), "error: unknown key\n --> bad.yaml:1:1");
        insta::assert_snapshot!(junit.finish().unwrap(), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="linkspan" tests="6" skipped="0" failures="2" errors="1" time="3.200">
            <testsuite name="shop.yaml" tests="5" skipped="0" errors="0" failures="2" time="3.200">
                <testcase name="runs" classname="shop" time="0.000"/>
                <testcase name="client$ ping -c 1 web" classname="shop" time="1.000">
                    <system-out>PING web
        bell 
        </system-out>
                </testcase>
                <testcase name="client$ ping &lt;db&gt;" classname="shop" time="1.000">
                    <failure message="exit code 1, expected 0">shop.yaml:2:5
        exit code 1, expected 0</failure>
                    <system-out>PING web
        bell 
        </system-out>
                </testcase>
                <testcase name="client -&gt; web:80: ok" classname="shop" time="0.002"/>
                <testcase name="client -&gt; db:5432: ok" classname="shop" time="0.002">
                    <failure message="expected ok, found timeout">shop.yaml:4:5
            expected: ok
            found:    timeout
            because:  they share no network
            by:       shop.yaml:2:5: db
            try:      connect client to `back`
            | br-1 -&gt; br-2
            | DROP in DOCKER-ISOLATION</failure>
                </testcase>
            </testsuite>
            <testsuite name="bad.yaml" tests="1" skipped="0" errors="1" failures="0">
                <testcase name="loads" classname="bad.yaml" time="0.000">
                    <error message="error: unknown key">error: unknown key
         --&gt; bad.yaml:1:1</error>
                </testcase>
            </testsuite>
        </testsuites>
        "#);
    }

    #[test]
    fn what_was_not_tried_is_said() {
        let mut report = sample();
        report
            .warnings
            .push(Diagnostic::warning(report.steps[0].span, "the health check of `web` is not made"));
        let mut junit = Junit::default();
        junit.ran(&report, None);
        let text = junit.finish().unwrap();
        let (_, told) = text.split_once("<system-err>").unwrap();
        assert!(told.starts_with("warning: the health check of `web` is not made"), "{told}");
    }

    #[test]
    fn a_run_that_ended_early_is_an_error() {
        let mut report = sample();
        report.failure = Some(Diagnostic::error(report.steps[0].span, "a packet storm"));
        let mut junit = Junit::default();
        junit.ran(&report, Some(3));
        let text = junit.finish().unwrap();
        let document = Document::deserialize_from_str(&text).unwrap();
        assert_eq!((document.tests, document.failures, document.errors), (5, 2, 1));
        assert!(text.contains("shop.yaml (seed 3)") && text.contains("shop.yaml:2:5"));
    }

    #[test]
    fn output_keeps_its_columns() {
        assert_eq!(without_tabs("Server:\t\t127.0.0.11\na\tb"), "Server:         127.0.0.11\na       b");
    }
}
