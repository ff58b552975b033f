//! What can be asked of a Docker daemon, as types.
//!
//! The command line ([`super::cli`]), Compose files and the Engine API all end in these values, and the daemon takes
//! nothing else. What Docker's client checks is checked before a request exists (ports, links, extra hosts, DNS
//! servers, MAC addresses); what the daemon checks, and refuses in its own words, is still text here (subnets, gateways, `--ip`,
//! names). Presentation the client does (`--format`, `--quiet`) travels along in [`View`] because the client has no
//! other memory.

use std::{collections::BTreeMap, fmt, net::IpAddr};

use super::cli::ports::{PortPublish, Protocol};
use super::health::Healthcheck;
use super::labels::Labels;

/// One request to a daemon, as one docker command makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// `docker network create`.
    NetworkCreate(NetworkCreate),
    /// `docker network connect`.
    NetworkConnect(NetworkConnect),
    /// `docker network disconnect`.
    NetworkDisconnect(NetworkDisconnect),
    /// `docker network rm`.
    NetworkRemove(NetworkRemove),
    /// `docker network prune`.
    NetworkPrune(Prune),
    /// `docker network ls`.
    NetworkList(List),
    /// `docker network inspect`.
    NetworkInspect(NetworkInspect),
    /// `docker run`: create, start, and unless detached show the output until the container ends.
    ContainerRun(Box<ContainerCreate>),
    /// `docker create`.
    ContainerCreate(Box<ContainerCreate>),
    /// `docker start`.
    ContainerStart(ContainerStart),
    /// `docker stop`.
    ContainerStop(ContainerStop),
    /// `docker restart`.
    ContainerRestart(ContainerStop),
    /// `docker kill`.
    ContainerKill(ContainerKill),
    /// `docker rm`.
    ContainerRemove(ContainerRemove),
    /// `docker rename`.
    ContainerRename(ContainerRename),
    /// `docker pause`.
    ContainerPause(Containers),
    /// `docker unpause`.
    ContainerUnpause(Containers),
    /// `docker update`.
    ContainerUpdate(ContainerUpdate),
    /// `docker wait`.
    ContainerWait(Containers),
    /// `docker exec`.
    ContainerExec(ContainerExec),
    /// `docker ps`.
    ContainerList(ContainerList),
    /// `docker port`.
    ContainerPort(ContainerPort),
    /// `docker logs`.
    ContainerLogs(ContainerLogs),
    /// `docker container prune`.
    ContainerPrune(Prune),
    /// `docker inspect` and `docker container inspect`.
    Inspect(Inspect),
    /// `docker events`.
    Events(Events),
    /// `docker info`.
    Info(View),
    /// `docker version`.
    Version(View),
}

/// A new network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkCreate {
    /// The name; the daemon checks that it is free and not reserved.
    pub name: String,
    /// The driver: `bridge`, `macvlan`, `ipvlan`, `overlay`, `host`, `null` or a plugin's name.
    pub driver: String,
    /// Driver options (`-o key=value`), unparsed.
    pub options: BTreeMap<String, String>,
    /// No way out: no default route, no masquerading.
    pub internal: bool,
    /// Containers outside of services may join (swarm scope).
    pub attachable: bool,
    /// The network is the swarm's routing mesh.
    pub ingress: bool,
    /// Whether IPv4 is on, which needs API 1.48; `None`: an option says so, or else it is.
    pub ipv4: Option<bool>,
    /// Whether IPv6 is on; `None`: an option says so, or else it is not.
    pub ipv6: Option<bool>,
    /// Address management.
    pub ipam: Ipam,
    /// Labels.
    pub labels: Labels,
    /// The network only holds a configuration for others.
    pub config_only: bool,
    /// The name of the configuration network this one takes its configuration from.
    pub config_from: Option<String>,
    /// `local`, `swarm` or `global`; `None` is the driver's own scope.
    pub scope: Option<String>,
}

impl NetworkCreate {
    /// A bridge network with nothing but a name, as `docker network create NAME` asks for.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            driver: "bridge".to_owned(),
            options: BTreeMap::new(),
            internal: false,
            attachable: false,
            ingress: false,
            ipv4: None,
            ipv6: None,
            ipam: Ipam::default(),
            labels: Labels::default(),
            config_only: false,
            config_from: None,
            scope: None,
        }
    }
}

/// The address management of a new network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ipam {
    /// The IPAM driver: `default`, `null` or a plugin's name.
    pub driver: String,
    /// Options for the IPAM driver.
    pub options: BTreeMap<String, String>,
    /// The pools, IPv4 and IPv6 mixed, in the order given; empty means automatic.
    pub pools: Vec<IpamPool>,
}

impl Default for Ipam {
    fn default() -> Self {
        Self { driver: "default".to_owned(), options: BTreeMap::new(), pools: Vec::new() }
    }
}

/// One subnet of a new network. All addresses are text as the user wrote them: inspect shows them unchanged, and
/// the daemon refuses a bad one in its own words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IpamPool {
    /// The subnet in CIDR form; host bits may be set.
    pub subnet: String,
    /// The CIDR from which addresses are handed out; inside the subnet.
    pub ip_range: Option<String>,
    /// The gateway's address.
    pub gateway: Option<String>,
    /// Addresses that are taken: name to address.
    pub aux: BTreeMap<String, String>,
}

/// `docker network connect`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkConnect {
    /// The container's name, id or id prefix.
    pub container: String,
    /// The network and the settings of the new endpoint.
    pub endpoint: EndpointConfig,
}

/// `docker network disconnect`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkDisconnect {
    /// The network's name, id or id prefix.
    pub network: String,
    /// The container's name, id or id prefix.
    pub container: String,
    /// Remove the endpoint even when the container is gone.
    pub force: bool,
}

/// `docker network rm`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkRemove {
    /// Names, ids or id prefixes, removed one by one in this order.
    pub networks: Vec<String>,
    /// A network that does not exist is no error.
    pub force: bool,
}

/// `docker network prune` and `docker container prune`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prune {
    /// Do not ask for confirmation.
    pub force: bool,
    /// What to prune (`until`, `label`, `label!`).
    pub filters: Vec<Filter>,
}

/// `docker network ls`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct List {
    /// What to list.
    pub filters: Vec<Filter>,
    /// How to show it.
    pub view: View,
}

/// `docker network inspect`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkInspect {
    /// Names, ids or id prefixes.
    pub networks: Vec<String>,
    /// A Go template; `None` is indented JSON.
    pub format: Option<String>,
    /// Include the services of a swarm network.
    pub verbose: bool,
}

/// One `--filter name=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// The filter's name in lower case; `label!` is the negation of `label`.
    pub name: String,
    /// Everything after the first `=`.
    pub value: String,
}

/// How the client shows a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// Only the ids.
    pub quiet: bool,
    /// Full ids and commands.
    pub no_trunc: bool,
    /// `json`, `table`, `table TEMPLATE` or a Go template; `None` is the default table.
    pub format: Option<String>,
}

/// A network mode: what `--network` named first.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum NetworkMode {
    /// Nothing was said: the default bridge, shown as `default`.
    #[default]
    Default,
    /// The default bridge by its name.
    Bridge,
    /// The host's own namespace.
    Host,
    /// A namespace with a loopback interface only.
    None,
    /// The namespace of another container (name, id or id prefix).
    Container(String),
    /// A user-defined network (name, id or id prefix).
    Network(String),
}

impl NetworkMode {
    /// The mode a word after `--network` means. Every word means one; the daemon finds out whether the network exists.
    pub fn parse(text: &str) -> Self {
        match text {
            "default" => Self::Default,
            "bridge" => Self::Bridge,
            "host" => Self::Host,
            "none" => Self::None,
            other => match other.strip_prefix("container:") {
                Some(container) => Self::Container(container.to_owned()),
                None => Self::Network(other.to_owned()),
            },
        }
    }

    /// Whether the mode is a network somebody created: names resolve there, aliases and `--ip` are allowed.
    pub fn is_user_defined(&self) -> bool {
        matches!(self, Self::Network(_))
    }

    /// The name of the network joined, or `None` when another namespace is shared (`container:`).
    pub fn network_name(&self) -> Option<&str> {
        match self {
            Self::Default | Self::Bridge => Some("bridge"),
            Self::Host => Some("host"),
            Self::None => Some("none"),
            Self::Network(name) => Some(name),
            Self::Container(_) => None,
        }
    }
}

impl fmt::Display for NetworkMode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::Bridge => formatter.write_str("bridge"),
            Self::Host => formatter.write_str("host"),
            Self::None => formatter.write_str("none"),
            Self::Container(container) => write!(formatter, "container:{container}"),
            Self::Network(name) => formatter.write_str(name),
        }
    }
}

/// The settings of one endpoint: a container on a network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndpointConfig {
    /// The network's name, id or id prefix; at create also a mode's text (`default`, `host`, `container:x`).
    pub network: String,
    /// Further names of the container on this network.
    pub aliases: Vec<String>,
    /// The IPv4 address asked for; the daemon checks it.
    pub ipv4: Option<String>,
    /// The IPv6 address asked for; the daemon checks it.
    pub ipv6: Option<String>,
    /// Link-local addresses to add to the interface.
    pub link_local: Vec<String>,
    /// The MAC address asked for, valid, as written.
    pub mac: Option<String>,
    /// Endpoint options for the driver.
    pub driver_opts: BTreeMap<String, String>,
    /// The priority of this endpoint's gateway; the highest wins, 0 by default.
    pub gw_priority: i64,
    /// Names of other containers seen by this container only.
    pub links: Vec<Link>,
}

impl EndpointConfig {
    /// An endpoint on `network` with nothing asked for.
    pub fn on(network: impl Into<String>) -> Self {
        Self { network: network.into(), ..Self::default() }
    }

    /// Whether nothing is asked for beyond the network itself: inspect then shows `"IPAMConfig":null`.
    pub fn is_plain(&self) -> bool {
        *self == Self::on(self.network.clone())
    }
}

/// `--link container:alias`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The linked container's name or id.
    pub container: String,
    /// The name the linking container sees; the container's own name if none was given.
    pub alias: String,
}

/// A port of a container with its protocol, as `--expose` and images name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExposedPort {
    /// The port in the container.
    pub port: u16,
    /// The protocol.
    pub protocol: Protocol,
}

impl fmt::Display for ExposedPort {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.port, self.protocol)
    }
}

/// One line more for /etc/hosts (`--add-host`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraHost {
    /// The name.
    pub name: String,
    /// Its address.
    pub address: ExtraHostAddress,
}

/// The address of an extra host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtraHostAddress {
    /// A fixed address.
    Ip(IpAddr),
    /// `host-gateway`: the daemon puts in the host's address as containers see it.
    HostGateway,
}

impl fmt::Display for ExtraHost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            ExtraHostAddress::Ip(address) => write!(formatter, "{}:{address}", self.name),
            ExtraHostAddress::HostGateway => write!(formatter, "{}:host-gateway", self.name),
        }
    }
}

/// When the daemon starts a container again by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RestartPolicy {
    /// Never.
    #[default]
    No,
    /// Always, also when the daemon starts.
    Always,
    /// Always, unless it was stopped by hand.
    UnlessStopped,
    /// After a non-zero exit code.
    OnFailure {
        /// How often at most; 0 is without limit.
        maximum_retries: u32,
    },
}

impl RestartPolicy {
    /// The name inspect shows.
    pub fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Always => "always",
            Self::UnlessStopped => "unless-stopped",
            Self::OnFailure { .. } => "on-failure",
        }
    }
}

/// A new container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerCreate {
    /// The name; the daemon makes one up if absent.
    pub name: Option<String>,
    /// The image's reference as written.
    pub image: String,
    /// Where the daemon looks the image up, if not by its reference: a scenario's services may share an image and still run
    /// different things.
    pub catalogue_key: Option<String>,
    /// The command line that was asked for, where `command` and `entrypoint` name a stand-in for it or nothing: what
    /// `docker ps` and `inspect` show.
    pub stood_in_for: Option<Vec<String>>,
    /// Command and arguments after the image; empty is the image's own.
    pub command: Vec<String>,
    /// `--entrypoint`; an empty string removes the image's.
    pub entrypoint: Option<String>,
    /// `--hostname`; the short id if absent.
    pub hostname: Option<String>,
    /// `--domainname`.
    pub domainname: Option<String>,
    /// Environment in the order given: `NAME=VALUE`, or `NAME` alone, which asks for the client's own value.
    pub env: Vec<String>,
    /// What `--network` named first.
    pub network_mode: NetworkMode,
    /// One entry for each `--network` in the order given, never empty when made by the command line: the first one
    /// belongs to `network_mode` and carries `--ip`, `--network-alias` and the like, even for modes that then refuse
    /// or ignore them.
    pub endpoints: Vec<EndpointConfig>,
    /// Published ports, ranges already expanded to single container ports.
    pub ports: Vec<PortPublish>,
    /// Exposed ports of `--expose`; published ports are exposed as well and are not repeated here.
    pub expose: Vec<ExposedPort>,
    /// `-P`: publish every exposed port on an ephemeral host port.
    pub publish_all: bool,
    /// Name servers in place of the host's.
    pub dns: Vec<IpAddr>,
    /// Search domains; `.` alone removes them.
    pub dns_search: Vec<String>,
    /// Resolver options in place of the host's.
    pub dns_options: Vec<String>,
    /// Further /etc/hosts lines.
    pub extra_hosts: Vec<ExtraHost>,
    /// Legacy links (default bridge). On a user-defined network the links are in the first endpoint instead.
    pub links: Vec<Link>,
    /// `--mac-address`, valid, as written. The first endpoint has the same address.
    pub mac: Option<String>,
    /// When to start again.
    pub restart: RestartPolicy,
    /// Labels.
    pub labels: Labels,
    /// Kernel parameters of the container's namespace.
    pub sysctls: BTreeMap<String, String>,
    /// Capabilities added, such as `NET_ADMIN`.
    pub cap_add: Vec<String>,
    /// Capabilities removed.
    pub cap_drop: Vec<String>,
    /// All capabilities.
    pub privileged: bool,
    /// Whom its processes run as, `USER[:GROUP]`; root if nothing is said.
    pub user: Option<String>,
    /// `run -d`: print the id and return.
    pub detach: bool,
    /// `-t`: a terminal.
    pub tty: bool,
    /// `-i`: standard input stays open.
    pub interactive: bool,
    /// `--rm`: remove the container when it ends.
    pub auto_remove: bool,
    /// `--health-cmd` and its kin; `None`: no probes.
    pub healthcheck: Option<Box<Healthcheck>>,
    /// `--init`: an init process reaps children.
    pub init: bool,
    /// The signal `docker stop` sends first.
    pub stop_signal: Option<String>,
    /// Seconds `docker stop` waits before SIGKILL; negative waits for ever.
    pub stop_timeout: Option<i64>,
}

/// `docker start`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerStart {
    /// Names, ids or id prefixes.
    pub containers: Vec<String>,
    /// Show the output and wait for the end.
    pub attach: bool,
    /// Attach standard input as well.
    pub interactive: bool,
}

/// `docker stop` and `docker restart`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerStop {
    /// Names, ids or id prefixes.
    pub containers: Vec<String>,
    /// The first signal; the container's own (SIGTERM) if absent.
    pub signal: Option<String>,
    /// Seconds before SIGKILL; the container's own (10) if absent, negative waits for ever.
    pub timeout: Option<i64>,
}

/// `docker kill`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerKill {
    /// Names, ids or id prefixes.
    pub containers: Vec<String>,
    /// The signal by name or number; SIGKILL if absent.
    pub signal: Option<String>,
}

/// `docker rm`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerRemove {
    /// Names, ids or id prefixes; with `link` the link's path (`/web/database`).
    pub containers: Vec<String>,
    /// Kill a running container first.
    pub force: bool,
    /// Remove a legacy link, not a container.
    pub link: bool,
    /// Remove anonymous volumes; without meaning here.
    pub volumes: bool,
}

/// `docker rename`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerRename {
    /// The container's name, id or id prefix.
    pub container: String,
    /// The new name.
    pub new_name: String,
}

/// `docker update`, as far as networking goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerUpdate {
    /// Names, ids or id prefixes.
    pub containers: Vec<String>,
    /// The new restart policy, if it is to change.
    pub restart: Option<RestartPolicy>,
}

/// A list of containers and nothing more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Containers {
    /// Names, ids or id prefixes.
    pub containers: Vec<String>,
}

/// `docker exec`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerExec {
    /// The container's name, id or id prefix.
    pub container: String,
    /// Command and arguments, at least one word.
    pub command: Vec<String>,
    /// Environment for the command: `NAME=VALUE` or `NAME`.
    pub env: Vec<String>,
    /// Return at once.
    pub detach: bool,
    /// Standard input stays open.
    pub interactive: bool,
    /// A terminal.
    pub tty: bool,
    /// All capabilities.
    pub privileged: bool,
    /// Whom it runs as; the container's user if nothing is said.
    pub user: Option<String>,
}

/// `docker ps`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerList {
    /// Also those that do not run.
    pub all: bool,
    /// Only the last N created, running or not.
    pub last: Option<u64>,
    /// What to list.
    pub filters: Vec<Filter>,
    /// Show the SIZE column.
    pub size: bool,
    /// How to show it.
    pub view: View,
}

/// `docker port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerPort {
    /// The container's name, id or id prefix.
    pub container: String,
    /// Only this port, as written: the refusal repeats it.
    pub port: Option<PortQuery>,
}

/// The port `docker port` asks about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortQuery {
    /// As written, such as `80` or `80/udp`.
    pub text: String,
    /// What it means: no port that can be published, or what the client says to it once it has found the container.
    pub port: Result<Option<ExposedPort>, String>,
}

/// `docker logs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerLogs {
    /// The container's name, id or id prefix.
    pub container: String,
    /// Go on until the container ends.
    pub follow: bool,
    /// Put the time before each line.
    pub timestamps: bool,
    /// Only the last N lines; all if absent.
    pub tail: Option<u64>,
    /// Not before this time, as written.
    pub since: Option<String>,
    /// Not after this time, as written.
    pub until: Option<String>,
}

/// What kind of object `docker inspect` looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InspectKind {
    /// A container, else an image, else a network.
    Any,
    /// Containers only.
    Container,
    /// Networks only.
    Network,
}

/// `docker inspect`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspect {
    /// Names, ids or id prefixes.
    pub names: Vec<String>,
    /// What to look for.
    pub kind: InspectKind,
    /// A Go template; `None` is indented JSON.
    pub format: Option<String>,
}

/// `docker events`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Events {
    /// Not before this time, as written.
    pub since: Option<String>,
    /// Not after this time, as written.
    pub until: Option<String>,
    /// Which events.
    pub filters: Vec<Filter>,
    /// A Go template or `json`.
    pub format: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_print_as_they_are_written() {
        for text in ["default", "bridge", "host", "none", "container:db", "front"] {
            assert_eq!(NetworkMode::parse(text).to_string(), text);
        }
        assert!(NetworkMode::parse("front").is_user_defined());
        assert!(!NetworkMode::parse("container:front").is_user_defined());
        assert_eq!(NetworkMode::parse("container:front").network_name(), None);
        assert_eq!(NetworkMode::Default.network_name(), Some("bridge"));
    }

    #[test]
    fn an_endpoint_with_an_address_is_not_plain() {
        let plain = EndpointConfig::on("front");
        assert!(plain.is_plain());
        assert!(!EndpointConfig { ipv4: Some("10.0.0.2".to_owned()), ..plain }.is_plain());
    }
}
