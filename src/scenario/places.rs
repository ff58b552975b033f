//! What the names of a scenario mean in its running world: which container, host or machine, which address, which link;
//! and what is typed there with the file's own keys.
//!
//! Names are looked up each time they are used, because containers come and go. A name that means nothing becomes a
//! place that does not exist, and whoever uses it is told so by the world.

use std::net::IpAddr;

use super::checks::{Endpoint, Place};
use super::model::Scenario;
use super::steps::Target;
use super::{build, keys_in_requests, translate};
use crate::docker::cli::config::ClientConfig;
use crate::docker::cli::{self, words};
use crate::docker::client::ClientVersion;
use crate::world::probe::ProbeOutcome;
use crate::world::{HostId, Job, Location, World, WorldError};

/// The places of a scenario whose services run on this host.
#[derive(Clone, Copy)]
pub struct Places<'a> {
    scenario: &'a Scenario,
    host: HostId,
}

/// What became of a docker command line.
pub struct DockerCommand {
    /// What the client said before anything else: warnings, or why it asked the daemon nothing.
    pub said: String,
    /// What follows.
    pub then: DockerAnswer,
}

/// Whether the daemon was asked.
pub enum DockerAnswer {
    /// The client refused the command line, with this exit status.
    Refused(u8),
    /// The daemon answers; this prints the rest.
    Asked(Job),
}

/// Why a docker command could not be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DockerCommandError {
    /// No shell could split the line into words.
    #[error("{0}")]
    Words(String),
    /// The world cannot do it.
    #[error("{0}")]
    World(#[from] WorldError),
}

impl<'a> Places<'a> {
    /// The places of a scenario on its host.
    #[must_use]
    pub const fn new(scenario: &'a Scenario, host: HostId) -> Self {
        Self { scenario, host }
    }

    /// Where a target is. An unknown name becomes a container that the world does not know.
    #[must_use]
    pub fn locate(&self, target: &Target) -> Location {
        match target {
            Target::Host(_) => Location::Host(self.host),
            Target::World(name) => Location::Machine(name.clone()),
            Target::Container(name) => Location::Container(self.host, self.container_name(name)),
        }
    }

    /// A service's first container, or the container of that name.
    #[must_use]
    pub fn container_name(&self, name: &str) -> String {
        let service = self.scenario.service(name);
        let first = service.and_then(|s| self.scenario.container_names(s).into_iter().next());
        first.unwrap_or_else(|| name.to_owned())
    }

    /// Whether there is a container of exactly this name. The daemon itself would take the beginning of an id, too.
    #[must_use]
    pub fn has_container(&self, world: &World, name: &str) -> bool {
        world.daemon(self.host).is_some_and(|daemon| daemon.containers().any(|c| c.name == name))
    }

    /// Tries to reach an endpoint: a ping without a port, else a connection or a datagram.
    pub fn attempt(
        &self,
        world: &mut World,
        from: &Location,
        to: &Endpoint,
    ) -> Result<ProbeOutcome, WorldError> {
        let target = self.target(world, to)?;
        world.probe(from, &target, to.attempt())
    }

    /// The name or address that an endpoint is tried by.
    pub fn target(&self, world: &World, to: &Endpoint) -> Result<String, WorldError> {
        Ok(match &to.place {
            Place::Name(name) => name.clone(),
            Place::Address(address) => address.to_string(),
            Place::Host(_) => first_address(world, &Location::Host(self.host))?,
            Place::World(name) => first_address(world, &Location::Machine(name.clone()))?,
        })
    }

    /// Whether a place, by an alias or by an address, is the one who asks.
    pub fn is_itself(
        &self,
        world: &mut World,
        location: &Location,
        place: &Place,
    ) -> Result<bool, WorldError> {
        let target = match place {
            Place::Address(address) => vec![*address],
            Place::Name(name) => world.resolve(location, name)?,
            Place::Host(_) | Place::World(_) => return Ok(false),
        };
        let own = world.addresses(location)?;
        Ok(!target.is_empty() && target.iter().all(|address| own.contains(address)))
    }

    /// Says so if the two ends are containers without a common network.
    #[must_use]
    pub fn apart(&self, world: &World, from: &Location, to: &Endpoint) -> Option<String> {
        let Place::Name(name) = &to.place else { return None };
        let daemon = world.daemon(self.host)?;
        let networks = |name: &str| -> Option<Vec<String>> {
            let container = daemon.container(name).ok()?;
            Some(container.endpoints.iter().map(|e| e.network_name.clone()).collect())
        };
        let source = from.container()?;
        let target = self.container_name(name);
        let (own, other) = (networks(source)?, networks(&target)?);
        let common = own.iter().any(|network| other.contains(network));
        let list =
            |names: &[String]| if names.is_empty() { "no network".to_owned() } else { names.join(", ") };
        (!common).then(|| {
            format!("{source} is on {}, {target} on {}: no common network", list(&own), list(&other))
        })
    }

    /// The card of the host or of a machine that a name means there: its own name, or that of a link of the file.
    #[must_use]
    pub fn card(&self, world: &World, place: &Location, name: &str) -> Option<String> {
        let cards = self.cards(world, place);
        if cards.iter().any(|card| card == name) {
            return Some(name.to_owned());
        }
        let known = self.scenario.world.links.iter().any(|link| link.name.value == name);
        let (machine, card) = build::link_end(self.scenario, name);
        let here = match place {
            Location::Host(host) => world.daemon(*host).is_some_and(|d| d.host().hostname == machine),
            Location::Machine(own) => *own == machine,
            Location::Container(..) => false,
        };
        if known && here { card.or_else(|| cards.first().cloned()) } else { None }
    }

    /// The cards of the host or of a machine that are plugged in.
    #[must_use]
    pub fn cards(&self, world: &World, place: &Location) -> Vec<String> {
        match place {
            Location::Host(host) => {
                world.daemon(*host).map(|d| world.cards(&d.host().hostname)).unwrap_or_default()
            }
            Location::Machine(name) => world.cards(name),
            Location::Container(..) => Vec::new(),
        }
    }

    /// Cuts or heals the link of a name: a link of the file, a card of the host, or a machine's first card.
    pub fn set_link(&self, world: &mut World, name: &str, cut: bool) -> Result<(), WorldError> {
        let (machine, card) = build::link_end(self.scenario, name);
        world.set_link(&machine, card.as_deref(), cut)
    }

    /// Carries out a docker command line, which begins with `docker`.
    pub fn docker(&self, world: &mut World, command: &str) -> Result<DockerCommand, DockerCommandError> {
        let words = words::split(command).map_err(|error| DockerCommandError::Words(error.to_string()))?;
        let client = self.scenario.client.version;
        let mut parsed = match cli::parse(&words) {
            Ok(parsed) => parsed,
            Err(error) => {
                let then = DockerAnswer::Refused(error.exit_code());
                return Ok(DockerCommand { said: format!("{}\n", error.text(client)), then });
            }
        };
        let mut said: String = parsed.warnings.iter().map(|w| format!("{w}\n")).collect();
        let profile = world.daemon(self.host).map(|d| d.config().profile).unwrap_or_default();
        // A client as old as the daemon has nothing newer to ask for.
        if client == ClientVersion::V28
            && let Err(error) = cli::check_api_version(&parsed, profile)
        {
            said.push_str(&format!("{error}\n"));
            return Ok(DockerCommand { said, then: DockerAnswer::Refused(error.exit_code()) });
        }
        let config = match &parsed.config_folder {
            None => translate::client_config(self.scenario),
            Some(folder) => {
                let text = self.client_file(world, folder)?;
                let (config, warning) = ClientConfig::of_folder(folder, text.as_deref());
                said.extend(warning.map(|warning| format!("{warning}\n")));
                config
            }
        };
        config.complete(&mut parsed.request);
        if let Some(daemon) = world.daemon(self.host) {
            keys_in_requests::translate(&mut parsed.request, self.scenario, daemon);
        }
        world.set_client(self.host, client);
        let job = world.request(self.host, &parsed.request)?;
        Ok(DockerCommand { said, then: DockerAnswer::Asked(job) })
    }

    /// `FOLDER/config.json` of the Docker host, where the client runs; `None` if there is no such file.
    fn client_file(&self, world: &World, folder: &str) -> Result<Option<String>, WorldError> {
        let path = format!("{}/config.json", folder.trim_end_matches('/'));
        let text = world.file(&Location::Host(self.host), &path)?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    }
}

fn first_address(world: &World, location: &Location) -> Result<String, WorldError> {
    let addresses = world.addresses(location)?;
    let first = addresses.first().map(IpAddr::to_string);
    first.ok_or_else(|| WorldError::NoPlace("address of its own".to_owned()))
}
