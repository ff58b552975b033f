//! Where frames take their buffers and put them back.
//!
//! A frame's body holds its metadata and, behind it, the bytes of a short frame: one piece of memory, of which a
//! 64-byte frame touches two cache lines. A long frame's bytes are in a buffer beside its body, which shares can refer
//! to. Body and buffer stay together in the pool.
//!
//! Bodies wait in lists, one per size of buffer, each bounded ([`SHORT_KEPT`], [`CLASSES`]). A body returns to its list
//! when its frame goes, so a steady stream of frames allocates nothing; [`Pool::allocations`] proves it. Frames longer
//! than the largest class get a buffer of their own that is released to the allocator afterwards.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::Range;
use std::rc::Rc;

use super::{Checksum, Frame, HEADROOM, Segmentation, TraceId};

/// Bytes of a short frame's buffer, headroom included: an acknowledgement or a question.
const SHORT: usize = 2 * HEADROOM;

/// Unused bodies without a long buffer that are kept: enough for four floods over a bridge's 1,023 ports.
const SHORT_KEPT: usize = 4096;

/// The classes of long buffers, smallest first: an Ethernet frame of any usual MTU; a jumbo frame; a TSO or GRO packet
/// (an IP packet of 65,535 bytes with its link header and tags). The lists together hold at most 22 MiB.
pub(super) const CLASSES: [Class; 3] = [
    Class { size: 2 * 1024, kept: 4096 },
    Class { size: 16 * 1024, kept: 256 },
    Class { size: 64 * 1024 + 2 * HEADROOM, kept: 128 },
];

/// One size of buffer: its bytes in total, headroom included, and how many unused ones are kept.
pub(super) struct Class {
    pub(super) size: usize,
    pub(super) kept: usize,
}

/// Where frames take their buffers and put them back. A clone is another handle to the same pool.
#[derive(Clone)]
pub struct Pool {
    shared: Rc<Shared>,
}

#[allow(clippy::vec_box, reason = "a body moves between list and frame; boxed, that is one word")]
type Bodies = Vec<Box<Body>>;

#[derive(Default)]
struct Shared {
    /// Bodies without a long buffer.
    short: RefCell<Bodies>,
    /// Per class, bodies with buffers that nobody else refers to.
    long: [RefCell<Bodies>; CLASSES.len()],
    /// Bodies that exist, in frames and in the lists.
    bodies: Cell<usize>,
    allocations: Cell<u64>,
}

/// What a frame is made of. The metadata is the first cache line.
#[repr(C, align(64))]
pub(super) struct Body {
    /// The bytes of a long frame. `None`: they are in `short`.
    long: Option<Rc<[u8]>>,
    /// The pool while a frame has the body, `None` while the pool has it.
    pub(super) home: Option<Pool>,
    pub(super) meta: Meta,
    short: Short,
}

#[repr(align(64))]
struct Short([u8; SHORT]);

/// What a frame knows of itself besides its bytes.
#[derive(Clone)]
pub(super) struct Meta {
    pub(super) trace: TraceId,
    pub(super) hint: u64,
    /// The window's ends within the buffer.
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) mark: u32,
    pub(super) checksum: Checksum,
    pub(super) segmentation: Option<Segmentation>,
    /// Whether the long buffer was ever shared; while it was not, its reference count need not be asked.
    shared: Cell<bool>,
}

// A body's metadata is one cache line.
const _: () = assert!(std::mem::offset_of!(Body, short) == 64);

impl Pool {
    /// An empty pool. Buffers are allocated on first use.
    pub fn new() -> Pool {
        Pool { shared: Rc::default() }
    }

    /// A frame of `len` zero bytes with [`HEADROOM`] free bytes in front.
    pub fn frame(&self, len: usize) -> Frame {
        let mut body = self.take(HEADROOM + len);
        body.open(HEADROOM, len).fill(0);
        Frame { body: Some(body) }
    }

    /// A frame holding a copy of `bytes`, with [`HEADROOM`] free bytes in front.
    #[inline]
    pub fn copy_of(&self, bytes: &[u8]) -> Frame {
        let mut body = self.take(HEADROOM + bytes.len());
        body.open(HEADROOM, bytes.len()).copy_from_slice(bytes);
        Frame { body: Some(body) }
    }

    /// A frame holding a copy of `headers`, completed by `complete`, and behind it of `payload`, with [`HEADROOM`] free
    /// bytes before them.
    #[inline]
    pub fn packet<const N: usize>(
        &self,
        headers: &[u8; N],
        payload: &[u8],
        complete: impl FnOnce(&mut [u8; N]),
    ) -> Frame {
        let mut body = self.take(HEADROOM + N + payload.len());
        if let Some((front, rest)) = body.open(HEADROOM, N + payload.len()).split_first_chunk_mut() {
            *front = *headers;
            complete(front);
            rest.copy_from_slice(payload);
        }
        Frame { body: Some(body) }
    }

    /// Frames that live now.
    pub fn outstanding(&self) -> usize {
        let long: usize = self.shared.long.iter().map(|list| list.borrow().len()).sum();
        self.shared.bodies.get() - self.shared.short.borrow().len() - long
    }

    /// Bodies and buffers ever allocated. Constant while the load is steady.
    pub fn allocations(&self) -> u64 {
        self.shared.allocations.get()
    }

    /// A body with a buffer of at least `capacity` bytes, referred to by nobody else. Its metadata is that of its last
    /// frame and the buffer's content is stale.
    #[inline]
    pub(super) fn take(&self, capacity: usize) -> Box<Body> {
        if capacity > SHORT {
            return self.take_long(capacity);
        }
        let kept = self.shared.short.borrow_mut().pop();
        let mut body = kept.unwrap_or_else(|| self.allocate());
        // There was none, so nothing is leaked; dropping it would ask for every frame.
        std::mem::forget(body.home.replace(self.clone()));
        body
    }

    fn take_long(&self, capacity: usize) -> Box<Body> {
        let class = CLASSES.iter().position(|class| capacity <= class.size);
        let kept = class.and_then(|class| self.shared.long[class].borrow_mut().pop());
        let mut body = kept.unwrap_or_else(|| {
            // A body that will stay with its buffer is not taken from those that short frames and shares need.
            let (mut body, size) = match class {
                Some(class) => (self.allocate(), CLASSES[class].size),
                None => (self.take(0), capacity),
            };
            self.count_allocation();
            body.long = Some(Rc::from(vec![0; size]));
            body
        });
        body.home = Some(self.clone());
        body
    }

    #[cold]
    fn allocate(&self) -> Box<Body> {
        self.shared.bodies.set(self.shared.bodies.get() + 1);
        self.count_allocation();
        Box::new(Body { long: None, home: None, meta: Meta::default(), short: Short([0; SHORT]) })
    }

    fn count_allocation(&self) {
        self.shared.allocations.set(self.shared.allocations.get() + 1);
    }

    /// A body with the window, the metadata and the bytes of `other`: a long buffer is shared, short bytes are copied,
    /// which costs no more.
    pub(super) fn duplicate(&self, other: &Body) -> Box<Body> {
        let mut body = self.take(0);
        if let Some(long) = &other.long {
            other.meta.shared.set(true);
            body.long = Some(Rc::clone(long));
        }
        body.meta.clone_from(&other.meta);
        if body.long.is_none() {
            body.window().copy_from_slice(other.bytes());
        }
        body
    }

    /// Takes back the body of a frame that is going, and its long buffer unless another frame uses it.
    #[inline]
    pub(super) fn release(&self, body: Box<Body>) {
        if body.long.is_some() {
            return self.release_long(body);
        }
        let mut kept = self.shared.short.borrow_mut();
        if kept.len() < SHORT_KEPT {
            kept.push(body);
        } else {
            self.shared.bodies.set(self.shared.bodies.get() - 1);
        }
    }

    fn release_long(&self, mut body: Box<Body>) {
        let length = body.long.as_ref().map_or(0, |long| long.len());
        if !body.is_shared()
            && let Some(class) = CLASSES.iter().position(|class| length == class.size)
        {
            let mut kept = self.shared.long[class].borrow_mut();
            if kept.len() < CLASSES[class].kept {
                return kept.push(body);
            }
        }
        body.long = None;
        self.release(body);
    }
}

impl Default for Pool {
    fn default() -> Pool {
        Pool::new()
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("outstanding", &self.outstanding())
            .field("allocations", &self.allocations())
            .finish()
    }
}

impl Body {
    /// Starts over with a window of `len` bytes at `start` and the metadata of a new frame. Returns the window's bytes.
    #[inline]
    fn open(&mut self, start: usize, len: usize) -> &mut [u8] {
        self.meta = Meta { start: start as u32, end: (start + len) as u32, ..Meta::default() };
        self.window()
    }

    /// The window's bytes.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        match &self.long {
            None => &self.short.0[self.meta.range()],
            Some(long) => &long[self.meta.range()],
        }
    }

    /// The window's bytes for writing. The caller has made sure that the buffer is not shared.
    #[inline]
    pub(super) fn window(&mut self) -> &mut [u8] {
        let range = self.meta.range();
        match &mut self.long {
            None => &mut self.short.0[range],
            Some(long) => Rc::get_mut(long).map_or(&mut [], |bytes| &mut bytes[range]),
        }
    }

    /// Bytes of the buffer behind the window.
    pub(super) fn tailroom(&self) -> usize {
        self.long.as_ref().map_or(SHORT, |long| long.len()) - self.meta.end as usize
    }

    /// Whether another frame refers to the same buffer.
    #[inline]
    pub(super) fn is_shared(&self) -> bool {
        self.meta.shared.get() && self.long.as_ref().is_some_and(|long| Rc::strong_count(long) != 1)
    }

    /// Copies the window's bytes and the metadata of `other`; the window begins at `start` here.
    pub(super) fn copy_from(&mut self, other: &Body, start: usize) {
        let len = other.bytes().len();
        self.open(start, len).copy_from_slice(other.bytes());
        let Meta { start, end, .. } = self.meta;
        self.meta = Meta { start, end, shared: Cell::new(false), ..other.meta.clone() };
    }
}

impl Meta {
    #[inline]
    fn range(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

impl Default for Meta {
    #[inline]
    fn default() -> Meta {
        Meta {
            trace: TraceId(0),
            hint: 0,
            start: 0,
            end: 0,
            mark: 0,
            checksum: Checksum::Complete,
            segmentation: None,
            shared: Cell::new(false),
        }
    }
}
