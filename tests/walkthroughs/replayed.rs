//! Which walkthroughs are replayed, what their recordings say, and which commands may print something else.

use std::path::Path;

use linkspan::docker::profile::Profile;

/// What linkspan offers to a walkthrough.
const OFFERED: [&str; 6] = ["docker", "host", "outside", "dig", "daemon", "tty"];

/// Walkthrough, command, and why it prints something else than the real engine did.
pub(crate) type Difference = (&'static str, &'static str, &'static str);

/// What an era's recordings are known to show otherwise.
pub(crate) fn differences(profile: Profile) -> Vec<Difference> {
    let own = match profile {
        Profile::Docker20_10 => DIFFERENT_20_10,
        Profile::Docker28 | Profile::Docker29 => DIFFERENT_28,
    };
    [DIFFERENT, own].concat()
}

/// Every list.
#[allow(dead_code, reason = "each test file uses a part")]
pub(crate) const ALL_DIFFERENCES: [&[Difference]; 3] = [DIFFERENT, DIFFERENT_20_10, DIFFERENT_28];

/// What differs from both engines.
const DIFFERENT: &[Difference] = &[
    (
        "03-attach",
        r#"ttyx 'docker attach container1' 'ip -4 addr' 'ping -w3 172.17.0.3' 'cat /etc/hosts' '^P^Q'"#,
        TERMINAL,
    ),
    ("03-attach", r#"ttyx 'docker attach nonenetcontainer' 'cat /etc/hosts' 'ip -4 addr' '^P^Q'"#, TERMINAL),
    ("03-attach", r#"ttyx 'docker attach container2' 'hostname -i' 'exit'"#, TERMINAL),
    ("03-attach", r#"docker ps -a --format '{{.Names}} {{.State}}'"#, TERMINAL),
    ("03-attach", r#"docker attach container2"#, TERMINAL),
    ("03-attach", r#"ttyx 'docker run -it --rm --name fg busybox' 'echo hi' 'exit'"#, TERMINAL),
    ("03-attach", r#"ttyx 'docker exec -it container1 sh' 'hostname -i' 'exit'"#, TERMINAL),
    ("03-attach", r#"docker run -it busybox"#, TERMINAL),
    (
        "35-macvlan-modes",
        r#"docker network create -d macvlan --subnet 192.168.60.0/24 --gateway 192.168.60.1 -o parent=lan0.10 vlan10"#,
        KERNEL,
    ),
    ("35-macvlan-modes", r#"docker network create -d macvlan --subnet 192.168.63.0/24 noparent"#, KERNEL),
    ("35-macvlan-modes", r#"docker run -itd --name i2 --network noparent busybox"#, KERNEL),
    ("35-macvlan-modes", r#"docker run -itd --name ip1 --network ipv busybox"#, KERNEL),
    ("35-macvlan-modes", r#"docker network rm vlan10 vlanbad internalmv noparent ipv ipv3 ipv4"#, KERNEL),
    ("44-events-logs", r#"docker run --name l3 nosuchimage true"#, IMAGES),
];

/// What differs from 20.10.24 alone.
const DIFFERENT_20_10: &[Difference] = &[("90-refusals", r#"docker run -d --restart bogus nginx"#, POLICY)];

/// What differs from 28.5.2 alone.
const DIFFERENT_28: &[Difference] = &[
    ("44-events-logs", r#"docker run --name l2 busybox nosuchcmd"#, RUNTIME),
    ("44-events-logs", r#"docker exec l4 nosuchcmd"#, RUNTIME),
    (
        "90-refusals",
        r#"docker run -d --hostname aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa busybox"#,
        RUNTIME,
    ),
    ("90-refusals", r#"docker run -d --network host --sysctl net.ipv4.ip_forward=1 busybox"#, RUNTIME),
];

const TERMINAL: &str = "nobody sits at a terminal here: there is nothing to attach to or type at";
const KERNEL: &str =
    "the recording's kernel has no 802.1Q, dummy or ipvlan devices; kernel documentation decides";
const IMAGES: &str = "there is no registry, and every image is at hand";
const RUNTIME: &str = "the recording ran with runc 1.1.5 and containerd 2.1.9; 28.5.2 is published with runc 1.3.3 and \
     containerd 1.7.28";
const POLICY: &str = "the client answers for the daemon here, in the words of 28";

/// What a walkthrough needs and is not offered.
pub(crate) fn missing(walkthrough: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(walkthrough).unwrap();
    let needs = text.lines().filter_map(|line| line.strip_prefix("# needs:"));
    needs.flat_map(str::split_whitespace).filter(|word| !OFFERED.contains(word)).map(str::to_owned).collect()
}

/// A transcript's commands and what each printed, its status included.
pub(crate) fn commands(transcript: &str) -> Vec<(&str, &str)> {
    let mut begins: Vec<usize> = transcript.match_indices("\n$ ").map(|(at, _)| at + 1).collect();
    if transcript.starts_with("$ ") {
        begins.insert(0, 0);
    }
    let ends = begins.iter().skip(1).copied().chain([transcript.len()]);
    begins
        .iter()
        .zip(ends)
        .map(|(begin, end)| transcript[begin + 2..end].split_once('\n').unwrap_or_default())
        .collect()
}
