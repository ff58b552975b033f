//! `hostname [-fisd]`.

use super::arguments;
use super::options::{Failure, Options, Syntax, finish};
use super::resolver::{self, Want, resolve};
use crate::engine::sys::{ExitCode, Sys};

pub(super) const SYNTAX: Syntax =
    Syntax { letters: "fisd", long: &[], stop_at_operand: false, usage: "hostname [-sidf]" };

/// Prints the host's name or addresses.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let options = Options::parse(program, words, &SYNTAX)?;
    if !options.operands.is_empty() {
        return Err(Failure::new(program, "sethostname: Operation not permitted"));
    }
    let name = sys.hostname();
    let text = if options.has('i') {
        let unknown = || Failure::new(program, format!("{name}: Host name lookup failure"));
        let addresses = resolve(sys, name, Want::Ipv4).await.map_err(|_| unknown())?;
        addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    } else if options.has('f') || options.has('d') {
        let full = full_name(sys);
        match options.has('d') {
            true => full.split_once('.').map_or(String::new(), |(_, domain)| domain.to_owned()),
            false => full,
        }
    } else if options.has('s') {
        name.split('.').next().unwrap_or(name).to_owned()
    } else {
        name.to_owned()
    };
    sys.print(text + "\n").await;
    Ok(ExitCode::SUCCESS)
}

/// The first name of the line of `/etc/hosts` that knows the host name.
fn full_name(sys: &Sys) -> String {
    let name = sys.hostname();
    let line = resolver::hosts(sys).into_iter().find(|(_, names)| names.iter().any(|known| known == name));
    line.and_then(|(_, names)| names.into_iter().next()).unwrap_or_else(|| name.to_owned())
}
