//! `cat [-nbvteA] [FILE]...`: copies files and standard input as they come, in pieces.

use super::arguments;
use super::options::{Options, Syntax, finish};
use super::text::{BROKEN_PIPE, Complaint, Input, Piece};
use crate::engine::sys::{ExitCode, Sys};

const SYNTAX: Syntax = Syntax {
    letters: "nbvteAu",
    long: &[],
    stop_at_operand: false,
    usage: "cat [-nbvteA] [FILE]...\n\n\
            Print FILEs to stdout\n\n\
            \t-n\tNumber output lines\n\
            \t-b\tNumber nonempty lines\n\
            \t-v\tShow nonprinting characters as ^x or M-x\n\
            \t-t\t...and tabs as ^I\n\
            \t-e\t...and end lines with $\n\
            \t-A\tSame as -vte",
};

/// Copies its inputs to standard output.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let (program, words) = arguments(&sys);
    let options = match Options::parse(program, words, &SYNTAX) {
        Ok(options) => options,
        Err(failure) => return finish(&sys, Err(failure)).await,
    };
    let mut shown = Shown::of(&options);
    let mut inputs = options.operands;
    if inputs.is_empty() {
        inputs.push("-".to_owned());
    }
    let mut status = ExitCode::SUCCESS;
    for path in inputs {
        let mut input = Input::new(&sys, program, &[path], Complaint::CannotOpen);
        if shown.is_plain() {
            input = input.copied();
        }
        while let Some(piece) = input.next().await {
            let Piece::Bytes(bytes) = piece else { continue };
            if sys.write(&shown.text(bytes)).await.is_err() {
                return BROKEN_PIPE;
            }
        }
        if !input.complete {
            status = ExitCode::FAILURE;
        }
    }
    status
}

/// How bytes are shown; line numbers go on from one input to the next.
struct Shown {
    number_all: bool,
    number_filled: bool,
    visible: bool,
    tabs: bool,
    ends: bool,
    line: u64,
    at_start: bool,
}

impl Shown {
    fn of(options: &Options) -> Shown {
        let all = options.has('A');
        let (tabs, ends) = (all || options.has('t'), all || options.has('e'));
        Shown {
            number_all: options.has('n') && !options.has('b'),
            number_filled: options.has('b'),
            visible: tabs || ends || options.has('v'),
            tabs,
            ends,
            line: 0,
            at_start: true,
        }
    }

    /// Whether bytes are shown as they are.
    fn is_plain(&self) -> bool {
        !self.number_all && !self.number_filled && !self.visible
    }

    fn text(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        if self.is_plain() {
            return bytes;
        }
        let mut text = Vec::with_capacity(bytes.len());
        for byte in bytes {
            if self.at_start && (self.number_all || self.number_filled && byte != b'\n') {
                self.line += 1;
                text.extend_from_slice(format!("{:6}\t", self.line).as_bytes());
            }
            self.at_start = byte == b'\n';
            match byte {
                b'\n' if self.ends => text.extend_from_slice(b"$\n"),
                b'\t' if self.tabs => text.extend_from_slice(b"^I"),
                b'\n' | b'\t' => text.push(byte),
                _ if self.visible => {
                    let (mark, low) = if byte < 128 { ("", byte) } else { ("M-", byte - 128) };
                    text.extend_from_slice(mark.as_bytes());
                    match low {
                        127 => text.extend_from_slice(b"^?"),
                        0..=31 => text.extend_from_slice(&[b'^', low + 64]),
                        _ => text.push(low),
                    }
                }
                _ => text.push(byte),
            }
        }
        text
    }
}
