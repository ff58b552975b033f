//! `ps`, `pgrep`, `pkill`, `pidof` and `kill`: the processes of a container, as Alpine's BusyBox shows them.
//!
//! A shell of its own that a shell started for a part of its text shows the words of that shell, as a fork does. What a process computes takes no time here, so `TIME` stands still.

use super::arguments;
use super::base_name;
use super::id::user_name;
use super::options::{Failure, Options, Syntax, finish, signal_number};
use super::regex::{Dialect, Expression, Whole};
use super::sh::SUBSHELL;
use crate::engine::sys::{ExitCode, ProcessView, Sys};

pub(super) const PS: Syntax = Syntax {
    letters: "o:Tef",
    long: &[],
    stop_at_operand: false,
    usage: "ps [-o COL1,COL2=HEADER]\n\n\
            Show list of processes\n\n\
            \t-o COL1,COL2=HEADER\tSelect columns for display\n\
            \t-T\t\t\tShow threads",
};

pub(super) const PGREP: Syntax = Syntax {
    letters: "flanovx",
    long: &[],
    stop_at_operand: false,
    usage: "pgrep [-flanovx] PATTERN\n\n\
            Display process(es) selected by regex PATTERN\n\n\
            \t-l\tShow command name too\n\
            \t-a\tShow command line too\n\
            \t-f\tMatch against entire command line\n\
            \t-n\tShow the newest process only\n\
            \t-o\tShow the oldest process only\n\
            \t-v\tNegate the match\n\
            \t-x\tMatch whole name (not substring)",
};

pub(super) const PIDOF: Syntax = Syntax {
    letters: "so:",
    long: &[],
    stop_at_operand: false,
    usage: "pidof [OPTIONS] [NAME]...\n\n\
            List PIDs of all processes with names that match NAMEs\n\n\
            \t-s\tShow only one PID\n\
            \t-o PID\tOmit given pid",
};

const KILL_USAGE: &str = "kill [-l] [-SIG] PID...\n\n\
            Send a signal (default: TERM) to given PIDs\n\n\
            \t-l\tList all signal names and numbers";

const COLUMNS: [(&str, &str); 6] = [
    ("pid", "PID"),
    ("ppid", "PPID"),
    ("user", "USER"),
    ("time", "TIME"),
    ("comm", "COMMAND"),
    ("args", "COMMAND"),
];

/// The processes as others see them.
fn processes(sys: &Sys) -> Vec<ProcessView> {
    let mut all = sys.processes();
    // Oldest first, so that a shell has its words before those it started.
    for at in 0..all.len() {
        if all[at].arguments.get(1).is_some_and(|word| word == SUBSHELL) {
            let parent = all.iter().find(|process| process.id == all[at].parent);
            let shell = || vec!["sh".to_owned()];
            all[at].arguments = parent.map_or_else(shell, |parent| parent.arguments.clone());
        }
    }
    all
}

fn name(process: &ProcessView) -> &str {
    process.arguments.first().map_or("", |program| base_name(program))
}

/// Shows every process.
pub(crate) async fn ps(sys: Sys) -> ExitCode {
    let (program, words) = arguments(&sys);
    let options = match Options::parse(program, words, &PS) {
        // As with `ps aux`, which BusyBox takes and ignores.
        Ok(options) => options,
        Err(failure) => return finish(&sys, Err(failure)).await,
    };
    let mut columns = Vec::new();
    for column in options.values('o').flat_map(|list| list.split(',')) {
        let (key, header) =
            column.split_once('=').map_or((column, None), |(key, header)| (key, Some(header)));
        match COLUMNS.iter().find(|(known, _)| *known == key) {
            Some((key, title)) => columns.push((*key, header.unwrap_or(title))),
            None => {
                let known = "supported are pid,ppid,user,time,comm,args";
                let failure = Failure::new(program, format!("bad -o argument '{key}', {known}"));
                return finish(&sys, Err(failure)).await;
            }
        }
    }
    if columns.is_empty() {
        columns.extend([("pid", "PID"), ("user", "USER"), ("time", "TIME"), ("args", "COMMAND")]);
    }
    let row = |cell: &dyn Fn(&str, &str) -> String, titles: bool| {
        let mut text = String::new();
        for (index, (key, title)) in columns.iter().enumerate() {
            let cell = cell(key, title);
            let last = index + 1 == columns.len();
            text += &match *key {
                "pid" | "ppid" if titles => format!("{cell:<5}"),
                "pid" | "ppid" => format!("{cell:>5}"),
                "user" => format!("{:<8.8}", cell),
                "time" if titles => format!("{cell:<5}"),
                "time" => format!("{cell:>5}"),
                _ if last => cell,
                _ => format!("{cell:<16.16}"),
            };
            text.push(if last { '\n' } else { ' ' });
        }
        text
    };
    let mut text = row(&|_, title| title.to_owned(), true);
    for process in processes(&sys) {
        let cell = |key: &str, _: &str| match key {
            "pid" => process.id.0.to_string(),
            "ppid" => process.parent.0.to_string(),
            "user" => user_name(&sys, process.user.id).unwrap_or_else(|| process.user.id.to_string()),
            "time" => "0:00".to_owned(),
            "comm" => name(&process).to_owned(),
            _ => process.arguments.join(" "),
        };
        text += &row(&cell, false);
    }
    sys.print(text).await;
    ExitCode::SUCCESS
}

/// Shows the numbers of the processes that match.
pub(crate) async fn pgrep(sys: Sys) -> ExitCode {
    let (program, words) = arguments(&sys);
    let result = selected(&sys, program, words);
    let (options, found) = match result {
        Ok(found) => found,
        Err(failure) => return finish(&sys, Err(failure)).await,
    };
    for process in &found {
        let line = match (options.has('a'), options.has('l')) {
            (true, _) => format!("{} {}\n", process.id.0, process.arguments.join(" ")),
            (false, true) => format!("{} {}\n", process.id.0, name(process)),
            (false, false) => format!("{}\n", process.id.0),
        };
        sys.print(line).await;
    }
    if found.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Ends the processes that match.
pub(crate) async fn pkill(sys: Sys) -> ExitCode {
    let (program, words) = arguments(&sys);
    let (signal, words) = match signal_of(words) {
        Ok(parts) => parts,
        Err(text) => {
            return finish(&sys, Err(Failure::new(program, format!("bad signal name '{text}'")))).await;
        }
    };
    match selected(&sys, program, words) {
        Ok((_, found)) => {
            found.iter().filter(|_| signal > 0).for_each(|process| sys.kill(process.id, signal));
            if found.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(failure) => finish(&sys, Err(failure)).await,
    }
}

fn selected(sys: &Sys, program: &str, words: &[String]) -> Result<(Options, Vec<ProcessView>), Failure> {
    let options = Options::parse(program, words, &PGREP)?;
    let [pattern] = options.operands.as_slice() else {
        return Err(Failure::usage("", &PGREP.usage.replacen("pgrep", program, 1)));
    };
    let whole = if options.has('x') { Whole::Line } else { Whole::Part };
    let expression = Expression::new(pattern, Dialect::Extended, false, whole)
        .map_err(|reason| Failure::new(program, format!("bad regex '{pattern}': {reason}")))?;
    let mut found = processes(sys);
    found.retain(|process| {
        let subject = if options.has('f') { process.arguments.join(" ") } else { name(process).to_owned() };
        process.id != sys.process_id() && expression.is_in(&subject) != options.has('v')
    });
    if options.has('n') {
        found.drain(..found.len().saturating_sub(1));
    } else if options.has('o') {
        found.truncate(1);
    }
    Ok((options, found))
}

/// Shows the numbers of the processes of these names, the newest first.
pub(crate) async fn pidof(sys: Sys) -> ExitCode {
    let (program, words) = arguments(&sys);
    let options = match Options::parse(program, words, &PIDOF) {
        Ok(options) => options,
        Err(failure) => return finish(&sys, Err(failure)).await,
    };
    let mut found: Vec<String> = processes(&sys)
        .iter()
        .rev()
        .filter(|process| options.operands.iter().any(|wanted| base_name(wanted) == name(process)))
        .map(|process| process.id.0.to_string())
        .filter(|id| !options.values('o').any(|omitted| omitted == id))
        .collect();
    if options.has('s') {
        found.truncate(1);
    }
    if found.is_empty() {
        return ExitCode::FAILURE;
    }
    sys.print(found.join(" ") + "\n").await;
    ExitCode::SUCCESS
}

/// Ends processes.
pub(crate) async fn kill(sys: Sys) -> ExitCode {
    let (program, words) = arguments(&sys);
    let (signal, numbers) = match signal_of(words) {
        Ok(parts) => parts,
        Err(text) if text == "l" => {
            let known = super::options::SIGNALS.iter();
            let list: String = known.map(|(name, number)| format!("{number:2}) {name}\n")).collect();
            sys.print(list).await;
            return ExitCode::SUCCESS;
        }
        Err(text) => {
            return finish(&sys, Err(Failure::new(program, format!("bad signal name '{text}'")))).await;
        }
    };
    if numbers.is_empty() {
        let failure = match words.is_empty() {
            true => Failure::new(program, "you need to specify whom to kill"),
            false => Failure::usage("", KILL_USAGE),
        };
        return finish(&sys, Err(failure)).await;
    }
    let mut status = ExitCode::SUCCESS;
    for number in numbers {
        let failure = match number.parse::<u32>() {
            Ok(id) => match sys.processes().iter().find(|process| process.id.0 == id) {
                Some(process) => {
                    if signal > 0 {
                        sys.kill(process.id, signal);
                    }
                    continue;
                }
                None => format!("can't kill pid {number}: No such process"),
            },
            Err(_) => format!("invalid number '{number}'"),
        };
        status = finish(&sys, Err(Failure::new(program, failure))).await;
    }
    status
}

/// `-SIGNAL` or `-s SIGNAL` in front of the rest, TERM without; 0 only asks. The error: there is no such signal.
fn signal_of(words: &[String]) -> Result<(u8, &[String]), String> {
    let (name, rest) = match words {
        [first, second, rest @ ..] if first == "-s" => (second.as_str(), rest),
        [first, rest @ ..] if first.len() > 1 && first.starts_with('-') => (&first[1..], rest),
        _ => return Ok((15, words)),
    };
    // Options of pkill are no signals.
    if name.chars().all(|letter| PGREP.letters.contains(letter)) && name != "l" {
        return Ok((15, words));
    }
    match name {
        "0" => Ok((0, rest)),
        name => signal_number(name).map(|signal| (signal, rest)).ok_or_else(|| name.to_owned()),
    }
}
