//! The environment of a process, in one piece as the kernel keeps it (`proc_pid_environ(5)`): `NAME=VALUE` after
//! `NAME=VALUE`, each ended by a zero byte. There are as many environments as processes, and few of them are ever read.
//!
//! Variables are unique. What a shell or `env` shows comes in the order in which the first process of a container was
//! given its variables, and others behind, sorted by name; so a child knows that order as well.

use std::collections::BTreeMap;
use std::rc::Rc;

/// Variables and their order. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: Rc<str>,
    /// An environment whose order is to be shown.
    order: Rc<str>,
}

impl Environment {
    /// Of pairs of name and value. The first mention of a name gives its place and the last its value, which ends at a
    /// zero byte.
    pub fn in_this_order<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Environment {
        let mut unique: Vec<(&str, &str)> = Vec::new();
        for (name, value) in pairs {
            match unique.iter_mut().find(|(known, _)| *known == name) {
                Some(known) => known.1 = value,
                None => unique.push((name, value)),
            }
        }
        let variables = block(unique);
        Environment { order: variables.clone(), variables }
    }

    /// The environment of a child that is given these variables; they are shown in this one's order.
    pub fn of_child(&self, variables: &BTreeMap<String, String>) -> Environment {
        let pairs = variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Environment { variables: block(pairs), order: self.order.clone() }
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        pairs(&self.variables).find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// All variables.
    pub fn to_map(&self) -> BTreeMap<String, String> {
        pairs(&self.variables).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// Some variables in the order in which they are shown.
    pub fn in_order<'a>(&'a self, variables: &'a BTreeMap<String, String>) -> Vec<(&'a str, &'a str)> {
        let order: Vec<&str> = pairs(&self.order).map(|(name, _)| name).collect();
        let given = order.iter().filter_map(|name| variables.get_key_value(*name));
        let others = variables.iter().filter(|(name, _)| !order.contains(&name.as_str()));
        given.chain(others).map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
}

fn block<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Rc<str> {
    let mut text = String::new();
    for (name, value) in variables {
        text.extend([name, "=", value.split('\0').next().unwrap_or_default(), "\0"]);
    }
    text.into()
}

fn pairs(block: &str) -> impl Iterator<Item = (&str, &str)> {
    block.split_terminator('\0').filter_map(|line| line.split_once('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_mention_gives_the_place_and_the_last_the_value() {
        let given = [("PATH", "/usr/bin"), ("B", "1=2"), ("A", ""), ("PATH", "/bin"), ("B", "3\0x")];
        let environment = Environment::in_this_order(given);
        let all = environment.to_map();
        assert_eq!(environment.in_order(&all), [("PATH", "/bin"), ("B", "3"), ("A", "")]);
        assert_eq!(environment.get("A"), Some(""));
        assert_eq!(environment.get("C"), None);
        assert_eq!(Environment::default().to_map(), BTreeMap::new());
    }

    #[test]
    fn a_child_shows_what_it_shares_in_its_parents_order_and_others_sorted() {
        let parent = Environment::in_this_order([("B", "1"), ("A", "2")]);
        let variables = [("C", "3"), ("A", "4"), ("A2", "5"), ("B", "6")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let grandchild = parent.of_child(&variables).of_child(&variables);
        assert_eq!(grandchild.in_order(&variables), [("B", "6"), ("A", "4"), ("A2", "5"), ("C", "3")]);
        assert_eq!(grandchild.get("A2"), Some("5"));
    }
}
