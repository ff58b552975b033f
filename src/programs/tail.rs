//! `tail [-n [+]N] [-c [+]N] [-qv] [-f|-F] [FILE]...`: the end of each input, and with `-f` whatever is added behind it.
//!
//! No more is kept than may have to be shown, and that is bounded. Following is what keeps many containers up
//! (`tail -f /dev/null`). It sleeps until something writes a file of its place, so that a file nobody writes costs
//! neither turns nor virtual time. Bytes are counted: a file that has become shorter is printed from its beginning, as
//! BusyBox does. With `-f` as with `-F` a file that is not there is waited for, because the files of an image are not
//! known here; it is complained about once.

use std::collections::VecDeque;
use std::task::Poll;

use super::arguments;
use super::head::{self, Headers, Unit};
use super::options::{Failure, Options, Syntax, finish, invalid_number};
use super::text::{BROKEN_PIPE, CHUNK, Complaint, Input, MOST, Piece, out_of_memory};
use crate::engine::sys::{ExitCode, Sys};

pub(super) const SYNTAX: Syntax = Syntax {
    letters: "n:c:qfFs:v",
    long: &[
        ("bytes", 'c'),
        ("follow", 'f'),
        ("lines", 'n'),
        ("quiet", 'q'),
        ("retry", 'F'),
        ("verbose", 'v'),
    ],
    stop_at_operand: false,
    usage: "tail [OPTIONS] [FILE]...\n\n\
            Print last 10 lines of FILEs (or stdin) to.\n\
            With more than one FILE, precede each with a filename header.\n\n\
            \t-c [+]N[bkm]\tPrint last N bytes\n\
            \t-n N[bkm]\tPrint last N lines\n\
            \t-n +N[bkm]\tStart on Nth line and print the rest\n\
            \t\t\t(b:*512 k:*1024 m:*1024^2)\n\
            \t-q\t\tNever print headers\n\
            \t-v\t\tAlways print headers\n\
            \t-f\t\tPrint data as file grows\n\
            \t-F\t\tSame as -f, but keep retrying\n\
            \t-s SECONDS\tWait SECONDS between reads with -f",
};

/// Prints the end of its input.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let options = Options::parse(program, &head::text_count(words), &SYNTAX)?;
    let unit = if options.has('c') { Unit::Bytes } else { Unit::Lines };
    let text = options.value(if options.has('c') { 'c' } else { 'n' }).unwrap_or("10");
    let count =
        head::count(text.trim_start_matches(['+', '-'])).ok_or_else(|| invalid_number(program, text))?;
    let follows = options.has('f') || options.has('F');
    let mut headers = Headers::new(&options);
    let mut status = ExitCode::SUCCESS;
    let mut followed: Vec<(&String, usize)> = Vec::new();
    let stdin = ["-".to_owned()];
    let paths = if options.operands.is_empty() { &stdin[..] } else { &options.operands };
    for path in paths {
        let mut input = Input::new(sys, program, std::slice::from_ref(path), Complaint::CannotOpen);
        let (mut begun, mut read) = (false, 0);
        let mut kept = Kept::new(unit, count);
        let mut skipped = text.starts_with('+').then(|| count.saturating_sub(1));
        while let Some(piece) = input.next().await {
            if !std::mem::replace(&mut begun, true) && headers.print(sys, path).await.is_err() {
                return Ok(BROKEN_PIPE);
            }
            let Piece::Bytes(bytes) = piece else { continue };
            read += bytes.len();
            let Some(skipped) = &mut skipped else {
                kept.push(program, bytes)?;
                continue;
            };
            let start = match unit {
                Unit::Bytes => (*skipped).min(bytes.len()),
                Unit::Lines if *skipped == 0 => 0,
                Unit::Lines => {
                    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
                    ends.map(|(at, _)| at + 1).nth(*skipped - 1).unwrap_or(bytes.len())
                }
            };
            *skipped -= match unit {
                Unit::Bytes => start,
                Unit::Lines => bytes[..start].iter().filter(|byte| **byte == b'\n').count(),
            };
            if sys.write(&bytes[start..]).await.is_err() {
                return Ok(BROKEN_PIPE);
            }
        }
        let (_, last) = kept.split();
        if sys.write(&last).await.is_err() {
            return Ok(BROKEN_PIPE);
        }
        if !input.complete {
            status = ExitCode::FAILURE;
        }
        if path != "-" {
            followed.push((path, read));
        }
    }
    if follows { follow(sys, followed).await } else { Ok(status) }
}

/// The last lines or bytes of what comes in. Pieces are kept that the end of the input may need.
pub(super) struct Kept {
    unit: Unit,
    count: usize,
    pieces: VecDeque<Vec<u8>>,
    bytes: usize,
    /// How many units there are.
    units: usize,
}

impl Kept {
    pub(super) fn new(unit: Unit, count: usize) -> Kept {
        Kept { unit, count, pieces: VecDeque::new(), bytes: 0, units: 0 }
    }

    fn units(&self, piece: &[u8]) -> usize {
        match self.unit {
            Unit::Bytes => piece.len(),
            Unit::Lines => piece.iter().filter(|byte| **byte == b'\n').count(),
        }
    }

    /// Takes a piece and gives up what cannot belong to the end.
    pub(super) fn push(&mut self, program: &str, piece: Vec<u8>) -> Result<Vec<u8>, Failure> {
        self.units += self.units(&piece);
        self.bytes += piece.len();
        self.pieces.push_back(piece);
        let mut given_up = Vec::new();
        // One line end more: the last line may be without.
        while let Some(first) = self.pieces.front()
            && self.units - self.units(first) > self.count
        {
            self.units -= self.units(first);
            self.bytes -= first.len();
            given_up.extend(self.pieces.pop_front().unwrap_or_default());
        }
        match self.bytes > MOST {
            true => {
                Err(out_of_memory(program, &format!("what is to be kept is larger than {} MiB", MOST >> 20)))
            }
            false => Ok(given_up),
        }
    }

    /// What is before the end, as far as it was kept, and the end.
    pub(super) fn split(self) -> (Vec<u8>, Vec<u8>) {
        let mut all: Vec<u8> = self.pieces.into_iter().flatten().collect();
        let start = match self.unit {
            Unit::Bytes => all.len().saturating_sub(self.count),
            Unit::Lines => {
                let unended = usize::from(all.last().is_some_and(|byte| *byte != b'\n'));
                let begins = (self.units + unended).saturating_sub(self.count);
                let ends = all.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
                match begins {
                    0 => 0,
                    begins => ends.map(|(at, _)| at + 1).nth(begins - 1).unwrap_or(all.len()),
                }
            }
        };
        let last = all.split_off(start);
        (all, last)
    }
}

/// Prints what is added to files behind what was printed of them, until nobody reads it.
async fn follow(sys: &Sys, mut files: Vec<(&String, usize)>) -> Result<ExitCode, Failure> {
    loop {
        let mut waited = false;
        std::future::poll_fn(|context| {
            if waited {
                return Poll::Ready(());
            }
            waited = true;
            sys.wake_when_written(context.waker());
            Poll::Pending
        })
        .await;
        for (path, printed) in &mut files {
            let is_there = |at| sys.read_file_at(path, at, 1).is_ok_and(|byte| !byte.is_empty());
            if *printed > 0 && !is_there(*printed - 1) {
                *printed = 0;
            }
            loop {
                let added = sys.read_file_at(path, *printed, CHUNK).unwrap_or_default();
                if added.is_empty() {
                    break;
                }
                *printed += added.len();
                if sys.write(&added).await.is_err() {
                    return Ok(BROKEN_PIPE);
                }
            }
        }
    }
}
