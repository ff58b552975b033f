//! A process of this machine becomes a container: TAP devices in its namespaces, configured as the container's interfaces.
//!
//! `setns(2)` moves a process into a user namespace only if it has a single thread, and there is no way back, so the
//! work is done by a helper: the program itself, started again ([`serve`]), which enters the namespaces of the process
//! through its pidfd, opens `/dev/net/tun` there (a TAP device belongs to the network namespace it was opened in),
//! configures the interfaces and hands the open devices back as descriptors over a socket. Then it ends; the devices
//! live as long as linkspan holds them, and disappear with it however it ends.
//!
//! The interfaces get the container's names, hardware addresses, MTUs, addresses and routes, and the way to its
//! resolver (`world/outside.rs` says which address that is and why), as `slirp4netns --configure` would. If the process
//! has a mount namespace of its own, `/etc/resolv.conf` and `/etc/hosts` there become the container's, so that
//! programs find names without being told; files that a process shares with the machine are left alone, and
//! [`Furnished::files`] says so.
//!
//! Kernel: Linux 5.8 (`setns` on a pidfd). Limits: interfaces that have the same name in the process's namespace must
//! be gone beforehand; nothing is undone there but the devices themselves.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use ipnet::IpNet;
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, unmount};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};
use serde_json::{Value, json};

use super::netlink::Netlink;
use super::tap::{self, Tap, TapError};
use crate::lab::outside::{Interface, Replacement, Resolver, Route};

/// Bytes of one message between linkspan and its helper: a container's description with its files.
const MESSAGE: usize = 128 << 10;

/// Most interfaces of one container.
const MOST_INTERFACES: usize = 64;

/// Why a process cannot be a container. Each text says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttachError {
    /// No process has this number.
    #[error("there is no process {pid}: it has ended, or it lives in another PID namespace")]
    NoProcess {
        /// As asked for.
        pid: u32,
    },
    /// The process has no network namespace of its own.
    #[error(
        "process {pid} is in linkspan's own network namespace: start it in one of its own, for instance \
         `unshare --user --map-root-user --net --mount COMMAND`"
    )]
    SharedNamespace {
        /// The process.
        pid: u32,
    },
    /// The namespaces may not be entered.
    #[error(
        "not permitted to enter the namespaces of process {pid} ({message}): expected a user namespace that this \
         user made, for instance by `unshare --user --map-root-user --net --mount COMMAND`"
    )]
    NotPermitted {
        /// The process.
        pid: u32,
        /// The kernel's words.
        message: String,
    },
    /// No TAP device there.
    #[error("in the namespaces of process {pid}: {reason}")]
    Tap {
        /// The process.
        pid: u32,
        /// Why.
        reason: TapError,
    },
    /// The device stands and does not become what it should be.
    #[error("in the namespaces of process {pid}: {what} failed: {message}")]
    Configure {
        /// The process.
        pid: u32,
        /// What was done.
        what: String,
        /// The kernel's words.
        message: String,
    },
    /// The helper could not be started or ended without an answer.
    #[error("the helper that enters the namespaces of process {pid} failed: {message}")]
    Helper {
        /// The process.
        pid: u32,
        /// What happened.
        message: String,
    },
}

/// A process whose namespaces a helper has entered.
#[derive(Debug)]
pub struct Entered {
    pid: u32,
    process: OwnedFd,
    helper: Child,
    socket: OwnedFd,
}

/// A process that is a container now.
#[derive(Debug)]
pub struct Furnished {
    /// Its TAP devices, in the order of the container's interfaces.
    pub taps: Vec<Tap>,
    /// Becomes readable when the process ends (a pidfd).
    pub process: OwnedFd,
    /// Whether names work without being told.
    pub files: Files,
}

/// What became of `/etc/resolv.conf` and `/etc/hosts` of the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Files {
    /// They are the container's.
    Mounted,
    /// The process shares them with others; nothing was changed.
    Shared,
    /// They could not be mounted.
    Failed(String),
}

/// Starts a helper in the namespaces of a process. `program` is linkspan; `arguments` make it call [`serve`] with the
/// process's number.
///
/// # Errors
/// If the process is not there, has no network namespace of its own or may not be entered, or if no TAP device can be
/// opened there.
pub fn enter(pid: u32, program: &Path, arguments: &[&str]) -> Result<Entered, AttachError> {
    let process = open_process(pid)?;
    let failed = |message: String| AttachError::Helper { pid, message };
    let (socket, other) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .map_err(|error| failed(error.to_string()))?;
    let mut command = Command::new(program);
    command.args(arguments).arg(pid.to_string()).stdin(Stdio::from(other)).stdout(Stdio::null());
    let helper = command.spawn().map_err(|error| failed(format!("{}: {error}", program.display())))?;
    // The helper's end of the socket must be its alone, so that its end is noticed.
    drop(command);
    let mut entered = Entered { pid, process, helper, socket };
    entered.answer()?;
    Ok(entered)
}

impl Entered {
    /// The process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Makes a container's interfaces there.
    ///
    /// # Errors
    /// If a device cannot be opened or configured; what was made is gone again.
    pub fn furnish(mut self, replacement: &Replacement) -> Result<Furnished, AttachError> {
        let text = describe(replacement).to_string();
        let sent = if text.len() > MESSAGE {
            Err(Errno::MSGSIZE)
        } else {
            rustix::net::send(&self.socket, text.as_bytes(), SendFlags::NOSIGNAL)
        };
        sent.map_err(|error| AttachError::Helper { pid: self.pid, message: error.to_string() })?;
        let (answer, descriptors) = self.answer()?;
        let taps = replacement.interfaces.iter().zip(descriptors);
        let taps: Vec<Tap> = taps.map(|(i, fd)| Tap::from_parts(i.name.clone(), fd)).collect();
        if taps.len() != replacement.interfaces.len() {
            let message = "it did not hand over every device".to_owned();
            return Err(AttachError::Helper { pid: self.pid, message });
        }
        let files = match (answer.get("files").and_then(Value::as_str), answer.get("message")) {
            (Some("mounted"), _) => Files::Mounted,
            (Some("shared"), _) => Files::Shared,
            (_, message) => Files::Failed(message.and_then(Value::as_str).unwrap_or_default().to_owned()),
        };
        // It has nothing left to do; how it ends is no matter.
        let _ = self.helper.wait();
        Ok(Furnished { taps, process: self.process, files })
    }

    /// The helper's next message: what it has, or why not.
    fn answer(&mut self) -> Result<(Value, Vec<OwnedFd>), AttachError> {
        let pid = self.pid;
        let (bytes, descriptors) = receive(self.socket.as_fd())
            .map_err(|error| AttachError::Helper { pid, message: error.to_string() })?;
        if bytes.is_empty() {
            let end = self.helper.wait().map(|status| status.to_string()).unwrap_or_default();
            return Err(AttachError::Helper { pid, message: format!("it ended without an answer, {end}") });
        }
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        match answer.get("error") {
            None => Ok((answer, descriptors)),
            Some(error) => {
                let _ = self.helper.wait();
                Err(AttachError::from_json(pid, error))
            }
        }
    }
}

/// The helper's part: does what [`enter`] and [`Entered::furnish`] ask for, over the socket that is its standard input.
pub fn serve(pid: u32) {
    let stdin = std::io::stdin();
    let socket = stdin.as_fd();
    let done = serve_on(socket, pid);
    if let Err(error) = done {
        // If nobody listens any more, nobody has to be told.
        let _ = send(socket, &json!({ "error": error.to_json() }), &[]);
    }
}

fn serve_on(socket: BorrowedFd<'_>, pid: u32) -> Result<(), AttachError> {
    let own_files = enter_namespaces(pid)?;
    // Whether a device can be opened at all is known before anything runs.
    let probe = tap::open("").map_err(|reason| AttachError::Tap { pid, reason })?;
    drop(probe);
    let helper = |error: Errno| AttachError::Helper { pid, message: error.to_string() };
    send(socket, &json!({ "entered": pid }), &[]).map_err(helper)?;
    let (bytes, _) = receive(socket).map_err(helper)?;
    let Some(replacement) = serde_json::from_slice(&bytes).ok().as_ref().and_then(understand) else {
        // The other side went away before it knew what it wanted.
        return Ok(());
    };
    let mut taps = Vec::new();
    for interface in &replacement.interfaces {
        taps.push(tap::open(&interface.name).map_err(|reason| AttachError::Tap { pid, reason })?);
    }
    configure(&replacement).map_err(|(what, error)| AttachError::Configure {
        pid,
        what,
        message: error.to_string(),
    })?;
    let files = match own_files {
        false => json!({ "files": "shared" }),
        true => match mount_files(pid, &replacement) {
            Ok(()) => json!({ "files": "mounted" }),
            Err(message) => json!({ "files": "failed", "message": message }),
        },
    };
    let descriptors: Vec<BorrowedFd<'_>> = taps.iter().map(AsFd::as_fd).collect();
    send(socket, &files, &descriptors).map_err(helper)
}

fn open_process(pid: u32) -> Result<OwnedFd, AttachError> {
    let number = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(AttachError::NoProcess { pid })?;
    pidfd_open(number, PidfdFlags::empty()).map_err(|error| match error {
        Errno::SRCH | Errno::INVAL => AttachError::NoProcess { pid },
        error => AttachError::NotPermitted { pid, message: error.to_string() },
    })
}

/// Enters user, network and mount namespace, each if it is another one than ours; says whether the mounts are the
/// process's own.
fn enter_namespaces(pid: u32) -> Result<bool, AttachError> {
    let process = open_process(pid)?;
    let identity = |whose: &str, kind: &str| {
        let metadata = std::fs::metadata(format!("/proc/{whose}/ns/{kind}"));
        metadata.map(|m| (m.dev(), m.ino())).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => AttachError::NoProcess { pid },
            _ => AttachError::NotPermitted { pid, message: error.to_string() },
        })
    };
    let number = pid.to_string();
    let differs = |kind: &str| Ok(identity("self", kind)? != identity(&number, kind)?);
    let (user, network, mounts) = (differs("user")?, differs("net")?, differs("mnt")?);
    if !network {
        return Err(AttachError::SharedNamespace { pid });
    }
    let mut kinds = ThreadNameSpaceType::NETWORK;
    kinds.set(ThreadNameSpaceType::USER, user);
    kinds.set(ThreadNameSpaceType::MOUNT, mounts);
    move_into_thread_name_spaces(process.as_fd(), kinds).map_err(|error| match error {
        Errno::SRCH => AttachError::NoProcess { pid },
        error => AttachError::NotPermitted { pid, message: error.to_string() },
    })?;
    Ok(mounts)
}

/// What was attempted, and the kernel's answer.
type Attempt = Result<(), (String, std::io::Error)>;

fn configure(replacement: &Replacement) -> Attempt {
    fn did<T>(
        what: impl FnOnce() -> String,
        result: std::io::Result<T>,
    ) -> Result<T, (String, std::io::Error)> {
        result.map_err(|error| (what(), error))
    }
    let mut netlink = did(|| "opening a netlink socket".to_owned(), Netlink::open())?;
    let index = |netlink: &Netlink, name: &str| did(|| format!("finding {name}"), netlink.index(name));
    let loopback = index(&netlink, "lo")?;
    did(|| "bringing lo up".to_owned(), netlink.up(loopback))?;
    for interface in &replacement.interfaces {
        let Interface { name, mac, mtu, addresses, .. } = interface;
        let number = index(&netlink, name)?;
        if !addresses.iter().any(|address| address.addr().is_ipv6()) {
            // As in a container without IPv6; a kernel without it has no such file.
            let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"), "1");
        }
        did(|| format!("setting hardware address and MTU of {name}"), netlink.configure(number, *mac, *mtu))?;
        for address in addresses {
            did(|| format!("adding {address} to {name}"), netlink.add_address(number, *address))?;
        }
        did(|| format!("bringing {name} up"), netlink.up(number))?;
    }
    if let Some(Resolver { address, mac, interface }) = &replacement.resolver {
        let number = index(&netlink, interface)?;
        let (address, what) = ((*address).into(), || format!("adding the way to the resolver {address}"));
        did(what, netlink.add_route(number, IpNet::from(address), None, 0))?;
        did(what, netlink.add_neighbour(number, address, *mac))?;
    }
    for Route { destination, gateway, interface, metric } in &replacement.routes {
        let number = index(&netlink, interface)?;
        let added = netlink.add_route(number, *destination, *gateway, *metric);
        did(|| format!("adding the route to {destination}"), added)?;
    }
    Ok(())
}

/// Puts the container's files over those of the process: from a file system in memory that is mounted out of the way
/// and taken away again, as a bind mount keeps what it shows.
fn mount_files(pid: u32, replacement: &Replacement) -> Result<(), String> {
    let folder = format!("/tmp/.linkspan-{pid}-{}", std::process::id());
    let failed = |what: &str, error: &dyn std::fmt::Display| format!("{what}: {error}");
    std::fs::create_dir(&folder).map_err(|error| failed(&folder, &error))?;
    let mounted = mount("linkspan", &*folder, "tmpfs", MountFlags::empty(), None);
    let result = mounted.map_err(|error| failed(&folder, &error)).and_then(|()| {
        let files = [("resolv.conf", &replacement.resolv_conf), ("hosts", &replacement.hosts)];
        let done = files.into_iter().try_for_each(|(name, text)| {
            let (source, target) = (format!("{folder}/{name}"), format!("/etc/{name}"));
            std::fs::write(&source, text).map_err(|error| failed(&source, &error))?;
            mount_bind(&*source, &*target).map_err(|error| failed(&target, &error))
        });
        let _ = unmount(&*folder, UnmountFlags::DETACH);
        done
    });
    let _ = std::fs::remove_dir(&folder);
    result
}

fn describe(replacement: &Replacement) -> Value {
    let interfaces = replacement.interfaces.iter().map(|interface| {
        json!({
            "name": interface.name,
            "mac": interface.mac,
            "mtu": interface.mtu,
            "addresses": interface.addresses.iter().map(IpNet::to_string).collect::<Vec<_>>(),
        })
    });
    let routes = replacement.routes.iter().map(|route| {
        json!({
            "destination": route.destination.to_string(),
            "gateway": route.gateway.map(|gateway| gateway.to_string()),
            "interface": route.interface,
            "metric": route.metric,
        })
    });
    let resolver = replacement.resolver.as_ref().map(|resolver| {
        json!({
            "address": resolver.address.to_string(),
            "mac": resolver.mac,
            "interface": resolver.interface,
        })
    });
    json!({
        "container": replacement.container,
        "interfaces": interfaces.collect::<Vec<_>>(),
        "routes": routes.collect::<Vec<_>>(),
        "resolver": resolver,
        "resolv_conf": replacement.resolv_conf,
        "hosts": replacement.hosts,
    })
}

/// The inverse of [`describe`], but for ports, which mean nothing there.
fn understand(value: &Value) -> Option<Replacement> {
    let text = |value: &Value, key: &str| Some(value.get(key)?.as_str()?.to_owned());
    let number = |value: &Value, key: &str| u32::try_from(value.get(key)?.as_u64()?).ok();
    let mac = |value: &Value| {
        let bytes = value.get("mac")?.as_array()?.iter();
        let bytes: Option<Vec<u8>> = bytes.map(|b| u8::try_from(b.as_u64()?).ok()).collect();
        <[u8; 6]>::try_from(bytes?).ok()
    };
    let interfaces = value.get("interfaces")?.as_array()?.iter().enumerate().map(|(at, value)| {
        let addresses = value.get("addresses")?.as_array()?.iter();
        Some(Interface {
            port: crate::lab::outside::Port(u16::try_from(at).ok()?),
            name: text(value, "name")?,
            mac: mac(value)?,
            mtu: number(value, "mtu")?,
            addresses: addresses.map(|a| a.as_str()?.parse().ok()).collect::<Option<_>>()?,
        })
    });
    let routes = value.get("routes")?.as_array()?.iter().map(|value| {
        Some(Route {
            destination: text(value, "destination")?.parse().ok()?,
            gateway: match value.get("gateway")? {
                Value::Null => None,
                gateway => Some(gateway.as_str()?.parse().ok()?),
            },
            interface: text(value, "interface")?,
            metric: number(value, "metric")?,
        })
    });
    let resolver = match value.get("resolver")? {
        Value::Null => None,
        value => Some(Resolver {
            address: text(value, "address")?.parse().ok()?,
            mac: mac(value)?,
            interface: text(value, "interface")?,
        }),
    };
    Some(Replacement {
        container: text(value, "container")?,
        interfaces: interfaces.collect::<Option<_>>()?,
        routes: routes.collect::<Option<_>>()?,
        resolver,
        resolv_conf: text(value, "resolv_conf")?,
        hosts: text(value, "hosts")?,
    })
}

impl AttachError {
    fn to_json(&self) -> Value {
        match self {
            AttachError::NoProcess { .. } => json!({ "kind": "no-process" }),
            AttachError::SharedNamespace { .. } => json!({ "kind": "shared-namespace" }),
            AttachError::NotPermitted { message, .. } => {
                json!({ "kind": "not-permitted", "message": message })
            }
            AttachError::Configure { what, message, .. } => {
                json!({ "kind": "configure", "what": what, "message": message })
            }
            AttachError::Helper { message, .. } => json!({ "kind": "helper", "message": message }),
            AttachError::Tap { reason, .. } => match reason {
                TapError::NoDevice => json!({ "kind": "tap-no-device" }),
                TapError::NotPermitted { name } => json!({ "kind": "tap-not-permitted", "name": name }),
                TapError::Busy { name } => json!({ "kind": "tap-busy", "name": name }),
                TapError::NotTap { name } => json!({ "kind": "tap-not-tap", "name": name }),
                TapError::Name { name } => json!({ "kind": "tap-name", "name": name }),
                TapError::Other { name, message } => {
                    json!({ "kind": "tap-other", "name": name, "message": message })
                }
            },
        }
    }

    fn from_json(pid: u32, value: &Value) -> AttachError {
        let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let tap = |reason: TapError| AttachError::Tap { pid, reason };
        match text("kind").as_str() {
            "no-process" => AttachError::NoProcess { pid },
            "shared-namespace" => AttachError::SharedNamespace { pid },
            "not-permitted" => AttachError::NotPermitted { pid, message: text("message") },
            "configure" => AttachError::Configure { pid, what: text("what"), message: text("message") },
            "tap-no-device" => tap(TapError::NoDevice),
            "tap-not-permitted" => tap(TapError::NotPermitted { name: text("name") }),
            "tap-busy" => tap(TapError::Busy { name: text("name") }),
            "tap-not-tap" => tap(TapError::NotTap { name: text("name") }),
            "tap-name" => tap(TapError::Name { name: text("name") }),
            "tap-other" => tap(TapError::Other { name: text("name"), message: text("message") }),
            _ => AttachError::Helper { pid, message: text("message") },
        }
    }
}

fn send(socket: BorrowedFd<'_>, value: &Value, descriptors: &[BorrowedFd<'_>]) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_INTERFACES))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Errno::MSGSIZE);
    }
    let text = value.to_string();
    sendmsg(socket, &[IoSlice::new(text.as_bytes())], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

fn receive(socket: BorrowedFd<'_>) -> Result<(Vec<u8>, Vec<OwnedFd>), Errno> {
    let mut bytes = vec![0; MESSAGE];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_INTERFACES))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut vector = [IoSliceMut::new(&mut bytes)];
    let received = recvmsg(socket, &mut vector, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(list) = message {
            descriptors.extend(list);
        }
    }
    bytes.truncate(received.bytes);
    Ok((bytes, descriptors))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_survives_the_way_to_the_helper() {
        let replacement = Replacement {
            container: "shop-client-1".to_owned(),
            interfaces: vec![Interface {
                port: crate::lab::outside::Port(0),
                name: "eth0".to_owned(),
                mac: [2, 0x42, 0xac, 18, 0, 3],
                mtu: 1_450,
                addresses: vec!["172.18.0.3/16".parse().unwrap(), "fd00::3/64".parse().unwrap()],
            }],
            routes: vec![
                Route {
                    destination: "0.0.0.0/0".parse().unwrap(),
                    gateway: Some("172.18.0.1".parse().unwrap()),
                    interface: "eth0".to_owned(),
                    metric: 0,
                },
                Route {
                    destination: "10.0.0.0/8".parse().unwrap(),
                    gateway: None,
                    interface: "eth0".to_owned(),
                    metric: 7,
                },
            ],
            resolver: Some(Resolver {
                address: "169.254.1.1".parse().unwrap(),
                mac: [2, 1, 2, 3, 4, 5],
                interface: "eth0".to_owned(),
            }),
            resolv_conf: "nameserver 169.254.1.1\n".to_owned(),
            hosts: "127.0.0.1\tlocalhost\n".to_owned(),
        };
        assert_eq!(understand(&describe(&replacement)), Some(replacement.clone()));
        let plain = Replacement { resolver: None, ..replacement };
        assert_eq!(understand(&describe(&plain)), Some(plain));
        assert_eq!(understand(&json!({})), None);
    }

    #[test]
    fn every_error_survives_the_way_back() {
        let name = || "eth0".to_owned();
        let message = || "Operation not permitted".to_owned();
        let mut errors = vec![
            AttachError::NoProcess { pid: 7 },
            AttachError::SharedNamespace { pid: 7 },
            AttachError::NotPermitted { pid: 7, message: message() },
            AttachError::Configure { pid: 7, what: name(), message: message() },
            AttachError::Helper { pid: 7, message: message() },
        ];
        for reason in [
            TapError::NoDevice,
            TapError::NotPermitted { name: name() },
            TapError::Busy { name: name() },
            TapError::NotTap { name: name() },
            TapError::Name { name: name() },
            TapError::Other { name: name(), message: message() },
        ] {
            errors.push(AttachError::Tap { pid: 7, reason });
        }
        for error in errors {
            assert_eq!(AttachError::from_json(7, &error.to_json()), error);
        }
    }
}
