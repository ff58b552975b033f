//! What of a long output is shown and kept: its beginning and its end, and how much there was between.
//!
//! A command may print megabytes before it is stopped. Expectations look at all of it; the console, `run --step` and the
//! reports have [`MOST`] bytes, cut at ends of lines where there are some.

/// Bytes shown of one output.
pub(crate) const MOST: usize = 64 << 10;

/// Bytes of its beginning, and of its end.
const HALF: usize = MOST / 2;

/// An output that is shown while it comes.
#[derive(Default)]
pub(crate) struct Excerpt {
    shown: usize,
    /// The beginning is over.
    full: bool,
    end: String,
    left_out: usize,
}

impl Excerpt {
    /// What of the next piece is shown at once.
    pub(crate) fn push<'a>(&mut self, text: &'a str) -> &'a str {
        if self.full {
            self.keep(text);
            return "";
        }
        let room = HALF - self.shown;
        if text.len() <= room {
            self.shown += text.len();
            return text;
        }
        self.full = true;
        let head = &text[..text.floor_char_boundary(room)];
        // The line that is begun goes to the end with the rest.
        let head = &head[..head.rfind('\n').map_or(head.len(), |at| at + 1)];
        self.keep(&text[head.len()..]);
        head
    }

    /// What is shown when nothing more comes.
    pub(crate) fn end(mut self) -> String {
        let most = MOST - self.shown.min(HALF);
        if self.left_out == 0 && self.end.len() <= most {
            return self.end;
        }
        self.cut();
        format!("[{} bytes left out]\n{}", self.left_out, self.end)
    }

    fn keep(&mut self, text: &str) {
        // Never more than a small multiple is held.
        for piece in pieces(text) {
            self.end.push_str(piece);
            if self.end.len() > 2 * MOST {
                self.cut();
            }
        }
    }

    /// Leaves out all but the end.
    fn cut(&mut self) {
        let from = self.end.ceil_char_boundary(self.end.len().saturating_sub(HALF));
        let line = self.end[from..].find('\n').map(|at| from + at + 1).filter(|at| *at < self.end.len());
        let from = line.unwrap_or(from);
        self.left_out += from;
        self.end.drain(..from);
    }
}

/// A whole output as it is shown.
pub(crate) fn excerpt(output: String) -> String {
    if output.len() <= MOST {
        return output;
    }
    let mut excerpt = Excerpt::default();
    let head = excerpt.push(&output).to_owned();
    let gap = if head.ends_with('\n') { "" } else { "\n" };
    head + gap + &excerpt.end()
}

fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(MOST));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_is_whole() {
        for lines in [0, 1, 100, MOST / 8] {
            let output = "1234567\n".repeat(lines);
            assert_eq!(excerpt(output.clone()), output);
            let mut shown = Excerpt::default();
            let mut text: String = pieces_of(&output, 1_000).map(|piece| shown.push(piece)).collect();
            text += &shown.end();
            assert_eq!(text, output);
        }
    }

    #[test]
    fn of_what_is_long_beginning_and_end_are_shown_in_whole_lines() {
        let output: String = (0..1_000_000).map(|number| format!("line {number}\n")).collect();
        for size in [100, 70_000, output.len()] {
            let mut excerpt = Excerpt::default();
            let head: String = pieces_of(&output, size).map(|piece| excerpt.push(piece)).collect();
            let end = excerpt.end();
            assert!(output.starts_with(&head) && head.ends_with('\n'));
            let (note, tail) = end.split_once('\n').unwrap();
            assert!(output.ends_with(tail) && tail.starts_with("line "), "{size}");
            assert_eq!(note, format!("[{} bytes left out]", output.len() - head.len() - tail.len()));
            assert!((MOST - 100..=MOST).contains(&(head.len() + tail.len())), "{size}");
        }
        assert!(excerpt(output).len() < MOST + 100);
    }

    #[test]
    fn a_text_of_one_line_is_cut_between_characters() {
        let shown = excerpt("é".repeat(MOST));
        assert!(shown.starts_with("éé") && shown.ends_with("éé"));
        assert!(shown.contains("é\n[65536 bytes left out]\né"), "{}", shown.len());
    }

    fn pieces_of(text: &str, size: usize) -> impl Iterator<Item = &str> {
        (0..text.len()).step_by(size).map(move |at| &text[at..(at + size).min(text.len())])
    }
}
