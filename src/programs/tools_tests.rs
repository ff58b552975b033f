//! Programs from outside, continued: fetching and asking servers, changing tables the old way, files and text.

use super::testing::World;
use crate::engine::sys::{Powers, Privilege};

fn text(output: &str, status: u8) -> (String, u8) {
    (output.to_owned(), status)
}

/// `listen` on some ports of `b`.
fn listening(ports: &[&str]) -> World {
    let world = World::new();
    world.start("b", &[&["listen"], ports].concat());
    world.settle();
    world
}

/// `httpd` on port 80 of `b`.
fn serving() -> World {
    let world = World::new();
    world.file("/www/index.html", "Welcome\n");
    world.start("b", &["httpd", "-f", "-h", "/www"]);
    world.settle();
    world
}

#[test]
fn curl_has_its_own_words_and_exit_codes() {
    let world = serving();
    let run = |line: &str| world.run("a", line);
    assert_eq!(run("curl http://10.0.0.3/"), text("Welcome\n", 0));
    assert_eq!(run("curl -f 10.0.0.3"), text("Welcome\n", 0));
    let gone = "curl: (22) The requested URL returned error: 404\n";
    assert_eq!(run("curl -fsS http://10.0.0.3/nosuch"), text(gone, 22));
    assert_eq!(run("curl -fs http://10.0.0.3/nosuch"), text("", 22));
    assert!(run("curl -s http://10.0.0.3/nosuch").0.contains("404 Not Found"));
    let refused = "curl: (7) Failed to connect to 10.0.0.3 port 81 after 0 ms: Couldn't connect to server\n";
    assert_eq!(run("curl http://10.0.0.3:81/"), text(refused, 7));
    assert_eq!(run("curl -s http://10.0.0.3:81/"), text("", 7));
    assert_eq!(run("curl http://nosuch/"), text("curl: (6) Could not resolve host: nosuch\n", 6));
    let slow = "curl: (28) Failed to connect to 10.1.0.9 port 80 after 1000 ms: Timeout was reached\n";
    assert_eq!(run("curl --connect-timeout 1 http://10.1.0.9/"), text(slow, 28));
    let whole = "curl: (28) Connection timed out after 1500 milliseconds\n";
    assert_eq!(run("curl -m 1.5 http://10.1.0.9/"), text(whole, 28));
    let tls = "curl: (1) Protocol \"https\" not supported or disabled in libcurl\n";
    assert_eq!(run("curl https://10.0.0.3/"), text(tls, 1));
    let usage = "curl: try 'curl --help' or 'curl --manual' for more information\n";
    assert_eq!(run("curl"), text(usage, 2));
    assert_eq!(run("curl --frob x"), text(&format!("curl: option --frob: is unknown\n{usage}"), 2));
    assert_eq!(run("curl -m"), text(&format!("curl: option -m: requires parameter\n{usage}"), 2));
    let number = format!("curl: option -m: expected a proper numerical parameter\n{usage}");
    assert_eq!(run("curl -m x 10.0.0.3"), text(&number, 2));
}

#[test]
fn curl_writes_where_and_what_it_is_told() {
    let world = serving();
    assert_eq!(
        world.run("a", "curl -s -o /page -w %{http_code}:%{size_download} 10.0.0.3"),
        text("200:8", 0)
    );
    assert_eq!(world.content("/page"), "Welcome\n");
    assert_eq!(world.run("a", "curl -sO http://10.0.0.3/index.html"), text("", 0));
    assert_eq!(world.content("/index.html"), "Welcome\n");
    let (head, status) = world.run("a", "curl -sI http://10.0.0.3/");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n") && status == 0, "{head:?}");
    let (told, _) = world.run("a", "curl -sv http://10.0.0.3/");
    let begins = "*   Trying 10.0.0.3:80...\n* Connected to 10.0.0.3 (10.0.0.3) port 80 (#0)\n> GET / HTTP/1.1\r\n\
                  > Host: 10.0.0.3\r\n> User-Agent: curl/7.88.1\r\n> Accept: */*\r\n> \r\n< HTTP/1.1 200 OK\r\n";
    assert!(told.starts_with(begins) && told.ends_with("Welcome\n* Closing connection 0\n"), "{told:?}");
    assert_eq!(world.run("a", "curl -s -w %{http_code} http://10.0.0.3:81/"), text("000", 7));
}

#[test]
fn curl_sends_data_headers_and_follows() {
    let world = World::new();
    let server = world.start("b", &["nc", "-l", "-p", "80"]);
    world.settle();
    let words = [
        "curl",
        "-s",
        "-d",
        "a=b",
        "-d",
        "c=d",
        "-H",
        "X-A: 1",
        "-H",
        "Accept:",
        "-u",
        "me:pw",
        "10.0.0.3/p",
    ];
    let client = world.start("a", &words);
    world.settle();
    let request = "POST /p HTTP/1.1\r\nHost: 10.0.0.3\r\nAuthorization: Basic bWU6cHc=\r\nUser-Agent: curl/7.88.1\r\n\
                   Content-Length: 7\r\nContent-Type: application/x-www-form-urlencoded\r\nX-A: 1\r\n\r\na=b&c=d";
    assert_eq!(server.text(), request);
    server.stdin.close_writer();
    assert_eq!((world.finish(&client), client.text()), (52, String::new()));
    let proxied = listening(&["3128"]);
    let through = proxied.run("a", "curl -s -x 10.0.0.3:3128 http://10.1.0.2/");
    assert_eq!(through, text("b sees 10.0.0.2\n", 0));
    let direct = proxied.sh("a", "HTTP_PROXY=http://10.0.0.3:3128 curl -s http://10.1.0.2/");
    assert_eq!(direct.1, 7, "curl does not read HTTP_PROXY");
}

#[test]
fn servers_that_speak_no_http_take_a_connection_and_give_no_page() {
    let world = listening(&["5432/tcp", "80/tcp"]);
    assert_eq!(world.run("a", "nc -z 10.0.0.3 5432"), text("", 0));
    assert_eq!(world.run("a", "curl -s http://10.0.0.3/any/path").1, 0);
    let garbage = "curl: (1) Received HTTP/0.9 when not allowed\n";
    assert_eq!(world.run("a", "curl -sS http://10.0.0.3:5432/"), text(garbage, 1));
    assert_eq!(world.run("a", "wget -qO- http://10.0.0.3:5432/").1, 1);
}

#[test]
fn clients_of_databases_ask_the_servers_port() {
    let world = listening(&["5432", "6379", "3306", "27017", "25672"]);
    let run = |line: &str| world.run("a", line);
    assert_eq!(run("pg_isready -h 10.0.0.3 -U me"), text("10.0.0.3:5432 - accepting connections\n", 0));
    assert_eq!(run("pg_isready -h 10.0.0.3 -p 99"), text("10.0.0.3:99 - no response\n", 2));
    assert_eq!(run("pg_isready -q"), text("", 2));
    assert_eq!(run("pg_isready"), text("/var/run/postgresql:5432 - no response\n", 2));
    assert_eq!(world.run("b", "pg_isready").1, 0);
    assert_eq!(run("pg_isready -z").1, 3);
    assert_eq!(run("redis-cli -h 10.0.0.3 ping"), text("PONG\n", 0));
    let refused = "Could not connect to Redis at 127.0.0.1:6379: Connection refused\n";
    assert_eq!(run("redis-cli ping"), text(refused, 1));
    assert_eq!(run("redis-cli -h 10.0.0.3 set a b"), text("redis-cli: only `ping` can be asked here\n", 1));
    assert_eq!(run("mysqladmin ping -h 10.0.0.3 -uroot -psecret"), text("mysqld is alive\n", 0));
    assert_eq!(run("mysqladmin ping -s"), text("", 1));
    assert!(run("mysqladmin ping").0.contains("Can't connect to local MySQL server through socket"));
    assert_eq!(run("mongosh --host 10.0.0.3 --eval db.runCommand('ping').ok"), text("1\n", 0));
    assert_eq!(
        world.sh("a", "echo 'db.adminCommand(\"ping\")' | mongo 10.0.0.3:27017/t"),
        text("{ \"ok\" : 1 }\n", 0)
    );
    assert_eq!(run("mongosh --eval db.drop()").1, 1);
    assert_eq!(world.run("b", "healthcheck.sh --connect"), text("", 0));
    assert_eq!(run("healthcheck.sh --connect").1, 1);
    assert_eq!(world.run("b", "rabbitmq-diagnostics -q ping"), text("", 0));
    assert_eq!(run("rabbitmq-diagnostics -q ping").1, 69);
    assert_eq!(run("nc -z 10.0.0.3 5432"), text("", 0));
}

#[test]
fn wget_sends_what_it_is_told_and_keeps_files() {
    let world = serving();
    assert_eq!(world.run("a", "wget -q http://10.0.0.3/"), text("", 0));
    assert_eq!(
        world.run("a", "wget -q http://10.0.0.3/"),
        text("wget: can't open 'index.html': File exists\n", 1)
    );
    assert_eq!(world.run("a", "wget -q -O index.html http://10.0.0.3/"), text("", 0));
    assert_eq!(world.run("a", "wget -q --no-check-certificate -O- http://10.0.0.3/"), text("Welcome\n", 0));
    assert!(
        world.run("a", "wget").0.contains("\t--header STR\tAdd STR (of form 'header: value') to headers\n")
    );
    let server = world.start("far", &["nc", "-l", "-p", "80"]);
    world.settle();
    world.file("/body", "x=y\n");
    let words = ["wget", "-qO-", "--header", "Host: other", "--post-file", "/body", "http://10.1.0.2/p"];
    let client = world.start("a", &words);
    server.stdin.close_writer();
    assert_eq!(world.finish(&client), 1);
    let request = "POST /p HTTP/1.1\r\nUser-Agent: Wget\r\nConnection: close\r\nHost: other\r\n\
                   Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 4\r\n\r\nx=y\n";
    assert_eq!(server.text(), request);
    let absent = "wget: can't open '/nosuch': No such file or directory\n";
    assert_eq!(world.run("a", "wget -qO- --post-file /nosuch http://10.0.0.3/"), text(absent, 1));
}

/// Runs lines of `COMMAND => OUTPUT STATUS` on `host`, which may change everything.
fn changes(script: &str) {
    let world = World::new();
    for line in script.lines() {
        let (command, expected) = line.trim().split_once(" => ").unwrap();
        let (output, status) = world.run("host", command);
        assert_eq!(format!("{}{status}", output.replace('\n', " ")), expected, "{command}");
    }
}

#[test]
fn route_changes_routes_with_the_kernels_answers() {
    changes(
        "route add default gw 10.0.0.9 => 0
         route add default gw 10.0.0.9 => route: SIOCADDRT: File exists 1
         route add default gw 1.2.3.4 => route: SIOCADDRT: Network is unreachable 1
         route add default => route: SIOCADDRT: No such device 1
         route add -net 10.20.0.0/16 gw 10.0.0.9 => 0
         route add -net 10.21.0.0 netmask 255.255.0.0 dev br0 => 0
         route add -net 10.22.1.0 netmask 255.255.0.0 dev br0 => route: netmask and route address conflict 1
         route add 10.32.0.0/16 br0 => route: netmask 0000ffff and host route conflict 1
         route add -host 10.30.0.1 dev br0 metric 5 => 0
         route add x gw 10.0.0.9 => route: resolving x 1
         route add -net 10.34.0.0/16 dev eth9 => route: SIOCADDRT: No such device 1
         ip route show 10.20.0.0/16 => 10.20.0.0/16 via 10.0.0.9 dev br0  0
         route del -host 10.30.0.1 => 0
         route del default => 0
         route del default => route: SIOCDELRT: No such process 1
         route del -net 10.21.0.0 netmask 255.255.0.0 dev br0 => 0
         route del -net 10.21.0.0/16 => route: SIOCDELRT: No such process 1",
    );
    let world = World::new();
    let refused = "route: SIOCADDRT: Operation not permitted\n";
    assert_eq!(world.run("a", "route add -net 10.20.0.0/16 gw 10.0.0.3"), text(refused, 1));
}

#[test]
fn ifconfig_changes_devices_with_the_kernels_answers() {
    changes(
        "ifconfig br0 10.0.0.1 netmask 255.255.255.0 up => 0
         ifconfig br0 10.9.2.1 netmask 255.255.255.0 => 0
         ip -4 -o addr show br0 => 2: br0    inet 10.9.2.1/24 brd 10.9.2.255 scope global br0\\       valid_lft forever preferred_lft forever 0
         ifconfig br0 10.9.3.1/28 => ifconfig: bad address '10.9.3.1/28' 1
         ifconfig br0 frob => ifconfig: bad address 'frob' 1
         ifconfig eth9 up => ifconfig: SIOCGIFFLAGS: No such device 1
         ifconfig eth9 1.2.3.4 => ifconfig: SIOCSIFADDR: No such device 1
         ifconfig vfar mtu 10 => ifconfig: SIOCSIFMTU: Invalid argument 1
         ifconfig vfar mtu 1400 => 0
         cat /sys/class/net/vfar/mtu => 1400 0
         ifconfig vfar down => 0
         cat /sys/class/net/vfar/operstate => down 0
         ifconfig vfar hw ether 02:00:00:00:00:77 => 0
         cat /sys/class/net/vfar/address => 02:00:00:00:00:77 0
         ifconfig vfar 0.0.0.0 => 0
         ip -4 addr show vfar up => 0",
    );
    let world = World::new();
    let refused = "ifconfig: SIOCSIFFLAGS: Operation not permitted\n";
    assert_eq!(world.run("a", "ifconfig eth0 down"), text(refused, 1));
    assert_eq!(world.run("a", "ifconfig eth9 down"), text("ifconfig: SIOCGIFFLAGS: No such device\n", 1));
}

#[test]
fn arp_makes_and_removes_entries() {
    changes(
        "arp -s 10.0.0.7 02:00:00:00:00:09 => 0
         arp -n 10.0.0.7 => ? (10.0.0.7) at 02:00:00:00:00:09 [ether] PERM on br0 0
         ip neigh show dev br0 => 10.0.0.7 lladdr 02:00:00:00:00:09 used 0/0/0 probes 0 PERMANENT 0
         arp -d 10.0.0.7 => 0
         arp -d 10.0.0.7 => arp: SIOCDARP(pub): No such file or directory 1
         arp -s 10.0.0.7 => arp: need hardware address 1
         arp -s 10.0.0.7 zz => arp: invalid hardware address 1
         arp -i eth9 -s 10.0.0.8 02:00:00:00:00:0a => arp: SIOCSARP: No such device 1
         arp -s 99.9.0.7 02:00:00:00:00:09 => arp: SIOCSARP: Network is unreachable 1
         arp -d => arp: need host name 1",
    );
    let world = World::new();
    let refused = "arp: SIOCSARP: Operation not permitted\n";
    assert_eq!(world.run("a", "arp -s 10.0.0.7 02:00:00:00:00:09"), text(refused, 1));
    world.run("a", "ping -c1 10.0.0.3");
    assert_eq!(world.run("a", "arp -d 10.0.0.3"), text("arp: SIOCDARP(priv): Operation not permitted\n", 1));
}

#[test]
fn neighbours_are_shown_with_references_and_probes() {
    let world = World::new();
    world.run("a", "ping -c1 -W1 10.0.0.3");
    world.run("a", "ping -c1 -W5 10.0.0.9");
    let shown = "10.0.0.3 dev eth0 lladdr 02:42:0a:00:00:03 ref 1 used 0/0/0 probes 4 REACHABLE\n\
                 10.0.0.9 dev eth0  used 0/0/0 probes 6 FAILED\n";
    assert_eq!(world.run("a", "ip neigh"), text(shown, 0));
}

#[test]
fn a_device_too_small_for_ipv6_has_none() {
    let world = World::new();
    world.run("host", "sysctl -w net.ipv6.conf.all.disable_ipv6=0");
    world.run("host", "ip link add d0 type dummy");
    world.run("host", "ip link set d0 up");
    world.run("host", "ip -6 addr add 2001:db8::1/64 dev d0");
    let inet6 = || world.run("host", "ip -6 -o addr show dev d0").0.matches("inet6").count();
    assert_eq!(inet6(), 2);
    world.run("host", "ip link set d0 mtu 1279");
    assert_eq!((inet6(), world.run("host", "ip -6 route show dev d0").0.as_str()), (0, ""));
    let refused = "ip: RTNETLINK answers: Invalid argument\n";
    assert_eq!(world.run("host", "ip -6 addr add 2001:db8::1/64 dev d0"), text(refused, 2));
    world.run("host", "ip link set d0 mtu 1280");
    assert_eq!(inet6(), 1, "the link-local address comes back");
}

#[test]
fn tcp_gets_through_the_smallest_mtu() {
    let world = serving();
    world.file("/www/index.html", &"0123456789".repeat(50));
    for (namespace, port) in [("a", "va"), ("b", "vb")] {
        world.run("host", &format!("ip link set {port} mtu 68"));
        let powers = Powers { privilege: Privilege::NetAdmin, raw: true };
        world.start_as(namespace, powers, &["ip", "link", "set", "eth0", "mtu", "68"]);
    }
    world.settle();
    assert_eq!(world.run("a", "wget -T 20 -qO- http://10.0.0.3/"), text(&"0123456789".repeat(50), 0));
}

#[test]
fn cat_shows_what_is_invisible() {
    let world = World::new();
    world.file("/t", "a\tb\u{1}\n\nc\n");
    let run = |line: &str| world.run("a", line).0;
    assert_eq!(run("cat -A /t"), "a^Ib^A$\n$\nc$\n");
    assert_eq!(run("cat -n /t"), "     1\ta\tb\u{1}\n     2\t\n     3\tc\n");
    assert_eq!(run("cat -b /t"), "     1\ta\tb\u{1}\n\n     2\tc\n");
    assert_eq!(run("cat -n /t /t").lines().last(), Some("     6\tc"));
    assert!(run("cat -Z").starts_with("cat: unrecognized option: Z\nBusyBox v1.35.0"));
    assert_eq!(run("head -c 5 /dev/zero"), "\0\0\0\0\0");
    assert_eq!(world.sh("a", "cat /dev/zero | head -c 3 | cat -v"), text("^@^@^@", 0));
}

#[test]
fn the_kernels_files_are_read_and_written() {
    let world = World::new();
    assert_eq!(world.run("host", "cat /proc/sys/net/ipv4/ip_forward"), text("1\n", 0));
    assert_eq!(
        world.sh("host", "echo 0 > /proc/sys/net/ipv4/ip_forward; sysctl net.ipv4.ip_forward").0,
        "net.ipv4.ip_forward = 0\n"
    );
    assert_eq!(world.run("a", "cat /sys/class/net/eth0/mtu"), text("1500\n", 0));
    world.run("a", "ping -c1 10.0.0.3");
    let (table, _) = world.run("a", "cat /proc/net/dev");
    let line = table.lines().find(|line| line.trim_start().starts_with("eth0:")).unwrap();
    assert_eq!(line.split_whitespace().nth(2), Some("2"), "{table}");
    assert_eq!(world.run("a", "ls /sys/class/net"), text("eth0\nlo\n", 0));
    assert_ne!(world.sh("a", "echo 1 > /proc/sys/net/ipv4/ip_forward").1, 0);
}

#[test]
fn ping_takes_a_device_behind_an_address() {
    let world = World::new();
    assert_eq!(world.run("a", "ping -c1 -W1 fe80::1%eth9"), text("ping: bad address 'fe80::1%eth9'\n", 1));
    assert!(world.run("a", "ping").0.contains("\t-p HEXBYTE\tPayload pattern\n"));
    assert!(world.run("a", "timeout -t 1 sleep 5").0.starts_with("timeout: unrecognized option: t\n"));
}

#[test]
fn files_are_made_copied_and_removed() {
    let world = World::new();
    let sh = |script: &str| world.sh("a", script);
    assert_eq!(
        sh("mkdir -p /d/e && echo x | tee /d/f; cat /d/f; rm -rf /d; cat /d/f").0,
        "x\nx\ncat: can't open '/d/f': No such file or directory\n"
    );
    assert_eq!(
        sh("touch /t; cat /t; rm /t; rm /t"),
        text("rm: can't remove '/t': No such file or directory\n", 1)
    );
    assert_eq!(sh("rm -f /t; echo a > /t; echo b | tee -a /t >/dev/null; cat /t").0, "a\nb\n");
    assert_eq!(sh("mkdir /t"), text("mkdir: can't create directory '/t': File exists\n", 1));
    assert_eq!(sh("which curl nosuch ls"), text("/bin/curl\n/bin/ls\n", 1));
    assert_eq!(sh("sleep 61; date; date +%s"), text("Thu Jan  1 00:01:01 UTC 2026\n1767225661\n", 0));
}

#[test]
fn text_is_cut_edited_and_handed_on() {
    let world = World::new();
    let sh = |script: &str| world.sh("a", script);
    assert_eq!(sh("printf 'a:b:c\\nd\\n' | cut -d: -f2-"), text("b:c\nd\n", 0));
    assert_eq!(sh("printf 'a:b:c\\nd\\n' | cut -s -d: -f1,3"), text("a:c\n", 0));
    assert_eq!(sh("echo abcdef | cut -c2-4"), text("bcd\n", 0));
    assert_eq!(sh("echo 'a b' | xargs echo x"), text("x a b\n", 0));
    assert_eq!(sh("echo 'a b' | xargs -n 1 echo x"), text("x a\nx b\n", 0));
    assert_eq!(sh("printf 'a\\nb\\n' | xargs -I{} echo '<{}>'"), text("<a>\n<b>\n", 0));
    assert_eq!(sh("echo a | xargs nosuch").1, 127);
    assert_eq!(sh("printf '1.2.3.4/24 x\\n' | sed 's/\\/.*//'"), text("1.2.3.4\n", 0));
    assert_eq!(sh("echo aXbX | sed 's/X/<&>/g'"), text("a<X>b<X>\n", 0));
    assert_eq!(sh("printf 'a\\nb\\nc\\n' | sed -n '2p;$p'"), text("b\nc\n", 0));
    assert_eq!(sh("printf 'a\\nb\\nc\\n' | sed '/b/d'"), text("a\nc\n", 0));
    assert_eq!(sh("printf 'a\\nb\\nc\\n' | sed -e 1,2d"), text("c\n", 0));
    assert_eq!(sh("echo a | sed 'y/a/b/'"), text("sed: unsupported command y\n", 1));
    assert_eq!(sh("echo a | sed 's/\\(a\\)\\1/b/'").1, 1);
}

#[test]
fn every_name_that_is_offered_is_a_program() {
    for name in super::NAMES {
        assert!(super::find(name).is_some(), "{name}");
    }
}

#[test]
fn conntrack_lists_and_forgets_connections() {
    let world = World::new();
    let said = |count: u8, done: &str| {
        format!("conntrack v1.4.7 (conntrack-tools): {count} flow entries have been {done}.\n")
    };
    let flow = |port: u16| {
        format!(
            "udp      17 29 src=10.0.0.2 dst=10.1.0.2 sport={port} dport=5000 [UNREPLIED] src=10.1.0.2 dst=10.0.0.2 \
             sport=5000 dport={port} mark=0 use=1\n"
        )
    };
    let run = |line: &str| {
        let (text, status) = world.run("host", line);
        // How long they have to live is not what this is about.
        let text = (0..=30).fold(text, |text, left| text.replace(&format!(" 17 {left} "), " 17 29 "));
        (text, status)
    };
    // Nothing is tracked before a rule asks for it.
    world.run("host", "iptables -A FORWARD -m conntrack --ctstate NEW -j ACCEPT");
    world.run("far", "iptables -A OUTPUT -p icmp -j DROP");
    for port in [4000, 4001, 4002] {
        world.sh("a", &format!("echo x | timeout 1 nc -u -w 1 -p {port} 10.1.0.2 5000"));
    }
    world.run("a", "ping -c1 -W1 10.1.0.2");
    assert_eq!(run("conntrack -C"), ("4\n".to_owned(), 0));
    assert_eq!(run("conntrack -D -s 10.9.9.9"), (said(0, "deleted"), 1));
    let (listed, _) = run("conntrack -L -p udp --dport 5000");
    assert!(listed.ends_with(&said(3, "shown")), "{listed}");
    let one = run("conntrack -D -s 10.0.0.0/24 -p udp --dport 5000 --orig-port-src 4001");
    assert_eq!(one, (flow(4001) + &said(1, "deleted"), 0));
    assert_eq!(run("conntrack -D -p icmp").1, 0);
    assert_eq!(run("conntrack -L -r 10.1.0.2 -q 10.0.0.2 -f ipv4").0.lines().count(), 3);
    assert_eq!(run("conntrack -L -n").0, said(0, "shown"));
    assert_eq!(run("conntrack -L -f ipv6").0, said(0, "shown"));
    let emptied = "conntrack v1.4.7 (conntrack-tools): connection tracking table has been emptied.\n";
    assert_eq!(run("conntrack -F"), (emptied.to_owned(), 0));
    assert_eq!(run("conntrack -C").0, "0\n");
    for (line, complaint) in [
        ("conntrack -D --dport 5000", "unknown option `--dport'"),
        ("conntrack -Z", "unknown option `-Z'"),
        ("conntrack -L -s", "option `-s' requires an argument"),
        ("conntrack -D -p bogus", "`bogus' unsupported protocol"),
        ("conntrack -D -s bogus", "Invalid IP address `bogus'"),
        ("conntrack -D -L", "Invalid commands combination"),
        ("conntrack -C -p udp", "Illegal option `--protonum' with this command"),
    ] {
        let prefix = "conntrack v1.4.7 (conntrack-tools): ";
        let hint = "Try `conntrack -h' or 'conntrack --help' for more information.";
        assert_eq!(run(line), (format!("{prefix}{complaint}\n{prefix}{hint}\n"), 2), "{line}");
    }
}

/// Programs that write without end, as a scenario's step or in a container's command.
const ENDLESS: &[&str] = &[
    "seq 1 999999999999 > /dev/null",
    "seq 999999999999 | wc -l",
    "cat /dev/zero > /dev/null",
    "cat /dev/zero | cat > /dev/null",
    "head -c 1000000000000 /dev/zero > /dev/null",
    "echo a > /a; while true; do cat /a /a > /b; cat /b > /a; done",
];

#[test]
fn who_writes_without_end_lets_time_pass() {
    for endless in ENDLESS {
        let world = World::new();
        let writing = world.start("a", &["sh", "-c", endless]);
        writing.stdin.close_writer();
        let ping = world.sh("b", "ping -c 2 10.0.0.2 | grep -c ttl=");
        assert_eq!(ping, ("2\n".to_owned(), 0), "{endless}");
        assert!(world.engine.borrow().now().as_secs() >= 1, "{endless}");
        assert_eq!(writing.status(), None, "{endless}");
    }
}

#[test]
fn counting_and_translating_keep_nothing_of_their_input() {
    // What is open when the rest has not come yet: tr passes on what it has, and neither waits for the end.
    let world = World::new();
    let translating = world.start("a", &["tr", "-s", "a", "b"]);
    let write = |text: &str| {
        let stdin = translating.stdin.clone();
        let bytes = text.as_bytes().to_vec();
        let mut writing = Box::pin(async move { stdin.write_all(&bytes).await });
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(std::future::Future::poll(writing.as_mut(), &mut context).is_ready());
        world.settle();
    };
    write("aa");
    assert_eq!(translating.text(), "b");
    write("aac");
    assert_eq!(translating.text(), "c");
    assert_eq!(world.sh("a", "printf 'a b\\nc' | wc").0, "        1         3         5\n");
    assert_eq!(world.sh("a", "seq 100000 | wc").0, "   100000    100000    588895\n");
}
