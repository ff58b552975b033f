//! The little of HTTP/1.0 that the servers and the client here share (RFC 1945).

use std::net::IpAddr;
use std::time::Duration;

use super::tasks::{First, first};
use crate::engine::sys::{Errno, Sys, TcpStream};

/// The longest head of a request or response that is read.
pub(crate) const MAX_HEAD: usize = 65_536;

/// The first line and the header lines of a message, and what was read behind them.
pub(crate) struct Head {
    /// The request or status line.
    pub(crate) start: String,
    /// Header names in lower case, and values.
    pub(crate) fields: Vec<(String, String)>,
    /// The beginning of the body.
    pub(crate) rest: Vec<u8>,
}

impl Head {
    /// Reads from a connection until the empty line. `None` if the peer stopped before, or sends no HTTP.
    pub(crate) async fn read(stream: &TcpStream, mut received: Vec<u8>) -> Result<Option<Head>, Errno> {
        loop {
            if let Some((end, gap)) = head_end(&received) {
                let rest = received.split_off(end + gap);
                return Ok(Some(Head::parse(&String::from_utf8_lossy(&received[..end]), rest)));
            }
            if received.len() >= MAX_HEAD {
                return Ok(None);
            }
            let part = stream.read(MAX_HEAD).await?;
            if part.is_empty() {
                return Ok(None);
            }
            received.extend(part);
        }
    }

    fn parse(text: &str, rest: Vec<u8>) -> Head {
        let mut lines = text.lines();
        let start = lines.next().unwrap_or_default().trim_end().to_owned();
        let field = |line: &str| {
            line.split_once(':')
                .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        };
        Head { start, fields: lines.filter_map(field).collect(), rest }
    }

    /// The value of a header, its name in lower case.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// True while the bytes may be the beginning of an HTTP request.
pub(crate) fn looks_like_request(bytes: &[u8]) -> bool {
    const METHODS: [&[u8]; 7] = [b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"OPTIONS ", b"PATCH "];
    METHODS.iter().any(|method| bytes.starts_with(method) || method.starts_with(bytes))
}

/// A response with its headers.
pub(crate) fn response(status: &str, kind: &str, body: &[u8], with_body: bool) -> Vec<u8> {
    let mut bytes = format!(
        "HTTP/1.0 {status}\r\nContent-Type: {kind}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    if with_body {
        bytes.extend_from_slice(body);
    }
    bytes
}

/// The wall clock at the start of virtual time: 2026-01-01T00:00:00Z in seconds of the Unix epoch, as in `docker inspect`.
pub(crate) const EPOCH: u64 = 1_767_225_600;

/// A moment as a date of RFC 9110 section 5.6.7.
pub(crate) fn date(at: Duration) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [(&str, u64); 12] = [
        ("Jan", 31),
        ("Feb", 28),
        ("Mar", 31),
        ("Apr", 30),
        ("May", 31),
        ("Jun", 30),
        ("Jul", 31),
        ("Aug", 31),
        ("Sep", 30),
        ("Oct", 31),
        ("Nov", 30),
        ("Dec", 31),
    ];
    let seconds = at.as_secs();
    // 2026-01-01 was a Thursday.
    let (mut day, rest) = (seconds / 86_400, seconds % 86_400);
    let weekday = DAYS[(day % 7) as usize];
    let mut year = 2026;
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let mut month = "Dec";
    for (name, days) in MONTHS {
        let days = days + u64::from(name == "Feb" && leap(year));
        month = name;
        if day < days {
            break;
        }
        day -= days;
    }
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{weekday}, {:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT", day + 1)
}

/// What the pages here say: who answers, and whom it sees.
pub(crate) fn greeting(hostname: &str, client: IpAddr) -> String {
    format!("{hostname} sees {}\n", client.to_canonical())
}

/// Says that no more will be sent and waits a little for the peer to finish too, so that closing does not reset.
pub(crate) async fn close(sys: &Sys, stream: TcpStream) {
    if stream.shutdown().is_err() {
        return;
    }
    let drain = async {
        while let Ok(part) = stream.read(65_536).await {
            if part.is_empty() {
                return;
            }
        }
    };
    match first(drain, sys.sleep(LINGER)).await {
        First::Left(()) | First::Right(()) => {}
    }
}

/// As long as BusyBox's httpd waits for the rest of a request.
const LINGER: Duration = Duration::from_secs(2);

fn head_end(received: &[u8]) -> Option<(usize, usize)> {
    let crlf = received.windows(4).position(|window| window == b"\r\n\r\n").map(|at| (at, 4));
    let lf = received.windows(2).position(|window| window == b"\n\n").map(|at| (at, 2));
    match (crlf, lf) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
