//! iptables command lines: refused without a change, or accepted so that what `-S` then prints makes the same rule set
//! again.

use linkspan_nat::rule::Family;
use linkspan_nat::ruleset::{RuleSet, Table};
use linkspan_nat::text::{apply_command, parse_command};
use linkspan_nat::text_list::{ListOptions, list_save, list_table};
use linkspan_nat::text_restore::words_of;

use super::input::Input;

/// Lines of a rule set. The first byte chooses the family.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let family = if input.flag() { Family::Ipv6 } else { Family::Ipv4 };
    let text = String::from_utf8_lossy(input.rest());
    let mut rules = RuleSet::new(family);
    for line in text.lines().take(16) {
        let words = words_of(line);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let parsed = match parse_command(family, &words) {
            Ok(parsed) => parsed,
            Err(error) => {
                assert!((1..=4).contains(&error.exit_status()) && !error.text(family).is_empty());
                continue;
            }
        };
        let before = saved(&rules, true);
        if let Err(error) = apply_command(&mut rules, &parsed, None) {
            assert!((1..=4).contains(&error.exit_status()) && !error.text(family).is_empty());
            assert_eq!(saved(&rules, true), before, "refused and changed: {line:?}: {error}");
        }
    }
    for table in Table::ALL {
        for bits in 0..8 {
            let (numeric, verbose, exact) = (bits & 1 != 0, bits & 2 != 0, bits & 4 != 0);
            let options = ListOptions { numeric, verbose, exact, line_numbers: verbose };
            assert!(list_table(&rules, table, None, None, options).is_some());
        }
    }
    again(&rules, family);
}

/// What `-S` prints, read by an empty rule set, prints the same.
fn again(rules: &RuleSet, family: Family) {
    let mut copy = RuleSet::new(family);
    for table in Table::ALL {
        let text = list_save(rules, table, None, None, false).expect("a whole table can be listed");
        for line in text.lines() {
            let mut words = vec!["-t".to_owned(), table.name().to_owned()];
            words.extend(words_of(line));
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let parsed = match parse_command(family, &words) {
                Ok(parsed) => parsed,
                Err(error) => panic!("{line:?} is printed and not read: {error}"),
            };
            if let Err(error) = apply_command(&mut copy, &parsed, None) {
                panic!("{line:?} is printed and not taken: {error}");
            }
        }
    }
    assert_eq!(saved(&copy, false), saved(rules, false));
}

fn saved(rules: &RuleSet, counters: bool) -> String {
    Table::ALL.into_iter().filter_map(|table| list_save(rules, table, None, None, counters)).collect()
}
