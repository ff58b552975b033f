//! The shell's grammar: lists of pipelines of simple commands, with redirections, quotes and expansions.
//!
//! Compound commands (`if`, `for`, `while`, `case`, functions, subshells), here-documents and `$((...))` are refused
//! with an error that names them.

/// Commands and what joins each to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct List(pub(crate) Vec<(Pipeline, Joint)>);

/// What stands behind a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Joint {
    /// `;`, a line end, or the end.
    Then,
    /// `&`
    Background,
    /// `&&`
    And,
    /// `||`
    Or,
}

/// Commands joined by `|`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Pipeline {
    /// `!` in front turns the status around.
    pub(crate) negated: bool,
    /// The commands.
    pub(crate) commands: Vec<Command>,
}

/// A simple command.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Command {
    /// `NAME=value` in front.
    pub(crate) assignments: Vec<(String, Word)>,
    /// Name and arguments.
    pub(crate) words: Vec<Word>,
    /// Redirections in order.
    pub(crate) redirections: Vec<Redirection>,
}

/// A redirection of one descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Redirection {
    /// 0, 1 or 2.
    pub(crate) descriptor: u8,
    /// Where to.
    pub(crate) target: Target,
}

/// Where a redirection leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// `< FILE`
    Read(Word),
    /// `> FILE` or, with true, `>> FILE`
    Write(Word, bool),
    /// `>&N`
    Same(u8),
}

/// A word before expansion.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Word(pub(crate) Vec<Part>);

/// A piece of a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// Text as it is.
    Text(String),
    /// `$NAME` or `${NAME}`, with the text of `:-`; true inside double quotes.
    Variable(String, Option<String>, bool),
    /// `$(...)`; true inside double quotes.
    Substitution(String, bool),
}

/// Why a text is no command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SyntaxError {
    /// The text ends inside quotes, an expansion or after an operator: more lines may follow.
    Incomplete(&'static str),
    /// It cannot be understood.
    Invalid(String),
}

/// Reads a text.
pub(crate) fn parse(text: &str) -> Result<List, SyntaxError> {
    Parser { letters: text.chars().collect(), at: 0 }.list()
}

struct Parser {
    letters: Vec<char>,
    at: usize,
}

/// Words that begin or end what is not supported.
const COMPOUND: [&str; 14] = [
    "if", "then", "else", "elif", "fi", "for", "while", "until", "do", "done", "case", "esac", "function",
    "{",
];

impl Parser {
    fn list(mut self) -> Result<List, SyntaxError> {
        let mut entries: Vec<(Pipeline, Joint)> = Vec::new();
        loop {
            self.skip_blanks();
            let Some(letter) = self.peek(0) else { break };
            if letter == '\n' {
                self.at += 1;
                continue;
            }
            let pipeline = self.pipeline()?;
            let joint = match (self.peek(0), self.peek(1)) {
                (Some('&'), Some('&')) => Joint::And,
                (Some('|'), Some('|')) => Joint::Or,
                (Some('&'), _) => Joint::Background,
                (Some(';'), Some(';')) => return Err(unexpected(";;")),
                _ => Joint::Then,
            };
            self.at += match joint {
                Joint::And | Joint::Or => 2,
                Joint::Background => 1,
                Joint::Then => usize::from(self.peek(0).is_some()),
            };
            entries.push((pipeline, joint));
            if matches!(joint, Joint::And | Joint::Or) {
                self.skip_lines();
                if self.peek(0).is_none() {
                    return Err(SyntaxError::Incomplete("unexpected end of file"));
                }
            }
        }
        Ok(List(entries))
    }

    fn pipeline(&mut self) -> Result<Pipeline, SyntaxError> {
        let mut pipeline = Pipeline::default();
        if self.peek(0) == Some('!') && self.peek(1).is_some_and(char::is_whitespace) {
            pipeline.negated = true;
            self.at += 1;
        }
        loop {
            let command = self.command()?;
            if command == Command::default() {
                return Err(match self.peek(0) {
                    None => SyntaxError::Incomplete("unexpected end of file"),
                    Some(letter) => unexpected(&letter.to_string()),
                });
            }
            pipeline.commands.push(command);
            if self.peek(0) != Some('|') || self.peek(1) == Some('|') {
                return Ok(pipeline);
            }
            self.at += 1;
            self.skip_lines();
        }
    }

    fn command(&mut self) -> Result<Command, SyntaxError> {
        let mut command = Command::default();
        loop {
            self.skip_blanks();
            let Some(letter) = self.peek(0) else { return Ok(command) };
            match letter {
                '\n' | ';' | '|' => return Ok(command),
                '&' if self.peek(1) == Some('>') => {
                    self.at += 2;
                    let target = self.word()?;
                    command
                        .redirections
                        .push(Redirection { descriptor: 1, target: Target::Write(target, false) });
                    command.redirections.push(Redirection { descriptor: 2, target: Target::Same(1) });
                }
                '&' => return Ok(command),
                '(' | ')' => return Err(unsupported(&letter.to_string())),
                '<' | '>' => command.redirections.push(self.redirection(None)?),
                '0'..='2' if matches!(self.peek(1), Some('<' | '>')) => {
                    self.at += 1;
                    command.redirections.push(self.redirection(letter.to_digit(10))?);
                }
                _ => {
                    let word = self.word()?;
                    let plain = match word.0.as_slice() {
                        [Part::Text(text)] => Some(text.as_str()),
                        _ => None,
                    };
                    if command.words.is_empty()
                        && let Some(keyword) = plain.filter(|text| COMPOUND.contains(text))
                    {
                        return Err(unsupported(keyword));
                    }
                    match assignment(&word).filter(|_| command.words.is_empty()) {
                        Some(assignment) => command.assignments.push(assignment),
                        None => command.words.push(word),
                    }
                }
            }
        }
    }

    fn redirection(&mut self, descriptor: Option<u32>) -> Result<Redirection, SyntaxError> {
        let reads = self.peek(0) == Some('<');
        self.at += 1;
        let descriptor = descriptor.map_or(u8::from(!reads), |number| number as u8);
        match (reads, self.peek(0)) {
            (true, Some('<')) => return Err(unsupported("<<")),
            (true, _) => {
                return Ok(Redirection { descriptor, target: Target::Read(self.target()?) });
            }
            (false, Some('>')) => {
                self.at += 1;
                return Ok(Redirection { descriptor, target: Target::Write(self.target()?, true) });
            }
            (false, Some('&')) => self.at += 1,
            (false, _) => {
                return Ok(Redirection { descriptor, target: Target::Write(self.target()?, false) });
            }
        }
        let digit =
            self.peek(0).and_then(|letter| letter.to_digit(10)).filter(|digit| (1..=2).contains(digit));
        let digit = digit.ok_or_else(|| SyntaxError::Invalid("bad fd number".to_owned()))?;
        self.at += 1;
        Ok(Redirection { descriptor, target: Target::Same(digit as u8) })
    }

    fn target(&mut self) -> Result<Word, SyntaxError> {
        self.skip_blanks();
        let word = self.word()?;
        if word.0.is_empty() { Err(unexpected("newline")) } else { Ok(word) }
    }

    fn word(&mut self) -> Result<Word, SyntaxError> {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut quoted = false;
        while let Some(letter) = self.peek(0) {
            match letter {
                ' ' | '\t' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')' => break,
                '\'' => {
                    quoted = true;
                    self.at += 1;
                    text += &self.until('\'')?;
                }
                '"' => {
                    quoted = true;
                    self.at += 1;
                    self.double_quoted(&mut parts, &mut text)?;
                }
                '\\' => {
                    self.at += 1;
                    match self.peek(0) {
                        Some('\n') => {}
                        Some(letter) => text.push(letter),
                        None => return Err(SyntaxError::Incomplete("unexpected end of file")),
                    }
                    self.at += 1;
                }
                '$' | '`' => self.expansion(&mut parts, &mut text, false)?,
                letter => {
                    text.push(letter);
                    self.at += 1;
                }
            }
        }
        if !text.is_empty() || (quoted && parts.is_empty()) {
            parts.push(Part::Text(text));
        }
        Ok(Word(parts))
    }

    fn double_quoted(&mut self, parts: &mut Vec<Part>, text: &mut String) -> Result<(), SyntaxError> {
        loop {
            match self.peek(0) {
                None => return Err(SyntaxError::Incomplete("unterminated quoted string")),
                Some('"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some('\\') if matches!(self.peek(1), Some('"' | '\\' | '$' | '`')) => {
                    text.extend(self.peek(1));
                    self.at += 2;
                }
                Some('$' | '`') => self.expansion(parts, text, true)?,
                Some(letter) => {
                    text.push(letter);
                    self.at += 1;
                }
            }
        }
    }

    /// At `$` or a backquote.
    fn expansion(
        &mut self,
        parts: &mut Vec<Part>,
        text: &mut String,
        quoted: bool,
    ) -> Result<(), SyntaxError> {
        let part = match (self.peek(0), self.peek(1)) {
            (Some('`'), _) => {
                self.at += 1;
                Part::Substitution(self.until('`')?, quoted)
            }
            (_, Some('(')) if self.peek(2) == Some('(') => return Err(unsupported("$((")),
            (_, Some('(')) => {
                self.at += 2;
                Part::Substitution(self.substitution()?, quoted)
            }
            (_, Some('{')) => {
                self.at += 2;
                let inside = self.until('}')?;
                let (name, default) = match inside.split_once(":-") {
                    Some((name, default)) => (name, Some(default.to_owned())),
                    None => (inside.as_str(), None),
                };
                if !is_name(name) && !is_special(name) {
                    return Err(unsupported(&format!("${{{inside}}}")));
                }
                Part::Variable(name.to_owned(), default, quoted)
            }
            (_, Some(letter)) if letter.is_ascii_alphabetic() || letter == '_' => {
                self.at += 1;
                let mut name = String::new();
                while let Some(letter) = self.peek(0).filter(|l| l.is_ascii_alphanumeric() || *l == '_') {
                    name.push(letter);
                    self.at += 1;
                }
                Part::Variable(name, None, quoted)
            }
            (_, Some(letter)) if is_special(&letter.to_string()) => {
                self.at += 2;
                Part::Variable(letter.to_string(), None, quoted)
            }
            _ => {
                text.push('$');
                self.at += 1;
                return Ok(());
            }
        };
        if !text.is_empty() {
            parts.push(Part::Text(std::mem::take(text)));
        }
        parts.push(part);
        Ok(())
    }

    /// The text up to the parenthesis that closes `$(`.
    fn substitution(&mut self) -> Result<String, SyntaxError> {
        let start = self.at;
        let mut depth = 1;
        while let Some(letter) = self.peek(0) {
            self.at += 1;
            match letter {
                '\\' => self.at += 1,
                '\'' => drop(self.until('\'')?),
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Ok(self.letters[start..self.at - 1].iter().collect());
            }
        }
        Err(SyntaxError::Incomplete("unexpected end of file (expecting \")\")"))
    }

    fn until(&mut self, end: char) -> Result<String, SyntaxError> {
        let start = self.at;
        while let Some(letter) = self.peek(0) {
            self.at += 1;
            if letter == end {
                return Ok(self.letters[start..self.at - 1].iter().collect());
            }
        }
        Err(SyntaxError::Incomplete("unterminated quoted string"))
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.letters.get(self.at + ahead).copied()
    }

    /// Blanks, continued lines and comments.
    fn skip_blanks(&mut self) {
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(' ' | '\t' | '\r'), _) => self.at += 1,
                (Some('\\'), Some('\n')) => self.at += 2,
                (Some('#'), _) => {
                    while self.peek(0).is_some_and(|letter| letter != '\n') {
                        self.at += 1;
                    }
                }
                _ => return,
            }
        }
    }

    fn skip_lines(&mut self) {
        self.skip_blanks();
        while self.peek(0) == Some('\n') {
            self.at += 1;
            self.skip_blanks();
        }
    }
}

/// `NAME=value`, if the word is one.
fn assignment(word: &Word) -> Option<(String, Word)> {
    let (Part::Text(first), rest) = word.0.split_first()? else { return None };
    let (name, value) = first.split_once('=')?;
    if !is_name(name) {
        return None;
    }
    let mut parts = vec![Part::Text(value.to_owned())];
    parts.extend_from_slice(rest);
    Some((name.to_owned(), Word(parts)))
}

fn is_name(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(|l| l.is_ascii_alphabetic() || l == '_')
        && letters.all(|l| l.is_ascii_alphanumeric() || l == '_')
}

fn is_special(name: &str) -> bool {
    matches!(name, "?" | "#" | "@" | "*" | "$" | "!") || name.parse::<u8>().is_ok()
}

fn unexpected(what: &str) -> SyntaxError {
    SyntaxError::Invalid(format!("unexpected \"{what}\""))
}

fn unsupported(what: &str) -> SyntaxError {
    SyntaxError::Invalid(format!("unsupported \"{what}\": expected simple commands joined by | && || ; &"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(text: &str) -> Word {
        Word(vec![Part::Text(text.to_owned())])
    }

    #[test]
    fn lists_pipelines_and_redirections() {
        let list = parse("A=1 wget -q 2>&1 >out|grep x && echo 'a b';sleep 1&").unwrap().0;
        assert_eq!(
            list.iter().map(|(_, joint)| *joint).collect::<Vec<_>>(),
            [Joint::And, Joint::Then, Joint::Background]
        );
        let wget = &list[0].0.commands[0];
        assert_eq!(wget.assignments, [("A".to_owned(), text("1"))]);
        assert_eq!(wget.words, [text("wget"), text("-q")]);
        let targets: Vec<&Target> = wget.redirections.iter().map(|r| &r.target).collect();
        assert_eq!(targets, [&Target::Same(1), &Target::Write(text("out"), false)]);
        assert_eq!(list[1].0.commands[0].words[1], text("a b"));
    }

    #[test]
    fn what_is_not_supported_is_named() {
        for (line, what) in [("if true", "if"), ("(a)", "("), ("cat << x", "<<"), ("echo $((1))", "$((")] {
            let Err(SyntaxError::Invalid(message)) = parse(line) else { panic!("{line}") };
            assert!(message.starts_with(&format!("unsupported \"{what}\"")), "{message}");
        }
        assert!(matches!(parse("echo 'a"), Err(SyntaxError::Incomplete(_))));
        assert!(matches!(parse("a |"), Err(SyntaxError::Incomplete(_))));
        assert_eq!(parse("; a"), Err(unexpected(";")));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(line in "[a-c$`'\"(){}<>&|;!#\\\\ \n0-2=]{0,40}") {
            let _ = parse(&line);
        }

        #[test]
        fn single_quotes_keep_everything(inside in "[^'\u{0}]{0,20}") {
            let list = parse(&format!("echo '{inside}'")).unwrap().0;
            prop_assert_eq!(&list[0].0.commands[0].words[1], &text(&inside));
        }
    }
}
