//! What an operator does with applications, and the sessions that applications begin.

use std::net::IpAddr;
use std::sync::Arc;

use lastseen::token::SecretHash;
use lastseen::{
    Account, AccountId, AccountKey, AccountSource, ApplicationId, ClientDescription, ClientHints,
    Clock, Created, EndedBy, Entropy, NewSession, Sessions, TerminateError, Timestamp, Unavailable,
    Visit, to_the_end,
};

use super::key::{ApplicationKey, application_of, name_of};
use super::known::{Accepted, Known};
use super::name::{ApplicationName, NotAnApplicationName};
use super::store::{Added, ApplicationFollower, ApplicationStore, StoredApplication};
use crate::accounts::NameKey;

/// An application whose key is accepted.
#[derive(Debug)]
pub struct Application {
    /// Its number.
    pub id: ApplicationId,
    /// What it is called.
    pub name: ApplicationName,
    key_hash: SecretHash,
}

impl Application {
    #[cfg(test)]
    pub(super) fn for_tests(id: ApplicationId, name: ApplicationName) -> Self {
        let key_hash = SecretHash::from_bytes([0; 32]);
        Self { id, name, key_hash }
    }

    /// Where its accounts are defined.
    pub fn source(&self) -> AccountSource {
        AccountSource::Application(self.id)
    }

    /// Its account of that id, whether it was ever named or not.
    pub fn account(&self, id: AccountId) -> AccountKey {
        AccountKey {
            source: self.source(),
            id,
        }
    }
}

/// What is told of an application: nothing that is secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ApplicationSummary {
    /// What it is called.
    pub name: ApplicationName,
    /// When it was added.
    pub added_at: Timestamp,
    /// Its removal has begun and not ended: it must be asked for again.
    pub is_leaving: bool,
}

/// Why nothing was done, or not all of it. The text is one line for whoever asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ApplicationError {
    /// The name cannot be one.
    #[error(transparent)]
    Name(#[from] NotAnApplicationName),
    /// There is an application of that name, perhaps in another spelling, or one that is being removed.
    #[error("there is an application of that name already")]
    NameTaken,
    /// There is no application of that name.
    #[error("there is no application of that name")]
    Unknown,
    /// The store could not be asked.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why an application gets nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ApplicationRefused {
    /// It was removed in this moment: its key is none any more.
    #[error("the application was removed")]
    Removed,
    /// The store could not be asked.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// A sign-in that an application tells of. All of it comes from the application; of its own connection
/// nothing is taken for the visitor's.
#[derive(Debug)]
pub struct ApplicationSignIn {
    /// The application's own id for the account.
    pub account: AccountId,
    /// What the account is called; where it is not said, what it was called before, or its id.
    pub name: Option<Arc<str>>,
    /// Whether the device is to be remembered.
    pub remembered: bool,
    /// The visitor's address, where it was said.
    pub ip_address: Option<IpAddr>,
    /// What the visitor's client says of itself.
    pub client: OwnedClient,
}

/// What a visitor's client says of itself, as an application passes it on.
#[derive(Debug, Default)]
pub struct OwnedClient {
    /// The user agent.
    pub user_agent: Option<String>,
    /// `Sec-CH-UA`.
    pub brands: Option<String>,
    /// `Sec-CH-UA-Full-Version-List`.
    pub full_version_list: Option<String>,
    /// `Sec-CH-UA-Platform`.
    pub platform: Option<String>,
    /// `Sec-CH-UA-Platform-Version`.
    pub platform_version: Option<String>,
    /// `Sec-CH-UA-Mobile`.
    pub mobile: Option<String>,
    /// `Sec-CH-UA-Model`.
    pub model: Option<String>,
}

impl OwnedClient {
    /// The same, borrowed.
    pub fn description(&self) -> ClientDescription<'_> {
        fn bytes(text: Option<&String>) -> Option<&[u8]> {
            text.map(String::as_bytes)
        }
        ClientDescription {
            user_agent: bytes(self.user_agent.as_ref()),
            hints: ClientHints {
                brands: bytes(self.brands.as_ref()),
                full_version_list: bytes(self.full_version_list.as_ref()),
                platform: bytes(self.platform.as_ref()),
                platform_version: bytes(self.platform_version.as_ref()),
                mobile: bytes(self.mobile.as_ref()),
                model: bytes(self.model.as_ref()),
            },
        }
    }
}

/// The applications of this server, and what may be done with them. A handle, cheap to clone.
#[derive(Clone)]
pub struct Applications {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) store: Arc<dyn ApplicationStore>,
    pub(super) sessions: Sessions,
    pub(super) entropy: Arc<dyn Entropy>,
    clock: Arc<dyn Clock>,
    /// Those whose keys are accepted. It follows the store before anybody is answered, so a key is checked
    /// without a look at the store as long as memory may answer, and a removed one is refused at once.
    known: Arc<Known>,
    /// Held by the one who adds or removes: these are an operator's commands, few and far between.
    changing: tokio::sync::Mutex<()>,
}

impl Applications {
    /// The applications in `store`, whose sessions are in `sessions`. A removal that broke off is finished.
    ///
    /// # Errors
    /// [`Unavailable`] where the store cannot be asked.
    pub async fn open(
        store: Arc<dyn ApplicationStore>,
        sessions: Sessions,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, Unavailable> {
        let known = Arc::new(Known::new(store.authority()));
        let follower: Arc<dyn ApplicationFollower> = Arc::clone(&known) as _;
        store.set_follower(Arc::downgrade(&follower));
        let inner = Inner {
            store,
            sessions,
            entropy,
            clock,
            known,
            changing: tokio::sync::Mutex::default(),
        };
        for application in inner.store.list().await? {
            if application.is_leaving {
                inner.finish_removal(&application).await?;
            }
        }
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Adds an application. The key is told here and never again.
    ///
    /// # Errors
    /// [`ApplicationError`]; then there is none, or nobody knows.
    pub async fn add(&self, name: &str) -> Result<ApplicationKey, ApplicationError> {
        let name = ApplicationName::new(name)?;
        let inner = Arc::clone(&self.inner);
        to_the_end(async move { inner.add(name).await }).await
    }

    /// Every application, by name.
    ///
    /// # Errors
    /// [`Unavailable`] where the store cannot be asked.
    pub async fn list(&self) -> Result<Vec<ApplicationSummary>, Unavailable> {
        let stored = self.inner.store.list().await?;
        Ok(stored.into_iter().map(Into::into).collect())
    }

    /// Removes an application: its key is refused, and every session of its accounts ends. Says how many
    /// ended.
    ///
    /// # Errors
    /// [`ApplicationError`]; where the store failed on the way its key is refused already, and asking again
    /// does the rest.
    pub async fn remove(&self, name: &str) -> Result<u64, ApplicationError> {
        let name = ApplicationName::new(name)?;
        let inner = Arc::clone(&self.inner);
        to_the_end(async move { inner.remove(&name).await }).await
    }

    /// The application that a key belongs to, where it is one.
    ///
    /// # Errors
    /// [`Unavailable`] where only the store can tell, and cannot be asked.
    pub async fn authenticate(&self, key: &[u8]) -> Result<Option<Arc<Application>>, Unavailable> {
        let Some(key) = ApplicationKey::parse(key) else {
            return Ok(None);
        };
        let Some(id) = application_of(&key) else {
            return Ok(None);
        };
        let application = self.inner.find(id).await?;
        // Compares in constant time. Which application is meant is no secret.
        Ok(application.filter(|application| application.key_hash == key.hash()))
    }

    /// What the application is called whose accounts are of this source; nothing for built-in accounts.
    ///
    /// # Errors
    /// [`Unavailable`] where only the store can tell, and cannot be asked.
    pub async fn name_of(&self, source: AccountSource) -> Result<Option<Arc<str>>, Unavailable> {
        let AccountSource::Application(id) = source else {
            return Ok(None);
        };
        let application = self.inner.find(id).await?;
        Ok(application.map(|application| application.name.shared()))
    }

    /// Begins a session of an account that the application names.
    ///
    /// # Errors
    /// [`ApplicationRefused`]; then there is no session that anybody could use.
    pub async fn begin_session(
        &self,
        application: Arc<Application>,
        sign_in: ApplicationSignIn,
    ) -> Result<(Created, Timestamp), ApplicationRefused> {
        let inner = Arc::clone(&self.inner);
        // To its end: what takes back the session of an application that has just gone must not be left out
        // because the application hung up.
        to_the_end(async move { inner.begin_session(&application, sign_in).await }).await
    }

    /// The sessions of everybody.
    pub fn sessions(&self) -> &Sessions {
        &self.inner.sessions
    }
}

impl Inner {
    pub(super) fn now(&self) -> Timestamp {
        self.sessions.observe(self.clock.now())
    }

    /// The application with this number, if it is there and stays.
    pub(super) async fn find(
        &self,
        id: ApplicationId,
    ) -> Result<Option<Arc<Application>>, Unavailable> {
        if let Ok(answer) = self.known.find(id) {
            return Ok(answer);
        }
        let reading = self.known.begin_reading();
        let accepted: Accepted = self
            .store
            .list()
            .await?
            .into_iter()
            .filter(|application| !application.is_leaving)
            .map(|application| (application.id, Arc::new(application.into())))
            .collect();
        self.known.hold(&reading, &accepted);
        Ok(accepted.get(&id).cloned())
    }

    async fn add(&self, name: ApplicationName) -> Result<ApplicationKey, ApplicationError> {
        let _alone = self.changing.lock().await;
        // Its number is known once it is kept, and what is kept of the key does not depend on it.
        let key = ApplicationKey::generate(name_of(ApplicationId(0)), self.entropy.as_ref());
        let key_hash = key.hash();
        match self.store.add(&name, key_hash, self.now()).await? {
            Added::NameTaken => Err(ApplicationError::NameTaken),
            Added::Done(id) => {
                tracing::info!(application = id.0, name = ?name.as_str(), "application added");
                self.known.forget_applications();
                Ok(key.renamed(name_of(id)))
            }
        }
    }

    async fn remove(&self, name: &ApplicationName) -> Result<u64, ApplicationError> {
        let _alone = self.changing.lock().await;
        let key = name.key();
        let stored = self.store.list().await?;
        let application = stored
            .into_iter()
            .find(|application| NameKey::of(application.name.as_str()) == key)
            .ok_or(ApplicationError::Unknown)?;
        self.store.begin_removal(application.id).await?;
        self.known.forget_applications();
        // From here on no session of it begins that stays: see `begin_session`.
        Ok(self.finish_removal(&application).await?)
    }

    async fn finish_removal(&self, application: &StoredApplication) -> Result<u64, Unavailable> {
        let source = AccountSource::Application(application.id);
        let ended = self.sessions.terminate_source(source, self.now()).await?;
        self.store.finish_removal(application.id).await?;
        tracing::info!(application = application.id.0, name = ?application.name.as_str(), ended, "application removed");
        Ok(ended)
    }

    async fn begin_session(
        &self,
        application: &Application,
        sign_in: ApplicationSignIn,
    ) -> Result<(Created, Timestamp), ApplicationRefused> {
        let key = application.account(sign_in.account);
        let name = match sign_in.name {
            Some(name) => name,
            None => match self.sessions.name_of(&key).await? {
                Some(name) => name,
                None => key.id.as_str().into(),
            },
        };
        let account = Arc::new(Account { key, name });
        let new = NewSession {
            account: &account,
            remembered: sign_in.remembered,
            visit: Visit {
                ip_address: sign_in.ip_address,
                client: sign_in.client.description(),
            },
            // Which session it takes the place of, if any, is the application's business.
            replaces: None,
        };
        let now = self.now();
        let created = self
            .sessions
            .create(new, now, self.entropy.as_ref())
            .await?;
        let id = created.session.id;
        // Whoever removes an application makes it unknown first and ends its sessions then. Either the new
        // session was there to be ended, or the removal is seen here.
        let found = self.find(application.id).await;
        if !matches!(found, Ok(Some(_))) {
            tracing::warn!(application = application.id.0, session = %id, "application removed during sign-in, or nobody knows");
            let (sessions, now) = (self.sessions.clone(), self.now());
            let key = account.key.clone();
            let ending =
                async move { sessions.terminate(&key, &[id], EndedBy::Command, now).await };
            if let Err(fault) = found {
                // Its token is told to nobody. Whoever waits has waited for the store once, and that is enough.
                tokio::spawn(ending);
                return Err(fault.into());
            }
            return match ending.await {
                Ok(_) | Err(TerminateError::NotFound) => Err(ApplicationRefused::Removed),
                Err(TerminateError::Unavailable(fault)) => Err(fault.into()),
            };
        }
        tracing::info!(
            application = application.id.0,
            account = ?account.key.id.as_str(),
            session = %id,
            remembered = sign_in.remembered,
            ip_address = sign_in.ip_address.map(tracing::field::display),
            "signed in by an application"
        );
        Ok((created, now))
    }
}

impl From<StoredApplication> for Application {
    fn from(stored: StoredApplication) -> Self {
        let StoredApplication {
            id,
            name,
            key_hash,
            added_at: _,
            is_leaving: _,
        } = stored;
        Self { id, name, key_hash }
    }
}

impl From<StoredApplication> for ApplicationSummary {
    fn from(stored: StoredApplication) -> Self {
        let StoredApplication {
            id: _,
            name,
            key_hash: _,
            added_at,
            is_leaving,
        } = stored;
        Self {
            name,
            added_at,
            is_leaving,
        }
    }
}
