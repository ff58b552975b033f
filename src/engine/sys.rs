//! The system-call surface: everything a program in a namespace may do.
//!
//! A program is an `async fn(Sys) -> ExitCode`. It waits by awaiting; errors arrive as [`Errno`], whether they come
//! from a closed port, an ICMP error, a REJECT rule or a neighbour that does not answer. Sockets close when dropped.
//! Time is the engine's. Files, environment, arguments, standard streams and child processes are supplied by the
//! world through [`Process`]; tables (interfaces, routes, neighbours, rules) are the namespace's own.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use linkspan_nat::packet::{ICMP, ICMPV6};
pub use linkspan_nat::rule::Family;
pub use linkspan_nat::ruleset::Table;
pub use linkspan_nat::text_restore::RestoreOptions;

use super::Engine;
pub use super::administer::{Change, Existing, NewDevice, RouteChange};
pub use super::effort::Effort;
pub use super::environment::Environment;
pub use super::errno::Errno;
pub use super::event::NeighbourState;
pub use super::flow_events::{FlowEvent, FlowEvents, FlowEventsHeard, FlowWatch};
pub use super::flow_filter::FlowFilter;
use super::id::{NamespaceId, SocketId};
pub use super::packet_socket::{PacketStatistics, PacketType, SeenFrame};
pub use super::pipe::Pipe;
pub use super::plan::{IpvlanFlag, IpvlanMode, MacAddress, MacvlanMode, Sysctl, Transport, VlanId};
use super::proc;
pub use super::view::{
    AddressView, Counters, FdbView, InterfaceKind, InterfaceView, NeighbourView, RouteView, Scope,
    SettingsView, SocketView, UpperView,
};

/// A program's exit status, 0 to 255.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitCode(pub u8);

impl ExitCode {
    /// Everything went well.
    pub const SUCCESS: ExitCode = ExitCode(0);
    /// Something failed.
    pub const FAILURE: ExitCode = ExitCode(1);
    /// The command exists and cannot be run.
    pub const NOT_EXECUTABLE: ExitCode = ExitCode(126);
    /// The command does not exist.
    pub const NOT_FOUND: ExitCode = ExitCode(127);
}

/// A program: called once, polled by the world's executor until it returns.
pub type Program = fn(Sys) -> Pin<Box<dyn Future<Output = ExitCode>>>;

/// The files a process sees: generated ones (`/etc/hosts`), images' and its own.
pub trait Files {
    /// The content of a file.
    fn read(&self, path: &str) -> Result<Vec<u8>, Errno>;
    /// At most `limit` bytes of a file from `offset` on; empty at its end.
    fn read_at(&self, path: &str, offset: usize, limit: usize) -> Result<Vec<u8>, Errno> {
        self.read(path).map(|content| piece(&content, offset, limit).to_vec())
    }
    /// Replaces or extends a file.
    fn write(&self, path: &str, content: &[u8], append: bool) -> Result<(), Errno>;
    /// Takes a file away. Files that nobody can write stay.
    fn remove(&self, _path: &str) -> Result<(), Errno> {
        Err(Errno::PermissionDenied)
    }
    /// Paths that start with `prefix`, sorted.
    fn list(&self, prefix: &str) -> Vec<String>;
    /// Wakes somebody once, when a file is written next. Files that nobody can write never do.
    fn wake_when_written(&self, _waker: &Waker) {}
}

/// The part of a content that a read of `limit` bytes at `offset` gives.
pub(crate) fn piece(content: &[u8], offset: usize, limit: usize) -> &[u8] {
    let start = offset.min(content.len());
    &content[start..start + limit.min(content.len() - start)]
}

/// Starts child processes.
pub trait Launcher {
    /// Starts a program in the same container; [`Errno::NoSuchFile`] if there is none of that name.
    fn launch(&self, launch: Launch) -> Result<Child, Errno>;
    /// Ends a process; its sockets close, its exit status is 128 plus the signal.
    fn kill(&self, process: ProcessId, signal: u8);
    /// The processes of the container, oldest first.
    fn processes(&self) -> Vec<ProcessView>;
}

/// What others of its container see of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessView {
    /// Its identity.
    pub id: ProcessId,
    /// Program name and arguments.
    pub arguments: Vec<String>,
    /// Whom it runs as.
    pub user: User,
}

/// Whom a process runs as, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct User {
    /// The user; 0 is root.
    pub id: u32,
    /// The user's group.
    pub group: u32,
}

/// What a child process is started with.
pub struct Launch {
    /// Program name and arguments.
    pub arguments: Vec<String>,
    /// Environment.
    pub environment: BTreeMap<String, String>,
    /// Standard input.
    pub stdin: Pipe,
    /// Standard output.
    pub stdout: Pipe,
    /// Standard error.
    pub stderr: Pipe,
}

/// Identity of a process in its world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId(pub u32);

/// Where a process leaves its exit status, and who waits for it.
#[derive(Default)]
pub struct ExitSlot {
    status: Option<ExitCode>,
    waiters: Vec<std::task::Waker>,
}

impl ExitSlot {
    /// Records the status and wakes whoever waits. The first status stays.
    pub fn set(&mut self, status: ExitCode) {
        if self.status.is_none() {
            self.status = Some(status);
            for waiter in self.waiters.drain(..) {
                waiter.wake();
            }
        }
    }

    /// The status, once the process has ended.
    pub fn status(&self) -> Option<ExitCode> {
        self.status
    }
}

/// A started process.
pub struct Child {
    /// Its identity.
    pub id: ProcessId,
    /// Where its status appears.
    pub exit: Rc<RefCell<ExitSlot>>,
}

impl Child {
    /// Waits for the end of the process.
    pub async fn wait(&self) -> ExitCode {
        std::future::poll_fn(|context| {
            let mut slot = self.exit.borrow_mut();
            match slot.status {
                Some(status) => Poll::Ready(status),
                None => {
                    slot.waiters.push(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

/// What the world supplies to one process.
pub struct Process {
    /// Its identity.
    pub id: ProcessId,
    /// Program name and arguments.
    pub arguments: Vec<String>,
    /// Environment.
    pub environment: Environment,
    /// Host name of its container or machine.
    pub hostname: Rc<str>,
    /// Files.
    pub files: Rc<dyn Files>,
    /// Child processes.
    pub launcher: Rc<dyn Launcher>,
    /// Standard input.
    pub stdin: Pipe,
    /// Standard output.
    pub stdout: Pipe,
    /// Standard error.
    pub stderr: Pipe,
    /// What it may do in its namespace.
    pub powers: Powers,
    /// Whom it runs as.
    pub user: User,
    /// What the programs of its place have written lately.
    pub effort: Rc<Effort>,
}

/// What a process may do in its namespace that others may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Powers {
    /// What it may change.
    pub privilege: Privilege,
    /// It may open raw and packet sockets: it has `CAP_NET_RAW`.
    pub raw: bool,
}

impl Powers {
    /// Root's on a machine.
    pub const ALL: Powers = Powers { privilege: Privilege::Full, raw: true };
}

/// What a process may change in its namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    /// Nothing: it has no `CAP_NET_ADMIN`.
    Ordinary,
    /// Everything but kernel parameters: it has `CAP_NET_ADMIN`, and `/proc/sys` is read-only.
    NetAdmin,
    /// Everything.
    Full,
}

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
            Box::pin(self.sleep_until(until)).await;
        }
        Ok(())
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
        self.process.launcher.launch(launch)
    }

    /// Ends a process.
    pub fn kill(&self, process: ProcessId, signal: u8) {
        self.process.launcher.kill(process, signal);
    }

    /// The processes of the container, oldest first.
    pub fn processes(&self) -> Vec<ProcessView> {
        self.process.launcher.processes()
    }

    /// Its own identity.
    pub fn process_id(&self) -> ProcessId {
        self.process.id
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

    /// Opens a UDP socket.
    pub fn udp_socket(&self) -> Result<UdpSocket, Errno> {
        let id = self.engine.borrow_mut().udp_open(self.namespace)?;
        self.name_socket(id);
        Ok(UdpSocket { handle: Handle { engine: self.engine.clone(), id } })
    }

    /// Opens a raw socket: it gets a copy of every packet of that IP protocol for this namespace, with IP header.
    /// [`Errno::PermissionDenied`] without `CAP_NET_RAW`.
    pub fn raw_socket(&self, family: Family, protocol: u8) -> Result<RawSocket, Errno> {
        self.needs_raw()?;
        self.open_raw(family, protocol)
    }

    /// Opens a socket for ICMP echoes, which everybody may: Docker sets `net.ipv4.ping_group_range` to all groups.
    /// Unlike Linux's it gets every ICMP message for this namespace, so that whoever asks looks for its identifier.
    pub fn ping_socket(&self, family: Family) -> Result<RawSocket, Errno> {
        let protocol = match family {
            Family::Ipv4 => ICMP,
            Family::Ipv6 => ICMPV6,
        };
        self.open_raw(family, protocol)
    }

    /// Sends an IPv4 packet with a header of one's own, as by a raw socket with `IP_HDRINCL`: it is routed and passes
    /// OUTPUT. Length, checksum, and a source or identification of zero are filled in.
    /// [`Errno::PermissionDenied`] without `CAP_NET_RAW`, [`Errno::InvalidArgument`] for what has no IPv4 header,
    /// [`Errno::MessageTooLong`] for more than the interface takes, [`Errno::NetworkUnreachable`] without a route.
    pub fn send_packet(&self, packet: &[u8]) -> Result<(), Errno> {
        self.needs_raw()?;
        self.engine.borrow_mut().raw_send_packet(self.namespace, packet)
    }

    fn open_raw(&self, family: Family, protocol: u8) -> Result<RawSocket, Errno> {
        let id = self.engine.borrow_mut().raw_open(self.namespace, family, protocol)?;
        Ok(RawSocket { handle: Handle { engine: self.engine.clone(), id } })
    }

    /// Opens a packet socket on an interface: it sees frames of one EtherType, or with `None` of all, and sends whole
    /// frames. [`Errno::PermissionDenied`] without `CAP_NET_RAW`.
    pub fn packet_socket(&self, interface: &str, ethertype: Option<u16>) -> Result<PacketSocket, Errno> {
        self.needs_raw()?;
        let id = self.engine.borrow_mut().packet_open(self.namespace, interface, ethertype)?;
        Ok(PacketSocket { handle: Handle { engine: self.engine.clone(), id } })
    }

    fn needs_raw(&self) -> Result<(), Errno> {
        if self.process.powers.raw { Ok(()) } else { Err(Errno::PermissionDenied) }
    }

    /// Listens for TCP connections, on the unspecified IPv6 address for those of IPv4 too. Port 0 picks a free one.
    pub fn tcp_listen(&self, address: SocketAddr, backlog: usize) -> Result<TcpListener, Errno> {
        self.listen(address, backlog, true)
    }

    /// The same with `IPV6_V6ONLY` on: `[::]` takes no IPv4 and so stands beside `0.0.0.0` on one port.
    pub fn tcp_listen_one_family(&self, address: SocketAddr, backlog: usize) -> Result<TcpListener, Errno> {
        self.listen(address, backlog, false)
    }

    fn listen(&self, address: SocketAddr, backlog: usize, dual_stack: bool) -> Result<TcpListener, Errno> {
        let id = self.engine.borrow_mut().tcp_listen(self.namespace, address, backlog, dual_stack)?;
        self.name_socket(id);
        Ok(TcpListener { sys: self.clone(), handle: Handle { engine: self.engine.clone(), id } })
    }

    /// Connects by TCP; waits for the handshake.
    pub async fn tcp_connect(&self, remote: SocketAddr) -> Result<TcpStream, Errno> {
        self.tcp_connect_from(None, remote).await
    }

    /// Connects by TCP from a given local address (its port may be 0).
    pub async fn tcp_connect_from(
        &self,
        local: Option<SocketAddr>,
        remote: SocketAddr,
    ) -> Result<TcpStream, Errno> {
        let id = self.engine.borrow_mut().tcp_connect(self.namespace, local, remote)?;
        self.name_socket(id);
        let stream = TcpStream { handle: Handle { engine: self.engine.clone(), id } };
        stream.handle.wait(|engine, id| engine.tcp_connected(id)).await?;
        Ok(stream)
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

    fn name_socket(&self, id: SocketId) {
        let name = self.process.arguments.first().map_or("-", String::as_str);
        let name = format!("{}/{}", self.process.id.0, name.rsplit('/').next().unwrap_or(name));
        self.engine.borrow_mut().name_socket(id, name);
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

/// A datagram as a program receives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// Who sent it.
    pub source: SocketAddr,
    /// Which local address it was sent to.
    pub destination: SocketAddr,
    /// What it says. For a raw socket: the whole IP packet.
    pub payload: Bytes,
}

struct Handle {
    engine: Rc<RefCell<Engine>>,
    id: SocketId,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.engine.borrow_mut().close(self.id);
    }
}

impl Handle {
    /// Repeats `operation` until it answers something else than `WouldBlock`.
    async fn wait<T>(
        &self,
        mut operation: impl FnMut(&mut Engine, SocketId) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        std::future::poll_fn(|context| {
            let mut engine = self.engine.borrow_mut();
            match operation(&mut engine, self.id) {
                Err(Errno::WouldBlock) => {
                    engine.register(self.id, context.waker());
                    Poll::Pending
                }
                result => Poll::Ready(result),
            }
        })
        .await
    }
}

/// A UDP socket.
pub struct UdpSocket {
    handle: Handle,
}

impl UdpSocket {
    /// Binds to a local address; port 0 picks a free one. Returns the address bound.
    pub fn bind(&self, local: SocketAddr) -> Result<SocketAddr, Errno> {
        self.handle.engine.borrow_mut().udp_bind(self.handle.id, local)
    }

    /// Sets the peer: only its datagrams and errors arrive.
    pub fn connect(&self, remote: SocketAddr) -> Result<(), Errno> {
        self.handle.engine.borrow_mut().udp_connect(self.handle.id, remote)
    }

    /// Sets the time to live of datagrams sent.
    pub fn set_ttl(&self, ttl: u8) {
        self.handle.engine.borrow_mut().set_ttl(self.handle.id, ttl);
    }

    /// The local address, unspecified until bound or connected.
    pub fn local_address(&self) -> Result<SocketAddr, Errno> {
        self.handle.engine.borrow().local_address(self.handle.id)
    }

    /// Sends to the connected peer.
    pub fn send(&self, payload: &[u8]) -> Result<(), Errno> {
        self.handle.engine.borrow_mut().udp_send(self.handle.id, None, payload)
    }

    /// Sends to anyone.
    pub fn send_to(&self, payload: &[u8], remote: SocketAddr) -> Result<(), Errno> {
        self.handle.engine.borrow_mut().udp_send(self.handle.id, Some(remote), payload)
    }

    /// Sends to anyone from this address of the namespace, as with IP_PKTINFO.
    pub fn send_from(&self, source: IpAddr, payload: &[u8], remote: SocketAddr) -> Result<(), Errno> {
        self.handle.engine.borrow_mut().udp_send_from(self.handle.id, source, remote, payload)
    }

    /// Waits for a datagram, or for a pending error of the connected peer.
    pub async fn receive(&self) -> Result<Datagram, Errno> {
        self.handle.wait(|engine, id| engine.udp_receive(id)).await
    }
}

/// A raw socket.
pub struct RawSocket {
    handle: Handle,
}

impl RawSocket {
    /// Sets the time to live of packets sent.
    pub fn set_ttl(&self, ttl: u8) {
        self.handle.engine.borrow_mut().set_ttl(self.handle.id, ttl);
    }

    /// Sends a message of the socket's protocol (for ICMP: with its header, checksum filled in for ICMPv6). The
    /// namespace adds the IP header. `source` overrides the source address.
    pub fn send_to(&self, message: &[u8], remote: IpAddr, source: Option<IpAddr>) -> Result<(), Errno> {
        self.handle.engine.borrow_mut().raw_send(self.handle.id, message, remote, source)
    }

    /// Waits for a packet; the payload is the whole IP packet.
    pub async fn receive(&self) -> Result<Datagram, Errno> {
        self.handle.wait(|engine, id| engine.raw_receive(id)).await
    }
}

/// A packet socket on an interface.
pub struct PacketSocket {
    handle: Handle,
}

impl PacketSocket {
    /// Sends a whole frame, Ethernet header and all. [`Errno::InvalidArgument`] if it is shorter than that header,
    /// [`Errno::MessageTooLong`] if longer than the interface takes, [`Errno::NetworkDown`] and
    /// [`Errno::NoSuchDevice`] if that is down or gone.
    pub fn send(&self, frame: &[u8]) -> Result<(), Errno> {
        self.handle.engine.borrow_mut().packet_send(self.handle.id, frame)
    }

    /// Waits for a frame; [`Errno::NetworkDown`] once when the interface goes down.
    pub async fn receive(&self) -> Result<SeenFrame, Errno> {
        self.handle.wait(|engine, id| engine.packet_receive(id)).await
    }

    /// Frames seen and missed since this was asked last.
    pub fn statistics(&self) -> Result<PacketStatistics, Errno> {
        self.handle.engine.borrow_mut().packet_statistics(self.handle.id)
    }
}

/// A listening TCP socket.
pub struct TcpListener {
    sys: Sys,
    handle: Handle,
}

impl TcpListener {
    /// The address it listens on.
    pub fn local_address(&self) -> Result<SocketAddr, Errno> {
        self.handle.engine.borrow().local_address(self.handle.id)
    }

    /// Waits for a connection.
    pub async fn accept(&self) -> Result<(TcpStream, SocketAddr), Errno> {
        let (id, peer) = self.handle.wait(|engine, id| engine.tcp_accept(id)).await?;
        self.sys.name_socket(id);
        Ok((TcpStream { handle: Handle { engine: self.handle.engine.clone(), id } }, peer))
    }
}

/// A TCP connection. Dropping it closes it in order; unread data makes that a reset, as in Linux.
pub struct TcpStream {
    handle: Handle,
}

impl TcpStream {
    /// The local address.
    pub fn local_address(&self) -> Result<SocketAddr, Errno> {
        self.handle.engine.borrow().local_address(self.handle.id)
    }

    /// The peer's address.
    pub fn peer_address(&self) -> Result<SocketAddr, Errno> {
        self.handle.engine.borrow().peer_address(self.handle.id)
    }

    /// Waits for data: at most `limit` bytes; empty means the peer has finished sending.
    pub async fn read(&self, limit: usize) -> Result<Vec<u8>, Errno> {
        self.handle.wait(|engine, id| engine.tcp_receive(id, limit)).await
    }

    /// Reads until the peer has finished, at most `limit` bytes.
    pub async fn read_to_end(&self, limit: usize) -> Result<Vec<u8>, Errno> {
        let mut all = Vec::new();
        while all.len() < limit {
            let part = self.read(limit - all.len()).await?;
            if part.is_empty() {
                break;
            }
            all.extend_from_slice(&part);
        }
        Ok(all)
    }

    /// Writes everything; waits while the peer's window is closed.
    pub async fn write_all(&self, data: &[u8]) -> Result<(), Errno> {
        let mut written = 0;
        while written < data.len() {
            written += self.handle.wait(|engine, id| engine.tcp_send(id, &data[written..])).await?;
        }
        Ok(())
    }

    /// Says that nothing more will be sent; the peer reads the end of the stream.
    pub fn shutdown(&self) -> Result<(), Errno> {
        self.handle.engine.borrow_mut().tcp_shutdown(self.handle.id)
    }

    /// Resets the connection.
    pub fn reset(&self) {
        self.handle.engine.borrow_mut().tcp_reset(self.handle.id);
    }
}
