//! The typed scenario: what a file asks for, after every file was read, merged and judged.
//!
//! Nothing here is a request to Docker yet; names are the file's own keys, and the translation gives them their real
//! names. Everything is owned, plain data. Lists are in document order.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;

use super::causes::KeySpans;
use super::checks::Check;
use super::diagnostic::{Diagnostic, SourceMap, Span, Spanned};
use super::keys::Ignored;
use super::steps::Step;
use super::tasks::Task;
use crate::docker::client::ClientVersion;
pub use crate::docker::profile::Profile;

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
    fn ports_of_image(&self, service: &Service) -> Vec<ListenPort> {
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

/// A network driver this release has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Driver {
    /// The default.
    #[default]
    Bridge,
    /// The predefined host network.
    Host,
    /// No network; `null` is Docker's other name for it.
    None,
    /// MAC addresses on a parent.
    Macvlan,
    /// IP addresses on a parent.
    Ipvlan,
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bridge => "bridge",
            Self::Host => "host",
            Self::None => "null",
            Self::Macvlan => "macvlan",
            Self::Ipvlan => "ipvlan",
        })
    }
}

/// `networks.<key>`.
#[derive(Clone, Debug)]
pub struct Network {
    /// The key in the file.
    pub key: Spanned<String>,
    /// The real name: `name:`, else `<project>_<key>`, else the key for an external one.
    pub name: String,
    /// The driver.
    pub driver: Driver,
    /// Driver options in document order.
    pub driver_opts: Vec<(String, String)>,
    /// `attachable`.
    pub attachable: bool,
    /// `enable_ipv4`, when said.
    pub enable_ipv4: Option<bool>,
    /// `enable_ipv6`, when said.
    pub enable_ipv6: Option<bool>,
    /// It exists already.
    pub external: bool,
    /// No connection to the outside.
    pub internal: bool,
    /// `ipam.driver`, when said.
    pub ipam_driver: Option<String>,
    /// `ipam.options`.
    pub ipam_options: Vec<(String, String)>,
    /// `ipam.config`.
    pub pools: Vec<Pool>,
    /// Labels.
    pub labels: Vec<(String, String)>,
    /// Not declared but implied by a service that names no network.
    pub implicit: bool,
    /// A service joins it. Compose creates only these.
    pub used: bool,
}

/// One address pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// The subnet, host bits cleared. Absent: Docker picks one.
    pub subnet: Option<IpNet>,
    /// Where containers' addresses come from.
    pub ip_range: Option<IpNet>,
    /// The gateway.
    pub gateway: Option<IpAddr>,
    /// Addresses kept free.
    pub aux_addresses: Vec<(String, IpAddr)>,
    /// Where it was written.
    pub span: Span,
}

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

/// `hosts.<name>`.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its name.
    pub name: Spanned<String>,
    /// Network cards.
    pub nics: Vec<Nic>,
    /// Routes besides those of the cards.
    pub routes: Vec<Route>,
    /// The text of /etc/resolv.conf, when said.
    pub resolv_conf: Option<String>,
    /// net.ipv4.ip_forward before Docker starts.
    pub ip_forward: bool,
    /// net.ipv4.ip_local_port_range, inclusive, when said.
    pub ephemeral_ports: Option<(u16, u16)>,
    /// iptables commands before Docker, without the leading `iptables`.
    pub rules: Vec<Spanned<String>>,
    /// Kernel settings.
    pub sysctls: Vec<(String, String)>,
}

/// A network card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    /// Its name.
    pub name: Spanned<String>,
    /// Addresses with their prefix, host bits kept.
    pub addresses: Vec<IpNet>,
    /// The default gateway through it.
    pub gateway: Option<IpAddr>,
    /// The LAN it is plugged into.
    pub lan: Option<String>,
    /// Largest IP packet.
    pub mtu: Option<u32>,
    /// MAC address.
    pub mac: Option<Mac>,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Destination; `None` is the default route.
    pub to: Option<IpNet>,
    /// Next hop.
    pub via: Option<IpAddr>,
    /// Interface.
    pub dev: Option<String>,
    /// Where it was written.
    pub span: Span,
}

/// What is outside the host.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// Machines.
    pub machines: Vec<Machine>,
    /// Links.
    pub links: Vec<WorldLink>,
    /// Records the name servers answer.
    pub records: Vec<DnsRecord>,
    /// Proxies.
    pub proxies: Vec<Proxy>,
}

/// An outside machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Its name.
    pub name: Spanned<String>,
    /// Addresses; a missing prefix length is read as a host's (/32, /128).
    pub addresses: Vec<IpNet>,
    /// Default gateway.
    pub gateway: Option<IpAddr>,
    /// The LAN it is on.
    pub lan: Option<String>,
    /// Its DNS names.
    pub names: Vec<String>,
    /// Ports that answer.
    pub listen: Vec<ListenPort>,
    /// What a port answers.
    pub serves: Vec<(ListenPort, String)>,
    /// Answers DNS from the world's records.
    pub dns_server: bool,
    /// Servers it asks.
    pub dns: Vec<IpAddr>,
    /// Routes.
    pub routes: Vec<Route>,
}

/// An end of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEnd {
    /// A host's card; without a name, its first.
    Host(Option<String>),
    /// A LAN.
    Lan(String),
    /// An outside machine.
    World(String),
}

/// `world.links.<name>`.
#[derive(Clone, Debug)]
pub struct WorldLink {
    /// Its name, for `link down NAME`.
    pub name: Spanned<String>,
    /// Its ends. Absent: the name is that of a card, LAN or machine.
    pub between: Option<(LinkEnd, LinkEnd)>,
    /// One-way delay.
    pub delay: Duration,
    /// Variation of the delay.
    pub jitter: Duration,
    /// Bits per second.
    pub rate: Option<u64>,
    /// Share of packets lost, 0 to 1.
    pub loss: f64,
    /// Share of packets doubled, 0 to 1.
    pub duplicate: f64,
    /// Share of packets overtaking, 0 to 1.
    pub reorder: f64,
    /// Packets that may wait.
    pub queue: Option<u32>,
    /// Largest IP packet.
    pub mtu: Option<u32>,
    /// Unplugged at the start.
    pub down: bool,
}

/// A DNS record of the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsRecord {
    /// Full name, lower case, without the last dot.
    pub name: String,
    /// What it says.
    pub data: DnsData,
    /// Seconds, when said.
    pub ttl: Option<u32>,
    /// Where it was written.
    pub span: Span,
}

/// What a DNS record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsData {
    /// A or AAAA.
    Address(IpAddr),
    /// CNAME.
    Alias(String),
    /// TXT.
    Text(String),
}

/// An HTTP proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Its name.
    pub name: Spanned<String>,
    /// The machine it runs on.
    pub machine: Spanned<String>,
    /// Its port.
    pub port: u16,
}

/// daemon.json. `None` is Docker's default for the profile.
#[derive(Clone, Debug, Default)]
pub struct Daemon {
    /// The engine's version, when said.
    pub profile: Option<Profile>,
    /// `bridge`.
    pub bridge: Option<String>,
    /// `bip`, host bits kept.
    pub bip: Option<IpNet>,
    /// `bip6`, host bits kept.
    pub bip6: Option<IpNet>,
    /// `fixed-cidr`.
    pub fixed_cidr: Option<IpNet>,
    /// `fixed-cidr-v6`.
    pub fixed_cidr_v6: Option<IpNet>,
    /// `default-gateway`.
    pub default_gateway: Option<IpAddr>,
    /// `default-gateway-v6`.
    pub default_gateway_v6: Option<IpAddr>,
    /// `mtu`.
    pub mtu: Option<u32>,
    /// `icc`.
    pub icc: Option<bool>,
    /// `ip`.
    pub ip: Option<IpAddr>,
    /// `ip-masq`.
    pub ip_masq: Option<bool>,
    /// `ipv6`.
    pub ipv6: Option<bool>,
    /// `iptables`.
    pub iptables: Option<bool>,
    /// `ip6tables`.
    pub ip6tables: Option<bool>,
    /// `ip-forward`.
    pub ip_forward: Option<bool>,
    /// `ip-forward-no-drop`.
    pub ip_forward_no_drop: Option<bool>,
    /// `userland-proxy`.
    pub userland_proxy: Option<bool>,
    /// `allow-direct-routing`.
    pub allow_direct_routing: Option<bool>,
    /// `live-restore`.
    pub live_restore: Option<bool>,
    /// `default-address-pools`: base and prefix length of each network.
    pub default_address_pools: Vec<(IpNet, u8)>,
    /// `default-network-opts`: driver, then options.
    pub default_network_opts: Vec<(String, Vec<(String, String)>)>,
    /// `dns`.
    pub dns: Vec<IpAddr>,
    /// `dns-opts`.
    pub dns_opts: Vec<String>,
    /// `dns-search`.
    pub dns_search: Vec<String>,
    /// `host-gateway-ip` or `host-gateway-ips`.
    pub host_gateway_ips: Vec<IpAddr>,
    /// `proxies`: http, https, no-proxy.
    pub proxies: Vec<(String, String)>,
}

/// The docker command's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// Its version.
    pub version: ClientVersion,
    /// By the daemon's URL, or `default`.
    pub proxies: Vec<(String, ClientProxy)>,
}

/// One entry of the client's `proxies`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientProxy {
    /// `httpProxy`.
    pub http: Option<String>,
    /// `httpsProxy`.
    pub https: Option<String>,
    /// `noProxy`.
    pub no: Option<String>,
    /// `ftpProxy`.
    pub ftp: Option<String>,
    /// `allProxy`.
    pub all: Option<String>,
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
