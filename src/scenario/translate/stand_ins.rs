//! What a scenario asks for that linkspan does not run, and what it does instead: warnings, because what is stood in for
//! has not been tried.

use super::{Runs, asked_command, healthcheck_command};
use crate::scenario::diagnostic::Diagnostic;
use crate::scenario::model::{Scenario, Service};

/// A warning for each health check that is stood in for, and one for the commands that are. `runs` as for the requests.
#[must_use]
pub fn stand_ins(scenario: &Scenario, runs: Runs<'_>) -> Vec<Diagnostic> {
    let checks = scenario.services.iter().filter_map(|service| health_check(service, runs));
    commands(scenario, runs).into_iter().chain(checks).collect()
}

fn commands(scenario: &Scenario, runs: Runs<'_>) -> Option<Diagnostic> {
    let mut lost = scenario.services.iter().filter_map(|service| {
        let argv = asked_command(service);
        (!argv.is_empty() && !runs(&argv)).then_some((service, argv))
    });
    let (first, argv) = lost.next()?;
    let message = format!("the command of `{}` is not run: {}", first.name.value, lacks(&argv));
    let warning = |text: String| Diagnostic::warning(first.name.span, text).label("of this service");
    let others: Vec<String> =
        lost.map(|(service, argv)| format!("`{}` (`{}`)", service.name.value, argv.join(" "))).collect();
    let plays = "played by a program that listens on the ports of the service and its image, or only waits";
    Some(match others.is_empty() {
        true => warning(message).help(format!("it is {plays}")),
        false => warning(format!("{message}; nor are others"))
            .help(format!("each is {plays}; the others: {}", others.join(", "))),
    })
}

fn health_check(service: &Service, runs: Runs<'_>) -> Option<Diagnostic> {
    let argv = healthcheck_command(service)?;
    if runs(&argv.test) {
        return None;
    }
    let name = &service.name.value;
    let message = format!("the health check of `{name}` is not made: {}", lacks(&argv.test));
    let help =
        format!("`{name}` counts as healthy; a check of `wget`, `curl`, `nc` or `pg_isready` would be made");
    Some(Diagnostic::warning(service.name.span, message).label("of this service").help(help))
}

fn lacks(argv: &[String]) -> String {
    format!("linkspan has not all the programs or options of `{}`", argv.join(" "))
}
