//! A world for the tests of programs: one engine, files in memory, processes on a small executor, virtual time.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use linkspan_nat::interface::InterfaceName;

use crate::engine::plan::{DeviceName, DeviceSpec, NamespaceName, NextHop, Op, Owner, Plan, Sysctl};
use crate::engine::sys::{
    Child, Effort, Environment, Errno, ExitCode, ExitSlot, Files, Launch, Launcher, Pipe, Powers, Privilege,
    Process, ProcessId, ProcessView, Program, Sys, User,
};
use crate::engine::{Drained, Engine};

/// Room for everything a test's program prints.
const OUTPUT: usize = 1 << 24;

/// The world: `a` (10.0.0.2) and `b` (10.0.0.3) on a bridge of `host` (10.0.0.1), which forwards to `far` (10.1.0.2).
pub(super) struct World {
    pub(super) engine: Rc<RefCell<Engine>>,
    kernel: Rc<Kernel>,
}

/// What processes share.
#[derive(Default)]
struct Kernel {
    files: RefCell<BTreeMap<String, Vec<u8>>>,
    followers: RefCell<Vec<Waker>>,
    started: RefCell<Vec<Task>>,
    killed: RefCell<Vec<(ProcessId, u8)>>,
    running: RefCell<Vec<Task>>,
    alive: RefCell<Vec<(String, ProcessView)>>,
    last: RefCell<u32>,
    effort: Rc<Effort>,
}

struct Task {
    id: ProcessId,
    future: Pin<Box<dyn Future<Output = ExitCode>>>,
    exit: Rc<RefCell<ExitSlot>>,
    woken: Arc<Woken>,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Files for Kernel {
    fn read(&self, path: &str) -> Result<Vec<u8>, Errno> {
        self.files.borrow().get(path).cloned().ok_or(Errno::NoSuchFile)
    }
    fn write(&self, path: &str, content: &[u8], append: bool) -> Result<(), Errno> {
        let mut files = self.files.borrow_mut();
        let file = files.entry(path.to_owned()).or_default();
        if !append {
            file.clear();
        }
        file.extend_from_slice(content);
        for follower in self.followers.take() {
            follower.wake();
        }
        Ok(())
    }
    fn remove(&self, path: &str) -> Result<(), Errno> {
        self.files.borrow_mut().remove(path).map(drop).ok_or(Errno::NoSuchFile)
    }
    fn wake_when_written(&self, waker: &Waker) {
        self.followers.borrow_mut().push(waker.clone());
    }
    fn list(&self, prefix: &str) -> Vec<String> {
        self.files.borrow().keys().filter(|path| path.starts_with(prefix)).cloned().collect()
    }
}

/// Starts processes in one namespace.
struct Here {
    engine: Rc<RefCell<Engine>>,
    kernel: Rc<Kernel>,
    namespace: String,
    powers: Powers,
}

impl Launcher for Here {
    fn launch(&self, launch: Launch) -> Result<Child, Errno> {
        let program = super::find(&launch.arguments[0]).ok_or(Errno::NoSuchFile)?;
        Ok(self.spawn(program, launch))
    }
    fn kill(&self, process: ProcessId, signal: u8) {
        self.kernel.killed.borrow_mut().push((process, signal));
    }
    fn processes(&self) -> Vec<ProcessView> {
        let alive = self.kernel.alive.borrow();
        alive.iter().filter(|(place, _)| *place == self.namespace).map(|(_, view)| view.clone()).collect()
    }
}

impl Here {
    fn spawn(&self, program: Program, launch: Launch) -> Child {
        let id = {
            let mut last = self.kernel.last.borrow_mut();
            *last += 1;
            ProcessId(*last)
        };
        let name = NamespaceName::new(&self.namespace);
        let namespace = self.engine.borrow().namespace(&name).unwrap();
        let user = if self.namespace == "host" { User::default() } else { User { id: 1000, group: 1000 } };
        let parent = ProcessId(0);
        let seen = ProcessView { id, parent, arguments: launch.arguments.clone(), user };
        self.kernel.alive.borrow_mut().push((self.namespace.clone(), seen));
        let process = Process {
            id,
            parent,
            arguments: launch.arguments,
            environment: Environment::default().of_child(&launch.environment),
            hostname: self.namespace.as_str().into(),
            files: self.kernel.clone(),
            launcher: Rc::new(Here {
                engine: self.engine.clone(),
                kernel: self.kernel.clone(),
                namespace: self.namespace.clone(),
                powers: self.powers,
            }),
            stdin: launch.stdin,
            stdout: launch.stdout,
            stderr: launch.stderr,
            powers: self.powers,
            user,
            effort: self.kernel.effort.clone(),
            busy: std::cell::Cell::default(),
        };
        let exit: Rc<RefCell<ExitSlot>> = Rc::default();
        let task = Task {
            id,
            future: program(Sys::new(self.engine.clone(), namespace, process)),
            exit: exit.clone(),
            woken: Arc::new(Woken(AtomicBool::new(true))),
        };
        self.kernel.started.borrow_mut().push(task);
        Child { id, exit }
    }
}

/// A process that a test started.
pub(super) struct Started {
    pub(super) stdin: Pipe,
    pub(super) output: Pipe,
    exit: Rc<RefCell<ExitSlot>>,
}

impl Started {
    /// Its status, once it has ended.
    pub(super) fn status(&self) -> Option<u8> {
        self.exit.borrow().status().map(|status| status.0)
    }

    /// What it has printed since the last call, on both streams.
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.output.take()).unwrap()
    }
}

fn device(namespace: &str, name: &str) -> DeviceName {
    DeviceName { namespace: NamespaceName::new(namespace), name: InterfaceName::parse(name).unwrap() }
}

impl World {
    pub(super) fn new() -> World {
        let world = World { engine: Rc::new(RefCell::new(Engine::new(0))), kernel: Rc::default() };
        let mut plan = Plan::new();
        let mut push = |op| plan.push(Owner::Machine(0), op);
        for namespace in ["host", "a", "b", "far"] {
            push(Op::AddNamespace {
                namespace: NamespaceName::new(namespace),
                disable_ipv6: true,
                ipv4_forward: false,
                unprivileged: false,
            });
        }
        let namespace = NamespaceName::new("host");
        push(Op::SetSysctl { namespace, sysctl: Sysctl::Ipv4Forward(true) });
        let bridge = device("host", "br0");
        push(Op::AddDevice { device: bridge.clone(), spec: DeviceSpec::Bridge, mac: None, mtu: 1500 });
        push(Op::add_address(bridge.clone(), "10.0.0.1/24".parse().unwrap()));
        push(Op::SetUp { device: bridge.clone() });
        for (name, address) in [("a", "10.0.0.2/24"), ("b", "10.0.0.3/24"), ("far", "10.1.0.2/24")] {
            let (end, eth0) = (device("host", &format!("v{name}")), device(name, "eth0"));
            let mac = format!("02:42:0a:00:00:0{}", &address[address.len() - 4..address.len() - 3]);
            let spec = DeviceSpec::Veth { peer: eth0.clone(), peer_mac: mac.parse().ok(), moved: false };
            push(Op::AddDevice { device: end.clone(), spec, mac: None, mtu: 1500 });
            if name == "far" {
                push(Op::add_address(end.clone(), "10.1.0.1/24".parse().unwrap()));
            } else {
                let bridge = bridge.name;
                push(Op::SetMaster { device: end.clone(), bridge, hairpin: false, isolated: false });
            }
            push(Op::SetUp { device: end });
            push(Op::add_address(eth0.clone(), address.parse().unwrap()));
            push(Op::SetUp { device: eth0 });
            let gateway = if name == "far" { "10.1.0.1" } else { "10.0.0.1" };
            push(Op::AddRoute {
                namespace: NamespaceName::new(name),
                destination: "0.0.0.0/0".parse().unwrap(),
                next_hop: NextHop::Gateway(gateway.parse().unwrap()),
                device: None,
                source: None,
                metric: 0,
            });
        }
        world.engine.borrow_mut().apply(&plan).unwrap();
        world
    }

    pub(super) fn file(&self, path: &str, content: &str) {
        self.kernel.files.borrow_mut().insert(path.to_owned(), content.as_bytes().to_vec());
    }

    pub(super) fn content(&self, path: &str) -> String {
        String::from_utf8(self.kernel.files.borrow()[path].clone()).unwrap()
    }

    /// Starts a program; its standard input stays open until the test closes it.
    pub(super) fn start(&self, namespace: &str, arguments: &[&str]) -> Started {
        self.start_program(namespace, super::find(arguments[0]).unwrap(), arguments)
    }

    /// Starts a program of the test's own.
    pub(super) fn start_program(&self, namespace: &str, program: Program, arguments: &[&str]) -> Started {
        let privilege = if namespace == "host" { Privilege::Full } else { Privilege::Ordinary };
        self.spawn(namespace, Powers { privilege, raw: true }, program, arguments)
    }

    /// Starts a program that may do what others of its namespace may not.
    pub(super) fn start_as(&self, namespace: &str, powers: Powers, arguments: &[&str]) -> Started {
        self.spawn(namespace, powers, super::find(arguments[0]).unwrap(), arguments)
    }

    fn spawn(&self, namespace: &str, powers: Powers, program: Program, arguments: &[&str]) -> Started {
        let here = Here {
            engine: self.engine.clone(),
            kernel: self.kernel.clone(),
            namespace: namespace.to_owned(),
            powers,
        };
        let (stdin, output) = (Pipe::new(), Pipe::with_capacity(OUTPUT));
        let launch = Launch {
            arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
            environment: BTreeMap::from([("PATH".to_owned(), "/bin".to_owned())]),
            stdin: stdin.clone(),
            stdout: output.clone(),
            stderr: output.clone(),
            replaces: false,
        };
        let child = here.spawn(program, launch);
        Started { stdin, output, exit: child.exit }
    }

    /// Runs a command line, split at blanks, to its end without input: what it printed and its status.
    pub(super) fn run(&self, namespace: &str, line: &str) -> (String, u8) {
        let words: Vec<&str> = line.split_whitespace().collect();
        self.run_words(namespace, &words)
    }

    /// Runs a shell command.
    pub(super) fn sh(&self, namespace: &str, script: &str) -> (String, u8) {
        self.run_words(namespace, &["sh", "-c", script])
    }

    /// Runs a command given word by word to its end without input.
    pub(super) fn run_words(&self, namespace: &str, words: &[&str]) -> (String, u8) {
        let started = self.start(namespace, words);
        started.stdin.close_writer();
        let status = self.finish(&started);
        (started.text(), status)
    }

    /// Lets time pass until a process has ended.
    pub(super) fn finish(&self, started: &Started) -> u8 {
        loop {
            self.settle();
            if let Some(status) = started.exit.borrow().status() {
                return status.0;
            }
            let (deadline, _) = self.engine.borrow_mut().deadline().expect("the process waits for nothing");
            self.engine.borrow_mut().advance(deadline);
        }
    }

    /// Runs everything that can run now.
    pub(super) fn settle(&self) {
        loop {
            while self.engine.borrow_mut().drain(1_000).unwrap() == Drained::More {}
            let mut running = self.kernel.running.take();
            running.append(&mut self.kernel.started.borrow_mut());
            let mut polled = false;
            running.retain_mut(|task| {
                if !task.woken.0.swap(false, Ordering::Relaxed) {
                    return true;
                }
                polled = true;
                let waker = Waker::from(task.woken.clone());
                match task.future.as_mut().poll(&mut Context::from_waker(&waker)) {
                    std::task::Poll::Pending => true,
                    std::task::Poll::Ready(status) => {
                        self.kernel.alive.borrow_mut().retain(|(_, view)| view.id != task.id);
                        task.exit.borrow_mut().set(status);
                        false
                    }
                }
            });
            let killed = self.kernel.killed.take();
            if !killed.is_empty() {
                // What was started before it was killed.
                running.append(&mut self.kernel.started.borrow_mut());
            }
            for (id, signal) in killed {
                self.kernel.alive.borrow_mut().retain(|(_, view)| view.id != id);
                running.retain(|task| {
                    if task.id == id {
                        task.exit.borrow_mut().set(ExitCode(128 + signal));
                    }
                    task.id != id
                });
            }
            running.append(&mut self.kernel.running.borrow_mut());
            *self.kernel.running.borrow_mut() = running;
            let woken = self.kernel.running.borrow().iter().any(|task| task.woken.0.load(Ordering::Relaxed));
            if !polled && !woken && self.kernel.started.borrow().is_empty() {
                return;
            }
        }
    }
}
