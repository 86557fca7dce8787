//! `lastseen check-config`.

use super::Output;
use crate::config::{Effective, Typed, Wrong};
use crate::failure::Failure;

/// Says everything that is wrong with the settings, a line each, or prints those in force.
pub(super) fn run(typed: Result<Typed, Vec<Wrong>>) -> Result<(), Failure> {
    let effective = typed.and_then(Effective::work_out).map_err(|wrong| {
        let lines: Vec<String> = wrong.iter().map(ToString::to_string).collect();
        Failure::usage(lines.join("\n"))
    })?;
    for warning in effective.warnings(effective.listen) {
        // A warning that nobody can read changes nothing about the settings.
        _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("lastseen: warning: {warning}\n"),
        );
    }
    let mut output = Output::new();
    output.text(&effective.to_file())?;
    output.flush()
}
