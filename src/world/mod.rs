//! One engine, the Docker daemons on it, their containers, and the machines outside.
//!
//! The world carries values between rooms and decides nothing itself: a request goes to a daemon, its outcome's plan to
//! the engine, its files to file tables, its processes to the executor; DNS goes between sockets and the daemons'
//! resolvers. It has no clock and no descriptor: [`World::settle`] runs what can run at this instant,
//! [`World::deadline`] says when something happens next, [`World::advance`] goes there. `sim` jumps from deadline to
//! deadline.

pub mod authority;
mod disposition;
mod docker_host;
mod environment;
mod files;
mod health;
pub mod job;
mod name_server;
pub mod names;
pub mod outside;
pub mod probe;
mod process;
mod resolvers;
mod sim;
pub mod stage;
mod survey;
pub mod tables;
mod wire;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use crate::docker::daemon::Daemon;
use crate::docker::identity::Id;
use crate::docker::outcome::DockerEvent;
use crate::engine::event::DropReason;
use crate::engine::id::NamespaceId;
use crate::engine::plan::{DeviceName, NamespaceName, Owner, Plan};
use crate::engine::sys::{Environment, Pipe, Powers, User};
use crate::engine::{ApplyError, Engine, Storm};

use authority::AuthorityZone;
use docker_host::{ContainerRuntime, DockerHost};
use files::FileTable;
use health::HealthChecks;
use outside::Outdoors;
use process::{OwnPrograms, Place, Processes, Spun, Started, Streams, Tools};
use resolvers::Resolvers;
use stage::{Lan, MachineSpec};

pub use crate::engine::event::Event;
pub use crate::engine::sys::{ExitCode, Sys};
/// The names of the programs that places have.
pub use crate::programs::NAMES as PROGRAMS;
pub use docker_host::HostId;
pub use job::Job;
pub use process::{OwnProgram, own_program};
pub use sim::Limit;

/// Bytes of output kept for a program that nobody reads.
const OUTPUT_LIMIT: usize = 16 << 20;

/// A simulated world. See the module documentation.
pub struct World {
    engine: Rc<RefCell<Engine>>,
    processes: Processes,
    lans: BTreeMap<String, Lan>,
    /// Cards that are plugged in, in the order they were.
    cables: Vec<DeviceName>,
    machines: BTreeMap<String, Rc<Place>>,
    hosts: Vec<DockerHost>,
    daemons: Vec<Daemon>,
    containers: BTreeMap<Id, ContainerRuntime>,
    /// Files of containers by id; they outlive the processes.
    file_tables: BTreeMap<Id, Rc<FileTable>>,
    /// Containers whose main process ended since the last look.
    exited: Rc<RefCell<Vec<Id>>>,
    resolvers: Resolvers,
    docker_events: VecDeque<DockerEvent>,
    /// Containers that their restart policy starts again, by when.
    restarts: BTreeMap<(Duration, String), HostId>,
    /// Containers that were asked to stop, and when their grace period is over.
    stops: BTreeMap<(Duration, String), HostId>,
    health: HealthChecks,
    next_owner: u32,
    next_place: u32,
    /// What proxies of bindings run as.
    proxies: BTreeMap<Owner, Started>,
    names: BTreeMap<IpAddr, String>,
    /// What waits for deadlines and plays containers; `None`: time is virtual and nothing is outside.
    outside: Option<Outdoors>,
    own_programs: OwnPrograms,
    /// What was said of programs that never waited, and how often.
    spun: BTreeMap<String, u32>,
}

/// Why the world cannot do something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorldError {
    /// A plan was refused: a contradiction in what was asked for, or our own mistake.
    #[error("{0}")]
    Plan(#[from] ApplyError),
    /// Frames multiply.
    #[error("{0}")]
    Storm(#[from] Storm),
    /// A program never waits.
    #[error("the program `{0}` keeps asking for its turn without time moving on; it was ended")]
    Spinning(String),
    /// No such place.
    #[error("there is no {0}")]
    NoPlace(String),
    /// A rule of a machine that its packet filter does not take.
    #[error("iptables {text}: {message}")]
    Rule {
        /// Which of the machine's rules, from 0.
        index: usize,
        /// The rule.
        text: String,
        /// What `iptables` says.
        message: String,
    },
    /// Not a usable name.
    #[error("{0}")]
    Name(String),
    /// The container does not run.
    #[error("container {name} is not running: {why}")]
    NotRunning {
        /// The container.
        name: String,
        /// What became of it.
        why: String,
    },
    /// A program that linkspan does not have.
    #[error("{0}: not found")]
    NoProgram(String),
    /// The container has no interface of its own that something outside could be.
    #[error("{0} has no network interface of its own that a process outside could have")]
    NoInterface(String),
    /// What is outside cannot go on.
    #[error("{0}")]
    Outside(outside::OutsideError),
    /// What is outside wants the run to end.
    #[error("the run was stopped from outside")]
    Stopped,
}

/// Where a program runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Location {
    /// On a Docker host.
    Host(HostId),
    /// On an outside machine, by name.
    Machine(String),
    /// In a container of a host, by name or id.
    Container(HostId, String),
}

/// A program that runs on an outside machine from the start.
#[derive(Debug, Clone)]
pub enum Daemonised {
    /// `listen` on these ports, `80/tcp` or `53/udp`.
    Listen(Vec<String>),
    /// A web server for this text on a port.
    Page(u16, String),
    /// A DNS server.
    NameServer(Rc<AuthorityZone>),
    /// An HTTP proxy on a port.
    Proxy(u16),
}

/// The first program of a command line that no place has; `own` are the names of those a world has besides linkspan's.
/// `None` too if only running it tells.
pub fn missing_program(argv: &[String], own: &[String]) -> Option<String> {
    crate::programs::missing_program(argv, &|name| own.iter().any(|known| known == name))
}

impl World {
    /// An empty world.
    pub fn new(seed: u64) -> World {
        let engine = Rc::new(RefCell::new(Engine::new(seed)));
        World {
            processes: Processes::new(engine.clone()),
            engine,
            lans: BTreeMap::new(),
            cables: Vec::new(),
            machines: BTreeMap::new(),
            hosts: Vec::new(),
            daemons: Vec::new(),
            containers: BTreeMap::new(),
            file_tables: BTreeMap::new(),
            exited: Rc::default(),
            resolvers: Resolvers::default(),
            docker_events: VecDeque::new(),
            restarts: BTreeMap::new(),
            stops: BTreeMap::new(),
            health: HealthChecks::default(),
            next_owner: 0,
            next_place: 0,
            proxies: BTreeMap::new(),
            names: BTreeMap::new(),
            outside: None,
            own_programs: OwnPrograms::default(),
            spun: BTreeMap::new(),
        }
    }

    /// Adds a program that every place of this world has from now on, under this name. It wins over linkspan's own.
    pub fn add_program(&mut self, name: impl Into<String>, program: OwnProgram) {
        self.own_programs.borrow_mut().insert(name.into(), program);
    }

    /// Tells whether places have a program of a name.
    pub fn known_programs(&self) -> impl Fn(&str) -> bool + use<> {
        let own = self.own_programs.clone();
        move |name| own.borrow().contains_key(name) || crate::programs::find(name).is_some()
    }

    /// Tells whether places can run a command: its programs are known and take the options given, those of a shell's
    /// script included.
    pub fn can_run(&self) -> impl Fn(&[String]) -> bool + use<> {
        let own = self.own_programs.clone();
        move |argv| crate::programs::can_run(argv, &|name| own.borrow().contains_key(name))
    }

    /// Records events from now on, or stops recording.
    pub fn watch(&self, watched: bool) {
        self.engine.borrow_mut().watch(watched);
    }

    /// The engine's events since the last call.
    pub fn take_events(&self) -> Vec<Event> {
        self.engine.borrow_mut().take_events()
    }

    /// What it draws from and is ordered by.
    pub fn seed(&self) -> u64 {
        self.engine.borrow().seed()
    }

    /// Virtual time since the start of the run.
    pub fn now(&self) -> Duration {
        self.engine.borrow().now()
    }

    /// Lifts the limits of ICMP errors in all namespaces, or puts them in force again.
    pub fn lift_icmp_limits(&self, lifted: bool) {
        self.engine.borrow_mut().lift_icmp_limits(lifted);
    }

    /// Dropped frames and packets by reason.
    pub fn drops(&self) -> BTreeMap<DropReason, u64> {
        self.engine.borrow().drops().clone()
    }

    /// Frames that devices received so far.
    pub fn frames(&self) -> u64 {
        self.engine.borrow().frames()
    }

    /// Frames under way. Those that wait for a neighbour or a wire count, datagrams that wait to be read do not.
    pub fn frames_outstanding(&self) -> usize {
        self.engine.borrow().frames_outstanding()
    }

    /// Adds an outside machine and starts what runs on it.
    pub fn add_machine(&mut self, spec: &MachineSpec, programs: Vec<Daemonised>) -> Result<(), WorldError> {
        let namespace = self.add_namespace(spec)?;
        self.configure(&namespace, &spec.rules)?;
        let place = self.place(
            &namespace,
            &spec.name,
            Environment::default(),
            Rc::default(),
            Tools::Machine,
            Powers::ALL,
        )?;
        place.files.put("/etc/resolv.conf", spec.resolv_conf.clone());
        place
            .files
            .put("/etc/hosts", format!("127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.1.1\t{}\n", spec.name));
        for address in spec.nics.iter().flat_map(|n| &n.addresses).chain(&spec.loopback) {
            self.names.insert(address.addr(), spec.name.clone());
        }
        for program in programs {
            self.daemonise(&place, program);
        }
        self.machines.insert(spec.name.clone(), place);
        self.settle()
    }

    /// The names of the outside machines.
    pub fn machines(&self) -> impl Iterator<Item = &str> {
        self.machines.keys().map(String::as_str)
    }

    /// Starts a program. [`WorldError::NoProgram`] if linkspan has none of that name.
    pub fn start(&mut self, location: &Location, arguments: Vec<String>) -> Result<Job, WorldError> {
        let place = self.locate(location)?;
        self.start_at(&place, arguments, place.environment.clone())
    }

    pub(crate) fn start_at(
        &mut self,
        place: &Rc<Place>,
        arguments: Vec<String>,
        environment: Environment,
    ) -> Result<Job, WorldError> {
        let output = Pipe::with_capacity(OUTPUT_LIMIT);
        let streams = Streams { stdin: Pipe::empty(), stdout: output.clone(), stderr: output.clone() };
        let name = arguments.first().cloned().unwrap_or_default();
        let started = self.processes.start(place, arguments, environment, streams);
        let started = started.map_err(|_| WorldError::NoProgram(name))?;
        Ok(Job::process(started, output))
    }

    /// Runs an async block as a process, for probes and tests.
    pub fn start_task<F: Future<Output = ()> + 'static>(
        &mut self,
        location: &Location,
        name: &str,
        main: impl FnOnce(Sys) -> F,
    ) -> Result<Job, WorldError> {
        let place = self.locate(location)?;
        Ok(self.start_task_at(&place, name, main))
    }

    pub(crate) fn start_task_at<F: Future<Output = ()> + 'static>(
        &mut self,
        place: &Rc<Place>,
        name: &str,
        main: impl FnOnce(Sys) -> F,
    ) -> Job {
        let output = Pipe::with_capacity(OUTPUT_LIMIT);
        let streams = Streams { stdin: Pipe::empty(), stdout: output.clone(), stderr: output.clone() };
        let environment = place.environment.clone();
        let started =
            self.processes.start_future(place, vec![name.to_owned()], environment, streams, |sys| {
                let future = main(sys);
                Box::pin(async move {
                    future.await;
                    ExitCode::SUCCESS
                })
            });
        Job::process(started, output)
    }

    /// The addresses of a place, in order of its devices, IPv4 first; loopback and link-local left out.
    pub fn addresses(&self, location: &Location) -> Result<Vec<IpAddr>, WorldError> {
        let place = self.locate(location)?;
        let interfaces = self.engine.borrow().interfaces(place.namespace);
        let of = |name: &str| name != "lo";
        let addresses = interfaces.iter().filter(|i| of(&i.name)).flat_map(|i| &i.addresses);
        let mut list: Vec<IpAddr> = addresses
            .filter(|a| a.scope == crate::engine::view::Scope::Global)
            .map(|a| a.address.addr())
            .collect();
        list.sort_by_key(IpAddr::is_ipv6);
        Ok(list)
    }

    /// A file of a place.
    pub fn file(&self, location: &Location, path: &str) -> Result<String, WorldError> {
        Ok(self.locate(location)?.files.text(path))
    }

    /// Who has an address, for readers.
    pub fn address_owner(&self, address: IpAddr) -> Option<String> {
        self.container_with(address)
            .or_else(|| self.names.get(&address).cloned())
            .or_else(|| self.host_with(address))
    }

    /// Runs everything that can run at this instant.
    pub fn settle(&mut self) -> Result<(), WorldError> {
        loop {
            let ran = match self.processes.run() {
                Ok(ran) => ran,
                Err(spun) => self.killed_for_spinning(&spun).map(|()| true)?,
            };
            self.deliver_signals();
            let drained = self.engine.borrow_mut().drain(DRAIN_BUDGET)?;
            let carried = self.carry();
            let ended = self.collect_exits()? | self.collect_probes()?;
            let idle = drained == crate::engine::Drained::Idle && !self.processes.is_ready();
            if !ran && !carried && !ended && idle {
                return Ok(());
            }
        }
    }

    /// A program that never waits was killed. Whoever asked for it hears so; that of a container, or of another program,
    /// says so itself, and everything else goes on.
    fn killed_for_spinning(&mut self, spun: &Spun) -> Result<(), WorldError> {
        let program = spun.process.arguments.join(" ");
        let container = self.containers.iter().find(|(_, runtime)| runtime.place.number == spun.place);
        let main = container.is_some_and(|(_, runtime)| runtime.main == spun.id);
        if !main && !spun.child {
            return Err(WorldError::Spinning(program));
        }
        let place = container
            .and_then(|(id, runtime)| self.daemons[runtime.daemon].container(id.as_str()).ok())
            .map_or_else(|| spun.process.hostname.to_string(), |container| container.name.clone());
        let message = format!(
            "the program `{program}` of {place} kept asking for its turn without time moving on; it was killed"
        );
        spun.process.stderr.put(format!("linkspan: {message}\n").as_bytes());
        *self.spun.entry(message).or_default() += 1;
        Ok(())
    }

    /// What was said of programs that were killed because they never waited, since the last call, and how often.
    pub fn take_spun(&mut self) -> BTreeMap<String, u32> {
        std::mem::take(&mut self.spun)
    }

    /// When something happens next; `None`: never.
    pub fn deadline(&self) -> Option<Duration> {
        let engine = self.engine.borrow_mut().deadline().map(|(time, _)| time);
        let resolvers = self.resolvers.deadline(&self.daemons);
        let restart = self.restarts.keys().next().map(|(time, _)| *time);
        let stop = self.stops.keys().next().map(|(time, _)| *time);
        [engine, resolvers, restart, stop, self.health.deadline()].into_iter().flatten().min()
    }

    /// Moves time forward and runs what is due.
    pub fn advance(&mut self, now: Duration) -> Result<(), WorldError> {
        self.engine.borrow_mut().advance(now);
        self.processes.new_instant();
        self.resolvers.advance(&mut self.engine.borrow_mut(), &mut self.daemons, now);
        self.stops_due(now)?;
        self.health_due(now)?;
        self.restart_due(now)?;
        self.settle()
    }

    fn carry(&mut self) -> bool {
        let mut any = false;
        let mut engine = self.engine.borrow_mut();
        while let Some((service, socket)) = engine.take_service_event() {
            any = true;
            self.resolvers.event(&mut engine, &mut self.daemons, service, socket);
        }
        any
    }

    pub(super) fn apply(&mut self, plan: &Plan) -> Result<(), WorldError> {
        Ok(self.engine.borrow_mut().apply(plan)?)
    }

    fn configure(&mut self, namespace: &NamespaceName, rules: &[Vec<String>]) -> Result<(), WorldError> {
        let id = self.namespace(namespace)?;
        for (index, rule) in rules.iter().enumerate() {
            let family = crate::engine::sys::Family::Ipv4;
            let result = self.engine.borrow_mut().iptables(id, family, rule);
            result.map_err(|error| {
                let message = error.message.lines().next().unwrap_or_default().to_owned();
                WorldError::Rule { index, text: rule.join(" "), message }
            })?;
        }
        Ok(())
    }

    fn daemonise(&mut self, place: &Rc<Place>, program: Daemonised) {
        let streams = || Streams {
            stdin: Pipe::empty(),
            stdout: Pipe::with_capacity(OUTPUT_LIMIT),
            stderr: Pipe::with_capacity(OUTPUT_LIMIT),
        };
        let environment = Environment::default();
        match program {
            Daemonised::Listen(ports) => {
                let arguments = std::iter::once("listen".to_owned()).chain(ports).collect();
                // `listen` is in the table of programs.
                let _ = self.processes.start(place, arguments, environment, streams());
            }
            Daemonised::Page(port, text) => self.serve_page(place, port, text),
            Daemonised::NameServer(zone) => {
                let arguments = vec!["named".to_owned()];
                self.processes.start_future(place, arguments, environment, streams(), |sys| {
                    Box::pin(name_server::serve(sys, zone))
                });
            }
            Daemonised::Proxy(port) => {
                let arguments = ["http-proxy", "-p", &port.to_string()].map(str::to_owned).to_vec();
                // `http-proxy` is in the table of programs.
                let _ = self.processes.start(place, arguments, environment, streams());
            }
        }
    }

    /// A web server that answers on a port with a text.
    pub(super) fn serve_page(&mut self, place: &Rc<Place>, port: u16, text: String) {
        let home = format!("/www/{port}");
        place.files.put(format!("{home}/index.html"), text);
        let arguments = ["httpd", "-f", "-p", &port.to_string(), "-h", &home].map(str::to_owned);
        let output = || Pipe::with_capacity(OUTPUT_LIMIT);
        let streams = Streams { stdin: Pipe::empty(), stdout: output(), stderr: output() };
        // `httpd` is in the table of programs.
        let _ = self.processes.start(place, arguments.to_vec(), Environment::default(), streams);
    }

    pub(crate) fn locate(&self, location: &Location) -> Result<Rc<Place>, WorldError> {
        match location {
            Location::Host(host) => {
                let host =
                    self.hosts.get(host.0).ok_or_else(|| WorldError::NoPlace("such host".to_owned()))?;
                Ok(host.place.clone())
            }
            Location::Machine(name) => {
                let place = self.machines.get(name);
                place.cloned().ok_or_else(|| WorldError::NoPlace(format!("machine {name}")))
            }
            Location::Container(host, name) => self.container_place(*host, name),
        }
    }

    fn place(
        &mut self,
        namespace: &NamespaceName,
        hostname: &str,
        environment: Environment,
        files: Rc<FileTable>,
        tools: Tools,
        powers: Powers,
    ) -> Result<Rc<Place>, WorldError> {
        self.next_place += 1;
        Ok(Rc::new(Place {
            number: self.next_place,
            namespace: self.namespace(namespace)?,
            hostname: hostname.into(),
            environment,
            files,
            tools,
            powers,
            user: User::default(),
            own: self.own_programs.clone(),
            effort: Rc::default(),
        }))
    }

    fn namespace(&self, name: &NamespaceName) -> Result<NamespaceId, WorldError> {
        let id = self.engine.borrow().namespace(name);
        id.ok_or_else(|| WorldError::NoPlace(format!("namespace {name}")))
    }

    pub(super) fn next_machine_owner(&mut self) -> Owner {
        self.next_owner += 1;
        Owner::Machine(self.next_owner)
    }
}

/// Frames processed between two looks at processes.
const DRAIN_BUDGET: usize = 100_000;
