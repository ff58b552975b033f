//! What the networks of `compose.yaml` promise, tried with real packets in virtual time: no Docker, no root, no sleeping.

use std::time::Duration;

use linkspan::lab::{ExitCode, Lab, LabError, LinkQuality};

fn shop() -> Result<Lab, LabError> {
    Lab::from_file("compose.yaml")
}

#[test]
fn only_web_and_queue_reach_the_database() -> Result<(), LabError> {
    // Everybody else is tried as well: other containers by name and address, the host and the Internet at every
    // published port.
    shop()?.only(["web", "queue"]).reach("db:5432");
    Ok(())
}

#[test]
fn the_shop_is_open_and_nothing_else_is() -> Result<(), LabError> {
    let mut lab = shop()?;
    // The proxy sees the customer's own address, so that its log is worth something.
    lab.connect("outside", "host:80").assert_ok_from("outside");
    for port in [3000, 5432, 5672, 15672] {
        lab.connect("outside", &format!("host:{port}")).assert_refused();
    }
    Ok(())
}

#[test]
fn the_database_cannot_call_home() -> Result<(), LabError> {
    let mut lab = shop()?;
    let uplink = lab.capture("outside")?;
    lab.connect("db", "outside:80").assert_unreachable();
    lab.exec("db", "nslookup example.com").assert_status(1);
    uplink.assert_saw_no("example.com");
    lab.connect("web", "outside:80").assert_ok_from("host");
    Ok(())
}

#[test]
fn a_crash_of_the_database_is_over_within_seconds() -> Result<(), LabError> {
    let mut lab = shop()?;
    lab.crash("db")?;
    lab.connect("web", "db:5432").assert_fails();
    let away = lab.until(Duration::from_secs(30), |lab| lab.connect("web", "db:5432").is_ok())?;
    assert!(away < Duration::from_secs(15), "db was away for {away:?}");
    Ok(())
}

#[test]
fn customers_do_not_notice_that_the_queue_is_cut_off() -> Result<(), LabError> {
    let mut lab = shop()?;
    lab.cut("queue", "back")?;
    lab.connect("queue", "db:5432").assert_fails();
    lab.connect("outside", "host:80").assert_ok();
    lab.connect("web", "db:5432").assert_ok();
    lab.heal("queue", "back")?;
    lab.connect("queue", "db:5432").assert_ok();
    Ok(())
}

#[test]
fn a_slow_line_is_slow_and_not_broken() -> Result<(), LabError> {
    let mut lab = shop()?;
    let satellite = LinkQuality { delay: Duration::from_millis(300), ..LinkQuality::default() };
    lab.set_link("outside", "eth0", satellite)?;
    let visit = lab.connect("outside", "host:80");
    assert!(visit.took() >= Duration::from_millis(1200), "{visit}");
    visit.assert_ok().assert_within(Duration::from_secs(3));
    Ok(())
}

#[test]
fn every_order_of_simultaneous_things_is_fine() -> Result<(), LabError> {
    for seed in 0..5 {
        let mut lab = Lab::builder().file("compose.yaml").seed(seed).build()?;
        lab.crash("web")?;
        lab.crash("db")?;
        lab.until(Duration::from_secs(30), |lab| lab.connect("web", "db:5432").is_ok())?;
    }
    Ok(())
}

/// Own code in place of an image: the part of `web` that talks to the database, retries included.
#[test]
fn web_reconnects_after_a_partition() -> Result<(), LabError> {
    let web = async |sys: linkspan::lab::Sys| {
        let database = "172.19.0.2:5432".parse().expect("an address");
        loop {
            if let Some(Ok(stream)) = sys.timeout(Duration::from_secs(2), sys.tcp_connect(database)).await {
                let _ = stream.write_all(b"select 1\n").await;
                sys.print("connected\n").await;
            } else {
                sys.print("no database\n").await;
            }
            sys.sleep(Duration::from_secs(5)).await;
        }
        #[allow(unreachable_code, reason = "it serves until it is stopped")]
        ExitCode::SUCCESS
    };
    let mut lab =
        Lab::builder().file("compose.yaml").program("registry.example/shop-web:2.4", web).build()?;
    lab.resolve("web", "db").assert_is(["172.19.0.2"]);
    lab.advance(Duration::from_secs(1))?;
    lab.cut("web", "db")?;
    lab.advance(Duration::from_secs(10))?;
    lab.heal("web", "db")?;
    lab.advance(Duration::from_secs(10))?;
    let log = lab.docker("logs web");
    let told: Vec<&str> = log.assert_success().text().lines().collect();
    assert_eq!(told.first(), Some(&"connected"), "{log}");
    assert!(told.contains(&"no database"), "{log}");
    assert_eq!(told.last(), Some(&"connected"), "{log}");
    Ok(())
}
