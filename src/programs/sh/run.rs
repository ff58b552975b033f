//! How the shell runs commands: pipelines, simple and compound commands, functions, redirections.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;

use super::command::{Command, Compound, CompoundKind, List, Pipeline, Redirection, Simple, Target};
use super::expand::{Stop, out_of_memory};
use super::{Boxed, DEEPEST, ERROR, Leave, SUBSHELL, Shell, Streams, builtins, pattern};
use crate::engine::sys::{Child, Errno, ExitCode, Launch, Pipe, Sys};
use crate::programs::devices::{Device, fill};
use crate::programs::tasks::{First, Tasks, both, first};

/// Turns of loops that a shell takes at one moment before time passes: a server that is started anew for each client is
/// there again before the next client asks, but what spins does not stop the clock.
const AT_ONCE: u32 = 100;

/// A command that runs, and what is to be done when it has ended.
struct Running {
    child: Option<Child>,
    /// Status of what could not be started.
    status: ExitCode,
    /// Pipes whose writing end belongs to this command.
    written: Vec<Pipe>,
    /// Pipes whose reading end belongs to this command.
    read: Vec<Pipe>,
}

/// A command's streams, and who carries what is written into its files.
struct Redirected {
    streams: Streams,
    files: Tasks,
    written: Vec<Pipe>,
    /// Pipes that a device fills.
    read: Vec<Pipe>,
}

impl Shell {
    pub(super) async fn run_pipeline(&mut self, pipeline: &Pipeline, background: bool) -> ExitCode {
        let status = match pipeline.commands.as_slice() {
            [command] if background => self.run_in_background(command).await,
            [command] => self.run_command(command).await,
            commands => self.run_together(commands).await,
        };
        match (pipeline.negated, status) {
            (false, status) => status,
            (true, ExitCode::SUCCESS) => ExitCode::FAILURE,
            (true, _) => ExitCode::SUCCESS,
        }
    }

    async fn run_in_background(&mut self, command: &Command) -> ExitCode {
        let streams = Streams { stdin: Pipe::empty(), ..self.streams.clone() };
        // The parser gave it no redirections.
        let started = self.start(command, streams, &mut Tasks::new()).await;
        self.variables.last_background = started.child.as_ref().map(|child| child.id.0);
        self.background.extend(started.child);
        ExitCode::SUCCESS
    }

    /// Runs the commands of a pipeline at once, each in a process of its own.
    async fn run_together(&mut self, commands: &[Command]) -> ExitCode {
        let mut running = Vec::new();
        let mut files = Tasks::new();
        let mut input = self.streams.stdin.clone();
        for (index, command) in commands.iter().enumerate() {
            let last = index + 1 == commands.len();
            let output = if last { self.streams.stdout.clone() } else { Pipe::new() };
            let stderr = self.streams.stderr.clone();
            let streams = Streams { stdin: input.clone(), stdout: output.clone(), stderr };
            let mut started = self.start(command, streams, &mut files).await;
            if index > 0 {
                started.read.push(input);
            }
            if !last {
                started.written.push(output.clone());
            }
            running.push(started);
            input = output;
        }
        let statuses = Rc::new(RefCell::new(vec![ExitCode::SUCCESS; running.len()]));
        let mut children = Tasks::new();
        for (index, started) in running.into_iter().enumerate() {
            let statuses = statuses.clone();
            children.push(Box::pin(async move {
                let status = started.wait().await;
                statuses.borrow_mut()[index] = status;
            }));
        }
        both(children.finish(), files.finish()).await;
        let statuses = statuses.borrow();
        let mut from_the_end = statuses.iter().rev().copied();
        match self.variables.options.pipefail {
            true => from_the_end.find(|status| *status != ExitCode::SUCCESS).unwrap_or(ExitCode::SUCCESS),
            false => from_the_end.next().unwrap_or(ExitCode::SUCCESS),
        }
    }

    /// Starts a command in a process of its own.
    async fn start(&mut self, command: &Command, streams: Streams, files: &mut Tasks) -> Running {
        let (redirections, line) = match command {
            Command::Simple(simple) => (simple.redirections.as_slice(), simple.line),
            Command::Compound(compound) => (compound.redirections.as_slice(), compound.line),
            Command::Function(name, body) => {
                let defined = self.variables.define(name, body.clone());
                let status = if defined.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
                return Running::ended(status, Vec::new());
            }
        };
        self.line = self.first_line + line;
        let words = match command {
            Command::Simple(simple) => self.words(simple).await,
            Command::Compound(_) | Command::Function(..) => Ok((Vec::new(), BTreeMap::new())),
        };
        let redirected = match words {
            Ok(words) => self.redirect(redirections, streams).await.map(|redirected| (words, redirected)),
            Err(stop) => Err(stop),
        };
        let ((words, assignments), redirected) = match redirected {
            Ok(redirected) => redirected,
            Err(stop) => return Running::ended(self.stop(stop).await, Vec::new()),
        };
        let Redirected { streams, files: more, written, read } = redirected;
        files.join(more);
        let stderr = streams.stderr.clone();
        let launched = match command {
            Command::Compound(compound) => self.launch_subshell(&compound.source, self.line, streams),
            _ if words.is_empty() => return Running { read, ..Running::ended(ExitCode::SUCCESS, written) },
            _ if self.variables.function(&words[0]).is_some() || builtins::needs_shell(&words[0]) => {
                let parameters = std::mem::take(&mut self.variables.positional);
                self.variables.positional = parameters.iter().take(1).cloned().chain(words.clone()).collect();
                let launched = self.launch_subshell("\"$@\"", self.line, streams);
                self.variables.positional = parameters;
                launched
            }
            _ => self.launch(&words, assignments, streams, false),
        };
        match launched {
            Ok(child) => Running { child: Some(child), status: ExitCode::SUCCESS, written, read },
            Err(errno) => {
                let name = words.first().map_or("sh", String::as_str);
                Running { read, ..Running::ended(self.cannot_start(name, errno, &stderr).await, written) }
            }
        }
    }

    /// Runs one command and waits for it; what can run inside the shell does.
    async fn run_command(&mut self, command: &Command) -> ExitCode {
        let last = std::mem::take(&mut self.last) && self.at_exit.is_none();
        match command {
            // Boxed, so that what holds this future stays small: they run inside one another.
            Command::Simple(simple) => Box::pin(self.run_simple(simple, last)).await,
            Command::Compound(compound) => Box::pin(self.run_compound(compound)).await,
            Command::Function(name, body) => match self.variables.define(name, body.clone()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => self.stop(out_of_memory()).await,
            },
        }
    }

    /// Runs a simple command. A program takes the shell's place if it is the `last` thing that the shell does.
    async fn run_simple(&mut self, simple: &Simple, last: bool) -> ExitCode {
        self.line = self.first_line + simple.line;
        self.substituted = None;
        let (words, assignments) = match self.words(simple).await {
            Ok(words) => words,
            Err(stop) => return self.stop(stop).await,
        };
        if self.variables.options.trace {
            self.trace(&words, &assignments).await;
        }
        let mut redirected = match self.redirect(&simple.redirections, self.streams.clone()).await {
            Ok(redirected) => redirected,
            Err(stop) => return self.stop(stop).await,
        };
        if words.is_empty() {
            redirected.finish().await;
            return self.substituted.unwrap_or(ExitCode::SUCCESS);
        }
        let (exec, words) = match words.split_first() {
            Some((first, rest)) if first == "exec" => (true, rest.to_vec()),
            _ => (false, words),
        };
        if words.is_empty() {
            // `exec` with redirections only: they are the shell's own from now on.
            if !redirected.written.is_empty() || !redirected.read.is_empty() {
                return self.fail("exec: expected a command, or redirections like 2>&1 only").await;
            }
            self.streams = redirected.streams;
            return ExitCode::SUCCESS;
        }
        let status = if !exec && let Some(body) = self.variables.function(&words[0]) {
            self.inside(redirected, async |shell: &mut Shell| shell.run_function(&body, &words).await).await
        } else if !exec && builtins::is_builtin(&words[0]) {
            let separators = assignments.get("IFS").cloned();
            self.inside(redirected, async |shell: &mut Shell| shell.builtin(&words, separators).await).await
        } else {
            let stderr = redirected.streams.stderr.clone();
            match self.launch(&words, assignments, redirected.streams.clone(), exec || last) {
                Ok(child) => redirected.until(child.wait()).await,
                Err(errno) => {
                    let status = self.cannot_start(&words[0], errno, &stderr).await;
                    redirected.finish().await;
                    status
                }
            }
        };
        if exec {
            self.leaving = Some(Leave::Exit);
            self.variables.status = status.0;
        }
        status
    }

    /// A command's arguments and the assignments in front of it.
    async fn words(&mut self, simple: &Simple) -> Result<(Vec<String>, BTreeMap<String, String>), Stop> {
        let words = self.fields(&simple.words).await?;
        let mut assignments = BTreeMap::new();
        for (name, word) in &simple.assignments {
            let value = self.single(word).await?;
            if words.is_empty() {
                // Those behind it see it.
                self.variables.set(name, &value).map_err(|_| out_of_memory())?;
            }
            assignments.insert(name.clone(), value);
        }
        Ok((words, assignments))
    }

    async fn trace(&self, words: &[String], assignments: &BTreeMap<String, String>) {
        let mut text = "+".to_owned();
        for (name, value) in assignments {
            text += &format!(" {name}={}", builtins::quote(value));
        }
        for word in words {
            text += &format!(" {}", builtins::quote(word));
        }
        let _ = self.streams.stderr.write_all(format!("{text}\n").as_bytes()).await;
    }

    async fn run_compound(&mut self, compound: &Compound) -> ExitCode {
        self.line = self.first_line + compound.line;
        if self.depth >= DEEPEST {
            return self
                .fail(&format!("functions and compound commands nest deeper than {DEEPEST} levels"))
                .await;
        }
        let mut redirected = match self.redirect(&compound.redirections, self.streams.clone()).await {
            Ok(redirected) => redirected,
            Err(stop) => return self.stop(stop).await,
        };
        if compound.kind == CompoundKind::Subshell {
            let streams = redirected.streams.clone();
            let stderr = streams.stderr.clone();
            return match self.launch_subshell(&compound.source, self.line, streams) {
                Ok(child) => redirected.until(child.wait()).await,
                Err(errno) => {
                    redirected.finish().await;
                    self.cannot_start("sh", errno, &stderr).await
                }
            };
        }
        self.depth += 1;
        let status =
            self.inside(redirected, async |shell: &mut Shell| shell.run_kind(&compound.kind).await).await;
        self.depth -= 1;
        status
    }

    async fn run_kind(&mut self, kind: &CompoundKind) -> ExitCode {
        match kind {
            CompoundKind::Group(list) => {
                self.run_list(list).await;
                ExitCode(self.variables.status)
            }
            // The source is the text with its parentheses, which a shell of its own runs.
            CompoundKind::Subshell => ExitCode::SUCCESS,
            CompoundKind::If(branches, otherwise) => {
                for (condition, list) in branches {
                    let holds = self.holds(condition).await;
                    if self.leaving.is_some() {
                        return ExitCode(self.variables.status);
                    }
                    if holds {
                        self.run_list(list).await;
                        return ExitCode(self.variables.status);
                    }
                }
                let Some(list) = otherwise else { return ExitCode::SUCCESS };
                self.run_list(list).await;
                ExitCode(self.variables.status)
            }
            CompoundKind::Loop { until, condition, body } => {
                let mut status = ExitCode::SUCCESS;
                self.loops += 1;
                loop {
                    self.turn().await;
                    let holds = self.holds(condition).await;
                    if self.leaving.is_none() {
                        if holds == *until {
                            break;
                        }
                        self.run_list(body).await;
                        status = ExitCode(self.variables.status);
                    }
                    if self.loop_ends() {
                        break;
                    }
                }
                self.loops -= 1;
                if self.leaving == Some(Leave::Exit) { ExitCode(self.variables.status) } else { status }
            }
            CompoundKind::For { name, words, body } => {
                let words = match words {
                    Some(words) => self.fields(words).await,
                    None => Ok(self.variables.positional.iter().skip(1).cloned().collect()),
                };
                let words = match words {
                    Ok(words) => words,
                    Err(stop) => return self.stop(stop).await,
                };
                let mut status = ExitCode::SUCCESS;
                self.loops += 1;
                for word in words {
                    self.turn().await;
                    if self.variables.set(name, &word).is_err() {
                        status = self.stop(out_of_memory()).await;
                        break;
                    }
                    self.run_list(body).await;
                    status = ExitCode(self.variables.status);
                    if self.loop_ends() {
                        break;
                    }
                }
                self.loops -= 1;
                status
            }
            CompoundKind::Case(subject, arms) => {
                let subject = match self.single(subject).await {
                    Ok(subject) => subject,
                    Err(stop) => return self.stop(stop).await,
                };
                for (patterns, list) in arms {
                    for word in patterns {
                        let pattern = match self.pattern(word).await {
                            Ok(pattern) => pattern,
                            Err(stop) => return self.stop(stop).await,
                        };
                        if pattern::matches(&pattern, &subject) {
                            self.variables.status = 0;
                            self.run_list(list).await;
                            return ExitCode(self.variables.status);
                        }
                    }
                }
                ExitCode::SUCCESS
            }
        }
    }

    /// Runs a condition.
    async fn holds(&mut self, condition: &List) -> bool {
        self.tested += 1;
        self.run_list(condition).await;
        self.tested -= 1;
        self.variables.status == 0
    }

    /// Whether the innermost loop is left, after its body.
    fn loop_ends(&mut self) -> bool {
        match self.leaving {
            None => false,
            Some(Leave::Continue(1)) => {
                self.leaving = None;
                false
            }
            Some(Leave::Break(levels)) => {
                self.leaving = (levels > 1).then_some(Leave::Break(levels - 1));
                true
            }
            Some(Leave::Continue(levels)) => {
                self.leaving = Some(Leave::Continue(levels - 1));
                true
            }
            Some(Leave::Exit | Leave::Return) => true,
        }
    }

    async fn run_function(&mut self, body: &Rc<Compound>, words: &[String]) -> ExitCode {
        self.turn().await;
        let name = self.variables.positional.first().cloned().unwrap_or_default();
        let parameters = std::iter::once(name).chain(words[1..].iter().cloned()).collect();
        let parameters = std::mem::replace(&mut self.variables.positional, parameters);
        let loops = std::mem::take(&mut self.loops);
        self.locals.push(Vec::new());
        let run: Boxed<'_, ExitCode> = Box::pin(self.run_compound(body));
        let status = run.await;
        for (name, before) in self.locals.pop().unwrap_or_default().into_iter().rev() {
            self.variables.unset(&name);
            // What was there before has room again.
            let _ = before.map(|value| self.variables.set(&name, &value));
        }
        self.loops = loops;
        self.variables.positional = parameters;
        match self.leaving {
            Some(Leave::Return) => {
                self.leaving = None;
                ExitCode(self.variables.status)
            }
            _ => status,
        }
    }

    /// Lets time pass if none has in the last [`AT_ONCE`] turns of loops and functions: the shell takes turns with all that
    /// spin in its place.
    pub(super) async fn turn(&mut self) {
        let now = self.sys.now();
        if self.last_turn == Some(now) {
            self.spins = self.spins.saturating_add(1);
            if self.spins < AT_ONCE {
                return;
            }
            self.sys.spin().await;
            self.last_turn = Some(self.sys.now());
        } else {
            self.spins = 0;
            self.last_turn = Some(now);
        }
    }

    /// Runs something inside the shell with other streams.
    async fn inside<R>(&mut self, mut redirected: Redirected, run: R) -> ExitCode
    where
        R: AsyncFnOnce(&mut Shell) -> ExitCode,
    {
        let streams = std::mem::replace(&mut self.streams, redirected.streams.clone());
        let status = redirected.until(run(self)).await;
        self.streams = streams;
        status
    }

    pub(super) fn launch(
        &self,
        words: &[String],
        assignments: BTreeMap<String, String>,
        streams: Streams,
        replaces: bool,
    ) -> Result<Child, Errno> {
        let mut environment = self.variables.environment();
        environment.extend(assignments);
        self.launch_with(words.to_vec(), environment, streams, replaces)
    }

    /// Starts a shell that knows what this one knows.
    pub(super) fn launch_subshell(
        &self,
        source: &str,
        line: usize,
        streams: Streams,
    ) -> Result<Child, Errno> {
        let line = if self.named { line.to_string() } else { "-".to_owned() };
        let mut arguments = vec!["sh".to_owned(), SUBSHELL.to_owned()];
        let process = self.variables.process.to_string();
        arguments.extend([
            self.variables.status.to_string(),
            line,
            process,
            self.prelude(),
            source.to_owned(),
        ]);
        arguments.extend(self.variables.positional.iter().cloned());
        self.launch_with(arguments, self.variables.all().clone(), streams, false)
    }

    fn launch_with(
        &self,
        arguments: Vec<String>,
        environment: BTreeMap<String, String>,
        streams: Streams,
        replaces: bool,
    ) -> Result<Child, Errno> {
        let Streams { stdin, stdout, stderr } = streams;
        self.sys.launch(Launch { arguments, environment, stdin, stdout, stderr, replaces })
    }

    pub(super) async fn cannot_start(&self, name: &str, errno: Errno, stderr: &Pipe) -> ExitCode {
        let (what, text, status) = match errno {
            Errno::NoSuchFile => (name, "not found", ExitCode::NOT_FOUND),
            Errno::WouldBlock => ("can't fork", errno.text(), ERROR),
            errno => (name, errno.text(), ExitCode::NOT_EXECUTABLE),
        };
        let shell = self.variables.positional.first().map_or("sh", String::as_str);
        let line = if self.named { format!("line {}: ", self.line) } else { String::new() };
        let _ = stderr.write_all(format!("{shell}: {line}{what}: {text}\n").as_bytes()).await;
        status
    }

    /// Opens what redirections name.
    async fn redirect(&mut self, redirections: &[Redirection], streams: Streams) -> Result<Redirected, Stop> {
        let mut redirected =
            Redirected { streams, files: Tasks::new(), written: Vec::new(), read: Vec::new() };
        for redirection in redirections {
            let streams = &mut redirected.streams;
            let pipe = match &redirection.target {
                Target::Same(1) => streams.stdout.clone(),
                Target::Same(_) => streams.stderr.clone(),
                Target::Document(word) => holding(self.single(word).await?.as_bytes()).await,
                Target::Read(word) => {
                    let path = self.single(word).await?;
                    match Device::find(&path) {
                        Some(Device::Null) => Pipe::empty(),
                        Some(device @ (Device::Zero | Device::Random)) => {
                            let pipe = Pipe::new();
                            redirected.files.push(Box::pin(fill(self.sys.clone(), device, pipe.clone())));
                            redirected.read.push(pipe.clone());
                            pipe
                        }
                        Some(Device::Stdin) => streams.stdin.clone(),
                        Some(Device::Stdout) => streams.stdout.clone(),
                        Some(Device::Stderr) => streams.stderr.clone(),
                        None => {
                            self.sys.rest().await;
                            let content = self.sys.read_file(&path);
                            self.sys.worked(content.as_ref().map_or(0, Vec::len));
                            let failed =
                                |errno| Stop::Failed(format!("can't open {path}: {}", reason(errno)));
                            holding(&content.map_err(failed)?).await
                        }
                    }
                }
                Target::Write(word, append) => {
                    let path = self.single(word).await?;
                    match Device::find(&path) {
                        Some(Device::Stdin) => streams.stdin.clone(),
                        Some(Device::Stdout) => streams.stdout.clone(),
                        Some(Device::Stderr) => streams.stderr.clone(),
                        device @ (Some(Device::Null | Device::Zero | Device::Random) | None) => {
                            if device.is_none() {
                                let failed =
                                    |errno| Stop::Failed(format!("can't create {path}: {}", reason(errno)));
                                self.sys.write_file(&path, &[], *append).map_err(failed)?;
                            }
                            let pipe = Pipe::new();
                            redirected.files.push(Box::pin(write_file(self.sys.clone(), pipe.clone(), path)));
                            redirected.written.push(pipe.clone());
                            pipe
                        }
                    }
                }
            };
            match redirection.descriptor {
                0 => streams.stdin = pipe,
                1 => streams.stdout = pipe,
                _ => streams.stderr = pipe,
            }
        }
        Ok(redirected)
    }
}

/// Which failures end a shell under `set -e`: those of a compound command were its last command's already.
pub(super) fn may_be_fatal(pipeline: &Pipeline) -> bool {
    match pipeline.commands.as_slice() {
        [Command::Compound(compound)] => compound.kind == CompoundKind::Subshell,
        _ => true,
    }
}

/// `ash`'s word for a file that is not there.
fn reason(errno: Errno) -> String {
    match errno {
        Errno::NoSuchFile => "no such file".to_owned(),
        errno => errno.to_string(),
    }
}

impl Redirected {
    /// Carries what is written until `command` has ended and all of it is in its files.
    async fn until(&mut self, command: impl Future<Output = ExitCode>) -> ExitCode {
        let status = match first(command, self.files.run()).await {
            First::Left(status) => status,
            First::Right(never) => match never {},
        };
        self.finish().await;
        status
    }

    async fn finish(&mut self) {
        self.written.iter().for_each(Pipe::close_writer);
        self.read.iter().for_each(Pipe::close_reader);
        self.files.finish().await;
    }
}

impl Running {
    fn ended(status: ExitCode, written: Vec<Pipe>) -> Running {
        Running { child: None, status, written, read: Vec::new() }
    }

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

/// A pipe at whose end is this text.
async fn holding(content: &[u8]) -> Pipe {
    let pipe = Pipe::with_capacity(content.len().max(1));
    // There is room, and a reader.
    let _ = pipe.write_all(content).await;
    pipe.close_writer();
    pipe
}

/// Carries what is written into a redirection to its file.
async fn write_file(sys: Sys, pipe: Pipe, path: String) {
    loop {
        let part = pipe.read(65_536).await;
        if part.is_empty() {
            return;
        }
        // The file could be created a moment ago; if it went away its content has nowhere to go.
        if Device::find(&path).is_none() {
            let _ = sys.write_file(&path, &part, true);
        }
    }
}
