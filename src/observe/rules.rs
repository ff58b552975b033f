//! What the packet hooks say, in words: rules by table, chain and number with their text, and translations.

use linkspan_nat::evaluate::{RuleRef, TraceStep};
use linkspan_nat::nat::Manipulation;
use linkspan_nat::netfilter::HookStep;
use linkspan_nat::rule::{CtState, Family};
use linkspan_nat::ruleset::Policy;
use linkspan_nat::tuple::Tuple;

use super::Naming;
use super::summary::endpoint;
use crate::engine::id::NamespaceId;

/// Where rules stand: whose, and of which family.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) namespace: NamespaceId,
    pub(super) family: Family,
    pub(super) naming: &'a dyn Naming,
}

impl Rules<'_> {
    /// `rule filter FORWARD 3 -o docker0 -j DOCKER`.
    pub(super) fn rule(&self, rule: &RuleRef) -> String {
        let mut text = format!("rule {} {} {}", rule.table.name(), rule.chain, rule.number);
        let specification = self.specification(rule);
        if !specification.is_empty() {
            text.push(' ');
            text.push_str(&specification);
        }
        text
    }

    /// The rule or policy that ended a refused packet: the last one that had a say.
    pub(super) fn refusal(&self, steps: &[HookStep]) -> Option<String> {
        steps.iter().rev().find_map(|step| match step {
            HookStep::Table(TraceStep::Rule { rule, matched: true }) => Some(self.rule(rule)),
            HookStep::Table(TraceStep::Policy { table, hook, policy: Policy::Drop }) => {
                Some(format!("policy DROP of {} {}", table.name(), hook.chain_name()))
            }
            HookStep::Table(_)
            | HookStep::Tracked { .. }
            | HookStep::Bound { .. }
            | HookStep::Rewritten { .. } => None,
        })
    }

    /// What a rule says; empty once it is gone.
    pub(super) fn specification(&self, rule: &RuleRef) -> String {
        self.naming.rule_text(self.namespace, self.family, rule).unwrap_or_default()
    }

    /// One line for each step that tells something; rules that did not match tell nothing.
    pub(super) fn steps(&self, steps: &[HookStep]) -> Vec<String> {
        steps.iter().filter_map(|step| self.step(step)).collect()
    }

    fn step(&self, step: &HookStep) -> Option<String> {
        match step {
            HookStep::Table(TraceStep::Rule { matched: false, .. }) => None,
            HookStep::Table(TraceStep::Rule { rule, matched: true }) => Some(self.rule(rule)),
            HookStep::Table(TraceStep::Policy { table, hook, policy }) => {
                let verdict = match policy {
                    Policy::Accept => "ACCEPT",
                    Policy::Drop => "DROP",
                };
                Some(format!("policy {verdict} of {} {}", table.name(), hook.chain_name()))
            }
            HookStep::Tracked { connection, .. } => {
                Some(format!("connection tracking: {}", state(connection.state)))
            }
            HookStep::Bound { binding, .. } if binding.before == binding.after => None,
            HookStep::Bound { binding, rule, .. } => {
                let by = rule.as_ref().map(|rule| format!(", by {}", self.rule(rule))).unwrap_or_default();
                Some(format!(
                    "the connection's {} shall be {}{by}",
                    end(binding.manipulation),
                    side(&binding.after, binding.manipulation)
                ))
            }
            HookStep::Rewritten { manipulation, before, after, .. } => {
                Some(rewriting(*manipulation, before, after))
            }
        }
    }
}

/// The rewritings among steps: `destination 10.0.0.1:8080 becomes 172.17.0.2:80`.
pub(super) fn rewritings(steps: &[HookStep]) -> impl Iterator<Item = String> {
    steps.iter().filter_map(|step| match step {
        HookStep::Rewritten { manipulation, before, after, .. } => {
            Some(rewriting(*manipulation, before, after))
        }
        HookStep::Table(_) | HookStep::Tracked { .. } | HookStep::Bound { .. } => None,
    })
}

pub(super) fn rewriting(manipulation: Manipulation, before: &Tuple, after: &Tuple) -> String {
    let (from, to) = (side(before, manipulation), side(after, manipulation));
    format!("{} {from} becomes {to}", end(manipulation))
}

fn side(tuple: &Tuple, manipulation: Manipulation) -> String {
    let port = |port| (!tuple.is_icmp() && port != 0).then_some(port);
    match manipulation {
        Manipulation::Source => endpoint(tuple.source, port(tuple.source_port)),
        Manipulation::Destination => endpoint(tuple.destination, port(tuple.destination_port)),
    }
}

fn end(manipulation: Manipulation) -> &'static str {
    match manipulation {
        Manipulation::Source => "source",
        Manipulation::Destination => "destination",
    }
}

pub(super) fn state(state: CtState) -> &'static str {
    match state {
        CtState::Invalid => "INVALID, belongs to no connection",
        CtState::New => "NEW",
        CtState::Related => "RELATED",
        CtState::Established => "ESTABLISHED",
        CtState::Untracked => "UNTRACKED",
    }
}

/// What a packet looks like after a rewriting; `None` for other steps.
pub(super) fn tuple_after(step: &HookStep) -> Option<&Tuple> {
    match step {
        HookStep::Rewritten { after, .. } => Some(after),
        HookStep::Table(_) | HookStep::Tracked { .. } | HookStep::Bound { .. } => None,
    }
}
