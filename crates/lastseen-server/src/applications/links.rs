//! Links into the pages: how somebody who is signed in at an application gets to see his sessions here.
//!
//! The application asks for a link and leads its user's browser to it. The link opens a page with one button;
//! only the button uses it up, so a mail scanner or a browser that fetches addresses in advance does no harm.
//! What the button gives the browser is a second token of the session, for the pages
//! ([`lastseen::Sessions::page_token`]): the application's own token stays what it is, and the end of the
//! session is the end of both.
//!
//! A link is a secret of its own kind. Its hash is in the database, because a link that was given out has to
//! work after a crash of the server, too; and it is taken out of there in one step, so of many who press the
//! button at once one gets in.
//!
//! An application that wants its user back adds `return_to` with an address of its own to the link's query. It
//! counts where a `--return-host` names its host, and is kept with the session, for every page that it sees.
//!
//! # The session that the browser brought along stays
//! A sign-in ends the session whose cookie came along, because the same person signs in anew in its place.
//! A link does not: it begins no session, it opens the pages to one that there is. What the browser brought
//! along may belong to another application, which still uses it with a token of its own; ending it would sign
//! its user out there, for no more than a look at this list. The browser's cookie is replaced all the same.

use std::time::Duration;

use lastseen::token::{LinkSecret, Secret};
use lastseen::{AccountKey, Session, SessionId, SessionToken, Status, Timestamp, Unavailable};
use zeroize::Zeroizing;

use super::name::ApplicationName;
use super::service::{Application, ApplicationRefused, Applications, Inner};
use super::store::{StoredLink, StoredWayBack};
use crate::sign_in::ReturnTarget;

/// How long a link is good: the contract's minute.
pub const GOOD_FOR: Duration = Duration::from_mins(1);

/// Where links lead to; the secret follows.
pub const LINK_PATH: &str = "/link/";

/// A link that has just been made, and the only sight of its secret.
pub struct NewLink {
    /// Its path on this server, secret included.
    pub path: Zeroizing<String>,
    /// From when on it is worth nothing.
    pub expires_at: Timestamp,
}

/// Why there is no link.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NoLink {
    /// There is no such session of the account, or it has expired.
    #[error("there is no such session")]
    NotFound,
    /// As with everything that an application asks for.
    #[error(transparent)]
    Refused(#[from] ApplicationRefused),
}

impl From<Unavailable> for NoLink {
    fn from(unavailable: Unavailable) -> Self {
        Self::Refused(unavailable.into())
    }
}

/// What a good link leads to.
#[derive(Clone, Debug)]
pub struct LinkTarget {
    /// The application that made it.
    pub application: ApplicationName,
    /// The session that it opens the pages to.
    pub session: Session,
}

/// The pages are open to a session.
#[derive(Debug)]
pub struct Followed {
    /// What the browser must keep.
    pub token: SessionToken,
    /// The session.
    pub session: Session,
    /// The instant at which it happened.
    pub now: Timestamp,
}

impl Applications {
    /// Makes a link into the pages for an active session of one of the application's accounts.
    ///
    /// # Errors
    /// [`NoLink`].
    pub async fn make_link(
        &self,
        application: &Application,
        account: &AccountKey,
        session: SessionId,
    ) -> Result<NewLink, NoLink> {
        let inner = &self.inner;
        let now = inner.now();
        let found = inner.sessions.find(session, now).await?;
        if !found.is_some_and(|found| {
            found.account.key == *account && found.status(now) == Status::Active
        }) {
            return Err(NoLink::NotFound);
        }
        let mut id = [0; 16];
        inner.entropy.fill(&mut id);
        let secret = Secret::<LinkSecret>::generate(id, inner.entropy.as_ref());
        let expires_at = now.saturating_add(GOOD_FOR);
        let link = StoredLink {
            id,
            secret_hash: secret.hash(),
            application: application.id,
            session,
            expires_at,
        };
        if !inner.store.add_link(link, now).await? {
            return Err(ApplicationRefused::Removed.into());
        }
        let path = Zeroizing::new(format!(
            "{LINK_PATH}{}",
            Zeroizing::new(secret.reveal()).as_str()
        ));
        Ok(NewLink { path, expires_at })
    }

    /// What a link leads to, as long as it is good. Uses nothing up.
    ///
    /// # Errors
    /// [`Unavailable`] where the store could not be asked.
    pub async fn look_at_link(&self, secret: &[u8]) -> Result<Option<LinkTarget>, Unavailable> {
        let Some(secret) = Secret::<LinkSecret>::parse(secret) else {
            return Ok(None);
        };
        let now = self.inner.now();
        let link = self.inner.store.find_link(&secret.name()).await?;
        match link.filter(|link| link.secret_hash == secret.hash() && now < link.expires_at) {
            Some(link) => self.inner.target_of(&link, now).await,
            None => Ok(None),
        }
    }

    /// Uses a link up and opens the pages to its session; `None` where it is not good any more. From there
    /// `way_back`, which must be one that may be linked to, leads back.
    ///
    /// # Errors
    /// [`Unavailable`] where the store could not be asked; the link may be used up by then.
    pub async fn follow_link(
        &self,
        secret: &[u8],
        way_back: Option<&ReturnTarget>,
    ) -> Result<Option<Followed>, Unavailable> {
        let Some(secret) = Secret::<LinkSecret>::parse(secret) else {
            return Ok(None);
        };
        let inner = &self.inner;
        let now = inner.now();
        let taken = inner
            .store
            .take_link(&secret.name(), secret.hash(), now)
            .await?;
        let Some(link) = taken else {
            return Ok(None);
        };
        let Some(LinkTarget { session, .. }) = inner.target_of(&link, now).await? else {
            return Ok(None);
        };
        let token = inner
            .sessions
            .page_token(session.id, now, inner.entropy.as_ref())
            .await?;
        if let (Some(_), Some(way_back)) = (&token, way_back) {
            let way_back = StoredWayBack {
                session: session.id,
                application: link.application,
                address: way_back.as_str().into(),
                expires_at: session.absolute_deadline,
            };
            inner.store.set_way_back(way_back, now).await?;
        }
        Ok(token.map(|token| Followed {
            token,
            session,
            now,
        }))
    }
}

impl Applications {
    /// Where somebody goes back to who sees the pages of this session, if it was said.
    ///
    /// # Errors
    /// [`Unavailable`] where the store could not be asked.
    pub async fn way_back(&self, session: SessionId) -> Result<Option<Box<str>>, Unavailable> {
        self.inner.store.way_back(session).await
    }
}

impl Inner {
    /// What a link leads to; nothing where its session or its application has gone.
    async fn target_of(
        &self,
        link: &StoredLink,
        now: Timestamp,
    ) -> Result<Option<LinkTarget>, Unavailable> {
        let Some(application) = self.find(link.application).await? else {
            return Ok(None);
        };
        let session = self.sessions.find(link.session, now).await?;
        let name = &application.name;
        Ok(session
            .filter(|session| session.status(now) == Status::Active)
            .map(|session| LinkTarget {
                application: name.clone(),
                session,
            }))
    }
}
