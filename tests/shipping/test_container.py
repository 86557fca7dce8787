"""What the Dockerfile promises of the program, shown without an engine: nobody in particular, nothing writable."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.people import Device
from harness.program import BINARY, PATIENCE, Lastseen

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
NOBODY_IN_PARTICULAR = "65532"

#: Everything read-only but one folder, then another user without any capability.
LOCKED_UP = """
mount -t tmpfs -o "uid=$2,gid=$2,mode=0700" tmpfs "$1"
mount -o remount,ro,bind /
mount -t tmpfs -o ro tmpfs /dev/shm
cd "$1"
shift
exec setpriv --reuid "$1" --regid "$1" --clear-groups --no-new-privs --bounding-set=-all \
    --inh-caps=-all "$@"
"""


@pytest.fixture
def outside() -> Iterator[Path]:
    """A folder that everybody may enter, with the program in it."""
    folder = Path(tempfile.mkdtemp(prefix="lastseen-container-"))
    folder.chmod(0o755)
    shutil.copy(BINARY, folder / "lastseen")
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_it_serves_as_nobody_in_particular_on_a_root_that_cannot_be_written(
    outside: Path, tmp_path: Path
) -> None:
    state = outside / "state"
    state.mkdir()
    # The shell drops the first argument after the user: the program's own place, which others may not enter.
    script = LOCKED_UP.replace('"$@"', f'sh -c \'shift; exec {outside}/lastseen "$@"\' "$@"')
    server = Lastseen(
        tmp_path,
        prefix=("unshare", "--mount", "--propagation", "private", "sh", "-euc", script, "sh")
        + (str(state), NOBODY_IN_PARTICULAR),
    )
    server.start()
    try:
        status = Path(f"/proc/{server.pid}/status").read_text()
        assert re.search(rf"^Uid:\s{NOBODY_IN_PARTICULAR}\s", status, re.MULTILINE)
        assert re.search(r"^CapBnd:\s0+$", status, re.MULTILINE)
        assert Device(server).get("/sign-in").status_code == 200
        # As HEALTHCHECK asks it, with the settings that the image has.
        asked = subprocess.run(
            [outside / "lastseen", "health"],
            env={"LASTSEEN_LISTEN": f"0.0.0.0:{server.port}"},
            capture_output=True,
            timeout=PATIENCE,
            check=True,
        )
        assert asked.stdout == b"ready\n"
    finally:
        server.close()


def test_the_image_has_what_is_promised_of_it() -> None:
    stages = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(stages) == 2 and stages[1].endswith(":nonroot")
    last = DOCKERFILE.rsplit("FROM ", 1)[1]
    assert f"USER {NOBODY_IN_PARTICULAR}:" in last
    assert re.search(r'^HEALTHCHECK .* CMD \["/usr/bin/lastseen", "health"\]$', last, re.MULTILINE)
    # A form without a shell, for there is none in it.
    for word in ("ENTRYPOINT", "CMD"):
        assert re.search(rf"^{word} \[", last, re.MULTILINE)


def test_the_settings_of_the_image_are_settings(tmp_path: Path) -> None:
    last = DOCKERFILE.rsplit("FROM ", 1)[1]
    environment = dict(re.findall(r"^ENV (LASTSEEN_\w+)=(\S+)$", last, re.MULTILINE))
    checked = subprocess.run(
        [BINARY, "check-config"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert checked.stdout.count("# environment") + checked.stdout.count("LASTSEEN_") >= len(environment), (
        checked.stdout
    )


def test_what_the_build_needs_comes_along() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"}
    manifest = (ROOT / "Cargo.toml").read_text()
    [members] = re.findall(r"^members = \[(.*)\]$", manifest, re.MULTILINE)
    for member in re.findall(r'"([^"]+)"', members):
        assert member.removesuffix("/*") in kept, member
    # How SQLite and the allocator are compiled stands in .cargo.
    assert {"Cargo.toml", "Cargo.lock", ".cargo"} <= kept
