//! A capture that is written while the run goes on, for a reader at the other end of a pipe.
//!
//! Packets wait until the caller says that an instant is over, so that what became of a packet within it stands on the
//! packet; what becomes of it later (a wire that delays, a neighbour that does not answer) can no longer be told. An
//! interface is described before its first packet, wherever that is in the file, as the format allows.

use std::io::Write;

use pcap_file::pcapng::PcapNgWriter;
use pcap_file::{PcapError, PcapResult};

use super::{Capture, Selection, begin};
use crate::engine::event::Event;
use crate::observe::Naming;

/// A capture on its way into a sink.
pub struct Stream<W: Write> {
    capture: Capture,
    writer: PcapNgWriter<W>,
    /// Interfaces that the reader knows.
    described: usize,
    packets: u64,
}

impl<W: Write> Stream<W> {
    /// Begins the file, so that a reader sees at once what it is.
    ///
    /// # Errors
    /// When the sink fails.
    pub fn new(sink: W) -> PcapResult<Stream<W>> {
        let mut writer = begin(sink)?;
        writer.get_mut().flush().map_err(PcapError::IoError)?;
        Ok(Stream { capture: Capture::new(Selection::Only(Vec::new())), writer, described: 0, packets: 0 })
    }

    /// What is captured from now on. Interfaces that were met before stay as they are.
    pub fn select(&mut self, selection: Selection) {
        if self.capture.selection != selection {
            self.capture.selection = selection;
            // What was not wanted may be wanted now.
            self.capture.devices.retain(|_, known| known.is_some());
        }
    }

    /// Takes in an event. Events come in order.
    pub fn push(&mut self, event: &Event, naming: &dyn Naming) {
        self.capture.push(event, naming);
    }

    /// Writes what was captured since the last call.
    ///
    /// # Errors
    /// When the sink fails.
    pub fn flush(&mut self) -> PcapResult<()> {
        for interface in &self.capture.interfaces[self.described..] {
            self.writer.write_pcapng_block(interface.block())?;
        }
        self.described = self.capture.interfaces.len();
        let packets = std::mem::take(&mut self.capture.packets);
        for packet in &packets {
            let interface = u32::try_from(packet.interface).unwrap_or(u32::MAX);
            self.writer.write_pcapng_block(packet.block(interface))?;
        }
        self.packets += packets.len() as u64;
        self.capture.bytes = 0;
        for interface in &mut self.capture.interfaces {
            interface.kept = 0;
        }
        // Their frames are written and can carry no further comment.
        for under_way in self.capture.under_way.values_mut() {
            under_way.frames.clear();
        }
        if !packets.is_empty() {
            self.writer.get_mut().flush().map_err(PcapError::IoError)?;
        }
        Ok(())
    }

    /// Packets written so far.
    pub fn packets(&self) -> u64 {
        self.packets
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::io;
    use std::rc::Rc;

    use super::super::{Choice, Frames};
    use super::*;
    use crate::observe::testing::*;

    /// A sink whose content can be looked at while it is written.
    #[derive(Clone, Default)]
    struct Shared(Rc<RefCell<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn choice(namespace: &str, frames: Frames) -> Selection {
        Selection::Only(vec![Choice { namespace: namespace.to_owned(), device: None, frames }])
    }

    #[test]
    fn a_stream_grows_and_says_the_same_as_a_file() {
        let packet = tcp_packet([172, 18, 0, 2], 40000, [172, 18, 0, 3], 5432, "S", b"");
        let sink = Shared::default();
        let mut stream = Stream::new(sink.clone()).unwrap();
        let header = sink.0.borrow().len();
        assert!(header > 0, "a reader sees at once what it is");
        stream.select(choice("web", Frames::Both));
        let mut whole = Capture::new(choice("web", Frames::Both));
        for event in crossing(1, &packet) {
            stream.push(&event, &Names);
            whole.push(&event, &Names);
        }
        assert_eq!(sink.0.borrow().len(), header, "an instant is written when it is over");
        stream.flush().unwrap();
        assert_eq!(stream.packets(), 1);
        let files = whole.finish().unwrap();
        let merged = &files.iter().find(|(name, _)| name == "merged.pcapng").unwrap().1;
        assert_eq!(*sink.0.borrow(), *merged);
    }

    #[test]
    fn only_sent_frames_are_taken_where_that_is_asked_for() {
        let packet = tcp_packet([172, 18, 0, 2], 40000, [172, 18, 0, 3], 5432, "S", b"");
        let count = |frames| {
            let mut stream = Stream::new(Vec::new()).unwrap();
            stream.select(choice("host", frames));
            crossing(1, &packet).iter().for_each(|event| stream.push(event, &Names));
            stream.flush().unwrap();
            stream.packets()
        };
        // It enters the host by one port of the bridge and leaves by another.
        assert_eq!((count(Frames::Both), count(Frames::Sent)), (2, 1));
    }
}
