//! `xargs [-rt0] [-n N] [-I STR] [PROG ARGS]`: runs a program with words of standard input behind its own arguments.

use super::arguments;
use super::options::{Failure, Options, Syntax, finish};
use super::text::read_stdin;
use crate::engine::sys::{Errno, ExitCode, Launch, Pipe, Sys};

pub(super) const SYNTAX: Syntax = Syntax {
    letters: "0rtn:I:",
    long: &[],
    stop_at_operand: true,
    usage: "xargs [OPTIONS] [PROG ARGS]\n\n\
            Run PROG on every item given by stdin\n\n\
            \t-0\tNUL terminated input\n\
            \t-r\tDon't run command if input is empty\n\
            \t-t\tPrint the command on stderr before execution\n\
            \t-n N\tPass no more than N args to PROG\n\
            \t-I STR\tReplace STR within PROG ARGS with input line",
};

/// Runs a program on what comes in.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let options = Options::parse(program, words, &SYNTAX)?;
    let command =
        if options.operands.is_empty() { vec!["echo".to_owned()] } else { options.operands.clone() };
    let input = read_stdin(sys).await;
    let input = String::from_utf8_lossy(&input).into_owned();
    let items: Vec<String> = match (options.has('0'), options.value('I')) {
        (true, _) => input.split('\0').filter(|item| !item.is_empty()).map(str::to_owned).collect(),
        (false, Some(_)) => {
            input.lines().map(|line| line.trim_start().to_owned()).filter(|line| !line.is_empty()).collect()
        }
        (false, None) => words_of(&input).ok_or_else(|| Failure::new(program, "unmatched quote"))?,
    };
    let most: usize = options.number(program, 'n', usize::MAX)?;
    let mut lines: Vec<Vec<String>> = match options.value('I') {
        Some(mark) => {
            items.iter().map(|item| command.iter().map(|word| word.replace(mark, item)).collect()).collect()
        }
        None => items.chunks(most.max(1)).map(|part| [command.as_slice(), part].concat()).collect(),
    };
    if lines.is_empty() && !options.has('r') && options.value('I').is_none() {
        lines.push(command);
    }
    let mut status = ExitCode::SUCCESS;
    for line in lines {
        if options.has('t') {
            sys.print_error(format!("{}\n", line.join(" "))).await;
        }
        let name = line[0].clone();
        let launch = Launch {
            arguments: line,
            environment: sys.environment(),
            stdin: Pipe::empty(),
            stdout: sys.stdout().clone(),
            stderr: sys.stderr().clone(),
        };
        let child = sys.launch(launch).map_err(|errno| Failure {
            text: format!("{program}: {name}: {errno}\n"),
            status: if errno == Errno::NoSuchFile { ExitCode::NOT_FOUND } else { ExitCode::NOT_EXECUTABLE },
        })?;
        if child.wait().await != ExitCode::SUCCESS {
            status = ExitCode(123);
        }
    }
    Ok(status)
}

/// Words between blanks; quotes and backslashes keep blanks inside. `None`: a quote stays open.
fn words_of(text: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), letter) if open == letter => quote = None,
            (Some(_), '\n') => return None,
            (Some(_), letter) => word.get_or_insert_default().push(letter),
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '\\') => word.get_or_insert_default().extend(letters.next()),
            (None, letter) if letter.is_whitespace() => words.extend(word.take()),
            (None, letter) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}
