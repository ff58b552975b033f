//! `sysctl [-neaw] [KEY[=VALUE]]...`: the settings a namespace has here, read and changed.
//!
//! Keys are those of [`KEYS`]; `-a` shows them all. A slash may stand for a dot.

use super::arguments;
use super::options::{Failure, Options, Syntax, finish};
use crate::engine::sys::{Errno, ExitCode, Sys};

pub(super) const SYNTAX: Syntax = Syntax {
    letters: "neaAwqp",
    long: &[],
    stop_at_operand: false,
    usage: "sysctl [-enq] { -a | -p [FILE]... | [-w] [KEY[=VALUE]]... }",
};

/// The keys, as `-a` lists them.
const KEYS: [&str; 6] = [
    "net.bridge.bridge-nf-call-ip6tables",
    "net.bridge.bridge-nf-call-iptables",
    "net.ipv4.ip_forward",
    "net.ipv4.ip_local_port_range",
    "net.ipv6.conf.all.disable_ipv6",
    "net.ipv6.conf.all.forwarding",
];

/// Reads and changes settings.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let options = Options::parse(program, words, &SYNTAX)?;
    let keys: Vec<String> = match options.has('a') || options.has('A') {
        true => KEYS.map(str::to_owned).to_vec(),
        false => options.operands.clone(),
    };
    let mut status = ExitCode::SUCCESS;
    for word in &keys {
        let (key, value) = match word.split_once('=') {
            Some((key, value)) => (key.trim(), Some(value.trim())),
            None => (word.as_str(), None),
        };
        let key = key.replace('/', ".");
        let done = match value {
            Some(value) => write(sys, &key, value).map(|()| value.to_owned()),
            None => read(sys, &key),
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

/// A key as the file it is.
fn file_of(key: &str) -> String {
    format!("/proc/sys/{}", key.replace('.', "/"))
}

fn read(sys: &Sys, key: &str) -> Result<String, Errno> {
    let content = sys.read_file(&file_of(key))?;
    Ok(String::from_utf8_lossy(&content).trim_end().to_owned())
}

fn write(sys: &Sys, key: &str, value: &str) -> Result<(), Errno> {
    sys.write_file(&file_of(key), value.as_bytes(), false)
}
