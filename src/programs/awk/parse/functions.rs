//! The functions that an awk program defines, and the names of what is theirs.
//!
//! A function may be called before its definition is read, so it has an index from its first mention on. Its parameters
//! get names that no variable of the program has.

use std::rc::Rc;

use super::{FUNCTIONS, Parser};
use crate::programs::awk::lex::Token;
use crate::programs::awk::tree::Defined;

impl Parser<'_> {
    /// `NAME(PARAMETER, ...) { ... }`
    pub(super) fn define(&mut self) -> Result<(), String> {
        let (Token::Name(name) | Token::Call(name)) = self.token.clone() else {
            return Err("Unexpected token".to_owned());
        };
        self.advance()?;
        self.expect("(")?;
        let mut parameters = Vec::new();
        while !self.take(")")? {
            let Token::Name(parameter) = self.token.clone() else {
                return Err("Unexpected token".to_owned());
            };
            self.advance()?;
            parameters.push(parameter);
            if self.take(",")? {
                while self.take("\n")? {}
            } else if !self.is(")") {
                return Err("Unexpected token".to_owned());
            }
        }
        while self.take("\n")? {}
        self.inside = Some((name.clone(), parameters.clone()));
        let body = self.block()?;
        let parameters = parameters.into_iter().map(|parameter| self.variable(parameter)).collect();
        self.inside = None;
        let index = self.function(&name);
        let built_in = FUNCTIONS.iter().any(|(known, ..)| *known == name);
        if built_in || self.functions[index].1.replace(Rc::new(Defined { parameters, body })).is_some() {
            return Err(format!("function '{name}' is defined already"));
        }
        Ok(())
    }

    /// The index of a function of the program's own.
    pub(super) fn function(&mut self, name: &str) -> usize {
        self.functions.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            self.functions.push((name.to_owned(), None));
            self.functions.len() - 1
        })
    }

    /// The name under which the machine knows a variable: a parameter is its function's own.
    pub(super) fn variable(&self, name: String) -> String {
        match &self.inside {
            Some((function, parameters)) if parameters.contains(&name) => format!("{function}\0{name}"),
            _ => name,
        }
    }
}
