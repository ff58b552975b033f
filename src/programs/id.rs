//! `id [-gGnu]` and `whoami`: whom a process runs as. Names are those of `/etc/passwd` and `/etc/group`.

use super::arguments;
use super::options::{Failure, Options, Syntax, finish};
use crate::engine::sys::{ExitCode, Sys};

pub(super) const SYNTAX: Syntax = Syntax {
    letters: "ugGnr",
    long: &[],
    stop_at_operand: false,
    usage: "id [-ugGnr] [USER]\n\n\
            Print information about USER or the current user\n\n\
            \t-u\tUser ID\n\
            \t-g\tGroup ID\n\
            \t-G\tSupplementary group IDs\n\
            \t-n\tPrint names instead of numbers\n\
            \t-r\tPrint real ID instead of effective ID",
};

/// Prints the user.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let options = Options::parse(program, words, &SYNTAX)?;
    let (user, group) = match options.operands.first() {
        None => (sys.user().id, sys.user().group),
        Some(name) => {
            named(sys, name).ok_or_else(|| Failure::new(program, format!("unknown user {name}")))?
        }
    };
    let kinds = ['u', 'g', 'G'].iter().filter(|letter| options.has(**letter)).count();
    if kinds > 1 || kinds == 0 && (options.has('n') || options.has('r')) {
        return Err(Failure::usage("", SYNTAX.usage));
    }
    let one = |name: Option<String>, number: u32| match (options.has('n'), name) {
        (true, Some(name)) => name,
        _ => number.to_string(),
    };
    let both = |number: u32, name: Option<String>| match name {
        Some(name) => format!("{number}({name})"),
        None => number.to_string(),
    };
    let text = if options.has('u') {
        one(user_name(sys, user), user)
    } else if kinds == 1 {
        let all = if options.has('G') { groups(sys, user, group) } else { vec![group] };
        let all: Vec<String> = all.into_iter().map(|group| one(group_name(sys, group), group)).collect();
        all.join(" ")
    } else {
        let shown = |group: u32| both(group, group_name(sys, group));
        let all: Vec<String> = groups(sys, user, group).into_iter().map(shown).collect();
        let user = both(user, user_name(sys, user));
        format!("uid={user} gid={} groups={}", shown(group), all.join(","))
    };
    sys.print(text + "\n").await;
    Ok(ExitCode::SUCCESS)
}

/// Prints the user's name.
pub(crate) async fn whoami(sys: Sys) -> ExitCode {
    let (program, _) = arguments(&sys);
    match user_name(&sys, sys.user().id) {
        Some(name) => {
            sys.print(name + "\n").await;
            ExitCode::SUCCESS
        }
        None => {
            let text = format!("unknown uid {}", sys.user().id);
            finish(&sys, Err(Failure::new(program, text))).await
        }
    }
}

/// A user's name.
pub(super) fn user_name(sys: &Sys, id: u32) -> Option<String> {
    name_in(sys, "/etc/passwd", id).or_else(|| (id == 0).then(|| "root".to_owned()))
}

fn group_name(sys: &Sys, id: u32) -> Option<String> {
    name_in(sys, "/etc/group", id).or_else(|| (id == 0).then(|| "root".to_owned()))
}

/// A user's own group, and those that name the user as a member.
fn groups(sys: &Sys, user: u32, group: u32) -> Vec<u32> {
    let mut all = vec![group];
    let Some(name) = user_name(sys, user) else { return all };
    let content = sys.read_file("/etc/group").unwrap_or_default();
    for line in String::from_utf8_lossy(&content).lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let [_, _, number, members] = fields.as_slice() else { continue };
        if let Ok(number) = number.parse()
            && members.split(',').any(|member| member == name)
            && !all.contains(&number)
        {
            all.push(number);
        }
    }
    all
}

/// The first name of a number in a file of names, passwords and numbers.
fn name_in(sys: &Sys, path: &str, id: u32) -> Option<String> {
    let content = sys.read_file(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&content);
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
    })
}

/// The user and group of a name.
fn named(sys: &Sys, name: &str) -> Option<(u32, u32)> {
    let content = sys.read_file("/etc/passwd").unwrap_or_default();
    let text = String::from_utf8_lossy(&content);
    text.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let (known, id, group) =
            (fields.first()?, fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?);
        (*known == name).then_some((id, group))
    })
}
