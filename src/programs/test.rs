//! `test EXPRESSION` and `[ EXPRESSION ]`, which the shell has inside, too.

use super::arguments;
use crate::engine::sys::{ExitCode, Sys};

/// Expressions inside one another.
const DEEPEST: u32 = 64;

/// Evaluates an expression: status 0 if it holds, 1 if not, 2 if it cannot be understood.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let (name, words) = arguments(&sys);
    match evaluate(&sys, name, words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            sys.print_error(format!("{name}: {message}\n")).await;
            ExitCode(2)
        }
    }
}

/// Whether an expression holds; `[` wants its bracket.
pub(crate) fn evaluate(sys: &Sys, name: &str, words: &[String]) -> Result<bool, String> {
    let words = match (name, words.split_last()) {
        ("[", Some((last, rest))) if last == "]" => rest,
        ("[", _) => return Err("missing ]".to_owned()),
        _ => words,
    };
    if words.is_empty() {
        return Ok(false);
    }
    let mut reader = Reader { sys, words, at: 0, depth: 0 };
    let holds = reader.either()?;
    match reader.words.get(reader.at) {
        Some(word) => Err(format!("{word}: unknown operand")),
        None => Ok(holds),
    }
}

struct Reader<'a> {
    sys: &'a Sys,
    words: &'a [String],
    at: usize,
    depth: u32,
}

impl Reader<'_> {
    fn either(&mut self) -> Result<bool, String> {
        let mut holds = self.all()?;
        while self.take("-o") {
            holds |= self.all()?;
        }
        Ok(holds)
    }

    fn all(&mut self) -> Result<bool, String> {
        let mut holds = self.not()?;
        while self.take("-a") {
            holds &= self.not()?;
        }
        Ok(holds)
    }

    fn not(&mut self) -> Result<bool, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("nested deeper than {DEEPEST} levels"));
        }
        let negated = self.word(0) == Some("!") && self.word(1).is_some() && !self.is_binary(1);
        if negated {
            self.at += 1;
        }
        let holds = if negated { !self.not()? } else { self.primary()? };
        self.depth -= 1;
        Ok(holds)
    }

    fn primary(&mut self) -> Result<bool, String> {
        let Some(first) = self.word(0).map(str::to_owned) else { return Err("argument expected".to_owned()) };
        if self.is_binary(1) {
            let (operator, right) = (self.words[self.at + 1].clone(), self.words[self.at + 2].clone());
            self.at += 3;
            return binary(&first, &operator, &right);
        }
        if first == "(" && self.word(1).is_some() {
            self.at += 1;
            let holds = self.either()?;
            return if self.take(")") { Ok(holds) } else { Err("closing paren expected".to_owned()) };
        }
        if let (Some(letter), Some(operand)) = (unary_letter(&first), self.word(1)) {
            let holds = self.unary(letter, operand);
            self.at += 2;
            return Ok(holds);
        }
        self.at += 1;
        Ok(!first.is_empty())
    }

    fn unary(&self, letter: char, operand: &str) -> bool {
        let directory = || !self.sys.list_files(&format!("{}/", operand.trim_end_matches('/'))).is_empty();
        match letter {
            'n' => !operand.is_empty(),
            'z' => operand.is_empty(),
            'f' | 'r' | 'w' | 'x' if self.sys.read_file(operand).is_ok() => true,
            's' => self.sys.read_file(operand).is_ok_and(|content| !content.is_empty()),
            'd' | 'x' | 'r' | 'w' => directory(),
            'e' => self.sys.read_file(operand).is_ok() || directory(),
            _ => false,
        }
    }

    fn word(&self, ahead: usize) -> Option<&str> {
        self.words.get(self.at + ahead).map(String::as_str)
    }

    /// True if the word there is a binary operator with something behind it.
    fn is_binary(&self, ahead: usize) -> bool {
        self.word(ahead + 1).is_some() && self.word(ahead).is_some_and(|word| BINARY.contains(&word))
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.word(0) == Some(word);
        self.at += usize::from(found);
        found
    }
}

const BINARY: [&str; 11] = ["=", "==", "!=", "<", ">", "-eq", "-ne", "-lt", "-le", "-gt", "-ge"];

fn unary_letter(word: &str) -> Option<char> {
    let mut letters = word.strip_prefix('-')?.chars();
    match (letters.next(), letters.next()) {
        (Some(letter), None) if "nzefdrwxshLptSbcugkOG".contains(letter) => Some(letter),
        _ => None,
    }
}

fn binary(left: &str, operator: &str, right: &str) -> Result<bool, String> {
    let numbers = || Ok::<_, String>((number(left)?, number(right)?));
    Ok(match operator {
        "=" | "==" => left == right,
        "!=" => left != right,
        "<" => left < right,
        ">" => left > right,
        "-eq" => numbers().map(|(a, b)| a == b)?,
        "-ne" => numbers().map(|(a, b)| a != b)?,
        "-lt" => numbers().map(|(a, b)| a < b)?,
        "-le" => numbers().map(|(a, b)| a <= b)?,
        "-gt" => numbers().map(|(a, b)| a > b)?,
        _ => numbers().map(|(a, b)| a >= b)?,
    })
}

fn number(text: &str) -> Result<i64, String> {
    text.trim().parse().map_err(|_| format!("{text}: bad number"))
}
