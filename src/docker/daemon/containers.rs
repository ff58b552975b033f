//! Containers that do not run: create, remove, rename.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Daemon;
use crate::docker::blueprint::Blueprint;
use crate::docker::capability;
use crate::docker::client::ClientVersion;
use crate::docker::container::{AfterExit, Container, State, valid_container_name};
use crate::docker::error::{DockerError, Shown, joined};
use crate::docker::outcome::{Ask, HostView, Kill, Outcome, Output};
use crate::docker::profile::Profile;
use crate::docker::request::{
    ContainerCreate, ContainerRemove, ContainerRename, ContainerUpdate, EndpointConfig, NetworkMode,
    RestartPolicy,
};
use crate::docker::signal::Signal;
use crate::docker::sysctls;

const HOST_AND_LINKS: &str = "conflicting options: host type networking can't be used with links. This would result in \
                              undefined behavior";

impl Daemon {
    pub(super) fn container_run(
        &mut self,
        now: Duration,
        create: &ContainerCreate,
        view: &HostView,
    ) -> Result<Outcome, DockerError> {
        let mut outcome = Outcome::default();
        let number = self
            .container_create(now, create, view, &mut outcome)
            .map_err(|error| error.shown_as(Shown::Run))?;
        let Some(id) = self.containers.get(&number).map(|container| container.id.clone()) else {
            return Ok(outcome);
        };
        if create.detach {
            outcome.say(id.as_str());
        }
        match self.start_container(now, number, view) {
            Ok(started) => {
                outcome.extend(started);
                if !create.detach {
                    outcome.asks.push(Ask::Attach { container: id, stdin: create.interactive });
                }
            }
            Err(error) => {
                outcome.refuse(self.client, error.shown_as(Shown::RunStart));
                if create.auto_remove {
                    self.forget_container(now, number, &mut outcome);
                }
            }
        }
        Ok(outcome)
    }

    /// Makes a container that does not run yet and returns its number.
    pub(super) fn container_create(
        &mut self,
        now: Duration,
        create: &ContainerCreate,
        view: &HostView,
        outcome: &mut Outcome,
    ) -> Result<u32, DockerError> {
        let id = self.source.id();
        self.check_create(create)?;
        let mut config = create.clone();
        if self.profile().modes_name_the_default_network() && config.network_mode == NetworkMode::Default {
            config.network_mode = NetworkMode::Bridge;
        }
        if config.endpoints.is_empty() {
            config.endpoints.push(EndpointConfig::on(config.network_mode.to_string()));
        }
        if let Some(name) = config.network_mode.network_name()
            && let Some(first) = config.endpoints.first_mut()
        {
            name.clone_into(&mut first.network);
            first.mac = first.mac.take().or_else(|| config.mac.clone());
        }
        self.check_new_endpoints(&config.endpoints)?;
        if let NetworkMode::Container(target) = &mut config.network_mode
            && let Ok(found) = self.container(target)
        {
            // Whatever the target is called later, it is this one.
            *target = found.id.to_string();
        }
        // An empty entrypoint takes the image's command away as well.
        if config.entrypoint.as_deref() == Some("") && config.command.is_empty() {
            return Err(DockerError::bad_parameter(match self.profile() {
                Profile::Docker20_10 => "No command specified",
                Profile::Docker28 | Profile::Docker29 => "no command specified",
            }));
        }
        let name = match &create.name {
            Some(name) => {
                let name = name.strip_prefix('/').unwrap_or(name);
                self.check_name(name)?;
                name.to_owned()
            }
            None => self.generated_name(),
        };
        let routed = !matches!(config.network_mode, NetworkMode::Host | NetworkMode::None);
        let forwards = match self.profile().looks_at_forwarding_once() {
            true => self.saw_forwarding,
            false => self.host_forwards(view),
        };
        if routed && !forwards {
            outcome.output.stderr += "WARNING: IPv4 forwarding is disabled. Networking will not work.\n";
        }
        let number = self.next_number();
        let endpoints = match &config.network_mode {
            NetworkMode::Container(_) => Vec::new(),
            _ => {
                let mut endpoints = Vec::with_capacity(config.endpoints.len());
                for endpoint in std::mem::take(&mut config.endpoints) {
                    // An unknown network is found out at start, as by dockerd.
                    let network = self.network_number(&endpoint.network).unwrap_or(0);
                    endpoints.push(self.new_endpoint(network, endpoint, false));
                }
                endpoints
            }
        };
        for link in &config.links {
            let target = self.container(&link.container).map_err(|error| {
                DockerError::bad_parameter(format!("could not get container for {}: {error}", link.container))
            })?;
            if target.made_from.config.network_mode == NetworkMode::Host {
                return Err(DockerError::bad_parameter(HOST_AND_LINKS));
            }
        }
        let image = config.catalogue_key.as_ref().unwrap_or(&config.image).clone();
        let kind = (image.clone(), config.network_mode.to_string());
        let image = self.config.images.get(&image).cloned().unwrap_or_default();
        let made_from = self.blueprints.share(kind, Blueprint::new(config, image));
        let hostname =
            made_from.config.hostname.clone().unwrap_or_else(|| match made_from.config.network_mode {
                NetworkMode::Host => self.host.hostname.clone(),
                _ => id.short().to_owned(),
            });
        let container = Container {
            number,
            id: id.clone(),
            name: name.clone(),
            created: now,
            made_from,
            hostname,
            state: State::Created,
            started: None,
            finished: None,
            exit_code: 0,
            error: String::new(),
            health: None,
            restarts: 0,
            backoff: 0,
            stopped_by_hand: false,
            network_disabled: false,
            after: AfterExit::Policy,
            endpoints,
            sandbox: None,
            sandbox_id: None,
            opened_links: Vec::new(),
            bindings: Vec::new(),
            routes: None,
            interface_counters: BTreeMap::new(),
            resolver: None,
            hosts: "".into(),
            resolv_conf: "".into(),
        };
        self.container_ids.insert(id, number);
        self.container_names.insert(name, number);
        if !container.made_from.config.links.is_empty() {
            self.linkers.insert(number);
        }
        self.containers.insert(number, Box::new(container));
        outcome.events.extend(self.container_event(now, "create", number, &[]));
        Ok(number)
    }

    fn check_name(&self, name: &str) -> Result<(), DockerError> {
        valid_container_name(name).map_err(DockerError::bad_parameter)?;
        match self.container_names.get(name).and_then(|number| self.containers.get(number)) {
            None => Ok(()),
            Some(other) => Err(DockerError::conflict(format!(
                "Conflict. The container name \"/{name}\" is already in use by container \"{}\". You have to remove \
                 (or rename) that container to be able to reuse that name.",
                other.id
            ))),
        }
    }

    fn generated_name(&mut self) -> String {
        let name = self.source.name();
        if !self.container_names.contains_key(&name) {
            return name;
        }
        // As moby does when the list is used up: a digit behind the name.
        (1u32..)
            .map(|tail| format!("{name}{tail}"))
            .find(|name| !self.container_names.contains_key(name))
            .unwrap_or(name)
    }

    fn check_create(&self, create: &ContainerCreate) -> Result<(), DockerError> {
        let conflict = |what: &str| Err(DockerError::bad_parameter(format!("conflicting options: {what}")));
        if let NetworkMode::Container(target) = &create.network_mode {
            if target.is_empty() {
                return Err(DockerError::bad_parameter(match self.profile() {
                    Profile::Docker20_10 => {
                        "Invalid network mode: invalid container format container:<name|id>"
                    }
                    Profile::Docker28 | Profile::Docker29 => {
                        "invalid network mode: invalid container format container:<name|id>"
                    }
                }));
            }
            if create.hostname.is_some() {
                return conflict("hostname and the network mode");
            }
            if !create.links.is_empty() {
                return conflict(
                    "container type network can't be used with links. This would result in undefined behavior",
                );
            }
            if !create.dns.is_empty() {
                return conflict("dns and the network mode");
            }
            if !create.extra_hosts.is_empty() {
                return conflict("custom host-to-IP mapping and the network mode");
            }
            if !create.ports.is_empty() || create.publish_all {
                return conflict("port publishing and the container type network mode");
            }
            if !create.expose.is_empty() {
                return conflict("port exposing and the container type network mode");
            }
        }
        if create.network_mode == NetworkMode::Host && !create.links.is_empty() {
            return Err(DockerError::bad_parameter(HOST_AND_LINKS));
        }
        let without_endpoint = match create.network_mode {
            NetworkMode::Container(_) | NetworkMode::Host => true,
            NetworkMode::None => self.profile().endpoint_mac_address(),
            NetworkMode::Default | NetworkMode::Bridge | NetworkMode::Network(_) => false,
        };
        // A newer client puts the address into the settings of an endpoint, and no endpoint has no address.
        if without_endpoint && create.mac.is_some() && self.client.version == ClientVersion::V20_10 {
            return conflict("mac-address and the network mode");
        }
        sysctls::check_create(create, self.profile())?;
        if let Some(text) = &create.stop_signal {
            self.parse_signal(text)?;
        }
        for (option, names) in [("CapAdd", &create.cap_add), ("CapDrop", &create.cap_drop)] {
            if let Some(name) = capability::unknown(names) {
                let text = format!("invalid {option}: unknown capability: \"{name}\"");
                return Err(DockerError::bad_parameter(text));
            }
        }
        Ok(())
    }

    /// What is known to be wrong with endpoints before there is a container: of old, their number and addresses that are
    /// none; now all that a start would find out.
    fn check_new_endpoints(&self, endpoints: &[EndpointConfig]) -> Result<(), DockerError> {
        if self.profile().checks_endpoints_at_create() {
            let complaint = |endpoint: &EndpointConfig| {
                let network = self.network_number(&endpoint.network).ok();
                let error = self.check_endpoint(network, endpoint).err()?;
                Some(format!("invalid config for network {}: {}", endpoint.network, error.message))
            };
            let complaints: Vec<String> = endpoints.iter().filter_map(complaint).collect();
            return match complaints.is_empty() {
                true => Ok(()),
                false => Err(DockerError::bad_parameter(joined(&complaints))),
            };
        }
        if endpoints.len() > 1 {
            let mut names: Vec<&str> = endpoints.iter().map(|e| e.network.as_str()).collect();
            names.sort_unstable();
            return Err(DockerError::bad_parameter(format!(
                "Container cannot be connected to network endpoints: {}",
                names.join(", ")
            )));
        }
        let families = endpoints.iter().flat_map(|endpoint| [(&endpoint.ipv4, 4), (&endpoint.ipv6, 6)]);
        let asked = families.filter_map(|(text, family)| Some((text.as_ref()?, family)));
        for (text, family) in asked {
            let valid =
                text.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_ipv4() == (family == 4));
            if !valid {
                return Err(DockerError::bad_parameter(format!("invalid IPv{family} address: {text}")));
            }
        }
        Ok(())
    }

    pub(super) fn container_remove(&mut self, now: Duration, remove: &ContainerRemove) -> Outcome {
        let mut outcome = Outcome::default();
        for text in &remove.containers {
            let result = if remove.link {
                self.remove_link(text, &mut outcome)
            } else {
                self.remove_one(now, text, remove.force, &mut outcome)
            };
            match result {
                Ok(()) => outcome.say(text),
                Err(error) if remove.force && error.status == 404 => {
                    outcome.output.append(Output { exit: 0, ..self.client.output(&error) });
                    outcome.errors.push(error);
                }
                Err(error) => outcome.refuse(self.client, error),
            }
        }
        outcome
    }

    fn remove_one(
        &mut self,
        now: Duration,
        text: &str,
        force: bool,
        outcome: &mut Outcome,
    ) -> Result<(), DockerError> {
        let number = self.container_number(text)?;
        let profile = self.profile();
        let Some(container) = self.containers.get_mut(&number) else { return Ok(()) };
        if !container.state.is_running() {
            self.forget_container(now, number, outcome);
            return Ok(());
        }
        let (id, name) = (container.id.clone(), container.name.clone());
        if !force {
            let (paused, state) = (container.state == State::Paused, container.state.name());
            return Err(DockerError::conflict(match (profile, paused) {
                (Profile::Docker20_10, false) => format!(
                    "You cannot remove a {state} container {id}. Stop the container before attempting removal or force \
                     remove"
                ),
                (Profile::Docker20_10, true) => {
                    format!(
                        "You cannot remove a paused container {id}. Unpause and then stop the container before attempting removal or force remove"
                    )
                }
                (Profile::Docker28 | Profile::Docker29, false) => format!(
                    "cannot remove container \"{name}\": container is {state}: stop the container before removing or \
                     force remove"
                ),
                (Profile::Docker28 | Profile::Docker29, true) => format!(
                    "cannot remove container \"{name}\": container is paused and must be unpaused first"
                ),
            }));
        }
        if container.state == State::Restarting {
            self.forget_container(now, number, outcome);
            return Ok(());
        }
        container.after = AfterExit::Remove;
        if container.state == State::Paused {
            container.state = State::Running;
            outcome.kills.push(Kill::Freeze { container: id.clone(), frozen: false });
        }
        outcome.kills.push(Kill::Container { container: id.clone(), signal: Signal::KILL, escalate: None });
        outcome.waits.push(id);
        let signal = [("signal", "9".to_owned())];
        outcome.events.extend(self.container_event(now, "kill", number, &signal));
        Ok(())
    }

    /// Removes a container that does not run from memory.
    pub(super) fn forget_container(&mut self, now: Duration, number: u32, outcome: &mut Outcome) {
        outcome.events.extend(self.container_event(now, "destroy", number, &[]));
        self.lose_links(number);
        if let Some(container) = self.containers.remove(&number) {
            self.container_ids.remove(container.id.as_str());
            self.container_names.remove(&container.name);
            self.linkers.remove(&number);
        }
    }

    /// `docker update`, one container after the other.
    pub(super) fn container_update(&mut self, now: Duration, update: &ContainerUpdate) -> Outcome {
        let mut outcome = Outcome::default();
        for text in &update.containers {
            match self.update_one(now, text, update.restart, &mut outcome) {
                Ok(()) => outcome.say(text),
                Err(error) => outcome.refuse(self.client, error),
            }
        }
        outcome
    }

    fn update_one(
        &mut self,
        now: Duration,
        text: &str,
        restart: Option<RestartPolicy>,
        outcome: &mut Outcome,
    ) -> Result<(), DockerError> {
        let number = self.container_number(text)?;
        let Some(container) = self.containers.get_mut(&number) else { return Ok(()) };
        if let Some(restart) = restart {
            if restart != RestartPolicy::No && container.made_from.config.auto_remove {
                return Err(DockerError::conflict(format!(
                    "Cannot update container {}: Restart policy cannot be updated because AutoRemove is enabled for the \
                     container",
                    container.id
                )));
            }
            Arc::make_mut(&mut container.made_from).config.restart = restart;
        }
        outcome.events.extend(self.container_event(now, "update", number, &[]));
        Ok(())
    }

    /// `docker rename`: the client adds which name it had in mind to whatever the daemon says.
    pub(super) fn container_rename(&mut self, now: Duration, rename: &ContainerRename) -> Outcome {
        self.try_rename(now, rename).unwrap_or_else(|error| {
            let mut outcome = Outcome::default();
            let status = error.status;
            outcome.refuse(self.client, error);
            let text = format!("failed to rename container named {}", rename.container);
            outcome.refuse(self.client, DockerError::new(status, text).shown_as(Shown::Client));
            outcome
        })
    }

    fn try_rename(&mut self, now: Duration, rename: &ContainerRename) -> Result<Outcome, DockerError> {
        let number = self.container_number(&rename.container)?;
        let new = rename.new_name.strip_prefix('/').unwrap_or(&rename.new_name).to_owned();
        let old = self.containers.get(&number).map(|container| container.name.clone()).unwrap_or_default();
        if old == new {
            return Err(DockerError::bad_parameter(
                "Renaming a container with the same name as its current name",
            ));
        }
        self.check_name(&new).map_err(|error| {
            // What is renamed has its slash already.
            let message = error.message.replace(&format!("name ({new})"), &format!("name (/{new})"));
            let message = format!("Error when allocating new name: {message}");
            DockerError { message, ..error }
        })?;
        self.rename_link_target(number, &new);
        self.container_names.remove(&old);
        self.container_names.insert(new.clone(), number);
        let mut positions = 0;
        if let Some(container) = self.containers.get_mut(&number) {
            container.name = new;
            positions = container.endpoints.len();
        }
        for position in 0..positions {
            self.forget_names(number, position);
            self.register_names(number, position);
        }
        let mut outcome = Outcome::default();
        let attribute = [("oldName", format!("/{old}"))];
        outcome.events.extend(self.container_event(now, "rename", number, &attribute));
        Ok(outcome)
    }

    fn forget_names(&mut self, number: u32, position: usize) {
        let Some(endpoint) = self.containers.get(&number).and_then(|c| c.endpoints.get(position)) else {
            return;
        };
        let (Some(active), Some(network)) = (&endpoint.active, endpoint.network_number) else { return };
        if let Some(network) = self.networks.get(&network) {
            self.names.remove_owner(&network.key(), active.owner);
        }
    }
}
