//! Where text goes: standard output and standard error, with or without colours.
//!
//! A reader that goes away (`linkspan run x | head`) is no error: what follows is not written, and the exit code is that
//! of the work. Colours are for terminals only, and `NO_COLOR` (no-color.org: set and not empty) takes them away.

use std::io::{self, IsTerminal as _, Write};

use linkspan::scenario::render::Style;

/// Both streams of the process, or of a test.
pub(super) struct Terminal {
    out: Stream,
    err: Stream,
    interactive: bool,
}

struct Stream {
    sink: Box<dyn Write>,
    style: Style,
    closed: bool,
}

impl Terminal {
    /// The process's own.
    #[allow(clippy::disallowed_methods, reason = "the environment enters through cli/")]
    pub(super) fn of_process() -> Self {
        let plain = std::env::var("NO_COLOR").is_ok_and(|value| !value.is_empty());
        let style = |terminal: bool| if terminal && !plain { Style::Colour } else { Style::Plain };
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        Self {
            out: Stream { sink: Box::new(io::stdout()), style: style(out), closed: false },
            err: Stream { sink: Box::new(io::stderr()), style: style(err), closed: false },
            interactive: err,
        }
    }

    /// Writes a line of results.
    pub(super) fn line(&mut self, text: &str) {
        self.out.write(&[text, "\n"]);
    }

    /// Writes the beginning of a line that somebody else ends.
    pub(super) fn prompt(&mut self, text: &str) {
        self.out.write(&[text]);
    }

    /// Writes lines of results.
    pub(super) fn lines(&mut self, lines: &[String]) {
        lines.iter().for_each(|line| self.line(line));
    }

    /// Writes a line about the work itself: a diagnostic, a note.
    pub(super) fn error(&mut self, text: &str) {
        self.err.write(&[text, "\n"]);
    }

    /// How results are set off.
    pub(super) fn style(&self) -> Style {
        self.out.style
    }

    /// How diagnostics are set off.
    pub(super) fn error_style(&self) -> Style {
        self.err.style
    }

    /// Whether somebody watches standard error, so that progress may be drawn there.
    pub(super) fn is_watched(&self) -> bool {
        self.interactive
    }
}

impl Stream {
    fn write(&mut self, parts: &[&str]) {
        if self.closed {
            return;
        }
        let written = parts.iter().try_for_each(|part| self.sink.write_all(part.as_bytes()));
        // A closed pipe is how `head` says enough; on any other failure there is nobody left to tell.
        self.closed = written.and_then(|()| self.sink.flush()).is_err();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_went_away_is_no_error() {
        let stream = || Stream { sink: Box::new(Gone), style: Style::Plain, closed: false };
        let mut terminal = Terminal { out: stream(), err: stream(), interactive: false };
        terminal.line("x");
        assert!(terminal.out.closed && !terminal.err.closed);
        terminal.lines(&["y".to_owned()]);
        terminal.error("z");
        assert!(terminal.err.closed);
    }
}
