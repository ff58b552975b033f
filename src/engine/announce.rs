//! Announcements: a device tells its neighbours unasked which hardware address an address of its own has.
//!
//! IPv4: an ARP request by broadcast whose sender and target are the address (the ARP announcement of RFC 5227 section
//! 2.3). IPv6: a neighbour advertisement to all nodes with the override flag (RFC 4861 section 7.2.6). A receiver
//! corrects an entry it has and makes none (`arp_accept` 0); a bridge learns the port. The first message goes out at
//! once, the others follow at equal intervals as long as the device is up and has the address, so that an announcement
//! ends by itself.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use linkspan_switch::mac::MacAddress;

use super::arp::{ArpMessage, Operation};
use super::id::DeviceId;
use super::ndp::{Kind, NeighbourMessage};
use super::{Engine, Timer};

/// Every node of a link (RFC 4291 section 2.7.1).
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// Messages that are still to be sent.
pub(crate) struct Announcement {
    left: u8,
    interval: Duration,
    /// When the next one goes out; a timer that fires at another time is an old one.
    due: Duration,
}

impl Engine {
    /// Announces an address of a device `messages` times, the first time now.
    pub(super) fn announce(&mut self, device: DeviceId, address: IpAddr, messages: u8, interval: Duration) {
        let Some(left) = messages.checked_sub(1) else { return };
        self.send_announcement(device, address);
        self.arm_announcement(device, address, left, interval);
    }

    /// How many messages are still to be sent, and at what interval.
    pub(super) fn announcement_left(&self, device: DeviceId, address: IpAddr) -> Option<(u8, Duration)> {
        self.announcements
            .get(&(device, address))
            .map(|announcement| (announcement.left, announcement.interval))
    }

    /// Sends no more of them.
    pub(super) fn end_announcement(&mut self, device: DeviceId, address: IpAddr) {
        self.announcements.remove(&(device, address));
    }

    pub(super) fn announcement_timer(&mut self, device: DeviceId, address: IpAddr) {
        let now = self.now;
        let due = |announcement: &Announcement| announcement.due <= now;
        if !self.announcements.get(&(device, address)).is_some_and(due) {
            return;
        }
        let Some(Announcement { left, interval, .. }) = self.announcements.remove(&(device, address)) else {
            return;
        };
        self.send_announcement(device, address);
        self.arm_announcement(device, address, left.saturating_sub(1), interval);
    }

    fn arm_announcement(&mut self, device: DeviceId, address: IpAddr, left: u8, interval: Duration) {
        if left == 0 {
            return;
        }
        let due = self.now + interval;
        self.announcements.insert((device, address), Announcement { left, interval, due });
        self.timers.push(due, u64::MAX, Timer::Announcement { device, address });
    }

    fn send_announcement(&mut self, device: DeviceId, address: IpAddr) {
        let Some(Some(sender)) = self.devices.get(device.index()) else { return };
        if !sender.up || !sender.has_address(address) {
            return;
        }
        let (namespace, mac) = (sender.namespace, sender.mac);
        match address {
            IpAddr::V4(own) => {
                let message = ArpMessage {
                    operation: Operation::Request,
                    sender_mac: mac,
                    sender: own,
                    target_mac: MacAddress::ZERO,
                    target: own,
                };
                self.send_arp(device, message, MacAddress::BROADCAST);
            }
            IpAddr::V6(own) => {
                let kind = Kind::Advertisement { solicited: false, overrides: true };
                let message = NeighbourMessage { kind, target: own, mac: Some(mac) };
                self.send_ndp(namespace, device, own, ALL_NODES, message, None);
            }
        }
    }
}
