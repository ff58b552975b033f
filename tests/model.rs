//! A container's life against a reference of a few lines: whatever sequence of create, connect, disconnect, stop, start,
//! restart, rename and remove comes, the daemon accepts and refuses what the reference says, every address, name, default
//! route and published port is where the reference has it, and of what is gone nothing remains: no rule, no name, no
//! port, no device, no tracked connection.
//!
//! `transition` is what can happen, `reference` what must come of it, `system` the same on a whole world with real packets,
//! `assertions` what is compared after each step and at the end.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod model {
    pub(crate) mod assertions;
    pub(crate) mod reference;
    pub(crate) mod system;
    pub(crate) mod transition;
}

use linkspan::docker::profile::Profile;
use proptest::prelude::*;

use model::assertions;
use model::reference::Reference;
use model::system::System;
use model::transition::{Transition, transition};

/// Containers of a sequence.
const CONTAINERS: usize = 3;
/// Networks that a sequence makes and removes, besides the default bridge.
const NETWORKS: usize = 2;

fn follow(profile: Profile, transitions: &[Transition]) {
    let mut system = System::new(profile);
    let mut reference = Reference::new(profile);
    let bare = system.snapshot();
    for (index, transition) in transitions.iter().enumerate() {
        let expected = reference.step(transition);
        let found = system.step(transition);
        let so_far = &transitions[..=index];
        assert_eq!(found, expected, "{profile}: {transition:?} after {so_far:#?}");
        assertions::hold(&system, &reference, &format!("{profile}: {so_far:#?}"));
    }
    for transition in reference.ending() {
        assert_eq!(system.step(&transition), reference.step(&transition), "{transition:?}");
    }
    assertions::nothing_is_left(&system, &bare, &format!("{profile}: {transitions:#?}"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_sequence_follows_the_reference_and_leaves_nothing(
        profile in prop::sample::select(Profile::ALL.to_vec()),
        transitions in prop::collection::vec(transition(), 1..24),
    ) {
        follow(profile, &transitions);
    }
}

/// The most that one sequence meets: a container on every network, its port moving with its default route.
#[test]
fn a_container_that_wanders_takes_everything_along() {
    use Transition::{Connect, Create, Disconnect, Fetch, NewNetwork, Rename, Restart, Start, Stop, Talk};
    let transitions = [
        NewNetwork(0),
        NewNetwork(1),
        Create { container: 0, network: Some(0), run: true },
        Create { container: 1, network: Some(1), run: true },
        Fetch(0),
        Talk { from: 0, to: 1 },
        Connect { container: 0, network: Some(1) },
        Talk { from: 1, to: 0 },
        Fetch(0),
        Connect { container: 0, network: None },
        Fetch(0),
        Disconnect { container: 0, network: Some(0) },
        Rename(0),
        Talk { from: 1, to: 0 },
        Stop(1),
        Restart(0),
        Fetch(0),
        Start(1),
        Talk { from: 0, to: 1 },
        Disconnect { container: 0, network: None },
        Disconnect { container: 0, network: Some(1) },
        Fetch(0),
        Connect { container: 0, network: Some(0) },
        Fetch(0),
    ];
    for profile in Profile::ALL {
        follow(profile, &transitions);
    }
}

/// What a legacy link opened in a default bridge with `icc=false`. Recorded from Docker 20.10.24 and from
/// 28.5.2 (walkthrough 13): when the target has started anew since, the rules outlive the linker, until the daemon itself
/// starts anew.
#[test]
fn the_rules_of_a_link_outlive_a_restart_of_its_target() {
    for profile in Profile::ALL {
        let mut system = System::without_icc(profile);
        let open = |system: &System| {
            let rules = system.rules();
            let between = |line: &&str| line.contains(" -s 172.17.0.") && line.contains(" -d 172.17.0.");
            rules.lines().filter(between).filter(|line| line.contains("-i docker0 -o docker0")).count()
        };
        let run = |system: &mut System, line: &str| assert!(system.docker(line), "{profile}: {line}");
        run(&mut system, "docker run -d --name web nginx");
        run(&mut system, "docker run -itd --name other busybox");
        run(&mut system, "docker run -itd --name linker --link web busybox");
        let reaches = |system: &mut System, from: &str| system.fetch_from(from, "172.17.0.2");
        assert_eq!(
            (open(&system), reaches(&mut system, "linker"), reaches(&mut system, "other")),
            (2, true, false)
        );
        run(&mut system, "docker stop -t 0 linker");
        assert_eq!(open(&system), 0, "{profile}: a linker that stops closes its link");
        run(&mut system, "docker start linker");
        run(&mut system, "docker restart -t 0 web");
        assert_eq!((open(&system), reaches(&mut system, "linker")), (2, true));
        run(&mut system, "docker rm -f linker");
        assert_eq!(open(&system), 2, "{profile}: {}", system.rules());
        run(&mut system, "docker rm -f web other");
        assert_eq!(open(&system), 2);
        system.restart_daemon();
        assert_eq!(open(&system), 0, "{profile}: the chains are written anew");
    }
}
