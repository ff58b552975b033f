//! Why one place reaches another or does not: the scenario's world is built, one attempt is made with real packets,
//! and its events become an [`Explanation`] with the line of the file that caused it.

mod diagnosis;
mod question;

use std::net::IpAddr;

use self::diagnosis::Answer;
use super::way::way;
use crate::observe::explain::{
    self, Attempt as Asked, Cause, Drop, DropReason, Events, Explanation, Observed, Outcome, Part, Protocol,
};
use crate::observe::story::{Palette, Story, Verbosity};
use crate::scenario::causes::Causes;
use crate::scenario::diagnostic::nearest;
use crate::scenario::report::{StepReport, Why};
use crate::scenario::run::{FailedCheck, Tried};
use crate::scenario::{Diagnostic, Place, Scenario, Span, Target, run};
use crate::world::probe::{Attempt, Detail, ProbeOutcome, ProbeReport};
use crate::world::{HostId, Location, World, WorldError};

pub use question::{Question, QuestionError};

/// How to explain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExplainOptions {
    /// 0 is plain order, as for a run.
    pub seed: u64,
    /// Ask before the scenario's steps, not after them.
    pub before_steps: bool,
    /// Bytes of payload to send; `None`: as few as it takes.
    pub size: Option<usize>,
    /// Tell every event besides.
    pub verbose: bool,
}

/// Why nothing can be explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The scenario does not run.
    #[error("{}", .0.message)]
    Scenario(Box<Diagnostic>),
    /// There is no such place to ask from.
    #[error(
        "there is no container, host or machine `{name}`{} there are {}{}",
        hint(.nearest), known.join(", "), .note.as_ref().map(|note| format!("; {note}")).unwrap_or_default()
    )]
    NoPlace {
        /// The name.
        name: String,
        /// What may have been meant.
        nearest: Option<String>,
        /// The places there are.
        known: Vec<String>,
        /// The first step that did not do what was expected of it: it may have been to make the place.
        note: Option<String>,
    },
    /// The container does not run.
    #[error("container {name} is not running, so it cannot send anything: {why}")]
    NotRunning {
        /// The container.
        name: String,
        /// What became of it.
        why: String,
    },
    /// The target has no address to send to.
    #[error("`{0}` has no address of its own")]
    NoAddress(String),
    /// The world gave up: frames multiply, or a program never waits.
    #[error("{0}")]
    World(WorldError),
}

fn hint(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(|| ";".to_owned(), |name| format!("; did you mean `{name}`? Else"))
}

impl From<WorldError> for ExplainError {
    fn from(error: WorldError) -> ExplainError {
        match error {
            WorldError::NotRunning { name, why } => ExplainError::NotRunning { name, why },
            other => ExplainError::World(other),
        }
    }
}

/// Builds a scenario's world and explains one attempt in it.
///
/// The networks are made, the services started and the steps done, unless the options say not to; checks are not made.
/// The answer is a function of the scenario, the question and the seed.
///
/// # Errors
/// What keeps the scenario from running, or the question from being asked.
pub fn explain(
    scenario: &Scenario,
    question: &Question,
    options: ExplainOptions,
) -> Result<Explanation, ExplainError> {
    let built = if options.before_steps {
        run::up(scenario, options.seed).map(|(world, host)| (world, host, Vec::new()))
    } else {
        run::play(scenario, options.seed)
    };
    let (mut world, host, steps) = built.map_err(ExplainError::Scenario)?;
    let notes: Vec<String> = steps.iter().filter_map(|step| unmet(scenario, step)).collect();
    match explain_in(&mut world, host, scenario, question, options) {
        Ok(explanation) => Ok(Explanation { notes, ..explanation }),
        Err(ExplainError::NoPlace { name, nearest, known, .. }) => {
            Err(ExplainError::NoPlace { name, nearest, known, note: notes.into_iter().next() })
        }
        Err(other) => Err(other),
    }
}

/// What a step expected in vain, in a sentence.
fn unmet(scenario: &Scenario, step: &StepReport) -> Option<String> {
    let failure = step.failures.first()?;
    let at = scenario.sources.position(step.span).map(|at| format!(" ({at})")).unwrap_or_default();
    let said = step.output.lines().next().map(|line| format!(": {line}")).unwrap_or_default();
    Some(format!("the step `{}`{at} {failure}{said}", step.title))
}

/// Explains one attempt in a world that runs. Events that were recorded before are taken and lost.
///
/// # Errors
/// When the question cannot be asked.
pub fn explain_in(
    world: &mut World,
    host: HostId,
    scenario: &Scenario,
    question: &Question,
    options: ExplainOptions,
) -> Result<Explanation, ExplainError> {
    let mut inquiry = Inquiry { world, host, scenario };
    let from = inquiry.locate(&question.from)?;
    inquiry.able(&from, !options.before_steps)?;
    let target = inquiry.target(question)?;
    inquiry.world.watch(true);
    drop(inquiry.world.take_events());
    let addresses = inquiry.world.resolve(&from, &target)?;
    let lookup = inquiry.world.take_events();
    let report = inquiry.attempt(&from, &addresses, question, options.size)?;
    let v6 = addresses.first().is_some_and(IpAddr::is_ipv6);
    let observed = inquiry.observed(&from, target, addresses, question, outcome(report.outcome));
    let attempt = inquiry.world.take_events();
    let events = Events { lookup: &lookup, attempt: &attempt };
    let mut explanation = explain::explain(observed, events, &inquiry.world.names());
    if options.verbose {
        explanation.story = inquiry.story(events);
    }
    explanation.silent = explanation.outcome.is_reached() && report.detail == Detail::Silent;
    explanation.cause =
        diagnosis::diagnose(inquiry.world, host, scenario, &from, !options.before_steps, &explanation);
    let detail = match report.detail {
        Detail::Plain if v6 && inquiry.world.without_ipv6(&from) => Unsent::WithoutIpv6,
        Detail::NoRoute => Unsent::NoRoute,
        _ => Unsent::Otherwise,
    };
    unsent(&mut explanation, detail);
    Ok(explanation)
}

/// Why a kernel sends nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unsent {
    /// No route leads to the address.
    NoRoute,
    /// IPv6 is off, so there is no address to send from.
    WithoutIpv6,
    /// For another reason, or something was sent.
    Otherwise,
}

/// What the program sees where no packet says it: the kernel refuses to send, or a name has no address.
fn unsent(explanation: &mut Explanation, unsent: Unsent) {
    let requested = explanation.passages.iter().any(|passage| passage.part == Part::Request);
    if requested || !explanation.errors.is_empty() {
        return;
    }
    match (explanation.outcome, unsent) {
        (Outcome::Unreachable, Unsent::NoRoute | Unsent::WithoutIpv6) => {
            let (error, reason) = match unsent {
                Unsent::WithoutIpv6 => (NO_SOURCE, DropReason::Ipv6Disabled),
                Unsent::NoRoute | Unsent::Otherwise => (NO_ROUTE, DropReason::NoRoute),
            };
            explanation.errors.push(error.to_owned());
            explanation.drop.get_or_insert_with(|| Drop {
                reason,
                place: explanation.attempt.namespace.clone(),
                device: None,
                rule: None,
                behind: None,
            });
        }
        (Outcome::Unresolved, _) => {
            let answers = explanation.lookup.as_ref().map_or(&[][..], |lookup| &lookup.answers);
            let error = match diagnosis::last_answer(answers) {
                Answer::NoName => NO_NAME,
                Answer::NoAddress => NO_ADDRESS,
                Answer::None => NO_NAME_SERVER,
            };
            explanation.errors.push(error.to_owned());
        }
        _ => {}
    }
}

/// ENETUNREACH and EADDRNOTAVAIL, as strerror(3) says them.
const NO_ROUTE: &str = "Network is unreachable";
const NO_SOURCE: &str = "Cannot assign requested address";
/// EAI_NONAME, EAI_NODATA and EAI_AGAIN, as gai_strerror(3) says them.
const NO_NAME: &str = "Name or service not known";
const NO_ADDRESS: &str = "No address associated with hostname";
const NO_NAME_SERVER: &str = "Temporary failure in name resolution";

/// What was tried in a running world, and what was seen of it.
pub(super) struct Made<'a> {
    /// The place it was tried from.
    pub(super) from: &'a Location,
    /// The question it answers.
    pub(super) question: &'a Question,
    /// The name or address that was tried.
    pub(super) target: String,
    /// The addresses of the target; none if it has none.
    pub(super) addresses: Vec<IpAddr>,
    /// How it ended.
    pub(super) outcome: ProbeOutcome,
    /// The events of the lookup, and of the attempt.
    pub(super) events: Events<'a>,
}

/// Explains an attempt that was made already.
pub(super) fn explain_made(
    world: &mut World,
    host: HostId,
    scenario: &Scenario,
    made: Made<'_>,
) -> Explanation {
    let Made { from, question, target, addresses, outcome: found, events } = made;
    let inquiry = Inquiry { world, host, scenario };
    let observed = inquiry.observed(from, target, addresses, question, outcome(found));
    let mut explanation = explain::explain(observed, events, &inquiry.world.names());
    explanation.cause = diagnosis::diagnose(inquiry.world, host, scenario, from, true, &explanation);
    explanation
}

/// Why a check of a run failed. What was tried once is explained as any attempt is; `rest` says where the lines of the
/// story that are left out can be read.
pub(super) fn why(failed: &FailedCheck<'_>, world: &mut World, rest: &str) -> Why {
    let cause = failed.tried.and_then(|tried| cause_of(failed, tried, world));
    let unresolved = failed.tried.is_some_and(|tried| tried.outcome == ProbeOutcome::Unresolved);
    // The hops of a name server's answer say nothing that the cause does not.
    let story = if unresolved && cause.is_some() { Vec::new() } else { way(failed.events, world, rest) };
    let Some(Cause { text, line, suggestion }) = cause else { return Why { story, ..Why::default() } };
    let line = line.map(|line| format!("{}:{}:{}: {}", line.file, line.line, line.column, line.text.trim()));
    let suggestion = Some(suggestion).filter(|text| !text.is_empty());
    Why { because: Some(text), line, suggestion, story }
}

fn cause_of(failed: &FailedCheck<'_>, tried: &Tried, world: &mut World) -> Option<Cause> {
    let (lookup, attempt) = failed.events.split_at(tried.lookup.min(failed.events.len()));
    let made = Made {
        from: &tried.location,
        question: &Question::new(tried.from.clone(), tried.to.clone()),
        target: tried.target.clone(),
        addresses: tried.addresses.clone(),
        outcome: tried.outcome,
        events: Events { lookup, attempt },
    };
    explain_made(world, failed.host, failed.scenario, made).cause
}

/// What a question is tried with.
pub(super) fn means(question: &Question) -> (Protocol, Attempt) {
    match (question.protocol, question.to.port) {
        (Protocol::Tcp, Some(port)) => (Protocol::Tcp, Attempt::Tcp(port)),
        (Protocol::Udp, Some(port)) => (Protocol::Udp, Attempt::Udp(port)),
        (Protocol::Icmp, _) | (_, None) => (Protocol::Icmp, Attempt::Ping),
    }
}

/// One question in one world.
struct Inquiry<'a> {
    world: &'a mut World,
    host: HostId,
    scenario: &'a Scenario,
}

impl Inquiry<'_> {
    /// The place a question is asked from. A machine or the host may be named without its prefix.
    fn locate(&self, from: &Target) -> Result<Location, ExplainError> {
        match from {
            Target::Host(None) => Ok(Location::Host(self.host)),
            Target::Host(Some(name)) if *name == self.host_name() => Ok(Location::Host(self.host)),
            Target::World(name) if self.world.machines().any(|machine| machine == name) => {
                Ok(Location::Machine(name.clone()))
            }
            Target::Container(name) => {
                let service = self.scenario.service(name);
                let first = service.and_then(|s| self.scenario.container_names(s).into_iter().next());
                let container = first.unwrap_or_else(|| name.clone());
                let known = self.world.daemon(self.host).is_some_and(|d| d.container(&container).is_ok());
                if known {
                    Ok(Location::Container(self.host, container))
                } else if self.world.machines().any(|machine| machine == name) {
                    Ok(Location::Machine(name.clone()))
                } else if *name == self.host_name() {
                    Ok(Location::Host(self.host))
                } else {
                    Err(self.unknown(name))
                }
            }
            Target::Host(Some(name)) => Err(self.unknown(&format!("host:{name}"))),
            Target::World(name) => Err(self.unknown(&format!("world:{name}"))),
        }
    }

    /// Whether programs of a place run: a container that a step stopped, or one that is paused, sends nothing.
    fn able(&self, from: &Location, steps_done: bool) -> Result<(), ExplainError> {
        let Location::Container(_, name) = from else { return Ok(()) };
        let container = self.world.daemon(self.host).and_then(|daemon| daemon.container(name).ok());
        let causes = Causes::new(self.scenario, steps_done);
        let by = |span: Option<Span>| {
            let at = self.scenario.sources.position(span?)?;
            Some(format!(" by a step ({at})"))
        };
        let why = match container.map(|container| container.state.name()) {
            Some("paused") => {
                let step = by(causes.command(&["docker", "pause", name])).unwrap_or_default();
                format!("it was paused{step}; `docker unpause {name}` lets its programs go on")
            }
            Some("exited") => match by(causes.stopped(name)) {
                Some(step) => format!("it was stopped{step}"),
                None => return Ok(()),
            },
            Some(_) | None => return Ok(()),
        };
        Err(ExplainError::NotRunning { name: name.clone(), why })
    }

    fn host_name(&self) -> &str {
        self.scenario.hosts.first().map_or("host", |host| host.name.value.as_str())
    }

    fn unknown(&self, name: &str) -> ExplainError {
        let mut known: Vec<String> = Vec::new();
        for service in &self.scenario.services {
            known.push(service.name.value.clone());
            if service.replicas > 1 {
                known.extend(self.scenario.container_names(service));
            }
        }
        let containers = self.world.daemon(self.host).into_iter().flat_map(|d| d.containers());
        let own = containers.map(|container| container.name.clone());
        let services: Vec<String> =
            self.scenario.services.iter().flat_map(|s| self.scenario.container_names(s)).collect();
        known.extend(own.filter(|name| !services.contains(name)));
        known.push("host".to_owned());
        known.extend(self.world.machines().map(|machine| format!("world:{machine}")));
        let candidates = known.iter().chain(&services).map(String::as_str);
        let whole = format!("{}-{name}", self.scenario.name);
        let nearest = match services.contains(&whole) {
            true => Some(whole),
            false => nearest(name, candidates).map(str::to_owned),
        };
        ExplainError::NoPlace { name: name.to_owned(), nearest, known, note: None }
    }

    /// The name or address to try.
    fn target(&self, question: &Question) -> Result<String, ExplainError> {
        let first = |location: &Location| -> Result<String, ExplainError> {
            let addresses = self.world.addresses(location)?;
            let first = addresses.first().map(ToString::to_string);
            first.ok_or_else(|| ExplainError::NoAddress(question.to.to_string()))
        };
        match &question.to.place {
            Place::Name(name) => Ok(name.clone()),
            Place::Address(address) => Ok(address.to_string()),
            Place::Host(None) => first(&Location::Host(self.host)),
            Place::Host(Some(name)) => first(&self.locate(&Target::Host(Some(name.clone())))?),
            Place::World(name) => first(&self.locate(&Target::World(name.clone()))?),
        }
    }

    /// Tries the first address.
    fn attempt(
        &mut self,
        from: &Location,
        addresses: &[IpAddr],
        question: &Question,
        size: Option<usize>,
    ) -> Result<ProbeReport, ExplainError> {
        let Some(address) = addresses.first() else {
            return Ok(ProbeReport { outcome: ProbeOutcome::Unresolved, detail: Detail::Plain });
        };
        let (_, attempt) = means(question);
        Ok(self.world.probe_sized(from, &address.to_string(), attempt, size)?)
    }

    fn observed(
        &self,
        from: &Location,
        target: String,
        addresses: Vec<IpAddr>,
        question: &Question,
        outcome: Outcome,
    ) -> Observed {
        let literal = target.parse::<IpAddr>().is_ok();
        let attempt = Asked {
            namespace: self.world.namespace_of(from).unwrap_or_else(|_| self.readable(from)),
            from: self.readable(from),
            to: question.to_text(),
            target,
            protocol: means(question).0,
            port: question.to.port,
        };
        Observed { attempt, addresses: (!literal).then_some(addresses), outcome }
    }

    fn readable(&self, location: &Location) -> String {
        match location {
            Location::Host(_) => self.host_name().to_owned(),
            Location::Machine(name) | Location::Container(_, name) => name.clone(),
        }
    }

    fn story(&self, events: Events<'_>) -> Vec<String> {
        let names = self.world.names();
        let mut story = Story::new(Verbosity::Verbose, Palette::Plain);
        let all = events.lookup.iter().chain(events.attempt);
        let mut lines: Vec<String> = all.flat_map(|event| story.push(event, &names)).collect();
        lines.extend(story.finish());
        lines
    }
}

fn outcome(found: ProbeOutcome) -> Outcome {
    match found {
        ProbeOutcome::Ok(seen) => Outcome::Reached(seen),
        ProbeOutcome::Refused => Outcome::Refused,
        ProbeOutcome::Timeout => Outcome::TimedOut,
        ProbeOutcome::Unreachable => Outcome::Unreachable,
        ProbeOutcome::Unresolved => Outcome::Unresolved,
        ProbeOutcome::NoAnswer => Outcome::NoAnswer,
    }
}
