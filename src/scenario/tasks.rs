//! Tasks: what a learner is asked to do or find out, and how it is seen that it was.
//!
//! A task is done when all its checks hold in the world the learner's commands left behind (`done:`), or when the
//! answer is one that counts (`answer:`). Its solution is lines as a learner types them ([`typed`]): nothing here runs
//! them, but with them anybody can see that the task can be done.

use std::net::IpAddr;

use super::checks::Check;
use super::diagnostic::{Diagnostic, Diagnostics, Span, Spanned};
use super::read::{scalars, texts};
use super::steps::{read_check_or_checks, typed};
use super::yaml::Node;

/// One thing a learner is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// One word; no two tasks of a file share it.
    pub id: Spanned<String>,
    /// A title for people.
    pub title: Option<String>,
    /// What is asked.
    pub text: String,
    /// Shown one after the other when asked for.
    pub hints: Vec<String>,
    /// When it is done.
    pub goal: Goal,
    /// Lines that do it, or that show the answer.
    pub solution: Vec<String>,
}

/// When a task is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal {
    /// All of these hold.
    Checks(Vec<Check>),
    /// One of these was answered.
    Answer(Vec<String>),
}

impl Task {
    /// The title, or the id without one.
    #[must_use]
    pub fn name(&self) -> &str {
        self.title.as_deref().unwrap_or(&self.id.value)
    }
}

/// Whether an answer is the one wanted: the same address, the same number, or the same words whatever their case.
#[must_use]
pub fn counts(answer: &str, wanted: &str) -> bool {
    let (answer, wanted) = (answer.trim(), wanted.trim());
    if let (Ok(answer), Ok(wanted)) = (answer.parse::<IpAddr>(), wanted.parse::<IpAddr>()) {
        return answer == wanted;
    }
    if let (Ok(answer), Ok(wanted)) = (answer.parse::<i64>(), wanted.parse::<i64>()) {
        return answer == wanted;
    }
    let words = |text: &str| text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>();
    words(answer) == words(wanted)
}

/// Reads `tasks:`.
pub(super) fn read_tasks(node: &Node, diagnostics: &mut Diagnostics) -> Vec<Task> {
    let mut tasks: Vec<Task> = Vec::new();
    for item in node.items() {
        let Some(task) = read_task(item, diagnostics) else { continue };
        if tasks.iter().any(|known| known.id.value == task.id.value) {
            let message = format!("there are two tasks `{}`", task.id.value);
            diagnostics.push(Diagnostic::error(task.id.span, message).label("give it an id of its own"));
            continue;
        }
        tasks.push(task);
    }
    tasks
}

fn read_task(node: &Node, diagnostics: &mut Diagnostics) -> Option<Task> {
    let text = |key: &str| node.get(key).and_then(Node::text).map(|text| text.trim().to_owned());
    // That it must be there was said when keys were judged.
    let written = node.get("id")?;
    let id = Spanned::new(text("id")?, written.span);
    if !is_id(&id.value) {
        let message = format!("`{}` cannot be the id of a task", id.value);
        let label = "expected a word of letters, digits, `-` and `_` that begins with a letter";
        diagnostics.push(Diagnostic::error(id.span, message).label(label));
        return None;
    }
    let goal = read_goal(node, &id, diagnostics)?;
    let solution = texts(node.get("solution"));
    for (line, span) in solution.iter().zip(scalars(node.get("solution")).iter().map(|node| node.span)) {
        if let Err(message) = typed(line) {
            diagnostics.push(Diagnostic::error(span, message).label("a learner could not type this"));
        }
    }
    let hints = texts(node.get("hints")).iter().map(|hint| hint.trim().to_owned()).collect();
    Some(Task { id, title: text("title"), text: text("text")?, hints, goal, solution })
}

fn read_goal(node: &Node, id: &Spanned<String>, diagnostics: &mut Diagnostics) -> Option<Goal> {
    let mut wrong = |span: Span, message: String, label: &str| {
        diagnostics.push(Diagnostic::error(span, message).label(label));
        None
    };
    match (node.get("done"), node.get("answer")) {
        (Some(done), None) => {
            let before = diagnostics.items().len();
            let checks = read_check_or_checks(done, diagnostics);
            if checks.is_empty() && diagnostics.items().len() == before {
                let message = format!("task `{}` is done from the start", id.value);
                diagnostics.push(Diagnostic::error(done.span, message).label("expected a check"));
            }
            Some(Goal::Checks(checks))
        }
        (None, Some(answer)) => {
            let answers: Vec<String> =
                texts(Some(answer)).iter().map(|text| text.trim().to_owned()).collect();
            if answers.is_empty() || answers.iter().any(String::is_empty) {
                return wrong(
                    answer.span,
                    format!("task `{}` has an empty answer", id.value),
                    "expected a text",
                );
            }
            Some(Goal::Answer(answers))
        }
        (Some(_), Some(answer)) => {
            let message = format!("task `{}` has two ways to be done", id.value);
            wrong(answer.span, message, "expected `done` or `answer`, not both")
        }
        (None, None) => {
            let message = format!("task `{}` can never be done", id.value);
            wrong(id.span, message, "expected `done` (checks) or `answer` besides")
        }
    }
}

fn is_id(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{LoadOptions, MemorySource, load};
    use super::*;

    fn read(tasks: &str) -> Result<Vec<Task>, String> {
        let text = format!("services: {{web: {{image: nginx}}}}\ntasks:\n{tasks}");
        let source = MemorySource::default().with_file("/a.yaml", &text);
        let scenario = load(&source, Path::new("/a.yaml"), &LoadOptions::default());
        scenario.map(|scenario| scenario.tasks).map_err(|error| error.render(false))
    }

    #[test]
    fn a_task_is_done_by_checks_or_by_an_answer() {
        let tasks = read(
            "- {id: reach, title: Reach it, text: Do it., hints: one, done: 'host -> 172.18.0.2:80: ok', \
             solution: [docker ps, 'web$ echo $HOME']}\n\
             - {id: count, text: How many?, hints: [one, two], answer: 3}\n\
             - {id: mapping, text: Do it., done: [web -> 172.18.0.2:80: ok, web ? web: 172.18.0.2]}\n",
        )
        .unwrap();
        assert_eq!(tasks[0].name(), "Reach it");
        assert_eq!(tasks[0].solution[1], "web$ echo $HOME", "dollar signs are the shell's");
        assert_eq!(tasks[1].goal, Goal::Answer(vec!["3".to_owned()]));
        assert_eq!(tasks[1].hints, ["one", "two"]);
        assert!(matches!(&tasks[2].goal, Goal::Checks(checks) if checks.len() == 2));
    }

    #[test]
    fn a_task_that_cannot_be_graded_is_refused() {
        for (task, complaint) in [
            ("{id: a, text: x}", "task `a` can never be done"),
            ("{id: a, text: x, answer: 1, done: 'web ? web: unresolved'}", "two ways to be done"),
            ("{id: a, text: x, done: []}", "done from the start"),
            ("{id: a, text: x, done: 'web to web'}", "not a check"),
            ("{id: a, text: x, answer: ''}", "empty answer"),
            ("{id: a b, text: x, answer: 1}", "cannot be the id"),
            ("{text: x, answer: 1}", "`id`"),
            ("{id: a, answer: 1}", "`text`"),
            ("{id: a, text: x, answer: 1, solution: pign web}", "a learner could not type this"),
            ("{id: a, text: x, awnser: 1}", "did you mean `answer`?"),
            ("{id: a, text: x, answer: 1}\n- {id: a, text: y, answer: 2}", "there are two tasks `a`"),
        ] {
            let error = read(&format!("- {task}\n")).unwrap_err();
            assert!(error.contains(complaint), "{task}:\n{error}");
        }
    }

    #[test]
    fn answers_are_compared_as_what_they_are() {
        for (answer, wanted) in
            [(" 172.18.0.2 ", "172.18.0.2"), ("FD00:0::1", "fd00::1"), ("03", "3"), ("No  ROUTE", "no route")]
        {
            assert!(counts(answer, wanted), "{answer}");
        }
        for (answer, wanted) in
            [("172.18.0.20", "172.18.0.2"), ("", "3"), ("30", "3"), ("noroute", "no route")]
        {
            assert!(!counts(answer, wanted), "{answer}");
        }
    }
}
