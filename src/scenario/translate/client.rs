//! From `client:` to the docker client's config.json.

use crate::docker::cli::config::{ClientConfig, ProxySettings};
use crate::scenario::model::{ClientProxy, Scenario};

/// The configuration of the client that steps and services go through.
#[must_use]
pub fn client_config(scenario: &Scenario) -> ClientConfig {
    let settings = |proxy: &ClientProxy| ProxySettings {
        http: proxy.http.clone(),
        https: proxy.https.clone(),
        no: proxy.no.clone(),
        ftp: proxy.ftp.clone(),
        all: proxy.all.clone(),
    };
    let proxies = &scenario.client.proxies;
    ClientConfig { proxies: proxies.iter().map(|(key, proxy)| (key.clone(), settings(proxy))).collect() }
}
