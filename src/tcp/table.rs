//! All connections, found by identifier in one step and by their two endpoints in two.
//!
//! An identifier is a serial number and the place of its connection, so that identifiers sort by age and no look-up by one
//! hashes anything. The table of endpoints holds places only: with many connections it stays small enough for the
//! processor's cache, and the connection it leads to is the one that is wanted anyway. Connections lie side by side, apart
//! from their buffers, so that ten thousand of them are on two thousand pages, which the processor finds without a walk.

use std::net::{IpAddr, SocketAddr};

use hashbrown::HashTable;

use super::connection::Connection;
use super::device::split_mix;
use super::types::{ConnectionId, Scope};

/// Bits of an identifier that are its place: more connections than any memory holds.
const PLACE_BITS: u32 = 24;

impl ConnectionId {
    /// Where the connection is, or was.
    pub(super) fn place(self) -> usize {
        (self.0 & ((1 << PLACE_BITS) - 1)) as usize
    }
}

/// A place; `connection` is there while `id` names it.
struct Slot {
    id: ConnectionId,
    connection: Option<Connection>,
}

/// The connections.
pub(super) struct Connections {
    seed: u64,
    serial: u64,
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_ends: HashTable<u32>,
}

impl Connections {
    pub(super) fn new(seed: u64) -> Self {
        Connections { seed, serial: 0, slots: Vec::new(), free: Vec::new(), by_ends: HashTable::new() }
    }

    /// Adds a connection, which is found by its endpoints while it is `linked`.
    pub(super) fn insert(&mut self, connection: Connection) -> ConnectionId {
        self.serial += 1;
        let hash = self.hash(connection.scope, connection.local, connection.remote);
        let place = self.free.pop().unwrap_or(self.slots.len() as u32);
        let id = ConnectionId(self.serial << PLACE_BITS | u64::from(place));
        let slot = Slot { id, connection: Some(connection) };
        match self.slots.get_mut(place as usize) {
            Some(free) => *free = slot,
            None => self.slots.push(slot),
        }
        let Connections { seed, slots, by_ends, .. } = self;
        by_ends.insert_unique(hash, place, |place| match &slots[*place as usize].connection {
            Some(other) => hash_ends(*seed, other.scope, other.local, other.remote),
            None => 0,
        });
        id
    }

    pub(super) fn get(&self, id: ConnectionId) -> Option<&Connection> {
        self.slots.get(id.place()).filter(|slot| slot.id == id)?.connection.as_ref()
    }

    pub(super) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.slots.get_mut(id.place()).filter(|slot| slot.id == id)?.connection.as_mut()
    }

    /// The linked connection between two endpoints.
    pub(super) fn find(&self, scope: Scope, local: SocketAddr, remote: SocketAddr) -> Option<ConnectionId> {
        let place = self.by_ends.find(self.hash(scope, local, remote), |place| {
            self.slots[*place as usize].connection.as_ref().is_some_and(|connection| {
                connection.remote == remote && connection.local == local && connection.scope == scope
            })
        })?;
        Some(self.slots[*place as usize].id)
    }

    /// From now on the connection is not found by its endpoints.
    pub(super) fn unlink(&mut self, id: ConnectionId) {
        let Some(connection) = self.get_mut(id) else { return };
        if !std::mem::take(&mut connection.linked) {
            return;
        }
        let (scope, local, remote) = (connection.scope, connection.local, connection.remote);
        let hash = self.hash(scope, local, remote);
        if let Ok(entry) = self.by_ends.find_entry(hash, |place| *place as usize == id.place()) {
            entry.remove();
        }
    }

    pub(super) fn remove(&mut self, id: ConnectionId) -> Option<Connection> {
        self.unlink(id);
        let slot = self.slots.get_mut(id.place()).filter(|slot| slot.id == id)?;
        let connection = slot.connection.take()?;
        self.free.push(id.place() as u32);
        Some(connection)
    }

    /// Every connection, oldest first.
    pub(super) fn by_age(&self) -> Vec<(ConnectionId, &Connection)> {
        let there = self.slots.iter().filter_map(|slot| Some((slot.id, slot.connection.as_ref()?)));
        let mut list: Vec<_> = there.collect();
        list.sort_unstable_by_key(|(id, _)| *id);
        list
    }

    fn hash(&self, scope: Scope, local: SocketAddr, remote: SocketAddr) -> u64 {
        hash_ends(self.seed, scope, local, remote)
    }
}

/// Not to be foretold without the seed, so that nobody outside can choose endpoints that collide.
fn hash_ends(seed: u64, scope: Scope, local: SocketAddr, remote: SocketAddr) -> u64 {
    let ports = u64::from(local.port()) << 16 | u64::from(remote.port());
    let start = split_mix(seed ^ u64::from(scope.0) << 32 ^ ports);
    match (local.ip(), remote.ip()) {
        (IpAddr::V4(local), IpAddr::V4(remote)) => {
            split_mix(start ^ u64::from(local.to_bits()) << 32 ^ u64::from(remote.to_bits()))
        }
        (local, remote) => {
            let halves = [local, remote].into_iter().flat_map(|address| {
                let bits = match address {
                    IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
                    IpAddr::V6(address) => address.to_bits(),
                };
                [(bits >> 64) as u64, bits as u64]
            });
            halves.fold(start, |hash, half| split_mix(hash ^ half))
        }
    }
}
