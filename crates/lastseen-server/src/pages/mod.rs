//! The pages around the list of sessions: sign-in, password, set-up.
//!
//! They are forms that work without a script, in the frame and with the style of the sessions page
//! ([`lastseen_axum::pages`]). Here they are only drawn; [`crate::sign_in`] decides what happens.
//!
//! | page | form fields |
//! | --- | --- |
//! | [`SignInPage`], `POST /sign-in` | `username`, `password`, `remember=yes` where ticked, `return_to` |
//! | [`PasswordPage`], `POST /password` | `current_password`, `new_password`; `username`, for password managers alone |
//! | [`SetUpPage`], `POST` to its own path | `username`, `password` |
//! | `Site::notice` | none: a sentence and a way on |

use std::fmt;
use std::time::Duration;

use askama::Template;
use lastseen_axum::pages::{Here, Html, Site};

/// Where the pages of this server are.
pub fn site() -> Site {
    Site::new("/sessions", "/sign-in")
        .sign_out_path("/sign-out")
        .password_path("/password")
}

/// The sign-in page.
#[derive(Template)]
#[template(path = "sign_in.html")]
pub struct SignInPage<'a> {
    /// Where to go afterwards: a path of this server, or an address on a host that was named.
    pub return_to: &'a str,
    /// What stands in the field already, after a failed try.
    pub user_name: &'a str,
    /// Whether `Remember this device` is ticked.
    pub remember: bool,
    /// Whether the visitor comes from a session that has just ended.
    pub ended: bool,
    /// Why the last try failed.
    pub problem: Option<SignInProblem>,
}

/// Why a sign-in failed, as the page says it. Nothing here tells whether an account exists.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SignInProblem {
    /// Wrong name, wrong password or a disabled account: never said which.
    Credentials,
    /// Too many failures came before.
    TooMany {
        /// When to try again.
        wait: Duration,
    },
    /// The server cannot answer at the moment.
    Unavailable,
    /// The form did not come from this page.
    NotUnderstood,
}

impl fmt::Display for SignInProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credentials => formatter.write_str("User name and password do not match."),
            Self::TooMany { wait } => too_many(*wait, formatter),
            Self::Unavailable => formatter.write_str(UNAVAILABLE),
            Self::NotUnderstood => formatter.write_str(NOT_UNDERSTOOD),
        }
    }
}

impl SignInPage<'_> {
    /// The page as HTML.
    pub fn render(&self, site: &Site) -> Html {
        site.frame("Sign in", None, Here::Elsewhere, &filled_in(self))
    }

    fn names_fields(&self) -> bool {
        self.problem == Some(SignInProblem::Credentials)
    }
}

/// The page on which a signed-in person changes the password.
#[derive(Template)]
#[template(path = "password.html")]
pub struct PasswordPage<'a> {
    /// The name of the account.
    pub account: &'a str,
    /// Whether it has just been changed.
    pub changed: bool,
    /// Why it was not changed.
    pub problem: Option<PasswordProblem>,
    /// The path of the sessions page.
    pub sessions_path: &'a str,
}

/// Why a password was not changed, as the page says it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PasswordProblem {
    /// The current password is wrong.
    Current,
    /// The new one may not be one; the reason, for the person who chose it.
    New(String),
    /// Too many failures came before.
    TooMany {
        /// When to try again.
        wait: Duration,
    },
    /// The server cannot answer at the moment.
    Unavailable,
    /// The form did not come from this page.
    NotUnderstood,
}

impl fmt::Display for PasswordProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Current => {
                formatter.write_str("The current password is wrong. Nothing was changed.")
            }
            Self::New(reason) => write!(formatter, "{} Nothing was changed.", sentence(reason)),
            Self::TooMany { wait } => too_many(*wait, formatter),
            Self::Unavailable => formatter.write_str(UNAVAILABLE),
            Self::NotUnderstood => formatter.write_str(NOT_UNDERSTOOD),
        }
    }
}

impl PasswordPage<'_> {
    /// The page as HTML.
    pub fn render(&self, site: &Site) -> Html {
        site.frame(
            "Password",
            Some(self.account),
            Here::Password,
            &filled_in(self),
        )
    }

    fn current_is_wrong(&self) -> bool {
        self.problem == Some(PasswordProblem::Current)
    }

    fn new_is_refused(&self) -> bool {
        matches!(self.problem, Some(PasswordProblem::New(_)))
    }
}

/// The page behind the one-time link that creates the first account.
#[derive(Template)]
#[template(path = "set_up.html")]
pub struct SetUpPage<'a> {
    /// The path of the link, its secret included: where the form goes.
    pub path: &'a str,
    /// What stands in the field already, after a failed try.
    pub user_name: &'a str,
    /// Why no account was created.
    pub problem: Option<SetUpProblem>,
}

/// Why the first account was not created, as the page says it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SetUpProblem {
    /// The name cannot be one; the reason.
    Name(String),
    /// The password may not be one; the reason.
    Password(String),
    /// The server cannot answer at the moment.
    Unavailable,
    /// The form did not come from this page.
    NotUnderstood,
}

impl fmt::Display for SetUpProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(reason) | Self::Password(reason) => formatter.write_str(&sentence(reason)),
            Self::Unavailable => formatter.write_str(UNAVAILABLE),
            Self::NotUnderstood => formatter.write_str(NOT_UNDERSTOOD),
        }
    }
}

impl SetUpPage<'_> {
    /// The page as HTML.
    pub fn render(&self, site: &Site) -> Html {
        site.frame("Set up", None, Here::Elsewhere, &filled_in(self))
    }

    fn name_is_refused(&self) -> bool {
        matches!(self.problem, Some(SetUpProblem::Name(_)))
    }

    fn password_is_refused(&self) -> bool {
        matches!(self.problem, Some(SetUpProblem::Password(_)))
    }
}

/// The page of a set-up link that is unknown, used or too old.
pub fn dead_set_up_link(site: &Site) -> Html {
    let text =
        "This link is not good any more. A start of the server without an account prints another.";
    site.notice("Set up", None, text, (site.sign_in_path(), "Sign in"))
}

const UNAVAILABLE: &str = "The server cannot answer at the moment. Try again.";
const NOT_UNDERSTOOD: &str = "The page sent something that is not understood. Try again.";

fn too_many(wait: Duration, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    // Rounded up, so that whoever waits as long as is said has waited long enough.
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    if seconds > 90 {
        write!(
            formatter,
            "Too many tries. Again in {} min.",
            seconds.div_ceil(60)
        )
    } else {
        write!(formatter, "Too many tries. Again in {} s.", seconds.max(1))
    }
}

/// A reason as a sentence: with a capital letter in front and a full stop behind.
fn sentence(reason: &str) -> String {
    let mut letters = reason.chars();
    let first = letters
        .next()
        .map(|letter| letter.to_uppercase().to_string())
        .unwrap_or_default();
    format!("{first}{}.", letters.as_str().trim_end_matches('.'))
}

fn filled_in(template: &impl Template) -> Html {
    // Rendering into a string fails only where a value's own formatting fails; none of ours does.
    template
        .render()
        .expect("every value of a page can be shown as text")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign_in(problem: Option<SignInProblem>) -> Html {
        SignInPage {
            return_to: "/sessions",
            user_name: "",
            remember: false,
            ended: false,
            problem,
        }
        .render(&site())
    }

    fn password(problem: Option<PasswordProblem>, changed: bool) -> Html {
        PasswordPage {
            account: "ada",
            changed,
            problem,
            sessions_path: "/sessions",
        }
        .render(&site())
    }

    #[test]
    fn sign_in_has_a_user_name_a_password_and_a_tick_to_remember_the_device() {
        let page = sign_in(None);
        for part in [
            r#"<label for="username">User name</label>"#,
            r#"<label for="password">Password</label>"#,
            r#"<label for="remember">Remember this device</label>"#,
            r#"<button class="main">Sign in</button>"#,
        ] {
            assert!(page.contains(part), "{part}");
        }
    }

    #[test]
    fn a_password_manager_knows_every_field() {
        assert!(sign_in(None).contains(r#"autocomplete="username""#));
        assert!(sign_in(None).contains(r#"autocomplete="current-password""#));
        let page = password(None, false);
        for kind in ["username", "current-password", "new-password"] {
            assert!(
                page.contains(&format!(r#"autocomplete="{kind}""#)),
                "{kind}"
            );
        }
    }

    #[test]
    fn a_failed_sign_in_keeps_the_name_and_ties_the_reason_to_the_fields() {
        let page = SignInPage {
            return_to: "/password?x=\"><script>",
            user_name: "<ada>",
            remember: true,
            ended: true,
            problem: Some(SignInProblem::Credentials),
        }
        .render(&site());
        assert!(page.contains(r#"role="alert">User name and password do not match.</p>"#));
        assert_eq!(
            page.matches(r#"aria-invalid="true" aria-describedby="problem""#)
                .count(),
            2
        );
        assert!(page.contains(r#"value="&#60;ada&#62;""#));
        assert!(page.contains(" checked>"));
        assert!(!page.contains("<script>"));
        // The newer reason counts.
        assert!(!page.contains("This device has been signed out."));
    }

    #[test]
    fn a_wait_blames_no_field_and_is_rounded_up() {
        let page = sign_in(Some(SignInProblem::TooMany {
            wait: Duration::from_millis(29_100),
        }));
        assert!(page.contains("Too many tries. Again in 30 s."));
        assert!(!page.contains("aria-invalid"));
        let page = sign_in(Some(SignInProblem::TooMany {
            wait: Duration::from_secs(841),
        }));
        assert!(page.contains("Too many tries. Again in 15 min."));
    }

    #[test]
    fn whoever_was_signed_out_is_told_so() {
        let page = SignInPage {
            return_to: "/sessions",
            user_name: "",
            remember: false,
            ended: true,
            problem: None,
        }
        .render(&site());
        assert!(page.contains(r#"<p role="status">This device has been signed out.</p>"#));
    }

    #[test]
    fn a_refused_new_password_is_blamed_on_its_own_field_with_the_reason() {
        let reason = String::from("a password has at least 8 characters");
        let page = password(Some(PasswordProblem::New(reason)), false);
        assert!(page.contains("A password has at least 8 characters. Nothing was changed."));
        assert!(page.contains(
            r#"required aria-describedby="rules problem" aria-invalid="true" autofocus>"#
        ));
        assert_eq!(page.matches("aria-invalid").count(), 1);
    }

    #[test]
    fn a_wrong_current_password_is_blamed_on_its_own_field() {
        let page = password(Some(PasswordProblem::Current), false);
        assert!(page.contains(r#"autocomplete="current-password" required aria-invalid="true" aria-describedby="problem" autofocus>"#));
        assert_eq!(page.matches("aria-invalid").count(), 1);
    }

    #[test]
    fn the_password_page_offers_sign_out_and_says_what_a_change_did() {
        let page = password(None, true);
        assert!(page.contains(r#"action="/sign-out""#));
        assert!(
            page.contains("Password changed. Every other session of this account was terminated.")
        );
    }

    #[test]
    fn the_set_up_form_goes_to_its_own_link_and_nobody_is_signed_in_yet() {
        let page = SetUpPage {
            path: "/set-up/lsu_x",
            user_name: "",
            problem: None,
        }
        .render(&site());
        assert!(page.contains(r#"<form class="card" method="post" action="/set-up/lsu_x">"#));
        assert!(!page.contains("Sign out"));
        assert!(page.contains(r#"<button class="main">Create account</button>"#));
    }

    #[test]
    fn a_dead_set_up_link_says_how_to_get_another() {
        let page = dead_set_up_link(&site());
        assert!(page.contains("This link is not good any more."));
        assert!(page.contains(r#"href="/sign-in""#));
    }
}
