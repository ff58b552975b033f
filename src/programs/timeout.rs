//! `timeout [-s SIGNAL] [-k SECONDS] SECONDS PROGRAM [ARGUMENT]...`, BusyBox's and GNU's.
//!
//! BusyBox's version becomes the program and leaves the watching to a child, so a program that was ended by SIGTERM
//! gives status 143. GNU's waits for the program and gives 124, or 137 if it had to use SIGKILL.

use std::time::Duration;

use super::arguments;
use super::options::{Failure, Options, Syntax, duration, finish, signal_name, signal_number};
use crate::engine::sys::{Child, Errno, ExitCode, Launch, Sys};

pub(super) const SYNTAX: Syntax = Syntax {
    letters: "s:k:",
    long: &[],
    stop_at_operand: true,
    usage: "timeout [-s SIG] [-k KILL_SECS] SECS PROG ARGS\n\n\
            Run PROG. Send SIG to it if it is not gone in SECS seconds.\n\
            Default SIG: TERM.If it still exists in KILL_SECS seconds, send KILL.",
};

const GNU_SYNTAX: Syntax = Syntax {
    letters: "s:k:vfp",
    long: &[
        ("signal", 's'),
        ("kill-after", 'k'),
        ("verbose", 'v'),
        ("foreground", 'f'),
        ("preserve-status", 'p'),
    ],
    stop_at_operand: true,
    usage: "",
};

/// Runs a program for a limited time.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

/// Runs a program for a limited time and says with its status that it was over.
pub(crate) async fn gnu(sys: Sys) -> ExitCode {
    let result = run_gnu(&sys).await;
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
    let child = sys.launch(launch(sys, command)).map_err(|errno| Failure {
        text: format!("{program}: can't execute '{}': {errno}\n", command[0]),
        status: launch_status(errno),
    })?;
    let watched = Watched { sys, child, signal, grace, told: None };
    Ok(match watched.wait(limit).await {
        Ended::ByItself(status) | Ended::Signalled(_, status) => status,
    })
}

async fn run_gnu(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let options = Options::parse(program, words, &GNU_SYNTAX)
        .map_err(|failure| gnu_usage(&getopt_complaint(program, &failure.text)))?;
    let [limit, command @ ..] = options.operands.as_slice() else { return Err(gnu_usage("")) };
    let Some(name) = command.first() else { return Err(gnu_usage("")) };
    let read = |text: &str| {
        duration(text).ok_or_else(|| gnu_usage(&format!("{program}: invalid time interval '{text}'\n")))
    };
    let limit = read(limit)?;
    let grace = options.value('k').map(read).transpose()?.filter(|grace| !grace.is_zero());
    let signal = match options.value('s') {
        None => SIGTERM,
        Some(name) => {
            signal_number(name).ok_or_else(|| gnu_usage(&format!("{program}: '{name}': invalid signal\n")))?
        }
    };
    let child = sys.launch(launch(sys, command)).map_err(|errno| Failure {
        text: format!("{program}: failed to run command '{name}': {errno}\n"),
        status: launch_status(errno),
    })?;
    if limit.is_zero() {
        return Ok(child.wait().await);
    }
    let told = options.has('v').then_some((program, name.as_str()));
    Ok(match (Watched { sys, child, signal, grace, told }).wait(limit).await {
        Ended::ByItself(status) => status,
        Ended::Signalled(_, status) if options.has('p') => status,
        Ended::Signalled(SIGKILL, status) => status,
        Ended::Signalled(_, _) => TIMED_OUT,
    })
}

/// A program that runs, and what to do when its time is over.
struct Watched<'a> {
    sys: &'a Sys,
    child: Child,
    signal: u8,
    grace: Option<Duration>,
    /// Say which signals are sent: the names of `timeout` and of the program.
    told: Option<(&'a str, &'a str)>,
}

/// How a program ended.
enum Ended {
    ByItself(ExitCode),
    /// The last signal it was sent, and its status.
    Signalled(u8, ExitCode),
}

impl Watched<'_> {
    async fn wait(&self, limit: Duration) -> Ended {
        if let Some(status) = self.sys.timeout(limit, self.child.wait()).await {
            return Ended::ByItself(status);
        }
        self.send(self.signal).await;
        let Some(grace) = self.grace else {
            return Ended::Signalled(self.signal, self.child.wait().await);
        };
        if let Some(status) = self.sys.timeout(grace, self.child.wait()).await {
            return Ended::Signalled(self.signal, status);
        }
        self.send(SIGKILL).await;
        Ended::Signalled(SIGKILL, self.child.wait().await)
    }

    async fn send(&self, signal: u8) {
        if let Some((program, command)) = self.told {
            let name = signal_name(signal);
            self.sys.print_error(format!("{program}: sending signal {name} to command '{command}'\n")).await;
        }
        self.sys.kill(self.child.id, signal);
    }
}

fn launch(sys: &Sys, command: &[String]) -> Launch {
    Launch {
        arguments: command.to_vec(),
        environment: sys.environment(),
        stdin: sys.stdin().clone(),
        stdout: sys.stdout().clone(),
        stderr: sys.stderr().clone(),
        replaces: false,
    }
}

fn launch_status(errno: Errno) -> ExitCode {
    if errno == Errno::NoSuchFile { ExitCode::NOT_FOUND } else { ExitCode::NOT_EXECUTABLE }
}

fn gnu_usage(complaint: &str) -> Failure {
    let text = format!("{complaint}Try 'timeout --help' for more information.\n");
    Failure { text, status: GNU_FAILED }
}

/// What GNU's getopt says where BusyBox's says `text`.
fn getopt_complaint(program: &str, text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let (complaint, option) = line.rsplit_once(": ").unwrap_or((line, ""));
    match (complaint.ends_with("requires an argument"), option.chars().count() > 1) {
        (false, false) => format!("{program}: invalid option -- '{option}'\n"),
        (false, true) => format!("{program}: unrecognized option '--{option}'\n"),
        (true, false) => format!("{program}: option requires an argument -- '{option}'\n"),
        (true, true) => format!("{program}: option '--{option}' requires an argument\n"),
    }
}

const SIGKILL: u8 = 9;
const SIGTERM: u8 = 15;

/// coreutils' EXIT_TIMEDOUT.
const TIMED_OUT: ExitCode = ExitCode(124);

/// coreutils' EXIT_CANCELED: `timeout` itself could not.
const GNU_FAILED: ExitCode = ExitCode(125);
