//! What a request does. The same code runs in the server and in a command that found none.

use std::path::PathBuf;

use ipnet::IpNet;
use lastseen::{AccountKey, AccountSource, EndedBy, SessionId, TerminateError};
use lastseen_axum::view::{rfc3339, session_json};
use serde_json::value::RawValue;
use tokio::sync::mpsc::Sender;

use super::message::Key;
use super::{Request, Response};
use crate::accounts::{self, AccountError};
use crate::app::Services;

/// Records looked at in one step of a list. A step is held in memory; a row takes about 600 bytes.
const STEP: usize = 500;

/// Why a request was not carried out, or not to its end.
#[derive(Debug)]
pub(super) enum Stop {
    /// There is a reason, in one line.
    Refused(String),
    /// Whoever asked has left; there is nobody to tell.
    NobodyListens,
}

impl<E: std::error::Error> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Refused(error.to_string())
    }
}

/// Carries a request out and sends rows, if it has any, and then how it ended. Whoever asked may leave at any time; what
/// was begun is finished.
pub(crate) async fn execute(request: Request, services: Services, rows: Sender<Response>) {
    let last = match carry_out(request, &services, &rows).await {
        Ok(line) => Response::Done { line },
        Err(Stop::Refused(line)) => Response::refused(line),
        Err(Stop::NobodyListens) => return,
    };
    // Nobody listening any more is no fault.
    _ = rows.send(last).await;
}

async fn carry_out(
    request: Request,
    services: &Services,
    rows: &Sender<Response>,
) -> Result<Option<String>, Stop> {
    let accounts = &services.accounts;
    let said = match request {
        Request::AddAccount { name, password } => {
            accounts
                .add(&name, &accounts::Password::new(password.reveal()))
                .await?;
            format!("account {name} added")
        }
        Request::ListAccounts => return list_accounts(services, rows).await,
        Request::SetPassword { name, password } => {
            let password = accounts::Password::new(password.reveal());
            let ended = of(&name, accounts.set_password(&name, &password).await)?;
            format!("password of {name} changed; {}", terminated(ended))
        }
        Request::DisableAccount { name } => {
            let ended = of(&name, accounts.disable(&name).await)?;
            format!("account {name} disabled; {}", terminated(ended))
        }
        Request::EnableAccount { name } => {
            of(&name, accounts.enable(&name).await)?;
            format!("account {name} enabled")
        }
        Request::RemoveAccount { name } => {
            let ended = of(&name, accounts.remove(&name).await)?;
            format!("account {name} removed; {}", terminated(ended))
        }
        Request::ListSessions { account, network } => {
            return list_sessions(services, account, network, rows).await;
        }
        Request::TerminateSessions { ids } => terminated(terminate(services, &ids).await?),
        Request::TerminateAccount { name } => {
            let account = of(&name, account_key(services, &name).await)?;
            let now = services.clock.now();
            terminated(
                services
                    .sessions
                    .terminate_account(&account, EndedBy::Command, now)
                    .await?,
            )
        }
        Request::TerminateEverything => terminated(
            services
                .sessions
                .terminate_everything(services.clock.now())
                .await?,
        ),
        Request::AddApplication { name } => return add_application(services, &name, rows).await,
        Request::ListApplications => return list_applications(services, rows).await,
        Request::RemoveApplication { name } => {
            let ended = services.applications.remove(&name).await;
            let ended = ended.map_err(|error| Stop::Refused(format!("{name}: {error}")))?;
            format!("application {name} removed; {}", terminated(ended))
        }
        Request::Backup { file } => backup(services, file).await?,
    };
    Ok(Some(said))
}

/// `3 sessions terminated`.
fn terminated(number: u64) -> String {
    if number == 1 {
        "1 session terminated".to_owned()
    } else {
        format!("{number} sessions terminated")
    }
}

/// What a verb on an account has answered, with the account's name in what went wrong.
fn of<Answer>(name: &str, answer: Result<Answer, AccountError>) -> Result<Answer, Stop> {
    answer.map_err(|error| Stop::Refused(format!("{name}: {error}")))
}

async fn account_key(services: &Services, name: &str) -> Result<AccountKey, AccountError> {
    let account = services.accounts.find(name).await?;
    Ok(AccountKey {
        source: AccountSource::BuiltIn,
        id: account.id,
    })
}

async fn list_accounts(
    services: &Services,
    rows: &Sender<Response>,
) -> Result<Option<String>, Stop> {
    for account in services.accounts.list().await? {
        let row = Response::Account {
            name: account.name.as_str().to_owned(),
            disabled: account.disabled,
            created_at: rfc3339(account.created_at),
        };
        rows.send(row).await.map_err(|_| Stop::NobodyListens)?;
    }
    Ok(None)
}

/// Adds an application and tells its key, and nothing else: what a script reads is the key.
async fn add_application(
    services: &Services,
    name: &str,
    rows: &Sender<Response>,
) -> Result<Option<String>, Stop> {
    let added = services.applications.add(name).await;
    let key = added.map_err(|error| Stop::Refused(format!("{name}: {error}")))?;
    let key = Key::new(key.reveal());
    let row = Response::ApplicationKey { key };
    rows.send(row).await.map_err(|_| Stop::NobodyListens)?;
    Ok(None)
}

async fn list_applications(
    services: &Services,
    rows: &Sender<Response>,
) -> Result<Option<String>, Stop> {
    for application in services.applications.list().await? {
        let row = Response::Application {
            name: application.name.as_str().to_owned(),
            is_leaving: application.is_leaving,
            added_at: rfc3339(application.added_at),
        };
        rows.send(row).await.map_err(|_| Stop::NobodyListens)?;
    }
    Ok(None)
}

async fn list_sessions(
    services: &Services,
    account: Option<String>,
    network: Option<IpNet>,
    rows: &Sender<Response>,
) -> Result<Option<String>, Stop> {
    let account = match account {
        Some(name) => Some(of(&name, account_key(services, &name).await)?),
        None => None,
    };
    let sessions = &services.sessions;
    let now = sessions.observe(services.clock.now());
    let wanted = |session: &lastseen::Session| {
        let address = session.ip_address.map(|address| address.to_canonical());
        network.is_none_or(|network| address.is_some_and(|address| network.contains(&address)))
    };
    let (mut cursor, mut place) = (None, None);
    loop {
        // An account's own list is short and sorted; all sessions are walked in the store's order.
        let (found, more) = if let Some(account) = &account {
            let page = sessions.list(account, None, STEP, cursor, now).await?;
            cursor = page.next;
            (page.sessions, cursor.is_some())
        } else {
            let scan = sessions.scan(place, STEP, now).await?;
            place = scan.next;
            (scan.sessions, place.is_some())
        };
        for session in found.iter().filter(|session| wanted(session)) {
            let text = String::from_utf8(session_json(session, false, now))?;
            let row = Response::Session {
                session: RawValue::from_string(text)?,
            };
            rows.send(row).await.map_err(|_| Stop::NobodyListens)?;
        }
        if !more {
            return Ok(None);
        }
    }
}

/// Ends these sessions, all or none.
async fn terminate(services: &Services, ids: &[String]) -> Result<u64, Stop> {
    let unknown = |id: &String| {
        Stop::Refused(format!(
            "{id}: there is no such session; nothing was terminated"
        ))
    };
    let mut sessions = Vec::with_capacity(ids.len());
    let now = services.clock.now();
    for id in ids {
        let session: SessionId = id.parse().map_err(|_| unknown(id))?;
        if services.sessions.find(session, now).await?.is_none() {
            return Err(unknown(id));
        }
        sessions.push(session);
    }
    match services.sessions.terminate_anybodys(&sessions, now).await {
        Ok(number) => Ok(number),
        // One of them ended in this moment by other means.
        Err(TerminateError::NotFound) => Err(Stop::Refused(
            "one of the sessions has just ended; nothing was terminated".to_owned(),
        )),
        Err(TerminateError::Unavailable(error)) => Err(error.into()),
    }
}

async fn backup(services: &Services, file: PathBuf) -> Result<String, Stop> {
    // The copy shall know of every use up to now.
    services.sessions.flush(services.clock.now()).await?;
    services.storage.back_up(&file).await?;
    Ok(format!("database copied to {}", file.display()))
}
