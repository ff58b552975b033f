//! `linkspan doctor`: what this machine permits.

use clap::Args;
use linkspan::run::doctor::examine;

use super::Verdict;
use super::terminal::Terminal;

/// Say what this machine permits
///
/// `run`, `test` and `check` need nothing at all. What is looked at here matters when real programs are to be attached.
#[derive(Debug, Args)]
pub(super) struct Arguments {}

pub(super) fn run(_: &Arguments, terminal: &mut Terminal) -> anyhow::Result<Verdict> {
    terminal.line(examine().to_string().trim_end());
    Ok(Verdict::Passed)
}
