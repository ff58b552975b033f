//! The shell's builtins: what changes the shell itself, and the few programs it has inside so that loops are cheap.

use super::expand::out_of_memory;
use super::variables::LARGEST;
use super::words::is_name;
use super::{Leave, Shell};
use crate::engine::sys::{ExitCode, ProcessId};
use crate::programs::text::BROKEN_PIPE;
use crate::programs::{echo, options, printf, test};

/// Builtins that are programs too: in a pipeline they run as those.
const PROGRAMS: [&str; 6] = ["[", "echo", "false", "printf", "test", "true"];

/// Builtins that only a shell can be asked for.
const OWN: [&str; 18] = [
    ".", ":", "break", "cd", "command", "continue", "eval", "exit", "export", "kill", "local", "read",
    "return", "set", "shift", "trap", "unset", "wait",
];

pub(super) fn is_builtin(name: &str) -> bool {
    PROGRAMS.contains(&name) || needs_shell(name)
}

/// True for a builtin that is no program.
pub(super) fn needs_shell(name: &str) -> bool {
    OWN.contains(&name)
}

/// A word as `set -x` and `export` show it: quoted if it has to be.
pub(super) fn quote(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "+,-./:@]^_".contains(letter);
    if word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

impl Shell {
    /// Runs a builtin; `separators` is the `IFS` given in front of it.
    pub(super) async fn builtin(&mut self, words: &[String], separators: Option<String>) -> ExitCode {
        let (name, rest) = match words.split_first() {
            Some((name, rest)) => (name.as_str(), rest),
            None => return ExitCode::SUCCESS,
        };
        match name {
            "true" | ":" | "cd" => ExitCode::SUCCESS,
            "false" => ExitCode::FAILURE,
            "echo" => self.say(echo::text(rest), ExitCode::SUCCESS).await,
            "printf" => {
                let (text, errors) = printf::format(rest);
                // Standard error is not buffered: complaints come first.
                let status = self.report(errors).await;
                self.say(text, status).await
            }
            "test" | "[" => match test::evaluate(&self.sys, name, rest) {
                Ok(true) => ExitCode::SUCCESS,
                Ok(false) => ExitCode::FAILURE,
                Err(message) => {
                    let _ = self.streams.stderr.write_all(format!("sh: {message}\n").as_bytes()).await;
                    ExitCode(2)
                }
            },
            "exit" => self.leave(name, rest, Leave::Exit).await,
            "return" if self.locals.is_empty() => self.leave(name, rest, Leave::Exit).await,
            "return" => self.leave(name, rest, Leave::Return).await,
            "break" | "continue" => self.leave_loops(name, rest).await,
            "." => self.source(rest).await,
            "eval" => {
                self.variables.status = 0;
                self.run_nested(&rest.join(" ")).await;
                ExitCode(self.variables.status)
            }
            "export" => self.export(rest).await,
            "local" => self.local(rest).await,
            "unset" => {
                for name in rest.iter().filter(|word| !word.starts_with('-')) {
                    self.variables.unset(name);
                }
                ExitCode::SUCCESS
            }
            "set" => self.set(rest).await,
            "shift" => {
                let count = rest.first().map_or(Ok(1), |word| word.parse::<usize>());
                match count {
                    Ok(count) if count < self.variables.positional.len() => {
                        self.variables.positional.drain(1..=count);
                        ExitCode::SUCCESS
                    }
                    Ok(_) => ExitCode::FAILURE,
                    Err(_) => self.fail_in(name, &format!("Illegal number: {}", rest[0])).await,
                }
            }
            "read" => self.read(rest, separators).await,
            "command" => self.command(rest).await,
            "kill" => self.kill(rest).await,
            "trap" => self.trap(rest).await,
            _ => self.wait(rest).await,
        }
    }

    /// Writes to standard output; a shell whose reader is gone ends, as SIGPIPE would end it.
    async fn say(&mut self, text: String, status: ExitCode) -> ExitCode {
        if self.streams.stdout.write_all(text.as_bytes()).await.is_ok() {
            return status;
        }
        self.variables.status = BROKEN_PIPE.0;
        self.leaving = Some(Leave::Exit);
        BROKEN_PIPE
    }

    async fn report(&self, errors: Vec<String>) -> ExitCode {
        for error in &errors {
            let _ = self.streams.stderr.write_all(format!("sh: {error}\n").as_bytes()).await;
        }
        if errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    async fn complain_in(&self, builtin: &str, message: &str) {
        let shell = self.variables.positional.first().map_or("sh", String::as_str);
        let text = format!("{shell}: {builtin}: line {}: {message}\n", self.line);
        let _ = self.streams.stderr.write_all(text.as_bytes()).await;
    }

    /// An error of a builtin that ends the shell.
    async fn fail_in(&mut self, builtin: &str, message: &str) -> ExitCode {
        self.complain_in(builtin, message).await;
        self.variables.status = 2;
        self.leaving = Some(Leave::Exit);
        ExitCode(2)
    }

    async fn leave(&mut self, name: &str, words: &[String], leave: Leave) -> ExitCode {
        if let Some(word) = words.first() {
            match word.parse::<u32>() {
                Ok(status) => self.variables.status = (status & 0xff) as u8,
                Err(_) => return self.fail_in(name, &format!("Illegal number: {word}")).await,
            }
        }
        self.leaving = Some(leave);
        ExitCode(self.variables.status)
    }

    async fn leave_loops(&mut self, name: &str, words: &[String]) -> ExitCode {
        let levels = match words.first().map_or(Ok(1), |word| word.parse::<u32>()) {
            Ok(levels) if levels > 0 => levels.min(self.loops),
            _ => return self.fail_in(name, &format!("Illegal number: {}", words[0])).await,
        };
        self.variables.status = 0;
        if levels > 0 {
            self.leaving = Some(if name == "break" { Leave::Break(levels) } else { Leave::Continue(levels) });
        }
        ExitCode::SUCCESS
    }

    /// `. FILE`
    async fn source(&mut self, words: &[String]) -> ExitCode {
        let Some(path) = words.first() else { return ExitCode::SUCCESS };
        match self.sys.read_file(path) {
            Ok(content) => {
                self.variables.status = 0;
                self.run_nested(&String::from_utf8_lossy(&content)).await;
                ExitCode(self.variables.status)
            }
            Err(errno) => self.fail_in(".", &format!("can't open '{path}': {errno}")).await,
        }
    }

    /// Runs a text inside the one that runs.
    async fn run_nested(&mut self, text: &str) {
        if self.depth >= super::DEEPEST {
            self.fail("eval and . nest too deep").await;
            return;
        }
        self.depth += 1;
        self.turn().await;
        let first_line = self.first_line;
        let run: super::Boxed<'_, ()> = Box::pin(self.run_text(text));
        run.await;
        self.first_line = first_line;
        self.depth -= 1;
    }

    async fn export(&mut self, words: &[String]) -> ExitCode {
        let (exported, words) = match words.split_first() {
            Some((option, rest)) if option == "-n" => (false, rest),
            Some((option, rest)) if option == "-p" => (true, rest),
            _ => (true, words),
        };
        if words.is_empty() {
            let line = |(name, value): (&String, &String)| {
                format!("export {name}='{}'\n", value.replace('\'', "'\\''"))
            };
            let text: String = self.variables.environment().iter().map(line).collect();
            let _ = self.streams.stdout.write_all(text.as_bytes()).await;
        }
        for word in words {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word.as_str(), None),
            };
            if !is_name(name) {
                return self.fail_in("export", &format!("{name}: bad variable name")).await;
            }
            if value.is_some_and(|value| self.variables.set(name, value).is_err()) {
                return self.stop(out_of_memory()).await;
            }
            self.variables.export(name, exported);
        }
        ExitCode::SUCCESS
    }

    async fn local(&mut self, words: &[String]) -> ExitCode {
        if self.locals.is_empty() {
            return self.fail_in("local", "not in a function").await;
        }
        for word in words {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            if !is_name(name) {
                return self.fail_in("local", &format!("{name}: bad variable name")).await;
            }
            let before = self.variables.get(name);
            let covered = self.locals.last_mut().filter(|all| !all.iter().any(|(known, _)| known == name));
            if let Some(covered) = covered {
                covered.push((name.to_owned(), before));
            }
            if self.variables.set(name, value).is_err() {
                return self.stop(out_of_memory()).await;
            }
        }
        ExitCode::SUCCESS
    }

    async fn set(&mut self, words: &[String]) -> ExitCode {
        if words.is_empty() {
            let line =
                |(name, value): (&String, &String)| format!("{name}='{}'\n", value.replace('\'', "'\\''"));
            let text: String = self.variables.all().iter().map(line).collect();
            let _ = self.streams.stdout.write_all(text.as_bytes()).await;
            return ExitCode::SUCCESS;
        }
        let mut rest = words;
        while let Some((word, after)) = rest.split_first() {
            let value = match word.as_bytes().first() {
                Some(b'-') if word.len() > 1 => true,
                Some(b'+') if word.len() > 1 => false,
                _ => break,
            };
            rest = after;
            if word == "--" {
                self.set_parameters(rest);
                return ExitCode::SUCCESS;
            }
            for letter in word.chars().skip(1) {
                if letter == 'o' {
                    let Some((name, after)) = rest.split_first() else { return ExitCode::SUCCESS };
                    rest = after;
                    if !self.variables.options.set_name(name, value) {
                        return self.fail_in("set", &format!("illegal option -o {name}")).await;
                    }
                } else if !self.variables.options.set(letter, value) {
                    return self.fail_in("set", &format!("illegal option {}{letter}", &word[..1])).await;
                }
            }
        }
        if !rest.is_empty() {
            self.set_parameters(rest);
        }
        ExitCode::SUCCESS
    }

    fn set_parameters(&mut self, words: &[String]) {
        self.variables.positional.truncate(1);
        self.variables.positional.extend_from_slice(words);
    }

    /// `read [-r] [-t SECONDS] [-p PROMPT] NAME...`
    async fn read(&mut self, words: &[String], separators: Option<String>) -> ExitCode {
        let (mut raw, mut limit, mut names) = (false, None, words);
        while let Some((option, after)) = names.split_first()
            && let Some(letters) = option.strip_prefix('-')
        {
            names = after;
            match (letters, after.first()) {
                ("r", _) => raw = true,
                ("p", Some(prompt)) => {
                    let _ = self.streams.stderr.write_all(prompt.as_bytes()).await;
                    names = &after[1..];
                }
                ("t", Some(seconds)) => {
                    limit = options::duration(seconds);
                    names = &after[1..];
                }
                _ => return self.fail_in("read", &format!("illegal option -{letters}")).await,
            }
        }
        if let Some(name) = names.iter().find(|name| !is_name(name)) {
            return self.fail_in("read", &format!("{name}: bad variable name")).await;
        }
        let (line, complete) = match limit {
            Some(limit) => match self.sys.timeout(limit, self.read_line(raw)).await {
                Some(read) => read,
                None => return ExitCode::FAILURE,
            },
            None => self.read_line(raw).await,
        };
        let separators = separators.unwrap_or_else(|| self.separators());
        let is_separator = |letter: char| separators.contains(letter);
        let reply = ["REPLY".to_owned()];
        let names = if names.is_empty() { &reply } else { names };
        let mut rest = line.trim_matches(|letter: char| letter.is_whitespace() && is_separator(letter));
        for (index, name) in names.iter().enumerate() {
            let value = match rest.find(is_separator) {
                Some(end) if index + 1 < names.len() => {
                    let value = &rest[..end];
                    rest = &rest[end..];
                    let one = rest.chars().next().map_or(0, char::len_utf8);
                    rest = rest[one..].trim_start_matches(|l: char| l.is_whitespace() && is_separator(l));
                    value
                }
                _ => std::mem::take(&mut rest),
            };
            if self.variables.set(name, value).is_err() {
                return self.stop(out_of_memory()).await;
            }
        }
        if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// One line of standard input, and whether its end was there. It stops at [`LARGEST`].
    async fn read_line(&self, raw: bool) -> (String, bool) {
        let (mut bytes, mut escaped) = (Vec::new(), false);
        loop {
            let part = self.sys.read_from(&self.streams.stdin, 1).await;
            let Some(byte) = part.first().copied().filter(|_| bytes.len() < LARGEST) else {
                return (String::from_utf8_lossy(&bytes).into_owned(), false);
            };
            match byte {
                b'\\' if !raw && !escaped => escaped = true,
                b'\n' if !escaped => return (String::from_utf8_lossy(&bytes).into_owned(), true),
                byte => {
                    if !(escaped && byte == b'\n') {
                        bytes.push(byte);
                    }
                    escaped = false;
                }
            }
        }
    }

    /// `command -v NAME...` and `command NAME [ARGUMENT]...`.
    async fn command(&mut self, words: &[String]) -> ExitCode {
        match words.split_first() {
            Some((option, names)) if option == "-v" => {
                let Some(name) = names.first() else { return ExitCode::SUCCESS };
                let found = if self.variables.function(name).is_some() || is_builtin(name) {
                    name.clone()
                } else if crate::programs::find(name).is_some() {
                    if name.contains('/') { name.clone() } else { format!("/bin/{name}") }
                } else {
                    return ExitCode::NOT_FOUND;
                };
                let _ = self.streams.stdout.write_all(format!("{found}\n").as_bytes()).await;
                ExitCode::SUCCESS
            }
            Some((name, _)) if is_builtin(name) && name != "command" => {
                Box::pin(self.builtin(words, None)).await
            }
            Some((name, _)) => match self.launch(words, Default::default(), self.streams.clone(), false) {
                Ok(child) => child.wait().await,
                Err(errno) => self.cannot_start(name, errno, &self.streams.stderr).await,
            },
            None => ExitCode::SUCCESS,
        }
    }

    /// `kill [-SIGNAL] PROCESS...`, for processes of the container.
    async fn kill(&mut self, words: &[String]) -> ExitCode {
        let (mut signal, mut words) = (Some(15), words);
        if let Some((option, rest)) = words.split_first()
            && let Some(name) = option.strip_prefix('-')
        {
            signal = if name == "0" { Some(0) } else { options::signal_number(name) };
            words = rest;
        }
        let Some(signal) = signal else {
            self.complain_in("kill", "bad signal name").await;
            return ExitCode::FAILURE;
        };
        let mut status = ExitCode::SUCCESS;
        for word in words {
            let child = self.background.iter().find(|child| child.id.0.to_string() == *word);
            match child.filter(|child| child.exit.borrow().status().is_none()) {
                Some(_) if signal == 0 => {}
                Some(child) => self.sys.kill(child.id, signal),
                None if let Some(id) = self.process(word) => {
                    if signal > 0 {
                        self.sys.kill(id, signal);
                    }
                }
                None => {
                    // BusyBox's program of that name says it, as part of the shell.
                    let text = format!("sh: can't kill pid {word}: No such process\n");
                    let _ = self.streams.stderr.write_all(text.as_bytes()).await;
                    status = ExitCode::FAILURE;
                }
            }
        }
        status
    }

    /// A process of the container by its number.
    fn process(&self, number: &str) -> Option<ProcessId> {
        let number: u32 = number.parse().ok()?;
        self.sys.processes().into_iter().map(|process| process.id).find(|id| id.0 == number)
    }

    /// `trap ACTION CONDITION...`: the action of `EXIT` runs when the shell ends. A signal ends a program of linkspan
    /// whatever it has trapped, so those of signals are remembered by nobody.
    async fn trap(&mut self, words: &[String]) -> ExitCode {
        let words = words.strip_prefix(&["--".to_owned()]).unwrap_or(words);
        let Some((action, conditions)) = words.split_first() else { return ExitCode::SUCCESS };
        for condition in conditions {
            if condition == "EXIT" || condition == "0" {
                self.at_exit = (action != "-").then(|| action.clone());
            } else if options::signal_number(condition).is_none() {
                self.complain_in("trap", &format!("{condition}: invalid signal specification")).await;
                return ExitCode::FAILURE;
            }
        }
        ExitCode::SUCCESS
    }

    /// `wait [PROCESS]...`
    async fn wait(&mut self, words: &[String]) -> ExitCode {
        if words.is_empty() {
            for child in std::mem::take(&mut self.background) {
                child.wait().await;
            }
            return ExitCode::SUCCESS;
        }
        let mut status = ExitCode::SUCCESS;
        for word in words {
            let at = self.background.iter().position(|child| child.id.0.to_string() == *word);
            status = match at {
                Some(at) => self.background[at].wait().await,
                None => ExitCode::NOT_FOUND,
            };
            let ended = match status {
                ExitCode(137) => "Killed\n",
                ExitCode(143) => "Terminated\n",
                _ => continue,
            };
            let _ = self.streams.stderr.write_all(ended.as_bytes()).await;
        }
        status
    }

    /// What a shell of its own has to run before it knows what this one knows.
    pub(super) fn prelude(&self) -> String {
        let options = self.variables.options;
        let mut text = String::new();
        for (name, set) in [
            ("errexit", options.exit_on_failure && self.tested == 0),
            ("nounset", options.no_unset),
            ("pipefail", options.pipefail),
            ("noglob", options.no_file_names),
        ] {
            if set {
                text += &format!("set -o {name}\n");
            }
        }
        for name in self.variables.unexported() {
            text += &format!("export -n {name}\n");
        }
        for (name, body) in self.variables.functions() {
            text += &format!("{name}() {body}\n");
        }
        if options.trace {
            text += "set -x\n";
        }
        text
    }
}
