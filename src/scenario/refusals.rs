//! Steps that cannot be carried out here, found while the file is read: a step is refused at its line, or it runs.
//!
//! Docker's own refusals are answers like any other, and a scenario may want to show them: an unknown option, a driver
//! that needs a swarm, a program that an image has not. Such a step stands if it says that it expects to fail, by an exit
//! code or by a text. What linkspan does not reproduce has no answer, so it is refused whatever is expected.

use super::diagnostic::{Diagnostic, Diagnostics, Span, did_you_mean};
use super::images_table;
use super::model::Scenario;
use super::steps::{Action, Expect, Step, Target};
use super::translate::is_shell;
use crate::docker::cli::{self, CliError};
use crate::docker::container::valid_container_name;
use crate::docker::drivers::Driver;
use crate::docker::images::ImageCatalogue;
use crate::docker::request::{ContainerCreate, Request};
use crate::world::{PROGRAMS, missing_program};

/// The exit code of a shell and of docker for a program that is not there.
const NOT_FOUND: i32 = 127;

/// Judges every step. `own` are names of programs that the world has besides linkspan's.
pub(super) fn judge(scenario: &Scenario, own: &[String], diagnostics: &mut Diagnostics) {
    let judge = Judge { scenario, own };
    for step in &scenario.steps {
        let found = match &step.action {
            Action::Run { target, command } => judge.command(step, target, command),
            Action::Docker { command, .. } => judge.docker(step, command),
            Action::Event(_) | Action::Check(_) => None,
        };
        found.into_iter().for_each(|found| diagnostics.push(found));
    }
}

struct Judge<'a> {
    scenario: &'a Scenario,
    own: &'a [String],
}

impl Judge<'_> {
    fn command(&self, step: &Step, target: &Target, command: &str) -> Option<Diagnostic> {
        let name = missing_program(&["sh", "-c", command].map(str::to_owned), self.own)?;
        if expects_absence(&step.expect) {
            return None;
        }
        let place = place_of(step, command, &name);
        if name == "docker" && matches!(target, Target::Host(_)) {
            let error = Diagnostic::error(place, "there is no shell around docker commands here");
            return Some(error.help("write `docker ...` as a step of its own".to_owned()));
        }
        Some(lacking(place, &name))
    }

    fn docker(&self, step: &Step, command: &str) -> Option<Diagnostic> {
        let words = match cli::words::split(command) {
            Ok(words) => words,
            Err(error) => {
                let at = command.char_indices().nth(error.column.saturating_sub(1));
                let at = at.map_or(command.len(), |(at, _)| at);
                return Some(Diagnostic::error(part(step, command, at, 1), error.reason.to_string()));
            }
        };
        match cli::parse(&words) {
            Ok(parsed) => self.request(step, command, &parsed.request),
            Err(CliError::Help { .. }) => None,
            Err(error) => refused(step, command, &error),
        }
    }

    fn request(&self, step: &Step, command: &str, request: &Request) -> Option<Diagnostic> {
        match request {
            Request::ContainerRun(create) | Request::ContainerCreate(create) => {
                self.create(step, command, create)
            }
            Request::ContainerExec(exec) => {
                let name = missing_program(&exec.command, self.own)?;
                let stands = expects_absence(&step.expect) || step.expect.exit == Some(126);
                (!stands).then(|| lacking(place_of(step, command, &name), &name))
            }
            Request::NetworkCreate(create) if !Driver::is_supported(&create.driver) => {
                let driver = &create.driver;
                let message = format!("networks of the driver `{driver}` cannot be made here");
                let error = Diagnostic::error(place_of(step, command, driver), message)
                    .help(did_you_mean(driver, ["bridge", "macvlan", "ipvlan"]));
                (!expects_failure(&step.expect)).then_some(showable(error))
            }
            _ => None,
        }
    }

    fn create(&self, step: &Step, command: &str, create: &ContainerCreate) -> Option<Diagnostic> {
        if let Some(name) = &create.name
            && let Err(message) = valid_container_name(name)
            && !expects_failure(&step.expect)
        {
            return Some(showable(Diagnostic::error(place_of(step, command, name), message)));
        }
        if let Some(check) = &create.healthcheck
            && let Some(name) = missing_program(&check.test, self.own)
        {
            return Some(lacking(place_of(step, command, &name), &name));
        }
        let image = &create.image;
        let known = images_table::entrypoint(image).map(str::to_owned);
        let entrypoint = create.entrypoint.clone().or(known).filter(|word| !word.is_empty());
        if create.command.is_empty() && create.entrypoint.is_none() {
            // The image's own command, or what plays it.
            return None;
        }
        let argv: Vec<String> = entrypoint.into_iter().chain(create.command.iter().cloned()).collect();
        let name = missing_program(&argv, self.own)?;
        // A server's own program and its options are played by one that listens where the server does.
        let served = !images_table::listens(image).is_empty() || self.scenario.images.contains_key(image);
        if served || expects_absence(&step.expect) {
            return None;
        }
        if is_shell(image) || ImageCatalogue::default().get(image).is_some() {
            return Some(lacking(place_of(step, command, &name), &name));
        }
        let message = format!("neither the image `{image}` nor the program `{name}` is known here");
        let near = did_you_mean(&name, PROGRAMS.iter().copied());
        let help = near.unwrap_or_else(|| {
            format!("say under `images:` what `{image}` listens on, or name a program linkspan has")
        });
        Some(Diagnostic::error(place_of(step, command, image), message).help(help))
    }
}

/// A docker command line that the client refuses, or that is not reproduced.
fn refused(step: &Step, command: &str, error: &CliError) -> Option<Diagnostic> {
    let text = error.to_string();
    let message = text.lines().next().unwrap_or_default().trim_start_matches("docker: ").to_owned();
    if let CliError::Unsupported { path, .. } = error {
        let place = place_of(step, command, path.rsplit(' ').next().unwrap_or(path));
        return Some(Diagnostic::error(place, message));
    }
    if expects_failure(&step.expect) {
        return None;
    }
    let (place, near) = match error {
        CliError::Image { image, .. } => (image.clone(), None),
        CliError::UnknownCommand { path, name, .. } => {
            (name.clone(), did_you_mean(name, cli::commands(path)))
        }
        CliError::Flag { message, known, .. } => {
            let flag = message.rsplit("--").next().filter(|_| message.starts_with("unknown flag"));
            let near = flag.and_then(|flag| did_you_mean(flag, known.iter().copied()));
            let near = near.map(|text| text.replacen('`', "`--", 1));
            (flag.map_or_else(String::new, |flag| format!("--{flag}")), near)
        }
        _ => (String::new(), None),
    };
    let error = Diagnostic::error(place_of(step, command, &place), message);
    Some(match near {
        Some(near) => error.help(near),
        None => showable(error),
    })
}

fn showable(error: Diagnostic) -> Diagnostic {
    match error.help {
        Some(_) => error,
        None => error.help(
            "a step that is to show this refusal says `expect:` with the exit code or the text".to_owned(),
        ),
    }
}

fn lacking(span: Span, name: &str) -> Diagnostic {
    let near = did_you_mean(name, PROGRAMS.iter().copied());
    let help = near.unwrap_or_else(|| {
        format!("`expect: {NOT_FOUND}` if the step is to show that; `busybox` in a step lists what there is")
    });
    Diagnostic::error(span, format!("there is no program `{name}` here")).help(help)
}

/// Whether a step counts on a program's absence.
fn expects_absence(expect: &Expect) -> bool {
    expect.exit == Some(NOT_FOUND) || expect.contains.iter().any(|text| text.contains("not found"))
}

/// Whether a step counts on failing.
fn expects_failure(expect: &Expect) -> bool {
    match expect.exit {
        Some(exit) => exit != 0,
        None => !expect.contains.is_empty() || expect.output.is_some(),
    }
}

/// Where a word of a step's command stands in the file; the whole command if that cannot be told.
fn place_of(step: &Step, command: &str, word: &str) -> Span {
    match command.find(word).filter(|_| !word.is_empty()) {
        Some(at) => part(step, command, at, word.len()),
        None => step.written,
    }
}

/// A part of a command that stands in the file as it is, quoted or not.
fn part(step: &Step, command: &str, at: usize, length: usize) -> Span {
    let Span { file, start, end } = step.written;
    let quotes = ((end - start) as usize).checked_sub(command.len());
    match quotes {
        Some(quotes @ (0 | 2)) => {
            let first = start + (quotes / 2 + at) as u32;
            Span { file, start: first, end: (first + length as u32).min(end) }
        }
        _ => step.written,
    }
}
