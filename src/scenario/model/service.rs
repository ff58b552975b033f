//! `services`: what each is built from, runs, is connected to, publishes and depends on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use super::{ListenPort, Mac, Protocol};
use crate::scenario::diagnostic::{Span, Spanned};

/// What a service is connected to.
#[derive(Clone, Debug)]
pub enum NetworkMode {
    /// These networks, in the order Compose connects them (priority, highest first, then name).
    Networks(Vec<Attachment>),
    /// The host's own namespace.
    Host,
    /// Loopback only.
    None,
    /// Docker's default bridge `docker0`.
    DefaultBridge,
    /// The namespace of another service's first container.
    Service(Spanned<String>),
    /// The namespace of a container.
    Container(Spanned<String>),
}

/// `services.<name>.networks.<key>`.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// The network's key.
    pub network: Spanned<String>,
    /// More names on this network.
    pub aliases: Vec<String>,
    /// The interface's name in the container.
    pub interface_name: Option<String>,
    /// A fixed IPv4 address.
    pub ipv4_address: Option<Ipv4Addr>,
    /// A fixed IPv6 address.
    pub ipv6_address: Option<Ipv6Addr>,
    /// Where the fixed address is written; the IPv4 one if there are two.
    pub address_span: Option<Span>,
    /// More link-local addresses.
    pub link_local_ips: Vec<IpAddr>,
    /// The MAC address (the service's `mac_address` goes to the first attachment).
    pub mac_address: Option<Mac>,
    /// Endpoint options.
    pub driver_opts: Vec<(String, String)>,
    /// Connect order.
    pub priority: i64,
    /// The highest gives the default gateway.
    pub gw_priority: i64,
}

/// The host port of a published port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostPort {
    /// A free ephemeral one.
    Any,
    /// The first free one of an inclusive range; a single port is a range of one.
    Range(u16, u16),
}

/// `ports[].mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PublishMode {
    /// Through the routing mesh in a swarm; without one the same as `Host`.
    #[default]
    Ingress,
    /// On the host of the container.
    Host,
}

/// One published port; ranges are already taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedPort {
    /// The container's port.
    pub target: u16,
    /// The host's port.
    pub published: HostPort,
    /// The host's address; absent: every one.
    pub host_ip: Option<IpAddr>,
    /// The protocol.
    pub protocol: Protocol,
    /// The mode.
    pub mode: PublishMode,
    /// `name`, for people.
    pub name: Option<String>,
    /// `app_protocol`, for people.
    pub app_protocol: Option<String>,
    /// Where it was written.
    pub span: Span,
}

/// `links` and `external_links`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// A service (`links`) or container (`external_links`).
    pub target: Spanned<String>,
    /// The name it gets.
    pub alias: String,
}

/// The address of an `extra_hosts` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostAddress {
    /// This address.
    Address(IpAddr),
    /// Docker's `host-gateway`.
    HostGateway,
}

/// `extra_hosts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtraHost {
    /// The name.
    pub name: String,
    /// Its address.
    pub address: HostAddress,
}

/// When a dependency is met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// It was started.
    #[default]
    Started,
    /// Its health check passed.
    Healthy,
    /// It ended with exit code 0.
    CompletedSuccessfully,
}

/// `depends_on`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The service.
    pub service: Spanned<String>,
    /// When it is met.
    pub condition: Condition,
    /// Restart with it.
    pub restart: bool,
    /// Its absence is an error.
    pub required: bool,
}

/// `command` and `entrypoint`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// One line, to be split into words as a shell would (Compose does not run a shell).
    Line(String),
    /// Words.
    Words(Vec<String>),
}

/// `build`, with what its Dockerfile says when there is one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Build {
    /// The context folder.
    pub context: PathBuf,
    /// The Dockerfile, when a file.
    pub dockerfile: Option<PathBuf>,
    /// The stage.
    pub target: Option<String>,
    /// Whether a Dockerfile was read.
    pub found: bool,
    /// EXPOSE of the stage and those it builds on.
    pub expose: Vec<ListenPort>,
    /// ENV of the stage and those it builds on.
    pub environment: Vec<(String, String)>,
    /// The image the first of those stages builds on.
    pub base_image: Option<String>,
}

/// `healthcheck`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Healthcheck {
    /// The command; `Line` is run by a shell. Absent: the image's.
    pub test: Option<Command>,
    /// Switched off (`disable: true` or `test: [NONE]`).
    pub disabled: bool,
    /// Time between two runs.
    pub interval: Option<Duration>,
    /// When a run counts as failed.
    pub timeout: Option<Duration>,
    /// Failures before this do not count.
    pub start_period: Option<Duration>,
    /// The interval while the start period lasts.
    pub start_interval: Option<Duration>,
    /// Failures in a row that make it unhealthy.
    pub retries: Option<u32>,
}

/// `restart`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restart {
    /// Never.
    #[default]
    No,
    /// Always.
    Always,
    /// After a failure, so many times (`None`: without limit).
    OnFailure(Option<u32>),
    /// Always, unless it was stopped by hand.
    UnlessStopped,
}

/// `deploy.endpoint_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointMode {
    /// A virtual IP.
    Vip,
    /// A list of addresses.
    DnsRoundRobin,
}

/// `services.<name>`.
#[derive(Clone, Debug)]
pub struct Service {
    /// The key in the file; an alias of every replica on each of its networks.
    pub name: Spanned<String>,
    /// The image; absent when only built (Docker names it `<project>-<service>`).
    pub image: Option<Spanned<String>>,
    /// What it is built from.
    pub build: Option<Build>,
    /// Command.
    pub command: Option<Command>,
    /// Entrypoint.
    pub entrypoint: Option<Command>,
    /// Environment: Dockerfile's ENV not included; env files first, `environment` over them.
    pub environment: Vec<(String, String)>,
    /// What it is connected to.
    pub network: NetworkMode,
    /// Published ports.
    pub ports: Vec<PublishedPort>,
    /// Exposed ports.
    pub expose: Vec<ListenPort>,
    /// Links to services.
    pub links: Vec<Link>,
    /// Links to containers.
    pub external_links: Vec<Link>,
    /// More names in /etc/hosts.
    pub extra_hosts: Vec<ExtraHost>,
    /// DNS servers.
    pub dns: Vec<IpAddr>,
    /// resolv.conf options.
    pub dns_opt: Vec<String>,
    /// Search domains.
    pub dns_search: Vec<String>,
    /// Host name.
    pub hostname: Option<String>,
    /// Domain.
    pub domainname: Option<String>,
    /// The MAC address when there is no attachment to carry it.
    pub mac_address: Option<Mac>,
    /// The container's name.
    pub container_name: Option<Spanned<String>>,
    /// Dependencies.
    pub depends_on: Vec<Dependency>,
    /// How many containers (`scale`, else `deploy.replicas`, else 1).
    pub replicas: u32,
    /// `deploy.endpoint_mode`.
    pub endpoint_mode: Option<EndpointMode>,
    /// Profiles it belongs to.
    pub profiles: Vec<String>,
    /// Health check.
    pub healthcheck: Option<Healthcheck>,
    /// Restart policy.
    pub restart: Restart,
    /// Kernel settings.
    pub sysctls: Vec<(String, String)>,
    /// Labels.
    pub labels: Vec<(String, String)>,
    /// All capabilities.
    pub privileged: bool,
    /// Whom its processes run as.
    pub user: Option<String>,
    /// More capabilities, without `CAP_`.
    pub cap_add: Vec<String>,
    /// Fewer capabilities, without `CAP_`.
    pub cap_drop: Vec<String>,
    /// A terminal.
    pub tty: bool,
    /// Standard input stays open.
    pub stdin_open: bool,
}

impl Service {
    /// The image's name: `image:`, else the name Compose gives what it builds.
    #[must_use]
    pub fn image_name(&self, project: &str) -> String {
        self.image
            .as_ref()
            .map_or_else(|| format!("{project}-{}", self.name.value), |image| image.value.clone())
    }

    /// The networks it joins; none for the other modes.
    #[must_use]
    pub fn attachments(&self) -> &[Attachment] {
        if let NetworkMode::Networks(list) = &self.network { list } else { &[] }
    }

    /// Services that must start first, by name, with the place that says so: `depends_on`, `links` and
    /// `network_mode: service:`.
    pub fn needs(&self) -> impl Iterator<Item = (&str, Span)> {
        let shared = if let NetworkMode::Service(name) = &self.network { Some(name) } else { None };
        let named = self.depends_on.iter().map(|dependency| &dependency.service);
        let linked = self.links.iter().map(|link| &link.target);
        named.chain(linked).chain(shared).map(|name| (name.value.as_str(), name.span))
    }
}
