//! Interface numbers as a real engine's host and containers show them: each namespace counts for itself. What is expected of 28
//! is what `ip link` and `/sys/class/net` of a real 28.5.2 showed after the same commands; of 20.10, whose recordings have
//! `54: eth0@if55` and `58: eth1@if59`, that each pair takes two numbers of the host, the container's end the lower.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod recorded;

use linkspan::docker::profile::Profile;
use recorded::Stage;

/// `NUMBER: NAME@PEER` of each line of `ip link`.
fn links(text: &str) -> Vec<String> {
    let heads = text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit()));
    heads.map(|line| line.split(": <").next().unwrap().to_owned()).collect()
}

fn inside(stage: &mut Stage, container: &str) -> Vec<String> {
    links(&stage.docker(&format!("docker exec {container} ip link")).text())
}

/// Numbers and peers of the host's interfaces; names of bridges and veths are random.
fn host(stage: &mut Stage) -> Vec<String> {
    let named = |line: String| {
        let (number, name) = line.split_once(": ").unwrap();
        let (name, peer) = name.split_once('@').unwrap_or((name, ""));
        let name = ["br-", "veth"].into_iter().find(|start| name.starts_with(start)).unwrap_or(name);
        format!("{number} {name} {peer}").trim_end().to_owned()
    };
    links(&stage.on_host("ip link").text()).into_iter().map(named).collect()
}

fn run(stage: &mut Stage, lines: &[&str]) {
    for line in lines {
        let answer = stage.docker(line);
        assert_eq!(answer.exit, 0, "{line}: {}", answer.text());
    }
}

const BEGIN: [&str; 5] = [
    "docker network create app",
    "docker network create db",
    "docker run -d --name a1 --network app busybox sleep 10000",
    "docker run -d --name a2 --network app busybox sleep 10000",
    "docker network connect db a1",
];

#[test]
fn containers_of_28_count_from_two() {
    let mut stage = Stage::of(Profile::Docker28, "");
    run(&mut stage, &BEGIN);
    let devices = ["1 lo", "2 eth0", "3 lan0", "4 docker0", "5 br-", "6 br-"];
    let cables = ["7 veth if2", "8 veth if2", "9 veth if3"];
    assert_eq!(host(&mut stage), [&devices[..], &cables].concat());
    assert_eq!(inside(&mut stage, "a1"), ["1: lo", "2: eth0@if7", "3: eth1@if9"]);
    assert_eq!(inside(&mut stage, "a2"), ["1: lo", "2: eth0@if8"]);
    let files = "cat /sys/class/net/lo/iflink /sys/class/net/eth1/ifindex /sys/class/net/eth1/iflink";
    assert_eq!(stage.docker(&format!("docker exec a1 {files}")).text(), "1\n3\n9\n");

    // What leaves a container passes the host, where 2 and 3 are taken.
    run(&mut stage, &["docker network disconnect db a1", "docker network connect db a1"]);
    assert_eq!(inside(&mut stage, "a1"), ["1: lo", "2: eth0@if7", "4: eth1@if11"]);
    run(&mut stage, &["docker network disconnect app a1", "docker network connect app a1"]);
    assert_eq!(inside(&mut stage, "a1"), ["1: lo", "4: eth1@if11", "5: eth0@if13"]);

    // A macvlan is made on the host, keeps the number it got there, and that is free when it comes back.
    run(
        &mut stage,
        &[
            "docker network create -d macvlan -o parent=lan0 --subnet 192.168.50.0/24 --ip-range 192.168.50.64/27 mv",
            "docker run -d --name m1 --network mv busybox sleep 10000",
            "docker network connect mv a2",
        ],
    );
    assert_eq!(inside(&mut stage, "m1"), ["1: lo", "14: eth0@if3"]);
    assert_eq!(inside(&mut stage, "a2"), ["1: lo", "2: eth0@if8", "15: eth1@if3"]);
    run(&mut stage, &["docker restart -t 0 a2"]);
    assert_eq!(inside(&mut stage, "a2"), ["1: lo", "2: eth0@if17", "18: eth1@if3"]);
    run(
        &mut stage,
        &[
            "docker create --name n2 --network app busybox sleep 1000",
            "docker network connect db n2",
            "docker network connect bridge n2",
            "docker start n2",
        ],
    );
    assert_eq!(inside(&mut stage, "n2"), ["1: lo", "2: eth0@if19", "3: eth1@if20", "4: eth2@if21"]);
    let cables = ["11 veth if4", "13 veth if5", "17 veth if2", "19 veth if2", "20 veth if3", "21 veth if4"];
    assert_eq!(host(&mut stage), [&devices[..], &cables].concat());
}

#[test]
fn containers_of_20_10_have_the_hosts_numbers() {
    let mut stage = Stage::of(Profile::Docker20_10, "");
    run(&mut stage, &BEGIN);
    let cables = ["8 veth if7", "10 veth if9", "12 veth if11"];
    let devices = ["1 lo", "2 eth0", "3 lan0", "4 docker0", "5 br-", "6 br-"];
    assert_eq!(host(&mut stage), [&devices[..], &cables].concat());
    assert_eq!(inside(&mut stage, "a1"), ["1: lo", "7: eth0@if8", "11: eth1@if12"]);
    assert_eq!(inside(&mut stage, "a2"), ["1: lo", "9: eth0@if10"]);
    run(&mut stage, &["docker network disconnect db a1", "docker network connect db a1"]);
    assert_eq!(inside(&mut stage, "a1"), ["1: lo", "7: eth0@if8", "13: eth2@if14"]);
    // As in the host, a cable of one's own: the other end is made first.
    assert_eq!(stage.on_host("ip link add left type veth peer name right").exit, 0);
    let text = links(&stage.on_host("ip link").text());
    assert_eq!(text[text.len() - 2..], ["15: right@left", "16: left@right"]);
}
