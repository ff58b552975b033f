//! Settings of whole namespaces, `net.core.*`, `net.ipv4.*` and `net.ipv6.*` outside of `conf`, with the values and the ranges
//! that a fresh namespace of Linux 6.18 has.
//!
//! What somebody wrote is remembered here, so that a namespace whose settings nobody touched takes no memory. The limits of
//! ICMP errors act (`icmp_limit`); the rest can be set and read back. Settings that are asked for with every packet are
//! kept with the namespaces instead, and those of interfaces in `interface_settings`. Reference: Linux
//! `Documentation/networking/ip-sysctl.rst`, `net/ipv4/sysctl_net_ipv4.c`, `net/ipv6/icmp.c`, `kernel/sysctl.c`.

use std::collections::BTreeMap;
use std::fmt;

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
        };
        value.map(|value| NamespaceSetting { parameter: self, value }).ok_or(SettingError::Value)
    }

    /// What a fresh namespace has.
    fn start(self) -> SettingValue {
        match self.definition().start {
            Start::Number(number, _) => SettingValue::Number(number),
            Start::Set(ranges, _) => SettingValue::Set(NumberSet(ranges.to_vec())),
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

/// What a setting starts with, and what it takes.
struct Definition {
    key: &'static str,
    start: Start,
}

enum Start {
    Number(i64, (i64, i64)),
    /// With the highest number.
    Set(&'static [(u16, u16)], u16),
}

const fn number(key: &'static str, value: i64, range: (i64, i64)) -> Definition {
    Definition { key, start: Start::Number(value, range) }
}

const ANY: (i64, i64) = (i32::MIN as i64, i32::MAX as i64);
const NATURAL: (i64, i64) = (0, i32::MAX as i64);

/// Those that something here asks for first, which have constants; the others sorted.
static DEFINITIONS: [Definition; 6] = [
    number("net/ipv4/icmp_msgs_burst", 50, NATURAL),
    number("net/ipv4/icmp_msgs_per_sec", 1_000, NATURAL),
    number("net/ipv4/icmp_ratelimit", 1_000, NATURAL),
    number("net/ipv4/icmp_ratemask", 6_168, ANY),
    number("net/ipv6/icmp/ratelimit", 100, NATURAL),
    Definition { key: "net/ipv6/icmp/ratemask", start: Start::Set(&[(0, 1), (3, 127)], 255) },
];

/// The settings that somebody wrote.
#[derive(Debug, Default)]
pub(super) struct NamespaceSettings(BTreeMap<(NamespaceId, NamespaceParameter), SettingValue>);

impl NamespaceSettings {
    /// A setting as it stands.
    pub(super) fn get(&self, namespace: NamespaceId, parameter: NamespaceParameter) -> SettingValue {
        self.0.get(&(namespace, parameter)).cloned().unwrap_or_else(|| parameter.start())
    }

    /// A setting that is a number.
    pub(super) fn number(&self, namespace: NamespaceId, parameter: NamespaceParameter) -> i64 {
        match (self.0.get(&(namespace, parameter)), &parameter.definition().start) {
            (Some(SettingValue::Number(number)), _) | (None, Start::Number(number, _)) => *number,
            (Some(SettingValue::Set(_)), _) | (None, Start::Set(..)) => 0,
        }
    }

    /// Whether a setting that is a set has a number.
    pub(super) fn has(&self, namespace: NamespaceId, parameter: NamespaceParameter, number: u16) -> bool {
        match (self.0.get(&(namespace, parameter)), &parameter.definition().start) {
            (Some(SettingValue::Set(set)), _) => set.contains(number),
            (None, Start::Set(ranges, _)) => {
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&number))
            }
            (Some(SettingValue::Number(_)), _) | (None, Start::Number(..)) => false,
        }
    }

    /// Writes a setting, and returns the value before.
    pub(super) fn set(&mut self, namespace: NamespaceId, setting: &NamespaceSetting) -> SettingValue {
        let before = self.get(namespace, setting.parameter);
        self.0.insert((namespace, setting.parameter), setting.value.clone());
        before
    }

    /// The namespace is gone.
    pub(super) fn forget(&mut self, namespace: NamespaceId) {
        self.0.retain(|(holder, _), _| *holder != namespace);
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
