//! `wc [-lwc] [FILE]...`.

use super::options::{Failure, Options, Syntax, finish};
use super::{arguments, text};
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
    let inputs = if options.operands.is_empty() { vec!["-".to_owned()] } else { options.operands.clone() };
    for path in &inputs {
        let mut counted = Counted::default();
        if path == "-" {
            loop {
                let part = sys.stdin().read(text::CHUNK).await;
                if part.is_empty() {
                    break;
                }
                counted.add(&part);
            }
        } else {
            counted.add(&text::read_input(sys, program, path).await?);
        }
        let counts = [('l', counted.lines), ('w', counted.words), ('c', counted.bytes)];
        let wanted: Vec<usize> = counts
            .iter()
            .filter(|(letter, _)| all || options.has(*letter))
            .map(|(_, count)| *count)
            .collect();
        let mut line = match wanted.as_slice() {
            [single] => single.to_string(),
            several => several.iter().map(|count| format!("{count:>9}")).collect::<Vec<_>>().join(" "),
        };
        if !options.operands.is_empty() {
            line.push(' ');
            line.push_str(path);
        }
        sys.print(line + "\n").await;
    }
    Ok(ExitCode::SUCCESS)
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
