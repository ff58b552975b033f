//! The receive buffer of a UDP or raw socket: datagrams in order, bounded by bytes as `net.core.rmem_default`.
//!
//! Payloads stand one behind the other in memory that is kept, so that receiving allocates nothing while the load is
//! steady; the reader gets a copy, as from `recvfrom(2)`. What was read makes room when the buffer is empty, or when
//! it is more than what waits.

use std::collections::VecDeque;
use std::net::SocketAddr;

/// `net.core.rmem_default`.
const LIMIT: usize = 212_992;
/// What the kernel counts for a datagram besides its bytes (`sizeof(struct sk_buff)` and alignment).
const DATAGRAM_OVERHEAD: usize = 256;

/// Datagrams that wait to be read.
#[derive(Debug, Default)]
pub(crate) struct ReceiveBuffer {
    waiting: VecDeque<Waiting>,
    /// Payloads that were read, then those that wait.
    bytes: Vec<u8>,
    read: usize,
}

/// A datagram whose payload is in the ring.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting {
    /// Who sent it.
    pub(crate) source: SocketAddr,
    /// Where it was sent to.
    pub(crate) destination: SocketAddr,
    /// Bytes of payload.
    pub(crate) length: usize,
}

impl ReceiveBuffer {
    /// Payload bytes that wait.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.read
    }

    /// Takes a datagram in; false if there is no room.
    pub(crate) fn push(&mut self, source: SocketAddr, destination: SocketAddr, payload: &[u8]) -> bool {
        let charged = self.len() + DATAGRAM_OVERHEAD * self.waiting.len();
        if charged + payload.len() + DATAGRAM_OVERHEAD > LIMIT {
            return false;
        }
        self.waiting.push_back(Waiting { source, destination, length: payload.len() });
        self.bytes.extend_from_slice(payload);
        true
    }

    /// The next datagram; `take` sees its payload.
    #[inline]
    pub(crate) fn pop(&mut self, take: impl FnOnce(&[u8])) -> Option<Waiting> {
        let next = self.waiting.pop_front()?;
        let end = self.read + next.length;
        take(&self.bytes[self.read..end]);
        self.read = end;
        if self.waiting.is_empty() {
            self.bytes.clear();
            self.read = 0;
        } else if self.read > self.bytes.len() / 2 {
            self.bytes.drain(..self.read);
            self.read = 0;
        }
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([172, 18, 0, 2], port))
    }

    fn pop(buffer: &mut ReceiveBuffer) -> Option<(u16, Vec<u8>)> {
        let mut payload = Vec::new();
        let next = buffer.pop(|bytes| payload = bytes.to_vec())?;
        Some((next.source.port(), payload))
    }

    #[test]
    fn refuses_what_does_not_fit_and_takes_it_later() {
        let mut buffer = ReceiveBuffer::default();
        let payload = [7; 65_507];
        for _ in 0..3 {
            assert!(buffer.push(address(1), address(2), &payload));
        }
        assert!(!buffer.push(address(1), address(2), &payload));
        assert!(buffer.push(address(1), address(2), &payload[..1_000]), "a small one still fits");
        assert_eq!(pop(&mut buffer), Some((1, payload.to_vec())));
        assert!(buffer.push(address(1), address(2), &payload));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn datagrams_come_out_as_they_went_in(
            steps in prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..40)), 1..200)
        ) {
            let mut buffer = ReceiveBuffer::default();
            let mut model = VecDeque::new();
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Some(payload) => {
                        prop_assert!(buffer.push(address(number as u16), address(2), &payload));
                        model.push_back((number as u16, payload));
                    }
                    None => prop_assert_eq!(pop(&mut buffer), model.pop_front()),
                }
                prop_assert_eq!(buffer.len(), model.iter().map(|(_, payload)| payload.len()).sum::<usize>());
            }
        }
    }
}
