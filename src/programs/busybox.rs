//! `busybox PROGRAM ...`: the multi-call binary.

use super::options::{Failure, finish};
use crate::engine::sys::{ExitCode, Sys};

/// Runs the program named by the first argument.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let Some(name) = sys.arguments().get(1).filter(|name| super::base_name(name) != "busybox").cloned()
    else {
        let functions = super::NAMES.join(", ");
        sys.print(format!(
            "BusyBox v1.35.0 multi-call binary.\n\nUsage: busybox [function [arguments]...]\n\n\
             Currently defined functions:\n\t{functions}\n"
        ))
        .await;
        return ExitCode::SUCCESS;
    };
    match super::find(&name) {
        Some(program) => program(sys).await,
        None => {
            let failure =
                Failure { text: format!("{name}: applet not found\n"), status: ExitCode::NOT_FOUND };
            finish(&sys, Err(failure)).await
        }
    }
}
