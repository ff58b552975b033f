//! Variables, elements of arrays and fields: read, set, and held to a bound.

use super::value::Value;
use super::{Machine, Result};
use crate::programs::awk::format::Argument;
use crate::programs::awk::tree::{Expr, Place};
use crate::programs::text::MOST;

/// The last field there may be.
const FIELDS: usize = 65_536;

impl Machine {
    pub(super) fn text_of(&self, variable: &str) -> String {
        self.variables.get(variable).map(Argument::text).unwrap_or_default()
    }

    fn index(&mut self, expr: &Expr) -> Result<usize> {
        let index = self.value(expr)?.number();
        if index < 0.0 {
            return Err("Access to negative field".to_owned());
        }
        if index > FIELDS as f64 {
            return Err(format!("out of memory: there is no field beyond {FIELDS}"));
        }
        Ok(index as usize)
    }

    pub(super) fn get(&mut self, place: &Place) -> Result<Value> {
        match place {
            Place::Variable(name) => Ok(match self.calls.actual(name).as_ref() {
                "NF" => Value::Number(self.fields.len() as f64),
                "NR" | "FNR" => Value::Number(self.number),
                name if self.arrays.contains_key(name) => return Err("Not a scalar".to_owned()),
                name => self.variables.get(name).cloned().unwrap_or(Value::Unset),
            }),
            Place::Element(array, key) => {
                let key = self.value(key)?.text();
                let actual = self.calls.actual(array);
                let known = self.arrays.get(&*actual).and_then(|array| array.get(&key)).cloned();
                match known {
                    Some(value) => Ok(value),
                    // Whoever asks for an element makes it.
                    None => self.set_element(array, key, Value::Unset).map(|()| Value::Unset),
                }
            }
            Place::Field(index) => Ok(match self.index(index)? {
                0 => Value::Input(self.whole_record()),
                index => self.fields.get(index - 1).cloned().map_or(Value::Unset, Value::Input),
            }),
        }
    }

    pub(super) fn set(&mut self, place: &Place, value: Value) -> Result<()> {
        match place {
            Place::Variable(name) => self.set_variable(name, value),
            Place::Element(array, key) => {
                let key = self.value(key)?.text();
                self.set_element(array, key, value)
            }
            Place::Field(index) => {
                match self.index(index)? {
                    0 => self.set_record(value.text()),
                    index => {
                        if self.fields.len() < index {
                            self.fields.resize(index, String::new());
                        }
                        self.fields[index - 1] = value.text();
                        self.stale = true;
                    }
                }
                Ok(())
            }
        }
    }

    pub(super) fn set_variable(&mut self, name: &str, value: Value) -> Result<()> {
        let actual = self.calls.actual(name);
        let name = &*actual;
        match name {
            "NF" => {
                let count = self.index(&Expr::Number(value.number()))?;
                self.fields.resize(count, String::new());
                self.stale = true;
                return Ok(());
            }
            "NR" | "FNR" => {
                self.number = value.number();
                return Ok(());
            }
            name if self.arrays.contains_key(name) => return Err("Not a scalar".to_owned()),
            _ => {}
        }
        let before = self.variables.get(name).map_or(0, Value::size);
        self.grow(value.size(), before)?;
        self.variables.insert(name.to_owned(), value);
        Ok(())
    }

    pub(super) fn set_element(&mut self, array: &str, key: String, value: Value) -> Result<()> {
        let actual = self.calls.actual(array);
        let array = &*actual;
        if self.variables.contains_key(array) {
            return Err("Not an array".to_owned());
        }
        let known = self.arrays.get(array).and_then(|array| array.get(&key));
        let before = known.map_or(0, |known| element_size(&key, known));
        self.grow(element_size(&key, &value), before)?;
        self.arrays.entry(array.to_owned()).or_default().insert(key, value);
        Ok(())
    }

    pub(super) fn delete(&mut self, array: &str, key: Option<String>) {
        let Some(elements) = self.arrays.get_mut(&*self.calls.actual(array)) else { return };
        let gone: Vec<(String, Value)> = match key {
            Some(key) => elements.remove_entry(&key).into_iter().collect(),
            None => std::mem::take(elements).into_iter().collect(),
        };
        self.size -= gone.iter().map(|(key, value)| element_size(key, value)).sum::<usize>();
    }

    fn grow(&mut self, now: usize, before: usize) -> Result<()> {
        self.size = self.size + now - before;
        match self.size > MOST {
            true => Err(format!("out of memory: variables hold more than {} MiB", MOST >> 20)),
            false => Ok(()),
        }
    }

    pub(super) fn set_record(&mut self, record: String) {
        let separator = self.text_of("FS");
        // A separator that is no expression leaves the record whole.
        self.fields = self.split(&record, &separator).unwrap_or_else(|_| vec![record.clone()]);
        self.record = record;
        self.stale = false;
    }

    pub(super) fn whole_record(&mut self) -> String {
        if std::mem::take(&mut self.stale) {
            self.record = self.fields.join(&self.text_of("OFS"));
        }
        self.record.clone()
    }
}

fn element_size(key: &str, value: &Value) -> usize {
    size_of::<String>() + size_of::<Value>() + key.len() + value.size()
}
