//! Fragments of IP packets: cutting what is too long for a device, going on with what was put together, and giving up
//! on what never became whole (RFC 791, RFC 8200 section 4.5).
//!
//! The algorithms are nat's; who may cut, when the engine looks for fragments whose time is over, and who hears of them
//! is decided here.

use linkspan_nat::fragment;
use linkspan_nat::icmp::IcmpError;
use linkspan_nat::packet::{ChecksumState, IpVersion, Layout, PacketMut};
use linkspan_switch::frame::{Checksum, Frame};
use linkspan_switch::offload;
use rand_xoshiro::rand_core::Rng;

use super::event::{DropReason, EventKind};
use super::id::NamespaceId;
use super::ip::{Packet, checksum_state};
use super::{Engine, Timer};

impl Engine {
    /// Cuts a packet for an MTU; one frame if it fits.
    pub(super) fn fragments(
        &mut self,
        namespace: NamespaceId,
        packet: Packet,
        mtu: Option<u32>,
    ) -> Vec<Frame> {
        let Some(mtu) = mtu.filter(|mtu| packet.frame.len() > *mtu as usize) else {
            return vec![packet.frame];
        };
        if packet.frame.segmentation().is_some() {
            return self.fragments_of_segments(namespace, packet, mtu);
        }
        let mut whole = packet.frame;
        complete(&mut whole, packet.layout);
        let identification = self.random.next_u32();
        self.draft = None;
        let cut = match packet.reassembled {
            Some(_) => fragment::refragment(whole.bytes(), mtu as usize, identification),
            None => fragment::fragment(whole.bytes(), mtu as usize, identification),
        };
        match cut {
            Ok(pieces) => {
                let count = pieces.len();
                self.event(whole.trace(), |_| EventKind::Fragmented { namespace, fragments: count, mtu });
                let frames = pieces.iter().map(|piece| {
                    let mut frame = self.pool.copy_of(piece);
                    frame.set_trace(whole.trace());
                    frame.set_mark(whole.mark());
                    frame
                });
                frames.collect()
            }
            Err(_) => {
                self.drop_frame(whole, Some(namespace), None, DropReason::FragmentationNeeded);
                Vec::new()
            }
        }
    }

    /// Segments that are still too long are cut like other packets, as in `ip_finish_output_gso`.
    #[cold]
    fn fragments_of_segments(&mut self, namespace: NamespaceId, packet: Packet, mtu: u32) -> Vec<Frame> {
        let Ok(segments) = offload::segment(packet.frame.share(), 0) else {
            self.drop_frame(packet.frame, Some(namespace), None, DropReason::BadPacket);
            return Vec::new();
        };
        let mut frames = Vec::new();
        for frame in segments {
            let Ok(layout) = Layout::parse(frame.bytes()) else {
                self.drop_frame(frame, Some(namespace), None, DropReason::BadPacket);
                continue;
            };
            let Packet { ingress, physical_ingress, physical_egress, tracked, .. } = packet;
            let segment = Packet {
                frame,
                layout,
                ingress,
                physical_ingress,
                physical_egress,
                tracked,
                reassembled: None,
            };
            frames.extend(self.fragments(namespace, segment, Some(mtu)));
        }
        frames
    }

    #[inline]
    pub(super) fn too_big(&self, packet: &Packet, mtu: u32) -> bool {
        let length = packet.frame.len();
        if length <= mtu as usize {
            return false;
        }
        match packet.frame.segmentation() {
            Some(_) => offload::segment_size(&packet.frame, 0) > mtu as usize,
            None => true,
        }
    }

    /// In IPv6 only the sender cuts (RFC 8200 section 4.5); in IPv4 anyone, unless the packet forbids it.
    pub(super) fn may_not_fragment(&self, packet: &Packet) -> bool {
        match packet.layout.version() {
            IpVersion::V6 => packet.ingress.is_some(),
            IpVersion::V4 => packet.layout.dont_fragment(),
        }
    }

    /// Fragments became a whole packet.
    pub(super) fn replaced(
        &mut self,
        namespace: NamespaceId,
        packet: Packet,
        bytes: &[u8],
        largest_fragment: usize,
    ) -> Option<Packet> {
        let mut frame = self.pool.copy_of(bytes);
        frame.set_trace(packet.frame.trace());
        frame.set_mark(packet.frame.mark());
        let length = frame.len();
        self.event(frame.trace(), |_| EventKind::Reassembled { namespace, length });
        let Ok(layout) = Layout::parse(frame.bytes()) else {
            self.drop_frame(frame, Some(namespace), packet.ingress, DropReason::BadPacket);
            return None;
        };
        Some(Packet { frame, layout, reassembled: Some(largest_fragment), ..packet })
    }

    pub(super) fn arm_fragments(&mut self, namespace: NamespaceId) {
        let Some(Some(space)) = self.namespaces.get(namespace.index()) else { return };
        let deadlines =
            [space.netfilter.deadline(), space.reassembler.as_ref().and_then(|own| own.deadline())];
        let Some(time) = deadlines.into_iter().flatten().min() else { return };
        // One timer for each namespace: were there one for each fragment, those of a flood would wake each other.
        if self.fragments_due.get(&namespace).is_none_or(|due| time < *due) {
            self.fragments_due.insert(namespace, time);
            self.timers.push(time, u64::MAX, Timer::Fragments { namespace });
        }
    }

    pub(super) fn expire_fragments(&mut self, namespace: NamespaceId) {
        let now = self.now;
        if self.fragments_due.get(&namespace).is_none_or(|due| *due > now) {
            return;
        }
        self.fragments_due.remove(&namespace);
        let Some(Some(space)) = self.namespaces.get_mut(namespace.index()) else { return };
        let tracked = space.netfilter.expire(now);
        let expired = space.reassembler.as_mut().map(|own| own.expire(now));
        for queue in tracked.into_iter().chain(expired.into_iter().flatten()) {
            *self.drops.entry(DropReason::Fragment).or_default() += 1;
            let first = queue.first_fragment.as_deref().unwrap_or_default();
            self.snmp.dropped(Some(namespace), DropReason::Fragment, first);
            let trace = self.new_trace();
            let kind =
                EventKind::Dropped { namespace: Some(namespace), device: None, reason: DropReason::Fragment };
            self.event(trace, |_| kind);
            if let Some(first) = queue.first_fragment
                && let Ok(layout) = Layout::parse(&first)
            {
                let packet = Packet::own(self.pool.copy_of(&first), layout);
                self.answer_error(namespace, &packet, IcmpError::ReassemblyTimeExceeded);
            }
        }
        self.arm_fragments(namespace);
    }
}

fn complete(frame: &mut Frame, layout: Layout) {
    if checksum_state(frame) == ChecksumState::Partial {
        if let Some(mut packet) = PacketMut::with_layout(frame.bytes_mut(), layout, ChecksumState::Partial) {
            packet.complete_checksum();
        }
        frame.set_checksum(Checksum::Complete);
    }
}
