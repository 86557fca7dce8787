"""The Debian package, installed: over this machine's own files, in a layer that vanishes with the test."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from harness.program import BINARY

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can install a package")

#: Runs a script as if on a machine of its own: what it writes goes into memory.
ON_A_LAYER = """
set -eu
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount --bind /proc "$1/root/proc"
mount --bind /dev "$1/root/dev"
mkdir "$1/root/parcel"
mount --bind "$2" "$1/root/parcel"
exec chroot "$1/root" sh -euc "$3"
"""


@pytest.fixture(scope="module")
def parcel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the package of the program under test."""
    folder = tmp_path_factory.mktemp("debian")
    subprocess.run(
        ["cargo", "xtask", "package", "--quick", "--binary", str(BINARY), "--output", str(folder)],
        cwd=ROOT,
        check=True,
        timeout=170,
    )
    [package] = folder.glob("*.deb")
    package.rename(folder / "lastseen.deb")
    return folder


def on_a_layer(parcel: Path, tmp_path: Path, script: str) -> str:
    place = tmp_path / "machine"
    place.mkdir()
    finished = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-euc", ON_A_LAYER]
        + ["sh", str(place), str(parcel), script],
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert finished.returncode == 0, finished
    return finished.stdout


INSTALL = "dpkg --install /parcel/lastseen.deb > /parcel/log 2>&1 || { cat /parcel/log; exit 1; }\n"


def test_it_brings_the_program_its_manual_its_units_and_completions(
    parcel: Path, tmp_path: Path
) -> None:
    text = on_a_layer(
        parcel,
        tmp_path,
        INSTALL
        + """
        dpkg --verify lastseen
        lastseen --version
        man --warnings lastseen 2>&1 > /parcel/manual
        cat /parcel/manual | grep -c 'lastseen sessions terminate'
        bash -c '
            . /usr/share/bash-completion/completions/lastseen
            COMP_WORDS=(lastseen check-con) COMP_CWORD=1 COMPREPLY=()
            _lastseen lastseen check-con lastseen
            echo "${COMPREPLY[@]}"
        '
        # As it stands in the package: this asks for the program and the manual as well.
        systemd-analyze verify /usr/lib/systemd/system/lastseen.service /usr/lib/systemd/system/lastseen.socket
        LASTSEEN_CONFIG=/etc/lastseen/lastseen.toml lastseen check-config | grep '^database ='
        """,
    )
    version, manual, completed, database = text.splitlines()
    assert version.startswith("lastseen ")
    assert int(manual) >= 1
    assert completed == "check-config"
    assert database.startswith('database = "sqlite:/var/lib/lastseen/lastseen.db"')


def test_settings_and_sessions_outlive_an_upgrade_and_a_removal(
    parcel: Path, tmp_path: Path
) -> None:
    text = on_a_layer(
        parcel,
        tmp_path,
        INSTALL
        + """
        echo 'idle-timeout = "1h"' >> /etc/lastseen/lastseen.toml
        mkdir -p /var/lib/lastseen
        echo correct-horse-battery | lastseen --config /etc/lastseen/lastseen.toml account add ada --password-stdin
        dpkg --install /parcel/lastseen.deb > /dev/null
        grep -c 1h /etc/lastseen/lastseen.toml
        dpkg --remove lastseen > /dev/null
        test ! -e /usr/bin/lastseen
        grep -c 1h /etc/lastseen/lastseen.toml
        dpkg --purge lastseen > /dev/null
        test ! -e /etc/lastseen/lastseen.toml
        ls /var/lib/lastseen/lastseen.db
        """,
    )
    assert text.splitlines()[-3:] == ["1", "1", "/var/lib/lastseen/lastseen.db"]


def test_it_needs_nothing_that_a_small_machine_lacks(parcel: Path) -> None:
    needs = subprocess.run(
        ["dpkg-deb", "--field", str(parcel / "lastseen.deb"), "Depends"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert {need.split()[0] for need in needs.split(", ")} == {"libc6", "libgcc-s1"}
