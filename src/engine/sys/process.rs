//! What a process is to the programs: what it was given, how it ends, and what starts and ends others.
//!
//! These are contracts; `world` fulfils them. The identity, the powers and the user of a process are what
//! `credentials(7)` and `capabilities(7)` describe, as far as networking asks for them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use super::{Effort, Environment, Errno, Pipe, Sys};

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
    /// Sends a signal to a process. One that has no handler ends: its sockets close, its exit status is 128 plus the signal.
    fn kill(&self, process: ProcessId, signal: u8);
    /// The processes of the container, oldest first.
    fn processes(&self) -> Vec<ProcessView>;
}

/// What others of its container see of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessView {
    /// Its number.
    pub id: ProcessId,
    /// Who started it; 0 for somebody outside the PID namespace.
    pub parent: ProcessId,
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
    /// It takes the place and the number of whoever starts it (`execve(2)`), who waits for it and ends with it.
    pub replaces: bool,
}

/// Number of a process in its PID namespace (`pid_namespaces(7)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId(pub u32);

/// Where a process leaves its exit status, and who waits for it.
#[derive(Default)]
pub struct ExitSlot {
    status: Option<ExitCode>,
    waiters: Vec<Waker>,
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
    /// Its number.
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
    /// Its number.
    pub id: ProcessId,
    /// Who started it; 0 for somebody outside the PID namespace.
    pub parent: ProcessId,
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
    /// What the programs of its place have done lately.
    pub effort: Rc<Effort>,
    /// Until when what it has read keeps it busy.
    pub busy: Cell<Duration>,
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
