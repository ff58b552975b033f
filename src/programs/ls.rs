//! `ls [-1la] [PATH]...`: names only, because files of a world have neither owner nor time.

use std::collections::BTreeSet;

use super::arguments;
use super::devices::{self, Device};
use super::options::{Options, Syntax, finish};
use crate::engine::sys::{ExitCode, Sys};

const SYNTAX: Syntax =
    Syntax { letters: "1la", long: &[], stop_at_operand: false, usage: "ls [-1] [FILE]..." };

/// Lists files.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let (program, words) = arguments(&sys);
    let options = match Options::parse(program, words, &SYNTAX) {
        Ok(options) => options,
        Err(failure) => return finish(&sys, Err(failure)).await,
    };
    let paths = if options.operands.is_empty() { vec!["/".to_owned()] } else { options.operands };
    let mut status = ExitCode::SUCCESS;
    for path in paths {
        let directory = format!("{}/", path.trim_end_matches('/'));
        let mut inside = sys.list_files(&directory);
        if directory == "/dev/" {
            inside.extend(devices::PATHS.map(|(path, _)| path.to_owned()));
        }
        let names: BTreeSet<&str> =
            inside.iter().filter_map(|file| file.strip_prefix(&directory)?.split('/').next()).collect();
        if !names.is_empty() {
            for name in names {
                sys.print(format!("{name}\n")).await;
            }
        } else if Device::find(&path).is_some() || sys.read_file(&path).is_ok() {
            sys.print(format!("{path}\n")).await;
        } else {
            sys.print_error(format!("{program}: {path}: No such file or directory\n")).await;
            status = ExitCode::FAILURE;
        }
    }
    status
}
