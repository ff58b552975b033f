//! The form of image references, as the docker command judges it before it asks anybody: `[DOMAIN/]PATH[:TAG][@DIGEST]`.
//!
//! The grammar is that of distribution's reference package, with its familiar names: what stands before the first `/` is a
//! domain if it has a dot, a colon or a capital or is `localhost`; everything else belongs to the path, which has small
//! letters only. Whether an image exists is another question.

use thiserror::Error;

/// The longest path of a repository.
const LONGEST_PATH: usize = 255;
/// The longest tag.
const LONGEST_TAG: usize = 128;
/// The fewest hexadecimal digits of a digest.
const SHORTEST_DIGEST: usize = 32;

/// Why a text is no reference, in the words of the client.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReferenceError {
    /// It has another form.
    #[error("invalid reference format")]
    Format,
    /// The path has capitals.
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    Uppercase(String),
    /// The path is too long.
    #[error("repository name must not be more than {LONGEST_PATH} characters")]
    TooLong,
}

impl ReferenceError {
    /// What the client of 20.10 says.
    pub fn text_20_10(&self) -> String {
        match self {
            Self::Uppercase(_) => "invalid reference format: repository name must be lowercase".to_owned(),
            Self::Format | Self::TooLong => self.to_string(),
        }
    }
}

/// Judges a reference.
///
/// # Errors
/// What is wrong with its form.
pub fn validate(reference: &str) -> Result<(), ReferenceError> {
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase());
    if reference.len() == 64 && is_hex(reference) {
        // An id.
        return Ok(());
    }
    let (domain, remainder) = match reference.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.chars().any(char::is_uppercase) =>
        {
            (Some(first), rest.to_owned())
        }
        Some(_) => (None, reference.to_owned()),
        None => (None, format!("library/{reference}")),
    };
    let name = remainder.split(':').next().unwrap_or_default();
    if name.chars().any(char::is_uppercase) {
        return Err(ReferenceError::Uppercase(name.to_owned()));
    }
    let (tagged, digest) = match remainder.split_once('@') {
        Some((tagged, digest)) => (tagged, Some(digest)),
        None => (remainder.as_str(), None),
    };
    let (path, tag) = match tagged.split_once(':') {
        Some((path, tag)) => (path, Some(tag)),
        None => (tagged, None),
    };
    let valid = domain.is_none_or(is_domain)
        && path.split('/').all(is_component)
        && tag.is_none_or(is_tag)
        && digest.is_none_or(is_digest);
    match valid {
        false => Err(ReferenceError::Format),
        true if path.len() > LONGEST_PATH => Err(ReferenceError::TooLong),
        true => Ok(()),
    }
}

/// A reference with what may be left out of it: the domain of Docker's own registry and its path, and the tag `latest`.
pub fn familiar(reference: &str) -> &str {
    let short = ["docker.io/library/", "docker.io/", "index.docker.io/library/", "library/"];
    let short = short.iter().find_map(|prefix| reference.strip_prefix(prefix)).unwrap_or(reference);
    short.strip_suffix(":latest").unwrap_or(short)
}

/// A name with an optional port, or an IPv6 address in brackets.
fn is_domain(domain: &str) -> bool {
    let (host, port) = match domain.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            let hexadecimal = |byte: u8| byte.is_ascii_hexdigit() || byte == b':';
            if address.is_empty() || !address.bytes().all(hexadecimal) {
                return false;
            }
            match rest {
                "" => return true,
                rest => ("v6", rest.strip_prefix(':')),
            }
        }
        None => match domain.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => return host_name(domain),
        },
    };
    host_name(host)
        && port.is_some_and(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

fn host_name(host: &str) -> bool {
    host.split('.').all(|label| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    })
}

/// Small letters and digits, in groups that `.`, `_`, `__` or any number of `-` separate.
fn is_component(component: &str) -> bool {
    let is_group = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    let ends =
        bytes.first().zip(bytes.last()).is_some_and(|(first, last)| is_group(*first) && is_group(*last));
    let mut separators = bytes.split(|byte| is_group(*byte)).filter(|separator| !separator.is_empty());
    ends && separators.all(|separator| {
        matches!(separator, b"." | b"_" | b"__") || separator.iter().all(|byte| *byte == b'-')
    })
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= LONGEST_TAG
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
}

fn is_digest(digest: &str) -> bool {
    let Some((algorithm, hexadecimal)) = digest.split_once(':') else { return false };
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    algorithm.split(['-', '_', '+', '.']).all(part)
        && hexadecimal.len() >= SHORTEST_DIGEST
        && hexadecimal.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_reference() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for text in [
            "nginx",
            "nginx:1.27-alpine",
            "training/webapp",
            "registry.example.com/team/app:v1",
            "localhost/app",
            "localhost:5000/app",
            "UPPER/app",
            "[fd00::1]:5000/app",
            "a_b/c__d/e---f.g",
            &format!("app@{digest}"),
            &format!("app:1@{digest}"),
            &"f".repeat(64),
        ] {
            assert_eq!(validate(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_is_none() {
        for text in [
            "",
            "nginx:",
            ":1",
            "ng inx",
            "nginx:la test",
            "-x/y",
            "x/",
            "/x",
            "x//y",
            "a..b",
            "a___b",
            "a@b",
            "app@sha256:12",
            "registry:port/app",
            "a/b:c:d",
            "nginx:.1",
            "_x",
            "ä",
        ] {
            assert_eq!(validate(text), Err(ReferenceError::Format), "{text}");
        }
        let said = |text: &str| validate(text).unwrap_err().to_string();
        assert_eq!(
            said("NGINX"),
            "invalid reference format: repository name (library/NGINX) must be lowercase"
        );
        assert_eq!(said("x/Y:1"), "invalid reference format: repository name (x/Y) must be lowercase");
        assert_eq!(validate(&format!("x/{}", "y".repeat(255))), Err(ReferenceError::TooLong));
        assert_eq!(validate(&format!("x:{}", "y".repeat(129))), Err(ReferenceError::Format));
    }
}
