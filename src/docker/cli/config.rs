//! The client's `config.json`, as far as networking goes: the proxies that it puts into the environment of new containers.
//!
//! Reference: docker/cli `config/configfile` (`ParseProxyConfig`). It is the client that does this, when it asks for a
//! container: a container that exists keeps its variables whatever the file says later, and a daemon never sees the file.

use std::collections::BTreeMap;

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

impl ClientConfig {
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
    fn the_daemons_own_entry_is_before_the_default_and_another_daemons_is_not_for_this_one() {
        let settings = |text: &str| ProxySettings { no: Some(text.to_owned()), ..ProxySettings::default() };
        let mut both = config("default", settings("any"));
        both.proxies.insert(DAEMON.to_owned(), settings("own"));
        assert_eq!(env(&both, &["NO_PROXY"]), ["NO_PROXY", "no_proxy=own"]);
        assert!(env(&config("tcp://10.0.0.9:2376", settings("other")), &[]).is_empty());
    }
}
