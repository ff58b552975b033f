//! The docker client by its version: the same answer of a daemon is printed otherwise by a client of another time.
//!
//! Reference: docker/cli v20.10 (`cli/command/container/run.go`, `formatter/container.go`) with the API client of its
//! time (`objectNotFoundError`), and docker/cli v28.

use super::error::{DockerError, Shown};
use super::outcome::Output;
use super::request::Request;

/// Which client asks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClientVersion {
    /// 20.10, as old as the oldest engine here.
    V20_10,
    /// 28.
    #[default]
    V28,
}

impl ClientVersion {
    /// The hint behind a refusal of `docker VERB`, and what ends the sentence before it.
    pub(super) fn hint(self, verb: &str) -> String {
        match self {
            ClientVersion::V20_10 => format!(".\nSee 'docker {verb} --help'."),
            ClientVersion::V28 => format!("\n\nRun 'docker {verb} --help' for more information"),
        }
    }
}

/// A client with one request of its.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Client {
    pub(super) version: ClientVersion,
    /// It says itself what does not exist.
    says_no_such: bool,
}

impl Client {
    /// What a client of `version` is for a request. The API client of 20.10 words a 404 of inspect and remove calls
    /// itself; `docker exec`, `logs` and `port` begin with an inspect call.
    pub(super) fn asking(version: ClientVersion, request: &Request) -> Client {
        let says_no_such = version == ClientVersion::V20_10
            && matches!(
                request,
                Request::NetworkInspect(_)
                    | Request::NetworkRemove(_)
                    | Request::ContainerRemove(_)
                    | Request::ContainerExec(_)
                    | Request::ContainerLogs(_)
                    | Request::ContainerPort(_)
                    | Request::Inspect(_)
            );
        Client { version, says_no_such }
    }

    /// What it prints and returns for a refusal.
    pub(super) fn output(self, error: &DockerError) -> Output {
        // The client trims what the daemon says.
        let message = error.message.trim_end();
        let hint = |verb: &str| self.version.hint(verb);
        let (stderr, exit) = match error.shown {
            Shown::Plain => match self.no_such(error) {
                Some(text) => (format!("Error: {text}\n"), 1),
                None => (format!("Error response from daemon: {message}\n"), 1),
            },
            Shown::Run => (format!("docker: Error response from daemon: {message}{}\n", hint("run")), 125),
            // Only a refusal to create earned the hint then.
            Shown::RunStart if self.version == ClientVersion::V20_10 => {
                (format!("docker: Error response from daemon: {message}.\n"), start_status(message))
            }
            Shown::RunStart => {
                let text = format!("docker: Error response from daemon: {message}{}\n", hint("run"));
                (text, start_status(message))
            }
            Shown::Unreachable { run: true } => (format!("docker: {message}{}\n", hint("run")), 125),
            Shown::Unreachable { run: false } => (format!("{message}\n"), 1),
            Shown::Client => (format!("Error: {message}\n"), 1),
            Shown::Alone => (format!("{message}\n"), 1),
            Shown::Template { parsed } => (format!("{message}\n"), if parsed { 1 } else { 64 }),
            Shown::Unsupported => (format!("linkspan: {message}\n"), 1),
        };
        Output { stderr, exit, ..Output::default() }
    }

    fn no_such(self, error: &DockerError) -> Option<String> {
        if !self.says_no_such || error.status != 404 {
            return None;
        }
        let network = error.message.strip_prefix("network ").and_then(|rest| rest.strip_suffix(" not found"));
        match network {
            Some(name) => Some(format!("No such network: {name}")),
            None => error.message.starts_with("No such container: ").then(|| error.message.clone()),
        }
    }
}

/// The status of `docker run` for a container that did not start: that of a shell where the words tell of a program that
/// is not there or cannot run.
fn start_status(message: &str) -> u8 {
    let says = |words: &[&str]| words.iter().any(|words| message.contains(words));
    if says(&["executable file not found", "no such file or directory"]) {
        127
    } else if says(&["permission denied", "is a directory"]) {
        126
    } else {
        125
    }
}
