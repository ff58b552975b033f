//! The port grammars of Compose: `ports` short and long form, `expose`.
//!
//! Short form: `[[IP:][HOST]:]CONTAINER[/PROTO]`, ranges on both sides, IPv6 in brackets or bare. Ranges of equal
//! length are paired; a host range with a single container port means any free one of it.

use std::net::IpAddr;

use super::diagnostic::Span;
use super::keys::integer;
use super::model::{HostPort, ListenPort, Protocol, PublishMode, PublishedPort};
use super::yaml::{Node, Value};

/// `PORT[-PORT][/PROTO]` as the ports it names.
pub(super) fn exposed(text: &str) -> Result<Vec<ListenPort>, String> {
    let (range, protocol) = text.trim().split_once('/').unwrap_or((text.trim(), "tcp"));
    let protocol = protocol.parse()?;
    let (first, last) = target_range(range)?;
    Ok((first..=last).map(|port| ListenPort { port, protocol }).collect())
}

/// One item of `ports:`.
pub(super) fn published(node: &Node) -> Result<Vec<PublishedPort>, String> {
    match &node.value {
        Value::Mapping(_) => long(node),
        _ => short(&node.text().unwrap_or_default(), node.span),
    }
}

fn short(text: &str, span: Span) -> Result<Vec<PublishedPort>, String> {
    let (rest, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol: Protocol = protocol.parse()?;
    let (rest, target) = rest.rsplit_once(':').map_or((None, rest), |(rest, target)| (Some(rest), target));
    let (address, host) = match rest {
        None => (None, ""),
        Some(rest) => match rest.rsplit_once(':') {
            None if rest.contains('.') => (Some(rest), ""),
            None => (None, rest),
            Some((address, host)) => (Some(address), host),
        },
    };
    let host_ip = address.filter(|text| !text.is_empty()).map(host_address).transpose()?;
    let target = target_range(target)?;
    let host = host_range(host)?;
    let template = PublishedPort {
        target: target.0,
        published: HostPort::Any,
        host_ip,
        protocol,
        mode: PublishMode::default(),
        name: None,
        app_protocol: None,
        span,
    };
    pair(&template, target, host)
}

fn long(node: &Node) -> Result<Vec<PublishedPort>, String> {
    let text = |key: &str| node.get(key).and_then(Node::text).map(|text| text.into_owned());
    let target = node.get("target").and_then(integer).ok_or("`target` is missing")?;
    let target = port(&target.to_string()).map_err(|error| format!("target: {error}"))?;
    let host_ip = text("host_ip").filter(|ip| !ip.is_empty()).map(|ip| host_address(&ip)).transpose()?;
    let protocol = text("protocol").map(|protocol| protocol.parse()).transpose()?.unwrap_or_default();
    let mode = match text("mode").as_deref() {
        Some("host") => PublishMode::Host,
        _ => PublishMode::Ingress,
    };
    let host = host_range(&text("published").unwrap_or_default())?;
    let template = PublishedPort {
        target,
        published: HostPort::Any,
        host_ip,
        protocol,
        mode,
        name: text("name"),
        app_protocol: text("app_protocol"),
        span: node.span,
    };
    pair(&template, (target, target), host)
}

fn pair(
    template: &PublishedPort,
    (first, last): (u16, u16),
    host: Option<(u16, u16)>,
) -> Result<Vec<PublishedPort>, String> {
    let published: Box<dyn Fn(u16) -> HostPort> = match host {
        None => Box::new(|_| HostPort::Any),
        Some((low, high)) if first == last => Box::new(move |_| HostPort::Range(low, high)),
        Some((low, high)) if high - low == last - first => Box::new(move |target| {
            let port = low + (target - first);
            HostPort::Range(port, port)
        }),
        Some((low, high)) => {
            return Err(format!("the ranges {low}-{high} and {first}-{last} are not equally long"));
        }
    };
    Ok((first..=last)
        .map(|target| PublishedPort { target, published: published(target), ..template.clone() })
        .collect())
}

fn host_address(text: &str) -> Result<IpAddr, String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().map_err(|_| format!("`{text}` is not an IP address of the host"))
}

fn target_range(text: &str) -> Result<(u16, u16), String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    if first > last { Err(format!("the range {text} runs backwards")) } else { Ok((first, last)) }
}

/// Empty and 0 are a free port.
fn host_range(text: &str) -> Result<Option<(u16, u16)>, String> {
    if text.is_empty() || text == "0" { Ok(None) } else { target_range(text).map(Some) }
}

fn port(text: &str) -> Result<u16, String> {
    match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(format!("`{text}` is not a port: expected 1 to 65535")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::diagnostic::SourceMap;
    use super::*;
    use std::path::Path;

    fn span() -> Span {
        Span::start_of(SourceMap::default().add(Path::new("t"), String::new()))
    }

    fn shown(text: &str) -> Vec<String> {
        short(text, span())
            .unwrap()
            .iter()
            .map(|p| format!("{:?} {:?} {}/{}", p.host_ip, p.published, p.target, p.protocol))
            .collect()
    }

    #[test]
    fn short_forms() {
        assert_eq!(shown("3000"), ["None Any 3000/tcp"]);
        assert_eq!(shown("8000:80/udp"), ["None Range(8000, 8000) 80/udp"]);
        assert_eq!(shown("127.0.0.1::80"), ["Some(127.0.0.1) Any 80/tcp"]);
        assert_eq!(shown("127.0.0.1:80"), ["Some(127.0.0.1) Any 80/tcp"]);
        assert_eq!(shown("[::1]:81:80"), ["Some(::1) Range(81, 81) 80/tcp"]);
        assert_eq!(shown("::1:81:80"), ["Some(::1) Range(81, 81) 80/tcp"]);
        assert_eq!(shown("3000-3001:80"), ["None Range(3000, 3001) 80/tcp"]);
        assert_eq!(shown("9-10:19-20"), ["None Range(9, 9) 19/tcp", "None Range(10, 10) 20/tcp"]);
        for bad in [
            "",
            "0",
            "70000",
            "80:0",
            "a:80",
            "80:80:80:80",
            "1-3:1-2",
            "5-2",
            "80/icmp",
            "localhost:1:1",
            "80:",
        ] {
            assert!(short(bad, span()).is_err(), "{bad}");
        }
        assert_eq!(exposed("8000-8001/udp").unwrap().len(), 2);
    }
}
