//! Something that runs and prints: a program, or a docker command that waits for one.

use std::cell::RefCell;
use std::rc::Rc;

use super::process::{Started, TaskId};
use crate::docker::outcome::Output;
use crate::engine::sys::{ExitCode, ExitSlot, Pipe};

/// A running command. Its output is taken piece by piece; its status appears when it has ended.
pub struct Job {
    text: String,
    client_errors: String,
    status: Option<u8>,
    waits: Vec<Wait>,
}

/// What a container has printed, as `docker logs` tells it.
pub(super) type Log = Rc<RefCell<String>>;

/// What a job waits for.
enum Wait {
    /// A process whose output and status are the job's.
    Process { id: TaskId, exit: Rc<RefCell<ExitSlot>>, output: Pipe, log: Option<Log> },
    /// A container whose status is printed (`docker wait`).
    Status(Rc<RefCell<ExitSlot>>),
    /// A container that has to end before anything is printed (`docker stop`).
    End(Rc<RefCell<ExitSlot>>),
    /// What is printed at the end, and the status.
    Print { text: String, status: u8 },
}

impl Job {
    /// A job that has ended.
    pub(super) fn done(output: Output) -> Job {
        Job {
            text: output.text(),
            client_errors: output.stderr,
            status: Some(output.exit),
            waits: Vec::new(),
        }
    }

    /// A job that prints once these have ended.
    pub(super) fn after(ending: Vec<Rc<RefCell<ExitSlot>>>, output: Output) -> Job {
        if ending.is_empty() {
            return Job::done(output);
        }
        let last = Wait::Print { text: output.text(), status: output.exit };
        let waits = ending.into_iter().map(Wait::End).chain([last]).collect();
        Job { text: String::new(), client_errors: output.stderr, status: None, waits }
    }

    /// A job that is one process.
    pub(super) fn process(started: Started, output: Pipe) -> Job {
        let mut job =
            Job { text: String::new(), client_errors: String::new(), status: None, waits: Vec::new() };
        job.follow(started.id, started.exit, output, None);
        job
    }

    /// The job ends with this process, too. What it prints goes to the container's log as well.
    pub(super) fn follow(&mut self, id: TaskId, exit: Rc<RefCell<ExitSlot>>, output: Pipe, log: Option<Log>) {
        self.status = None;
        self.waits.push(Wait::Process { id, exit, output, log });
    }

    /// The job prints this status when it is there.
    pub(super) fn await_status(&mut self, exit: Rc<RefCell<ExitSlot>>) {
        self.status = None;
        self.waits.push(Wait::Status(exit));
    }

    /// The job is this one, too.
    pub(super) fn join(&mut self, other: Job) {
        self.text.push_str(&other.text);
        self.client_errors.push_str(&other.client_errors);
        self.waits.extend(other.waits);
        self.status = other.status.filter(|_| self.waits.is_empty());
    }

    /// The job ended.
    pub(super) fn end(&mut self, status: u8) {
        self.status = Some(status);
    }

    /// Prints what the client says on standard error.
    pub(super) fn complain(&mut self, text: &str) {
        self.say(text);
        self.client_errors.push_str(text);
    }

    /// Prints.
    pub(super) fn say(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// The processes it waits for.
    pub(super) fn processes(&self) -> impl Iterator<Item = TaskId> + '_ {
        self.waits.iter().filter_map(|w| match w {
            Wait::Process { id, .. } => Some(*id),
            Wait::Status(_) | Wait::End(_) | Wait::Print { .. } => None,
        })
    }

    /// What was printed since the last call.
    pub fn take_output(&mut self) -> String {
        self.look();
        std::mem::take(&mut self.text)
    }

    /// What the docker client itself wrote to standard error, which is part of the output too.
    pub fn client_errors(&self) -> &str {
        &self.client_errors
    }

    /// The exit status, once everything has ended.
    pub fn status(&mut self) -> Option<u8> {
        self.look();
        self.status
    }

    fn look(&mut self) {
        while let Some(wait) = self.waits.first() {
            match wait {
                Wait::Process { exit, output, log, .. } => {
                    let printed = output.take();
                    let printed = String::from_utf8_lossy(&printed);
                    self.text.push_str(&printed);
                    if let Some(log) = log {
                        log.borrow_mut().push_str(&printed);
                    }
                    let Some(ExitCode(status)) = exit.borrow().status() else { return };
                    self.waits.remove(0);
                    self.status = self.waits.is_empty().then_some(status);
                }
                Wait::Status(exit) => {
                    let Some(ExitCode(status)) = exit.borrow().status() else { return };
                    self.text.push_str(&format!("{status}\n"));
                    self.waits.remove(0);
                    self.status = self.waits.is_empty().then_some(0);
                }
                Wait::End(exit) => {
                    if exit.borrow().status().is_none() {
                        return;
                    }
                    self.waits.remove(0);
                }
                Wait::Print { text, status } => {
                    self.text.push_str(text);
                    let status = *status;
                    self.waits.remove(0);
                    self.status = self.waits.is_empty().then_some(status);
                }
            }
        }
    }
}
