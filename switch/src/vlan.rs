//! 802.1Q tags: putting one on a frame, reading it, taking it off.
//!
//! A tag is four bytes between the source address and the EtherType: the TPID 0x8100 and the control
//! information (priority 3 bits, drop eligible 1 bit, VLAN identifier 12 bits). Only customer tags are
//! handled; stacked tags work because push and pop act on the outermost.

use std::fmt;
use std::num::NonZeroU16;

use thiserror::Error;

use crate::ethernet::{ETHERNET_HEADER_LEN, EtherType};
use crate::frame::Frame;

/// Bytes of one tag.
pub const VLAN_TAG_LEN: usize = 4;

/// Where the tag stands: after the two addresses.
const TAG_OFFSET: usize = 12;

/// A VLAN identifier, 1 to 4094 (0 means "no VLAN", 4095 is reserved; IEEE 802.1Q table 9-2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VlanId(NonZeroU16);

impl VlanId {
    /// The identifier `id`, if it is one.
    pub const fn new(id: u16) -> Result<VlanId, VlanError> {
        match NonZeroU16::new(id) {
            Some(value) if id <= 4094 => Ok(VlanId(value)),
            _ => Err(VlanError::Id { found: id }),
        }
    }

    /// The identifier as a number.
    #[inline]
    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

impl fmt::Display for VlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for VlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What a tag says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VlanTag {
    /// The VLAN; `None` in a priority tag, which belongs to no VLAN.
    pub id: Option<VlanId>,
    /// Priority code point, 0 to 7; higher bits are not sent.
    pub priority: u8,
    /// Whether congestion may drop this frame first.
    pub drop_eligible: bool,
}

/// A frame or number that has no place in 802.1Q.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum VlanError {
    /// The number is no VLAN identifier.
    #[error("a VLAN identifier is 1 to 4094, found {found}")]
    Id {
        /// The number.
        found: u16,
    },
    /// The frame ends before its addresses, tag or EtherType do.
    #[error("the frame needs {expected} bytes for its Ethernet header and tag, found {found}")]
    Truncated {
        /// Bytes needed.
        expected: usize,
        /// Bytes there were.
        found: usize,
    },
}

impl VlanTag {
    /// A tag for `id` with default priority.
    pub const fn new(id: VlanId) -> VlanTag {
        VlanTag { id: Some(id), priority: 0, drop_eligible: false }
    }

    fn from_control(control: u16) -> Result<VlanTag, VlanError> {
        let id = match control & 0xfff {
            0 => None,
            id => Some(VlanId::new(id)?),
        };
        Ok(VlanTag { id, priority: (control >> 13) as u8, drop_eligible: control & 0x1000 != 0 })
    }

    fn to_control(self) -> u16 {
        let id = self.id.map_or(0, VlanId::get);
        u16::from(self.priority & 7) << 13 | u16::from(self.drop_eligible) << 12 | id
    }
}

/// Reads the outermost tag of an Ethernet frame. `Ok(None)` if it has none.
pub fn peek(bytes: &[u8]) -> Result<Option<VlanTag>, VlanError> {
    require(bytes.len(), ETHERNET_HEADER_LEN)?;
    if bytes[TAG_OFFSET..TAG_OFFSET + 2] != EtherType::VLAN.0.to_be_bytes() {
        return Ok(None);
    }
    require(bytes.len(), ETHERNET_HEADER_LEN + VLAN_TAG_LEN)?;
    VlanTag::from_control(u16::from_be_bytes([bytes[TAG_OFFSET + 2], bytes[TAG_OFFSET + 3]])).map(Some)
}

/// Puts `tag` on the frame, outside any tag it has. The frame is unchanged on error.
pub fn push(frame: &mut Frame, tag: VlanTag) -> Result<(), VlanError> {
    require(frame.len(), ETHERNET_HEADER_LEN)?;
    frame.push_front(VLAN_TAG_LEN);
    let bytes = frame.bytes_mut();
    bytes.copy_within(VLAN_TAG_LEN..VLAN_TAG_LEN + TAG_OFFSET, 0);
    bytes[TAG_OFFSET..TAG_OFFSET + 2].copy_from_slice(&EtherType::VLAN.0.to_be_bytes());
    bytes[TAG_OFFSET + 2..TAG_OFFSET + 4].copy_from_slice(&tag.to_control().to_be_bytes());
    Ok(())
}

/// Takes the outermost tag off the frame and returns it. `Ok(None)` if it has none; the frame is unchanged
/// then and on error.
pub fn pop(frame: &mut Frame) -> Result<Option<VlanTag>, VlanError> {
    let Some(tag) = peek(frame.bytes())? else { return Ok(None) };
    frame.bytes_mut().copy_within(..TAG_OFFSET, VLAN_TAG_LEN);
    frame.pull_front(VLAN_TAG_LEN);
    Ok(Some(tag))
}

fn require(found: usize, expected: usize) -> Result<(), VlanError> {
    if found < expected { Err(VlanError::Truncated { expected, found }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Checksum, Pool};
    use proptest::prelude::*;

    #[test]
    fn a_tag_is_laid_out_as_802_1q_says() {
        let pool = Pool::new();
        let mut frame = pool.copy_of(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 8, 0, 0x45]);
        let tag = VlanTag { id: Some(VlanId::new(10).unwrap()), priority: 5, drop_eligible: true };
        push(&mut frame, tag).unwrap();
        assert_eq!(frame.bytes(), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x81, 0, 0xb0, 10, 8, 0, 0x45]);
    }

    #[test]
    fn reserved_identifiers_and_short_frames_are_refused() {
        assert_eq!(VlanId::new(0), Err(VlanError::Id { found: 0 }));
        assert_eq!(VlanId::new(4095), Err(VlanError::Id { found: 4095 }));
        let pool = Pool::new();
        let mut bytes = vec![0; 16];
        bytes[12] = 0x81;
        let mut frame = pool.copy_of(&bytes);
        assert_eq!(pop(&mut frame), Err(VlanError::Truncated { expected: 18, found: 16 }));
        bytes.extend([0, 0]);
        bytes[14..16].copy_from_slice(&[0x0f, 0xff]);
        let mut frame = pool.copy_of(&bytes);
        assert_eq!(pop(&mut frame), Err(VlanError::Id { found: 4095 }));
        assert_eq!(frame.bytes(), bytes);
        assert!(push(&mut pool.frame(13), VlanTag::new(VlanId::new(1).unwrap())).is_err());
    }

    proptest! {
        #[test]
        fn pop_inverts_push(
            mut bytes in prop::collection::vec(any::<u8>(), 14..80),
            id in 0..4095u16, priority in 0..8u8, drop_eligible: bool, shared: bool,
        ) {
            bytes[12] = 8;
            let pool = Pool::new();
            let mut frame = pool.copy_of(&bytes);
            frame.set_checksum(Checksum::Partial { start: 14, offset: 6 });
            let keep = shared.then(|| frame.share());
            let tag = VlanTag { id: VlanId::new(id).ok(), priority, drop_eligible };
            push(&mut frame, tag).unwrap();
            prop_assert_eq!(frame.checksum(), Checksum::Partial { start: 18, offset: 6 });
            prop_assert_eq!(&frame.bytes()[16..], &bytes[12..]);
            let keep_tagged = shared.then(|| frame.share());
            prop_assert_eq!(pop(&mut frame), Ok(Some(tag)));
            prop_assert_eq!(frame.bytes(), &bytes[..]);
            prop_assert_eq!(pop(&mut frame), Ok(None));
            prop_assert_eq!(frame.checksum(), Checksum::Partial { start: 14, offset: 6 });
            if let (Some(keep), Some(tagged)) = (keep, keep_tagged) {
                prop_assert_eq!(keep.bytes(), &bytes[..]);
                prop_assert_eq!(peek(tagged.bytes()), Ok(Some(tag)));
            }
        }
    }
}
