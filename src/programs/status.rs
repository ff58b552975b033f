//! `true` and `false`.

use crate::engine::sys::{ExitCode, Sys};

/// Succeeds.
pub(crate) async fn success(_: Sys) -> ExitCode {
    ExitCode::SUCCESS
}

/// Fails.
pub(crate) async fn failure(_: Sys) -> ExitCode {
    ExitCode::FAILURE
}
