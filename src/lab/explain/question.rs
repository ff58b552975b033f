//! The question: `FROM -> TO[:PORT[/PROTO]]`, in the grammar of checks, with `icmp` for a ping besides.

use std::fmt;
use std::str::FromStr;

use crate::observe::explain::Protocol;
use crate::scenario::model::Protocol as Transport;
use crate::scenario::{Endpoint, Target};

/// Who shall reach what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Who tries.
    pub from: Target,
    /// What is tried.
    pub to: Endpoint,
    /// How: without a port always a ping.
    pub protocol: Protocol,
}

/// Why a text is not a question.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// No arrow.
    #[error("expected `FROM -> TO[:PORT[/PROTO]]`, as in `web -> db:5432`, found `{0}`")]
    Form(String),
    /// Half an arrow.
    #[error(
        "expected `FROM -> TO[:PORT[/PROTO]]`, found `{0}`: quote the question, or the shell takes the `>` for itself"
    )]
    Unquoted(String),
    /// FROM is no place.
    #[error("FROM: {0}")]
    From(String),
    /// TO is no place, or its port is none.
    #[error("TO: {0}")]
    To(String),
    /// A URL, which only programs understand; and what it comes to.
    #[error("TO: `{0}` is a URL, and a place is wanted: say `{1}`")]
    Url(String, String),
    /// No program speaks it.
    #[error("TO: sctp is not spoken by any program here: expected tcp, udp or icmp")]
    Sctp,
    /// A ping has no port.
    #[error("TO: `{0}` has a port, and icmp has none: leave the port out for a ping")]
    PingWithPort(String),
    /// A connection needs a port.
    #[error("TO: `{0}` has no port: expected `:PORT/{1}`, or nothing for a ping")]
    NoPort(String, &'static str),
}

impl FromStr for Question {
    type Err = QuestionError;

    fn from_str(text: &str) -> Result<Question, QuestionError> {
        let arrow = ["->", "→"].into_iter().find_map(|arrow| text.split_once(arrow));
        let Some((from, to)) = arrow else {
            let text = text.trim().to_owned();
            let half = text.ends_with('-');
            return Err(if half { QuestionError::Unquoted(text) } else { QuestionError::Form(text) });
        };
        let from: Target = from.trim().parse().map_err(QuestionError::From)?;
        let to = to.trim();
        if let Some((scheme, rest)) = to.split_once("://") {
            let place = rest.split('/').next().unwrap_or_default();
            let port = match scheme {
                _ if place.contains(':') => "",
                "https" => ":443",
                _ => ":80",
            };
            return Err(QuestionError::Url(to.to_owned(), format!("{place}{port}")));
        }
        let ping = to.strip_suffix("/icmp");
        for protocol in ["tcp", "udp"] {
            let bare = to.strip_suffix(protocol).and_then(|rest| rest.strip_suffix('/'));
            if let Some(bare) = bare
                && endpoint(bare).is_ok_and(|endpoint| endpoint.port.is_none())
            {
                return Err(QuestionError::NoPort(to.to_owned(), protocol));
            }
        }
        let endpoint = endpoint(ping.unwrap_or(to))?;
        let protocol = match (ping, endpoint.port, endpoint.protocol) {
            (Some(_), Some(_), _) => return Err(QuestionError::PingWithPort(to.to_owned())),
            (Some(_), None, _) | (None, None, _) => Protocol::Icmp,
            (None, Some(_), Transport::Tcp) => Protocol::Tcp,
            (None, Some(_), Transport::Udp) => Protocol::Udp,
            (None, Some(_), Transport::Sctp) => return Err(QuestionError::Sctp),
        };
        Ok(Question { from, to: endpoint, protocol })
    }
}

fn endpoint(text: &str) -> Result<Endpoint, QuestionError> {
    text.parse::<Endpoint>().map_err(|error| QuestionError::To(error.to_string()))
}

impl Question {
    /// Whether `from` reaches an endpoint, by the endpoint's own protocol.
    pub(in crate::lab) fn new(from: Target, to: Endpoint) -> Question {
        let protocol = match (to.port, to.protocol) {
            (None, _) => Protocol::Icmp,
            (Some(_), Transport::Udp) => Protocol::Udp,
            (Some(_), Transport::Tcp | Transport::Sctp) => Protocol::Tcp,
        };
        Question { from, to, protocol }
    }

    /// The target as it was asked for.
    pub fn to_text(&self) -> String {
        self.to.to_string()
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.from, self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_print_as_they_are_written() {
        for text in [
            "web -> db:5432",
            "web -> db",
            "host -> localhost:8080",
            "world:outside -> 203.0.113.10:8080",
            "web -> 1.1.1.1:53/udp",
            "web -> [fd00::1]:80",
        ] {
            assert_eq!(text.parse::<Question>().unwrap().to_string(), text);
        }
        assert_eq!("web->db/icmp".parse::<Question>().unwrap().protocol, Protocol::Icmp);
        assert_eq!("web → db:53/udp".parse::<Question>().unwrap().protocol, Protocol::Udp);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_question_or_is_refused(text in "[ a-z0-9:/\\[\\].>→-]{0,40}") {
            if let Ok(question) = text.parse::<Question>() {
                let printed = question.to_string();
                let again = printed.parse::<Question>();
                proptest::prop_assert_eq!(again.map(|again| again.to), Ok(question.to), "{}", printed);
            }
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, message) in [
            ("web db", "expected `FROM -> TO"),
            ("web -", "quote the question"),
            ("-> db", "FROM:"),
            ("web ->", "a name is missing"),
            ("web -> db:0", "1 to 65535"),
            ("web -> http://db:5432/x", "say `db:5432`"),
            ("web -> https://db", "say `db:443`"),
            ("web -> db:http", "`http` is not a port"),
            ("web -> db:80/icmp", "icmp has none"),
            ("web -> db/udp", "no port"),
            ("web -> db:80/sctp", "sctp"),
            ("web -> db:80/foo", "unknown protocol"),
        ] {
            let error = text.parse::<Question>().unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
