//! The receive buffer of a UDP or raw socket: datagrams in order, bounded by bytes as `net.core.rmem_default`.
//!
//! A datagram waits in the frame it came in, as in Linux's `sk_receive_queue`: its bytes are copied once, to the
//! reader, as from `recvfrom(2)`. Datagrams of one flow share the note of where they come from and go to.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;

use linkspan_switch::frame::Frame;

/// `net.core.rmem_default`.
pub(super) const LIMIT: usize = 212_992;
/// What the kernel counts for a datagram besides its bytes (`sizeof(struct sk_buff)` and alignment).
pub(super) const DATAGRAM_OVERHEAD: usize = 256;

/// Datagrams that wait to be read.
#[derive(Debug, Default)]
pub(crate) struct ReceiveBuffer {
    waiting: VecDeque<Waiting>,
    /// Bytes of all payloads.
    bytes: usize,
}

/// A datagram that waits.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// Who sent it, and where to.
    pub(crate) ends: Rc<Ends>,
    /// Its payload.
    pub(crate) frame: Frame,
}

/// Where a datagram comes from and where it was sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
}

impl ReceiveBuffer {
    /// Payload bytes that wait.
    pub(crate) fn len(&self) -> usize {
        self.bytes
    }

    /// Datagrams that wait.
    pub(crate) fn count(&self) -> usize {
        self.waiting.len()
    }

    /// Takes a datagram in, of whose frame only the payload is left; gives it back if there is no room.
    #[inline]
    pub(crate) fn push(&mut self, ends: &Rc<Ends>, frame: Frame) -> Result<(), Frame> {
        let charged = self.bytes + DATAGRAM_OVERHEAD * self.waiting.len();
        if charged + frame.len() + DATAGRAM_OVERHEAD > LIMIT {
            return Err(frame);
        }
        self.bytes += frame.len();
        self.waiting.push_back(Waiting { ends: Rc::clone(ends), frame });
        Ok(())
    }

    /// The next datagram.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Waiting> {
        let next = self.waiting.pop_front()?;
        self.bytes -= next.frame.len();
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use linkspan_switch::frame::Pool;
    use proptest::prelude::*;

    fn ends(port: u16) -> Rc<Ends> {
        let address = |port| SocketAddr::from(([172, 18, 0, 2], port));
        Rc::new(Ends { source: address(port), destination: address(2) })
    }

    fn pop(buffer: &mut ReceiveBuffer) -> Option<(u16, Vec<u8>)> {
        let next = buffer.pop()?;
        Some((next.ends.source.port(), next.frame.bytes().to_vec()))
    }

    #[test]
    fn refuses_what_does_not_fit_and_takes_it_later() {
        let pool = Pool::new();
        let mut buffer = ReceiveBuffer::default();
        let payload = [7; 65_507];
        for _ in 0..3 {
            assert!(buffer.push(&ends(1), pool.copy_of(&payload)).is_ok());
        }
        assert!(buffer.push(&ends(1), pool.copy_of(&payload)).is_err());
        assert!(buffer.push(&ends(1), pool.copy_of(&payload[..1_000])).is_ok(), "a small one still fits");
        assert_eq!(pop(&mut buffer), Some((1, payload.to_vec())));
        assert!(buffer.push(&ends(1), pool.copy_of(&payload)).is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn datagrams_come_out_as_they_went_in(
            steps in prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..40)), 1..200)
        ) {
            let pool = Pool::new();
            let mut buffer = ReceiveBuffer::default();
            let mut model = VecDeque::new();
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Some(payload) => {
                        prop_assert!(buffer.push(&ends(number as u16), pool.copy_of(&payload)).is_ok());
                        model.push_back((number as u16, payload));
                    }
                    None => prop_assert_eq!(pop(&mut buffer), model.pop_front()),
                }
                prop_assert_eq!(buffer.len(), model.iter().map(|(_, payload)| payload.len()).sum::<usize>());
                prop_assert_eq!((buffer.count(), pool.outstanding()), (model.len(), model.len()));
            }
        }
    }
}
