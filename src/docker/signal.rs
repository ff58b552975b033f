//! Signals as docker commands name them: `SIGTERM`, `term`, `15` (signal(7), the numbers of x86 and ARM).

use std::str::FromStr;

use thiserror::Error;

/// A signal by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signal(u8);

/// Not a signal.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("Invalid signal: {found}")]
pub struct InvalidSignal {
    /// What was written.
    pub found: String,
}

/// The largest number a signal has (`SIGRTMAX`).
const LARGEST: u8 = 64;

/// From number 1 on.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

impl Signal {
    /// Hang up: servers read their configuration again.
    pub const HUP: Signal = Signal(1);
    /// Ctrl-C.
    pub const INT: Signal = Signal(2);
    /// Quit in good order, as nginx understands it.
    pub const QUIT: Signal = Signal(3);
    /// Cannot be caught.
    pub const KILL: Signal = Signal(9);
    /// Please end.
    pub const TERM: Signal = Signal(15);

    /// The signal of a number, if there is one.
    pub fn numbered(number: u8) -> Option<Signal> {
        (1..=LARGEST).contains(&number).then_some(Signal(number))
    }

    /// The number.
    pub fn number(self) -> u8 {
        self.0
    }

    /// Whether a process that has no handler for it and is not the first of its namespace ends.
    pub fn ends_by_default(self) -> bool {
        // CHLD, CONT, STOP, TSTP, TTIN, TTOU, URG, WINCH.
        !matches!(self.0, 17..=23 | 28)
    }
}

impl FromStr for Signal {
    type Err = InvalidSignal;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let numbered = name.parse().ok().filter(|number| (1..=LARGEST).contains(number));
        let named = || {
            let at = NAMES.iter().position(|known| *known == name)?;
            u8::try_from(at + 1).ok()
        };
        numbered.or_else(named).map(Signal).ok_or_else(|| InvalidSignal { found: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        for text in ["SIGTERM", "term", "15", "TERM"] {
            assert_eq!(text.parse(), Ok(Signal::TERM));
        }
        assert_eq!("SIGSYS".parse::<Signal>().unwrap().number(), 31);
        for bad in ["", "SIG", "0", "65", "-9", "FOO"] {
            assert!(bad.parse::<Signal>().is_err(), "{bad}");
        }
        assert!(!"WINCH".parse::<Signal>().unwrap().ends_by_default());
        assert!(Signal::HUP.ends_by_default());
    }
}
