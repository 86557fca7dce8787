//! Signing in as pages: forms that work without a script.
//!
//! A form that was refused comes back as the page that it came from, with the reason and the refusal's
//! status. One that was accepted leads on with 303, so that reloading repeats nothing.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use lastseen::{AccountSource, EndedBy, TerminateError};
use lastseen_axum::pages::{Html, Site, lead_to, page};
use lastseen_axum::{ApiForm, CurrentSession, IgnoredBody, Problem, problem};
use serde::Deserialize;
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::api::sentence;
use super::arrival::{Arrival, set_cookies};
use super::change::ChangeRefused;
use super::return_target::{ReturnTarget, ReturnTargets};
use super::service::{Refused, SignIn};
use super::set_up::SetUpRefused;
use crate::accounts::Password;
use crate::pages::{
    PasswordPage, PasswordProblem, SetUpPage, SetUpProblem, SignInPage, SignInProblem,
    dead_set_up_link,
};

/// Where the password is changed.
const PASSWORD_PATH: &str = "/password";

/// The pages of signing in. The layer of sessions belongs around them.
///
/// Whoever signs in on one of them is led back to one of `targets`.
pub fn router<S: Clone + Send + Sync + 'static>(
    sign_in: SignIn,
    site: Site,
    targets: ReturnTargets,
) -> Router<S> {
    Router::new()
        .route("/sign-in", get(show_sign_in).post(take_sign_in))
        .route("/sign-out", post(take_sign_out))
        .route(PASSWORD_PATH, get(show_password).post(take_password))
        .route("/set-up/{secret}", get(show_set_up).post(take_set_up))
        .method_not_allowed_fallback(problem::method_not_allowed)
        .with_state(Forms {
            sign_in,
            site: Arc::new(site),
            targets,
        })
}

/// What the pages work with.
#[derive(Clone)]
struct Forms {
    sign_in: SignIn,
    site: Arc<Site>,
    targets: ReturnTargets,
}

/// Who is asking, or why that cannot be said.
type Caller = Result<Option<CurrentSession>, Problem>;

/// What a sign-in form holds.
#[derive(Deserialize)]
struct SignInForm {
    username: String,
    password: Zeroizing<String>,
    /// Sent where the box is ticked, whatever its value.
    remember: Option<String>,
    return_to: Option<String>,
}

/// What a form for the password holds.
#[derive(Deserialize)]
struct PasswordForm {
    current_password: Zeroizing<String>,
    new_password: Zeroizing<String>,
}

/// What a set-up form holds.
#[derive(Deserialize)]
struct SetUpForm {
    username: String,
    password: Zeroizing<String>,
}

/// `GET /sign-in`. Also for somebody who is signed in: signing in again is how one becomes somebody else.
async fn show_sign_in(State(forms): State<Forms>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let return_to = value_of(&query, "return_to")
        .and_then(|target| forms.targets.read(&target))
        .unwrap_or_default();
    let shown = SignInPage {
        return_to: return_to.as_str(),
        user_name: "",
        remember: false,
        ended: value_of(&query, "ended").is_some(),
        problem: None,
    };
    leading_on(
        page(StatusCode::OK, shown.render(&forms.site)),
        &forms.targets,
    )
}

/// `POST /sign-in`.
async fn take_sign_in(
    State(forms): State<Forms>,
    arrival: Arrival,
    form: Result<ApiForm<SignInForm>, Problem>,
) -> Response {
    let refuse = |problem: Problem, reason, user_name: &str, remember, return_to: &ReturnTarget| {
        let return_to = return_to.as_str();
        let shown = SignInPage {
            return_to,
            user_name,
            remember,
            ended: false,
            problem: Some(reason),
        };
        leading_on(refused(problem, shown.render(&forms.site)), &forms.targets)
    };
    let form = match form {
        Ok(ApiForm(form)) => form,
        Err(problem) => {
            return refuse(
                problem,
                SignInProblem::NotUnderstood,
                "",
                false,
                &ReturnTarget::default(),
            );
        }
    };
    let SignInForm {
        username,
        password,
        remember,
        return_to,
    } = form;
    let return_to = return_to
        .and_then(|target| forms.targets.read(&target))
        .unwrap_or_default();
    let Arrival {
        context, visitor, ..
    } = arrival;
    let remember = remember.is_some();
    let outcome = forms
        .sign_in
        .sign_in(
            username.clone(),
            Password::new(&password),
            remember,
            visitor,
        )
        .await;
    match outcome {
        Ok(signed_in) => {
            let mut response = lead_to(return_to.as_str());
            set_cookies(&context, &signed_in, response.headers_mut());
            response
        }
        Err(refusal) => {
            let reason = match &refusal {
                Refused::Credentials => SignInProblem::Credentials,
                Refused::TooMany(wait) => SignInProblem::TooMany {
                    wait: Duration::from_secs(wait.as_seconds()),
                },
                Refused::Busy(_) | Refused::Unavailable(_) => SignInProblem::Unavailable,
            };
            refuse(refusal.into(), reason, &username, remember, &return_to)
        }
    }
}

/// `POST /sign-out`: ends the session and clears what the browser kept of it.
async fn take_sign_out(
    State(forms): State<Forms>,
    arrival: Arrival,
    caller: Caller,
    _: IgnoredBody,
) -> Response {
    let mut response = lead_to(forms.site.sign_in_path());
    match caller {
        Ok(Some(current)) => {
            let (own, account) = (current.session.id, &current.session.account.key);
            let sessions = current.context().sessions();
            let ended = sessions
                .terminate(account, &[own], EndedBy::Session(own), current.now)
                .await;
            if let Err(TerminateError::Unavailable(fault)) = ended {
                return cannot_answer(&forms.site, fault.into());
            }
            current.sign_out(response.headers_mut());
        }
        // The session ended before; what the browser kept of it goes all the same.
        Ok(None) => arrival.context.sign_out(response.headers_mut()),
        Err(problem) => return cannot_answer(&forms.site, problem),
    }
    response
}

/// `GET /password`.
async fn show_password(
    State(forms): State<Forms>,
    RawQuery(query): RawQuery,
    caller: Caller,
) -> Response {
    match caller {
        // Whoever came by an application's link has no password here.
        Ok(Some(current)) if current.session.account.key.source != AccountSource::BuiltIn => {
            lead_to(forms.site.sessions_path())
        }
        Ok(Some(current)) => {
            let changed = value_of(&query.unwrap_or_default(), "changed").is_some();
            page(
                StatusCode::OK,
                password_page(&forms.site, &current, changed, None),
            )
        }
        Ok(None) => lead_to(&sign_in_first(&forms.site)),
        Err(problem) => cannot_answer(&forms.site, problem),
    }
}

/// `POST /password`.
async fn take_password(
    State(forms): State<Forms>,
    arrival: Arrival,
    caller: Caller,
    form: Result<ApiForm<PasswordForm>, Problem>,
) -> Response {
    let current = match caller {
        Ok(Some(current)) => current,
        Ok(None) => return lead_to(&sign_in_first(&forms.site)),
        Err(problem) => return cannot_answer(&forms.site, problem),
    };
    let refuse = |problem: Problem, reason| {
        refused(
            problem,
            password_page(&forms.site, &current, false, Some(reason)),
        )
    };
    let PasswordForm {
        current_password,
        new_password,
    } = match form {
        Ok(ApiForm(form)) => form,
        Err(problem) => return refuse(problem, PasswordProblem::NotUnderstood),
    };
    let Arrival {
        context, visitor, ..
    } = arrival;
    let (old, new) = (
        Password::new(&current_password),
        Password::new(&new_password),
    );
    match forms
        .sign_in
        .change_password(current.session.clone(), old, new, visitor)
        .await
    {
        Ok(signed_in) => {
            let mut response = lead_to(&format!("{PASSWORD_PATH}?changed=1"));
            set_cookies(&context, &signed_in, response.headers_mut());
            response
        }
        Err(ChangeRefused::NotSignedIn) => lead_to(&sign_in_first(&forms.site)),
        Err(refusal) => {
            let reason = match &refusal {
                ChangeRefused::Password(reason) => PasswordProblem::New(reason.to_string()),
                ChangeRefused::Refused(Refused::Credentials) => PasswordProblem::Current,
                ChangeRefused::Refused(Refused::TooMany(wait)) => PasswordProblem::TooMany {
                    wait: Duration::from_secs(wait.as_seconds()),
                },
                ChangeRefused::NotSignedIn | ChangeRefused::Refused(_) => {
                    PasswordProblem::Unavailable
                }
            };
            refuse(refusal.into(), reason)
        }
    }
}

/// `GET /set-up/{secret}`: the form, and nothing else; whoever fetches the address uses nothing up.
async fn show_set_up(
    State(forms): State<Forms>,
    secret: Result<Path<String>, PathRejection>,
) -> Response {
    let secret = Zeroizing::new(secret.map_or_else(|_| String::new(), |Path(secret)| secret));
    match forms.sign_in.may_set_up(secret.as_bytes()).await {
        Ok(true) => page(StatusCode::OK, set_up_page(&forms.site, &secret, "", None)),
        Ok(false) => refused(Problem::not_found(), dead_set_up_link(&forms.site)),
        Err(fault) => cannot_answer(&forms.site, fault.into()),
    }
}

/// `POST /set-up/{secret}`: makes the first account and signs its owner in.
async fn take_set_up(
    State(forms): State<Forms>,
    arrival: Arrival,
    secret: Result<Path<String>, PathRejection>,
    form: Result<ApiForm<SetUpForm>, Problem>,
) -> Response {
    let secret = Zeroizing::new(secret.map_or_else(|_| String::new(), |Path(secret)| secret));
    let refuse = |problem: Problem, reason, user_name: &str| {
        refused(
            problem,
            set_up_page(&forms.site, &secret, user_name, Some(reason)),
        )
    };
    let SetUpForm { username, password } = match form {
        Ok(ApiForm(form)) => form,
        // Whoever does not know the secret learns nothing by sending nonsense.
        Err(problem) => {
            return match forms.sign_in.may_set_up(secret.as_bytes()).await {
                Ok(true) => refuse(problem, SetUpProblem::NotUnderstood, ""),
                Ok(false) => refused(Problem::not_found(), dead_set_up_link(&forms.site)),
                Err(fault) => cannot_answer(&forms.site, fault.into()),
            };
        }
    };
    let Arrival {
        context, visitor, ..
    } = arrival;
    let key = Zeroizing::new(secret.as_bytes().to_vec());
    match forms
        .sign_in
        .set_up(key, username.clone(), Password::new(&password), visitor)
        .await
    {
        Ok(signed_in) => {
            let mut response = lead_to(ReturnTarget::default().as_str());
            set_cookies(&context, &signed_in, response.headers_mut());
            response
        }
        Err(SetUpRefused::NotGood) => refused(Problem::not_found(), dead_set_up_link(&forms.site)),
        Err(SetUpRefused::Name(reason)) => {
            let problem = Problem::invalid_request(sentence(reason));
            refuse(problem, SetUpProblem::Name(reason.to_string()), &username)
        }
        Err(SetUpRefused::Password(reason)) => {
            let problem = Problem::invalid_request(sentence(reason));
            refuse(
                problem,
                SetUpProblem::Password(reason.to_string()),
                &username,
            )
        }
        Err(SetUpRefused::Busy(busy)) => refuse(
            Problem::unavailable(busy),
            SetUpProblem::Unavailable,
            &username,
        ),
        Err(SetUpRefused::Unavailable(fault)) => {
            refuse(fault.into(), SetUpProblem::Unavailable, &username)
        }
    }
}

fn password_page(
    site: &Site,
    current: &CurrentSession,
    changed: bool,
    problem: Option<PasswordProblem>,
) -> Html {
    let account = &current.session.account.name;
    PasswordPage {
        account,
        changed,
        problem,
        sessions_path: site.sessions_path(),
    }
    .render(site)
}

fn set_up_page(site: &Site, secret: &str, user_name: &str, problem: Option<SetUpProblem>) -> Html {
    // Only a secret of ours comes this far but for one that was sent with nonsense; none is taken for markup.
    let path = Zeroizing::new(format!("/set-up/{secret}"));
    SetUpPage {
        path: &path,
        user_name,
        problem,
    }
    .render(site)
}

/// Where somebody goes who has to sign in before changing the password.
fn sign_in_first(site: &Site) -> String {
    site.sign_in_url(PASSWORD_PATH)
}

/// A page with the sign-in form, which may lead on to other hosts.
fn leading_on(mut response: Response, targets: &ReturnTargets) -> Response {
    if let Some(policy) = targets.form_policy() {
        let headers = response.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, policy.clone());
    }
    response
}

/// A refusal as a page: status and headers of the problem, the words of the page.
fn refused(problem: Problem, html: Html) -> Response {
    let mut response = problem.into_response();
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    *response.body_mut() = Body::from(html);
    response
}

/// The page for what cannot be answered at all.
fn cannot_answer(site: &Site, problem: Problem) -> Response {
    let text = "The server cannot answer at the moment. Try again.";
    refused(
        problem,
        site.notice("Sign in", None, text, (site.sign_in_path(), "Sign in")),
    )
}

/// The first value of `name` in a query.
fn value_of(query: &str, name: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes())
        .find(|(found, _)| found == name)
        .map(|(_, value)| value.into_owned())
}
