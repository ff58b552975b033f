//! A daemon's refusal: the engine's own text, the HTTP status of its API and how the docker client shows it.

use thiserror::Error;

/// A refused request. Nothing has changed, unless the error stands in an outcome.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct DockerError {
    /// The text of the API's `message`.
    pub message: String,
    /// The status of the API's reply.
    pub status: u16,
    /// How the client shows it.
    pub shown: Shown,
}

/// How the docker client prints a refusal and which status it returns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shown {
    /// `Error response from daemon: ...`, status 1.
    #[default]
    Plain,
    /// The same before `docker: ` and with the hint to `--help` after it, status 125: `docker run`.
    Run,
    /// The same once the container was made.
    RunStart,
    /// The client's own check: `Error: ...`, status 1.
    Client,
    /// The client's own words alone, status 1.
    Alone,
    /// A template that the client cannot use: the text alone. Status 64 if it cannot be parsed, else 1.
    Template {
        /// It can be parsed.
        parsed: bool,
    },
    /// Nobody answered the client; the text alone, status 125 for `docker run` and 1 for the rest.
    Unreachable {
        /// It was `docker run`.
        run: bool,
    },
    /// Something this release does not reproduce, status 1.
    Unsupported,
}

impl DockerError {
    /// A refusal with an HTTP status.
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        Self { message: message.into(), status, shown: Shown::Plain }
    }

    /// A parameter is wrong (400).
    pub fn bad_parameter(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }

    /// The operation is not allowed (403).
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(403, message)
    }

    /// Something does not exist (404).
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, message)
    }

    /// Something is in the way (409).
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(409, message)
    }

    /// The engine failed (500).
    pub fn system(message: impl Into<String>) -> Self {
        Self::new(500, message)
    }

    /// A feature that is not reproduced (501).
    pub fn unsupported(what: impl std::fmt::Display) -> Self {
        Self {
            message: format!("{what}: not supported in this release"),
            status: 501,
            shown: Shown::Unsupported,
        }
    }

    /// The same refusal shown in another way.
    pub fn shown_as(mut self, shown: Shown) -> Self {
        if self.shown != Shown::Unsupported {
            self.shown = shown;
        }
        self
    }
}

/// Several complaints in one text, as newer engines join them: a list, unless there is one alone.
pub(super) fn joined(complaints: &[String]) -> String {
    match complaints {
        [one] => one.clone(),
        several => format!("* {}", several.join("\n* ")),
    }
}
