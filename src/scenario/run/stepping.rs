//! Steps: commands in a place, docker commands and events, and what a step expected in vain.

use super::super::build;
use super::super::diagnostic::{Diagnostic, Span};
use super::super::excerpt::excerpt;
use super::super::places::{DockerAnswer, DockerCommand, DockerCommandError};
use super::super::report::{Progress, StepReport};
use super::super::steps::{Action, Event, Expect, Step, Target};
use super::{OUTPUT_LIMIT, Runner, STEP_LIMIT, Stop, stopped};
use crate::docker::daemon::Daemon;
use crate::world::{HostId, Job, World, WorldError};

impl Runner<'_> {
    pub(super) fn step(&mut self, host: HostId, step: &Step) -> Result<(), Stop> {
        if let Action::Run { target, command } = &step.action
            && self.left_out(host, &[target], command, step.span)
        {
            return Ok(());
        }
        let began = self.world.now();
        let (place, written) = match &step.action {
            Action::Run { target, command } => (target.to_string(), command.clone()),
            Action::Docker { command, .. } => ("host".to_owned(), command.clone()),
            Action::Event(event) => (String::new(), event.to_string()),
            Action::Check(checks) => {
                for check in checks {
                    self.check(host, check)?;
                }
                return Ok(());
            }
        };
        let title = step.name.clone().unwrap_or(written);
        let expected = step.expect != Expect::default();
        self.watcher.progress(Progress::StepStarted { place: &place, title: &title, time: began });
        let (output, status, mut failures) = match &step.action {
            Action::Run { target, command } => self.run_command(host, target, command, step.span)?,
            Action::Docker { command, .. } => self.run_docker(host, command, step.span)?,
            // Whoever says what is to come of it may see the daemon refuse.
            Action::Event(event @ (Event::DaemonRestart | Event::DaemonStart)) if expected => {
                let (said, status) = self.start_daemon(host, event == &Event::DaemonRestart, step.span)?;
                (said, status, Vec::new())
            }
            Action::Event(event) => {
                self.event(host, event, step.span)?;
                (String::new(), None, Vec::new())
            }
            Action::Check(_) => (String::new(), None, Vec::new()),
        };
        if failures.is_empty() && (expected || !matches!(step.action, Action::Event(_))) {
            failures = unmet(&step.expect, &output, status);
        }
        let time = (began, self.world.now());
        let output = excerpt(output);
        let report = StepReport { title, place, output, status, failures, time, span: step.span };
        self.watcher.progress(Progress::StepFinished(&report));
        self.report.steps.push(report);
        Ok(())
    }

    pub(super) fn run_command(
        &mut self,
        host: HostId,
        target: &Target,
        command: &str,
        span: Span,
    ) -> Result<(String, Option<u8>, Vec<String>), Stop> {
        let location = self.places(host).locate(target);
        let arguments = vec!["sh".to_owned(), "-c".to_owned(), command.to_owned()];
        match self.world.start(&location, arguments) {
            Ok(mut job) => {
                let (output, status) = self.drive(&mut job, span, STEP_LIMIT, true)?;
                let failures = overdue(&output, status);
                Ok((output, status, failures))
            }
            Err(error) => Ok((String::new(), None, vec![error.to_string()])),
        }
    }

    pub(super) fn run_docker(
        &mut self,
        host: HostId,
        command: &str,
        span: Span,
    ) -> Result<(String, Option<u8>, Vec<String>), Stop> {
        let answer = self.places(host).docker(self.world, command);
        let DockerCommand { mut said, then } = match answer {
            Ok(answer) => answer,
            Err(DockerCommandError::Words(message)) => {
                return Err(Box::new(Diagnostic::error(span, message)));
            }
            Err(DockerCommandError::World(error @ (WorldError::Storm(_) | WorldError::Spinning(_)))) => {
                return Err(stopped(span, &error));
            }
            Err(error @ DockerCommandError::World(_)) => {
                return Ok((String::new(), None, vec![error.to_string()]));
            }
        };
        self.tell(&said, true);
        match then {
            DockerAnswer::Refused(status) => Ok((said, Some(status), Vec::new())),
            DockerAnswer::Asked(mut job) => {
                let (output, status) = self.drive(&mut job, span, STEP_LIMIT, true)?;
                said.push_str(&output);
                let failures = overdue(&output, status);
                Ok((said, status, failures))
            }
        }
    }

    pub(super) fn event(&mut self, host: HostId, event: &Event, span: Span) -> Result<(), Stop> {
        let done = match event {
            Event::Wait(duration) => {
                let until = self.world.now().saturating_add(*duration);
                self.world.settle().map_err(|error| stopped(span, &error))?;
                while self.world.step(until).map_err(|error| stopped(span, &error))? {
                    self.flush();
                }
                self.world.advance(until)
            }
            Event::LinkDown(name) => self.places(host).set_link(self.world, name, true),
            Event::LinkUp(name) => self.places(host).set_link(self.world, name, false),
            Event::Crash(name) => {
                let name = self.places(host).container_name(name);
                self.world.crash(host, &name)
            }
            Event::DaemonRestart | Event::DaemonStart => {
                let (said, status) = self.start_daemon(host, event == &Event::DaemonRestart, span)?;
                return answered(&said, status, span);
            }
            Event::DaemonStop => return self.daemon(span, |world| world.stop_daemon(host)),
            Event::FirewalldReload => return self.daemon(span, |world| world.reload_firewall(host)),
            Event::HostReboot(name) => {
                self.check_host_name(name.as_deref(), span)?;
                if self.world.daemon(host).is_some_and(Daemon::is_running) {
                    self.daemon(span, |world| world.stop_daemon(host))?;
                }
                return self.daemon(span, |world| world.boot(host));
            }
        };
        self.flush();
        done.map_err(|error| stopped(span, &error))
    }

    /// Something done to the daemon, to its end.
    fn daemon(
        &mut self,
        span: Span,
        ask: impl FnOnce(&mut World) -> Result<Job, WorldError>,
    ) -> Result<(), Stop> {
        let mut job = ask(self.world).map_err(|error| stopped(span, &error))?;
        let (output, status) = self.drive(&mut job, span, STEP_LIMIT, false)?;
        answered(&output, status, span)
    }

    /// dockerd starts, after it has ended if it is a restart: what it says where it does not, and how it ended.
    fn start_daemon(
        &mut self,
        host: HostId,
        restart: bool,
        span: Span,
    ) -> Result<(String, Option<u8>), Stop> {
        // One that an earlier file keeps from running is only started.
        if restart && self.world.daemon(host).is_some_and(Daemon::is_running) {
            self.daemon(span, |world| world.stop_daemon(host))?;
        }
        let mut job = self.world.start_daemon(host).map_err(|error| stopped(span, &error))?;
        let (output, status) = self.drive(&mut job, span, STEP_LIMIT, false)?;
        Ok((output.trim_start_matches("Error response from daemon: ").to_owned(), status))
    }

    fn check_host_name(&self, name: Option<&str>, span: Span) -> Result<(), Stop> {
        let known = self.scenario.hosts.first().map_or(build::HOST, |host| host.name.value.as_str());
        match name.filter(|name| *name != known) {
            None => Ok(()),
            Some(name) => {
                let message = format!("there is no Docker host `{name}`");
                Err(Box::new(Diagnostic::error(span, message).label(format!("the host is `{known}`"))))
            }
        }
    }
}

/// What came of something done to the daemon.
fn answered(output: &str, status: Option<u8>, span: Span) -> Result<(), Stop> {
    if status == Some(0) {
        return Ok(());
    }
    let why = output.trim().trim_start_matches("Error response from daemon: ").to_owned();
    Err(Box::new(Diagnostic::error(span, why).label("asked for here")))
}

fn overdue(output: &str, status: Option<u8>) -> Vec<String> {
    match status {
        Some(_) => Vec::new(),
        None if output.len() >= OUTPUT_LIMIT => {
            vec![format!("it printed {} MiB or more and was stopped", OUTPUT_LIMIT >> 20)]
        }
        None => vec![format!(
            "still running after {} s of virtual time; end it with `timeout`, `-c` or `&`",
            STEP_LIMIT.as_secs()
        )],
    }
}

/// What of an expectation a command did not meet.
fn unmet(expect: &Expect, output: &str, status: Option<u8>) -> Vec<String> {
    let mut failures = Vec::new();
    let texts = !expect.contains.is_empty() || !expect.lacks.is_empty() || expect.output.is_some();
    let wanted = expect.exit.or((!texts).then_some(0));
    if let Some(wanted) = wanted
        && status.map(i32::from) != Some(wanted)
    {
        let found = status.map_or("none".to_owned(), |s| s.to_string());
        failures.push(format!("expected exit status {wanted}, found {found}"));
    }
    for text in expect.contains.iter().filter(|text| !output.contains(text.as_str())) {
        failures.push(format!("expected the output to contain {text:?}"));
    }
    for text in expect.lacks.iter().filter(|text| output.contains(text.as_str())) {
        failures.push(format!("expected the output not to contain {text:?}"));
    }
    if let Some(whole) = &expect.output
        && output.trim_end_matches('\n') != whole.trim_end_matches('\n')
    {
        failures.push(format!("expected the output {whole:?}, found {:?}", excerpt(output.to_owned())));
    }
    failures
}
