//! `lastseen account …`.

use super::arguments::{AccountCommand, NameAndPassword};
use super::text::table;
use super::{Output, ask};
use crate::config::Effective;
use crate::control::{self, Request, Response, message::Password};
use crate::failure::Failure;

pub(super) fn run(command: AccountCommand, effective: &Effective) -> Result<(), Failure> {
    let request = match command {
        AccountCommand::Add(NameAndPassword {
            name,
            password_stdin,
        }) => Request::AddAccount {
            name,
            password: new_password(password_stdin)?,
        },
        AccountCommand::Password(NameAndPassword {
            name,
            password_stdin,
        }) => Request::SetPassword {
            name,
            password: new_password(password_stdin)?,
        },
        AccountCommand::Disable(account) => Request::DisableAccount { name: account.name },
        AccountCommand::Enable(account) => Request::EnableAccount { name: account.name },
        AccountCommand::Remove(account) => Request::RemoveAccount { name: account.name },
        AccountCommand::List => return list(effective),
    };
    control::carry_out_and_say(effective, request)
}

fn new_password(from_stdin: bool) -> Result<Password, Failure> {
    ask::new_password(from_stdin).map(|password| Password::new(&password))
}

fn list(effective: &Effective) -> Result<(), Failure> {
    let mut rows = Vec::new();
    control::carry_out(effective, Request::ListAccounts, |row| {
        if let Response::Account {
            name,
            disabled,
            created_at,
        } = row
        {
            let state = if disabled { "disabled" } else { "enabled" };
            rows.push(vec![name, state.to_owned(), created_at]);
        }
        Ok(())
    })?;
    let mut output = Output::new();
    output.text(&table(&["NAME", "STATE", "ADDED"], &rows))?;
    output.flush()
}
