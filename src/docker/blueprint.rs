//! What a container is made from: what was asked for, and what that and its image come to. Nothing of it is a
//! container's own, so that those made alike have one value.

use std::collections::BTreeSet;

use super::images::Image;
use super::request::{ContainerCreate, ExposedPort};

/// What a container is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blueprint {
    /// What was asked for, but for the name and the endpoints: these are the container's own.
    pub config: ContainerCreate,
    /// The whole command line: entrypoint and command.
    pub argv: Vec<String>,
    /// Environment of the image and of the request.
    pub env: Vec<String>,
    /// What the image's own command listens on; empty when another command was given.
    pub listens: Vec<ExposedPort>,
    /// What the image's stand-in answers on a port, where that is said.
    pub pages: Vec<(u16, String)>,
    /// Exposed and published ports, sorted.
    pub exposed: Vec<ExposedPort>,
}

impl Blueprint {
    /// What a request and its image come to.
    pub(super) fn new(config: ContainerCreate, image: Image) -> Blueprint {
        let config = ContainerCreate { name: None, endpoints: Vec::new(), ..config };
        let entrypoint = match &config.entrypoint {
            Some(text) if text.is_empty() => Vec::new(),
            Some(text) => vec![text.clone()],
            None => image.entrypoint,
        };
        // An entrypoint of one's own removes the image's command.
        let own = !config.command.is_empty() || config.entrypoint.is_some();
        let command = if own { config.command.clone() } else { image.command };
        let argv: Vec<String> = entrypoint.into_iter().chain(command).collect();
        let argv = if argv.is_empty() { vec!["/bin/sh".to_owned()] } else { argv };
        let mut exposed: BTreeSet<ExposedPort> = image.expose.into_iter().collect();
        exposed.extend(config.expose.iter().copied());
        exposed.extend(config.ports.iter().map(|port| port.exposed()));
        let mut env = config.env.clone();
        let named = |line: &str| line.split('=').next().unwrap_or(line).to_owned();
        let given: Vec<String> = env.iter().map(|line| named(line)).collect();
        env.extend(image.env.into_iter().filter(|line| !given.contains(&named(line))));
        let exposed = exposed.into_iter().collect();
        Blueprint { config, argv, env, listens: image.listens, pages: image.pages, exposed }
    }
}
