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
    buffer: VecDeque<u8>,
    capacity: usize,
    writer_closed: bool,
    reader_closed: bool,
    readers: Vec<Waker>,
    writers: Vec<Waker>,
}

impl Pipe {
    /// An empty pipe of Linux's capacity.
    pub fn new() -> Pipe {
        Pipe::with_capacity(CAPACITY)
    }

    /// A pipe that holds `capacity` bytes: what collects a program's output gets a larger one.
    pub fn with_capacity(capacity: usize) -> Pipe {
        Pipe(Rc::new(RefCell::new(State {
            buffer: VecDeque::new(),
            capacity,
            writer_closed: false,
            reader_closed: false,
            readers: Vec::new(),
            writers: Vec::new(),
        })))
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
            let mut state = self.0.borrow_mut();
            if state.reader_closed {
                return Poll::Ready(Err(Errno::BrokenPipe));
            }
            let room = state.capacity.saturating_sub(state.buffer.len()).min(data.len() - written);
            state.buffer.extend(&data[written..written + room]);
            written += room;
            if room > 0 {
                wake(&mut state.readers);
            }
            if written == data.len() {
                return Poll::Ready(Ok(()));
            }
            state.writers.push(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Waits for data, at most `limit` bytes; empty at the end.
    pub async fn read(&self, limit: usize) -> Vec<u8> {
        std::future::poll_fn(|context| {
            let mut state = self.0.borrow_mut();
            if !state.buffer.is_empty() {
                let count = limit.min(state.buffer.len());
                let data = state.buffer.drain(..count).collect();
                wake(&mut state.writers);
                return Poll::Ready(data);
            }
            if state.writer_closed {
                return Poll::Ready(Vec::new());
            }
            state.readers.push(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// What is there now, without waiting.
    pub fn take(&self) -> Vec<u8> {
        let mut state = self.0.borrow_mut();
        wake(&mut state.writers);
        state.buffer.drain(..).collect()
    }

    /// What is there now, which stays.
    pub fn peek(&self) -> Vec<u8> {
        self.0.borrow().buffer.iter().copied().collect()
    }

    /// Nothing more will be written: readers see the end after what is there.
    pub fn close_writer(&self) {
        let mut state = self.0.borrow_mut();
        state.writer_closed = true;
        wake(&mut state.readers);
    }

    /// Nothing more will be read: writers see a broken pipe.
    pub fn close_reader(&self) {
        let mut state = self.0.borrow_mut();
        state.reader_closed = true;
        wake(&mut state.writers);
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
