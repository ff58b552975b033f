//! A small laboratory around one engine: plans by name, programs as async blocks, virtual time.

#![allow(unreachable_pub, reason = "a module of several test crates")]
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use linkspan::engine::event::DropReason;
use linkspan::engine::id::DeviceId;
use linkspan::engine::plan::{
    DeviceName, DeviceSpec, InterfaceParameter, LinkQuality, MacAddress, NamespaceName, NextHop, Op, Owner,
    Plan, SettingScope, Sysctl,
};
use linkspan::engine::sys::{
    Child, Environment, Errno, Family, Files, Launch, Launcher, Pipe, Powers, Process, ProcessId,
    ProcessView, Sys, User,
};
use linkspan::engine::{Drained, Engine, Storm};
use linkspan_nat::interface::InterfaceName;

/// An engine and the programs that run on it.
pub struct Bench {
    pub engine: Rc<RefCell<Engine>>,
    tasks: Vec<Task>,
    owners: BTreeMap<String, Owner>,
    next_owner: u32,
}

struct Task {
    future: Pin<Box<dyn Future<Output = ()>>>,
    flag: Arc<Flag>,
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Flag>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _path: &str) -> Result<Vec<u8>, Errno> {
        Err(Errno::NoSuchFile)
    }
    fn write(&self, _path: &str, _content: &[u8], _append: bool) -> Result<(), Errno> {
        Err(Errno::NoSuchFile)
    }
    fn list(&self, _prefix: &str) -> Vec<String> {
        Vec::new()
    }
}

struct NoChildren;

impl Launcher for NoChildren {
    fn launch(&self, _launch: Launch) -> Result<Child, Errno> {
        Err(Errno::NoSuchFile)
    }
    fn kill(&self, _process: ProcessId, _signal: u8) {}
    fn processes(&self) -> Vec<ProcessView> {
        Vec::new()
    }
}

pub fn device(namespace: &str, name: &str) -> DeviceName {
    DeviceName { namespace: NamespaceName::new(namespace), name: InterfaceName::parse(name).unwrap() }
}

impl Bench {
    pub fn new(seed: u64) -> Bench {
        Bench {
            engine: Rc::new(RefCell::new(Engine::new(seed))),
            tasks: Vec::new(),
            owners: BTreeMap::new(),
            next_owner: 0,
        }
    }

    fn owner(&mut self, name: &str) -> Owner {
        if let Some(owner) = self.owners.get(name) {
            return *owner;
        }
        self.next_owner += 1;
        let owner = Owner::Endpoint(self.next_owner);
        self.owners.insert(name.to_owned(), owner);
        owner
    }

    pub fn apply(&mut self, name: &str, ops: Vec<Op>) {
        let owner = self.owner(name);
        let mut plan = Plan::new();
        ops.into_iter().for_each(|op| plan.push(owner, op));
        self.engine.borrow_mut().apply(&plan).unwrap();
    }

    pub fn remove(&mut self, name: &str) {
        let owner = self.owner(name);
        let mut plan = Plan::new();
        plan.remove_owner(owner);
        self.engine.borrow_mut().apply(&plan).unwrap();
    }

    fn namespace(&mut self, name: &str) {
        let namespace = NamespaceName::new(name);
        if self.engine.borrow().namespace(&namespace).is_none() {
            // Nobody asks for duplicates of addresses here: tests about that begin by asking for it.
            let sysctl = Sysctl::interface(SettingScope::Default, InterfaceParameter::ACCEPT_DAD, 0);
            let space = namespace.clone();
            self.apply(
                name,
                vec![
                    Op::AddNamespace {
                        namespace,
                        disable_ipv6: false,
                        ipv4_forward: false,
                        unprivileged: false,
                    },
                    Op::SetSysctl { namespace: space, sysctl },
                ],
            );
        }
    }

    /// A bridge in a namespace, with an address, up.
    pub fn bridge(&mut self, namespace: &str, name: &str, address: &str) {
        self.bridge_with_mac(namespace, name, address, None);
    }

    pub fn bridge_with_mac(&mut self, namespace: &str, name: &str, address: &str, mac: Option<MacAddress>) {
        self.namespace(namespace);
        let device = device(namespace, name);
        let address = address.parse().unwrap();
        self.apply(
            namespace,
            vec![
                Op::AddDevice { device: device.clone(), spec: DeviceSpec::Bridge, mac, mtu: 1_500 },
                Op::add_address(device.clone(), address),
                Op::SetUp { device },
            ],
        );
    }

    /// A namespace with eth0 on a bridge of `host`.
    pub fn container(&mut self, name: &str, bridge: &str, address: &str, gateway: Option<&str>) {
        self.namespace(name);
        let end = device("host", &format!("veth{name}"));
        let eth0 = device(name, "eth0");
        let mut ops = vec![
            Op::AddDevice {
                device: end.clone(),
                spec: DeviceSpec::Veth { peer: eth0.clone(), peer_mac: None, moved: false },
                mac: None,
                mtu: 1_500,
            },
            Op::SetMaster {
                device: end.clone(),
                bridge: InterfaceName::parse(bridge).unwrap(),
                hairpin: false,
                isolated: false,
            },
            Op::SetUp { device: end },
            Op::add_address(eth0.clone(), address.parse().unwrap()),
            Op::SetUp { device: eth0 },
        ];
        if let Some(gateway) = gateway {
            ops.push(default_route(name, gateway));
        }
        self.apply(name, ops);
    }

    /// A machine with one NIC, not plugged in.
    pub fn machine(&mut self, name: &str, address: &str) {
        self.namespace(name);
        let eth0 = device(name, "eth0");
        self.apply(
            name,
            vec![
                Op::AddDevice { device: eth0.clone(), spec: DeviceSpec::Nic, mac: None, mtu: 1_500 },
                Op::add_address(eth0.clone(), address.parse().unwrap()),
                Op::SetUp { device: eth0 },
            ],
        );
    }

    pub fn uplink(&mut self, host: &str, nic: &str, address: &str, machine: &str, quality: LinkQuality) {
        self.uplink_with_mtu(host, nic, address, machine, quality, 1_500);
    }

    pub fn uplink_with_mtu(
        &mut self,
        host: &str,
        nic: &str,
        address: &str,
        machine: &str,
        quality: LinkQuality,
        mtu: u32,
    ) {
        let nic = device(host, nic);
        self.apply(
            host,
            vec![
                Op::AddDevice { device: nic.clone(), spec: DeviceSpec::Nic, mac: None, mtu },
                Op::add_address(nic.clone(), address.parse().unwrap()),
                Op::SetUp { device: nic.clone() },
                Op::Connect { a: nic, b: device(machine, "eth0"), quality: Box::new([quality; 2]) },
            ],
        );
    }

    /// A veth between two bridges of one namespace.
    pub fn cable(&mut self, namespace: &str, a: &str, b: &str, number: u32) {
        let ends = [device(namespace, &format!("x{number}")), device(namespace, &format!("y{number}"))];
        let mut ops = vec![Op::AddDevice {
            device: ends[0].clone(),
            spec: DeviceSpec::Veth { peer: ends[1].clone(), peer_mac: None, moved: false },
            mac: None,
            mtu: 1_500,
        }];
        for (end, bridge) in ends.into_iter().zip([a, b]) {
            ops.push(Op::SetMaster {
                device: end.clone(),
                bridge: InterfaceName::parse(bridge).unwrap(),
                hairpin: false,
                isolated: false,
            });
            ops.push(Op::SetUp { device: end });
        }
        self.apply(namespace, ops);
    }

    pub fn forward(&mut self, namespace: &str) {
        let name = NamespaceName::new(namespace);
        let set = |sysctl| Op::SetSysctl { namespace: name.clone(), sysctl };
        self.apply(namespace, vec![set(Sysctl::Ipv4Forward(true)), set(Sysctl::BridgeNetfilter(true))]);
    }

    pub fn iptables(&mut self, namespace: &str, line: &str) -> String {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let id = self.engine.borrow().namespace(&NamespaceName::new(namespace)).unwrap();
        self.engine.borrow_mut().iptables(id, Family::Ipv4, &words).unwrap()
    }

    pub fn device(&self, namespace: &str, name: &str) -> DeviceId {
        self.engine.borrow().device(&device(namespace, name)).unwrap()
    }

    pub fn drops(&self, reason: DropReason) -> u64 {
        self.engine.borrow().drops().get(&reason).copied().unwrap_or(0)
    }

    /// Interfaces, routes and rules of a namespace, without counters.
    pub fn tables(&self, namespace: &str) -> impl std::fmt::Debug {
        let engine = self.engine.borrow();
        let id = engine.namespace(&NamespaceName::new(namespace)).unwrap();
        let interfaces: Vec<_> =
            engine.interfaces(id).into_iter().map(|i| (i.name, i.up, i.mtu, i.mac, i.addresses)).collect();
        let rules = linkspan_nat::text_list::list_save(
            engine.rules(id, Family::Ipv4).unwrap(),
            linkspan_nat::ruleset::Table::Filter,
            None,
            None,
            false,
        );
        (interfaces, engine.routes(id, Family::Ipv4), engine.fdb(id), format!("{rules:?}"))
    }

    fn sys(&self, namespace: &str) -> Sys {
        let id = self.engine.borrow().namespace(&NamespaceName::new(namespace)).unwrap();
        let process = Process {
            id: ProcessId(1),
            parent: ProcessId(0),
            arguments: vec!["test".to_owned()],
            environment: Environment::default(),
            hostname: namespace.into(),
            powers: Powers::ALL,
            user: User::default(),
            files: Rc::new(NoFiles),
            launcher: Rc::new(NoChildren),
            stdin: Pipe::empty(),
            stdout: Pipe::new(),
            stderr: Pipe::new(),
            effort: Rc::default(),
            busy: Cell::default(),
        };
        Sys::new(self.engine.clone(), id, process)
    }

    /// Starts a program that runs beside others.
    pub fn spawn<F: Future<Output = ()> + 'static>(
        &mut self,
        namespace: &str,
        program: impl FnOnce(Sys) -> F,
    ) {
        let future = Box::pin(program(self.sys(namespace)));
        self.tasks.push(Task { future, flag: Arc::new(Flag(AtomicBool::new(true))) });
    }

    /// Runs a program to its end in virtual time.
    pub fn run<T: 'static, F: Future<Output = T> + 'static>(
        &mut self,
        namespace: &str,
        program: impl FnOnce(Sys) -> F,
    ) -> T {
        self.try_run(namespace, program).expect("packet storm")
    }

    pub fn try_run<T: 'static, F: Future<Output = T> + 'static>(
        &mut self,
        namespace: &str,
        program: impl FnOnce(Sys) -> F,
    ) -> Result<T, Storm> {
        let result = Rc::new(RefCell::new(None));
        let slot = result.clone();
        let future = program(self.sys(namespace));
        self.spawn(namespace, |_| async move {
            let value = future.await;
            *slot.borrow_mut() = Some(value);
        });
        while result.borrow().is_none() {
            if self.poll_tasks() {
                continue;
            }
            if self.engine.borrow_mut().drain(10_000)? == Drained::More || self.ready() {
                continue;
            }
            let next = self.engine.borrow_mut().deadline();
            let (time, _) = next.expect("the program waits for something that never happens");
            self.engine.borrow_mut().advance(time);
        }
        Ok(result.borrow_mut().take().unwrap())
    }

    fn ready(&self) -> bool {
        self.tasks.iter().any(|t| t.flag.0.load(Ordering::Relaxed))
    }

    fn poll_tasks(&mut self) -> bool {
        let mut any = false;
        let mut index = 0;
        while index < self.tasks.len() {
            let task = &mut self.tasks[index];
            if task.flag.0.swap(false, Ordering::Relaxed) {
                any = true;
                let waker = Waker::from(task.flag.clone());
                if let Poll::Ready(()) = task.future.as_mut().poll(&mut Context::from_waker(&waker)) {
                    drop(self.tasks.remove(index));
                    continue;
                }
            }
            index += 1;
        }
        any
    }
}

pub fn default_route(namespace: &str, gateway: &str) -> Op {
    let gateway: std::net::IpAddr = gateway.parse().unwrap();
    Op::AddRoute {
        namespace: NamespaceName::new(namespace),
        destination: if gateway.is_ipv4() { "0.0.0.0/0" } else { "::/0" }.parse().unwrap(),
        next_hop: NextHop::Gateway(gateway),
        device: None,
        source: None,
        metric: 0,
    }
}
