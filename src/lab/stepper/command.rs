//! What can be typed at a stepper: its own commands, each a word, and the lines a running world takes.

use std::str::FromStr;

use super::super::Question;
use crate::scenario::diagnostic::nearest;
use crate::scenario::steps::typed;

/// One line, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// An empty line.
    Nothing,
    /// Do this many steps.
    Next(usize),
    /// Undo this many things.
    Back(usize),
    /// Go on to the next check and make it.
    Check,
    /// Go to the instant at which so many steps were done.
    To(usize),
    /// Do the rest.
    End,
    /// List the steps.
    Steps,
    /// Show tables, of a place or of one kind.
    Tables(Vec<String>),
    /// Tell the last step with every hop.
    Story,
    /// Explain one attempt.
    Explain(Question),
    /// Do what would be typed on a terminal in the world.
    Do(String),
    /// Show the text again.
    Text,
    /// List the tasks.
    Tasks,
    /// A hint for a task, or for the first that is open.
    Hint(Option<String>),
    /// Answer a task.
    Answer {
        /// Its id or number.
        task: String,
        /// The answer.
        answer: String,
    },
    /// Say which tasks are done.
    Grade,
    /// List the commands.
    Help,
    /// Leave.
    Quit,
}

/// How each command is written and what it does.
pub(super) const HELP: [(&str, &str); 19] = [
    ("next [N]", "do the next step, or N of them (n, or an empty line)"),
    ("back [N]", "undo the last thing done, or N of them, by running again up to there (b)"),
    ("check", "go on to the next check and make it"),
    ("to STEP", "go to where so many steps were done, forwards or back; 0 is the start"),
    ("end", "do the rest"),
    ("steps", "list the steps and where you are"),
    (
        "tables [PLACE] [TABLE]",
        "tables of this instant: interfaces, fdb, neighbours, routes, rules, conntrack, sockets, dns",
    ),
    ("story", "the last thing done, with every hop of every packet"),
    ("explain FROM -> TO", "why one place reaches another or not, asked of a copy of this world"),
    ("PLACE$ COMMAND", "run a command there, such as web$ ping -c 1 db"),
    ("docker ...", "a docker command on the host"),
    ("wait 5s, link down NAME, ...", "an event, as in `steps:`"),
    ("do LINE", "the same as LINE alone, for any of these three"),
    ("text", "the text of this file, again"),
    ("tasks", "what you are asked to do or find out"),
    ("hint [TASK]", "the next hint for a task"),
    ("answer TASK ANSWER", "answer a task that asks for something"),
    ("grade", "which tasks are done"),
    ("quit", "leave (q)"),
];

const WORDS: [&str; 18] = [
    "next", "back", "check", "to", "end", "steps", "tables", "story", "explain", "do", "text", "tasks",
    "hint", "answer", "grade", "help", "quit", "docker",
];

impl FromStr for Command {
    type Err = String;

    fn from_str(line: &str) -> Result<Command, String> {
        let line = line.trim();
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        let alone = |command: Command| match rest {
            "" => Ok(command),
            _ => Err(format!("`{word}` stands alone; found `{}` after it", short(rest))),
        };
        match word {
            "" => Ok(Command::Nothing),
            "next" | "n" => Ok(Command::Next(count(word, rest)?)),
            "back" | "b" => Ok(Command::Back(count(word, rest)?)),
            "check" => alone(Command::Check),
            "to" => rest
                .parse()
                .map(Command::To)
                .map_err(|_| format!("`to` needs a number of steps, found `{}`", short(rest))),
            "end" => alone(Command::End),
            "steps" => alone(Command::Steps),
            "tables" => Ok(Command::Tables(rest.split_whitespace().map(str::to_owned).collect())),
            "story" => alone(Command::Story),
            "explain" => rest
                .parse()
                .map(Command::Explain)
                .map_err(|error: super::super::QuestionError| error.to_string()),
            "do" if rest.is_empty() => {
                Err("`do` needs a line: a docker command, an event, or PLACE$ COMMAND".to_owned())
            }
            "do" => typed(rest).map(|_| Command::Do(rest.to_owned())),
            "text" => alone(Command::Text),
            "tasks" => alone(Command::Tasks),
            "hint" => Ok(Command::Hint((!rest.is_empty()).then(|| rest.to_owned()))),
            "answer" => match rest.split_once(char::is_whitespace) {
                Some((task, answer)) => {
                    Ok(Command::Answer { task: task.to_owned(), answer: answer.trim().to_owned() })
                }
                None => Err("`answer` needs a task and what you say, as in `answer 1 172.18.0.2`".to_owned()),
            },
            "grade" => alone(Command::Grade),
            "help" | "?" => alone(Command::Help),
            "quit" | "q" | "exit" => alone(Command::Quit),
            _ if line.ends_with('$') && rest.is_empty() => Err(format!(
                "`{}` needs a command behind it, such as {}$ ip route",
                short(line),
                short(line.trim_end_matches('$'))
            )),
            _ => match typed(line) {
                Ok(_) => Ok(Command::Do(line.to_owned())),
                Err(message) => Err(unknown(word, line, message)),
            },
        }
    }
}

/// How many; one when nothing is said.
fn count(word: &str, rest: &str) -> Result<usize, String> {
    match rest {
        "" => Ok(1),
        rest => match rest.parse() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(format!("`{word}` takes a number from 1, found `{}`", short(rest))),
        },
    }
}

/// A line that is neither a command nor something to do. What begins as the latter has its own complaint.
fn unknown(word: &str, line: &str, message: String) -> String {
    if line.contains('$') || ["wait", "link", "crash", "daemon", "host"].contains(&word) {
        return message;
    }
    let near = nearest(word, WORDS).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
    format!("`{}` is no command; {near}`help` lists them", short(word))
}

fn short(text: &str) -> String {
    let cut: String = text.chars().take(60).collect();
    if cut.len() < text.len() { cut + "..." } else { cut }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_commands_or_things_to_do() {
        let read = |line: &str| line.parse::<Command>();
        assert_eq!(read(" next "), Ok(Command::Next(1)));
        assert_eq!(read("b 3"), Ok(Command::Back(3)));
        assert_eq!(read(""), Ok(Command::Nothing));
        assert_eq!(read("to 0"), Ok(Command::To(0)));
        assert_eq!(read("web$ ").unwrap_err(), "`web$` needs a command behind it, such as web$ ip route");
        assert!(read("do").unwrap_err().starts_with("`do` needs a line"));
        assert_eq!(
            read("tables web routes"),
            Ok(Command::Tables(vec!["web".to_owned(), "routes".to_owned()]))
        );
        assert!(matches!(read("explain web -> db:5432"), Ok(Command::Explain(_))));
        for line in ["web$ echo $HOME", "docker ps", "wait 5s", "link down eth0"] {
            assert_eq!(read(line), Ok(Command::Do(line.to_owned())));
            assert_eq!(read(&format!("do {line}")), Ok(Command::Do(line.to_owned())));
        }
        let answer = Command::Answer { task: "who".to_owned(), answer: "the gateway".to_owned() };
        assert_eq!(read("answer who  the gateway"), Ok(answer));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, complaint) in [
            ("nxt", "did you mean `next`?"),
            ("next 0", "a number from 1"),
            ("to", "a number of steps"),
            ("end now", "stands alone"),
            ("answer 1", "needs a task and what you say"),
            ("explain web", "expected `FROM -> TO"),
            ("wait", "is not an event"),
            ("web$", "needs a command behind it"),
            ("do", "PLACE$ COMMAND"),
            ("\u{0}", "`help` lists them"),
        ] {
            let error = line.parse::<Command>().unwrap_err();
            assert!(error.contains(complaint), "{line:?}: {error}");
        }
    }
}
