//! The text of daemon.json as dockerd reads it: what is JSON, which keys the engine knows, which types and values they
//! take, and the settings that come of it. What is refused is refused in the engine's words, which differ by version
//! because Go's decoder does: 20.10 was built with Go 1.19, 28 with 1.24, which names the structures a field is in, and
//! the types of addresses changed.
//!
//! Limits: keys that are not about networks are only known by name. Go also takes keys in other letter cases.

mod syntax;

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Map, Value};

use super::config::{DaemonConfig, Proxies};
use crate::docker::error::DockerError;
use crate::docker::profile::Profile;

/// Where dockerd looks for it.
pub const PATH: &str = "/etc/docker/daemon.json";

const BRIDGE: &str = "CommonConfig.BridgeConfig.";
const DEFAULT_BRIDGE: &str = "CommonConfig.BridgeConfig.DefaultBridgeConfig.";
const COMMON_BRIDGE: &str = "CommonConfig.BridgeConfig.DefaultBridgeConfig.commonBridgeConfig.";
const DNS: &str = "CommonConfig.DNSConfig.";
const NETWORK: &str = "CommonConfig.NetworkConfig.";

/// A type of Go's that a setting has.
#[derive(Debug, Clone, Copy)]
pub enum Type {
    /// `bool`.
    Bool,
    /// `int`.
    Int,
    /// `string`.
    Text,
    /// `net.IP`.
    Ip,
    /// `net.IP` since 28, text that is looked at after decoding before.
    Resolver,
    /// `netip.Addr`.
    Address,
    /// `netip.Prefix` since 28, text before.
    Prefix,
    /// A slice.
    List(&'static Type),
    /// The address pools, whose decoder is their own.
    Pools,
    /// A map with texts for keys.
    Map(&'static Type),
    /// A structure by name, with its fields.
    Struct(&'static str, &'static [(&'static str, Type)]),
}

/// An element of [`Type::Pools`].
pub const POOL: Type = Type::Struct("NetworkToSplit", &[("base", Type::Prefix), ("size", Type::Int)]);
const PROXIES: [(&str, Type); 3] =
    [("http-proxy", Type::Text), ("https-proxy", Type::Text), ("no-proxy", Type::Text)];

/// A key of dockerd's: its type, what stands before its name since 28, and whether 20.10 has it.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    key: &'static str,
    /// Its type.
    pub of: Type,
    path: &'static str,
    since_20_10: bool,
}

const fn field(key: &'static str, of: Type, path: &'static str) -> Field {
    Field { key, of, path, since_20_10: true }
}

const fn newer(key: &'static str, of: Type, path: &'static str) -> Field {
    Field { key, of, path, since_20_10: false }
}

const FIELDS: [Field; 28] = [
    field("bridge", Type::Text, COMMON_BRIDGE),
    field("fixed-cidr", Type::Text, COMMON_BRIDGE),
    field("bip", Type::Text, DEFAULT_BRIDGE),
    newer("bip6", Type::Text, DEFAULT_BRIDGE),
    field("fixed-cidr-v6", Type::Text, DEFAULT_BRIDGE),
    field("default-gateway", Type::Ip, DEFAULT_BRIDGE),
    field("default-gateway-v6", Type::Ip, DEFAULT_BRIDGE),
    field("mtu", Type::Int, DEFAULT_BRIDGE),
    field("icc", Type::Bool, DEFAULT_BRIDGE),
    field("ip", Type::Ip, DEFAULT_BRIDGE),
    field("ipv6", Type::Bool, DEFAULT_BRIDGE),
    field("ip-masq", Type::Bool, BRIDGE),
    field("iptables", Type::Bool, BRIDGE),
    field("ip6tables", Type::Bool, BRIDGE),
    field("ip-forward", Type::Bool, BRIDGE),
    newer("ip-forward-no-drop", Type::Bool, BRIDGE),
    field("userland-proxy", Type::Bool, BRIDGE),
    newer("allow-direct-routing", Type::Bool, BRIDGE),
    field("default-address-pools", Type::Pools, NETWORK),
    newer("default-network-opts", Type::Map(&Type::Map(&Type::Text)), NETWORK),
    field("dns", Type::List(&Type::Resolver), DNS),
    field("dns-opts", Type::List(&Type::Text), DNS),
    field("dns-search", Type::List(&Type::Text), DNS),
    field("host-gateway-ip", Type::Ip, DNS),
    newer("host-gateway-ips", Type::List(&Type::Address), DNS),
    newer("firewall-backend", Type::Text, "CommonConfig."),
    field("live-restore", Type::Bool, "CommonConfig."),
    newer("proxies", Type::Struct("Proxies", &PROXIES), "CommonConfig."),
];

/// The key of this name, if it is about networks.
pub fn known(key: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.key == key)
}

/// Why a value is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Where in the value of the key: keys and numbers of elements.
    pub at: Vec<String>,
    /// dockerd's words.
    pub why: String,
    /// The JSON type that was found where another is expected.
    pub found: Option<&'static str>,
}

impl Refusal {
    /// The message of a daemon that cannot take its file.
    pub fn message(why: &str) -> String {
        format!("unable to configure the Docker daemon with file {PATH}: {why}")
    }
}

/// What dockerd says of a key it does not know.
pub fn unknown(keys: &[&str]) -> String {
    format!("the following directives don't match any configuration option: {}", keys.join(", "))
}

/// How far dockerd had come when it met what it refuses. The first of the earliest wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// The decoder stops.
    Stops,
    /// The decoder goes on, and says so at its end.
    Decoded,
    /// The whole was decoded.
    Validated,
}

impl Field {
    /// Whether an engine has the key.
    pub fn known_to(&self, profile: Profile) -> bool {
        self.since_20_10 || profile != Profile::Docker20_10
    }

    /// What an engine has against a value.
    pub fn judge(&self, value: &Value, profile: Profile) -> Option<Refusal> {
        self.judged(value, profile).map(|(_, refusal)| refusal)
    }

    fn judged(&self, value: &Value, profile: Profile) -> Option<(Stage, Refusal)> {
        let old = profile == Profile::Docker20_10;
        let path = if old { self.key.to_owned() } else { format!("{}{}", self.path, self.key) };
        let mut judge = Judge { old, at: Vec::new(), worst: None };
        judge.walk(&self.of, value, "Config", &path);
        if self.key == "mtu" && !old && value.as_i64().is_some_and(|mtu| mtu < 0) {
            let why = format!(
                "merged configuration validation from file and command line flags failed: invalid default MTU: {value}"
            );
            judge.refuse(Stage::Validated, why, None);
        }
        judge.worst
    }
}

struct Judge {
    old: bool,
    at: Vec<String>,
    worst: Option<(Stage, Refusal)>,
}

impl Judge {
    fn refuse(&mut self, stage: Stage, why: String, found: Option<&'static str>) {
        if self.worst.as_ref().is_none_or(|(worst, _)| stage < *worst) {
            self.worst = Some((stage, Refusal { at: self.at.clone(), why, found }));
        }
    }

    fn inside(&mut self, name: String, of: &Type, value: &Value, structure: &str, path: &str) {
        self.at.push(name);
        self.walk(of, value, structure, path);
        self.at.pop();
    }

    fn elements(&mut self, of: &Type, list: &[Value], structure: &str, path: &str) {
        for (index, value) in list.iter().enumerate() {
            self.inside(index.to_string(), of, value, structure, path);
        }
    }

    fn walk(&mut self, of: &Type, value: &Value, structure: &str, path: &str) {
        match (of, value) {
            (_, Value::Null) | (Type::Bool, Value::Bool(_)) | (Type::Text, Value::String(_)) => {}
            (Type::Int, Value::Number(number)) if number.is_i64() => {}
            (Type::Resolver, Value::String(text)) if self.old => {
                if text.trim().parse::<IpAddr>().is_err() {
                    let why =
                        format!("configuration validation from file failed: {text} is not an ip address");
                    self.refuse(Stage::Validated, why, None);
                }
            }
            (Type::Ip | Type::Resolver, Value::String(text)) => {
                if !text.is_empty() && text.parse::<IpAddr>().is_err() {
                    self.refuse(Stage::Stops, format!("invalid IP address: {text}"), None);
                }
            }
            (Type::Address, Value::String(text)) => {
                if let Err(why) = address(text) {
                    self.refuse(Stage::Stops, why, None);
                }
            }
            (Type::Prefix, Value::String(_)) if self.old => {}
            (Type::Prefix, Value::String(text)) => {
                if let Err(why) = prefix(text) {
                    self.refuse(Stage::Stops, why, None);
                }
            }
            (Type::List(of), Value::Array(list)) => self.elements(of, list, structure, path),
            (Type::Pools, Value::Array(list)) => {
                let outer = self.worst.take();
                self.elements(&POOL, list, structure, path);
                // What the pools' own decoder says at its end, the decoder around it stops at.
                self.worst = outer.or(self.worst.take().map(|(_, refusal)| (Stage::Stops, refusal)));
            }
            (Type::Map(of), Value::Object(entries)) => {
                for (key, value) in entries {
                    self.inside(key.clone(), of, value, structure, path);
                }
            }
            (Type::Struct(name, fields), Value::Object(entries)) => {
                // The name that the pools' decoder gives is written over by the one around it.
                let structure = if *name == "NetworkToSplit" { structure } else { name };
                for (key, value) in entries {
                    let Some((key, of)) = fields.iter().find(|(field, _)| field == key) else { continue };
                    let path = if self.old { path.to_owned() } else { format!("{path}.{key}") };
                    self.inside((*key).to_owned(), of, value, structure, &path);
                }
            }
            (of, value) => {
                let found = type_of(value);
                // A number of the wrong kind is shown, one in the place of something else is not.
                let shown = match of {
                    Type::Int if found == "number" => format!("number {value}"),
                    _ => found.to_owned(),
                };
                let name = self.name(of);
                let why = format!(
                    "json: cannot unmarshal {shown} into Go struct field {structure}.{path} of type {name}"
                );
                self.refuse(Stage::Decoded, why, Some(found));
            }
        }
    }

    fn name(&self, of: &Type) -> String {
        match of {
            Type::Bool => "bool".to_owned(),
            Type::Int => "int".to_owned(),
            Type::Resolver | Type::Prefix if self.old => "string".to_owned(),
            Type::Text => "string".to_owned(),
            Type::Ip | Type::Resolver => "net.IP".to_owned(),
            Type::Address => "netip.Addr".to_owned(),
            Type::Prefix => "netip.Prefix".to_owned(),
            Type::List(of) => format!("[]{}", self.name(of)),
            Type::Pools => format!("[]*{}", self.name(&POOL)),
            Type::Map(of) => format!("map[string]{}", self.name(of)),
            Type::Struct(name, _) if *name == "NetworkToSplit" => format!("ipamutils.{name}"),
            Type::Struct(name, _) => format!("config.{name}"),
        }
    }
}

/// A value's type in Go's words; null fits everywhere.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Go's `netip.ParseAddr`.
fn address(text: &str) -> Result<(), String> {
    match text.parse::<IpAddr>() {
        Ok(_) => Ok(()),
        Err(_) if text.is_empty() => Ok(()),
        Err(_) => Err(format!("ParseAddr({text:?}): unable to parse IP")),
    }
}

/// Go's `netip.ParsePrefix`.
fn prefix(text: &str) -> Result<(), String> {
    let refuse = |why: &str| Err(format!("netip.ParsePrefix({text:?}): {why}"));
    if text.is_empty() {
        return Ok(());
    }
    let Some((base, bits)) = text.rsplit_once('/') else { return refuse("no '/'") };
    let Ok(parsed) = base.parse::<IpAddr>() else {
        return refuse(&format!("ParseAddr({base:?}): unable to parse IP"));
    };
    let plain = bits.bytes().all(|byte| byte.is_ascii_digit()) && (bits == "0" || !bits.starts_with('0'));
    match bits.parse::<u32>() {
        Ok(number) if plain && number <= if parsed.is_ipv4() { 32 } else { 128 } => Ok(()),
        Ok(_) if plain => refuse("prefix length out of range"),
        _ => refuse(&format!("bad bits after slash: {bits:?}")),
    }
}

/// Keys that every engine knows and that are not about networks.
const OTHERS: [&str; 30] = [
    "no-new-privileges",
    "userland-proxy-path",
    "network-control-plane-mtu",
    "swarm-default-advertise-addr",
    "labels",
    "debug",
    "hosts",
    "log-driver",
    "log-level",
    "log-opts",
    "data-root",
    "exec-opts",
    "exec-root",
    "experimental",
    "features",
    "storage-driver",
    "storage-opts",
    "registry-mirrors",
    "insecure-registries",
    "runtimes",
    "default-runtime",
    "default-ulimits",
    "metrics-addr",
    "userns-remap",
    "max-concurrent-downloads",
    "max-concurrent-uploads",
    "shutdown-timeout",
    "group",
    "pidfile",
    "selinux-enabled",
];

/// Keys whose mappings dockerd takes whole; of any other, it looks for the keys inside.
const WHOLE: [&str; 6] =
    ["default-network-opts", "log-opts", "runtimes", "default-ulimits", "features", "builder"];

/// The keys that an engine does not find among its options, on the way to this one's value.
pub fn strangers<'a>(key: &'a str, value: &'a Value, profile: Profile) -> Vec<&'a str> {
    let old = profile == Profile::Docker20_10;
    let named = |key: &str| {
        OTHERS.contains(&key)
            || key != "proxies" && known(key).is_some_and(|field| field.known_to(profile))
            || !old && PROXIES.iter().any(|(proxy, _)| *proxy == key)
    };
    match value {
        Value::Object(entries) if !entries.is_empty() && !WHOLE.contains(&key) => {
            entries.keys().map(String::as_str).filter(|key| !named(key)).collect()
        }
        Value::Object(entries) if entries.is_empty() && key == "proxies" && !old => Vec::new(),
        _ if named(key) => Vec::new(),
        _ => vec![key],
    }
}

/// Reads the file's text. What it leaves out has Docker's default; the engine and its images stay what they are.
///
/// # Errors
/// When dockerd would not start with it.
pub fn read(text: &str, current: &DaemonConfig) -> Result<DaemonConfig, DockerError> {
    let refuse = |why: &str| DockerError::bad_parameter(Refusal::message(why));
    let profile = current.profile;
    let entries = decode(text, profile).map_err(|why| refuse(&why))?;
    let strange: Vec<&str> = entries.iter().flat_map(|(key, value)| strangers(key, value, profile)).collect();
    if !strange.is_empty() {
        return Err(refuse(&unknown(&strange)));
    }
    let fields = || entries.iter().filter_map(|(key, value)| Some((known(key)?, value)));
    // Of those of one stage, `min_by_key` gives the first.
    let refusals = fields().filter_map(|(field, value)| field.judged(value, profile));
    if let Some((_, refusal)) = refusals.min_by_key(|(stage, _)| *stage) {
        return Err(refuse(&refusal.why));
    }
    Ok(DaemonConfig { file: text.to_owned(), ..settings(&entries, current)? })
}

/// The same of a text whose types and keys were judged before, one by one.
///
/// # Errors
/// When a value means nothing to dockerd, or to linkspan.
pub fn read_judged(text: &str, current: &DaemonConfig) -> Result<DaemonConfig, DockerError> {
    let refuse = |why: String| DockerError::bad_parameter(Refusal::message(&why));
    let entries = if text.is_empty() { Map::new() } else { decode(text, current.profile).map_err(refuse)? };
    Ok(DaemonConfig { file: text.to_owned(), ..settings(&entries, current)? })
}

/// The mapping in a text.
fn decode(text: &str, profile: Profile) -> Result<Map<String, Value>, String> {
    // 20.10 decodes a stream: it stops at the end of the value, and an end before it is a file's.
    let old = profile == Profile::Docker20_10;
    let text = if old { text } else { text.strip_prefix('\u{feff}').unwrap_or(text) };
    let fault = |fault: syntax::Fault| match fault {
        syntax::Fault::Nothing => "EOF".to_owned(),
        syntax::Fault::End if old => "unexpected EOF".to_owned(),
        syntax::Fault::End => "unexpected end of JSON input".to_owned(),
        syntax::Fault::Byte(why) => why,
    };
    let end = match syntax::value(text.as_bytes()) {
        Err(syntax::Fault::Nothing) if !old => return Ok(Map::new()),
        Err(error) => return Err(fault(error)),
        Ok(end) => end,
    };
    let (value, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    if let Some(error) = syntax::trailing(rest.as_bytes()).filter(|_| !old) {
        return Err(fault(error));
    }
    match serde_json::from_str(value) {
        Ok(Value::Object(entries)) => Ok(entries),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(value) => Err(format!(
            "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
            type_of(&value)
        )),
        // Nested deeper than this reader goes, or a number no double has.
        Err(error) => Err(error.to_string()),
    }
}

fn settings(entries: &Map<String, Value>, current: &DaemonConfig) -> Result<DaemonConfig, DockerError> {
    let profile = current.profile;
    let controller = |why: String| {
        let text = format!("failed to start daemon: Error initializing network controller: {why}");
        DockerError::bad_parameter(text)
    };
    let flag = |key: &str| entries.get(key).and_then(Value::as_bool);
    let text = |key: &str| entries.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let address = |key: &str| text(key).and_then(|text| text.parse::<IpAddr>().ok());
    let net =
        |text: &str| text.parse::<IpNet>().map_err(|_| controller(format!("invalid CIDR address: {text}")));
    let network = |key: &str| text(key).map(net).transpose();
    let texts = |key: &str| {
        let list = entries.get(key).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(|text| text.trim().to_owned()).collect::<Vec<String>>()
    };
    let addresses = |key: &str| texts(key).iter().filter_map(|text| text.parse().ok()).collect::<Vec<_>>();
    if let Some(backend) = text("firewall-backend").filter(|backend| *backend != "iptables") {
        let text = format!("the firewall backend {backend} is not part of linkspan: use iptables");
        return Err(DockerError::bad_parameter(text));
    }
    let mut pools = Vec::new();
    for pool in entries.get("default-address-pools").and_then(Value::as_array).into_iter().flatten() {
        let base = net(pool.get("base").and_then(Value::as_str).unwrap_or_default())?;
        let size = pool.get("size").and_then(Value::as_u64).and_then(|size| u8::try_from(size).ok());
        let size = size.filter(|size| (base.prefix_len()..=base.max_prefix_len()).contains(size));
        let size =
            size.ok_or_else(|| controller(format!("invalid pools: the size of {base} is out of range")))?;
        pools.push((base.trunc(), size));
    }
    let options = |value: &Value| {
        let options = value.as_object().into_iter().flatten();
        options.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
    };
    let drivers = entries.get("default-network-opts").and_then(Value::as_object).into_iter().flatten();
    let proxy = |key: &str| {
        let own = entries.get("proxies").and_then(|proxies| proxies.get(key)).and_then(Value::as_str);
        own.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let mut host_gateway_ips: Vec<IpAddr> =
        address("host-gateway-ip").map(|address| profile.host_gateway_ip(address)).into_iter().collect();
    host_gateway_ips.extend(addresses("host-gateway-ips"));
    let default = DaemonConfig::default();
    Ok(DaemonConfig {
        profile,
        bridge: text("bridge").map(str::to_owned),
        bip: network("bip")?,
        bip6: network("bip6")?,
        fixed_cidr: network("fixed-cidr")?.map(|net| net.trunc()),
        fixed_cidr_v6: network("fixed-cidr-v6")?.map(|net| net.trunc()),
        default_gateway: address("default-gateway"),
        default_gateway_v6: address("default-gateway-v6"),
        mtu: entries
            .get("mtu")
            .and_then(Value::as_u64)
            .map_or(default.mtu, |mtu| u32::try_from(mtu.min(65_535)).unwrap_or(default.mtu)),
        icc: flag("icc").unwrap_or(default.icc),
        ip: address("ip").unwrap_or(default.ip),
        ip_masq: flag("ip-masq").unwrap_or(default.ip_masq),
        ipv6: flag("ipv6").unwrap_or(default.ipv6),
        iptables: flag("iptables").unwrap_or(default.iptables),
        ip6tables: flag("ip6tables"),
        ip_forward: flag("ip-forward").unwrap_or(default.ip_forward),
        ip_forward_no_drop: flag("ip-forward-no-drop").unwrap_or(default.ip_forward_no_drop),
        userland_proxy: flag("userland-proxy").unwrap_or(default.userland_proxy),
        allow_direct_routing: flag("allow-direct-routing").unwrap_or(default.allow_direct_routing),
        default_address_pools: pools,
        default_network_opts: drivers.map(|(driver, value)| (driver.clone(), options(value))).collect(),
        dns: addresses("dns"),
        dns_search: texts("dns-search"),
        dns_opts: texts("dns-opts"),
        host_gateway_ips,
        live_restore: flag("live-restore").unwrap_or(default.live_restore),
        proxies: Proxies { http: proxy("http-proxy"), https: proxy("https-proxy"), no: proxy("no-proxy") },
        images: current.images.clone(),
        file: String::new(),
    })
}
