//! What was typed, and where.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::{SETTINGS, Setting, Wrong};

/// Where a value was typed. A later one in this list wins over an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Nowhere: it is the default.
    Default,
    /// In the file that `--config` names.
    File(PathBuf),
    /// In the environment.
    Environment,
    /// On the command line.
    Flag,
}

/// What was typed for one setting: one value, or for a repeatable setting any number of them.
#[derive(Clone, PartialEq, Eq)]
pub struct TypedValue {
    /// The values, in the order in which they were given.
    pub values: Vec<String>,
    /// Where they were given.
    pub source: Source,
}

impl fmt::Debug for TypedValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.values.iter().map(|value| quoted(value));
        formatter.debug_list().entries(values).finish()
    }
}

/// A value for a person to see. A URL may hold a password, which belongs on no terminal and in no log.
pub(super) fn quoted(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    if lower.contains("://") && (lower.contains('@') || lower.contains("pass")) {
        "the URL".to_owned()
    } else {
        format!("{text:?}")
    }
}

/// What was typed for every setting. Nothing in here has been checked but the names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Typed {
    values: BTreeMap<&'static str, TypedValue>,
    unknown_variables: Vec<String>,
}

/// What the name of every setting's environment variable begins with.
const VARIABLE_PREFIX: &str = "LASTSEEN_";

/// The environment variable that names the settings file.
const CONFIG_VARIABLE: &str = "LASTSEEN_CONFIG";

/// Largest settings file that is read. Every setting written out with its reason is below 10 kB; the limit is there so
/// that a wrong path (a log, a device) does not fill the memory.
const LARGEST_FILE: u64 = 1 << 20;

impl Typed {
    /// Puts together what was typed on the command line, in the environment and in the file.
    ///
    /// `flags` holds what the command line gave, by key; `environment` all variables; `config` is the file that
    /// `--config` names, where it does.
    pub fn gather(
        flags: BTreeMap<&'static str, Vec<String>>,
        environment: &BTreeMap<OsString, OsString>,
        config: Option<&Path>,
    ) -> Result<Self, Vec<Wrong>> {
        let mut wrong = Vec::new();
        let mut typed = Self::default();
        let from_variable = environment
            .get(OsStr::new(CONFIG_VARIABLE))
            .map(PathBuf::from);
        if let Some(path) = config.or(from_variable.as_deref()) {
            match read_file(path) {
                Ok(text) => typed.take_file(&text, path, &mut wrong),
                Err(error) => wrong.push(Wrong::new(format!("{}: {error}", path.display()))),
            }
        }
        typed.take_environment(environment, &mut wrong);
        for (key, values) in flags {
            typed.values.insert(
                key,
                TypedValue {
                    values,
                    source: Source::Flag,
                },
            );
        }
        if wrong.is_empty() {
            Ok(typed)
        } else {
            Err(wrong)
        }
    }

    /// What was typed for this setting, or its default.
    pub(super) fn get(&self, setting: &Setting) -> TypedValue {
        self.values
            .get(setting.key)
            .cloned()
            .unwrap_or_else(|| TypedValue {
                values: setting.default.iter().map(ToString::to_string).collect(),
                source: Source::Default,
            })
    }

    /// Where this setting was typed.
    pub fn source(&self, key: &str) -> Source {
        self.values
            .get(key)
            .map_or(Source::Default, |typed| typed.source.clone())
    }

    /// Sets a value as if it were the default: it counts only where nobody typed one. For commands whose defaults
    /// differ from those of `serve`.
    pub fn default_to(&mut self, key: &'static str, value: &str) {
        self.values.entry(key).or_insert_with(|| TypedValue {
            values: vec![value.to_owned()],
            source: Source::Default,
        });
    }

    /// Sets a value over whatever was typed.
    pub fn insist_on(&mut self, key: &'static str, value: &str) {
        self.values.insert(
            key,
            TypedValue {
                values: vec![value.to_owned()],
                source: Source::Default,
            },
        );
    }

    fn take_environment(
        &mut self,
        environment: &BTreeMap<OsString, OsString>,
        wrong: &mut Vec<Wrong>,
    ) {
        for (name, value) in environment {
            let Some(name) = name
                .to_str()
                .filter(|name| name.starts_with(VARIABLE_PREFIX))
            else {
                continue;
            };
            if name == CONFIG_VARIABLE {
                continue;
            }
            let Some(setting) = SETTINGS
                .iter()
                .find(|setting| setting.environment_variable() == name)
            else {
                self.unknown_variables.push(name.to_owned());
                continue;
            };
            let Some(value) = value.to_str() else {
                wrong.push(Wrong::new(format!("{name}: the value is not UTF-8")));
                continue;
            };
            let values = if setting.repeatable {
                let parts = value
                    .split(',')
                    .map(str::trim)
                    .filter(|part| !part.is_empty());
                parts.map(str::to_owned).collect()
            } else {
                vec![value.to_owned()]
            };
            self.values.insert(
                setting.key,
                TypedValue {
                    values,
                    source: Source::Environment,
                },
            );
        }
    }

    /// Variables that look like settings and are none. They stop nothing: some platforms set their own under the name
    /// of a service.
    pub(super) fn unknown_variables(&self) -> &[String] {
        &self.unknown_variables
    }

    fn take_file(&mut self, text: &str, path: &Path, wrong: &mut Vec<Wrong>) {
        let shown = path.display();
        let table = match text.parse::<toml::Table>() {
            Ok(table) => table,
            Err(error) => {
                let line = error.span().map_or(1, |span| line_number(text, span.start));
                wrong.push(Wrong::new(format!(
                    "{shown}: line {line}: {}",
                    error.message().replace('\n', "; ")
                )));
                return;
            }
        };
        for (key, value) in table {
            let Some(setting) = Setting::find(&key) else {
                wrong.push(Wrong::new(format!("{shown}: unknown key {key:?}")));
                continue;
            };
            match file_values(setting, value) {
                Some(values) => {
                    let source = Source::File(path.to_path_buf());
                    self.values
                        .insert(setting.key, TypedValue { values, source });
                }
                None => wrong.push(Wrong::new(format!(
                    "{shown}: {key} must be {}",
                    if setting.repeatable {
                        "a string or a list of strings"
                    } else {
                        "a string or a whole number"
                    }
                ))),
            }
        }
    }
}

impl Source {
    /// How a person would name this setting where it was typed: the flag, the variable, or the file and key.
    pub(super) fn name(&self, setting: &Setting) -> String {
        match self {
            Source::Flag | Source::Default => format!("--{}", setting.key),
            Source::Environment => setting.environment_variable(),
            Source::File(path) => format!("{}: {}", path.display(), setting.key),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => formatter.write_str("default"),
            Source::File(path) => write!(formatter, "{}", path.display()),
            Source::Environment => formatter.write_str("environment"),
            Source::Flag => formatter.write_str("command line"),
        }
    }
}

fn file_values(setting: &Setting, value: toml::Value) -> Option<Vec<String>> {
    let one = |value| match value {
        toml::Value::String(text) => Some(text),
        toml::Value::Integer(number) => Some(number.to_string()),
        _ => None,
    };
    match value {
        toml::Value::Array(values) if setting.repeatable => values.into_iter().map(one).collect(),
        value => one(value).map(|value| vec![value]),
    }
}

fn read_file(path: &Path) -> Result<String, String> {
    let file = std::fs::File::open(path)
        .map_err(|error| format!("cannot be read: {}", crate::failure::plain(&error)))?;
    let mut bytes = Vec::new();
    file.take(LARGEST_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot be read: {}", crate::failure::plain(&error)))?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(format!(
            "is over {LARGEST_FILE} bytes, too long for a settings file"
        ));
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())
}

fn line_number(text: &str, offset: usize) -> usize {
    1 + text
        .as_bytes()
        .iter()
        .take(offset)
        .filter(|byte| **byte == b'\n')
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> BTreeMap<OsString, OsString> {
        variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    fn from_file(text: &str) -> Result<Typed, Vec<Wrong>> {
        let mut typed = Typed::default();
        let mut wrong = Vec::new();
        typed.take_file(text, Path::new("lastseen.toml"), &mut wrong);
        if wrong.is_empty() {
            Ok(typed)
        } else {
            Err(wrong)
        }
    }

    #[test]
    fn flags_win_over_the_environment_and_the_environment_over_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("settings.toml");
        std::fs::write(
            &path,
            "listen = \"127.0.0.1:1\"\nidle-timeout = \"1h\"\nkeep-ended = \"1d\"\n",
        )
        .unwrap();
        let flags = BTreeMap::from([("listen", vec!["127.0.0.1:3".to_owned()])]);
        let environment = environment(&[
            ("LASTSEEN_LISTEN", "127.0.0.1:2"),
            ("LASTSEEN_IDLE_TIMEOUT", "2h"),
        ]);
        let typed = Typed::gather(flags, &environment, Some(&path)).unwrap();
        let value = |key| typed.get(Setting::find(key).unwrap()).values;
        assert_eq!(value("listen"), ["127.0.0.1:3"]);
        assert_eq!(value("idle-timeout"), ["2h"]);
        assert_eq!(value("keep-ended"), ["1d"]);
        assert_eq!(value("touch-interval"), ["60s"]);
    }

    #[test]
    fn the_environment_may_name_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("settings.toml");
        std::fs::write(&path, "keep-ended = \"1d\"\n").unwrap();
        let environment = environment(&[("LASTSEEN_CONFIG", path.to_str().unwrap())]);
        let typed = Typed::gather(BTreeMap::new(), &environment, None).unwrap();
        assert_eq!(typed.source("keep-ended"), Source::File(path));
    }

    #[test]
    fn a_file_that_is_not_there_is_one_line() {
        let wrong = Typed::gather(
            BTreeMap::new(),
            &BTreeMap::new(),
            Some(Path::new("/nonexistent/settings.toml")),
        )
        .unwrap_err();
        assert_eq!(wrong.len(), 1);
        assert_eq!(
            wrong[0].to_string(),
            "/nonexistent/settings.toml: cannot be read: no such file or directory"
        );
    }

    #[test]
    fn an_unknown_key_is_refused_and_named() {
        let wrong = from_file("idle_timeout = \"12h\"").unwrap_err();
        assert_eq!(
            wrong[0].to_string(),
            "lastseen.toml: unknown key \"idle_timeout\""
        );
        assert_eq!(from_file("[server]\nlisten = \"x\"").unwrap_err().len(), 1);
    }

    #[test]
    fn a_file_that_is_no_toml_is_one_line_with_its_number() {
        let wrong = from_file("listen = \"127.0.0.1:1\"\nidle-timeout = = 3\n").unwrap_err();
        assert_eq!(wrong.len(), 1);
        let line = wrong[0].to_string();
        assert!(line.starts_with("lastseen.toml: line 2: "), "{line}");
        assert!(!line.contains('\n'), "{line}");
    }

    #[test]
    fn a_proxy_may_be_a_string_or_a_list_and_in_the_environment_a_list_with_commas() {
        let proxies = Setting::find("trusted-proxy").unwrap();
        assert_eq!(
            from_file("trusted-proxy = \"10.0.0.0/8\"")
                .unwrap()
                .get(proxies)
                .values,
            ["10.0.0.0/8"]
        );
        let typed = from_file("trusted-proxy = [\"10.0.0.0/8\", \"::1\"]").unwrap();
        assert_eq!(typed.get(proxies).values, ["10.0.0.0/8", "::1"]);
        assert!(from_file("listen = [\"127.0.0.1:1\"]").is_err());

        let environment = environment(&[("LASTSEEN_TRUSTED_PROXY", "10.0.0.0/8, ::1")]);
        let typed = Typed::gather(BTreeMap::new(), &environment, None).unwrap();
        assert_eq!(typed.get(proxies).values, ["10.0.0.0/8", "::1"]);
    }

    #[test]
    fn a_whole_number_needs_no_quotes() {
        let typed = from_file("max-sessions-per-account = 5").unwrap();
        assert_eq!(
            typed
                .get(Setting::find("max-sessions-per-account").unwrap())
                .values,
            ["5"]
        );
        assert!(from_file("max-sessions-per-account = 5.5").is_err());
        assert!(from_file("max-sessions-per-account = true").is_err());
    }

    #[test]
    fn a_variable_that_is_no_setting_stops_nothing_and_is_named() {
        let environment = environment(&[("LASTSEEN_IDEL_TIMEOUT", "1h"), ("HOME", "/root")]);
        let typed = Typed::gather(BTreeMap::new(), &environment, None).unwrap();
        assert_eq!(typed.unknown_variables(), ["LASTSEEN_IDEL_TIMEOUT"]);
    }
}
