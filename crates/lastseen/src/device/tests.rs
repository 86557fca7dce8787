//! What devices are named, over what clients really send, and over what they should not.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// System, version, browser, version, user agent: one line of `tests/user_agents.txt`.
fn labelled() -> impl Iterator<Item = [&'static str; 5]> {
    include_str!("tests/user_agents.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let mut columns = line.splitn(5, '|');
            std::array::from_fn(|_| columns.next().expect("a line has five columns"))
        })
}

/// A product as the table writes it.
fn written(product: Option<&Product>) -> [&str; 2] {
    product.map_or(["-", "-"], |product| {
        [&product.name, product.version.as_deref().unwrap_or("-")]
    })
}

fn named(client: &ClientDescription<'_>) -> [String; 4] {
    let device = DeviceParser::shared().parse(client);
    let [system, system_version] = written(device.operating_system.as_ref());
    let [browser, browser_version] = written(device.browser.as_ref());
    [system, system_version, browser, browser_version].map(str::to_owned)
}

#[test]
fn every_user_agent_of_the_table_gets_its_name() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for [system, system_version, browser, browser_version, user_agent] in labelled() {
        count += 1;
        let found = named(&ClientDescription::of_user_agent(user_agent.as_bytes()));
        if found != [system, system_version, browser, browser_version] {
            wrong.push(format!("{found:?} for {user_agent}"));
        }
    }
    assert!(count > 150, "the table is read");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const CHROME_ON_WINDOWS: &[u8] = b"Mozilla/5.0 (Windows NT 10.0; Win64; x64) \
    AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36";
const CHROME_ON_MAC: &[u8] = b"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) \
    AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36";
const CHROME_ON_LINUX: &[u8] = b"Mozilla/5.0 (X11; Linux x86_64) \
    AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36";
const CHROME_ON_ANDROID: &[u8] = b"Mozilla/5.0 (Linux; Android 10; K) \
    AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36";
const FIREFOX_ON_LINUX: &[u8] =
    b"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";

const CHROME_BRANDS: &str = r#""Google Chrome";v="120", "Chromium";v="120", "Not_A Brand";v="24""#;

/// A description with hints, each left away where it is empty.
fn hinted<'a>(
    user_agent: &'a [u8],
    brands: &'a str,
    platform: &'a str,
    platform_version: &'a str,
) -> ClientDescription<'a> {
    let hint = |text: &'a str| (!text.is_empty()).then_some(text.as_bytes());
    ClientDescription {
        user_agent: Some(user_agent),
        hints: ClientHints {
            brands: hint(brands),
            platform: hint(platform),
            platform_version: hint(platform_version),
            ..ClientHints::default()
        },
    }
}

#[test]
fn the_platform_version_tells_windows_11_from_windows_10() {
    for (version, release) in [
        (r#""15.0.0""#, "11"),
        (r#""13.0.0""#, "11"),
        (r#""19.0.0""#, "11"),
        (r#""10.0.0""#, "10"),
        (r#""1.0.0""#, "10"),
        (r#""0.3.0""#, "8.1"),
        (r#""0.2.0""#, "8"),
        (r#""0.1.0""#, "7"),
        (r#""0.0.0""#, "-"),
        (r#""0""#, "-"),
        (r#""11.0.0""#, "-"),
        (r#""""#, "-"),
        (r#""fifteen""#, "-"),
        (r#""99999999999999999999.0.0""#, "-"),
        ("15.0.0", "-"),
        ("", "-"),
    ] {
        let client = hinted(CHROME_ON_WINDOWS, CHROME_BRANDS, r#""Windows""#, version);
        assert_eq!(
            named(&client),
            ["Windows", release, "Chrome", "120"],
            "{version}"
        );
    }
}

#[test]
fn the_platform_version_is_the_real_one_on_macos() {
    for (version, shown) in [
        (r#""15.1.0""#, "15.1"),
        (r#""14.0.0""#, "14"),
        (r#""10.15.7""#, "10.15"),
        (r#""26.0.1""#, "26"),
        (r#""not a version""#, "-"),
        (r#""""#, "-"),
    ] {
        let client = hinted(CHROME_ON_MAC, CHROME_BRANDS, r#""macOS""#, version);
        assert_eq!(
            named(&client),
            ["macOS", shown, "Chrome", "120"],
            "{version}"
        );
    }
}

#[test]
fn the_platform_version_is_the_real_one_on_android() {
    let client = hinted(
        CHROME_ON_ANDROID,
        CHROME_BRANDS,
        r#""Android""#,
        r#""14.0.0""#,
    );
    assert_eq!(named(&client), ["Android", "14", "Chrome", "120"]);
}

#[test]
fn the_platform_version_says_nothing_on_linux_and_chromeos() {
    let client = hinted(CHROME_ON_LINUX, CHROME_BRANDS, r#""Linux""#, r#""6.5.0""#);
    assert_eq!(named(&client), ["Linux", "-", "Chrome", "120"]);
    let client = hinted(
        CHROME_ON_LINUX,
        CHROME_BRANDS,
        r#""Chrome OS""#,
        r#""16181.47.0""#,
    );
    assert_eq!(named(&client), ["ChromeOS", "-", "Chrome", "120"]);
}

#[test]
fn where_hints_and_user_agent_disagree_the_hints_count() {
    let client = hinted(
        FIREFOX_ON_LINUX,
        CHROME_BRANDS,
        r#""Windows""#,
        r#""15.0.0""#,
    );
    assert_eq!(named(&client), ["Windows", "11", "Chrome", "120"]);
    let edge = r#""Microsoft Edge";v="131", "Chromium";v="131", "Not_A Brand";v="24""#;
    let client = hinted(CHROME_ON_WINDOWS, edge, r#""Android""#, "");
    assert_eq!(named(&client), ["Android", "-", "Edge", "131"]);
    let client = hinted(FIREFOX_ON_LINUX, r#""Chromium";v="119""#, "", "");
    assert_eq!(named(&client), ["Linux", "-", "Chromium", "119"]);
    // A version in the user agent belongs to the system that it names, not to another.
    let windows_7 = b"Mozilla/5.0 (Windows NT 6.1) AppleWebKit/537.36 Chrome/109.0.0.0";
    let client = hinted(windows_7, "", r#""macOS""#, "");
    assert_eq!(named(&client), ["macOS", "-", "Chrome", "109"]);
}

#[test]
fn a_system_built_on_another_keeps_its_name() {
    let harmony = "Mozilla/5.0 (Linux; Android 10; HarmonyOS 4.0; YAL-AL10) AppleWebKit/537.36 \
        (KHTML, like Gecko) Chrome/99.0.4844.88 HuaweiBrowser/14.0.0.300 Mobile Safari/537.36";
    let client = hinted(harmony.as_bytes(), "", r#""Android""#, r#""12.0.0""#);
    assert_eq!(named(&client), ["HarmonyOS", "4", "Huawei Browser", "14"]);
    let ipad = b"Mozilla/5.0 (iPad; CPU OS 17_2 like Mac OS X) AppleWebKit/605.1.15 \
        (KHTML, like Gecko) Version/17.2 Mobile/15E148 Safari/604.1";
    let client = hinted(ipad, "", r#""iOS""#, r#""17.3""#);
    assert_eq!(named(&client), ["iPadOS", "17.3", "Safari", "17"]);
}

#[test]
fn brands_name_the_browser() {
    for (brands, name, version) in [
        (CHROME_BRANDS, "Chrome", "120"),
        (
            r#""Not A(Brand";v="8", "Chromium";v="132", "Brave";v="132""#,
            "Brave",
            "132",
        ),
        (
            r#""Opera";v="116", "Chromium";v="131", "Not_A Brand";v="24""#,
            "Opera",
            "116",
        ),
        (
            r#""OperaMobile";v="86", ";Not A Brand";v="99", "Opera";v="115", "Chromium";v="130""#,
            "Opera",
            "86",
        ),
        (
            r#""Chromium";v="128", "Not;A=Brand";v="24", "Opera GX";v="114""#,
            "Opera GX",
            "114",
        ),
        (
            r#""Chromium";v="125", "Not.A/Brand";v="24", "Samsung Internet";v="27.0""#,
            "Samsung Internet",
            "27",
        ),
        (
            r#""Chromium";v="130", "YaBrowser";v="24.12", "Not?A_Brand";v="99", "Yowser";v="2.5""#,
            "Yandex Browser",
            "24",
        ),
        (
            r#""Chromium";v="119", "Not?A_Brand";v="24""#,
            "Chromium",
            "119",
        ),
        (
            r#""Android WebView";v="123", "Not:A-Brand";v="8", "Chromium";v="123""#,
            "Chrome WebView",
            "123",
        ),
        (
            r#"" Not;A Brand";v="99", "Microsoft Edge";v="103", "Chromium";v="103", "Microsoft Edge WebView2";v="104""#,
            "Edge WebView2",
            "104",
        ),
        (
            r#""Chromium";v="124", "HeadlessChrome";v="124", "Not-A.Brand";v="99""#,
            "Headless Chrome",
            "124",
        ),
        (
            r#""\\Not\"A;Brand";v="99", "Google Chrome";v="84""#,
            "Chrome",
            "84",
        ),
        // A brand that came up after this was written is shown by its own name.
        (
            r#""Some Browser";v="7", "Chromium";v="150""#,
            "Some Browser",
            "7",
        ),
        // Only decoys: the user agent counts.
        (r#""Not A;Brand";v="99""#, "Chrome", "120"),
    ] {
        let client = hinted(CHROME_ON_LINUX, brands, "", "");
        assert_eq!(named(&client), ["Linux", "-", name, version], "{brands}");
    }
}

#[test]
fn a_user_agent_that_names_the_app_counts_beside_a_brand_that_names_the_engine() {
    let instagram = b"Mozilla/5.0 (Linux; Android 12; SM-G973F; wv) AppleWebKit/537.36 \
        (KHTML, like Gecko) Version/4.0 Chrome/119.0.6045.163 Mobile Safari/537.36 \
        Instagram 309.1.0.41.113 Android";
    let brands = r#""Android WebView";v="119", "Chromium";v="119", "Not?A_Brand";v="24""#;
    let client = hinted(instagram, brands, r#""Android""#, "");
    assert_eq!(named(&client), ["Android", "12", "Instagram", "309"]);
    let whale = b"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 \
        (KHTML, like Gecko) Chrome/118.0.0.0 Whale/3.23.214.17 Safari/537.36";
    let client = hinted(whale, r#""Chromium";v="118""#, "", "");
    assert_eq!(named(&client), ["Windows", "-", "Whale", "3"]);
}

#[test]
fn the_full_version_list_stands_in_for_missing_brands() {
    let mut client = ClientDescription::of_user_agent(CHROME_ON_LINUX);
    let full =
        r#""Brave";v="132.0.6834.83", "Chromium";v="132.0.6834.83", "Not A(Brand";v="8.0.0.0""#;
    client.hints.full_version_list = Some(full.as_bytes());
    assert_eq!(named(&client), ["Linux", "-", "Brave", "132"]);
    client.hints.brands = Some(br#""Brave", "Chromium""#);
    assert_eq!(named(&client), ["Linux", "-", "Brave", "132"]);
    client.hints.brands = Some(b"\"Brave");
    assert_eq!(named(&client), ["Linux", "-", "Brave", "132"]);
}

#[test]
fn the_version_of_chromium_is_not_taken_for_the_one_of_opera() {
    let opera = b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
        Chrome/120.0.0.0 Safari/537.36 OPR/106.0.0.0";
    let full = r#""Opera";v="120.0.6099.200", "Chromium";v="120.0.6099.200""#;
    let mut client = ClientDescription::of_user_agent(opera);
    client.hints.full_version_list = Some(full.as_bytes());
    assert_eq!(named(&client), ["Linux", "-", "Opera", "106"]);
    client.user_agent = Some(CHROME_ON_LINUX);
    assert_eq!(named(&client), ["Linux", "-", "Opera", "-"]);
    client.hints.brands = Some(br#""Opera";v="106", "Chromium";v="120""#);
    assert_eq!(named(&client), ["Linux", "-", "Opera", "106"]);
}

#[test]
fn a_malformed_hint_is_ignored_and_the_others_count() {
    let long = format!(r#""{}";v="1""#, "x".repeat(5_000));
    for malformed in [
        "Windows",
        "\"Windows",
        "\"Wind\u{f6}ws\"",
        "?1",
        "\"Windows\", \"Linux\"",
        "\"<script>\"",
        "\"\"",
        "\"Unknown\"",
        "\"windows\"",
        long.as_str(),
    ] {
        let client = hinted(CHROME_ON_LINUX, CHROME_BRANDS, malformed, r#""15.0.0""#);
        assert_eq!(
            named(&client),
            ["Linux", "-", "Chrome", "120"],
            "{malformed}"
        );
    }
    for malformed in [
        "Google Chrome;v=120",
        r#""Google Chrome";v="120"#,
        r#"("Brave");v="1""#,
        "\u{0}",
        r#""<b>Bank</b>";v="1""#,
        r#""\\u202eevil";v="1""#,
        long.as_str(),
    ] {
        let client = hinted(FIREFOX_ON_LINUX, malformed, r#""Windows""#, r#""15.0.0""#);
        assert_eq!(
            named(&client),
            ["Windows", "11", "Firefox", "128"],
            "{malformed}"
        );
    }
}

#[test]
fn hints_alone_name_a_device() {
    let mut client = hinted(b"", CHROME_BRANDS, r#""Linux""#, "");
    client.user_agent = None;
    assert_eq!(
        DeviceParser::shared().parse(&client).label(),
        "Chrome 120 on Linux"
    );
}

#[test]
fn a_label_combines_what_is_known() {
    let product = |name: &str, version| Some(Product::new(name, version));
    let label = |operating_system, browser| {
        Device {
            operating_system,
            browser,
        }
        .label()
    };
    assert_eq!(
        label(product("Linux", None), product("Chrome", Some("120"))),
        "Chrome 120 on Linux"
    );
    assert_eq!(
        label(product("Windows", Some("11")), product("Edge", None)),
        "Edge on Windows"
    );
    assert_eq!(label(None, product("curl", Some("8"))), "curl 8");
    assert_eq!(label(product("iOS", Some("17.4")), None), "iOS");
    assert_eq!(label(None, None), "Unknown device");
    assert!(Device::default().is_unknown());
}

#[test]
fn hostile_user_agents_are_named_harmlessly() {
    let long = "Mozilla/5.0 ".repeat(5_500);
    for hostile in [
        "",
        " ",
        "\0",
        "<script>alert(1)</script>",
        "<script>alert(1)</script>/1.0 CFNetwork/1490 Darwin/23.2.0",
        "<b>bot</b>bot/1.0",
        "\u{202e}xuniL no 021 emorhC\u{202c}",
        "\u{202e}Evil\u{202c}/1 CFNetwork/1490 Darwin/23",
        "Chrome/99999999999999999999999999999.0.0.0",
        "Chrome/1e9",
        "%00%0a%0d",
        "' OR 1=1 --/1 CFNetwork/1 Darwin/23",
        "You were signed out, go to example.org/1 CFNetwork/1 Darwin/23",
        long.as_str(),
    ] {
        let device =
            DeviceParser::shared().parse(&ClientDescription::of_user_agent(hostile.as_bytes()));
        assert_harmless(&device);
    }
}

#[test]
fn only_the_beginning_of_a_user_agent_is_read() {
    let padding = "x".repeat(MAX_USER_AGENT_BYTES);
    let late = format!("{padding} Firefox/128.0 (X11; Linux x86_64)");
    let device = DeviceParser::shared().parse(&ClientDescription::of_user_agent(late.as_bytes()));
    assert!(device.is_unknown());
}

/// What the documentation of [`Product`] promises.
fn assert_harmless(device: &Device) {
    for product in [&device.operating_system, &device.browser]
        .into_iter()
        .flatten()
    {
        let name = &*product.name;
        assert!((2..=40).contains(&name.len()), "{name:?}");
        assert!(
            name.chars()
                .all(|c| c.is_ascii_alphanumeric() || " ._-+!&'".contains(c)),
            "{name:?}"
        );
        if let Some(version) = product.version.as_deref() {
            let number =
                version.len() <= 19 && version.chars().all(|c| c.is_ascii_digit() || c == '.');
            let named = ["XP", "Vista", "ME", "CE", "RT", "NT"].contains(&version);
            assert!(number || named, "{version:?}");
        }
    }
}

/// Bytes of any kind, and user agents of the table cut up and spoilt: the deeper into the rules an
/// input gets, the more it tests.
fn any_header() -> impl Strategy<Value = Vec<u8>> {
    let table: Vec<&'static str> = labelled().map(|line| line[4]).collect();
    let spoilt = (
        proptest::sample::select(table),
        any::<proptest::sample::Index>(),
        vec(any::<u8>(), 0..12),
        any::<proptest::sample::Index>(),
    )
        .prop_map(|(user_agent, at, bytes, end)| {
            let mut spoilt = user_agent.as_bytes().to_vec();
            let at = at.index(spoilt.len());
            spoilt.splice(at..at, bytes);
            spoilt.truncate(end.index(spoilt.len()) + 1);
            spoilt
        });
    let words = "[A-Za-z0-9<>%\u{202e}\u{0} ./;()-]{0,60}(bot|Spider|/1\\.0 CFNetwork/1|HTTPClient)?[ /][0-9]{0,30}"
        .prop_map(String::into_bytes);
    prop_oneof![vec(any::<u8>(), 0..3_000), spoilt, words]
}

proptest! {
    #[test]
    fn whatever_arrives_is_named_harmlessly(
        user_agent in any_header(),
        brands in any_header(),
        platform in "\"?(Windows|macOS|Linux|[ -~]{0,40})\"?",
        version in "\"?[0-9.]{0,40}[ -~]{0,4}\"?",
    ) {
        let client = ClientDescription {
            user_agent: Some(&user_agent),
            hints: ClientHints {
                brands: Some(&brands),
                full_version_list: Some(&user_agent),
                platform: Some(platform.as_bytes()),
                platform_version: Some(version.as_bytes()),
                mobile: Some(&brands),
                model: Some(&user_agent),
            },
        };
        assert_harmless(&DeviceParser::shared().parse(&client));
        assert_harmless(&DeviceParser::shared().parse(&ClientDescription::of_user_agent(&user_agent)));
    }

    #[test]
    fn well_formed_hints_of_any_content_are_named_harmlessly(
        brands in vec(("[ -!#-\\[\\]-~]{0,60}", "[0-9.a-z]{0,30}"), 0..6),
        platform in "[ -!#-\\[\\]-~]{0,40}",
    ) {
        let list: Vec<String> =
            brands.iter().map(|(name, version)| format!("\"{name}\";v=\"{version}\"")).collect();
        let list = list.join(", ");
        let platform = format!("\"{platform}\"");
        let client = ClientDescription {
            user_agent: None,
            hints: ClientHints {
                brands: Some(list.as_bytes()),
                platform: Some(platform.as_bytes()),
                ..ClientHints::default()
            },
        };
        assert_harmless(&DeviceParser::shared().parse(&client));
    }

    #[test]
    fn a_bounded_user_agent_is_text_of_bounded_length_on_one_line(
        user_agent in vec(any::<u8>(), 0..3_000),
    ) {
        let text = bounded_user_agent(&user_agent);
        prop_assert!(text.len() <= MAX_USER_AGENT_BYTES);
        prop_assert!(!text.chars().any(char::is_control));
        prop_assert_eq!(bounded_user_agent(text.as_bytes()), text.clone());
    }
}
