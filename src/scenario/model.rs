//! The typed scenario: what a file asks for, after every file was read, merged and judged.
//!
//! Nothing here is a request to Docker yet; names are the file's own keys, and the translation gives them their real
//! names. Everything is owned, plain data. Lists are in document order. Here are the whole and the values that its parts
//! share; the parts are in files by the section they come from.

mod docker_config;
mod host;
mod network;
mod service;
mod world;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::causes::KeySpans;
use super::checks::Check;
use super::diagnostic::{Diagnostic, SourceMap};
use super::keys::Ignored;
use super::steps::Step;
use super::tasks::Task;

pub use crate::docker::profile::Profile;
pub use docker_config::{Client, ClientProxy, Daemon};
pub use host::{Host, Nic, Route};
pub use network::{Driver, Network, Pool};
pub use service::{
    Attachment, Build, Command, Condition, Dependency, EndpointMode, ExtraHost, Healthcheck, HostAddress,
    HostPort, Link, NetworkMode, PublishMode, PublishedPort, Restart, Service,
};
pub use world::{DnsData, DnsRecord, LinkEnd, Machine, Proxy, World, WorldLink};

/// Everything one scenario or Compose file says.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The project's name: given, or `name:`, or the file's folder.
    pub name: String,
    /// The file it was loaded from.
    pub file: PathBuf,
    /// Docker hosts. Empty: one host on the default stage.
    pub hosts: Vec<Host>,
    /// What is outside.
    pub world: World,
    /// daemon.json.
    pub daemon: Daemon,
    /// The docker command's configuration.
    pub client: Client,
    /// What images run, by the name used in `image:`.
    pub images: BTreeMap<String, ImageSpec>,
    /// Networks, the implicit `default` last when a service needs it.
    pub networks: Vec<Network>,
    /// Services of active profiles.
    pub services: Vec<Service>,
    /// What happens.
    pub steps: Vec<Step>,
    /// What must hold.
    pub checks: Vec<Check>,
    /// What a learner reads first.
    pub text: Option<String>,
    /// What a learner is asked to do or find out.
    pub tasks: Vec<Task>,
    /// What the author should look at; notes among them are for `--verbose`.
    pub warnings: Vec<Diagnostic>,
    /// Keys that were accepted and not used, for `--verbose`.
    pub ignored: Vec<Ignored>,
    /// Where each key was written.
    pub key_spans: KeySpans,
    /// The files read, to show a span's line.
    pub sources: SourceMap,
}

impl Scenario {
    /// The service with this key.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name.value == name)
    }

    /// The network with this key.
    #[must_use]
    pub fn network(&self, key: &str) -> Option<&Network> {
        self.networks.iter().find(|network| network.key.value == key)
    }

    /// The names a service's containers get, in order of their number.
    #[must_use]
    pub fn container_names(&self, service: &Service) -> Vec<String> {
        match &service.container_name {
            Some(name) => vec![name.value.clone()],
            None => {
                (1..=service.replicas).map(|n| format!("{}-{}-{n}", self.name, service.name.value)).collect()
            }
        }
    }

    /// Services in the order Compose starts them: dependencies first, else document order.
    #[must_use]
    pub fn start_order(&self) -> Vec<&Service> {
        let index: BTreeMap<&str, usize> =
            self.services.iter().enumerate().map(|(i, service)| (service.name.value.as_str(), i)).collect();
        let needs: Vec<Vec<usize>> = self
            .services
            .iter()
            .map(|service| service.needs().filter_map(|(name, _)| index.get(name).copied()).collect())
            .collect();
        // A cycle was refused when the file was read, so the order found is complete.
        order(&needs).unwrap_or_default().into_iter().map(|i| &self.services[i]).collect()
    }

    /// What listens in a service's containers when no step starts anything: what `images:` says of the image; else
    /// `expose`, the targets of `ports`, the Dockerfile's EXPOSE, and the known ports of the image (or of the image
    /// the Dockerfile builds on), each once, in that order. What a service exposes or publishes for another that shares
    /// its namespace (`network_mode: service:NAME`) is listened to by the other.
    #[must_use]
    pub fn listening_ports(&self, service: &Service) -> Vec<ListenPort> {
        let sharing = self.services.iter().filter(|other| match &other.network {
            NetworkMode::Service(name) => *name == service.name,
            NetworkMode::Container(name) => service.container_name.as_ref() == Some(name),
            _ => false,
        });
        let theirs: Vec<ListenPort> = sharing.flat_map(|other| self.ports_of(other)).collect();
        let own = self.ports_of_image(service);
        let mut ports = self.ports_of(service);
        ports.retain(|port| !theirs.contains(port) || own.contains(port));
        ports
    }

    fn ports_of(&self, service: &Service) -> Vec<ListenPort> {
        let spec = service.image.as_ref().and_then(|image| self.images.get(&image.value));
        if let Some(ports) = spec.and_then(|spec| spec.listen.as_ref()) {
            return ports.clone();
        }
        let mut ports: Vec<ListenPort> = service.expose.clone();
        ports.extend(
            service.ports.iter().map(|port| ListenPort { port: port.target, protocol: port.protocol }),
        );
        ports.extend(self.ports_of_image(service));
        let mut seen = std::collections::BTreeSet::new();
        ports.retain(|port| seen.insert(*port));
        ports
    }

    /// What the image itself is known to listen on.
    pub(super) fn ports_of_image(&self, service: &Service) -> Vec<ListenPort> {
        let spec = service.image.as_ref().and_then(|image| self.images.get(&image.value));
        let mut ports: Vec<ListenPort> = spec.iter().flat_map(|spec| spec.expose.iter().copied()).collect();
        if let Some(build) = &service.build {
            ports.extend(build.expose.iter().copied());
            ports.extend(build.base_image.iter().flat_map(|image| super::images_table::listens(image)));
        } else if let Some(image) = &service.image {
            ports.extend(super::images_table::listens(&image.value));
        }
        ports
    }
}

/// Indices so that every one comes after those it needs, else in the given order; `Err` names one on a cycle.
pub(super) fn order(needs: &[Vec<usize>]) -> Result<Vec<usize>, usize> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; needs.len()];
    let mut out = Vec::with_capacity(needs.len());
    for root in 0..needs.len() {
        let mut stack = vec![(root, 0)];
        while let Some((node, next)) = stack.pop() {
            if next == 0 {
                match marks[node] {
                    Mark::Done => continue,
                    Mark::Open => return Err(node),
                    Mark::New => marks[node] = Mark::Open,
                }
            }
            if let Some(child) = needs[node].get(next) {
                stack.push((node, next + 1));
                stack.push((*child, 0));
            } else {
                marks[node] = Mark::Done;
                out.push(node);
            }
        }
    }
    Ok(out)
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP, the default everywhere.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

impl FromStr for Protocol {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            "sctp" => Ok(Self::Sctp),
            _ => Err(format!("unknown protocol `{text}`: expected tcp, udp or sctp")),
        }
    }
}

/// A port something listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListenPort {
    /// The port, never 0.
    pub port: u16,
    /// Its protocol.
    pub protocol: Protocol,
}

impl fmt::Display for ListenPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.port, self.protocol)
    }
}

/// A MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for Mac {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a MAC address, as 02:42:ac:11:00:02");
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2).ok_or_else(wrong)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| wrong())?;
        }
        if parts.next().is_some() { Err(wrong()) } else { Ok(Self(bytes)) }
    }
}

/// `images.<name>`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageSpec {
    /// What listens; absent: as if nothing were said.
    pub listen: Option<Vec<ListenPort>>,
    /// EXPOSE.
    pub expose: Vec<ListenPort>,
    /// What a port answers.
    pub serves: Vec<(ListenPort, String)>,
    /// ENV.
    pub environment: Vec<(String, String)>,
    /// CMD.
    pub command: Option<Command>,
    /// ENTRYPOINT.
    pub entrypoint: Option<Command>,
}
