//! YAML text to a tree of [`Node`]s that know where they were written.
//!
//! The events come from `saphyr-parser`; what is added here is what Compose expects of YAML: scalars resolved by the
//! YAML 1.2 core schema, anchors, aliases and merge keys (`<<`) expanded, duplicate keys refused, Compose's
//! `!reset` and `!override` kept for the merge. The tree is bounded against bombs: input size, nesting, and the
//! number of nodes and bytes *after* aliases are expanded ([`MAX_INPUT`], [`MAX_DEPTH`], [`MAX_NODES`],
//! [`MAX_BYTES`]); each limit is an error at the line that crosses it.

mod complaint;

use std::borrow::Cow;
use std::collections::BTreeMap;

use hashbrown::HashSet;
use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

use complaint::syntax_error;

use super::diagnostic::{Diagnostic, FileId, SourceMap, Span};
use super::shifted::Shifted;

/// Largest accepted file, in bytes.
pub const MAX_INPUT: usize = 8 << 20;
/// Deepest accepted nesting.
pub const MAX_DEPTH: usize = 64;
/// Most nodes a document may have once aliases are expanded.
pub const MAX_NODES: usize = 500_000;
/// Most bytes of scalar text once aliases are expanded.
pub const MAX_BYTES: usize = 32 << 20;

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it was written. For an alias, where the anchor is.
    pub span: Span,
    /// Compose's merge tag, when one was written.
    pub merge: Option<MergeTag>,
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing at all.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number (decimal, `0x`, `0o`).
    Int(i64),
    /// A number with a fraction or exponent.
    Float(f64),
    /// Any other scalar, and every quoted one.
    String(String),
    /// A list.
    Sequence(Vec<Node>),
    /// A mapping in document order.
    Mapping(Vec<Entry>),
}

/// One `key: value` of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key's text.
    pub key: String,
    /// Where the key was written.
    pub key_span: Span,
    /// The value.
    pub value: Node,
}

/// Compose's tags that steer merging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeTag {
    /// `!reset`: the key is removed.
    Reset,
    /// `!override`: the value replaces what it would be merged with.
    Override,
}

impl Node {
    /// A node without a merge tag.
    #[must_use]
    pub const fn new(value: Value, span: Span) -> Self {
        Self { value, span, merge: None }
    }

    /// The value under a key, when this is a mapping that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The entries of a mapping; none for anything else.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        if let Value::Mapping(entries) = &self.value { entries } else { &[] }
    }

    /// The items of a list; none for anything else.
    #[must_use]
    pub fn items(&self) -> &[Node] {
        if let Value::Sequence(items) = &self.value { items } else { &[] }
    }

    /// The text of a scalar other than null, as Compose would print it.
    #[must_use]
    pub fn text(&self) -> Option<Cow<'_, str>> {
        match &self.value {
            Value::Bool(value) => Some(Cow::Owned(value.to_string())),
            Value::Int(value) => Some(Cow::Owned(value.to_string())),
            Value::Float(value) => Some(Cow::Owned(value.to_string())),
            Value::String(value) => Some(Cow::Borrowed(value)),
            Value::Null | Value::Sequence(_) | Value::Mapping(_) => None,
        }
    }

    /// Whether this is null.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// What it is, for messages: "a list".
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Int(_) => "a number",
            Value::Float(_) => "a decimal number",
            Value::String(_) => "text",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
        }
    }

    /// How many nodes this one and those below it are.
    #[must_use]
    pub fn size(&self) -> usize {
        match &self.value {
            Value::Sequence(items) => 1 + items.iter().map(Self::size).sum::<usize>(),
            Value::Mapping(entries) => 1 + entries.iter().map(|entry| entry.value.size()).sum::<usize>(),
            _ => 1,
        }
    }
}

/// Parses every document of a file that `sources` already holds. An empty file has no documents.
///
/// # Errors
/// The first syntax error, duplicate key, bad alias or crossed limit, at its place.
pub fn parse(sources: &SourceMap, file: FileId) -> Result<Vec<Node>, Box<Diagnostic>> {
    let text = sources.file(file).map_or("", |file| file.text.as_str());
    if text.len() > MAX_INPUT {
        let message = format!("the file is {} bytes, the limit is {MAX_INPUT}", text.len());
        return Err(Box::new(Diagnostic::error(Span::start_of(file), message)));
    }
    // The scanner knows no byte order mark inside a document; editors on Windows write one at the start.
    let skipped = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let text = &text[skipped..];
    let mut shifted = Shifted::new(text);
    loop {
        let scanned = shifted.text();
        let failure = match Builder::new(&scanned, file, skipped, &shifted).run(&scanned) {
            Ok(documents) => return Ok(documents),
            Err(failure) => failure,
        };
        match failure {
            Failure::Refused(diagnostic) => return Err(diagnostic),
            Failure::Syntax { at, complaint } => {
                if !shifted.shift(at, &complaint) {
                    return Err(Box::new(syntax_error(text, file, at, skipped, &complaint)));
                }
            }
        }
    }
}

/// Why a text gives no tree.
enum Failure {
    /// It is none, at this byte.
    Syntax { at: usize, complaint: String },
    /// It is one that is not accepted.
    Refused(Box<Diagnostic>),
}

impl From<Box<Diagnostic>> for Failure {
    fn from(diagnostic: Box<Diagnostic>) -> Self {
        Self::Refused(diagnostic)
    }
}

/// An open list or mapping.
struct Frame {
    node: Node,
    anchor: usize,
    /// The key waiting for its value.
    key: Option<(String, Span)>,
    /// Keys seen, to refuse a second one in constant time.
    keys: HashSet<String>,
    /// Values of `<<`, applied when the mapping closes.
    merged: Vec<Node>,
    is_key: bool,
    weight: Weight,
}

/// What a node costs once expanded.
#[derive(Clone, Copy, Default)]
struct Weight {
    nodes: usize,
    bytes: usize,
    depth: usize,
}

struct Builder<'a> {
    file: FileId,
    offsets: Offsets<'a>,
    stack: Vec<Frame>,
    /// Finished anchors; an anchor still open is absent, so an alias to it is refused.
    anchors: BTreeMap<usize, (Node, Weight)>,
    documents: Vec<Node>,
    total: Weight,
}

type Step<T> = Result<T, Box<Diagnostic>>;

impl<'a> Builder<'a> {
    fn new(text: &str, file: FileId, skipped: usize, shifted: &'a Shifted<'_>) -> Self {
        Self {
            file,
            offsets: Offsets::new(text, skipped, shifted),
            stack: Vec::new(),
            anchors: BTreeMap::new(),
            documents: Vec::new(),
            total: Weight::default(),
        }
    }

    fn run(mut self, text: &str) -> Result<Vec<Node>, Failure> {
        let mut parser = Parser::new_from_str(text);
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| Failure::Syntax {
                at: self.offsets.local(error.marker().index()),
                complaint: error.info().to_owned(),
            })?;
            let span = self.span(&span);
            match event {
                Event::Scalar(text, style, anchor, tag) => {
                    let bytes = text.len();
                    let node = scalar(text, style, tag.as_deref(), span);
                    self.finished(node, anchor, Weight { nodes: 1, bytes, depth: 1 })?;
                }
                Event::SequenceStart(anchor, tag) => {
                    self.open(Value::Sequence(Vec::new()), anchor, tag.as_deref(), span)?;
                }
                Event::MappingStart(anchor, tag) => {
                    self.open(Value::Mapping(Vec::new()), anchor, tag.as_deref(), span)?;
                }
                Event::SequenceEnd | Event::MappingEnd => self.close(span)?,
                Event::Alias(anchor) => {
                    let Some((_, weight)) = self.anchors.get(&anchor) else {
                        let message = "an alias cannot stand inside the value it names";
                        let diagnostic = Diagnostic::error(span, message).label("this would contain itself");
                        return Err(Failure::Refused(Box::new(diagnostic)));
                    };
                    let weight = *weight;
                    // The cost is checked before the value is copied again.
                    self.charge(span, weight)?;
                    if let Some((node, _)) = self.anchors.get(&anchor) {
                        let node = node.clone();
                        self.attach(node, weight)?;
                    }
                }
                Event::StreamEnd => break,
                Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => {}
            }
        }
        Ok(self.documents)
    }

    fn span(&self, span: &saphyr_parser::Span) -> Span {
        let start = self.offsets.byte(span.start.index());
        let end = self.offsets.byte(span.end.index()).max(start);
        Span { file: self.file, start, end }
    }

    fn open(&mut self, value: Value, anchor: usize, tag: Option<&Tag>, span: Span) -> Step<()> {
        if self.stack.len() >= MAX_DEPTH {
            return Err(Box::new(Diagnostic::error(span, format!("nested deeper than {MAX_DEPTH} levels"))));
        }
        let is_key = self.at_key();
        self.stack.push(Frame {
            node: Node { value, span, merge: tag.and_then(merge_tag) },
            anchor,
            key: None,
            keys: HashSet::new(),
            merged: Vec::new(),
            is_key,
            weight: Weight { nodes: 1, bytes: 0, depth: 1 },
        });
        Ok(())
    }

    /// Whether the next node is a mapping's key.
    fn at_key(&self) -> bool {
        self.stack
            .last()
            .is_some_and(|frame| matches!(frame.node.value, Value::Mapping(_)) && frame.key.is_none())
    }

    fn close(&mut self, end: Span) -> Step<()> {
        let Some(mut frame) = self.stack.pop() else { return Ok(()) };
        if frame.is_key {
            return Err(Box::new(
                Diagnostic::error(frame.node.span, "a key must be a single word or text")
                    .help("quote the text if it begins with `[` or `{`".to_owned()),
            ));
        }
        if end.end > frame.node.span.start {
            frame.node.span.end = end.start.max(frame.node.span.start);
        }
        let merged = std::mem::take(&mut frame.merged);
        if let Value::Mapping(entries) = &mut frame.node.value {
            for source in merged {
                let Value::Mapping(inherited) = source.value else { continue };
                for entry in inherited {
                    if frame.keys.insert(entry.key.clone()) {
                        entries.push(entry);
                    }
                }
            }
        }
        // What the frame holds was already counted while it was open.
        let weight = frame.weight;
        self.total.nodes = self.total.nodes.saturating_sub(weight.nodes - 1);
        self.total.bytes = self.total.bytes.saturating_sub(weight.bytes);
        self.finished(frame.node, frame.anchor, weight)
    }

    /// A complete node: counted, remembered if anchored, and attached.
    fn finished(&mut self, node: Node, anchor: usize, weight: Weight) -> Step<()> {
        self.charge(node.span, weight)?;
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), weight));
        }
        self.attach(node, weight)
    }

    /// Adds to the totals and refuses what crosses a limit.
    fn charge(&mut self, span: Span, weight: Weight) -> Step<()> {
        self.total.nodes += weight.nodes;
        self.total.bytes += weight.bytes;
        if self.total.nodes > MAX_NODES || self.total.bytes > MAX_BYTES {
            let message = format!("the file expands to more than {MAX_NODES} values or {MAX_BYTES} bytes");
            return Err(Box::new(
                Diagnostic::error(span, message).help("fewer or smaller aliases (`*name`)".to_owned()),
            ));
        }
        if self.stack.len() + weight.depth > MAX_DEPTH + 1 {
            return Err(Box::new(Diagnostic::error(span, format!("nested deeper than {MAX_DEPTH} levels"))));
        }
        Ok(())
    }

    /// Hands a complete node to what is around it.
    fn attach(&mut self, node: Node, weight: Weight) -> Step<()> {
        let span = node.span;
        let Some(frame) = self.stack.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        frame.weight.nodes += weight.nodes;
        frame.weight.bytes += weight.bytes;
        frame.weight.depth = frame.weight.depth.max(weight.depth + 1);
        match &mut frame.node.value {
            Value::Sequence(items) => items.push(node),
            Value::Mapping(entries) => match frame.key.take() {
                None => {
                    let Some(key) = node.text().map(Cow::into_owned) else {
                        return Err(Box::new(
                            Diagnostic::error(span, format!("a key must be text, found {}", node.kind()))
                                .label("expected `name: value`"),
                        ));
                    };
                    frame.key = Some((key, span));
                }
                Some((key, key_span)) if key == "<<" => merge_key(&mut frame.merged, node, key_span)?,
                Some((key, key_span)) => {
                    if !frame.keys.insert(key.clone()) {
                        return Err(Box::new(
                            Diagnostic::error(key_span, format!("the key `{key}` is written twice"))
                                .label("second time")
                                .help("YAML keeps one value per key: join the two".to_owned()),
                        ));
                    }
                    entries.push(Entry { key, key_span, value: node });
                }
            },
            _ => {}
        }
        Ok(())
    }
}

fn merge_key(merged: &mut Vec<Node>, node: Node, key_span: Span) -> Step<()> {
    let sources = match node.value {
        Value::Sequence(items) => items,
        _ => vec![node],
    };
    for source in sources {
        if !matches!(source.value, Value::Mapping(_) | Value::Null) {
            let message = format!("`<<` merges mappings, found {}", source.kind());
            return Err(Box::new(
                Diagnostic::error(key_span, message).label("expected `*anchor` of a mapping"),
            ));
        }
        merged.push(source);
    }
    Ok(())
}

fn merge_tag(tag: &Tag) -> Option<MergeTag> {
    match (tag.handle.as_str(), tag.suffix.as_str()) {
        ("!", "reset") => Some(MergeTag::Reset),
        ("!", "override") => Some(MergeTag::Override),
        _ => None,
    }
}

/// Resolves a scalar by its style, its tag, or the core schema.
fn scalar(text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Node {
    let merge = tag.and_then(merge_tag);
    let core = tag.filter(|tag| tag.is_yaml_core_schema()).map(|tag| tag.suffix.as_str());
    let value = match core {
        Some("str") => Value::String(text.into_owned()),
        Some(_) => resolve(&text),
        None if matches!(style, ScalarStyle::Plain) => resolve(&text),
        None => Value::String(text.into_owned()),
    };
    Node { value, span, merge }
}

/// The YAML 1.2 core schema, as go-yaml reads it (so `yes` and `on` stay text).
fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" => return Value::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Value::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        _ => {}
    }
    let radix =
        |prefix, radix| text.strip_prefix(prefix).and_then(|digits| i64::from_str_radix(digits, radix).ok());
    if let Some(value) = radix("0x", 16).or_else(|| radix("0o", 8)) {
        return Value::Int(value);
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b))
        && digits.bytes().any(|b| b.is_ascii_digit())
    {
        if let Ok(value) = text.parse() {
            return Value::Int(value);
        }
        if let Ok(value) = text.parse() {
            return Value::Float(value);
        }
    }
    Value::String(text.to_owned())
}

/// Character index to byte offset in the file; the parser counts characters of the text it is given.
struct Offsets<'a> {
    /// Byte offset of every character, absent for ASCII text where they are the same.
    table: Option<Vec<u32>>,
    len: usize,
    skipped: usize,
    shifted: &'a Shifted<'a>,
}

impl<'a> Offsets<'a> {
    fn new(text: &str, skipped: usize, shifted: &'a Shifted<'a>) -> Self {
        let table = (!text.is_ascii())
            .then(|| text.char_indices().map(|(at, _)| u32::try_from(at).unwrap_or(u32::MAX)).collect());
        Self { table, len: text.len(), skipped, shifted }
    }

    fn byte(&self, index: usize) -> u32 {
        u32::try_from(self.local(index) + self.skipped).unwrap_or(u32::MAX)
    }

    /// Counted from where the text begins.
    fn local(&self, index: usize) -> usize {
        let at = match &self.table {
            None => index.min(self.len),
            Some(table) => table.get(index).map_or(self.len, |at| *at as usize),
        };
        self.shifted.original(at)
    }
}

#[cfg(test)]
mod tests;
