//! Duplicate address detection for IPv6 (RFC 4862 section 5.4): before a device counts an address as its own it asks
//! whether somebody has it.
//!
//! One solicitation from `::` for the address (`dad_transmits`), then a second of waiting. An advertisement for it, or the
//! same question by somebody else, makes it a duplicate: it stays listed (`dadfailed`) and is not used. It is detected on
//! Ethernet as soon as the device is up and, if it is a bridge, has a port that carries; never on `lo` and on ipvlan
//! devices without a link, and not for addresses that were added with `nodad` (`IFA_F_NODAD`): those that Docker gives to
//! containers, with 28 also those of its bridges. `accept_dad` and `dad_transmits` act.
//!
//! Linux keeps an address from being used until the second is over. Here it is used meanwhile, as an optimistic one is
//! (RFC 4429): between two steps of a scenario no time passes, where on a machine a container takes about that second to
//! start. The first question goes out at once instead of after a random part of a second, and without a nonce (RFC 7527),
//! because no wire here sends it back.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use ipnet::{IpNet, Ipv6Net};
use linkspan_switch::frame::TraceId;
use linkspan_switch::mac::MacAddress;

use super::event::EventKind;
use super::id::DeviceId;
use super::interface_settings::{InterfaceParameter, SettingScope};
use super::ndp::{Kind, NeighbourMessage, solicited_node};
use super::neighbour::RETRANSMIT;
use super::plan::DuplicateDetection;
use super::view::AddressState;
use super::{Engine, Timer};

/// How far an address has come; one that nobody objected to is not kept here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// It was not wanted.
    Omitted,
    /// The device does not carry yet.
    Waiting,
    /// So many more questions, the next of them or the end at this moment.
    Asking { left: i64, due: Duration },
    /// Somebody else has it; its prefix.
    Duplicate(Ipv6Net),
}

impl Engine {
    /// Begins for an address that a device was just given.
    pub(super) fn detect_duplicates(&mut self, id: DeviceId, own: Ipv6Addr, wanted: DuplicateDetection) {
        if wanted == DuplicateDetection::Omitted {
            self.detections.insert((id, own), Progress::Omitted);
            return;
        }
        let Some(questions) = self.questions(id) else { return };
        let up = self.devices.get(id.index()).and_then(Option::as_ref).is_some_and(|device| device.up);
        if up && self.has_carrier(id) {
            self.ask_for_duplicates(id, own, questions);
        } else {
            self.detections.insert((id, own), Progress::Waiting);
        }
    }

    /// Begins for the addresses that waited for a device to carry.
    pub(super) fn detect_waiting_duplicates(&mut self, id: DeviceId) {
        let waiting = self.detections_on(id).filter(|(_, progress)| *progress == Progress::Waiting);
        let waiting: Vec<Ipv6Addr> = waiting.map(|(address, _)| address).collect();
        for address in waiting {
            self.detections.remove(&(id, address));
            self.detect_duplicates(id, address, DuplicateDetection::Wanted);
        }
    }

    /// Ends it, because the address goes. True if it had been found to be a duplicate, which no device has.
    pub(super) fn end_detection(&mut self, id: DeviceId, address: IpAddr) -> bool {
        let IpAddr::V6(own) = address else { return false };
        matches!(self.detections.remove(&(id, own)), Some(Progress::Duplicate(_)))
    }

    /// Forgets the duplicates of a device that loses its addresses.
    pub(super) fn forget_duplicates(&mut self, id: DeviceId) {
        self.detections
            .retain(|(device, _), progress| *device != id || !matches!(progress, Progress::Duplicate(_)));
    }

    /// How far an address has come.
    pub(super) fn progress(&self, id: DeviceId, address: IpAddr) -> Option<Progress> {
        let IpAddr::V6(own) = address else { return None };
        self.detections.get(&(id, own)).copied()
    }

    /// Puts an address of a device back to where it was.
    pub(super) fn restore_progress(&mut self, id: DeviceId, address: IpNet, progress: Option<Progress>) {
        let IpAddr::V6(own) = address.addr() else { return };
        if let Some(Progress::Duplicate(_)) = progress {
            self.withdraw_address(id, address);
        }
        match progress {
            Some(progress) => self.detections.insert((id, own), progress),
            None => self.detections.remove(&(id, own)),
        };
    }

    /// Whether it was wanted for an address.
    pub(super) fn detection_of(&self, id: DeviceId, address: IpAddr) -> DuplicateDetection {
        match self.progress(id, address) {
            Some(Progress::Omitted) => DuplicateDetection::Omitted,
            _ => DuplicateDetection::Wanted,
        }
    }

    /// What programs are shown of an address.
    pub(super) fn address_state(&self, id: DeviceId, address: IpAddr) -> AddressState {
        match self.progress(id, address) {
            None => AddressState::Valid,
            Some(Progress::Omitted) => AddressState::Undetected,
            Some(Progress::Waiting | Progress::Asking { .. }) => AddressState::Tentative,
            Some(Progress::Duplicate(_)) => AddressState::Duplicate,
        }
    }

    /// The addresses of a device that somebody else has.
    pub(super) fn duplicates(&self, id: DeviceId) -> impl Iterator<Item = IpNet> {
        self.detections_on(id).filter_map(|(_, progress)| match progress {
            Progress::Duplicate(address) => Some(IpNet::V6(address)),
            Progress::Omitted | Progress::Waiting | Progress::Asking { .. } => None,
        })
    }

    fn detections_on(&self, id: DeviceId) -> impl Iterator<Item = (Ipv6Addr, Progress)> {
        let all = (id, Ipv6Addr::UNSPECIFIED)..=(id, Ipv6Addr::from_bits(u128::MAX));
        self.detections.range(all).map(|((_, address), progress)| (*address, *progress))
    }

    /// Somebody else asks for an address or has it: true if a device had just asked for it too, and cannot have it.
    pub(super) fn object(
        &mut self,
        trace: TraceId,
        id: DeviceId,
        own: Ipv6Addr,
        mac: Option<MacAddress>,
    ) -> bool {
        if !matches!(self.detections.get(&(id, own)), Some(Progress::Asking { .. })) {
            return false;
        }
        let held = self.devices.get(id.index()).and_then(Option::as_ref);
        let held = held.and_then(|device| device.addresses.iter().find(|held| held.addr() == own));
        let Some(IpNet::V6(address)) = held.copied() else { return false };
        self.withdraw_address(id, IpNet::V6(address));
        self.detections.insert((id, own), Progress::Duplicate(address));
        self.event(trace, |_| EventKind::DuplicateAddress { device: id, address: own, mac });
        true
    }

    pub(super) fn detection_timer(&mut self, id: DeviceId, own: Ipv6Addr) {
        let Some(Progress::Asking { left, due }) = self.detections.get(&(id, own)).copied() else { return };
        if due > self.now {
            return;
        }
        match left {
            0 => drop(self.detections.remove(&(id, own))),
            _ => self.ask_for_duplicates(id, own, left),
        }
    }

    /// How often a device asks; `None` if it does not.
    fn questions(&self, id: DeviceId) -> Option<i64> {
        let device = self.devices.get(id.index())?.as_ref()?;
        let (namespace, name) = (device.namespace, device.name);
        let setting = |scope, parameter| self.interface_setting(namespace, scope, parameter).unwrap_or(0);
        let own = SettingScope::Interface(name);
        let transmits = setting(own, InterfaceParameter::DAD_TRANSMITS);
        let wanted =
            [own, SettingScope::All].iter().any(|scope| setting(*scope, InterfaceParameter::ACCEPT_DAD) > 0);
        (device.is_ethernet() && wanted && transmits > 0 && self.mac_without_link(id).is_none())
            .then_some(transmits)
    }

    /// Asks, `left` times with this one.
    fn ask_for_duplicates(&mut self, id: DeviceId, own: Ipv6Addr, left: i64) {
        let due = self.now + RETRANSMIT;
        self.detections.insert((id, own), Progress::Asking { left: left.saturating_sub(1), due });
        self.timers.push(due, u64::MAX, Timer::DuplicateAddress { device: id, address: own });
        let Some(Some(device)) = self.devices.get(id.index()) else { return };
        let message = NeighbourMessage { kind: Kind::Solicitation, target: own, mac: None };
        self.send_ndp(device.namespace, id, Ipv6Addr::UNSPECIFIED, solicited_node(own), message, None);
    }
}
