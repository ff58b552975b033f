//! Reads Rust source far enough to know which paths it names, from which module, on which line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One scanned file.
pub(crate) struct Source {
    /// Relative to the repository.
    pub(crate) file: String,
    /// `docker::dns`, `linkspan_switch::fdb`; empty for `src/lib.rs` and `src/main.rs`.
    pub(crate) module: Vec<String>,
    /// The paths it names, in order.
    pub(crate) references: Vec<Reference>,
    /// Every identifier and keyword with its line.
    pub(crate) names: Vec<(String, usize)>,
    /// The lines of `static mut`.
    pub(crate) mutable_statics: Vec<usize>,
}

/// A path as it stands in the code, made absolute.
#[derive(Debug)]
pub(crate) struct Reference {
    /// `crate::engine::sys::Sys`, `linkspan_nat::rule`, `std::fs::read`. A path into the file's own crate starts with
    /// `crate` in the library and with the crate's name in the other two. A path that begins with a name declared
    /// in the file itself stays as it is written.
    pub(crate) path: Vec<String>,
    /// The module it stands in.
    pub(crate) module: Vec<String>,
    /// It begins with a name that a `use` of the same file brought into scope.
    pub(crate) by_alias: bool,
    /// From 1.
    pub(crate) line: usize,
}

impl Source {
    /// Scans one file. `krate` is empty for the library.
    pub(crate) fn new(file: &str, module: Vec<String>, krate: &str, tokens: &[Token]) -> Source {
        let mut scanner = Scanner {
            tokens,
            position: 0,
            krate,
            module: module.clone(),
            depth: 0,
            inline: Vec::new(),
            aliases: BTreeMap::new(),
            references: Vec::new(),
        };
        scanner.scan();
        let names = tokens.iter().filter_map(|token| match &token.kind {
            Kind::Name(name) => Some((name.clone(), token.line)),
            Kind::Symbol(_) | Kind::PathSeparator | Kind::Text(_) => None,
        });
        let statics = tokens.windows(2).filter(|pair| pair[0].is_name("static") && pair[1].is_name("mut"));
        Source {
            file: file.to_owned(),
            references: scanner.references,
            names: names.collect(),
            mutable_statics: statics.map(|pair| pair[0].line).collect(),
            module,
        }
    }
}

/// The module path of each file: from its place, unless a `#[path = "..."]` says otherwise.
pub(crate) fn module_paths(
    folder: &Path,
    krate: &str,
    texts: &[(PathBuf, Vec<Token>)],
) -> BTreeMap<PathBuf, Vec<String>> {
    let mut modules = BTreeMap::new();
    for (file, _) in texts {
        let mut path: Vec<String> = if krate.is_empty() { Vec::new() } else { vec![krate.to_owned()] };
        let place = file.strip_prefix(folder).unwrap().with_extension("");
        path.extend(place.iter().map(|part| part.to_str().unwrap().to_owned()));
        if path.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
            path.pop();
        }
        modules.insert(file.clone(), path);
    }
    for (file, tokens) in texts {
        for (target, name) in path_attributes(tokens) {
            let mut path = modules[file].clone();
            path.push(name);
            modules.insert(file.parent().unwrap().join(target), path);
        }
    }
    modules
}

/// Each `#[path = "file"] mod name;` as (file, name).
fn path_attributes(tokens: &[Token]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (index, window) in tokens.windows(3).enumerate() {
        let (Kind::Symbol('='), Kind::Text(file)) = (&window[1].kind, &window[2].kind) else { continue };
        let rest = &tokens[index + 3..];
        if window[0].is_name("path")
            && let Some(position) = rest.iter().position(|token| token.is_name("mod"))
            && let Some(Kind::Name(name)) = rest.get(position + 1).map(|token| &token.kind)
        {
            found.push((file.clone(), name.clone()));
        }
    }
    found
}

/// Finds paths in a token stream.
struct Scanner<'a> {
    tokens: &'a [Token],
    position: usize,
    krate: &'a str,
    module: Vec<String>,
    depth: usize,
    /// Depths at which an inline `mod name {` opened.
    inline: Vec<usize>,
    /// Names that a `use` brought into scope, as absolute paths.
    aliases: BTreeMap<String, Vec<String>>,
    references: Vec<Reference>,
}

impl Scanner<'_> {
    fn scan(&mut self) {
        while let Some(token) = self.tokens.get(self.position) {
            match &token.kind {
                Kind::Symbol('{') => {
                    self.depth += 1;
                    self.position += 1;
                }
                Kind::Symbol('}') => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.inline.last() == Some(&self.depth) {
                        self.inline.pop();
                        self.module.pop();
                    }
                    self.position += 1;
                }
                Kind::Name(name) if name == "mod" && self.opens_module() => {}
                // `use<'a>` in a bound captures lifetimes and imports nothing.
                Kind::Name(name) if name == "use" && !self.symbol_at(1, '<') => {
                    self.position += 1;
                    self.use_tree(&mut Vec::new());
                }
                Kind::Name(name) if name == "extern" && self.name_at(1) == Some("crate") => {
                    self.position += 2;
                    self.use_tree(&mut Vec::new());
                }
                Kind::Name(_) => self.path_in_code(),
                Kind::Symbol(_) | Kind::PathSeparator | Kind::Text(_) => self.position += 1,
            }
        }
    }

    /// Enters `mod name {`; `mod name;` changes nothing.
    fn opens_module(&mut self) -> bool {
        let Some(name) = self.name_at(1).map(str::to_owned) else { return false };
        if !self.symbol_at(2, '{') {
            return false;
        }
        self.module.push(name);
        self.inline.push(self.depth);
        self.depth += 1;
        self.position += 3;
        true
    }

    /// One branch of a `use` tree; `prefix` is what stands before it.
    fn use_tree(&mut self, prefix: &mut Vec<String>) {
        let (length, start) = (prefix.len(), self.position);
        let mut line = 0;
        while let Some(token) = self.tokens.get(self.position) {
            line = token.line;
            match &token.kind {
                Kind::Symbol('{') => {
                    self.position += 1;
                    while !self.symbol_at(0, '}') && self.position < self.tokens.len() {
                        self.use_tree(prefix);
                        if self.symbol_at(0, ',') {
                            self.position += 1;
                        }
                    }
                    self.position += 1;
                    prefix.truncate(length);
                    return;
                }
                Kind::Symbol('*') => prefix.push("*".to_owned()),
                Kind::Name(name) if name == "as" => break,
                Kind::Name(name) => prefix.push(name.clone()),
                Kind::PathSeparator => {}
                Kind::Symbol(_) | Kind::Text(_) => break,
            }
            self.position += 1;
        }
        let mut path = prefix.clone();
        prefix.truncate(length);
        // `use a::{self}` is `use a`.
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let mut alias = path.last().cloned();
        if self.name_at(0) == Some("as") {
            alias = self.name_at(1).map(str::to_owned);
            self.position += 2;
        }
        if self.position == start {
            // Neither a name nor a group: step over it, so that scanning always moves on.
            self.position += 1;
        } else if !path.is_empty() {
            let absolute = self.record(&path, line);
            if let Some(alias) = alias.filter(|alias| alias != "*" && alias != "_") {
                self.aliases.insert(alias, absolute);
            }
        }
    }

    /// A path outside `use`: `a::b::c`, as far as names follow each other.
    fn path_in_code(&mut self) {
        let line = self.tokens[self.position].line;
        let mut path = Vec::new();
        while let Some(name) = self.name_at(0) {
            path.push(name.to_owned());
            self.position += 1;
            if self.tokens.get(self.position).map(|token| &token.kind) != Some(&Kind::PathSeparator) {
                break;
            }
            self.position += 1;
        }
        if path.len() > 1 {
            self.record(&path, line);
        }
    }

    /// Makes a path absolute, keeps it, and returns it.
    fn record(&mut self, path: &[String], line: usize) -> Vec<String> {
        let absolute = self.absolute(path);
        let by_alias = self.aliases.contains_key(&path[0]);
        self.references.push(Reference {
            path: absolute.clone(),
            module: self.module.clone(),
            by_alias,
            line,
        });
        absolute
    }

    fn absolute(&self, path: &[String]) -> Vec<String> {
        let (mut module, mut rest) = match path[0].as_str() {
            "crate" if self.krate.is_empty() => (Vec::new(), &path[1..]),
            "crate" => (vec![self.krate.to_owned()], &path[1..]),
            "self" => (self.module.clone(), &path[1..]),
            "super" => (self.module.clone(), path),
            first => {
                let Some(alias) = self.aliases.get(first) else { return path.to_vec() };
                return alias.iter().chain(&path[1..]).cloned().collect();
            }
        };
        while rest.first().is_some_and(|segment| segment == "super") {
            module.pop();
            rest = &rest[1..];
        }
        let root = self.krate.is_empty().then(|| "crate".to_owned());
        root.into_iter().chain(module).chain(rest.iter().cloned()).collect()
    }

    fn name_at(&self, offset: usize) -> Option<&str> {
        match self.tokens.get(self.position + offset).map(|token| &token.kind) {
            Some(Kind::Name(name)) => Some(name),
            _ => None,
        }
    }

    fn symbol_at(&self, offset: usize, symbol: char) -> bool {
        self.tokens.get(self.position + offset).is_some_and(|token| token.kind == Kind::Symbol(symbol))
    }
}

/// A piece of source that is no comment.
#[derive(Debug)]
pub(crate) struct Token {
    kind: Kind,
    line: usize,
}

impl Token {
    fn is_name(&self, wanted: &str) -> bool {
        matches!(&self.kind, Kind::Name(name) if name == wanted)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// An identifier or keyword, raw ones without `r#`.
    Name(String),
    /// `::`
    PathSeparator,
    /// A string literal; raw strings, characters and bytes are empty texts.
    Text(String),
    /// Any other single character; a number is one `0`.
    Symbol(char),
}

/// Splits Rust source into tokens; comments vanish, literals become one token each. Any text is accepted.
pub(crate) fn tokenise(source: &str) -> Vec<Token> {
    let characters: Vec<char> = source.chars().collect();
    let at = |index: usize| characters.get(index).copied().unwrap_or('\0');
    let word_end = |index: usize| {
        let length = characters[index..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').count();
        index + length
    };
    let mut tokens = Vec::new();
    let mut index = 0;
    let mut line = 1;
    while index < characters.len() {
        let start = index;
        let first = at(index);
        let kind = if first.is_whitespace() {
            index += 1;
            None
        } else if first == '/' && at(index + 1) == '/' {
            index += characters[index..].iter().take_while(|c| **c != '\n').count();
            None
        } else if first == '/' && at(index + 1) == '*' {
            index = block_comment_end(&characters, index);
            None
        } else if let Some(end) = raw_string_end(&characters, index) {
            index = end;
            Some(Kind::Text(String::new()))
        } else if let Some(quote) = string_start(&characters, index) {
            index = string_end(&characters, quote);
            let content = characters.get(quote + 1..index - 1).unwrap_or_default();
            Some(Kind::Text(content.iter().collect()))
        } else if let Some(end) = character_end(&characters, index) {
            index = end;
            Some(Kind::Text(String::new()))
        } else if first.is_alphabetic() || first == '_' {
            let begin = if first == 'r' && at(index + 1) == '#' { index + 2 } else { index };
            index = word_end(begin).max(index + 1);
            Some(Kind::Name(characters[begin.min(index)..index].iter().collect()))
        } else if first.is_ascii_digit() {
            index = word_end(index);
            Some(Kind::Symbol('0'))
        } else if first == ':' && at(index + 1) == ':' {
            index += 2;
            Some(Kind::PathSeparator)
        } else {
            index += 1;
            Some(Kind::Symbol(first))
        };
        index = index.min(characters.len());
        if let Some(kind) = kind {
            tokens.push(Token { kind, line });
        }
        line += characters[start..index].iter().filter(|c| **c == '\n').count();
    }
    tokens
}

/// The end of a block comment; they nest.
fn block_comment_end(characters: &[char], start: usize) -> usize {
    let mut depth = 0;
    let mut index = start;
    while index < characters.len() {
        match (characters[index], characters.get(index + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                index += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                index += 2;
                if depth == 0 {
                    return index;
                }
            }
            _ => index += 1,
        }
    }
    index
}

/// The end of `r"..."`, `r#"..."#`, `br`, `cr`; `None` if none starts here.
fn raw_string_end(characters: &[char], start: usize) -> Option<usize> {
    let mut index = start;
    if matches!(characters.get(index), Some('b' | 'c')) {
        index += 1;
    }
    if characters.get(index) != Some(&'r') {
        return None;
    }
    index += 1;
    let hashes = characters[index..].iter().take_while(|c| **c == '#').count();
    index += hashes;
    if characters.get(index) != Some(&'"') {
        return None;
    }
    index += 1;
    while index < characters.len() {
        let closing = characters[index + 1..].iter().take(hashes).filter(|c| **c == '#').count();
        if characters[index] == '"' && closing == hashes {
            return Some(index + 1 + hashes);
        }
        index += 1;
    }
    Some(index)
}

/// Where the opening quote of `"..."`, `b"..."` or `c"..."` stands.
fn string_start(characters: &[char], start: usize) -> Option<usize> {
    match (characters[start], characters.get(start + 1)) {
        ('"', _) => Some(start),
        ('b' | 'c', Some('"')) => Some(start + 1),
        _ => None,
    }
}

/// The end of a string with escapes.
fn string_end(characters: &[char], quote: usize) -> usize {
    let mut index = quote + 1;
    while index < characters.len() {
        match characters[index] {
            '\\' => index += 2,
            '"' => return index + 1,
            _ => index += 1,
        }
    }
    characters.len()
}

/// The end of `'x'`, `'\n'` or `b'x'`; `None` for a lifetime.
fn character_end(characters: &[char], start: usize) -> Option<usize> {
    let quote = match (characters[start], characters.get(start + 1)) {
        ('\'', _) => start,
        ('b', Some('\'')) => start + 1,
        _ => return None,
    };
    if characters.get(quote + 1) == Some(&'\\') {
        let end = characters.get(quote + 3..)?.iter().position(|c| *c == '\'')?;
        return Some(quote + 3 + end + 1);
    }
    (characters.get(quote + 2) == Some(&'\'')).then_some(quote + 3)
}
