//! `wc [-lwc] [FILE]...`.

use super::arguments;
use super::options::{Failure, Options, Syntax, finish};
use super::text::{Complaint, Input, Piece};
use crate::engine::sys::{ExitCode, Sys};

pub(super) const SYNTAX: Syntax =
    Syntax { letters: "lwc", long: &[], stop_at_operand: false, usage: "wc [-clw] [FILE]..." };

/// Counts lines, words and bytes.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let options = Options::parse(program, words, &SYNTAX)?;
    let all = !["l", "w", "c"].iter().any(|letter| letter.chars().any(|l| options.has(l)));
    let paths = if options.operands.is_empty() { vec!["-".to_owned()] } else { options.operands.clone() };
    let mut total = Counted::default();
    let mut status = ExitCode::SUCCESS;
    for path in &paths {
        let mut counted = Counted::default();
        let mut input = Input::new(sys, program, std::slice::from_ref(path), Complaint::Name);
        while let Some(piece) = input.next().await {
            if let Piece::Bytes(bytes) = piece {
                counted.add(&bytes);
            }
        }
        if !input.complete {
            status = ExitCode::FAILURE;
            continue;
        }
        total.lines += counted.lines;
        total.words += counted.words;
        total.bytes += counted.bytes;
        let name = (!options.operands.is_empty()).then_some(path.as_str());
        sys.print(counted.line(&options, all, name)).await;
    }
    if paths.len() > 1 {
        sys.print(total.line(&options, all, Some("total"))).await;
    }
    Ok(status)
}

/// What was seen of an input, which may be larger than any memory.
#[derive(Default)]
struct Counted {
    lines: usize,
    words: usize,
    bytes: usize,
    in_word: bool,
}

impl Counted {
    fn line(&self, options: &Options, all: bool, name: Option<&str>) -> String {
        let counts = [('l', self.lines), ('w', self.words), ('c', self.bytes)];
        let wanted: Vec<usize> = counts
            .iter()
            .filter(|(letter, _)| all || options.has(*letter))
            .map(|(_, count)| *count)
            .collect();
        let mut line = match wanted.as_slice() {
            [single] if name.is_none() => single.to_string(),
            several => several.iter().map(|count| format!("{count:>9}")).collect::<Vec<_>>().join(" "),
        };
        if let Some(name) = name {
            line.push(' ');
            line.push_str(name);
        }
        line.push('\n');
        line
    }

    fn add(&mut self, part: &[u8]) {
        self.bytes += part.len();
        for byte in part {
            self.lines += usize::from(*byte == b'\n');
            // A vertical tab is a blank to isspace(3).
            let blank = byte.is_ascii_whitespace() || *byte == 0x0b;
            self.words += usize::from(!blank && !self.in_word);
            self.in_word = !blank;
        }
    }
}
