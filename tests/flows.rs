//! A flow whose way is remembered fares as one that asks at every step: for any sequence of traffic and changes, an
//! engine that is watched (where nothing is repeated) and one that is not end with the same datagrams, counters,
//! connections, forwarding entries, neighbours and drops.

mod common;
#[path = "common/flows.rs"]
mod flows;

use flows::{CONTAINERS, RULES, Step, Tables, compare};
use proptest::prelude::*;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let station = 0..=CONTAINERS;
    let container = 0..CONTAINERS;
    let send = (station.clone(), station, 1..12usize, prop_oneof![Just(10), Just(300), Just(1_600)]);
    let step = prop_oneof![
        12 => send.prop_map(|(from, to, count, length)| Step::Send { from, to, count, length }),
        2 => (container.clone(), container.clone(), 1..20_000usize)
            .prop_map(|(from, to, length)| Step::Transfer { from, to, length }),
        4 => prop_oneof![Just(1), Just(40), Just(2_500), Just(6_000), Just(31_000), Just(130_000)].prop_map(Step::Wait),
        3 => (0..RULES.len()).prop_map(Step::Rule),
        1 => any::<bool>().prop_map(Step::BridgeNetfilter),
        1 => container.clone().prop_map(Step::Bounce),
        1 => container.clone().prop_map(Step::Nearer),
        1 => container.clone().prop_map(Step::Farther),
        1 => (container.clone(), any::<bool>()).prop_map(|(container, on)| Step::Hairpin(container, on)),
        1 => (container.clone(), 0..=CONTAINERS, any::<bool>())
            .prop_map(|(container, of, claims)| Step::Claim { container, of, claims }),
        1 => (container.clone(), 0..3u8)
            .prop_map(|(container, rp_filter)| Step::Sources { container, rp_filter }),
        1 => (container, any::<bool>(), prop_oneof![Just(1_300), Just(1_500), Just(2_000)])
            .prop_map(|(container, host, mtu)| Step::Mtu { container, host, mtu }),
    ];
    prop::collection::vec(step, 1..25)
}

/// Steady traffic in both directions of every pair, so that every stage is remembered, then each kind of change.
#[test]
fn every_change_is_noticed() {
    let pairs = (0..=CONTAINERS).flat_map(|from| (0..=CONTAINERS).map(move |to| (from, to)));
    let traffic: Vec<Step> = pairs
        .clone()
        .flat_map(|(from, to)| {
            [(9, 10), (2, 1_300)].map(|(count, length)| Step::Send { from, to, count, length })
        })
        .collect();
    let changes = (0..RULES.len()).map(Step::Rule).chain((0..CONTAINERS).flat_map(|container| {
        [
            Step::BridgeNetfilter(container == 1),
            Step::Bounce(container),
            Step::Nearer(container),
            Step::Hairpin(container, true),
            Step::Wait(31_000),
            Step::Farther(container),
            Step::Hairpin(container, false),
            Step::Transfer { from: container, to: (container + 1) % CONTAINERS, length: 30_000 },
            Step::Claim { container, of: (container + 1) % CONTAINERS, claims: true },
            Step::Claim { container, of: (container + 1) % CONTAINERS, claims: false },
            Step::Mtu { container, host: true, mtu: 1_300 },
            Step::Mtu { container, host: false, mtu: 1_300 },
            Step::Mtu { container, host: true, mtu: 1_500 },
            Step::Mtu { container, host: false, mtu: 1_500 },
        ]
    }));
    let mut steps = traffic.clone();
    for change in changes {
        steps.push(change);
        steps.extend(traffic.iter().cloned());
    }
    compare(&steps, Tables::AfterEach);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_remembered_flow_fares_as_one_that_asks(steps in steps()) {
        compare(&steps, Tables::AfterEach);
    }
}
