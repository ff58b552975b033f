//! Settings of whole namespaces, as `/proc/sys` and `sysctl` show and change them, and what those do that act. Defaults and
//! ranges are those of a fresh namespace of Linux 6.18; so is the form of the tables below `/proc/net`.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use linkspan::lab::Lab;

const FILE: &str = "\
services:
  web: {image: nginx, networks: {front: {ipv4_address: 172.30.0.10}}}
  client: {image: busybox, command: sleep infinity, privileged: true, networks: {front: {ipv4_address: 172.30.0.20}}}
networks:
  front:
    ipam: {config: [{subnet: 172.30.0.0/24}]}
";

fn lab() -> Lab {
    Lab::builder().text(FILE).build().unwrap()
}

#[test]
fn settings_have_linuxs_defaults_and_ranges() {
    let mut lab = lab();
    for (key, value) in [
        ("net.core.somaxconn", "4096"),
        ("net.ipv4.icmp_echo_ignore_broadcasts", "1"),
        ("net.ipv4.ip_default_ttl", "64"),
        ("net.ipv4.ip_local_reserved_ports", ""),
        ("net.ipv4.tcp_keepalive_time", "7200"),
        ("net.ipv4.tcp_tw_reuse", "2"),
        ("net.ipv6.icmp.ratemask", "0-1,3-127"),
    ] {
        lab.exec("host", &format!("test \"$(sysctl -n {key})\" = '{value}'")).assert_success();
    }
    for (assignment, shown) in [
        ("net.ipv4.tcp_fin_timeout=30", "30"),
        ("net.ipv4.ip_local_reserved_ports=8080,9000-9010,8081", "8080-8081,9000-9010"),
        ("net.ipv4.ping_group_range='0 2147483647'", "0\t2147483647"),
        ("net.ipv4.ping_group_range='5 4'", "1\t0"),
        ("net.ipv6.icmp.ratemask=1,2,5", "1-2,5"),
    ] {
        let key = assignment.split('=').next().unwrap();
        lab.exec("host", &format!("sysctl -w {assignment}")).assert_success();
        lab.exec("host", &format!("sysctl -n {key}")).assert_contains(shown);
    }
    for assignment in [
        "net.ipv4.ip_default_ttl=0",
        "net.ipv4.ip_default_ttl=256",
        "net.ipv4.tcp_tw_reuse=3",
        "net.ipv4.tcp_syncookies=x",
        "net.ipv4.ip_local_reserved_ports=65536",
        "net.ipv4.ip_local_reserved_ports=9-8",
        "net.ipv4.ping_group_range=-1",
        "net.core.somaxconn=-1",
    ] {
        lab.exec("host", &format!("sysctl -w {assignment}")).assert_contains("Invalid argument");
    }
}

#[test]
fn a_container_may_ping_and_listen_low_whoever_it_is() {
    let mut lab = lab();
    let both = "cat /proc/sys/net/ipv4/ping_group_range /proc/sys/net/ipv4/ip_unprivileged_port_start";
    lab.exec("web", both).assert_contains("0\t2147483647\n0\n");
    lab.exec("host", both).assert_contains("1\t0\n1024\n");
    lab.docker(&format!("run --rm --sysctl net.ipv4.ip_unprivileged_port_start=80 busybox {both}"))
        .assert_contains("0\t2147483647\n80\n");
    lab.docker(&format!("run --rm --network host busybox {both}")).assert_contains("1\t0\n1024\n");
    lab.docker("run --rm --sysctl net.ipv4.tcp_tw_reuse=7 busybox true")
        .assert_contains("write /proc/sys/net/ipv4/tcp_tw_reuse: invalid argument");
}

#[test]
fn a_time_to_live_is_that_of_all_own_packets() {
    let mut lab = lab();
    lab.exec("client", "ping -c 1 172.30.0.10").assert_contains("ttl=64");
    lab.exec("client", "sysctl -w net.ipv4.ip_default_ttl=9").assert_success();
    lab.exec("host", "ping -c 1 172.30.0.20").assert_contains("ttl=9");
    // With one hop left nobody gets past the router.
    lab.exec("client", "sysctl -w net.ipv4.ip_default_ttl=1").assert_success();
    lab.exec("client", "ping -c 1 -W 1 198.51.100.7").assert_status(1);
    lab.exec("client", "wget -T 3 -qO- http://198.51.100.7/").assert_status(1);
    lab.exec("client", "ping -c 1 -t 5 198.51.100.7").assert_success();
    lab.exec("client", "wget -qO- http://172.30.0.10/").assert_success();
}

#[test]
fn echo_is_ignored_where_somebody_says_so() {
    let mut lab = lab();
    lab.exec("client", "ping -c 1 -W 1 172.30.0.255").assert_status(1);
    lab.exec("host", "sysctl -w net.ipv4.icmp_echo_ignore_broadcasts=0").assert_success();
    lab.exec("client", "ping -c 1 -W 1 172.30.0.255").assert_contains("from 172.30.0.1");
    lab.exec("host", "sysctl -w net.ipv4.icmp_echo_ignore_all=1").assert_success();
    lab.exec("client", "ping -c 1 -W 1 172.30.0.1").assert_status(1);
}

#[test]
fn reserved_ports_are_given_to_nobody_and_a_backlog_has_its_limit() {
    let mut lab = lab();
    lab.exec("client", "sysctl -w net.ipv4.ip_local_port_range='40000 40009'").assert_success();
    lab.exec("client", "sysctl -w net.ipv4.ip_local_reserved_ports=40000-40008").assert_success();
    lab.exec("client", "nc -w 1 172.30.0.10 80 < /dev/null & sleep 0; netstat -tn")
        .assert_contains("172.30.0.20:40009");
    lab.docker("run -d --name small --sysctl net.core.somaxconn=5 --network front --ip 172.30.0.30 nginx")
        .assert_success();
    lab.exec("client", "hping3 -S --flood --rand-source -c 100 -p 80 172.30.0.30").assert_status(1);
    lab.docker("exec small sh -c 'netstat -tn | grep -c SYN_RECV'").assert_contains("5\n");
}

#[test]
fn the_tables_below_proc_net() {
    let mut lab = lab();
    lab.exec("client", "ping -c 1 172.30.0.10").assert_success();
    lab.exec("client", "arp -s 172.30.0.7 02:00:00:00:00:07").assert_success();
    let arp = lab.exec("client", "cat /proc/net/arp");
    arp.assert_contains(
        "IP address       HW type     Flags       HW address            Mask     Device\n"
            .trim_end_matches("\n"),
    );
    arp.assert_contains("172.30.0.7       0x1         0x6         02:00:00:00:00:07     *        eth0");
    let routes = lab.exec("client", "cat /proc/net/route");
    routes.assert_contains(
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT",
    );
    routes.assert_contains("eth0\t00000000\t01001EAC\t0003\t0\t0\t0\t00000000\t0\t0\t0");
    routes.assert_contains("eth0\t00001EAC\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0");
    assert!(routes.text().lines().all(|line| line.len() == 127), "{routes:?}");
    let tcp = lab.exec("web", "cat /proc/net/tcp");
    let embedded = "   0: 0B00007F:";
    tcp.assert_contains(embedded);
    tcp.assert_contains(" 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 0 1 ");
    assert!(tcp.text().lines().all(|line| line.len() == 149), "{tcp:?}");
    let udp = lab.exec("web", "cat /proc/net/udp");
    udp.assert_contains(&format!(" {embedded}"));
    assert!(udp.text().lines().all(|line| line.len() == 127), "{udp:?}");
    let tcp6 = lab.exec("web", "cat /proc/net/tcp6");
    tcp6.assert_contains("  sl  local_address                         remote_address ");
    tcp6.assert_contains(
        "   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A ",
    );
}
