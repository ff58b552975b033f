//! From template text to a tree.

use super::{FormatError, position};

/// How deep actions and parentheses may nest.
const MAXIMUM_DEPTH: usize = 64;

/// A piece of a template.
#[derive(Debug, Clone)]
pub(super) enum Node {
    /// Text outside actions.
    Text(String),
    /// `{{pipeline}}`, printed; or `{{$x := pipeline}}`, not printed.
    Action(Option<String>, Pipeline),
    /// `{{if}}`.
    If(Pipeline, Vec<Node>, Vec<Node>),
    /// `{{with}}`; the variable is visible in both branches.
    With(Option<String>, Pipeline, Vec<Node>, Vec<Node>),
    /// `{{range}}` with the variables for key and element.
    Range(Option<String>, Option<String>, Pipeline, Vec<Node>, Vec<Node>),
}

/// Commands joined by `|`.
#[derive(Debug, Clone)]
pub(super) struct Pipeline {
    pub(super) commands: Vec<Call>,
}

/// A value, or a function with its arguments.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// Byte offset of the first token.
    pub(super) offset: usize,
    /// Byte offset after the last token.
    pub(super) end: usize,
    pub(super) function: Option<Function>,
    pub(super) operands: Vec<Operand>,
}

/// A value in a command.
#[derive(Debug, Clone)]
pub(super) struct Operand {
    pub(super) base: Base,
    /// Field names with the byte offsets of their dots.
    pub(super) fields: Vec<(String, usize)>,
    /// Byte offset of the first token.
    pub(super) offset: usize,
}

/// Where an operand's value starts.
#[derive(Debug, Clone)]
pub(super) enum Base {
    Dot,
    Variable(String),
    String(String),
    Number(serde_json::Number),
    Bool(bool),
    Nil,
    Pipeline(Pipeline),
}

/// The functions a template may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    And,
    Eq,
    Ge,
    Gt,
    Index,
    Join,
    Json,
    /// A method, not a function: `.Label "x"`.
    Label,
    Le,
    Len,
    Lower,
    Lt,
    Ne,
    Not,
    Or,
    Pad,
    Print,
    Printf,
    Println,
    Slice,
    Split,
    Title,
    Truncate,
    Upper,
}

impl Function {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "and" => Self::And,
            "eq" => Self::Eq,
            "ge" => Self::Ge,
            "gt" => Self::Gt,
            "index" => Self::Index,
            "join" => Self::Join,
            "json" => Self::Json,
            "le" => Self::Le,
            "len" => Self::Len,
            "lower" => Self::Lower,
            "lt" => Self::Lt,
            "ne" => Self::Ne,
            "not" => Self::Not,
            "or" => Self::Or,
            "pad" => Self::Pad,
            "print" => Self::Print,
            "printf" => Self::Printf,
            "println" => Self::Println,
            "slice" => Self::Slice,
            "split" => Self::Split,
            "title" => Self::Title,
            "truncate" => Self::Truncate,
            "upper" => Self::Upper,
            _ => return None,
        })
    }

    /// The name in a template and in error messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::And => "and",
            Self::Eq => "eq",
            Self::Ge => "ge",
            Self::Gt => "gt",
            Self::Index => "index",
            Self::Join => "join",
            Self::Json => "json",
            Self::Label => "Label",
            Self::Le => "le",
            Self::Len => "len",
            Self::Lower => "lower",
            Self::Lt => "lt",
            Self::Ne => "ne",
            Self::Not => "not",
            Self::Or => "or",
            Self::Pad => "pad",
            Self::Print => "print",
            Self::Printf => "printf",
            Self::Println => "println",
            Self::Slice => "slice",
            Self::Split => "split",
            Self::Title => "title",
            Self::Truncate => "truncate",
            Self::Upper => "upper",
        }
    }
}

/// Parses a whole template.
pub(super) fn parse(source: &str) -> Result<Vec<Node>, FormatError> {
    let mut parser = Parser {
        source,
        pieces: pieces(source)?.into(),
        tokens: Vec::new(),
        at: 0,
        depth: 0,
        variables: vec!["$".to_owned()],
    };
    let (nodes, end) = parser.block()?;
    match end {
        BlockEnd::Eof => Ok(nodes),
        BlockEnd::Else(offset) => Err(syntax(source, offset, "unexpected {{else}}")),
        BlockEnd::Close(offset) => Err(syntax(source, offset, "unexpected {{end}}")),
    }
}

/// Text or the tokens of an action.
enum Piece {
    Text(String),
    Action(usize, Vec<Token>),
}

#[derive(Debug, Clone, PartialEq)]
enum TokenKind {
    /// `.Name`; `glued` when no blank stands before it.
    Field {
        name: String,
        glued: bool,
    },
    Dot,
    Variable(String),
    Word(String),
    String(String),
    Number(serde_json::Number),
    Open,
    Close,
    Pipe,
    Comma,
    Declare,
    Assign,
}

#[derive(Debug, Clone)]
struct Token {
    kind: TokenKind,
    offset: usize,
    end: usize,
}

fn pieces(source: &str) -> Result<Vec<Piece>, FormatError> {
    let mut pieces = Vec::new();
    let mut at = 0;
    let mut trim_next = false;
    loop {
        let open = source[at..].find("{{").map(|found| at + found);
        let mut text = &source[at..open.unwrap_or(source.len())];
        if trim_next {
            text = text.trim_start_matches(is_blank);
        }
        let trims = open.is_some_and(|open| {
            source[open + 2..].starts_with('-') && source[open + 3..].starts_with(is_blank)
        });
        if trims {
            text = text.trim_end_matches(is_blank);
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
        let Some(open) = open else { return Ok(pieces) };
        let start = open + if trims { 3 } else { 2 };
        let inner = source[start..].trim_start_matches(is_blank);
        if inner.starts_with("/*") {
            let comment = source.len() - inner.len();
            let close = inner.find("*/").ok_or_else(|| syntax(source, open, "unclosed comment"))?;
            let after = &source[comment + close + 2..];
            let tail = after.trim_start_matches(is_blank);
            trim_next = tail.starts_with("-}}") && tail.len() < after.len();
            let tail = if trim_next { &tail[1..] } else { tail };
            if !tail.starts_with("}}") {
                return Err(syntax(source, open, "comment ends before closing delimiter"));
            }
            at = source.len() - tail.len() + 2;
        } else {
            let (tokens, end, trim) = tokens(source, start)?;
            pieces.push(Piece::Action(open, tokens));
            trim_next = trim;
            at = end;
        }
    }
}

/// The tokens from `start` to the closing braces; also where text goes on and whether it is trimmed.
fn tokens(source: &str, start: usize) -> Result<(Vec<Token>, usize, bool), FormatError> {
    let mut tokens = Vec::new();
    let mut at = start;
    loop {
        let rest = &source[at..];
        let blank = rest.len() - rest.trim_start_matches(is_blank).len();
        let spaced = blank > 0 || at == start;
        at += blank;
        let rest = &source[at..];
        if rest.starts_with("}}") {
            return Ok((tokens, at + 2, false));
        }
        if blank > 0 && rest.starts_with("-}}") {
            return Ok((tokens, at + 3, true));
        }
        let Some(first) = rest.chars().next() else { return Err(syntax(source, at, "unclosed action")) };
        let name_end = |from: usize| {
            rest[from..]
                .find(|character: char| !(character.is_alphanumeric() || character == '_'))
                .map_or(rest.len(), |found| from + found)
        };
        let (kind, length) = match first {
            '(' => (TokenKind::Open, 1),
            ')' => (TokenKind::Close, 1),
            '|' => (TokenKind::Pipe, 1),
            ',' => (TokenKind::Comma, 1),
            '=' => (TokenKind::Assign, 1),
            ':' if rest.starts_with(":=") => (TokenKind::Declare, 2),
            '.' => match name_end(1) {
                1 => (TokenKind::Dot, 1),
                end => (TokenKind::Field { name: rest[1..end].to_owned(), glued: !spaced }, end),
            },
            '$' => {
                let end = name_end(1);
                (TokenKind::Variable(rest[..end].to_owned()), end)
            }
            '"' => quoted(rest).ok_or_else(|| syntax(source, at, "unterminated quoted string"))?,
            '`' => {
                let end = rest[1..]
                    .find('`')
                    .ok_or_else(|| syntax(source, at, "unterminated raw quoted string"))?;
                (TokenKind::String(rest[1..=end].to_owned()), end + 2)
            }
            '0'..='9' | '-' | '+' => {
                let end = rest[1..]
                    .find(|character: char| !(character.is_ascii_alphanumeric() || character == '.'))
                    .map_or(rest.len(), |found| found + 1);
                let text = rest[..end].trim_start_matches('+');
                let number = match text.parse::<i64>() {
                    Ok(number) => Some(number.into()),
                    Err(_) => text.parse::<f64>().ok().and_then(serde_json::Number::from_f64),
                };
                let number =
                    number.ok_or_else(|| syntax(source, at, format!("bad number syntax: \"{text}\"")))?;
                (TokenKind::Number(number), end)
            }
            letter if letter.is_alphabetic() || letter == '_' => {
                let end = name_end(0);
                (TokenKind::Word(rest[..end].to_owned()), end)
            }
            other => {
                return Err(syntax(source, at, format!("unexpected {other:?} in command")));
            }
        };
        tokens.push(Token { kind, offset: at, end: at + length });
        at += length;
    }
}

/// A double-quoted string at the start of `rest` and its length.
fn quoted(rest: &str) -> Option<(TokenKind, usize)> {
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((TokenKind::String(text), at + 1)),
            '\n' => return None,
            '\\' => match characters.next()?.1 {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                'r' => text.push('\r'),
                escaped => text.push(escaped),
            },
            other => text.push(other),
        }
    }
    None
}

/// What ended a block.
enum BlockEnd {
    Eof,
    Else(usize),
    Close(usize),
}

struct Parser<'source> {
    source: &'source str,
    pieces: std::collections::VecDeque<Piece>,
    /// The tokens of the action at hand, and the next one.
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    /// The variables that can be seen.
    variables: Vec<String>,
}

impl Parser<'_> {
    fn block(&mut self) -> Result<(Vec<Node>, BlockEnd), FormatError> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.pop_front() {
            let (offset, tokens) = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Piece::Action(offset, tokens) => (offset, tokens),
            };
            (self.tokens, self.at) = (tokens, 0);
            let keyword = match self.tokens.first().map(|token| &token.kind) {
                Some(TokenKind::Word(word)) => word.clone(),
                _ => String::new(),
            };
            match keyword.as_str() {
                "end" => return Ok((nodes, BlockEnd::Close(offset))),
                "else" => return Ok((nodes, BlockEnd::Else(offset))),
                "if" | "with" | "range" => {
                    self.at = 1;
                    nodes.push(self.control(&keyword, offset)?);
                }
                "template" | "block" | "define" | "break" | "continue" | "call" | "html" | "js"
                | "urlquery" => {
                    let (line, _) = position(self.source, offset);
                    return Err(FormatError::Unsupported { line, construct: keyword });
                }
                _ => {
                    let variable = self.declaration();
                    let pipeline = self.pipeline(offset)?;
                    self.finish_action()?;
                    self.variables.extend(variable.clone());
                    nodes.push(Node::Action(variable, pipeline));
                }
            }
        }
        Ok((nodes, BlockEnd::Eof))
    }

    /// The rest of an `if`, `with` or `range` whose keyword was read.
    fn control(&mut self, keyword: &str, offset: usize) -> Result<Node, FormatError> {
        self.enter(offset)?;
        let visible = self.variables.len();
        let (key, element) =
            if keyword == "range" { self.range_variables() } else { (None, self.declaration()) };
        let pipeline = self.pipeline(offset)?;
        self.finish_action()?;
        self.variables.extend(key.clone());
        self.variables.extend(element.clone());
        let (body, end) = self.block()?;
        let otherwise = match end {
            BlockEnd::Close(_) => Vec::new(),
            BlockEnd::Eof => return Err(self.error(self.source.len(), "unexpected EOF")),
            BlockEnd::Else(offset) => self.otherwise(keyword, offset)?,
        };
        self.variables.truncate(visible);
        self.depth -= 1;
        Ok(match keyword {
            "if" => Node::If(pipeline, body, otherwise),
            "with" => Node::With(element, pipeline, body, otherwise),
            _ => Node::Range(key, element, pipeline, body, otherwise),
        })
    }

    /// What follows `{{else`, up to and with the `{{end}}`.
    fn otherwise(&mut self, keyword: &str, offset: usize) -> Result<Vec<Node>, FormatError> {
        if let Some(Token { kind: TokenKind::Word(word), .. }) = self.tokens.get(1)
            && word == keyword
            && keyword != "range"
        {
            self.at = 2;
            // The chained action takes the `{{end}}` of this one.
            return Ok(vec![self.control(keyword, offset)?]);
        }
        if self.tokens.len() > 1 {
            return Err(self.error(offset, "unexpected token in {{else}}"));
        }
        match self.block()? {
            (nodes, BlockEnd::Close(_)) => Ok(nodes),
            (_, BlockEnd::Else(offset)) => Err(self.error(offset, "expected end; found {{else}}")),
            (_, BlockEnd::Eof) => Err(self.error(self.source.len(), "unexpected EOF")),
        }
    }

    /// `$x :=`.
    fn declaration(&mut self) -> Option<String> {
        match &self.tokens[self.at.min(self.tokens.len())..] {
            [Token { kind: TokenKind::Variable(name), .. }, Token { kind: TokenKind::Declare, .. }, ..] => {
                let name = name.clone();
                self.at += 2;
                Some(name)
            }
            _ => None,
        }
    }

    /// `$k, $v :=` or `$v :=`.
    fn range_variables(&mut self) -> (Option<String>, Option<String>) {
        match &self.tokens[self.at.min(self.tokens.len())..] {
            [
                Token { kind: TokenKind::Variable(key), .. },
                Token { kind: TokenKind::Comma, .. },
                Token { kind: TokenKind::Variable(element), .. },
                Token { kind: TokenKind::Declare, .. },
                ..,
            ] => {
                let names = (Some(key.clone()), Some(element.clone()));
                self.at += 4;
                names
            }
            _ => (None, self.declaration()),
        }
    }

    fn pipeline(&mut self, offset: usize) -> Result<Pipeline, FormatError> {
        let mut commands = vec![self.call(offset)?];
        while self.peek() == Some(&TokenKind::Pipe) {
            self.at += 1;
            let call = self.call(offset)?;
            if call.function.is_none() {
                return Err(self.error(call.offset, "non executable command in pipeline stage"));
            }
            commands.push(call);
        }
        Ok(Pipeline { commands })
    }

    fn call(&mut self, action: usize) -> Result<Call, FormatError> {
        let Some(first) = self.tokens.get(self.at) else {
            return Err(self.error(action, "missing value for command"));
        };
        let offset = first.offset;
        let function = match &first.kind {
            TokenKind::Word(word) if !matches!(word.as_str(), "true" | "false" | "nil") => {
                let function = Function::named(word)
                    .ok_or_else(|| self.error(offset, format!("function \"{word}\" not defined")))?;
                self.at += 1;
                Some(function)
            }
            _ => None,
        };
        let mut operands = Vec::new();
        while let Some(operand) = self.operand()? {
            operands.push(operand);
        }
        let function = match (function, operands.as_mut_slice()) {
            // The only method that takes something.
            (None, [Operand { fields, .. }, _]) if fields.last().is_some_and(|(name, _)| name == "Label") => {
                fields.pop();
                Some(Function::Label)
            }
            (function, _) => function,
        };
        if function.is_none() {
            match operands.len() {
                0 => return Err(self.error(offset, "missing value for command")),
                1 => {}
                _ => return Err(self.error(offset, "can't give argument to non-function")),
            }
        }
        let end = self.tokens.get(self.at.wrapping_sub(1)).map_or(offset, |token| token.end);
        Ok(Call { offset, end, function, operands })
    }

    fn operand(&mut self) -> Result<Option<Operand>, FormatError> {
        let Some(token) = self.tokens.get(self.at).cloned() else { return Ok(None) };
        let offset = token.offset;
        let mut fields = Vec::new();
        let base = match token.kind {
            TokenKind::Close | TokenKind::Pipe => return Ok(None),
            TokenKind::Comma | TokenKind::Declare | TokenKind::Assign => {
                return Err(self.error(offset, "unexpected token in operand"));
            }
            TokenKind::Dot => Base::Dot,
            TokenKind::Field { name, .. } => {
                fields.push((name, offset));
                Base::Dot
            }
            TokenKind::Variable(name) => {
                if !self.variables.contains(&name) {
                    return Err(self.error(offset, format!("undefined variable \"{name}\"")));
                }
                Base::Variable(name)
            }
            TokenKind::String(text) => Base::String(text),
            TokenKind::Number(number) => Base::Number(number),
            TokenKind::Word(word) => match word.as_str() {
                "true" => Base::Bool(true),
                "false" => Base::Bool(false),
                "nil" => Base::Nil,
                other => match Function::named(other) {
                    // A function without arguments, such as `{{len println}}`.
                    Some(function) => Base::Pipeline(Pipeline {
                        commands: vec![Call {
                            offset,
                            end: token.end,
                            function: Some(function),
                            operands: Vec::new(),
                        }],
                    }),
                    None => return Err(self.error(offset, format!("function \"{other}\" not defined"))),
                },
            },
            TokenKind::Open => {
                self.enter(offset)?;
                self.at += 1;
                let pipeline = self.pipeline(offset)?;
                if self.peek() != Some(&TokenKind::Close) {
                    return Err(self.error(offset, "unclosed left paren"));
                }
                self.depth -= 1;
                Base::Pipeline(pipeline)
            }
        };
        self.at += 1;
        while let Some(Token { kind: TokenKind::Field { name, glued: true }, offset, .. }) =
            self.tokens.get(self.at)
        {
            fields.push((name.clone(), *offset));
            self.at += 1;
        }
        Ok(Some(Operand { base, fields, offset }))
    }

    fn finish_action(&self) -> Result<(), FormatError> {
        match self.tokens.get(self.at) {
            None => Ok(()),
            Some(token) => Err(self.error(token.offset, "unexpected right paren or token in action")),
        }
    }

    fn enter(&mut self, offset: usize) -> Result<(), FormatError> {
        self.depth += 1;
        if self.depth > MAXIMUM_DEPTH {
            return Err(self.error(offset, format!("nested deeper than {MAXIMUM_DEPTH}")));
        }
        Ok(())
    }

    fn peek(&self) -> Option<&TokenKind> {
        self.tokens.get(self.at).map(|token| &token.kind)
    }

    fn error(&self, offset: usize, reason: impl Into<String>) -> FormatError {
        syntax(self.source, offset, reason)
    }
}

fn syntax(source: &str, offset: usize, reason: impl Into<String>) -> FormatError {
    FormatError::Syntax { line: position(source, offset).0, reason: reason.into() }
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}
