//! Scenario files: from text to a typed, judged [`Scenario`].
//!
//! A scenario is a Compose file with more to say. The way in is [`load`](fn@load): files come through a [`Source`], become
//! [`yaml`] trees whose every value knows its place, are interpolated, merged, followed through `include` and
//! `extends` ([`load`](fn@load)(mod@load)), checked against the key tables ([`keys`]) and read into the [`model`]. What is wrong is
//! collected as [`diagnostic`]s that show the line; a scenario with an error is refused whole.
//!
//! [`translate`] turns the model into requests to a daemon, [`report`] is what a run found.

mod build;
pub mod causes;
pub mod checks;
mod contradictions;
mod daemon_json;
pub mod diagnostic;
pub mod dockerfile;
mod excerpt;
pub mod images_table;
pub mod interpolate;
pub mod junit;
pub mod keys;
mod keys_in_requests;
pub mod load;
mod merge;
pub mod model;
pub mod places;
mod ports;
mod privileges;
pub mod project;
mod read;
mod refusals;
pub mod render;
pub mod report;
pub mod run;
pub mod schema;
mod service;
mod shifted;
mod stage;
pub mod steps;
mod targets;
pub mod tasks;
#[cfg(test)]
mod tests;
pub mod translate;
pub mod yaml;

pub use build::{default_stage, docker_host, known_names};
pub use checks::{Check, Claim, Endpoint, Outcome, Place};
pub use diagnostic::{Diagnostic, LoadError, Severity, SourceMap, Span, Spanned};
pub use load::{DiskSource, LoadOptions, MemorySource, Source, load};
pub use model::Scenario;
pub use project::ProjectFiles;
pub use schema::json_schema;
pub use steps::{Action, Event, Expect, Step, Target};
pub use tasks::{Goal, Task};
