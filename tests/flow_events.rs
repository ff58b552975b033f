//! `conntrack -E` beside a client, and what it prints: the words of conntrack-tools 1.4.7 on Linux 6.18 for the same traffic.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::time::Duration;

use linkspan::lab::Lab;

const FILE: &str = "\
services:
  web:
    image: nginx
    networks: {front: {ipv4_address: 172.30.0.10}}
  client:
    image: busybox
    command: sleep infinity
    networks: {front: {ipv4_address: 172.30.0.20}}
networks:
  front:
    ipam: {config: [{subnet: 172.30.0.0/24}]}
";

const WEB: &str = "172.30.0.10";
const CLIENT: &str = "172.30.0.20";

fn lab() -> Lab {
    Lab::builder().text(FILE).build().unwrap()
}

/// Listens on the host until `seconds` are over.
fn listen(lab: &mut Lab, options: &str, seconds: u32) {
    lab.exec("host", &format!("timeout {seconds} conntrack -E {options} > /tmp/heard 2>&1 &"))
        .assert_success();
    lab.advance(Duration::from_millis(1)).unwrap();
}

/// The lines that were heard, with what programs choose masked.
fn heard(lab: &mut Lab) -> Vec<String> {
    let text = lab.exec("host", "cat /tmp/heard").text().to_owned();
    let mask = |line: &str| {
        let words = line.split(' ').map(|word| match word.split_once('=') {
            Some((name @ ("sport" | "dport"), port)) if port.len() == 5 => format!("{name}=PORT"),
            Some(("id", _)) => "id=ID".to_owned(),
            _ => word.to_owned(),
        });
        words.collect::<Vec<_>>().join(" ")
    };
    text.lines().map(mask).collect()
}

/// The two directions of the client's connections to a port of web.
fn ends(port: u16) -> [String; 2] {
    let (client, web) = (CLIENT, WEB);
    [
        format!("src={client} dst={web} sport=PORT dport={port}"),
        format!("src={web} dst={client} sport={port} dport=PORT"),
    ]
}

#[test]
fn a_connection_is_told_from_its_first_packet_to_its_end() {
    let mut lab = lab();
    listen(&mut lab, "-p tcp", 300);
    lab.exec("client", "wget -qO- http://web/").assert_success();
    lab.advance(Duration::from_secs(200)).unwrap();
    let [there, back] = ends(80);
    let expected = [
        format!("    [NEW] tcp      6 120 SYN_SENT {there} [UNREPLIED] {back}"),
        format!(" [UPDATE] tcp      6 60 SYN_RECV {there} {back}"),
        format!(" [UPDATE] tcp      6 432000 ESTABLISHED {there} {back} [ASSURED]"),
        format!(" [UPDATE] tcp      6 120 FIN_WAIT {there} {back} [ASSURED]"),
        format!(" [UPDATE] tcp      6 60 CLOSE_WAIT {there} {back} [ASSURED]"),
        format!(" [UPDATE] tcp      6 30 LAST_ACK {there} {back} [ASSURED]"),
        format!(" [UPDATE] tcp      6 120 TIME_WAIT {there} {back} [ASSURED]"),
        format!("[DESTROY] tcp      6 TIME_WAIT {there} {back} [ASSURED]"),
    ];
    assert_eq!(heard(&mut lab), expected);
}

#[test]
fn a_refused_connection_ends_where_it_stands() {
    let mut lab = lab();
    listen(&mut lab, "", 10);
    lab.connect("client", &format!("{WEB}:81")).assert_refused();
    let [there, back] = ends(81);
    let expected = [
        format!("    [NEW] tcp      6 120 SYN_SENT {there} [UNREPLIED] {back}"),
        format!("[DESTROY] tcp      6 120 CLOSE {there} [UNREPLIED] {back}"),
    ];
    assert_eq!(heard(&mut lab), expected);
}

#[test]
fn kinds_and_filters_choose_and_output_says_when() {
    let mut lab = lab();
    listen(&mut lab, "-e NEW,DESTROY -p icmp -o extended,timestamp", 300);
    lab.exec("client", &format!("ping -c 1 {WEB}")).assert_success();
    lab.exec("client", "wget -qO- http://web/").assert_success();
    lab.advance(Duration::from_secs(60)).unwrap();
    let (there, back) = (format!("src={CLIENT} dst={WEB} type=8"), format!("src={WEB} dst={CLIENT} type=0"));
    let expected = [
        format!("[NEW] ipv4     2 icmp     1 30 {there} code=0 id=ID [UNREPLIED] {back} code=0 id=ID"),
        format!("[DESTROY] ipv4     2 icmp     1 {there} code=0 id=ID {back} code=0 id=ID"),
    ];
    let lines = heard(&mut lab);
    assert_eq!(
        lines.iter().map(|line| line.split_once('\t').unwrap().1.trim_start()).collect::<Vec<_>>(),
        expected
    );
    let time = |line: &String| -> f64 { line[1..].split(']').next().unwrap().parse().unwrap() };
    let passed = time(&lines[1]) - time(&lines[0]);
    assert!((29.9..30.1).contains(&passed), "the entry lives for 30 s: {passed}");
}

#[test]
fn what_began_before_and_what_is_deleted() {
    let mut lab = lab();
    lab.exec("client", &format!("ping -c 1 {WEB}")).assert_success();
    listen(&mut lab, "-p icmp", 20);
    lab.exec("client", &format!("ping -c 1 {WEB}")).assert_success();
    lab.exec("host", "conntrack -D -p icmp").assert_success();
    let lines = heard(&mut lab);
    let kinds: Vec<&str> = lines.iter().map(|line| line.trim_start().split(' ').next().unwrap()).collect();
    // The first entry goes too, but its beginning was heard by nobody.
    assert_eq!(kinds, ["[NEW]", "[UPDATE]", "[DESTROY]"]);
    assert!(lines[2].starts_with("[DESTROY] icmp     1 30 "), "{}", lines[2]);
}

#[test]
fn command_lines_that_make_no_sense_are_refused_in_its_words() {
    let mut lab = lab();
    for (line, words) in [
        ("conntrack -E -o foo", "Bad parameter `foo'"),
        ("conntrack -E -e FOO", "Bad parameter `FOO'"),
        ("conntrack -L -e NEW", "Illegal option `--event-mask' with this command"),
        ("conntrack -E -L", "Invalid commands combination"),
    ] {
        lab.exec("host", line).assert_status(2).assert_contains(words);
    }
    lab.exec("client", &format!("ping -c 1 {WEB}")).assert_success();
    lab.exec("host", "conntrack -L -o extended -p icmp").assert_contains("ipv4     2 icmp     1 30 src=");
}
