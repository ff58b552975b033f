//! Several things at once inside one program: the first of two, both of two, and a growing set.
//!
//! A set polls only the members that were woken, so a server with many idle connections costs nothing per frame.

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::engine::sys::Sys;

/// Lets everything go on that can without time passing: a program of a real machine takes longer from one system call to
/// the next than a container network's round trip.
pub(crate) async fn turn(sys: &Sys) {
    sys.sleep(Duration::from_nanos(1)).await;
}

/// Which of two futures was done first.
pub(crate) enum First<A, B> {
    /// The first one.
    Left(A),
    /// The second one.
    Right(B),
}

/// Waits for whichever is done first; the other one is dropped.
pub(crate) async fn first<A: Future, B: Future>(a: A, b: B) -> First<A::Output, B::Output> {
    let (mut a, mut b) = (pin!(a), pin!(b));
    std::future::poll_fn(|context| {
        if let Poll::Ready(output) = a.as_mut().poll(context) {
            return Poll::Ready(First::Left(output));
        }
        b.as_mut().poll(context).map(First::Right)
    })
    .await
}

/// Waits until both are done.
pub(crate) async fn both<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut left, mut right) = (None, None);
    std::future::poll_fn(|context| {
        if left.is_none()
            && let Poll::Ready(output) = a.as_mut().poll(context)
        {
            left = Some(output);
        }
        if right.is_none()
            && let Poll::Ready(output) = b.as_mut().poll(context)
        {
            right = Some(output);
        }
        match (left.take(), right.take()) {
            (Some(l), Some(r)) => Poll::Ready((l, r)),
            (l, r) => {
                (left, right) = (l, r);
                Poll::Pending
            }
        }
    })
    .await
}

/// A boxed piece of work.
pub(crate) type Task = Pin<Box<dyn Future<Output = ()>>>;

/// A set of tasks that run while somebody awaits [`Tasks::run`] or [`Tasks::finish`].
#[derive(Default)]
pub(crate) struct Tasks {
    members: Vec<Member>,
}

struct Member {
    task: Task,
    signal: Arc<Signal>,
}

/// Remembers that a member was woken, and wakes whoever runs the set.
struct Signal {
    woken: AtomicBool,
    parent: Mutex<Option<Waker>>,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Relaxed);
        let parent = self.parent.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(parent) = parent {
            parent.wake();
        }
    }
}

impl Tasks {
    /// An empty set.
    pub(crate) fn new() -> Tasks {
        Tasks::default()
    }

    /// Adds a task; it starts when the set runs next.
    pub(crate) fn push(&mut self, task: Task) {
        let signal = Arc::new(Signal { woken: AtomicBool::new(true), parent: Mutex::new(None) });
        self.members.push(Member { task, signal });
    }

    /// Adds the tasks of another set.
    pub(crate) fn join(&mut self, other: Tasks) {
        self.members.extend(other.members);
    }

    /// Runs the tasks and never returns: for use beside something that does.
    pub(crate) async fn run(&mut self) -> Infallible {
        std::future::poll_fn(|context| {
            self.poll_members(context);
            Poll::Pending
        })
        .await
    }

    /// Runs the tasks until all are done.
    pub(crate) async fn finish(&mut self) {
        std::future::poll_fn(|context| {
            self.poll_members(context);
            if self.members.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn poll_members(&mut self, context: &mut Context<'_>) {
        self.members.retain_mut(|member| {
            *member.signal.parent.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(context.waker().clone());
            if !member.signal.woken.swap(false, Ordering::Relaxed) {
                return true;
            }
            let waker = Waker::from(member.signal.clone());
            member.task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending()
        });
    }
}
