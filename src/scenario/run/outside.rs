//! A run that something outside takes part in: it stands in for containers, and somebody may type commands.
//!
//! The steps and checks are the file's own, but for those from a container that is outside: linkspan has no programs
//! there, so they are left out with a warning.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::{Runner, Stop, Watcher, conduct};
use crate::scenario::diagnostic::{Diagnostic, FileId, Span};
use crate::scenario::model::Scenario;
use crate::scenario::report::{Progress, Report};
use crate::scenario::steps::{Action, Target, typed};
use crate::world::outside::{Outside, OutsideError, Replacement};
use crate::world::{HostId, World, WorldError};

/// What a run shares with the outside of its world.
pub struct Attachment<'a> {
    /// The containers that something outside takes the place of, by name.
    pub containers: &'a [String],
    /// What waits for deadlines from then on.
    pub outside: Rc<RefCell<dyn Outside>>,
    /// Called once the containers stand and before time goes on, with what each one outside has to be given; answers
    /// with what its user should know.
    pub begin: &'a mut Begin<'a>,
}

/// See [`Attachment::begin`].
pub type Begin<'a> = dyn FnMut(&[Replacement]) -> Result<Vec<String>, OutsideError> + 'a;

/// Runs a scenario with something outside: services come up in virtual time, then steps and checks go at the pace of
/// the outside, and the world goes on until the outside stops it.
///
/// Steps and checks that would be made from a container that is outside are left out with a warning: linkspan has no
/// programs there.
pub fn run_outside(
    scenario: &Scenario,
    seed: u64,
    attachment: &mut Attachment<'_>,
    watcher: &mut dyn Watcher,
) -> Report {
    conduct(Runner::new(scenario, &mut World::new(seed), watcher), |runner| runner.run_outside(attachment))
}

impl Runner<'_> {
    fn run_outside(&mut self, attachment: &mut Attachment<'_>) -> Result<(), Stop> {
        let host = self.up()?;
        let failed = |error: String| Box::new(Diagnostic::error(None, error));
        self.world.enter(attachment.outside.clone());
        let mut replacements = Vec::new();
        for container in attachment.containers {
            let replacement = self.world.replace(host, container).map_err(|e| failed(e.to_string()))?;
            self.watcher.progress(Progress::Replaced { text: &describe_replacement(&replacement) });
            replacements.push(replacement);
        }
        self.replaced = attachment.containers.to_vec();
        for note in (attachment.begin)(&replacements).map_err(|error| failed(error.to_string()))? {
            self.watcher.progress(Progress::Replaced { text: &note });
        }
        self.act(host)?;
        loop {
            self.flush();
            if let Some(line) = self.world.take_command() {
                match self.typed(host, &line) {
                    Err(_) if self.world.is_stopped() => return Ok(()),
                    done => done?,
                }
                continue;
            }
            match self.world.step(Duration::MAX) {
                Ok(true) => {}
                Ok(false) | Err(WorldError::Stopped) => return Ok(()),
                Err(error) => return Err(failed(error.to_string())),
            }
        }
    }

    /// Does what somebody typed. What fails is told, and is no failure of the run.
    pub(super) fn typed(&mut self, host: HostId, line: &str) -> Result<(), Stop> {
        // The line stands in no file.
        let span = Span::start_of(FileId::FIRST);
        let action = match typed(line) {
            Ok(action) => action,
            Err(message) => {
                self.watcher.progress(Progress::Output { text: &format!("{message}\n") });
                return Ok(());
            }
        };
        let place = match &action {
            Action::Run { target, .. } => target.to_string(),
            Action::Docker { .. } => "host".to_owned(),
            Action::Event(_) | Action::Check(_) => String::new(),
        };
        let title = match &action {
            Action::Run { command, .. } | Action::Docker { command, .. } => command.as_str(),
            Action::Event(_) | Action::Check(_) => line,
        };
        self.watcher.progress(Progress::StepStarted { place: &place, title, time: self.world.now() });
        let (status, failures) = match &action {
            Action::Run { target, command } if self.left_out(host, &[target], command, span) => return Ok(()),
            Action::Run { target, command } => {
                let (_, status, failures) = self.run_command(host, target, command, span)?;
                (status, failures)
            }
            Action::Docker { command, .. } => {
                let (_, status, failures) = self.run_docker(host, command, span)?;
                (status, failures)
            }
            Action::Event(event) => {
                self.event(host, event, span)?;
                (None, Vec::new())
            }
            Action::Check(_) => (None, Vec::new()),
        };
        let status = status.filter(|status| *status != 0).map(|status| format!("exit status {status}"));
        for text in failures.into_iter().chain(status) {
            self.watcher.progress(Progress::Output { text: &format!("{text}\n") });
        }
        self.flush();
        Ok(())
    }

    /// Whether somebody outside would have to do it; then a warning says that it is left out.
    pub(super) fn left_out(&mut self, host: HostId, from: &[&Target], what: &str, span: Span) -> bool {
        let outside = |target: &&Target| match target {
            Target::Container(name) => {
                let name = self.places(host).container_name(name);
                self.replaced.contains(&name).then_some(name)
            }
            Target::Host(_) | Target::World(_) => None,
        };
        let Some(name) = from.iter().find_map(outside) else { return false };
        let message = format!("left out: {what}");
        let help = format!("{name} is a process outside; do it there");
        let warning = Diagnostic::warning(span, message).label("here").help(help);
        self.watcher.progress(Progress::Warning(&warning));
        self.report.warnings.push(warning);
        true
    }
}

/// A container outside, as it has to be: `client eth0=172.18.0.3/16 names=169.254.1.1`.
fn describe_replacement(replacement: &Replacement) -> String {
    let mut words = vec![replacement.container.clone()];
    for interface in &replacement.interfaces {
        let addresses: Vec<String> = interface.addresses.iter().map(ToString::to_string).collect();
        words.push(format!("{}={}", interface.name, addresses.join(",")));
    }
    words.extend(replacement.resolver.as_ref().map(|resolver| format!("names={}", resolver.address)));
    words.join("  ")
}
