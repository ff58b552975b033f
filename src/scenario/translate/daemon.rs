//! daemon.json as the daemon takes it, with the engine and the images of a scenario.

use super::{Runs, image_catalogue};
use crate::docker::daemon::DaemonConfig;
use crate::scenario::model::Scenario;

/// The daemon's settings, with the images of the scenario.
#[must_use]
pub fn daemon_config(scenario: &Scenario, runs: Runs<'_>) -> DaemonConfig {
    let daemon = &scenario.daemon;
    DaemonConfig {
        profile: daemon.profile.unwrap_or_default(),
        images: image_catalogue(scenario, runs),
        ..daemon.config.clone()
    }
}
