//! What can happen. Containers and networks are numbers; network `None` is the default bridge.

use proptest::prelude::*;

use crate::{CONTAINERS, NETWORKS};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Transition {
    NewNetwork(usize),
    RemoveNetwork(usize),
    /// A web server that publishes a port of its own.
    Create {
        container: usize,
        network: Option<usize>,
        run: bool,
    },
    Connect {
        container: usize,
        network: Option<usize>,
    },
    Disconnect {
        container: usize,
        network: Option<usize>,
    },
    Start(usize),
    Stop(usize),
    Restart(usize),
    Rename(usize),
    Remove(usize),
    /// The outside asks for the published port.
    Fetch(usize),
    /// One container asks another one by its name.
    Talk {
        from: usize,
        to: usize,
    },
}

pub(crate) fn transition() -> impl Strategy<Value = Transition> {
    use Transition::*;
    let container = || 0..CONTAINERS;
    let network = || 0..NETWORKS;
    let any_network = || prop::option::weighted(0.7, network());
    prop_oneof![
        2 => network().prop_map(NewNetwork),
        1 => network().prop_map(RemoveNetwork),
        4 => (container(), any_network(), prop::bool::weighted(0.8))
            .prop_map(|(container, network, run)| Create { container, network, run }),
        4 => (container(), any_network()).prop_map(|(container, network)| Connect { container, network }),
        3 => (container(), any_network()).prop_map(|(container, network)| Disconnect { container, network }),
        2 => container().prop_map(Start),
        2 => container().prop_map(Stop),
        1 => container().prop_map(Restart),
        1 => container().prop_map(Rename),
        1 => container().prop_map(Remove),
        3 => container().prop_map(Fetch),
        3 => (container(), container()).prop_map(|(from, to)| Talk { from, to }),
    ]
}
