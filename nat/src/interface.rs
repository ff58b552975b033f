//! A network interface's name as the kernel keeps it: at most 15 bytes, compared as one machine word pair.

use std::fmt;

/// IFNAMSIZ of Linux (`include/uapi/linux/if.h`), the terminating zero included.
const SIZE: usize = 16;

/// An interface name of 1 to 15 bytes without `/` and white space, as `dev_valid_name` of the Linux kernel has it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InterfaceName([u8; SIZE]);

/// Why a text is no interface name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not an interface name: expected 1 to 15 printable bytes without '/' and blanks")]
pub struct InvalidInterfaceName {
    /// The text that was refused.
    pub found: String,
}

impl InterfaceName {
    /// Parses a name; refuses what Linux refuses.
    pub fn parse(text: &str) -> Result<InterfaceName, InvalidInterfaceName> {
        let bytes = text.as_bytes();
        let valid = !bytes.is_empty()
            && bytes.len() < SIZE
            && text != "."
            && text != ".."
            && bytes.iter().all(|b| b.is_ascii_graphic() && *b != b'/' && *b != b':');
        if !valid {
            return Err(InvalidInterfaceName { found: text.to_owned() });
        }
        let mut name = [0; SIZE];
        name[..bytes.len()].copy_from_slice(bytes);
        Ok(InterfaceName(name))
    }

    /// The name as two numbers, the same on every machine.
    pub(crate) fn words(&self) -> [u64; 2] {
        let bits = u128::from_be_bytes(self.0);
        [(bits >> 64) as u64, bits as u64]
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        let length = self.0.iter().position(|b| *b == 0).unwrap_or(SIZE);
        std::str::from_utf8(&self.0[..length]).unwrap_or("")
    }
}

impl fmt::Debug for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_as_in_linux() {
        assert_eq!(
            InterfaceName::parse("br-0123456789ab").map(|n| n.to_string()),
            Ok("br-0123456789ab".into())
        );
        for bad in ["", ".", "..", "a b", "a/b", "0123456789abcdef", "a:1", "ä"] {
            assert!(InterfaceName::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
