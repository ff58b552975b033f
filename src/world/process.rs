//! Processes: programs as tasks of a small deterministic executor.
//!
//! One queue, first in first out; a task runs when something it waits for woke it, and only between drains of the
//! engine, so a system call always finds the engine free. No thread, no clock. A task that keeps waking itself
//! without time moving on is killed after [`SPIN_LIMIT`] turns and reported, so that it cannot hang a run.
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
    tasks: HashMap<ProcessId, Box<Task>>,
    /// Moments so far.
    instant: u64,
    ready: Arc<ReadyQueue>,
    requests: Rc<RefCell<Requests>>,
    /// Ended by another process or for spinning, and not asked for yet.
    killed: Vec<ProcessId>,
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
    places: BTreeMap<(u32, ProcessId), Weak<Process>>,
    starts: Vec<(ProcessId, Task)>,
    kills: Vec<(ProcessId, u8)>,
    /// Children alive, by place.
    children: BTreeMap<u32, u32>,
    /// Children started since time moved on, and since the run began.
    started: (u32, u32),
}

impl Requests {
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
    fn in_place(&self, place: u32) -> impl Iterator<Item = (ProcessId, &Weak<Process>)> {
        let range = (place, ProcessId(0))..=(place, ProcessId(u32::MAX));
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
struct ReadyQueue(Mutex<VecDeque<ProcessId>>);

impl ReadyQueue {
    fn push(&self, id: ProcessId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(id);
    }

    fn pop(&self) -> Option<ProcessId> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

struct TaskWaker {
    id: ProcessId,
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
    pub(crate) id: ProcessId,
    pub(crate) exit: Rc<RefCell<ExitSlot>>,
}

/// A process that never stopped asking for its turn while time stood still, and was killed.
pub(crate) struct Spun {
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
        let (id, task) = context.task(place, arguments, environment, streams, main);
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
                return Err(Spun { place, process, child });
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
    }

    /// The processes that did not end by themselves since the last call.
    pub(crate) fn take_killed(&mut self) -> Vec<ProcessId> {
        std::mem::take(&mut self.killed)
    }

    /// Ends a process; its sockets close.
    pub(crate) fn kill(&mut self, id: ProcessId, signal: u8) {
        self.end(id, ExitCode(128u8.saturating_add(signal)));
    }

    /// Ends a process with a status; its sockets close.
    pub(crate) fn end(&mut self, id: ProcessId, status: ExitCode) {
        if let Some(task) = self.remove(id) {
            task.exit.borrow_mut().set(status);
        }
    }

    fn remove(&mut self, id: ProcessId) -> Option<Box<Task>> {
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
            self.kill(id, signal);
        }
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
    fn in_place(&self, place: u32) -> Vec<ProcessId> {
        self.requests.borrow().in_place(place).map(|(id, _)| id).collect()
    }

    fn insert(&mut self, id: ProcessId, task: Task) {
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
        for (id, signal) in kills {
            self.kill(id, signal);
            self.killed.push(id);
        }
        any
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
        arguments: Vec<String>,
        environment: Environment,
        streams: Streams,
        main: impl FnOnce(Sys) -> Pin<Box<dyn Future<Output = ExitCode>>>,
    ) -> (ProcessId, Task) {
        let id = {
            let mut requests = self.requests.borrow_mut();
            requests.next += 1;
            ProcessId(requests.next - 1)
        };
        let launcher =
            PlaceLauncher { spawner: self.clone(), place: place.clone(), environment: environment.clone() };
        let process = Rc::new(Process {
            id,
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
}

impl Launcher for PlaceLauncher {
    fn launch(&self, launch: Launch) -> Result<Child, Errno> {
        let name = launch.arguments.first().map_or("", String::as_str);
        let program = self.place.find(name)?;
        self.spawner.requests.borrow_mut().admit(self.place.number)?;
        let streams = Streams { stdin: launch.stdin, stdout: launch.stdout, stderr: launch.stderr };
        let environment = self.environment.of_child(&launch.environment);
        let (id, mut task) =
            self.spawner.task(&self.place, launch.arguments, environment, streams, |sys| program.run(sys));
        task.child = true;
        let exit = task.exit.clone();
        self.spawner.requests.borrow_mut().starts.push((id, task));
        Ok(Child { id, exit })
    }

    fn kill(&self, process: ProcessId, signal: u8) {
        self.spawner.requests.borrow_mut().kills.push((process, signal));
    }

    fn processes(&self) -> Vec<ProcessView> {
        let requests = self.spawner.requests.borrow();
        let alive = requests.in_place(self.place.number).filter_map(|(_, process)| process.upgrade());
        let view = |process: &Rc<Process>| ProcessView {
            id: process.id,
            arguments: process.arguments.clone(),
            user: process.user,
        };
        let mut all: Vec<ProcessView> = alive.map(|process| view(&process)).collect();
        // Those that were started in this turn.
        let new = requests.starts.iter().filter(|(_, task)| task.place == self.place.number);
        all.extend(new.map(|(_, task)| view(&task.process)));
        all
    }
}
