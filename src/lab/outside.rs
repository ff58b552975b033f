//! A run with something outside: processes of this machine, or a recording of them.

use std::cell::RefCell;
use std::rc::Rc;

use crate::scenario::Scenario;
use crate::scenario::report::{Progress, Report, RunOptions};
use crate::scenario::run;

pub use crate::scenario::run::Attachment;
pub use crate::world::outside::{
    Interface, Moment, Outside, OutsideError, Port, Replacement, Resolver, Route,
};

/// A name that none of a scenario's containers has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no container {name:?} in this file; it has {}", listed(.known))]
pub struct UnknownContainer {
    /// As asked for.
    pub name: String,
    /// The names of the file's containers.
    pub known: Vec<String>,
}

/// The container that a name means: a container's own name, or a service's, whose first container it is.
///
/// # Errors
/// If there is none.
pub fn container(scenario: &Scenario, name: &str) -> Result<String, UnknownContainer> {
    let first =
        scenario.service(name).and_then(|service| scenario.container_names(service).into_iter().next());
    let known: Vec<String> = scenario.services.iter().flat_map(|s| scenario.container_names(s)).collect();
    let found = first.or_else(|| known.iter().find(|known| *known == name).cloned());
    let services = scenario.services.iter().map(|service| service.name.value.clone());
    let known = services.chain(known).collect();
    found.ok_or_else(|| UnknownContainer { name: name.to_owned(), known })
}

/// Runs a scenario with an [`Outside`]: its services come up in virtual time, then the outside has the clock, until it
/// stops the run. A run is a function of the scenario, the seed and what the outside answers.
pub fn run_outside(
    scenario: &Scenario,
    options: &RunOptions,
    attachment: &mut Attachment<'_>,
    tell: &mut dyn FnMut(Progress<'_>),
) -> Report {
    super::observed(options, tell, |observer| run::run_outside(scenario, options.seed, attachment, observer))
}

/// Something that is outside and is looked at again after the run.
pub fn shared<T: Outside + 'static>(outside: T) -> Rc<RefCell<T>> {
    Rc::new(RefCell::new(outside))
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    }
}
