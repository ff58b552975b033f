//! The lab from a test author's side: what it answers, what its failures say, and that it stays as it was told.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test fails loudly, and writes its files"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use linkspan::lab::{ExitCode, Lab, LabError, LinkQuality, Outcome, Profile};

/// Two networks, one of them without a way out, and a published port.
const SHOP: &str = "
    services:
      web: {image: nginx, ports: ['8080:80'], networks: [front, back]}
      db: {image: postgres, restart: always, networks: [back]}
      visitor: {image: busybox, command: sleep infinity, networks: [front]}
    networks: {front: , back: {internal: true}}";

fn shop() -> Lab {
    Lab::from_compose(SHOP).unwrap()
}

/// What an assertion that does not hold says, and in which file it says it happened.
fn failure(assertion: impl FnOnce()) -> (String, String) {
    // The hook is the process's: one at a time.
    static HOOK: Mutex<()> = Mutex::new(());
    static PLACE: Mutex<String> = Mutex::new(String::new());
    let guard = HOOK.lock().unwrap_or_else(PoisonError::into_inner);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(|info| {
        let file = info.location().map(|location| location.file().to_owned());
        *PLACE.lock().unwrap_or_else(PoisonError::into_inner) = file.unwrap_or_default();
    }));
    let result = catch_unwind(AssertUnwindSafe(assertion));
    std::panic::set_hook(before);
    drop(guard);
    let payload = result.expect_err("the assertion held");
    let text = payload.downcast_ref::<String>().cloned().unwrap_or_default();
    (text, PLACE.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

#[test]
fn a_failed_assertion_names_the_rule_and_stands_at_the_callers_line() {
    let mut lab = shop();
    lab.exec("host", "iptables -I DOCKER-USER -p tcp --dport 80 -j DROP").assert_success();
    let (text, file) = failure(|| {
        lab.connect("outside", "host:8080").assert_ok();
    });
    assert_eq!(file, "tests/lab.rs");
    for part in [
        "expected outside -> host:8080 to succeed\noutside -> host:8080: timeout\n",
        "took 5s",
        "what happened:\n",
        "TCP SYN 203.0.113.1:",
        "DOCKER-USER",
        "rule       filter DOCKER-USER 1: -p tcp -m tcp --dport 80 -j DROP  (not Docker's)",
        "try        remove the rule",
    ] {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
}

#[test]
fn every_kind_of_assertion_fails_at_the_callers_line() {
    let mut lab = shop();
    let capture = lab.capture("web").unwrap();
    let failures = [
        failure(|| drop(lab.connect("web", "db:5432").assert_refused().clone())),
        failure(|| drop(lab.resolve("web", "db").assert_unresolved().clone())),
        failure(|| drop(lab.resolve("web", "db").assert_is(["10.0.0.1"]).clone())),
        failure(|| drop(lab.exec("web", "false").assert_success().clone())),
        failure(|| lab.only(["web"]).reach("web:80")),
        failure(|| drop(capture.assert_saw("a packet of another kind").packets())),
    ];
    for (text, file) in failures {
        assert_eq!(file, "tests/lab.rs", "{text}");
        assert!(text.starts_with("expected "), "{text}");
    }
}

#[test]
fn a_container_without_a_common_network_is_told_apart() {
    let mut lab = shop();
    let (text, _) = failure(|| {
        lab.connect("visitor", "db:5432").assert_ok();
    });
    let apart = "lab-visitor-1 is on lab_front, lab-db-1 on lab_back: no common network";
    assert!(text.contains(apart), "{text}");
}

#[test]
fn unknown_names_suggest_known_ones() {
    let mut lab = shop();
    let said = |error: LabError| error.to_string();
    let error = said(lab.connect("vistor", "db:5432").outcome().unwrap_err());
    assert_eq!(error, "there is no place `vistor`; did you mean `visitor`?");
    let error = said(lab.crash("postgresql").unwrap_err());
    assert_eq!(error, "there is no place `postgresql`; there are: web, db, visitor, host, outside");
    let error = said(lab.crash("outside").unwrap_err());
    assert_eq!(error, "`outside` is no container");
    let error = said(lab.connect("web", "db").outcome().unwrap_err());
    assert!(error.contains("a port is missing, as in `db:80`"), "{error}");
    let error = said(lab.ping("web", "db:5432").outcome().unwrap_err());
    assert!(error.contains("a ping has no port"), "{error}");
    let error = said(lab.connect("web", "db:0").outcome().unwrap_err());
    assert!(error.contains("expected 1 to 65535"), "{error}");
    let error = said(lab.connect("web", "world:outsid:80").outcome().unwrap_err());
    assert_eq!(error, "there is no place `outsid`; did you mean `outside`?");
    let error = said(lab.capture("frnt").unwrap_err());
    assert_eq!(error, "there is no place or network `frnt`; did you mean `front`?");
    let error = said(lab.cut("db", "front").unwrap_err());
    assert_eq!(error, "there is nothing between `db` and `front`: lab-db-1 has not joined the network front");
    let error = said(lab.cut("host", "eth7").unwrap_err());
    assert!(error.contains("its cards are eth0, lan0"), "{error}");
    let error = said(lab.set_link("web", "db", LinkQuality::default()).unwrap_err());
    assert!(error.contains("(\"web\", \"front\")"), "{error}");
    let error = said(lab.docker("ps 'a").status().unwrap_err());
    assert!(error.starts_with("docker ps 'a: "), "{error}");
}

#[test]
fn an_unmade_attempt_satisfies_no_assertion() {
    let mut lab = shop();
    let attempt = lab.connect("nobody", "db:5432");
    for assertion in [
        |attempt: &linkspan::lab::Attempt| drop(attempt.assert_fails().clone()),
        |attempt: &linkspan::lab::Attempt| drop(attempt.assert_timeout().clone()),
        |attempt: &linkspan::lab::Attempt| drop(attempt.assert_within(Duration::MAX).clone()),
    ] {
        let (text, _) = failure(|| assertion(&attempt));
        assert!(text.contains("could not be tried: there is no place `nobody`"), "{text}");
    }
}

#[test]
fn a_stopped_container_is_named_as_the_reason() {
    let mut lab = shop();
    lab.docker("stop db").assert_success();
    let attempt = lab.connect("web", "db:5432").assert_unresolved().explanation();
    assert!(attempt.contains("lab-db-1 does not run: it is exited"), "{attempt}");
    let error = lab.exec("db", "true").status().unwrap_err().to_string();
    assert!(error.contains("container lab-db-1 is not running"), "{error}");
}

#[test]
fn only_finds_who_comes_in_by_another_door() {
    let mut lab = shop();
    assert!(lab.only(["web"]).try_reach("db:5432").unwrap().unwrap() >= 5);

    // The name is unknown on `front`, and the address answers all the same once a container has joined `back`.
    lab.docker("run -d --name spy --network back busybox sleep infinity").assert_success();
    let breach = lab.only(["web"]).try_reach("db:5432").unwrap().unwrap_err();
    let doors: Vec<String> = breach.wrong.iter().map(ToString::to_string).collect();
    assert!(doors.iter().all(|door| door.starts_with("spy -> ")), "{breach}");
    assert!(breach.to_string().starts_with("expected that only web reaches db:5432; of "), "{breach}");
    lab.only(["web", "spy"]).reach("db:5432");

    // A published port is a door for everybody.
    let breach = lab.only([]).try_reach("web:80").unwrap().unwrap_err().to_string();
    for door in ["host -> 203.0.113.10:8080: ok", "outside -> 203.0.113.10:8080: ok", "visitor -> web:80: ok"]
    {
        assert!(breach.contains(door), "{door:?} is missing in:\n{breach}");
    }
}

#[test]
fn only_fails_when_who_should_reach_it_does_not() {
    let mut lab = shop();
    let (text, _) = failure(|| lab.only(["web", "visitor"]).reach("db:5432"));
    assert!(text.contains("only web, visitor reach db:5432"), "{text}");
    assert!(text.contains("visitor -> db:5432: unresolved"), "{text}");
}

#[test]
fn only_proves_nothing_about_what_is_not_there() {
    let mut lab = shop();
    let error = lab.only([]).try_reach("bd:5432").unwrap_err().to_string();
    assert_eq!(error, "there is no place `bd`; did you mean `db`?");
    lab.docker("stop web").assert_success();
    let error = lab.only(["web"]).try_reach("db:5432").unwrap_err().to_string();
    assert!(error.starts_with("container lab-web-1 is not running: "), "{error}");
}

#[test]
fn replicas_of_a_service_are_allowed_together() {
    let mut lab = Lab::builder()
        .service("api", |api| api.image("busybox").command("sleep infinity").replicas(3))
        .service("db", |db| db.image("postgres"))
        .build()
        .unwrap();
    lab.only(["api"]).reach("db:5432");
    lab.ping("lab-api-3", "db").assert_ok();
}

#[test]
fn a_parting_holds_over_a_restart_and_for_nobody_else() {
    let mut lab = shop();
    lab.cut("web", "db").unwrap();
    lab.connect("web", "db:5432").assert_timeout();
    lab.docker("run -d --name other --network back busybox sleep infinity").assert_success();
    lab.connect("other", "db:5432").assert_ok();
    lab.crash("db").unwrap();
    lab.advance(Duration::from_secs(10)).unwrap();
    lab.connect("other", "db:5432").assert_ok();
    lab.connect("web", "db:5432").assert_timeout();
    lab.restart("web").unwrap();
    lab.ping("web", "db").assert_timeout();
    let told = lab.connect("db", "web:80").assert_timeout().explanation();
    assert!(told.contains("cut by the test"), "{told}");
    lab.heal("db", "web").unwrap();
    lab.connect("web", "db:5432").assert_ok();
    lab.exec("host", "iptables -t mangle -S").assert_lacks("DROP");
}

#[test]
fn a_container_and_a_machine_are_parted_both_ways_through_nat() {
    let mut lab = shop();
    lab.connect("outside", "host:8080").assert_ok();
    lab.connect("web", "outside:80").assert_ok();
    lab.cut("outside", "web").unwrap();
    lab.connect("outside", "host:8080").assert_timeout();
    lab.connect("web", "outside:80").assert_timeout();
    lab.connect("visitor", "outside:80").assert_ok();
}

#[test]
fn a_one_way_cut_is_one_way_and_healed_with_the_other() {
    let mut lab = shop();
    let received = |lab: &mut Lab, from: &str, to: &str| {
        let capture = lab.capture(to).unwrap();
        let _ = lab.ping(from, to);
        capture.count("ICMP echo request") > 0
    };
    lab.cut_one_way("web", "db").unwrap();
    assert!(!received(&mut lab, "web", "db"));
    assert!(received(&mut lab, "db", "web"));
    lab.ping("db", "web").assert_timeout();
    lab.cut_one_way("db", "web").unwrap();
    assert!(!received(&mut lab, "db", "web"));
    lab.heal("web", "db").unwrap();
    lab.ping("web", "db").assert_ok();
    for (from, to, machine) in [("host", "web", "172.18.0.2"), ("outside", "host", "203.0.113.10")] {
        lab.ping(from, machine).assert_ok();
        lab.cut_one_way(from, to).unwrap();
        lab.ping(from, machine).assert_fails();
        lab.heal(to, from).unwrap();
        lab.ping(from, machine).assert_ok();
    }
}

#[test]
fn checks_are_a_line_each_and_fail_with_the_explanation() {
    let mut lab = shop();
    lab.check("only web -> db:5432");
    for (line, said) in [
        ("visitor -> db:5432: ok", "expected visitor -> db:5432: ok\nvisitor -> db:5432: unresolved\n"),
        ("web ? db: unresolved", "expected web ? db to be unresolved\nweb ? db: 172.19.0.3\n"),
        ("only visitor -> db:5432", "expected that only visitor reaches db:5432; of "),
        ("web -> db:5432: fine", "`web -> db:5432: fine` is no check: `fine` is not an outcome"),
        ("wbe -> db:5432: ok", "there is no place `wbe`; did you mean `web`?"),
    ] {
        let (text, file) = failure(|| lab.check(line));
        assert!(text.contains(said), "{said:?} is missing in:\n{text}");
        assert_eq!(file, "tests/lab.rs");
    }
    let (text, _) = failure(|| lab.check_all());
    assert_eq!(text, "/lab/compose.yaml has no `checks:`");
}

#[test]
fn a_message_names_a_seed_that_is_not_the_usual_one() {
    let told = |seed| {
        let mut lab = Lab::builder().text(SHOP).seed(seed).build().unwrap();
        lab.ping("web", "db").explanation()
    };
    assert!(told(23).contains(", with seed 23\n"), "{}", told(23));
    assert!(!told(0).contains("seed"));
}

#[test]
fn the_host_and_a_container_are_parted_for_either_family() {
    let mut lab = Lab::builder()
        .network("six", |six| six.ipv6().subnet("10.9.0.0/24").subnet("fd00:9::/64"))
        .service("web", |web| web.image("nginx").network("six"))
        .build()
        .unwrap();
    for address in ["10.9.0.2", "fd00:9::2"] {
        lab.ping("host", address).assert_ok();
    }
    lab.cut("host", "web").unwrap();
    for address in ["10.9.0.2", "fd00:9::2"] {
        lab.ping("host", address).assert_fails();
    }
    lab.heal("host", "web").unwrap();
    lab.ping("host", "fd00:9::2").assert_ok();
}

#[test]
fn a_cut_wire_stays_cut_over_a_restart_and_leaves_the_others() {
    let mut lab = shop();
    lab.cut("web", "back").unwrap();
    lab.ping("web", "db").assert_fails();
    lab.ping("web", "visitor").assert_ok();
    lab.restart("web").unwrap();
    lab.ping("web", "db").assert_fails();
    lab.heal("web", "back").unwrap();
    lab.ping("web", "db").assert_ok();
}

#[test]
fn a_slow_wire_is_slow_both_ways_and_healing_keeps_it_slow() {
    let mut lab = shop();
    let slow = LinkQuality { delay: Duration::from_millis(30), ..LinkQuality::default() };
    lab.set_link("db", "back", slow).unwrap();
    let took = lab.ping("web", "db").assert_ok().took();
    // The neighbour is asked for first: two ways there and back.
    assert_eq!(took, Duration::from_millis(120));
    lab.cut("db", "back").unwrap();
    lab.heal("db", "back").unwrap();
    assert_eq!(lab.ping("web", "db").assert_ok().took(), Duration::from_millis(60));
    lab.set_link("db", "back", LinkQuality::default()).unwrap();
    assert_eq!(lab.ping("web", "db").assert_ok().took(), Duration::ZERO);
}

#[test]
fn a_lossy_wire_loses_some_and_the_seed_says_which() {
    let received = |seed| {
        let mut lab = Lab::builder().text(SHOP).seed(seed).build().unwrap();
        lab.set_link("db", "back", LinkQuality { loss: 0.3, ..LinkQuality::default() }).unwrap();
        lab.exec("web", "ping -c 20 db").text().to_owned()
    };
    let first = received(1);
    let replies = first.matches("bytes from").count();
    assert!((1..20).contains(&replies), "{first}");
    assert_eq!(first, received(1));
    assert_ne!(first, received(2));
}

#[test]
fn a_link_of_the_file_is_cut_by_its_name() {
    let text = "
        services: {web: {image: nginx, ports: ['80:80']}}
        world: {links: {uplink: {between: [host, 'world:outside'], delay: 10ms}}}";
    let mut lab = Lab::from_compose(text).unwrap();
    lab.connect("outside", "host:80").assert_ok();
    lab.cut("outside", "uplink").unwrap();
    lab.connect("outside", "host:80").assert_fails();
    lab.heal("outside", "uplink").unwrap();
    assert!(lab.connect("outside", "host:80").assert_ok().took() >= Duration::from_millis(40));
}

#[test]
fn the_same_calls_give_the_same_bytes() {
    let run = |seed| {
        let mut lab = Lab::builder().text(SHOP).seed(seed).build().unwrap();
        let capture = lab.capture_all();
        lab.connect("outside", "host:8080").assert_ok();
        lab.crash("db").unwrap();
        lab.advance(Duration::from_secs(5)).unwrap();
        lab.cut("web", "db").unwrap();
        lab.connect("web", "db:5432").assert_timeout();
        capture.pcapng().unwrap()
    };
    assert!(run(0) == run(0), "two runs differ");
    assert!(run(0) != run(1), "the seed has no effect");
}

#[test]
fn a_capture_sees_only_what_it_was_made_for_and_ends_when_dropped() {
    let mut lab = shop();
    let back = lab.capture("back").unwrap();
    lab.ping("web", "visitor").assert_ok();
    assert_eq!(back.packets(), []);
    lab.ping("web", "db").assert_ok();
    let places: std::collections::BTreeSet<String> =
        back.packets().into_iter().map(|packet| packet.place).collect();
    assert_eq!(Vec::from_iter(places), ["lab-db-1", "lab-web-1"]);
    let host = lab.capture("host").unwrap();
    lab.ping("web", "outside").assert_ok();
    host.assert_saw("translated");
}

#[test]
fn own_code_speaks_with_programs_and_across_containers() {
    let mut lab = shop();
    let server = lab
        .program("db", async |sys| {
            let socket = sys.udp_socket().unwrap();
            socket.bind("0.0.0.0:9000".parse().unwrap()).unwrap();
            let query = socket.receive().await.unwrap();
            socket.send_to(b"pong", query.source).unwrap();
            String::from_utf8(query.payload.to_vec()).unwrap()
        })
        .unwrap();
    let target = std::net::SocketAddr::new(lab.addresses("db").unwrap()[0], 9000);
    let client = lab
        .program("web", async move |sys| {
            let socket = sys.udp_socket().unwrap();
            socket.send_to(b"ping", target).unwrap();
            sys.timeout(Duration::from_secs(1), socket.receive()).await.map(|answer| answer.unwrap().payload)
        })
        .unwrap();
    assert_eq!(lab.finish(client).unwrap().unwrap(), "pong");
    assert_eq!(lab.finish(server).unwrap(), "ping");
}

#[test]
fn a_program_ends_with_its_container_and_is_not_waited_for_forever() {
    let mut lab = shop();
    let waiting = lab.program("db", async |sys| sys.sleep(Duration::from_secs(5)).await).unwrap();
    lab.crash("db").unwrap();
    let error = lab.finish(waiting).unwrap_err().to_string();
    assert_eq!(error, "the program in db has no result: it was ended from outside, with status 137");

    let endless = lab.program("web", async |sys| sys.sleep(Duration::MAX).await).unwrap();
    let error = lab.finish(endless).unwrap_err().to_string();
    assert_eq!(error, "the program in web has no result: it still ran after 600 s of virtual time");
}

#[test]
fn a_spinning_program_is_an_error_that_names_it() {
    let mut lab = shop();
    let spinning = async |sys: linkspan::lab::Sys| {
        loop {
            sys.yield_now().await;
        }
    };
    let error = lab.program("web", spinning).map(|program: linkspan::lab::Program<()>| drop(program));
    assert!(error.unwrap_err().to_string().contains("`program` keeps asking for its turn"));
    lab.ping("web", "db").assert_ok();
}

/// The main process of one container never waits: it is killed, its container ends with it, and the others are served.
#[test]
fn a_spinning_main_process_ends_its_container_only() {
    let spinning = async |sys: linkspan::lab::Sys| {
        sys.sleep(Duration::from_secs(5)).await;
        loop {
            sys.yield_now().await;
        }
    };
    let services = "services:\n  spinner: {image: 'registry.example/spinner:1'}\n  \
        parent: {image: busybox, command: 'sh -c \"registry.example/spinner:1; sleep 1d\"'}\n  \
        web: {image: nginx}\n  client: {image: busybox, command: sleep 1d}\n";
    let mut lab =
        Lab::builder().program("registry.example/spinner:1", spinning).text(services).build().unwrap();
    lab.advance(Duration::from_secs(10)).unwrap();
    let state = "inspect -f {{.State.Status}}/{{.State.ExitCode}}";
    lab.docker(&format!("{state} spinner")).assert_contains("exited/137");
    let said = "the program `registry.example/spinner:1` of lab-spinner-1 kept asking for its turn without time moving on";
    lab.docker("logs spinner").assert_contains(said);
    lab.docker(&format!("{state} parent")).assert_contains("running/0");
    lab.docker("logs parent").assert_contains("`registry.example/spinner:1` of lab-parent-1 kept asking");
    lab.connect("client", "web:80").assert_ok();
}

#[test]
fn an_images_program_lives_and_dies_with_its_container() {
    let counter = async |sys: linkspan::lab::Sys| {
        let runs = sys.read_file("/runs").map_or(0, |text| text.len());
        let _ = sys.write_file("/runs", b"x", true);
        sys.print(format!("run {runs}\n")).await;
        sys.sleep(Duration::from_secs(10)).await;
        ExitCode(3)
    };
    let mut lab = Lab::builder()
        .program("registry.example/counter:1.2", counter)
        .text("services: {counter: {image: 'registry.example/counter:1.2', restart: on-failure}}")
        .build()
        .unwrap();
    lab.docker("logs counter").assert_contains("run 0");
    lab.advance(Duration::from_secs(15)).unwrap();
    lab.docker("logs counter").assert_contains("run 1");
    let restarts = "inspect -f {{.RestartCount}} counter";
    assert_eq!(lab.docker(restarts).assert_success().text(), "1\n");
}

#[test]
fn a_command_that_never_ends_is_stopped_and_says_so() {
    let mut lab = shop();
    let output = lab.exec("web", "ping db");
    assert_eq!(output.status().unwrap(), None);
    assert_eq!(output.took(), Duration::from_secs(600));
    assert!(output.explanation().contains("stopped, because it did not end; `timeout`, `-c` or `&` help"));
    lab.ping("web", "db").assert_ok();
}

#[test]
fn until_gives_up_in_virtual_time() {
    let mut lab = shop();
    let limit = Duration::from_secs(30);
    let error = lab.until(limit, |lab| lab.ping("visitor", "db").is_ok()).unwrap_err();
    assert_eq!(error.to_string(), "the condition did not come true within 30s of virtual time");
    lab.docker("pause db").assert_success();
    assert_eq!(lab.connect("web", "db:5432").outcome().unwrap(), Outcome::Ok(None));
    lab.docker("unpause db").assert_success();
    assert_eq!(lab.until(limit, |lab| lab.connect("web", "db:5432").is_ok()).unwrap(), Duration::ZERO);
}

#[test]
fn the_builder_is_merged_over_a_file_and_takes_text_literally() {
    let folder = std::env::temp_dir().join(format!("linkspan-lab-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("compose.yaml");
    std::fs::write(&file, "services: {web: {image: 'nginx:${TAG}', ports: ['8080:80']}}").unwrap();
    let mut lab = Lab::builder()
        .file(&file)
        .variable("TAG", "1.27")
        .profile(Profile::Docker20_10)
        .service("web", |web| web.publish("8443:443").environment("PRICE", "$5 \"each\": yes"))
        .service("web", |web| web.environment("SIZE", "true"))
        .machine("alice", |alice| alice.address("198.51.100.20").serve(80, "hello from alice"))
        .build()
        .unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    lab.connect("outside", "host:8080").assert_ok();
    lab.connect("outside", "host:8443").assert_ok();
    lab.exec("web", "wget -qO- http://198.51.100.20/").assert_contains("hello from alice");
    lab.exec("web", "printenv PRICE SIZE").assert_contains("$5 \"each\": yes\ntrue\n");
    lab.docker("ps").assert_contains("nginx:1.27");
    lab.docker("version").assert_contains("20.10");
}

#[test]
fn refused_files_and_labs_that_do_not_come_up_show_the_line() {
    let error = Lab::from_file("scenarios/no-such-file.yaml").unwrap_err();
    assert!(error.to_string().contains("scenarios/no-such-file.yaml"), "{error:?}");
    let error = Lab::from_compose("services: {web: {image: nginx, network: [front]}}").unwrap_err();
    assert!(error.to_string().contains("did you mean `networks`?"), "{error:?}");
    let error =
        "services:\n  a: {image: nginx, ports: ['80:80']}\n  b: {image: nginx, ports: ['0.0.0.0:80:80']}\n"
            .parse::<Lab>()
            .unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, LabError::NotUp(_)), "{text}");
    assert!(text.contains("container lab-b-1 cannot be started") && text.contains(":3:3"), "{text}");
    assert_eq!(format!("{error:?}"), text);
}
