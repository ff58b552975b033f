//! The stage on which a real engine was recorded, and what it takes to run docker command lines and programs on it.

#![allow(unreachable_pub, reason = "a module of several test crates")]
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests read recordings and fail by panicking"
)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use linkspan::docker::cli;
use linkspan::docker::cli::config::ClientConfig;
use linkspan::docker::client::ClientVersion;
use linkspan::docker::daemon::DaemonConfig;
use linkspan::docker::profile::Profile;
use linkspan::scenario::default_stage;
use linkspan::world::{HostId, Job, Limit, Location, World};

/// Longest any command takes.
const LIMIT: Limit = Limit(Duration::from_secs(600));

/// Where the recordings are: `LINKSPAN_ORACLE`, or those kept here.
pub fn folder() -> PathBuf {
    match std::env::var_os("LINKSPAN_ORACLE") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle"),
    }
}

/// The recordings of a folder: the names of its files with this extension, sorted.
pub fn names(folder: &Path, extension: &str) -> Vec<String> {
    let files = match std::fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
        Err(_) => Vec::new(),
    };
    let mut names: Vec<String> = files
        .iter()
        .filter(|path: &&PathBuf| path.extension().is_some_and(|found| found == extension))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

/// What a command printed and returned.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    pub stdout: String,
    pub stderr: String,
    pub exit: u8,
    /// What it printed in the order in which it did, and whether that was an error.
    pub pieces: Vec<(bool, String)>,
}

impl Answer {
    /// Prints this and succeeds.
    pub fn said(stdout: String) -> Answer {
        Answer { pieces: vec![(false, stdout.clone())], stdout, ..Answer::default() }
    }

    /// Complains and fails.
    pub fn failed(stderr: String) -> Answer {
        Answer { pieces: vec![(true, stderr.clone())], stderr, exit: 1, ..Answer::default() }
    }

    /// Everything it printed; the client's errors come last.
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// The default stage with a daemon, of Docker 20.10 unless another is given.
pub struct Stage {
    pub world: World,
    pub host: HostId,
    /// Where the client looks for the folder of `--config`.
    pub client_folder: PathBuf,
    profile: Profile,
}

impl Stage {
    /// A fresh stage; `dockerd` holds arguments of the daemon.
    pub fn new(dockerd: &str) -> Stage {
        Self::with(daemon_config(dockerd))
    }

    /// The same with an engine of another era.
    pub fn of(profile: Profile, dockerd: &str) -> Stage {
        Self::with(DaemonConfig { profile, ..daemon_config(dockerd) })
    }

    /// The same with another name of the Docker host.
    pub fn called(host: &str, profile: Profile, dockerd: &str) -> Stage {
        Self::build(host, DaemonConfig { profile, ..daemon_config(dockerd) })
    }

    /// A fresh stage with another daemon.
    pub fn with(config: DaemonConfig) -> Stage {
        Self::build("host", config)
    }

    fn build(name: &str, config: DaemonConfig) -> Stage {
        let mut world = World::new(1);
        let profile = config.profile;
        let host = default_stage(&mut world, name, config).unwrap();
        Stage { world, host, client_folder: PathBuf::new(), profile }
    }

    /// Runs a docker command line to its end.
    pub fn docker(&mut self, line: &str) -> Answer {
        let words = cli::words::split(line).unwrap();
        self.docker_words(&words)
    }

    pub fn docker_words(&mut self, words: &[String]) -> Answer {
        match cli::parse(words) {
            Ok(command) => match cli::check_api_version(&command, self.profile) {
                Ok(()) => self.command(ClientVersion::V28, command),
                Err(error) => refused(ClientVersion::V28, &warnings(&command), &error),
            },
            Err(error) => refused(ClientVersion::V28, "", &error),
        }
    }

    /// The same with a client as old as the daemon: there is no newer API to ask for.
    pub fn docker20_words(&mut self, words: &[String]) -> Answer {
        match cli::parse(words) {
            Ok(command) => self.command(ClientVersion::V20_10, command),
            Err(error) => refused(ClientVersion::V20_10, "", &error),
        }
    }

    fn command(&mut self, client: ClientVersion, mut command: cli::Command) -> Answer {
        if let Some(folder) = &command.config_folder {
            let file = self.client_folder.join(folder).join("config.json");
            let (config, warning) =
                ClientConfig::of_folder(folder, std::fs::read_to_string(file).ok().as_deref());
            config.complete(&mut command.request);
            command.warnings.extend(warning);
        }
        self.world.set_client(self.host, client);
        let job = self.world.request(self.host, &command.request).unwrap();
        let mut answer = self.finish(job);
        let warnings = warnings(&command);
        answer.pieces.insert(0, (true, warnings.clone()));
        answer.stderr = warnings + &answer.stderr;
        answer
    }

    /// Runs a docker command line that must succeed.
    pub fn ok(&mut self, line: &str) -> String {
        let answer = self.docker(line);
        assert_eq!(answer.exit, 0, "{line}: {}", answer.text());
        answer.stdout
    }

    /// Runs a program to its end.
    pub fn run(&mut self, location: &Location, words: &[&str]) -> Answer {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let job = self.world.start(location, words).unwrap();
        self.finish(job)
    }

    pub fn on_host(&mut self, line: &str) -> Answer {
        self.run(&Location::Host(self.host), &["sh", "-c", line])
    }

    /// firewalld reloads on the host.
    pub fn reload_firewall(&mut self) {
        let job = self.world.reload_firewall(self.host).unwrap();
        assert_eq!(self.finish(job).exit, 0);
    }

    pub fn outside(&mut self, line: &str) -> Answer {
        self.run(&Location::Machine("outside".to_owned()), &["sh", "-c", line])
    }

    fn finish(&mut self, mut job: Job) -> Answer {
        let exit = self.world.finish(&mut job, LIMIT).unwrap().unwrap_or(124);
        let text = job.take_output();
        let stderr = job.client_errors().to_owned();
        let mut errors = stderr.split_inclusive('\n').peekable();
        let piece = |line: &str| (errors.next_if(|error| *error == line).is_some(), line.to_owned());
        let pieces: Vec<(bool, String)> = text.split_inclusive('\n').map(piece).collect();
        let out = pieces.iter().filter(|(error, _)| !error);
        let stdout = out.map(|(_, line)| line.as_str()).collect();
        Answer { stdout, stderr, exit, pieces }
    }

    /// The daemon stops and starts again, as by `systemctl restart docker`.
    pub fn restart_daemon(&mut self) {
        for job in [World::stop_daemon, World::start_daemon] {
            let job = job(&mut self.world, self.host).unwrap();
            let answer = self.finish(job);
            assert_eq!(answer.exit, 0, "{}", answer.text());
        }
    }

    /// What the clock of the host shows, in seconds of the Unix epoch.
    pub fn seconds(&self) -> u64 {
        // 2026-01-01T00:00:00Z: where the clock of docker begins.
        1_767_225_600 + self.world.now().as_secs()
    }
}

fn warnings(command: &cli::Command) -> String {
    command.warnings.iter().map(|warning| format!("{warning}\n")).collect()
}

/// What the client prints when it does not even ask the daemon.
fn refused(client: ClientVersion, warnings: &str, error: &cli::CliError) -> Answer {
    let stderr = format!("{warnings}{}\n", error.text(client));
    Answer { exit: error.exit_code(), ..Answer::failed(stderr) }
}

/// dockerd's arguments, as far as the recordings use them.
fn daemon_config(arguments: &str) -> DaemonConfig {
    let mut config = DaemonConfig { profile: Profile::Docker20_10, ..DaemonConfig::default() };
    let words = cli::words::split(arguments).unwrap();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word.as_str(), None),
        };
        let on = value != Some("false");
        let switch = match name {
            "--userland-proxy" => Some(&mut config.userland_proxy),
            "--icc" => Some(&mut config.icc),
            "--iptables" => Some(&mut config.iptables),
            "--ip-masq" => Some(&mut config.ip_masq),
            "--ip-forward" => Some(&mut config.ip_forward),
            "--ipv6" => Some(&mut config.ipv6),
            "--allow-direct-routing" => Some(&mut config.allow_direct_routing),
            "--ip-forward-no-drop" => Some(&mut config.ip_forward_no_drop),
            "--live-restore" => Some(&mut config.live_restore),
            _ => None,
        };
        if let Some(switch) = switch {
            *switch = on;
            continue;
        }
        if name == "--ip6tables" {
            config.ip6tables = Some(on);
            continue;
        }
        // What concerns no network.
        if matches!(name, "--experimental" | "--debug" | "-D") {
            continue;
        }
        let value = value.unwrap_or_else(|| words.next().unwrap());
        match name {
            "--bridge" | "-b" => config.bridge = Some(value.to_owned()),
            "--bip" => config.bip = Some(value.parse().unwrap()),
            "--fixed-cidr" => config.fixed_cidr = Some(value.parse().unwrap()),
            "--fixed-cidr-v6" => config.fixed_cidr_v6 = Some(value.parse().unwrap()),
            "--default-gateway" => config.default_gateway = Some(value.parse().unwrap()),
            "--default-gateway-v6" => config.default_gateway_v6 = Some(value.parse().unwrap()),
            "--log-level" | "-l" | "--network-control-plane-mtu" | "--userland-proxy-path" => {}
            "--mtu" => config.mtu = value.parse().unwrap(),
            "--ip" => config.ip = value.parse().unwrap(),
            "--dns" => config.dns.push(value.parse().unwrap()),
            "--dns-search" => config.dns_search.push(value.to_owned()),
            "--dns-opt" => config.dns_opts.push(value.to_owned()),
            "--host-gateway-ip" => config.host_gateway_ips.push(value.parse().unwrap()),
            "--default-address-pool" => {
                let field = |name: &str| {
                    let mut fields = value.split(',').filter_map(|field| field.split_once('='));
                    fields.find(|(key, _)| *key == name).unwrap().1
                };
                let pool = (field("base").parse().unwrap(), field("size").parse().unwrap());
                config.default_address_pools.push(pool);
            }
            other => panic!("dockerd {other} is unknown to these tests"),
        }
    }
    config
}
