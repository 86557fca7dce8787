//! `cargo xtask package`: the Debian package, made with the tools that every Debian has.
//!
//! Why not `cargo deb`: `docs/decisions/debian-package.md`.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Pack this program instead of building one.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Folder that the package is put into.
    #[arg(long, value_name = "FOLDER", default_value = "target/package/debian")]
    output: PathBuf,
    /// Compress little, for a package that nobody downloads.
    #[arg(long)]
    quick: bool,
}

/// What goes into the package as it is: from where in the repository, to where.
const FILES: &[(&str, &str)] = &[
    (
        "packaging/systemd/lastseen.service",
        "usr/lib/systemd/system/lastseen.service",
    ),
    (
        "packaging/systemd/lastseen.socket",
        "usr/lib/systemd/system/lastseen.socket",
    ),
    ("packaging/lastseen.toml", "etc/lastseen/lastseen.toml"),
];

/// Where the completions of each shell belong.
const COMPLETIONS: &[(&str, &str)] = &[
    ("bash", "usr/share/bash-completion/completions/lastseen"),
    ("zsh", "usr/share/zsh/vendor-completions/_lastseen"),
    ("fish", "usr/share/fish/vendor_completions.d/lastseen.fish"),
];

/// What Debian runs when the package comes and goes.
const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];

/// Texts that the licences of what is built in ask us to carry along.
const LICENCES: [&str; 4] = [
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "crates/lastseen/data/uap-core/LICENSE",
    "crates/lastseen-server/src/accounts/common_passwords/LICENSE",
];

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let root = process::root();
    let binary = match &arguments.binary {
        Some(binary) => std::path::absolute(binary)?,
        None => built()?,
    };
    let output = std::path::absolute(root.join(&arguments.output))?;
    let tree = output.join("tree");
    if tree.exists() {
        fs::remove_dir_all(&tree)?;
    }

    let mut package = Tree { root: tree };
    package.add("usr/bin/lastseen", &fs::read(&binary)?, 0o755)?;
    process::run(
        "leave out what only a debugger reads",
        Command::new("strip")
            .args(["--strip-unneeded", "--remove-section=.comment"])
            .arg(package.root.join("usr/bin/lastseen")),
    )?;
    for (from, to) in FILES {
        package.add(to, &fs::read(root.join(from))?, 0o644)?;
    }
    for (shell, to) in COMPLETIONS {
        let script = printed(&binary, &["completions", shell])?;
        package.add(to, &script, 0o644)?;
    }
    let manual = printed(&binary, &["man"])?;
    package.add_compressed("usr/share/man/man1/lastseen.1", &manual)?;
    let changes = fs::read(root.join("CHANGELOG.md"))?;
    package.add_compressed("usr/share/doc/lastseen/changelog", &changes)?;
    package.add(
        "usr/share/doc/lastseen/copyright",
        &copyright(&root)?,
        0o644,
    )?;

    for script in SCRIPTS {
        let text = fs::read(root.join("packaging/debian").join(script))?;
        package.add(&format!("DEBIAN/{script}"), &text, 0o755)?;
    }
    package.add("DEBIAN/conffiles", b"/etc/lastseen/lastseen.toml\n", 0o644)?;
    let version = concat!(env!("CARGO_PKG_VERSION"), "-1");
    let architecture = process::output(Command::new("dpkg").arg("--print-architecture"))?;
    let control = package.control(version, &architecture, &output)?;
    package.add("DEBIAN/control", control.as_bytes(), 0o644)?;

    let file = output.join(format!("lastseen_{version}_{architecture}.deb"));
    process::run(
        "build the package",
        Command::new("dpkg-deb")
            .env("SOURCE_DATE_EPOCH", date_of_sources())
            .args(if arguments.quick {
                ["-Zgzip", "-z1"]
            } else {
                ["-Zxz", "-z6"]
            })
            .args(["--root-owner-group", "--build"])
            .arg(&package.root)
            .arg(&file),
    )?;
    println!("{}", file.display());
    Ok(())
}

/// The program, built as it is shipped.
fn built() -> Result<PathBuf> {
    process::run(
        "build the program as it is shipped",
        process::cargo().args([
            "build",
            "--release",
            "--package",
            "lastseen-server",
            "--locked",
        ]),
    )?;
    Ok(process::target()?.join("release/lastseen"))
}

/// What a command of the program prints, as it is.
fn printed(binary: &Path, arguments: &[&str]) -> Result<Vec<u8>> {
    Ok((process::output(Command::new(binary).args(arguments))? + "\n").into_bytes())
}

/// When the last change was made, so that the same sources make the same package; the epoch where nobody knows.
fn date_of_sources() -> String {
    process::output(Command::new("git").current_dir(process::root()).args([
        "log",
        "-1",
        "--format=%ct",
    ]))
    .unwrap_or_else(|_| "0".to_owned())
}

fn copyright(root: &Path) -> Result<Vec<u8>> {
    let mut text = fs::read_to_string(root.join("LICENSE"))?;
    for file in LICENCES {
        let licence = fs::read_to_string(root.join(file))
            .with_context(|| format!("{file} cannot be read"))?;
        write!(text, "\n\n==== {file} ====\n\n{licence}")?;
    }
    Ok(text.into_bytes())
}

/// The files of a package, laid out as they will be on the machine that installs it.
struct Tree {
    root: PathBuf,
}

impl Tree {
    fn add(&mut self, path: &str, content: &[u8], mode: u32) -> Result<()> {
        let file = self.root.join(path);
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&file, content)
            .with_context(|| format!("{} cannot be written", file.display()))?;
        // What is installed is for everybody to read, whatever the umask here.
        fs::set_permissions(&file, fs::Permissions::from_mode(mode))?;
        let mut folder = file.parent();
        while let Some(path) = folder.filter(|path| path.starts_with(&self.root)) {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
            folder = path.parent();
        }
        Ok(())
    }

    fn add_compressed(&mut self, path: &str, content: &[u8]) -> Result<()> {
        self.add(path, content, 0o644)?;
        process::run(
            &format!("compress {path}"),
            Command::new("gzip").args(["-9n"]).arg(self.root.join(path)),
        )
    }

    /// The description that Debian's tools read.
    fn control(&self, version: &str, architecture: &str, output: &Path) -> Result<String> {
        let (needs, kilobytes) = (self.needs(output)?, self.kilobytes()?);
        Ok(format!(
            "\
Package: lastseen
Version: {version}
Architecture: {architecture}
Maintainer: The Lastseen authors <lastseen@lastseen.example>
Installed-Size: {kilobytes}
Depends: {needs}
Section: net
Priority: optional
Homepage: https://lastseen.example/source
Description: session manager: see every signed-in device, end any of them
 Every person sees where they are signed in, and ends any of it. Once a
 termination was answered, that session is refused on every path.
 .
 A server with a sign-in of its own, a JSON interface for other people's
 applications, and checks for proxies; its store is one SQLite file.
"
        ))
    }

    /// The libraries that the program is linked against, as packages with the versions it needs at least.
    fn needs(&self, output: &Path) -> Result<String> {
        // The tool insists on the sources of a package; a name is all it wants from them.
        let folder = output.join("needs");
        fs::create_dir_all(folder.join("debian"))?;
        fs::write(
            folder.join("debian/control"),
            "Source: lastseen\n\nPackage: lastseen\nArchitecture: any\n",
        )?;
        let answer = process::output(
            Command::new("dpkg-shlibdeps")
                .current_dir(&folder)
                .arg("-O")
                .arg(self.root.join("usr/bin/lastseen")),
        )?;
        answer
            .lines()
            .find_map(|line| line.strip_prefix("shlibs:Depends="))
            .map(str::to_owned)
            .context("dpkg-shlibdeps names no library")
    }

    fn kilobytes(&self) -> Result<String> {
        let line = process::output(
            Command::new("du")
                .args(["--summarize", "--apparent-size", "--block-size=1024"])
                .arg("--exclude=DEBIAN")
                .arg(&self.root),
        )?;
        let number = line.split_whitespace().next().context("du says nothing")?;
        Ok(number.to_owned())
    }
}
