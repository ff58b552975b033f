//! Fixed words: what the states of neighbours mean, and a sentence of explanation for each reason of a drop.

use crate::engine::event::{DropReason, NeighbourState};

/// What a neighbour entry's new state means.
pub(super) fn neighbour_state(state: NeighbourState) -> &'static str {
    match state {
        NeighbourState::Incomplete => "unknown, so it is asked for",
        NeighbourState::Reachable => "confirmed",
        NeighbourState::Stale => "known, but not confirmed lately",
        NeighbourState::Delay => "used although not confirmed lately; it will be probed soon",
        NeighbourState::Probe => "probed by unicast",
        NeighbourState::Failed => "does not answer",
        NeighbourState::Permanent => "set by hand",
    }
}

/// The state's name as `ip neigh` prints it.
pub(super) fn neighbour_name(state: NeighbourState) -> &'static str {
    match state {
        NeighbourState::Incomplete => "INCOMPLETE",
        NeighbourState::Reachable => "REACHABLE",
        NeighbourState::Stale => "STALE",
        NeighbourState::Delay => "DELAY",
        NeighbourState::Probe => "PROBE",
        NeighbourState::Failed => "FAILED",
        NeighbourState::Permanent => "PERMANENT",
    }
}

/// Why packets end so and where to look, in a sentence for a learner.
pub(super) fn explanation(reason: DropReason) -> &'static str {
    match reason {
        DropReason::BadFrame => {
            "An Ethernet frame has a header of 14 bytes and no more payload than the MTU."
        }
        DropReason::BadPacket => "The header's lengths or version do not fit the bytes that came.",
        DropReason::BadChecksum => {
            "The bytes changed on the way, or the sender computed the checksum wrongly."
        }
        DropReason::DeviceDown => {
            "An interface that is down neither sends nor receives; `ip link` shows its state."
        }
        DropReason::NoCarrier => "The other end of the cable is missing.",
        DropReason::OtherHost => "Flooded frames reach every port; whoever they are not for discards them.",
        DropReason::UnknownEtherType => "Only IPv4, IPv6 and ARP are understood here.",
        DropReason::ExceedsMtu => {
            "Both ends of a link need the same MTU; whoever sends cuts for the nearer end alone."
        }
        DropReason::LinkCut => "Nothing passes until the link is healed; the sender is not told.",
        DropReason::LinkLoss => "Networks lose packets; TCP sends again, UDP does not.",
        DropReason::LinkQueueFull => {
            "More is sent than the link's rate lets through, and the queue has no room."
        }
        DropReason::BridgeSamePort => {
            "A bridge sends nothing back to where it came from, unless hairpin is on."
        }
        DropReason::BridgeNoPort => "No other port of the bridge is up.",
        DropReason::ChildIsolated => {
            "macvlan and ipvlan children in private mode never reach each other; use bridge mode if they should."
        }
        DropReason::BridgeIsolated => "Isolated ports of a bridge reach only ports that are not isolated.",
        DropReason::BridgeReserved => {
            "Addresses 01:80:c2:00:00:0x are for the nearest bridge only (IEEE 802.1Q)."
        }
        DropReason::BridgeBadSource => "A frame's source must be a single station's address.",
        DropReason::Filtered => "The sender gets no answer and waits until it gives up.",
        DropReason::Rejected => "The sender is told, by an ICMP error or a TCP reset.",
        DropReason::ConnectionTableFull => "Connection tracking has a limit, and every entry is in use.",
        DropReason::NoFreePort => "Every port that the translation may use is taken for this destination.",
        DropReason::Untranslatable => {
            "The interface has no address to translate to, or the flow now leaves by another one."
        }
        DropReason::Fragment => "Fragments must come together completely and without overlap in time.",
        DropReason::NoRoute => {
            "No entry of the routing table covers the destination; `ip route` shows the table."
        }
        DropReason::ForwardingOff => {
            "A host passes packets on only if `net.ipv4.ip_forward` is 1 (or IPv6's alike)."
        }
        DropReason::Martian => "Addresses such as 127.0.0.1 never leave their own host.",
        DropReason::LocalSource => {
            "Linux takes a packet from outside with one of its own addresses for forged (`accept_local` is 0)."
        }
        DropReason::ReversePath => {
            "With `rp_filter` a packet must come by the interface that leads back to its source, or by one that can."
        }
        DropReason::TtlExceeded => "Every router counts the TTL down; at 0 the packet ends, often in a loop.",
        DropReason::FragmentationNeeded => "The sender is told the MTU to use (path MTU discovery).",
        DropReason::NeighbourFailed => {
            "Nobody on the link said that it has the address; `ip neigh` shows FAILED."
        }
        DropReason::NeighbourQueueFull => {
            "Only some packets are kept while the neighbour is being asked for."
        }
        DropReason::NeighbourTableFull => "The kernel keeps a limited number of neighbours (`gc_thresh3`).",
        DropReason::Ipv6Disabled => "`net.ipv6.conf.*.disable_ipv6` is 1 for the interface.",
        DropReason::NoSocket => "No program has the port open at this address; the sender is told.",
        DropReason::ReceiveBufferFull => "The program reads more slowly than packets come.",
        DropReason::NoProtocol => "No program has a socket of this protocol.",
        DropReason::BacklogFull => {
            "More connections come than the program accepts, or half-open ones, as of a SYN flood, take the room."
        }
        DropReason::NotForUs => {
            "Broadcasts and multicasts reach every host; most have nothing to do with them."
        }
        DropReason::Gone => "It was removed while the packet was under way.",
    }
}

/// The reason's stable name in machine-readable output.
pub(super) fn reason_name(reason: DropReason) -> &'static str {
    match reason {
        DropReason::BadFrame => "bad_frame",
        DropReason::BadPacket => "bad_packet",
        DropReason::BadChecksum => "bad_checksum",
        DropReason::DeviceDown => "device_down",
        DropReason::NoCarrier => "no_carrier",
        DropReason::OtherHost => "other_host",
        DropReason::UnknownEtherType => "unknown_ether_type",
        DropReason::ExceedsMtu => "exceeds_mtu",
        DropReason::LinkCut => "link_cut",
        DropReason::LinkLoss => "link_loss",
        DropReason::LinkQueueFull => "link_queue_full",
        DropReason::BridgeSamePort => "bridge_same_port",
        DropReason::BridgeNoPort => "bridge_no_port",
        DropReason::BridgeIsolated => "bridge_isolated",
        DropReason::ChildIsolated => "child_isolated",
        DropReason::BridgeReserved => "bridge_reserved",
        DropReason::BridgeBadSource => "bridge_bad_source",
        DropReason::Filtered => "filtered",
        DropReason::Rejected => "rejected",
        DropReason::ConnectionTableFull => "connection_table_full",
        DropReason::NoFreePort => "no_free_port",
        DropReason::Untranslatable => "untranslatable",
        DropReason::Fragment => "fragment",
        DropReason::NoRoute => "no_route",
        DropReason::ForwardingOff => "forwarding_off",
        DropReason::Martian => "martian",
        DropReason::LocalSource => "local_source",
        DropReason::ReversePath => "reverse_path",
        DropReason::TtlExceeded => "ttl_exceeded",
        DropReason::FragmentationNeeded => "fragmentation_needed",
        DropReason::NeighbourFailed => "neighbour_failed",
        DropReason::NeighbourQueueFull => "neighbour_queue_full",
        DropReason::NeighbourTableFull => "neighbour_table_full",
        DropReason::Ipv6Disabled => "ipv6_disabled",
        DropReason::NoSocket => "no_socket",
        DropReason::ReceiveBufferFull => "receive_buffer_full",
        DropReason::NoProtocol => "no_protocol",
        DropReason::BacklogFull => "backlog_full",
        DropReason::NotForUs => "not_for_us",
        DropReason::Gone => "gone",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_reason_has_its_own_sentence_and_name() {
        let sentences: BTreeSet<&str> = DropReason::ALL.iter().map(|r| explanation(*r)).collect();
        let names: BTreeSet<&str> = DropReason::ALL.iter().map(|r| reason_name(*r)).collect();
        assert_eq!((sentences.len(), names.len()), (DropReason::ALL.len(), DropReason::ALL.len()));
        assert!(sentences.iter().all(|s| s.ends_with('.')));
    }
}
