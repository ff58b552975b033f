//! What the parser complains of, in words that say what to do: it knows YAML, not what somebody meant to write.

use super::super::diagnostic::{Diagnostic, FileId, Span};

/// `local` counts from the start of `text`.
pub(super) fn syntax_error(text: &str, file: FileId, local: usize, skipped: usize, info: &str) -> Diagnostic {
    let at = u32::try_from(local + skipped).unwrap_or(u32::MAX);
    let line_start = text.get(..local).and_then(|before| before.rfind('\n')).map_or(0, |i| i + 1);
    let line = text[line_start..].lines().next().unwrap_or("");
    let indent = &line[..line.len() - line.trim_start().len()];
    if let Some(tab) = indent.find('\t') {
        let start = u32::try_from(line_start + skipped + tab).unwrap_or(at);
        return Diagnostic::error(Span { file, start, end: start + 1 }, "a tab is used for indentation")
            .label("YAML indents with spaces only");
    }
    let span = Span { file, start: at, end: at };
    let diagnostic = Diagnostic::error(span, format!("this is not valid YAML: {info}"));
    if line.contains(" -> ") || line.contains(" ? ") {
        return diagnostic.help(
            "a check after `check:` or `done:` is quoted, as in check: \"web -> db:5432: ok\", or is a list item of its own"
                .to_owned(),
        );
    }
    if info.contains("mapping values") {
        return diagnostic.help(second_value(&text[..line_start], line).to_owned());
    }
    if info.contains("unknown anchor") {
        return diagnostic.help("nothing before it is marked with `&` and this name".to_owned());
    }
    if info.contains("unexpected character") {
        return diagnostic.help("quote the text that begins with it".to_owned());
    }
    if info.contains("trailing content") {
        return diagnostic
            .help("a quote further up may be missing: here text ends that began there".to_owned());
    }
    if info.contains("unknown escape character") {
        return diagnostic.help(
            "in double quotes a backslash is YAML's own: write `\\\\` for one, use single quotes, or put the text on lines of its \
             own behind `|`"
                .to_owned(),
        );
    }
    if info.contains("quoted scalar") {
        return diagnostic.help("the quote that begins here is not closed".to_owned());
    }
    if info.contains("flow") || info.contains("':' indicator") {
        return diagnostic.help("a `[` or `{` before this is not closed, or a comma is missing".to_owned());
    }
    if info.contains("expected key")
        && let Some(help) = misaligned(&text[..line_start], indent.len())
    {
        return diagnostic.help(help);
    }
    diagnostic
}

/// What is behind a `: ` that cannot begin a value.
fn second_value(before: &str, line: &str) -> &'static str {
    let key = |line: &str| line.contains(": ") || line.trim_end().ends_with(':');
    if line.matches(": ").count() > 1 {
        return "a text that holds `: ` has to be quoted";
    }
    let above = before.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let indent = |line: &str| line.len() - line.trim_start().len();
    if !key(above) {
        "the line above has no `: `, a colon and a space, after its key"
    } else if indent(line) > indent(above) {
        "the line above has a value already, so this one cannot stand deeper"
    } else {
        "a key, a colon and a value: quote the text if it is one"
    }
}

/// What is odd about the indentation of a line that cannot be read as a key.
fn misaligned(before: &str, indent: usize) -> Option<String> {
    let mut last = None;
    for line in before.lines().rev() {
        let text = line.trim_start();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let other = line.len() - text.len();
        last = last.or(Some(other));
        // The first line that stands as far left is where this one's mapping ends; what was before it is its neighbour.
        if other <= indent {
            break;
        }
        last = Some(other);
    }
    let other = last.filter(|other| *other != indent)?;
    Some(format!(
        "keys of one mapping begin at the same column: this line has {indent} spaces before it, the one above {other}"
    ))
}
