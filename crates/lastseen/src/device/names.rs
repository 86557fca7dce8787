//! What things are called: the words of the rules and of the hints, turned into those of people.
//!
//! A browser has one name on every system (`Chrome Mobile iOS` is Chrome), a distribution of Linux
//! is Linux. Names that a rule copies out of the user agent are let through only where they read
//! like a name.

use std::borrow::Cow;

/// The longest name, in bytes. The longest of the rules' own is 32.
const MAX_NAME_BYTES: usize = 40;

/// The longest part of a version, in digits: a date written as a version has eight.
const MAX_VERSION_DIGITS: usize = 9;

/// A brand of `Sec-CH-UA`, by how much it says: the later, the more.
///
/// A browser names Chromium beside itself, some name Chrome, and each narrower one the wider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Brand {
    /// The engine of all of them.
    Chromium,
    /// A brand that is not known here.
    Stranger(String),
    /// Chrome itself.
    Chrome,
    /// Another browser.
    Browser(&'static str),
    /// An edition of such a browser, with a version of its own.
    Edition(&'static str),
    /// What a page is shown in inside an app.
    Frame(&'static str),
}

impl Brand {
    /// The name to show.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Chromium => "Chromium",
            Self::Stranger(name) => name,
            Self::Chrome => "Chrome",
            Self::Browser(name) | Self::Edition(name) | Self::Frame(name) => name,
        }
    }

    /// How much it says.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Chromium => 0,
            Self::Stranger(_) => 1,
            Self::Chrome => 2,
            Self::Browser(_) => 3,
            Self::Edition(_) => 4,
            Self::Frame(_) => 5,
        }
    }

    /// Whether it only names what a browser or app is built on, and so leaves the name to the user
    /// agent where that knows better than `said`.
    pub(super) fn leaves_the_name_to(&self, said: &str) -> bool {
        match self {
            Self::Chromium => !matches!(said, "Chrome" | "Chromium"),
            Self::Frame(_) => !matches!(said, "Chrome" | "Chromium" | "Edge"),
            _ => false,
        }
    }
}

/// The brand of this name, or `None` where it is the decoy that browsers mix in (the letters of
/// which always read `NotABrand`) or no name at all.
pub(super) fn brand(name: &str) -> Option<Brand> {
    Some(match name {
        "Google Chrome" | "Chrome" => Brand::Chrome,
        "Chromium" => Brand::Chromium,
        "Android WebView" => Brand::Frame(CHROME_WEBVIEW),
        "Microsoft Edge WebView2" => Brand::Frame("Edge WebView2"),
        "Microsoft Edge" | "Edge" => Brand::Browser("Edge"),
        "HeadlessChrome" => Brand::Browser("Headless Chrome"),
        "HeadlessEdg" => Brand::Browser("Headless Edge"),
        "Opera" | "Opera One" => Brand::Browser("Opera"),
        "OperaMobile" | "Opera Mobile" => Brand::Edition("Opera"),
        "Opera GX" | "OperaGX" => Brand::Browser("Opera GX"),
        "Opera Mini" | "OperaMini" | "Opera Mini Android" => Brand::Browser("Opera Mini"),
        "Opera Air" => Brand::Browser("Opera Air"),
        "Brave" | "Brave Browser" => Brand::Browser("Brave"),
        "Vivaldi" => Brand::Browser("Vivaldi"),
        "Samsung Internet" | "SamsungBrowser" => Brand::Browser("Samsung Internet"),
        "YaBrowser" | "Yandex" | "Yandex Browser" => Brand::Browser("Yandex Browser"),
        "DuckDuckGo" => Brand::Browser("DuckDuckGo"),
        "Whale" | "NAVER Whale" | "Naver Whale" => Brand::Browser("Whale"),
        "HuaweiBrowser" | "Huawei Browser" => Brand::Browser("Huawei Browser"),
        "MiuiBrowser" | "Miui Browser" | "MIUI Browser" | "XiaoMiBrowser" => {
            Brand::Browser("MIUI Browser")
        }
        "UCBrowser" | "UC Browser" => Brand::Browser("UC Browser"),
        "QQBrowser" | "QQ Browser" => Brand::Browser("QQ Browser"),
        "Quark" | "QuarkPC" => Brand::Browser("Quark"),
        "CocCoc" | "Coc Coc" | "coc_coc_browser" => Brand::Browser("Coc Coc"),
        "Silk" | "Amazon Silk" => Brand::Browser("Amazon Silk"),
        "Oculus Browser" | "OculusBrowser" | "Meta Quest Browser" => {
            Brand::Browser("Oculus Browser")
        }
        "Avast Secure Browser" => Brand::Browser("Avast Secure Browser"),
        "AVG Secure Browser" => Brand::Browser("AVG Secure Browser"),
        "CCleaner Browser" => Brand::Browser("CCleaner Browser"),
        "Norton Private Browser" => Brand::Browser("Norton Private Browser"),
        "Ecosia" => Brand::Browser("Ecosia"),
        "Puffin" => Brand::Browser("Puffin"),
        "Maxthon" => Brand::Browser("Maxthon"),
        // Yandex names this beside its own brand.
        "Yowser" => return None,
        stranger => {
            let letters = stranger.chars().filter(char::is_ascii_alphabetic);
            if letters
                .map(|letter| letter.to_ascii_lowercase())
                .eq("notabrand".chars())
            {
                return None;
            }
            Brand::Stranger(clean(stranger)?)
        }
    })
}

/// The name to show for what `Sec-CH-UA-Platform` says, or `None` where it says nothing known.
pub(super) fn platform(name: &str) -> Option<&'static str> {
    Some(match name {
        "Windows" => "Windows",
        "macOS" | "Mac OS X" => "macOS",
        "Linux" => "Linux",
        "Android" => "Android",
        "iOS" => "iOS",
        "iPadOS" => "iPadOS",
        "Chrome OS" | "Chromium OS" | "ChromeOS" => "ChromeOS",
        "HarmonyOS" | "OpenHarmony" => "HarmonyOS",
        "Fuchsia" => "Fuchsia",
        "FreeBSD" => "FreeBSD",
        "OpenBSD" => "OpenBSD",
        _ => return None,
    })
}

/// What a page is shown in inside an app of Android.
pub(super) const CHROME_WEBVIEW: &str = "Chrome WebView";

/// What a page is shown in inside an app of Apple's systems.
const SAFARI_WEBVIEW: &str = "Safari WebView";

/// The name to show for the browser that the rules found, or `None` where they found no name.
pub(super) fn browser(found: &str) -> Option<Cow<'static, str>> {
    let known = match found {
        "Chrome Mobile" | "Chrome Mobile iOS" | "Chrome Frame" => "Chrome",
        "Chrome Mobile WebView" => CHROME_WEBVIEW,
        "HeadlessChrome" => "Headless Chrome",
        "Mobile Safari" | "WebKit Nightly" => "Safari",
        // The rules call what shows no more than the engine a mail program; it may be any app.
        "Mobile Safari UI/WKWebView" | "Apple Mail" => SAFARI_WEBVIEW,
        "Firefox Mobile"
        | "Firefox iOS"
        | "Firefox Alpha"
        | "Firefox Beta"
        | "Firefox (Minefield)"
        | "Firefox (Namoroka)"
        | "Firefox (Shiretoko)" => "Firefox",
        "Edge Mobile" => "Edge",
        "Opera Mobile" | "Opera Tablet" => "Opera",
        "IE" | "IE Mobile" | "IE Large Screen" => "Internet Explorer",
        "Android" => "Android Browser",
        "DuckDuckGo Mobile" => "DuckDuckGo",
        "Ecosia iOS" | "Ecosia Android" => "Ecosia",
        "QQ Browser Mobile" | "QQ Browser Mini" => "QQ Browser",
        "MiuiBrowser" => "MIUI Browser",
        "VivoBrowser" => "Vivo Browser",
        "WeChat Browser" => "WeChat",
        "Google" => "Google App",
        "Baidu Explorer" => "Baidu",
        "WindowsPowerShell" => "PowerShell",
        "HeadlessEdg" => "Headless Edge",
        "AVG" => "AVG Secure Browser",
        "CCleaner" => "CCleaner Browser",
        "Norton" => "Norton Private Browser",
        "Seznam prohlížeč" => "Seznam Browser",
        "Chromium GOST Browser" => "Chromium GOST",
        "Quark PC" => "Quark",
        "Python aiohttp" => "aiohttp",
        "Other" | "Version" => return None,
        other => return clean(other).map(Cow::Owned),
    };
    Some(Cow::Borrowed(known))
}

/// The name to show for the system that the rules found, or `None` where they found none: a few of
/// them take the maker of a television set for its system.
pub(super) fn system(found: &str) -> Option<&'static str> {
    Some(match found {
        "Android" | "Chromecast Android" => "Android",
        "BlackBerry OS" => "BlackBerry OS",
        "BlackBerry Tablet OS" => "BlackBerry Tablet OS",
        "Bada" => "Bada",
        "Brew MP" | "BREW" => "Brew",
        "BSD" => "BSD",
        "Chrome OS" => "ChromeOS",
        "Firefox OS" => "Firefox OS",
        "FreeBSD" => "FreeBSD",
        "Fuchsia" | "Chromecast Fuchsia" => "Fuchsia",
        "GoogleTV" => "Google TV",
        "Haiku" => "Haiku",
        "HarmonyOS" => "HarmonyOS",
        "iOS" => "iOS",
        "iPadOS" => "iPadOS",
        "KaiOS" => "KaiOS",
        "Kindle" => "Kindle",
        "Linux"
        | "Arch Linux"
        | "BackTrack"
        | "CentOS"
        | "Chromecast Linux"
        | "Chromecast SmartSpeaker"
        | "Debian"
        | "debian"
        | "Fedora"
        | "Gentoo"
        | "Kubuntu"
        | "Linux Mint"
        | "Lubuntu"
        | "Mageia"
        | "Mandriva"
        | "openSUSE"
        | "PCLinuxOS"
        | "Puppy"
        | "Red Hat"
        | "Slackware"
        | "SUSE"
        | "Ubuntu" => "Linux",
        "Mac OS" => "Mac OS",
        "Mac OS X" | "macOS" => "macOS",
        "Maemo" => "Maemo",
        "MeeGo" | "WeTab" => "MeeGo",
        "NetBSD" => "NetBSD",
        "Nintendo Switch" => "Nintendo Switch",
        "Nokia Series 30 Plus" => "Series 30+",
        "Nokia Series 40" => "Series 40",
        "OpenBSD" => "OpenBSD",
        "PlayStation" => "PlayStation",
        "Roku" => "Roku OS",
        "Sailfish" => "Sailfish OS",
        "SerenityOS" => "SerenityOS",
        "Solaris" => "Solaris",
        "Symbian OS" | "Symbian^3" | "Symbian^3 Anna" | "Symbian^3 Belle" => "Symbian OS",
        "Tizen" => "Tizen",
        "tvOS" | "ATV OS X" => "tvOS",
        "Ubuntu Touch" => "Ubuntu Touch",
        "watchOS" | "WatchOS" => "watchOS",
        "webOS" | "Web0S" => "webOS",
        "Windows" => "Windows",
        "Windows Mobile" => "Windows Mobile",
        "Windows Phone" => "Windows Phone",
        _ => return None,
    })
}

/// Whether what a client says of the version of a system tells anybody anything: not the kernel of
/// a Linux, not the frozen build of a ChromeOS.
pub(super) fn has_telling_version(system: &str) -> bool {
    !matches!(system, "Linux" | "ChromeOS")
}

/// A name that came out of a header, or `None` where it does not read like one.
///
/// What a client makes up can be no more than a few ASCII words here, so it can neither break
/// what it is printed into nor tell a story.
fn clean(name: &str) -> Option<String> {
    let name = name.trim().replace("%20", " ");
    let plain = |c: char| c.is_ascii_alphanumeric() || " ._-+!&'".contains(c);
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let reads = (2..=MAX_NAME_BYTES).contains(&name.len())
        && starts_well
        && name.chars().all(plain)
        && name.split(' ').count() <= 5;
    reads.then_some(name)
}

/// The major version out of a version of any length, or `None` where it does not begin with one.
pub(super) fn major(version: &str) -> Option<String> {
    let digits = version.len()
        - version
            .trim_start_matches(|c: char| c.is_ascii_digit())
            .len();
    let rest = &version[digits..];
    let ends_well = rest.is_empty() || !rest.starts_with(|c: char| c.is_alphanumeric());
    let reads = (1..=MAX_VERSION_DIGITS).contains(&digits) && ends_well;
    reads.then(|| version[..digits].to_owned())
}

/// A version of two parts, `17.4`; a minor part of nought is left away, `17`.
pub(super) fn version(first: &str, second: Option<&str>) -> Option<String> {
    let mut version = part(first)?.to_owned();
    if let Some(second) = second
        .and_then(part)
        .filter(|part| !part.trim_matches('0').is_empty())
    {
        version.push('.');
        version.push_str(second);
    }
    Some(version)
}

/// One part of a version, where it is a number.
fn part(text: &str) -> Option<&str> {
    let number = (1..=MAX_VERSION_DIGITS).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_digit());
    number.then_some(text)
}

/// Whether a system is built on another that it may be taken for.
pub(super) fn is_built_on(system: &str, base: &str) -> bool {
    match base {
        "Android" => matches!(system, "HarmonyOS" | "Fire OS" | "Wear OS"),
        "Linux" => matches!(system, "KaiOS" | "Sailfish OS" | "Tizen" | "webOS"),
        _ => false,
    }
}
