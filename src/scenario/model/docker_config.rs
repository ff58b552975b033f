//! daemon.json and the docker command's own configuration.

use crate::docker::client::ClientVersion;
use crate::docker::daemon::DaemonConfig;
use crate::docker::profile::Profile;

/// `daemon:`, which is daemon.json and the engine's version.
#[derive(Clone, Debug, Default)]
pub struct Daemon {
    /// The engine's version, when said.
    pub profile: Option<Profile>,
    /// What the file sets, and Docker's defaults for the rest. The version is `profile`'s, and images are the scenario's.
    pub config: DaemonConfig,
}

/// The docker command's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// Its version.
    pub version: ClientVersion,
    /// By the daemon's URL, or `default`.
    pub proxies: Vec<(String, ClientProxy)>,
}

/// One entry of the client's `proxies`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientProxy {
    /// `httpProxy`.
    pub http: Option<String>,
    /// `httpsProxy`.
    pub https: Option<String>,
    /// `noProxy`.
    pub no: Option<String>,
    /// `ftpProxy`.
    pub ftp: Option<String>,
    /// `allProxy`.
    pub all: Option<String>,
}
