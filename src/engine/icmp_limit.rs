//! How many ICMP messages a namespace sends (RFC 1812 section 4.3.2.8, RFC 4443 section 2.4 (f)), by Linux's two buckets.
//!
//! * Each destination has a bucket (`inet_peer`): a message costs `icmp_ratelimit` milliseconds, time fills it, and it holds what
//!   six messages cost. So six errors leave at once, and then one a second, or ten a second of ICMPv6's. IPv4's "no route"
//!   takes a second from the same bucket before, up to five of which are there (`ip_error`): two of them leave at once.
//! * The namespace has one for all destinations and both versions: `icmp_msgs_burst` messages, and `icmp_msgs_per_sec` after.
//!
//! Limited are the types that the masks name, by default all errors and, of IPv4, source quench, but never fragmentation
//! needed and packet too big. What arrived by the loopback device or leaves by it costs the destination nothing, and the first
//! not the namespace either. TCP's resets are no ICMP. Where a message is not sent a counter of `/proc/net/snmp` moves.
//!
//! The kernel takes at random none, one or two from the namespace's bucket, so that nobody can count by it who else is answered;
//! here it is one. Its clock ticks every 1, 4 or 10 ms; here time is exact. Memory: nothing before the first limited
//! message, then at most [`PEERS`] buckets in each namespace; beyond these the half that was quiet for longest begins again.
//! Reference: Linux 6.18 `net/ipv4/icmp.c`, `net/ipv6/icmp.c`, `net/ipv4/inetpeer.c`, `ip_error` in `net/ipv4/route.c`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use linkspan_nat::packet::IpVersion;

use super::Engine;
use super::id::{DeviceId, NamespaceId};
use super::namespace_settings::{NamespaceParameter, NamespaceSettings};
use super::snmp::Counter;

/// Buckets of destinations that a namespace keeps.
const PEERS: usize = 1_024;
/// Messages that a destination's bucket holds.
const BURST: u32 = 6;
/// What a destination has that was never sent anything.
const FRESH: Duration = Duration::from_secs(60);
/// What a "no route" of IPv4 costs besides, and how much of that a bucket holds (`ip_rt_error_cost`, `ip_rt_error_burst`).
const ROUTE_ERROR_COST: Duration = Duration::from_secs(1);
const ROUTE_ERROR_BURST: Duration = Duration::from_secs(5);
/// The namespace's bucket is filled no more often, and for no longer a time at once.
const REFILL: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// The buckets of the namespaces that have sent limited messages.
#[derive(Debug, Default)]
pub(super) struct IcmpLimits {
    namespaces: BTreeMap<NamespaceId, Buckets>,
    /// Nothing is limited for now.
    lifted: bool,
}

#[derive(Debug, Default)]
struct Buckets {
    /// Messages that may leave.
    credit: i64,
    /// When it was filled last; never before the first message.
    filled: Option<Duration>,
    peers: BTreeMap<IpAddr, Bucket>,
}

/// A destination's.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: Duration,
    last: Duration,
}

/// A message that would be sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message {
    /// Of ICMP or of ICMPv6.
    pub(super) version: IpVersion,
    /// Type and code.
    pub(super) kind: (u8, u8),
    /// To whom.
    pub(super) to: IpAddr,
}

impl IcmpLimits {
    /// The namespace is gone.
    pub(super) fn forget(&mut self, namespace: NamespaceId) {
        self.namespaces.remove(&namespace);
    }
}

impl Buckets {
    /// Whether anything is left for any destination.
    fn has_credit(&mut self, now: Duration, per_second: i64, burst: i64) -> bool {
        if self.credit > 0 {
            return true;
        }
        let (least, most) = REFILL;
        let since = self.filled.map_or(most, |filled| now.saturating_sub(filled).min(most));
        if since < least {
            return false;
        }
        let millis = i64::try_from(since.as_millis()).unwrap_or(0);
        let more = per_second.saturating_mul(millis) / 1_000;
        if more == 0 {
            return false;
        }
        self.filled = Some(now);
        self.credit = burst.min(self.credit.saturating_add(more));
        // The kernel lets this one go even where the burst is 0.
        true
    }

    /// A destination's bucket, filled up to `most`.
    fn peer(&mut self, now: Duration, to: IpAddr, most: Duration) -> &mut Bucket {
        if self.peers.len() >= PEERS && !self.peers.contains_key(&to) {
            let mut quiet: Vec<(Duration, IpAddr)> =
                self.peers.iter().map(|(to, bucket)| (bucket.last, *to)).collect();
            quiet.sort_unstable();
            for (_, to) in &quiet[..PEERS / 2] {
                self.peers.remove(to);
            }
        }
        let bucket = self.peers.entry(to).or_insert(Bucket { tokens: FRESH, last: now });
        let tokens = bucket.tokens.saturating_add(now.saturating_sub(bucket.last));
        *bucket = Bucket { tokens: tokens.min(most), last: now };
        bucket
    }
}

impl Bucket {
    fn take(&mut self, cost: Duration) -> bool {
        let left = self.tokens.checked_sub(cost);
        self.tokens = left.unwrap_or(self.tokens);
        left.is_some()
    }
}

impl Engine {
    /// Lifts the limits, or puts them in force again: who makes many attempts at once may want to know what each of them would
    /// come to alone.
    pub fn lift_icmp_limits(&mut self, lifted: bool) {
        self.icmp_limits.lifted = lifted;
    }

    /// Whether an ICMP message may be sent now, about or in answer to a packet that `arrived` by a device or was sent from here.
    pub(super) fn may_send_icmp(
        &mut self,
        namespace: NamespaceId,
        message: Message,
        arrived: Option<DeviceId>,
    ) -> bool {
        let limited = !self.icmp_limits.lifted && is_limited(&self.namespace_settings, namespace, message);
        if !limited || self.is_loopback(arrived) {
            return true;
        }
        let setting = |parameter| self.namespace_settings.number(namespace, parameter);
        let per_second = setting(NamespaceParameter::ICMP_MSGS_PER_SEC);
        let burst = setting(NamespaceParameter::ICMP_MSGS_BURST);
        let interval = setting(match message.version {
            IpVersion::V4 => NamespaceParameter::ICMP_RATELIMIT,
            IpVersion::V6 => NamespaceParameter::ICMP6_RATELIMIT,
        });
        let interval = Duration::from_millis(u64::try_from(interval).unwrap_or(0));
        let stays = self.is_local(namespace, message.to);
        let buckets = self.icmp_limits.namespaces.entry(namespace).or_default();
        if !buckets.has_credit(self.now, per_second, burst) {
            self.snmp.count(namespace, Counter::OutRateLimitGlobal);
            return false;
        }
        if !stays && !buckets.peer(self.now, message.to, interval.saturating_mul(BURST)).take(interval) {
            self.snmp.count(
                namespace,
                match message.version {
                    IpVersion::V4 => Counter::OutRateLimitHost,
                    IpVersion::V6 => Counter::Icmp6OutRateLimitHost,
                },
            );
            return false;
        }
        buckets.credit -= 1;
        true
    }

    /// Whether somebody may be told that no route leads on. IPv4 limits that by itself, and counts nowhere what it does not say.
    pub(super) fn may_report_no_route(&mut self, namespace: NamespaceId, to: IpAddr) -> bool {
        if to.is_ipv6() || self.icmp_limits.lifted {
            return true;
        }
        let buckets = self.icmp_limits.namespaces.entry(namespace).or_default();
        buckets.peer(self.now, to, ROUTE_ERROR_BURST).take(ROUTE_ERROR_COST)
    }

    fn is_loopback(&self, device: Option<DeviceId>) -> bool {
        let device = device.and_then(|device| self.devices.get(device.index())?.as_ref());
        device.is_some_and(|device| !device.is_ethernet())
    }
}

fn is_limited(settings: &NamespaceSettings, namespace: NamespaceId, message: Message) -> bool {
    /// The last type that IPv4's mask is asked for (`NR_ICMP_TYPES`).
    const TYPES: u8 = 18;
    match (message.version, message.kind) {
        (IpVersion::V4, (3, 4)) => false,
        (IpVersion::V4, (kind, _)) => {
            let mask = settings.number(namespace, NamespaceParameter::ICMP_RATEMASK);
            kind <= TYPES && mask >> kind & 1 == 1
        }
        (IpVersion::V6, (kind, _)) => {
            settings.has(namespace, NamespaceParameter::ICMP6_RATEMASK, kind.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_destination_has_six_at_once_and_then_one_a_second() {
        let mut buckets = Buckets::default();
        let mut sent = |now| {
            let to: IpAddr = "10.0.0.1".parse().unwrap();
            (0..10).filter(|_| buckets.peer(at(now), to, at(6_000)).take(at(1_000))).count()
        };
        assert_eq!(
            [sent(5), sent(6), sent(1_004), sent(1_005), sent(4_000), sent(60_000)],
            [6, 0, 0, 1, 2, 6]
        );
    }

    #[test]
    fn all_together_have_a_burst_and_then_so_many_a_second() {
        let mut buckets = Buckets::default();
        let mut sent = |now| {
            let one = |buckets: &mut Buckets| {
                let may = buckets.has_credit(at(now), 1_000, 50);
                buckets.credit -= i64::from(may);
                may
            };
            (0..200).filter(|_| one(&mut buckets)).count()
        };
        assert_eq!([sent(0), sent(19), sent(20), sent(45), sent(1_000)], [50, 0, 20, 25, 50]);
    }

    #[test]
    fn destinations_are_forgotten_beyond_the_bound() {
        let mut buckets = Buckets::default();
        for number in 0..10 * PEERS as u32 {
            let to = IpAddr::V4(std::net::Ipv4Addr::from(number));
            buckets.peer(at(number.into()), to, at(6_000));
            assert!(buckets.peers.len() <= PEERS);
        }
    }
}
