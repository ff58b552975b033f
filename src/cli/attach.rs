//! `linkspan attach`: the helper that `linkspan up` starts; nobody types it.

use clap::Args;
use linkspan::run::attach;

use super::Verdict;

/// Enter the namespaces of a process and hand TAP devices back (used by `linkspan up`)
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The process
    pid: u32,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Verdict> {
    attach::serve(arguments.pid);
    Ok(Verdict::Passed)
}
