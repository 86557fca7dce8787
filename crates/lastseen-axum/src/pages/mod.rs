//! The sessions page, for a person with a browser: whole without a script, quicker with one.
//!
//! | file | what it is |
//! | --- | --- |
//! | `mod.rs` | the addresses, and what they do |
//! | [`site`] | where the pages are, and the frame that all of them share |
//! | `view.rs` | the order of the list, its groups and marks; `list.html`, `question.html` |
//! | `words.rs` | every sentence |
//! | `home.rs` | the applications that accounts are at home in |
//! | `icons.rs` | which drawing stands beside which name |
//! | `style.css`, `script.js`, `icon.svg` | what a page loads, and nothing else |
//!
//! # Addresses
//! Under the path that [`Site::new`] was given, `/sessions` say:
//!
//! | request | does |
//! | --- | --- |
//! | `GET /sessions?from=&shown=` | the list; changes nothing |
//! | `POST /sessions/terminate` | a form with `action` (`one:ID`, `remove:ID`, `selected` with `id`s, `all`). Without `confirmed=yes` it answers with the question, with it it ends them and leads back |
//! | `GET /sessions/assets/…` | style, script and icon, to be kept for ever |
//!
//! The script sends the same form and puts the same list in place of the one that is shown, so there is
//! one way to end a session from a page, and one text of every page.
//!
//! # Mounting it
//! ```
//! use axum::Router;
//! use lastseen_axum::pages::{self, Site};
//!
//! let site = Site::new("/account/sessions", "/login").product_name("Example").sign_out_path("/logout");
//! let app: Router = Router::new().merge(pages::router(site));
//! # let _ = app;
//! ```
//! Put [`SessionsLayer`](crate::SessionsLayer) and [`SecurityHeaders`](crate::SecurityHeaders) around it.

mod home;
mod icons;
pub mod site;
mod view;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use http::{HeaderValue, StatusCode};
use lastseen::{EndedBy, SessionId};
use serde::Deserialize;
use url::form_urlencoded;

pub use home::{Home, Homes};
pub use site::{Here, Html, Site};

use crate::api::MOST_IDS;
use crate::context::CurrentSession;
use crate::extract::ApiForm;
use crate::problem::{self, Code, Problem};
use site::{Asset, render};
use view::{Arrangement, QuestionPage, Window};
use words::{Done, Question};

/// The most sessions of one account that the page reads; the contract's own limit is a tenth of it.
const MOST_SESSIONS: usize = 10_000;

/// The sessions page of a site.
pub fn router<S: Clone + Send + Sync + 'static>(site: Site) -> Router<S> {
    let path = site.sessions_path().to_owned();
    Router::new()
        .route(&path, get(list))
        .route(&format!("{path}/terminate"), post(terminate))
        .route(&format!("{path}/assets/{{name}}"), get(asset))
        .method_not_allowed_fallback(problem::method_not_allowed)
        .with_state(Arc::new(site))
}

/// A page as a response. It depends on a session, or is about to set one, so nobody may keep it.
pub fn page(status: StatusCode, html: Html) -> Response {
    let headers = [
        (
            CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, html).into_response()
}

/// Leads on to a path of this server, whatever the method was.
pub fn lead_to(path: &str) -> Response {
    let Ok(location) = HeaderValue::from_str(path) else {
        return Problem::unavailable("a path of the site cannot stand in a header").into_response();
    };
    let headers = [
        (LOCATION, location),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// Who is asking, or why that cannot be said.
type Caller = Result<Option<CurrentSession>, Problem>;

/// `GET`: the list.
async fn list(
    State(site): State<Arc<Site>>,
    RawQuery(query): RawQuery,
    caller: Caller,
) -> Response {
    let query = Query::read(query.as_deref().unwrap_or_default());
    let current = match caller {
        Ok(Some(current)) => current,
        Ok(None) => return lead_to(&site.sign_in_url(&list_url(&site, query.window, None))),
        Err(problem) => return refusal(&site, None, problem).await,
    };
    match read(&current).await {
        Ok(list) => {
            let said = query.done.map(|done| done.sentence()).unwrap_or_default();
            let body = render(&list.page(&site, query.window, &said));
            let person = site.person(&current.session).await;
            page(
                StatusCode::OK,
                site.frame_for("Sessions", Some(&person), Here::Sessions, &body),
            )
        }
        Err(problem) => refusal(&site, Some(&current), problem).await,
    }
}

async fn read(current: &CurrentSession) -> Result<Arrangement, Problem> {
    let account = &current.session.account.key;
    let sessions = current.context().sessions();
    let listed = sessions
        .list(
            account,
            Some(current.session.id),
            MOST_SESSIONS,
            None,
            current.now,
        )
        .await?;
    Ok(Arrangement::new(
        listed.sessions,
        current.session.id,
        current.now,
    ))
}

/// What the address of the list says. Whatever is not understood counts as not said.
struct Query {
    window: Window,
    done: Option<Done>,
}

impl Query {
    fn read(query: &str) -> Self {
        let (mut from, mut shown, mut done, mut number) = (None, None, None, 0);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "from" => from = value.parse().ok(),
                "shown" => shown = value.parse().ok(),
                "done" => done = Some(value),
                "n" => number = value.parse().unwrap_or(0).min(MOST_SESSIONS),
                _ => {}
            }
        }
        let done = match done.as_deref() {
            Some("terminated") => Some(Done::Terminated(number)),
            Some("removed") => Some(Done::Removed),
            Some("all") => Some(Done::All(number)),
            Some("nothing") => Some(Done::NothingTicked),
            _ => None,
        };
        Self {
            window: Window::new(from, shown),
            done,
        }
    }
}

/// The list's address, with what was done.
fn list_url(site: &Site, window: Window, done: Option<&Done>) -> String {
    let mut query = window.query();
    match done {
        Some(Done::Terminated(number)) => query.push(format!("done=terminated&n={number}")),
        Some(Done::Removed) => query.push(String::from("done=removed")),
        Some(Done::All(number)) => query.push(format!("done=all&n={number}")),
        Some(Done::NothingTicked) => query.push(String::from("done=nothing")),
        None => {}
    }
    match query.join("&") {
        query if query.is_empty() => site.sessions_path().to_owned(),
        query => format!("{}?{query}", site.sessions_path()),
    }
}

/// The form of the list and that of the question.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    action: String,
    #[serde(default)]
    id: Vec<String>,
    confirmed: Option<String>,
    from: Option<usize>,
    shown: Option<usize>,
}

/// What a button of the form asks for.
enum Wish {
    /// One session by its own button; `removal` where it was shown as expired.
    One { id: SessionId, removal: bool },
    /// The ticked ones.
    Selected(Vec<SessionId>),
    /// All but the current one.
    All,
}

impl Wish {
    fn read(form: &Form) -> Result<Self, Problem> {
        let id = |text: &str| text.parse().map_err(|_| Problem::not_found());
        match form.action.split_once(':') {
            Some(("one", text)) => Ok(Self::One {
                id: id(text)?,
                removal: false,
            }),
            Some(("remove", text)) => Ok(Self::One {
                id: id(text)?,
                removal: true,
            }),
            None if form.action == "selected" && form.id.len() <= MOST_IDS => Ok(Self::Selected(
                form.id
                    .iter()
                    .map(|text| id(text))
                    .collect::<Result<_, _>>()?,
            )),
            None if form.action == "all" => Ok(Self::All),
            _ => Err(Problem::invalid_request(
                "The form asks for nothing that this page does.",
            )),
        }
    }
}

/// What is to be answered to a wish.
enum Answer {
    /// First the question.
    Ask(Question, Vec<SessionId>),
    /// Back to the list with what was done.
    Back(Done),
    /// The current session is among those that ended.
    SignedOut,
}

/// `POST`: asks, or ends.
async fn terminate(
    State(site): State<Arc<Site>>,
    caller: Caller,
    form: Result<ApiForm<Form>, Problem>,
) -> Response {
    let current = match caller {
        Ok(Some(current)) => current,
        Ok(None) => return lead_to(&site.ended_url()),
        Err(problem) => return refusal(&site, None, problem).await,
    };
    let form = match form {
        Ok(ApiForm(form)) => form,
        Err(problem) => return refusal(&site, Some(&current), problem).await,
    };
    let window = Window::new(form.from, form.shown);
    match answer(&current, &form).await {
        Ok(Answer::Ask(question, ids)) => {
            let title = question.title.clone();
            let body = render(&QuestionPage {
                site: &site,
                question,
                action: match &*form.action {
                    "selected" | "all" => form.action,
                    one => one.replacen("remove:", "one:", 1),
                },
                ids: ids.iter().map(ToString::to_string).collect(),
                from: window.from,
                shown: window.shown,
                back: list_url(&site, window, None),
            });
            let person = site.person(&current.session).await;
            page(
                StatusCode::OK,
                site.frame_for(&title, Some(&person), Here::Elsewhere, &body),
            )
        }
        Ok(Answer::Back(done)) => lead_to(&list_url(&site, window, Some(&done))),
        Ok(Answer::SignedOut) => {
            let mut response = lead_to(&site.ended_url());
            current.sign_out(response.headers_mut());
            response
        }
        Err(problem) => refusal(&site, Some(&current), problem).await,
    }
}

async fn answer(current: &CurrentSession, form: &Form) -> Result<Answer, Problem> {
    let wish = Wish::read(form)?;
    let list = read(current).await?;
    let confirmed = form.confirmed.as_deref() == Some("yes");
    match wish {
        Wish::One { id, removal } => {
            if removal && list.is_expired(id) {
                end(current, &[id]).await?;
                return Ok(Answer::Back(Done::Removed));
            }
            // What was shown as expired and is in use again is asked about like any other.
            if confirmed && !removal {
                return ended(current, &[id]).await;
            }
            Ok(match list.named(id) {
                Some(named) if named.current => {
                    Answer::Ask(Question::current(list.others_active()), Vec::new())
                }
                Some(named) => Answer::Ask(Question::one(&named), Vec::new()),
                None => Answer::Back(Done::Terminated(0)),
            })
        }
        Wish::Selected(ids) if ids.is_empty() => Ok(Answer::Back(Done::NothingTicked)),
        Wish::Selected(ids) if confirmed => ended(current, &ids).await,
        Wish::Selected(ids) => {
            let (ids, named): (Vec<_>, Vec<_>) = ids
                .into_iter()
                .filter_map(|id| Some((id, list.named(id)?)))
                .unzip();
            Ok(if ids.is_empty() {
                Answer::Back(Done::Terminated(0))
            } else {
                Answer::Ask(Question::several(&named), ids)
            })
        }
        Wish::All if confirmed => {
            let session = &current.session;
            let by = EndedBy::Session(session.id);
            let sessions = current.context().sessions();
            sessions
                .terminate_others(&session.account.key, Some(session.id), by, current.now)
                .await?;
            Ok(Answer::Back(Done::All(list.others_active())))
        }
        Wish::All => Ok(Answer::Ask(
            Question::all(list.others_active(), list.expired),
            Vec::new(),
        )),
    }
}

/// Ends sessions of the caller, the current one perhaps among them.
async fn ended(current: &CurrentSession, ids: &[SessionId]) -> Result<Answer, Problem> {
    let number = end(current, ids).await?;
    Ok(if ids.contains(&current.session.id) {
        Answer::SignedOut
    } else {
        Answer::Back(Done::Terminated(number))
    })
}

async fn end(current: &CurrentSession, ids: &[SessionId]) -> Result<usize, Problem> {
    let session = &current.session;
    let sessions = current.context().sessions();
    let by = EndedBy::Session(session.id);
    let number = sessions
        .terminate(&session.account.key, ids, by, current.now)
        .await?;
    Ok(usize::try_from(number).unwrap_or(usize::MAX))
}

/// A page for what went wrong: the problem's status, in a person's words.
async fn refusal(site: &Site, current: Option<&CurrentSession>, problem: Problem) -> Response {
    let text = match problem.code() {
        Code::Unavailable => {
            "The list could not be read, and nothing was terminated. Try again in a moment."
        }
        Code::NotFound => "Nothing was terminated: one of the sessions is not in your list.",
        _ => "Nothing was terminated: the page sent something that is not understood.",
    };
    let person = match current {
        Some(current) => Some(site.person(&current.session).await),
        None => None,
    };
    let html = site.notice_for(
        "Sessions",
        person.as_ref(),
        text,
        (site.sessions_path(), "Try again"),
    );
    // The problem's own response carries its status, and tells the log.
    let mut response = problem.into_response();
    let mut told = page(response.status(), html);
    for header in [CONTENT_TYPE, CACHE_CONTROL] {
        response.headers_mut().remove(header);
    }
    told.headers_mut()
        .extend(std::mem::take(response.headers_mut()));
    *told.extensions_mut() = std::mem::take(response.extensions_mut());
    told
}

/// `GET`: style, script and icon. Their names change with their content.
async fn asset(Path(name): Path<String>) -> Response {
    match Asset::find(&name) {
        Some(asset) => {
            let headers = [
                (CONTENT_TYPE, HeaderValue::from_static(asset.content_type)),
                (
                    CACHE_CONTROL,
                    HeaderValue::from_static("public, max-age=31536000, immutable"),
                ),
            ];
            (headers, asset.content).into_response()
        }
        None => Problem::not_found().into_response(),
    }
}
