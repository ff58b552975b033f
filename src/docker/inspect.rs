//! The JSON of `docker inspect` and `docker network inspect`, fields in the order of each API version.
//!
//! The fields that networking touches or that people look at are filled in; others have dockerd's defaults. What a
//! storage driver says of itself is left out, and so is the log of a health check. An image's id stands for its name:
//! nobody knows the content that it would be a digest of.

mod config;
pub(super) mod shapes;

use std::collections::BTreeMap;
use std::time::Duration;

use ipnet::IpNet;
use serde_json::{Map, Value, json};

use super::container::{Container, SandboxKind, State};
use super::endpoint::{Active, Endpoint};
use super::identity::image_id;
use super::network::Network;
use super::profile::Profile;
use super::request::NetworkMode;

/// The wall clock at the start of virtual time: 2026-01-01T00:00:00Z in seconds of the Unix epoch.
const EPOCH: u64 = 1_767_225_600;

/// A network, as `GET /networks/ID` answers.
pub(super) fn network<'a>(
    profile: Profile,
    network: &Network,
    container: impl Fn(u32) -> Option<&'a Container>,
) -> Value {
    let mut members: BTreeMap<String, Value> = BTreeMap::new();
    for member in network.members.iter().filter_map(|number| container(*number)) {
        let Some(active) = member.endpoint(network.number).and_then(|endpoint| endpoint.active.as_ref())
        else {
            continue;
        };
        let net = |address: Option<IpNet>| address.map(|net| net.to_string()).unwrap_or_default();
        members.insert(
            member.id.to_string(),
            json!({
                "Name": member.name,
                "EndpointID": active.id.to_string(),
                "MacAddress": mac(active),
                "IPv4Address": net(active.ipv4),
                "IPv6Address": net(active.ipv6),
            }),
        );
    }
    let config: Vec<Value> = network
        .shown
        .config
        .iter()
        .map(|pool| {
            let mut object = Map::new();
            object.insert("Subnet".to_owned(), json!(pool.subnet));
            for (key, value) in [("IPRange", &pool.ip_range), ("Gateway", &pool.gateway)] {
                if let Some(value) = value {
                    object.insert(key.to_owned(), json!(value));
                }
            }
            if !pool.aux.is_empty() {
                object.insert("AuxiliaryAddresses".to_owned(), json!(pool.aux));
            }
            Value::Object(object)
        })
        .collect();
    let config = match config.is_empty() && profile.shows_no_subnets_as_null() {
        true => Value::Null,
        false => json!(config),
    };
    let mut fields = vec![
        ("Name", json!(network.name)),
        ("Id", json!(network.id.as_str())),
        ("Created", json!(timestamp(network.created))),
        ("Scope", json!("local")),
        ("Driver", json!(network.driver.name())),
    ];
    if profile.shows_enable_ipv4() {
        fields.push(("EnableIPv4", json!(network.ipv4)));
    }
    fields.extend([
        ("EnableIPv6", json!(network.ipv6)),
        ("IPAM", json!({"Driver": network.shown.driver, "Options": network.shown.options, "Config": config})),
        ("Internal", json!(network.internal)),
        ("Attachable", json!(network.attachable)),
        ("Ingress", json!(false)),
        ("ConfigFrom", json!({"Network": network.config_from.clone().unwrap_or_default()})),
        ("ConfigOnly", json!(network.config_only)),
    ]);
    let containers = ("Containers", json!(members));
    let options = [("Options", json!(network.options)), ("Labels", network.labels.json())];
    if profile.shows_ipam_status() {
        fields.extend(options);
        fields.push(containers);
    } else {
        fields.push(containers);
        fields.extend(options);
    }
    object(fields)
}

/// A container, as `GET /containers/ID/json` answers.
pub(super) fn container(profile: Profile, container: &Container) -> Value {
    let config = &container.made_from.config;
    let zero = "0001-01-01T00:00:00Z".to_owned();
    let time = |at: Option<Duration>| at.map_or_else(|| zero.clone(), timestamp);
    let mut state = json!({
        "Status": container.state.name(),
        "Running": container.state.is_running(),
        "Paused": container.state == State::Paused,
        "Restarting": container.state == State::Restarting,
        "OOMKilled": false,
        "Dead": false,
        "Pid": if container.state.is_up() { container.number } else { 0 },
        "ExitCode": container.exit_code,
        "Error": container.error,
        "StartedAt": time(container.started),
        "FinishedAt": time(container.finished),
    });
    if let (Some(health), Some(fields)) = (container.health, state.as_object_mut()) {
        let shown =
            json!({"Status": health.status.name(), "FailingStreak": health.failing_streak, "Log": []});
        fields.insert("Health".to_owned(), shown);
    }
    let base = format!("/var/lib/docker/containers/{}", container.id);
    object(vec![
        ("Id", json!(container.id.as_str())),
        ("Created", json!(timestamp(container.created))),
        ("Path", json!(container.shown_argv().first())),
        ("Args", json!(container.shown_argv().get(1..).unwrap_or_default())),
        ("State", state),
        ("Image", json!(image_id(config.catalogue_key.as_ref().unwrap_or(&config.image)))),
        ("ResolvConfPath", json!(format!("{base}/resolv.conf"))),
        ("HostnamePath", json!(format!("{base}/hostname"))),
        ("HostsPath", json!(format!("{base}/hosts"))),
        ("LogPath", json!(format!("{base}/{}-json.log", container.id))),
        ("Name", json!(format!("/{}", container.name))),
        ("RestartCount", json!(container.restarts)),
        ("Driver", json!("overlay2")),
        ("Platform", json!("linux")),
        ("MountLabel", json!("")),
        ("ProcessLabel", json!("")),
        ("AppArmorProfile", json!("")),
        ("ExecIDs", Value::Null),
        ("HostConfig", config::host_config(profile, container)),
        ("Mounts", json!([])),
        ("Config", config::config(container)),
        ("NetworkSettings", network_settings(profile, container)),
    ])
}

/// A container in the client's structure, which is that of 28: what an older daemon does not send of an endpoint is zero.
pub(super) fn container_for_client(profile: Profile, container: &Container) -> Value {
    let mut shown = self::container(Profile::Docker28, container);
    let Some(Value::Object(networks)) = shown.pointer_mut("/NetworkSettings/Networks") else { return shown };
    for endpoint in &container.endpoints {
        let sent = endpoint_json(profile, container, endpoint);
        let Some(Value::Object(fields)) = networks.get_mut(&endpoint.network_name) else { continue };
        for (name, value) in fields {
            *value = match (sent.get(name), &value) {
                (Some(sent), _) => sent.clone(),
                (None, Value::Number(_)) => json!(0),
                (None, Value::String(_)) => json!(""),
                (None, _) => Value::Null,
            };
        }
    }
    shown
}

fn network_settings(profile: Profile, container: &Container) -> Value {
    let shared = matches!(container.made_from.config.network_mode, NetworkMode::Container(_));
    let on_host = container.sandbox.as_ref().is_some_and(|sandbox| sandbox.kind == SandboxKind::Host)
        || container.made_from.config.network_mode == NetworkMode::Host;
    let kept = container.state.is_up() || profile.keeps_sandbox_ids();
    let (sandbox_id, sandbox_key) = match container.sandbox_id.as_ref().filter(|_| kept) {
        Some(id) if on_host => (id.to_string(), "/var/run/docker/netns/default".to_owned()),
        Some(id) => (id.to_string(), format!("/var/run/docker/netns/{}", &id.to_string()[..12])),
        None => (String::new(), String::new()),
    };
    let (sandbox_id, sandbox_key) = (json!(sandbox_id), json!(sandbox_key));
    let mut ports: BTreeMap<String, Value> = BTreeMap::new();
    if container.shows_ports() && !shared {
        for (port, hosts) in container.published() {
            let bindings: Vec<Value> = hosts
                .iter()
                .map(|host| {
                    let port = match host.port() {
                        0 => String::new(),
                        port => port.to_string(),
                    };
                    json!({"HostIp": host.ip().to_string(), "HostPort": port})
                })
                .collect();
            ports.insert(port.to_string(), if bindings.is_empty() { Value::Null } else { json!(bindings) });
        }
    }
    let ports = json!(ports);
    let networks: BTreeMap<String, Value> = container
        .endpoints
        .iter()
        .map(|endpoint| (endpoint.network_name.clone(), endpoint_json(profile, container, endpoint)))
        .collect();
    let networks = json!(networks);
    if !profile.legacy_network_settings() {
        return object(vec![
            ("SandboxID", sandbox_id),
            ("SandboxKey", sandbox_key),
            ("Ports", ports),
            ("Networks", networks),
        ]);
    }
    let mut fields = match profile {
        Profile::Docker20_10 => vec![
            ("Bridge", json!("")),
            ("SandboxID", sandbox_id),
            ("HairpinMode", json!(false)),
            ("LinkLocalIPv6Address", json!("")),
            ("LinkLocalIPv6PrefixLen", json!(0)),
            ("Ports", ports),
            ("SandboxKey", sandbox_key),
        ],
        Profile::Docker28 | Profile::Docker29 => vec![
            ("Bridge", json!("")),
            ("SandboxID", sandbox_id),
            ("SandboxKey", sandbox_key),
            ("Ports", ports),
            ("HairpinMode", json!(false)),
            ("LinkLocalIPv6Address", json!("")),
            ("LinkLocalIPv6PrefixLen", json!(0)),
        ],
    };
    let default = container.endpoints.iter().find(|endpoint| endpoint.network_name == "bridge");
    let active = default.and_then(|endpoint| endpoint.active.as_ref());
    let parts = Parts::of(active);
    fields.extend([
        ("SecondaryIPAddresses", Value::Null),
        ("SecondaryIPv6Addresses", Value::Null),
        ("EndpointID", parts.endpoint),
        ("Gateway", parts.gateway),
        ("GlobalIPv6Address", parts.ipv6),
        ("GlobalIPv6PrefixLen", parts.ipv6_prefix),
        ("IPAddress", parts.ipv4),
        ("IPPrefixLen", parts.ipv4_prefix),
        ("IPv6Gateway", parts.gateway_v6),
        ("MacAddress", parts.mac),
        ("Networks", networks),
    ]);
    object(fields)
}

/// The fields of an endpoint that are empty while it is down.
struct Parts {
    endpoint: Value,
    gateway: Value,
    ipv4: Value,
    ipv4_prefix: Value,
    gateway_v6: Value,
    ipv6: Value,
    ipv6_prefix: Value,
    mac: Value,
}

impl Parts {
    fn of(active: Option<&Active>) -> Self {
        let address = |net: Option<IpNet>| json!(net.map(|net| net.addr().to_string()).unwrap_or_default());
        let prefix = |net: Option<IpNet>| json!(net.map_or(0, |net| net.prefix_len()));
        let (ipv4, ipv6) = (active.and_then(|a| a.ipv4), active.and_then(|a| a.ipv6));
        let text = |ip: Option<std::net::IpAddr>| json!(ip.map(|ip| ip.to_string()).unwrap_or_default());
        Self {
            endpoint: json!(active.map(|active| active.id.to_string()).unwrap_or_default()),
            gateway: text(active.and_then(|active| active.shown_gateway_v4)),
            ipv4: address(ipv4),
            ipv4_prefix: prefix(ipv4),
            gateway_v6: text(active.and_then(|active| active.shown_gateway_v6)),
            ipv6: address(ipv6),
            ipv6_prefix: prefix(ipv6),
            mac: json!(active.map(mac).unwrap_or_default()),
        }
    }
}

fn endpoint_json(profile: Profile, container: &Container, endpoint: &Endpoint) -> Value {
    let config = &endpoint.config;
    let user_defined = !super::network::is_predefined(&endpoint.network_name);
    let mut asked = Map::new();
    for (key, value) in [("IPv4Address", &config.ipv4), ("IPv6Address", &config.ipv6)] {
        if let Some(value) = value {
            asked.insert(key.to_owned(), json!(value));
        }
    }
    if !config.link_local.is_empty() {
        asked.insert("LinkLocalIPs".to_owned(), json!(config.link_local));
    }
    let ipam = if asked.is_empty() && !endpoint.connected { Value::Null } else { Value::Object(asked) };
    let links: Vec<String> =
        config.links.iter().map(|link| format!("{}:{}", link.container, link.alias)).collect();
    let links = if links.is_empty() { Value::Null } else { json!(links) };
    let mut aliases = config.aliases.clone();
    if profile.short_id_in_aliases() && user_defined {
        for name in [container.id.short().to_owned(), container.hostname.clone()] {
            if !aliases.contains(&name) {
                aliases.push(name);
            }
        }
    }
    let aliases = if aliases.is_empty() && !endpoint.connected { Value::Null } else { json!(aliases) };
    let opts = if config.driver_opts.is_empty() && !endpoint.connected {
        Value::Null
    } else {
        json!(config.driver_opts)
    };
    let network_id = json!(endpoint.network_id.as_ref().map(|id| id.to_string()).unwrap_or_default());
    let names =
        if user_defined && endpoint.named { json!(container.dns_names(endpoint)) } else { Value::Null };
    let parts = Parts::of(endpoint.active.as_ref());
    let addresses = vec![
        ("IPPrefixLen", parts.ipv4_prefix),
        ("IPv6Gateway", parts.gateway_v6),
        ("GlobalIPv6Address", parts.ipv6),
        ("GlobalIPv6PrefixLen", parts.ipv6_prefix),
    ];
    let mut fields = vec![("IPAMConfig", ipam), ("Links", links), ("Aliases", aliases)];
    match profile {
        Profile::Docker20_10 => {
            fields.extend([
                ("NetworkID", network_id),
                ("EndpointID", parts.endpoint),
                ("Gateway", parts.gateway),
                ("IPAddress", parts.ipv4),
            ]);
            fields.extend(addresses);
            fields.extend([("MacAddress", parts.mac), ("DriverOpts", opts)]);
        }
        Profile::Docker28 => {
            fields.extend([
                ("MacAddress", parts.mac),
                ("DriverOpts", opts),
                ("GwPriority", json!(config.gw_priority)),
                ("NetworkID", network_id),
                ("EndpointID", parts.endpoint),
                ("Gateway", parts.gateway),
                ("IPAddress", parts.ipv4),
            ]);
            fields.extend(addresses);
            fields.push(("DNSNames", names));
        }
        Profile::Docker29 => {
            fields.extend([
                ("DriverOpts", opts),
                ("GwPriority", json!(config.gw_priority)),
                ("NetworkID", network_id),
                ("EndpointID", parts.endpoint),
                ("Gateway", parts.gateway),
                ("IPAddress", parts.ipv4),
                ("MacAddress", parts.mac),
            ]);
            fields.extend(addresses);
            fields.push(("DNSNames", names));
        }
    }
    object(fields)
}

fn mac(active: &Active) -> String {
    active.mac.map(|mac| mac.to_string()).unwrap_or_default()
}

fn object(fields: Vec<(&str, Value)>) -> Value {
    Value::Object(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// JSON as the client indents it: four blanks, empty containers on one line.
pub(super) fn indented(values: &[Value]) -> String {
    let mut text = String::new();
    indent(&Value::Array(values.to_vec()), 0, &mut text);
    text.push('\n');
    text
}

fn indent(value: &Value, depth: usize, text: &mut String) {
    let line = |text: &mut String, depth: usize| {
        text.push('\n');
        text.extend(std::iter::repeat_n("    ", depth));
    };
    match value {
        Value::Array(items) if !items.is_empty() => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                line(text, depth + 1);
                indent(item, depth + 1, text);
            }
            line(text, depth);
            text.push(']');
        }
        Value::Object(fields) if !fields.is_empty() => {
            text.push('{');
            for (index, (key, item)) in fields.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                line(text, depth + 1);
                *text += &format!("{}: ", Value::String(key.clone()));
                indent(item, depth + 1, text);
            }
            line(text, depth);
            text.push('}');
        }
        other => *text += &other.to_string(),
    }
}

/// A moment as RFC 3339 with the digits of the second that are not zero.
pub(super) fn timestamp(at: Duration) -> String {
    let (year, month, day, hour, minute, second) = civil(EPOCH + at.as_secs());
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if at.subsec_nanos() > 0 {
        let digits = format!("{:09}", at.subsec_nanos());
        text.push('.');
        text += digits.trim_end_matches('0');
    }
    text + "Z"
}

/// A moment as lists show it.
pub(super) fn created_at(at: Duration) -> String {
    let (year, month, day, hour, minute, second) = civil(EPOCH + at.as_secs());
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} +0000 UTC")
}

/// The same with nine digits behind the second, as `docker events` prints it.
pub(super) fn timestamp_of_event(at: Duration) -> String {
    let whole = timestamp(Duration::from_secs(at.as_secs()));
    format!("{}.{:09}Z", whole.trim_end_matches('Z'), at.subsec_nanos())
}

/// Time since the Unix epoch.
pub(super) fn since_epoch(at: Duration) -> Duration {
    Duration::from_secs(EPOCH) + at
}

/// Date and time of a second of the Unix epoch, in the proleptic Gregorian calendar.
fn civil(seconds: u64) -> (u64, u64, u64, u64, u64, u64) {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01, so that leap days come last in their year and the months' lengths are regular.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let of_era_year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * of_era_year + of_era_year / 4 - of_era_year / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + of_era_year + u64::from(month <= 2);
    (year, month, day, rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_go_does() {
        assert_eq!(timestamp(Duration::ZERO), "2026-01-01T00:00:00Z");
        assert_eq!(timestamp(Duration::from_millis(86_400_000 * 58 + 1500)), "2026-02-28T00:00:01.5Z");
        assert_eq!(timestamp(Duration::from_secs(86_400 * 789)), "2028-02-29T00:00:00Z");
        assert_eq!(created_at(Duration::from_secs(3661)), "2026-01-01 01:01:01 +0000 UTC");
    }

    #[test]
    fn empty_containers_stay_on_one_line() {
        let value = json!({"a": {}, "b": [], "c": [1, {"d": null}]});
        assert_eq!(
            indented(&[value]),
            "[\n    {\n        \"a\": {},\n        \"b\": [],\n        \"c\": [\n            1,\n            {\n                \"d\": \
             null\n            }\n        ]\n    }\n]\n"
        );
        assert_eq!(indented(&[]), "[]\n");
    }
}
