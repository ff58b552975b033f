//! The client's `config.json`, as far as networking goes: the proxies that it puts into the environment of new containers.
//!
//! Reference: docker/cli `config/configfile` (`ParseProxyConfig`). It is the client that does this, when it asks for a
//! container: a container that exists keeps its variables whatever the file says later, and a daemon never sees the file.

use std::collections::BTreeMap;

use serde_json::Value;
use thiserror::Error;

use crate::docker::request::Request;

/// The daemon a client speaks to, as `DOCKER_HOST` would name it: a key of `proxies`.
const DAEMON: &str = "unix:///var/run/docker.sock";
/// The key for every other daemon.
const ANY_DAEMON: &str = "default";

/// config.json.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientConfig {
    /// `proxies`, by the daemon's address or `default`.
    pub proxies: BTreeMap<String, ProxySettings>,
}

/// One entry of `proxies`; what is absent or empty makes no variable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxySettings {
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

/// A config.json that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// It is no JSON.
    #[error("{0}")]
    Syntax(String),
    /// A key of networking has another type.
    #[error("{key}: expected {expected}")]
    Type {
        /// The key, with those around it.
        key: String,
        /// What belongs there.
        expected: &'static str,
    },
}

impl ClientConfig {
    /// Reads a config.json; keys that do not concern networking are left aside.
    ///
    /// # Errors
    /// When it is no JSON object, or a proxy is no text.
    pub fn parse(text: &str) -> Result<ClientConfig, ConfigError> {
        let wrong = |key: &str, expected| ConfigError::Type { key: key.to_owned(), expected };
        let file: Value =
            serde_json::from_str(text).map_err(|error| ConfigError::Syntax(error.to_string()))?;
        let file = file.as_object().ok_or_else(|| wrong("the file", "an object"))?;
        let mut config = ClientConfig::default();
        let Some(proxies) = file.get("proxies").filter(|proxies| !proxies.is_null()) else {
            return Ok(config);
        };
        for (daemon, proxy) in proxies.as_object().ok_or_else(|| wrong("proxies", "an object"))? {
            let proxy = proxy.as_object().ok_or_else(|| wrong(&format!("proxies.{daemon}"), "an object"))?;
            let setting = |name: &str| match proxy.get(name) {
                None | Some(Value::Null) => Ok(None),
                Some(Value::String(text)) => Ok(Some(text.clone())),
                Some(_) => Err(wrong(&format!("proxies.{daemon}.{name}"), "a text")),
            };
            let settings = ProxySettings {
                http: setting("httpProxy")?,
                https: setting("httpsProxy")?,
                no: setting("noProxy")?,
                ftp: setting("ftpProxy")?,
                all: setting("allProxy")?,
            };
            config.proxies.insert(daemon.clone(), settings);
        }
        Ok(config)
    }

    /// The configuration in `FOLDER/config.json`, whose content is `text`, and the warning that it cannot be read. A
    /// client without a readable file has no configuration.
    pub fn of_folder(folder: &str, text: Option<&str>) -> (ClientConfig, Option<String>) {
        match text.map(ClientConfig::parse) {
            None => (ClientConfig::default(), None),
            Some(Ok(config)) => (config, None),
            Some(Err(error)) => {
                let path = format!("{}/config.json", folder.trim_end_matches('/'));
                let warning = format!("WARNING: Error parsing config file ({path}): {error}");
                (ClientConfig::default(), Some(warning))
            }
        }
    }

    /// Completes a request that makes a container; any other one stays as it is.
    pub fn complete(&self, request: &mut Request) {
        if let Request::ContainerRun(create) | Request::ContainerCreate(create) = request {
            self.add_proxies(&mut create.env);
        }
    }

    /// Puts the proxies behind an environment, each in both spellings, but for names that are there. The real client's order
    /// is random; here the names are sorted.
    pub fn add_proxies(&self, env: &mut Vec<String>) {
        let Some(settings) = self.proxies.get(DAEMON).or_else(|| self.proxies.get(ANY_DAEMON)) else {
            return;
        };
        let asked: Vec<String> =
            env.iter().map(|line| line.split('=').next().unwrap_or(line).to_owned()).collect();
        let variables = [
            ("all_proxy", &settings.all),
            ("ftp_proxy", &settings.ftp),
            ("http_proxy", &settings.http),
            ("https_proxy", &settings.https),
            ("no_proxy", &settings.no),
        ];
        let given = variables.map(|(name, value)| (name, value.as_deref().unwrap_or_default()));
        for upper in [true, false] {
            for (name, value) in given.iter().filter(|(_, value)| !value.is_empty()) {
                let name = if upper { name.to_ascii_uppercase() } else { (*name).to_owned() };
                if !asked.contains(&name) {
                    env.push(format!("{name}={value}"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(key: &str, settings: ProxySettings) -> ClientConfig {
        ClientConfig { proxies: BTreeMap::from([(key.to_owned(), settings)]) }
    }

    fn env(config: &ClientConfig, asked: &[&str]) -> Vec<String> {
        let mut env = asked.iter().map(|line| (*line).to_owned()).collect();
        config.add_proxies(&mut env);
        env
    }

    /// Recorded on 20.10: `-e HTTP_PROXY=http://mine:9 -e no_proxy=x` with a default of httpProxy and allProxy.
    #[test]
    fn both_spellings_come_behind_what_was_asked_for() {
        let settings = ProxySettings {
            http: Some("http://p:1".to_owned()),
            all: Some("socks5://p:4".to_owned()),
            ftp: Some(String::new()),
            ..ProxySettings::default()
        };
        assert_eq!(
            env(&config("default", settings), &["HTTP_PROXY=http://mine:9", "no_proxy=x"]),
            [
                "HTTP_PROXY=http://mine:9",
                "no_proxy=x",
                "ALL_PROXY=socks5://p:4",
                "all_proxy=socks5://p:4",
                "http_proxy=http://p:1",
            ]
        );
    }

    #[test]
    fn a_config_json_is_read() {
        let text = r#"{"auths": {}, "proxies": {"default": {"httpProxy": "http://p:1", "noProxy": "a,b"}}}"#;
        let settings = ProxySettings {
            http: Some("http://p:1".to_owned()),
            no: Some("a,b".to_owned()),
            ..ProxySettings::default()
        };
        assert_eq!(ClientConfig::parse(text), Ok(config("default", settings)));
        assert_eq!(ClientConfig::parse("{}"), Ok(ClientConfig::default()));
        let (none, warning) =
            ClientConfig::of_folder("cfg", Some(r#"{"proxies": {"default": {"noProxy": 1}}}"#));
        assert_eq!(none, ClientConfig::default());
        let expected =
            "WARNING: Error parsing config file (cfg/config.json): proxies.default.noProxy: expected a text";
        assert_eq!(warning.as_deref(), Some(expected));
    }

    #[test]
    fn the_daemons_own_entry_is_before_the_default_and_another_daemons_is_not_for_this_one() {
        let settings = |text: &str| ProxySettings { no: Some(text.to_owned()), ..ProxySettings::default() };
        let mut both = config("default", settings("any"));
        both.proxies.insert(DAEMON.to_owned(), settings("own"));
        assert_eq!(env(&both, &["NO_PROXY"]), ["NO_PROXY", "no_proxy=own"]);
        assert!(env(&config("tcp://10.0.0.9:2376", settings("other")), &[]).is_empty());
    }
}
