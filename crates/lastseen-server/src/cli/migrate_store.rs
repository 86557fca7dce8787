//! `lastseen migrate-store FROM TO`.

use std::io::Write as _;

use super::Output;
use crate::config::{DatabaseLocation, Effective};
use crate::failure::{Failure, plain};
use crate::storage::copy::{self, Copied};
use crate::storage::{Role, Storage};

/// Copies everything from one database into another. How far it is goes to stderr, what came of it to stdout.
pub(super) fn run(from: &str, to: &str, effective: &Effective) -> Result<(), Failure> {
    let from = over("FROM", from, effective)?;
    let to = over("TO", to, effective)?;
    if let DatabaseLocation::Sqlite(path) = &from.database {
        // A typing error would make an empty database, and copy that.
        if !path.exists() {
            return Err(Failure::refused(format_args!(
                "{}: does not exist",
                path.display()
            )));
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::refused(format_args!("no threads can be started: {}", plain(&error)))
        })?;
    let copied = runtime.block_on(migrate(&from, &to))?;
    let mut output = Output::new();
    output.line(&format!("{} copied to {}", told(&copied), to.database))?;
    output.flush()
}

async fn migrate(from: &Effective, to: &Effective) -> Result<Copied, Failure> {
    let source = Storage::open(from, Role::Command).await?;
    let target = match Storage::open_to_copy(to, Role::Command).await {
        Ok(target) => target,
        Err(not_opened) => {
            source.close().await;
            return Err(not_opened.into());
        }
    };
    let copied = copy::copy(&source, &target, |copied| {
        // Whoever started this may have closed stderr; the copy goes on.
        _ = writeln!(std::io::stderr(), "lastseen: {} so far", told(copied));
    })
    .await;
    target.close().await;
    source.close().await;
    Ok(copied?)
}

/// The settings with another database in them.
fn over(argument: &str, text: &str, effective: &Effective) -> Result<Effective, Failure> {
    let mut effective = effective.clone();
    effective.database = DatabaseLocation::read(text)
        .map_err(|reason| Failure::usage(format_args!("{argument}: {reason}")))?;
    // That is another way to the database of the settings, not to this one.
    effective.node.direct = None;
    Ok(effective)
}

/// `2 accounts, 1 application and 40 sessions`.
fn told(copied: &Copied) -> String {
    let counted = |number: u64, what: &str| {
        let ending = if number == 1 { "" } else { "s" };
        format!("{number} {what}{ending}")
    };
    format!(
        "{}, {} and {}",
        counted(copied.accounts, "account"),
        counted(copied.applications, "application"),
        counted(copied.sessions, "session"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_copied_is_told_in_words() {
        let copied = Copied {
            accounts: 1,
            browsers: 3,
            applications: 0,
            sessions: 40,
        };
        assert_eq!(told(&copied), "1 account, 0 applications and 40 sessions");
    }
}
