//! From a scenario's `hosts:` and `world:` to the stage of a world: LANs, machines, the Docker host and its daemon.
//!
//! Without `hosts:` the Docker host stands on the default stage (see `world::stage`). A machine whose address has no
//! prefix length is somewhere in the Internet: it stands behind the stage's router, with the address as its own.

use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

use ipnet::{IpNet, Ipv4Net};

use super::diagnostic::{Diagnostic, Span};
use super::model::{DnsData, Host, LinkEnd, Machine, Nic, Scenario, WorldLink};
use super::translate;
use crate::docker::daemon::DaemonConfig;
use crate::world::authority::{AuthorityZone, InvalidName, RecordData};
use crate::world::stage::{LinkQuality, MachineSpec, NicSpec, RouteSpec};
use crate::world::{Daemonised, HostId, World, WorldError};

/// The LAN between hosts and the Internet.
pub(super) const UPLINK: &str = "uplink";
/// The LAN behind the second card of the default stage.
pub(super) const LAN: &str = "lan";
/// The default outside machine's name.
pub(super) const OUTSIDE: &str = "outside";
/// The default Docker host's name.
pub(super) const HOST: &str = "host";
/// Names that tutorials ping, besides those of the default zone; all at 198.51.100.8.
const WELL_KNOWN: [&str; 6] =
    ["google.com", "www.google.com", "example.com", "www.example.com", "docker.com", "github.com"];

/// The addresses of the default stage's Docker host.
pub(super) const HOST_ADDRESSES: [Ipv4Addr; 2] =
    [Ipv4Addr::new(203, 0, 113, 10), Ipv4Addr::new(192, 168, 50, 2)];
/// Those of its outside machine: router, DNS server, router of the LAN and the Internet.
pub(super) const OUTSIDE_ADDRESSES: [Ipv4Addr; 5] = [
    Ipv4Addr::new(203, 0, 113, 1),
    Ipv4Addr::new(203, 0, 113, 53),
    Ipv4Addr::new(192, 168, 50, 1),
    Ipv4Addr::new(198, 51, 100, 7),
    Ipv4Addr::new(198, 51, 100, 8),
];

type Stop = Box<Diagnostic>;

/// Builds the stage and starts the daemon.
pub(super) fn stage(
    world: &mut World,
    scenario: &Scenario,
    runs: translate::Runs<'_>,
) -> Result<HostId, Stop> {
    let links = Links::new(scenario);
    let zone = Rc::new(zone(scenario)?);
    let own_stage = scenario.hosts.is_empty();
    let defined = scenario.world.machines.iter().any(|m| m.name.value == OUTSIDE);
    let mut remote = Vec::new();
    let mut specs = Vec::new();
    for machine in &scenario.world.machines {
        specs.push((machine, machine_spec(machine, &links, &mut remote)));
    }
    if (own_stage || scenario.world.machines.is_empty()) && !defined {
        let (spec, programs) = outside(&links, &remote, &zone);
        world.add_machine(&spec, programs).map_err(|error| refused(None, &error))?;
    }
    for (machine, spec) in specs {
        let programs = programs_of(scenario, machine, &zone);
        world.add_machine(&spec, programs).map_err(|error| refused(Some(machine.name.span), &error))?;
    }
    let config = translate::daemon_config(scenario, runs);
    let (spec, span) = match scenario.hosts.first() {
        Some(host) => (host_spec(host, &links), Some(host.name.span)),
        None => (default_host(&links), None),
    };
    world.add_host(&spec, config).map_err(|error| {
        let rule = match (&error, scenario.hosts.first()) {
            (WorldError::Rule { index, .. }, Some(host)) => host.rules.get(*index),
            _ => None,
        };
        refused(rule.map(|rule| rule.span).or(span), &error)
    })
}

/// The names of the Docker host's cards.
pub(super) fn cards(scenario: &Scenario) -> Vec<&str> {
    match scenario.hosts.first() {
        Some(host) => host.nics.iter().map(|card| card.name.value.as_str()).collect(),
        None => vec!["eth0", "lan0"],
    }
}

/// The names of the machines outside.
pub(super) fn machines(scenario: &Scenario) -> Vec<&str> {
    let mut names: Vec<&str> = scenario.world.machines.iter().map(|m| m.name.value.as_str()).collect();
    if (scenario.hosts.is_empty() || names.is_empty()) && !names.contains(&OUTSIDE) {
        names.push(OUTSIDE);
    }
    names
}

/// Builds the default stage, that of a scenario which says nothing about hosts and the outside, and starts a daemon with
/// this configuration on its Docker host, which has this name.
pub fn default_stage(world: &mut World, host: &str, config: DaemonConfig) -> Result<HostId, WorldError> {
    let links = Links { host: HOST, links: &[] };
    let (spec, programs) = outside(&links, &[], &Rc::new(known_zone()));
    world.add_machine(&spec, programs)?;
    world.add_host(&MachineSpec { name: host.to_owned(), ..default_host(&links) }, config)
}

/// The first Docker host as the stage gives it, before anything happens to it.
pub fn docker_host(scenario: &Scenario) -> MachineSpec {
    let links = Links { host: HOST, links: &[] };
    scenario.hosts.first().map_or_else(|| default_host(&links), |host| host_spec(host, &links))
}

/// The machine and card that a link's name means.
pub(super) fn link_end(scenario: &Scenario, name: &str) -> (String, Option<String>) {
    let host = scenario.hosts.first().map_or(HOST, |h| &h.name.value).to_owned();
    let link = scenario.world.links.iter().find(|l| l.name.value == name);
    match link.and_then(|l| l.between.as_ref()) {
        Some((LinkEnd::World(machine), _) | (_, LinkEnd::World(machine))) => (machine.clone(), None),
        Some((LinkEnd::Host(card), _) | (_, LinkEnd::Host(card))) => (host, card.clone()),
        Some(_) => (host, None),
        None if scenario.world.machines.iter().any(|m| m.name.value == name) || name == OUTSIDE => {
            (name.to_owned(), None)
        }
        None => (host, Some(name.to_owned())),
    }
}

fn refused(span: Option<Span>, error: &WorldError) -> Stop {
    Box::new(Diagnostic::error(span, format!("the stage cannot be built: {error}")))
}

fn default_host(links: &Links) -> MachineSpec {
    let host = |last: u8| v4([203, 0, 113, last], 24);
    MachineSpec {
        name: HOST.to_owned(),
        nics: vec![
            nic("eth0", vec![host(10)], Some(UPLINK), links.quality(HOST, "eth0"), links.mtu(HOST, "eth0")),
            nic(
                "lan0",
                vec![v4([192, 168, 50, 2], 24)],
                Some(LAN),
                links.quality(HOST, "lan0"),
                links.mtu(HOST, "lan0"),
            ),
        ],
        loopback: Vec::new(),
        routes: vec![RouteSpec { destination: everywhere(), gateway: address([203, 0, 113, 1]) }],
        forward: false,
        resolv_conf: "nameserver 203.0.113.53\n".to_owned(),
        local_ports: None,
        sysctls: Vec::new(),
        rules: Vec::new(),
        sctp: false,
    }
}

fn outside(links: &Links, remote: &[Remote], zone: &Rc<AuthorityZone>) -> (MachineSpec, Vec<Daemonised>) {
    let routes = remote.iter().flat_map(|r| {
        r.addresses.iter().map(|destination| RouteSpec { destination: *destination, gateway: r.gateway })
    });
    let spec = MachineSpec {
        name: OUTSIDE.to_owned(),
        nics: vec![
            nic(
                "eth0",
                vec![v4([203, 0, 113, 1], 24), v4([203, 0, 113, 53], 24)],
                Some(UPLINK),
                links.quality(OUTSIDE, "eth0"),
                links.mtu(OUTSIDE, "eth0"),
            ),
            nic("lan0", vec![v4([192, 168, 50, 1], 24)], Some(LAN), LinkQuality::default(), None),
        ],
        loopback: vec![v4([198, 51, 100, 7], 32), v4([198, 51, 100, 8], 32)],
        routes: routes.collect(),
        forward: true,
        resolv_conf: "nameserver 127.0.0.1\n".to_owned(),
        local_ports: None,
        sysctls: Vec::new(),
        rules: Vec::new(),
        sctp: false,
    };
    let programs = vec![Daemonised::Listen(vec!["80/tcp".to_owned()]), Daemonised::NameServer(zone.clone())];
    (spec, programs)
}

fn host_spec(host: &Host, links: &Links) -> MachineSpec {
    let name = host.name.value.clone();
    let nics: Vec<NicSpec> = host.nics.iter().map(|card| nic_spec(card, &name, links)).collect();
    let gateways = host.nics.iter().filter_map(|card| card.gateway);
    let mut routes: Vec<RouteSpec> =
        gateways.map(|gateway| RouteSpec { destination: everywhere_like(gateway), gateway }).collect();
    routes.extend(routes_of(&host.routes));
    let rules = host.rules.iter().map(|rule| rule.value.split_whitespace().map(str::to_owned).collect());
    MachineSpec {
        name,
        nics,
        loopback: Vec::new(),
        routes,
        forward: host.ip_forward,
        resolv_conf: host.resolv_conf.clone().unwrap_or_else(|| "nameserver 203.0.113.53\n".to_owned()),
        local_ports: host.ephemeral_ports,
        sysctls: host.sysctls.clone(),
        rules: rules.collect(),
        sctp: host.sctp,
    }
}

/// The LAN a host's card is plugged into.
pub(super) fn lan_of(card: &Nic) -> &str {
    let default = if card.name.value == "eth0" { UPLINK } else { card.name.value.as_str() };
    card.lan.as_deref().unwrap_or(default)
}

fn nic_spec(card: &Nic, machine: &str, links: &Links) -> NicSpec {
    let lan = lan_of(card);
    let mut spec = nic(
        &card.name.value,
        card.addresses.clone(),
        Some(lan),
        links.quality(machine, &card.name.value),
        card.mtu.or(links.mtu(machine, &card.name.value)),
    );
    spec.mac = card.mac.map(|mac| mac.0);
    spec
}

/// A machine behind the router: the address it has on the uplink, and those that are its own.
struct Remote {
    gateway: IpAddr,
    addresses: Vec<IpNet>,
}

fn machine_spec(machine: &Machine, links: &Links, remote: &mut Vec<Remote>) -> MachineSpec {
    let name = machine.name.value.clone();
    let whole = |net: &&IpNet| net.prefix_len() == net.max_prefix_len();
    let own: Vec<IpNet> = machine.addresses.iter().filter(whole).copied().collect();
    let mut addresses: Vec<IpNet> = machine.addresses.iter().filter(|net| !whole(net)).copied().collect();
    let mut gateway = machine.gateway;
    if !own.is_empty() && addresses.is_empty() {
        let last = u8::try_from(100 + remote.len()).unwrap_or(250);
        addresses.push(v4([203, 0, 113, last], 24));
        gateway = gateway.or(Some(address([203, 0, 113, 1])));
        remote.push(Remote { gateway: address([203, 0, 113, last]), addresses: own.clone() });
    }
    let mut routes = routes_of(&machine.routes);
    routes.extend(gateway.map(|gateway| RouteSpec { destination: everywhere_like(gateway), gateway }));
    let servers: String = machine.dns.iter().map(|server| format!("nameserver {server}\n")).collect();
    let lan = machine.lan.as_deref().unwrap_or(UPLINK);
    MachineSpec {
        nics: vec![nic("eth0", addresses, Some(lan), links.quality(&name, "eth0"), links.mtu(&name, "eth0"))],
        name,
        loopback: own,
        routes,
        forward: false,
        resolv_conf: if servers.is_empty() { "nameserver 203.0.113.53\n".to_owned() } else { servers },
        local_ports: None,
        sysctls: Vec::new(),
        rules: Vec::new(),
        sctp: false,
    }
}

fn programs_of(scenario: &Scenario, machine: &Machine, zone: &Rc<AuthorityZone>) -> Vec<Daemonised> {
    let pages = machine.serves.iter().map(|(port, text)| Daemonised::Page(port.port, text.clone()));
    let mut programs: Vec<Daemonised> = pages.collect();
    let served = |port| machine.serves.iter().any(|(other, _)| *other == port);
    let listened: Vec<String> =
        machine.listen.iter().filter(|p| !served(**p)).map(ToString::to_string).collect();
    if !listened.is_empty() {
        programs.push(Daemonised::Listen(listened));
    }
    if machine.dns_server {
        programs.push(Daemonised::NameServer(zone.clone()));
    }
    let proxies = scenario.world.proxies.iter().filter(|proxy| proxy.machine.value == machine.name.value);
    programs.extend(proxies.map(|proxy| Daemonised::Proxy(proxy.port)));
    programs
}

fn zone(scenario: &Scenario) -> Result<AuthorityZone, Stop> {
    let mut zone = known_zone();
    let invalid = |span, error: InvalidName| Box::new(Diagnostic::error(span, error.to_string()));
    // What a file says of a name is all there is to it.
    for record in &scenario.world.records {
        zone.forget(&record.name).map_err(|error| invalid(record.span, error))?;
    }
    for machine in &scenario.world.machines {
        for name in &machine.names {
            zone.forget(name).map_err(|error| invalid(machine.name.span, error))?;
        }
    }
    for record in &scenario.world.records {
        let data = match &record.data {
            DnsData::Address(address) => address_record(*address),
            DnsData::Alias(target) => RecordData::Cname(target.clone()),
            DnsData::Text(text) => RecordData::Txt(text.clone()),
        };
        zone.add(&record.name, data, record.ttl).map_err(|error| invalid(record.span, error))?;
    }
    for machine in &scenario.world.machines {
        for name in &machine.names {
            for net in &machine.addresses {
                let added = zone.add(name, address_record(net.addr()), None);
                added.map_err(|error| invalid(machine.name.span, error))?;
            }
        }
    }
    Ok(zone)
}

/// The names that people ask the default stage's DNS server for.
pub fn known_names() -> impl Iterator<Item = &'static str> {
    WELL_KNOWN.into_iter().chain(["www.example.test", "uponly"])
}

/// What is known to the default stage's DNS server without being said.
fn known_zone() -> AuthorityZone {
    let mut zone = AuthorityZone::default_stage();
    for name in WELL_KNOWN {
        // Names of our own, well formed.
        let _ = zone.add(name, RecordData::A(Ipv4Addr::new(198, 51, 100, 8)), None);
    }
    zone
}

fn address_record(address: IpAddr) -> RecordData {
    match address {
        IpAddr::V4(address) => RecordData::A(address),
        IpAddr::V6(address) => RecordData::Aaaa(address),
    }
}

fn routes_of(routes: &[super::model::Route]) -> Vec<RouteSpec> {
    let spec = |route: &super::model::Route| {
        let gateway = route.via?;
        Some(RouteSpec { destination: route.to.unwrap_or_else(|| everywhere_like(gateway)), gateway })
    };
    routes.iter().filter_map(spec).collect()
}

/// The qualities of links by machine and card.
struct Links<'a> {
    host: &'a str,
    links: &'a [WorldLink],
}

impl<'a> Links<'a> {
    fn new(scenario: &'a Scenario) -> Links<'a> {
        let host = scenario.hosts.first().map_or(HOST, |h| h.name.value.as_str());
        Links { host, links: &scenario.world.links }
    }

    fn find(&self, machine: &str, card: &str) -> Option<&WorldLink> {
        let is = |end: &LinkEnd| match end {
            LinkEnd::Host(name) => machine == self.host && name.as_deref().is_none_or(|n| n == card),
            LinkEnd::World(name) => name == machine,
            LinkEnd::Lan(_) => false,
        };
        // A link between a host and a machine is one wire: the machine's end carries it.
        let of = |link: &&WorldLink| match &link.between {
            Some((a, b)) => {
                let machines = matches!(a, LinkEnd::World(_)) || matches!(b, LinkEnd::World(_));
                if machines { machine != self.host && (is(a) || is(b)) } else { is(a) || is(b) }
            }
            None => link.name.value == machine || machine == self.host && link.name.value == card,
        };
        self.links.iter().find(of)
    }

    fn quality(&self, machine: &str, card: &str) -> LinkQuality {
        let Some(link) = self.find(machine, card) else { return LinkQuality::default() };
        LinkQuality {
            delay: link.delay,
            jitter: link.jitter,
            rate: link.rate,
            queue: link.queue.map(|packets| packets as usize * 1_514),
            loss: link.loss,
            duplicate: link.duplicate,
            reorder: link.reorder,
            cut: link.down,
        }
    }

    fn mtu(&self, machine: &str, card: &str) -> Option<u32> {
        self.find(machine, card).and_then(|link| link.mtu)
    }
}

fn nic(
    name: &str,
    addresses: Vec<IpNet>,
    lan: Option<&str>,
    quality: LinkQuality,
    mtu: Option<u32>,
) -> NicSpec {
    let lan = lan.map(str::to_owned);
    NicSpec { name: name.to_owned(), addresses, lan, mtu: mtu.unwrap_or(1_500), mac: None, quality }
}

fn address(octets: [u8; 4]) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(octets))
}

fn v4(octets: [u8; 4], prefix: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::from(octets), prefix))
}

fn everywhere() -> IpNet {
    v4([0; 4], 0)
}

fn everywhere_like(gateway: IpAddr) -> IpNet {
    match gateway {
        IpAddr::V4(_) => everywhere(),
        IpAddr::V6(_) => IpNet::V6(ipnet::Ipv6Net::new_assert(std::net::Ipv6Addr::UNSPECIFIED, 0)),
    }
}
