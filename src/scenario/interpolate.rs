//! Compose's variable interpolation, and the `.env` files the variables come from.
//!
//! Grammar (compose-spec, 12-interpolation): `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME-default}`,
//! `${NAME:?message}`, `${NAME?message}`, `${NAME:+replacement}`, `${NAME+replacement}`; `$$` is a dollar sign, and
//! so is a `$` before anything else, as in `$(date)` or a password's hash. What follows the operator is interpolated
//! too. With a colon an empty value counts as unset. A plain unset variable is blank and reported, since that is what
//! Compose does. Nesting and the size of the result are bounded.

use std::collections::BTreeMap;

/// Deepest nesting of `${A:-${B:-...}}`.
const MAX_NESTING: usize = 32;
/// Largest result of one value, in bytes.
const MAX_RESULT: usize = 1 << 20;

/// A value after interpolation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interpolated {
    /// The text.
    pub text: String,
    /// Names that were unset and became blank, in the order met.
    pub unset: Vec<String>,
}

/// Why a value cannot be interpolated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InterpolateError {
    /// A `${` that begins none of the forms. The field is it and what follows.
    #[error(
        "invalid interpolation `{0}`: expected `${{NAME}}`, `${{NAME:-default}}` or `$${{` for the text itself"
    )]
    Format(String),
    /// `${NAME:?message}` with the variable unset.
    #[error("required variable {name} is missing a value: {message}")]
    Required {
        /// The variable.
        name: String,
        /// The author's message.
        message: String,
    },
    /// Nested deeper than the limit, or larger than the limit.
    #[error("the value nests deeper than 32 levels or grows past 1 MiB")]
    TooLarge,
}

/// Replaces the variables in `text` by what `lookup` answers.
///
/// # Errors
/// See [`InterpolateError`].
pub fn interpolate(
    text: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Interpolated, InterpolateError> {
    let mut out = Interpolated::default();
    let text = expand(text, lookup, &mut out.unset, 0)?;
    out.text = text;
    Ok(out)
}

fn expand(
    text: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
    unset: &mut Vec<String>,
    depth: usize,
) -> Result<String, InterpolateError> {
    if depth > MAX_NESTING {
        return Err(InterpolateError::TooLarge);
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(tail) = after.strip_prefix('$') {
            out.push('$');
            rest = tail;
        } else if let Some(inner) = after.strip_prefix('{') {
            let end = closing_brace(inner).ok_or_else(|| format_error(&rest[at..]))?;
            out.push_str(&braced(&inner[..end], lookup, unset, depth)?);
            rest = &inner[end + 1..];
        } else {
            let end = name_length(after);
            if end == 0 {
                out.push('$');
            } else {
                out.push_str(&value_or_blank(&after[..end], lookup, unset));
            }
            rest = &after[end..];
        }
        if out.len() > MAX_RESULT {
            return Err(InterpolateError::TooLarge);
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// What stands between the braces: a name, an operator, and its text.
fn braced(
    inner: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
    unset: &mut Vec<String>,
    depth: usize,
) -> Result<String, InterpolateError> {
    let (name, rest) = inner.split_at(name_length(inner));
    if name.is_empty() {
        return Err(format_error(&format!("${{{inner}}}")));
    }
    if rest.is_empty() {
        return Ok(value_or_blank(name, lookup, unset));
    }
    let (blank_counts, rest) = rest.strip_prefix(':').map_or((false, rest), |rest| (true, rest));
    let mut chars = rest.chars();
    let operator = chars.next();
    let word = chars.as_str();
    let value = lookup(name).filter(|value| !(blank_counts && value.is_empty()));
    match (operator, value) {
        (Some('-'), Some(value)) | (Some('?'), Some(value)) => Ok(value),
        (Some('-'), None) => expand(word, lookup, unset, depth + 1),
        (Some('?'), None) => {
            let message = expand(word, lookup, unset, depth + 1)?;
            Err(InterpolateError::Required { name: name.to_owned(), message })
        }
        (Some('+'), Some(_)) => expand(word, lookup, unset, depth + 1),
        (Some('+'), None) => Ok(String::new()),
        _ => Err(format_error(&format!("${{{inner}}}"))),
    }
}

/// Where the brace that closes `${` is, minding nested ones.
fn closing_brace(inner: &str) -> Option<usize> {
    let mut open = 0usize;
    let mut previous = ' ';
    for (at, c) in inner.char_indices() {
        match c {
            '{' if previous == '$' => open += 1,
            '}' if open == 0 => return Some(at),
            '}' => open -= 1,
            _ => {}
        }
        previous = c;
    }
    None
}

fn name_length(text: &str) -> usize {
    let mut bytes = text.bytes();
    match bytes.next() {
        Some(b) if b.is_ascii_alphabetic() || b == b'_' => {}
        _ => return 0,
    }
    1 + bytes.take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count()
}

fn value_or_blank(name: &str, lookup: &dyn Fn(&str) -> Option<String>, unset: &mut Vec<String>) -> String {
    lookup(name).unwrap_or_else(|| {
        if !unset.iter().any(|known| known == name) {
            unset.push(name.to_owned());
        }
        String::new()
    })
}

fn format_error(text: &str) -> InterpolateError {
    InterpolateError::Format(text.chars().take(40).collect())
}

/// A line of a `.env` file that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct EnvFileError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// Parses a `.env` file: `NAME=value`, `export NAME=value`, `NAME: value`, comments, single quotes (literal), double
/// quotes (escapes and variables, may span lines), ` #` comments after a value. A bare `NAME` takes its value from
/// `lookup`, or is left out. Variables in values see earlier lines, then `lookup`; unset ones are blank.
///
/// # Errors
/// The first line that is none of these.
pub fn parse_env_file(
    text: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<(String, String)>, EnvFileError> {
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let mut order: Vec<(String, String)> = Vec::new();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut line = 1;
    while !rest.is_empty() {
        let (entry, used) = env_entry(rest).map_err(|message| EnvFileError { line, message })?;
        if let Some((name, raw)) = entry {
            let see = |wanted: &str| lookup(wanted).or_else(|| known.get(wanted).cloned());
            let value = match raw {
                Raw::Bare => see(&name),
                Raw::Literal(value) => Some(value),
                Raw::Expand(value) => Some(
                    interpolate(&value, &see)
                        .map_err(|error| EnvFileError { line, message: error.to_string() })?
                        .text,
                ),
            };
            if let Some(value) = value {
                known.insert(name.clone(), value.clone());
                order.push((name, value));
            }
        }
        line += rest[..used].matches('\n').count();
        rest = &rest[used..];
    }
    Ok(order)
}

enum Raw {
    Bare,
    Literal(String),
    Expand(String),
}

type EnvEntry = (Option<(String, Raw)>, usize);

/// One entry at the start of `text` and how many bytes it took, with its line end.
fn env_entry(text: &str) -> Result<EnvEntry, String> {
    let line_end = text.find('\n').map_or(text.len(), |at| at + 1);
    let line = text[..line_end].trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok((None, line_end));
    }
    let line = line.strip_prefix("export ").map_or(line, str::trim_start);
    let name_end = line.find(['=', ':']).unwrap_or(line.len());
    let name = line[..name_end].trim();
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-[]".contains(&b)) {
        let shown: String = name.chars().take(40).collect();
        return Err(format!("expected `NAME=value`, found `{shown}`"));
    }
    let name = name.to_owned();
    if name_end == line.len() {
        return Ok((Some((name, Raw::Bare)), line_end));
    }
    // Where the value starts in `text`, so that a quoted value may run over the line's end.
    let start = line.as_ptr() as usize - text.as_ptr() as usize + name_end + 1;
    let value = &text[start..];
    let lead = value.len() - value.trim_start_matches([' ', '\t']).len();
    let value = &value[lead..];
    let quote = value.chars().next().filter(|c| matches!(c, '\'' | '"'));
    let Some(quote) = quote else {
        let bare = text[start..line_end].trim();
        let bare = bare.find(" #").map_or(bare, |at| bare[..at].trim_end());
        let bare = if bare.starts_with('#') { "" } else { bare };
        return Ok((Some((name, Raw::Expand(bare.to_owned()))), line_end));
    };
    let mut content = String::new();
    let mut chars = value.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == quote {
            let after = start + lead + at + 1;
            let used = text[after..].find('\n').map_or(text.len(), |end| after + end + 1);
            let raw = if quote == '"' { Raw::Expand(content) } else { Raw::Literal(content) };
            return Ok((Some((name, raw)), used));
        }
        match (c, quote) {
            ('\\', '"') => match chars.next() {
                Some((_, 'n')) => content.push('\n'),
                Some((_, 't')) => content.push('\t'),
                Some((_, 'r')) => content.push('\r'),
                Some((_, '$')) => content.push_str("$$"),
                Some((_, other)) => content.push(other),
                None => break,
            },
            _ => content.push(c),
        }
    }
    Err(format!("the value of {name} has no closing {quote}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lookup(name: &str) -> Option<String> {
        match name {
            "A" => Some("alpha".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn every_form() {
        let cases = [
            ("$A-${A}", "alpha-alpha"),
            ("${NONE:-d}${NONE-d}${EMPTY:-d}${EMPTY-d}", "ddd"),
            ("${A:-d}", "alpha"),
            ("${A:+r}${A+r}${NONE:+r}${EMPTY:+r}${EMPTY+r}", "rrr"),
            ("$$A $${A}", "$A ${A}"),
            ("${NONE:-${ALSO:-${A}}}!", "alpha!"),
            ("${A:?no}", "alpha"),
            ("${NONE-a}b}", "ab}"),
            ("é$Aé", "éalphaé"),
            ("$ a $ $1 $(date) $2a$14$$x $'", "$ a $ $1 $(date) $2a$14$x $'"),
        ];
        for (text, expected) in cases {
            assert_eq!(interpolate(text, &lookup).unwrap().text, expected, "{text}");
        }
        let got = interpolate("a${NONE}b$NONE", &lookup).unwrap();
        assert_eq!((got.text.as_str(), got.unset), ("ab", vec!["NONE".to_owned()]));
    }

    #[test]
    fn errors() {
        for bad in ["${", "${}", "${A", "${A!x}", "${A:}", "${1}"] {
            assert!(matches!(interpolate(bad, &lookup), Err(InterpolateError::Format(_))), "{bad}");
        }
        let error = interpolate("${NONE:?say $A}", &lookup).unwrap_err();
        assert_eq!(error.to_string(), "required variable NONE is missing a value: say alpha");
        let deep = "${N:-".repeat(100) + &"}".repeat(100);
        assert_eq!(interpolate(&deep, &lookup), Err(InterpolateError::TooLarge));
    }

    #[test]
    fn env_files() {
        let text = "# c\nexport ONE=1\nTWO='$ONE'\nTHREE=\"x ${ONE}\\n\ny\" # c\nFOUR=a b # c\nFIVE: 5\nA\nGONE\nSIX=\r\nX=#\n";
        let got = parse_env_file(text, &lookup).unwrap();
        let got: Vec<(&str, &str)> = got.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        let expected = [
            ("ONE", "1"),
            ("TWO", "$ONE"),
            ("THREE", "x 1\n\ny"),
            ("FOUR", "a b"),
            ("FIVE", "5"),
            ("A", "alpha"),
            ("SIX", ""),
            ("X", ""),
        ];
        assert_eq!(got, expected);
        assert_eq!(parse_env_file("A=1\n b c=2\n", &lookup).unwrap_err().line, 2);
        assert!(parse_env_file("A=\"x\n", &lookup).unwrap_err().message.contains("closing"));
    }

    proptest! {
        #[test]
        fn never_panics(text in "[$\\{\\}:?+a-zA-C_\\-\\\\\"'=#\\n é]{0,60}") {
            let _ = interpolate(&text, &lookup);
            let _ = parse_env_file(&text, &lookup);
        }

        #[test]
        fn text_without_dollars_is_unchanged(text in "[^$]{0,40}") {
            prop_assert_eq!(interpolate(&text, &lookup).unwrap().text, text);
        }
    }
}
