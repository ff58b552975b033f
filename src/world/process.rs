//! Processes: programs as tasks of a small deterministic executor.
//!
//! One queue, first in first out; a task runs when something it waits for woke it, and only between drains of the
//! engine, so a system call always finds the engine free. No thread, no clock. A task that keeps waking itself
//! without time moving on is killed after [`SPIN_LIMIT`] turns and reported, so that it cannot hang a run.
//!
//! A process has a number in its PID namespace, as programs see it: the main process of a container has 1 there and the
//! others count on; on hosts and machines, where a kernel's own and much else run, they count on from [`SYSTEM`] whatever
//! place they are in. Nothing else numbers processes inside a container, so that they are 2, 3, ..., where a real runtime
//! leaves gaps.
//!
//! Programs that start programs without end are bounded three ways: children alive in one place, children started at
//! one instant, and children started in a run. Past a limit starting one fails with `EAGAIN`, as fork(2) does at the
//! limit of a pids control group, and the tree of processes comes down by itself.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use hashbrown::HashMap;

use super::files::FileTable;
use crate::docker::signal::Signal;
use crate::engine::Engine;
use crate::engine::id::NamespaceId;
use crate::engine::sys::{
    Child, Effort, Environment, Errno, ExitCode, ExitSlot, Launch, Launcher, Pipe, Powers, Process,
    ProcessId, ProcessView, Program, Sys, User,
};
use crate::programs;

/// Turns of one task at one instant.
const SPIN_LIMIT: u32 = 1_000_000;

/// Processes in one place that were started by others there: systemd's default `TasksMax` on a small machine.
const CHILDREN_PER_PLACE: u32 = 4_096;

/// Processes that others may start without time moving on.
const CHILDREN_PER_INSTANT: u32 = 32_768;

/// Processes that others may start in a whole run.
const CHILDREN_PER_RUN: u32 = 1_000_000;

/// The last number that a system's own processes have on a host or machine.
const SYSTEM: u32 = 1_000;

/// Identity of a process in its world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TaskId(u32);

/// The first process of a PID namespace.
const FIRST: ProcessId = ProcessId(1);

/// Where processes run: a container, a host or an outside machine.
#[derive(Clone)]
pub(crate) struct Place {
    /// Number of the place; processes of one place end together.
    pub(crate) number: u32,
    pub(crate) namespace: NamespaceId,
    pub(crate) hostname: Rc<str>,
    pub(crate) environment: Environment,
    pub(crate) files: Rc<FileTable>,
    /// Whose tools are found when a program is called by its bare name.
    pub(crate) tools: Tools,
    /// What its processes may do in the namespace.
    pub(crate) powers: Powers,
    /// Whom they run as.
    pub(crate) user: User,
    /// Programs that whoever owns the world brought along.
    pub(crate) own: OwnPrograms,
    /// What its programs have done lately.
    pub(crate) effort: Rc<Effort>,
}

/// A program that whoever owns the world brought along.
pub type OwnProgram = Rc<dyn Fn(Sys) -> Pin<Box<dyn Future<Output = ExitCode>>>>;

/// Those programs by name; every place of a world has the same.
pub(crate) type OwnPrograms = Rc<RefCell<BTreeMap<String, OwnProgram>>>;

/// An async function as a program that can be started any number of times.
pub fn own_program(main: impl AsyncFn(Sys) -> ExitCode + 'static) -> OwnProgram {
    let main = Rc::new(main);
    Rc::new(move |sys| {
        let main = main.clone();
        Box::pin(async move { main(sys).await })
    })
}

/// What is found under a program's name.
pub(crate) enum Executable {
    Known(Program),
    Own(OwnProgram),
}

impl Executable {
    pub(crate) fn run(self, sys: Sys) -> Pin<Box<dyn Future<Output = ExitCode>>> {
        match self {
            Self::Known(program) => program(sys),
            Self::Own(program) => program(sys),
        }
    }
}

/// Whose tools a place has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tools {
    /// BusyBox's, as in the images.
    BusyBox,
    /// A machine's own: its `ip` is iproute2's, its `timeout` GNU's.
    Machine,
}

impl Place {
    /// The same place with other powers or another user, for a process that is not like the others there.
    pub(crate) fn with(self: &Rc<Self>, powers: Powers, user: User) -> Rc<Place> {
        if (powers, user) == (self.powers, self.user) {
            return self.clone();
        }
        Rc::new(Place { powers, user, ..Place::clone(self) })
    }

    pub(crate) fn find(&self, name: &str) -> Result<Executable, Errno> {
        if let Some(own) = self.own.borrow().get(name) {
            return Ok(Executable::Own(own.clone()));
        }
        let program = match (self.tools, name) {
            (Tools::Machine, "ip") => programs::find("/usr/sbin/ip"),
            (Tools::Machine, "timeout" | "/bin/timeout" | "/usr/bin/timeout") => {
                Some(programs::gnu_timeout())
            }
            (Tools::Machine | Tools::BusyBox, name) => programs::find(name),
        };
        program.map(Executable::Known).ok_or(Errno::NoSuchFile)
    }
}

/// Every process of a world.
pub(crate) struct Processes {
    engine: Rc<RefCell<Engine>>,
    /// Never iterated.
    tasks: HashMap<TaskId, Box<Task>>,
    /// Moments so far.
    instant: u64,
    ready: Arc<ReadyQueue>,
    requests: Rc<RefCell<Requests>>,
    /// Ended by another process or for spinning, and not asked for yet.
    killed: Vec<TaskId>,
    /// Signals from inside to the first process of a place, not asked for yet.
    to_first: Vec<(u32, Signal)>,
}

struct Task {
    place: u32,
    process: Rc<Process>,
    future: Pin<Box<dyn Future<Output = ExitCode>>>,
    waker: Arc<TaskWaker>,
    exit: Rc<RefCell<ExitSlot>>,
    frozen: bool,
    /// Woken while frozen.
    missed: bool,
    /// The last instant in which it ran, and how often then.
    turns: (u64, u32),
    /// Started by another process.
    child: bool,
}

/// What programs asked for while they ran.
#[derive(Default)]
struct Requests {
    next: u32,
    /// The processes that run, by place.
    places: BTreeMap<(u32, TaskId), Weak<Process>>,
    starts: Vec<(TaskId, Task)>,
    /// Signals: the place, the process's number there, the signal.
    kills: Vec<(u32, ProcessId, u8)>,
    /// The last number that was given in a container.
    numbers: BTreeMap<u32, u32>,
    /// Children alive, by place.
    children: BTreeMap<u32, u32>,
    /// Children started since time moved on, and since the run began.
    started: (u32, u32),
}

impl Requests {
    /// The number of the next process of a place.
    fn number(&mut self, place: &Place, id: TaskId) -> ProcessId {
        match place.tools {
            Tools::Machine => ProcessId(SYSTEM.saturating_add(id.0)),
            Tools::BusyBox => {
                let last = self.numbers.entry(place.number).or_default();
                *last = last.saturating_add(1);
                ProcessId(*last)
            }
        }
    }

    /// Counts one more child in a place, if it may have one.
    fn admit(&mut self, place: u32) -> Result<(), Errno> {
        let alive = self.children.entry(place).or_default();
        let (instant, run) = self.started;
        if *alive >= CHILDREN_PER_PLACE || instant >= CHILDREN_PER_INSTANT || run >= CHILDREN_PER_RUN {
            return Err(Errno::WouldBlock);
        }
        *alive += 1;
        self.started = (instant + 1, run + 1);
        Ok(())
    }

    /// The processes of a place, oldest first.
    fn in_place(&self, place: u32) -> impl Iterator<Item = (TaskId, &Weak<Process>)> {
        let range = (place, TaskId(0))..=(place, TaskId(u32::MAX));
        self.places.range(range).map(|((_, id), process)| (*id, process))
    }

    fn child_ended(&mut self, place: u32) {
        if let Some(alive) = self.children.get_mut(&place) {
            *alive -= 1;
            if *alive == 0 {
                self.children.remove(&place);
            }
        }
    }
}

#[derive(Default)]
struct ReadyQueue(Mutex<VecDeque<TaskId>>);

impl ReadyQueue {
    fn push(&self, id: TaskId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(id);
    }

    fn pop(&self) -> Option<TaskId> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

struct TaskWaker {
    id: TaskId,
    ready: Arc<ReadyQueue>,
    queued: AtomicBool,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<TaskWaker>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            self.ready.push(self.id);
        }
    }
}

/// A started process.
pub(crate) struct Started {
    pub(crate) id: TaskId,
    pub(crate) exit: Rc<RefCell<ExitSlot>>,
}

/// A process that never stopped asking for its turn while time stood still, and was killed.
pub(crate) struct Spun {
    pub(crate) id: TaskId,
    pub(crate) place: u32,
    pub(crate) process: Rc<Process>,
    /// Started by another process.
    pub(crate) child: bool,
}

/// Streams of a process.
pub(crate) struct Streams {
    pub(crate) stdin: Pipe,
    pub(crate) stdout: Pipe,
    pub(crate) stderr: Pipe,
}

impl Processes {
    pub(crate) fn new(engine: Rc<RefCell<Engine>>) -> Processes {
        Processes {
            engine,
            tasks: HashMap::new(),
            instant: 0,
            ready: Arc::default(),
            requests: Rc::new(RefCell::new(Requests { next: 1, ..Requests::default() })),
            killed: Vec::new(),
            to_first: Vec::new(),
        }
    }

    /// Starts a program by name; [`Errno::NoSuchFile`] if linkspan has none of that name.
    pub(crate) fn start(
        &mut self,
        place: &Rc<Place>,
        arguments: Vec<String>,
        environment: Environment,
        streams: Streams,
    ) -> Result<Started, Errno> {
        let name = arguments.first().map_or("", String::as_str);
        let program = place.find(name)?;
        Ok(self.start_future(place, arguments, environment, streams, |sys| program.run(sys)))
    }

    /// Starts any future as a process.
    pub(crate) fn start_future(
        &mut self,
        place: &Rc<Place>,
        arguments: Vec<String>,
        environment: Environment,
        streams: Streams,
        main: impl FnOnce(Sys) -> Pin<Box<dyn Future<Output = ExitCode>>>,
    ) -> Started {
        let context = Spawner {
            engine: self.engine.clone(),
            requests: self.requests.clone(),
            ready: self.ready.clone(),
        };
        let numbers = Numbers::of_next(ProcessId(0));
        let (id, task) = context.task(place, numbers, arguments, environment, streams, main);
        let exit = task.exit.clone();
        self.insert(id, task);
        Started { id, exit }
    }

    /// Runs what is ready; true if anything ran. The error is a process that never stopped asking for a turn.
    pub(crate) fn run(&mut self) -> Result<bool, Spun> {
        let mut any = self.take_requests();
        while let Some(id) = self.ready.pop() {
            any = true;
            let Some(task) = self.tasks.get_mut(&id) else { continue };
            task.waker.queued.store(false, Ordering::Relaxed);
            if task.frozen {
                task.missed = true;
                continue;
            }
            if task.turns.0 != self.instant {
                task.turns = (self.instant, 0);
            }
            task.turns.1 += 1;
            if task.turns.1 > SPIN_LIMIT {
                let (place, process, child) = (task.place, task.process.clone(), task.child);
                self.kill(id, 9);
                self.killed.push(id);
                return Err(Spun { id, place, process, child });
            }
            let waker = Waker::from(task.waker.clone());
            let polled = task.future.as_mut().poll(&mut Context::from_waker(&waker));
            if let Poll::Ready(status) = polled
                && let Some(task) = self.remove(id)
            {
                task.exit.borrow_mut().set(status);
            }
            self.take_requests();
        }
        Ok(any)
    }

    /// Time moved on: every task has its turns again.
    pub(crate) fn new_instant(&mut self) {
        self.instant += 1;
        self.requests.borrow_mut().started.0 = 0;
    }

    /// True if a task waits for its turn.
    pub(crate) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
            || !self.requests.borrow().starts.is_empty()
            || !self.requests.borrow().kills.is_empty()
            || !self.to_first.is_empty()
    }

    /// The processes that did not end by themselves since the last call.
    pub(crate) fn take_killed(&mut self) -> Vec<TaskId> {
        std::mem::take(&mut self.killed)
    }

    /// The signals that processes sent to the first one of their place since the last call.
    pub(crate) fn take_signals(&mut self) -> Vec<(u32, Signal)> {
        std::mem::take(&mut self.to_first)
    }

    /// Ends a process; its sockets close.
    pub(crate) fn kill(&mut self, id: TaskId, signal: u8) {
        self.end(id, ExitCode(128u8.saturating_add(signal)));
    }

    /// Ends a process with a status; its sockets close.
    pub(crate) fn end(&mut self, id: TaskId, status: ExitCode) {
        let Some(task) = self.remove(id) else { return };
        task.exit.borrow_mut().set(status);
        // What has taken its place is the same process.
        for other in self.numbered(task.place, task.process.id) {
            self.end(other, status);
        }
    }

    /// Who has a number in a place: more than one if a program has taken another's place, the first of them first.
    fn numbered(&self, place: u32, number: ProcessId) -> Vec<TaskId> {
        let requests = self.requests.borrow();
        let having = requests
            .in_place(place)
            .filter(|(_, process)| process.upgrade().is_some_and(|process| process.id == number));
        having.map(|(id, _)| id).collect()
    }

    fn remove(&mut self, id: TaskId) -> Option<Box<Task>> {
        let task = self.tasks.remove(&id)?;
        let mut requests = self.requests.borrow_mut();
        requests.places.remove(&(task.place, id));
        if task.child {
            requests.child_ended(task.place);
        }
        drop(requests);
        Some(task)
    }

    /// Ends every process of a place.
    pub(crate) fn kill_place(&mut self, place: u32, signal: u8) {
        self.take_requests();
        for id in self.in_place(place) {
            if let Some(task) = self.remove(id) {
                task.exit.borrow_mut().set(ExitCode(128u8.saturating_add(signal)));
            }
        }
        self.requests.borrow_mut().numbers.remove(&place);
    }

    /// Suspends or resumes every process of a place.
    pub(crate) fn freeze_place(&mut self, place: u32, frozen: bool) {
        for id in self.in_place(place) {
            let Some(task) = self.tasks.get_mut(&id) else { continue };
            task.frozen = frozen;
            if !frozen && std::mem::take(&mut task.missed) {
                task.waker.wake_by_ref();
            }
        }
    }

    /// The processes of a place, oldest first.
    fn in_place(&self, place: u32) -> Vec<TaskId> {
        self.requests.borrow().in_place(place).map(|(id, _)| id).collect()
    }

    fn insert(&mut self, id: TaskId, task: Task) {
        self.requests.borrow_mut().places.insert((task.place, id), Rc::downgrade(&task.process));
        self.tasks.insert(id, Box::new(task));
        self.ready.push(id);
    }

    fn take_requests(&mut self) -> bool {
        let (starts, kills) = {
            let mut requests = self.requests.borrow_mut();
            (std::mem::take(&mut requests.starts), std::mem::take(&mut requests.kills))
        };
        let any = !starts.is_empty() || !kills.is_empty();
        for (id, task) in starts {
            self.insert(id, task);
        }
        for (place, number, signal) in kills {
            let Some(signal) = Signal::numbered(signal) else { continue };
            if number == FIRST {
                self.to_first.push((place, signal));
            } else if signal.ends_by_default()
                && let Some(id) = self.numbered(place, number).first().copied()
            {
                self.kill(id, signal.number());
                self.killed.push(id);
            }
        }
        any
    }
}

/// What numbers a process has.
#[derive(Clone, Copy)]
struct Numbers {
    /// `None`: the next one of its place.
    own: Option<ProcessId>,
    parent: ProcessId,
}

impl Numbers {
    fn of_next(parent: ProcessId) -> Numbers {
        Numbers { own: None, parent }
    }
}

/// Makes tasks.
#[derive(Clone)]
struct Spawner {
    engine: Rc<RefCell<Engine>>,
    requests: Rc<RefCell<Requests>>,
    ready: Arc<ReadyQueue>,
}

impl Spawner {
    fn task(
        &self,
        place: &Rc<Place>,
        numbers: Numbers,
        arguments: Vec<String>,
        environment: Environment,
        streams: Streams,
        main: impl FnOnce(Sys) -> Pin<Box<dyn Future<Output = ExitCode>>>,
    ) -> (TaskId, Task) {
        let (id, number) = {
            let mut requests = self.requests.borrow_mut();
            requests.next += 1;
            let id = TaskId(requests.next - 1);
            (id, numbers.own.unwrap_or_else(|| requests.number(place, id)))
        };
        let launcher = PlaceLauncher {
            spawner: self.clone(),
            place: place.clone(),
            environment: environment.clone(),
            parent: number,
            grandparent: numbers.parent,
        };
        let process = Rc::new(Process {
            id: number,
            parent: numbers.parent,
            arguments,
            environment,
            hostname: place.hostname.clone(),
            files: place.files.clone(),
            launcher: Rc::new(launcher),
            stdin: streams.stdin,
            stdout: streams.stdout,
            stderr: streams.stderr,
            powers: place.powers,
            user: place.user,
            effort: place.effort.clone(),
            busy: std::cell::Cell::default(),
        });
        let sys = Sys::new(self.engine.clone(), place.namespace, process.clone());
        let waker = Arc::new(TaskWaker { id, ready: self.ready.clone(), queued: AtomicBool::new(true) });
        let task = Task {
            place: place.number,
            process,
            future: main(sys),
            waker,
            exit: Rc::default(),
            frozen: false,
            missed: false,
            turns: (0, 0),
            child: false,
        };
        (id, task)
    }
}

/// Starts children in the place of their parent.
struct PlaceLauncher {
    spawner: Spawner,
    place: Rc<Place>,
    /// The parent's.
    environment: Environment,
    parent: ProcessId,
    grandparent: ProcessId,
}

impl Launcher for PlaceLauncher {
    fn launch(&self, launch: Launch) -> Result<Child, Errno> {
        let name = launch.arguments.first().map_or("", String::as_str);
        let program = self.place.find(name)?;
        self.spawner.requests.borrow_mut().admit(self.place.number)?;
        let streams = Streams { stdin: launch.stdin, stdout: launch.stdout, stderr: launch.stderr };
        let environment = self.environment.of_child(&launch.environment);
        let numbers = match launch.replaces {
            true => Numbers { own: Some(self.parent), parent: self.grandparent },
            false => Numbers::of_next(self.parent),
        };
        let main = |sys| program.run(sys);
        let (id, mut task) =
            self.spawner.task(&self.place, numbers, launch.arguments, environment, streams, main);
        task.child = true;
        let child = Child { id: task.process.id, exit: task.exit.clone() };
        self.spawner.requests.borrow_mut().starts.push((id, task));
        Ok(child)
    }

    fn kill(&self, process: ProcessId, signal: u8) {
        self.spawner.requests.borrow_mut().kills.push((self.place.number, process, signal));
    }

    fn processes(&self) -> Vec<ProcessView> {
        let requests = self.spawner.requests.borrow();
        let alive = requests.in_place(self.place.number).filter_map(|(_, process)| process.upgrade());
        // Those that were started in this turn.
        let new = requests.starts.iter().filter(|(_, task)| task.place == self.place.number);
        let mut all = BTreeMap::new();
        for process in alive.chain(new.map(|(_, task)| task.process.clone())) {
            let view = ProcessView {
                id: process.id,
                parent: process.parent,
                arguments: process.arguments.clone(),
                user: process.user,
            };
            // Who took another's place is what is seen of both.
            all.insert(process.id, view);
        }
        all.into_values().collect()
    }
}
