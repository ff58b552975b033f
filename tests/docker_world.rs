//! Docker's behaviour that takes time or needs processes: command lines on the stage a real engine was recorded on, their
//! output, their status and the virtual time they take.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test fails loudly")]

mod recorded;

use std::time::Duration;

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
  - {run: "docker ps -q --filter health=none --format '{{.Names}}'", expect: app}
  - {run: "docker events --since 0 --until 1", expect: "health_status: healthy"}
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
