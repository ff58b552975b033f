//! A matrix as a suite of JUnit cases, in a document with those of `linkspan test`.
//!
//! Nothing is expected of a matrix, so no case fails: one that reaches its target passes, one that does not is skipped
//! with its outcome as the message. What must hold belongs into a scenario's `checks:`.

use super::Matrix;
use crate::scenario::junit::{Case, CaseResult, Junit};

impl Matrix {
    /// Adds one case for each attempt.
    pub fn junit(&self, document: &mut Junit) {
        let cases = self.attempts.iter().map(|tried| {
            let (from, to) = (&self.party(tried.from).label, &self.party(tried.to).label);
            let outcome = tried.outcome.to_string();
            Case {
                name: format!("{from} -> {to} {} {}", tried.by, tried.attempt),
                result: if tried.outcome.reaches() {
                    CaseResult::Passed(outcome)
                } else {
                    CaseResult::Skipped(outcome)
                },
            }
        });
        document.suite(&self.file, &self.name, self.totals.time, cases);
    }
}
