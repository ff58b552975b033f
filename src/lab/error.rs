//! Why a lab cannot be built, or cannot do what it was asked.
//!
//! [`Debug`](std::fmt::Debug) prints what [`Display`](std::fmt::Display) prints, because a test shows an error by
//! `unwrap` or by returning it, and both use the former.

use std::fmt;
use std::time::Duration;

use crate::scenario::places::DockerCommandError;
use crate::scenario::{Diagnostic, LoadError, SourceMap};
use crate::world::WorldError;

/// Why a lab cannot be built, or cannot do what it was asked.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// The file, text or builder says something that cannot be meant: every problem, with its line.
    #[error("{0}")]
    Refused(Box<LoadError>),
    /// A network or container does not come up: the reason, with the line that asked for it.
    #[error("{0}")]
    NotUp(String),
    /// A name that is no service, container, machine or network.
    #[error("there is no {kind} `{name}`{}", suggest(nearest.as_deref(), known))]
    Unknown {
        /// What was looked for: `place`, `network`.
        kind: &'static str,
        /// The name as given.
        name: String,
        /// The known name that it may have been meant to be.
        nearest: Option<String>,
        /// Every name that is known.
        known: Vec<String>,
    },
    /// A text that is no destination.
    #[error("`{text}` is no destination: {reason}")]
    Destination {
        /// As given.
        text: String,
        /// What is wrong with it, or missing.
        reason: String,
    },
    /// A text that is no address.
    #[error("`{0}` is no IP address")]
    Address(String),
    /// A line that is no check.
    #[error("`{line}` is no check: {reason}")]
    Check {
        /// As given.
        line: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A place that is no container.
    #[error("`{0}` is no container")]
    NoContainer(String),
    /// Two ends between which there is nothing to cut or to change.
    #[error("there is nothing between `{a}` and `{b}`: {reason}")]
    Unlinked {
        /// One end.
        a: String,
        /// The other end.
        b: String,
        /// Why, and what helps.
        reason: String,
    },
    /// A command line that is not carried out: it cannot be split into words, or its program refuses it.
    #[error("{command}: {reason}")]
    CommandLine {
        /// As given.
        command: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A program did not end, or ended without a result because its container did.
    #[error("{what} has no result: {reason}")]
    Unfinished {
        /// The program.
        what: String,
        /// What became of it.
        reason: String,
    },
    /// A condition that did not become true.
    #[error("{what} did not come true within {limit:?} of virtual time")]
    Overdue {
        /// What was waited for.
        what: String,
        /// How long.
        limit: Duration,
    },
    /// A capture that cannot be written.
    #[error("the capture cannot be written: {0}")]
    Capture(String),
    /// The world cannot do it.
    #[error("{0}")]
    World(#[from] WorldError),
}

impl fmt::Debug for LabError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Box<LoadError>> for LabError {
    fn from(error: Box<LoadError>) -> Self {
        Self::Refused(error)
    }
}

impl LabError {
    pub(super) fn not_up(diagnostic: &Diagnostic, sources: &SourceMap) -> Self {
        Self::NotUp(diagnostic.render(sources, false))
    }

    pub(super) fn docker(command: &str, error: DockerCommandError) -> Self {
        match error {
            DockerCommandError::World(error) => Self::World(error),
            DockerCommandError::Words(reason) => Self::CommandLine { command: command.to_owned(), reason },
        }
    }
}

fn suggest(nearest: Option<&str>, known: &[String]) -> String {
    match nearest {
        Some(nearest) => format!("; did you mean `{nearest}`?"),
        None => format!("; there are: {}", known.join(", ")),
    }
}
