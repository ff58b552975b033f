//! The words of an awk program.
//!
//! `/` is a division behind an operand and the beginning of an expression anywhere else, so the words cannot be read
//! without what stood before. A [`Lexer`] is small: whoever wants to go back keeps a copy of it.

/// What awk has and this one does not.
const REFUSED: [&str; 15] = [
    "getline", "system", "close", "fflush", "srand", "rand", "sin", "cos", "atan2", "exp", "log", "sqrt",
    "strftime", "systime", "nextfile",
];

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Number(f64),
    Text(String),
    Regex(String),
    Name(String),
    /// A name with a parenthesis right behind it.
    Call(String),
    Mark(&'static str),
    End,
}

/// The longest first.
const MARKS: [&str; 40] = [
    "**=", "&&", "||", "++", "--", "+=", "-=", "*=", "/=", "%=", "^=", "==", "!=", "<=", ">=", "!~", ">>",
    "**", "{", "}", "(", ")", "[", "]", ";", ",", "+", "-", "*", "/", "%", "^", "!", "<", ">", "?", ":", "~",
    "$", "=",
];

/// A place in a program's text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lexer<'a> {
    rest: &'a str,
    pub(super) line: usize,
    /// A division may come, not an expression.
    behind_operand: bool,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(source: &'a str) -> Lexer<'a> {
        Lexer { rest: source, line: 1, behind_operand: false }
    }

    /// The next word; [`Token::End`] from the end on.
    pub(super) fn next(&mut self) -> Result<Token, String> {
        let token = self.read()?;
        self.behind_operand = match &token {
            Token::Number(_) | Token::Text(_) | Token::Regex(_) => true,
            Token::Name(name) => !matches!(name.as_str(), "print" | "printf" | "in" | "else" | "do" | "exit"),
            Token::Mark(mark) => matches!(*mark, ")" | "]" | "++" | "--" | "$"),
            Token::Call(_) | Token::End => false,
        };
        Ok(token)
    }

    fn read(&mut self) -> Result<Token, String> {
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', '\r']);
            if let Some(rest) = self.rest.strip_prefix("\\\n") {
                (self.rest, self.line) = (rest, self.line + 1);
            } else if self.rest.starts_with('#') {
                self.rest = &self.rest[self.rest.find('\n').unwrap_or(self.rest.len())..];
            } else {
                break;
            }
        }
        let Some(letter) = self.rest.chars().next() else { return Ok(Token::End) };
        if letter == '\n' {
            (self.rest, self.line) = (&self.rest[1..], self.line + 1);
            return Ok(Token::Mark("\n"));
        }
        if letter == '"' {
            return self.quoted('"').map(|text| Token::Text(unescape(&text)));
        }
        if letter == '/' && !self.behind_operand {
            return self.quoted('/').map(|text| Token::Regex(text.replace("\\/", "/")));
        }
        if letter.is_ascii_digit() || letter == '.' {
            let digits = |from: usize| {
                self.rest[from..].bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count()
            };
            let mut end = digits(0);
            let exponent = self.rest[end..]
                .strip_prefix(['e', 'E'])
                .map(|rest| 1 + usize::from(rest.starts_with(['+', '-'])));
            if let Some(sign) = exponent
                && digits(end + sign) > 0
            {
                end += sign + digits(end + sign);
            }
            let (number, rest) = self.rest.split_at(end);
            self.rest = rest;
            return number.parse().map(Token::Number).map_err(|_| "Unexpected token".to_owned());
        }
        if letter.is_ascii_alphabetic() || letter == '_' {
            let word = |letter: char| !letter.is_ascii_alphanumeric() && letter != '_';
            let end = self.rest.find(word).unwrap_or(self.rest.len());
            let (name, rest) = self.rest.split_at(end);
            self.rest = rest;
            if REFUSED.contains(&name) {
                return Err(format!("'{name}' is not supported"));
            }
            let name = name.to_owned();
            return Ok(if rest.starts_with('(') { Token::Call(name) } else { Token::Name(name) });
        }
        match MARKS.iter().find(|mark| self.rest.starts_with(**mark)) {
            Some(mark) => {
                self.rest = &self.rest[mark.len()..];
                Ok(Token::Mark(mark))
            }
            None if letter == '|' => {
                Err("output into and input from commands ('|') is not supported".to_owned())
            }
            None => Err("Unexpected token".to_owned()),
        }
    }

    /// The text up to a mark; a backslash keeps the letter behind it.
    fn quoted(&mut self, mark: char) -> Result<String, String> {
        let mut letters = self.rest.char_indices().skip(1);
        while let Some((at, letter)) = letters.next() {
            if letter == mark {
                let text = self.rest[1..at].to_owned();
                self.rest = &self.rest[at + 1..];
                return Ok(text);
            }
            if letter == '\n' {
                break;
            }
            if letter == '\\' {
                letters.next();
            }
        }
        Err("Unexpected end of string".to_owned())
    }
}

/// Backslash sequences of a text; those of expressions stay.
fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            plain.push(letter);
            continue;
        }
        match letters.next() {
            Some('n') => plain.push('\n'),
            Some('t') => plain.push('\t'),
            Some('r') => plain.push('\r'),
            Some(letter @ ('"' | '\\' | '/')) => plain.push(letter),
            Some(other) => plain.extend(['\\', other]),
            None => plain.push('\\'),
        }
    }
    plain
}
