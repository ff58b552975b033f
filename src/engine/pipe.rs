//! A pipe between processes of a world: bounded, so that a fast writer waits for a slow reader, as `pipe(7)`.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Poll, Waker};

use super::errno::Errno;

/// Capacity of a pipe on Linux (`pipe(7)`).
const CAPACITY: usize = 65_536;

/// One pipe; clones are the same pipe. Whoever holds it may write and read.
#[derive(Clone)]
pub struct Pipe(Rc<RefCell<State>>);

struct State {
    capacity: usize,
    writer_closed: bool,
    reader_closed: bool,
    /// Once something was written or waited for: every container has two pipes, and most are never used.
    traffic: Option<Box<Traffic>>,
}

#[derive(Default)]
struct Traffic {
    buffer: VecDeque<u8>,
    readers: Vec<Waker>,
    writers: Vec<Waker>,
    /// Writers that pause, who want to know when nobody reads any more.
    pausing: Vec<Waker>,
}

impl Pipe {
    /// An empty pipe of Linux's capacity.
    pub fn new() -> Pipe {
        Pipe::with_capacity(CAPACITY)
    }

    /// A pipe that holds `capacity` bytes: what collects a program's output gets a larger one.
    pub fn with_capacity(capacity: usize) -> Pipe {
        let state = State { capacity, writer_closed: false, reader_closed: false, traffic: None };
        Pipe(Rc::new(RefCell::new(state)))
    }

    /// A pipe at its end: standard input of a program that gets none.
    pub fn empty() -> Pipe {
        let pipe = Pipe::new();
        pipe.close_writer();
        pipe
    }

    /// Writes everything, waiting for room. [`Errno::BrokenPipe`] if nobody will read it.
    pub async fn write_all(&self, data: &[u8]) -> Result<(), Errno> {
        let mut written = 0;
        std::future::poll_fn(|context| {
            if self.0.borrow().reader_closed {
                return Poll::Ready(Err(Errno::BrokenPipe));
            }
            written += self.put(&data[written..]);
            if written == data.len() {
                return Poll::Ready(Ok(()));
            }
            let mut state = self.0.borrow_mut();
            state.traffic.get_or_insert_default().writers.push(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Writes as much as there is room for, and says how much that is.
    pub fn put(&self, data: &[u8]) -> usize {
        let mut state = self.0.borrow_mut();
        let capacity = state.capacity;
        let traffic = state.traffic.get_or_insert_default();
        let room = capacity.saturating_sub(traffic.buffer.len()).min(data.len());
        traffic.buffer.extend(&data[..room]);
        if room > 0 {
            wake(&mut traffic.readers);
        }
        room
    }

    /// Waits for data, at most `limit` bytes; empty at the end.
    pub async fn read(&self, limit: usize) -> Vec<u8> {
        std::future::poll_fn(|context| {
            let mut state = self.0.borrow_mut();
            let closed = state.writer_closed;
            let traffic = state.traffic.get_or_insert_default();
            if !traffic.buffer.is_empty() {
                let count = limit.min(traffic.buffer.len());
                let (front, back) = traffic.buffer.as_slices();
                let of_front = count.min(front.len());
                let data = [&front[..of_front], &back[..count - of_front]].concat();
                traffic.buffer.drain(..count);
                wake(&mut traffic.writers);
                return Poll::Ready(data);
            }
            if closed {
                return Poll::Ready(Vec::new());
            }
            traffic.readers.push(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// What is there now, without waiting.
    pub fn take(&self) -> Vec<u8> {
        let mut state = self.0.borrow_mut();
        let Some(traffic) = &mut state.traffic else { return Vec::new() };
        wake(&mut traffic.writers);
        std::mem::take(&mut traffic.buffer).into()
    }

    /// What is there now, which stays.
    pub fn peek(&self) -> Vec<u8> {
        let state = self.0.borrow();
        state.traffic.iter().flat_map(|traffic| traffic.buffer.iter().copied()).collect()
    }

    /// Nothing more will be written: readers see the end after what is there.
    pub fn close_writer(&self) {
        let mut state = self.0.borrow_mut();
        state.writer_closed = true;
        if let Some(traffic) = &mut state.traffic {
            wake(&mut traffic.readers);
        }
    }

    /// Whether nobody will read what is written.
    pub fn is_broken(&self) -> bool {
        self.0.borrow().reader_closed
    }

    /// Wakes a writer that pauses once, when nobody reads any more.
    pub(super) fn wake_when_broken(&self, waker: &Waker) {
        let mut state = self.0.borrow_mut();
        let pausing = &mut state.traffic.get_or_insert_default().pausing;
        if !pausing.iter().any(|known| known.will_wake(waker)) {
            pausing.push(waker.clone());
        }
    }

    /// Nothing more will be read: writers see a broken pipe.
    pub fn close_reader(&self) {
        let mut state = self.0.borrow_mut();
        state.reader_closed = true;
        if let Some(traffic) = &mut state.traffic {
            wake(&mut traffic.writers);
            wake(&mut traffic.pausing);
        }
    }
}

impl Default for Pipe {
    fn default() -> Pipe {
        Pipe::new()
    }
}

fn wake(wakers: &mut Vec<Waker>) {
    for waker in wakers.drain(..) {
        waker.wake();
    }
}
