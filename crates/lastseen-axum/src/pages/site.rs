//! What all pages of a service have in common: where they are, and the frame around them.

use std::sync::{Arc, LazyLock};

use askama::Template;
use lastseen::Session;
use sha2::{Digest, Sha256};

use super::home::{Homes, Person};

/// Where the pages of a service are, and what it is called.
///
/// The sessions page can stand under any path of any axum service; the server's own pages (sign-in,
/// password, set-up) share its style through [`Site::frame`]. Paths begin with `/` and end without one.
///
/// ```
/// use lastseen_axum::pages::Site;
///
/// let site = Site::new("/account/sessions", "/login").product_name("Example").sign_out_path("/logout");
/// ```
#[derive(Clone, Debug)]
pub struct Site {
    pub(super) product_name: String,
    pub(super) sessions_path: String,
    pub(super) sign_in_path: String,
    pub(super) sign_out_path: Option<String>,
    pub(super) password_path: Option<String>,
    pub(super) theme_url: Option<String>,
    homes: Option<Arc<dyn Homes>>,
}

impl Site {
    /// A service whose sessions page is at `sessions_path`, and that signs people in at `sign_in_path`.
    ///
    /// A visitor without a session is led to `sign_in_path` with the query `return_to=PATH`.
    pub fn new(sessions_path: impl Into<String>, sign_in_path: impl Into<String>) -> Self {
        Self {
            product_name: String::from("Lastseen"),
            sessions_path: sessions_path.into(),
            sign_in_path: sign_in_path.into(),
            sign_out_path: None,
            password_path: None,
            theme_url: None,
            homes: None,
        }
    }

    /// What the service is called, at the head of every page and in its title.
    #[must_use]
    pub fn product_name(mut self, name: impl Into<String>) -> Self {
        self.product_name = name.into();
        self
    }

    /// Where a form with `POST` signs out; without it the pages show no such button.
    #[must_use]
    pub fn sign_out_path(mut self, path: impl Into<String>) -> Self {
        self.sign_out_path = Some(path.into());
        self
    }

    /// Where the password is changed; without it the pages show no such link.
    #[must_use]
    pub fn password_path(mut self, path: impl Into<String>) -> Self {
        self.password_path = Some(path.into());
        self
    }

    /// A further style sheet, loaded after ours, from this server: it sets the custom properties at the
    /// head of `style.css`, each for light and dark at once.
    ///
    /// ```css
    /// :root {
    ///   --ls-accent: light-dark(#0b6b4f, #86e0c3);
    ///   --ls-accent-back: light-dark(#e9f7f1, #16302a);
    ///   --ls-font: "Inter", system-ui, sans-serif;
    /// }
    /// ```
    ///
    /// The others are `--ls-accent-fill` and `--ls-end-fill` (under white words), `--ls-back`, `--ls-front`, `--ls-text`, `--ls-muted`, `--ls-line`, `--ls-control`,
    /// `--ls-end`, `--ls-soon` and `--ls-round`.
    #[must_use]
    pub fn theme_url(mut self, url: impl Into<String>) -> Self {
        self.theme_url = Some(url.into());
        self
    }

    /// Who knows the applications that accounts are at home in; without it all accounts are the service's own.
    #[must_use]
    pub fn homes(mut self, homes: Arc<dyn Homes>) -> Self {
        self.homes = Some(homes);
        self
    }

    /// Who sees a page under this session.
    pub(super) async fn person<'a>(&self, session: &'a Session) -> Person<'a> {
        let home = match &self.homes {
            Some(homes) => homes.home_of(session).await,
            None => None,
        };
        let account = &session.account.name;
        Person { account, home }
    }

    /// The path of the sessions page.
    pub fn sessions_path(&self) -> &str {
        &self.sessions_path
    }

    /// The path that ends sessions, by `POST`.
    pub fn terminate_path(&self) -> String {
        format!("{}/terminate", self.sessions_path)
    }

    /// The path of the sign-in page.
    pub fn sign_in_path(&self) -> &str {
        &self.sign_in_path
    }

    /// The sign-in page for a visitor who is to come back to `path`, a path of this service.
    pub fn sign_in_url(&self, path: &str) -> String {
        format!("{}?return_to={}", self.sign_in_path, in_query(path))
    }

    /// The same for a visitor whose session has just ended: back to the sessions page.
    pub fn ended_url(&self) -> String {
        format!("{}&ended=1", self.sign_in_url(&self.sessions_path))
    }

    /// The style sheet of all pages.
    pub fn style_url(&self) -> String {
        self.asset_url(&STYLE)
    }

    /// The script of the sessions page.
    pub fn script_url(&self) -> String {
        self.asset_url(&SCRIPT)
    }

    /// The icon that a browser shows beside the title.
    pub fn icon_url(&self) -> String {
        self.asset_url(&ICON)
    }

    fn asset_url(&self, asset: &Asset) -> String {
        format!("{}/assets/{}", self.sessions_path, asset.name)
    }

    /// A page: `body` is markup, all else is text. `account` is the name of whoever is signed in.
    pub fn frame(&self, title: &str, account: Option<&str>, here: Here, body: &str) -> Html {
        let person = account.map(|account| Person {
            account,
            home: None,
        });
        self.frame_for(title, person.as_ref(), here, body)
    }

    /// The same for somebody whose account may be at home elsewhere.
    pub(super) fn frame_for(
        &self,
        title: &str,
        person: Option<&Person<'_>>,
        here: Here,
        body: &str,
    ) -> Html {
        let script = here == Here::Sessions;
        let has_own_password = person.is_none_or(|person| person.home.is_none());
        render(&Frame {
            site: self,
            title,
            person,
            password_path: self.password_path.as_deref().filter(|_| has_own_password),
            here,
            body,
            script,
        })
    }

    /// A page that only says something, with one way on.
    pub fn notice(
        &self,
        title: &str,
        account: Option<&str>,
        text: &str,
        back: (&str, &str),
    ) -> Html {
        let person = account.map(|account| Person {
            account,
            home: None,
        });
        self.notice_for(title, person.as_ref(), text, back)
    }

    /// The same for somebody whose account may be at home elsewhere.
    pub(super) fn notice_for(
        &self,
        title: &str,
        person: Option<&Person<'_>>,
        text: &str,
        back: (&str, &str),
    ) -> Html {
        let body = render(&Notice {
            title,
            text,
            back: back.0,
            back_word: back.1,
        });
        self.frame_for(title, person, Here::Elsewhere, &body)
    }
}

/// Markup, ready to be sent.
pub type Html = String;

/// Which page of the navigation a page is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Here {
    /// The sessions page.
    Sessions,
    /// The password page.
    Password,
    /// None of them.
    Elsewhere,
}

#[derive(Template)]
#[template(path = "frame.html")]
struct Frame<'a> {
    site: &'a Site,
    title: &'a str,
    person: Option<&'a Person<'a>>,
    password_path: Option<&'a str>,
    here: Here,
    body: &'a str,
    script: bool,
}

#[derive(Template)]
#[template(path = "notice.html")]
struct Notice<'a> {
    title: &'a str,
    text: &'a str,
    back: &'a str,
    back_word: &'a str,
}

/// Fills in a template.
pub(super) fn render(template: &impl Template) -> Html {
    // Rendering into a string fails only where a value's own formatting fails; none of ours does.
    template
        .render()
        .expect("every value of a page can be shown as text")
}

/// A path as the value of a query.
fn in_query(path: &str) -> String {
    url::form_urlencoded::byte_serialize(path.as_bytes()).collect()
}

/// A file that the pages load. Its name holds a hash of its content, so a browser may keep it for ever.
pub(super) struct Asset {
    pub(super) name: String,
    pub(super) content_type: &'static str,
    pub(super) content: &'static str,
}

impl Asset {
    fn new(stem: &str, extension: &str, content_type: &'static str, content: &'static str) -> Self {
        let hash = data_encoding::HEXLOWER.encode(&Sha256::digest(content)[..8]);
        Self {
            name: format!("{stem}-{hash}.{extension}"),
            content_type,
            content,
        }
    }

    /// The asset that is called `name`.
    pub(super) fn find(name: &str) -> Option<&'static Self> {
        [&STYLE, &SCRIPT, &ICON]
            .map(|asset| &**asset)
            .into_iter()
            .find(|asset| asset.name == name)
    }
}

static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "style",
        "css",
        "text/css; charset=utf-8",
        include_str!(concat!(env!("OUT_DIR"), "/style.css")),
    )
});
static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    let content = include_str!(concat!(env!("OUT_DIR"), "/script.js"));
    Asset::new("script", "js", "text/javascript; charset=utf-8", content)
});
static ICON: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "icon",
        "svg",
        "image/svg+xml; charset=utf-8",
        include_str!("icon.svg"),
    )
});

#[cfg(test)]
mod tests {
    use super::super::home::Home;
    use super::*;

    #[test]
    fn a_page_under_another_path_names_only_addresses_under_that_path() {
        let site = Site::new("/account/sessions", "/login").product_name("Example");
        assert_eq!(
            site.sign_in_url("/account?a=b"),
            "/login?return_to=%2Faccount%3Fa%3Db"
        );
        assert_eq!(
            site.ended_url(),
            "/login?return_to=%2Faccount%2Fsessions&ended=1"
        );
        assert_eq!(site.terminate_path(), "/account/sessions/terminate");
        assert!(
            site.style_url()
                .starts_with("/account/sessions/assets/style-")
        );
    }

    #[test]
    fn a_service_without_sign_out_and_password_page_shows_neither() {
        let page = Site::new("/s", "/login").frame("Sessions", Some("ada"), Here::Sessions, "");
        assert!(!page.contains("Sign out"));
        assert!(!page.contains("Password"));
    }

    #[test]
    fn sign_out_is_a_form_on_every_page_of_somebody_signed_in() {
        let site = Site::new("/sessions", "/sign-in")
            .sign_out_path("/sign-out")
            .password_path("/password");
        let page = site.frame("Password", Some("ada"), Here::Password, "");
        assert!(page.contains(r#"<form method="post" action="/sign-out">"#));
        assert!(page.contains(r#"<a href="/password" aria-current="page">"#));
        assert!(
            !site
                .frame("Sign in", None, Here::Elsewhere, "")
                .contains("Sign out")
        );
    }

    #[test]
    fn whoever_is_at_home_elsewhere_sees_its_name_and_the_way_back_and_no_password() {
        let site = Site::new("/sessions", "/sign-in").password_path("/password");
        let home = |way_back: Option<&str>| Person {
            account: "ada",
            home: Some(Home {
                name: "<Shop>".into(),
                way_back: way_back.map(Into::into),
            }),
        };
        let page = site.frame_for("Sessions", Some(&home(None)), Here::Sessions, "");
        let who = r#"<span class="who"><bdi>ada</bdi> · <bdi>&#60;Shop&#62;</bdi></span>"#;
        assert!(page.contains(who), "{page}");
        assert!(!page.contains("/password") && !page.contains("Back to"));
        let person = home(Some("https://shop.example/?a=1&b=2"));
        let page = site.frame_for("Sessions", Some(&person), Here::Sessions, "");
        let way_back =
            r#"<a href="https://shop.example/?a=1&#38;b=2">Back to <bdi>&#60;Shop&#62;</bdi></a>"#;
        assert!(page.contains(way_back), "{page}");
    }

    #[test]
    fn names_are_shown_as_text() {
        let site = Site::new("/sessions", "/sign-in").product_name("<b>&");
        let page = site.frame("<i>", Some("<script>alert(1)</script>"), Here::Sessions, "");
        assert!(!page.contains("<script>alert"));
        assert!(!page.contains("<i>"));
        assert!(page.contains("&#60;script&#62;alert(1)"));
    }

    #[test]
    fn an_asset_is_known_by_the_hash_of_its_content_and_by_nothing_else() {
        assert!(Asset::find(&STYLE.name).is_some());
        assert!(Asset::find("style.css").is_none());
        assert!(Asset::find("../site.rs").is_none());
    }
}
