//! Frames and the pool their buffers come from.
//!
//! A [`Frame`] is a window into a pooled buffer plus what an Ethernet device driver would know about the
//! packet: whether its checksum is finished, whether it is still to be cut into segments, its mark and its
//! trace identity. Frames move; they are never cloned by accident. [`Frame::share`] makes a second window
//! onto the same bytes, and whoever writes to shared bytes gets a private copy first, so flooding costs one
//! reference count per port and rewriting costs one copy only where it happens.
//!
//! Short frames are copied instead, which costs no more and needs no count.
//!
//! Everything here belongs to one thread.

use std::fmt;

use crate::offload;

mod pool;

pub use pool::Pool;
use pool::{Body, Meta};

/// Free bytes in front of a new frame: room for a VXLAN encapsulation over IPv6 (70 bytes) and tags.
pub const HEADROOM: usize = 128;

/// The identity of a packet across hops, shares, copies and segments; 0 when nobody assigned one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId(pub u64);

/// The state of a frame's transport checksum, as Linux and virtio-net describe it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// The checksum field says what it should, or was wrong when the frame arrived; nothing is left to do.
    Complete,
    /// The checksum field holds the sum of the pseudo-header, not complemented. Whoever needs a finished
    /// frame sums the bytes from `start` to the end and stores the complement
    /// ([`crate::offload::complete_checksum`]).
    Partial {
        /// First summed byte (the transport header), from the start of the frame's bytes. Frames adjust it
        /// as bytes are pushed and pulled in front.
        start: u16,
        /// The checksum field, from `start` (16 for TCP, 6 for UDP), as `csum_offset` in virtio-net.
        offset: u16,
    },
}

/// What a frame that is larger than the wire allows is to be cut into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segmentation {
    /// The protocol whose headers each segment repeats.
    pub kind: SegmentationKind,
    /// Transport payload bytes per segment (Linux `gso_size`); the last segment may be shorter.
    pub size: u16,
}

/// The protocols that can be segmented after the fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentationKind {
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
    /// UDP over IPv4 or IPv6: each segment is a datagram (Linux `UDP_SEGMENT`, not IP fragmentation).
    Udp,
}

/// A packet: a window into a pooled buffer and the packet's metadata.
///
/// One word, so that handing a frame on costs nothing.
pub struct Frame {
    /// `None` only while the frame is being dropped and the pool has the body back.
    body: Option<Box<Body>>,
}

impl Frame {
    /// The frame's bytes.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        self.body.as_ref().map_or(&[], |body| body.bytes())
    }

    /// The frame's bytes for writing. Shared bytes are copied to a buffer of this frame's own first.
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        if self.is_shared() {
            self.relocate(HEADROOM, 0);
        }
        self.body.as_mut().map_or(&mut [], |body| body.window())
    }

    /// A second frame onto the same bytes with the same metadata. No byte is copied.
    #[inline]
    pub fn share(&self) -> Frame {
        let duplicate = |body: &Body| body.home.as_ref().map(|home| home.duplicate(body));
        Frame { body: self.body.as_deref().and_then(duplicate) }
    }

    /// Whether another live frame refers to the same buffer.
    #[inline]
    pub fn is_shared(&self) -> bool {
        self.body.as_ref().is_some_and(|body| body.is_shared())
    }

    /// Adds `n` zero bytes in front and returns them for writing. Without room, or when shared, the frame
    /// moves to another buffer.
    #[inline]
    pub fn push_front(&mut self, n: usize) -> &mut [u8] {
        self.shift_checksum_right(n);
        if self.is_shared() || self.body.as_ref().is_none_or(|body| n > body.meta.start as usize) {
            self.relocate(HEADROOM + n, 0);
        }
        let Some(body) = &mut self.body else { return &mut [] };
        body.meta.start -= n as u32;
        let front = &mut body.window()[..n];
        front.fill(0);
        front
    }

    /// Adds `N` bytes in front, as [`Frame::push_front`] and then a copy.
    #[inline]
    pub fn prepend<const N: usize>(&mut self, bytes: &[u8; N]) {
        if let Checksum::Partial { .. } = self.checksum() {
            self.shift_checksum_right(N);
        }
        if let Some(body) = &mut self.body
            && N <= body.meta.start as usize
            && !body.is_shared()
        {
            body.meta.start -= N as u32;
            if let Some(front) = body.window().first_chunk_mut() {
                *front = *bytes;
            }
            return;
        }
        self.relocate(HEADROOM + N, 0);
        if let Some(body) = &mut self.body {
            body.meta.start -= N as u32;
            body.window()[..N].copy_from_slice(bytes);
        }
    }

    /// Removes `n` bytes from the front, at most all of them. A partial checksum whose range is cut into
    /// counts as complete from then on, as in Linux `skb_postpull_rcsum`.
    #[inline]
    pub fn pull_front(&mut self, n: usize) {
        let n = n.min(self.len());
        let Some(body) = &mut self.body else { return };
        body.meta.start += n as u32;
        if let Checksum::Partial { start, offset } = body.meta.checksum {
            body.meta.checksum = match usize::from(start).checked_sub(n) {
                Some(left) => Checksum::Partial { start: left as u16, offset },
                None => Checksum::Complete,
            };
        }
    }

    /// Shortens the frame to `len` bytes; does nothing if it is not longer.
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        let len = len.min(self.len());
        let Some(body) = &mut self.body else { return };
        body.meta.end = body.meta.start + len as u32;
    }

    /// Leaves only `len` bytes from the `start`th on, as many of them as there are. Their checksum counts as complete: what it
    /// was about is no longer there.
    #[inline]
    pub fn narrow(&mut self, start: usize, len: usize) {
        let Some(body) = &mut self.body else { return };
        let Meta { start: first, end, .. } = body.meta;
        let length = (end - first) as usize;
        let start = start.min(length);
        body.meta.start = first + start as u32;
        body.meta.end = body.meta.start + len.min(length - start) as u32;
        body.meta.checksum = Checksum::Complete;
    }

    /// Adds `n` zero bytes at the end and returns them for writing. Without room, or when shared, the frame
    /// moves to another buffer.
    pub fn extend(&mut self, n: usize) -> &mut [u8] {
        if self.is_shared() || self.body.as_ref().is_none_or(|body| n > body.tailroom()) {
            self.relocate(HEADROOM, n);
        }
        let len = self.len();
        let Some(body) = &mut self.body else { return &mut [] };
        body.meta.end += n as u32;
        let tail = &mut body.window()[len..];
        tail.fill(0);
        tail
    }

    /// Bytes in the frame.
    #[inline]
    pub fn len(&self) -> usize {
        self.body.as_ref().map_or(0, |body| (body.meta.end - body.meta.start) as usize)
    }

    /// Whether the frame has no bytes.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The state of the transport checksum.
    #[inline]
    pub fn checksum(&self) -> Checksum {
        self.body.as_ref().map_or(Checksum::Complete, |body| body.meta.checksum)
    }

    /// Declares the state of the transport checksum.
    #[inline]
    pub fn set_checksum(&mut self, checksum: Checksum) {
        if let Some(body) = &mut self.body {
            body.meta.checksum = checksum;
        }
    }

    /// How the frame is to be segmented, if it is.
    #[inline]
    pub fn segmentation(&self) -> Option<Segmentation> {
        self.body.as_ref().and_then(|body| body.meta.segmentation)
    }

    /// Declares how the frame is to be segmented.
    pub fn set_segmentation(&mut self, segmentation: Option<Segmentation>) {
        if let Some(body) = &mut self.body {
            body.meta.segmentation = segmentation;
        }
    }

    /// The packet's identity.
    #[inline]
    pub fn trace(&self) -> TraceId {
        self.body.as_ref().map_or(TraceId::default(), |body| body.meta.trace)
    }

    /// Assigns the packet's identity.
    #[inline]
    pub fn set_trace(&mut self, trace: TraceId) {
        if let Some(body) = &mut self.body {
            body.meta.trace = trace;
        }
    }

    /// What the last to handle the frame wants the next to know, 0 by default. Only its owner knows what it means;
    /// shares have it, frames made from this one's bytes do not.
    #[inline]
    pub fn hint(&self) -> u64 {
        self.body.as_ref().map_or(0, |body| body.meta.hint)
    }

    /// Leaves a word for whoever handles the frame next.
    #[inline]
    pub fn set_hint(&mut self, hint: u64) {
        if let Some(body) = &mut self.body {
            body.meta.hint = hint;
        }
    }

    /// The firewall mark (Linux `skb->mark`), 0 by default.
    #[inline]
    pub fn mark(&self) -> u32 {
        self.body.as_ref().map_or(0, |body| body.meta.mark)
    }

    /// Sets the firewall mark.
    #[inline]
    pub fn set_mark(&mut self, mark: u32) {
        if let Some(body) = &mut self.body {
            body.meta.mark = mark;
        }
    }

    /// A frame of the same pool holding a copy of `bytes`, with [`HEADROOM`] free bytes in front.
    pub fn copy_of(&self, bytes: &[u8]) -> Frame {
        let home = self.body.as_ref().and_then(|body| body.home.as_ref());
        home.map_or(Frame { body: None }, |home| home.copy_of(bytes))
    }

    /// Moves the bytes to a buffer of the frame's own with `headroom` before and `tailroom` after them.
    #[cold]
    fn relocate(&mut self, headroom: usize, tailroom: usize) {
        let len = self.len();
        let Some(old) = &mut self.body else { return };
        let Some(home) = &old.home else { return };
        let mut new = home.take(headroom + len + tailroom);
        new.copy_from(old, headroom);
        std::mem::swap(old, &mut new);
        drop(Frame { body: Some(new) });
    }

    /// Keeps a partial checksum's range in place while `n` bytes are pushed. Where the start could no
    /// longer be expressed in 16 bits the checksum is finished instead.
    #[inline]
    fn shift_checksum_right(&mut self, n: usize) {
        let Checksum::Partial { start, offset } = self.checksum() else { return };
        match u16::try_from(usize::from(start).saturating_add(n)) {
            Ok(start) => self.set_checksum(Checksum::Partial { start, offset }),
            // A range that lies outside the frame cannot be finished; it asked for nothing possible before.
            Err(_) => {
                if offload::complete_checksum(self).is_err() {
                    self.set_checksum(Checksum::Complete);
                }
            }
        }
    }
}

impl Drop for Frame {
    #[inline]
    fn drop(&mut self) {
        if let Some(mut body) = self.body.take()
            && let Some(home) = body.home.take()
        {
            home.release(body);
        }
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("bytes", &self.bytes())
            .field("trace", &self.trace())
            .field("mark", &self.mark())
            .field("checksum", &self.checksum())
            .field("segmentation", &self.segmentation())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_steady_load_allocates_nothing() {
        let pool = Pool::new();
        let run = |rounds: usize| {
            for round in 0..rounds {
                let frames: Vec<Frame> = (0..10).map(|i| pool.frame(60 + i * round % 1400)).collect();
                let shares: Vec<Frame> = frames.iter().map(Frame::share).collect();
                drop(frames);
                for mut share in shares {
                    share.push_front(50)[0] = 1;
                }
                drop(pool.frame(9000));
                drop(pool.frame(65_549));
            }
        };
        run(500);
        let warm = pool.allocations();
        run(500);
        assert_eq!(pool.allocations(), warm);
        assert_eq!(pool.outstanding(), 0);
    }

    #[test]
    fn the_free_list_is_bounded() {
        let pool = Pool::new();
        let burst = pool::CLASSES[2].kept + 10;
        drop((0..burst).map(|_| pool.frame(60_000)).collect::<Vec<_>>());
        drop((0..burst).map(|_| pool.frame(60_000)).collect::<Vec<_>>());
        // A body and a buffer each, and again for those that were not kept.
        assert_eq!(pool.allocations(), 2 * burst as u64 + 20);
        assert_eq!(pool.outstanding(), 0);
    }

    #[test]
    fn a_frame_beyond_the_largest_class_works_and_is_not_kept() {
        let pool = Pool::new();
        for _ in 0..2 {
            let mut frame = pool.frame(200_000);
            frame.bytes_mut()[199_999] = 7;
            assert_eq!(frame.len(), 200_000);
        }
        assert_eq!((pool.allocations(), pool.outstanding()), (3, 0), "one body, two buffers");
    }

    #[test]
    fn reused_buffers_start_zeroed() {
        let pool = Pool::new();
        pool.frame(100).bytes_mut().fill(0xff);
        let mut frame = pool.frame(10);
        assert_eq!(frame.bytes(), [0; 10]);
        assert_eq!(frame.extend(20), [0; 20]);
        assert_eq!(frame.push_front(HEADROOM + 9), [0; HEADROOM + 9]);
    }

    #[test]
    fn writing_copies_only_shared_bytes() {
        let pool = Pool::new();
        let mut first = pool.copy_of(&[b'a'; 1_000]);
        first.bytes_mut()[0] = b'A';
        assert_eq!(pool.allocations(), 2, "a body and a buffer");
        let mut second = first.share();
        assert!(first.is_shared() && second.is_shared());
        assert_eq!(pool.allocations(), 3, "another body");
        second.bytes_mut()[2] = b'C';
        assert_eq!((&first.bytes()[..3], &second.bytes()[..3]), (&b"Aaa"[..], &b"AaC"[..]));
        assert!(!first.is_shared() && !second.is_shared());
        assert_eq!((pool.outstanding(), pool.allocations()), (2, 5));
    }

    #[test]
    fn short_frames_share_nothing() {
        let pool = Pool::new();
        let mut first = pool.copy_of(b"abc");
        let mut second = first.share();
        assert!(!first.is_shared() && !second.is_shared());
        first.bytes_mut()[0] = b'A';
        second.bytes_mut()[2] = b'C';
        assert_eq!((first.bytes(), second.bytes()), (&b"Abc"[..], &b"abC"[..]));
        assert_eq!((pool.outstanding(), pool.allocations()), (2, 2));
    }

    proptest! {
        #[test]
        fn narrowing_leaves_what_a_slice_would(bytes in prop::collection::vec(any::<u8>(), 0..300), start in 0usize..400, len in 0usize..400) {
            let mut frame = Pool::new().copy_of(&bytes);
            frame.set_checksum(Checksum::Partial { start: 20, offset: 6 });
            frame.narrow(start, len);
            let first = start.min(bytes.len());
            prop_assert_eq!(frame.bytes(), &bytes[first..bytes.len().min(first + len)]);
            prop_assert_eq!(frame.checksum(), Checksum::Complete);
        }
    }

    #[test]
    fn metadata_follows_shares_and_copies() {
        let pool = Pool::new();
        let mut frame = pool.frame(60);
        frame.set_trace(TraceId(9));
        frame.set_mark(0xd0c4);
        frame.set_checksum(Checksum::Partial { start: 34, offset: 16 });
        frame.set_segmentation(Some(Segmentation { kind: SegmentationKind::Tcp4, size: 1448 }));
        let mut copy = frame.share();
        copy.bytes_mut()[0] = 1;
        assert_eq!((copy.trace(), copy.mark()), (TraceId(9), 0xd0c4));
        assert_eq!(copy.checksum(), frame.checksum());
        assert_eq!(copy.segmentation(), frame.segmentation());
    }

    #[test]
    fn pushing_and_pulling_keep_the_checksum_range_in_place() {
        let pool = Pool::new();
        let mut frame = pool.frame(60);
        frame.set_checksum(Checksum::Partial { start: 34, offset: 16 });
        frame.pull_front(14);
        assert_eq!(frame.checksum(), Checksum::Partial { start: 20, offset: 16 });
        frame.push_front(18);
        assert_eq!(frame.checksum(), Checksum::Partial { start: 38, offset: 16 });
        frame.pull_front(39);
        assert_eq!(frame.checksum(), Checksum::Complete);
        frame.set_checksum(Checksum::Partial { start: 0, offset: 2 });
        frame.push_front(70_000);
        assert_eq!(frame.checksum(), Checksum::Complete);
        assert_eq!(frame.bytes()[70_002..70_004], [0xff, 0xff]);
    }

    #[derive(Clone, Debug)]
    enum Step {
        New(usize),
        Copy(Vec<u8>),
        Share(usize),
        Drop(usize),
        Write(usize, u8),
        Push(usize, usize),
        Pull(usize, usize),
        Truncate(usize, usize),
        Extend(usize, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let index = 0..64usize;
        let size = prop_oneof![0..200usize, 1800..2200usize];
        prop_oneof![
            size.clone().prop_map(Step::New),
            prop::collection::vec(any::<u8>(), 0..100).prop_map(Step::Copy),
            index.clone().prop_map(Step::Share),
            index.clone().prop_map(Step::Drop),
            (index.clone(), any::<u8>()).prop_map(|(i, b)| Step::Write(i, b)),
            (index.clone(), size.clone()).prop_map(|(i, n)| Step::Push(i, n)),
            (index.clone(), size.clone()).prop_map(|(i, n)| Step::Pull(i, n)),
            (index.clone(), size.clone()).prop_map(|(i, n)| Step::Truncate(i, n)),
            (index, size).prop_map(|(i, n)| Step::Extend(i, n)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        /// Frames behave as independent byte vectors whatever they share, and every buffer comes back.
        #[test]
        fn frames_behave_as_byte_vectors(steps in prop::collection::vec(step(), 1..80)) {
            let pool = Pool::new();
            let mut frames: Vec<(Frame, Vec<u8>)> = Vec::new();
            for step in steps {
                let count = frames.len().max(1);
                match step {
                    Step::New(n) => frames.push((pool.frame(n), vec![0; n])),
                    Step::Copy(bytes) => frames.push((pool.copy_of(&bytes), bytes)),
                    Step::Share(i) => if let Some((frame, model)) = frames.get(i % count) {
                        let pair = (frame.share(), model.clone());
                        frames.push(pair);
                    },
                    Step::Drop(i) => if !frames.is_empty() { drop(frames.swap_remove(i % count)); },
                    Step::Write(i, byte) => if let Some((frame, model)) = frames.get_mut(i % count) {
                        frame.bytes_mut().fill(byte);
                        model.fill(byte);
                    },
                    Step::Push(i, n) => if let Some((frame, model)) = frames.get_mut(i % count) {
                        prop_assert_eq!(frame.push_front(n), &vec![0; n][..]);
                        model.splice(0..0, vec![0; n]);
                    },
                    Step::Pull(i, n) => if let Some((frame, model)) = frames.get_mut(i % count) {
                        frame.pull_front(n);
                        model.drain(..n.min(model.len()));
                    },
                    Step::Truncate(i, n) => if let Some((frame, model)) = frames.get_mut(i % count) {
                        frame.truncate(n);
                        model.truncate(n);
                    },
                    Step::Extend(i, n) => if let Some((frame, model)) = frames.get_mut(i % count) {
                        prop_assert_eq!(frame.extend(n), &vec![0; n][..]);
                        model.resize(model.len() + n, 0);
                    },
                }
                for (frame, model) in &frames {
                    prop_assert_eq!(frame.bytes(), &model[..]);
                    prop_assert_eq!((frame.len(), frame.is_empty()), (model.len(), model.is_empty()));
                }
                prop_assert!(pool.outstanding() <= frames.len());
            }
            drop(frames);
            prop_assert_eq!(pool.outstanding(), 0);
        }
    }
}
