//! `sh [-eux] [-c COMMAND [NAME [ARGUMENT]...]] [FILE [ARGUMENT]...]`: a small shell, for the scripts that containers
//! are started with.
//!
//! It follows BusyBox's `ash`: `syntax` and `words` read, `expand` expands, `run` runs and `builtins` has what is no
//! program. Without arguments it runs the lines of standard input as they come, like a shell that is not on a terminal.
//!
//! Compound commands and functions run inside the shell. Those that need a shell of their own (`( )`, `$( )`, parts of a
//! pipeline, background) run as a child process that is given their text, so that the limits on processes hold for
//! them; `--subshell` carries what such a child knows beside its environment. Between two programs of a pipeline is a
//! pipe the shell made, so the shell closes its ends when they exit.
//!
//! Not there: job control, traps of signals, aliases, descriptors above 2.
//!
//! A loop or a function that does nothing but run takes a millisecond for each turn in which no time passed, and longer the
//! longer it spins: virtual time goes on, so the end of the run or of the step ends it. All that spin in a place take turns.

mod arithmetic;
mod builtins;
mod command;
mod expand;
mod filenames;
mod pattern;
mod run;
mod syntax;
mod variables;
mod wants;
mod words;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use super::arguments;
use crate::engine::sys::{Child, ExitCode, Pipe, Sys};
use command::{Joint, List};
use expand::Stop;
use run::may_be_fatal;
use syntax::{Script, SyntaxError, parse};
use variables::Variables;
pub(super) use wants::{Words, programs};

/// The shell's status for a text it does not understand, and when it ends because of an error.
const ERROR: ExitCode = ExitCode(2);

/// Bytes whose moving takes as long as a line of standard input that is a command.
const COMMAND: usize = 4 << 10;

/// Compound commands and functions running inside one another: each takes some of the stack.
const DEEPEST: u32 = 32;

/// The option of a shell that another one started for a part of its text.
pub(super) const SUBSHELL: &str = "--subshell";

/// Runs a shell.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let (program, words) = arguments(&sys);
    let mut shell = Shell {
        sys: sys.clone(),
        streams: Streams {
            stdin: sys.stdin().clone(),
            stdout: sys.stdout().clone(),
            stderr: sys.stderr().clone(),
        },
        variables: Variables::new(&sys.environment(), vec![program.to_owned()]),
        background: Vec::new(),
        leaving: None,
        tested: 0,
        depth: 0,
        loops: 0,
        locals: Vec::new(),
        substituted: None,
        named: false,
        first_line: 0,
        line: 0,
        last_turn: None,
        spins: 0,
        at_exit: None,
        last: false,
    };
    if let [option, status, line, process, prelude, source, positional @ ..] = words
        && option == SUBSHELL
    {
        shell.variables.process = process.parse().unwrap_or_default();
        shell.run_text(prelude).await;
        shell.variables.positional = positional.to_vec();
        shell.variables.status = status.parse().unwrap_or_default();
        shell.named = line != "-";
        shell.first_line = line.parse().unwrap_or_default();
        shell.run_last(source).await;
        return shell.end().await;
    }
    shell.variables.process = sys.process_id().0;
    // There is room: an environment has its bounds.
    let _ = shell.variables.set("PPID", &sys.parent_id().0.to_string());
    let (mut command, mut rest) = (false, words);
    while let Some((option, after)) = rest.split_first()
        && let Some(letters) = option.strip_prefix('-').filter(|letters| !letters.is_empty())
    {
        rest = after;
        if option == "--" {
            break;
        }
        if let Some(name) = letters.strip_prefix('o').filter(|rest| rest.is_empty()).and(after.first()) {
            if !shell.variables.options.set_name(name, true) {
                sys.print_error(format!("{program}: illegal option -o {name}\n")).await;
                return ERROR;
            }
            rest = &after[1..];
            continue;
        }
        for letter in letters.chars() {
            command |= letter == 'c';
            if !"cis".contains(letter) && !shell.variables.options.set(letter, true) {
                sys.print_error(format!("{program}: illegal option -{letter}\n")).await;
                return ERROR;
            }
        }
    }
    if command {
        let Some((text, rest)) = rest.split_first() else {
            sys.print_error(format!("{program}: -c requires an argument\n")).await;
            return ERROR;
        };
        if !rest.is_empty() {
            shell.variables.positional = rest.to_vec();
            shell.named = true;
        }
        shell.run_last(text).await;
    } else if let Some(file) = rest.first() {
        shell.variables.positional = rest.to_vec();
        match sys.read_file(file) {
            Ok(content) => {
                (shell.named, shell.first_line) = (true, 1);
                shell.run_text(&String::from_utf8_lossy(&content)).await;
            }
            Err(errno) => {
                sys.print_error(format!("{program}: can't open '{file}': {errno}\n")).await;
                return ERROR;
            }
        }
    } else {
        shell.run_stdin().await;
    }
    shell.end().await
}

struct Shell {
    sys: Sys,
    streams: Streams,
    variables: Variables,
    background: Vec<Child>,
    leaving: Option<Leave>,
    /// Conditions around what runs: a failure is an answer there and no reason to exit (`set -e`).
    tested: u32,
    depth: u32,
    /// Loops around what runs, in this function.
    loops: u32,
    /// For each function that runs, what `local` covered.
    locals: Vec<Vec<(String, Option<String>)>>,
    /// Status of the last command substitution of the command that runs.
    substituted: Option<ExitCode>,
    /// Errors name the line: the shell runs a file, or was given a name.
    named: bool,
    first_line: usize,
    line: usize,
    /// When the last turn of a loop or function began.
    last_turn: Option<Duration>,
    /// Turns since time last passed by itself.
    spins: u32,
    /// What `trap` runs when the shell ends.
    at_exit: Option<String>,
    /// The shell has nothing to do behind the command that runs next.
    last: bool,
}

/// Why commands are skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leave {
    Exit,
    Return,
    /// Loops to leave.
    Break(u32),
    /// Loops to leave, the last of them for its next turn only.
    Continue(u32),
}

/// The three standard streams of a command.
#[derive(Clone)]
struct Streams {
    stdin: Pipe,
    stdout: Pipe,
    stderr: Pipe,
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

impl Shell {
    async fn run_text(&mut self, text: &str) {
        self.run_script(text, false).await;
    }

    /// The same for a text behind which the shell ends.
    async fn run_last(&mut self, text: &str) {
        self.run_script(text, true).await;
    }

    async fn run_script(&mut self, text: &str, ends: bool) {
        let mut script = Script::new(text);
        while self.leaving.is_none()
            && let Some(next) = script.next()
        {
            match next {
                Ok(list) => {
                    self.last = ends && script.is_at_end();
                    self.run_list(&list).await;
                }
                Err((SyntaxError::Incomplete(message) | SyntaxError::Invalid(message), line)) => {
                    self.line = self.first_line + line;
                    self.fail(&format!("syntax error: {message}")).await;
                    return;
                }
            }
        }
    }

    /// Ends the shell.
    async fn end(&mut self) -> ExitCode {
        let status = self.variables.status;
        if let Some(action) = self.at_exit.take() {
            self.leaving = None;
            self.run_text(&action).await;
            if self.leaving.is_some() {
                return ExitCode(self.variables.status);
            }
        }
        ExitCode(status)
    }

    /// Line by line, because the programs started read the same standard input.
    async fn run_stdin(&mut self) {
        let mut pending = String::new();
        let mut bytes = Vec::new();
        while self.leaving.is_none() {
            let part = self.sys.read(1).await;
            let ended = part.is_empty();
            bytes.extend(part);
            if !ended && bytes.last() != Some(&b'\n') {
                continue;
            }
            pending += &String::from_utf8_lossy(&std::mem::take(&mut bytes));
            self.sys.worked(COMMAND);
            match parse(&pending) {
                Err(SyntaxError::Incomplete(_)) if !ended => continue,
                _ => self.run_text(&std::mem::take(&mut pending)).await,
            }
            if ended {
                return;
            }
        }
    }

    /// Prints an error as `ash` does: with the shell's name, and the line if there is a file.
    async fn complain(&self, message: &str) {
        let name = self.variables.positional.first().map_or("sh", String::as_str);
        let line = if self.named { format!("line {}: ", self.line) } else { String::new() };
        let text = format!("{name}: {line}{message}\n");
        let _ = self.streams.stderr.write_all(text.as_bytes()).await;
    }

    /// An error that ends the shell.
    async fn fail(&mut self, message: &str) -> ExitCode {
        self.complain(message).await;
        self.variables.status = ERROR.0;
        self.leaving = Some(Leave::Exit);
        ERROR
    }

    async fn stop(&mut self, stop: Stop) -> ExitCode {
        match stop {
            Stop::Failed(message) => {
                self.complain(&message).await;
                ExitCode::FAILURE
            }
            Stop::Fatal(message) => self.fail(&message).await,
        }
    }

    fn run_list<'a>(&'a mut self, list: &'a List) -> Boxed<'a, ()> {
        let last = std::mem::take(&mut self.last);
        Box::pin(async move {
            let mut skipped = false;
            for (index, (pipeline, joint)) in list.0.iter().enumerate() {
                if self.leaving.is_some() {
                    return;
                }
                if !skipped {
                    let tested = matches!(joint, Joint::And | Joint::Or) || pipeline.negated;
                    self.tested += u32::from(tested);
                    self.last = last
                        && index + 1 == list.0.len()
                        && *joint == Joint::Then
                        && !pipeline.negated
                        && pipeline.commands.len() == 1;
                    let status = self.run_pipeline(pipeline, *joint == Joint::Background).await;
                    self.tested -= u32::from(tested);
                    if self.leaving.is_some() {
                        return;
                    }
                    self.variables.status = status.0;
                    let fatal = self.variables.options.exit_on_failure && self.tested == 0 && !tested;
                    if fatal && status != ExitCode::SUCCESS && may_be_fatal(pipeline) {
                        self.leaving = Some(Leave::Exit);
                    }
                }
                let failed = self.variables.status != 0;
                skipped = match joint {
                    Joint::And => failed,
                    Joint::Or => !failed,
                    Joint::Then | Joint::Background => false,
                };
            }
        })
    }
}
