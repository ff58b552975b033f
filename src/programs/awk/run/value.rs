//! The values of awk, and what is calculated and compared with them.

use super::Result;
use crate::programs::awk::format::{self, Argument};
use crate::programs::awk::tree::{Comparison, Operator};

#[derive(Debug, Clone, Default)]
pub(super) enum Value {
    Number(f64),
    Text(String),
    /// What came in: a number if it looks like one.
    Input(String),
    #[default]
    Unset,
}

impl format::Argument for Value {
    fn number(&self) -> f64 {
        match self {
            Value::Number(number) => *number,
            Value::Text(text) | Value::Input(text) => format::leading(text),
            Value::Unset => 0.0,
        }
    }

    fn text(&self) -> String {
        match self {
            Value::Number(number) => format::number(*number),
            Value::Text(text) | Value::Input(text) => text.clone(),
            Value::Unset => String::new(),
        }
    }

    fn is_number(&self) -> bool {
        match self {
            Value::Number(_) => true,
            Value::Input(text) => format::is_number(text),
            Value::Text(_) | Value::Unset => false,
        }
    }
}

impl Value {
    pub(super) fn truth(&self) -> bool {
        match self {
            Value::Unset => false,
            value if value.is_number() => value.number() != 0.0,
            value => !value.text().is_empty(),
        }
    }

    pub(super) fn size(&self) -> usize {
        match self {
            Value::Text(text) | Value::Input(text) => text.len(),
            Value::Number(_) | Value::Unset => 0,
        }
    }
}

pub(super) fn truth(holds: bool) -> Value {
    Value::Number(f64::from(u8::from(holds)))
}

pub(super) fn calculate(operator: Operator, left: f64, right: f64) -> Result<f64> {
    match operator {
        Operator::Divide | Operator::Remainder if right == 0.0 => Err("Division by zero".to_owned()),
        Operator::Add => Ok(left + right),
        Operator::Subtract => Ok(left - right),
        Operator::Multiply => Ok(left * right),
        Operator::Divide => Ok(left / right),
        Operator::Remainder => Ok(left % right),
        Operator::Power => Ok(left.powf(right)),
    }
}

pub(super) fn holds(comparison: Comparison, left: &Value, right: &Value) -> bool {
    let numeric = |value: &Value| value.is_number() || matches!(value, Value::Unset);
    let order = match numeric(left) && numeric(right) {
        true => left.number().partial_cmp(&right.number()),
        false => Some(left.text().cmp(&right.text())),
    };
    let Some(order) = order else { return comparison == Comparison::NotEqual };
    match comparison {
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    }
}
