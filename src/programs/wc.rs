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
        let content = text::read_input(sys, program, path).await?;
        let counts = [
            ('l', content.iter().filter(|byte| **byte == b'\n').count()),
            ('w', String::from_utf8_lossy(&content).split_whitespace().count()),
            ('c', content.len()),
        ];
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
