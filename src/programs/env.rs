//! `env` and `printenv`.

use super::arguments;
use super::options::Failure;
use super::options::finish;
use crate::engine::sys::{Errno, ExitCode, Launch, Sys};

/// Prints the environment, or starts a program with variables added.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let (_, words) = arguments(&sys);
    let mut environment = sys.environment();
    let mut rest = words;
    while let Some((word, after)) = rest.split_first() {
        match word.split_once('=') {
            _ if word == "-i" => environment.clear(),
            Some((name, value)) => {
                environment.insert(name.to_owned(), value.to_owned());
            }
            None => break,
        }
        rest = after;
    }
    if rest.is_empty() {
        for (name, value) in sys.in_order(&environment) {
            sys.print(format!("{name}={value}\n")).await;
        }
        return ExitCode::SUCCESS;
    }
    let launch = Launch {
        arguments: rest.to_vec(),
        environment,
        stdin: sys.stdin().clone(),
        stdout: sys.stdout().clone(),
        stderr: sys.stderr().clone(),
        replaces: true,
    };
    match sys.launch(launch) {
        Ok(child) => child.wait().await,
        Err(errno) => {
            let text = format!("env: can't execute '{}': {errno}\n", rest[0]);
            let status =
                if errno == Errno::NoSuchFile { ExitCode::NOT_FOUND } else { ExitCode::NOT_EXECUTABLE };
            finish(&sys, Err(Failure { text, status })).await
        }
    }
}

/// Prints the variables named, or all of them.
pub(crate) async fn printenv(sys: Sys) -> ExitCode {
    let (_, words) = arguments(&sys);
    if words.is_empty() {
        let variables = sys.environment();
        for (name, value) in sys.in_order(&variables) {
            sys.print(format!("{name}={value}\n")).await;
        }
    }
    let mut status = ExitCode::SUCCESS;
    for name in words {
        match sys.variable(name) {
            Some(value) => sys.print(format!("{value}\n")).await,
            None => status = ExitCode::FAILURE,
        }
    }
    status
}
