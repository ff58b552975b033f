//! `docker info` and `docker version`: what concerns networking, in the client's layout. Storage, cgroups, builds and the
//! machine's size are left out, because there is none of it here.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Daemon;
use super::query::bad_format;
use crate::docker::container::State;
use crate::docker::error::{DockerError, Shown};
use crate::docker::format::{self, FormatError};
use crate::docker::outcome::Outcome;
use crate::docker::request::View;

/// The client that is reproduced, and the newest API it speaks.
const CLIENT: &str = "28.2.2";
const CLIENT_API: (u16, u16) = (1, 50);
/// The network drivers that an engine names; `overlay` needs a swarm.
const DRIVERS: [&str; 6] = ["bridge", "host", "ipvlan", "macvlan", "null", "overlay"];
/// The log drivers that it names.
const LOG_DRIVERS: [&str; 8] =
    ["awslogs", "fluentd", "gelf", "journald", "json-file", "local", "splunk", "syslog"];

impl Daemon {
    pub(super) fn info(&self, view: &View) -> Result<Outcome, DockerError> {
        if let Some(template) = &view.format {
            return self.formatted(template, &self.info_json(), "", |_| "system.dockerInfo");
        }
        let count = |state: State| self.containers.values().filter(|c| c.state == state).count();
        let (running, paused, all) = (count(State::Running), count(State::Paused), self.containers.len());
        let mut text =
            format!("Client:\n Version:    {CLIENT}\n Context:    default\n Debug Mode: false\n\nServer:\n");
        let mut line = |line: String| {
            // Writing to a string does not fail.
            let _ = writeln!(text, " {line}");
        };
        line(format!("Containers: {all}"));
        line(format!(" Running: {running}"));
        line(format!(" Paused: {paused}"));
        line(format!(" Stopped: {}", all - running - paused));
        line(format!("Server Version: {}", self.profile().engine_version()));
        line("Plugins:".to_owned());
        line(" Volume: local".to_owned());
        line(format!(" Network: {}", DRIVERS.join(" ")));
        line(format!(" Log: {}", LOG_DRIVERS.join(" ")));
        line("Swarm: inactive".to_owned());
        line("OSType: linux".to_owned());
        line(format!("Name: {}", self.host.hostname));
        let proxies = &self.config.proxies;
        for (name, value) in [("HTTP", &proxies.http), ("HTTPS", &proxies.https), ("No", &proxies.no)] {
            if let Some(value) = value {
                line(format!("{name} Proxy: {value}"));
            }
        }
        line(format!("Live Restore Enabled: {}", self.config.live_restore));
        if !self.config.default_address_pools.is_empty() {
            line("Default Address Pools:".to_owned());
            for (base, size) in &self.config.default_address_pools {
                line(format!("  Base: {base}, Size: {size}"));
            }
        }
        text.push('\n');
        Ok(Outcome::printed(text))
    }

    /// What a template makes of what there is to tell. A field that is not there is told with the type of the structure that
    /// lacks it, by the node that asked, and the name that the client gave the template.
    fn formatted(
        &self,
        template: &str,
        whole: &Value,
        name: &str,
        of: impl Fn(&str) -> &'static str,
    ) -> Result<Outcome, DockerError> {
        let text = match format::format(template, whole) {
            Ok(text) => return Ok(Outcome::printed(text + "\n")),
            Err(FormatError::Execute { line, column, node, reason }) => {
                let field = reason.strip_prefix("map has no entry for key \"");
                let reason = match field.and_then(|rest| rest.strip_suffix('"')) {
                    Some(field) => format!("can't evaluate field {field} in type {}", of(&node)),
                    None => reason,
                };
                format!("template: {name}:{line}:{column}: executing \"{name}\" at <{node}>: {reason}")
            }
            Err(error) => return Err(bad_format(error)),
        };
        let mut outcome = Outcome::printed("\n".to_owned());
        outcome.refuse(self.client, DockerError::bad_parameter(text).shown_as(Shown::Alone));
        Ok(outcome)
    }

    /// What the API's `GET /info` answers.
    fn info_json(&self) -> Value {
        let count = |state: State| self.containers.values().filter(|c| c.state == state).count();
        let (running, paused) = (count(State::Running), count(State::Paused));
        let proxies = &self.config.proxies;
        let pools = self.config.default_address_pools.iter();
        let pools: Vec<Value> =
            pools.map(|(base, size)| json!({"Base": base.to_string(), "Size": size})).collect();
        json!({
            "Containers": self.containers.len(),
            "ContainersRunning": running,
            "ContainersPaused": paused,
            "ContainersStopped": self.containers.len() - running - paused,
            "Plugins": {"Volume": ["local"], "Network": DRIVERS, "Authorization": null, "Log": LOG_DRIVERS},
            "IPv4Forwarding": true,
            "BridgeNfIptables": true,
            "BridgeNfIp6tables": true,
            "OSType": "linux",
            "HttpProxy": proxies.http.clone().unwrap_or_default(),
            "HttpsProxy": proxies.https.clone().unwrap_or_default(),
            "NoProxy": proxies.no.clone().unwrap_or_default(),
            "Name": self.host.hostname,
            "ServerVersion": self.profile().engine_version(),
            "Swarm": {"NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive", "ControlAvailable": false},
            "LiveRestoreEnabled": self.config.live_restore,
            "DefaultAddressPools": match pools.is_empty() {
                true => Value::Null,
                false => json!(pools),
            },
        })
    }

    pub(super) fn version(&self, view: &View) -> Result<Outcome, DockerError> {
        let profile = self.profile();
        let version = profile.engine_version();
        let dotted = |(major, minor): (u16, u16)| format!("{major}.{minor}");
        let (api, minimum) = (profile.api_version(), dotted(profile.minimum_api_version()));
        let spoken = dotted(api.min(CLIENT_API));
        if let Some(template) = &view.format {
            let client = json!({
                "Version": CLIENT, "ApiVersion": spoken, "DefaultAPIVersion": dotted(CLIENT_API), "Os": "linux",
                "Arch": "amd64", "Context": "default",
            });
            let server = json!({
                "Version": version, "ApiVersion": dotted(api), "MinAPIVersion": minimum, "Os": "linux",
                "Arch": "amd64", "Experimental": false,
            });
            let whole = json!({"Client": client, "Server": server});
            return self.formatted(template, &whole, "version", |node| match node {
                node if node.starts_with(".Server.") => "*types.Version",
                node if node.starts_with(".Client.") => "system.clientVersion",
                _ => "system.versionInfo",
            });
        }
        let downgraded = match api < CLIENT_API {
            true => format!(" (downgraded from {})", dotted(CLIENT_API)),
            false => String::new(),
        };
        Ok(Outcome::printed(format!(
            "Client:\n Version:           {CLIENT}\n API version:       {spoken}{downgraded}\n OS/Arch:           linux/amd64\n \
             Context:           default\n\nServer:\n Engine:\n  Version:          {version}\n  API version:      {} (minimum \
             version {minimum})\n  OS/Arch:          linux/amd64\n  Experimental:     false\n",
            dotted(api)
        )))
    }
}
