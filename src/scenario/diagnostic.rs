//! Messages that point at the line they are about.
//!
//! Every file read is kept in a [`SourceMap`]; a [`Span`] is a byte range in one of its files and travels with
//! each value from the YAML tree to the typed model, so a check that fails while running can still show its own
//! line. Problems are collected in [`Diagnostics`] instead of stopping at the first one; the collection is bounded
//! ([`MAX_DIAGNOSTICS`]) because a large broken file would otherwise print one error per line.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

/// How many diagnostics are kept; later ones are only counted.
pub const MAX_DIAGNOSTICS: usize = 50;

/// Lines longer than this many bytes are not shown, only named by position.
const MAX_SHOWN_LINE: usize = 1000;

/// Which file of a [`SourceMap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(u32);

impl FileId {
    /// The file that was read first: the scenario itself.
    pub const FIRST: FileId = FileId(0);
}

/// A half-open byte range in one source file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The file the range is in.
    pub file: FileId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The empty span at the beginning of a file.
    #[must_use]
    pub const fn start_of(file: FileId) -> Self {
        Self { file, start: 0, end: 0 }
    }

    /// From the start of this span to the end of `other`; this span when they are in different files.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        if self.file == other.file { Self { end: other.end.max(self.end), ..self } } else { self }
    }
}

/// A value with the place it was written at. Equality ignores the place.
#[derive(Clone, Copy, Debug)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Joins a value and its place.
    pub const fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Spanned<T> {}

impl<T> std::ops::Deref for Spanned<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// One file's text, with its line starts.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// The path as the user named it.
    pub path: PathBuf,
    /// The whole text.
    pub text: String,
    line_starts: Vec<u32>,
}

/// A place for people: path, line and column, both counted from 1 (columns in characters).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The file.
    pub path: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.path.display(), self.line, self.column)
    }
}

/// Every file that was read for one scenario.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    files: Vec<SourceFile>,
}

impl SourceMap {
    /// Adds a file and returns its id.
    pub fn add(&mut self, path: &Path, text: String) -> FileId {
        let id = FileId(u32::try_from(self.files.len()).unwrap_or(u32::MAX));
        let mut line_starts = vec![0];
        line_starts.extend(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| offset(i + 1)));
        self.files.push(SourceFile { path: path.to_path_buf(), text, line_starts });
        id
    }

    /// The file with this id.
    #[must_use]
    pub fn file(&self, id: FileId) -> Option<&SourceFile> {
        self.files.get(id.0 as usize)
    }

    /// All files in the order they were read.
    #[must_use]
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// Where a span begins, for people.
    #[must_use]
    pub fn position(&self, span: Span) -> Option<Position> {
        let file = self.file(span.file)?;
        let line = file.line_of(span.start);
        let start = file.line_starts[line] as usize;
        let column = file.text.get(start..span.start as usize).map_or(0, |text| text.chars().count());
        Some(Position { path: file.path.clone(), line: line + 1, column: column + 1 })
    }

    /// The line a span begins in, without its line end.
    #[must_use]
    pub fn line(&self, span: Span) -> Option<&str> {
        let file = self.file(span.file)?;
        Some(file.line(file.line_of(span.start)))
    }

    /// The source text a span covers.
    #[must_use]
    pub fn text(&self, span: Span) -> Option<&str> {
        self.file(span.file)?.text.get(span.start as usize..span.end as usize)
    }
}

impl SourceFile {
    fn line_of(&self, at: u32) -> usize {
        self.line_starts.partition_point(|start| *start <= at).saturating_sub(1)
    }

    /// The text of a line (from 0) without its line end.
    fn line(&self, index: usize) -> &str {
        let start = self.line_starts.get(index).map_or(self.text.len(), |s| *s as usize);
        let end = self.line_starts.get(index + 1).map_or(self.text.len(), |s| *s as usize);
        self.text.get(start..end).unwrap_or("").trim_end_matches(['\n', '\r'])
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The scenario is refused.
    Error,
    /// The scenario runs; the author should look.
    Warning,
    /// Shown only with `--verbose`.
    Note,
}

/// One message about one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// Where, when there is a place.
    pub span: Option<Span>,
    /// What was expected, shown under the line.
    pub label: Option<String>,
    /// Another place that has to do with it, and what stands there.
    pub also: Option<(Span, String)>,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error at a place.
    #[must_use]
    pub fn error(span: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            span: span.into(),
            label: None,
            also: None,
            help: None,
        }
    }

    /// A warning at a place.
    #[must_use]
    pub fn warning(span: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(span, message) }
    }

    /// A note at a place, for `--verbose`.
    #[must_use]
    pub fn note(span: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Note, ..Self::error(span, message) }
    }

    /// Adds what was expected.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Adds another place and what stands there.
    #[must_use]
    pub fn also(mut self, span: Span, text: impl Into<String>) -> Self {
        self.also = Some((span, text.into()));
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<Option<String>>) -> Self {
        self.help = help.into();
        self
    }

    /// The message with its source line, without a trailing line end. `colour` adds ANSI styles.
    #[must_use]
    pub fn render(&self, sources: &SourceMap, colour: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let mut group = Group::with_title(level.primary_title(self.message.as_str()));
        if let Some((span, file)) = self.span.and_then(|span| Some((span, sources.file(span.file)?))) {
            group = show_line(group, span, file, sources, self.label.as_deref());
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        let mut groups = vec![group];
        if let Some((span, text)) = &self.also
            && let Some(file) = sources.file(span.file)
        {
            let first = Group::with_title(Level::NOTE.secondary_title(text.as_str()));
            groups.push(show_line(first, *span, file, sources, None));
        }
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&groups)
    }
}

fn show_line<'a>(
    group: Group<'a>,
    span: Span,
    file: &'a SourceFile,
    sources: &SourceMap,
    label: Option<&'a str>,
) -> Group<'a> {
    let path = file.path.to_string_lossy().into_owned();
    let index = file.line_of(span.start);
    let line = file.line(index);
    let line_start = file.line_starts[index] as usize;
    let column = (span.start as usize - line_start).min(line.len());
    if line.len() > MAX_SHOWN_LINE {
        let column = sources.position(span).map_or(1, |position| position.column);
        return group.element(Origin::path(path).line(index + 1).char_column(column));
    }
    // A span over several lines is shown by its first line: the place, not the whole block.
    let end = ((span.end as usize).saturating_sub(line_start)).clamp(column, line.len());
    let end = if end == column { (column + 1).min(line.len()) } else { end };
    let (column, end) = (char_floor(line, column), char_ceil(line, end));
    let annotation = AnnotationKind::Primary.span(column..end).label(label);
    group.element(Snippet::source(line).line_start(index + 1).path(path).annotation(annotation))
}

fn char_floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn char_ceil(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// A bounded collection of diagnostics. The same message about the same place is kept once.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    items: Vec<Diagnostic>,
    seen: BTreeSet<(Option<Span>, String)>,
    errors: usize,
    suppressed: usize,
}

impl Diagnostics {
    /// Adds one. Past [`MAX_DIAGNOSTICS`] of its kind it is only counted.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if diagnostic.severity == Severity::Error {
            self.errors += 1;
        }
        let same_kind = self.items.iter().filter(|item| item.severity == diagnostic.severity).count();
        if same_kind >= MAX_DIAGNOSTICS {
            self.suppressed += 1;
        } else if self.seen.insert((diagnostic.span, diagnostic.message.clone())) {
            self.items.push(diagnostic);
        }
    }

    /// Adds an error at a place.
    pub fn error(&mut self, span: impl Into<Option<Span>>, message: impl Into<String>) {
        self.push(Diagnostic::error(span, message));
    }

    /// Whether any error was added.
    #[must_use]
    pub const fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Everything kept, in the order it was found.
    #[must_use]
    pub fn items(&self) -> &[Diagnostic] {
        &self.items
    }

    /// How many were only counted.
    #[must_use]
    pub const fn suppressed(&self) -> usize {
        self.suppressed
    }

    /// Takes everything kept out of the collection.
    #[must_use]
    pub fn into_items(self) -> Vec<Diagnostic> {
        self.items
    }
}

/// A scenario that was refused: the diagnostics, and the files they point into.
#[derive(Clone, Debug)]
pub struct LoadError {
    /// Errors first found first, with the warnings between them.
    pub diagnostics: Vec<Diagnostic>,
    /// How many more there were.
    pub suppressed: usize,
    /// The files the spans point into.
    pub sources: SourceMap,
}

impl LoadError {
    /// All diagnostics with their lines. `colour` adds ANSI styles.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let mut out: Vec<String> = self.diagnostics.iter().map(|d| d.render(&self.sources, colour)).collect();
        if self.suppressed > 0 {
            out.push(format!("... and {} more", self.suppressed));
        }
        out.join("\n\n")
    }

    /// The errors alone.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|d| d.severity == Severity::Error)
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for LoadError {}

/// "did you mean `x`?" for the candidate nearest to what was written, when one is near.
pub fn did_you_mean<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(written, candidates).map(|name| format!("did you mean `{name}`?"))
}

/// The candidate within a small edit distance of `written` (a third of its length, at least one edit);
/// never `written` itself.
pub fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const LONGEST: usize = 64;
    if written.len() > LONGEST {
        return None;
    }
    let allowed = (written.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .filter(|candidate| {
            *candidate != written
                && candidate.len() <= LONGEST
                && candidate.len().abs_diff(written.len()) <= allowed * 4
        })
        .map(|candidate| (edit_distance(written, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Optimal string alignment: insert, delete, replace, or swap two neighbours, each one edit; case does not count.
fn edit_distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().flat_map(char::to_lowercase).collect();
    let b: Vec<char> = b.chars().flat_map(char::to_lowercase).collect();
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_from_one() {
        let mut sources = SourceMap::default();
        let file = sources.add(Path::new("a.yaml"), "é: 1\nné: two\n".into());
        let at = |start, end| sources.position(Span { file, start, end }).unwrap().to_string();
        assert_eq!(at(0, 1), "a.yaml:1:1");
        assert_eq!(at(4, 5), "a.yaml:1:4");
        assert_eq!(at(11, 14), "a.yaml:2:5");
    }

    #[test]
    fn rendering_shows_place_line_label_and_help() {
        let mut sources = SourceMap::default();
        let file = sources.add(Path::new("a.yaml"), "services:\n  web:\n    netwroks: [a]\n".into());
        let text = Diagnostic::error(Span { file, start: 21, end: 29 }, "unknown key `netwroks`")
            .label("not a key of a service")
            .help(did_you_mean("netwroks", ["image", "networks"]))
            .render(&sources, false);
        for part in
            ["error: unknown key", "a.yaml:3:5", "netwroks: [a]", "not a key of", "did you mean `networks`?"]
        {
            assert!(text.contains(part), "{part:?} is missing in:\n{text}");
        }
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn rendering_survives_any_span() {
        let mut sources = SourceMap::default();
        let file = sources.add(Path::new("a"), format!("ä\n{}\n\n", "é".repeat(2000)));
        for start in 0..12 {
            for end in 0..12 {
                let diagnostic = Diagnostic::error(Span { file, start, end }, "x").label("y");
                assert!(diagnostic.render(&sources, true).contains('x'));
            }
        }
        let past = Span { file, start: 9_000_000, end: 9_000_001 };
        assert!(Diagnostic::error(past, "x").render(&sources, false).contains('x'));
    }

    #[test]
    fn nearest_is_near() {
        assert_eq!(nearest("netwrok", ["network", "ports"]), Some("network"));
        assert_eq!(nearest("foo", ["network", "ports"]), None);
        assert_eq!(nearest("port", ["port", "ports"]), Some("ports"));
        assert_eq!(nearest("Ports", ["network", "ports"]), Some("ports"));
    }

    #[test]
    fn the_collection_is_bounded_and_keeps_each_once() {
        let mut all = Diagnostics::default();
        for i in 0..200 {
            all.error(None, format!("problem {}", i / 2));
        }
        assert_eq!(all.items().len(), MAX_DIAGNOSTICS);
        assert!(all.has_errors() && all.suppressed() > 0);
    }
}
