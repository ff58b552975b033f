//! The values of iptables options: ports, marks, rates, addresses and lists of names, with iptables' error texts.

use std::net::IpAddr;

use crate::interface::InterfaceName;
use crate::names::parse_port;
use crate::rule::{
    AddressRange, Family, InterfacePattern, LimitUnit, MaskedMark, NatRange, Range16, StateSet,
};
use crate::text::{IptablesError, parameter};
use crate::text_emit::TCP_FLAGS;

pub(crate) fn interface(name: &str) -> Result<InterfacePattern, IptablesError> {
    if name.len() > 15 {
        return parameter(format!("interface name `{name}' must be shorter than IFNAMSIZ (15)"));
    }
    let parsed = match name.strip_suffix('+') {
        Some(prefix) => InterfaceName::parse(prefix).map(InterfacePattern::Prefix),
        None => InterfaceName::parse(name).map(InterfacePattern::Exact),
    };
    parsed.or_else(|error| parameter(error.to_string()))
}

pub(crate) fn flag_bits(text: &str) -> Result<u8, IptablesError> {
    text.split(',').try_fold(0, |bits, word| match word {
        "ALL" => Ok(0x3f),
        "NONE" => Ok(bits),
        word => match TCP_FLAGS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)) {
            Some((_, bit)) => Ok(bits | bit),
            None => parameter(format!("Unknown TCP flag `{word}'")),
        },
    })
}

pub(crate) fn states_of(text: &str, what: &str, known: usize) -> Result<StateSet, IptablesError> {
    text.split(',').try_fold(StateSet::default(), |states, word| {
        match StateSet::NAMES.iter().take(known).find(|(name, _)| name.eq_ignore_ascii_case(word)) {
            Some((_, state)) => Ok(states.union(*state)),
            None => parameter(format!("Bad {what} \"{word}\"")),
        }
    })
}

pub(crate) fn port_range(text: &str) -> Result<Range16, IptablesError> {
    let port = |text: &str| match parse_port(text) {
        Some(port) => Ok(port),
        None => parameter(format!("invalid port/service `{text}' specified")),
    };
    let Some((first, last)) = text.split_once(':') else { return port(text).map(Range16::single) };
    let first = if first.is_empty() { 0 } else { port(first)? };
    let last = if last.is_empty() { u16::MAX } else { port(last)? };
    if first > last {
        return parameter("invalid portrange (min > max)");
    }
    Ok(Range16 { first, last })
}

fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) if hex.bytes().all(|b| b.is_ascii_hexdigit()) => u32::from_str_radix(hex, 16).ok(),
        Some(_) => None,
        None => text.parse().ok(),
    }
}

pub(crate) fn number32(text: &str, who: &str, option: &str) -> Result<u32, IptablesError> {
    match number(text) {
        Some(number) => Ok(number),
        None => parameter(format!("{who}: bad integer value for option \"{option}\", or out of range.\n")),
    }
}

pub(crate) fn mark_and_mask(text: &str, who: &str, option: &str) -> Result<MaskedMark, IptablesError> {
    match text.split_once('/') {
        Some((value, mask)) => {
            Ok(MaskedMark { value: number32(value, who, option)?, mask: number32(mask, who, option)? })
        }
        None => Ok(MaskedMark { value: number32(text, who, option)?, mask: u32::MAX }),
    }
}

fn address(text: &str, family: Family) -> Option<IpAddr> {
    text.parse::<IpAddr>().ok().filter(|a| a.is_ipv4() == (family == Family::Ipv4))
}

pub(crate) fn address_range(text: &str, family: Family) -> Option<AddressRange> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (address(first, family)?, address(last, family)?);
    (first <= last).then_some(AddressRange { first, last })
}

/// xt_limit refuses more than 10000 a second and keeps the interval in units of 0.1 ms, which is why a rate comes
/// back as the nearest one that such an interval gives, in the largest unit that holds it as a whole number.
pub(crate) fn rate(text: &str) -> Result<(u32, LimitUnit), IptablesError> {
    let bad = || parameter(format!("bad rate \"{text}\"'"));
    let (count, unit) = text.split_once('/').unwrap_or((text, "s"));
    let unit = [
        ("second", LimitUnit::Second),
        ("minute", LimitUnit::Minute),
        ("hour", LimitUnit::Hour),
        ("day", LimitUnit::Day),
    ]
    .into_iter()
    .find(|(name, _)| !unit.is_empty() && name.starts_with(&unit.to_ascii_lowercase()));
    let (Ok(count @ 1..), Some((_, unit))) = (count.parse::<u32>(), unit) else { return bad() };
    let scaled = unit.seconds() * 10_000;
    let period = scaled / count;
    if period == 0 {
        return parameter(format!("Rate too fast \"{text}\""));
    }
    let units = [LimitUnit::Day, LimitUnit::Hour, LimitUnit::Minute, LimitUnit::Second];
    let mut chosen = LimitUnit::Day;
    for unit in units {
        if period > unit.seconds() * 10_000
            || (unit.seconds() * 10_000) / period < (unit.seconds() * 10_000) % period
        {
            break;
        }
        chosen = unit;
    }
    Ok(((chosen.seconds() * 10_000) / period, chosen))
}

pub(crate) fn mac_address(text: &str) -> Option<[u8; 6]> {
    let mut bytes = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut bytes {
        let part = parts.next().filter(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    parts.next().is_none().then_some(bytes)
}

pub(crate) fn log_level(text: &str) -> Option<u8> {
    let names: [(&str, u8); 11] = [
        ("emerg", 0),
        ("panic", 0),
        ("alert", 1),
        ("crit", 2),
        ("error", 3),
        ("err", 3),
        ("warning", 4),
        ("warn", 4),
        ("notice", 5),
        ("info", 6),
        ("debug", 7),
    ];
    let by_name = names.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, level)| *level);
    by_name.or_else(|| text.parse().ok().filter(|level| *level <= 7))
}

pub(crate) fn nat_range(text: &str, old: NatRange, family: Family) -> Result<NatRange, IptablesError> {
    let bad = || parameter(format!("Bad IP address \"{text}\""));
    let (addresses, ports) = match family {
        Family::Ipv4 => text.split_once(':').map_or((text, None), |(a, p)| (a, Some(p))),
        Family::Ipv6 if text.starts_with('[') => match text.rsplit_once(']') {
            Some((a, tail)) => (a, tail.strip_prefix(':')),
            None => return bad(),
        },
        Family::Ipv6 => (text, None),
    };
    let ports = ports.map(nat_ports).transpose()?;
    if addresses.is_empty() && ports.is_some() {
        return Ok(NatRange { addresses: None, ports, ..old });
    }
    let bare: String = addresses.chars().filter(|c| !matches!(c, '[' | ']')).collect();
    let Some(addresses) = address_range(&bare, family) else {
        let wrong = bare.split('-').find(|a| address(a, family).is_none()).unwrap_or(&bare);
        return parameter(format!("Bad IP address \"{wrong}\""));
    };
    Ok(NatRange { addresses: Some(addresses), ports, ..old })
}

pub(crate) fn nat_ports(text: &str) -> Result<Range16, IptablesError> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| match parse_port(text) {
        Some(port) => Ok(port),
        None => parameter(format!("Port `{text}' not valid")),
    };
    let (low, high) = (port(first)?, port(last)?);
    if low > high {
        return parameter(format!("Port range `{last}' funky"));
    }
    Ok(Range16 { first: low, last: high })
}
