//! A world of containers on bridges of one Docker host, built from docker command lines: what benches measure and tests of
//! growth count.

#![allow(
    unreachable_pub,
    dead_code,
    reason = "a module of several benches and tests, none of which needs all of it"
)]
#![allow(clippy::expect_used, reason = "a world that cannot be set up has nothing to measure")]

use std::net::IpAddr;

use linkspan::docker::cli;
use linkspan::docker::daemon::DaemonConfig;
use linkspan::docker::request::Request;
use linkspan::world::stage::{LinkQuality, MachineSpec, NicSpec};
use linkspan::world::{HostId, Location, World};

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
            sctp: false,
        };
        let mut world = World::new(0);
        let host = world.add_host(&spec, DaemonConfig::default()).expect("a host can be added");
        let mut town = Town { world, host };
        for request in requests {
            town.carry_out(request);
        }
        town
    }

    /// Carries a request out, which must succeed, until nothing is left to do.
    pub fn carry_out(&mut self, request: &Request) {
        let mut job = self.world.request(self.host, request).expect("nothing is in its way");
        let status = job.status();
        assert_eq!(status, Some(0), "{request:?}: {}", job.take_output());
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
