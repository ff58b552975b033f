//! The events of networks and containers, as `docker events` shows them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Daemon;
use crate::docker::identity::Id;
use crate::docker::outcome::{DockerEvent, EventKind};

impl Daemon {
    pub(super) fn network_event(
        &self,
        now: Duration,
        action: &str,
        number: u32,
        container: Option<&Id>,
    ) -> Option<DockerEvent> {
        let network = self.networks.get(&number)?;
        let mut attributes = BTreeMap::from([
            ("name".to_owned(), network.name.clone()),
            ("type".to_owned(), network.driver.name().to_owned()),
        ]);
        if let Some(container) = container {
            attributes.insert("container".to_owned(), container.to_string());
        }
        let (kind, id) = (EventKind::Network, network.id.clone());
        Some(DockerEvent { time: now, kind, action: action.to_owned(), id, attributes })
    }

    pub(super) fn container_event(
        &self,
        now: Duration,
        action: &str,
        number: u32,
        more: &[(&str, String)],
    ) -> Option<DockerEvent> {
        let container = self.containers.get(&number)?;
        let labels = container.made_from.config.labels.iter();
        let mut attributes: BTreeMap<String, String> =
            labels.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        attributes.insert("image".to_owned(), container.made_from.config.image.clone());
        attributes.insert("name".to_owned(), container.name.clone());
        attributes.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        let (kind, id) = (EventKind::Container, container.id.clone());
        Some(DockerEvent { time: now, kind, action: action.to_owned(), id, attributes })
    }
}
