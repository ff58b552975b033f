//! `$((...))`: 64-bit integers that wrap, the operators of C that shells have, and variables by name.

use super::variables::Variables;
use super::words::is_name;

/// The value of an expression; the error is what the shell prints.
pub(super) fn evaluate(text: &str, variables: &Variables) -> Result<i64, &'static str> {
    let mut reader = Reader { text: text.trim().as_bytes(), at: 0, variables, depth: 0 };
    if reader.text.is_empty() {
        return Ok(0);
    }
    let value = reader.binary(0)?;
    if reader.at == reader.text.len() { Ok(value) } else { Err(SYNTAX) }
}

const SYNTAX: &str = "arithmetic syntax error";

/// Parentheses and signs inside one another.
const DEEPEST: u32 = 40;

/// Binary operators, from those that bind least; longer ones first among those that begin alike.
const LEVELS: [&[&str]; 8] =
    [&["||"], &["&&"], &["|"], &["^"], &["&"], &["==", "!="], &["<=", ">=", "<", ">"], &["<<", ">>"]];

/// Those that bind most.
const TIGHT: [&[&str]; 2] = [&["+", "-"], &["*", "/", "%"]];

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    variables: &'a Variables,
    depth: u32,
}

impl Reader<'_> {
    fn binary(&mut self, level: usize) -> Result<i64, &'static str> {
        let operators = match (LEVELS.get(level), TIGHT.get(level.wrapping_sub(LEVELS.len()))) {
            (Some(operators), _) | (None, Some(operators)) => operators,
            (None, None) => return self.unary(),
        };
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = self.operator(operators) {
            let right = self.binary(level + 1)?;
            left = apply(operator, left, right)?;
        }
        Ok(left)
    }

    /// The operator of this level here, unless it is a part of a longer one.
    fn operator(&mut self, operators: &[&'static str]) -> Option<&'static str> {
        self.skip_blanks();
        let rest = &self.text[self.at..];
        let found = operators.iter().find(|operator| rest.starts_with(operator.as_bytes()))?;
        let next = rest.get(found.len()).copied();
        let longer = match *found {
            "|" | "&" => next == found.bytes().next(),
            "<" | ">" => next == found.bytes().next(),
            _ => false,
        };
        if longer {
            return None;
        }
        self.at += found.len();
        Some(found)
    }

    fn unary(&mut self) -> Result<i64, &'static str> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(SYNTAX);
        }
        self.skip_blanks();
        let rest = &self.text[self.at..];
        let sign = rest.first().copied().filter(|letter| b"!-+~(".contains(letter));
        self.at += usize::from(sign.is_some());
        let value = match sign {
            Some(b'!') => i64::from(self.unary()? == 0),
            Some(b'-') => self.unary()?.wrapping_neg(),
            Some(b'+') => self.unary()?,
            Some(b'~') => !self.unary()?,
            Some(_) => {
                let value = self.binary(0)?;
                self.skip_blanks();
                if self.text.get(self.at) != Some(&b')') {
                    return Err(SYNTAX);
                }
                self.at += 1;
                value
            }
            None => {
                let length = rest.iter().take_while(|l| l.is_ascii_alphanumeric() || **l == b'_').count();
                let word = String::from_utf8_lossy(&rest[..length]).into_owned();
                self.at += length;
                self.operand(&word)?
            }
        };
        self.depth -= 1;
        Ok(value)
    }

    fn operand(&self, word: &str) -> Result<i64, &'static str> {
        if is_name(word) {
            let value = self.variables.get(word).unwrap_or_default();
            return match value.trim() {
                "" => Ok(0),
                text => number(text.strip_prefix('-').unwrap_or(text))
                    .map(|value| if text.starts_with('-') { value.wrapping_neg() } else { value }),
            };
        }
        number(word)
    }

    fn skip_blanks(&mut self) {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }
}

fn number(text: &str) -> Result<i64, &'static str> {
    let read = match (text.strip_prefix("0x"), text.strip_prefix('0')) {
        (Some(hexadecimal), _) => i64::from_str_radix(hexadecimal, 16),
        (None, Some(octal)) if !octal.is_empty() => i64::from_str_radix(octal, 8),
        _ => text.parse(),
    };
    read.map_err(|_| SYNTAX)
}

fn apply(operator: &str, left: i64, right: i64) -> Result<i64, &'static str> {
    Ok(match operator {
        "||" => i64::from(left != 0 || right != 0),
        "&&" => i64::from(left != 0 && right != 0),
        "|" => left | right,
        "^" => left ^ right,
        "&" => left & right,
        "==" => i64::from(left == right),
        "!=" => i64::from(left != right),
        "<=" => i64::from(left <= right),
        ">=" => i64::from(left >= right),
        "<" => i64::from(left < right),
        ">" => i64::from(left > right),
        "<<" => left.wrapping_shl(right as u32),
        ">>" => left.wrapping_shr(right as u32),
        "+" => left.wrapping_add(right),
        "-" => left.wrapping_sub(right),
        "*" => left.wrapping_mul(right),
        _ if right == 0 => return Err("divide by zero"),
        "/" => left.wrapping_div(right),
        _ => left.wrapping_rem(right),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_bind_as_in_c() {
        let mut variables = Variables::default();
        variables.set("i", "7").unwrap();
        for (text, value) in [
            ("1 + 2 * 3", Ok(7)),
            ("(1+2)*3", Ok(9)),
            ("i+1", Ok(8)),
            ("-i % 4", Ok(-3)),
            ("1 << 4 | 1", Ok(17)),
            ("3 > 2 && !(2 >= 3)", Ok(1)),
            ("0x10 + 010", Ok(24)),
            ("nosuch", Ok(0)),
            ("", Ok(0)),
            ("9223372036854775807 + 1", Ok(i64::MIN)),
            ("1/0", Err("divide by zero")),
            ("1+", Err(SYNTAX)),
            ("1 2", Err(SYNTAX)),
            ("08", Err(SYNTAX)),
        ] {
            assert_eq!(evaluate(text, &variables), value, "{text}");
        }
        assert_eq!(evaluate(&"(".repeat(100_000), &variables), Err(SYNTAX));
        assert_eq!(evaluate("-9223372036854775807 - 1 / -1", &variables), Ok(i64::MIN + 2));
    }
}
