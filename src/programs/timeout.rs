//! `timeout [-s SIGNAL] [-k SECONDS] SECONDS PROGRAM [ARGUMENT]...`.
//!
//! BusyBox's version becomes the program and leaves the watching to a child, so a program that was ended by SIGTERM
//! gives status 143 and not GNU's 124.

use super::arguments;
use super::options::{Failure, Options, Syntax, duration, finish, signal_number};
use crate::engine::sys::{Errno, ExitCode, Launch, Sys};

const SYNTAX: Syntax = Syntax {
    letters: "s:k:t:",
    long: &[],
    stop_at_operand: true,
    usage: "timeout [-s SIG] [-k KILL_SECS] SECS PROG ARGS",
};

/// Runs a program for a limited time.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let options = Options::parse(program, words, &SYNTAX)?;
    let [limit, command @ ..] = options.operands.as_slice() else {
        return Err(Failure::usage("", SYNTAX.usage));
    };
    if command.is_empty() {
        return Err(Failure::usage("", SYNTAX.usage));
    }
    let read =
        |text: &str| duration(text).ok_or_else(|| Failure::new(program, format!("invalid number '{text}'")));
    let limit = read(limit)?;
    let grace = options.value('k').map(read).transpose()?;
    let signal = match options.value('s') {
        None => SIGTERM,
        Some(name) => {
            signal_number(name).ok_or_else(|| Failure::new(program, format!("bad signal name '{name}'")))?
        }
    };
    let launch = Launch {
        arguments: command.to_vec(),
        environment: sys.environment().clone(),
        stdin: sys.stdin().clone(),
        stdout: sys.stdout().clone(),
        stderr: sys.stderr().clone(),
    };
    let child = sys.launch(launch).map_err(|errno| Failure {
        text: format!("{program}: can't execute '{}': {errno}\n", command[0]),
        status: if errno == Errno::NoSuchFile { ExitCode::NOT_FOUND } else { ExitCode::NOT_EXECUTABLE },
    })?;
    if let Some(status) = sys.timeout(limit, child.wait()).await {
        return Ok(status);
    }
    sys.kill(child.id, signal);
    if let Some(grace) = grace {
        if let Some(status) = sys.timeout(grace, child.wait()).await {
            return Ok(status);
        }
        sys.kill(child.id, SIGKILL);
    }
    Ok(child.wait().await)
}

const SIGKILL: u8 = 9;
const SIGTERM: u8 = 15;
