//! What a daemon tells: lists, inspect, ports, version. Nothing here changes anything.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::Daemon;
use super::container_filters::boolean;
use super::name_pattern::NamePattern;
use crate::docker::client::ClientVersion;
use crate::docker::container::{Container, State};
use crate::docker::error::{DockerError, Shown};
use crate::docker::format::shape::{ROW_LABELS, Shape};
use crate::docker::format::{FormatError, Template};
use crate::docker::health::HealthStatus;
use crate::docker::inspect::{self, shapes};
use crate::docker::network::Network;
use crate::docker::outcome::Outcome;
use crate::docker::profile::Profile;
use crate::docker::render::{
    ListError, ListKind, command_column, human_duration, list, natural_order, port_lines,
};
use crate::docker::request::{
    ContainerList, ContainerPort, Filter, Inspect, InspectKind, List, NetworkInspect, PortQuery, View,
};

impl Daemon {
    pub(super) fn network_list(&self, request: &List) -> Result<Outcome, DockerError> {
        const KNOWN: [&str; 7] = ["dangling", "driver", "id", "label", "name", "scope", "type"];
        self.check_filters(&request.filters, &KNOWN)?;
        check_network_filters(&request.filters)?;
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
                    ROW_LABELS: network.labels.json(),
                })
            })
            .collect();
        Ok(Outcome::printed(list(ListKind::Networks, &request.view, &rows).map_err(bad_list_format)?))
    }

    pub(super) fn container_list(
        &self,
        now: Duration,
        request: &ContainerList,
    ) -> Result<Outcome, DockerError> {
        let shown = self.listed_containers(request)?;
        let view = &request.view;
        let rows: Vec<Value> =
            shown.into_iter().map(|container| self.container_row(now, container, view)).collect();
        let kind = if request.size { ListKind::ContainersWithSize } else { ListKind::Containers };
        let ignored = self.client.version == ClientVersion::V28 && view.quiet && view.format.is_some();
        let view = &if ignored { View { format: None, ..view.clone() } } else { view.clone() };
        let mut outcome = Outcome::printed(list(kind, view, &rows).map_err(bad_list_format)?);
        if ignored {
            outcome.output.stderr +=
                "WARNING: Ignoring custom format, because both --format and --quiet are set.\n";
        }
        Ok(outcome)
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
            State::Restarting => {
                let finished = ago(container.finished.unwrap_or(now));
                format!("Restarting ({}) {finished} ago", container.exit_code)
            }
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
            ROW_LABELS: container.made_from.config.labels.json(),
        })
    }

    pub(super) fn check_filters(&self, filters: &[Filter], known: &[&str]) -> Result<(), DockerError> {
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
                Ok(network) => found.push(self.inspected_network(network)),
                Err(error) => errors.push(error),
            }
        }
        self.show(&found, errors, request.format.as_deref())
    }

    fn inspected_network(&self, network: &Network) -> Inspected {
        let sent = self.network_json(network);
        Inspected { typed: sent.clone(), sent, shape: &shapes::NETWORK }
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
        let (mut found, mut errors) = (Vec::new(), Vec::new());
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
                    found.push(Inspected {
                        sent: self.container_json(container),
                        typed: match self.client.version {
                            ClientVersion::V20_10 => inspect::container(Profile::Docker20_10, container),
                            ClientVersion::V28 => inspect::container_for_client(self.profile(), container),
                        },
                        shape: &shapes::CONTAINER,
                    });
                }
                (None, Some(network), _) => {
                    found.push(self.inspected_network(network));
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
        self.show(&found, errors, request.format.as_deref())
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

    /// Prints inspected objects.
    fn show(
        &self,
        found: &[Inspected],
        errors: Vec<DockerError>,
        template: Option<&str>,
    ) -> Result<Outcome, DockerError> {
        let plain = || found.iter().map(|found| found.sent.clone()).collect::<Vec<_>>();
        let mut outcome = match template {
            None => Outcome::printed(inspect::indented(&plain())),
            Some("json") => Outcome::printed(format!("{}\n", Value::Array(plain()))),
            Some(template) => match inspected(template, found) {
                Err(error) if error.shown == (Shown::Template { parsed: true }) => {
                    let mut outcome = Outcome::printed("\n".to_owned());
                    outcome.refuse(self.client, error);
                    outcome
                }
                result => Outcome::printed(result?),
            },
        };
        if template.is_some() && found.is_empty() && !errors.is_empty() {
            outcome.say("");
        }
        for error in errors {
            outcome.refuse(self.client, error);
        }
        Ok(outcome)
    }
}

/// An object as the client has it.
struct Inspected {
    /// What the daemon has sent.
    sent: Value,
    /// The client's own structure.
    typed: Value,
    /// Its type.
    shape: &'static Shape,
}

/// What a template makes of objects: of the client's structures, or where these have not what it asks for, of the JSON
/// that the daemon has sent.
fn inspected(template: &str, found: &[Inspected]) -> Result<String, DockerError> {
    let template = Template::parse(template).map_err(bad_format)?;
    let mut text = String::new();
    for object in found {
        let typed = template.execute_as(&object.typed, object.shape);
        text += &typed.or_else(|_| template.execute(&object.sent)).map_err(bad_format)?;
        text.push('\n');
    }
    Ok(text)
}

/// What `inspect` says of a template.
pub(super) fn bad_format(error: FormatError) -> DockerError {
    let parsed = matches!(error, FormatError::Execute { .. } | FormatError::TooLarge(_));
    DockerError::bad_parameter(format!("template parsing error: {error}"))
        .shown_as(Shown::Template { parsed })
}

/// What a list says of a template.
fn bad_list_format(error: ListError) -> DockerError {
    DockerError::bad_parameter(error.to_string()).shown_as(Shown::Alone)
}

/// Refuses values that mean nothing.
fn check_network_filters(filters: &[Filter]) -> Result<(), DockerError> {
    for Filter { name, value } in filters {
        let complaint = match name.as_str() {
            "type" if !matches!(value.as_str(), "custom" | "builtin") => {
                format!("invalid filter: 'type'='{value}'")
            }
            "dangling" if boolean(value).is_none() => {
                r#"invalid value for filter 'dangling', must be "true" (or "1"), or "false" (or "0")"#
                    .to_owned()
            }
            _ => continue,
        };
        return Err(DockerError::bad_parameter(complaint));
    }
    Ok(())
}

fn matches_all(network: &Network, filters: &[Filter]) -> bool {
    let holds = |filter: &Filter| match filter.name.as_str() {
        "name" => NamePattern::parse(&filter.value).is_in(&network.name),
        "id" => network.id.as_str().contains(&filter.value),
        "driver" => network.driver.name() == filter.value,
        "scope" => filter.value == "local",
        "label" => network.labels.matches(&filter.value),
        "type" => filter.value == if network.is_user_defined() { "custom" } else { "builtin" },
        // The list call does not know the containers, so every network of one's own counts as unused.
        "dangling" => Some(network.is_user_defined()) == boolean(&filter.value),
        _ => true,
    };
    grouped(filters, holds)
}

/// Filters of one name are alternatives, labels are not; different names must all hold.
pub(super) fn grouped(filters: &[Filter], holds: impl Fn(&Filter) -> bool) -> bool {
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
