//! What the daemon knows of the images a scenario uses.
//!
//! Every service has an entry of its own ([`catalogue_key`]), because what listens in it comes from its `ports` and
//! `expose` as much as from its image: two services with one image do not disturb each other, and the image's name is
//! still what is shown. Entries by plain name serve `docker run` in steps: those of `images:`, and those of the table of known
//! images that a step names.
//!
//! A program linkspan has not is stood in for by one that listens where the image does, or that sleeps if it listens
//! nowhere, so that the container stays up as the real one would. A bare distribution image without a command runs its shell and ends at once, as on Docker,
//! unless it has a terminal. A service that another wants completed (`service_completed_successfully`) ends at once,
//! with success, when its own command cannot run.

use super::{Runs, exposed, own_command, words_of};
use crate::docker::cli;
use crate::docker::images::{Image, ImageCatalogue};
use crate::docker::request::{ExposedPort, Request};
use crate::scenario::images_table;
use crate::scenario::model::{Condition, ImageSpec, ListenPort, Scenario, Service};
use crate::scenario::steps::Action;

/// Stands in for a program that is not here and listens on nothing.
const IDLE: &str = "sleep infinity";
/// Stands in for one that listens; the ports follow.
const LISTENER: &str = "listen";

/// Stands in for one that others wait for.
const COMPLETED: &str = "true";

/// Images whose own command is a shell.
const SHELLS: [&str; 15] = [
    "alpine",
    "almalinux",
    "amazonlinux",
    "archlinux",
    "bash",
    "busybox",
    "centos",
    "debian",
    "fedora",
    "netshoot",
    "opensuse",
    "oraclelinux",
    "rockylinux",
    "ubuntu",
    "ubi",
];

/// Under which name a service's containers find what their image is.
#[must_use]
pub fn catalogue_key(service: &Service) -> String {
    // Spaces are not allowed in a reference, so this is nobody's image.
    format!("service {}", service.name.value)
}

/// The images of a scenario over those the daemon always knows.
#[must_use]
pub fn image_catalogue(scenario: &Scenario, runs: Runs<'_>) -> ImageCatalogue {
    let mut catalogue = ImageCatalogue::default();
    for name in images_of_steps(scenario) {
        let listens = images_table::listens(&name);
        let known = !listens.is_empty() || images_table::entrypoint(&name).is_some();
        if catalogue.get(&name).is_none() && known {
            catalogue.insert(name.clone(), image(&listens, &listens, Vec::new(), &name, None, runs));
        }
    }
    for (name, spec) in &scenario.images {
        let listens = spec.listen.clone().unwrap_or_else(|| {
            if spec.expose.is_empty() { images_table::listens(name) } else { spec.expose.clone() }
        });
        let expose = if spec.expose.is_empty() { &listens } else { &spec.expose };
        let env = environment(&spec.environment);
        catalogue.insert(name.clone(), image(expose, &listens, env, name, Some(spec), runs));
    }
    for service in &scenario.services {
        catalogue.insert(catalogue_key(service), service_image(scenario, service, runs));
    }
    catalogue
}

fn service_image(scenario: &Scenario, service: &Service, runs: Runs<'_>) -> Image {
    let name = service.image_name(&scenario.name);
    let listens = scenario.listening_ports(service);
    let spec = scenario.images.get(&name);
    let mut env = Vec::new();
    let mut expose = Vec::new();
    if let Some(spec) = spec {
        env.extend(environment(&spec.environment));
        let stated = if spec.expose.is_empty() { spec.listen.as_ref() } else { Some(&spec.expose) };
        expose.extend(stated.into_iter().flatten().copied());
    }
    if let Some(build) = &service.build {
        env.extend(environment(&build.environment));
        expose.extend(build.expose.iter().copied());
        expose.extend(build.base_image.iter().flat_map(|base| images_table::listens(base)));
    } else if spec.is_none() {
        expose.extend(images_table::listens(&name));
    }
    // A command of its own that cannot run here needs a stand-in even where the image is a shell.
    let says_command = service.command.is_some() || service.entrypoint.is_some();
    let lost_command = says_command && own_command(service, runs).is_none();
    let shell_name = if lost_command || service.build.is_some() { "" } else { name.as_str() };
    let spec = spec.filter(|_| !lost_command);
    let mut image = image(&expose, &listens, env, shell_name, spec, runs);
    if is_awaited(scenario, service) && spec.is_none_or(|spec| spec.command.is_none()) {
        (image.entrypoint, image.command) = (Vec::new(), vec![COMPLETED.to_owned()]);
        image.listens = Vec::new();
    }
    image
}

/// Whether another service starts only after this one has ended.
fn is_awaited(scenario: &Scenario, service: &Service) -> bool {
    let dependencies = scenario.services.iter().flat_map(|other| &other.depends_on);
    dependencies
        .filter(|dependency| dependency.condition == Condition::CompletedSuccessfully)
        .any(|dependency| dependency.service.value == service.name.value)
}

fn image(
    expose: &[ListenPort],
    listens: &[ListenPort],
    env: Vec<String>,
    name: &str,
    spec: Option<&ImageSpec>,
    runs: Runs<'_>,
) -> Image {
    let words = |command: Option<&_>| command.map(words_of).unwrap_or_default();
    let known = images_table::entrypoint(name).into_iter().map(str::to_owned).collect();
    let entrypoint = spec.map_or(known, |spec| words(spec.entrypoint.as_ref()));
    let command = words(spec.and_then(|spec| spec.command.as_ref()));
    let argv: Vec<String> = entrypoint.iter().chain(&command).cloned().collect();
    let listens = ports(listens);
    let (entrypoint, command) = if runs(&argv) {
        (entrypoint, command)
    } else if !listens.is_empty() {
        let listener = std::iter::once(LISTENER.to_owned());
        (Vec::new(), listener.chain(listens.iter().map(ToString::to_string)).collect())
    } else if is_shell(name) {
        (Vec::new(), vec!["/bin/sh".to_owned()])
    } else {
        (Vec::new(), IDLE.split(' ').map(str::to_owned).collect())
    };
    let pages = spec.map(|spec| &spec.serves).into_iter().flatten();
    let pages = pages.map(|(port, text)| (port.port, text.clone())).collect();
    Image { expose: ports(expose), env, listens, pages, entrypoint, command }
}

pub(in crate::scenario) fn is_shell(name: &str) -> bool {
    let untagged = name.split('@').next().unwrap_or(name);
    let file = untagged.rsplit('/').next().unwrap_or(untagged);
    SHELLS.contains(&file.split(':').next().unwrap_or(file))
}

/// Each once, in order.
fn ports(list: &[ListenPort]) -> Vec<ExposedPort> {
    let mut seen = std::collections::BTreeSet::new();
    list.iter().copied().filter(|port| seen.insert(*port)).map(exposed).collect()
}

fn environment(list: &[(String, String)]) -> Vec<String> {
    list.iter().map(|(name, value)| format!("{name}={value}")).collect()
}

/// The images that docker commands of the steps run.
fn images_of_steps(scenario: &Scenario) -> Vec<String> {
    let commands = scenario.steps.iter().filter_map(|step| match &step.action {
        Action::Docker { command, .. } => Some(command),
        Action::Run { .. } | Action::Event(_) | Action::Check(_) => None,
    });
    commands
        .filter_map(|line| cli::parse(&cli::words::split(line).ok()?).ok())
        .filter_map(|command| match command.request {
            Request::ContainerRun(create) | Request::ContainerCreate(create) => Some(create.image),
            _ => None,
        })
        .collect()
}
