//! Input for the programs that read text: the files named, or standard input.

use super::options::Failure;
use crate::engine::sys::{Errno, Sys};

/// Bytes taken from a pipe at once.
pub(crate) const CHUNK: usize = 65_536;

/// Everything standard input has until its end.
pub(crate) async fn read_stdin(sys: &Sys) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let part = sys.stdin().read(CHUNK).await;
        if part.is_empty() {
            return all;
        }
        all.extend_from_slice(&part);
    }
}

/// One input: a file, or standard input for `-`.
pub(crate) async fn read_input(sys: &Sys, program: &str, path: &str) -> Result<Vec<u8>, Failure> {
    if path == "-" {
        return Ok(read_stdin(sys).await);
    }
    if path == "/dev/null" {
        return Ok(Vec::new());
    }
    sys.read_file(path).map_err(|errno| cannot_open(program, path, errno))
}

/// The files named one after the other, or standard input if none is.
pub(crate) async fn read_all(sys: &Sys, program: &str, paths: &[String]) -> Result<Vec<u8>, Failure> {
    if paths.is_empty() {
        return Ok(read_stdin(sys).await);
    }
    let mut all = Vec::new();
    for path in paths {
        all.extend(read_input(sys, program, path).await?);
    }
    Ok(all)
}

/// The lines of a text, without their ends.
pub(crate) fn lines(content: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(content).lines().map(str::to_owned).collect()
}

fn cannot_open(program: &str, path: &str, errno: Errno) -> Failure {
    Failure::new(program, format!("can't open '{path}': {errno}"))
}
