//! `telnet HOST [PORT]`: a TCP connection joined to standard input and output, a line end being CR LF on the wire.
//!
//! Commands of the protocol (RFC 854, behind a byte 255) are not answered and not shown; whoever uses this to see
//! whether a port answers meets none. It ends with standard input, as BusyBox's does, or when the other side closes.

use std::net::SocketAddr;

use super::arguments;
use super::options::{Failure, Options, Syntax, finish};
use super::resolver::{Want, resolve};
use super::tasks::{First, first};
use super::text::{CHUNK, SENDING};
use crate::engine::sys::{ExitCode, Sys};

pub(super) const SYNTAX: Syntax = Syntax {
    letters: "al:",
    long: &[],
    stop_at_operand: false,
    usage: "telnet [-a] [-l USER] HOST [PORT]\n\n\
            Connect to telnet server\n\n\
            \t-a\tAutomatic login with $USER variable\n\
            \t-l USER\tAutomatic login as USER",
};

/// The byte that begins a command of the protocol.
const COMMAND: u8 = 255;

/// Connects and carries both ways.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let options = Options::parse(program, words, &SYNTAX)?;
    let (host, port) = match options.operands.as_slice() {
        [host] => (host, "23"),
        [host, port] => (host, port.as_str()),
        _ => return Err(Failure::usage("", SYNTAX.usage)),
    };
    let number: u16 = port.parse().map_err(|_| Failure::new(program, format!("bad port '{port}'")))?;
    let address = resolve(sys, host, Want::Any).await.ok().and_then(|all| all.first().copied());
    let address = address.ok_or_else(|| Failure::new(program, format!("bad address '{host}'")))?;
    let failed = |errno| Failure::new(program, format!("can't connect to remote host ({address}): {errno}"));
    let stream = sys.tcp_connect(SocketAddr::new(address, number)).await.map_err(failed)?;
    sys.print(format!("Connected to {host}\n")).await;
    let send = async {
        loop {
            let part = sys.read(CHUNK).await;
            sys.worked(SENDING * part.len());
            if part.is_empty() {
                return;
            }
            let mut bytes = Vec::with_capacity(part.len() + 16);
            for byte in part {
                match byte {
                    b'\n' => bytes.extend(b"\r\n"),
                    COMMAND => bytes.extend([COMMAND, COMMAND]),
                    byte => bytes.push(byte),
                }
            }
            if stream.write_all(&bytes).await.is_err() {
                // The reading half knows why.
                return std::future::pending().await;
            }
        }
    };
    let receive = async {
        let mut commands = Commands::default();
        loop {
            match stream.read(CHUNK).await {
                Ok(part) if part.is_empty() => return None,
                Ok(part) => {
                    if sys.write(&commands.without(&part)).await.is_err() {
                        return None;
                    }
                }
                Err(errno) => return Some(errno),
            }
        }
    };
    match first(send, receive).await {
        First::Left(()) => Ok(ExitCode::SUCCESS),
        First::Right(None) => {
            sys.print("Connection closed by foreign host\r\n").await;
            Ok(ExitCode::FAILURE)
        }
        First::Right(Some(errno)) => Err(Failure::new(program, format!("read error: {errno}"))),
    }
}

/// Takes commands out of what comes in, wherever it is cut.
#[derive(Default)]
struct Commands {
    /// Bytes of a command that are still to come: its verb, then its option.
    left: u8,
}

impl Commands {
    fn without(&mut self, part: &[u8]) -> Vec<u8> {
        let mut text = Vec::with_capacity(part.len());
        for byte in part {
            match (self.left, *byte) {
                (0, COMMAND) => self.left = 2,
                (0, byte) => text.push(byte),
                (2, COMMAND) => {
                    self.left = 0;
                    text.push(COMMAND);
                }
                // WILL, WON'T, DO and DON'T have an option behind them.
                (2, 251..=254) => self.left = 1,
                (_, _) => self.left = 0,
            }
        }
        text
    }
}
