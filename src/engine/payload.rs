//! Memory for the payloads that programs read.
//!
//! A program owns what it reads. An allocator has short blocks at hand; longer ones, which it would join and split again
//! for every datagram, are cut from a chunk that is used again once everything cut from it is gone. Whoever keeps a long
//! payload keeps at most [`CHUNK`] bytes besides.

use bytes::{Bytes, BytesMut};

/// Payloads of so many bytes are cut from the chunk.
const LONG: usize = 1024;
/// Bytes of a chunk.
const CHUNK: usize = 16 * 1024;

/// The chunk that payloads are cut from.
#[derive(Default)]
pub(super) struct Payloads {
    chunk: BytesMut,
}

impl Payloads {
    /// A copy of `bytes`.
    pub(super) fn copy(&mut self, bytes: &[u8]) -> Bytes {
        if !(LONG..=CHUNK).contains(&bytes.len()) {
            return Bytes::copy_from_slice(bytes);
        }
        if self.chunk.capacity() < bytes.len() {
            self.chunk.reserve(CHUNK);
        }
        self.chunk.extend_from_slice(bytes);
        self.chunk.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_payloads_stay_as_they_were() {
        let mut payloads = Payloads::default();
        let bytes = |number: usize| vec![number as u8; 900 + 40 * (number % 30)];
        let mut kept = Vec::new();
        for number in 0..500 {
            let payload = payloads.copy(&bytes(number));
            assert_eq!(payload, bytes(number));
            if number % 7 == 0 {
                kept.push((number, payload));
            }
        }
        assert!(kept.iter().all(|(number, payload)| *payload == bytes(*number)));
    }

    #[test]
    fn a_chunk_is_used_again_once_its_payloads_are_gone() {
        let mut payloads = Payloads::default();
        let first = payloads.copy(&[1; CHUNK]).as_ptr();
        assert_eq!(payloads.copy(&[2; CHUNK]).as_ptr(), first);
        let kept = payloads.copy(&[3; CHUNK]);
        assert_ne!(payloads.copy(&[4; CHUNK]).as_ptr(), kept.as_ptr());
    }
}
