//! What the benches of whole worlds share: a world of containers, and how figures are taken and printed.
//!
//! Figures are processor time of this thread where the kernel tells it, so that other processes of the machine count
//! little.

#![allow(unreachable_pub, dead_code, reason = "a module of several benches, none of which needs all of it")]

#[path = "../../switch/benches/reference/mod.rs"]
mod reference;

use std::net::IpAddr;

use criterion::Criterion;
use linkspan::docker::cli;
use linkspan::docker::daemon::DaemonConfig;
use linkspan::docker::request::Request;
use linkspan::world::stage::{LinkQuality, MachineSpec, NicSpec};
use linkspan::world::{HostId, Location, World};

pub use reference::{median, nanoseconds_each};

/// Containers on bridges of one Docker host.
pub struct Town {
    /// The world.
    pub world: World,
    /// Its only Docker host.
    pub host: HostId,
}

impl Town {
    /// Carries the requests out, one after the other, each until nothing is left to do.
    pub fn build(requests: &[Request]) -> Town {
        let card = NicSpec {
            name: "eth0".to_owned(),
            addresses: vec!["203.0.113.10/24".parse().expect("an address")],
            lan: Some("uplink".to_owned()),
            mtu: 1500,
            mac: None,
            quality: LinkQuality::default(),
        };
        let spec = MachineSpec {
            name: "host".to_owned(),
            nics: vec![card],
            loopback: Vec::new(),
            routes: Vec::new(),
            forward: false,
            resolv_conf: "nameserver 203.0.113.53\n".to_owned(),
            local_ports: None,
            sysctls: Vec::new(),
            rules: Vec::new(),
        };
        let mut world = World::new(0);
        let host = world.add_host(&spec, DaemonConfig::default()).expect("a host can be added");
        for request in requests {
            let mut job = world.request(host, request).expect("nothing is in its way");
            let status = job.status();
            assert_eq!(status, Some(0), "{}", job.take_output());
        }
        Town { world, host }
    }

    /// A container by its number.
    pub fn location(&self, number: usize) -> Location {
        Location::Container(self.host, format!("c{number}"))
    }

    /// The address of a container.
    pub fn address(&self, number: usize) -> IpAddr {
        self.world.addresses(&self.location(number)).expect("it runs")[0]
    }
}

/// Requests for so many networks, and for containers `c0`, `c1`, ... on them in turn.
pub fn requests(networks: usize, containers: usize) -> Vec<Request> {
    let made = (0..networks).map(|number| request(&format!("network create net{number}")));
    let containers = (0..containers).map(|number| {
        let network = number % networks;
        request(&format!("run -d --name c{number} --network net{network} alpine sleep 1d"))
    });
    made.chain(containers).collect()
}

/// Containers `c0`, `c1`, ... on the default bridge.
pub fn on_default_bridge(containers: usize) -> Vec<Request> {
    (0..containers).map(|number| request(&format!("run -d --name c{number} alpine sleep 1d"))).collect()
}

/// A docker command line as a request.
pub fn request(line: &str) -> Request {
    let words = cli::words::split(line).expect("a well-formed line");
    cli::parse(&words).expect("a command of docker").request
}

/// Whether figures are wanted: a filter asks for criterion alone, which is what a profiler wants.
pub fn wants_figures() -> bool {
    std::env::args().skip(1).all(|argument| argument.starts_with('-'))
}

/// A criterion that takes few seconds for each bench.
pub fn criterion() -> Criterion {
    let second = std::time::Duration::from_secs(1);
    Criterion::default()
        .sample_size(10)
        .warm_up_time(second / 2)
        .measurement_time(2 * second)
        .configure_from_args()
}
