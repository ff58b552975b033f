//! Which tracked connections `conntrack -L` shows, `conntrack -D` forgets and `conntrack -E` tells of.

use ipnet::IpNet;
use linkspan_nat::conntrack::{Connection, Status};
use linkspan_nat::conntrack_text::{self, Accounting};

use super::Engine;
use super::id::NamespaceId;

/// Selects connections: everything that is given must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlowFilter {
    /// `-f`: IPv6 connections alone, or IPv4 ones.
    pub ipv6: Option<bool>,
    /// `-p`, an IP protocol number.
    pub protocol: Option<u8>,
    /// `-s`, `-d`, `-r` and `-q`: source and destination of the first packet and of the answers.
    pub ends: [Option<IpNet>; 4],
    /// Their ports, in the same order.
    pub ports: [Option<u16>; 4],
    /// `--state`, of TCP.
    pub state: Option<String>,
    /// `-n`: its source is translated.
    pub source_translated: bool,
    /// `-g`: its destination is.
    pub destination_translated: bool,
    /// `-j`: either is.
    pub translated: bool,
}

impl FlowFilter {
    pub(super) fn selects(&self, connection: &Connection) -> bool {
        let (original, reply) = (connection.original(), connection.reply());
        let ends = [original.source, original.destination, reply.source, reply.destination];
        let ports =
            [original.source_port, original.destination_port, reply.source_port, reply.destination_port];
        let has = |status| connection.status().contains(status);
        let (source, destination) = (has(Status::SRC_NAT), has(Status::DST_NAT));
        self.ipv6.is_none_or(|ipv6| original.source.is_ipv6() == ipv6)
            && self.protocol.is_none_or(|protocol| protocol == original.protocol)
            && self.ends.iter().zip(ends).all(|(net, end)| net.is_none_or(|net| net.contains(&end)))
            && self.ports.iter().zip(ports).all(|(wanted, port)| wanted.is_none_or(|wanted| wanted == port))
            && self.state.as_ref().is_none_or(|state| {
                connection.tcp_state().is_some_and(|found| found.name() == state.as_str())
            })
            && (!self.source_translated || source)
            && (!self.destination_translated || destination)
            && (!self.translated || source || destination)
    }
}

impl Engine {
    /// The tracked connections that a filter selects, oldest first, as `conntrack -L` prints them.
    /// `extended` names their network protocols too.
    pub(super) fn selected_connections(
        &self,
        namespace: NamespaceId,
        filter: &FlowFilter,
        extended: bool,
    ) -> Vec<String> {
        let tracked = self.tracked(namespace);
        let selected = tracked.iter().filter(|(_, connection)| filter.selects(connection));
        let line = |connection: &Connection| {
            let ipv6 = connection.original().source.is_ipv6();
            let network = if extended { conntrack_text::network_protocol(ipv6) } else { "" };
            format!("{network}{}", self.connection_line(connection))
        };
        selected.map(|(_, connection)| line(connection)).collect()
    }

    /// Forgets the tracked connections that a filter selects, and returns them as they were.
    pub(super) fn forget_connections(&mut self, namespace: NamespaceId, filter: &FlowFilter) -> Vec<String> {
        let mut lines = Vec::new();
        for (id, connection) in self.tracked(namespace) {
            if filter.selects(&connection) {
                lines.push(self.connection_line(&connection));
                if let Some(Some(space)) = self.namespaces.get_mut(namespace.index()) {
                    space.netfilter.conntrack_mut().remove(id);
                }
            }
        }
        // What was remembered of their ways rests on them.
        self.epoch += 1;
        lines
    }

    fn connection_line(&self, connection: &Connection) -> String {
        conntrack_text::line(connection, self.now(), Accounting::Hidden)
    }
}
