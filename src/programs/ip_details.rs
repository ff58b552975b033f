//! What `ip -d link` adds: the settings of each kind of device, as iproute2 6.1 prints them on Linux 6.
//!
//! Bridges here have the kernel's defaults, which nothing changes; no timer of a spanning tree runs, so those of the forwarding
//! delay and of garbage collection show 0 where a machine counts them down.

use std::fmt::Write;

use crate::engine::sys::{BridgePortView, InterfaceKind, InterfaceView, MacAddress};

/// Behind the line of the hardware address, and the lines below it.
pub(crate) fn details(device: &InterfaceView, all: &[InterfaceView]) -> String {
    let port = u8::from(device.port.is_some());
    let (least, most) = match device.kind {
        InterfaceKind::Loopback | InterfaceKind::Dummy => (0, 0),
        InterfaceKind::Bridge
        | InterfaceKind::Veth
        | InterfaceKind::Nic
        | InterfaceKind::External
        | InterfaceKind::Vlan
        | InterfaceKind::Macvlan
        | InterfaceKind::Ipvlan => (68, 65_535),
    };
    let mut text = format!(" promiscuity {port}  allmulti {port} minmtu {least} maxmtu {most} ");
    match (device.kind, device.upper) {
        (InterfaceKind::Bridge, _) => text += &bridge(device.mac),
        (InterfaceKind::Veth, _) => text += "\n    veth ",
        (InterfaceKind::Dummy, _) => text += "\n    dummy ",
        (_, Some(upper)) => text += &format!("\n    {upper} "),
        (_, None) => {}
    }
    if let Some(port) = device.port {
        let master = device.master.as_ref().and_then(|name| all.iter().find(|other| other.name == *name));
        let bridge = master.map_or(MacAddress::ZERO, |master| master.mac);
        text += &bridge_port(port, bridge);
    }
    let queues = if device.kind == InterfaceKind::Veth { 2 } else { 1 };
    // Writing to a string does not fail.
    let _ = write!(
        text,
        "addrgenmode eui64 numtxqueues {queues} numrxqueues {queues} gso_max_size 65536 gso_max_segs 65535 \
         tso_max_size 524280 tso_max_segs 65535 gro_max_size 65536 "
    );
    text
}

fn bridge(mac: MacAddress) -> String {
    let id = identifier(mac);
    format!(
        "\n    bridge forward_delay 1500 hello_time 200 max_age 2000 ageing_time 30000 stp_state 0 priority 32768 \
         vlan_filtering 0 bridge_id {id} designated_root {id} root_port 0 root_path_cost 0 topology_change 0 \
         topology_change_detected 0 hello_timer    0.00 tcn_timer    0.00 topology_change_timer    0.00 \
         gc_timer    0.00 group_fwd_mask 0 group_address 01:80:c2:00:00:00 mcast_snooping 1 no_linklocal_learn 0 \
         mcast_vlan_snooping 0 mcast_router 1 mcast_query_use_ifaddr 0 mcast_querier 0 mcast_hash_elasticity 16 \
         mcast_hash_max 4096 mcast_last_member_count 2 mcast_startup_query_count 2 mcast_last_member_interval 100 \
         mcast_membership_interval 26000 mcast_querier_interval 25500 mcast_query_interval 12500 \
         mcast_query_response_interval 1000 mcast_startup_query_interval 3124 mcast_stats_enabled 0 \
         mcast_igmp_version 2 mcast_mld_version 1 nf_call_iptables 0 nf_call_ip6tables 0 nf_call_arptables 0 "
    )
}

fn bridge_port(port: BridgePortView, bridge: MacAddress) -> String {
    let on = |flag| if flag { "on" } else { "off" };
    let (id, number) = (identifier(bridge), port.number);
    let designated = 0x8000 | number;
    format!(
        "\n    bridge_slave state forwarding priority 32 cost 2 hairpin {} guard off root_block off fastleave off \
         learning on flood on port_id {designated:#x} port_no {number:#x} designated_port {designated} \
         designated_cost 0 designated_bridge {id} designated_root {id} hold_timer    0.00 message_age_timer    0.00 \
         forward_delay_timer    0.00 topology_change_ack 0 config_pending 0 proxy_arp off proxy_arp_wifi off \
         mcast_router 1 mcast_fast_leave off mcast_flood on bcast_flood on mcast_to_unicast off neigh_suppress off \
         group_fwd_mask 0 group_fwd_mask_str 0x0 vlan_tunnel off isolated {} locked off ",
        on(port.hairpin),
        on(port.isolated),
    )
}

/// The name of a bridge among bridges (IEEE 802.1D): its priority and hardware address, without leading zeros.
fn identifier(mac: MacAddress) -> String {
    let octets: Vec<String> = mac.0.iter().map(|octet| format!("{octet:x}")).collect();
    format!("8000.{}", octets.join(":"))
}
