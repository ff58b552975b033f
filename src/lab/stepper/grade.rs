//! Which tasks are done. The checks of a task are made with real packets, so they are made in a world nobody goes on with.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::scenario::render::{self, Style, counted};
use crate::scenario::run::{Standing, Unwatched};
use crate::scenario::tasks::{Goal, Task, counts};
use crate::scenario::{Diagnostic, Scenario};

/// Every task with what became of it, in the file's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grade {
    /// The tasks.
    pub tasks: Vec<TaskGrade>,
}

/// One task with what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskGrade {
    /// Its id.
    pub id: String,
    /// Its title.
    pub name: String,
    /// What became of it.
    pub state: TaskState,
}

/// What became of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskState {
    /// Its checks hold, or its answer counts.
    Done,
    /// Checks that do not hold.
    Unmet(Vec<Unmet>),
    /// It asks for an answer and has none.
    Unanswered,
    /// The answer does not count.
    Wrong(String),
}

/// A check that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmet {
    /// The check.
    pub claim: String,
    /// What was found instead.
    pub found: String,
}

/// Grades every task in a world; `answers` is by the task's place in the file.
pub(super) fn grade(
    scenario: &Scenario,
    world: &mut Standing,
    answers: &BTreeMap<usize, String>,
) -> Result<Grade, Box<Diagnostic>> {
    let mut tasks = Vec::new();
    for (at, task) in scenario.tasks.iter().enumerate() {
        let state = state(scenario, world, task, answers.get(&at))?;
        tasks.push(TaskGrade { id: task.id.value.clone(), name: task.name().to_owned(), state });
    }
    Ok(Grade { tasks })
}

fn state(
    scenario: &Scenario,
    world: &mut Standing,
    task: &Task,
    answer: Option<&String>,
) -> Result<TaskState, Box<Diagnostic>> {
    let checks = match (&task.goal, answer) {
        (Goal::Checks(checks), _) => checks,
        (Goal::Answer(_), None) => return Ok(TaskState::Unanswered),
        (Goal::Answer(wanted), Some(answer)) => {
            let right = wanted.iter().any(|wanted| counts(answer, wanted));
            return Ok(if right { TaskState::Done } else { TaskState::Wrong(answer.clone()) });
        }
    };
    let mut unmet = Vec::new();
    for check in checks {
        let report = world.check(scenario, check, &mut Unwatched)?;
        unmet.extend(report.checks.into_iter().filter_map(|check| {
            check.failure.map(|failure| Unmet { claim: check.claim, found: failure.found })
        }));
    }
    Ok(if unmet.is_empty() { TaskState::Done } else { TaskState::Unmet(unmet) })
}

impl Grade {
    /// How many tasks are done.
    #[must_use]
    pub fn done(&self) -> usize {
        self.tasks.iter().filter(|task| task.state == TaskState::Done).count()
    }

    /// Whether every task is done.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.done() == self.tasks.len()
    }

    /// Lines for people, the sum last.
    #[must_use]
    pub fn text(&self, style: Style) -> Vec<String> {
        let mut lines = Vec::new();
        for (number, task) in (1..).zip(&self.tasks) {
            let mark = if task.state == TaskState::Done { style.good("✓") } else { style.bad("✗") };
            lines.push(format!("{mark} {number} {}: {}", task.id, render::clean(&task.name)));
            match &task.state {
                TaskState::Done => {}
                TaskState::Unmet(unmet) => {
                    let line =
                        |unmet: &Unmet| format!("    not yet: {} (found {})", unmet.claim, unmet.found);
                    lines.extend(unmet.iter().map(|unmet| render::clean(&line(unmet))));
                }
                TaskState::Unanswered => {
                    lines.push(format!("    not answered: type `answer {} YOUR-ANSWER`", task.id));
                }
                TaskState::Wrong(answer) => lines.push(format!("    `{}` is not it", render::clean(answer))),
            }
        }
        lines.push(format!("{} of {} done", self.done(), counted(self.tasks.len() as u64, "task")));
        lines
    }

    /// One object: `done`, `of`, and `tasks`, each with `id`, `name`, `done`, `unmet` (claim, found) and `wrong_answer`.
    #[must_use]
    pub fn json(&self) -> Value {
        let task = |task: &TaskGrade| {
            let unmet = match &task.state {
                TaskState::Unmet(unmet) => unmet.as_slice(),
                TaskState::Done | TaskState::Unanswered | TaskState::Wrong(_) => &[],
            };
            let answer = match &task.state {
                TaskState::Wrong(answer) => Some(answer),
                TaskState::Done | TaskState::Unanswered | TaskState::Unmet(_) => None,
            };
            json!({
                "id": task.id,
                "name": task.name,
                "done": task.state == TaskState::Done,
                "unmet": unmet.iter().map(|u| json!({"claim": u.claim, "found": u.found})).collect::<Vec<_>>(),
                "wrong_answer": answer,
            })
        };
        json!({
            "done": self.done(),
            "of": self.tasks.len(),
            "tasks": self.tasks.iter().map(task).collect::<Vec<_>>(),
        })
    }
}

/// The lines that do a task, as a learner would type them at a stepper.
#[must_use]
pub fn solution(task: &Task) -> Vec<String> {
    let mut lines = task.solution.clone();
    if let Goal::Answer(answers) = &task.goal {
        lines.extend(answers.first().map(|answer| format!("answer {} {answer}", task.id.value)));
    }
    lines
}
