//! What a scenario asks for that linkspan does not run, and what it does instead: notes for whoever wonders.

use super::{Runs, asked_command, healthcheck_command};
use crate::scenario::diagnostic::Diagnostic;
use crate::scenario::model::{Scenario, Service};
use crate::world::World;

/// A note for each command and health check of a service that is stood in for.
#[must_use]
pub fn stand_ins(scenario: &Scenario) -> Vec<Diagnostic> {
    let runs = World::new(0).can_run();
    let notes = scenario.services.iter().flat_map(|service| {
        let listens = !scenario.listening_ports(service).is_empty();
        [command(service, listens, &runs), health_check(service, &runs)]
    });
    notes.flatten().collect()
}

fn command(service: &Service, listens: bool, runs: Runs<'_>) -> Option<Diagnostic> {
    let argv = asked_command(service);
    if argv.is_empty() || runs(&argv) {
        return None;
    }
    let plays = match listens {
        true => "it is played by a program that listens on the ports of the service and its image",
        false => "it is played by a program that only waits",
    };
    Some(note(service, &format!("the command of `{}`", service.name.value), &argv, plays))
}

fn health_check(service: &Service, runs: Runs<'_>) -> Option<Diagnostic> {
    let argv = healthcheck_command(service)?;
    if runs(&argv.test) {
        return None;
    }
    let what = format!("the health check of `{}`", service.name.value);
    Some(note(service, &what, &argv.test, "it counts as passed"))
}

fn note(service: &Service, what: &str, argv: &[String], plays: &str) -> Diagnostic {
    let message =
        format!("{what} is not run: linkspan has not all the programs or options of `{}`", argv.join(" "));
    Diagnostic::note(service.name.span, message).label("of this service").help(plays.to_owned())
}
