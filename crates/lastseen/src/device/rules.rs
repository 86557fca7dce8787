//! The rules by which a user agent is read: tables in `data/`, compiled once.
//!
//! Our own rules come first, then those of uap-core; the first that matches decides. A line is a
//! pattern and, after tabs, the name and the parts of the version. An empty name is the pattern's
//! first group, an empty part the group in its place (2, 3).

use std::borrow::Cow;

use ua_parser::{os, user_agent};

const OWN_BROWSERS: &str = include_str!("../../data/own/browsers.tsv");
const OWN_SYSTEMS: &str = include_str!("../../data/own/systems.tsv");
const BROWSERS: &str = include_str!("../../data/uap-core/browsers.tsv");
const SYSTEMS: &str = include_str!("../../data/uap-core/systems.tsv");

/// The compiled rules.
pub(super) struct Rules {
    /// Finds browsers, apps and programs.
    pub(super) browsers: user_agent::Extractor<'static>,
    /// Finds operating systems.
    pub(super) systems: os::Extractor<'static>,
}

impl Rules {
    /// Compiles the tables: tens of milliseconds, so once, and off the path of a request.
    pub(super) fn compile() -> Self {
        let browsers = lines(OWN_BROWSERS)
            .chain(lines(BROWSERS))
            .fold(user_agent::Builder::new(), |builder, line| {
                let [regex, name, major, _] = columns(line);
                builder
                    .push(user_agent::Parser {
                        regex: Cow::Borrowed(regex),
                        family_replacement: value(name),
                        v1_replacement: value(major),
                        ..user_agent::Parser::default()
                    })
                    // The tables are part of the program, and the tests compile them.
                    .expect("a rule for browsers is no pattern")
            })
            .build()
            // As above.
            .expect("the rules for browsers cannot be compiled");
        let systems = lines(OWN_SYSTEMS)
            .chain(lines(SYSTEMS))
            .fold(os::Builder::new(), |builder, line| {
                let [regex, name, major, minor] = columns(line);
                builder
                    .push(os::Parser {
                        regex: Cow::Borrowed(regex),
                        os_replacement: value(name),
                        os_v1_replacement: value(major),
                        os_v2_replacement: value(minor),
                        ..os::Parser::default()
                    })
                    // As above.
                    .expect("a rule for systems is no pattern")
            })
            .build()
            // As above.
            .expect("the rules for systems cannot be compiled");
        Self { browsers, systems }
    }
}

/// The rules of a table: every line that is neither empty nor a comment.
fn lines(table: &'static str) -> impl Iterator<Item = &'static str> {
    table
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The columns of a line; those that it does not have are empty.
fn columns(line: &str) -> [&str; 4] {
    let mut columns = [""; 4];
    for (column, text) in columns.iter_mut().zip(line.split('\t')) {
        *column = text;
    }
    columns
}

/// What stands in a column, or `None` where it is empty.
fn value(column: &'static str) -> Option<Cow<'static, str>> {
    (!column.is_empty()).then_some(Cow::Borrowed(column))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_has_rules_of_at_most_four_columns() {
        for (table, least) in [
            (OWN_BROWSERS, 10),
            (OWN_SYSTEMS, 1),
            (BROWSERS, 400),
            (SYSTEMS, 200),
        ] {
            assert!(lines(table).count() >= least);
            for line in lines(table) {
                assert!(line.split('\t').count() <= 4, "{line}");
                assert!(!columns(line)[0].is_empty(), "{line}");
            }
        }
    }
}
