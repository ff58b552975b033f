//! Neighbours: which hardware address an IP address has, for ARP and NDP alike.
//!
//! The state machine of RFC 4861 section 7.3 with Linux's defaults (`Documentation/networking/ip-sysctl.rst`,
//! `neigh/default`): three solicitations one second apart, then failed; reachable for 30 s after a confirmation;
//! in use while stale, a probe after 5 s. The random factor of 0.5 to 1.5 on the reachable time is left out, so
//! that runs read alike; hints from TCP are not taken, so a busy neighbour is probed every 35 s.
//!
//! Packets that wait are bounded per neighbour, and the table is bounded, so that scanning an empty /8 costs bounded
//! memory. Expiry is lazy: only entries that will send something have a timer.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use hashbrown::HashMap;
use linkspan_switch::frame::Frame;
use linkspan_switch::mac::MacAddress;

use super::event::NeighbourState;
use super::id::DeviceId;

/// `base_reachable_time_ms`.
const REACHABLE_TIME: Duration = Duration::from_secs(30);
/// `delay_first_probe_time`.
const DELAY_FIRST_PROBE: Duration = Duration::from_secs(5);
/// `retrans_time_ms`.
pub(crate) const RETRANSMIT: Duration = Duration::from_secs(1);
/// Linux's count after the first request for an unknown neighbour: `ucast_solicit` (3) and that request.
const FIRST_PROBE: u8 = 4;
/// `mcast_solicit` and `ucast_solicit`.
const SOLICITATIONS: u8 = 3;
/// `unres_qlen`: packets that wait for one neighbour (101 on Linux with the default of 212,992 bytes).
const QUEUE_LIMIT: usize = 101;
/// Entries of one namespace. Linux's `gc_thresh3` is 1,024 and shared by all namespaces, which is what breaks
/// all-pairs pings of 64 hosts there; ours is per namespace and larger.
const TABLE_LIMIT: usize = 65_536;
/// How many entries make room at once in a full table.
const EVICTED: usize = TABLE_LIMIT / 16;

/// The neighbours of one namespace.
#[derive(Default)]
pub(crate) struct NeighbourTable {
    entries: HashMap<(DeviceId, IpAddr), Entry>,
    /// A full table in which every entry was waited for is not searched again before this moment.
    no_victim_before: Duration,
}

struct Entry {
    state: NeighbourState,
    mac: Option<MacAddress>,
    confirmed: Duration,
    waiting: VecDeque<Frame>,
    solicited: u8,
    /// What Linux counts: it begins an unknown entry as if `ucast_solicit` requests had been sent.
    probes: u8,
    /// When the armed timer fires; a timer that fires at another time is an old one.
    timer: Option<Duration>,
}

/// What to do with a packet for a neighbour.
pub(crate) enum Resolution {
    /// Send it to this address now; `changed` if the entry's state moved and its timer must be armed.
    Send { frame: Frame, mac: MacAddress, arm: Option<Duration> },
    /// It waits; solicit by multicast and arm the timer.
    Solicit { arm: Duration },
    /// It waits with others.
    Waiting,
    /// It cannot wait.
    QueueFull(Frame),
    /// No entry can be made.
    TableFull(Frame),
}

/// What a timer asks for.
pub(crate) enum TimerAction {
    /// Nothing: the timer was an old one.
    None,
    /// Send a solicitation (to `mac` if known, else to everyone) and arm again.
    Solicit { mac: Option<MacAddress>, arm: Duration, state: NeighbourState },
    /// The neighbour does not answer; these packets waited for it.
    Failed { waiting: VecDeque<Frame> },
}

/// What came of a neighbour's message.
pub(crate) struct Update {
    /// Packets that waited and may go now.
    pub(crate) released: VecDeque<Frame>,
    /// The new state, if it changed or the address did.
    pub(crate) changed: Option<NeighbourState>,
}

/// One entry, for whoever shows the table.
pub(crate) struct Listed {
    pub(crate) device: DeviceId,
    pub(crate) address: IpAddr,
    pub(crate) mac: Option<MacAddress>,
    pub(crate) state: NeighbourState,
    pub(crate) probes: u8,
}

impl NeighbourTable {
    /// Finds the way to a neighbour for one packet.
    pub(crate) fn resolve(
        &mut self,
        now: Duration,
        device: DeviceId,
        address: IpAddr,
        frame: Frame,
    ) -> Resolution {
        let full = self.entries.len() >= TABLE_LIMIT;
        let Some(entry) = self.entries.get_mut(&(device, address)) else {
            if full && !self.evict(now) {
                return Resolution::TableFull(frame);
            }
            let arm = now + RETRANSMIT;
            let entry = Entry {
                state: NeighbourState::Incomplete,
                mac: None,
                confirmed: now,
                waiting: VecDeque::from([frame]),
                solicited: 1,
                probes: FIRST_PROBE,
                timer: Some(arm),
            };
            self.entries.insert((device, address), entry);
            return Resolution::Solicit { arm };
        };
        if entry.state == NeighbourState::Reachable && now.saturating_sub(entry.confirmed) >= REACHABLE_TIME {
            entry.state = NeighbourState::Stale;
        }
        match (entry.state, entry.mac) {
            (NeighbourState::Reachable | NeighbourState::Permanent, Some(mac))
            | (NeighbourState::Delay | NeighbourState::Probe, Some(mac)) => {
                Resolution::Send { frame, mac, arm: None }
            }
            (NeighbourState::Stale, Some(mac)) => {
                entry.state = NeighbourState::Delay;
                let arm = now + DELAY_FIRST_PROBE;
                entry.timer = Some(arm);
                Resolution::Send { frame, mac, arm: Some(arm) }
            }
            (NeighbourState::Incomplete, _) => {
                if entry.waiting.len() >= QUEUE_LIMIT {
                    return Resolution::QueueFull(frame);
                }
                entry.waiting.push_back(frame);
                Resolution::Waiting
            }
            _ => {
                let arm = now + RETRANSMIT;
                entry.state = NeighbourState::Incomplete;
                entry.mac = None;
                entry.solicited = 1;
                entry.probes = FIRST_PROBE;
                entry.timer = Some(arm);
                entry.waiting.push_back(frame);
                Resolution::Solicit { arm }
            }
        }
    }

    /// The first packet that waits for a neighbour.
    pub(crate) fn first_waiting(&self, device: DeviceId, address: IpAddr) -> Option<&Frame> {
        self.entries.get(&(device, address))?.waiting.front()
    }

    /// Until when packets for a neighbour go straight to its known hardware address; `None` if they do not.
    pub(crate) fn reachable_until(&self, device: DeviceId, address: IpAddr) -> Option<Duration> {
        let entry = self.entries.get(&(device, address))?;
        match entry.state {
            NeighbourState::Permanent => Some(Duration::MAX),
            NeighbourState::Reachable => Some(entry.confirmed + REACHABLE_TIME),
            // Until a timer or an answer moves the entry.
            NeighbourState::Delay | NeighbourState::Probe => Some(Duration::MAX),
            NeighbourState::Incomplete | NeighbourState::Stale | NeighbourState::Failed => None,
        }
    }

    /// A neighbour answered a solicitation (`solicited`), or its own message showed its hardware address.
    ///
    /// `create` makes an entry if there is none, as Linux does for a request that asks for one of our addresses.
    pub(crate) fn update(
        &mut self,
        now: Duration,
        device: DeviceId,
        address: IpAddr,
        mac: MacAddress,
        solicited: bool,
        create: bool,
    ) -> Update {
        let nothing = Update { released: VecDeque::new(), changed: None };
        if !self.entries.contains_key(&(device, address)) {
            if !create || (self.entries.len() >= TABLE_LIMIT && !self.evict(now)) {
                return nothing;
            }
            let entry = Entry {
                state: NeighbourState::Stale,
                mac: Some(mac),
                confirmed: now,
                waiting: VecDeque::new(),
                solicited: 0,
                probes: 0,
                timer: None,
            };
            self.entries.insert((device, address), entry);
            return Update { released: VecDeque::new(), changed: Some(NeighbourState::Stale) };
        }
        let Some(entry) = self.entries.get_mut(&(device, address)) else { return nothing };
        if entry.state == NeighbourState::Permanent {
            return nothing;
        }
        let moved = entry.mac != Some(mac);
        let before = entry.state;
        entry.mac = Some(mac);
        if solicited {
            entry.state = NeighbourState::Reachable;
            entry.confirmed = now;
            entry.timer = None;
            entry.solicited = 0;
        } else if moved || matches!(before, NeighbourState::Incomplete | NeighbourState::Failed) {
            entry.state = NeighbourState::Stale;
            entry.timer = None;
        }
        let changed = (moved || entry.state != before).then_some(entry.state);
        Update { released: std::mem::take(&mut entry.waiting), changed }
    }

    /// A timer fired at `now`.
    pub(crate) fn timer(&mut self, now: Duration, device: DeviceId, address: IpAddr) -> TimerAction {
        let Some(entry) = self.entries.get_mut(&(device, address)) else { return TimerAction::None };
        if entry.timer.is_none_or(|due| due > now) {
            return TimerAction::None;
        }
        match entry.state {
            NeighbourState::Incomplete | NeighbourState::Probe if entry.solicited >= SOLICITATIONS => {
                entry.state = NeighbourState::Failed;
                entry.mac = None;
                entry.timer = None;
                TimerAction::Failed { waiting: std::mem::take(&mut entry.waiting) }
            }
            NeighbourState::Incomplete | NeighbourState::Probe => {
                entry.solicited += 1;
                entry.probes = entry.probes.saturating_add(1);
                let arm = now + RETRANSMIT;
                entry.timer = Some(arm);
                TimerAction::Solicit { mac: entry.mac, arm, state: entry.state }
            }
            NeighbourState::Delay => {
                entry.state = NeighbourState::Probe;
                entry.solicited = 1;
                entry.probes = 1;
                let arm = now + RETRANSMIT;
                entry.timer = Some(arm);
                TimerAction::Solicit { mac: entry.mac, arm, state: NeighbourState::Probe }
            }
            NeighbourState::Reachable
            | NeighbourState::Stale
            | NeighbourState::Failed
            | NeighbourState::Permanent => {
                entry.timer = None;
                TimerAction::None
            }
        }
    }

    /// Sets a permanent entry; returns what waited for it.
    pub(crate) fn set_permanent(
        &mut self,
        device: DeviceId,
        address: IpAddr,
        mac: MacAddress,
    ) -> VecDeque<Frame> {
        let old = self.entries.insert(
            (device, address),
            Entry {
                state: NeighbourState::Permanent,
                mac: Some(mac),
                confirmed: Duration::ZERO,
                waiting: VecDeque::new(),
                solicited: 0,
                probes: 0,
                timer: None,
            },
        );
        old.map(|e| e.waiting).unwrap_or_default()
    }

    /// The hardware address of a permanent entry.
    pub(crate) fn permanent(&self, device: DeviceId, address: IpAddr) -> Option<MacAddress> {
        let entry = self.entries.get(&(device, address))?;
        entry.mac.filter(|_| entry.state == NeighbourState::Permanent)
    }

    /// Whether there is an entry, in whatever state.
    pub(crate) fn contains(&self, device: DeviceId, address: IpAddr) -> bool {
        self.entries.contains_key(&(device, address))
    }

    /// Forgets one entry.
    pub(crate) fn remove(&mut self, device: DeviceId, address: IpAddr) {
        self.entries.remove(&(device, address));
    }

    /// Forgets what was known about a device's neighbours.
    pub(crate) fn flush(&mut self, device: DeviceId) {
        self.entries.retain(|(d, _), _| *d != device);
    }

    /// Every entry, by device and address.
    pub(crate) fn list(&self, now: Duration) -> Vec<Listed> {
        let mut list: Vec<Listed> = self
            .entries
            .iter()
            .map(|((device, address), e)| {
                let stale =
                    e.state == NeighbourState::Reachable && now.saturating_sub(e.confirmed) >= REACHABLE_TIME;
                let state = if stale { NeighbourState::Stale } else { e.state };
                Listed { device: *device, address: *address, mac: e.mac, state, probes: e.probes }
            })
            .collect();
        list.sort_by_key(|entry| (entry.device, entry.address));
        list
    }

    /// Makes room by forgetting the entries that were confirmed longest ago among those nobody waits for, several at
    /// once as Linux does (`neigh_forced_gc`), so that who floods the table does not buy a search with every packet.
    fn evict(&mut self, now: Duration) -> bool {
        if now < self.no_victim_before {
            return false;
        }
        let candidates = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.waiting.is_empty() && entry.state != NeighbourState::Permanent);
        let mut victims: Vec<_> = candidates.map(|(key, entry)| (entry.confirmed, *key)).collect();
        if victims.is_empty() {
            self.no_victim_before = now + RETRANSMIT;
            return false;
        }
        victims.sort_unstable();
        victims.truncate(EVICTED);
        for (_, key) in victims {
            self.entries.remove(&key);
        }
        true
    }
}
