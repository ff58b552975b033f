//! `conntrack -L`: the tracked connections of a host.

use super::arguments;
use super::options::{Failure, Options, Syntax, finish};
use crate::engine::sys::{ExitCode, Sys};

pub(super) const SYNTAX: Syntax = Syntax {
    letters: "Lp:s:d:f:n",
    long: &[("dump", 'L'), ("proto", 'p'), ("src", 's'), ("dst", 'd'), ("family", 'f')],
    stop_at_operand: false,
    usage: "conntrack -L [-p PROTO] [-s SRC] [-d DST]",
};

/// Lists connections.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let options = Options::parse(program, words, &SYNTAX)?;
    if !options.has('L') {
        return Err(Failure::usage("", SYNTAX.usage));
    }
    let has = |line: &str, key: &str, value: Option<&str>| {
        value.is_none_or(|value| {
            line.split_whitespace().find_map(|word| word.strip_prefix(key)) == Some(value)
        })
    };
    let mut lines = sys.connections();
    lines.retain(|line| {
        options.value('p').is_none_or(|protocol| line.split_whitespace().next() == Some(protocol))
            && has(line, "src=", options.value('s'))
            && has(line, "dst=", options.value('d'))
    });
    for line in &lines {
        sys.print(format!("{}\n", line.trim_end_matches('\n'))).await;
    }
    let count = lines.len();
    sys.print_error(format!("{program} v1.4.7 (conntrack-tools): {count} flow entries have been shown.\n"))
        .await;
    Ok(ExitCode::SUCCESS)
}
