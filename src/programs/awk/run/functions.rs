//! The functions that awk brings along.

use super::value::Value;
use super::{Machine, Result, split_at, too_long};
use crate::programs::awk::format::Argument;
use crate::programs::awk::tree::{Expr, Function, Place};
use crate::programs::text::LONGEST;

impl Machine {
    pub(super) fn call(&mut self, function: Function, arguments: &[Expr]) -> Result<Value> {
        let text = |machine: &mut Machine, index: usize| match arguments.get(index) {
            Some(argument) => machine.value(argument).map(|value| value.text()),
            None => Ok(machine.whole_record()),
        };
        Ok(match function {
            Function::Length => match arguments.first() {
                Some(Expr::Place(Place::Variable(name)))
                    if let Some(array) = self.arrays.get(&*self.calls.actual(name)) =>
                {
                    Value::Number(array.len() as f64)
                }
                _ => Value::Number(text(self, 0)?.chars().count() as f64),
            },
            Function::Substr => {
                let subject = text(self, 0)?;
                let start = self.value(&arguments[1])?.number().round();
                let length = arguments.get(2).map(|length| self.value(length)).transpose()?;
                let end = length.map_or(f64::INFINITY, |length| start + length.number().round());
                let at = |at: f64| (at - 1.0).clamp(0.0, 1e9) as usize;
                let (from, to) = (at(start), at(end));
                Value::Text(subject.chars().skip(from).take(to.saturating_sub(from)).collect())
            }
            Function::Index => {
                let (subject, wanted) = (text(self, 0)?, text(self, 1)?);
                Value::Number(subject.find(&wanted).map_or(0, |at| subject[..at].chars().count() + 1) as f64)
            }
            Function::Split => {
                let subject = text(self, 0)?;
                let Expr::Place(Place::Variable(array)) = &arguments[1] else {
                    return Err("split wants the name of an array".to_owned());
                };
                let parts = match arguments.get(2) {
                    Some(pattern @ Expr::Regex(_)) => {
                        self.with_pattern(pattern, |expression| split_at(&subject, expression))?
                    }
                    Some(separator) => {
                        let separator = self.value(separator)?.text();
                        self.split(&subject, &separator)?
                    }
                    None => {
                        let separator = self.text_of("FS");
                        self.split(&subject, &separator)?
                    }
                };
                self.delete(array, None);
                let actual = self.calls.actual(array).into_owned();
                self.arrays.entry(actual).or_default();
                let count = parts.len();
                for (index, part) in parts.into_iter().enumerate() {
                    self.set_element(array, (index + 1).to_string(), Value::Input(part))?;
                }
                Value::Number(count as f64)
            }
            Function::Sub | Function::Gsub => self.substitute(function == Function::Gsub, arguments)?,
            Function::Match => {
                let subject = text(self, 0)?;
                let found = self.with_pattern(&arguments[1], |expression| expression.find(&subject, 0))?;
                let count = |text: &str| text.chars().count() as f64;
                let (start, length) = match found {
                    Some(found) => {
                        (count(&subject[..found.start()]) + 1.0, count(&subject[found.start()..found.end()]))
                    }
                    None => (0.0, -1.0),
                };
                self.set_variable("RSTART", Value::Number(start))?;
                self.set_variable("RLENGTH", Value::Number(length))?;
                Value::Number(start)
            }
            Function::Sprintf => Value::Text(self.formatted(arguments)?),
            Function::Toupper => Value::Text(text(self, 0)?.to_uppercase()),
            Function::Tolower => Value::Text(text(self, 0)?.to_lowercase()),
            Function::Int => Value::Number(self.value(&arguments[0])?.number().trunc()),
        })
    }

    /// `sub` and `gsub`: how often something was replaced.
    fn substitute(&mut self, all: bool, arguments: &[Expr]) -> Result<Value> {
        let with = self.value(&arguments[1])?.text();
        let whole = Place::Field(Box::new(Expr::Number(0.0)));
        let place = match arguments.get(2) {
            None => &whole,
            Some(Expr::Place(place)) => place,
            Some(_) => return Err("sub and gsub want something that can be changed".to_owned()),
        };
        let subject = self.get(place)?.text();
        let replaced = self.with_pattern(&arguments[0], |expression| {
            let (mut text, mut at, mut count) = (String::new(), 0, 0_u32);
            while at <= subject.len() && (all || count == 0) && text.len() <= LONGEST {
                let Some(found) = expression.find(&subject, at) else { break };
                count += 1;
                text += &subject[at..found.start()];
                let mut letters = with.chars().peekable();
                while let Some(letter) = letters.next() {
                    match letter {
                        '&' => text += &subject[found.start()..found.end()],
                        '\\' if letters.peek() == Some(&'&') => text.extend(letters.next()),
                        letter => text.push(letter),
                    }
                }
                at = found.end();
                if found.start() == found.end() {
                    let letter = subject[at..].chars().next();
                    text.extend(letter);
                    at += letter.map_or(1, char::len_utf8);
                }
            }
            text += subject.get(at..).unwrap_or_default();
            (text, count)
        })?;
        let (text, count) = replaced;
        if text.len() > LONGEST {
            return Err(too_long());
        }
        if count > 0 {
            self.set(place, Value::Text(text))?;
        }
        Ok(Value::Number(f64::from(count)))
    }
}
