//! A matrix and a comparison as JSON, for programs. Fields are only ever added; names and meanings stay.

use serde_json::{Map, Value, json};

use super::{
    By, Change, Difference, Matrix, Outcome, PairChange, Party, PartyKind, PartyState, Renamed, Tried,
};
use crate::scenario::report::Totals;

impl Matrix {
    /// The whole matrix as one object. Parties are named by their labels; times are seconds of virtual time.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "name": self.name,
            "file": self.file.to_string_lossy(),
            "parties": self.parties.iter().map(party).collect::<Vec<_>>(),
            "attempts": self.attempts.iter().map(|tried| self.attempt(tried)).collect::<Vec<_>>(),
            "totals": totals(&self.totals),
        })
    }

    fn attempt(&self, tried: &Tried) -> Value {
        let mut object = Map::new();
        object.insert("from".to_owned(), json!(self.party(tried.from).label));
        object.insert("to".to_owned(), json!(self.party(tried.to).label));
        object.insert("by".to_owned(), by(&tried.by));
        object.insert("attempt".to_owned(), json!(tried.attempt.to_string()));
        object.insert("outcome".to_owned(), json!(tried.outcome.word()));
        if let Outcome::Ok(Some(seen)) = tried.outcome {
            object.insert("seen_as".to_owned(), json!(seen.to_string()));
        }
        Value::Object(object)
    }
}

impl Difference {
    /// The changes as one object.
    #[must_use]
    pub fn json(&self) -> Value {
        let change = |change: &Change| {
            json!({
                "from": change.from,
                "to": change.to,
                "by": change.by,
                "attempt": change.attempt,
                "before": change.before.map(|outcome| outcome.to_string()),
                "after": change.after.map(|outcome| outcome.to_string()),
            })
        };
        let pair = |pair: &PairChange| {
            json!({
                "change": pair.kind.word(),
                "from": pair.from,
                "to": pair.to,
                "attempts": pair.attempts,
                "detail": pair.detail,
                "because": pair.because,
                "line": pair.line,
            })
        };
        let renamed = |one: &Renamed| json!({ "party": one.party, "before": one.before, "after": one.after });
        json!({
            "before": self.before,
            "after": self.after,
            "attempts": self.compared,
            "pairs": self.pairs.iter().map(pair).collect::<Vec<_>>(),
            "renamed": self.renamed.iter().map(renamed).collect::<Vec<_>>(),
            "changes": self.changes.iter().map(change).collect::<Vec<_>>(),
            "gone": self.gone,
            "come": self.come,
        })
    }
}

fn party(party: &Party) -> Value {
    let kind = match party.kind {
        PartyKind::Container => "container",
        PartyKind::Host => "host",
        PartyKind::Machine => "machine",
    };
    let state = match &party.state {
        PartyState::Up => "up",
        PartyState::Down(_) => "down",
        PartyState::Missing => "missing",
    };
    let address = |(network, address): &(String, std::net::IpAddr)| json!({ "network": network, "address": address.to_string() });
    json!({
        "label": party.label,
        "kind": kind,
        "name": party.name,
        "state": state,
        "why": match &party.state {
            PartyState::Down(why) => Some(why),
            PartyState::Up | PartyState::Missing => None,
        },
        "names": party.names,
        "addresses": party.addresses.iter().map(address).collect::<Vec<_>>(),
        "ports": party.ports.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "published": party.published.iter().map(|port| json!({
            "host": port.host.to_string(),
            "container": port.container.map(|target| target.to_string()),
        })).collect::<Vec<_>>(),
    })
}

fn by(by: &By) -> Value {
    match by {
        By::Name(name) => json!({ "name": name }),
        By::Address { network, address } => json!({ "address": address.to_string(), "network": network }),
        By::Published { address, port, container, target } => json!({
            "published": std::net::SocketAddr::new(*address, *port).to_string(),
            "container": container,
            "target": target.to_string(),
        }),
    }
}

fn totals(totals: &Totals) -> Value {
    json!({ "frames": totals.frames, "drops": totals.drops, "time": totals.time.as_secs_f64() })
}
