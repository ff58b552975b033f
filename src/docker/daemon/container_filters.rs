//! The filters of `docker ps`: what is wrong with their values, and which containers they let through.
//!
//! Values of one filter are alternatives, but labels must all hold; filters of different names must all hold, except
//! that `expose` and `publish` are alternatives to each other. Reference: moby `daemon/list.go`.

use super::Daemon;
use super::name_pattern::NamePattern;
use super::query::grouped;
use crate::docker::cli::ports::{PortRange, Protocol, RangeError, split_protocol};
use crate::docker::container::{Container, State};
use crate::docker::error::DockerError;
use crate::docker::profile::Profile;
use crate::docker::reference;
use crate::docker::request::{ContainerList, Filter};

/// The filters that there are.
const KNOWN: [&str; 15] = [
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "is-task",
    "isolation",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
];
/// The words of `status`.
const STATES: [&str; 7] = ["created", "running", "paused", "restarting", "removing", "exited", "dead"];
/// The words of `health`.
const HEALTH: [&str; 4] = ["none", "starting", "healthy", "unhealthy"];

impl Daemon {
    /// The containers that `docker ps` shows, newest first.
    pub(super) fn listed_containers(&self, request: &ContainerList) -> Result<Vec<&Container>, DockerError> {
        let filters = &request.filters;
        self.check_filters(filters, &KNOWN)?;
        self.check_values(filters)?;
        let bound = |name: &str| -> Result<Option<u32>, DockerError> {
            let Some(filter) = filters.iter().rfind(|filter| filter.name == name) else { return Ok(None) };
            Ok(Some(self.bounding_container(&filter.value)?))
        };
        let (before, since) = (bound("before")?, bound("since")?);
        let most = request.last.and_then(|last| usize::try_from(last).ok()).filter(|last| *last > 0);
        let all = request.all || most.is_some() || filters.iter().any(|filter| filter.name == "status");
        let newest = self.containers.values().rev().map(Box::as_ref);
        let shown = newest
            .filter(|container| before.is_none_or(|before| container.number < before))
            .filter(|container| since.is_none_or(|since| container.number > since))
            .filter(|container| all || container.state.is_running())
            .filter(|container| passes(container, filters));
        Ok(shown.take(most.unwrap_or(usize::MAX)).collect())
    }

    /// The container that `before` and `since` name, by its whole id or its name.
    fn bounding_container(&self, text: &str) -> Result<u32, DockerError> {
        let name = text.strip_prefix('/').unwrap_or(text);
        let number = self.container_ids.get(text).or_else(|| self.container_names.get(name)).copied();
        number.ok_or_else(|| {
            DockerError::not_found(match self.profile() {
                Profile::Docker20_10 => format!("no such container {text}"),
                Profile::Docker28 | Profile::Docker29 => format!("No such container: {text}"),
            })
        })
    }

    /// Refuses values that mean nothing, in the order in which dockerd looks at them.
    fn check_values(&self, filters: &[Filter]) -> Result<(), DockerError> {
        let old = self.profile() == Profile::Docker20_10;
        for name in ["exited", "status", "is-task", "health", "publish", "expose"] {
            for value in
                filters.iter().filter(|filter| filter.name == name).map(|filter| filter.value.as_str())
            {
                let complaint = match name {
                    "exited" => value.parse::<i64>().err().map(|_| {
                        let reason = format!("strconv.Atoi: parsing {value:?}: invalid syntax");
                        if old { reason } else { format!("invalid filter 'exited={value}': {reason}") }
                    }),
                    "status" if old => {
                        (!STATES.contains(&value)).then(|| format!("Invalid filter 'status={value}'"))
                    }
                    "status" => one_of("status", "state", value, &STATES),
                    "is-task" => boolean(value).is_none().then(|| {
                        format!("{} filter 'is-task=[{value}]'", if old { "Invalid" } else { "invalid" })
                    }),
                    "health" if old => (!HEALTH.contains(&value))
                        .then(|| format!("Unrecognised filter value for health: {value}")),
                    "health" => one_of("health", "health", value, &HEALTH),
                    _ => ports(value).err().map(|reason| match reason {
                        None => format!("filter for '{name}' should not contain ':': {value}"),
                        Some(reason) => format!("error while looking up for {name} {value}: {reason}"),
                    }),
                };
                if let Some(complaint) = complaint {
                    return Err(DockerError::bad_parameter(complaint));
                }
            }
        }
        Ok(())
    }
}

/// Whether a filter's value is a word that there is.
fn one_of(filter: &str, what: &str, value: &str, words: &[&str]) -> Option<String> {
    let known = words.contains(&value);
    (!known).then(|| {
        let words = words.join(", ");
        format!(
            "invalid filter '{filter}={value}': invalid value for {what} ({value}): must be one of {words}"
        )
    })
}

/// What a filter takes for true and false.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

/// The ports of a filter, `PORT[-PORT][/PROTOCOL]`; `Err(None)` if there is a colon in it.
fn ports(text: &str) -> Result<(PortRange, &str), Option<String>> {
    if text.contains(':') {
        return Err(None);
    }
    let (ports, protocol) = split_protocol(text);
    let range: Result<PortRange, RangeError> = ports.parse();
    range.map(|range| (range, protocol)).map_err(|error| {
        Some(match error {
            // The daemon's library is older than the client's.
            RangeError::Falling(range) => format!("Invalid range specified for the Port: {range}"),
            RangeError::Empty | RangeError::Syntax(_) | RangeError::TooLarge(_) => error.to_string(),
        })
    })
}

fn passes(container: &Container, filters: &[Filter]) -> bool {
    let holds = |filter: &Filter| {
        let value = filter.value.as_str();
        match filter.name.as_str() {
            "name" => {
                let pattern = NamePattern::parse(value);
                pattern.is_in(&container.name) || pattern.is_in(&format!("/{}", container.name))
            }
            "id" => container.id.as_str().starts_with(value),
            "status" => container.state.name() == value,
            "exited" => container.state == State::Exited && container.exit_code.to_string() == value,
            "health" => container.health.map_or("none", |health| health.status.name()) == value,
            "label" => container.made_from.config.labels.matches(value),
            "ancestor" => {
                reference::familiar(&container.made_from.config.image) == reference::familiar(value)
            }
            // There are no volumes, and no tasks of a swarm.
            "volume" => false,
            "is-task" => boolean(value) == Some(false),
            "network" => container.endpoints.iter().any(|endpoint| {
                endpoint.network_name == value
                    || endpoint.network_id.as_ref().is_some_and(|id| id.as_str().starts_with(value))
            }),
            _ => true,
        }
    };
    let of_ports = |filter: &&Filter| matches!(filter.name.as_str(), "expose" | "publish");
    let mut wanted = filters.iter().filter(of_ports).peekable();
    let has_port = wanted.peek().is_none() || wanted.any(|filter| has_port(container, filter));
    has_port && grouped(filters, holds)
}

/// Whether a container has one of a filter's ports. What is not published has port 0 on the host.
fn has_port(container: &Container, filter: &Filter) -> bool {
    let Ok((range, of)) = ports(&filter.value) else { return false };
    container.shown_ports().iter().any(|binding| {
        let (port, protocol): (u16, Protocol) = match filter.name.as_str() {
            "publish" => (binding.host.map_or(0, |(_, port)| port), binding.port.protocol),
            _ => (binding.port.port, binding.port.protocol),
        };
        range.contains(port) && of == protocol.to_string()
    })
}
