//! The environment of a container: in the order dockerd has (PATH, HOSTNAME, TERM, links, the container's own; runc adds
//! HOME behind them), which `env` shows.

use crate::engine::sys::Environment;

/// Of `NAME=VALUE` lines; the last value of a name counts. HOME is root's unless it is given.
pub(super) fn of_container(lines: &[String]) -> Environment {
    let given = lines.iter().filter_map(|line| line.split_once('='));
    let home = (!lines.iter().any(|line| line.starts_with("HOME="))).then_some(("HOME", "/root"));
    Environment::in_this_order(given.chain(home))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn home_is_roots_and_the_last_unless_it_is_given() {
        let lines = ["PATH=/usr/bin", "HOSTNAME=web", "alone"].map(str::to_owned);
        let environment = of_container(&lines);
        let all = environment.to_map();
        let shown = [("PATH", "/usr/bin"), ("HOSTNAME", "web"), ("HOME", "/root")];
        assert_eq!(environment.in_order(&all), shown);
        assert_eq!(of_container(&["HOME=/app".to_owned()]).get("HOME"), Some("/app"));
    }
}
