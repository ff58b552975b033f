//! A container's health: what is asked for, and what came of it (moby `daemon/health.go`).

use std::time::Duration;

/// A health check as asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Healthcheck {
    /// Program and arguments, run in the container; status 0 is healthy.
    pub test: Vec<String>,
    /// Time from the start, and from the end of a probe, to the next probe.
    pub interval: Duration,
    /// A probe that takes longer has failed.
    pub timeout: Duration,
    /// Failures do not count until this long after the start, unless a probe has passed.
    pub start_period: Duration,
    /// The interval while the start period lasts and no probe has passed.
    pub start_interval: Duration,
    /// Failures in a row that make it unhealthy.
    pub retries: u32,
}

impl Default for Healthcheck {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl Healthcheck {
    /// A check with dockerd's defaults.
    pub fn new(test: Vec<String>) -> Healthcheck {
        Healthcheck {
            test,
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(30),
            start_period: Duration::ZERO,
            start_interval: Duration::from_secs(5),
            retries: 3,
        }
    }

    /// A check of one line, which a shell runs.
    pub fn shell(line: &str) -> Healthcheck {
        Healthcheck::new(["/bin/sh", "-c", line].map(str::to_owned).to_vec())
    }
}

/// What is known of a running container's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// The verdict.
    pub status: HealthStatus,
    /// Failures since the last success that count.
    pub failing_streak: u32,
}

/// The verdict on a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthStatus {
    /// No probe has passed yet.
    Starting,
    /// The last probe that counts passed.
    Healthy,
    /// Too many probes failed in a row.
    Unhealthy,
}

impl HealthStatus {
    /// The word inspect shows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// A probe to run now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthProbe {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Environment.
    pub env: Vec<String>,
    /// How long it may take.
    pub timeout: Duration,
}
