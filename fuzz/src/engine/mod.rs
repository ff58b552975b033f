//! Whole-engine sequences: containers come and go, talk, are filtered and cut off, while an outside machine sends what it
//! likes and time passes.
//!
//! `transition` says what can happen and reads it from bytes; `model` says in a few lines what must come of it; `system`
//! makes it happen on a real engine; `assertions` holds the one against the other after every step.

mod assertions;
mod model;
mod system;
mod transition;

use super::common;
use super::input::Input;
use super::stage;
use assertions::Watch;
use model::Model;
use system::System;
use transition::Transition;

/// Containers there can be.
const CONTAINERS: usize = 4;
/// At most this many steps, so that one input takes milliseconds.
const STEPS: usize = 60;

/// Transitions, two bytes and more each.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (mut model, mut system) = (Model::default(), System::new());
    let mut watch = Watch::default();
    let mut steps = 0;
    while !input.is_empty() && steps < STEPS {
        steps += 1;
        let transition = Transition::draw(&mut input);
        if !model.allows(&transition) {
            continue;
        }
        let expected = model.step(&transition);
        let found = system.step(&transition);
        assert_eq!(found, expected, "what arrived after step {steps}, {transition:?}, {model:?}");
        watch.step(&mut system);
    }
    assertions::end(system);
}
