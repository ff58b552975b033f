//! Calls of the functions that a program defines.
//!
//! A parameter is known by a name that no variable has (`parse`), and while its function runs it stands for something else:
//! the array that was given, which the function changes, or a variable of this call alone. What is neither yet, an unset
//! variable, is the caller's array once the function makes one of it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::value::Value;
use super::{Flow, Machine, Result};
use crate::programs::awk::tree::{Defined, Expr, Place};

/// Calls inside one another.
const DEEPEST: usize = 40;

/// Expressions inside one another, those of calls that run counted: each takes some of the stack.
const NESTED: usize = 300;

/// The functions, and the calls that run.
#[derive(Default)]
pub(super) struct Calls {
    pub(super) functions: Vec<Rc<Defined>>,
    pub(super) returned: Value,
    depth: usize,
    nested: usize,
    /// What parameters stand for.
    stand_for: BTreeMap<String, String>,
}

impl Calls {
    /// What a name stands for.
    pub(super) fn actual<'a>(&self, name: &'a str) -> Cow<'a, str> {
        match self.stand_for.get(name) {
            Some(actual) => Cow::Owned(actual.clone()),
            None => Cow::Borrowed(name),
        }
    }
}

impl Calls {
    /// One more expression is calculated, inside others.
    pub(super) fn enter(&mut self) -> Result<()> {
        self.nested += 1;
        match self.nested > NESTED {
            true => Err(format!("expressions of calls nest deeper than {NESTED} levels")),
            false => Ok(()),
        }
    }

    pub(super) fn leave(&mut self) {
        self.nested -= 1;
    }
}

impl Machine {
    /// Calls a function of the program's own.
    pub(super) fn invoke(&mut self, index: usize, arguments: &[Expr]) -> Result<Value> {
        let function = self.calls.functions[index].clone();
        if arguments.len() > function.parameters.len() {
            return Err("a function is called with too many arguments".to_owned());
        }
        if self.calls.depth >= DEEPEST {
            return Err(format!("functions call one another deeper than {DEEPEST} levels"));
        }
        let depth = self.calls.depth;
        let (mut stands, mut own, mut unset) = (Vec::new(), Vec::new(), Vec::new());
        for (at, parameter) in function.parameters.iter().enumerate() {
            let fresh = format!("{parameter}\0{depth}");
            let value = match arguments.get(at) {
                Some(Expr::Place(Place::Variable(name))) => {
                    let actual = self.calls.actual(name).into_owned();
                    if self.arrays.contains_key(&actual) {
                        stands.push((parameter.clone(), actual));
                        continue;
                    }
                    let value = self.get(&Place::Variable(name.clone()))?;
                    if matches!(value, Value::Unset) {
                        unset.push((fresh.clone(), actual));
                    }
                    value
                }
                Some(argument) => self.value(argument)?,
                None => Value::Unset,
            };
            stands.push((parameter.clone(), fresh.clone()));
            own.push((fresh, value));
        }
        for (name, value) in &own {
            if !matches!(value, Value::Unset) {
                self.set_variable(name, value.clone())?;
            }
        }
        let before: Vec<(String, Option<String>)> = stands
            .into_iter()
            .map(|(parameter, actual)| (parameter.clone(), self.calls.stand_for.insert(parameter, actual)))
            .collect();
        self.calls.depth += 1;
        self.calls.returned = Value::Unset;
        let flow = self.block(&function.body)?;
        self.calls.depth -= 1;
        for (parameter, actual) in before {
            match actual {
                Some(actual) => self.calls.stand_for.insert(parameter, actual),
                None => self.calls.stand_for.remove(&parameter),
            };
        }
        for (made, actual) in unset {
            if let Some(array) = self.arrays.remove(&made) {
                self.arrays.insert(actual, array);
            }
        }
        for (name, _) in own {
            self.forget(&name);
        }
        let returned = std::mem::take(&mut self.calls.returned);
        Ok(if flow == Flow::Return { returned } else { Value::Unset })
    }

    /// Forgets a variable of a call that is over.
    fn forget(&mut self, name: &str) {
        self.delete(name, None);
        self.arrays.remove(name);
        if let Some(value) = self.variables.remove(name) {
            self.size -= value.size();
        }
    }
}
