//! The clock: a world at the machine's pace, with real processes for containers.
//!
//! [`Live`] is an [`Outside`]: the world says until when it has nothing to do, and this file waits for that moment, for
//! frames from TAP devices, for lines that somebody types, for a signal and for the end of the processes, in one
//! `poll(2)`. One thread does it all: the
//! world runs between two polls, and nothing else touches it.
//!
//! # Time
//!
//! Virtual time and the clock (monotonic) begin together with the first wait. What is due at a moment happens at that
//! moment of virtual time, however late the machine was; a frame enters at the clock's time, but after what has
//! happened already and not after the next deadline. So a run is a function of the frames and their times, which
//! [`Recorder`] keeps, and a machine that is too slow makes the world late ([`Live::latest`]), never different.
//!
//! `poll` rather than `epoll`: there are as many descriptors as containers outside, a handful, and each call names them
//! anyway.
//!
//! Limits: no offload, one read and one write for each frame. A frame that the kernel does not take at once (its queue
//! is full, or the interface is down) is lost and counted ([`Live::lost`]), as on a wire.

use std::collections::VecDeque;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::attach::Furnished;
use super::recording::{Recorder, StopReason};
use super::tap::Tap;
use crate::lab::outside::{Moment, Outside, OutsideError, Port};

/// Frames read from one device before the others have their turn and the world runs.
const BURST: usize = 64;

/// Room for the largest MTU, an Ethernet header and a VLAN tag.
const LONGEST_FRAME: usize = 65_535 + 18;

/// Bytes of a typed line that are kept.
const LONGEST_COMMAND: usize = 65_536;

/// The machine as a world's outside. See the module documentation.
pub struct Live {
    taps: Vec<Tap>,
    processes: Vec<OwnedFd>,
    signals: UnixStream,
    /// Where lines are typed; `None`: nowhere, or no more.
    keyboard: Option<OwnedFd>,
    /// The beginning of a line.
    half: Vec<u8>,
    /// Lines that the world has not got yet.
    lines: VecDeque<String>,
    /// Virtual time and the clock at the same moment.
    began: Option<(Duration, Instant)>,
    recorder: Option<Recorder>,
    buffer: Vec<u8>,
    ended: Option<StopReason>,
    latest: Duration,
    lost: u64,
}

/// What a poll found.
struct Ready {
    taps: Vec<bool>,
    keyboard: bool,
    stop: Option<StopReason>,
}

impl Live {
    /// A clock with nobody outside yet. From now on Ctrl-C and SIGTERM end the run instead of the program.
    pub fn new() -> io::Result<Live> {
        let (signals, sender) = UnixStream::pair()?;
        for signal in [SIGINT, SIGTERM] {
            signal_hook::low_level::pipe::register(signal, sender.try_clone()?)?;
        }
        signals.set_nonblocking(true)?;
        Ok(Live {
            taps: Vec::new(),
            processes: Vec::new(),
            signals,
            keyboard: None,
            half: Vec::new(),
            lines: VecDeque::new(),
            began: None,
            recorder: None,
            buffer: vec![0; LONGEST_FRAME],
            ended: None,
            latest: Duration::ZERO,
            lost: 0,
        })
    }

    /// A process is the next container; its devices are the next ports.
    pub fn attach(&mut self, furnished: Furnished) -> io::Result<()> {
        for tap in furnished.taps {
            tap.set_nonblocking()?;
            self.taps.push(tap);
        }
        self.processes.push(furnished.process);
        Ok(())
    }

    /// Lines from this descriptor are typed into the world from now on.
    pub fn listen(&mut self, keyboard: OwnedFd) {
        self.keyboard = Some(keyboard);
    }

    /// Keeps what enters from now on.
    pub fn record(&mut self, recorder: Recorder) {
        self.recorder = Some(recorder);
    }

    /// Why the run ended; `None` if nothing here ended it.
    pub fn ended(&self) -> Option<StopReason> {
        self.ended
    }

    /// The most by which the world was late.
    pub fn latest(&self) -> Duration {
        self.latest
    }

    /// Frames that the kernel did not take.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// True if the recording grew too large and ended before the run.
    pub fn is_recording_full(&self) -> bool {
        self.recorder.as_ref().is_some_and(Recorder::is_full)
    }

    /// Ends a recording that the run did not end itself.
    pub fn finish(&mut self, now: Duration) -> io::Result<()> {
        self.recorder.as_mut().map_or(Ok(()), |recorder| recorder.stop(now, StopReason::Interrupted))
    }

    fn clock(&self, now: Duration) -> Duration {
        self.began.map_or(now, |(virtual_time, clock)| virtual_time.saturating_add(clock.elapsed()))
    }

    /// Waits until something can be read, at most `left`.
    fn poll(&mut self, left: Duration) -> io::Result<Ready> {
        let mut descriptors: Vec<PollFd<'_>> = Vec::with_capacity(1 + self.processes.len() + self.taps.len());
        descriptors.push(PollFd::new(&self.signals, PollFlags::IN));
        descriptors.extend(self.processes.iter().map(|process| PollFd::new(process, PollFlags::IN)));
        descriptors.extend(self.taps.iter().map(|tap| PollFd::from_borrowed_fd(tap.as_fd(), PollFlags::IN)));
        descriptors.extend(self.keyboard.iter().map(|keyboard| PollFd::new(keyboard, PollFlags::IN)));
        // A time that does not fit is for ever.
        let timeout = Timespec::try_from(left).ok();
        match poll(&mut descriptors, timeout.as_ref()) {
            Ok(_) => {}
            // The signal has written to its socket; the next poll sees it.
            Err(Errno::INTR) => return Ok(Ready { taps: Vec::new(), keyboard: false, stop: None }),
            Err(error) => return Err(error.into()),
        }
        let found: Vec<bool> = descriptors.iter().map(|one| !one.revents().is_empty()).collect();
        let (signalled, rest) = (found[0], &found[1..]);
        let (processes, taps) = rest.split_at(self.processes.len());
        let (taps, keyboard) = taps.split_at(self.taps.len());
        let ended = processes.contains(&true);
        let stop = match (signalled, ended) {
            (true, _) => Some(StopReason::Interrupted),
            (false, true) => Some(StopReason::ProcessEnded),
            (false, false) => None,
        };
        Ok(Ready { taps: taps.to_vec(), keyboard: keyboard.contains(&true), stop })
    }

    /// Reads what has arrived.
    fn read(&mut self, ready: &mut Ready) -> io::Result<Vec<(Port, Vec<u8>)>> {
        let mut frames = Vec::new();
        for (at, tap) in self.taps.iter().enumerate().filter(|(at, _)| ready.taps.get(*at) == Some(&true)) {
            for _ in 0..BURST {
                match tap.receive(&mut self.buffer) {
                    Ok(length) => frames.push((Port(at as u16), self.buffer[..length].to_vec())),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    // The kernel says so when the device behind the descriptor is gone.
                    Err(error) if error.raw_os_error() == Some(Errno::BADFD.raw_os_error()) => {
                        ready.stop = Some(StopReason::DeviceGone);
                        break;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(frames)
    }

    /// Reads what was typed, once: more would wait for more.
    fn read_lines(&mut self) -> io::Result<()> {
        let Some(keyboard) = &self.keyboard else { return Ok(()) };
        let mut bytes = [0; 4_096];
        let length = match rustix::io::read(keyboard, &mut bytes) {
            Ok(length) => length,
            Err(Errno::INTR | Errno::AGAIN) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for byte in &bytes[..length] {
            if *byte == b'\n' {
                let line = String::from_utf8_lossy(&std::mem::take(&mut self.half)).trim().to_owned();
                self.lines.extend((!line.is_empty()).then_some(line));
            } else if self.half.len() < LONGEST_COMMAND {
                self.half.push(*byte);
            }
        }
        if length == 0 {
            self.keyboard = None;
        }
        Ok(())
    }

    fn moment(&mut self, now: Duration, until: Duration) -> io::Result<Moment> {
        self.began.get_or_insert_with(|| (now, Instant::now()));
        let earliest = now + Duration::from_nanos(1);
        loop {
            let left = until.saturating_sub(self.clock(now));
            let mut ready = self.poll(if self.lines.is_empty() { left } else { Duration::ZERO })?;
            if ready.keyboard && self.lines.is_empty() {
                self.read_lines()?;
            }
            let time = self.clock(now).clamp(earliest, until);
            let frames = self.read(&mut ready)?;
            if let Some(reason) = ready.stop {
                // What came with the end is not looked at any more.
                self.ended = Some(reason);
                let _ = self.signals.read(&mut [0; 16]);
                if let Some(recorder) = &mut self.recorder {
                    recorder.stop(time, reason)?;
                }
                return Ok(Moment::Stop { time });
            }
            if !frames.is_empty() {
                if let Some(recorder) = &mut self.recorder {
                    recorder.entered(time, &frames)?;
                }
                return Ok(Moment::Frames { time, frames });
            }
            if let Some(line) = self.lines.pop_front() {
                if let Some(recorder) = &mut self.recorder {
                    recorder.typed(time, &line)?;
                }
                return Ok(Moment::Command { time, line });
            }
            let clock = self.clock(now);
            if clock >= until {
                self.latest = self.latest.max(clock - until);
                return Ok(Moment::Reached);
            }
        }
    }
}

impl Outside for Live {
    fn wait(&mut self, now: Duration, until: Duration) -> Result<Moment, OutsideError> {
        if until <= now {
            return Ok(Moment::Reached);
        }
        self.moment(now, until).map_err(|error| OutsideError(format!("waiting for what is outside: {error}")))
    }

    fn emit(&mut self, port: Port, frame: &[u8]) {
        if let Some(recorder) = &mut self.recorder {
            recorder.emitted(port, frame);
        }
        let sent = self.taps.get(usize::from(port.0)).is_some_and(|tap| tap.send(frame).is_ok());
        self.lost += u64::from(!sent);
    }
}
