//! daemon.json as dockerd takes it: values of another type than it expects, and keys that the engine chosen does not know
//! yet, are refused in dockerd's words, which differ by version because Go's JSON decoder does.
//!
//! A scenario may leave a value to interpolation, which gives text: only text that was quoted is taken for text.

use super::diagnostic::{Diagnostic, Diagnostics, SourceMap, Span};
use super::keys::linkspan::DAEMON;
use super::keys::{Concern, Shape};
use super::yaml::{Entry, Node, Value};

const BRIDGE: &str = "CommonConfig.BridgeConfig.";
const DEFAULT_BRIDGE: &str = "CommonConfig.BridgeConfig.DefaultBridgeConfig.";
const COMMON_BRIDGE: &str = "CommonConfig.BridgeConfig.DefaultBridgeConfig.commonBridgeConfig.";
const DNS: &str = "CommonConfig.DNSConfig.";
const NETWORK: &str = "CommonConfig.NetworkConfig.";

/// A key of dockerd's: its Go type, what stands before its name since 28, and whether 20.10 has it.
struct Field {
    key: &'static str,
    go: &'static str,
    path: &'static str,
    since_20_10: bool,
}

const fn field(key: &'static str, go: &'static str, path: &'static str) -> Field {
    Field { key, go, path, since_20_10: true }
}

const fn newer(key: &'static str, go: &'static str, path: &'static str) -> Field {
    Field { key, go, path, since_20_10: false }
}

const FIELDS: [Field; 28] = [
    field("bridge", "string", COMMON_BRIDGE),
    field("fixed-cidr", "string", COMMON_BRIDGE),
    field("bip", "string", DEFAULT_BRIDGE),
    newer("bip6", "string", DEFAULT_BRIDGE),
    field("fixed-cidr-v6", "string", DEFAULT_BRIDGE),
    field("default-gateway", "net.IP", DEFAULT_BRIDGE),
    field("default-gateway-v6", "net.IP", DEFAULT_BRIDGE),
    field("mtu", "int", DEFAULT_BRIDGE),
    field("icc", "bool", DEFAULT_BRIDGE),
    field("ip", "net.IP", DEFAULT_BRIDGE),
    field("ipv6", "bool", DEFAULT_BRIDGE),
    field("ip-masq", "bool", BRIDGE),
    field("iptables", "bool", BRIDGE),
    field("ip6tables", "bool", BRIDGE),
    field("ip-forward", "bool", BRIDGE),
    newer("ip-forward-no-drop", "bool", BRIDGE),
    field("userland-proxy", "bool", BRIDGE),
    newer("allow-direct-routing", "bool", BRIDGE),
    field("default-address-pools", "[]*ipamutils.NetworkToSplit", NETWORK),
    newer("default-network-opts", "map[string]map[string]string", NETWORK),
    field("dns", "[]net.IP", DNS),
    field("dns-opts", "[]string", DNS),
    field("dns-search", "[]string", DNS),
    field("host-gateway-ip", "net.IP", DNS),
    newer("host-gateway-ips", "[]netip.Addr", DNS),
    newer("firewall-backend", "string", "CommonConfig."),
    field("live-restore", "bool", "CommonConfig."),
    newer("proxies", "config.Proxies", "CommonConfig."),
];

/// Whether [`judge`] answers for the type of this key of `daemon`.
pub(super) fn answers_for(key: &str) -> bool {
    FIELDS.iter().any(|field| field.key == key)
}

/// Refuses what dockerd would refuse to read. `old` says that the engine is 20.10.
pub(super) fn judge(node: &Node, old: bool, sources: &SourceMap, diagnostics: &mut Diagnostics) {
    for entry in node.entries() {
        let Some(field) = FIELDS.iter().find(|field| field.key == entry.key) else { continue };
        if old && !field.since_20_10 {
            let why = format!("the following directives don't match any configuration option: {}", field.key);
            let error = refusal(entry.key_span, &why).label("Docker 20.10 does not know this key");
            diagnostics
                .push(error.help("choose another engine with `profile`, or leave the key out".to_owned()));
        } else if let Some(found) = mistyped(entry, sources) {
            diagnostics
                .push(refusal(entry.value.span, &field.cannot_take(found, old)).label(found_label(found)));
        }
    }
}

impl Field {
    /// What Go's decoder says.
    fn cannot_take(&self, found: &str, old: bool) -> String {
        let (path, go) = match (old, self.go) {
            // Addresses were checked after decoding.
            (true, "net.IP") => ("", "string"),
            (true, "[]net.IP") => ("", "[]string"),
            (true, go) => ("", go),
            (false, go) => (self.path, go),
        };
        format!("json: cannot unmarshal {found} into Go struct field Config.{path}{} of type {go}", self.key)
    }
}

fn refusal(span: Span, why: &str) -> Diagnostic {
    Diagnostic::error(
        span,
        format!("unable to configure the Docker daemon with file /etc/docker/daemon.json: {why}"),
    )
}

fn found_label(found: &str) -> String {
    format!("dockerd finds a JSON {found} here")
}

/// The JSON type of a value that is not of the type its key has.
fn mistyped(entry: &Entry, sources: &SourceMap) -> Option<&'static str> {
    let key = DAEMON.key(&entry.key).filter(|key| key.concern == Concern::Networking)?;
    let quoted = || {
        sources
            .text(entry.value.span)
            .is_some_and(|text| text.starts_with(['"', '\'']) && !text.contains('$'))
    };
    let found = match &entry.value.value {
        Value::Null => return None,
        Value::Bool(_) => "bool",
        Value::Int(_) | Value::Float(_) => "number",
        Value::String(_) => "string",
        Value::Sequence(_) => "array",
        Value::Mapping(_) => "object",
    };
    let fits = match key.shape {
        Shape::Boolean => found == "bool" || found == "string" && !quoted(),
        Shape::Integer => matches!(entry.value.value, Value::Int(_)) || found == "string" && !quoted(),
        Shape::List(_) | Shape::Set(_) => found == "array",
        Shape::Map(_) | Shape::Object(_) => found == "object",
        _ => found == "string",
    };
    (!fits).then_some(found)
}
