//! What the tests need on this machine, and how it gets there.
//!
//! On Debian as root everything missing is installed with apt. Anywhere else the missing things are
//! named and the tests do not start: a test that is left out looks too much like one that passed.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;

/// One thing that the tests need.
struct Need {
    /// What it is and what it is for, as the message says it.
    what: &'static str,
    /// The Debian packages that bring it.
    packages: &'static [&'static str],
    /// Whether it is here.
    is_met: fn() -> bool,
}

const NEEDS: &[Need] = &[
    Need {
        what: "PostgreSQL 15 (its programs; no service has to run), of which tests start one of their own, and PgBouncer",
        packages: &["postgresql-15", "pgbouncer"],
        is_met: || {
            // Debian keeps PgBouncer where only root's path leads.
            Path::new("/usr/lib/postgresql/15/bin/postgres").is_file()
                && Path::new("/usr/sbin/pgbouncer").is_file()
        },
    },
    Need {
        what: "a C compiler (`cc`) and `make`, which build SQLite and jemalloc",
        packages: &["gcc", "libc6-dev", "make"],
        is_met: || {
            process::succeeds("cc", &["--version"]) && process::succeeds("make", &["--version"])
        },
    },
    Need {
        what: "Python 3.11 or newer with `venv` (`python3`), which runs the tests under tests/",
        packages: &["python3", "python3-venv"],
        is_met: || python().is_ok(),
    },
    Need {
        what: "Chromium (`/usr/bin/chromium`), in which the pages are tested",
        packages: &["chromium", "fonts-dejavu-core"],
        is_met: || Path::new("/usr/bin/chromium").is_file(),
    },
    Need {
        what: "libfaketime (`faketime`), which moves the clock of a running server",
        packages: &["faketime", "libfaketime"],
        is_met: || process::succeeds("faketime", &["2026-11-24 09:00:00", "true"]),
    },
    Need {
        what: "`unshare` and `nsenter` (util-linux), which give a server a disk that can fill up",
        packages: &["util-linux", "mount"],
        is_met: || process::succeeds("unshare", &["--user", "--map-root-user", "--mount", "true"]),
    },
    Need {
        what: "systemd's own checks of units (`systemd-analyze`)",
        packages: &["systemd"],
        is_met: || process::succeeds("systemd-analyze", &["--version"]),
    },
    Need {
        what: "`strace`, which shows what the server asks of the kernel, and `ps`",
        packages: &["strace", "procps"],
        is_met: || process::succeeds("strace", &["true"]) && process::succeeds("ps", &["-V"]),
    },
    Need {
        what: "`valgrind`, which counts the instructions that the verbs take",
        packages: &["valgrind"],
        is_met: || process::succeeds("valgrind", &["--version"]),
    },
    // Each by itself: where one of them came from elsewhere, Debian's others may not go with it.
    Need {
        what: "Node.js 18 or newer with `npm`, in which a service of the quickstarts is written",
        packages: &["nodejs", "npm"],
        is_met: || {
            let is_recent = "process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)";
            process::succeeds("node", &["--eval", is_recent])
                && process::succeeds("npm", &["--version"])
        },
    },
    Need {
        what: "PHP 8 (`php`), in which a service of the quickstarts is written",
        packages: &["php-cli"],
        is_met: || process::succeeds("php", &["--run", "exit(PHP_MAJOR_VERSION < 8 ? 1 : 0);"]),
    },
    Need {
        what: "what makes a Debian package (`dpkg-shlibdeps`, `strip`) and reads its manual (`man`)",
        packages: &["dpkg-dev", "binutils", "man-db"],
        is_met: || {
            process::succeeds("dpkg-shlibdeps", &["--version"])
                && process::succeeds("strip", &["--version"])
                && process::succeeds("man", &["--version"])
        },
    },
    Need {
        what: "nginx and Caddy (`nginx`, `caddy`), behind which a service is guarded, and `openssl` for a certificate",
        packages: &["nginx", "caddy", "openssl"],
        is_met: || {
            // Debian keeps nginx where only root's path leads.
            (process::succeeds("nginx", &["-v"]) || Path::new("/usr/sbin/nginx").is_file())
                && process::succeeds("caddy", &["version"])
                && process::succeeds("openssl", &["version"])
        },
    },
    Need {
        what: "HAProxy (`haproxy`), behind which nodes are replaced one after the other",
        packages: &["haproxy"],
        // Debian keeps it where only root's path leads.
        is_met: || Path::new("/usr/sbin/haproxy").is_file(),
    },
];

/// Makes sure that everything is here, or says what is not.
pub(crate) fn prepare() -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing
        .iter()
        .flat_map(|need| need.packages.iter().copied())
        .collect();
    if !can_install() {
        bail!(report(&missing, &packages));
    }
    process::run("install: package lists", apt().arg("update"))?;
    process::run(
        &format!("install: {}", packages.join(" ")),
        apt()
            .args(["install", "--yes", "--no-install-recommends"])
            .args(&packages),
    )?;
    let still_missing = self::missing();
    if still_missing.is_empty() {
        Ok(())
    } else {
        bail!(report(&still_missing, &packages))
    }
}

/// A Python that can run the tests: the first on the path, else the system's.
pub(crate) fn python() -> Result<&'static str> {
    const PROBE: &str = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))";
    ["python3", "/usr/bin/python3"]
        .into_iter()
        .find(|program| process::succeeds(program, &["-c", PROBE]))
        .context("no Python 3.11 with venv")
}

fn missing() -> Vec<&'static Need> {
    NEEDS.iter().filter(|need| !(need.is_met)()).collect()
}

fn can_install() -> bool {
    let is_root =
        process::output(Command::new("id").arg("-u")).is_ok_and(|user| user.as_str() == "0");
    is_root && process::succeeds("apt-get", &["--version"])
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        // Another installation may be under way on a machine that has just started.
        .args(["--quiet", "--option", "DPkg::Lock::Timeout=300"]);
    command
}

fn report(missing: &[&Need], packages: &[&str]) -> String {
    let mut text = String::from("the tests cannot run, this machine lacks:\n");
    for need in missing {
        text.push_str("  - ");
        text.push_str(need.what);
        text.push('\n');
    }
    text.push_str("On Debian, as root: apt-get install --no-install-recommends ");
    text.push_str(&packages.join(" "));
    text
}
