//! A scenario done step by step, for a learner: lines in, lines out.
//!
//! A [`Stepper`] is a value without a terminal or a clock. It holds a world that stands still between two things it does,
//! and the list of those things: steps and checks of the file, and lines the learner typed. Going back runs the list
//! again without its end, because a run is a function of scenario, seed and what was done; so every instant of a session
//! can be had again, with the same tables, byte for byte. `explain` and `grade` send packets of their own. They do so in
//! such a copy, and leave the learner's world as it is.
//!
//! Limits: a session remembers 1,000 typed lines; each way back, `explain` and `grade` costs a run up to the instant.

mod command;
mod grade;
mod tell;

use std::collections::BTreeMap;

pub use grade::{Grade, TaskGrade, TaskState, Unmet, solution};

use command::{Command, HELP};
use tell::{Teller, paragraphs, title};

use super::explain::{ExplainError, ExplainOptions, Question, explain_in};
use super::tables::{Snapshot, Table};
use crate::observe::explain::Layout;
use crate::scenario::diagnostic::nearest;
use crate::scenario::render::{self, Style, counted};
use crate::scenario::report::Report;
use crate::scenario::run::{Standing, Unwatched, Watcher};
use crate::scenario::{Action, Check, Diagnostic, Goal, Scenario, Step, Task};

/// Lines a session remembers.
const TYPED_LIMIT: usize = 1_000;

/// A session with a scenario.
///
/// ```
/// use linkspan::lab::Stepper;
/// use linkspan::scenario::render::Style;
/// use linkspan::scenario::{LoadOptions, MemorySource, load};
///
/// let text = "services: {web: {image: nginx}}\nsteps: [{in: web, run: echo hello}]\n";
/// let source = MemorySource::default().with_file("/lab.yaml", text);
/// let scenario = load(&source, "/lab.yaml".as_ref(), &LoadOptions::default())?;
/// let mut stepper = Stepper::new(&scenario, 0, Style::Plain).expect("it runs");
/// assert!(stepper.line("next").lines.contains(&"    hello".to_owned()));
/// assert!(stepper.line("nxt").refused);
/// # Ok::<(), Box<linkspan::scenario::LoadError>>(())
/// ```
pub struct Stepper<'a> {
    scenario: &'a Scenario,
    seed: u64,
    style: Style,
    standing: Standing,
    history: Vec<Done>,
    /// The long story of the last thing done.
    story: Vec<String>,
    /// Answers by the task's place in the file.
    answers: BTreeMap<usize, String>,
    /// Hints shown, by the task's place in the file.
    hinted: BTreeMap<usize, usize>,
}

/// What a line came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// What is told, without line ends.
    pub lines: Vec<String>,
    /// The line was not understood, or could not be done; nothing has changed.
    pub refused: bool,
    /// The session is over.
    pub ended: bool,
}

/// A thing that was done.
#[derive(Debug, Clone)]
enum Done {
    /// The next step or check of the file, and whether it held.
    Unit(bool),
    /// A line the learner typed.
    Line(String),
}

/// A step or a check of the file.
#[derive(Clone, Copy)]
enum Unit<'a> {
    Step(&'a Step),
    Check(&'a Check),
}

impl Unit<'_> {
    fn is_check(self) -> bool {
        match self {
            Unit::Check(_) => true,
            Unit::Step(step) => matches!(step.action, Action::Check(_)),
        }
    }

    fn title(self) -> String {
        match self {
            Unit::Step(step) => title(step),
            Unit::Check(check) => format!("check {}", render::clean(&check.claim.to_string())),
        }
    }
}

/// What cannot be done, in lines.
struct Refusal(Vec<String>);

impl From<String> for Refusal {
    fn from(message: String) -> Refusal {
        Refusal(vec![render::clean(&message)])
    }
}

impl<'a> Stepper<'a> {
    /// Builds the scenario's world and starts its services; no step is done yet.
    ///
    /// # Errors
    /// What keeps the scenario from running.
    pub fn new(scenario: &'a Scenario, seed: u64, style: Style) -> Result<Stepper<'a>, Box<Diagnostic>> {
        let standing = Standing::up(scenario, seed, &mut Unwatched)?;
        Ok(Stepper {
            scenario,
            seed,
            style,
            standing,
            history: Vec::new(),
            story: Vec::new(),
            answers: BTreeMap::new(),
            hinted: BTreeMap::new(),
        })
    }

    /// What a session begins with.
    #[must_use]
    pub fn opening(&self) -> Vec<String> {
        let mut lines = vec![self.style.strong(&render::clean(&self.scenario.name))];
        if let Some(text) = &self.scenario.text {
            lines.push(String::new());
            lines.extend(paragraphs(text, ""));
            lines.push(String::new());
        }
        let counts = [
            (self.scenario.steps.len(), "step"),
            (self.scenario.checks.len(), "check"),
            (self.scenario.tasks.len(), "task"),
        ];
        let counted: Vec<String> =
            counts.iter().filter(|(n, _)| *n > 0).map(|(n, noun)| counted(*n as u64, noun)).collect();
        if !counted.is_empty() {
            lines.push(format!("{}.", counted.join(", ")));
        }
        let tasks = if self.scenario.tasks.is_empty() { "" } else { ", `tasks` shows what you are asked" };
        lines.push(format!("`next` does a step{tasks}, `help` lists all commands."));
        lines.push(self.position());
        lines
    }

    /// Does one line.
    pub fn line(&mut self, line: &str) -> Reply {
        let done = line.parse::<Command>().map_err(Refusal::from).and_then(|command| self.command(command));
        match done {
            Ok(reply) => reply,
            Err(Refusal(lines)) => Reply { lines, refused: true, ended: false },
        }
    }

    /// Whether every step and check done so far held.
    #[must_use]
    pub fn held(&self) -> bool {
        !self.history.iter().any(|done| matches!(done, Done::Unit(false)))
    }

    /// Grades the tasks at this instant.
    ///
    /// # Errors
    /// Why a check cannot be made.
    pub fn grade(&self) -> Result<Grade, Box<Diagnostic>> {
        grade::grade(self.scenario, &mut self.copy()?, &self.answers)
    }

    /// The tables of this instant.
    #[must_use]
    pub fn tables(&self) -> Snapshot {
        Snapshot::of(self.standing.world())
    }

    fn command(&mut self, command: Command) -> Result<Reply, Refusal> {
        let lines = match command {
            Command::Nothing | Command::Next(1) => self.forward(|_, done| done < 1)?,
            Command::Next(count) => self.forward(|_, done| done < count)?,
            Command::Check => self.forward(|last, _| !last.is_some_and(Unit::is_check))?,
            Command::End => self.forward(|_, _| true)?,
            Command::To(wanted) => self.to(wanted)?,
            Command::Back(count) => self.back(self.history.len().saturating_sub(count))?,
            Command::Steps => self.steps(),
            Command::Tables(words) => self.show_tables(&words)?,
            Command::Story => self.last_story(),
            Command::Explain(question) => self.explain(&question)?,
            Command::Do(line) => self.typed(line)?,
            Command::Text => self.opening(),
            Command::Tasks => self.tasks()?,
            Command::Hint(task) => self.hint(task)?,
            Command::Answer { task, answer } => self.answer(&task, answer)?,
            Command::Grade => {
                self.some_task()?;
                self.grade().map_err(|error| self.refusal(&error))?.text(self.style)
            }
            Command::Help => help(self.style),
            Command::Quit => return Ok(Reply { ended: true, ..Reply::default() }),
        };
        Ok(Reply { lines, ..Reply::default() })
    }

    /// How many steps and checks of the file were done.
    fn place(&self) -> usize {
        self.history.iter().filter(|done| matches!(done, Done::Unit(_))).count()
    }

    fn unit(&self, at: usize) -> Option<Unit<'a>> {
        let steps = &self.scenario.steps;
        let check = || self.scenario.checks.get(at.checked_sub(steps.len())?).map(Unit::Check);
        steps.get(at).map(Unit::Step).or_else(check)
    }

    fn units(&self) -> usize {
        self.scenario.steps.len() + self.scenario.checks.len()
    }

    /// Where this is and what comes next.
    fn position(&self) -> String {
        let (place, all) = (self.place(), self.units());
        let next = match self.unit(place) {
            Some(unit) => format!("next: {}", unit.title()),
            None if self.scenario.tasks.is_empty() => "nothing is left to do".to_owned(),
            None => "now the tasks: `tasks`, and `grade` when you have done them".to_owned(),
        };
        self.style.faint(&format!("({place} of {all}; {next})"))
    }

    /// Does what comes next while `more` says so of the last thing done and how many were done.
    fn forward(&mut self, more: impl Fn(Option<Unit<'a>>, usize) -> bool) -> Result<Vec<String>, Refusal> {
        let mut lines = Vec::new();
        let (mut last, mut done) = (None, 0);
        while more(last, done) {
            let Some(unit) = self.unit(self.place()) else {
                if done == 0 {
                    lines.push("the end: every step and check of the file was done".to_owned());
                }
                break;
            };
            let acted = self.act(|standing, scenario, watcher| perform(standing, scenario, unit, watcher));
            let (told, held) = match acted {
                Ok(done) => done,
                Err(Refusal(why)) => return Err(Refusal([lines, vec![unit.title()], why].concat())),
            };
            lines.push(self.style.strong(&format!("{} of {}", self.place() + 1, self.units())));
            if let Unit::Step(Step { text: Some(text), .. }) = unit {
                lines.extend(paragraphs(text, "  "));
            }
            lines.extend(told);
            self.history.push(Done::Unit(held));
            (last, done) = (Some(unit), done + 1);
        }
        lines.push(self.position());
        Ok(lines)
    }

    /// Does one thing in the world. If it cannot be done, the world is made again as it was before.
    fn act(
        &mut self,
        act: impl FnOnce(&mut Standing, &Scenario, &mut dyn Watcher) -> Result<Report, Box<Diagnostic>>,
    ) -> Result<(Vec<String>, bool), Refusal> {
        let mut teller = Teller::new(self.scenario, self.style);
        match act(&mut self.standing, self.scenario, &mut teller) {
            Ok(report) => {
                teller.finish();
                self.story = teller.story;
                Ok((teller.lines, report.passed()))
            }
            Err(error) => {
                self.standing = self.copy().map_err(|error| self.refusal(&error))?;
                Err(self.refusal(&error))
            }
        }
    }

    fn typed(&mut self, line: String) -> Result<Vec<String>, Refusal> {
        if self.history.iter().filter(|done| matches!(done, Done::Line(_))).count() >= TYPED_LIMIT {
            return Err(format!("a session takes {TYPED_LIMIT} lines; go `back`, or begin again").into());
        }
        let (lines, _) = self.act(|standing, scenario, watcher| standing.typed(scenario, &line, watcher))?;
        self.history.push(Done::Line(line));
        Ok(lines)
    }

    fn to(&mut self, wanted: usize) -> Result<Vec<String>, Refusal> {
        let (place, all) = (self.place(), self.units());
        if wanted > all {
            return Err(format!("there is no step {wanted}: the file has {all}, checks among them").into());
        }
        if wanted > place {
            return self.forward(|_, done| done < wanted - place);
        }
        // What was typed after that step goes with the steps after it.
        let mut seen = 0;
        let is_after = |done: &Done| {
            seen += usize::from(matches!(done, Done::Unit(_)));
            seen > wanted || (seen == wanted && matches!(done, Done::Line(_)))
        };
        let keep = self.history.iter().position(is_after).unwrap_or(self.history.len());
        self.back(keep)
    }

    /// Goes back to when so many things had been done.
    fn back(&mut self, keep: usize) -> Result<Vec<String>, Refusal> {
        if keep == self.history.len() {
            return Ok(vec!["nothing to go back over".to_owned(), self.position()]);
        }
        let undone = self.history.split_off(keep);
        let mut teller = Teller::new(self.scenario, self.style);
        match self.again(&mut teller) {
            Ok(standing) => self.standing = standing,
            Err(error) => {
                self.history.extend(undone);
                return Err(self.refusal(&error));
            }
        }
        teller.finish();
        self.story = teller.story;
        let text = format!("{} undone", counted(undone.len() as u64, "thing"));
        Ok(vec![text, self.position()])
    }

    /// This instant again, in a world of its own.
    fn copy(&self) -> Result<Standing, Box<Diagnostic>> {
        self.again(&mut Unwatched)
    }

    /// The same, and the last thing done is watched.
    fn again(&self, last: &mut dyn Watcher) -> Result<Standing, Box<Diagnostic>> {
        let mut standing = Standing::up(self.scenario, self.seed, &mut Unwatched)?;
        let mut place = 0;
        for (at, done) in (1..).zip(&self.history) {
            let watcher: &mut dyn Watcher =
                if at == self.history.len() { &mut *last } else { &mut Unwatched };
            match done {
                Done::Line(line) => {
                    standing.typed(self.scenario, line, watcher)?;
                }
                Done::Unit(_) => {
                    if let Some(unit) = self.unit(place) {
                        perform(&mut standing, self.scenario, unit, watcher)?;
                    }
                    place += 1;
                }
            }
        }
        Ok(standing)
    }

    /// Why something cannot be done. What was typed stands in no file, so that no line is shown for it.
    fn refusal(&self, error: &Diagnostic) -> Refusal {
        let mut lines: Vec<String> = error.message.lines().map(render::clean).collect();
        lines.push(self.style.faint("(not done; the world is as it was before)"));
        Refusal(lines)
    }

    fn steps(&self) -> Vec<String> {
        let place = self.place();
        let line = |at: usize| {
            let mark = if at < place {
                "done"
            } else if at == place {
                "next"
            } else {
                ""
            };
            let title = self.unit(at).map(Unit::title).unwrap_or_default();
            format!("{mark:>4} {:>3} {title}", at + 1)
        };
        let mut lines: Vec<String> = (0..self.units()).map(line).collect();
        let typed = self.history.len() - place;
        if typed > 0 {
            lines.push(format!("{} typed besides", counted(typed as u64, "line")));
        }
        lines.push(self.position());
        lines
    }

    fn show_tables(&self, words: &[String]) -> Result<Vec<String>, Refusal> {
        let snapshot = self.tables();
        let is_place = |word: &String| {
            snapshot.names().any(|name| name == word) || self.scenario.service(word).is_some()
        };
        let (place, table) = match words {
            [] => (None, None),
            [word] if !is_place(word) => match word.parse::<Table>() {
                Ok(table) => (None, Some(table)),
                Err(_) => (Some(word), None),
            },
            [word] => (Some(word), None),
            [place, table] => (Some(place), Some(table.parse::<Table>()?)),
            _ => {
                return Err("`tables` takes a place and a table, as in `tables web routes`"
                    .to_owned()
                    .into());
            }
        };
        let snapshot = match place {
            Some(place) => snapshot
                .chosen(self.scenario, std::slice::from_ref(place))
                .map_err(|error| Refusal::from(error.to_string()))?,
            None => snapshot,
        };
        let mut lines = snapshot.text_of(self.style, table);
        // The first line says only when.
        if lines.len() == 1 {
            lines.push("there is nothing in it".to_owned());
        }
        Ok(lines)
    }

    fn last_story(&self) -> Vec<String> {
        if self.story.is_empty() {
            return vec!["no packet moved in the last thing that was done".to_owned()];
        }
        self.story.iter().map(|line| render::clean(line)).collect()
    }

    fn explain(&self, question: &Question) -> Result<Vec<String>, Refusal> {
        let mut copy = self.copy().map_err(|error| self.refusal(&error))?;
        // Steps that were not done yet have caused nothing.
        let mut so_far = self.scenario.clone();
        so_far.steps.truncate(self.place());
        let options = ExplainOptions { seed: self.seed, ..ExplainOptions::default() };
        let (world, host) = copy.world_mut();
        let explanation = explain_in(world, host, &so_far, question, options)
            .map_err(|error: ExplainError| Refusal::from(error.to_string()))?;
        let layout = if self.style.is_colour() { Layout::Ansi } else { Layout::Plain };
        Ok(explanation.render(layout).lines().map(str::to_owned).collect())
    }

    fn some_task(&self) -> Result<(), Refusal> {
        match self.scenario.tasks.is_empty() {
            true => Err("this file has no tasks".to_owned().into()),
            false => Ok(()),
        }
    }

    fn tasks(&self) -> Result<Vec<String>, Refusal> {
        self.some_task()?;
        let mut lines = Vec::new();
        for (number, task) in (1..).zip(&self.scenario.tasks) {
            let name = render::clean(task.name());
            lines.push(self.style.strong(&format!("{number} {}: {name}", task.id.value)));
            lines.extend(paragraphs(&task.text, "    "));
            if let Goal::Answer(_) = task.goal {
                lines.push(format!("    (type `answer {} YOUR-ANSWER`)", task.id.value));
            }
        }
        lines.push("`hint TASK` helps, `grade` says what is done".to_owned());
        Ok(lines)
    }

    /// A task by its id or number.
    fn task(&self, word: &str) -> Result<(usize, &'a Task), Refusal> {
        self.some_task()?;
        let tasks = &self.scenario.tasks;
        let by_number = || word.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let at = tasks.iter().position(|task| task.id.value == word).or_else(by_number);
        at.and_then(|at| Some((at, tasks.get(at)?))).ok_or_else(|| {
            let known: Vec<&str> = tasks.iter().map(|task| task.id.value.as_str()).collect();
            let help = match nearest(word, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", known.join(", ")),
            };
            Refusal::from(format!("there is no task `{word}`; {help}"))
        })
    }

    fn hint(&mut self, word: Option<String>) -> Result<Vec<String>, Refusal> {
        self.some_task()?;
        let (at, task) = match word {
            Some(word) => self.task(&word)?,
            None => {
                let grade = self.grade().map_err(|error| self.refusal(&error))?;
                let open = grade.tasks.iter().position(|task| task.state != TaskState::Done);
                match open.and_then(|at| Some((at, self.scenario.tasks.get(at)?))) {
                    Some(open) => open,
                    None => return Ok(vec!["every task is done".to_owned()]),
                }
            }
        };
        let shown = self.hinted.entry(at).or_default();
        let name = render::clean(task.name());
        let all = task.hints.len();
        let Some(hint) = task.hints.get(*shown) else {
            *shown = 0;
            let text = if all == 0 { "there is no hint for" } else { "there are no more hints for" };
            return Ok(vec![format!("{text} {name}")]);
        };
        *shown += 1;
        let mut lines = vec![format!("hint {shown} of {all} for {name}:")];
        lines.extend(paragraphs(hint, "    "));
        Ok(lines)
    }

    fn answer(&mut self, word: &str, answer: String) -> Result<Vec<String>, Refusal> {
        let (at, task) = self.task(word)?;
        let Goal::Answer(wanted) = &task.goal else {
            return Err(format!("`{}` asks for no answer: do it, then `grade`", task.id.value).into());
        };
        let right = wanted.iter().any(|wanted| crate::scenario::tasks::counts(&answer, wanted));
        let line = if right { self.style.good("right") } else { self.style.bad("that is not it") };
        self.answers.insert(at, answer);
        Ok(vec![line])
    }
}

/// Does a step or makes a check.
fn perform(
    standing: &mut Standing,
    scenario: &Scenario,
    unit: Unit<'_>,
    watcher: &mut dyn Watcher,
) -> Result<Report, Box<Diagnostic>> {
    match unit {
        Unit::Step(step) => standing.step(scenario, step, watcher),
        Unit::Check(check) => standing.check(scenario, check, watcher),
    }
}

fn help(style: Style) -> Vec<String> {
    let width = HELP.iter().map(|(command, _)| command.len()).max().unwrap_or_default();
    HELP.iter()
        .map(|(command, what)| format!("  {}  {what}", style.strong(&format!("{command:<width$}"))))
        .collect()
}
