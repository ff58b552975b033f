//! Input for the programs that read text: the files named, or standard input, in pieces and in lines.
//!
//! Whatever comes in, a program keeps little of it: a piece of [`CHUNK`] bytes, or one line. A line longer than
//! [`LONGEST`] ends the program with BusyBox's `out of memory` and the limit, as it would end on a machine that had no
//! more. What has to keep its whole input (`sort`, `tail -n`, `tac`-like work) keeps at most [`MOST`] bytes.
//!
//! A program whose reader has gone ends at its next write with [`BROKEN_PIPE`], the status that SIGPIPE gives.

use std::collections::VecDeque;

use super::devices::Device;
use super::options::Failure;
use crate::engine::sys::{Errno, ExitCode, Sys};

/// Bytes taken from a pipe or a file at once.
pub(crate) const CHUNK: usize = 65_536;

/// Bytes whose moving takes as long as sending one to another machine, with what that keeps busy.
pub(crate) const SENDING: usize = 4;

/// Bytes of the longest line.
pub(crate) const LONGEST: usize = 1 << 20;

/// Bytes that a program may keep of its input.
pub(crate) const MOST: usize = 16 << 20;

/// How a program ends that writes where nobody reads: 128 and SIGPIPE.
pub(crate) const BROKEN_PIPE: ExitCode = ExitCode(141);

/// How a program words that a file cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Complaint {
    /// `PROGRAM: can't open 'FILE': REASON`
    CannotOpen,
    /// `PROGRAM: FILE: REASON`
    Name,
    /// None.
    Silent,
}

/// Inputs one after the other, in pieces. One that cannot be opened is complained about and left out.
pub(crate) struct Input<'a> {
    sys: &'a Sys,
    program: &'a str,
    complaint: Complaint,
    waiting: VecDeque<String>,
    open: Option<Open>,
    name: String,
    /// What it reads goes on as it is.
    copied: bool,
    /// Whether every input could be opened so far.
    pub(crate) complete: bool,
}

struct Open {
    path: String,
    offset: usize,
}

/// What comes next of an input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Bytes, at least one.
    Bytes(Vec<u8>),
    /// The end of one input.
    End,
}

impl<'a> Input<'a> {
    /// The files of these names, `-` being standard input; standard input if there are none.
    pub(crate) fn new(sys: &'a Sys, program: &'a str, paths: &[String], complaint: Complaint) -> Input<'a> {
        let waiting =
            if paths.is_empty() { [STDIN.to_owned()].into() } else { paths.iter().cloned().collect() };
        Input {
            sys,
            program,
            complaint,
            waiting,
            open: None,
            name: String::new(),
            copied: false,
            complete: true,
        }
    }

    /// The same for a program that passes on what it reads as it is.
    pub(crate) fn copied(self) -> Input<'a> {
        Input { copied: true, ..self }
    }

    /// What comes next; `None` behind the last input.
    pub(crate) async fn next(&mut self) -> Option<Piece> {
        loop {
            let open = match &mut self.open {
                Some(open) => open,
                None => {
                    let path = self.waiting.pop_front()?;
                    self.open.insert(Open { path, offset: 0 })
                }
            };
            let read = match open.path.as_str() {
                STDIN | "/dev/stdin" if self.copied => Ok(self.sys.read_to_copy(CHUNK).await),
                STDIN | "/dev/stdin" => Ok(self.sys.read(CHUNK).await),
                path => match Device::find(path) {
                    Some(device) => {
                        self.sys.rest().await;
                        let made = device.read(self.sys);
                        self.sys.worked(made.len());
                        Ok(made)
                    }
                    None => self.sys.read_piece(path, open.offset, CHUNK).await,
                },
            };
            if read.is_ok() && self.name != open.path {
                self.name.clone_from(&open.path);
            }
            match read {
                Ok(bytes) if bytes.is_empty() => {
                    self.open = None;
                    return Some(Piece::End);
                }
                Ok(bytes) => {
                    open.offset += bytes.len();
                    return Some(Piece::Bytes(bytes));
                }
                Err(errno) => {
                    self.complete = false;
                    let text = match self.complaint {
                        Complaint::CannotOpen => cannot_open(self.program, &open.path, errno).text,
                        Complaint::Name => format!("{}: {}: {errno}\n", self.program, open.path),
                        Complaint::Silent => String::new(),
                    };
                    self.open = None;
                    self.sys.print_error(text).await;
                }
            }
        }
    }

    /// The input that was read last.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Leaves the rest of the input that is read.
    fn skip(&mut self) {
        self.open = None;
    }

    /// How a program ends that had nothing else to complain about.
    pub(crate) fn status(&self) -> ExitCode {
        if self.complete { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

const STDIN: &str = "-";

/// The lines of inputs.
pub(crate) struct Lines<'a> {
    /// Where they come from.
    pub(crate) input: Input<'a>,
    mark: u8,
    kept: Vec<u8>,
    /// Where in `kept` the next line begins, and from where on its end is unknown.
    begins: usize,
    searched: usize,
    ended: bool,
}

/// A line without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) text: String,
    /// Whether its end was there: the last line of an input may have none.
    pub(crate) ended: bool,
}

/// What comes next of lines.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A line.
    Line(Line),
    /// The end of one input.
    End,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(input: Input<'a>) -> Lines<'a> {
        Lines::ended_by(b'\n', input)
    }

    /// Lines that end with another byte.
    pub(crate) fn ended_by(mark: u8, input: Input<'a>) -> Lines<'a> {
        Lines { input, mark, kept: Vec::new(), begins: 0, searched: 0, ended: false }
    }

    /// The next line, from whichever input.
    pub(crate) async fn line(&mut self) -> Result<Option<Line>, Failure> {
        loop {
            match self.next().await? {
                Some(Next::Line(line)) => return Ok(Some(line)),
                Some(Next::End) => {}
                None => return Ok(None),
            }
        }
    }

    /// What comes next; `None` behind the last input. The error: a line is longer than [`LONGEST`].
    pub(crate) async fn next(&mut self) -> Result<Option<Next>, Failure> {
        loop {
            let behind = &self.kept[self.searched..];
            if let Some(length) = behind.iter().position(|byte| *byte == self.mark) {
                let end = self.searched + length;
                let line = self.take(end, true);
                (self.begins, self.searched) = (end + 1, end + 1);
                return Ok(Some(Next::Line(line)));
            }
            if self.ended {
                if self.begins == self.kept.len() {
                    self.ended = false;
                    return Ok(Some(Next::End));
                }
                let line = self.take(self.kept.len(), false);
                (self.begins, self.searched) = (self.kept.len(), self.kept.len());
                return Ok(Some(Next::Line(line)));
            }
            self.kept.drain(..self.begins);
            (self.begins, self.searched) = (0, self.kept.len());
            if self.kept.len() > LONGEST {
                let what = format!("a line is longer than {} KiB", LONGEST / 1_024);
                return Err(out_of_memory(self.input.program, &what));
            }
            match self.input.next().await {
                Some(Piece::Bytes(bytes)) => self.kept.extend_from_slice(&bytes),
                Some(Piece::End) => self.ended = true,
                None => return Ok(None),
            }
        }
    }

    /// Passes over the rest of the input that lines come from; its end comes next.
    pub(crate) fn skip(&mut self) {
        self.kept.clear();
        (self.begins, self.searched, self.ended) = (0, 0, true);
        self.input.skip();
    }

    fn take(&self, end: usize, ended: bool) -> Line {
        Line { text: String::from_utf8_lossy(&self.kept[self.begins..end]).into_owned(), ended }
    }
}

/// BusyBox's word for input that is too large to keep, and what the limit is.
pub(crate) fn out_of_memory(program: &str, what: &str) -> Failure {
    Failure::new(program, format!("out of memory: {what}"))
}

/// A file as a whole; files of a place are bounded.
pub(crate) async fn read_file(sys: &Sys, program: &str, path: &str) -> Result<Vec<u8>, Failure> {
    let (mut all, mut input) = (Vec::new(), Input::new(sys, program, &[path.to_owned()], Complaint::Silent));
    while let Some(piece) = input.next().await {
        let Piece::Bytes(bytes) = piece else { continue };
        if all.len() + bytes.len() > MOST {
            return Err(out_of_memory(program, &format!("'{path}' is larger than {} MiB", MOST >> 20)));
        }
        all.extend(bytes);
    }
    if input.complete { Ok(all) } else { Err(cannot_open(program, path, Errno::NoSuchFile)) }
}

fn cannot_open(program: &str, path: &str, errno: Errno) -> Failure {
    Failure::new(program, format!("can't open '{path}': {errno}"))
}
