//! `docker network ...`.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{
    ArgumentRule, CliError, Command, Usage, filter,
    flags::{Flag, Placement, Takes, quote},
    plain,
    values::{csv_fields, insert_pair, label, link},
};
use crate::docker::request::{
    EndpointConfig, IpamPool, List, NetworkConnect, NetworkCreate, NetworkDisconnect, NetworkInspect,
    NetworkRemove, Prune, Request,
};

/// Reads what stands after `docker network`.
pub(super) fn parse(words: &[String]) -> Result<Command, CliError> {
    let Some((verb, rest)) = words.split_first() else {
        return Err(CliError::Help { path: "docker network".to_owned(), arguments: "COMMAND" });
    };
    let usage = |arguments| Usage { path: format!("docker network {verb}"), arguments };
    let request = match verb.as_str() {
        "create" => Request::NetworkCreate(create(&usage("[OPTIONS] NETWORK"), rest)?),
        "connect" => Request::NetworkConnect(connect(&usage("[OPTIONS] NETWORK CONTAINER"), rest)?),
        "disconnect" => Request::NetworkDisconnect(disconnect(&usage("[OPTIONS] NETWORK CONTAINER"), rest)?),
        "inspect" => Request::NetworkInspect(inspect(&usage("[OPTIONS] NETWORK [NETWORK...]"), rest)?),
        "ls" | "list" => Request::NetworkList(list(&usage("[OPTIONS]"), rest)?),
        "prune" => Request::NetworkPrune(prune(&usage("[OPTIONS]"), rest)?),
        "rm" | "remove" => Request::NetworkRemove(remove(&usage("NETWORK [NETWORK...]"), rest)?),
        "--help" => return Err(CliError::Help { path: "docker network".to_owned(), arguments: "COMMAND" }),
        other => {
            return Err(CliError::UnknownCommand {
                path: "docker network",
                name: other.to_owned(),
                usage: "Usage:  docker network\n\n",
            });
        }
    };
    Ok(plain(request))
}

#[derive(Debug, Clone, Copy)]
enum CreateFlag {
    Attachable,
    AuxAddress,
    ConfigFrom,
    ConfigOnly,
    Driver,
    Gateway,
    Ingress,
    Internal,
    IpRange,
    IpamDriver,
    IpamOpt,
    Ipv4,
    Ipv6,
    Label,
    Opt,
    Scope,
    Subnet,
}

const CREATE_FLAGS: &[Flag<CreateFlag>] = &[
    Flag::switch(CreateFlag::Attachable, "attachable"),
    Flag::value(CreateFlag::AuxAddress, "aux-address"),
    Flag::value(CreateFlag::ConfigFrom, "config-from"),
    Flag::switch(CreateFlag::ConfigOnly, "config-only"),
    Flag::short(CreateFlag::Driver, 'd', "driver", Takes::Value),
    Flag::value(CreateFlag::Gateway, "gateway"),
    Flag::switch(CreateFlag::Ingress, "ingress"),
    Flag::switch(CreateFlag::Internal, "internal"),
    Flag::value(CreateFlag::IpRange, "ip-range"),
    Flag::value(CreateFlag::IpamDriver, "ipam-driver"),
    Flag::value(CreateFlag::IpamOpt, "ipam-opt"),
    Flag::switch(CreateFlag::Ipv4, "ipv4"),
    Flag::switch(CreateFlag::Ipv6, "ipv6"),
    Flag::value(CreateFlag::Label, "label"),
    Flag::short(CreateFlag::Opt, 'o', "opt", Takes::Value),
    Flag::value(CreateFlag::Scope, "scope"),
    Flag::value(CreateFlag::Subnet, "subnet"),
];

/// The address options of `network create` before they are matched with each other.
#[derive(Debug, Default)]
struct AddressOptions {
    subnets: Vec<String>,
    ip_ranges: Vec<String>,
    gateways: Vec<String>,
    aux: Vec<(String, String)>,
}

fn create(usage: &Usage, words: &[String]) -> Result<NetworkCreate, CliError> {
    let parsed = usage.read(CREATE_FLAGS, Placement::Anywhere, ArgumentRule::Exactly(1), words)?;
    let mut network = NetworkCreate::new(parsed.arguments.concat());
    let mut addresses = AddressOptions::default();
    for given in parsed.given {
        let value = given.value.clone();
        let slice = || csv_fields(&value).map_err(|reason| usage.flag(given.flag.invalid(&value, reason)));
        match given.flag.id {
            CreateFlag::Attachable => network.attachable = given.on,
            CreateFlag::AuxAddress => {
                let (name, address) = value.split_once('=').unwrap_or((value.as_str(), ""));
                addresses.aux.retain(|(known, _)| known != name);
                addresses.aux.push((name.to_owned(), address.to_owned()));
            }
            CreateFlag::ConfigFrom => network.config_from = (!value.is_empty()).then_some(value),
            CreateFlag::ConfigOnly => network.config_only = given.on,
            CreateFlag::Driver => network.driver = value,
            CreateFlag::Gateway => addresses.gateways.extend(slice()?),
            CreateFlag::Ingress => network.ingress = given.on,
            CreateFlag::Internal => network.internal = given.on,
            CreateFlag::IpRange => addresses.ip_ranges.extend(slice()?),
            CreateFlag::IpamDriver => network.ipam.driver = value,
            CreateFlag::IpamOpt => insert_pair(&mut network.ipam.options, &value),
            CreateFlag::Ipv4 => network.ipv4 = Some(given.on),
            CreateFlag::Ipv6 => network.ipv6 = Some(given.on),
            CreateFlag::Label => {
                let (name, value) =
                    label(&value).map_err(|reason| usage.flag(given.flag.invalid(&value, reason)))?;
                network.labels.insert(&name, &value);
            }
            CreateFlag::Opt => insert_pair(&mut network.options, &value),
            CreateFlag::Scope => network.scope = (!value.is_empty()).then_some(value),
            CreateFlag::Subnet => addresses.subnets.extend(slice()?),
        }
    }
    network.ipam.pools = pools(addresses).map_err(CliError::Refused)?;
    Ok(network)
}

/// Gives every range, gateway and auxiliary address to the subnets that contain it, as the client does.
///
/// A single subnet is not parsed unless something must be matched with it: a malformed one is the daemon's to refuse.
fn pools(addresses: AddressOptions) -> Result<Vec<IpamPool>, String> {
    let AddressOptions { subnets, ip_ranges, gateways, aux } = addresses;
    if subnets.len() < ip_ranges.len() || subnets.len() < gateways.len() {
        return Err("every ip-range or gateway must have a corresponding subnet".to_owned());
    }
    let mut pools: Vec<IpamPool> = Vec::new();
    for subnet in subnets {
        for known in &pools {
            if contains(&subnet, &known.subnet)? || contains(&known.subnet, &subnet)? {
                return Err("multiple overlapping subnet configuration is not supported".to_owned());
            }
        }
        pools.push(IpamPool { subnet, ..IpamPool::default() });
    }
    for range in ip_ranges {
        range.parse::<IpNet>().map_err(|_| format!("invalid CIDR address: {range}"))?;
        for index in matching(&pools, &range, "range")? {
            let pool = &mut pools[index];
            if let Some(other) = pool.ip_range.replace(range.clone()) {
                return Err(format!(
                    "cannot configure multiple ranges ({range}, {other}) on the same subnet ({})",
                    pool.subnet
                ));
            }
        }
    }
    for gateway in gateways {
        for index in matching(&pools, &gateway, "gateway")? {
            let pool = &mut pools[index];
            if let Some(other) = pool.gateway.replace(gateway.clone()) {
                return Err(format!(
                    "cannot configure multiple gateways ({gateway}, {other}) for the same subnet ({})",
                    pool.subnet
                ));
            }
        }
    }
    for (name, address) in aux {
        for index in matching(&pools, &address, "aux-address")? {
            pools[index].aux.insert(name.clone(), address.clone());
        }
    }
    Ok(pools)
}

/// The subnets that contain `data`; none is an error that calls it `what`.
fn matching(pools: &[IpamPool], data: &str, what: &str) -> Result<Vec<usize>, String> {
    let mut indices = Vec::new();
    for (index, pool) in pools.iter().enumerate() {
        if contains(&pool.subnet, data)? {
            indices.push(index);
        }
    }
    if indices.is_empty() { Err(format!("no matching subnet for {what} {data}")) } else { Ok(indices) }
}

/// Whether `subnet` contains the address `data`, which may carry a prefix length.
fn contains(subnet: &str, data: &str) -> Result<bool, String> {
    let subnet: IpNet =
        subnet.parse().map_err(|_| format!("invalid subnet: invalid CIDR address: {subnet}"))?;
    let address: Option<IpAddr> = if data.contains('/') {
        let cidr: IpNet = data.parse().map_err(|_| format!("invalid CIDR address: {data}"))?;
        Some(cidr.addr())
    } else {
        data.parse().ok()
    };
    Ok(address.is_some_and(|address| subnet.contains(&address)))
}

#[derive(Debug, Clone, Copy)]
enum ConnectFlag {
    Alias,
    DriverOpt,
    GwPriority,
    Ip,
    Ip6,
    Link,
    LinkLocalIp,
}

const CONNECT_FLAGS: &[Flag<ConnectFlag>] = &[
    Flag::value(ConnectFlag::Alias, "alias"),
    Flag::value(ConnectFlag::DriverOpt, "driver-opt"),
    Flag::value(ConnectFlag::GwPriority, "gw-priority"),
    Flag::value(ConnectFlag::Ip, "ip"),
    Flag::value(ConnectFlag::Ip6, "ip6"),
    Flag::value(ConnectFlag::Link, "link"),
    Flag::value(ConnectFlag::LinkLocalIp, "link-local-ip"),
];

fn connect(usage: &Usage, words: &[String]) -> Result<NetworkConnect, CliError> {
    let parsed = usage.read(CONNECT_FLAGS, Placement::Anywhere, ArgumentRule::Exactly(2), words)?;
    let [network, container] = two(parsed.arguments);
    let mut endpoint = EndpointConfig::on(network);
    for given in parsed.given {
        let value = given.value;
        match given.flag.id {
            ConnectFlag::Alias => endpoint
                .aliases
                .extend(csv_fields(&value).map_err(|reason| usage.flag(given.flag.invalid(&value, reason)))?),
            ConnectFlag::DriverOpt => {
                if !value.contains('=') || value.starts_with('=') {
                    return Err(CliError::Refused(
                        "invalid key/value pair format in driver options".to_owned(),
                    ));
                }
                insert_pair(&mut endpoint.driver_opts, &value);
            }
            ConnectFlag::GwPriority => {
                endpoint.gw_priority = value.parse().map_err(|_| {
                    let reason = format!("strconv.ParseInt: parsing {}: invalid syntax", quote(&value));
                    usage.flag(given.flag.invalid(&value, reason))
                })?;
            }
            ConnectFlag::Ip => endpoint.ipv4 = (!value.is_empty()).then_some(value),
            ConnectFlag::Ip6 => endpoint.ipv6 = (!value.is_empty()).then_some(value),
            ConnectFlag::Link => endpoint
                .links
                .push(link(&value).map_err(|reason| usage.flag(given.flag.invalid(&value, reason)))?),
            ConnectFlag::LinkLocalIp => endpoint
                .link_local
                .extend(csv_fields(&value).map_err(|reason| usage.flag(given.flag.invalid(&value, reason)))?),
        }
    }
    Ok(NetworkConnect { container, endpoint })
}

fn disconnect(usage: &Usage, words: &[String]) -> Result<NetworkDisconnect, CliError> {
    let flags = &[Flag::short((), 'f', "force", Takes::Nothing)];
    let parsed = usage.read(flags, Placement::Anywhere, ArgumentRule::Exactly(2), words)?;
    let force = parsed.given.last().is_some_and(|given| given.on);
    let [network, container] = two(parsed.arguments);
    Ok(NetworkDisconnect { network, container, force })
}

fn remove(usage: &Usage, words: &[String]) -> Result<NetworkRemove, CliError> {
    let flags = &[Flag::short((), 'f', "force", Takes::Nothing)];
    let parsed = usage.read(flags, Placement::Anywhere, ArgumentRule::AtLeast(1), words)?;
    let force = parsed.given.last().is_some_and(|given| given.on);
    Ok(NetworkRemove { networks: parsed.arguments, force })
}

#[derive(Debug, Clone, Copy)]
enum InspectFlag {
    Format,
    Verbose,
}

fn inspect(usage: &Usage, words: &[String]) -> Result<NetworkInspect, CliError> {
    let flags = &[
        Flag::short(InspectFlag::Format, 'f', "format", Takes::Value),
        Flag::short(InspectFlag::Verbose, 'v', "verbose", Takes::Nothing),
    ];
    let parsed = usage.read(flags, Placement::Anywhere, ArgumentRule::AtLeast(1), words)?;
    let mut inspect = NetworkInspect { networks: parsed.arguments, format: None, verbose: false };
    for given in parsed.given {
        match given.flag.id {
            InspectFlag::Format => inspect.format = (!given.value.is_empty()).then_some(given.value),
            InspectFlag::Verbose => inspect.verbose = given.on,
        }
    }
    Ok(inspect)
}

#[derive(Debug, Clone, Copy)]
enum ListFlag {
    Filter,
    Format,
    NoTrunc,
    Quiet,
}

fn list(usage: &Usage, words: &[String]) -> Result<List, CliError> {
    let flags = &[
        Flag::short(ListFlag::Filter, 'f', "filter", Takes::Value),
        Flag::value(ListFlag::Format, "format"),
        Flag::switch(ListFlag::NoTrunc, "no-trunc"),
        Flag::short(ListFlag::Quiet, 'q', "quiet", Takes::Nothing),
    ];
    let parsed = usage.read(flags, Placement::Anywhere, ArgumentRule::None, words)?;
    let mut list = List::default();
    for given in parsed.given {
        match given.flag.id {
            ListFlag::Filter => list.filters.push(filter(&given).map_err(|error| usage.flag(error))?),
            ListFlag::Format => list.view.format = (!given.value.is_empty()).then_some(given.value),
            ListFlag::NoTrunc => list.view.no_trunc = given.on,
            ListFlag::Quiet => list.view.quiet = given.on,
        }
    }
    Ok(list)
}

#[derive(Debug, Clone, Copy)]
enum PruneFlag {
    Filter,
    Force,
}

/// `docker network prune` and `docker container prune` have the same options.
pub(super) fn prune(usage: &Usage, words: &[String]) -> Result<Prune, CliError> {
    let flags = &[
        Flag::value(PruneFlag::Filter, "filter"),
        Flag::short(PruneFlag::Force, 'f', "force", Takes::Nothing),
    ];
    let parsed = usage.read(flags, Placement::Anywhere, ArgumentRule::None, words)?;
    let mut prune = Prune::default();
    for given in parsed.given {
        match given.flag.id {
            PruneFlag::Filter => prune.filters.push(filter(&given).map_err(|error| usage.flag(error))?),
            PruneFlag::Force => prune.force = given.on,
        }
    }
    Ok(prune)
}

/// The two arguments of a command whose argument rule is "exactly two".
pub(super) fn two(arguments: Vec<String>) -> [String; 2] {
    let mut arguments = arguments.into_iter();
    [arguments.next().unwrap_or_default(), arguments.next().unwrap_or_default()]
}
