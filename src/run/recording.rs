//! Recordings of what entered a world from outside, and the replay of them.
//!
//! A run is a function of the scenario, the seed and what entered with its times: frames, and lines that somebody typed.
//! So a recording holds these and nothing else, one JSON object a line:
//!
//! ```text
//! {"recording":"linkspan","version":1,"seed":0,"containers":["shop-client-1"]}
//! {"time":1804233,"port":0,"frame":"ffffffffffff0242ac120003..."}
//! {"time":6211093377,"command":"docker network disconnect shop_front web"}
//! {"time":9120551823,"stop":"interrupted"}
//! {"emitted":412,"digest":"9a3c6d1f00b27e55"}
//! ```
//!
//! Times are nanoseconds of virtual time and do not decrease; lines with the same time entered together. `stop` says
//! why the run ended. The last line says how many frames left the world and their digest (FNV-1a, 64 bits, over port,
//! length and bytes of each), so that a replay can say whether it went the same way. A recording ends by itself when
//! it has grown to [`LIMIT`] bytes: it then stops (`"full"`) where it is, while the run it records goes on.
//!
//! Text rather than pcapng: a recording is read with `less` and cut with `head`, and needs a place for what is no
//! frame. `linkspan replay --pcap` makes captures from it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::lab::outside::{Moment, Outside, OutsideError, Port};

/// Bytes after which a recording ends by itself.
pub const LIMIT: u64 = 256 << 20;

/// The only version there is.
const VERSION: u64 = 1;

/// The longest line: a frame of 65,536 bytes and its header in hexadecimal, and what stands around it.
const LONGEST_LINE: u64 = 2 * (65_536 + 64) + 256;

/// A recording as a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// Seed and containers of the run.
    pub header: Header,
    /// What entered, in order of time.
    pub entries: Vec<Entry>,
    /// When and why the run, or its recording, ended.
    pub stop: (Duration, StopReason),
    /// What left until then.
    pub emitted: Emitted,
}

/// How a recorded run began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The run's seed.
    pub seed: u64,
    /// The containers whose place was taken, in order.
    pub containers: Vec<String>,
}

/// Something that entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When, in virtual time.
    pub time: Duration,
    /// What.
    pub input: Input,
}

/// What can enter a world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A frame.
    Frame {
        /// Where.
        port: Port,
        /// The frame, header included.
        frame: Vec<u8>,
    },
    /// A line that somebody typed.
    Command(String),
}

/// Why a run with something outside ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// Ctrl-C or SIGTERM.
    Interrupted,
    /// The process that was a container ended.
    ProcessEnded,
    /// Somebody removed the TAP device.
    DeviceGone,
    /// The recording reached [`LIMIT`]; the run went on.
    Full,
}

/// How many frames left a world, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Emitted {
    /// How many.
    pub frames: u64,
    /// FNV-1a over port, length and bytes of each.
    pub digest: u64,
}

/// Why a text is no recording. Lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordingError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Read(String),
    /// The first line is not that of a recording.
    #[error(
        "line 1: expected the first line of a recording, as `linkspan up --record` writes it: \
         {{\"recording\":\"linkspan\",\"version\":1,...}}"
    )]
    NoRecording,
    /// It was written by another release.
    #[error("line 1: a recording of version {found}; this release reads version {VERSION}")]
    Version {
        /// What it says.
        found: u64,
    },
    /// A line is not what the format has there.
    #[error("line {line}: expected {expected}")]
    Line {
        /// Which.
        line: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// It has no end.
    #[error(
        "ends after line {line} without saying why: it was cut, or the run it records was killed; expected a line \
         with \"stop\" and one with \"emitted\""
    )]
    Truncated {
        /// The last line there is.
        line: usize,
    },
    /// It is larger than any that linkspan writes.
    #[error("is larger than {} MiB", LIMIT >> 20)]
    TooLarge,
}

impl Recording {
    /// Writes the text of a recording.
    pub fn emit(&self, out: &mut dyn Write) -> std::io::Result<()> {
        writeln!(out, "{}", self.header.line())?;
        for Entry { time, input } in &self.entries {
            match input {
                Input::Frame { port, frame } => writeln!(out, "{}", frame_line(*time, *port, frame))?,
                Input::Command(line) => writeln!(out, "{}", command_line(*time, line))?,
            }
        }
        writeln!(out, "{}", stop_line(self.stop.0, self.stop.1))?;
        writeln!(out, "{}", self.emitted.line())
    }

    /// Reads a recording from a file.
    ///
    /// # Errors
    /// If it cannot be read, or is no recording.
    pub fn open(file: &Path) -> Result<Recording, RecordingError> {
        let file = File::open(file).map_err(|error| RecordingError::Read(error.to_string()))?;
        Recording::parse(&mut BufReader::new(file))
    }

    /// Reads the text of a recording.
    ///
    /// # Errors
    /// Whatever is not as [`Recording::emit`] writes it.
    pub fn parse(input: &mut dyn BufRead) -> Result<Recording, RecordingError> {
        let mut lines = Lines { input, line: 0, bytes: 0 };
        let first = lines.next()?.ok_or(RecordingError::NoRecording)?;
        let header = Header::parse(&first)?;
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let value = lines.next()?.ok_or(RecordingError::Truncated { line: lines.line })?;
            let fail = |expected| RecordingError::Line { line: lines.line, expected };
            let time = value.get("time").and_then(Value::as_u64).map(Duration::from_nanos);
            let time = time.ok_or(fail("a time in nanoseconds"))?;
            if entries.last().is_some_and(|last| last.time > time) {
                return Err(fail("a time that is not before that of the line above"));
            }
            if let Some(reason) = value.get("stop") {
                let reason = reason.as_str().and_then(StopReason::parse);
                let reason = reason.ok_or(fail("interrupted, process-ended, device-gone or full as stop"))?;
                let last = lines.next()?.ok_or(RecordingError::Truncated { line: lines.line })?;
                let fail = |expected| RecordingError::Line { line: lines.line, expected };
                let emitted = Emitted::parse(&last).ok_or(fail("emitted and digest"))?;
                if lines.next()?.is_some() {
                    return Err(RecordingError::Line { line: lines.line, expected: "nothing after the end" });
                }
                return Ok(Recording { header, entries, stop: (time, reason), emitted });
            }
            if let Some(line) = value.get("command") {
                let line = line.as_str().ok_or(fail("a command as text"))?;
                entries.push(Entry { time, input: Input::Command(line.to_owned()) });
                continue;
            }
            let port = value.get("port").and_then(Value::as_u64).and_then(|p| u16::try_from(p).ok());
            let port = Port(port.ok_or(fail("a port's number"))?);
            let frame = value.get("frame").and_then(Value::as_str).and_then(from_hexadecimal);
            let frame = frame.ok_or(fail("a frame in hexadecimal digits"))?;
            entries.push(Entry { time, input: Input::Frame { port, frame } });
        }
    }
}

/// Writes a recording while the run goes on.
pub struct Recorder {
    out: Box<dyn Write>,
    /// Bytes that may still be written.
    left: u64,
    emitted: Emitted,
    open: bool,
    full: bool,
}

impl Recorder {
    /// Begins a recording of at most `limit` bytes.
    pub fn new(mut out: Box<dyn Write>, header: &Header, limit: u64) -> std::io::Result<Recorder> {
        writeln!(out, "{}", header.line())?;
        Ok(Recorder { out, left: limit, emitted: Emitted::NONE, open: true, full: false })
    }

    /// Frames entered together.
    pub fn entered(&mut self, time: Duration, frames: &[(Port, Vec<u8>)]) -> std::io::Result<()> {
        let lines = frames.iter().map(|(port, frame)| frame_line(time, *port, frame).to_string() + "\n");
        self.write(time, &lines.collect::<String>())
    }

    /// Somebody typed a line.
    pub fn typed(&mut self, time: Duration, line: &str) -> std::io::Result<()> {
        self.write(time, &format!("{}\n", command_line(time, line)))
    }

    /// Writes whole lines, or ends the recording if they are too many.
    fn write(&mut self, time: Duration, text: &str) -> std::io::Result<()> {
        if !self.open {
            return Ok(());
        }
        match self.left.checked_sub(text.len() as u64) {
            Some(left) => {
                self.left = left;
                self.out.write_all(text.as_bytes())
            }
            None => {
                self.full = true;
                self.stop(time, StopReason::Full)
            }
        }
    }

    /// A frame left.
    pub fn emitted(&mut self, port: Port, frame: &[u8]) {
        if self.open {
            self.emitted.count(port, frame);
        }
    }

    /// Ends the recording, unless it has ended before.
    pub fn stop(&mut self, time: Duration, reason: StopReason) -> std::io::Result<()> {
        if !self.open {
            return Ok(());
        }
        self.open = false;
        writeln!(self.out, "{}", stop_line(time, reason))?;
        writeln!(self.out, "{}", self.emitted.line())?;
        self.out.flush()
    }

    /// True if it ended by itself because it had grown too large.
    pub fn is_full(&self) -> bool {
        self.full
    }
}

/// A recording that takes the place of the machine: the second run of what was recorded.
pub struct Replay {
    entries: VecDeque<Entry>,
    stop: Duration,
    emitted: Emitted,
}

impl Replay {
    /// Begins at the beginning.
    pub fn new(recording: Recording) -> Replay {
        Replay { entries: recording.entries.into(), stop: recording.stop.0, emitted: Emitted::NONE }
    }

    /// What left the world so far.
    pub fn emitted(&self) -> Emitted {
        self.emitted
    }

    /// How much of the recording has not entered.
    pub fn left(&self) -> usize {
        self.entries.len()
    }
}

impl Outside for Replay {
    fn wait(&mut self, now: Duration, until: Duration) -> Result<Moment, OutsideError> {
        if until <= now {
            return Ok(Moment::Reached);
        }
        let Some(time) = self.entries.front().map(|entry| entry.time) else {
            return Ok(if self.stop <= until { Moment::Stop { time: self.stop } } else { Moment::Reached });
        };
        if time > until {
            return Ok(Moment::Reached);
        }
        let mut frames = Vec::new();
        while let Some(entry) = self.entries.pop_front_if(|entry| entry.time == time) {
            match entry.input {
                Input::Frame { port, frame } => frames.push((port, frame)),
                // A line enters alone.
                Input::Command(line) if frames.is_empty() => return Ok(Moment::Command { time, line }),
                input @ Input::Command(_) => {
                    self.entries.push_front(Entry { time, input });
                    break;
                }
            }
        }
        Ok(Moment::Frames { time, frames })
    }

    fn emit(&mut self, port: Port, frame: &[u8]) {
        self.emitted.count(port, frame);
    }
}

impl Emitted {
    /// Nothing left; the digest is FNV's offset basis.
    pub const NONE: Emitted = Emitted { frames: 0, digest: 0xcbf2_9ce4_8422_2325 };

    fn count(&mut self, port: Port, frame: &[u8]) {
        self.frames += 1;
        let length = (frame.len() as u32).to_be_bytes();
        for byte in port.0.to_be_bytes().iter().chain(&length).chain(frame) {
            // The prime of 64-bit FNV.
            self.digest = (self.digest ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    fn line(self) -> Value {
        json!({ "emitted": self.frames, "digest": format!("{:016x}", self.digest) })
    }

    fn parse(value: &Value) -> Option<Emitted> {
        let frames = value.get("emitted")?.as_u64()?;
        let digest = value.get("digest")?.as_str()?;
        let digest = (digest.len() == 16).then(|| u64::from_str_radix(digest, 16).ok())??;
        Some(Emitted { frames, digest })
    }
}

impl Header {
    fn line(&self) -> Value {
        json!({
            "recording": "linkspan",
            "version": VERSION,
            "seed": self.seed,
            "containers": self.containers,
        })
    }

    fn parse(value: &Value) -> Result<Header, RecordingError> {
        if value.get("recording").and_then(Value::as_str) != Some("linkspan") {
            return Err(RecordingError::NoRecording);
        }
        let fail = |expected| RecordingError::Line { line: 1, expected };
        match value.get("version").and_then(Value::as_u64) {
            Some(VERSION) => {}
            Some(found) => return Err(RecordingError::Version { found }),
            None => return Err(fail("a version")),
        }
        let seed = value.get("seed").and_then(Value::as_u64).ok_or(fail("a seed"))?;
        let names = value.get("containers").and_then(Value::as_array).ok_or(fail("a list of containers"))?;
        let names = names.iter().map(|name| name.as_str().map(str::to_owned)).collect::<Option<_>>();
        Ok(Header { seed, containers: names.ok_or(fail("names of containers"))? })
    }
}

impl StopReason {
    /// The word of the format.
    pub fn word(self) -> &'static str {
        match self {
            StopReason::Interrupted => "interrupted",
            StopReason::ProcessEnded => "process-ended",
            StopReason::DeviceGone => "device-gone",
            StopReason::Full => "full",
        }
    }

    fn parse(word: &str) -> Option<StopReason> {
        let all =
            [StopReason::Interrupted, StopReason::ProcessEnded, StopReason::DeviceGone, StopReason::Full];
        all.into_iter().find(|reason| reason.word() == word)
    }
}

fn frame_line(time: Duration, port: Port, frame: &[u8]) -> Value {
    json!({ "time": nanoseconds(time), "port": port.0, "frame": to_hexadecimal(frame) })
}

fn command_line(time: Duration, line: &str) -> Value {
    json!({ "time": nanoseconds(time), "command": line })
}

fn stop_line(time: Duration, reason: StopReason) -> Value {
    json!({ "time": nanoseconds(time), "stop": reason.word() })
}

/// 64 bits hold 584 years.
fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn to_hexadecimal(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn from_hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    pairs.remainder().is_empty().then(|| pairs.map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// Lines as JSON objects, bounded.
struct Lines<'a> {
    input: &'a mut dyn BufRead,
    line: usize,
    bytes: u64,
}

impl Lines<'_> {
    fn next(&mut self) -> Result<Option<Value>, RecordingError> {
        let mut text = Vec::new();
        let read = std::io::Read::take(&mut *self.input, LONGEST_LINE).read_until(b'\n', &mut text);
        let read = read.map_err(|error| RecordingError::Read(error.to_string()))?;
        if read == 0 {
            return Ok(None);
        }
        self.bytes += read as u64;
        // The header and the two last lines do not count when it is written.
        if self.bytes > LIMIT + 3 * LONGEST_LINE {
            return Err(RecordingError::TooLarge);
        }
        if text.last() != Some(&b'\n') {
            let cut = (read as u64) < LONGEST_LINE && self.line > 0;
            return Err(if cut { RecordingError::Truncated { line: self.line } } else { self.refuse(1) });
        }
        self.line += 1;
        match serde_json::from_slice::<Map<String, Value>>(&text) {
            Ok(object) => Ok(Some(Value::Object(object))),
            Err(_) => Err(self.refuse(0)),
        }
    }

    fn refuse(&self, ahead: usize) -> RecordingError {
        match self.line + ahead {
            0 | 1 => RecordingError::NoRecording,
            line => RecordingError::Line { line, expected: "a JSON object and the end of the line" },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entries() -> impl Strategy<Value = Vec<Entry>> {
        let frame = (any::<u16>(), prop::collection::vec(any::<u8>(), 0..80));
        let input = prop_oneof![
            frame.prop_map(|(port, frame)| Input::Frame { port: Port(port), frame }),
            ".{0,30}".prop_map(Input::Command),
        ];
        prop::collection::vec((0u64..5_000_000_000, input), 0..20).prop_map(|list| {
            let mut time = Duration::ZERO;
            let entry = |(later, input)| {
                time += Duration::from_nanos(later);
                Entry { time, input }
            };
            list.into_iter().map(entry).collect()
        })
    }

    fn recordings() -> impl Strategy<Value = Recording> {
        let reason = prop::sample::select(vec![
            StopReason::Interrupted,
            StopReason::ProcessEnded,
            StopReason::DeviceGone,
            StopReason::Full,
        ]);
        let header = (any::<u64>(), prop::collection::vec(".{0,12}", 0..3));
        (header, entries(), reason, any::<u64>(), any::<u64>()).prop_map(
            |((seed, containers), entries, reason, count, digest)| Recording {
                header: Header { seed, containers },
                stop: (entries.last().map_or(Duration::ZERO, |last| last.time), reason),
                entries,
                emitted: Emitted { frames: count, digest },
            },
        )
    }

    fn text(recording: &Recording) -> Vec<u8> {
        let mut out = Vec::new();
        recording.emit(&mut out).unwrap();
        out
    }

    fn parse(mut bytes: &[u8]) -> Result<Recording, RecordingError> {
        Recording::parse(&mut bytes)
    }

    proptest! {
        #[test]
        fn parse_is_the_inverse_of_emit(recording in recordings()) {
            prop_assert_eq!(parse(&text(&recording)), Ok(recording));
        }

        #[test]
        fn whatever_is_cut_off_is_missed(recording in recordings(), cut in any::<prop::sample::Index>()) {
            let whole = text(&recording);
            prop_assert!(parse(&whole[..cut.index(whole.len())]).is_err());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }
    }

    const HEADER: &str = r#"{"recording":"linkspan","version":1,"seed":0,"containers":["a"]}"#;

    fn refused(lines: &[&str]) -> String {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        parse(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn errors_name_the_line_and_what_belongs_there() {
        let stop = r#"{"time":5,"stop":"interrupted"}"#;
        let end = r#"{"emitted":0,"digest":"cbf29ce484222325"}"#;
        for (lines, expected) in [
            (vec![], "line 1: expected the first line of a recording"),
            (vec!["services: {}"], "line 1: expected the first line of a recording"),
            (vec![r#"{"recording":"linkspan","version":2}"#], "version 2; this release reads version 1"),
            (vec![HEADER], "ends after line 1 without saying why"),
            (vec![HEADER, stop], "ends after line 2 without saying why"),
            (vec![HEADER, r#"{"port":0,"frame":"00"}"#], "line 2: expected a time in nanoseconds"),
            (vec![HEADER, r#"{"time":1,"port":70000,"frame":"00"}"#], "line 2: expected a port's number"),
            (vec![HEADER, r#"{"time":1,"port":0,"frame":"0"}"#], "line 2: expected a frame in hexadecimal"),
            (
                vec![HEADER, r#"{"time":9,"port":0,"frame":"00"}"#, stop],
                "line 3: expected a time that is not before",
            ),
            (vec![HEADER, r#"{"time":1,"command":7}"#], "line 2: expected a command as text"),
            (vec![HEADER, r#"{"time":1,"stop":"tired"}"#], "line 2: expected interrupted, process-ended"),
            (vec![HEADER, stop, stop], "line 3: expected emitted and digest"),
            (vec![HEADER, stop, end, end], "line 4: expected nothing after the end"),
        ] {
            let found = refused(&lines);
            assert!(found.contains(expected), "{lines:?}: {found}");
        }
    }

    #[test]
    fn a_full_recording_ends_where_it_is_and_can_be_read() {
        let shared = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        struct Into(std::rc::Rc<std::cell::RefCell<Vec<u8>>>);
        impl Write for Into {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.borrow_mut().write(bytes)
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let header = Header { seed: 3, containers: vec!["a".to_owned()] };
        let mut recorder = Recorder::new(Box::new(Into(shared.clone())), &header, 100).unwrap();
        for time in 1..=9 {
            recorder.entered(Duration::from_nanos(time), &[(Port(0), vec![0; 14])]).unwrap();
            recorder.emitted(Port(0), &[1; 14]);
        }
        assert!(recorder.is_full());
        recorder.stop(Duration::from_secs(1), StopReason::Interrupted).unwrap();
        let recording = parse(&shared.borrow()).unwrap();
        assert_eq!(recording.header, header);
        assert_eq!(recording.entries.len(), 1);
        assert_eq!(recording.stop, (Duration::from_nanos(2), StopReason::Full));
        assert_eq!(recording.emitted.frames, 1);
    }

    #[test]
    fn a_replay_answers_as_the_clock_did() {
        let at = Duration::from_nanos;
        let frame = |byte| Input::Frame { port: Port(0), frame: vec![byte] };
        let entry = |time, input| Entry { time: at(time), input };
        let line = || "crash web".to_owned();
        let mut replay = Replay::new(Recording {
            header: Header { seed: 0, containers: Vec::new() },
            entries: vec![
                entry(5, frame(1)),
                entry(5, frame(2)),
                entry(9, frame(3)),
                entry(10, Input::Command(line())),
            ],
            stop: (at(12), StopReason::ProcessEnded),
            emitted: Emitted::NONE,
        });
        let entered = |time, bytes: &[u8]| {
            let frames = bytes.iter().map(|byte| (Port(0), vec![*byte])).collect();
            Ok(Moment::Frames { time: at(time), frames })
        };
        assert_eq!(replay.wait(at(0), at(4)), Ok(Moment::Reached));
        // What is due at this very instant goes first.
        assert_eq!(replay.wait(at(4), at(4)), Ok(Moment::Reached));
        assert_eq!(replay.wait(at(4), at(5)), entered(5, &[1, 2]));
        assert_eq!(replay.wait(at(5), Duration::MAX), entered(9, &[3]));
        assert_eq!(replay.wait(at(9), at(11)), Ok(Moment::Command { time: at(10), line: line() }));
        assert_eq!(replay.wait(at(10), at(11)), Ok(Moment::Reached));
        assert_eq!(replay.wait(at(11), Duration::MAX), Ok(Moment::Stop { time: at(12) }));
    }
}
