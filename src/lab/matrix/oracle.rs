//! The text of the recordings: what `env/matrix.py` of the recorded oracle prints of a topology.
//!
//! `ADDR` lines name each container's addresses, `PORT` lines its published ports, the others are attempts. The words are
//! those that a person reads off `ping -c1 -W1` and `timeout 2 wget`: `unreachable` is a missing route, of the
//! source or of a router that says so to `wget`; every other ICMP error, a neighbour that does not answer, and a connection
//! without an answer count as `timeout`.

use super::{By, Matrix, Outcome, PartyKind, PartyState, Tried};
use crate::world::probe::Attempt;

impl Matrix {
    /// The lines of the recordings. Made for [`super::Scope::Oracle`].
    #[must_use]
    pub fn oracle(&self) -> Vec<String> {
        let containers = || self.parties.iter().filter(|party| party.kind == PartyKind::Container);
        let mut lines = Vec::new();
        for party in containers().filter(|party| party.state != PartyState::Missing) {
            let own = party.addresses.iter().filter(|(network, _)| network != "host");
            let own: Vec<String> = own.map(|(network, address)| format!("{network}={address}")).collect();
            let own = if own.is_empty() { "-".to_owned() } else { own.join(" ") };
            lines.push(format!("ADDR {} {own}", party.name));
        }
        for party in containers() {
            let mut ports: Vec<(String, String)> = Vec::new();
            for port in party.published.iter().filter(|port| port.host.is_ipv4()) {
                let target = port.container.map(|target| target.to_string()).unwrap_or_default();
                ports.push((target, port.host.to_string()));
            }
            // Sorted as text, as the keys of `docker inspect` were.
            ports.sort_by(|a, b| a.0.cmp(&b.0));
            lines.extend(ports.iter().map(|(target, host)| format!("PORT {} {target} {host}", party.name)));
        }
        let mut attempts = self.attempts.iter().peekable();
        while let Some(tried) = attempts.next() {
            let label = self.oracle_label(tried);
            if tried.attempt == Attempt::Ping {
                let next = attempts
                    .next_if(|next| (next.from, next.to, &next.by) == (tried.from, tried.to, &tried.by));
                let web = next.map(|next| format!(" tcp80={}", verdict(next))).unwrap_or_default();
                lines.push(format!("{label} ping={}{web}", verdict(tried)));
            } else {
                lines.push(format!("{label} tcp={}", verdict(tried)));
            }
        }
        lines
    }

    fn oracle_label(&self, tried: &Tried) -> String {
        let (from, to) = (self.party(tried.from), self.party(tried.to));
        match &tried.by {
            By::Published { .. } if from.kind != PartyKind::Container => {
                format!("{} -> {}", from.name, tried.by)
            }
            By::Address { address, .. } if to.kind == PartyKind::Machine => {
                format!("{} -> {} {address}", from.name, to.name)
            }
            by => format!("{} -> {} {by}", from.name, to.name),
        }
    }
}

fn verdict(tried: &Tried) -> &'static str {
    match tried.outcome {
        Outcome::Ok(_) => "ok",
        Outcome::Refused => "refused",
        Outcome::NoRoute | Outcome::NoRouteBeyond => "unreachable",
        Outcome::Unresolved => "unresolved",
        // `ping` waits for the resolver to give up; `timeout 2 wget` does not.
        Outcome::NameTimeout if tried.attempt == Attempt::Ping => "unresolved",
        Outcome::NotMade => "error",
        Outcome::Silent
        | Outcome::Closed
        | Outcome::Timeout
        | Outcome::Unreachable
        | Outcome::NameTimeout
        | Outcome::NoAnswer => "timeout",
    }
}
