//! `yes [STRING]...`: a line without end, until nobody reads it.

use super::arguments;
use super::text::BROKEN_PIPE;
use crate::engine::sys::{ExitCode, Sys};

/// Bytes written at once, as standard output of C does.
const BUFFER: usize = 4_096;

/// Prints its arguments, or `y`, again and again.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let (_, words) = arguments(&sys);
    let line = if words.is_empty() { "y\n".to_owned() } else { words.join(" ") + "\n" };
    let text = line.repeat((BUFFER / line.len()).max(1));
    while sys.write(text.as_bytes()).await.is_ok() {}
    BROKEN_PIPE
}
