//! Settings of whole namespaces, `net.core.*`, `net.ipv4.*` and `net.ipv6.*` outside of `conf`, with the values and the ranges
//! that a fresh namespace of Linux 6.18 has.
//!
//! What somebody wrote is remembered here, so that a namespace whose settings nobody touched takes no memory. The limits of
//! ICMP errors act (`icmp_limit`), and those that have constants but for `ping_group_range` and `ip_unprivileged_port_start`, as nobody
//! is kept from pinging or listening here; the rest can be set and read back. A listener's backlog is
//! never more than 4,096, whatever `somaxconn` says. Settings that are asked for with every packet are
//! kept with the namespaces instead, and those of interfaces in `interface_settings`. Reference: Linux
//! `Documentation/networking/ip-sysctl.rst`, `net/ipv4/sysctl_net_ipv4.c`, `net/ipv6/icmp.c`, `kernel/sysctl.c`.

use std::collections::BTreeMap;
use std::fmt;

use super::Engine;
use super::id::NamespaceId;
use super::plan::SettingError;

/// A setting of a namespace: a file below `/proc/sys/net`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamespaceParameter(u8);

/// A setting of a namespace with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceSetting {
    /// Which.
    pub parameter: NamespaceParameter,
    /// Its value.
    pub value: SettingValue,
}

/// What a setting is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingValue {
    /// A number.
    Number(i64),
    /// Numbers and ranges of numbers.
    Set(NumberSet),
    /// The first and the last of a range.
    Range(u32, u32),
}

/// Ranges of numbers, ascending, with gaps between them: `0-1,3-127`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NumberSet(Vec<(u16, u16)>);

impl NumberSet {
    /// The set that a list names, as `proc_do_large_bitmap` reads one; `None` if it is none or has a number above `most`.
    fn parse(text: &str, most: u16) -> Option<NumberSet> {
        let mut ranges = Vec::new();
        for word in text.split([',', ' ', '\t', '\n']).filter(|word| !word.is_empty()) {
            let (first, last) = word.split_once('-').unwrap_or((word, word));
            let (first, last) = (first.parse::<u16>().ok()?, last.parse::<u16>().ok()?);
            if first > last || last > most {
                return None;
            }
            ranges.push((first, last));
        }
        ranges.sort_unstable();
        let mut merged: Vec<(u16, u16)> = Vec::new();
        for (first, last) in ranges {
            match merged.last_mut() {
                Some((_, end)) if u32::from(first) <= u32::from(*end) + 1 => *end = last.max(*end),
                _ => merged.push((first, last)),
            }
        }
        Some(NumberSet(merged))
    }

    /// Whether a number is in it.
    pub fn contains(&self, number: u16) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&number))
    }
}

impl fmt::Display for NumberSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (first, last)) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            match first == last {
                true => write!(f, "{comma}{first}")?,
                false => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for SettingValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SettingValue::Number(number) => write!(f, "{number}"),
            SettingValue::Set(set) => write!(f, "{set}"),
            SettingValue::Range(first, last) => write!(f, "{first}\t{last}"),
        }
    }
}

impl NamespaceParameter {
    pub(super) const ICMP_MSGS_BURST: Self = Self(0);
    pub(super) const ICMP_MSGS_PER_SEC: Self = Self(1);
    pub(super) const ICMP_RATELIMIT: Self = Self(2);
    pub(super) const ICMP_RATEMASK: Self = Self(3);
    pub(super) const ICMP6_RATELIMIT: Self = Self(4);
    pub(super) const ICMP6_RATEMASK: Self = Self(5);
    pub(super) const ICMP_ECHO_IGNORE_ALL: Self = Self(6);
    pub(super) const ICMP_ECHO_IGNORE_BROADCASTS: Self = Self(7);
    pub(super) const ICMP6_ECHO_IGNORE_ALL: Self = Self(8);
    pub(super) const ICMP6_ECHO_IGNORE_MULTICAST: Self = Self(9);
    pub(super) const IP_DEFAULT_TTL: Self = Self(10);
    pub(super) const IP_LOCAL_RESERVED_PORTS: Self = Self(11);
    pub(super) const SOMAXCONN: Self = Self(12);
    pub(super) const IP_UNPRIVILEGED_PORT_START: Self = Self(13);
    pub(super) const PING_GROUP_RANGE: Self = Self(14);

    /// The setting of a file below `/proc/sys/`.
    pub fn find(key: &str) -> Option<Self> {
        let place = DEFINITIONS.iter().position(|definition| definition.key == key)?;
        u8::try_from(place).ok().map(Self)
    }

    /// All of them, by their files.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..DEFINITIONS.len()).filter_map(|place| u8::try_from(place).ok().map(Self))
    }

    /// Its file below `/proc/sys/`.
    pub fn key(self) -> &'static str {
        self.definition().key
    }

    /// The setting with the value that its file's new content says.
    pub(super) fn parse(self, text: &str) -> Result<NamespaceSetting, SettingError> {
        let value = match self.definition().start {
            Start::Number(_, (least, most)) => {
                let number = integer(text).filter(|number| (least..=most).contains(number));
                number.map(SettingValue::Number)
            }
            Start::Set(_, most) => NumberSet::parse(text, most).map(SettingValue::Set),
            Start::Groups => groups(text),
        };
        value.map(|value| NamespaceSetting { parameter: self, value }).ok_or(SettingError::Value)
    }

    /// What a fresh namespace has.
    fn start(self) -> SettingValue {
        match self.definition().start {
            Start::Number(number, _) => SettingValue::Number(number),
            Start::Set(ranges, _) => SettingValue::Set(NumberSet(ranges.to_vec())),
            Start::Groups => SettingValue::Range(1, 0),
        }
    }

    fn definition(self) -> &'static Definition {
        &DEFINITIONS[usize::from(self.0)]
    }
}

/// The first number of a text, as `proc_dointvec` and `proc_doulongvec_minmax` read it: decimal, `0x` hexadecimal or `0` octal.
pub(super) fn integer(text: &str) -> Option<i64> {
    let word = text.split_whitespace().next()?;
    let (sign, digits) = word.strip_prefix('-').map_or((1, word), |digits| (-1, digits));
    let (radix, digits) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => (16, digits),
        None if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        None => (10, digits),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    Some(sign * i64::from_str_radix(digits, radix).ok()?)
}

/// A range of group ids, both of which must be there; one that ends before it begins is that of nobody.
fn groups(text: &str) -> Option<SettingValue> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let &[first, last] = words.as_slice() else { return None };
    let group = |word: &str| word.parse().ok().filter(|group| *group != u32::MAX);
    let (first, last) = (group(first)?, group(last)?);
    Some(if first > last { SettingValue::Range(1, 0) } else { SettingValue::Range(first, last) })
}

/// What a setting starts with, and what it takes.
struct Definition {
    key: &'static str,
    start: Start,
}

enum Start {
    Number(i64, (i64, i64)),
    /// With the highest number.
    Set(&'static [(u16, u16)], u16),
    /// Those of nobody.
    Groups,
}

const fn number(key: &'static str, value: i64, range: (i64, i64)) -> Definition {
    Definition { key, start: Start::Number(value, range) }
}

const ANY: (i64, i64) = (i32::MIN as i64, i32::MAX as i64);
const NATURAL: (i64, i64) = (0, i32::MAX as i64);
const FLAG: (i64, i64) = (0, 1);
const OCTET: (i64, i64) = (0, 255);
/// Kept in ticks, of which there are 250 a second.
const SECONDS: (i64, i64) = (i32::MIN as i64 / 250, i32::MAX as i64 / 250);

/// Those that something here asks for first, which have constants; the others sorted.
static DEFINITIONS: [Definition; 58] = [
    number("net/ipv4/icmp_msgs_burst", 50, NATURAL),
    number("net/ipv4/icmp_msgs_per_sec", 1_000, NATURAL),
    number("net/ipv4/icmp_ratelimit", 1_000, NATURAL),
    number("net/ipv4/icmp_ratemask", 6_168, ANY),
    number("net/ipv6/icmp/ratelimit", 100, NATURAL),
    Definition { key: "net/ipv6/icmp/ratemask", start: Start::Set(&[(0, 1), (3, 127)], 255) },
    number("net/ipv4/icmp_echo_ignore_all", 0, FLAG),
    number("net/ipv4/icmp_echo_ignore_broadcasts", 1, FLAG),
    number("net/ipv6/icmp/echo_ignore_all", 0, OCTET),
    number("net/ipv6/icmp/echo_ignore_multicast", 0, OCTET),
    number("net/ipv4/ip_default_ttl", 64, (1, 255)),
    Definition { key: "net/ipv4/ip_local_reserved_ports", start: Start::Set(&[], u16::MAX) },
    number("net/core/somaxconn", 4_096, NATURAL),
    number("net/ipv4/ip_unprivileged_port_start", 1_024, (0, 65_535)),
    Definition { key: "net/ipv4/ping_group_range", start: Start::Groups },
    // What follows can be set and read back.
    number("net/ipv4/icmp_errors_use_inbound_ifaddr", 0, FLAG),
    number("net/ipv4/icmp_ignore_bogus_error_responses", 1, FLAG),
    number("net/ipv4/ip_early_demux", 1, OCTET),
    number("net/ipv4/ip_forward_use_pmtu", 0, OCTET),
    number("net/ipv4/ip_no_pmtu_disc", 0, OCTET),
    number("net/ipv4/ip_nonlocal_bind", 0, OCTET),
    number("net/ipv4/ipfrag_time", 30, SECONDS),
    number("net/ipv4/tcp_abort_on_overflow", 0, OCTET),
    number("net/ipv4/tcp_base_mss", 1_024, ANY),
    number("net/ipv4/tcp_dsack", 1, OCTET),
    number("net/ipv4/tcp_early_retrans", 3, (0, 4)),
    number("net/ipv4/tcp_ecn", 2, (0, 2)),
    number("net/ipv4/tcp_fastopen", 1, ANY),
    number("net/ipv4/tcp_fin_timeout", 60, SECONDS),
    number("net/ipv4/tcp_frto", 2, OCTET),
    number("net/ipv4/tcp_keepalive_intvl", 75, SECONDS),
    number("net/ipv4/tcp_keepalive_probes", 9, OCTET),
    number("net/ipv4/tcp_keepalive_time", 7_200, SECONDS),
    number("net/ipv4/tcp_limit_output_bytes", 4_194_304, ANY),
    number("net/ipv4/tcp_max_syn_backlog", 2_048, ANY),
    number("net/ipv4/tcp_max_tw_buckets", 131_072, ANY),
    number("net/ipv4/tcp_moderate_rcvbuf", 1, OCTET),
    number("net/ipv4/tcp_mtu_probing", 0, OCTET),
    number("net/ipv4/tcp_no_metrics_save", 0, OCTET),
    number("net/ipv4/tcp_orphan_retries", 0, OCTET),
    number("net/ipv4/tcp_recovery", 1, OCTET),
    number("net/ipv4/tcp_reordering", 3, (1, 300)),
    number("net/ipv4/tcp_retries1", 3, OCTET),
    number("net/ipv4/tcp_retries2", 15, OCTET),
    number("net/ipv4/tcp_rfc1337", 0, OCTET),
    number("net/ipv4/tcp_sack", 1, OCTET),
    number("net/ipv4/tcp_slow_start_after_idle", 1, OCTET),
    number("net/ipv4/tcp_syn_retries", 6, (1, 127)),
    number("net/ipv4/tcp_synack_retries", 5, OCTET),
    number("net/ipv4/tcp_syncookies", 1, OCTET),
    number("net/ipv4/tcp_timestamps", 1, OCTET),
    number("net/ipv4/tcp_tw_reuse", 2, (0, 2)),
    number("net/ipv4/tcp_window_scaling", 1, OCTET),
    number("net/ipv4/udp_rmem_min", 4_096, (1, i32::MAX as i64)),
    number("net/ipv4/udp_wmem_min", 4_096, (1, i32::MAX as i64)),
    number("net/ipv6/bindv6only", 0, OCTET),
    number("net/ipv6/icmp/echo_ignore_anycast", 0, OCTET),
    number("net/ipv6/ip_nonlocal_bind", 0, OCTET),
];

/// The settings that somebody wrote.
#[derive(Debug, Default)]
pub(super) struct NamespaceSettings(BTreeMap<(NamespaceId, NamespaceParameter), SettingValue>);

impl NamespaceSettings {
    fn get(&self, namespace: NamespaceId, parameter: NamespaceParameter) -> SettingValue {
        self.0.get(&(namespace, parameter)).cloned().unwrap_or_else(|| parameter.start())
    }

    /// Whether somebody wrote a setting.
    pub(super) fn is_written(&self, namespace: NamespaceId, parameter: NamespaceParameter) -> bool {
        !self.0.is_empty() && self.0.contains_key(&(namespace, parameter))
    }

    /// A setting that is a number.
    pub(super) fn number(&self, namespace: NamespaceId, parameter: NamespaceParameter) -> i64 {
        match (self.0.get(&(namespace, parameter)), &parameter.definition().start) {
            (Some(SettingValue::Number(number)), _) | (None, Start::Number(number, _)) => *number,
            (Some(SettingValue::Set(_) | SettingValue::Range(..)), _)
            | (None, Start::Set(..) | Start::Groups) => 0,
        }
    }

    /// Whether a setting that is a set has a number.
    pub(super) fn has(&self, namespace: NamespaceId, parameter: NamespaceParameter, number: u16) -> bool {
        match (self.0.get(&(namespace, parameter)), &parameter.definition().start) {
            (Some(SettingValue::Set(set)), _) => set.contains(number),
            (None, Start::Set(ranges, _)) => {
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&number))
            }
            (Some(SettingValue::Number(_) | SettingValue::Range(..)), _)
            | (None, Start::Number(..) | Start::Groups) => false,
        }
    }

    /// Writes a setting.
    pub(super) fn set(&mut self, namespace: NamespaceId, setting: &NamespaceSetting) {
        self.0.insert((namespace, setting.parameter), setting.value.clone());
    }

    /// The namespace is gone.
    pub(super) fn forget(&mut self, namespace: NamespaceId) {
        self.0.retain(|(holder, _), _| *holder != namespace);
    }
}

impl Engine {
    /// A setting of a namespace as it stands.
    pub(super) fn namespace_setting(
        &self,
        namespace: NamespaceId,
        parameter: NamespaceParameter,
    ) -> SettingValue {
        let space = self.namespaces.get(namespace.index()).and_then(Option::as_ref);
        let unprivileged = space.is_some_and(|space| space.unprivileged);
        match parameter {
            _ if !unprivileged || self.namespace_settings.is_written(namespace, parameter) => {
                self.namespace_settings.get(namespace, parameter)
            }
            NamespaceParameter::IP_UNPRIVILEGED_PORT_START => SettingValue::Number(0),
            NamespaceParameter::PING_GROUP_RANGE => SettingValue::Range(0, i32::MAX as u32),
            _ => self.namespace_settings.get(namespace, parameter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_name_their_files_and_each_file_is_there_once() {
        let named = [
            (NamespaceParameter::ICMP_MSGS_BURST, "net/ipv4/icmp_msgs_burst"),
            (NamespaceParameter::ICMP_MSGS_PER_SEC, "net/ipv4/icmp_msgs_per_sec"),
            (NamespaceParameter::ICMP_RATELIMIT, "net/ipv4/icmp_ratelimit"),
            (NamespaceParameter::ICMP_RATEMASK, "net/ipv4/icmp_ratemask"),
            (NamespaceParameter::ICMP6_RATELIMIT, "net/ipv6/icmp/ratelimit"),
            (NamespaceParameter::ICMP6_RATEMASK, "net/ipv6/icmp/ratemask"),
            (NamespaceParameter::ICMP_ECHO_IGNORE_ALL, "net/ipv4/icmp_echo_ignore_all"),
            (NamespaceParameter::ICMP_ECHO_IGNORE_BROADCASTS, "net/ipv4/icmp_echo_ignore_broadcasts"),
            (NamespaceParameter::ICMP6_ECHO_IGNORE_ALL, "net/ipv6/icmp/echo_ignore_all"),
            (NamespaceParameter::ICMP6_ECHO_IGNORE_MULTICAST, "net/ipv6/icmp/echo_ignore_multicast"),
            (NamespaceParameter::IP_DEFAULT_TTL, "net/ipv4/ip_default_ttl"),
            (NamespaceParameter::IP_LOCAL_RESERVED_PORTS, "net/ipv4/ip_local_reserved_ports"),
            (NamespaceParameter::SOMAXCONN, "net/core/somaxconn"),
            (NamespaceParameter::IP_UNPRIVILEGED_PORT_START, "net/ipv4/ip_unprivileged_port_start"),
            (NamespaceParameter::PING_GROUP_RANGE, "net/ipv4/ping_group_range"),
        ];
        for (parameter, key) in named {
            assert_eq!(parameter.key(), key);
        }
        for parameter in NamespaceParameter::all() {
            assert_eq!(NamespaceParameter::find(parameter.key()), Some(parameter));
            assert_eq!(parameter.parse(&parameter.start().to_string()).unwrap().value, parameter.start());
        }
    }

    #[test]
    fn a_set_is_read_and_shown_as_the_kernel_does() {
        let set = |text: &str| NumberSet::parse(text, 255).map(|set| set.to_string());
        assert_eq!(set("1,3-127,0\n").as_deref(), Some("0-1,3-127"));
        assert_eq!(set("5-9,7-20,21").as_deref(), Some("5-21"));
        assert_eq!(set("").as_deref(), Some(""));
        assert_eq!([set("9-5"), set("256"), set("x"), set("-1"), set("1-")], [const { None }; 5]);
    }
}
