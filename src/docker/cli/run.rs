//! `docker run` and `docker create`.

use super::{
    ArgumentRule, CliError, Command, Usage,
    flags::{Flag, Given, Placement, Takes},
    plain,
    ports::{PortPublish, parse_expose},
    shown_ignored, values,
};
use crate::docker::health::Healthcheck;
use crate::docker::reference;
use crate::docker::request::{ContainerCreate, EndpointConfig, Link, NetworkMode, Request, RestartPolicy};

/// Which of the two commands is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Run,
    Create,
}

/// Reads what stands after `docker run` or `docker create`.
pub(super) fn parse(verb: Verb, path: String, words: &[String]) -> Result<Command, CliError> {
    let usage = Usage { path, arguments: "[OPTIONS] IMAGE [COMMAND] [ARG...]" };
    let parsed = usage.read(FLAGS, Placement::BeforeArguments, ArgumentRule::AtLeast(1), words)?;
    let mut options = Options::default();
    let mut ignored = Vec::new();
    for given in parsed.given {
        match given.flag.id {
            Id::Ignored => ignored.push(shown_ignored(&given)),
            id => options
                .set(id, &given)
                .map_err(|reason| usage.flag(given.flag.invalid(&given.value, reason)))?,
        }
    }
    let mut arguments = parsed.arguments.into_iter();
    options.container.image = arguments.next().unwrap_or_default();
    options.container.command = arguments.collect();
    let word = match verb {
        Verb::Run => "run",
        Verb::Create => "create",
    };
    let container = options.finish().map_err(|message| match verb {
        // What the daemon says is all that `docker create` prints.
        Verb::Create if message.starts_with(values::DAEMON) => CliError::Refused(message),
        Verb::Create | Verb::Run => CliError::Run { message, verb: word },
    })?;
    if let Err(error) = reference::validate(&container.image) {
        return Err(CliError::Image { error, image: container.image, run: matches!(verb, Verb::Run) });
    }
    let loopback = container.dns.iter().filter(|server| server.is_loopback());
    let mut warnings: Vec<String> =
        loopback.map(|server| format!("WARNING: Localhost DNS ({server}) may fail in containers.")).collect();
    if matches!(container.network_mode, NetworkMode::Host) && !container.ports.is_empty() {
        warnings.push("WARNING: Published ports are discarded when using host network mode".to_owned());
    }
    let container = Box::new(container);
    let request = match verb {
        Verb::Run => Request::ContainerRun(container),
        Verb::Create => Request::ContainerCreate(container),
    };
    Ok(Command { ignored, warnings, ..plain(request) })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Id {
    AddHost,
    CapAdd,
    CapDrop,
    Detach,
    Dns,
    DnsOption,
    DnsSearch,
    Domainname,
    HealthCommand,
    HealthInterval,
    HealthRetries,
    HealthStartInterval,
    HealthStartPeriod,
    HealthTimeout,
    NoHealthcheck,
    Entrypoint,
    Env,
    Expose,
    Hostname,
    Init,
    Interactive,
    Ip,
    Ip6,
    Label,
    Link,
    LinkLocalIp,
    MacAddress,
    Name,
    Network,
    NetworkAlias,
    Privileged,
    Publish,
    PublishAll,
    Restart,
    Rm,
    StopSignal,
    StopTimeout,
    Sysctl,
    Tty,
    User,
    /// Known, without effect on networking.
    Ignored,
}

/// Every option of `docker run` in client 28; `docker create` lacks `--detach` and two more, which do no harm.
const FLAGS: &[Flag<Id>] = &[
    Flag::value(Id::AddHost, "add-host"),
    Flag::value(Id::CapAdd, "cap-add"),
    Flag::value(Id::CapDrop, "cap-drop"),
    Flag::short(Id::Detach, 'd', "detach", Takes::Nothing),
    Flag::value(Id::Dns, "dns"),
    Flag::value(Id::DnsOption, "dns-opt"),
    Flag::value(Id::DnsOption, "dns-option"),
    Flag::value(Id::DnsSearch, "dns-search"),
    Flag::value(Id::Domainname, "domainname"),
    Flag::value(Id::Entrypoint, "entrypoint"),
    Flag::short(Id::Env, 'e', "env", Takes::Value),
    Flag::value(Id::Expose, "expose"),
    Flag::value(Id::HealthCommand, "health-cmd"),
    Flag::value(Id::HealthInterval, "health-interval"),
    Flag::value(Id::HealthRetries, "health-retries"),
    Flag::value(Id::HealthStartInterval, "health-start-interval"),
    Flag::value(Id::HealthStartPeriod, "health-start-period"),
    Flag::value(Id::HealthTimeout, "health-timeout"),
    Flag::switch(Id::NoHealthcheck, "no-healthcheck"),
    Flag::short(Id::Hostname, 'h', "hostname", Takes::Value),
    Flag::switch(Id::Init, "init"),
    Flag::short(Id::Interactive, 'i', "interactive", Takes::Nothing),
    Flag::value(Id::Ip, "ip"),
    Flag::value(Id::Ip6, "ip6"),
    Flag::short(Id::Label, 'l', "label", Takes::Value),
    Flag::value(Id::Link, "link"),
    Flag::value(Id::LinkLocalIp, "link-local-ip"),
    Flag::value(Id::MacAddress, "mac-address"),
    Flag::value(Id::Name, "name"),
    Flag::value(Id::Network, "net"),
    Flag::value(Id::NetworkAlias, "net-alias"),
    Flag::value(Id::Network, "network"),
    Flag::value(Id::NetworkAlias, "network-alias"),
    Flag::switch(Id::Privileged, "privileged"),
    Flag::short(Id::Publish, 'p', "publish", Takes::Value),
    Flag::short(Id::PublishAll, 'P', "publish-all", Takes::Nothing),
    Flag::value(Id::Restart, "restart"),
    Flag::switch(Id::Rm, "rm"),
    Flag::value(Id::StopSignal, "stop-signal"),
    Flag::value(Id::StopTimeout, "stop-timeout"),
    Flag::value(Id::Sysctl, "sysctl"),
    Flag::short(Id::Tty, 't', "tty", Takes::Nothing),
    Flag::value(Id::Ignored, "annotation"),
    Flag::short(Id::Ignored, 'a', "attach", Takes::Value),
    Flag::value(Id::Ignored, "blkio-weight"),
    Flag::value(Id::Ignored, "blkio-weight-device"),
    Flag::value(Id::Ignored, "cgroup-parent"),
    Flag::value(Id::Ignored, "cgroupns"),
    Flag::value(Id::Ignored, "cidfile"),
    Flag::value(Id::Ignored, "cpu-count"),
    Flag::value(Id::Ignored, "cpu-percent"),
    Flag::value(Id::Ignored, "cpu-period"),
    Flag::value(Id::Ignored, "cpu-quota"),
    Flag::value(Id::Ignored, "cpu-rt-period"),
    Flag::value(Id::Ignored, "cpu-rt-runtime"),
    Flag::short(Id::Ignored, 'c', "cpu-shares", Takes::Value),
    Flag::value(Id::Ignored, "cpus"),
    Flag::value(Id::Ignored, "cpuset-cpus"),
    Flag::value(Id::Ignored, "cpuset-mems"),
    Flag::value(Id::Ignored, "detach-keys"),
    Flag::value(Id::Ignored, "device"),
    Flag::value(Id::Ignored, "device-cgroup-rule"),
    Flag::value(Id::Ignored, "device-read-bps"),
    Flag::value(Id::Ignored, "device-read-iops"),
    Flag::value(Id::Ignored, "device-write-bps"),
    Flag::value(Id::Ignored, "device-write-iops"),
    Flag::switch(Id::Ignored, "disable-content-trust"),
    Flag::value(Id::Ignored, "env-file"),
    Flag::value(Id::Ignored, "gpus"),
    Flag::value(Id::Ignored, "group-add"),
    Flag::value(Id::Ignored, "io-maxbandwidth"),
    Flag::value(Id::Ignored, "io-maxiops"),
    Flag::value(Id::Ignored, "ipc"),
    Flag::value(Id::Ignored, "isolation"),
    Flag::value(Id::Ignored, "kernel-memory"),
    Flag::value(Id::Ignored, "label-file"),
    Flag::value(Id::Ignored, "log-driver"),
    Flag::value(Id::Ignored, "log-opt"),
    Flag::short(Id::Ignored, 'm', "memory", Takes::Value),
    Flag::value(Id::Ignored, "memory-reservation"),
    Flag::value(Id::Ignored, "memory-swap"),
    Flag::value(Id::Ignored, "memory-swappiness"),
    Flag::value(Id::Ignored, "mount"),
    Flag::switch(Id::Ignored, "oom-kill-disable"),
    Flag::value(Id::Ignored, "oom-score-adj"),
    Flag::value(Id::Ignored, "pid"),
    Flag::value(Id::Ignored, "pids-limit"),
    Flag::value(Id::Ignored, "platform"),
    Flag::value(Id::Ignored, "pull"),
    Flag::short(Id::Ignored, 'q', "quiet", Takes::Nothing),
    Flag::switch(Id::Ignored, "read-only"),
    Flag::value(Id::Ignored, "runtime"),
    Flag::value(Id::Ignored, "security-opt"),
    Flag::value(Id::Ignored, "shm-size"),
    Flag::switch(Id::Ignored, "sig-proxy"),
    Flag::value(Id::Ignored, "storage-opt"),
    Flag::value(Id::Ignored, "tmpfs"),
    Flag::value(Id::Ignored, "ulimit"),
    Flag::switch(Id::Ignored, "use-api-socket"),
    Flag::short(Id::User, 'u', "user", Takes::Value),
    Flag::value(Id::Ignored, "userns"),
    Flag::value(Id::Ignored, "uts"),
    Flag::short(Id::Ignored, 'v', "volume", Takes::Value),
    Flag::value(Id::Ignored, "volume-driver"),
    Flag::value(Id::Ignored, "volumes-from"),
    Flag::short(Id::Ignored, 'w', "workdir", Takes::Value),
];

/// The options read so far. What can only be checked against other options waits for [`Options::finish`].
#[derive(Debug, Default)]
struct Options {
    container: ContainerCreate,
    publish: Vec<String>,
    expose: Vec<String>,
    networks: Vec<EndpointConfig>,
    restart: String,
    /// `--ip`, `--network-alias`, `--link` and the like, which mean the first network.
    first: EndpointConfig,
    links: Vec<Link>,
    health: Healthcheck,
    no_healthcheck: bool,
}

impl Options {
    /// Takes one option; the error is the reason in the client's "invalid argument" message.
    fn set(&mut self, id: Id, given: &Given<Id>) -> Result<(), String> {
        let container = &mut self.container;
        let text = given.value.as_str();
        let some = || (!text.is_empty()).then(|| text.to_owned());
        match id {
            Id::AddHost => container.extra_hosts.push(values::extra_host(text)?),
            Id::CapAdd => container.cap_add.push(text.to_owned()),
            Id::CapDrop => container.cap_drop.push(text.to_owned()),
            Id::Detach => container.detach = given.on,
            Id::Dns => container.dns.push(values::dns_server(text)?),
            Id::DnsOption => container.dns_options.push(text.to_owned()),
            Id::DnsSearch => container.dns_search.push(values::dns_search(text)?),
            Id::Domainname => container.domainname = some(),
            Id::Entrypoint => container.entrypoint = Some(text.to_owned()),
            Id::Env => container.env.push(values::environment(text)?),
            Id::Expose => self.expose.push(text.to_owned()),
            Id::HealthCommand => self.health.test = Healthcheck::shell(text).test,
            Id::HealthInterval => self.health.interval = values::duration(text)?,
            Id::HealthRetries => {
                self.health.retries = text.parse().map_err(|_| {
                    format!("strconv.ParseInt: parsing {}: invalid syntax", super::flags::quote(text))
                })?;
            }
            Id::HealthStartInterval => self.health.start_interval = values::duration(text)?,
            Id::HealthStartPeriod => self.health.start_period = values::duration(text)?,
            Id::HealthTimeout => self.health.timeout = values::duration(text)?,
            Id::NoHealthcheck => self.no_healthcheck = given.on,
            Id::Hostname => container.hostname = some(),
            Id::Init => container.init = given.on,
            Id::Interactive => container.interactive = given.on,
            Id::Ip => self.first.ipv4 = some(),
            Id::Ip6 => self.first.ipv6 = some(),
            Id::Label => {
                let (name, value) = values::label(text)?;
                container.labels.insert(&name, &value);
            }
            Id::Link => self.links.push(values::link(text)?),
            Id::LinkLocalIp => self.first.link_local.push(text.to_owned()),
            Id::MacAddress => self.first.mac = some(),
            Id::Name => container.name = some(),
            Id::Network => self.networks.push(network_option(text)?),
            Id::NetworkAlias => self.first.aliases.push(text.to_owned()),
            Id::Privileged => container.privileged = given.on,
            Id::User => container.user = some(),
            Id::Publish => self.publish.push(text.to_owned()),
            Id::PublishAll => container.publish_all = given.on,
            Id::Restart => text.clone_into(&mut self.restart),
            Id::Rm => container.auto_remove = given.on,
            Id::StopSignal => container.stop_signal = some(),
            Id::StopTimeout => {
                container.stop_timeout = Some(text.parse().map_err(|_| {
                    format!("strconv.ParseInt: parsing {}: invalid syntax", super::flags::quote(text))
                })?);
            }
            Id::Sysctl => {
                let (name, value) = values::sysctl(text)?;
                container.sysctls.insert(name, value);
            }
            Id::Tty => container.tty = given.on,
            Id::Ignored => {}
        }
        Ok(())
    }

    /// Checks the options against each other, in the client's order.
    fn finish(mut self) -> Result<ContainerCreate, String> {
        if let Some(mac) = &self.first.mac
            && !values::is_mac_address(mac.trim())
        {
            return Err(format!("{mac} is not a valid mac address"));
        }
        for text in &self.publish {
            let ports = PortPublish::parse(text).map_err(|error| error.to_string())?;
            self.container.ports.extend(ports);
        }
        for text in &self.expose {
            let ports = parse_expose(text).map_err(|error| error.to_string())?;
            self.container.expose.extend(ports);
        }
        self.container.expose.sort_unstable();
        self.container.expose.dedup();
        let published: Vec<_> = self.container.ports.iter().map(PortPublish::exposed).collect();
        self.container.expose.retain(|port| !published.contains(port));
        self.container.restart = values::restart_policy(&self.restart)?;
        if self.container.auto_remove && self.container.restart != RestartPolicy::No {
            return Err("conflicting options: cannot specify both --restart and --rm".to_owned());
        }
        self.container.mac.clone_from(&self.first.mac);
        if self.no_healthcheck && !self.health.test.is_empty() {
            return Err("--no-healthcheck conflicts with --health-* options".to_owned());
        }
        let check = std::mem::take(&mut self.health);
        self.container.healthcheck = Some(check).filter(|check| !check.test.is_empty()).map(Box::new);
        self.networks()?;
        Ok(self.container)
    }

    fn networks(&mut self) -> Result<(), String> {
        if self.networks.is_empty() {
            self.networks.push(EndpointConfig::on("default"));
        }
        let modes: Vec<NetworkMode> =
            self.networks.iter().map(|endpoint| NetworkMode::parse(&endpoint.network)).collect();
        let links = std::mem::take(&mut self.links);
        let Some(mode) = modes.first().cloned() else { return Ok(()) };
        // Links belong to the endpoint on a user-defined network and to the container otherwise.
        if mode.is_user_defined() {
            self.first.links = links;
        } else {
            self.container.links = links;
        }
        for (index, endpoint) in std::mem::take(&mut self.networks).into_iter().enumerate() {
            let endpoint = if index == 0 { merge(endpoint, &self.first)? } else { endpoint };
            check_endpoint(&endpoint)?;
            if self.container.endpoints.iter().any(|known| known.network == endpoint.network) {
                return Err(format!("network \"{}\" is specified multiple times", endpoint.network));
            }
            self.container.endpoints.push(endpoint);
        }
        let user_defined = modes.iter().filter(|mode| mode.is_user_defined()).count();
        if user_defined != 0 && user_defined != modes.len() {
            return Err(
                "conflicting options: cannot attach both user-defined and non-user-defined network-modes"
                    .to_owned(),
            );
        }
        self.container.network_mode = mode;
        Ok(())
    }
}

/// Adds the options that stand outside `--network` to the first endpoint; both at once is a contradiction.
fn merge(mut endpoint: EndpointConfig, first: &EndpointConfig) -> Result<EndpointConfig, String> {
    let both = |outside: &str, inside: &str| {
        Err(format!("conflicting options: cannot specify both --{outside} and per-network {inside}"))
    };
    if !first.aliases.is_empty() {
        if !endpoint.aliases.is_empty() {
            return both("network-alias", "alias");
        }
        endpoint.aliases.clone_from(&first.aliases);
    }
    if first.ipv4.is_some() {
        if endpoint.ipv4.is_some() {
            return both("ip", "IPv4 address");
        }
        endpoint.ipv4.clone_from(&first.ipv4);
    }
    if first.ipv6.is_some() {
        if endpoint.ipv6.is_some() {
            return both("ip6", "IPv6 address");
        }
        endpoint.ipv6.clone_from(&first.ipv6);
    }
    if first.mac.is_some() {
        if endpoint.mac.is_some() {
            return both("mac-address", "MAC address");
        }
        endpoint.mac.clone_from(&first.mac);
    }
    if !first.link_local.is_empty() {
        if !endpoint.link_local.is_empty() {
            return both("link-local-ip", "link-local IP addresses");
        }
        endpoint.link_local.clone_from(&first.link_local);
    }
    endpoint.links.clone_from(&first.links);
    Ok(endpoint)
}

fn check_endpoint(endpoint: &EndpointConfig) -> Result<(), String> {
    if endpoint.network.trim().is_empty() {
        return Err("no name set for network".to_owned());
    }
    if !NetworkMode::parse(&endpoint.network).is_user_defined() && !endpoint.aliases.is_empty() {
        return Err("network-scoped aliases are only supported for user-defined networks".to_owned());
    }
    match &endpoint.mac {
        Some(mac) if !values::is_mac_address(mac.trim()) => Err(format!("{mac} is not a valid mac address")),
        _ => Ok(()),
    }
}

/// Reads one `--network`: a name, or comma-separated `key=value` fields.
fn network_option(text: &str) -> Result<EndpointConfig, String> {
    if !is_long_syntax(text) {
        return Ok(EndpointConfig::on(text));
    }
    let mut endpoint = EndpointConfig::default();
    for field in values::csv_fields(text)? {
        // The client lower-cases the whole field, values included.
        let field = field.to_lowercase();
        let (key, value) = field
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| format!("invalid field {field}"))?;
        let value = value.trim().to_owned();
        match key.trim() {
            "name" => endpoint.network = value,
            "alias" => endpoint.aliases.push(value),
            "ip" => endpoint.ipv4 = Some(value),
            "ip6" => endpoint.ipv6 = Some(value),
            "mac-address" => endpoint.mac = Some(value),
            "link-local-ip" => endpoint.link_local.push(value),
            "driver-opt" => {
                if !value.contains('=') || value.starts_with('=') {
                    return Err("invalid key value pair format in driver options".to_owned());
                }
                values::insert_pair(&mut endpoint.driver_opts, &value);
            }
            "gw-priority" => {
                endpoint.gw_priority =
                    value.parse().map_err(|_| format!("invalid gw-priority ({value}): invalid syntax"))?;
            }
            unknown => return Err(format!("invalid field key {unknown}")),
        }
    }
    if endpoint.network.is_empty() {
        return Err("network name/id is not specified".to_owned());
    }
    Ok(endpoint)
}

/// Whether a word character stands on both sides of some `=`.
fn is_long_syntax(text: &str) -> bool {
    let word = |character: char| character.is_ascii_alphanumeric() || character == '_';
    text.match_indices('=').any(|(at, _)| {
        text[..at].chars().next_back().is_some_and(word) && text[at + 1..].chars().next().is_some_and(word)
    })
}
