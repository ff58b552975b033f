//! A topology as a drawing: hosts, networks, containers with their addresses, published ports, and what is outside.
//!
//! The value [`Topology`] is filled by whoever owns a world; each form is a function of it alone and the same on every
//! machine. Names come from files and may hold anything: each form escapes them in its own way, and control characters
//! are replaced everywhere. Nodes are numbered, so that no name is ever an identifier.

mod dot;
mod mermaid;
mod svg;

pub use dot::dot;
pub use mermaid::mermaid;
pub use svg::svg;

/// What is drawn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topology {
    /// The scenario's name.
    pub title: String,
    /// Docker hosts.
    pub hosts: Vec<HostNode>,
    /// Wires between hosts and machines.
    pub lans: Vec<LanNode>,
    /// Machines outside.
    pub machines: Vec<MachineNode>,
}

/// A Docker host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostNode {
    /// Its name.
    pub name: String,
    /// Docker networks that are drawn.
    pub networks: Vec<NetworkNode>,
    /// Containers.
    pub containers: Vec<ContainerNode>,
}

/// A Docker network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkNode {
    /// Its name.
    pub name: String,
    /// Its driver.
    pub driver: String,
    /// Its subnets.
    pub subnets: Vec<String>,
    /// It has no way out.
    pub internal: bool,
}

/// A container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerNode {
    /// Its name.
    pub name: String,
    /// What else there is to say: its image, that it does not run.
    pub notes: Vec<String>,
    /// The networks it is on.
    pub attachments: Vec<Attachment>,
    /// Whose namespace it is in.
    pub namespace: NamespaceOf,
    /// Published ports, `0.0.0.0:8080 → 80/tcp`.
    pub published: Vec<String>,
}

/// Whose network namespace a container is in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum NamespaceOf {
    /// Its own.
    #[default]
    Own,
    /// The host's.
    Host,
    /// Another container's.
    Container(String),
}

/// A container's end on a network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attachment {
    /// Position in [`HostNode::networks`].
    pub network: usize,
    /// Its addresses there.
    pub addresses: Vec<String>,
}

/// A wire that several machines are plugged into.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LanNode {
    /// Its name.
    pub name: String,
    /// Who is plugged in.
    pub plugs: Vec<Plug>,
}

/// A card on a wire.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plug {
    /// Host or machine, by name.
    pub machine: String,
    /// The card.
    pub card: String,
    /// Its addresses.
    pub addresses: Vec<String>,
}

/// A machine outside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MachineNode {
    /// Its name.
    pub name: String,
    /// Addresses behind its cards.
    pub addresses: Vec<String>,
    /// What it listens on.
    pub ports: Vec<String>,
}

impl NetworkNode {
    fn lines(&self) -> Vec<String> {
        let internal = if self.internal { ", internal" } else { "" };
        let mut lines = vec![self.name.clone(), format!("{}{internal}", self.driver)];
        lines.extend(self.subnets.iter().cloned());
        lines
    }
}

impl ContainerNode {
    fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.name.clone()];
        lines.extend(self.notes.iter().cloned());
        match &self.namespace {
            NamespaceOf::Own if self.attachments.is_empty() => lines.push("no network".to_owned()),
            NamespaceOf::Own => {}
            NamespaceOf::Host => lines.push("network of the host".to_owned()),
            NamespaceOf::Container(other) => lines.push(format!("network of {other}")),
        }
        lines.extend(self.published.iter().cloned());
        lines
    }
}

impl MachineNode {
    fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.name.clone()];
        lines.extend(self.addresses.iter().cloned());
        if !self.ports.is_empty() {
            lines.push(self.ports.join(" "));
        }
        lines
    }
}

impl Plug {
    fn label(&self) -> String {
        let mut words = vec![self.card.clone()];
        words.extend(self.addresses.iter().cloned());
        words.join(" ")
    }
}

/// The characters of a text, those that could steer a reader or break a document replaced: controls, what XML 1.0 does
/// not allow, and marks that turn the direction of writing.
fn safe(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().map(|c| match c {
        '\u{fffe}' | '\u{ffff}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    })
}

#[cfg(test)]
mod tests;
