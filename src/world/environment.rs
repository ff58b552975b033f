//! The environment of a process: variables are unique and keep the order in which they were first named, because `env`
//! shows it and dockerd has one (PATH, HOSTNAME, TERM, links, the container's own; runc adds HOME behind them).

use std::collections::BTreeMap;
use std::rc::Rc;

/// Variables and their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    pub(crate) values: Rc<BTreeMap<String, String>>,
    /// Names in order; variables that a program adds come behind them.
    pub(crate) order: Rc<[String]>,
}

impl Environment {
    /// Of `NAME=VALUE` lines; the last value of a name counts. HOME is root's unless it is given.
    pub(crate) fn of_container(lines: &[String]) -> Environment {
        let mut values = BTreeMap::new();
        let mut order = Vec::new();
        for (name, value) in lines
            .iter()
            .filter_map(|line| line.split_once('='))
            .chain((!lines.iter().any(|line| line.starts_with("HOME="))).then_some(("HOME", "/root")))
        {
            if values.insert(name.to_owned(), value.to_owned()).is_none() {
                order.push(name.to_owned());
            }
        }
        Environment { values: values.into(), order: order.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_mention_gives_the_place_and_the_last_the_value() {
        let lines = ["PATH=/usr/bin", "HOSTNAME=web", "B=1", "A=2", "PATH=/bin", "B=3", "alone"];
        let environment = Environment::of_container(&lines.map(str::to_owned));
        assert_eq!(*environment.order, ["PATH", "HOSTNAME", "B", "A", "HOME"].map(str::to_owned));
        assert_eq!((&*environment.values["PATH"], &*environment.values["B"]), ("/bin", "3"));
        let given = Environment::of_container(&["HOME=/app".to_owned()]);
        assert_eq!(given.values["HOME"], "/app");
    }
}
