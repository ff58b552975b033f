//! `id`: programs of a world run as root.

use super::arguments;
use crate::engine::sys::{ExitCode, Sys};

/// Prints the user.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let (_, words) = arguments(&sys);
    let text = match words.first().map(String::as_str) {
        None => "uid=0(root) gid=0(root) groups=0(root)\n",
        Some(option) if option.contains('n') => "root\n",
        Some(_) => "0\n",
    };
    sys.print(text).await;
    ExitCode::SUCCESS
}
