//! `linkspan run --step`: a stepper at a terminal, or fed by a pipe.
//!
//! On a terminal a prompt is shown. From a pipe there is none, so that what is printed is what the lines came to.

use std::io::{self, BufRead, IsTerminal as _, Read as _};

use anyhow::Context as _;
use linkspan::lab::Stepper;
use linkspan::scenario::Scenario;

use super::Verdict;
use super::terminal::Terminal;

/// Bytes of a line; what is longer is cut and taken as several.
const LINE_LIMIT: u64 = 64 << 10;

/// Steps as standard input says, until it ends or says `quit`.
pub(super) fn run(scenario: &Scenario, seed: u64, terminal: &mut Terminal) -> anyhow::Result<Verdict> {
    let mut stepper = match Stepper::new(scenario, seed, terminal.style()) {
        Ok(stepper) => stepper,
        Err(diagnostic) => {
            terminal.error(&diagnostic.render(&scenario.sources, terminal.error_style().is_colour()));
            return Ok(Verdict::BadInput);
        }
    };
    terminal.lines(&stepper.opening());
    let is_asked = io::stdin().is_terminal();
    let mut input = io::stdin().lock();
    loop {
        if is_asked {
            terminal.prompt("> ");
        }
        let Some(line) = read_line(&mut input)? else { break };
        let reply = stepper.line(&line);
        if reply.refused {
            reply.lines.iter().for_each(|line| terminal.error(line));
        } else {
            terminal.lines(&reply.lines);
        }
        if reply.ended {
            break;
        }
    }
    Ok(if stepper.held() { Verdict::Passed } else { Verdict::Failed })
}

/// The next line; `None`: there is no more. What is not UTF-8 becomes replacement characters.
fn read_line(input: &mut impl BufRead) -> anyhow::Result<Option<String>> {
    let mut bytes = Vec::new();
    let read = input.take(LINE_LIMIT).read_until(b'\n', &mut bytes).context("reading standard input")?;
    Ok((read > 0).then(|| String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n']).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_where_they_end() {
        let mut input: &[u8] = b"next\r\n\n\xff\nback";
        let lines: Vec<String> = std::iter::from_fn(|| read_line(&mut input).unwrap()).collect();
        assert_eq!(lines, ["next", "", "\u{fffd}", "back"]);
        let long = vec![b'a'; 2 * LINE_LIMIT as usize + 1];
        let mut input = long.as_slice();
        let lengths: Vec<usize> =
            std::iter::from_fn(|| read_line(&mut input).unwrap()).map(|l| l.len()).collect();
        assert_eq!(lengths, [64 << 10, 64 << 10, 1]);
    }
}
