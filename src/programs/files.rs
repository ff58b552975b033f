//! `mkdir`, `rm`, `touch` and `tee`: the programs that make and remove files.
//!
//! A place's files are paths with content. A directory is there as soon as a file is in it, so `mkdir` only refuses what
//! a file stands in the way of, and `rm -r` removes every path below.

use super::arguments;
use super::options::{Failure, Options, Syntax, finish};
use super::text::BROKEN_PIPE;
use crate::engine::sys::{Errno, ExitCode, Sys};

const MKDIR: Syntax = Syntax {
    letters: "pm:",
    long: &[("parents", 'p')],
    stop_at_operand: false,
    usage: "mkdir [-m MODE] [-p] DIRECTORY...\n\n\
            Create DIRECTORY\n\n\
            \t-m MODE\tMode\n\
            \t-p\tNo error if exists; make parent directories as needed",
};

const RM: Syntax = Syntax {
    letters: "irRf",
    long: &[],
    stop_at_operand: false,
    usage: "rm [-irf] FILE...\n\n\
            Remove (unlink) FILEs\n\n\
            \t-i\tAlways prompt before removing\n\
            \t-f\tNever prompt\n\
            \t-R,-r\tRecurse",
};

const TOUCH: Syntax = Syntax {
    letters: "cham",
    long: &[],
    stop_at_operand: false,
    usage: "touch [-cham] FILE...\n\nUpdate mtime of FILEs\n\n\t-c\tDon't create files",
};

const TEE: Syntax = Syntax {
    letters: "ai",
    long: &[("append", 'a')],
    stop_at_operand: false,
    usage: "tee [-ai] [FILE]...\n\n\
            Copy stdin to each FILE, and also to stdout\n\n\
            \t-a\tAppend to the given FILEs, don't overwrite\n\
            \t-i\tIgnore interrupt signals (SIGINT)",
};

/// Makes directories.
pub(crate) async fn mkdir(sys: Sys) -> ExitCode {
    each(&sys, &MKDIR, |sys, options, path| {
        let file = absolute(path);
        let taken = sys.read_file(&file).is_ok()
            || !options.has('p') && !sys.list_files(&format!("{}/", file.trim_end_matches('/'))).is_empty();
        if taken { Err(format!("can't create directory '{path}': {}", Errno::FileExists)) } else { Ok(()) }
    })
    .await
}

/// Removes files.
pub(crate) async fn rm(sys: Sys) -> ExitCode {
    each(&sys, &RM, |sys, options, path| {
        let file = absolute(path);
        let inside = sys.list_files(&format!("{}/", file.trim_end_matches('/')));
        let recurses = options.has('r') || options.has('R');
        let removed = match (inside.is_empty(), recurses) {
            (true, _) => sys.remove_file(&file),
            (false, true) => inside.iter().try_for_each(|file| sys.remove_file(file)),
            (false, false) => return Err(format!("'{path}' is a directory")),
        };
        match removed {
            Ok(()) => Ok(()),
            Err(Errno::NoSuchFile) if options.has('f') => Ok(()),
            Err(errno) => Err(format!("can't remove '{path}': {errno}")),
        }
    })
    .await
}

/// Makes empty files.
pub(crate) async fn touch(sys: Sys) -> ExitCode {
    each(&sys, &TOUCH, |sys, options, path| {
        let file = absolute(path);
        if sys.read_file(&file).is_ok() || options.has('c') {
            return Ok(());
        }
        sys.write_file(&file, b"", false).map_err(|errno| format!("{path}: {errno}"))
    })
    .await
}

/// Copies standard input to files and to standard output.
pub(crate) async fn tee(sys: Sys) -> ExitCode {
    let (program, words) = arguments(&sys);
    let options = match Options::parse(program, words, &TEE) {
        Ok(options) => options,
        Err(failure) => return finish(&sys, Err(failure)).await,
    };
    let mut status = ExitCode::SUCCESS;
    let mut open: Vec<&String> = Vec::new();
    for path in &options.operands {
        match sys.write_file(&absolute(path), b"", true) {
            Ok(()) => {
                if !options.has('a') {
                    // It could be extended, so it can be emptied.
                    let _ = sys.write_file(&absolute(path), b"", false);
                }
                open.push(path);
            }
            Err(errno) => {
                sys.print_error(format!("{program}: {path}: {errno}\n")).await;
                status = ExitCode::FAILURE;
            }
        }
    }
    loop {
        let part = sys.read_to_copy(65_536).await;
        if part.is_empty() {
            return status;
        }
        for path in &open {
            if let Err(errno) = sys.write_file(&absolute(path), &part, true) {
                sys.print_error(format!("{program}: {path}: {errno}\n")).await;
                status = ExitCode::FAILURE;
            }
        }
        if sys.write(&part).await.is_err() {
            return BROKEN_PIPE;
        }
    }
}

/// Does something with every operand; those that fail are told, the others are done all the same.
async fn each(
    sys: &Sys,
    syntax: &Syntax,
    act: impl Fn(&Sys, &Options, &str) -> Result<(), String>,
) -> ExitCode {
    let (program, words) = arguments(sys);
    let parsed = Options::parse(program, words, syntax);
    let options = match parsed {
        Ok(options) if options.operands.is_empty() && !options.has('f') => {
            return finish(sys, Err(Failure::usage("", syntax.usage))).await;
        }
        Ok(options) => options,
        Err(failure) => return finish(sys, Err(failure)).await,
    };
    let mut status = ExitCode::SUCCESS;
    for path in &options.operands {
        if let Err(message) = act(sys, &options, path) {
            status = finish(sys, Err(Failure::new(program, message))).await;
        }
    }
    status
}

/// A path of the file system; programs run in its root.
fn absolute(path: &str) -> String {
    let path = path.strip_prefix("./").unwrap_or(path);
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}
