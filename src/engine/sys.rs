//! The system-call surface: everything a program in a namespace may do.
//!
//! A program is an `async fn(Sys) -> ExitCode`. It waits by awaiting; errors arrive as [`Errno`], whether they come
//! from a closed port, an ICMP error, a REJECT rule or a neighbour that does not answer. Sockets close when dropped.
//! Time is the engine's. Files, environment, arguments, standard streams and child processes are supplied by the
//! world through [`Process`] (`process`); sockets are in `sockets`; tables (interfaces, routes, neighbours, rules) are
//! the namespace's own.

mod process;
mod sockets;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::net::IpAddr;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

pub use linkspan_nat::rule::Family;
pub use linkspan_nat::ruleset::Table;
pub use linkspan_nat::text_restore::RestoreOptions;

pub(crate) use self::process::piece;
pub use self::process::{
    Child, ExitCode, ExitSlot, Files, Launch, Launcher, Powers, Privilege, Process, ProcessId, ProcessView,
    Program, User,
};
pub use self::sockets::{Datagram, PacketSocket, RawSocket, TcpListener, TcpStream, UdpSocket};
use super::Engine;
pub use super::administer::{Change, Existing, NewDevice, RouteChange};
pub use super::effort::Effort;
pub use super::environment::Environment;
pub use super::errno::Errno;
pub use super::event::NeighbourState;
pub use super::flow_events::{FlowEvent, FlowEvents, FlowEventsHeard, FlowWatch};
pub use super::flow_filter::FlowFilter;
use super::id::NamespaceId;
pub use super::packet_socket::{PacketStatistics, PacketType, SeenFrame};
pub use super::pipe::Pipe;
pub use super::plan::{
    DuplicateDetection, IpvlanFlag, IpvlanMode, MacAddress, MacvlanMode, Sysctl, Transport, VlanId,
};
use super::proc;
pub use super::view::{
    AddressState, AddressView, BridgePortView, Counters, FdbView, InterfaceKind, InterfaceView,
    NeighbourView, RouteView, Scope, SettingsView, SocketView, UpperView,
};

/// Bytes whose moving takes as long as starting a process.
const LAUNCH: usize = 32 << 10;

/// A process's handle to its namespace. Cheap to clone.
#[derive(Clone)]
pub struct Sys {
    engine: Rc<RefCell<Engine>>,
    namespace: NamespaceId,
    process: Rc<Process>,
}

impl Sys {
    /// A handle for a process in a namespace.
    pub fn new(engine: Rc<RefCell<Engine>>, namespace: NamespaceId, process: impl Into<Rc<Process>>) -> Sys {
        Sys { engine, namespace, process: process.into() }
    }

    /// Program name and arguments.
    pub fn arguments(&self) -> &[String] {
        &self.process.arguments
    }

    /// One variable of the environment.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.process.environment.get(name)
    }

    /// The whole environment.
    pub fn environment(&self) -> BTreeMap<String, String> {
        self.process.environment.to_map()
    }

    /// Variables in the order in which the process was given them; others come behind, sorted by name.
    pub fn in_order<'a>(&'a self, variables: &'a BTreeMap<String, String>) -> Vec<(&'a str, &'a str)> {
        self.process.environment.in_order(variables)
    }

    /// Host name.
    pub fn hostname(&self) -> &str {
        &self.process.hostname
    }

    /// Standard input.
    pub fn stdin(&self) -> &Pipe {
        &self.process.stdin
    }

    /// Standard output.
    pub fn stdout(&self) -> &Pipe {
        &self.process.stdout
    }

    /// Standard error.
    pub fn stderr(&self) -> &Pipe {
        &self.process.stderr
    }

    /// Writes everything to standard output; waits while a reader is slow, and for the time that much output takes.
    /// [`Errno::BrokenPipe`] if nobody will read it.
    pub async fn write(&self, data: &[u8]) -> Result<(), Errno> {
        self.write_to(&self.process.stdout, data).await
    }

    /// Writes to standard output. A broken pipe is silent, as SIGPIPE would be.
    pub async fn print(&self, text: impl AsRef<str>) {
        let _ = self.write(text.as_ref().as_bytes()).await;
    }

    /// Writes to standard error.
    pub async fn print_error(&self, text: impl AsRef<str>) {
        let _ = self.write_to(&self.process.stderr, text.as_ref().as_bytes()).await;
    }

    /// Writes everything to a pipe, with pauses for as much as is written.
    async fn write_to(&self, pipe: &Pipe, data: &[u8]) -> Result<(), Errno> {
        pipe.write_all(data).await?;
        if let Some(until) = self.process.effort.write(self.now(), data.len()) {
            // Boxed, so that programs that wait to say a word are no larger for a pause they never make.
            Box::pin(self.pause_until(until, pipe)).await;
        }
        Ok(())
    }

    /// Waits for data on standard input, at most `limit` bytes, after the time that what was read before takes; empty at
    /// the end. Whoever gives up waiting has lost nothing.
    pub async fn read(&self, limit: usize) -> Vec<u8> {
        self.read_from(&self.process.stdin, limit).await
    }

    /// The same of any pipe.
    pub async fn read_from(&self, pipe: &Pipe, limit: usize) -> Vec<u8> {
        self.rest().await;
        let data = pipe.read(limit).await;
        self.looked_at(&data);
        data
    }

    /// The same for whoever passes on what it reads as it is: it does not look at the lines.
    pub async fn read_to_copy(&self, limit: usize) -> Vec<u8> {
        self.rest().await;
        let data = self.process.stdin.read(limit).await;
        self.worked(data.len());
        data
    }

    /// Reads a piece of a file as [`Self::read_file_at`] does, after the time that what was read before takes.
    pub async fn read_piece(&self, path: &str, offset: usize, limit: usize) -> Result<Vec<u8>, Errno> {
        self.rest().await;
        let data = self.read_file_at(path, offset, limit)?;
        self.looked_at(&data);
        Ok(data)
    }

    fn looked_at(&self, text: &[u8]) {
        let Process { busy, effort, .. } = &*self.process;
        busy.set(effort.read(self.now(), busy.get(), text).unwrap_or(busy.get()));
    }

    /// Counts work that takes as long as moving so many bytes. It takes its time at the next [`Self::rest`] or read.
    pub fn worked(&self, bytes: usize) {
        let Process { busy, effort, .. } = &*self.process;
        busy.set(effort.work(self.now(), busy.get(), bytes).unwrap_or(busy.get()));
    }

    /// Waits until what the process has read and worked is done.
    pub async fn rest(&self) {
        let until = self.process.busy.get();
        if self.now() < until && !Box::pin(self.pause_until(until, &self.process.stdout)).await {
            self.process.busy.set(self.now());
        }
    }

    /// Waits for the turn of a loop that lets no time pass by itself, among all that do in the place.
    pub async fn spin(&self) {
        let until = self.process.effort.spin(self.now());
        self.sleep_until(until).await;
    }

    /// Pauses until a moment, or until the reader of a pipe goes meanwhile: whoever writes there finds out at once, as
    /// SIGPIPE finds a program that computes. Whether the pause was made to its end. A reader that had gone before ends no
    /// pause, so who goes on without one still takes its time.
    async fn pause_until(&self, until: Duration, pipe: &Pipe) -> bool {
        if pipe.is_broken() {
            self.sleep_until(until).await;
            return true;
        }
        let mut sleep = std::pin::pin!(self.sleep_until(until));
        std::future::poll_fn(|context| {
            if sleep.as_mut().poll(context).is_ready() {
                return Poll::Ready(true);
            }
            if pipe.is_broken() {
                return Poll::Ready(false);
            }
            pipe.wake_when_broken(context.waker());
            Poll::Pending
        })
        .await
    }

    /// Reads a file, the kernel's own (`/proc/sys/...`, `/proc/net/dev`, `/sys/class/net/...`) included.
    pub fn read_file(&self, path: &str) -> Result<Vec<u8>, Errno> {
        let kernel = self.engine.borrow().read_kernel_file(self.namespace, path);
        kernel.unwrap_or_else(|| self.process.files.read(path))
    }

    /// At most `limit` bytes of a file from `offset` on; empty at its end.
    pub fn read_file_at(&self, path: &str, offset: usize, limit: usize) -> Result<Vec<u8>, Errno> {
        match self.engine.borrow().read_kernel_file(self.namespace, path) {
            Some(content) => content.map(|content| piece(&content, offset, limit).to_vec()),
            None => self.process.files.read_at(path, offset, limit),
        }
    }

    /// Writes a file. A parameter below `/proc/sys` is [`Self::administer`]ed.
    pub fn write_file(&self, path: &str, content: &[u8], append: bool) -> Result<(), Errno> {
        match proc::change_of(path, content) {
            // A shell opens a file before a program writes to it.
            Some(_) if content.is_empty() && self.process.powers.privilege == Privilege::Full => Ok(()),
            Some(_) if content.is_empty() => Err(Errno::PermissionDenied),
            Some(change) => self.administer(&change?),
            None => self.process.files.write(path, content, append),
        }
    }

    /// Removes a file.
    pub fn remove_file(&self, path: &str) -> Result<(), Errno> {
        match self.engine.borrow().read_kernel_file(self.namespace, path) {
            Some(_) => Err(Errno::PermissionDenied),
            None => self.process.files.remove(path),
        }
    }

    /// Paths that start with `prefix`, sorted.
    pub fn list_files(&self, prefix: &str) -> Vec<String> {
        let mut paths = self.process.files.list(prefix);
        paths.extend(self.engine.borrow().kernel_files(self.namespace, prefix));
        paths
    }

    /// Wakes somebody once, when a file is written next.
    pub fn wake_when_written(&self, waker: &Waker) {
        self.process.files.wake_when_written(waker);
    }

    /// Starts a child process in the same container.
    pub fn launch(&self, launch: Launch) -> Result<Child, Errno> {
        self.worked(LAUNCH);
        self.process.launcher.launch(launch)
    }

    /// Sends a signal to a process. The first of a PID namespace takes none that it has no handler for, nor SIGKILL.
    pub fn kill(&self, process: ProcessId, signal: u8) {
        self.process.launcher.kill(process, signal);
    }

    /// The processes of the container, oldest first.
    pub fn processes(&self) -> Vec<ProcessView> {
        self.process.launcher.processes()
    }

    /// Its own number.
    pub fn process_id(&self) -> ProcessId {
        self.process.id
    }

    /// The number of who started it; 0 for somebody outside the PID namespace.
    pub fn parent_id(&self) -> ProcessId {
        self.process.parent
    }

    /// Whom it runs as.
    pub fn user(&self) -> User {
        self.process.user
    }

    /// Virtual time since the start of the run.
    pub fn now(&self) -> Duration {
        self.engine.borrow().now()
    }

    /// A number from the run's seed.
    pub fn random(&self) -> u32 {
        self.engine.borrow_mut().random()
    }

    /// Waits.
    pub fn sleep(&self, duration: Duration) -> impl Future<Output = ()> {
        self.sleep_until(self.now().saturating_add(duration))
    }

    /// Waits until a moment.
    pub fn sleep_until(&self, until: Duration) -> impl Future<Output = ()> {
        let mut armed = false;
        std::future::poll_fn(move |context| {
            let mut engine = self.engine.borrow_mut();
            if engine.now() >= until {
                return Poll::Ready(());
            }
            if !armed {
                armed = true;
                engine.wake_at(until, context.waker().clone());
            }
            Poll::Pending
        })
    }

    /// Lets other programs run once.
    pub async fn yield_now(&self) {
        let mut yielded = false;
        std::future::poll_fn(|context| {
            if yielded {
                return Poll::Ready(());
            }
            yielded = true;
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// Runs a future for at most `limit`; `None` if it was not done by then.
    pub async fn timeout<F: Future>(&self, limit: Duration, future: F) -> Option<F::Output> {
        let mut future = std::pin::pin!(future);
        let mut sleep = std::pin::pin!(self.sleep(limit));
        std::future::poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Some(output));
            }
            sleep.as_mut().poll(context).map(|()| None)
        })
        .await
    }

    /// The devices of this namespace by index.
    pub fn interfaces(&self) -> Vec<InterfaceView> {
        self.engine.borrow().interfaces(self.namespace)
    }

    /// The routes of one family: default first, then by destination.
    pub fn routes(&self, family: Family) -> Vec<RouteView> {
        self.engine.borrow().routes(self.namespace, family)
    }

    /// The route a packet to `destination` would take.
    pub fn route_to(&self, destination: IpAddr) -> Result<RouteView, Errno> {
        self.engine.borrow().route_to(self.namespace, destination)
    }

    /// The neighbour entries, by device and address.
    pub fn neighbours(&self) -> Vec<NeighbourView> {
        self.engine.borrow().neighbours(self.namespace)
    }

    /// The forwarding tables of this namespace's bridges.
    pub fn fdb(&self) -> Vec<FdbView> {
        self.engine.borrow().fdb(self.namespace)
    }

    /// The settings; `None` if the namespace is gone.
    pub fn settings(&self) -> Option<SettingsView> {
        self.engine.borrow().settings(self.namespace)
    }

    /// The local sockets.
    pub fn sockets(&self) -> Vec<SocketView> {
        self.engine.borrow().sockets(self.namespace)
    }

    /// The tracked connections that a filter selects, as `conntrack -L` prints them.
    pub fn connections(&self, filter: &FlowFilter) -> Vec<String> {
        self.engine.borrow().selected_connections(self.namespace, filter, false)
    }

    /// The same as with `-o extended`.
    pub fn connections_extended(&self, filter: &FlowFilter) -> Vec<String> {
        self.engine.borrow().selected_connections(self.namespace, filter, true)
    }

    /// Listens to what happens to tracked connections from now on. [`Errno::PermissionDenied`] without `CAP_NET_ADMIN`.
    pub fn flow_events(&self, watch: FlowWatch) -> Result<FlowEvents, Errno> {
        match self.process.powers.privilege {
            Privilege::Ordinary => Err(Errno::PermissionDenied),
            Privilege::NetAdmin | Privilege::Full => Ok(FlowEvents::new(&self.engine, self.namespace, watch)),
        }
    }

    /// Forgets the tracked connections that a filter selects, and returns them as they were.
    /// [`Errno::PermissionDenied`] without `CAP_NET_ADMIN`.
    pub fn forget_connections(&self, filter: &FlowFilter) -> Result<Vec<String>, Errno> {
        match self.process.powers.privilege {
            Privilege::Ordinary => Err(Errno::PermissionDenied),
            Privilege::NetAdmin | Privilege::Full => {
                Ok(self.engine.borrow_mut().forget_connections(self.namespace, filter))
            }
        }
    }

    /// Runs an `iptables` command line (without the program name) on this namespace; the error is what the real
    /// program prints.
    pub fn iptables(&self, family: Family, arguments: &[String]) -> Result<String, IptablesError> {
        if self.process.powers.privilege == Privilege::Ordinary {
            let program = match family {
                Family::Ipv4 => "iptables",
                Family::Ipv6 => "ip6tables",
            };
            let reason = "Could not fetch rule set generation id: Permission denied (you must be root)";
            let message = format!("{program} v1.8.9 (nf_tables): {reason}");
            return Err(IptablesError { message, status: ExitCode(4) });
        }
        self.engine.borrow_mut().iptables(self.namespace, family, arguments)
    }

    /// Reads rules as `iptables-restore` does; the error is what the real program prints.
    pub fn restore_rules(
        &self,
        family: Family,
        text: &str,
        options: RestoreOptions,
    ) -> Result<(), IptablesError> {
        if self.process.powers.privilege == Privilege::Ordinary {
            return self.iptables(family, &[]).map(drop);
        }
        self.engine.borrow_mut().restore_rules(self.namespace, family, text, options)
    }

    /// Changes the namespace: addresses, routes, neighbours, devices, settings. [`Errno::PermissionDenied`] without
    /// `CAP_NET_ADMIN`, and for kernel parameters without [`Privilege::Full`].
    pub fn administer(&self, change: &Change) -> Result<(), Errno> {
        match (self.process.powers.privilege, change) {
            (Privilege::Full, _) => {}
            (Privilege::NetAdmin, Change::SetSysctl(_)) => return Err(Errno::PermissionDenied),
            (Privilege::NetAdmin, _) => {}
            (Privilege::Ordinary, _) => return Err(Errno::PermissionDenied),
        }
        self.engine.borrow_mut().administer(self.namespace, change)
    }
}

/// An `iptables` failure: text for standard error and the exit status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IptablesError {
    /// What it prints.
    pub message: String,
    /// Its exit status.
    pub status: ExitCode,
}
