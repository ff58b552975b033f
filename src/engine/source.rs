//! Whether a received packet may have the source it says: the checks of `ip_route_input_slow`, `ip_mc_validate_source` and
//! `fib_validate_source` for IPv4, after PREROUTING. IPv6 has none of them but the two that [`Engine::refuse_received`] makes
//! before.
//!
//! What a namespace sends to itself by `lo` was routed when it was sent and is not asked again. ARP asks too: a request from
//! a source that may not be is not answered. As Linux 6.18 was seen to do: 0.0.0.0 may speak to 255.255.255.255 and to
//! 224.0.0.0/24 alone, other addresses of 0.0.0.0/8 to anybody. `rp_filter` asks the routes where the source is (RFC 3704), and
//! `accept_local` lets our own addresses come from outside.

use std::net::Ipv4Addr;

use ipnet::IpNet;
use linkspan_nat::packet::IpVersion;

use super::Engine;
use super::event::DropReason;
use super::id::{DeviceId, NamespaceId};
use super::interface_settings::ReversePath;
use super::ip::Packet;
use super::route::is_loopback;

impl Engine {
    /// Why a packet may not enter the IP layer of a device, whatever its hooks would say.
    pub(super) fn refuse_received(
        &self,
        device: DeviceId,
        packet: &Packet,
        loopback: bool,
    ) -> Option<DropReason> {
        let view = packet.view()?;
        if !view.header_checksum_is_valid() {
            return Some(DropReason::BadChecksum);
        }
        if packet.layout.version() == IpVersion::V4 {
            return None;
        }
        if self.ipv6_disabled(device) {
            return Some(DropReason::Ipv6Disabled);
        }
        let source = view.source();
        let martian = source.is_multicast() || !loopback && is_loopback(source);
        martian.then_some(DropReason::Martian)
    }

    /// Why an IPv4 packet that came by a device other than `lo` may not have this source and destination.
    pub(super) fn refuse_source(
        &self,
        namespace: NamespaceId,
        device: DeviceId,
        source: Ipv4Addr,
        destination: Ipv4Addr,
    ) -> Option<DropReason> {
        if source.is_multicast()
            || source.is_broadcast()
            || source.is_loopback() && !self.routes_localnet(device)
        {
            return Some(DropReason::Martian);
        }
        if source.is_unspecified() {
            let [a, b, c, _] = destination.octets();
            let may = destination.is_broadcast() || [a, b, c] == [224, 0, 0];
            return (!may).then_some(DropReason::Martian);
        }
        let (space, receiver) =
            (self.namespaces.get(namespace.index())?.as_ref()?, self.devices.get(device.index())?.as_ref()?);
        let (accepts, filter) = (receiver.ipv4.accept_local(), receiver.ipv4.rp_filter());
        if filter == ReversePath::Any {
            return (!accepts && space.local.owns(source.into())).then_some(DropReason::LocalSource);
        }
        let by_its_interface = if space.is_local(source.into()) {
            if !accepts {
                return Some(DropReason::LocalSource);
            }
            receiver.has_address(source.into())
        } else if space.devices.iter().any(|device| self.has_broadcast(*device, source)) {
            return Some(DropReason::Martian);
        } else {
            match self.route(namespace, source.into()) {
                Some(hop) if hop.device == device => true,
                Some(_) if receiver.addresses.iter().any(|net| net.addr().is_ipv4()) => false,
                _ => return Some(DropReason::ReversePath),
            }
        };
        (!by_its_interface && filter == ReversePath::Strict).then_some(DropReason::ReversePath)
    }

    /// Whether an address is the broadcast address of a subnet of a device.
    fn has_broadcast(&self, device: DeviceId, address: Ipv4Addr) -> bool {
        self.devices[device.index()].as_ref().is_some_and(|device| {
            device.addresses.iter().any(|net| match net {
                IpNet::V4(net) => net.prefix_len() < 31 && net.broadcast() == address,
                IpNet::V6(_) => false,
            })
        })
    }
}
