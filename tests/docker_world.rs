//! Docker's behaviour that takes time or needs processes: command lines on the stage a real engine was recorded on, their
//! output, their status and the virtual time they take.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test fails loudly")]

mod recorded;

use std::time::Duration;

use linkspan::docker::daemon::DaemonConfig;
use linkspan::docker::profile::Profile;

use recorded::Stage;

fn seconds(stage: &Stage) -> u64 {
    stage.world.now().as_secs()
}

#[test]
fn stop_waits_for_who_does_not_listen_and_not_for_a_server() {
    let mut stage = Stage::new("");
    stage.ok("docker run -d --name web nginx");
    stage.ok("docker run -d --name deaf busybox sleep 600");
    stage.ok("docker run -d --name also busybox sleep 600");
    assert_eq!(stage.ok("docker stop web"), "web\n");
    assert_eq!(
        (stage.ok("docker inspect -f '{{.State.ExitCode}}' web"), seconds(&stage)),
        ("0\n".to_owned(), 0)
    );
    assert_eq!(stage.ok("docker stop deaf also"), "deaf\nalso\n");
    assert_eq!(seconds(&stage), 10, "both have their grace period at the same time");
    assert_eq!(stage.ok("docker inspect -f '{{.State.ExitCode}} {{.State.Status}}' deaf"), "137 exited\n");
    assert_eq!(stage.ok("docker wait also"), "137\n");
    stage.ok("docker start deaf also");
    stage.ok("docker stop -t 3 deaf");
    assert_eq!(seconds(&stage), 13);
    stage.ok("docker stop -t 0 also");
    assert_eq!(seconds(&stage), 13);
    assert_eq!(stage.ok("docker wait also"), "137\n");
}

#[test]
fn a_stopped_container_is_there_until_it_ends() {
    let mut stage = Stage::new("");
    stage.ok("docker run -d --name deaf busybox sleep 600");
    let words = linkspan::docker::cli::words::split("docker stop deaf").unwrap();
    let request = linkspan::docker::cli::parse(&words).unwrap().request;
    let mut job = stage.world.request(stage.host, &request).unwrap();
    stage.world.wait(Duration::from_secs(9)).unwrap();
    assert_eq!((job.status(), job.take_output().as_str()), (None, ""));
    assert_eq!(stage.ok("docker exec deaf hostname").len(), 13);
    stage.world.wait(Duration::from_secs(1)).unwrap();
    assert_eq!((job.status(), job.take_output().as_str()), (Some(0), "deaf\n"));
}

/// Runs a line in a container as `docker exec` does: what it printed and its status.
fn exec(stage: &mut Stage, words: &str) -> (String, u8) {
    let answer = stage.docker(&format!("docker exec {words}"));
    (answer.text(), answer.exit)
}

/// A stage whose daemon is of this profile.
fn stage_of(profile: Profile) -> Stage {
    Stage::with(DaemonConfig { profile, ..DaemonConfig::default() })
}

const SYSCTLS: &str = "com.docker.network.endpoint.sysctls";

#[test]
fn an_endpoints_settings_are_its_interfaces() {
    let mut stage = stage_of(Profile::Docker28);
    stage.ok("docker network create app");
    stage.ok("docker network create more");
    let list = format!("{SYSCTLS}=net.ipv4.conf.IFNAME.log_martians=1,net.ipv4.conf.IFNAME.forwarding=0");
    stage.ok(&format!("docker run -itd --name web --network 'name=app,\"driver-opt={list}\"' alpine sh"));
    let key = "net.ipv4.conf.eth0.log_martians net.ipv4.conf.eth0.forwarding net.ipv4.conf.eth0.rp_filter";
    assert_eq!(exec(&mut stage, &format!("web sysctl -n {key}")), ("1\n0\n0\n".to_owned(), 0));
    stage.ok(&format!(
        "docker network connect --driver-opt {SYSCTLS}=net.ipv4.conf.IFNAME.rp_filter=2 more web"
    ));
    let keys = "net.ipv4.conf.eth0.rp_filter net.ipv4.conf.eth1.rp_filter net/ipv4/conf/eth1/log_martians";
    assert_eq!(exec(&mut stage, &format!("web sysctl -n {keys}")), ("0\n2\n0\n".to_owned(), 0));
    // They are the endpoint's: the interface is new after a restart, the settings are the same.
    stage.ok("docker restart -t 0 web");
    assert_eq!(exec(&mut stage, &format!("web sysctl -n {keys}")), ("0\n2\n0\n".to_owned(), 0));
    // What is only there for a moment takes its settings along.
    stage.ok("docker network disconnect more web");
    stage.ok("docker network connect more web");
    assert_eq!(exec(&mut stage, &format!("web sysctl -n {keys}")), ("0\n0\n0\n".to_owned(), 0));
}

#[test]
fn disabling_ipv6_on_an_endpoint_takes_its_addresses() {
    let mut stage = stage_of(Profile::Docker28);
    stage.ok("docker network create --ipv6 --subnet fd00:6::/64 app");
    let option = format!("{SYSCTLS}=net.ipv6.conf.IFNAME.disable_ipv6=1");
    stage.ok(&format!("docker run -itd --name web --network name=app,driver-opt={option} alpine sh"));
    let (shown, _) = exec(&mut stage, "web ip addr show eth0");
    assert!(shown.contains("inet 172.18.0.2/16") && !shown.contains("inet6"), "{shown}");
    // A container without IPv6 on its loopback device gets no address of that family to begin with.
    let all = "net.ipv6.conf.all.disable_ipv6";
    stage.ok(&format!("docker run -itd --name none6 --network app --sysctl {all}=1 alpine sh"));
    let addresses = "{{range .NetworkSettings.Networks}}{{.IPAddress}}/{{.GlobalIPv6Address}}{{end}}";
    assert_eq!(stage.ok(&format!("docker inspect -f '{addresses}' none6")), "172.18.0.3/\n");
    assert_eq!(exec(&mut stage, &format!("none6 sysctl {all}")).0, format!("{all} = 1\n"));
}

#[test]
fn settings_of_interfaces_are_refused_in_the_engines_words() {
    let mut stage = stage_of(Profile::Docker28);
    stage.ok("docker network create app");
    stage.ok("docker run -itd --name web alpine sh");
    let told = |answer: recorded::Answer| answer.stderr.lines().next().unwrap_or_default().to_owned();
    let connect = |stage: &mut Stage, setting: &str| {
        told(stage.docker(&format!("docker network connect --driver-opt {SYSCTLS}={setting} app web")))
    };
    assert_eq!(
        connect(&mut stage, "net.ipv4.conf.eth0.rp_filter=1"),
        "Error response from daemon: invalid endpoint settings:",
    );
    let other = stage.docker(&format!(
        "docker network connect --driver-opt {SYSCTLS}=net.ipv4.conf.eth0.rp_filter=1 app web"
    ));
    assert_eq!(
        other.stderr.lines().nth(1),
        Some(
            "unrecognised network interface sysctl 'net.ipv4.conf.eth0.rp_filter=1'; represent 'net.X.Y.ethN.Z=V' as \
             'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'"
        )
    );
    let failed = connect(&mut stage, "net.ipv4.conf.IFNAME.nosuch=1");
    assert!(failed.starts_with("Error response from daemon: failed to add interface veth"), "{failed}");
    assert!(
        failed.ends_with(" to sandbox: /proc/sys/net/ipv4/conf/eth1/nosuch is not a sysctl file"),
        "{failed}"
    );
    // Nothing of the failed attempts is left.
    stage.ok("docker network connect app web");
    assert_eq!(
        stage.ok("docker inspect -f '{{.NetworkSettings.Networks.app.IPAddress}}' web"),
        "172.18.0.2\n"
    );

    let line = "docker run --rm --sysctl net.ipv4.conf.eth0.rp_filter=1 alpine true";
    let refused = stage.docker(line);
    assert_eq!(
        (told(refused.clone()).as_str(), refused.exit),
        (
            "docker: Error response from daemon: interface specific sysctl setting \"net.ipv4.conf.eth0.rp_filter\" must be \
             supplied using driver option 'com.docker.network.endpoint.sysctls'",
            125
        )
    );
    // 20.10 makes the interfaces first, and knows no settings of endpoints.
    let mut stage = Stage::new("");
    let read = "sysctl -n net.ipv4.conf.eth0.rp_filter";
    assert_eq!(
        stage.ok(&format!("docker run --rm --sysctl net.ipv4.conf.eth0.rp_filter=1 alpine {read}")),
        "1\n"
    );
    stage.ok("docker network create app");
    stage.ok(&format!(
        "docker run -itd --name web --network name=app,driver-opt={SYSCTLS}=net.ipv4.conf.eth7.x=1 alpine sh"
    ));
    assert_eq!(exec(&mut stage, "web sysctl -n net.ipv4.conf.eth0.log_martians").0, "0\n");
    let missing = stage.docker("docker run --rm --sysctl net.ipv4.conf.eth5.rp_filter=1 alpine true");
    assert_eq!(
        (told(missing.clone()).as_str(), missing.exit),
        (
            "docker: Error response from daemon: failed to create shim task: OCI runtime create failed: runc create failed: \
             unable to start container process: open /proc/sys/net/ipv4/conf/eth5/rp_filter: no such file or directory: \
             unknown",
            127
        )
    );
    let missing = stage.docker("docker run --rm --sysctl net.foo.bar=1 alpine true");
    let told = told(missing);
    assert!(told.contains("open /proc/sys/net/foo/bar: no such file or directory"), "{told}");
    stage.ok("docker run --rm --sysctl net.core.somaxconn=512 alpine true");
}

#[test]
fn an_address_of_a_group_is_no_interfaces() {
    for (profile, before, after) in [
        (
            Profile::Docker20_10,
            "docker: Error response from daemon: failed to create shim task: OCI runtime create failed: runc create failed: \
             unable to start container process: error during container init: error running hook #0: error running hook: \
             exit status 1, stdout: , stderr: time=\"2026-01-01T00:00:00Z\" level=fatal msg=\"failed to add interface veth",
            " to sandbox: error setting interface \\\"veth<X>\\\" MAC to \\\"ff:ff:ff:ff:ff:ff\\\": cannot assign requested \
             address\": unknown",
        ),
        (
            Profile::Docker28,
            "docker: Error response from daemon: failed to set up container networking: failed to add interface veth",
            " to sandbox: error setting interface \"veth<X>\" MAC to \"ff:ff:ff:ff:ff:ff\": cannot assign requested address",
        ),
    ] {
        let mut stage = stage_of(profile);
        stage.ok("docker network create app");
        // A client as old as the daemon knows no other way to say it.
        let words = "docker run -d --name web --network app --mac-address ff:ff:ff:ff:ff:ff busybox";
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        let answer = stage.docker20_words(&words);
        // The client of that time ends the sentence.
        let told = answer.stderr.lines().next().unwrap_or_default().trim_end_matches('.').to_owned();
        let veth = told.split("interface veth").nth(1).and_then(|rest| rest.get(..7)).unwrap_or_default();
        let masked = told.replace(&format!("veth{veth}"), "veth<X>");
        assert_eq!(masked, format!("{before}<X>{after}").replace("veth<X><X>", "veth<X>"), "{profile}");
        assert_eq!(answer.exit, 125);
        assert_eq!(stage.ok("docker inspect -f '{{.State.Status}}' web"), "created\n");
        // The address it had for a moment is another's.
        stage.ok("docker run -d --name next --network app busybox sleep 60");
        assert_eq!(
            stage.ok("docker inspect -f '{{.NetworkSettings.Networks.app.IPAddress}}' next"),
            "172.18.0.2\n"
        );
    }
}

#[test]
fn an_endpoint_names_its_interface() {
    const NAME: &str = "com.docker.network.endpoint.ifname";
    for profile in [Profile::Docker28, Profile::Docker29] {
        let mut stage = stage_of(profile);
        for network in ["app", "more", "rest"] {
            stage.ok(&format!("docker network create {network}"));
        }
        stage.ok(&format!(
            "docker run -itd --name web --network name=app,driver-opt={NAME}=eth1 --network more alpine sh"
        ));
        let names = |stage: &mut Stage| exec(stage, "web ls /sys/class/net").0.replace('\n', " ");
        // What has no name of its own takes the lowest number that is free.
        assert_eq!(names(&mut stage), "eth0 eth1 lo ");
        let connect = |stage: &mut Stage, name: &str| {
            let answer = stage.docker(&format!("docker network connect --driver-opt {NAME}={name} rest web"));
            let told = answer.stderr.trim_end().to_owned();
            told.split_once(" to sandbox: error renaming interface ").map_or(told.clone(), |(_, why)| {
                why.split_once(" to ").map_or(told.clone(), |(_, name)| name.to_owned())
            })
        };
        assert_eq!(connect(&mut stage, "eth1"), "\"eth1\": file exists");
        assert_eq!(connect(&mut stage, "lo"), "\"lo\": file exists");
        assert_eq!(connect(&mut stage, "a:b"), "\"a:b\": invalid argument");
        assert_eq!(
            connect(&mut stage, "sixteen-letters-"),
            "\"sixteen-letters-\": numerical result out of range"
        );
        assert_eq!(connect(&mut stage, "fifteen-letters"), "");
        assert_eq!(names(&mut stage), "eth0 eth1 fifteen-letters lo ");
        stage.ok("docker network disconnect rest web");
        // A start that fails for it leaves a container that was made.
        let answer = stage.docker(&format!(
            "docker run -d --name two --network more --network name=rest,driver-opt={NAME}=eth0 alpine"
        ));
        assert_eq!(answer.exit, 125);
        let told = answer.stderr.lines().next().unwrap_or_default();
        assert!(
            told.starts_with(
                "docker: Error response from daemon: failed to set up container networking: failed to add interface veth"
            ) && told.ends_with("to \"eth0\": file exists"),
            "{told}"
        );
        assert_eq!(stage.ok("docker inspect -f '{{.State.Status}}' two"), "created\n");
    }
    let mut stage = Stage::new("");
    stage.ok("docker network create app");
    stage.ok(&format!("docker run -itd --name web --network name=app,driver-opt={NAME}=wan0 alpine sh"));
    assert_eq!(exec(&mut stage, "web ls /sys/class/net").0, "eth0\nlo\n");
}

#[test]
fn capabilities_say_who_may_change_the_network() {
    let mut stage = Stage::new("");
    for (name, flags) in [
        ("plain", ""),
        ("admin", "--cap-add NET_ADMIN"),
        ("all", "--cap-add=all"),
        ("dropped", "--cap-add ALL --cap-drop NET_ADMIN"),
        ("privileged", "--privileged"),
    ] {
        stage.ok(&format!("docker run -itd --name {name} {flags} alpine sh"));
    }
    let refused = ("ip: RTNETLINK answers: Operation not permitted\n".to_owned(), 2);
    let done = (String::new(), 0);
    for (name, expected) in [
        ("plain", &refused),
        ("admin", &done),
        ("all", &done),
        ("dropped", &refused),
        ("privileged", &done),
        ("--privileged plain", &done),
    ] {
        assert_eq!(
            exec(&mut stage, &format!("{name} ip addr add 10.9.0.1/24 dev eth0")),
            *expected,
            "{name}"
        );
    }
    let child = "admin sh -c 'ip route add 10.8.0.0/16 via 10.9.0.2; ip route show 10.8.0.0/16'";
    assert_eq!(exec(&mut stage, child), ("10.8.0.0/16 via 10.9.0.2 dev eth0 \n".to_owned(), 0));
    let (rules, status) = exec(&mut stage, "admin iptables -S INPUT");
    assert_eq!((rules.as_str(), status), ("-P INPUT ACCEPT\n", 0));
    // /proc/sys is read-only unless the container is privileged.
    let key = "net.ipv4.ip_forward";
    let read_only = format!("sysctl: error setting key '{key}': Read-only file system\n");
    assert_eq!(exec(&mut stage, &format!("admin sysctl -w {key}=0")), (read_only, 1));
    assert_eq!(exec(&mut stage, &format!("privileged sysctl -w {key}=0")), (format!("{key} = 0\n"), 0));
    stage.ok("docker restart -t 0 admin");
    assert_eq!(exec(&mut stage, "admin ip link set eth0 down"), done, "it has it for good");
}

#[test]
fn timeout_is_coreutils_on_machines_and_busybox_in_images() {
    let mut stage = Stage::new("");
    stage.ok("docker run -itd --name cc busybox");
    assert_eq!(exec(&mut stage, "cc timeout 2 sleep 9"), (String::new(), 143));
    let mut host = |line: &str| {
        let answer = stage.on_host(line);
        (answer.text(), answer.exit)
    };
    assert_eq!(host("timeout 2 sleep 9"), (String::new(), 124));
    assert_eq!(host("busybox timeout 2 sleep 9").1, 143);
    assert_eq!(host("timeout 2 false").1, 1);
    assert_eq!(host("timeout 0 sleep 9").1, 0);
    assert_eq!(host("timeout --preserve-status 2 sleep 9").1, 143);
    assert_eq!(host("timeout -s KILL 2 sleep 9").1, 137);
    let said = "timeout: sending signal TERM to command 'sleep'\n".to_owned();
    assert_eq!(host("timeout -v 2 sleep 9"), (said, 124));
    let missing = "timeout: failed to run command 'nosuch': No such file or directory\n".to_owned();
    assert_eq!(host("timeout 2 nosuch"), (missing, 127));
    for (line, complaint) in [
        ("timeout 2", ""),
        ("timeout x true", "timeout: invalid time interval 'x'\n"),
        ("timeout -s FOO 1 true", "timeout: 'FOO': invalid signal\n"),
        ("timeout -x 1 true", "timeout: invalid option -- 'x'\n"),
    ] {
        let usage = format!("{complaint}Try 'timeout --help' for more information.\n");
        assert_eq!(host(line), (usage, 125), "{line}");
    }
    let outside = stage.outside("timeout 2 sleep 9");
    assert_eq!(outside.exit, 124);
}

#[test]
fn restart_and_kill_take_the_time_they_take() {
    let mut stage = Stage::new("");
    stage.ok("docker run -d --name deaf --stop-timeout 4 busybox sleep 600");
    stage.ok("docker run -d --name child --init busybox sleep 600");
    stage.ok("docker run -d --name web nginx");
    assert_eq!(stage.ok("docker restart deaf"), "deaf\n");
    assert_eq!(
        (stage.ok("docker inspect -f '{{.State.Status}}' deaf"), seconds(&stage)),
        ("running\n".to_owned(), 4)
    );
    stage.ok("docker stop child");
    assert_eq!(stage.ok("docker inspect -f '{{.State.ExitCode}}' child"), "143\n");
    stage.ok("docker kill -s TERM deaf");
    stage.ok("docker kill -s HUP web");
    let states = "docker ps -a --format '{{.Names}} {{.State}}'";
    assert_eq!(stage.ok(states), "web running\nchild exited\ndeaf running\n");
    stage.ok("docker kill deaf");
    stage.ok("docker kill --signal quit web");
    assert_eq!(stage.ok(states), "web exited\nchild exited\ndeaf exited\n");
    let codes = "docker inspect -f '{{.State.ExitCode}}' deaf web";
    assert_eq!((stage.ok(codes), seconds(&stage)), ("137\n0\n".to_owned(), 4));
    stage.ok("docker start web");
    let refused = stage.docker("docker kill -s NOPE web");
    assert_eq!(
        (refused.exit, refused.stderr.as_str()),
        (1, "Error response from daemon: Invalid signal: NOPE\n")
    );
}

#[test]
fn a_stop_by_hand_keeps_a_restart_policy_from_starting_again() {
    let mut stage = Stage::new("");
    stage.ok("docker run -d --name web --restart always nginx");
    stage.ok("docker kill -s TERM web");
    stage.world.wait(Duration::from_secs(60)).unwrap();
    assert_eq!(stage.ok("docker inspect -f '{{.State.Status}}' web"), "exited\n");
}

/// Between an exit and the restart that a policy decides, as a real 28.5.2 shows it; 20.10 by its source.
#[test]
fn a_container_that_waits_for_its_restart_counts_as_running() {
    for (profile, kept, joining) in [
        (
            Profile::Docker20_10,
            "You cannot remove a restarting container ID. Stop the container before attempting removal or force remove",
            "",
        ),
        (
            Profile::Docker28,
            "cannot remove container \"rx\": container is restarting: stop the container before removing or force remove",
            "cannot join network namespace of container: ",
        ),
    ] {
        let mut stage = Stage::of(profile, "");
        stage.ok("docker network create net1");
        stage.ok("docker run -d --name other --network net1 busybox sleep 1d");
        stage.ok("docker run -itd --restart always --name rx --network net1 -p 8080:80 busybox sh -c 'sleep 1; exit 3'");
        let state = "docker inspect -f '{{.State.Status}} {{.State.Restarting}} {{.State.Running}} {{.State.Pid}} \
                     {{.State.ExitCode}} {{.RestartCount}} {{.NetworkSettings.Networks.net1.IPAddress}}' rx";
        // The seventh wait is of 6.4 seconds: 7 s of running, 6.3 s of the waits before, and some of it.
        let until = |stage: &mut Stage, wait: u64| stage.world.wait(Duration::from_millis(wait)).unwrap();
        until(&mut stage, 15_500);
        assert_eq!(stage.ok(state), "restarting true true 0 3 7 \n");
        let row = "docker ps -f name=rx --format '{{.Names}} {{.State}} {{.Status}} {{.Ports}}'";
        assert_eq!(stage.ok(row), "rx restarting Restarting (3) 2 seconds ago \n");
        let named = "docker ps --format '{{.Names}}' -f ";
        assert_eq!(stage.ok(&format!("{named} status=restarting")), "rx\n");
        assert_eq!(stage.ok(&format!("{named} status=exited")), "");
        assert_eq!(
            stage.ok("docker network inspect -f '{{range .Containers}}{{.Name}} {{end}}' net1"),
            "other \n"
        );
        assert_ne!(stage.docker("docker exec other nslookup rx").exit, 0);
        let id = stage.ok("docker inspect -f '{{.Id}}' rx");
        let mut refused = |line: &str| {
            let output = stage.docker(line);
            assert_ne!(output.exit, 0, "{line}");
            output
                .stderr
                .lines()
                .find(|line| line.contains("daemon: "))
                .unwrap_or_default()
                .replace(id.trim(), "ID")
        };
        let waits = "Container ID is restarting, wait until the container is running";
        let says = |text: &str| format!("Error response from daemon: {text}");
        assert_eq!(refused("docker exec rx ls"), says(waits));
        assert_eq!(refused("docker pause rx"), says(waits));
        assert_eq!(refused("docker unpause rx"), says("Container ID is not paused"));
        assert_eq!(refused("docker rm rx"), says(kept));
        let left = says("container ID is not connected to network net1");
        assert_eq!(refused("docker network disconnect net1 rx"), left);
        let shared = refused("docker run --rm --network container:rx busybox ls").replace("docker: ", "");
        assert_eq!(shared, says(&format!("{joining}{waits}")));
        // Its port and address are free meanwhile.
        stage.ok("docker run -d --name port --network net1 -p 8080:80 nginx");
        assert_eq!(stage.ok("docker port port 80/tcp").lines().next(), Some("0.0.0.0:8080"));
        stage.ok("docker rm -f port");
        assert_eq!(stage.ok("docker start rx"), "rx\n");
        assert!(stage.ok("docker container prune -f").starts_with("Total"));
        // It runs again by itself; a start by hand begins the count anew, a stop ends it.
        until(&mut stage, 4_900);
        assert!(stage.ok(state).starts_with("running false true"), "{}", stage.ok(state));
        until(&mut stage, 3_000);
        stage.ok("docker restart rx");
        assert!(stage.ok(state).contains(" 0 0 "), "{}", stage.ok(state));
        until(&mut stage, 1_050);
        assert!(stage.ok(state).starts_with("restarting"));
        assert_eq!(stage.ok("docker stop rx"), "rx\n");
        assert_eq!(stage.ok(state), "exited false false 0 3 1 \n");
        until(&mut stage, 60_000);
        assert_eq!(stage.ok(state), "exited false false 0 3 1 \n");
        stage.ok("docker start rx");
        until(&mut stage, 1_050);
        assert_eq!(stage.ok("docker kill rx"), "rx\n");
        assert_eq!(stage.ok(state), "exited false false 0 3 1 \n");
        stage.ok("docker start rx");
        until(&mut stage, 1_050);
        assert_eq!(stage.ok("docker rm -f rx"), "rx\n");
        assert_eq!(stage.ok("docker ps -aqf name=rx"), "");
    }
}

#[test]
fn the_environment_stands_in_dockers_order() {
    let mut stage = Stage::new("");
    stage.ok("docker run -d --name db --expose 5432 -e ZED=1 -e ABLE=2 busybox sleep 600");
    stage.ok("docker run -d --name web --hostname front --link db -e ZED=1 -e ABLE=2 -e HOSTNAME=given busybox sleep 600");
    let names = |text: String| {
        let names = text.lines().map(|line| line.split('=').next().unwrap().to_owned());
        names.collect::<Vec<_>>().join(" ")
    };
    let own = "PATH HOSTNAME DB_PORT DB_PORT_5432_TCP DB_PORT_5432_TCP_ADDR DB_PORT_5432_TCP_PORT \
               DB_PORT_5432_TCP_PROTO DB_NAME DB_ENV_ZED DB_ENV_ABLE ZED ABLE HOME";
    assert_eq!(names(stage.ok("docker exec web env")), own);
    assert_eq!(names(stage.ok("docker exec web sh -c env")), own, "a shell hands it on");
    assert_eq!(stage.ok("docker exec web printenv HOSTNAME"), "given\n");
    let more = names(stage.ok("docker exec -e ABLE=3 -e NEW=4 web env"));
    assert_eq!(more, own.replace("HOME", "NEW HOME"));
    assert_eq!(names(stage.ok("docker run --rm -t busybox env")), "PATH HOSTNAME TERM HOME");
}

/// Runs a scenario given as text; what did not hold.
fn run(text: &str) -> linkspan::scenario::report::Report {
    use linkspan::scenario::{LoadOptions, MemorySource, load, report::RunOptions};
    let source = MemorySource::default().with_file("/test.yaml", text);
    let scenario = load(&source, std::path::Path::new("/test.yaml"), &LoadOptions::default())
        .unwrap_or_else(|error| panic!("{}", error.render(false)));
    linkspan::lab::run(&scenario, &RunOptions::default(), &mut |_| {})
}

#[track_caller]
fn holds(text: &str) -> linkspan::scenario::report::Report {
    let report = run(text);
    let failure = report.failure.as_ref().map(|failure| failure.message.clone());
    let steps = report.steps.iter().flat_map(|s| s.failures.iter().map(move |f| (&s.title, f, &s.output)));
    let checks = report.checks.iter().filter(|c| c.failure.is_some()).map(|c| &c.claim);
    assert_eq!(
        (failure, steps.collect::<Vec<_>>(), checks.collect::<Vec<_>>()),
        (None, Vec::new(), Vec::new())
    );
    report
}

#[test]
fn a_dependent_starts_when_the_probes_pass() {
    let report = holds(
        r#"
services:
  db:
    image: busybox
    command: sh -c "sleep 12; httpd -f -p 80"
    healthcheck: {test: [CMD, wget, -qO-, "http://localhost/"], interval: 5s, start_period: 60s, start_interval: 2s}
  app:
    image: nginx
    depends_on: {db: {condition: service_healthy}}
steps:
  - {run: "docker inspect -f '{{.State.StartedAt}}' app", expect: {exit: 0}}
  - {run: "docker ps --filter name=db --format '{{.Status}}'", expect: (healthy)}
  - {run: "docker ps --filter health=none --format '{{.Names}}'", expect: app}
  - {run: "docker events --filter event=health_status --format '{{.Action}} {{.Actor.Attributes.name}}'", expect: {contains: ["health_status: healthy"], lacks: [start]}}
"#,
    );
    assert_eq!(report.steps[0].time.0.as_secs(), 12, "probes every 2 s while it starts");
}

#[test]
fn a_dependency_that_never_gets_healthy_ends_the_run_where_it_is_wanted() {
    let text = r#"
services:
  db:
    image: busybox
    command: sleep infinity
    healthcheck: {test: wget -qO- http://localhost/, interval: 5s, retries: 2}
  app:
    image: nginx
    depends_on: {db: {condition: service_healthy}}
"#;
    let report = run(text);
    let message = report.failure.unwrap().message;
    assert!(
        message.contains("dependency failed to start: container") && message.contains("is unhealthy"),
        "{message}"
    );
    assert_eq!(report.totals.time.as_secs(), 10);
    let optional = text.replace("service_healthy}", "service_healthy, required: false}");
    assert!(run(&optional).failure.is_none());
}

#[test]
fn a_probe_that_cannot_run_passes_and_one_that_hangs_fails() {
    let report = holds(
        r#"
services:
  db: {image: postgres, healthcheck: {test: [CMD-SHELL, pg_isready -U postgres], interval: 10s}}
  app: {image: nginx, depends_on: {db: {condition: service_healthy}}}
"#,
    );
    assert_eq!(report.totals.time.as_secs(), 10, "the first probe is an interval away");
    let mut stage = Stage::new("");
    stage.ok("docker run -d --name hangs --health-cmd 'sleep 60' --health-interval 10s --health-timeout 5s --health-retries 2 nginx");
    stage.ok("docker run -d --name fine --health-cmd 'wget -qO- localhost' --health-interval 1m30s nginx");
    let health = |stage: &mut Stage| {
        stage.ok("docker inspect -f '{{.State.Health.Status}} {{.State.Health.FailingStreak}}' hangs fine")
    };
    stage.world.wait(Duration::from_secs(29)).unwrap();
    assert_eq!(health(&mut stage), "starting 1\nstarting 0\n");
    stage.world.wait(Duration::from_secs(1)).unwrap();
    assert_eq!(health(&mut stage), "unhealthy 2\nstarting 0\n");
    stage.world.wait(Duration::from_secs(61)).unwrap();
    assert_eq!(health(&mut stage).lines().last(), Some("healthy 0"));
    stage.ok("docker stop hangs");
    assert!(stage.docker("docker run --health-interval 5 nginx").stderr.contains("missing unit in duration"));
}

#[test]
fn an_image_answers_what_it_serves() {
    holds(
        r#"
images:
  acme/web: {listen: [9000], serves: {80: hello from acme}}
services:
  web: {image: acme/web}
  client: {image: busybox, command: sleep infinity}
steps:
  - {in: client, run: wget -qO- http://web/, expect: {output: hello from acme}}
  - docker run -d --name other acme/web
  - {in: other, run: wget -qO- http://localhost/, expect: {output: hello from acme}}
  - docker restart other
  - {in: other, run: wget -qO- http://localhost/, expect: {output: hello from acme}}
checks:
  - client -> web:9000: ok
"#,
    );
}

/// A restart of dockerd, as `systemctl restart docker` does it.
fn restart_daemon(stage: &mut Stage) {
    for starts in [false, true] {
        let host = stage.host;
        let world = &mut stage.world;
        let mut job = if starts { world.start_daemon(host) } else { world.stop_daemon(host) }.unwrap();
        let limit = linkspan::world::Limit(Duration::from_secs(60));
        assert_eq!(stage.world.finish(&mut job, limit).unwrap(), Some(0), "{}", job.take_output());
    }
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn a_restart_of_the_daemon_keeps_what_the_recording_kept() {
    // Walkthrough 49 of the recordings.
    let mut stage = Stage::new("");
    for line in [
        "docker network create n1",
        "docker network create -o com.docker.network.bridge.name=brn2 n2",
        "docker network rm n1",
        "docker network create --subnet 10.70.0.0/24 -o com.docker.network.bridge.name=brfix fixed",
        "docker run -d --restart always --name always --network fixed --ip 10.70.0.9 -p 8080:80 nginx",
        "docker run -d --restart always --name rnd --network fixed --ip 10.70.0.8 -p 80 nginx",
        "docker run -d --name plain --network fixed busybox sleep 600",
        "docker run -d --name def busybox sleep 600",
        "docker run -d --restart unless-stopped --name resting nginx",
        "docker stop resting",
    ] {
        stage.ok(line);
    }
    stage.on_host("iptables -I DOCKER-USER -i eth0 -s 203.0.113.99 -j DROP");
    let config = "docker network inspect -f '{{json .IPAM.Config}}'";
    assert_eq!(stage.ok(&format!("{config} bridge")), "[{\"Subnet\":\"172.17.0.0/16\"}]\n");
    let id = stage.ok("docker network inspect -f '{{.Id}}' bridge");
    let rules = |stage: &mut Stage, table: &str| stage.on_host(&format!("iptables -t {table} -S")).stdout;
    let (filter, nat) = (rules(&mut stage, "filter"), rules(&mut stage, "nat"));
    restart_daemon(&mut stage);
    assert_eq!(
        sorted(&stage.ok("docker ps -a --format '{{.Names}} {{.State}} {{.Ports}}'")),
        [
            "always running 0.0.0.0:8080->80/tcp, [::]:8080->80/tcp",
            "def exited ",
            "plain exited ",
            "resting exited ",
            "rnd running 0.0.0.0:32768->80/tcp, [::]:32768->80/tcp",
        ]
    );
    assert_eq!(
        stage.ok(&format!("{config} bridge fixed n2")),
        "[{\"Subnet\":\"172.17.0.0/16\",\"Gateway\":\"172.17.0.1\"}]\n\
         [{\"Subnet\":\"10.70.0.0/24\",\"Gateway\":\"10.70.0.1\"}]\n\
         [{\"Subnet\":\"172.19.0.0/16\",\"Gateway\":\"172.19.0.1\"}]\n"
    );
    assert_ne!(stage.ok("docker network inspect -f '{{.Id}}' bridge"), id, "it is made anew");
    assert_eq!(stage.ok("docker start plain def"), "plain\ndef\n");
    let addresses =
        "docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' plain def always";
    assert_eq!(stage.ok(addresses), "10.70.0.2\n172.17.0.2\n10.70.0.9\n");
    assert_eq!(sorted(&rules(&mut stage, "filter")), sorted(&filter));
    assert_eq!(sorted(&rules(&mut stage, "nat")), sorted(&nat));
    assert_eq!(stage.on_host("wget -qO- http://127.0.0.1:8080/").stdout, "Welcome to nginx\n");
    stage.ok("docker network create n3");
    assert_eq!(
        stage.ok("docker network inspect -f '{{(index .IPAM.Config 0).Subnet}}' n3"),
        "172.18.0.0/16\n"
    );
    stage.on_host("iptables -F FORWARD");
    assert_eq!(stage.on_host("wget -qO- http://127.0.0.1:8080/").stdout, "Welcome to nginx\n");
    restart_daemon(&mut stage);
    let repaired = rules(&mut stage, "filter");
    for line in filter.lines() {
        assert!(repaired.contains(line), "{line} is not repaired:\n{repaired}");
    }
}

#[test]
fn nobody_answers_while_the_daemon_is_down_and_a_reboot_leaves_only_what_is_on_disk() {
    let report = holds(
        r#"
services:
  web: {image: nginx, container_name: web, restart: always, ports: ["8080:80"]}
  once: {image: nginx, container_name: once}
steps:
  - run: iptables -I DOCKER-USER -s 203.0.113.99 -j DROP
  - daemon stop
  - {run: docker ps, expect: {exit: 1, contains: [Cannot connect to the Docker daemon at unix:///var/run/docker.sock]}}
  - {run: docker run nginx, expect: {exit: 125, contains: ["docker: Cannot connect to the Docker daemon"]}}
  - check: "world:outside -> host:8080: refused"
  - {run: iptables -S FORWARD, expect: "-P FORWARD DROP"}
  - daemon start
  - {run: "docker ps -a --format '{{.Names}} {{.State}}'", expect: [web running, once exited]}
  - check: "world:outside -> host:8080: ok"
  - {run: iptables -S DOCKER-USER, expect: 203.0.113.99}
  - host reboot
  - {run: "docker ps -a --format '{{.Names}} {{.State}}'", expect: [web running, once exited]}
  - {run: iptables -S DOCKER-USER, expect: {lacks: [203.0.113.99]}}
  - {run: iptables -S FORWARD, expect: "-P FORWARD DROP"}
  - check: "world:outside -> host:8080: ok"
  - docker start once
  - check: "web -> once:80: ok"
  - daemon restart
  - check: "world:outside -> host:8080: ok"
"#,
    );
    assert_eq!(report.totals.time.as_secs(), 0, "servers end at once");
    let failure = run("steps:\n  - daemon stop\n  - daemon stop\n").failure.unwrap();
    assert_eq!(failure.message, "the daemon does not run");
    let failure = run("steps:\n  - host reboot elsewhere\n").failure.unwrap();
    assert_eq!(failure.message, "there is no Docker host `elsewhere`");
}

#[test]
fn containers_live_on_with_live_restore() {
    holds(
        r#"
daemon: {live-restore: true}
services:
  web: {image: nginx, ports: ["8080:80"]}
  client: {image: busybox, command: sleep infinity}
steps:
  - daemon stop
  - check: "world:outside -> host:8080: ok"
  - {run: nc -z -w 2 127.0.0.1 8080, expect: 1}
  - {in: client, run: timeout 3 wget -qO- http://web/, expect: {lacks: [Welcome]}}
  - daemon start
  - {run: nc -z -w 2 127.0.0.1 8080, expect: 0}
checks:
  - client -> web:80: ok
"#,
    );
}

/// Differences to a real engine that the recorded walkthroughs showed, by their number.
#[test]
fn the_walkthroughs_that_differed_print_what_the_recordings_print() {
    let mut stage = Stage::new("");
    // 01: a bridge without a port has no carrier, and so no link-local address.
    let docker0 = |stage: &mut Stage| stage.on_host("ip addr show docker0").stdout;
    assert!(!docker0(&mut stage).contains("inet6"), "{}", docker0(&mut stage));
    stage.ok("docker run -itd --name first busybox");
    assert!(docker0(&mut stage).contains("inet6 fe80:"), "{}", docker0(&mut stage));
    stage.ok("docker rm -f first");
    assert!(!docker0(&mut stage).contains("inet6"), "nothing is left of the container");
    // 10: no ports on a network without a way out.
    stage.ok("docker network create --internal --subnet 172.30.0.0/16 backend");
    stage.ok("docker run -d --name pub --network backend -p 8090:80 nginx");
    assert_eq!(stage.ok("docker ps --format '{{.Names}} {{.Ports}}' --filter name=pub"), "pub \n");
    assert_eq!(stage.ok("docker inspect -f '{{json .NetworkSettings.Ports}}' pub"), "{}\n");
    // 20: the container is made, its start fails.
    let refused = stage.docker("docker run -d --network container:nosuch --name side busybox");
    assert_eq!((refused.exit, refused.stdout.len()), (125, 65));
    assert!(refused.stderr.starts_with("docker: Error response from daemon: No such container: nosuch\n"));
    assert_eq!(stage.ok("docker ps -a --filter name=side --format '{{.State}}'"), "created\n");
    // 23: lists the client always sends.
    stage.ok("docker run -d --name search --dns-search corp.test nginx");
    let lists = "docker inspect -f '{{json .HostConfig.Dns}} {{json .HostConfig.DnsSearch}} {{json .HostConfig.DnsOptions}} {{json .HostConfig.ExtraHosts}}' search";
    assert_eq!(stage.ok(lists), "[] [\"corp.test\"] [] null\n");
    // 27: no SCTP sockets here either.
    let refused = stage.docker("docker run -d --name twelve -p 8096:80/sctp nginx");
    assert!(refused.stderr.ends_with("): Error starting userland proxy: protocol not supported\n\nRun 'docker run --help' for more information\n"), "{}", refused.stderr);
    // 56: a second address beside the first.
    stage.ok("docker network create --subnet 10.80.0.0/24 app");
    stage.ok("docker run -itd --name w2 busybox");
    stage.ok("docker network connect --link-local-ip 169.254.10.10 app w2");
    let addresses = stage.ok("docker exec w2 ip -4 -o addr show eth1");
    assert!(
        addresses.contains("inet 10.80.0.2/24") && addresses.contains("inet 169.254.10.10/16"),
        "{addresses}"
    );
    let refused = stage.docker("docker network connect --link-local-ip nowhere backend w2");
    assert!(refused.stderr.contains("Invalid link-local IP address: [nowhere]"), "{}", refused.stderr);
}

/// Walkthrough 15: what the bridge driver refuses has used up a place in the round of pools.
#[test]
fn a_refused_network_moves_the_pools_on() {
    let mut stage = Stage::new("");
    stage.ok("docker network create --subnet 172.24.0.0/16 -o com.docker.network.bridge.name=mybr0 tuned");
    for option in [
        "bridge.name=mybr0",
        "bridge.name=waytoolongbridgename",
        "driver.mtu=abc",
        "bridge.enable_icc=maybe",
        "bridge.host_binding_ipv4=1.2.3",
    ] {
        assert_eq!(
            stage.docker(&format!("docker network create -o com.docker.network.{option} second")).exit,
            1
        );
    }
    stage.ok("docker network create odd");
    stage.ok("docker network create pfx");
    let subnets = "docker network inspect -f '{{(index .IPAM.Config 0).Subnet}}' odd pfx";
    assert_eq!(stage.ok(subnets), "172.23.0.0/16\n172.25.0.0/16\n");
}

/// Walkthrough 21: a link has a name of its own.
#[test]
fn a_link_is_named_inspected_and_removed() {
    let mut stage = Stage::new("");
    stage.ok("docker run -d --name db --expose 5432 busybox sleep 600");
    stage.ok("docker run -d --name web --link db:database busybox sleep 600");
    assert_eq!(stage.ok("docker inspect -f '{{.Name}}' /web/database"), "/db\n");
    stage.ok("docker exec web ping -c1 database");
    assert_eq!(stage.ok("docker rm --link /web/database"), "/web/database\n");
    let lost = stage.docker("docker exec web ping -c1 database");
    assert_eq!((lost.exit, lost.text().as_str()), (1, "ping: bad address 'database'\n"));
    assert_eq!(stage.docker("docker inspect /web/database").exit, 1);
}

/// Walkthrough 36: without a default bridge a container starts with its loopback device alone.
#[test]
fn without_a_default_bridge_there_is_lo() {
    let mut stage = Stage::new("--bridge=none");
    stage.ok("docker run -d --name cc busybox sleep 600");
    let addresses = stage.ok("docker exec cc ip -o addr");
    assert_eq!(addresses.lines().count(), 2, "{addresses}");
    assert!(addresses.contains("127.0.0.1/8") && addresses.contains("::1/128"), "{addresses}");
    assert_eq!(stage.ok("docker exec cc cat /etc/resolv.conf"), "nameserver 203.0.113.53\n");
    let shown = "docker inspect -f '{{range $name, $e := .NetworkSettings.Networks}}{{$name}}[{{$e.NetworkID}}]{{end}} {{.HostConfig.NetworkMode}}' cc";
    assert_eq!(stage.ok(shown), "bridge[] default\n");
    stage.ok("docker run -d --name dd --network bridge -p 8080:80 nginx");
    assert_eq!(stage.ok("docker port dd"), "");
}

/// Walkthrough 44.
#[test]
fn events_print_as_recorded() {
    let mut stage = Stage::new("");
    for line in [
        "docker network create ev",
        "docker run -d --name e1 --network ev -p 8080:80 nginx",
        "docker network connect bridge e1",
        "docker network disconnect bridge e1",
        "docker stop -t 0 e1",
        "docker start e1",
        "docker rename e1 e2",
        "docker rm -f e2",
        "docker network rm ev",
    ] {
        stage.ok(line);
    }
    let format = "--format '{{.Type}} {{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.type}}'";
    let recorded = "\
network create ev bridge
container create e1 <no value>
network connect ev bridge
container start e1 <no value>
network connect bridge bridge
network disconnect bridge bridge
network disconnect bridge bridge
container kill e1 <no value>
container kill e1 <no value>
container die e1 <no value>
network disconnect ev bridge
container stop e1 <no value>
network connect ev bridge
container start e1 <no value>
container rename e2 <no value>
container kill e2 <no value>
container die e2 <no value>
network disconnect ev bridge
container destroy e2 <no value>
network destroy ev bridge
";
    assert_eq!(stage.ok(&format!("docker events --since 1767225600 --until 1767225601 {format}")), recorded);
    assert_eq!(stage.ok(&format!("docker events --since 1767225601 {format}")), "");
    let networks = stage.ok("docker events --filter type=network --filter event=create");
    let (head, id) = networks.split_once(" network create ").unwrap();
    assert_eq!(head, "2026-01-01T00:00:00.000000000Z");
    assert!(id.ends_with(" (name=ev, type=bridge)\n") && id.len() == 64 + 24, "{id:?}");
    assert_eq!(stage.docker("docker events --filter colour=red").exit, 0);
    assert_eq!(stage.docker("docker events --since yesterday").exit, 1);
}

#[test]
fn info_and_version_tell_what_concerns_networking() {
    let mut stage = Stage::new("");
    stage.ok("docker run -d nginx");
    let info = stage.ok("docker info");
    for line in [
        "  Running: 1\n",
        " Server Version: 20.10.24\n",
        " Swarm: inactive\n",
        " Live Restore Enabled: false\n",
    ] {
        assert!(info.contains(line), "{line}: {info}");
    }
    assert_eq!(
        stage.ok("docker info --format '{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}}'"),
        "inactive false\n"
    );
    let version = stage.ok("docker version");
    assert!(version.contains(" API version:       1.41 (downgraded from 1.50)\n"), "{version}");
    assert!(version.contains("  API version:      1.41 (minimum version 1.12)\n"), "{version}");
    assert_eq!(
        stage.ok("docker version --format '{{.Server.Version}} {{.Client.ApiVersion}}'"),
        "20.10.24 1.41\n"
    );
    holds(
        r#"
daemon:
  proxies: {http-proxy: "http://10.0.0.1:3128", no-proxy: localhost}
  default-address-pools: [{base: 10.200.0.0/16, size: 24}]
steps:
  - {run: docker info, expect: ["HTTP Proxy: http://10.0.0.1:3128", "No Proxy: localhost", "Base: 10.200.0.0/16, Size: 24"]}
"#,
    );
}

/// What a container sees of its network is the same whatever driver carries it, but for the hardware address and the names of
/// what is at the other end.
#[test]
fn a_container_does_not_see_which_driver_it_is_on() {
    let drivers =
        ["-d bridge", "-d macvlan -o parent=lan0.7", "-d ipvlan -o parent=lan0.8", "-d macvlan", "-d ipvlan"];
    let mut seen = Vec::new();
    for driver in drivers {
        let mut stage = Stage::new("");
        stage.ok(&format!("docker network create {driver} --subnet 10.7.0.0/24 --gateway 10.7.0.1 app"));
        stage.ok("docker run -d --name web --hostname web --network app --network-alias site nginx");
        stage.ok("docker run -itd --name cc --hostname cc --network app busybox");
        let mut view = String::new();
        for command in [
            "cc ip -4 addr show eth0 | grep inet",
            "cc ip route | grep -v default",
            "cc cat /etc/hosts /etc/resolv.conf /etc/hostname",
            "cc nslookup site.app",
            "cc nslookup 10.7.0.2",
            "cc wget -qO- http://site/",
            "cc ping -c 1 -W 1 web | grep packets",
            "cc ls /sys/class/net",
            "cc arp -n | wc -l",
        ] {
            let (container, command) = command.split_once(' ').unwrap();
            let (text, status) = exec(&mut stage, &format!("{container} sh -c '{command}'"));
            view += &format!("{command}: {status}\n{text}");
        }
        seen.push((driver, view));
    }
    let (_, bridge) = &seen[0];
    assert!(
        bridge.contains("inet 10.7.0.3/24 brd 10.7.0.255") && bridge.contains("1 packets received"),
        "{bridge}"
    );
    for (driver, view) in &seen[1..] {
        assert_eq!(view, bridge, "{driver}");
    }
}

/// Walkthrough 21, and what it does not show: the link is the container's, whatever that is called now.
#[test]
fn a_link_follows_its_target_through_a_rename() {
    let mut stage = Stage::new("");
    stage.ok("docker run -d --name db --expose 5432 busybox sleep 600");
    stage.ok("docker run -d --name web --link db:database nginx");
    stage.ok("docker rename db newdb");
    assert_eq!(
        stage.ok("docker inspect -f '{{json .HostConfig.Links}}' web"),
        "[\"/newdb:/web/database\"]\n"
    );
    stage.ok("docker stop -t 0 newdb");
    stage.ok("docker run -itd --name filler busybox");
    stage.ok("docker start newdb");
    let (hosts, _) = exec(&mut stage, "web cat /etc/hosts");
    assert!(hosts.contains("172.17.0.4\tdatabase "), "{hosts}");
    let (env, _) = exec(&mut stage, "web printenv DATABASE_PORT");
    assert_eq!(env, "tcp://172.17.0.4:5432\n");
    assert_eq!(stage.ok("docker inspect -f '{{.Name}}' /web/database"), "/newdb\n");
}

/// A container that does not run remembers networks by name: which of them are there, its start finds out.
#[test]
fn networks_of_a_container_that_does_not_run_are_names() {
    let mut stage = Stage::new("");
    stage.ok("docker network create app");
    stage.ok("docker create --name web --network app nginx");
    assert_eq!(stage.ok("docker inspect -f '{{.NetworkSettings.Networks.app.NetworkID}}' web"), "\n");
    stage.ok("docker network connect app web");
    stage.ok("docker network connect later web");
    let start = stage.docker("docker start web");
    assert!(start.stderr.starts_with("Error response from daemon: network later not found\n"), "{start:?}");
    stage.ok("docker network rm app");
    stage.ok("docker network create later");
    stage.ok("docker network create app");
    stage.ok("docker start web");
    stage.ok("docker stop web");
    let id = stage.ok("docker inspect -f '{{.Id}}' web");
    let refused = stage.docker("docker network disconnect bridge web");
    let text = format!(
        "Error response from daemon: container {} is not connected to the network bridge\n",
        id.trim()
    );
    assert_eq!((refused.stderr, refused.exit), (text, 1));
    // A network that it was up on is that one, and no other of the same name.
    stage.ok("docker network rm app");
    stage.ok("docker network create app");
    assert_eq!(stage.docker("docker start web").exit, 1);
    stage.ok("docker network disconnect app web");
    stage.ok("docker start web");
}

/// The first server keeps silent: after four seconds the next one is asked. When all of them do, 28 says so and 20.10 is
/// silent too.
#[test]
fn silent_name_servers_are_passed_over_and_their_failure_depends_on_the_release() {
    for (profile, failure) in [
        (
            "20.10",
            "{exit: 9, contains: [';; communications error to 127.0.0.11#53: timed out', ';; no servers could be reached']}",
        ),
        ("28", "{contains: ['status: SERVFAIL', 'Query time: 4000 msec']}"),
    ] {
        holds(&format!(
            r#"
name: failover
daemon: {{profile: "{profile}"}}
world:
  machines:
    silent: {{addresses: [203.0.113.54/24]}}
steps:
  - in: host
    run: iptables -I DOCKER-USER -d 203.0.113.54 -j DROP
  - docker network create app
  - docker run -itd --name two --network app --dns 203.0.113.54 --dns 203.0.113.53 busybox
  - docker run -itd --name one --network app --dns 203.0.113.54 busybox
  - run: docker exec two timeout 3 dig +short uponly
    expect: {{exit: 143}}
  - run: docker exec two dig +short uponly
    expect: {{output: 198.51.100.99}}
  - run: docker exec one dig uponly
    expect: {failure}
  - run: docker exec one nslookup -type=a two
    expect: {{contains: ["Address: 172.18.0.2"]}}
"#
        ));
    }
}

/// More addresses than a datagram of 512 bytes holds: the answer is cut, and asked for again by TCP.
#[test]
fn a_large_answer_comes_by_tcp() {
    let mut stage = Stage::new("");
    stage.ok("docker network create app");
    for number in 0..40 {
        stage.ok(&format!("docker run -d --name m{number:02} --network app --network-alias many nginx"));
    }
    stage.ok("docker run -itd --name cc --network app busybox");
    let (found, _) = exec(&mut stage, "cc dig +short many");
    assert_eq!(found.lines().collect::<std::collections::BTreeSet<_>>().len(), 40, "{found}");
    let (again, _) = exec(&mut stage, "cc dig +short many");
    let (other, _) = exec(&mut stage, "cc dig +short many");
    assert_ne!(again, other, "in an order of its own each time");
    // In the words of BIND 9.18, but for its banner.
    let dig = |stage: &mut Stage, words: &str| exec(stage, &format!("cc dig {words}")).0;
    let cut = ";; Truncated, retrying in TCP mode.\n;; Got answer:\n";
    let opt = "\n\n;; OPT PSEUDOSECTION:\n; EDNS: version: 0, flags:; udp: 1232\n;; QUESTION SECTION:\n";
    let by =
        |text: &str| text.lines().find(|line| line.starts_with(";; SERVER")).unwrap_or_default().to_owned();
    for (words, retried, transport) in [
        ("many", true, "(TCP)"),
        ("A many +noedns", true, "(TCP)"),
        ("many +bufsize=512", true, "(TCP)"),
        ("many +bufsize=2000", false, "(UDP)"),
        ("many +edns +noedns +bufsize=2000", false, "(UDP)"),
        ("many +edns=0 +ignore", false, "(UDP)"),
        ("txt big.example.test", true, "(TCP)"),
        ("big.example.test txt +edns", false, "(UDP)"),
    ] {
        let text = dig(&mut stage, words);
        assert_eq!(text.starts_with(cut), retried, "{words}: {text}");
        assert!(by(&text).ends_with(transport), "{words}: {text}");
        // The embedded resolver's own answers have no additional section; the outside's servers answer EDNS.
        assert_eq!(text.contains(opt), words.contains("+edns") && words.contains("txt"), "{words}: {text}");
    }
    assert!(dig(&mut stage, "+ignore many").contains("flags: qr tc rd ra;"));
    assert!(!dig(&mut stage, "many +nocomments").contains("Truncated"));
    assert!(dig(&mut stage, "AAAA many").contains("\n;many.\t\t\t\tIN\tAAAA\n"));
    assert_eq!(
        stage.docker("docker exec cc dig -h").stdout.lines().next().unwrap().split(' ').next(),
        Some("Usage:")
    );
    let wrong = stage.docker("docker exec cc dig --help");
    assert!(wrong.exit == 1 && wrong.stdout.starts_with("Invalid option: --help\nUsage:"), "{wrong:?}");
    let wrong = stage.docker("docker exec cc dig many +bufsize=70000");
    let text = "invalid buffer size '70000': out of range\ndig: Couldn't parse buffer size\n";
    assert_eq!((wrong.stdout.as_str(), wrong.exit), (text, 10));
}

/// A main process that one of its container's processes ends takes the container with it, and the restart policy hears of it.
/// The first process of a PID namespace cannot be ended from inside, so this one is the child of an init.
#[test]
fn a_main_process_killed_from_inside_ends_its_container() {
    let mut stage = Stage::new("");
    stage.ok("docker run -d --init --name web nginx");
    stage.ok("docker run -d --init --name again --restart always nginx");
    for name in ["web", "again"] {
        stage.ok(&format!("docker exec {name} pkill -9 httpd"));
    }
    stage.world.wait(Duration::from_secs(2)).unwrap();
    assert_eq!(stage.ok("docker inspect -f '{{.State.Status}} {{.State.ExitCode}}' web"), "exited 137\n");
    assert_eq!(stage.ok("docker inspect -f '{{.State.Status}} {{.RestartCount}}' again"), "running 1\n");
}

/// Numbers of processes as a real engine's BusyBox shows them, but for the gaps that a runtime leaves between them.
#[test]
fn a_container_counts_its_processes_from_one() {
    let mut stage = Stage::new("");
    let ps = |stage: &mut Stage, name: &str| {
        let text = stage.ok(&format!("docker exec {name} ps -o pid,ppid,args"));
        let rows = text.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        rows.collect::<Vec<_>>()
    };
    stage.ok("docker run -d --name other busybox sleep 1d");
    stage.ok("docker run -d --name cc busybox sleep 1d");
    assert_eq!(ps(&mut stage, "cc"), ["1 0 sleep 1d", "2 0 ps -o pid,ppid,args"]);
    assert_eq!(ps(&mut stage, "cc"), ["1 0 sleep 1d", "3 0 ps -o pid,ppid,args"]);
    let numbers =
        "sleep 100 & echo $! $$ $PPID; (echo $$; sh -c 'echo $$ $PPID'); kill $!; sh -c 'echo $$'; echo";
    let text = stage.ok(&format!("docker exec cc sh -c \"{}\"", numbers.replace('$', "\\$")));
    assert_eq!(text, "5 4 0\n4\n6 4\n7\n\n");
    // The last command takes the shell's place.
    for (name, command, first) in [
        ("last", "sh -c 'echo a; sleep 1d'", "1 0 sleep 1d"),
        ("and", "sh -c 'echo a && sleep 1d'", "1 0 sleep 1d"),
        ("exec", "sh -c 'exec sleep 1d; echo'", "1 0 sleep 1d"),
        ("env", "env A=b sleep 1d", "1 0 sleep 1d"),
        ("more", "sh -c 'sleep 1d; echo'", "1 0 sh -c sleep 1d; echo"),
        ("init", "--init", "1 0 /sbin/docker-init -- sleep 1d"),
    ] {
        match command {
            "--init" => stage.ok("docker run -d --init --name init busybox sleep 1d"),
            command => stage.ok(&format!("docker run -d --name {name} busybox {command}")),
        };
        assert_eq!(ps(&mut stage, name)[0], first, "{command}");
    }
    assert_eq!(ps(&mut stage, "more")[1], "2 1 sleep 1d");
    assert_eq!(ps(&mut stage, "init")[1], "2 0 sleep 1d");
    // A host's numbers go on from those of its system.
    let text = stage.on_host("echo $$").stdout;
    assert!(text.trim().parse::<u32>().unwrap() > 1_000, "{text}");
}

/// Signals from inside to the first process of a container (pid_namespaces(7)): SIGKILL never acts, others where it has a
/// handler. From outside they act as before.
#[test]
fn the_first_process_is_safe_from_inside() {
    let mut stage = Stage::new("");
    let state = |stage: &mut Stage, name: &str| {
        stage.world.wait(Duration::from_secs(1)).unwrap();
        stage.ok(&format!("docker inspect -f '{{{{.State.Status}}}} {{{{.State.ExitCode}}}}' {name}"))
    };
    stage.ok("docker run -d --name cc busybox sleep 1d");
    let kills =
        "kill 1; echo $?; kill -9 1; echo $?; kill -0 1; echo $?; kill -HUP 1; echo $?; kill 9999; echo $?";
    let text = stage.ok(&format!("docker exec cc sh -c \"{}\"", kills.replace('$', "\\$")));
    assert_eq!(text, "0\n0\n0\n0\nsh: can't kill pid 9999: No such process\n1\n");
    assert_eq!(state(&mut stage, "cc"), "running 0\n");
    stage.ok("docker kill cc");
    assert_eq!(state(&mut stage, "cc"), "exited 137\n");
    stage.ok("docker run -d --name web nginx");
    stage.ok("docker exec web kill -9 1");
    assert_eq!(state(&mut stage, "web"), "running 0\n");
    stage.ok("docker exec web kill 1");
    assert_eq!(state(&mut stage, "web"), "exited 0\n");
    stage.ok("docker run -d --init --name ii busybox sleep 1d");
    stage.ok("docker exec ii kill 1");
    assert_eq!(state(&mut stage, "ii"), "exited 143\n");
    // Not the first: ended by what ends processes, not by what does not.
    stage.ok("docker run -d --init --name jj busybox sleep 1d");
    stage.ok("docker exec jj kill -28 2");
    assert_eq!(state(&mut stage, "jj"), "running 0\n");
    stage.ok("docker exec jj kill 2");
    assert_eq!(state(&mut stage, "jj"), "exited 143\n");
}

/// What a file says of a name is all that the outside's name server knows of it, with the time to live that it says.
#[test]
fn records_of_a_file_have_their_ttl_and_take_the_place_of_those_of_the_stage() {
    holds(
        r#"
name: records
world:
  dns:
    records:
      www.example.test: {a: 198.51.100.9, ttl: 77}
      plain.example.test: 198.51.100.9
services:
  one: {image: busybox, command: sleep 1d}
steps:
  - in: one
    run: dig +noall +answer www.example.test
    expect: {output: "www.example.test.\t77\tIN\tA\t198.51.100.9"}
  - in: one
    run: dig +short www.example.test AAAA
    expect: {output: ""}
  - in: one
    run: dig +noall +answer plain.example.test
    expect: {output: "plain.example.test.\t300\tIN\tA\t198.51.100.9"}
"#,
    );
}

/// Seen with 20.10.24 and 28.5.2, and in libnetwork: a daemon that starts turns forwarding on again, and with it the policy of
/// FORWARD, gives its bridges the addresses they lost, and ends DOCKER-USER with RETURN where it did so before; 28 also
/// looks at forwarding with each network it makes.
#[test]
fn a_daemon_that_starts_mends_what_others_changed_on_its_host() {
    for (profile, user, later) in
        [("20.10", "-N DOCKER-USER\n-A DOCKER-USER -j RETURN", 0), ("28", "-N DOCKER-USER", 1)]
    {
        let user = user.replace('\n', "\\n");
        holds(&format!(
            r#"
name: mended
daemon: {{profile: "{profile}"}}
steps:
  - {{in: host, run: sysctl -w net.ipv4.ip_forward=0}}
  - {{in: host, run: iptables -P FORWARD ACCEPT}}
  - {{in: host, run: iptables -F DOCKER-USER}}
  - {{in: host, run: ip address flush dev docker0}}
  - {{event: daemon restart}}
  - {{in: host, run: sysctl net.ipv4.ip_forward, expect: {{output: net.ipv4.ip_forward = 1}}}}
  - {{in: host, run: iptables -S FORWARD, expect: {{contains: -P FORWARD DROP}}}}
  - {{in: host, run: iptables -S DOCKER-USER, expect: {{output: "{user}"}}}}
  - {{in: host, run: ip address show docker0, expect: {{contains: inet 172.17.0.1/16}}}}
  - docker run --rm busybox ping -c 1 203.0.113.1
  - {{in: host, run: sysctl -w net.ipv4.ip_forward=0}}
  - {{in: host, run: iptables -F DOCKER-USER}}
  - docker network create late
  - {{in: host, run: sysctl net.ipv4.ip_forward, expect: {{output: net.ipv4.ip_forward = {later}}}}}
  - {{in: host, run: iptables -S DOCKER-USER, expect: {{output: "{user}"}}}}
"#
        ));
    }
}

/// Moby's source: 20.10 also has the checksums of SCTP filled in; where the kernel has no SCTP the port is refused.
#[test]
fn sctp_is_published_where_the_kernel_has_it() {
    for (profile, sctp, exit, mangle) in [
        ("20.10", true, 0, "-p sctp -m sctp --sport 5001 -j CHECKSUM --checksum-fill"),
        ("20.10", false, 125, ""),
        ("28", true, 0, ""),
        ("28", false, 125, ""),
    ] {
        holds(&format!(
            r#"
name: sctp
daemon: {{profile: "{profile}"}}
hosts:
  host:
    sctp: {sctp}
    nics: {{eth0: {{address: 203.0.113.10/24, gateway: 203.0.113.1}}}}
steps:
  - run: docker run -d --name signal -p 5000:5001/sctp nginx
    expect: {{exit: {exit}}}
  - in: host
    run: sh -c "iptables -t mangle -S POSTROUTING | sed 1d"
    expect: {{contains: ["{mangle}"]}}
  - in: host
    run: sh -c "iptables -t nat -S | grep -c 'sctp.*DNAT --to-destination 172.17.0.2:5001'"
    expect: {{exit: {missing}, output: "{rules}"}}
"#,
            missing = u8::from(!sctp),
            rules = u8::from(sctp),
        ));
    }
}

/// `IPV6_V6ONLY` is the socket's own: the userland proxy's is on whoever else listens, and one on an address of its own has it.
#[test]
fn the_userland_proxy_of_ipv6_takes_no_ipv4() {
    let mut stage = Stage::of(Profile::Docker28, "");
    stage.ok("docker run -d --name six -p [::]:9999:80 -p [::]:9998:53/udp nginx");
    stage.ok("docker run -d --name both -p 9000:80 nginx");
    stage.ok("docker run -d --network host busybox nc -lk -p 7000");
    stage.ok("docker run -d --network host busybox nc -lk -p 7070 -s ::1");
    let rows = stage.on_host("ss -Htuln").stdout;
    let mut rows: Vec<_> =
        rows.lines().map(|row| row.split_whitespace().collect::<Vec<_>>()[4..].join(" ")).collect();
    rows.sort();
    let expected = [
        "*:7000 *:*",
        "0.0.0.0:9000 0.0.0.0:*",
        "[::1]:7070 [::]:*",
        "[::]:9000 [::]:*",
        "[::]:9998 [::]:*",
        "[::]:9999 [::]:*",
    ];
    assert_eq!(rows, expected);
    assert_ne!(stage.on_host("nc -zuv 127.0.0.1 9998").exit, 0);
    assert_eq!(stage.on_host("nc -zuv ::1 9998").exit, 0);
}

/// libnetwork's `getAddressRange` of 20.10 masks a range by the subnet it got and never asks whether it lies there; nor does
/// it know a gateway of a bridge that is not there yet.
#[test]
fn a_fixed_cidr_elsewhere_stands_for_its_host_part_with_20_10() {
    let mut stage = Stage::of(Profile::Docker20_10, "--fixed-cidr=1.2.3.0/24");
    stage.ok("docker run -d --name one nginx");
    let address = "docker inspect -f '{{.NetworkSettings.IPAddress}} {{.NetworkSettings.Gateway}}' one";
    assert_eq!(stage.ok(address), "172.17.3.1 172.17.3.0\n");
    let shown =
        stage.ok("docker network inspect -f '{{range .IPAM.Config}}{{.Subnet}} {{.IPRange}}{{end}}' bridge");
    assert_eq!(shown, "172.17.0.0/16 1.2.3.0/24\n");
}
