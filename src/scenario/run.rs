//! Runs a scenario: builds its world, brings its services up, does its steps, makes its checks.
//!
//! Everything happens through requests to the daemon, programs in namespaces and real packets; this file decides the
//! order and compares. What is seen on the way goes to a [`Watcher`]; the result is a [`Report`].

mod outside;

use std::net::IpAddr;
use std::time::Duration;

pub use self::outside::{Attachment, Begin, run_outside};
use super::build;
use super::checks::{Check, Claim, Endpoint, Outcome, Place};
use super::diagnostic::{Diagnostic, Span};
use super::model::{Condition, ListenPort, NetworkMode, Protocol, Scenario, Service};
use super::places::{DockerAnswer, DockerCommand, DockerCommandError, Places};
use super::report::{
    CheckFailure, CheckReport, ContainerCondition, Progress, Report, StartedContainer, StepReport, Totals,
};
use super::steps::{Action, Event, Expect, Step, Target};
use super::translate;
use crate::docker::cli::ports;
use crate::docker::container::State;
use crate::docker::daemon::Daemon;
use crate::docker::health::HealthStatus;
use crate::docker::request::Request;
use crate::world::probe::ProbeOutcome;
use crate::world::{HostId, Job, Location, World, WorldError};

mod standing;

pub use standing::Standing;

/// Virtual time a step may take before it is stopped and called a failure.
const STEP_LIMIT: Duration = Duration::from_secs(600);

/// Bytes a step may print before it is stopped and called a failure: what the pipe of its output holds, because
/// a program that waits for room in it would wait for ever.
const OUTPUT_LIMIT: usize = 16 << 20;

/// Hears what happens during a run.
pub trait Watcher {
    /// A network, container, step or check.
    fn progress(&mut self, progress: Progress<'_>);
    /// The engine did something; called after every instant with the events since the last call.
    fn events(&mut self, events: &[crate::world::Event], world: &World);
    /// Tells the way of the packets of a check that failed.
    fn explain(&mut self, events: &[crate::world::Event], world: &World) -> Vec<String>;
}

/// Runs a scenario in virtual time.
pub fn run(scenario: &Scenario, seed: u64, watcher: &mut dyn Watcher) -> Report {
    conduct(Runner::new(scenario, &mut World::new(seed), watcher), Runner::run)
}

fn conduct<'a>(mut runner: Runner<'a>, run: impl FnOnce(&mut Runner<'a>) -> Result<(), Stop>) -> Report {
    runner.world.watch(true);
    if let Err(diagnostic) = run(&mut runner) {
        runner.report.failure = Some(*diagnostic);
    }
    runner.flush();
    runner.report.totals = Totals {
        frames: runner.world.frames(),
        drops: runner.world.drops().values().sum(),
        time: runner.world.now(),
    };
    runner.report
}

/// Builds a scenario's world and starts its services. Nothing is recorded; steps and checks are not made.
///
/// # Errors
/// What keeps the scenario from running.
pub fn up(scenario: &Scenario, seed: u64) -> Result<(World, HostId), Box<Diagnostic>> {
    up_in(World::new(seed), scenario)
}

/// The same in a new world that was given programs of its own before.
///
/// # Errors
/// What keeps the scenario from running.
pub fn up_in(mut world: World, scenario: &Scenario) -> Result<(World, HostId), Box<Diagnostic>> {
    let mut watcher = Unwatched;
    let host = Runner::new(scenario, &mut world, &mut watcher).up()?;
    Ok((world, host))
}

/// Builds a scenario's world, starts its services and does its steps; checks are passed over. Nothing is recorded. The
/// steps come back with it, for what they expected in vain.
///
/// # Errors
/// What keeps the scenario from running.
pub fn play(scenario: &Scenario, seed: u64) -> Result<(World, HostId, Vec<StepReport>), Box<Diagnostic>> {
    let mut watcher = Unwatched;
    let mut world = World::new(seed);
    let mut runner = Runner::new(scenario, &mut world, &mut watcher);
    let host = runner.up()?;
    let steps = scenario.steps.iter().filter(|step| !matches!(step.action, Action::Check(_)));
    for step in steps {
        runner.step(host, step)?;
    }
    let steps = runner.report.steps;
    Ok((world, host, steps))
}

/// Nobody watches.
pub(crate) struct Unwatched;

impl Watcher for Unwatched {
    fn progress(&mut self, _: Progress<'_>) {}
    fn events(&mut self, _: &[crate::world::Event], _: &World) {}
    fn explain(&mut self, _: &[crate::world::Event], _: &World) -> Vec<String> {
        Vec::new()
    }
}

type Stop = Box<Diagnostic>;

struct Runner<'a> {
    scenario: &'a Scenario,
    world: &'a mut World,
    host: Option<HostId>,
    watcher: &'a mut dyn Watcher,
    /// Events of the check that is being made.
    held: Option<Vec<crate::world::Event>>,
    /// Containers whose place something outside has taken.
    replaced: Vec<String>,
    report: Report,
}

impl<'a> Runner<'a> {
    fn new(scenario: &'a Scenario, world: &'a mut World, watcher: &'a mut dyn Watcher) -> Runner<'a> {
        Runner {
            scenario,
            world,
            host: None,
            watcher,
            held: None,
            replaced: Vec::new(),
            report: Report {
                name: scenario.name.clone(),
                file: scenario.file.clone(),
                steps: Vec::new(),
                checks: Vec::new(),
                failure: None,
                warnings: Vec::new(),
                started: Vec::new(),
                totals: Totals::default(),
                captures: Vec::new(),
                sources: scenario.sources.clone(),
            },
        }
    }

    fn run(&mut self) -> Result<(), Stop> {
        let host = self.up()?;
        self.act(host)
    }

    fn act(&mut self, host: HostId) -> Result<(), Stop> {
        for step in &self.scenario.steps {
            self.step(host, step)?;
        }
        for check in &self.scenario.checks {
            self.check(host, check)?;
        }
        Ok(())
    }

    fn places(&self, host: HostId) -> Places<'a> {
        Places::new(self.scenario, host)
    }

    /// The stage, the networks, the containers.
    fn up(&mut self) -> Result<HostId, Stop> {
        let runs = self.world.can_run();
        let host = build::stage(self.world, self.scenario, &runs)?;
        self.host = Some(host);
        self.flush();
        self.external_networks(host)?;
        for (span, request) in translate::network_requests(self.scenario) {
            let name = match &request {
                Request::NetworkCreate(create) => create.name.clone(),
                _ => String::new(),
            };
            self.must(host, &request, span, &format!("network {name} cannot be created"))?;
            let text = self.describe_network(host, &name);
            self.watcher.progress(Progress::Network { text: &text });
        }
        for item in translate::container_requests(self.scenario, &runs) {
            let what = format!("container {} cannot be started", item.container);
            if matches!(item.request, Request::ContainerStart(_)) {
                self.await_completed(host, &item.service)?;
                self.await_healthy(host, &item.service)?;
            }
            self.must(host, &item.request, item.span, &what)?;
            if matches!(item.request, Request::ContainerStart(_)) {
                let text = self.describe_container(host, &item.container);
                self.watcher.progress(Progress::Container { text: &text });
            }
        }
        self.take_stock(host)?;
        Ok(host)
    }

    /// Lets what was started run as far as it can at this instant, and says what has ended with a failure.
    fn take_stock(&mut self, host: HostId) -> Result<(), Stop> {
        self.world.settle().map_err(|error| stopped(None, &error))?;
        self.flush();
        for service in &self.scenario.services {
            for container in self.scenario.container_names(service) {
                let found = self.world.daemon(host).and_then(|daemon| daemon.container(&container).ok());
                let Some(found) = found else { continue };
                let condition = match found.state {
                    State::Exited => ContainerCondition::Exited(found.exit_code),
                    State::Created | State::Running | State::Paused => {
                        ContainerCondition::Listens(self.listening(host, service, &container))
                    }
                };
                if let ContainerCondition::Exited(status @ 1..) = condition {
                    let line = self.world.last_output_line(host, &container);
                    let line = line.map(|line| format!(": {line}")).unwrap_or_default();
                    let help = format!(
                        "a container lives as long as its command; `docker logs {container}` shows all of it"
                    );
                    let message = format!("{container} exited ({status}){line}");
                    let warning =
                        Diagnostic::warning(service.name.span, message).label("of this service").help(help);
                    self.watcher.progress(Progress::Warning(&warning));
                    self.report.warnings.push(warning);
                }
                self.report.started.push(StartedContainer { service: service.name.value.clone(), condition });
            }
        }
        Ok(())
    }

    /// The ports on which something listens in a container: those the scenario counts on first. In a namespace that is
    /// shared with others only these are its own.
    fn listening(&self, host: HostId, service: &Service, container: &str) -> Vec<ListenPort> {
        let open = self.world.listening(host, container).into_iter().filter_map(|port| {
            let protocol = match port.protocol {
                ports::Protocol::Tcp => Protocol::Tcp,
                ports::Protocol::Udp => Protocol::Udp,
                ports::Protocol::Sctp => return None,
            };
            Some(ListenPort { port: port.port, protocol })
        });
        let open: Vec<ListenPort> = open.collect();
        let expected = self.scenario.listening_ports(service);
        let mut ports: Vec<ListenPort> =
            expected.iter().copied().filter(|port| open.contains(port)).collect();
        if matches!(service.network, NetworkMode::Networks(_) | NetworkMode::DefaultBridge) {
            ports.extend(open.iter().copied().filter(|port| !expected.contains(port)));
        }
        ports
    }

    /// Networks of others must be there before anything is made, as Compose demands.
    fn external_networks(&self, host: HostId) -> Result<(), Stop> {
        for network in self.scenario.networks.iter().filter(|network| network.used && network.external) {
            let known = self.world.daemon(host).is_some_and(|daemon| daemon.network(&network.name).is_ok());
            if !known {
                let message =
                    format!("network {} declared as external, but could not be found", network.name);
                let help = "remove `external`, and linkspan creates it".to_owned();
                let diagnostic = Diagnostic::error(network.key.span, message);
                return Err(Box::new(diagnostic.label("declared here").help(help)));
            }
        }
        Ok(())
    }

    /// Waits until what a service wants completed has ended with success.
    fn await_completed(&mut self, host: HostId, service: &str) -> Result<(), Stop> {
        let Some(service) = self.scenario.service(service) else { return Ok(()) };
        let wanted = service.depends_on.iter().filter(|d| d.condition == Condition::CompletedSuccessfully);
        for dependency in wanted {
            let (name, span) = (&dependency.service.value, dependency.service.span);
            let Some(needed) = self.scenario.service(name) else { continue };
            for container in self.scenario.container_names(needed) {
                match self.exit_status(host, &container, span)? {
                    Some(0) => {}
                    // Compose goes on without what is not required.
                    _ if !dependency.required => {}
                    Some(status) => {
                        let message =
                            format!("service \"{name}\" didn't complete successfully: exit {status}");
                        return Err(Box::new(Diagnostic::error(span, message).label("needed here")));
                    }
                    None => {
                        let limit = STEP_LIMIT.as_secs();
                        let message =
                            format!("service \"{name}\" still runs after {limit} s of virtual time");
                        let label = "wanted completed here";
                        return Err(Box::new(Diagnostic::error(span, message).label(label)));
                    }
                }
            }
        }
        Ok(())
    }

    /// Waits until what a service wants healthy is. A container without a health check is taken at its word: its
    /// image may have one that nobody here knows.
    fn await_healthy(&mut self, host: HostId, service: &str) -> Result<(), Stop> {
        let Some(service) = self.scenario.service(service) else { return Ok(()) };
        for dependency in service.depends_on.iter().filter(|d| d.condition == Condition::Healthy) {
            let span = dependency.service.span;
            let Some(needed) = self.scenario.service(&dependency.service.value) else { continue };
            for container in self.scenario.container_names(needed) {
                let why = match self.health_verdict(host, &container, span)? {
                    Verdict::Healthy => continue,
                    Verdict::Unhealthy => "is unhealthy".to_owned(),
                    Verdict::Ended(status) => format!("exited ({status})"),
                    Verdict::Undecided => {
                        format!("is neither healthy nor unhealthy after {} s", STEP_LIMIT.as_secs())
                    }
                };
                if dependency.required {
                    let message = format!("dependency failed to start: container {container} {why}");
                    return Err(Box::new(Diagnostic::error(span, message).label("wanted healthy here")));
                }
            }
        }
        Ok(())
    }

    fn health_verdict(&mut self, host: HostId, container: &str, span: Span) -> Result<Verdict, Stop> {
        let until = self.world.now().saturating_add(STEP_LIMIT);
        self.world.settle().map_err(|error| stopped(span, &error))?;
        loop {
            self.flush();
            let Some(found) = self.world.daemon(host).and_then(|daemon| daemon.container(container).ok())
            else {
                return Ok(Verdict::Healthy);
            };
            match found.health.map(|health| health.status) {
                _ if found.state == State::Exited => return Ok(Verdict::Ended(found.exit_code)),
                None | Some(HealthStatus::Healthy) => return Ok(Verdict::Healthy),
                Some(HealthStatus::Unhealthy) => return Ok(Verdict::Unhealthy),
                Some(HealthStatus::Starting) => {}
            }
            if !self.world.step(until).map_err(|error| stopped(span, &error))? {
                return Ok(Verdict::Undecided);
            }
        }
    }

    /// Runs until a container has ended; `None`: it does not.
    fn exit_status(&mut self, host: HostId, container: &str, span: Span) -> Result<Option<u8>, Stop> {
        let until = self.world.now().saturating_add(STEP_LIMIT);
        self.world.settle().map_err(|error| stopped(span, &error))?;
        loop {
            self.flush();
            let found = self.world.daemon(host).and_then(|daemon| daemon.container(container).ok());
            if let Some(found) = found
                && found.state == State::Exited
            {
                return Ok(Some(found.exit_code));
            }
            if !self.world.step(until).map_err(|error| stopped(span, &error))? {
                return Ok(None);
            }
        }
    }

    /// Hands what happened to the watcher.
    fn flush(&mut self) {
        let events = self.world.take_events();
        if !events.is_empty() {
            self.watcher.events(&events, self.world);
            if let Some(held) = &mut self.held {
                held.extend(events);
            }
        }
    }

    /// A request that has to succeed.
    fn must(&mut self, host: HostId, request: &Request, span: Span, what: &str) -> Result<(), Stop> {
        let mut job = self.world.request(host, request).map_err(|error| stopped(span, &error))?;
        let (output, status) = self.drive(&mut job, span, STEP_LIMIT, false)?;
        if status == Some(0) {
            return Ok(());
        }
        let reason =
            output.trim().trim_start_matches("docker: ").trim_start_matches("Error response from daemon: ");
        let reason = reason.split("\n\nRun 'docker").next().unwrap_or(reason).trim_end();
        Err(Box::new(Diagnostic::error(span, format!("{what}: {reason}")).label("asked for here")))
    }

    /// Runs a job to its end; its output, and its status unless it was stopped at the limit.
    fn drive(
        &mut self,
        job: &mut Job,
        span: Span,
        limit: Duration,
        aloud: bool,
    ) -> Result<(String, Option<u8>), Stop> {
        let until = self.world.now().saturating_add(limit);
        let mut output = String::new();
        self.world.settle().map_err(|error| stopped(span, &error))?;
        loop {
            self.flush();
            let text = job.take_output();
            if aloud && !text.is_empty() {
                self.watcher.progress(Progress::Output { text: &text });
            }
            output.push_str(&text);
            if let Some(status) = job.status() {
                return Ok((output, Some(status)));
            }
            let ended = output.len() >= OUTPUT_LIMIT;
            if ended || !self.world.step(until).map_err(|error| stopped(span, &error))? {
                if !ended {
                    self.world.advance(until).map_err(|error| stopped(span, &error))?;
                }
                self.world.stop(job);
                return Ok((output, None));
            }
        }
    }

    fn step(&mut self, host: HostId, step: &Step) -> Result<(), Stop> {
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
        self.watcher.progress(Progress::StepStarted { place: &place, title: &title, time: began });
        let (output, status, mut failures) = match &step.action {
            Action::Run { target, command } => self.run_command(host, target, command, step.span)?,
            Action::Docker { command, .. } => self.run_docker(host, command, step.span)?,
            Action::Event(event) => {
                self.event(host, event, step.span)?;
                (String::new(), None, Vec::new())
            }
            Action::Check(_) => (String::new(), None, Vec::new()),
        };
        if failures.is_empty() && !matches!(step.action, Action::Event(_)) {
            failures = unmet(&step.expect, &output, status);
        }
        let time = (began, self.world.now());
        let report = StepReport { title, place, output, status, failures, time, span: step.span };
        self.watcher.progress(Progress::StepFinished(&report));
        self.report.steps.push(report);
        Ok(())
    }

    fn run_command(
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

    fn run_docker(
        &mut self,
        host: HostId,
        command: &str,
        span: Span,
    ) -> Result<(String, Option<u8>, Vec<String>), Stop> {
        let aloud = |runner: &mut Self, text: &str| {
            if !text.is_empty() {
                runner.watcher.progress(Progress::Output { text });
            }
        };
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
        aloud(self, &said);
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

    fn event(&mut self, host: HostId, event: &Event, span: Span) -> Result<(), Stop> {
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
            Event::DaemonRestart => {
                self.daemon(span, |world| world.stop_daemon(host))?;
                return self.daemon(span, |world| world.start_daemon(host));
            }
            Event::DaemonStop => return self.daemon(span, |world| world.stop_daemon(host)),
            Event::DaemonStart => return self.daemon(span, |world| world.start_daemon(host)),
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
        if status == Some(0) {
            return Ok(());
        }
        let why = output.trim().trim_start_matches("Error response from daemon: ").to_owned();
        Err(Box::new(Diagnostic::error(span, why).label("asked for here")))
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

    fn check(&mut self, host: HostId, check: &Check) -> Result<(), Stop> {
        let from: Vec<Target> = match &check.claim {
            Claim::Reach { from, .. } | Claim::Resolve { from, .. } => vec![from.clone()],
            // Every container is tried.
            Claim::Only { .. } => self.replaced.iter().cloned().map(Target::Container).collect(),
        };
        if self.left_out(host, &from.iter().collect::<Vec<_>>(), &check.claim.to_string(), check.span) {
            return Ok(());
        }
        let began = self.world.now();
        self.flush();
        self.held = Some(Vec::new());
        let result = match &check.claim {
            Claim::Reach { from, to, outcome } => self.reach(host, from, to, *outcome),
            Claim::Resolve { from, name, addresses } => self.resolve(host, from, name, addresses),
            Claim::Only { from, to } => self.only(host, from, to),
        };
        self.flush();
        let events = self.held.take().unwrap_or_default();
        let failure = match result {
            Ok(None) => None,
            Ok(Some((expected, found))) => {
                let story = self.watcher.explain(&events, self.world);
                Some(CheckFailure { expected, found, story })
            }
            Err(error @ (WorldError::Storm(_) | WorldError::Spinning(_))) => {
                return Err(stopped(check.span, &error));
            }
            Err(error) => Some(CheckFailure {
                expected: "the check can be made".to_owned(),
                found: error.to_string(),
                story: Vec::new(),
            }),
        };
        let time = self.world.now().saturating_sub(began);
        let report = CheckReport { claim: check.claim.to_string(), failure, time, span: check.span };
        self.watcher.progress(Progress::CheckFinished(&report));
        self.report.checks.push(report);
        Ok(())
    }

    fn reach(&mut self, host: HostId, from: &Target, to: &Endpoint, wanted: Outcome) -> Difference {
        let location = self.places(host).locate(from);
        let found = self.places(host).attempt(self.world, &location, to)?;
        let holds = match (wanted, found) {
            (Outcome::Ok(None), ProbeOutcome::Ok(_))
            | (Outcome::Refused, ProbeOutcome::Refused)
            | (Outcome::Timeout, ProbeOutcome::Timeout)
            | (Outcome::Unreachable, ProbeOutcome::Unreachable)
            | (Outcome::Unresolved, ProbeOutcome::Unresolved)
            | (Outcome::NoAnswer, ProbeOutcome::NoAnswer) => true,
            (Outcome::Ok(Some(source)), ProbeOutcome::Ok(seen)) => seen == Some(source),
            _ => false,
        };
        if holds {
            return Ok(None);
        }
        let mut text = describe(found);
        if !matches!(found, ProbeOutcome::Ok(_))
            && let Some(hint) = self.places(host).apart(self.world, &location, to)
        {
            text.push_str(&format!(" ({hint})"));
        }
        Ok(Some((wanted.to_string(), text)))
    }

    fn resolve(&mut self, host: HostId, from: &Target, name: &str, wanted: &[IpAddr]) -> Difference {
        let location = self.places(host).locate(from);
        let mut found = self.world.resolve(&location, name)?;
        let mut wanted = wanted.to_vec();
        found.sort();
        wanted.sort();
        let text = |list: &[IpAddr]| match list {
            [] => "unresolved".to_owned(),
            list => list.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", "),
        };
        Ok((found != wanted).then(|| (text(&wanted), text(&found))))
    }

    fn only(&mut self, host: HostId, from: &[Target], to: &Endpoint) -> Difference {
        let allowed: Vec<Location> = from.iter().map(|target| self.places(host).locate(target)).collect();
        let target = match &to.place {
            Place::Name(name) => Some(self.places(host).container_name(name)),
            Place::Address(_) | Place::Host(_) | Place::World(_) => None,
        };
        let running = self.world.daemon(host).into_iter().flat_map(|d| d.containers());
        let names: Vec<String> = running.filter(|c| c.state.is_up()).map(|c| c.name.clone()).collect();
        let mut wrong = Vec::new();
        let mut locations: Vec<Location> =
            names.into_iter().map(|name| Location::Container(host, name)).collect();
        locations.extend(allowed.iter().filter(|l| l.container().is_none()).cloned());
        for location in locations {
            if location.container().is_some() && location.container() == target.as_deref() {
                continue;
            }
            if location.container().is_some()
                && self.places(host).is_itself(self.world, &location, &to.place)?
            {
                continue;
            }
            let reaches =
                matches!(self.places(host).attempt(self.world, &location, to)?, ProbeOutcome::Ok(_));
            let name = location.container().unwrap_or("host").to_owned();
            match (reaches, allowed.contains(&location)) {
                (true, false) => wrong.push(format!("{name} reaches it")),
                (false, true) => wrong.push(format!("{name} does not")),
                (true, true) | (false, false) => {}
            }
        }
        let listed: Vec<String> = from.iter().map(ToString::to_string).collect();
        let expected = || format!("of all containers only {} reach it", listed.join(", "));
        Ok((!wrong.is_empty()).then(|| (expected(), wrong.join(", "))))
    }

    fn describe_network(&self, host: HostId, name: &str) -> String {
        let daemon = self.world.daemon(host);
        match daemon.and_then(|d| d.network(name).ok()) {
            Some(network) => {
                let subnets: Vec<String> =
                    network.subnets.iter().map(|s| s.pool.subnet().to_string()).collect();
                let internal = if network.internal { ", internal" } else { "" };
                format!("{} ({}{internal}) {}", network.name, network.driver.name(), subnets.join(", "))
            }
            None => name.to_owned(),
        }
    }

    fn describe_container(&self, host: HostId, name: &str) -> String {
        let daemon = self.world.daemon(host);
        match daemon.and_then(|d| d.container(name).ok()) {
            Some(container) => {
                let mut words = vec![container.name.clone()];
                for endpoint in &container.endpoints {
                    let address = endpoint.active.as_ref().and_then(|a| a.ipv4.or(a.ipv6));
                    let address = address.map(|a| format!("={}", a.addr())).unwrap_or_default();
                    words.push(format!("{}{address}", endpoint.network_name));
                }
                for binding in &container.bindings {
                    words.push(format!(
                        "{}->{}/{}",
                        binding.host,
                        binding.container.port(),
                        binding.protocol()
                    ));
                }
                if container.state == State::Exited {
                    words.push(format!("exited ({})", container.exit_code));
                }
                words.join("  ")
            }
            None => name.to_owned(),
        }
    }
}

/// Expected and found, if they differ.
type Difference = Result<Option<(String, String)>, WorldError>;

/// What became of a container that others want healthy.
enum Verdict {
    Healthy,
    Unhealthy,
    Ended(u8),
    Undecided,
}

fn stopped(span: impl Into<Option<Span>>, error: &WorldError) -> Stop {
    Box::new(Diagnostic::error(span, error.to_string()).label("the run ended here"))
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

fn describe(outcome: ProbeOutcome) -> String {
    match outcome {
        ProbeOutcome::Ok(None) => "ok".to_owned(),
        ProbeOutcome::Ok(Some(source)) => format!("ok from {source}"),
        ProbeOutcome::Refused => "refused".to_owned(),
        ProbeOutcome::Timeout => "timeout".to_owned(),
        ProbeOutcome::Unreachable => "unreachable".to_owned(),
        ProbeOutcome::Unresolved => "unresolved".to_owned(),
        ProbeOutcome::NoAnswer => "no-answer".to_owned(),
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
        failures.push(format!("expected the output {whole:?}, found {output:?}"));
    }
    failures
}
