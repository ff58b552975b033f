//! An explanation as one JSON object, for programs. The shape is documented at [`Explanation::to_json`].

use serde_json::{Value, json};

use super::{Cause, Drop, End, Explanation, Hop, Layer, Lookup, Outcome, Part, Passage, Rule, SourceLine};

pub(super) fn value(explanation: &Explanation) -> Value {
    let attempt = &explanation.attempt;
    let seen = match explanation.outcome {
        Outcome::Reached(seen) => seen.map(|address| address.to_string()),
        _ => None,
    };
    json!({
        "attempt": {
            "from": attempt.from,
            "namespace": attempt.namespace,
            "to": attempt.to,
            "target": attempt.target,
            "protocol": attempt.protocol.word(),
            "port": attempt.port,
        },
        "outcome": explanation.outcome.word(),
        "seen": seen,
        "sentence": explanation.sentence(),
        "silent": explanation.silent,
        "errors": explanation.errors,
        "drop": explanation.drop.as_ref().map(drop),
        "cause": explanation.cause.as_ref().map(cause),
        "lookup": explanation.lookup.as_ref().map(lookup),
        "passages": explanation.passages.iter().map(passage).collect::<Vec<_>>(),
        "notes": explanation.notes,
        "story": explanation.story,
    })
}

fn drop(drop: &Drop) -> Value {
    json!({
        "reason": drop.reason_name(),
        "text": drop.reason.text(),
        "place": drop.place,
        "device": drop.device,
        "rule": drop.rule.as_ref().map(rule),
        "behind": drop.behind.as_deref().map(self::drop),
    })
}

fn rule(rule: &Rule) -> Value {
    json!({
        "table": rule.table,
        "chain": rule.chain,
        "number": rule.number,
        "text": rule.text,
        "docker": rule.docker,
    })
}

fn cause(cause: &Cause) -> Value {
    let line = cause.line.as_ref().map(|SourceLine { file, line, column, text }| {
        json!({ "file": file, "line": line, "column": column, "text": text })
    });
    json!({ "text": cause.text, "suggestion": cause.suggestion, "line": line })
}

fn lookup(lookup: &Lookup) -> Value {
    let addresses: Vec<String> = lookup.addresses.iter().map(ToString::to_string).collect();
    json!({ "name": lookup.name, "answers": lookup.answers, "addresses": addresses })
}

fn passage(passage: &Passage) -> Value {
    let part = match passage.part {
        Part::Lookup => "lookup",
        Part::LookupAnswer => "lookup_answer",
        Part::Request => "request",
        Part::Answer => "answer",
        Part::Relay => "relay",
    };
    let end = match &passage.end {
        End::Delivered { place } => json!({ "kind": "delivered", "place": place }),
        End::Dropped(found) => json!({ "kind": "dropped", "drop": drop(found) }),
        End::Unfinished => json!({ "kind": "unfinished" }),
    };
    json!({
        "part": part,
        "packet": passage.packet,
        "time_ns": passage.time.as_nanos() as u64,
        "from": passage.ends.0,
        "to": passage.ends.1,
        "summary": passage.summary,
        "repeated": passage.repeated,
        "end": end,
        "hops": passage.hops.iter().map(hop).collect::<Vec<_>>(),
    })
}

fn hop(hop: &Hop) -> Value {
    let hook = match hop.layer {
        Layer::Hook(hook) => Some(hook.chain_name()),
        _ => None,
    };
    json!({
        "time_ns": hop.time.as_nanos() as u64,
        "layer": hop.layer.name(),
        "hook": hook,
        "place": hop.place,
        "device": hop.device,
        "text": hop.text,
        "rule": hop.rule.as_ref().map(rule),
    })
}
