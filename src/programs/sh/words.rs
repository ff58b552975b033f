//! The shell's words: quotes, expansions, redirections and here-documents, as the parser in `syntax` meets them.

use super::command::{Operation, Part, Redirection, Target, Word};
use super::syntax::{Document, Parser, SyntaxError, unexpected};

impl Parser {
    /// The redirection here, if one begins here.
    pub(super) fn redirection(&mut self) -> Result<Option<Redirection>, SyntaxError> {
        let rest = &self.letters[self.at..];
        let digits = rest.iter().take_while(|letter| letter.is_ascii_digit()).count();
        if !matches!(rest.get(digits), Some('<' | '>')) {
            return Ok(None);
        }
        let number: String = rest[..digits].iter().collect();
        self.at += digits;
        let operator = self.at;
        let reads = self.peek(0) == Some('<');
        let descriptor = match number.parse() {
            Ok(number @ 0..=2) => number,
            Err(_) if digits == 0 => u8::from(!reads),
            _ => return Err(bad_descriptor()),
        };
        self.at += 1;
        let target = match (reads, self.peek(0)) {
            (true, Some('<')) => {
                self.at += 1;
                Target::Document(self.document(operator)?)
            }
            (true, _) => Target::Read(self.target()?),
            (false, Some('>')) => {
                self.at += 1;
                Target::Write(self.target()?, true)
            }
            (false, Some('&')) => {
                self.at += 1;
                let digit = self.peek(0).and_then(|letter| letter.to_digit(10));
                let digit = digit.filter(|digit| (1..=2).contains(digit)).ok_or_else(bad_descriptor)?;
                self.at += 1;
                Target::Same(digit as u8)
            }
            (false, _) => Target::Write(self.target()?, false),
        };
        Ok(Some(Redirection { descriptor, target }))
    }

    fn target(&mut self) -> Result<Word, SyntaxError> {
        self.skip_blanks();
        let word = self.word()?;
        if word.0.is_empty() { Err(self.ended(None)) } else { Ok(word) }
    }

    /// Behind `<<`: the delimiter, and the lines behind this one up to it. A quoted delimiter keeps them literal.
    fn document(&mut self, operator: usize) -> Result<Word, SyntaxError> {
        let strip = self.peek(0) == Some('-');
        self.at += usize::from(strip);
        if self.peek(0) == Some('<') {
            return Err(unexpected("<"));
        }
        let delimiter = self.target()?;
        let literal = delimiter.0.iter().any(|part| matches!(part, Part::Quoted(_)));
        let mut end = String::new();
        for part in &delimiter.0 {
            match part {
                Part::Text(text) | Part::Quoted(text) => end += text,
                Part::Variable { .. } | Part::Substitution(..) | Part::Arithmetic(..) => {
                    return Err(SyntaxError::Invalid("expansion in the delimiter of <<".to_owned()));
                }
            }
        }
        let first = match self.documents.last() {
            Some(before) => before.lines.end,
            None => {
                let line = self.letters[self.at..].iter().position(|letter| *letter == '\n');
                let line = line.ok_or_else(|| SyntaxError::Incomplete("here-document has no text".into()))?;
                self.at + line + 1
            }
        };
        let (mut at, mut text) = (first, String::new());
        loop {
            let rest = &self.letters[at..];
            if rest.is_empty() {
                let message = format!("unexpected end of file (expecting \"{end}\")");
                return Err(SyntaxError::Incomplete(message));
            }
            let length = rest.iter().position(|letter| *letter == '\n').unwrap_or(rest.len());
            let line: String = rest[..length].iter().collect();
            let line = if strip { line.trim_start_matches('\t') } else { &line };
            at = (at + length + 1).min(self.letters.len());
            if line == end {
                break;
            }
            text.push_str(line);
            text.push('\n');
        }
        self.documents.push(Document { operator, lines: first..at });
        if literal {
            return Ok(Word(vec![Part::Quoted(text)]));
        }
        self.nested(|parser| parser.inside(&text).document_word())
    }

    /// The whole text as that of a here-document: expansions happen, quotes are letters.
    fn document_word(mut self) -> Result<Word, SyntaxError> {
        let mut pieces = Pieces::default();
        while self.peek(0).is_some() {
            if (self.peek(0), self.peek(1)) == (Some('\\'), Some('"')) {
                pieces.quoted("\\\"");
                self.at += 2;
            } else {
                self.quoted_piece(&mut pieces)?;
            }
        }
        Ok(pieces.word())
    }

    /// A word; without parts if none stands here.
    pub(super) fn word(&mut self) -> Result<Word, SyntaxError> {
        let mut pieces = Pieces::default();
        while let Some(letter) = self.peek(0) {
            match letter {
                ' ' | '\t' | '\r' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')' => break,
                _ => self.piece(&mut pieces)?,
            }
        }
        Ok(pieces.word())
    }

    /// One letter, quotation or expansion outside double quotes.
    fn piece(&mut self, pieces: &mut Pieces) -> Result<(), SyntaxError> {
        match self.peek(0) {
            Some('\'') => {
                self.at += 1;
                let text = self.until('\'')?;
                pieces.quoted(&text);
            }
            Some('"') => {
                self.at += 1;
                self.double_quoted(pieces)?;
            }
            Some('\\') => {
                match self.peek(1) {
                    Some('\n') => self.line += 1,
                    Some(letter) => pieces.quoted(&letter.to_string()),
                    None => return Err(self.end_inside_quotes()),
                }
                self.at += 2;
            }
            Some('$' | '`') => self.expansion(pieces, false)?,
            Some(letter) => {
                self.line += usize::from(letter == '\n');
                pieces.text.push(letter);
                self.at += 1;
            }
            None => return Err(self.end_inside_quotes()),
        }
        Ok(())
    }

    fn double_quoted(&mut self, pieces: &mut Pieces) -> Result<(), SyntaxError> {
        pieces.flush();
        let before = pieces.parts.len();
        loop {
            match self.peek(0) {
                None => return Err(self.end_inside_quotes()),
                Some('"') => {
                    self.at += 1;
                    if pieces.parts.len() == before {
                        // `""` is an empty word, while `"$@"` may be none.
                        pieces.quoted("");
                    }
                    return Ok(());
                }
                Some(_) => self.quoted_piece(pieces)?,
            }
        }
    }

    /// One letter, escape or expansion inside double quotes.
    fn quoted_piece(&mut self, pieces: &mut Pieces) -> Result<(), SyntaxError> {
        match (self.peek(0), self.peek(1)) {
            (Some('\\'), Some('\n')) => {
                self.line += 1;
                self.at += 2;
            }
            (Some('\\'), Some(letter @ ('"' | '\\' | '$' | '`'))) => {
                pieces.quoted(&letter.to_string());
                self.at += 2;
            }
            (Some('$' | '`'), _) => self.expansion(pieces, true)?,
            (Some(letter), _) => {
                self.line += usize::from(letter == '\n');
                pieces.quoted(&letter.to_string());
                self.at += 1;
            }
            (None, _) => return Err(self.end_inside_quotes()),
        }
        Ok(())
    }

    /// At `$` or a backquote.
    fn expansion(&mut self, pieces: &mut Pieces, quoted: bool) -> Result<(), SyntaxError> {
        let part = match (self.peek(0), self.peek(1)) {
            (Some('`'), _) => {
                self.at += 1;
                let text = self.until('`')?;
                Part::Substitution(text.replace("\\`", "`").replace("\\$", "$"), quoted)
            }
            (_, Some('(')) if self.peek(2) == Some('(') => {
                self.at += 3;
                Part::Arithmetic(self.nested(Parser::arithmetic)?, quoted)
            }
            (_, Some('(')) => {
                self.at += 2;
                let start = self.at;
                self.nested(Parser::list)?;
                let text = self.letters[start..self.at].iter().collect();
                if self.peek(0) != Some(')') {
                    return Err(self.ended(Some(")")));
                }
                self.at += 1;
                Part::Substitution(text, quoted)
            }
            (_, Some('{')) => {
                self.at += 2;
                self.nested(|parser| parser.parameter(quoted))?
            }
            (_, Some(letter)) if letter.is_ascii_alphabetic() || letter == '_' => {
                self.at += 1;
                Part::Variable { name: self.name(), operation: None, quoted }
            }
            (_, Some(letter)) if is_special(letter) || letter.is_ascii_digit() => {
                self.at += 2;
                Part::Variable { name: letter.to_string(), operation: None, quoted }
            }
            _ => {
                match quoted {
                    true => pieces.quoted("$"),
                    false => pieces.text.push('$'),
                }
                self.at += 1;
                return Ok(());
            }
        };
        pieces.part(part);
        Ok(())
    }

    /// Behind `${`.
    fn parameter(&mut self, quoted: bool) -> Result<Part, SyntaxError> {
        let length = self.peek(0) == Some('#') && self.peek(1) != Some('}');
        self.at += usize::from(length);
        let name = match self.peek(0) {
            Some(letter) if is_special(letter) => {
                self.at += 1;
                letter.to_string()
            }
            Some(letter) if letter.is_ascii_alphanumeric() || letter == '_' => self.name(),
            Some(_) => return Err(bad_substitution()),
            None => return Err(self.ended(Some("}"))),
        };
        let or_empty = self.peek(0) == Some(':');
        self.at += usize::from(or_empty);
        let operator = self.peek(0);
        if operator == Some('}') && !or_empty {
            self.at += 1;
            let operation = length.then_some(Operation::Length);
            return Ok(Part::Variable { name, operation, quoted });
        }
        self.at += 1;
        let longest = operator == self.peek(0) && matches!(operator, Some('#' | '%'));
        self.at += usize::from(longest);
        let operation = match operator {
            _ if length => return Err(bad_substitution()),
            Some('-') => Operation::Default { or_empty, word: self.parameter_word(quoted)? },
            Some('=') => Operation::Assign { or_empty, word: self.parameter_word(quoted)? },
            Some('+') => Operation::Alternative { or_empty, word: self.parameter_word(quoted)? },
            Some('?') => Operation::Required { or_empty, word: self.parameter_word(quoted)? },
            Some('#') if !or_empty => Operation::TrimStart { longest, pattern: self.parameter_word(false)? },
            Some('%') if !or_empty => Operation::TrimEnd { longest, pattern: self.parameter_word(false)? },
            Some(_) => return Err(bad_substitution()),
            None => return Err(SyntaxError::Incomplete("unexpected end of file (expecting \"}\")".into())),
        };
        Ok(Part::Variable { name, operation: Some(operation), quoted })
    }

    /// The word of `${NAME-WORD}` up to its brace.
    fn parameter_word(&mut self, quoted: bool) -> Result<Word, SyntaxError> {
        let mut pieces = Pieces::default();
        loop {
            match self.peek(0) {
                None => return Err(self.ended(Some("}"))),
                Some('}') => {
                    self.at += 1;
                    return Ok(pieces.word());
                }
                Some('"') if quoted => {
                    self.at += 1;
                    self.double_quoted(&mut pieces)?;
                }
                Some(_) if quoted => self.quoted_piece(&mut pieces)?,
                Some(_) => self.piece(&mut pieces)?,
            }
        }
    }

    /// Behind `$((`, up to `))`.
    fn arithmetic(&mut self) -> Result<Word, SyntaxError> {
        let mut pieces = Pieces::default();
        let mut open = 0;
        loop {
            match (self.peek(0), self.peek(1)) {
                (None, _) => return Err(self.ended(Some("))"))),
                (Some(')'), Some(')')) if open == 0 => {
                    self.at += 2;
                    return Ok(pieces.word());
                }
                (Some(')'), _) if open == 0 => return Err(self.ended(Some("))"))),
                (Some('$' | '`'), _) => self.expansion(&mut pieces, true)?,
                (Some(letter), _) => {
                    open += i32::from(letter == '(') - i32::from(letter == ')');
                    pieces.text.push(letter);
                    self.at += 1;
                }
            }
        }
    }

    fn name(&mut self) -> String {
        let rest = &self.letters[self.at..];
        let digits = rest.first().is_some_and(char::is_ascii_digit);
        let belongs = |letter: &&char| match digits {
            true => letter.is_ascii_digit(),
            false => letter.is_ascii_alphanumeric() || **letter == '_',
        };
        let name: String = rest.iter().take_while(belongs).collect();
        self.at += name.len();
        name
    }

    fn until(&mut self, end: char) -> Result<String, SyntaxError> {
        let start = self.at;
        while let Some(letter) = self.peek(0) {
            self.line += usize::from(letter == '\n');
            self.at += 1;
            if letter == end {
                return Ok(self.letters[start..self.at - 1].iter().collect());
            }
        }
        Err(self.end_inside_quotes())
    }

    fn end_inside_quotes(&self) -> SyntaxError {
        SyntaxError::Incomplete("unterminated quoted string".to_owned())
    }

    pub(super) fn peek(&self, ahead: usize) -> Option<char> {
        self.letters.get(self.at + ahead).copied()
    }

    /// Blanks, continued lines and comments.
    pub(super) fn skip_blanks(&mut self) {
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(' ' | '\t' | '\r'), _) => self.at += 1,
                (Some('\\'), Some('\n')) => {
                    self.at += 2;
                    self.line += 1;
                }
                (Some('#'), _) => {
                    while self.peek(0).is_some_and(|letter| letter != '\n') {
                        self.at += 1;
                    }
                }
                _ => return,
            }
        }
    }

    /// Blanks and line ends, with the here-documents behind them.
    pub(super) fn skip_lines(&mut self) {
        self.skip_blanks();
        while self.peek(0) == Some('\n') {
            self.at += 1;
            self.line += 1;
            if let Some(last) = self.documents.last() {
                let end = last.lines.end;
                let skipped = self.letters.get(self.at..end).unwrap_or_default();
                self.line += skipped.iter().filter(|letter| **letter == '\n').count();
                self.at = self.at.max(end);
                self.documents.clear();
            }
            self.skip_blanks();
        }
    }
}

/// A word while it is read.
#[derive(Default)]
struct Pieces {
    parts: Vec<Part>,
    text: String,
}

impl Pieces {
    fn quoted(&mut self, text: &str) {
        self.flush();
        match self.parts.last_mut() {
            Some(Part::Quoted(before)) => before.push_str(text),
            _ => self.parts.push(Part::Quoted(text.to_owned())),
        }
    }

    fn part(&mut self, part: Part) {
        self.flush();
        self.parts.push(part);
    }

    fn flush(&mut self) {
        if !self.text.is_empty() {
            self.parts.push(Part::Text(std::mem::take(&mut self.text)));
        }
    }

    fn word(mut self) -> Word {
        self.flush();
        Word(self.parts)
    }
}

pub(super) fn is_name(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(|l| l.is_ascii_alphabetic() || l == '_')
        && letters.all(|l| l.is_ascii_alphanumeric() || l == '_')
}

fn is_special(letter: char) -> bool {
    "?#@*$!-".contains(letter)
}

fn bad_descriptor() -> SyntaxError {
    SyntaxError::Invalid("bad fd number: expected 0, 1 or 2".to_owned())
}

fn bad_substitution() -> SyntaxError {
    SyntaxError::Invalid("bad substitution".to_owned())
}
