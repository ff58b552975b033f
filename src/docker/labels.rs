//! Labels of containers and networks: names with values, in order of their names.
//!
//! There are few on each object and thousands of objects, so they are a list: a `BTreeMap` takes half a kibibyte for the
//! first.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Labels, each name once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels(Vec<(Box<str>, Box<str>)>);

impl Labels {
    /// Sets a label, whatever it was.
    pub fn insert(&mut self, name: &str, value: &str) {
        match self.find(name) {
            Ok(at) => self.0[at].1 = value.into(),
            Err(at) => {
                self.0.reserve_exact(1);
                self.0.insert(at, (name.into(), value.into()));
            }
        }
    }

    /// The value of a label.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.find(name).ok().map(|at| &*self.0[at].1)
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `--filter label=WANTED` takes the object: `name`, or `name=value`.
    pub(super) fn matches(&self, wanted: &str) -> bool {
        match wanted.split_once('=') {
            Some((name, value)) => self.get(name) == Some(value),
            None => self.get(wanted).is_some(),
        }
    }

    /// As `docker ps` and `docker network ls` print them.
    pub(super) fn text(&self) -> String {
        let pairs: Vec<String> = self.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join(",")
    }

    /// As `docker inspect` prints them.
    pub(super) fn json(&self) -> Value {
        Value::Object(self.iter().map(|(name, value)| (name.to_owned(), value.into())).collect::<Map<_, _>>())
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| (**known).cmp(name))
    }
}

impl From<BTreeMap<String, String>> for Labels {
    fn from(map: BTreeMap<String, String>) -> Labels {
        Labels(map.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_a_name_counts_and_names_are_in_order() {
        let mut labels = Labels::from(BTreeMap::from([("m".to_owned(), "1".to_owned())]));
        for (name, value) in [("z", "2"), ("a", ""), ("m", "3")] {
            labels.insert(name, value);
        }
        assert_eq!(labels.text(), "a=,m=3,z=2");
        assert_eq!(labels.json().to_string(), r#"{"a":"","m":"3","z":"2"}"#);
        assert_eq!((labels.get("m"), labels.get("b")), (Some("3"), None));
        let taken = ["a", "m=3", "a=", "m=1", "b"].map(|wanted| labels.matches(wanted));
        assert_eq!(taken, [true, true, true, false, false]);
        assert!(!labels.is_empty() && Labels::default().is_empty());
    }
}
