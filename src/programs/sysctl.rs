//! `sysctl [-neaw] [KEY[=VALUE]]...`: the settings a namespace has here, read and changed.
//!
//! `-a` shows every key. Where the first separator is a dot, slashes and dots stand for each other, so that
//! `net.ipv4.conf.eth0/10.rp_filter` is a setting of `eth0.10`.

use super::arguments;
use super::options::{Failure, Options, Syntax, finish};
use crate::engine::sys::{Errno, ExitCode, Sys};

pub(super) const SYNTAX: Syntax = Syntax {
    letters: "neaAwqp",
    long: &[],
    stop_at_operand: false,
    usage: "sysctl [-enq] { -a | -p [FILE]... | [-w] [KEY[=VALUE]]... }",
};

/// Where the keys are files.
const PARAMETERS: &str = "/proc/sys/";

/// Reads and changes settings.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let options = Options::parse(program, words, &SYNTAX)?;
    let keys: Vec<String> = match options.has('a') || options.has('A') {
        true => sys
            .list_files(PARAMETERS)
            .iter()
            .filter_map(|path| path.strip_prefix(PARAMETERS))
            .map(swapped)
            .collect(),
        false => options.operands.clone(),
    };
    let mut status = ExitCode::SUCCESS;
    for word in &keys {
        let (key, value) = match word.split_once('=') {
            Some((key, value)) => (key.trim(), Some(value.trim())),
            None => (word.as_str(), None),
        };
        let path = match key.find(['.', '/']) {
            Some(at) if key[at..].starts_with('.') => swapped(key),
            _ => key.to_owned(),
        };
        let key = swapped(&path);
        let done = match value {
            Some(value) => write(sys, &path, value).map(|()| value.to_owned()),
            None => read(sys, &path),
        };
        match done {
            Ok(_) if value.is_some() && options.has('q') => {}
            Ok(value) if options.has('n') => sys.print(format!("{value}\n")).await,
            Ok(value) => sys.print(format!("{key} = {value}\n")).await,
            Err(Errno::NoSuchFile) if options.has('e') => {}
            Err(errno) => {
                let text = match errno {
                    Errno::NoSuchFile => format!("error: '{key}' is an unknown key"),
                    // Docker mounts /proc/sys read-only where a container may not change it.
                    Errno::PermissionDenied => format!("error setting key '{key}': Read-only file system"),
                    errno => format!("write error: {errno}"),
                };
                sys.print_error(format!("{program}: {text}\n")).await;
                status = ExitCode::FAILURE;
            }
        }
    }
    Ok(status)
}

/// Slashes for dots and dots for slashes: a key as the path it is, and the other way round.
fn swapped(key: &str) -> String {
    key.chars()
        .map(|character| match character {
            '.' => '/',
            '/' => '.',
            other => other,
        })
        .collect()
}

fn read(sys: &Sys, path: &str) -> Result<String, Errno> {
    let content = sys.read_file(&format!("{PARAMETERS}{path}"))?;
    Ok(String::from_utf8_lossy(&content).trim_end().to_owned())
}

fn write(sys: &Sys, path: &str, value: &str) -> Result<(), Errno> {
    sys.write_file(&format!("{PARAMETERS}{path}"), value.as_bytes(), false)
}
