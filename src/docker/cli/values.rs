//! Single values of options that Docker's client checks by itself.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use super::flags::quote;
use crate::docker::request::{ExtraHost, ExtraHostAddress, Link, RestartPolicy};

/// `--dns`: an address.
pub(super) fn dns_server(text: &str) -> Result<IpAddr, String> {
    text.trim().parse().map_err(|_| format!("IP address is not correctly formatted: {text}"))
}

/// `--dns-search`: a domain, or `.` for none.
pub(super) fn dns_search(text: &str) -> Result<String, String> {
    let trimmed = text.trim_matches(' ');
    if trimmed == "." {
        return Ok(trimmed.to_owned());
    }
    let domain = trimmed.strip_suffix('.').unwrap_or(trimmed);
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let valid = domain.len() < 255
        && domain.bytes().any(|byte| byte.is_ascii_alphabetic())
        && domain.split('.').all(label);
    if valid { Ok(domain.to_owned()) } else { Err(format!("{text} is not a valid domain")) }
}

/// `--link container[:alias]`.
pub(super) fn link(text: &str) -> Result<Link, String> {
    let parts: Vec<&str> = text.split(':').collect();
    match parts.as_slice() {
        [""] => Err("empty string specified for links".to_owned()),
        [container] => Ok(Link { container: (*container).to_owned(), alias: (*container).to_owned() }),
        [container, alias] => Ok(Link { container: (*container).to_owned(), alias: (*alias).to_owned() }),
        _ => Err(format!("bad format for links: {text}")),
    }
}

/// `--add-host name:address` or `name=address`; the address may be `host-gateway` or stand in brackets.
pub(super) fn extra_host(text: &str) -> Result<ExtraHost, String> {
    let (name, value) = text
        .split_once('=')
        .or_else(|| text.split_once(':'))
        .filter(|(name, _)| !name.is_empty() && !name.contains(':'))
        .ok_or_else(|| format!("bad format for add-host: {}", quote(text)))?;
    let value = value.strip_prefix('[').and_then(|open| open.strip_suffix(']')).unwrap_or(value);
    let address = if value == "host-gateway" {
        ExtraHostAddress::HostGateway
    } else {
        let parsed = value.trim().parse();
        ExtraHostAddress::Ip(parsed.map_err(|_| format!("invalid IP address in add-host: {}", quote(value)))?)
    };
    Ok(ExtraHost { name: name.to_owned(), address })
}

/// `-e NAME=VALUE` or `-e NAME`.
pub(super) fn environment(text: &str) -> Result<String, String> {
    if text.is_empty() || text.starts_with('=') {
        Err(format!("invalid environment variable: {text}"))
    } else {
        Ok(text.to_owned())
    }
}

/// A time as Go's `time.ParseDuration` reads it: `30s`, `1m30s`, `1.5h`, `500ms`.
pub(in crate::docker) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("time: invalid duration {}", quote(text));
    let mut rest = text;
    let mut nanoseconds = 0.0_f64;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() && text != "0" {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(|| format!("time: missing unit in duration {}", quote(text)))?;
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        nanoseconds += number
            * match &rest[..unit] {
                "ns" => 1.0,
                "us" | "µs" => 1e3,
                "ms" => 1e6,
                "s" => 1e9,
                "m" => 60e9,
                "h" => 3600e9,
                _ => return Err(wrong()),
            };
        rest = &rest[unit..];
    }
    // 2^63 nanoseconds are the most Go's type holds.
    if nanoseconds >= 9.2e18 {
        return Err(wrong());
    }
    Ok(Duration::from_nanos(nanoseconds.round() as u64))
}

/// `--sysctl name=value`; only parameters that belong to a namespace are allowed.
pub(super) fn sysctl(text: &str) -> Result<(String, String), String> {
    const NAMESPACED: [&str; 10] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
        "kernel.domainname",
        "kernel.hostname",
    ];
    text.split_once('=')
        .filter(|(name, _)| {
            NAMESPACED.contains(name) || name.starts_with("net.") || name.starts_with("fs.mqueue.")
        })
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| format!("sysctl '{text}' is not allowed"))
}

/// How the client introduces what the daemon says.
pub(super) const DAEMON: &str = "Error response from daemon: ";

/// `--restart`. The last two refusals are the daemon's, which the request has no room for.
pub(super) fn restart_policy(text: &str) -> Result<RestartPolicy, String> {
    let (name, retries) = match text.split_once(':') {
        Some(("", _)) => {
            return Err("invalid restart policy format: no policy provided before colon".to_owned());
        }
        Some((name, retries)) => (name, Some(retries)),
        None => (text, None),
    };
    let retries = retries
        .map(str::parse::<u32>)
        .transpose()
        .map_err(|_| "invalid restart policy format: maximum retry count must be an integer".to_owned())?;
    match (name, retries) {
        ("on-failure", retries) => Ok(RestartPolicy::OnFailure { maximum_retries: retries.unwrap_or(0) }),
        ("" | "no" | "always" | "unless-stopped", Some(1..)) => Err(format!(
            "{DAEMON}invalid restart policy: maximum retry count can only be used with 'on-failure'"
        )),
        ("" | "no", _) => Ok(RestartPolicy::No),
        ("always", _) => Ok(RestartPolicy::Always),
        ("unless-stopped", _) => Ok(RestartPolicy::UnlessStopped),
        (unknown, _) => Err(format!(
            "{DAEMON}invalid restart policy: unknown policy '{unknown}'; use one of 'no', 'always', 'on-failure', or \
             'unless-stopped'"
        )),
    }
}

/// Whether Go's net.ParseMAC takes `text` as a 6-byte address: `02:42:..`, `02-42-..` or `0242.ac11.0002`.
pub(super) fn is_mac_address(text: &str) -> bool {
    let grouped = |separator: char, groups: usize, digits: usize| {
        let parts: Vec<&str> = text.split(separator).collect();
        parts.len() == groups
            && parts
                .iter()
                .all(|part| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    grouped(':', 6, 2) || grouped('-', 6, 2) || grouped('.', 3, 4)
}

/// Adds `key=value` to `map`; a key alone has the empty value.
pub(super) fn insert_pair(map: &mut BTreeMap<String, String>, text: &str) {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    map.insert(key.to_owned(), value.to_owned());
}

/// `--label name[=value]`.
pub(super) fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    if name.trim().is_empty() {
        return Err(format!("invalid label '{text}': empty name"));
    }
    if name.contains(char::is_whitespace) {
        return Err(format!("label '{name}' contains whitespaces"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// Splits one line of comma-separated values with Go's quoting: a field may stand in double quotes, in which `""` is a
/// quote.
pub(super) fn csv_fields(text: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        if let Some(open) = rest.strip_prefix('"') {
            let mut field = String::new();
            let mut tail = open;
            loop {
                let (before, after) =
                    tail.split_once('"').ok_or("parse error: extraneous or missing \" in quoted-field")?;
                field.push_str(before);
                match after.strip_prefix('"') {
                    Some(more) => {
                        field.push('"');
                        tail = more;
                    }
                    None => {
                        tail = after;
                        break;
                    }
                }
            }
            fields.push(field);
            match tail.strip_prefix(',') {
                Some(next) => rest = next,
                None if tail.is_empty() => return Ok(fields),
                None => return Err("parse error: extraneous or missing \" in quoted-field".to_owned()),
            }
        } else {
            let (field, next) = match rest.split_once(',') {
                Some((field, next)) => (field, Some(next)),
                None => (rest, None),
            };
            if field.contains('"') {
                return Err("parse error: bare \" in non-quoted-field".to_owned());
            }
            fields.push(field.to_owned());
            match next {
                Some(next) => rest = next,
                None => return Ok(fields),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_hosts() {
        for (text, shown) in [
            ("myhost:10.1.2.3", "myhost:10.1.2.3"),
            ("six:fd00::5", "six:fd00::5"),
            ("six=[fd00::5]", "six:fd00::5"),
            ("gw:host-gateway", "gw:host-gateway"),
        ] {
            assert_eq!(extra_host(text).unwrap().to_string(), shown);
        }
        assert_eq!(extra_host("bad").unwrap_err(), "bad format for add-host: \"bad\"");
        assert_eq!(extra_host("bad:1.2.3").unwrap_err(), "invalid IP address in add-host: \"1.2.3\"");
    }

    #[test]
    fn search_domains() {
        assert_eq!(dns_search("example.test.").unwrap(), "example.test");
        assert_eq!(dns_search(".").unwrap(), ".");
        for bad in ["", "1.2", "-a.b", "a..b", "a_b"] {
            assert!(dns_search(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn mac_addresses() {
        for good in ["92:d0:c6:0a:29:33", "92-D0-C6-0A-29-33", "92d0.c60a.2933"] {
            assert!(is_mac_address(good), "{good}");
        }
        for bad in ["zz:00", "", "92:d0:c6:0a:29", "92:d0:c6:0a:29:333"] {
            assert!(!is_mac_address(bad), "{bad}");
        }
    }

    #[test]
    fn restart_policies() {
        assert_eq!(restart_policy("always"), Ok(RestartPolicy::Always));
        assert_eq!(restart_policy("on-failure:3"), Ok(RestartPolicy::OnFailure { maximum_retries: 3 }));
        assert!(restart_policy("always:2").is_err());
        assert!(restart_policy("on-failure:x").is_err());
        assert!(restart_policy(":1").is_err());
        assert!(restart_policy("sometimes").is_err());
    }

    #[test]
    fn comma_separated_values() {
        assert_eq!(csv_fields("a=1,\"b=x,\"\"y\"\"\",c").unwrap(), ["a=1", "b=x,\"y\"", "c"]);
        assert_eq!(csv_fields("").unwrap(), [""]);
        assert!(csv_fields("a\"b").is_err());
        assert!(csv_fields("\"a").is_err());
        assert!(csv_fields("\"a\"b").is_err());
    }
}
