//! `lastseen application …`.

use super::Output;
use super::arguments::ApplicationCommand;
use super::text::table;
use crate::config::Effective;
use crate::control::{self, Request, Response};
use crate::failure::Failure;

pub(super) fn run(command: ApplicationCommand, effective: &Effective) -> Result<(), Failure> {
    match command {
        ApplicationCommand::Add(application) => add(application.name, effective),
        ApplicationCommand::List => list(effective),
        ApplicationCommand::Remove(application) => {
            let name = application.name;
            control::carry_out_and_say(effective, Request::RemoveApplication { name })
        }
    }
}

/// Prints the key, as soon as there is one.
fn add(name: String, effective: &Effective) -> Result<(), Failure> {
    control::carry_out(effective, Request::AddApplication { name }, |row| {
        if let Response::ApplicationKey { key } = row {
            let mut output = Output::new();
            output.line(key.reveal())?;
            output.flush()?;
        }
        Ok(())
    })?;
    Ok(())
}

fn list(effective: &Effective) -> Result<(), Failure> {
    let mut rows = Vec::new();
    control::carry_out(effective, Request::ListApplications, |row| {
        if let Response::Application {
            name,
            is_leaving,
            added_at,
        } = row
        {
            let state = if is_leaving {
                "being removed"
            } else {
                "accepted"
            };
            rows.push(vec![name, state.to_owned(), added_at]);
        }
        Ok(())
    })?;
    let mut output = Output::new();
    output.text(&table(&["NAME", "KEY", "ADDED"], &rows))?;
    output.flush()
}
