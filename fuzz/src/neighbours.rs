//! ARP and neighbour discovery from outside, true and false: tables keep to what may stand in them, what an operator set
//! stays, and those who are not concerned reach each other.

use std::time::Duration;

use linkspan::engine::event::NeighbourState;
use linkspan::engine::plan::NamespaceName;

use super::input::Input;
use super::stage::{NEIGHBOURS, Stage, frame};

/// Frames and pauses. They come in by the edge that is no port of the bridge, so that the containers' own wire is clean.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut stage = Stage::new();
    while !input.is_empty() {
        let choice = input.byte();
        let frame = frame(&mut input, 1, &NEIGHBOURS);
        stage.input(1, &frame);
        if choice & 6 == 6 {
            stage.wait(Duration::from_millis(u64::from(choice) * 100));
        }
        let engine = stage.bench.engine.borrow();
        let host = engine.namespace(&NamespaceName::new("host")).unwrap();
        let neighbours = engine.neighbours(host);
        let set = neighbours.iter().find(|n| n.address.to_string() == "203.0.113.99").expect("it was set");
        assert_eq!((set.state, set.mac.map(|mac| mac.0[5])), (NeighbourState::Permanent, Some(9)));
        // Only who answered, asked us or was asked.
        assert!(neighbours.len() < 80, "{} neighbours", neighbours.len());
    }
    stage.end();
}
