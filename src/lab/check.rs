//! Checks in one line, as scenario files have them, made in a lab as it is now.

use super::attempt::{Attempt, Resolved};
use super::error::LabError;
use super::session::Lab;
use crate::scenario::{Claim, Outcome};
use crate::world::probe::ProbeOutcome;

impl Lab {
    /// Asserts what a line says, in the words of a scenario's `checks:`: `web -> db:5432: ok`, `web ? db: 172.18.0.3`,
    /// `only web -> db:5432`. The last is a closed world, as [`Lab::only`] is.
    ///
    /// ```
    /// use linkspan::lab::Lab;
    ///
    /// let mut lab = Lab::from_compose("services: {web: {image: nginx, ports: ['8080:80']}, db: {image: postgres}}")?;
    /// lab.check("web -> db:5432: ok");
    /// lab.check("web -> db:5433: refused");
    /// lab.check("web ? db: 172.18.0.3");
    /// lab.check("world:outside -> host:8080: ok from 203.0.113.1");
    /// lab.check("only web -> db:5432");
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Panics
    /// With the explanation, if it does not hold, and with the error, if it cannot be read or tried.
    #[track_caller]
    pub fn check(&mut self, line: &str) {
        match line.parse::<Claim>() {
            Ok(claim) => self.assert_claim(&claim),
            Err(error) => panic!("{}", LabError::Check { line: line.to_owned(), reason: error.to_string() }),
        }
    }

    /// Asserts every check of the file's `checks:`, in a lab as it is now: after a crash, with a slow wire, and so on.
    ///
    /// ```
    /// use linkspan::lab::Lab;
    ///
    /// let mut lab = Lab::from_file("scenarios/quickstart.yaml")?;
    /// lab.check_all();
    /// lab.restart("client")?;
    /// lab.check_all();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Panics
    /// As [`Lab::check`], at the first that does not hold; and if the file has no checks, since then nothing is proved.
    #[track_caller]
    pub fn check_all(&mut self) {
        let claims: Vec<Claim> = self.scenario.checks.iter().map(|check| check.claim.clone()).collect();
        assert!(!claims.is_empty(), "{} has no `checks:`", self.scenario.file.display());
        for claim in &claims {
            self.assert_claim(claim);
        }
    }

    #[track_caller]
    fn assert_claim(&mut self, claim: &Claim) {
        match claim {
            Claim::Reach { from, to, outcome } => {
                let attempt = self.knock(&from.to_string(), &to.to_string());
                assert!(holds(&attempt, *outcome), "expected {claim}\n{attempt}");
            }
            Claim::Resolve { from, name, addresses } => {
                let resolved: Resolved = self.resolve(&from.to_string(), name);
                let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                resolved.assert_is(texts.iter().map(String::as_str));
            }
            Claim::Only { from, to } => {
                let names: Vec<String> = from.iter().map(ToString::to_string).collect();
                self.only(names.iter().map(String::as_str)).reach(&to.to_string());
            }
        }
    }
}

fn holds(attempt: &Attempt, wanted: Outcome) -> bool {
    let Ok(found) = attempt.found else { return false };
    match wanted {
        Outcome::Ok(None) => matches!(found, ProbeOutcome::Ok(_)),
        Outcome::Ok(Some(source)) => found == ProbeOutcome::Ok(Some(source)),
        Outcome::Refused => found == ProbeOutcome::Refused,
        Outcome::Timeout => found == ProbeOutcome::Timeout,
        Outcome::Unreachable => found == ProbeOutcome::Unreachable,
        Outcome::Unresolved => found == ProbeOutcome::Unresolved,
        Outcome::NoAnswer => found == ProbeOutcome::NoAnswer,
    }
}
