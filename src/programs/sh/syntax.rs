//! The shell's grammar (POSIX.1-2017, Shell Command Language 2.10): lists of pipelines of simple and compound commands.
//!
//! Words, quotes and expansions are read in `words`. Refused with an error that names them: coprocesses, `select`,
//! `[[`, here-strings and process substitution, which BusyBox has not either. A text may nest [`DEEPEST`] levels.

use std::ops::Range;
use std::rc::Rc;

use super::command::{Command, Compound, CompoundKind, Joint, List, Part, Pipeline, Simple, Word};
use super::words::is_name;

/// Commands inside commands, so that reading and running one needs a bounded stack.
const DEEPEST: u32 = 40;

/// Why a text is no command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SyntaxError {
    /// The text ends inside quotes, an expansion, a compound command or after an operator: more lines may follow.
    Incomplete(String),
    /// It cannot be understood.
    Invalid(String),
}

/// A text that is read line by line, so that what stands before a mistake runs.
pub(super) struct Script(Parser);

impl Script {
    /// The commands of a text.
    pub(super) fn new(text: &str) -> Script {
        Script(Parser::new(text, 0))
    }

    /// The commands of the next lines that belong together; `None` at the end. An error ends the text and comes with
    /// the line it was found on, from 0.
    pub(super) fn next(&mut self) -> Option<Result<List, (SyntaxError, usize)>> {
        let parser = &mut self.0;
        parser.skip_lines();
        parser.peek(0)?;
        let result = parser.list_of(true).and_then(|list| match parser.closer() {
            Some(word) => Err(unexpected(word)),
            None => Ok(list),
        });
        // At the end of the text, its last line.
        let past = usize::from(parser.peek(0).is_none() && parser.letters.last() == Some(&'\n'));
        Some(result.map_err(|error| (error, parser.line.saturating_sub(past))))
    }

    /// Whether nothing more comes.
    pub(super) fn is_at_end(&mut self) -> bool {
        self.0.skip_lines();
        self.0.peek(0).is_none()
    }
}

/// Reads a whole text.
pub(super) fn parse(text: &str) -> Result<List, SyntaxError> {
    let mut script = Script::new(text);
    let mut entries = Vec::new();
    while let Some(list) = script.next() {
        entries.extend(list.map_err(|(error, _)| error)?.0);
    }
    Ok(List(entries))
}

pub(super) struct Parser {
    pub(super) letters: Vec<char>,
    pub(super) at: usize,
    pub(super) line: usize,
    depth: u32,
    /// Here-documents whose operator stands on the current line.
    pub(super) documents: Vec<Document>,
}

/// Where a here-document is.
pub(super) struct Document {
    /// Its operator.
    pub(super) operator: usize,
    /// Its lines with the one that ends it.
    pub(super) lines: Range<usize>,
}

/// Words that are part of the grammar where a command begins.
const RESERVED: [&str; 16] = [
    "if", "then", "else", "elif", "fi", "for", "while", "until", "do", "done", "case", "esac", "{", "}", "!",
    "in",
];

/// What ends a list: it is the caller's to expect.
const CLOSERS: [&str; 8] = ["then", "else", "elif", "fi", "do", "done", "esac", "}"];

impl Parser {
    fn new(text: &str, depth: u32) -> Parser {
        Parser { letters: text.chars().collect(), at: 0, line: 0, depth, documents: Vec::new() }
    }

    /// A parser for a text inside this one.
    pub(super) fn inside(&self, text: &str) -> Parser {
        Parser::new(text, self.depth)
    }

    /// Commands up to a word that closes something, or the end.
    pub(super) fn list(&mut self) -> Result<List, SyntaxError> {
        self.list_of(false)
    }

    /// The same; with `line`, up to a line end behind a whole command.
    fn list_of(&mut self, line: bool) -> Result<List, SyntaxError> {
        let mut entries: Vec<(Pipeline, Joint)> = Vec::new();
        // Where the pipelines joined by `&&` and `||` begin: `&` is for all of them.
        let (mut first, mut started) = (0, (0, 0));
        loop {
            self.skip_lines();
            if self.peek(0).is_none() || self.closer().is_some() {
                return Ok(List(entries));
            }
            if entries.len() == first {
                started = (self.at, self.line);
            }
            let pipeline = self.pipeline()?;
            self.skip_blanks();
            let end = self.at;
            let joint = match (self.peek(0), self.peek(1)) {
                (Some('&'), Some('&')) => Joint::And,
                (Some('|'), Some('|')) => Joint::Or,
                (Some('&'), _) => Joint::Background,
                (Some(';'), Some(';')) | (Some('\n' | ')'), _) | (None, _) => Joint::Then,
                (Some(';'), _) => Joint::Then,
                (Some(letter), _) => return Err(unexpected(&letter.to_string())),
            };
            match (joint, self.peek(0), self.peek(1)) {
                (Joint::And | Joint::Or, ..) => self.at += 2,
                (Joint::Background, ..) => self.at += 1,
                (Joint::Then, Some(';'), after) if after != Some(';') => self.at += 1,
                (Joint::Then, ..) => {}
            }
            entries.push((pipeline, joint));
            match joint {
                Joint::And | Joint::Or => {
                    self.skip_lines();
                    if self.peek(0).is_none() {
                        return Err(self.ended(None));
                    }
                    continue;
                }
                Joint::Background if entries.len() - first > 1 || !is_one_process(&entries[first].0) => {
                    let mut joined = entries.split_off(first);
                    if let Some((_, joint)) = joined.last_mut() {
                        *joint = Joint::Then;
                    }
                    let group = Compound {
                        kind: CompoundKind::Group(List(joined)),
                        redirections: Vec::new(),
                        source: self.source(started.0, end),
                        line: started.1,
                    };
                    let commands = vec![Command::Compound(Rc::new(group))];
                    entries.push((Pipeline { negated: false, commands }, Joint::Background));
                }
                Joint::Background | Joint::Then => {}
            }
            first = entries.len();
            self.skip_blanks();
            if line && self.peek(0) == Some('\n') {
                return Ok(List(entries));
            }
        }
    }

    fn pipeline(&mut self) -> Result<Pipeline, SyntaxError> {
        let mut pipeline = Pipeline::default();
        while self.reserved() == Some("!") {
            pipeline.negated = !pipeline.negated;
            self.at += 1;
            self.skip_blanks();
        }
        loop {
            pipeline.commands.push(self.command()?);
            self.skip_blanks();
            if self.peek(0) != Some('|') || self.peek(1) == Some('|') {
                return Ok(pipeline);
            }
            self.at += 1;
            self.skip_lines();
        }
    }

    fn command(&mut self) -> Result<Command, SyntaxError> {
        let (start, line) = (self.at, self.line);
        let kind = match self.reserved() {
            Some("if") => self.nested(Parser::conditional)?,
            Some("while") => self.nested(|parser| parser.repetition(false))?,
            Some("until") => self.nested(|parser| parser.repetition(true))?,
            Some("for") => self.nested(Parser::for_loop)?,
            Some("case") => self.nested(Parser::case)?,
            Some("{") => self.nested(|parser| {
                parser.at += 1;
                let list = parser.filled_list("}")?;
                parser.expect("}")?;
                Ok(CompoundKind::Group(list))
            })?,
            Some("in") | None if self.peek(0) == Some('(') => self.nested(|parser| {
                parser.at += 1;
                parser.filled_list(")")?;
                parser.expect(")")?;
                Ok(CompoundKind::Subshell)
            })?,
            Some("in") | None => match self.function_name() {
                Some(name) => return self.nested(|parser| parser.function(name)),
                None => return self.simple().map(Command::Simple),
            },
            Some(word) => return Err(unexpected(word)),
        };
        // A shell of its own runs what is inside the parentheses.
        let inside = usize::from(kind == CompoundKind::Subshell);
        let source = self.source(start + inside, self.at - inside);
        let mut redirections = Vec::new();
        loop {
            self.skip_blanks();
            match self.redirection()? {
                Some(redirection) => redirections.push(redirection),
                None => break,
            }
        }
        Ok(Command::Compound(Rc::new(Compound { kind, redirections, source, line })))
    }

    /// Reads something inside something else.
    pub(super) fn nested<T>(
        &mut self,
        read: impl FnOnce(&mut Parser) -> Result<T, SyntaxError>,
    ) -> Result<T, SyntaxError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(SyntaxError::Invalid(format!("nested deeper than {DEEPEST} levels")));
        }
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn conditional(&mut self) -> Result<CompoundKind, SyntaxError> {
        let mut branches = Vec::new();
        self.at += "if".len();
        loop {
            let condition = self.filled_list("then")?;
            self.expect("then")?;
            branches.push((condition, self.filled_list("fi")?));
            match self.closer() {
                Some("elif") => self.at += "elif".len(),
                Some("else") => {
                    self.at += "else".len();
                    let otherwise = self.filled_list("fi")?;
                    self.expect("fi")?;
                    return Ok(CompoundKind::If(branches, Some(otherwise)));
                }
                _ => {
                    self.expect("fi")?;
                    return Ok(CompoundKind::If(branches, None));
                }
            }
        }
    }

    fn repetition(&mut self, until: bool) -> Result<CompoundKind, SyntaxError> {
        self.at += "while".len();
        let condition = self.filled_list("do")?;
        let body = self.body()?;
        Ok(CompoundKind::Loop { until, condition, body })
    }

    fn for_loop(&mut self) -> Result<CompoundKind, SyntaxError> {
        self.at += "for".len();
        self.skip_blanks();
        let word = self.word()?;
        let name = match word.0.as_slice() {
            [Part::Text(name)] if is_name(name) => name.clone(),
            _ => return Err(SyntaxError::Invalid("bad for loop variable".to_owned())),
        };
        self.skip_lines();
        let mut words = None;
        if self.reserved() == Some("in") {
            self.at += "in".len();
            let mut list = Vec::new();
            loop {
                self.skip_blanks();
                let word = self.word()?;
                if word.0.is_empty() {
                    break;
                }
                list.push(word);
            }
            words = Some(list);
        }
        self.skip_blanks();
        if self.peek(0) == Some(';') && self.peek(1) != Some(';') {
            self.at += 1;
        }
        let body = self.body()?;
        Ok(CompoundKind::For { name, words, body })
    }

    fn case(&mut self) -> Result<CompoundKind, SyntaxError> {
        self.at += "case".len();
        self.skip_blanks();
        let subject = self.word()?;
        self.skip_lines();
        if self.reserved() != Some("in") {
            return Err(self.ended(Some("in")));
        }
        self.at += "in".len();
        let mut arms = Vec::new();
        loop {
            self.skip_lines();
            if self.reserved() == Some("esac") {
                self.at += "esac".len();
                return Ok(CompoundKind::Case(subject, arms));
            }
            if self.peek(0) == Some('(') {
                self.at += 1;
            }
            let mut patterns = Vec::new();
            loop {
                self.skip_blanks();
                let word = self.word()?;
                if word.0.is_empty() {
                    return Err(self.ended(Some(")")));
                }
                patterns.push(word);
                self.skip_blanks();
                if self.peek(0) != Some('|') {
                    break;
                }
                self.at += 1;
            }
            self.expect(")")?;
            arms.push((patterns, self.list()?));
            if (self.peek(0), self.peek(1)) == (Some(';'), Some(';')) {
                self.at += 2;
            } else if self.closer() != Some("esac") {
                return Err(self.ended(Some(";;")));
            }
        }
    }

    /// `NAME (`, blanks allowed: the name.
    fn function_name(&self) -> Option<String> {
        let rest = &self.letters[self.at..];
        let length = rest.iter().take_while(|l| l.is_ascii_alphanumeric() || "_-.:".contains(**l)).count();
        let blanks = rest[length..].iter().take_while(|l| matches!(l, ' ' | '\t')).count();
        let name: String = rest[..length].iter().collect();
        (length > 0 && rest.get(length + blanks) == Some(&'(')).then_some(name)
    }

    fn function(&mut self, name: String) -> Result<Command, SyntaxError> {
        self.at += name.chars().count();
        self.skip_blanks();
        self.at += 1;
        self.skip_blanks();
        self.expect(")")?;
        self.skip_lines();
        match self.command()? {
            Command::Compound(body) => Ok(Command::Function(name, body)),
            Command::Simple(_) | Command::Function(..) => {
                Err(SyntaxError::Invalid(format!("the body of {name}() is no compound command")))
            }
        }
    }

    fn simple(&mut self) -> Result<Simple, SyntaxError> {
        let mut command = Simple { line: self.line, ..Simple::default() };
        loop {
            self.skip_blanks();
            if let Some(redirection) = self.redirection()? {
                command.redirections.push(redirection);
                continue;
            }
            let word = self.word()?;
            if word.0.is_empty() {
                break;
            }
            match assignment(&word).filter(|_| command.words.is_empty()) {
                Some(assignment) => command.assignments.push(assignment),
                None => command.words.push(word),
            }
        }
        if command.words.is_empty() && command.assignments.is_empty() && command.redirections.is_empty() {
            return Err(self.ended(None));
        }
        Ok(command)
    }

    /// A list that has to have a command, with `end` behind it.
    fn filled_list(&mut self, end: &str) -> Result<List, SyntaxError> {
        let list = self.list()?;
        match list.0.is_empty() {
            true => Err(self.ended(self.peek(0).is_none().then_some(end))),
            false => Ok(list),
        }
    }

    fn body(&mut self) -> Result<List, SyntaxError> {
        self.skip_lines();
        self.expect("do")?;
        let body = self.filled_list("done")?;
        self.expect("done")?;
        Ok(body)
    }

    fn expect(&mut self, word: &str) -> Result<(), SyntaxError> {
        if self.closer() == Some(word) {
            self.at += word.len();
            return Ok(());
        }
        Err(self.ended(Some(word)))
    }

    /// What stands here and was not expected; at the end of the text, what is missing.
    pub(super) fn ended(&self, expected: Option<&str>) -> SyntaxError {
        let expecting = expected.map_or(String::new(), |word| format!(" (expecting \"{word}\")"));
        let found = match (self.closer().or(self.reserved()), self.peek(0)) {
            (Some(word), _) => word.to_owned(),
            (None, None) => return SyntaxError::Incomplete(format!("unexpected end of file{expecting}")),
            (None, Some('\n')) => "newline".to_owned(),
            (None, Some(letter)) if ";&|<>()".contains(letter) => letter.to_string(),
            (None, Some(_)) => "word".to_owned(),
        };
        SyntaxError::Invalid(format!("unexpected \"{found}\"{expecting}"))
    }

    /// The word here that closes something, or `)` or `;;`.
    fn closer(&self) -> Option<&'static str> {
        match (self.peek(0), self.peek(1)) {
            (Some(')'), _) => Some(")"),
            (Some(';'), Some(';')) => Some(";;"),
            _ => self.reserved().filter(|word| CLOSERS.contains(word)),
        }
    }

    /// The reserved word here.
    fn reserved(&self) -> Option<&'static str> {
        let rest = &self.letters[self.at..];
        RESERVED.into_iter().find(|word| {
            let length = word.len();
            let ends = rest.get(length).is_none_or(|letter| " \t\r\n;&|<>()".contains(*letter));
            ends && rest.len() >= length && word.chars().zip(rest).all(|(a, b)| a == *b)
        })
    }

    /// The text of a command, with the here-documents that begin behind it.
    fn source(&self, start: usize, end: usize) -> String {
        let mut text: String = self.letters[start..end].iter().collect();
        for document in self.documents.iter().filter(|d| (start..end).contains(&d.operator)) {
            text.push('\n');
            text.extend(&self.letters[document.lines.clone()]);
        }
        text
    }
}

/// True for what needs no shell of its own to run in the background.
fn is_one_process(pipeline: &Pipeline) -> bool {
    match pipeline.commands.as_slice() {
        [Command::Simple(simple)] => !pipeline.negated && simple.redirections.is_empty(),
        [Command::Compound(compound)] => !pipeline.negated && compound.redirections.is_empty(),
        _ => false,
    }
}

/// `NAME=value`, if the word is one.
fn assignment(word: &Word) -> Option<(String, Word)> {
    let (Part::Text(first), rest) = word.0.split_first()? else { return None };
    let (name, value) = first.split_once('=')?;
    if !is_name(name) {
        return None;
    }
    let mut parts = Vec::new();
    if !value.is_empty() {
        parts.push(Part::Text(value.to_owned()));
    }
    parts.extend_from_slice(rest);
    Some((name.to_owned(), Word(parts)))
}

pub(super) fn unexpected(what: &str) -> SyntaxError {
    SyntaxError::Invalid(format!("unexpected \"{what}\""))
}

#[cfg(test)]
mod tests {
    use super::super::command::Target;
    use super::*;
    use proptest::prelude::*;

    fn text(text: &str) -> Word {
        Word(vec![Part::Text(text.to_owned())])
    }

    fn quoted(text: &str) -> Word {
        Word(vec![Part::Quoted(text.to_owned())])
    }

    fn simple(entry: &(Pipeline, Joint)) -> &Simple {
        match &entry.0.commands[0] {
            Command::Simple(simple) => simple,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn lists_pipelines_and_redirections() {
        let list = parse("A=1 wget -q 2>&1 >out|grep x && echo 'a b';sleep 1&").unwrap().0;
        assert_eq!(
            list.iter().map(|(_, joint)| *joint).collect::<Vec<_>>(),
            [Joint::And, Joint::Then, Joint::Background]
        );
        let wget = simple(&list[0]);
        assert_eq!(wget.assignments, [("A".to_owned(), text("1"))]);
        assert_eq!(wget.words, [text("wget"), text("-q")]);
        let targets: Vec<&Target> = wget.redirections.iter().map(|r| &r.target).collect();
        assert_eq!(targets, [&Target::Same(1), &Target::Write(text("out"), false)]);
        assert_eq!(simple(&list[1]).words[1], quoted("a b"));
    }

    #[test]
    fn compound_commands_carry_their_text() {
        let list = parse("while read a; do cat <<E; done </f | wc\n$a\nE\necho").unwrap().0;
        assert_eq!(list.len(), 2);
        let Command::Compound(compound) = &list[0].0.commands[0] else { panic!("{list:?}") };
        assert_eq!(compound.source, "while read a; do cat <<E; done\n$a\nE\n");
        assert_eq!(compound.redirections.len(), 1);
        assert!(parse(&compound.source).is_ok());
        assert_eq!(simple(&list[1]).line, 3);
        let joined = parse("a && b & c").unwrap().0;
        assert_eq!((joined.len(), joined[0].1), (2, Joint::Background));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let missing = |line: &str| match parse(line) {
            Err(SyntaxError::Incomplete(message)) => message,
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(missing("if true; then a"), "unexpected end of file (expecting \"fi\")");
        assert_eq!(missing("for i in 1"), "unexpected end of file (expecting \"do\")");
        assert_eq!(missing("echo 'a"), "unterminated quoted string");
        assert_eq!(missing("a |"), "unexpected end of file");
        assert_eq!(missing("echo $(a"), "unexpected end of file (expecting \")\")");
        let wrong = |line: &str| match parse(line) {
            Err(SyntaxError::Invalid(message)) => message,
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(wrong("; a"), "unexpected \";\"");
        assert_eq!(wrong("fi"), "unexpected \"fi\"");
        assert_eq!(wrong("echo )"), "unexpected \")\"");
        assert_eq!(wrong("if true; fi"), "unexpected \"fi\" (expecting \"then\")");
        assert_eq!(wrong("for 1 in a; do b; done"), "bad for loop variable");
        assert_eq!(wrong(&"(".repeat(1_000)), "nested deeper than 40 levels");
        assert_eq!(wrong(&"$(".repeat(1_000)), "nested deeper than 40 levels");
        assert_eq!(wrong(&"${a-".repeat(1_000)), "nested deeper than 40 levels");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(line in "([a-c$`'\"(){}<>&|;!#\\\\ \n0-2=]|if |then |do |done|case |esac| in |\\$\\(|<<){0,40}") {
            let _ = parse(&line);
        }

        #[test]
        fn single_quotes_keep_everything(inside in "[^'\u{0}]{1,20}") {
            let list = parse(&format!("echo '{inside}'")).unwrap().0;
            prop_assert_eq!(&simple(&list[0]).words[1], &quoted(&inside));
        }
    }
}
