//! Runs a scenario: builds its world, brings its services up, does its steps, makes its checks.
//!
//! Everything happens through requests to the daemon, programs in namespaces and real packets; this file decides the
//! order and compares. What is seen on the way goes to a [`Watcher`]; the result is a [`Report`].

mod checking;
mod dependencies;
mod outside;
mod standing;
mod stepping;

use std::time::Duration;

pub use self::checking::{FailedCheck, Tried};
pub use self::outside::{Attachment, Begin, run_outside};
pub use self::standing::Standing;
use super::build;
use super::diagnostic::{Diagnostic, Span};
use super::excerpt::Excerpt;
use super::model::{ListenPort, NetworkMode, Protocol, Scenario, Service};
use super::places::Places;
use super::report::{
    ContainerCondition, ContainerReport, NetworkReport, Progress, Report, StartedContainer, StepReport,
    Totals, Why,
};
use super::steps::{Action, Step};
use super::translate;
use crate::docker::cli::ports;
use crate::docker::container::State;
use crate::docker::endpoint::Endpoint as DockerEndpoint;
use crate::docker::request::Request;
use crate::world::{HostId, Job, World, WorldError};

/// Virtual time a step may take before it is stopped and called a failure.
const STEP_LIMIT: Duration = Duration::from_secs(600);

/// Bytes a step may print before it is stopped and called a failure: what the pipe of its output holds, because
/// a program that waits for room in it would wait for ever.
const OUTPUT_LIMIT: usize = 16 << 20;

/// Hears what happens during a run.
pub trait Watcher {
    /// A network, container, step or check.
    fn progress(&mut self, progress: Progress<'_>);
    /// The engine did something; called after every instant with the events since the last call. A watcher that has seen
    /// enough may let the world go on by itself.
    fn events(&mut self, events: &[crate::world::Event], world: &mut World);
    /// Says why a check failed.
    fn explain(&mut self, failed: &FailedCheck<'_>, world: &mut World) -> Why;
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
    fn events(&mut self, _: &[crate::world::Event], _: &mut World) {}
    fn explain(&mut self, _: &FailedCheck<'_>, _: &mut World) -> Why {
        Why::default()
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
    /// What the check that is being made tried.
    tried: Option<Tried>,
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
            tried: None,
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
        for warning in translate::stand_ins(self.scenario, &runs) {
            self.warn(warning);
        }
        let host = build::stage(self.world, self.scenario, &runs)?;
        self.host = Some(host);
        self.flush();
        for (span, request) in translate::network_requests(self.scenario) {
            let name = match &request {
                Request::NetworkCreate(create) => create.name.clone(),
                _ => String::new(),
            };
            self.must(host, &request, span, &format!("network {name} cannot be created"))?;
            if let Some(report) = self.network_report(host, &name) {
                self.watcher.progress(Progress::Network(&report));
            }
        }
        for item in translate::container_requests(self.scenario, &runs) {
            let what = format!("container {} cannot be started", item.container);
            if matches!(item.request, Request::ContainerStart(_)) {
                self.await_completed(host, &item.service)?;
                self.await_healthy(host, &item.service)?;
            }
            self.must(host, &item.request, item.span, &what)
                .map_err(|error| self.with_holder(error, host, &item.container))?;
            if matches!(item.request, Request::ContainerStart(_))
                && let Some(report) = self.container_report(host, &item.container)
            {
                self.watcher.progress(Progress::Container(&report));
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
                let published = found.published_column();
                let condition = match found.state {
                    State::Restarting | State::Exited => ContainerCondition::Exited(found.exit_code),
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
                    self.warn(warning);
                }
                self.report.started.push(StartedContainer {
                    service: service.name.value.clone(),
                    condition,
                    published,
                });
            }
        }
        Ok(())
    }

    fn warn(&mut self, warning: Diagnostic) {
        self.watcher.progress(Progress::Warning(&warning));
        self.report.warnings.push(warning);
    }

    /// The ports on which something listens in a container: those the scenario counts on first. In a namespace that is
    /// shared with others only these are its own.
    fn listening(&self, host: HostId, service: &Service, container: &str) -> Vec<ListenPort> {
        let open = self.world.listening(host, container).into_iter().filter_map(|port| {
            let protocol = match port.protocol {
                ports::Protocol::Tcp => Protocol::Tcp,
                ports::Protocol::Udp => Protocol::Udp,
                ports::Protocol::Sctp | ports::Protocol::Icmp => return None,
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

    /// Hands what happened to the watcher.
    fn flush(&mut self) {
        let events = self.world.take_events();
        if !events.is_empty() {
            self.watcher.events(&events, self.world);
            if let Some(held) = &mut self.held {
                held.extend(events);
            }
        }
        for (message, count) in self.world.take_spun() {
            let times = if count > 1 { format!(" ({count} times)") } else { String::new() };
            self.warn(Diagnostic::warning(None, message + &times));
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

    /// A container that cannot be started because another one has its address: who, and what to do.
    fn with_holder(&self, error: Stop, host: HostId, container: &str) -> Stop {
        let daemon = self.world.daemon(host);
        let taken = daemon.and_then(|daemon| daemon.taken_address(daemon.container(container).ok()?));
        match taken {
            Some((address, holder)) => Box::new(error.help(format!(
                "{} was given {address} when it started: let it start later (`depends_on`), or give addresses out of \
                 another part of the network with `ip_range`",
                holder.name
            ))),
            None => error,
        }
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
        let (mut output, mut shown) = (String::new(), Excerpt::default());
        self.world.settle().map_err(|error| stopped(span, &error))?;
        loop {
            self.flush();
            let text = job.take_output();
            self.tell(shown.push(&text), aloud);
            output.push_str(&text);
            if let Some(status) = job.status() {
                self.tell(&shown.end(), aloud);
                return Ok((output, Some(status)));
            }
            let ended = output.len() >= OUTPUT_LIMIT;
            if ended || !self.world.step(until).map_err(|error| stopped(span, &error))? {
                if !ended {
                    self.world.advance(until).map_err(|error| stopped(span, &error))?;
                }
                self.world.stop(job);
                self.tell(&shown.end(), aloud);
                return Ok((output, None));
            }
        }
    }

    fn tell(&mut self, text: &str, aloud: bool) {
        if aloud && !text.is_empty() {
            self.watcher.progress(Progress::Output { text });
        }
    }

    fn network_report(&self, host: HostId, name: &str) -> Option<NetworkReport> {
        let network = self.world.daemon(host)?.network(name).ok()?;
        Some(NetworkReport {
            name: network.name.clone(),
            driver: network.driver.name().to_owned(),
            internal: network.internal,
            subnets: network.subnets.iter().map(|subnet| subnet.pool.subnet().to_string()).collect(),
        })
    }

    fn container_report(&self, host: HostId, name: &str) -> Option<ContainerReport> {
        let container = self.world.daemon(host)?.container(name).ok()?;
        let addresses = |endpoint: &DockerEndpoint| {
            let both = endpoint.active.iter().flat_map(|active| [active.ipv4, active.ipv6]);
            both.flatten().map(|address| address.addr()).collect()
        };
        Some(ContainerReport {
            name: container.name.clone(),
            networks: container.endpoints.iter().map(|e| (e.network_name.clone(), addresses(e))).collect(),
            published: container.published_column(),
            exited: container.state.has_ended().then_some(container.exit_code),
        })
    }
}

fn stopped(span: impl Into<Option<Span>>, error: &WorldError) -> Stop {
    Box::new(Diagnostic::error(span, error.to_string()).label("the run ended here"))
}
