//! What a namespace gave up, as Linux counts it in `/proc/net/snmp`, `/proc/net/snmp6` and `/proc/net/netstat`.
//!
//! A [`DropReason`] that has a counter of that name in Linux moves it in the namespace where the packet ended. So does
//! an ICMP error that is not sent because there were too many. The files have a line of names and a line of numbers for each
//! protocol, IPv6's a line for each counter; here only the counters that are kept. Those of `Ip` are IPv4's. A namespace that never gave up such a packet takes no memory.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::event::DropReason;
use super::id::NamespaceId;

/// Counters by namespace.
#[derive(Debug, Default)]
pub(super) struct Snmp(BTreeMap<(NamespaceId, Counter), u64>);

/// A counter of the files, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Counter {
    InHdrErrors,
    InUnknownProtos,
    ReasmFails,
    FragFails,
    OutRateLimitGlobal,
    OutRateLimitHost,
    Icmp6OutRateLimitHost,
    ListenDrops,
}

const IP: [Counter; 4] =
    [Counter::InHdrErrors, Counter::InUnknownProtos, Counter::ReasmFails, Counter::FragFails];
const ICMP: [Counter; 2] = [Counter::OutRateLimitGlobal, Counter::OutRateLimitHost];
const IPV6: [Counter; 1] = [Counter::Icmp6OutRateLimitHost];
const TCP_EXTENDED: [Counter; 1] = [Counter::ListenDrops];

impl Counter {
    /// The counter that a drop moves.
    fn of(reason: DropReason) -> Option<Counter> {
        match reason {
            DropReason::BadPacket | DropReason::TtlExceeded => Some(Counter::InHdrErrors),
            DropReason::NoProtocol => Some(Counter::InUnknownProtos),
            DropReason::Fragment => Some(Counter::ReasmFails),
            DropReason::FragmentationNeeded => Some(Counter::FragFails),
            DropReason::BacklogFull => Some(Counter::ListenDrops),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Counter::InHdrErrors => "InHdrErrors",
            Counter::InUnknownProtos => "InUnknownProtos",
            Counter::ReasmFails => "ReasmFails",
            Counter::FragFails => "FragFails",
            Counter::OutRateLimitGlobal => "OutRateLimitGlobal",
            Counter::OutRateLimitHost => "OutRateLimitHost",
            Counter::Icmp6OutRateLimitHost => "Icmp6OutRateLimitHost",
            Counter::ListenDrops => "ListenDrops",
        }
    }

    fn is_of_ip(self) -> bool {
        IP.contains(&self)
    }
}

impl Snmp {
    /// Counts a drop of a packet that begins so.
    pub(super) fn dropped(&mut self, namespace: Option<NamespaceId>, reason: DropReason, packet: &[u8]) {
        let (Some(namespace), Some(counter)) = (namespace, Counter::of(reason)) else { return };
        let ipv6 = packet.first().is_some_and(|first| first >> 4 == 6);
        if !(ipv6 && counter.is_of_ip()) {
            self.count(namespace, counter);
        }
    }

    /// Counts one more.
    pub(super) fn count(&mut self, namespace: NamespaceId, counter: Counter) {
        *self.0.entry((namespace, counter)).or_default() += 1;
    }

    /// The namespace is gone.
    pub(super) fn forget(&mut self, namespace: NamespaceId) {
        self.0.retain(|(holder, _), _| *holder != namespace);
    }

    /// The content of one of the files; `None` for any other path.
    pub(super) fn file(&self, namespace: NamespaceId, path: &str) -> Option<String> {
        let name = path.strip_prefix("/proc/net/").or_else(|| path.strip_prefix("/proc/self/net/"))?;
        match name {
            "snmp" => Some(self.lines(namespace, "Ip", &IP) + &self.lines(namespace, "Icmp", &ICMP)),
            "snmp6" => Some(self.column(namespace, &IPV6)),
            "netstat" => Some(self.lines(namespace, "TcpExt", &TCP_EXTENDED)),
            _ => None,
        }
    }

    fn lines(&self, namespace: NamespaceId, protocol: &str, counters: &[Counter]) -> String {
        let (mut names, mut numbers) = (format!("{protocol}:"), format!("{protocol}:"));
        for counter in counters {
            let number = self.number(namespace, *counter);
            // Writing to a String cannot fail.
            let _ = write!(names, " {}", counter.name());
            let _ = write!(numbers, " {number}");
        }
        format!("{names}\n{numbers}\n")
    }

    fn column(&self, namespace: NamespaceId, counters: &[Counter]) -> String {
        let line =
            |counter: &Counter| format!("{:<32}\t{}\n", counter.name(), self.number(namespace, *counter));
        counters.iter().map(line).collect()
    }

    fn number(&self, namespace: NamespaceId, counter: Counter) -> u64 {
        self.0.get(&(namespace, counter)).copied().unwrap_or_default()
    }
}
