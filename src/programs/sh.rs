//! `sh [-c COMMAND [NAME [ARGUMENT]...]] [FILE [ARGUMENT]...]`: a small shell.
//!
//! Without arguments it runs the lines of standard input as they come, like a shell that is not on a terminal.
//! Builtins are `:`, `cd`, `exit`, `exec`, `export`, `unset`, `set`, `wait`; everything else is a program of its own.
//! Between two programs of a pipeline is a pipe the shell made, so the shell closes its ends when they exit.

use std::collections::BTreeMap;

use super::arguments;
use super::sh_expand::{Variables, fields, single};
use super::sh_syntax::{Command, Joint, List, Pipeline, SyntaxError, Target, parse};
use super::tasks::{Tasks, both};
use crate::engine::sys::{Child, Errno, ExitCode, Launch, Pipe, Sys};

/// The shell's status for a text it does not understand.
const SYNTAX_ERROR: ExitCode = ExitCode(2);

/// The shell's status when the system gives it no further process.
const CANNOT_FORK: ExitCode = ExitCode(2);

/// Runs a shell.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let (program, words) = arguments(&sys);
    let (mut command, mut letters, mut rest) = (false, String::new(), words);
    while let Some((option, after)) = rest.split_first()
        && let Some(flags) = option.strip_prefix('-').filter(|flags| !flags.is_empty())
    {
        command |= flags.contains('c');
        letters.extend(flags.chars().filter(|letter| *letter != 'c'));
        rest = after;
    }
    let mut shell = Shell {
        sys: sys.clone(),
        variables: Variables {
            values: sys.environment().clone(),
            positional: vec![program.to_owned()],
            status: 0,
        },
        background: Vec::new(),
        exit_on_failure: letters.contains('e'),
        exited: false,
    };
    if command {
        let Some((text, rest)) = rest.split_first() else {
            sys.print_error(format!("{program}: -c requires an argument\n")).await;
            return SYNTAX_ERROR;
        };
        if !rest.is_empty() {
            shell.variables.positional = rest.to_vec();
        }
        shell.run_text(text).await;
    } else if let Some(file) = rest.first() {
        shell.variables.positional = rest.to_vec();
        match sys.read_file(file) {
            Ok(content) => shell.run_text(&String::from_utf8_lossy(&content)).await,
            Err(errno) => {
                sys.print_error(format!("{program}: can't open '{file}': {errno}\n")).await;
                return ExitCode(2);
            }
        }
    } else {
        shell.run_stdin().await;
    }
    ExitCode(shell.variables.status)
}

struct Shell {
    sys: Sys,
    variables: Variables,
    background: Vec<Child>,
    exit_on_failure: bool,
    exited: bool,
}

/// The three standard streams of a command.
#[derive(Clone)]
struct Streams {
    stdin: Pipe,
    stdout: Pipe,
    stderr: Pipe,
}

/// A command that runs, and what is to be done when it has ended.
struct Running {
    child: Option<Child>,
    /// Status of what is no child: a builtin, or what could not be started.
    status: ExitCode,
    /// Pipes whose writing end belongs to this command.
    written: Vec<Pipe>,
    /// Pipes whose reading end belongs to this command.
    read: Vec<Pipe>,
}

impl Shell {
    async fn run_text(&mut self, text: &str) {
        match parse(text) {
            Ok(list) => self.run_list(&list).await,
            Err(SyntaxError::Incomplete(message)) => self.complain(message).await,
            Err(SyntaxError::Invalid(message)) => self.complain(&message).await,
        }
    }

    /// Line by line, because the programs started read the same standard input.
    async fn run_stdin(&mut self) {
        let mut pending = String::new();
        let mut bytes = Vec::new();
        while !self.exited {
            let part = self.sys.stdin().read(1).await;
            let ended = part.is_empty();
            bytes.extend(part);
            if !ended && bytes.last() != Some(&b'\n') {
                continue;
            }
            pending += &String::from_utf8_lossy(&std::mem::take(&mut bytes));
            match parse(&pending) {
                Err(SyntaxError::Incomplete(_)) if !ended => continue,
                _ => self.run_text(&std::mem::take(&mut pending)).await,
            }
            if ended {
                return;
            }
        }
    }

    async fn complain(&mut self, message: &str) {
        let name = self.variables.positional.first().map_or("sh", String::as_str);
        self.sys.print_error(format!("{name}: syntax error: {message}\n")).await;
        self.variables.status = SYNTAX_ERROR.0;
    }

    async fn run_list(&mut self, list: &List) {
        let mut skipped = false;
        for (pipeline, joint) in &list.0 {
            if self.exited {
                return;
            }
            if !skipped {
                let status = self.run_pipeline(pipeline, *joint == Joint::Background).await;
                self.variables.status = status.0;
                let tested = matches!(joint, Joint::And | Joint::Or) || pipeline.negated;
                self.exited |= self.exit_on_failure && status.0 != 0 && !tested;
            }
            let failed = self.variables.status != 0;
            skipped = match joint {
                Joint::And => failed,
                Joint::Or => !failed,
                Joint::Then | Joint::Background => false,
            };
        }
    }

    async fn run_pipeline(&mut self, pipeline: &Pipeline, background: bool) -> ExitCode {
        let mut running = Vec::new();
        let mut files = Tasks::new();
        let mut input = if background { Pipe::empty() } else { self.sys.stdin().clone() };
        let mut from_pipe = false;
        let single_command = pipeline.commands.len() == 1;
        for (index, command) in pipeline.commands.iter().enumerate() {
            let last = index + 1 == pipeline.commands.len();
            let output = if last { self.sys.stdout().clone() } else { Pipe::new() };
            let streams =
                Streams { stdin: input.clone(), stdout: output.clone(), stderr: self.sys.stderr().clone() };
            let mut started = self.start(command, streams, &mut files, single_command && !background).await;
            if from_pipe {
                started.read.push(input.clone());
            }
            if !last {
                started.written.push(output.clone());
            }
            running.push(started);
            (input, from_pipe) = (output, true);
        }
        if background {
            for started in running {
                self.background.extend(started.child);
            }
            return ExitCode::SUCCESS;
        }
        let statuses = std::rc::Rc::new(std::cell::RefCell::new(ExitCode::SUCCESS));
        let mut children = Tasks::new();
        let count = running.len();
        for (index, started) in running.into_iter().enumerate() {
            let statuses = statuses.clone();
            children.push(Box::pin(async move {
                let status = started.wait().await;
                if index + 1 == count {
                    *statuses.borrow_mut() = status;
                }
            }));
        }
        both(children.finish(), files.finish()).await;
        let status = *statuses.borrow();
        match (pipeline.negated, status.0) {
            (false, _) => status,
            (true, 0) => ExitCode::FAILURE,
            (true, _) => ExitCode::SUCCESS,
        }
    }

    /// Expands and redirects one command and starts it.
    async fn start(
        &mut self,
        command: &Command,
        mut streams: Streams,
        files: &mut Tasks,
        in_shell: bool,
    ) -> Running {
        let mut written = Vec::new();
        let prepared = self.prepare(command, &mut streams, files, &mut written).await;
        let (words, assignments) = match prepared {
            Ok(prepared) => prepared,
            Err(message) => {
                self.sys.print_error(message).await;
                return Running { child: None, status: ExitCode::FAILURE, written, read: Vec::new() };
            }
        };
        let done =
            |status: ExitCode, written: Vec<Pipe>| Running { child: None, status, written, read: Vec::new() };
        if words.is_empty() {
            if in_shell {
                self.variables.values.extend(assignments);
            }
            return done(ExitCode::SUCCESS, written);
        }
        let words = if words[0] == "exec" {
            self.exited |= in_shell && words.len() > 1;
            words[1..].to_vec()
        } else {
            words
        };
        if words.is_empty() {
            return done(ExitCode::SUCCESS, written);
        }
        if let Some(status) = self.builtin(&words, in_shell).await {
            return done(status, written);
        }
        let mut environment = self.variables.values.clone();
        environment.extend(assignments);
        let launched = self.sys.launch(Launch {
            arguments: words.clone(),
            environment,
            stdin: streams.stdin,
            stdout: streams.stdout,
            stderr: streams.stderr.clone(),
        });
        match launched {
            Ok(child) => Running { child: Some(child), status: ExitCode::SUCCESS, written, read: Vec::new() },
            Err(errno) => {
                let (what, text, status) = match errno {
                    Errno::NoSuchFile => (words[0].as_str(), "not found", ExitCode::NOT_FOUND),
                    Errno::WouldBlock => ("can't fork", errno.text(), CANNOT_FORK),
                    errno => (words[0].as_str(), errno.text(), ExitCode::NOT_EXECUTABLE),
                };
                let shell = self.variables.positional.first().map_or("sh", String::as_str);
                let line = format!("{shell}: {what}: {text}\n");
                let _ = streams.stderr.write_all(line.as_bytes()).await;
                done(status, written)
            }
        }
    }

    async fn prepare(
        &self,
        command: &Command,
        streams: &mut Streams,
        files: &mut Tasks,
        written: &mut Vec<Pipe>,
    ) -> Result<(Vec<String>, BTreeMap<String, String>), String> {
        let shell = self.variables.positional.first().map_or("sh", String::as_str).to_owned();
        let failed = |errno: Errno| format!("{shell}: {errno}\n");
        let mut assignments = BTreeMap::new();
        for (name, word) in &command.assignments {
            let value = single(&self.sys, word, &self.variables).await.map_err(failed)?;
            assignments.insert(name.clone(), value);
        }
        let words = fields(&self.sys, &command.words, &self.variables).await.map_err(failed)?;
        for redirection in &command.redirections {
            let pipe = match &redirection.target {
                Target::Same(1) => streams.stdout.clone(),
                Target::Same(_) => streams.stderr.clone(),
                Target::Read(word) => {
                    let path = single(&self.sys, word, &self.variables).await.map_err(failed)?;
                    let content = match path.as_str() {
                        "/dev/null" => Vec::new(),
                        path => self
                            .sys
                            .read_file(path)
                            .map_err(|errno| format!("{shell}: can't open {path}: {errno}\n"))?,
                    };
                    let pipe = Pipe::with_capacity(content.len().max(1));
                    pipe.write_all(&content).await.map_err(failed)?;
                    pipe.close_writer();
                    pipe
                }
                Target::Write(word, append) => {
                    let path = single(&self.sys, word, &self.variables).await.map_err(failed)?;
                    let pipe = Pipe::new();
                    if path != "/dev/null" {
                        self.sys
                            .write_file(&path, &[], *append)
                            .map_err(|errno| format!("{shell}: can't create {path}: {errno}\n"))?;
                    }
                    files.push(Box::pin(write_file(self.sys.clone(), pipe.clone(), path)));
                    written.push(pipe.clone());
                    pipe
                }
            };
            match redirection.descriptor {
                0 => streams.stdin = pipe,
                1 => streams.stdout = pipe,
                _ => streams.stderr = pipe,
            }
        }
        Ok((words, assignments))
    }

    /// Runs a builtin; `None` if the command is none.
    async fn builtin(&mut self, words: &[String], in_shell: bool) -> Option<ExitCode> {
        let status = match words[0].as_str() {
            ":" | "cd" => ExitCode::SUCCESS,
            "exit" => {
                self.exited |= in_shell;
                let status = words.get(1).and_then(|word| word.parse().ok());
                ExitCode(status.unwrap_or(self.variables.status))
            }
            "export" => {
                for (name, value) in words[1..].iter().filter_map(|word| word.split_once('=')) {
                    self.variables.values.insert(name.to_owned(), value.to_owned());
                }
                ExitCode::SUCCESS
            }
            "unset" => {
                for name in &words[1..] {
                    self.variables.values.remove(name);
                }
                ExitCode::SUCCESS
            }
            "set" => {
                self.exit_on_failure |=
                    words[1..].iter().any(|word| word.starts_with('-') && word.contains('e'));
                ExitCode::SUCCESS
            }
            "wait" => {
                for child in std::mem::take(&mut self.background) {
                    child.wait().await;
                }
                ExitCode::SUCCESS
            }
            _ => return None,
        };
        Some(status)
    }
}

impl Running {
    async fn wait(self) -> ExitCode {
        let status = match &self.child {
            Some(child) => child.wait().await,
            None => self.status,
        };
        self.written.iter().for_each(Pipe::close_writer);
        self.read.iter().for_each(Pipe::close_reader);
        status
    }
}

/// Carries what is written into a redirection to its file.
async fn write_file(sys: Sys, pipe: Pipe, path: String) {
    loop {
        let part = pipe.read(65_536).await;
        if part.is_empty() {
            return;
        }
        // The file could be created a moment ago; if it went away its content has nowhere to go.
        if path != "/dev/null" {
            let _ = sys.write_file(&path, &part, true);
        }
    }
}
