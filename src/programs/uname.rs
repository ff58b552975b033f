//! `uname [-asnrvm]`. There is no kernel to name, so it says so.

use super::arguments;
use super::options::{Options, Syntax, finish};
use crate::engine::sys::{ExitCode, Sys};

const SYNTAX: Syntax =
    Syntax { letters: "asnrvm", long: &[], stop_at_operand: false, usage: "uname [-amnrsv]" };

/// Prints names of the system.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let (program, words) = arguments(&sys);
    let options = match Options::parse(program, words, &SYNTAX) {
        Ok(options) => options,
        Err(failure) => return finish(&sys, Err(failure)).await,
    };
    let names = [
        ('s', "Linux"),
        ('n', sys.hostname()),
        ('r', concat!(env!("CARGO_PKG_VERSION"), "-linkspan")),
        ('v', "#1 virtual"),
        ('m', "x86_64"),
    ];
    let chosen =
        |letter: char| options.has('a') || options.has(letter) || (words.is_empty() && letter == 's');
    let words: Vec<&str> =
        names.iter().filter(|(letter, _)| chosen(*letter)).map(|(_, name)| *name).collect();
    sys.print(words.join(" ") + "\n").await;
    ExitCode::SUCCESS
}
