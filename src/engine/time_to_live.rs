//! The time to live of what a namespace sends of its own where nobody says another: 64, or what `net.ipv4.ip_default_ttl` says.
//! IPv6's hop limit is 64.

use linkspan_nat::checksum;

use super::Engine;
use super::id::NamespaceId;
use super::namespace_settings::NamespaceParameter;

impl Engine {
    /// The time to live of the namespace's own packets, where somebody changed it.
    pub(super) fn default_ttl(&self, namespace: NamespaceId, ipv4: bool) -> Option<u8> {
        let parameter = NamespaceParameter::IP_DEFAULT_TTL;
        let set = ipv4 && self.namespace_settings.is_written(namespace, parameter);
        let value = set.then(|| self.namespace_settings.number(namespace, parameter));
        value.and_then(|value| u8::try_from(value).ok())
    }

    /// Gives a packet that was made with the usual time to live the one that the namespace has.
    pub(super) fn set_default_ttl(&self, namespace: NamespaceId, packet: &mut [u8]) {
        let ipv4 = packet.first().is_some_and(|first| first >> 4 == 4);
        let Some(ttl) = self.default_ttl(namespace, ipv4) else { return };
        let length = usize::from(packet[0] & 0xf) * 4;
        let Some(header) = packet.get_mut(..length).filter(|header| header.len() >= 20) else { return };
        header[8] = ttl;
        header[10..12].fill(0);
        let sum = checksum::checksum(header);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
    }
}
