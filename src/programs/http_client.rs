//! What the programs that fetch pages share: addresses, proxies, bodies.

use std::net::IpAddr;

use super::http::Head;
use crate::engine::sys::{Errno, TcpStream};

/// The longest body kept in memory.
const MAX_BODY: usize = 1 << 30;

/// The parts of an `http://` address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    /// Host and port as written, for the Host header.
    pub(crate) authority: String,
    /// What stands before the `@`.
    pub(crate) user: Option<String>,
    /// A name or an address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Path and query, beginning with a slash.
    pub(crate) path: String,
}

/// Why an address cannot be fetched; each program has its own words for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UrlError {
    /// The scheme is not `http`.
    Scheme(String),
    /// There is no host, or what follows its colon is no port. It holds host and port as written.
    Authority(String),
}

impl Url {
    /// Reads an address; without a scheme it is `http`.
    pub(crate) fn parse(text: &str) -> Result<Url, UrlError> {
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some((scheme, _)) => return Err(UrlError::Scheme(scheme.to_owned())),
            None => text,
        };
        let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        let path = path.split('#').next().unwrap_or_default();
        let (user, authority) = match authority.rsplit_once('@') {
            Some((user, authority)) => (Some(user.to_owned()), authority),
            None => (None, authority),
        };
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let wrong = || UrlError::Authority(authority.to_owned());
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().map_err(|_| wrong())?),
            _ => (authority, 80),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(wrong());
        }
        Ok(Url { authority: authority.to_owned(), user, host, port, path })
    }

    /// The last part of the path; empty if it ends with a slash.
    pub(crate) fn file_name(&self) -> &str {
        let path = self.path.split('?').next().unwrap_or_default();
        path.rsplit('/').next().unwrap_or_default()
    }

    /// Where a `Location` header leads from here.
    pub(crate) fn redirected(&self, location: &str) -> Result<Url, UrlError> {
        match location.starts_with('/') {
            true => Ok(Url { path: location.to_owned(), ..self.clone() }),
            false => Url::parse(location),
        }
    }
}

/// The proxy for a host, by the rules of curl: `no_proxy` holds names, suffixes with or without a leading dot or `*.`,
/// addresses, networks, or `*`; the lower-case variable wins.
pub(crate) fn proxy_for(host: &str, variable: &impl Fn(&str) -> Option<String>) -> Option<String> {
    let proxy = variable("http_proxy").filter(|proxy| !proxy.is_empty())?;
    let exceptions = variable("no_proxy").or_else(|| variable("NO_PROXY")).unwrap_or_default();
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let excepted = |entry: &str| {
        let entry = entry.trim().to_ascii_lowercase();
        if entry == "*" {
            return true;
        }
        if let (Ok(network), Ok(address)) = (entry.parse::<ipnet::IpNet>(), host.parse::<IpAddr>()) {
            return network.contains(&address);
        }
        let suffix = entry.strip_prefix('*').unwrap_or(&entry).trim_start_matches('.').trim_end_matches('.');
        !suffix.is_empty() && (host == suffix || host.ends_with(&format!(".{suffix}")))
    };
    if exceptions.split([',', ' ']).any(excepted) { None } else { Some(proxy) }
}

/// What became of a body.
pub(crate) struct Body {
    /// What arrived of it, without the marks between chunks.
    pub(crate) bytes: Vec<u8>,
    /// How many bytes were announced and did not come.
    pub(crate) missing: usize,
}

/// Reads the body behind a head: as long as the head says, or until the peer closes.
pub(crate) async fn read_body(stream: &TcpStream, head: &Head) -> Result<Body, Errno> {
    let mut bytes = head.rest.clone();
    let coding = head.field("transfer-encoding");
    if coding.is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        loop {
            // Trailers may follow the last chunk; either way an empty line ends the body.
            let (body, ended) =
                if bytes.ends_with(b"\r\n\r\n") { unchunk(&bytes) } else { (Vec::new(), false) };
            if ended {
                return Ok(Body { bytes: body, missing: 0 });
            }
            let part = stream.read(65_536).await?;
            if part.is_empty() || bytes.len() >= MAX_BODY {
                return Ok(Body { bytes: unchunk(&bytes).0, missing: 1 });
            }
            bytes.extend(part);
        }
    }
    let length = head.field("content-length").and_then(|text| text.parse::<usize>().ok());
    let limit = length.unwrap_or(MAX_BODY).min(MAX_BODY);
    while bytes.len() < limit {
        let part = stream.read(limit - bytes.len()).await?;
        if part.is_empty() {
            break;
        }
        bytes.extend(part);
    }
    bytes.truncate(limit);
    let missing = length.map_or(0, |_| limit - bytes.len());
    Ok(Body { bytes, missing })
}

/// Takes the chunks of RFC 9112 section 7.1 apart; what cannot be read ends the body. True if the last chunk was there.
fn unchunk(mut coded: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(end) = coded.windows(2).position(|window| window == b"\r\n") {
        let size = String::from_utf8_lossy(&coded[..end]);
        let size = size.split(';').next().unwrap_or_default().trim();
        let Ok(size) = usize::from_str_radix(size, 16) else { break };
        if size == 0 {
            return (body, true);
        }
        let rest = &coded[end + 2..];
        let taken = size.min(rest.len());
        body.extend_from_slice(&rest[..taken]);
        if taken < size {
            break;
        }
        coded = rest[taken..].strip_prefix(b"\r\n").unwrap_or_default();
    }
    (body, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let url = Url::parse("http://web:8080/a/b?c#d").unwrap();
        assert_eq!(
            (url.host.as_str(), url.port, url.path.as_str(), url.file_name()),
            ("web", 8080, "/a/b?c", "b")
        );
        let url = Url::parse("http://[2001:db8::7]").unwrap();
        assert_eq!((url.host.as_str(), url.port, url.path.as_str()), ("2001:db8::7", 80, "/"));
        let url = Url::parse("HTTP://me:secret@web/").unwrap();
        assert_eq!((url.user.as_deref(), url.host.as_str()), (Some("me:secret"), "web"));
        assert_eq!(Url::parse("ftp://x/"), Err(UrlError::Scheme("ftp".to_owned())));
        for wrong in [":80", "", "x:99999", "x:y", "/path"] {
            assert!(matches!(Url::parse(wrong), Err(UrlError::Authority(_))), "{wrong}");
        }
    }

    #[test]
    fn no_proxy_holds_suffixes_and_networks() {
        let with = |exceptions: &str, host: &str| {
            let exceptions = exceptions.to_owned();
            let variable = move |name: &str| match name {
                "http_proxy" => Some("http://p:1".to_owned()),
                "no_proxy" => Some(exceptions.clone()),
                _ => None,
            };
            proxy_for(host, &variable).is_some()
        };
        let rules = "*.test.example.com,.example2.com,10.0.0.0/8";
        for direct in ["a.test.example.com", "example2.com", "x.example2.com", "10.1.2.3"] {
            assert!(!with(rules, direct), "{direct}");
        }
        for proxied in ["example.com", "notexample2.com", "11.1.2.3"] {
            assert!(with(rules, proxied), "{proxied}");
        }
    }

    #[test]
    fn chunks_are_joined() {
        assert_eq!(unchunk(b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"), (b"abcde".to_vec(), true));
        assert_eq!(unchunk(b"ff\r\nabc"), (b"abc".to_vec(), false));
    }
}
