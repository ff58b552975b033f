//! Addresses of the Web: what `wget` fetches and what a proxy is asked for.

/// The parts of an `http://` address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Url {
    /// Host and port as written, for the Host header.
    pub(super) authority: String,
    pub(super) host: String,
    pub(super) port: u16,
    /// Path and query, beginning with a slash.
    pub(super) path: String,
}

impl Url {
    pub(super) fn parse(text: &str) -> Result<Url, String> {
        let rest = match text.split_once("://") {
            Some(("http", rest)) => rest,
            Some(_) => return Err(format!("not an http or ftp url: {text}")),
            None => text,
        };
        let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        let path = path.split('#').next().unwrap_or_default();
        let authority = authority.rsplit('@').next().unwrap_or(authority);
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                (host, port.parse().map_err(|_| format!("bad address '{authority}'"))?)
            }
            _ => (authority, 80),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(format!("bad address '{authority}'"));
        }
        Ok(Url { authority: authority.to_owned(), host, port, path })
    }

    /// What the file is called if nothing else is said.
    pub(super) fn file_name(&self) -> &str {
        let path = self.path.split('?').next().unwrap_or_default();
        let name = path.rsplit('/').next().unwrap_or_default();
        if name.is_empty() { "index.html" } else { name }
    }
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
        assert_eq!(Url::parse("ftp://x/").unwrap_err(), "not an http or ftp url: ftp://x/");
    }
}
