//! YAML whose lists in brackets stand further left than YAML 1.2 allows.
//!
//! The specification wants every line of a flow collection (`[...]`, `{...}`), and of a quoted text, to stand deeper than
//! the key it belongs to. go-yaml, with which Compose reads, does not look at the indentation there, and many published
//! files close a bracket below the first letter of its key:
//!
//! ```yaml
//! command: [
//!   "start"
//! ]
//! ```
//!
//! The scanner stops at such a line and says where. It is then given the text with that line moved to the right, which
//! means nothing inside brackets and quotes; places are counted back to the text as it was written. How often that is
//! done is bounded.

use std::borrow::Cow;

/// How far a line is moved.
const PAD: usize = 256;
/// Most lines that are moved.
const MAX_LINES: usize = 1_000;
/// Most text that is scanned in all, in bytes.
const MAX_WORK: usize = 64 << 20;

/// A text and what was moved in it.
pub(super) struct Shifted<'text> {
    original: &'text str,
    /// Starts of the lines that are moved, as byte offsets of the original, in order.
    moved: Vec<usize>,
    work: usize,
}

impl<'text> Shifted<'text> {
    pub(super) const fn new(original: &'text str) -> Self {
        Self { original, moved: Vec::new(), work: 0 }
    }

    /// The text to scan.
    pub(super) fn text(&self) -> Cow<'text, str> {
        if self.moved.is_empty() {
            return Cow::Borrowed(self.original);
        }
        let mut text = String::with_capacity(self.original.len() + PAD * self.moved.len());
        let mut from = 0;
        for at in &self.moved {
            text.push_str(&self.original[from..*at]);
            text.extend(std::iter::repeat_n(' ', PAD));
            from = *at;
        }
        text.push_str(&self.original[from..]);
        Cow::Owned(text)
    }

    /// The place in the original of a place in the text.
    pub(super) fn original(&self, place: usize) -> usize {
        let mut before = 0;
        for at in &self.moved {
            let pad = at + before;
            if place <= pad {
                break;
            }
            if place < pad + PAD {
                return *at;
            }
            before += PAD;
        }
        (place - before).min(self.original.len())
    }

    /// Moves the line that the scanner stumbled over, at this place of the original. False if that cannot help.
    pub(super) fn shift(&mut self, place: usize, complaint: &str) -> bool {
        self.work += self.original.len() + PAD * self.moved.len();
        if self.moved.len() >= MAX_LINES || self.work > MAX_WORK {
            return false;
        }
        let start = self.original[..place].rfind('\n').map_or(0, |end| end + 1);
        let line = match complaint {
            "invalid indentation" | "invalid indentation in flow construct" => Some(start),
            // The place is where the text began; one of the lines after it stands too far left.
            "invalid indentation in quoted scalar" => self.next_unmoved(start),
            _ => None,
        };
        let Some(line) = line else { return false };
        match self.moved.binary_search(&line) {
            Ok(_) => false,
            Err(at) => {
                self.moved.insert(at, line);
                true
            }
        }
    }

    fn next_unmoved(&self, start: usize) -> Option<usize> {
        let mut lines = self.original[start..].match_indices('\n').map(|(at, _)| start + at + 1);
        lines.find(|line| self.moved.binary_search(line).is_err())
    }
}
