//! Whether a text is JSON, as Go's `encoding/json` says it: the first byte that cannot stand where it stands, or the end.
//!
//! One pass with a stack of open brackets, so that the text's nesting costs no stack of ours. Limits: Go stops at 10,000
//! open brackets, this reads on; what builds values from the text has its own, lower limit.

/// Why a text is not JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// There is nothing but white space.
    Nothing,
    /// It ends before the value does.
    End,
    /// Go's words for the first byte that is out of place.
    Byte(String),
}

/// The length of the JSON value at the beginning of a text, white space before it included.
pub(super) fn value(text: &[u8]) -> Result<usize, Fault> {
    let mut reader = Reader { text, at: 0 };
    let mut open: Vec<u8> = Vec::new();
    if reader.peek().is_none() {
        return Err(Fault::Nothing);
    }
    loop {
        // A value begins here.
        match reader.next()? {
            b'{' => {
                if reader.peek() == Some(b'}') {
                    reader.at += 1;
                } else {
                    open.push(b'{');
                    reader.object_key()?;
                    continue;
                }
            }
            b'[' => {
                if reader.peek() == Some(b']') {
                    reader.at += 1;
                } else {
                    open.push(b'[');
                    continue;
                }
            }
            b'"' => reader.string()?,
            byte @ (b'-' | b'0'..=b'9') => reader.number(byte)?,
            b't' => reader.literal("true")?,
            b'f' => reader.literal("false")?,
            b'n' => reader.literal("null")?,
            byte => return Err(out_of_place(byte, "looking for beginning of value")),
        }
        // A value ended here.
        loop {
            let Some(bracket) = open.last() else { return Ok(reader.at) };
            let (end, place) = match bracket {
                b'{' => (b'}', "after object key:value pair"),
                _ => (b']', "after array element"),
            };
            match reader.next()? {
                b',' if end == b'}' => reader.object_key()?,
                b',' => {}
                byte if byte == end => {
                    open.pop();
                    continue;
                }
                byte => return Err(out_of_place(byte, place)),
            }
            break;
        }
    }
}

/// What follows a value, if it is more than white space.
pub(super) fn trailing(rest: &[u8]) -> Option<Fault> {
    let byte = Reader { text: rest, at: 0 }.peek()?;
    Some(out_of_place(byte, "after top-level value"))
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    /// The next byte that is no white space, which stays.
    fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.text.get(self.at) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Result<u8, Fault> {
        let byte = self.peek().ok_or(Fault::End)?;
        self.at += 1;
        Ok(byte)
    }

    /// The next byte, white space or not.
    fn raw(&mut self) -> Result<u8, Fault> {
        let byte = self.text.get(self.at).copied().ok_or(Fault::End)?;
        self.at += 1;
        Ok(byte)
    }

    /// A key and its colon.
    fn object_key(&mut self) -> Result<(), Fault> {
        match self.next()? {
            b'"' => self.string()?,
            byte => return Err(out_of_place(byte, "looking for beginning of object key string")),
        }
        match self.next()? {
            b':' => Ok(()),
            byte => Err(out_of_place(byte, "after object key")),
        }
    }

    /// The rest of a string whose first quote is read.
    fn string(&mut self) -> Result<(), Fault> {
        loop {
            match self.raw()? {
                b'"' => return Ok(()),
                b'\\' => match self.raw()? {
                    b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => {}
                    b'u' => {
                        for _ in 0..4 {
                            let byte = self.raw()?;
                            if !byte.is_ascii_hexdigit() {
                                return Err(out_of_place(byte, "in \\u hexadecimal character escape"));
                            }
                        }
                    }
                    byte => return Err(out_of_place(byte, "in string escape code")),
                },
                byte if byte < 0x20 => return Err(out_of_place(byte, "in string literal")),
                _ => {}
            }
        }
    }

    fn digits(&mut self) {
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
    }

    /// One digit or more.
    fn some_digits(&mut self, place: &str) -> Result<(), Fault> {
        let byte = self.raw()?;
        if !byte.is_ascii_digit() {
            return Err(out_of_place(byte, place));
        }
        self.digits();
        Ok(())
    }

    /// The rest of a number.
    fn number(&mut self, first: u8) -> Result<(), Fault> {
        let mut first = first;
        if first == b'-' {
            first = self.raw()?;
            if !first.is_ascii_digit() {
                return Err(out_of_place(first, "in numeric literal"));
            }
        }
        if first != b'0' {
            self.digits();
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.some_digits("after decimal point in numeric literal")?;
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.text.get(self.at) {
                self.at += 1;
            }
            self.some_digits("in exponent of numeric literal")?;
        }
        Ok(())
    }

    /// The rest of a word whose first letter is read.
    fn literal(&mut self, word: &str) -> Result<(), Fault> {
        for expected in word.bytes().skip(1) {
            let byte = self.raw()?;
            if byte != expected {
                let place = format!("in literal {word} (expecting {})", quoted(expected));
                return Err(out_of_place(byte, &place));
            }
        }
        Ok(())
    }
}

fn out_of_place(byte: u8, place: &str) -> Fault {
    Fault::Byte(format!("invalid character {} {place}", quoted(byte)))
}

/// A byte between single quotes, as Go shows it: what is not ASCII as the character of that number.
fn quoted(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        b'\\' => r"'\\'".to_owned(),
        b'\n' => r"'\n'".to_owned(),
        b'\r' => r"'\r'".to_owned(),
        b'\t' => r"'\t'".to_owned(),
        0x07 => r"'\a'".to_owned(),
        0x08 => r"'\b'".to_owned(),
        0x0b => r"'\v'".to_owned(),
        0x0c => r"'\f'".to_owned(),
        0x00..=0x1f | 0x7f => format!("'\\x{byte:02x}'"),
        0x80..=0xa0 | 0xad => format!("'\\u{byte:04x}'"),
        _ => format!("'{}'", char::from(byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, trailing, value};

    /// What Go 1.19 said of these texts, asked through dockerd 20.10.24.
    #[test]
    fn the_first_byte_out_of_place_is_named_as_go_does() {
        for (text, expected) in [
            (
                "{\"bip\": \"10.0.0.1/24\",}",
                "invalid character '}' looking for beginning of object key string",
            ),
            ("{iptables: false}", "invalid character 'i' looking for beginning of object key string"),
            ("{'iptables': false}", "invalid character '\\'' looking for beginning of object key string"),
            ("{\"iptables\": False}", "invalid character 'F' looking for beginning of value"),
            ("{\"iptables\": false \"icc\": 1}", "invalid character '\"' after object key:value pair"),
            ("{\"a\":[}", "invalid character '}' looking for beginning of value"),
            ("{\"a\":[1 2]}", "invalid character '2' after array element"),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            ("{\"a\":01}", "invalid character '1' after object key:value pair"),
            ("{\"a\":tru}", "invalid character '}' in literal true (expecting 'e')"),
            ("{\"a\":\"a\nb\"}", "invalid character '\\n' in string literal"),
            ("{\"a\":\"a\\q\"}", "invalid character 'q' in string escape code"),
            ("{\"a\":1.}", "invalid character '}' after decimal point in numeric literal"),
            ("{\"a\":-}", "invalid character '}' in numeric literal"),
        ] {
            assert_eq!(value(text.as_bytes()), Err(Fault::Byte(expected.to_owned())), "{text}");
        }
        for text in ["{", "{\"a\":", "tru", "{\"a\":1", "[1,", "\"x"] {
            assert_eq!(value(text.as_bytes()), Err(Fault::End), "{text}");
        }
        assert_eq!(value(b" \n"), Err(Fault::Nothing));
        assert_eq!(value(b" {\"a\": [1, -2.5e3, null, {}]} x"), Ok(29));
        assert!(trailing(b" \n").is_none());
        assert!(value(&[b'['; 1 << 20]).is_err());
    }
}
