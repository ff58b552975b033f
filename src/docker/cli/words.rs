//! Splitting a line into words as a POSIX shell does for a simple command.
//!
//! Follows the token recognition of POSIX.1-2017, chapter 2: blanks separate words, quotes and backslashes join them,
//! `#` at the start of a word opens a comment. Nothing is expanded: a line that would need a shell (pipes, lists,
//! redirections, `$` expansions, command substitution) is refused at the column where that starts, never run as something else.
//! Patterns (`*`, `?`, `[`) and `~` are ordinary characters, as they are in a shell when no file matches.

use thiserror::Error;

/// A line that is no simple command.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("column {column}: {reason}")]
pub struct WordsError {
    /// Where the trouble starts, counted in characters from 1.
    pub column: usize,
    /// What it is.
    pub reason: WordsErrorReason,
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WordsErrorReason {
    /// A quote is never closed.
    #[error("expected a closing {0}, found the end of the line")]
    UnclosedQuote(char),
    /// A backslash ends the line.
    #[error("expected a character after the backslash, found the end of the line")]
    TrailingBackslash,
    /// A shell operator outside quotes.
    #[error("shell operator {0:?} is not supported here: quote it, or run `sh -c '...'` in the container")]
    Operator(char),
    /// A parameter expansion or command substitution.
    #[error("shell expansions are not supported here: put the text itself, or '...' for a literal {0:?}")]
    Expansion(char),
}

/// Splits `line` into words.
///
/// # Errors
/// When a quote is open at the end or the line needs a shell.
pub fn split(line: &str) -> Result<Vec<String>, WordsError> {
    let characters: Vec<char> = line.chars().collect();
    let mut splitter = Splitter { characters: &characters, at: 0, words: Vec::new(), word: None };
    splitter.run()?;
    Ok(splitter.words)
}

struct Splitter<'line> {
    characters: &'line [char],
    at: usize,
    words: Vec<String>,
    word: Option<String>,
}

impl Splitter<'_> {
    fn run(&mut self) -> Result<(), WordsError> {
        while let Some(character) = self.next() {
            let start = self.at;
            match character {
                ' ' | '\t' => self.end_word(),
                '\'' => self.single_quoted(start)?,
                '"' => self.double_quoted(start)?,
                '\\' => match self.next() {
                    Some('\n') => {}
                    Some(escaped) => self.push(escaped),
                    None => return Err(error(start, WordsErrorReason::TrailingBackslash)),
                },
                '#' if self.word.is_none() => self.skip_comment(),
                '|' | '&' | ';' | '<' | '>' | '(' | ')' => {
                    return Err(error(start, WordsErrorReason::Operator(character)));
                }
                '\n' if self.rest_is_blank() => self.end_word(),
                '\n' => return Err(error(start, WordsErrorReason::Operator('\n'))),
                '$' | '`' if self.expands(character) => {
                    return Err(error(start, WordsErrorReason::Expansion(character)));
                }
                other => self.push(other),
            }
        }
        self.end_word();
        Ok(())
    }

    fn single_quoted(&mut self, start: usize) -> Result<(), WordsError> {
        self.open_word();
        loop {
            match self.next() {
                Some('\'') => return Ok(()),
                Some(character) => self.push(character),
                None => return Err(error(start, WordsErrorReason::UnclosedQuote('\''))),
            }
        }
    }

    fn double_quoted(&mut self, start: usize) -> Result<(), WordsError> {
        self.open_word();
        loop {
            match self.next() {
                Some('"') => return Ok(()),
                Some('\\') => match self.peek() {
                    Some('\n') => self.at += 1,
                    Some(escaped @ ('$' | '`' | '"' | '\\')) => {
                        self.at += 1;
                        self.push(escaped);
                    }
                    Some(_) | None => self.push('\\'),
                },
                Some(character @ ('$' | '`')) if self.expands(character) => {
                    return Err(error(self.at, WordsErrorReason::Expansion(character)));
                }
                Some(character) => self.push(character),
                None => return Err(error(start, WordsErrorReason::UnclosedQuote('"'))),
            }
        }
    }

    /// Whether the `$` or backquote just read starts an expansion; a `$` before anything else is a plain character.
    fn expands(&self, character: char) -> bool {
        character == '`'
            || self.peek().is_some_and(|next| next.is_ascii_alphanumeric() || "_{(@*#?-$!".contains(next))
    }

    fn rest_is_blank(&self) -> bool {
        self.characters[self.at..].iter().all(|character| character.is_ascii_whitespace())
    }

    fn skip_comment(&mut self) {
        while self.peek().is_some_and(|next| next != '\n') {
            self.at += 1;
        }
    }

    fn next(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.at += 1;
        Some(character)
    }

    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    fn open_word(&mut self) {
        self.word.get_or_insert_default();
    }

    fn push(&mut self, character: char) {
        self.word.get_or_insert_default().push(character);
    }

    fn end_word(&mut self) {
        self.words.extend(self.word.take());
    }
}

fn error(column: usize, reason: WordsErrorReason) -> WordsError {
    WordsError { column, reason }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_of_real_lines() {
        let cases: [(&str, &[&str]); 9] = [
            ("docker ps -a", &["docker", "ps", "-a"]),
            ("  spaced\tout  ", &["spaced", "out"]),
            ("docker network create ''", &["docker", "network", "create", ""]),
            ("-f '{{json .Ports}}' \"a b\"c", &["-f", "{{json .Ports}}", "a bc"]),
            (r#"index "80/tcp" "a\"b\c" a\ b"#, &["index", "80/tcp", r#"a"b\c"#, "a b"]),
            ("a \\\n  b # rest | of it", &["a", "b"]),
            ("a#b cost$ \"5$\"", &["a#b", "cost$", "5$"]),
            ("{{.Name}} *.txt ~ [::1]:80", &["{{.Name}}", "*.txt", "~", "[::1]:80"]),
            ("last\n", &["last"]),
        ];
        for (line, expected) in cases {
            assert_eq!(split(line).unwrap(), expected, "{line}");
        }
    }

    #[test]
    fn refusals_name_the_column() {
        let cases = [
            ("echo 'a", 6, WordsErrorReason::UnclosedQuote('\'')),
            ("echo \"a", 6, WordsErrorReason::UnclosedQuote('"')),
            ("a\\", 2, WordsErrorReason::TrailingBackslash),
            ("ls | wc", 4, WordsErrorReason::Operator('|')),
            ("é; b", 2, WordsErrorReason::Operator(';')),
            ("a\nb", 2, WordsErrorReason::Operator('\n')),
            ("rm $(docker ps -q)", 4, WordsErrorReason::Expansion('$')),
            ("echo \"$HOME\"", 7, WordsErrorReason::Expansion('$')),
            ("echo `id`", 6, WordsErrorReason::Expansion('`')),
        ];
        for (line, column, reason) in cases {
            assert_eq!(split(line), Err(WordsError { column, reason }), "{line}");
        }
    }

    proptest! {
        #[test]
        fn quoted_words_come_back(words in proptest::collection::vec("[ -~\n]{0,8}", 0..6)) {
            let quoted: Vec<String> =
                words.iter().map(|word| format!("'{}'", word.replace('\'', r"'\''"))).collect();
            prop_assert_eq!(split(&quoted.join(" ")), Ok(words));
        }

        #[test]
        fn any_line_is_split_or_refused(line in "\\PC{0,40}") {
            let _ = split(&line);
        }
    }
}
