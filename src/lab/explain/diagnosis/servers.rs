//! Name servers that give no answer: out of reach, silent or failing.
//!
//! Docker's embedded server passes on what it does not know, to the servers of `dns:` or of `/etc/resolv.conf` of its host;
//! it is these that are meant here. Whether a name exists is unknown as long as none of them says so.

use std::net::IpAddr;

use super::{Facts, Location};
use crate::observe::explain::{Cause, Drop, DropReason, Part};
use crate::scenario::Span;

/// Docker's embedded DNS server.
pub(super) const EMBEDDED: &str = "127.0.0.11";

/// DNS (RFC 1035 section 4.2).
const DNS_PORT: u16 = 53;
/// What to do about a server that is not to be reached.
const ANOTHER: &str = "name a server that can be reached with `dns`, or take the key away";

/// How the last name server put it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::lab::explain) enum Answer {
    /// NXDOMAIN: nothing has the name.
    NoName,
    /// NOERROR without a record: the name is there and has no address.
    NoAddress,
    /// SERVFAIL, REFUSED or nothing at all.
    None,
}

/// What is known of a name after the last answer, among those that an explanation tells.
pub(in crate::lab::explain) fn last_answer(answers: &[String]) -> Answer {
    match answers.last().and_then(|answer| answer.rsplit_once(": ")) {
        Some((_, "NXDOMAIN")) => Answer::NoName,
        Some((_, "no such record")) => Answer::NoAddress,
        Some(_) | None => Answer::None,
    }
}

/// The servers that a question goes to in the end.
struct Servers {
    list: Vec<IpAddr>,
    /// Who asks them, for whom.
    by: String,
    /// The place whose routes lead there.
    place: String,
    /// What names them.
    line: Option<Span>,
}

impl Facts<'_> {
    /// What the name servers said last.
    pub(super) fn answer(&self) -> Answer {
        self.explanation.lookup.as_ref().map_or(Answer::None, |lookup| last_answer(&lookup.answers))
    }

    /// Why no name server said whether there is such a name.
    pub(super) fn no_answer(&self) -> Option<Cause> {
        if self.answer() != Answer::None {
            return None;
        }
        let servers = self.servers();
        let asked = |server: &&IpAddr| {
            let text = format!(" {server}:");
            self.explanation.passages.iter().any(|passage| passage.summary.contains(&text))
        };
        let server = servers.list.iter().find(asked).or(servers.list.first());
        let Some(server) = server else {
            return Some(Cause {
                text: format!("{} has no name server to ask", servers.place),
                line: self.line(servers.line),
                suggestion: "name one with `dns`, or ask for an address".to_owned(),
            });
        };
        let what = format!("the name server {server} that {}", servers.by);
        if let Some(drop) = self.explanation.root() {
            return Some(self.question_lost(drop, &what, servers.line));
        }
        let routed = self.now(&servers.place).is_some_and(|now| now.route_to(*server).is_some());
        if !routed {
            return Some(Cause {
                text: format!("{what} is out of reach: {} has no route to it", servers.place),
                line: self.line(servers.line),
                suggestion: format!(
                    "give {} a card or a route that leads there, or {ANOTHER}",
                    servers.place
                ),
            });
        }
        let from = format!(" {server}:{DNS_PORT} →");
        let mut passages = self.explanation.passages.iter();
        let answered =
            passages.any(|passage| passage.part == Part::LookupAnswer && passage.summary.contains(&from));
        let fails = if answered { "fails: it says SERVFAIL or REFUSED" } else { "does not answer" };
        Some(Cause {
            text: format!("{what} {fails}, so nobody knows whether there is such a name"),
            line: self.line(servers.line),
            suggestion: "name another server with `dns`, or ask for an address".to_owned(),
        })
    }

    /// A question, or its answer, that did not arrive.
    fn question_lost(&self, drop: &Drop, what: &str, line: Option<Span>) -> Cause {
        let behind = match drop.reason {
            DropReason::LinkCut => self.cut(),
            DropReason::LinkLoss => self.link("loss", "loses packets", "take `loss` away, or try again"),
            _ => None,
        };
        match behind {
            Some(cause) => {
                Cause { text: format!("{}, so {what} is out of reach behind it", cause.text), ..cause }
            }
            None => Cause {
                text: format!(
                    "{what} is out of reach; {} drops the question: {}",
                    drop.place,
                    drop.reason.text()
                ),
                line: self.line(line),
                suggestion: ANOTHER.to_owned(),
            },
        }
    }

    fn servers(&self) -> Servers {
        let asker = self.readable(&self.explanation.attempt.from);
        let own = self.listed(self.asker);
        let place = self.explanation.attempt.namespace.clone();
        // In the host's namespace every container has a resolv.conf of its own.
        let service = self.asker.container().and_then(|name| self.causes.service_of(name));
        let given = service
            .filter(|service| !service.dns.is_empty())
            .map(|service| (service.dns.clone(), self.causes.key(&["services", &service.name.value, "dns"])));
        let daemon = &self.scenario.daemon.config.dns;
        let host = self.host_name();
        let of_host = self.causes.key(&["hosts", host, "dns"]);
        let (list, line, by_host) = match (self.asker, given) {
            (Location::Machine(name), _) => {
                (own, self.causes.key(&["world", "machines", name, "dns"]), false)
            }
            (Location::Host(_), _) => (own, of_host, false),
            (Location::Container(..), Some((list, line))) => (list, line, false),
            (Location::Container(..), None) if !daemon.is_empty() => {
                (daemon.clone(), self.causes.key(&["daemon", "dns"]), false)
            }
            (Location::Container(..), None) => {
                let embedded = own.iter().any(|server| server.to_string() == EMBEDDED);
                let list = if embedded { self.listed(&Location::Host(self.host)) } else { own };
                (list, of_host, embedded)
            }
        };
        match by_host {
            true => Servers { list, by: format!("{host} asks for {asker}"), place: host.to_owned(), line },
            false => Servers { list, by: format!("{asker} asks"), place, line },
        }
    }

    /// The servers of a place's `/etc/resolv.conf`.
    fn listed(&self, location: &Location) -> Vec<IpAddr> {
        let file = self.world.file(location, "/etc/resolv.conf").unwrap_or_default();
        named(&file).filter_map(|server| server.parse().ok()).collect()
    }
}

/// What the lines of an `/etc/resolv.conf` name as servers.
pub(super) fn named(file: &str) -> impl Iterator<Item = &str> {
    file.lines().filter_map(|line| line.trim().strip_prefix("nameserver")).map(str::trim)
}
