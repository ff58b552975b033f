//! Which files are below `/proc/sys/net` in a container's namespace, so that a setting of one that is not there is refused as
//! runc refuses it.
//!
//! The names are those of a fresh namespace of Linux 6.18; older kernels have fewer. Files that are in the first namespace
//! alone, as `net.core.default_qdisc` and `net.ipv4.neigh.default.gc_thresh3`, are not there. Folders that come with a module
//! (`net/netfilter`, `net/ipv4/vs`, `net/sctp`, ...) may be anywhere, and whatever is asked of them is taken.

/// Folders whose files are all known.
static FOLDERS: [(&str, &[&str]); 7] = [
    ("net/core/", &CORE),
    ("net/ipv4/", &IPV4),
    ("net/ipv4/route/", &IPV4_ROUTE),
    ("net/ipv6/", &IPV6),
    ("net/ipv6/icmp/", &IPV6_ICMP),
    ("net/ipv6/route/", &IPV6_ROUTE),
    ("net/unix/", &UNIX),
];

/// Folders that modules make.
static MODULES: [&str; 10] = [
    "net/netfilter/",
    "net/ipv4/vs/",
    "net/sctp/",
    "net/mptcp/",
    "net/mpls/",
    "net/bridge/",
    "net/dccp/",
    "net/smc/",
    "net/tipc/",
    "net/vrf/",
];

/// Whether a container's namespace may have a file, by its path below `/proc/sys`, outside of `net/*/conf`.
pub(super) fn may_exist(path: &str, is_interface: impl Fn(&str) -> bool) -> bool {
    if MODULES.iter().any(|folder| path.starts_with(folder)) || path == "net/nf_conntrack_max" {
        return true;
    }
    if let Some(rest) = path.strip_prefix("net/ipv4/neigh/").or_else(|| path.strip_prefix("net/ipv6/neigh/"))
    {
        return rest.split_once('/').is_some_and(|(interface, name)| {
            (interface == "default" || is_interface(interface)) && NEIGHBOURS.contains(&name)
        });
    }
    FOLDERS.iter().any(|(folder, names)| path.strip_prefix(folder).is_some_and(|name| names.contains(&name)))
}

static CORE: [&str; 13] = [
    "optmem_max",
    "rmem_default",
    "rmem_max",
    "rps_default_mask",
    "somaxconn",
    "tstamp_allow_data",
    "txrehash",
    "wmem_default",
    "wmem_max",
    "xfrm_acq_expires",
    "xfrm_aevent_etime",
    "xfrm_aevent_rseqth",
    "xfrm_larval_drop",
];
static IPV4: [&str; 131] = [
    "fib_multipath_hash_fields",
    "fib_multipath_hash_policy",
    "fib_multipath_hash_seed",
    "fib_multipath_use_neigh",
    "fib_notify_on_flag_change",
    "fwmark_reflect",
    "icmp_echo_enable_probe",
    "icmp_echo_ignore_all",
    "icmp_echo_ignore_broadcasts",
    "icmp_errors_use_inbound_ifaddr",
    "icmp_ignore_bogus_error_responses",
    "icmp_msgs_burst",
    "icmp_msgs_per_sec",
    "icmp_ratelimit",
    "icmp_ratemask",
    "igmp_link_local_mcast_reports",
    "igmp_max_memberships",
    "igmp_max_msf",
    "igmp_qrv",
    "ip_autobind_reuse",
    "ip_default_ttl",
    "ip_dynaddr",
    "ip_early_demux",
    "ip_forward",
    "ip_forward_update_priority",
    "ip_forward_use_pmtu",
    "ip_local_port_range",
    "ip_local_reserved_ports",
    "ip_no_pmtu_disc",
    "ip_nonlocal_bind",
    "ip_unprivileged_port_start",
    "ipfrag_high_thresh",
    "ipfrag_low_thresh",
    "ipfrag_max_dist",
    "ipfrag_time",
    "nexthop_compat_mode",
    "ping_group_range",
    "raw_l3mdev_accept",
    "tcp_abort_on_overflow",
    "tcp_adv_win_scale",
    "tcp_allowed_congestion_control",
    "tcp_app_win",
    "tcp_autocorking",
    "tcp_available_congestion_control",
    "tcp_backlog_ack_defer",
    "tcp_base_mss",
    "tcp_challenge_ack_limit",
    "tcp_child_ehash_entries",
    "tcp_comp_sack_delay_ns",
    "tcp_comp_sack_nr",
    "tcp_comp_sack_slack_ns",
    "tcp_congestion_control",
    "tcp_dsack",
    "tcp_early_demux",
    "tcp_early_retrans",
    "tcp_ecn",
    "tcp_ecn_fallback",
    "tcp_ecn_option",
    "tcp_ecn_option_beacon",
    "tcp_ehash_entries",
    "tcp_fack",
    "tcp_fastopen",
    "tcp_fastopen_blackhole_timeout_sec",
    "tcp_fastopen_key",
    "tcp_fin_timeout",
    "tcp_frto",
    "tcp_fwmark_accept",
    "tcp_invalid_ratelimit",
    "tcp_keepalive_intvl",
    "tcp_keepalive_probes",
    "tcp_keepalive_time",
    "tcp_l3mdev_accept",
    "tcp_limit_output_bytes",
    "tcp_max_reordering",
    "tcp_max_syn_backlog",
    "tcp_max_tw_buckets",
    "tcp_migrate_req",
    "tcp_min_rtt_wlen",
    "tcp_min_snd_mss",
    "tcp_min_tso_segs",
    "tcp_moderate_rcvbuf",
    "tcp_mtu_probe_floor",
    "tcp_mtu_probing",
    "tcp_no_metrics_save",
    "tcp_no_ssthresh_metrics_save",
    "tcp_notsent_lowat",
    "tcp_orphan_retries",
    "tcp_pacing_ca_ratio",
    "tcp_pacing_ss_ratio",
    "tcp_pingpong_thresh",
    "tcp_plb_cong_thresh",
    "tcp_plb_enabled",
    "tcp_plb_idle_rehash_rounds",
    "tcp_plb_rehash_rounds",
    "tcp_plb_suspend_rto_sec",
    "tcp_probe_interval",
    "tcp_probe_threshold",
    "tcp_recovery",
    "tcp_reflect_tos",
    "tcp_reordering",
    "tcp_retrans_collapse",
    "tcp_retries1",
    "tcp_retries2",
    "tcp_rfc1337",
    "tcp_rmem",
    "tcp_rto_max_ms",
    "tcp_rto_min_us",
    "tcp_sack",
    "tcp_shrink_window",
    "tcp_slow_start_after_idle",
    "tcp_stdurg",
    "tcp_syn_linear_timeouts",
    "tcp_syn_retries",
    "tcp_synack_retries",
    "tcp_syncookies",
    "tcp_thin_linear_timeouts",
    "tcp_timestamps",
    "tcp_tso_rtt_log",
    "tcp_tso_win_divisor",
    "tcp_tw_reuse",
    "tcp_tw_reuse_delay",
    "tcp_window_scaling",
    "tcp_wmem",
    "tcp_workaround_signed_windows",
    "udp_child_hash_entries",
    "udp_early_demux",
    "udp_hash_entries",
    "udp_l3mdev_accept",
    "udp_rmem_min",
    "udp_wmem_min",
    "xfrm4_gc_thresh",
];
static IPV4_ROUTE: [&str; 4] = ["flush", "min_adv_mss", "min_pmtu", "mtu_expires"];
static IPV6: [&str; 24] = [
    "anycast_src_echo_reply",
    "auto_flowlabels",
    "bindv6only",
    "fib_multipath_hash_fields",
    "fib_multipath_hash_policy",
    "fib_notify_on_flag_change",
    "flowlabel_consistency",
    "flowlabel_reflect",
    "flowlabel_state_ranges",
    "fwmark_reflect",
    "idgen_delay",
    "idgen_retries",
    "ioam6_id",
    "ioam6_id_wide",
    "ip6frag_high_thresh",
    "ip6frag_low_thresh",
    "ip6frag_time",
    "ip_nonlocal_bind",
    "max_dst_opts_length",
    "max_dst_opts_number",
    "max_hbh_length",
    "max_hbh_opts_number",
    "seg6_flowlabel",
    "xfrm6_gc_thresh",
];
static IPV6_ICMP: [&str; 6] = [
    "echo_ignore_all",
    "echo_ignore_anycast",
    "echo_ignore_multicast",
    "error_anycast_as_unicast",
    "ratelimit",
    "ratemask",
];
static IPV6_ROUTE: [&str; 11] = [
    "flush",
    "gc_elasticity",
    "gc_interval",
    "gc_min_interval",
    "gc_min_interval_ms",
    "gc_thresh",
    "gc_timeout",
    "max_size",
    "min_adv_mss",
    "mtu_expires",
    "skip_notify_on_dev_down",
];
static UNIX: [&str; 1] = ["max_dgram_qlen"];
static NEIGHBOURS: [&str; 17] = [
    "anycast_delay",
    "app_solicit",
    "base_reachable_time",
    "base_reachable_time_ms",
    "delay_first_probe_time",
    "gc_stale_time",
    "interval_probe_time_ms",
    "locktime",
    "mcast_resolicit",
    "mcast_solicit",
    "proxy_delay",
    "proxy_qlen",
    "retrans_time",
    "retrans_time_ms",
    "ucast_solicit",
    "unres_qlen",
    "unres_qlen_bytes",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_fresh_namespace_are_there_and_no_others() {
        let eth0 = |name: &str| name == "eth0";
        for path in [
            "net/core/somaxconn",
            "net/ipv4/tcp_keepalive_time",
            "net/ipv4/ip_unprivileged_port_start",
            "net/ipv4/neigh/default/gc_stale_time",
            "net/ipv6/neigh/eth0/retrans_time_ms",
            "net/ipv6/route/max_size",
            "net/netfilter/nf_conntrack_tcp_timeout_established",
            "net/ipv4/vs/conntrack",
        ] {
            assert!(may_exist(path, eth0), "{path}");
        }
        for path in [
            "net/foo/bar",
            "net/core/default_qdisc",
            "net/core/somaxcon",
            "net/ipv4/neigh/default/gc_thresh3",
            "net/ipv4/neigh/eth1/gc_stale_time",
            "net/ipv4/neigh/eth0",
            "net/ipv4",
            "net",
        ] {
            assert!(!may_exist(path, eth0), "{path}");
        }
    }
}
