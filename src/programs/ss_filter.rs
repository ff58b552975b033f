//! What `ss` is asked to show: `state`, `exclude` and expressions over addresses and ports, as ss(8) of iproute2 has them.
//!
//! `[state|exclude STATE]... [EXPRESSION]`, where an expression is made of `sport`, `dport`, `src` and `dst` with `and`, `or`,
//! `not` and parentheses; conditions side by side hold together. Limits: ports are numbers, hosts are addresses or
//! prefixes, and what concerns devices, marks and control groups is not there.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

use super::options::Failure;
use crate::engine::sys::{ExitCode, SocketView};

/// Parentheses and negations inside one another.
const DEEPEST: usize = 64;

/// The states by the names that `ss` prints, and by those it is asked for.
const STATES: [(&str, &str); 11] = [
    ("ESTAB", "established"),
    ("SYN-SENT", "syn-sent"),
    ("SYN-RECV", "syn-recv"),
    ("FIN-WAIT-1", "fin-wait-1"),
    ("FIN-WAIT-2", "fin-wait-2"),
    ("TIME-WAIT", "time-wait"),
    ("UNCONN", "unconnected"),
    ("CLOSE-WAIT", "close-wait"),
    ("LAST-ACK", "last-ack"),
    ("LISTEN", "listening"),
    ("CLOSING", "closing"),
];

/// What is shown.
pub(super) struct Filter {
    /// Names that `ss` prints; `None`: no states were asked for.
    states: Option<Vec<&'static str>>,
    /// Any of these, each of them all of its conditions.
    expression: Option<Expression>,
}

enum Expression {
    Any(Vec<Expression>),
    All(Vec<Expression>),
    Not(Box<Expression>),
    Port { local: bool, comparison: Comparison, port: u16 },
    Host { local: bool, network: Option<IpNet>, port: Option<u16> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Filter {
    /// Reads the words behind the options; `usage` is shown for what is none.
    pub(super) fn parse(words: &[String], usage: &str) -> Result<Filter, Failure> {
        let mut words = words;
        let mut states: Option<Vec<&'static str>> = None;
        while let [kind, rest @ ..] = words
            && ["state", "exclude", "excl"].contains(&kind.as_str())
        {
            let [name, rest @ ..] = rest else {
                return Err(wrong("Command line is not complete. Try option \"help\""));
            };
            let named = states_of(name).ok_or_else(|| wrong(&format!("ss: wrong state name: {name}")))?;
            if kind == "state" {
                states.get_or_insert_default().extend(named);
            } else {
                let all = || STATES.iter().map(|(shown, _)| *shown).collect();
                states.get_or_insert_with(all).retain(|state| !named.contains(state));
            }
            words = rest;
        }
        let tokens = words.iter().flat_map(|word| word.split_whitespace().map(str::to_owned));
        let mut parser = Parser { tokens: tokens.collect(), depth: 0 };
        let expression = match parser.tokens.is_empty() {
            true => None,
            false => Some(parser.any()),
        };
        let expression = match expression {
            Some(Ok(_)) if !parser.tokens.is_empty() => Some(Err(Wrong::Syntax)),
            expression => expression,
        };
        let expression = expression.transpose().map_err(|error| match error {
            Wrong::Syntax => wrong(&format!(
                "ss: bison bellows (while parsing filter): \"syntax error!\" Sorry.\nUsage: {}",
                usage.trim_end()
            )),
            Wrong::Port(word) => Failure {
                text: format!("Error: \"{word}\" does not look like a port.\nCannot parse dst/src address.\n"),
                status: ExitCode::FAILURE,
            },
            Wrong::Host(word) => Failure {
                text: format!("Error: an inet prefix is expected rather than \"{word}\".\nCannot parse dst/src address.\n"),
                status: ExitCode::FAILURE,
            },
        })?;
        Ok(Filter { states, expression })
    }

    /// Whether a state, by the name that `ss` prints, was asked for; `None`: no states were.
    pub(super) fn wants(&self, state: &str) -> Option<bool> {
        self.states.as_ref().map(|states| states.contains(&state))
    }

    /// Whether exactly one state was asked for: its column is left out.
    pub(super) fn is_one_state(&self) -> bool {
        self.states.as_ref().is_some_and(|states| states.iter().all(|state| *state == states[0]))
    }

    /// Whether a socket fits the expression.
    pub(super) fn fits(&self, socket: &SocketView) -> bool {
        self.expression.as_ref().is_none_or(|expression| expression.holds(socket))
    }
}

fn states_of(name: &str) -> Option<Vec<&'static str>> {
    let name = name.to_ascii_lowercase();
    let all_but = |left_out: &[&str]| {
        STATES.iter().map(|(shown, _)| *shown).filter(|shown| !left_out.contains(shown)).collect::<Vec<_>>()
    };
    Some(match name.as_str() {
        "all" => all_but(&[]),
        "connected" => all_but(&["UNCONN", "LISTEN"]),
        "synchronized" => all_but(&["UNCONN", "LISTEN", "SYN-SENT"]),
        "bucket" => vec!["SYN-RECV", "TIME-WAIT"],
        "big" => all_but(&["SYN-RECV", "TIME-WAIT"]),
        "close" | "closed" => vec!["UNCONN"],
        "syn-rcv" => vec!["SYN-RECV"],
        "listen" => vec!["LISTEN"],
        name => vec![STATES.iter().find(|(_, known)| *known == name)?.0],
    })
}

/// An error that ends `ss` with 255.
fn wrong(text: &str) -> Failure {
    Failure { text: format!("{text}\n"), status: ExitCode(255) }
}

impl Expression {
    fn holds(&self, socket: &SocketView) -> bool {
        let end = |local: bool| match (local, socket.remote) {
            (true, _) => socket.local,
            (false, Some(remote)) => remote,
            (false, None) if socket.local.is_ipv6() => SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0),
            (false, None) => SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0),
        };
        match self {
            Expression::Any(list) => list.iter().any(|one| one.holds(socket)),
            Expression::All(list) => list.iter().all(|one| one.holds(socket)),
            Expression::Not(inner) => !inner.holds(socket),
            Expression::Port { local, comparison, port } => {
                let (found, wanted) = (end(*local).port(), *port);
                match comparison {
                    Comparison::Equal => found == wanted,
                    Comparison::NotEqual => found != wanted,
                    Comparison::Less => found < wanted,
                    Comparison::AtMost => found <= wanted,
                    Comparison::Greater => found > wanted,
                    Comparison::AtLeast => found >= wanted,
                }
            }
            Expression::Host { local, network, port } => {
                let end = end(*local);
                network.is_none_or(|network| network.contains(&end.ip()))
                    && port.is_none_or(|port| port == end.port())
            }
        }
    }
}

/// Everything stands between blanks, parentheses too.
struct Parser {
    tokens: VecDeque<String>,
    depth: usize,
}

enum Wrong {
    Syntax,
    Port(String),
    Host(String),
}

impl Parser {
    fn take(&mut self, words: &[&str]) -> bool {
        let is = self.tokens.front().is_some_and(|token| words.contains(&token.as_str()));
        if is {
            self.tokens.pop_front();
        }
        is
    }

    fn any(&mut self) -> Result<Expression, Wrong> {
        let mut all = vec![self.all()?];
        while self.take(&["or", "|", "||"]) {
            all.push(self.all()?);
        }
        Ok(Expression::Any(all))
    }

    fn all(&mut self) -> Result<Expression, Wrong> {
        let mut all = vec![self.one()?];
        while self.take(&["and", "&", "&&"])
            || self.tokens.front().is_some_and(|token| ![")", "or", "|", "||"].contains(&token.as_str()))
        {
            all.push(self.one()?);
        }
        Ok(Expression::All(all))
    }

    fn one(&mut self) -> Result<Expression, Wrong> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Wrong::Syntax);
        }
        let word = self.tokens.pop_front().ok_or(Wrong::Syntax)?;
        let local = ["sport", "src"].contains(&word.as_str());
        let expression = match word.as_str() {
            "(" => {
                let inner = self.any()?;
                if !self.take(&[")"]) {
                    return Err(Wrong::Syntax);
                }
                inner
            }
            "not" | "!" => Expression::Not(Box::new(self.one()?)),
            "sport" | "dport" => {
                let comparison = self.comparison().unwrap_or(Comparison::Equal);
                let word = self.tokens.pop_front().ok_or(Wrong::Syntax)?;
                let number = word.strip_prefix(':').unwrap_or(&word);
                let port = number.parse().map_err(|_| Wrong::Port(number.to_owned()))?;
                Expression::Port { local, comparison, port }
            }
            "src" | "dst" => {
                let comparison = self.comparison().unwrap_or(Comparison::Equal);
                let word = self.tokens.pop_front().ok_or(Wrong::Syntax)?;
                let (network, port) = host(&word)?;
                let host = Expression::Host { local, network, port };
                match comparison {
                    Comparison::Equal => host,
                    Comparison::NotEqual => Expression::Not(Box::new(host)),
                    _ => return Err(Wrong::Syntax),
                }
            }
            // Whatever else stands here is read as a host first.
            word => return Err(host(word).err().unwrap_or(Wrong::Syntax)),
        };
        self.depth -= 1;
        Ok(expression)
    }

    fn comparison(&mut self) -> Option<Comparison> {
        let comparison = match self.tokens.front()?.as_str() {
            "=" | "==" | "eq" => Comparison::Equal,
            "!=" | "ne" | "neq" => Comparison::NotEqual,
            "<" | "lt" => Comparison::Less,
            "<=" | "le" | "leq" => Comparison::AtMost,
            ">" | "gt" => Comparison::Greater,
            ">=" | "ge" | "geq" => Comparison::AtLeast,
            _ => return None,
        };
        self.tokens.pop_front();
        Some(comparison)
    }
}

/// `ADDRESS`, `ADDRESS/PREFIX`, each with `:PORT` or not, or `:PORT`; IPv6 with a port in brackets.
fn host(word: &str) -> Result<(Option<IpNet>, Option<u16>), Wrong> {
    let colons = word.matches(':').count();
    let (address, port) = match word.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            (address.to_owned() + port.split(':').next().unwrap_or_default(), port.split_once(':'))
        }
        None if colons == 1 => {
            let parts = word.split_once(':');
            (parts.map_or(word, |(address, _)| address).to_owned(), parts)
        }
        None => (word.to_owned(), None),
    };
    let port = match port.map(|(_, port)| port) {
        None | Some("*" | "") => None,
        Some(port) => Some(port.parse().map_err(|_| Wrong::Port(port.to_owned()))?),
    };
    let network = match address.as_str() {
        "" | "*" => None,
        text => {
            let single = text.parse::<IpAddr>().map(IpNet::from);
            Some(single.or_else(|_| text.parse()).map_err(|_| Wrong::Host(text.to_owned()))?)
        }
    };
    Ok((network, port))
}
