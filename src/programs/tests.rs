//! Programs from outside: a command line in a namespace, everything it prints, and its status.

use domain::base::iana::{Rcode, Rtype};
use domain::base::{Message, MessageBuilder};
use domain::rdata::A;

use super::testing::World;
use crate::engine::sys::{ExitCode, Pipe, Sys};

fn text(output: &str, status: u8) -> (String, u8) {
    (output.to_owned(), status)
}

#[test]
fn ping_prints_replies_and_statistics() {
    let world = World::new();
    let output = "PING 10.0.0.3 (10.0.0.3): 56 data bytes\n\
                  64 bytes from 10.0.0.3: seq=0 ttl=64 time=0.000 ms\n\
                  64 bytes from 10.0.0.3: seq=1 ttl=64 time=0.000 ms\n\n\
                  --- 10.0.0.3 ping statistics ---\n\
                  2 packets transmitted, 2 packets received, 0% packet loss\n\
                  round-trip min/avg/max = 0.000/0.000/0.000 ms\n";
    assert_eq!(world.run("a", "ping -c 2 10.0.0.3"), text(output, 0));
    assert_eq!(world.run("a", "/bin/busybox ping -c 2 10.0.0.3"), text(output, 0));
    let (far, _) = world.run("a", "ping -c1 -s 8 10.1.0.2");
    assert!(far.contains("16 bytes from 10.1.0.2: seq=0 ttl=63 time="), "{far}");
    let (until, status) = world.run("a", "ping -w3 -q 10.0.0.3");
    assert!(until.contains("3 packets transmitted, 3 packets received") && status == 0, "{until}");
}

#[test]
fn ping_waits_as_long_as_it_is_told() {
    let world = World::new();
    let before = world.engine.borrow().now();
    let output = "PING 10.0.0.9 (10.0.0.9): 56 data bytes\n\n\
                  --- 10.0.0.9 ping statistics ---\n\
                  1 packets transmitted, 0 packets received, 100% packet loss\n";
    assert_eq!(world.run("a", "ping -c1 -W1 10.0.0.9"), text(output, 1));
    assert_eq!((world.engine.borrow().now() - before).as_secs(), 1);
}

#[test]
fn ping_knows_how_much_fits_a_packet() {
    let world = World::new();
    let too_long =
        |data| format!("PING 10.0.0.3 (10.0.0.3): {data} data bytes\nping: sendto: Message too long\n");
    assert_eq!(world.run("a", "ping -c1 -s 65507 10.0.0.3").1, 0);
    assert_eq!(world.run("a", "ping -c1 -s 65508 10.0.0.3"), (too_long(65_508), 1));
    assert_eq!(world.run("a", "ping -c1 -s 65535 10.0.0.3"), (too_long(65_535), 1));
    let range = "ping: number 65536 is not in 0..65535 range\n";
    assert_eq!(world.run("a", "ping -c1 -s 65536 10.0.0.3"), text(range, 1));
}

#[test]
fn busybox_has_no_statistics() {
    let world = World::new();
    let (usage, status) = world.run("a", "ip -s neigh");
    assert!(usage.starts_with("BusyBox v1.35.0 multi-call binary.\n\nUsage: ip "), "{usage}");
    assert_eq!(status, 1);
    let (usage, status) = world.run("a", "netstat -s");
    assert!(usage.starts_with("netstat: unrecognized option: s\nBusyBox v1.35.0"), "{usage}");
    assert_eq!(status, 1);
    assert_eq!(world.run("a", "/sbin/ip -s neigh").1, 0);
}

#[test]
fn ping_says_what_is_wrong() {
    let world = World::new();
    assert_eq!(world.run("a", "ping -c1 nosuch"), text("ping: bad address 'nosuch'\n", 1));
    let output = "PING 192.0.2.1 (192.0.2.1): 56 data bytes\nping: sendto: Network is unreachable\n";
    assert_eq!(world.run("host", "ping -c1 192.0.2.1"), text(output, 1));
    let (usage, status) = world.run("a", "ping -Z x");
    assert!(usage.starts_with("ping: unrecognized option: Z\nBusyBox v1.35.0") && status == 1, "{usage}");
}

#[test]
fn following_a_file_waits_without_a_timer_and_prints_what_is_added() {
    let world = World::new();
    let lines: [&[&str]; 5] = [
        &["tail", "-f", "/dev/null"],
        &["tail", "-F", "/dev/null"],
        &["tail", "-n0", "-f", "/log"],
        &["tail", "--follow", "/dev/null"],
        &["sh", "-c", "tail -f /dev/null"],
    ];
    for words in lines {
        let started = world.start("a", words);
        world.settle();
        assert!(started.status().is_none(), "{words:?}: {}", started.text());
        assert!(world.engine.borrow_mut().deadline().is_none(), "{words:?} keeps time running");
    }
    world.file("/log", "one\ntwo\n");
    let tail = world.start("a", &["tail", "-n", "1", "-f", "/log"]);
    world.settle();
    assert_eq!(tail.text(), "two\n");
    assert_eq!(world.sh("a", "echo three >> /log; echo x > /other"), text("", 0));
    world.settle();
    assert_eq!((tail.text().as_str(), tail.status()), ("three\n", None));
}

#[test]
fn nc_serves_a_program_to_every_connection() {
    let world = World::new();
    let servers: [(&str, &[&str], &str); 3] = [
        ("9000", &["nc", "-ll", "-p", "9000", "-e", "cat"], "hi\n"),
        ("9001", &["nc", "-lk", "-p", "9001", "-e", "cat"], "hi\n"),
        ("9002", &["nc", "-p", "9002", "-lke", "sh", "-c", "read x; echo got $x"], "got hi\n"),
    ];
    for (port, words, said) in servers {
        let server = world.start("b", words);
        world.settle();
        assert_eq!(server.status(), None, "{}", server.text());
        for _ in 0..2 {
            assert_eq!(world.sh("a", &format!("echo hi | nc -w 2 10.0.0.3 {port}")), text(said, 0));
        }
        assert_eq!(server.status(), None);
    }
    let once = world.start("b", &["nc", "-l", "-p", "9003", "-e", "echo", "bye"]);
    assert_eq!(world.run("a", "nc 10.0.0.3:9003"), text("bye\n", 0));
    assert_eq!(world.finish(&once), 0);
    // By UDP the first peer is the connection: its datagrams are read, another's are not.
    let udp = world.start(
        "b",
        &["nc", "-u", "-l", "-p", "9004", "-e", "sh", "-c", "read x; echo got $x; read y; echo $y"],
    );
    world.settle();
    assert_eq!(
        world.sh("a", "(echo hi; sleep 1; echo you) | nc -u -w 3 10.0.0.3 9004"),
        text("got hi\nyou\n", 0)
    );
    assert_eq!(world.finish(&udp), 0);
    let refused = world.run("a", "nc -u 10.0.0.3 9004 -e cat");
    assert_eq!(refused, text("nc: -u with -e is not modelled here without -l\n", 1));
}

#[test]
fn names_come_from_the_hosts_file() {
    let world = World::new();
    world.file("/etc/hosts", "127.0.0.1\tlocalhost\n10.0.0.3\tb.example.test b # peer\n10.0.0.2\ta\n");
    let (output, _) = world.run("a", "ping -c1 b");
    assert!(output.starts_with("PING b (10.0.0.3): 56 data bytes\n64 bytes from 10.0.0.3:"), "{output}");
    assert_eq!(world.run("a", "hostname -i"), text("10.0.0.2\n", 0));
    assert_eq!(world.run("b", "hostname -f"), text("b.example.test\n", 0));
}

#[test]
fn ip_shows_addresses_and_routes() {
    let world = World::new();
    let routes = "default via 10.0.0.1 dev eth0 \n10.0.0.0/24 dev eth0 scope link  src 10.0.0.2 \n";
    assert_eq!(world.run("a", "ip route"), text(routes, 0));
    assert_eq!(world.run("a", "ip r show dev eth1"), text("ip: can't find device 'eth1'\n", 1));
    assert_eq!(
        world.run("a", "ip route get 10.1.0.2"),
        text("10.1.0.2 via 10.0.0.1 dev eth0  src 10.0.0.2 \n", 0)
    );
    let (addresses, _) = world.run("a", "ip -4 addr show eth0");
    let (head, rest) = addresses.split_once('\n').unwrap();
    assert!(head.ends_with(": <BROADCAST,MULTICAST,UP,LOWER_UP,M-DOWN> mtu 1500 qdisc noqueue "), "{head}");
    let inet = "    inet 10.0.0.2/24 brd 10.0.0.255 scope global eth0\n       valid_lft forever preferred_lft forever\n";
    assert_eq!(rest, inet);
    let (line, _) = world.run("a", "ip -4 -o addr show lo");
    assert_eq!(
        line,
        "1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever\n"
    );
    let (host, _) = world.run("host", "/usr/sbin/ip route show dev br0");
    assert_eq!(host, "10.0.0.0/24 proto kernel scope link src 10.0.0.1 \n");
    assert_eq!(
        world.run("a", "ip link set eth0 down"),
        text("ip: SIOCSIFFLAGS: Operation not permitted\n", 2)
    );
    let refused = text("ip: RTNETLINK answers: Operation not permitted\n", 2);
    assert_eq!(world.run("a", "ip addr add 10.0.0.7/24 dev eth0"), refused);
    assert_eq!(world.run("a", "ip route del default"), refused);
    let rules = "iptables v1.8.9 (nf_tables): Could not fetch rule set generation id: Permission denied (you must be root)\n";
    assert_eq!(world.run("a", "iptables -S"), text(rules, 4));
}

/// Runs lines of `command => what it prints`; a status that is not 0 stands behind it.
fn dialogue(world: &World, lines: &str) {
    for line in lines.lines() {
        let (command, expected) = line.split_once(" => ").unwrap();
        let (output, status) = world.run("host", command);
        let found = if status == 0 { output } else { format!("{}{status}", output.replace('\n', " ")) };
        assert_eq!(found.trim_end(), expected.trim(), "{command}");
    }
}

#[test]
fn ip_changes_addresses_and_routes() {
    let world = World::new();
    world.run("host", "/sbin/ip link add v0 type veth peer name v1");
    world.run("host", "/sbin/ip link set v1 up");
    world.run("host", "/sbin/ip link set v0 up");
    dialogue(
        &world,
        "\
ip addr add 10.9.0.1/24 dev v0 => \n\
ip addr add 10.9.0.1/24 dev v0 => ip: RTNETLINK answers: File exists 2\n\
/sbin/ip addr add 10.9.0.1/24 dev v0 => Error: ipv4: Address already assigned. 2\n\
ip addr del 10.9.0.9/24 dev v0 => ip: RTNETLINK answers: Cannot assign requested address 2\n\
/sbin/ip addr del 10.9.0.9/24 dev v0 => Error: ipv4: Address not found. 2\n\
ip addr add 10.9.0.2/24 => ip: need \"dev IFACE\" 1\n\
/sbin/ip addr add x dev v0 => Error: any valid prefix is expected rather than \"x\". 1\n\
/sbin/ip addr add 10.9.0.2/24 dev nosuch => Cannot find device \"nosuch\" 1\n\
ip route add default via 10.9.0.254 => \n\
ip route add default via 10.9.0.253 => ip: RTNETLINK answers: File exists 2\n\
ip route add 10.8.0.0/16 via 1.2.3.4 dev v0 => ip: RTNETLINK answers: Network is unreachable 2\n\
/sbin/ip route add 10.8.0.0/16 via 1.2.3.4 dev v0 => Error: Nexthop has invalid gateway. 2\n\
ip route replace default via 10.9.0.253 => \n\
ip route change 10.5.0.0/16 via 10.9.0.253 => ip: RTNETLINK answers: No such file or directory 2\n\
ip route add 10.4.0.1/16 dev v0 => ip: RTNETLINK answers: Invalid argument 2\n\
ip route add 10.4.0.0/16 => ip: RTNETLINK answers: No such device 2\n\
ip route show default => default via 10.9.0.253 dev v0\n\
ip route del default => \n\
ip route del default => ip: RTNETLINK answers: No such process 2\n\
/sbin/ip route add 192.0.2.0/24 via 10.9.0.9 metric 5 => \n\
ip route del 192.0.2.0/24 metric 6 => ip: RTNETLINK answers: No such process 2\n\
ip route flush 192.0.2.0/24 => \n\
ip route show dev v0 => 10.9.0.0/24 scope link  src 10.9.0.1\n\
ip addr del 10.9.0.1 dev v0 => \n\
ip route show dev v0 => \n\
ip addr add 10.7.0.1/24 dev v0 => \n\
ip addr flush dev v0 => \n\
ip -4 -o addr show v0 => \n\
/sbin/ip link set v0 down => \n\
/sbin/ip route add 192.0.3.0/24 dev v0 => Error: Device for nexthop is not up. 2",
    );
}

#[test]
fn ip_changes_links_and_neighbours() {
    let world = World::new();
    dialogue(
        &world,
        "\
/sbin/ip link add d0 type dummy => \n\
/sbin/ip link add d0 type dummy => RTNETLINK answers: File exists 2\n\
/sbin/ip link add x type nosuch => Error: Unknown device type. 2\n\
/sbin/ip link add y => Not enough information: \"type\" argument is required 1\n\
ip link set d0 mtu 10 => ip: SIOCSIFMTU: Invalid argument 2\n\
/sbin/ip link set d0 mtu 70000 => Error: mtu greater than device maximum. 2\n\
ip link set nosuch up => ip: SIOCGIFFLAGS: No such device 2\n\
ip link set d0 address zz => ip: \"zz\" is invalid lladdr 1\n\
ip link set d0 address 01:00:00:00:00:01 => ip: SIOCSIFHWADDR: Cannot assign requested address 2\n\
ip link set d0 address 02:00:00:00:00:01 mtu 1400 up => \n\
ip link set d0 name br0 => ip: SIOCSIFNAME: File exists 2\n\
ip link set d0 name d1 => \n\
ip -o link show d0 => ip: can't find device 'd0' 1\n\
ip link set d1 master nosuch => ip: can't find device 'nosuch' 2\n\
ip link set d1 master br0 => \n\
ip link del lo => ip: RTNETLINK answers: Operation not supported 2\n\
ip link del nosuch => ip: can't find device 'nosuch' 2\n\
/sbin/ip neigh add 10.0.0.77 lladdr 02:00:00:00:00:09 dev br0 => \n\
/sbin/ip neigh add 10.0.0.77 lladdr 02:00:00:00:00:09 dev br0 => RTNETLINK answers: File exists 2\n\
/sbin/ip neigh replace 10.0.0.77 lladdr 02:00:00:00:00:0a dev br0 => \n\
/sbin/ip neigh show 10.0.0.77 => 10.0.0.77 dev br0 lladdr 02:00:00:00:00:0a PERMANENT\n\
ip neigh add 10.0.0.78 lladdr 02:00:00:00:00:09 dev br0 => ip: invalid argument 'add' to 'ip' 1\n\
/sbin/ip neigh del 10.0.0.77 dev br0 => \n\
/sbin/ip neigh del 10.0.0.77 dev br0 => RTNETLINK answers: No such file or directory 2",
    );
    let (shown, _) = world.run("host", "ip link show d1");
    assert!(shown.contains("mtu 1400") && shown.contains("02:00:00:00:00:01"), "{shown}");
    assert_eq!(world.run("host", "ip link show br0").0.matches("mtu 1400").count(), 1);
    world.run("host", "ip link del d1");
    assert_eq!(world.run("host", "ip link show d1").1, 1);
    assert_eq!(world.run("host", "ip link show br0").0.matches("mtu 1500").count(), 1);
}

#[test]
fn sysctl_reads_and_changes_what_packets_meet() {
    let world = World::new();
    assert_eq!(world.run("host", "sysctl net.ipv4.ip_forward"), text("net.ipv4.ip_forward = 1\n", 0));
    assert_eq!(world.run("host", "sysctl -w net.ipv4.ip_forward=0"), text("net.ipv4.ip_forward = 0\n", 0));
    assert_eq!(world.run("host", "sysctl -n net/ipv4/ip_forward"), text("0\n", 0));
    assert_eq!(world.run("a", "ping -c1 -W1 10.1.0.2").1, 1);
    let unknown = "sysctl: error: 'net.nosuch' is an unknown key\n";
    assert_eq!(world.run("host", "sysctl net.nosuch"), text(unknown, 1));
    let wrong = "sysctl: write error: Invalid argument\n";
    assert_eq!(world.run("host", "sysctl -w net.ipv4.ip_forward=x"), text(wrong, 1));
    let (every, _) = world.run("host", "sysctl -a");
    assert!(every.lines().any(|line| line == "net.ipv6.conf.br0.accept_ra = 1"), "{every}");
    let refused = "sysctl: error setting key 'net.ipv4.ip_forward': Read-only file system\n";
    assert_eq!(world.run("a", "sysctl -w net.ipv4.ip_forward=1"), text(refused, 1));
}

#[test]
fn sysctl_knows_the_settings_of_interfaces() {
    let world = World::new();
    let read = |key: &str| world.run("host", &format!("sysctl -n {key}")).0.trim().to_owned();
    let write = |pair: &str| world.run("host", &format!("sysctl -w {pair}")).1;
    // ip_forward is all.forwarding, which every interface follows; each may go its own way afterwards.
    assert_eq!(read("net.ipv4.conf.br0.forwarding"), "1");
    assert_eq!(world.run("a", "ping -c1 -W1 10.1.0.2").1, 0);
    assert_eq!(write("net.ipv4.conf.br0.forwarding=0"), 0);
    assert_eq!(world.run("a", "ping -c1 -W1 10.1.0.2").1, 1);
    assert_eq!(read("net.ipv4.ip_forward"), "1");
    assert_eq!(write("net.ipv4.conf.all.forwarding=1"), 0);
    assert_eq!(world.run("a", "ping -c1 -W1 10.1.0.2").1, 0);
    assert_eq!(read("net.ipv4.conf.all.accept_redirects"), "0");
    // IPv4's defaults reach those without a value of their own; IPv6's only those to come.
    assert_eq!(write("net.ipv4.conf.br0.rp_filter=0x1"), 0);
    assert_eq!(write("net.ipv4.conf.default.rp_filter=2 net.ipv6.conf.default.accept_ra=2"), 0);
    assert_eq!(
        (read("net.ipv4.conf.br0.rp_filter"), read("net.ipv4.conf.va.rp_filter")),
        ("1".into(), "2".into())
    );
    world.run("host", "ip link add d.5 type dummy");
    assert_eq!(
        (read("net.ipv6.conf.br0.accept_ra"), read("net.ipv6.conf.d/5.accept_ra")),
        ("1".into(), "2".into())
    );
    assert_eq!(
        (read("net.ipv6.conf.lo.mtu"), read("net.ipv6.conf.br0.mtu")),
        ("65536".into(), "1500".into())
    );
    // A setting stays with the device, whatever its name.
    world.run("host", "ip link set d.5 name d6");
    assert_eq!(read("net.ipv6.conf.d6.accept_ra"), "2");
    let unknown = "sysctl: error: 'net.ipv4.conf.nosuch.rp_filter' is an unknown key\n";
    assert_eq!(world.run("host", "sysctl net.ipv4.conf.nosuch.rp_filter"), text(unknown, 1));
    let wrong = "sysctl: write error: Invalid argument\n";
    assert_eq!(world.run("host", "sysctl -w net.ipv6.conf.br0.hop_limit=300"), text(wrong, 1));
}

#[test]
fn a_device_that_goes_down_takes_its_routes_with_it() {
    let world = World::new();
    world.run("host", "/sbin/ip link add d0 type dummy");
    dialogue(
        &world,
        "\
/sbin/ip addr add 10.9.0.1/24 dev d0 => \n\
ip route show dev d0 => \n\
/sbin/ip link set d0 up => \n\
ip route add 10.8.0.0/16 via 10.9.0.9 => \n\
ip route add 10.7.0.0/16 dev d0 metric 5 => \n\
/sbin/ip neigh add 10.9.0.9 lladdr 02:00:00:00:00:09 dev d0 => \n\
/sbin/ip -6 addr add fd00::1/64 dev d0 => \n\
/sbin/ip link set d0 down => \n\
ip route show dev d0 => \n\
ip -6 route show dev d0 => \n\
/sbin/ip neigh show dev d0 => \n\
/sbin/ip -6 addr show d0 => \n\
/sbin/ip addr add 10.6.0.1/24 dev d0 => \n\
ip route show dev d0 => \n\
/sbin/ip link set d0 up => \n\
ip route show 10.9.0.0/24 => 10.9.0.0/24 dev d0 scope link  src 10.9.0.1\n\
ip route show 10.6.0.0/24 => 10.6.0.0/24 dev d0 scope link  src 10.6.0.1\n\
ip route show 10.8.0.0/16 => \n\
ip route show 10.7.0.0/16 => \n\
ip route del 10.6.0.0/24 => \n\
/sbin/ip link set d0 up => \n\
ip route show 10.6.0.0/24 => ",
    );
}

#[test]
fn what_ip_changes_is_what_packets_meet() {
    let world = World::new();
    assert_eq!(world.run("a", "ping -c1 -W1 10.1.0.2").1, 0);
    world.run("host", "ip link set vfar down");
    assert_eq!(world.run("a", "ping -c1 -W1 10.1.0.2").1, 1);
    world.run("host", "ip link set vfar up");
    assert_eq!(world.run("a", "ping -c1 -W1 10.1.0.2").1, 0);
    assert_eq!(world.run("a", "ping -c1 -W1 10.0.0.77").1, 1);
    world.run("host", "ip addr add 10.0.0.77/24 dev br0");
    // The neighbour was asked for in vain and is asked again within a second.
    assert_eq!(world.run("a", "ping -c1 -W3 10.0.0.77").1, 0);
    world.run("host", "ip link set vb nomaster");
    assert_eq!(world.run("a", "ping -c1 -W1 10.0.0.3").1, 1);
    world.run("host", "ip link set vb master br0");
    assert_eq!(world.run("a", "ping -c1 -W3 10.0.0.3").1, 0);
}

#[test]
fn neighbours_routes_and_sockets_have_their_tables() {
    let world = World::new();
    world.run("a", "ping -c1 10.0.0.3");
    assert_eq!(world.run("a", "arp -n"), text("? (10.0.0.3) at 02:42:0a:00:00:03 [ether]  on eth0\n", 0));
    let neighbour = "10.0.0.3 dev eth0 lladdr 02:42:0a:00:00:03 ref 1 used 0/0/0 probes 4 REACHABLE\n";
    assert_eq!(world.run("a", "ip neigh"), text(neighbour, 0));
    let routes = "Kernel IP routing table\n\
        Destination     Gateway         Genmask         Flags Metric Ref    Use Iface\n\
        0.0.0.0         10.0.0.1        0.0.0.0         UG    0      0        0 eth0\n\
        10.0.0.0        0.0.0.0         255.255.255.0   U     0      0        0 eth0\n";
    assert_eq!(world.run("a", "route -n"), text(routes, 0));
    world.start("b", &["nc", "-l", "-p", "80", "-s", "10.0.0.3"]);
    world.settle();
    let sockets = "Active Internet connections (only servers)\n\
        Proto Recv-Q Send-Q Local Address           Foreign Address         State       \n\
        tcp        0      0 10.0.0.3:80             0.0.0.0:*               LISTEN      \n";
    assert_eq!(world.run("b", "netstat -tln"), text(sockets, 0));
    let (device, _) = world.run("a", "ifconfig eth0");
    assert!(
        device.starts_with(
            "eth0      Link encap:Ethernet  HWaddr 02:42:0A:00:00:02  \n          \
                                inet addr:10.0.0.2  Bcast:10.0.0.255  Mask:255.255.255.0\n          \
                                UP BROADCAST RUNNING MULTICAST  MTU:1500  Metric:1\n"
        ),
        "{device}"
    );
}

#[test]
fn wget_fetches_from_httpd() {
    let world = World::new();
    world.file("/www/index.html", "Welcome to nginx\n");
    world.start("b", &["httpd", "-f", "-p", "80", "-h", "/www"]);
    world.settle();
    assert_eq!(world.run("a", "wget -qO- http://10.0.0.3/"), text("Welcome to nginx\n", 0));
    assert_eq!(
        world.run("a", "wget -q -O - http://10.0.0.3/cgi-bin/who"),
        text("b sees [::ffff:10.0.0.2]\n", 0)
    );
    let missing = "wget: server returned error: HTTP/1.0 404 Not Found\n";
    assert_eq!(world.run("a", "wget -qO- http://10.0.0.3/nosuch"), text(missing, 1));
    let refused = "wget: can't connect to remote host (10.0.0.3): Connection refused\n";
    assert_eq!(world.run("a", "wget -qO- http://10.0.0.3:81/"), text(refused, 1));
    assert_eq!(world.run("a", "wget -T 2 -qO- http://10.0.0.9/").1, 1);
    let saved = world.run("a", "wget http://10.0.0.3/").0;
    assert!(saved.starts_with("Connecting to 10.0.0.3 (10.0.0.3:80)\nsaving to 'index.html'\n"), "{saved}");
    assert_eq!(world.content("/index.html"), "Welcome to nginx\n");
}

#[test]
fn a_proxy_gets_the_whole_address_unless_the_host_is_excepted() {
    let world = World::new();
    world.start("b", &["listen", "3128/tcp"]);
    world.file("/www/index.html", "direct\n");
    world.start("far", &["httpd", "-f", "-h", "/www"]);
    world.settle();
    let proxied = world.sh("a", "http_proxy=http://10.0.0.3:3128 wget -qO- http://10.1.0.2/");
    assert_eq!(proxied, text("b sees 10.0.0.2\n", 0));
    let direct =
        world.sh("a", "http_proxy=http://10.0.0.3:3128 no_proxy=10.0.0.0/8 wget -qO- http://10.1.0.2/");
    assert_eq!(direct, text("direct\n", 0));
}

#[test]
fn an_http_proxy_fetches_and_makes_tunnels() {
    let world = World::new();
    world.start("b", &["http-proxy"]);
    world.start("far", &["listen", "80/tcp"]);
    world.settle();
    let by_proxy = |address: &str| {
        world.sh(
            "a",
            &format!("http_proxy=http://10.0.0.3:3128/ HTTP_PROXY=http://nobody:1 wget -qO- {address}"),
        )
    };
    assert_eq!(by_proxy("http://10.1.0.2/"), text("far sees 10.0.0.3\n", 0), "the server sees the proxy");
    let refused = "wget: server returned error: HTTP/1.0 502 Bad Gateway\n";
    assert_eq!(by_proxy("http://10.1.0.2:81/"), text(refused, 1));
    assert_eq!(by_proxy("http://nosuch.test/"), text(refused, 1));
    let upper = world.sh("a", "HTTP_PROXY=http://10.0.0.3:3128 wget -qO- http://10.1.0.2/");
    assert_eq!(upper, text("far sees 10.0.0.2\n", 0), "upper case is no proxy for wget");
    let tunnel =
        "printf 'CONNECT 10.1.0.2:80 HTTP/1.1\\r\\n\\r\\nGET / HTTP/1.0\\r\\n\\r\\n' | nc 10.0.0.3 3128";
    let through = world.sh("a", tunnel).0;
    assert!(
        through.starts_with("HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.0 200 OK\r\n"),
        "{through}"
    );
    assert!(through.ends_with("far sees 10.0.0.3\n"), "{through}");
    let plain = world.run("a", "wget -qO- http://10.0.0.3:3128/");
    assert_eq!(plain, text("wget: server returned error: HTTP/1.0 400 Bad Request\n", 1));
}

#[test]
fn nc_carries_both_ways() {
    let world = World::new();
    let server = world.start("b", &["nc", "-l", "-p", "7"]);
    world.settle();
    let client = world.start("a", &["nc", "10.0.0.3", "7"]);
    world.settle();
    write(&world, &client.stdin, b"to b\n");
    write(&world, &server.stdin, b"to a\n");
    assert_eq!((server.text().as_str(), client.text().as_str()), ("to b\n", "to a\n"));
    client.stdin.close_writer();
    assert_eq!(world.finish(&server), 0);
    assert_eq!(world.finish(&client), 0);
    let refused = "nc: can't connect to remote host (10.0.0.3): Connection refused\n";
    assert_eq!(world.run("a", "nc -z 10.0.0.3 7"), text(refused, 1));
}

/// Writes to a pipe that has room.
fn write(world: &World, pipe: &Pipe, data: &[u8]) {
    let mut write = std::pin::pin!(pipe.write_all(data));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(std::future::Future::poll(write.as_mut(), &mut context).is_ready());
    world.settle();
}

#[test]
fn listen_answers_http_lines_and_datagrams() {
    let world = World::new();
    world.start("b", &["listen", "80/tcp", "53/udp"]);
    world.settle();
    assert_eq!(world.run("a", "wget -qO- http://10.0.0.3/"), text("b sees 10.0.0.2\n", 0));
    assert_eq!(world.sh("a", "echo hi | nc -w 1 10.0.0.3 80"), text("b sees 10.0.0.2\n", 0));
    assert_eq!(world.sh("a", "echo hi | nc -u -w 1 10.0.0.3 53"), text("b sees 10.0.0.2\n", 0));
    let taken = world.run("b", "listen 80");
    assert_eq!(taken, text("listen: 80: Address already in use\n", 1));
}

#[test]
fn traceroute_names_the_hops() {
    let world = World::new();
    let output = "traceroute to 10.1.0.2 (10.1.0.2), 30 hops max, 46 byte packets\n \
                  1  10.0.0.1  0.000 ms  0.000 ms\n 2  10.1.0.2  0.000 ms  0.000 ms\n";
    assert_eq!(world.run("a", "traceroute -n -q 2 10.1.0.2"), text(output, 0));
    assert_eq!(world.run("a", "traceroute -I -n -q 2 10.1.0.2"), text(output, 0));
    let silent = "traceroute to 10.0.0.9 (10.0.0.9), 1 hops max, 46 byte packets\n 1  *\n";
    assert_eq!(world.run("a", "traceroute -n -q 1 -w 1 -m 1 10.0.0.9"), text(silent, 0));
}

#[test]
fn the_shell_joins_programs() {
    let world = World::new();
    assert_eq!(world.sh("a", "echo one two | tr a-z A-Z | grep -c TWO"), text("1\n", 0));
    assert_eq!(world.sh("a", "false && echo no || echo \"$?\"; true"), text("1\n", 0));
    assert_eq!(world.sh("a", "A='x  y'; echo $A \"$A\" ${B:-z}"), text("x y x  y z\n", 0));
    assert_eq!(world.sh("a", "echo $(hostname) > /f; echo 2 >> /f; cat < /f"), text("a\n2\n", 0));
    assert_eq!(world.sh("a", "ping -c1 nosuch 2>&1 >/dev/null | wc -l"), text("1\n", 0));
    assert_eq!(world.sh("a", "nosuch; exit 3; echo no"), text("sh: nosuch: not found\n", 3));
    assert_eq!(world.sh("a", "sleep 5 & echo first; wait; echo then"), text("first\nthen\n", 0));
    assert_eq!(
        world.sh("a", "ping 10.0.0.3 | head -n 1"),
        text("PING 10.0.0.3 (10.0.0.3): 56 data bytes\n", 0)
    );
}

#[test]
fn timeout_ends_a_program_with_143() {
    let world = World::new();
    let before = world.engine.borrow().now();
    assert_eq!(world.run("a", "timeout 2 wget -qO- http://10.0.0.9/").1, 143);
    assert_eq!((world.engine.borrow().now() - before).as_secs(), 2);
    assert_eq!(world.run("a", "timeout 2 false"), text("", 1));
    let missing = "timeout: can't execute 'nosuch': No such file or directory\n";
    assert_eq!(world.run("a", "timeout 2 nosuch"), text(missing, 127));
}

/// Reads one connection on port 7 to its end and answers then.
async fn answer_after_the_end(sys: Sys) -> ExitCode {
    let listener = sys.tcp_listen("0.0.0.0:7".parse().unwrap(), 1).unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    let mut reply = stream.read_to_end(100).await.unwrap();
    reply.extend(b" came whole");
    stream.write_all(&reply).await.unwrap();
    ExitCode::SUCCESS
}

#[test]
fn docker_proxy_copies_with_half_close() {
    let world = World::new();
    let proxy = |proto: &'static str, port: &'static str| {
        [
            "docker-proxy",
            "-proto",
            proto,
            "-host-ip",
            "0.0.0.0",
            "-host-port",
            port,
            "-container-ip",
            "10.0.0.3",
            "-container-port",
            "7",
        ]
    };
    let server = world.start_program("b", |sys| Box::pin(answer_after_the_end(sys)), &["server"]);
    world.start("host", &proxy("tcp", "8080"));
    world.settle();
    let client = world.start("far", &["nc", "10.1.0.1", "8080"]);
    world.settle();
    write(&world, &client.stdin, b"request");
    client.stdin.close_writer();
    assert_eq!((world.finish(&client), client.text().as_str()), (0, "request came whole"));
    assert_eq!(world.finish(&server), 0);
    // Nothing listens any more: the proxy accepts and resets.
    let reset = world.run("far", "wget -qO- http://10.1.0.1:8080/");
    assert_eq!(reset, text("wget: Connection reset by peer\n", 1));
    world.start("b", &["listen", "7/udp"]);
    world.start("host", &proxy("udp", "5353"));
    world.settle();
    assert_eq!(world.sh("far", "echo hi | nc -u -w 1 10.1.0.1 5353"), text("b sees 10.0.0.1\n", 0));
    let taken = world.run_words("host", &proxy("tcp", "8080"));
    assert_eq!(taken, text("listen tcp4 0.0.0.0:8080: bind: address already in use\n", 1));
}

#[test]
fn rules_and_bridges_are_shown_on_the_host() {
    let world = World::new();
    let rules = "-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n-A FORWARD -s 10.0.0.3/32 -j DROP\n";
    assert_eq!(world.run("host", "iptables -w 5 -A FORWARD -s 10.0.0.3 -j DROP"), text("", 0));
    assert_eq!(world.run("host", "iptables -S"), text(rules, 0));
    let (saved, _) = world.run("host", "iptables-save -t filter");
    let expected = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
                    -A FORWARD -s 10.0.0.3/32 -j DROP\nCOMMIT\n";
    assert_eq!(saved, expected);
    // What was saved can be read again, from a pipe or a file, as a whole or not at all.
    world.run("host", "iptables -F FORWARD");
    world.file("/rules", &saved);
    assert_eq!(world.sh("host", "iptables-restore </rules; iptables -S FORWARD | wc -l"), text("2\n", 0));
    assert_eq!(
        world.sh("host", "iptables-save -t filter | iptables-restore -n; iptables -S FORWARD | wc -l").0,
        "3\n"
    );
    let failed = "iptables-restore: line 3 failed: No chain/target/match by that name.\n";
    world.file("/wrong", "*filter\n-F FORWARD\n-A NOSUCH -j DROP\nCOMMIT\n");
    assert_eq!(world.run("host", "iptables-restore -n /wrong"), text(failed, 1));
    assert_eq!(world.run("host", "iptables-restore /rules"), text("", 0));
    assert_eq!(world.run("host", "iptables -S"), text(rules, 0));
    let missing = "Can't open /nosuch: No such file or directory\n";
    assert_eq!(world.run("host", "ip6tables-restore /nosuch"), text(missing, 1));
    world.run("a", "ping -c1 10.0.0.1");
    let (fdb, _) = world.run("host", "bridge fdb show br br0");
    assert!(fdb.contains("02:42:0a:00:00:02 dev va master br0 \n"), "{fdb}");
}

#[test]
fn nslookup_says_when_nobody_answers() {
    let world = World::new();
    world.file("/etc/resolv.conf", "nameserver 10.0.0.9\n");
    let output = ";; connection timed out; no servers could be reached\n\n";
    let (text, status) = world.run("a", "nslookup -type=a web");
    assert!(text.ends_with(output) && status == 1, "{text}");
    assert_eq!(world.run("a", "ping -c1 web").0, "ping: bad address 'web'\n");
}

/// Answers A queries for `web.corp.test` with 10.0.0.3, AAAA ones with nothing, and denies every other name.
async fn name_server(sys: Sys) -> ExitCode {
    let socket = sys.udp_socket().unwrap();
    socket.bind("0.0.0.0:53".parse().unwrap()).unwrap();
    loop {
        let query = socket.receive().await.unwrap();
        let message = Message::from_octets(query.payload.to_vec()).unwrap();
        let question = message.first_question().unwrap();
        let known = question.qname().to_string() == "web.corp.test";
        let rcode = if known { Rcode::NOERROR } else { Rcode::NXDOMAIN };
        let mut answer = MessageBuilder::new_vec().start_answer(&message, rcode).unwrap();
        if known && question.qtype() == Rtype::A {
            answer.push((question.qname(), 600, A::from_octets(10, 0, 0, 3))).unwrap();
        }
        socket.send_to(&answer.finish(), query.source).unwrap();
    }
}

#[test]
fn names_are_looked_up_with_their_search_domains() {
    let world = World::new();
    world.file("/etc/resolv.conf", "search corp.test\nnameserver 10.0.0.1\noptions ndots:0\n");
    world.start_program("host", |sys| Box::pin(name_server(sys)), &["dns"]);
    world.settle();
    let server = "Server:\t\t10.0.0.1\nAddress:\t10.0.0.1:53\n\n";
    let found = "Non-authoritative answer:\nName:\tweb.corp.test\nAddress: 10.0.0.3\n\n";
    assert_eq!(world.run("a", "nslookup -type=a web"), text(&format!("{server}{found}"), 0));
    let both = format!("{server}{found}Non-authoritative answer:\n\n");
    assert_eq!(world.run("a", "nslookup web 10.0.0.1"), text(&both, 0));
    let denied = format!("{server}** server can't find s1.corp.test: NXDOMAIN\n\n");
    assert_eq!(world.run("a", "nslookup -type=a s1"), text(&denied, 1));
    let (pinged, _) = world.run("a", "ping -c1 web");
    assert!(pinged.starts_with("PING web (10.0.0.3): 56 data bytes\n64 bytes from 10.0.0.3:"), "{pinged}");
    assert_eq!(world.run("a", "dig +short web.corp.test"), text("10.0.0.3\n", 0));
    let (full, _) = world.run("a", "dig +noall +answer web.corp.test");
    assert_eq!(full, "web.corp.test.\t\t600\tIN\tA\t10.0.0.3\n");
}
