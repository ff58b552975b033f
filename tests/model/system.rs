//! The same on a whole world: docker command lines, web servers in containers, a host and an outside machine.

use std::time::Duration;

use linkspan::docker::cli;
use linkspan::docker::daemon::{Daemon, DaemonConfig};
use linkspan::docker::profile::Profile;
use linkspan::scenario::default_stage;
use linkspan::world::tables::{PlaceKind, Tables};
use linkspan::world::{HostId, Job, Limit, Location, World};
use linkspan_nat::ruleset::Table;
use linkspan_nat::text_list::list_save;

use super::reference::network_name;
use super::transition::Transition;

/// Longest that anything takes.
const LIMIT: Limit = Limit(Duration::from_secs(120));

pub(crate) struct System {
    pub(crate) world: World,
    pub(crate) profile: Profile,
    host: HostId,
    /// The names that containers have now.
    names: [String; crate::CONTAINERS],
}

impl System {
    pub(crate) fn new(profile: Profile) -> System {
        System::with(DaemonConfig { profile, ..DaemonConfig::default() })
    }

    /// The default bridge's containers may not talk.
    pub(crate) fn without_icc(profile: Profile) -> System {
        System::with(DaemonConfig { profile, icc: false, ..DaemonConfig::default() })
    }

    fn with(config: DaemonConfig) -> System {
        let mut world = World::new(1);
        let profile = config.profile;
        let host = default_stage(&mut world, "host", config).unwrap();
        System { world, profile, host, names: std::array::from_fn(|number| format!("a{number}")) }
    }

    pub(crate) fn step(&mut self, transition: &Transition) -> bool {
        let name = |container: usize| self.names[container].clone();
        match *transition {
            Transition::NewNetwork(network) => {
                self.docker(&format!("docker network create --subnet 10.{network}.0.0/24 n{network}"))
            }
            Transition::RemoveNetwork(network) => self.docker(&format!("docker network rm n{network}")),
            Transition::Create { container, network, run } => {
                let (verb, network) = (if run { "run -d" } else { "create" }, network_name(network));
                let (name, port) = (name(container), port(container));
                self.docker(&format!("docker {verb} --name {name} --network {network} -p {port}:80 nginx"))
            }
            Transition::Connect { container, network } => {
                let line = format!("docker network connect {} {}", network_name(network), name(container));
                self.docker(&line)
            }
            Transition::Disconnect { container, network } => {
                let line = format!("docker network disconnect {} {}", network_name(network), name(container));
                self.docker(&line)
            }
            Transition::Start(container) => self.docker(&format!("docker start {}", name(container))),
            Transition::Stop(container) => self.docker(&format!("docker stop -t 0 {}", name(container))),
            Transition::Restart(container) => {
                self.docker(&format!("docker restart -t 0 {}", name(container)))
            }
            Transition::Rename(container) => {
                let before = name(container);
                let other = if before.starts_with('a') { "b" } else { "a" };
                let renamed = self.docker(&format!("docker rename {before} {other}{container}"));
                if renamed {
                    self.names[container] = format!("{other}{container}");
                }
                renamed
            }
            Transition::Remove(container) => {
                let removed = self.docker(&format!("docker rm -f {}", name(container)));
                self.names[container] = format!("a{container}");
                removed
            }
            Transition::Fetch(container) => {
                let place = Location::Machine("outside".to_owned());
                self.fetch(&place, &format!("203.0.113.10:{}", port(container)))
            }
            Transition::Talk { from, to } => {
                let (from, to) = (name(from), name(to));
                self.fetch_from(&from, &to)
            }
        }
    }

    /// Runs a docker command line and says whether it succeeded. `docker rm -f` of what is not there counts as a failure.
    pub(crate) fn docker(&mut self, line: &str) -> bool {
        let words = cli::words::split(line).unwrap();
        let command = cli::parse(&words).unwrap();
        let job = self.world.request(self.host, &command.request).unwrap();
        let (exit, text) = self.finish(job);
        exit == 0 && !text.contains("No such container")
    }

    /// Whether a container that runs fetches a page by name or address.
    pub(crate) fn fetch_from(&mut self, container: &str, target: &str) -> bool {
        let up = self.daemon().container(container).is_ok_and(|found| found.state.is_up());
        up && self.fetch(&Location::Container(self.host, container.to_owned()), target)
    }

    fn fetch(&mut self, place: &Location, target: &str) -> bool {
        let words = ["wget", "-T", "2", "-qO", "/dev/null", &format!("http://{target}/")];
        let job = self.world.start(place, words.map(str::to_owned).to_vec()).unwrap();
        self.finish(job).0 == 0
    }

    pub(crate) fn restart_daemon(&mut self) {
        let job = self.world.stop_daemon(self.host).unwrap();
        assert_eq!(self.finish(job).0, 0);
        let job = self.world.start_daemon(self.host).unwrap();
        assert_eq!(self.finish(job).0, 0);
    }

    fn finish(&mut self, mut job: Job) -> (u8, String) {
        let exit = self.world.finish(&mut job, LIMIT).unwrap().unwrap_or(124);
        (exit, format!("{}{}", job.take_output(), job.client_errors()))
    }

    pub(crate) fn daemon(&self) -> &Daemon {
        self.world.daemon(self.host).unwrap()
    }

    /// The host's tables and those of every container.
    pub(crate) fn tables(&self) -> (Tables, Vec<Tables>) {
        let mut all = self.world.tables();
        let host = all.iter().position(|tables| tables.kind == PlaceKind::Host).unwrap();
        let host = all.remove(host);
        (host, all.into_iter().filter(|tables| tables.kind == PlaceKind::Container).collect())
    }

    /// Every IPv4 rule of the host as iptables-save prints it.
    pub(crate) fn rules(&self) -> String {
        let (host, _) = self.tables();
        let save = |table| list_save(&host.rules[0], table, None, None, false).unwrap_or_default();
        [Table::Raw, Table::Mangle, Table::Nat, Table::Filter].map(save).concat()
    }

    /// What must be there again at the end: the host's rules, devices and sockets.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let (host, _) = self.tables();
        let devices = host.interfaces.iter().map(|device| format!("{} {:?}", device.name, device.addresses));
        let sockets = host.sockets.iter().map(|socket| format!("{:?} {}", socket.transport, socket.local));
        Snapshot { rules: self.rules(), devices: devices.collect(), sockets: sockets.collect() }
    }
}

/// See [`System::snapshot`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    rules: String,
    devices: Vec<String>,
    sockets: Vec<String>,
}

/// The host port a container publishes.
pub(crate) fn port(container: usize) -> u16 {
    8000 + container as u16
}
