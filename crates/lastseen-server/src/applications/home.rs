//! What the sessions page knows of an application: its name, and the way back to it.

use std::fmt;
use std::pin::Pin;

use lastseen::Session;
use lastseen_axum::pages::{Home, Homes};

use super::service::Applications;
use crate::sign_in::ReturnTargets;

/// The applications as homes of accounts.
pub struct ApplicationHomes {
    applications: Applications,
    /// What may be linked to. A way back that was kept is judged again: the settings may have changed since.
    targets: ReturnTargets,
}

impl ApplicationHomes {
    /// The homes that are `applications`; ways back lead to `targets` only.
    pub fn new(applications: Applications, targets: ReturnTargets) -> Self {
        Self {
            applications,
            targets,
        }
    }

    async fn find(&self, session: &Session) -> Option<Home> {
        let name = match self.applications.name_of(session.account.key.source).await {
            Ok(name) => name?,
            Err(fault) => {
                tracing::warn!(%fault, "the name of an application is left out of a page");
                return None;
            }
        };
        let way_back = match self.applications.way_back(session.id).await {
            Ok(address) => address,
            Err(fault) => {
                tracing::warn!(%fault, "the way back to an application is left out of a page");
                None
            }
        };
        let way_back = way_back.and_then(|address| self.targets.read(&address));
        Some(Home {
            name,
            way_back: way_back.map(|target| target.as_str().into()),
        })
    }
}

impl Homes for ApplicationHomes {
    fn home_of<'a>(
        &'a self,
        session: &'a Session,
    ) -> Pin<Box<dyn Future<Output = Option<Home>> + Send + 'a>> {
        Box::pin(self.find(session))
    }
}

impl fmt::Debug for ApplicationHomes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ApplicationHomes")
            .field("targets", &self.targets)
            .finish_non_exhaustive()
    }
}
