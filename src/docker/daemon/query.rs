//! What a daemon tells: lists, inspect, ports, version. Nothing here changes anything.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::Daemon;
use crate::docker::cli::ports::{PortRange, Protocol, split_protocol};
use crate::docker::client::ClientVersion;
use crate::docker::container::{Container, State};
use crate::docker::error::{DockerError, Shown};
use crate::docker::format::{self, FormatError};
use crate::docker::health::HealthStatus;
use crate::docker::inspect;
use crate::docker::network::Network;
use crate::docker::outcome::Outcome;
use crate::docker::profile::Profile;
use crate::docker::render::{
    ListKind, PortBinding, command_column, human_duration, list, natural_order, port_lines,
};
use crate::docker::request::{
    ContainerList, ContainerPort, Filter, Inspect, InspectKind, List, NetworkInspect, PortQuery, View,
};

impl Daemon {
    pub(super) fn network_list(&self, request: &List) -> Result<Outcome, DockerError> {
        const KNOWN: [&str; 7] = ["dangling", "driver", "id", "label", "name", "scope", "type"];
        self.check_filters(&request.filters, &KNOWN)?;
        let mut shown: Vec<&Network> =
            self.networks.values().filter(|network| matches_all(network, &request.filters)).collect();
        shown.sort_by(|a, b| natural_order(&a.name, &b.name));
        let rows: Vec<Value> = shown
            .into_iter()
            .map(|network| {
                json!({
                    "ID": if request.view.no_trunc { network.id.as_str() } else { network.id.short() },
                    "Name": network.name,
                    "Driver": network.driver.name(),
                    "Scope": "local",
                    "IPv4": network.ipv4.to_string(),
                    "IPv6": network.ipv6.to_string(),
                    "Internal": network.internal.to_string(),
                    "Labels": network.labels.text(),
                    "CreatedAt": inspect::created_at(network.created),
                })
            })
            .collect();
        Ok(Outcome::printed(
            list(ListKind::Networks, &request.view, &rows)
                .map_err(|error| bad_list_format(ListKind::Networks, error))?,
        ))
    }

    pub(super) fn container_list(
        &self,
        now: Duration,
        request: &ContainerList,
    ) -> Result<Outcome, DockerError> {
        const KNOWN: [&str; 11] = [
            "ancestor", "expose", "exited", "health", "id", "label", "name", "network", "publish", "status",
            "volume",
        ];
        self.check_filters(&request.filters, &KNOWN)?;
        let by_status =
            request.filters.iter().any(|filter| matches!(filter.name.as_str(), "status" | "exited"));
        let all = request.all || request.last.is_some() || by_status;
        let newest = self.containers.values().rev();
        let shown = newest
            .filter(|container| all || container.state.is_up())
            .filter(|container| self.container_matches(container, &request.filters));
        let limit = request.last.and_then(|last| usize::try_from(last).ok()).unwrap_or(usize::MAX);
        let view = &request.view;
        let rows: Vec<Value> =
            shown.take(limit).map(|container| self.container_row(now, container, view)).collect();
        let kind = if request.size { ListKind::ContainersWithSize } else { ListKind::Containers };
        Ok(Outcome::printed(list(kind, view, &rows).map_err(|error| bad_list_format(kind, error))?))
    }

    fn container_row(&self, now: Duration, container: &Container, view: &View) -> Value {
        let ago = |since: Duration| human_duration(now.saturating_sub(since));
        let status = match container.state {
            State::Created => "Created".to_owned(),
            State::Running => {
                let health = match container.health.map(|health| health.status) {
                    None => "",
                    Some(HealthStatus::Starting) => " (health: starting)",
                    Some(HealthStatus::Healthy) => " (healthy)",
                    Some(HealthStatus::Unhealthy) => " (unhealthy)",
                };
                format!("Up {}{health}", ago(container.started.unwrap_or(now)))
            }
            State::Paused => format!("Up {} (Paused)", ago(container.started.unwrap_or(now))),
            State::Exited => {
                format!("Exited ({}) {} ago", container.exit_code, ago(container.finished.unwrap_or(now)))
            }
        };
        let mut names = vec![container.name.clone()];
        // The client leaves the names of links away unless it is to show everything.
        for linker in self.containers.values().filter(|_| view.no_trunc) {
            for link in &linker.made_from.config.links {
                if self.container_number(&link.container).is_ok_and(|number| number == container.number) {
                    names.push(format!("{}/{}", linker.name, link.alias));
                }
            }
        }
        names.sort_unstable();
        let mut networks: Vec<&str> = container.endpoints.iter().map(|e| e.network_name.as_str()).collect();
        networks.sort_unstable();
        json!({
            "ID": if view.no_trunc { container.id.as_str() } else { container.id.short() },
            "Names": names.join(","),
            "Image": container.made_from.config.image,
            "Command": command_column(&container.shown_argv().join(" "), view.no_trunc),
            "CreatedAt": inspect::created_at(container.created),
            "RunningFor": format!("{} ago", ago(container.created)),
            "Ports": container.ports_column(self.client.version),
            "State": container.state.name(),
            "Status": status,
            "Size": "0B",
            "Labels": container.made_from.config.labels.text(),
            "Mounts": "",
            "LocalVolumes": "0",
            "Networks": networks.join(","),
        })
    }

    fn container_matches(&self, container: &Container, filters: &[Filter]) -> bool {
        // Values of one filter are alternatives, except labels; filters of different names must all hold.
        let holds = |filter: &Filter| match filter.name.as_str() {
            "name" => name_matches(&container.name, &filter.value),
            "id" => container.id.as_str().starts_with(&filter.value),
            "status" => container.state.name() == filter.value,
            "exited" => container.state == State::Exited && container.exit_code.to_string() == filter.value,
            "health" => container.health.map_or("none", |health| health.status.name()) == filter.value,
            "label" => container.made_from.config.labels.matches(&filter.value),
            "ancestor" => container.made_from.config.image == filter.value,
            "network" => container.endpoints.iter().any(|endpoint| {
                endpoint.network_name == filter.value
                    || endpoint.network_id.as_ref().is_some_and(|id| id.as_str().starts_with(&filter.value))
            }),
            "expose" | "publish" => {
                let ports = container.shown_ports();
                let found = |binding: &PortBinding| {
                    let number = match (filter.name.as_str(), binding.host) {
                        ("publish", Some((_, port))) => port,
                        ("publish", None) => return false,
                        _ => binding.port.port,
                    };
                    names_port(&filter.value, number, binding.port.protocol)
                };
                ports.iter().any(found)
            }
            _ => true,
        };
        grouped(filters, holds)
    }

    fn check_filters(&self, filters: &[Filter], known: &[&str]) -> Result<(), DockerError> {
        for filter in filters {
            if !known.contains(&filter.name.as_str()) {
                let word = match self.profile() {
                    Profile::Docker20_10 => "Invalid",
                    Profile::Docker28 | Profile::Docker29 => "invalid",
                };
                return Err(DockerError::bad_parameter(format!("{word} filter '{}'", filter.name)));
            }
        }
        Ok(())
    }

    pub(super) fn network_inspect(&self, request: &NetworkInspect) -> Result<Outcome, DockerError> {
        let mut found = Vec::new();
        let mut errors = Vec::new();
        for text in &request.networks {
            match self.network(text) {
                Ok(network) => found.push(self.network_json(network)),
                Err(error) => errors.push(error),
            }
        }
        self.show(&found, &found, errors, request.format.as_deref())
    }

    /// What the API's `GET /networks/ID` answers.
    pub fn network_json(&self, network: &Network) -> Value {
        inspect::network(self.profile(), network, |number| self.containers.get(&number).map(Box::as_ref))
    }

    /// What the API's `GET /containers/ID/json` answers.
    pub fn container_json(&self, container: &Container) -> Value {
        inspect::container(self.profile(), container)
    }

    pub(super) fn inspect(&self, request: &Inspect) -> Result<Outcome, DockerError> {
        let (mut plain, mut typed, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        for text in &request.names {
            let container = match request.kind {
                InspectKind::Any | InspectKind::Container => self.container(text).ok(),
                InspectKind::Network => None,
            };
            let network = match request.kind {
                InspectKind::Any | InspectKind::Network => self.network(text).ok(),
                InspectKind::Container => None,
            };
            match (container, network, request.kind) {
                (Some(container), _, _) => {
                    plain.push(self.container_json(container));
                    // A template works on the client's own structure.
                    typed.push(match self.client.version {
                        ClientVersion::V20_10 => inspect::container(Profile::Docker20_10, container),
                        ClientVersion::V28 => inspect::container_for_client(self.profile(), container),
                    });
                }
                (None, Some(network), _) => {
                    plain.push(self.network_json(network));
                    typed.push(self.network_json(network));
                }
                (None, None, InspectKind::Any) => {
                    let error = DockerError::not_found(format!("No such object: {text}"));
                    errors.push(error.shown_as(Shown::Client));
                }
                (None, None, InspectKind::Container) => {
                    errors.push(DockerError::not_found(format!("No such container: {text}")));
                }
                (None, None, InspectKind::Network) => {
                    errors.push(DockerError::not_found(format!("network {text} not found")));
                }
            }
        }
        self.show(&plain, &typed, errors, request.format.as_deref())
    }

    pub(super) fn container_port(&self, request: &ContainerPort) -> Result<Outcome, DockerError> {
        let container = self.container(&request.container)?;
        let ports = container.shown_ports();
        let client = self.client.version;
        let (text, lines) = match &request.port {
            None => ("", port_lines(client, &ports, None)),
            Some(PortQuery { port: Err(reason), .. }) => {
                return Err(DockerError::bad_parameter(reason.as_str()).shown_as(Shown::Client));
            }
            Some(PortQuery { text, port: Ok(None) }) => (text.as_str(), None),
            Some(PortQuery { text, port: Ok(only) }) => (text.as_str(), port_lines(client, &ports, *only)),
        };
        lines.map(Outcome::printed).ok_or_else(|| {
            let error = format!("No public port '{text}' published for {}", request.container);
            DockerError::not_found(error).shown_as(Shown::Client)
        })
    }

    /// Prints inspected objects; `typed` is what a template sees.
    fn show(
        &self,
        plain: &[Value],
        typed: &[Value],
        errors: Vec<DockerError>,
        template: Option<&str>,
    ) -> Result<Outcome, DockerError> {
        let mut outcome = match template {
            None => Outcome::printed(inspect::indented(plain)),
            Some("json") => {
                let lines: String = typed.iter().map(|value| format!("{value}\n")).collect();
                Outcome::printed(lines)
            }
            Some(template) => match formatted(template, typed) {
                Err(error) if error.shown == (Shown::Template { parsed: true }) => {
                    let mut outcome = Outcome::printed("\n".to_owned());
                    outcome.refuse(self.client, error);
                    outcome
                }
                result => result?,
            },
        };
        if template.is_some() && plain.is_empty() && !errors.is_empty() {
            outcome.say("");
        }
        for error in errors {
            outcome.refuse(self.client, error);
        }
        Ok(outcome)
    }
}

pub(super) fn formatted(template: &str, values: &[Value]) -> Result<Outcome, DockerError> {
    let mut text = String::new();
    for value in values {
        text += &format::format(template, value).map_err(bad_format)?;
        text.push('\n');
    }
    Ok(Outcome::printed(text))
}

/// What `inspect` says of a template.
fn bad_format(error: FormatError) -> DockerError {
    let parsed = matches!(error, FormatError::Execute { .. } | FormatError::TooLarge(_));
    DockerError::bad_parameter(format!("template parsing error: {error}"))
        .shown_as(Shown::Template { parsed })
}

/// What a list says of a template. Its rows are a Go type, whose name is told.
fn bad_list_format(kind: ListKind, error: FormatError) -> DockerError {
    let FormatError::Execute { line, column, node, reason } = error else {
        return DockerError::bad_parameter(format!("template parsing error: {error}"))
            .shown_as(Shown::Template { parsed: true });
    };
    let row = match kind {
        ListKind::Containers | ListKind::ContainersWithSize => "*formatter.ContainerContext",
        ListKind::Networks => "*network.networkContext",
    };
    let field = reason.strip_prefix("map has no entry for key \"").and_then(|rest| rest.strip_suffix('"'));
    let reason = match field {
        Some(field) => format!("can't evaluate field {field} in type {row}"),
        None => reason,
    };
    let error = FormatError::Execute { line, column, node, reason };
    DockerError::bad_parameter(format!("failed to execute template: {error}"))
        .shown_as(Shown::Template { parsed: true })
}

/// Whether a filter's `PORT[-PORT][/PROTOCOL]` has a port in it; without a protocol it is of TCP.
fn names_port(filter: &str, port: u16, protocol: Protocol) -> bool {
    let (ports, of) = split_protocol(filter);
    ports.parse().is_ok_and(|range: PortRange| range.contains(port)) && of == protocol.to_string()
}

fn matches_all(network: &Network, filters: &[Filter]) -> bool {
    let holds = |filter: &Filter| match filter.name.as_str() {
        "name" => name_matches(&network.name, &filter.value),
        "id" => network.id.as_str().contains(&filter.value),
        "driver" => network.driver.name() == filter.value,
        "scope" => filter.value == "local",
        "label" => network.labels.matches(&filter.value),
        "type" => filter.value == if network.is_user_defined() { "custom" } else { "builtin" },
        // The list call does not know the containers, so every network of one's own counts as unused.
        "dangling" => network.is_user_defined() == matches!(filter.value.as_str(), "true" | "1"),
        _ => true,
    };
    grouped(filters, holds)
}

/// Filters of one name are alternatives, labels are not; different names must all hold.
fn grouped(filters: &[Filter], holds: impl Fn(&Filter) -> bool) -> bool {
    let mut groups: BTreeMap<&str, bool> = BTreeMap::new();
    for filter in filters {
        let result = holds(filter);
        let group = groups.entry(filter.name.as_str());
        if filter.name == "label" {
            *group.or_insert(true) &= result;
        } else {
            *group.or_insert(false) |= result;
        }
    }
    groups.values().all(|held| *held)
}

/// A name filter: a part of the name, or anchored by `^` and `$`.
fn name_matches(name: &str, pattern: &str) -> bool {
    let (start, pattern) = match pattern.strip_prefix('^') {
        Some(rest) => (true, rest.strip_prefix('/').unwrap_or(rest)),
        None => (false, pattern),
    };
    match (start, pattern.strip_suffix('$')) {
        (true, Some(whole)) => name == whole,
        (false, Some(end)) => name.ends_with(end),
        (true, None) => name.starts_with(pattern),
        (false, None) => name.contains(pattern),
    }
}
