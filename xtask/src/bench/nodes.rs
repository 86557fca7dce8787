//! Several nodes over one PostgreSQL: what they bear, how long a termination takes, and what the database does for each.

mod cluster;
mod terminate;
mod validate;
mod work;

use anyhow::Result;

use super::Arguments;
use super::results::Outcome;

pub(super) fn run(arguments: &Arguments) -> Result<Outcome> {
    let mut outcome = Outcome {
        yardstick: validate::YARDSTICK.to_owned(),
        ..Outcome::default()
    };
    validate::run(arguments, &mut outcome)?;
    terminate::run(arguments, &mut outcome)?;
    work::run(arguments, &mut outcome)?;
    Ok(outcome)
}
