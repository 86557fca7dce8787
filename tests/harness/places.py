"""Where a server can be put: on a disk of a given size, and under a clock of the test's own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

#: Makes a file system of our own at a directory, which only the server and its children see.
_MOUNT = 'mount -t tmpfs -o "size=$1" tmpfs "$2" && shift 2 && exec "$@"'


class SmallDisk:
    """A file system of a few megabytes at `directory`, there for one process and as long as it lives."""

    def __init__(self, directory: Path, size: str) -> None:
        self.directory = directory
        directory.mkdir()
        #: What a command begins with in order to run on the disk.
        self.prefix: Sequence[str] = [
            *("unshare", "--user", "--map-root-user", "--mount"),
            *("sh", "-euc", _MOUNT, "sh", size, str(directory)),
        ]

    def seen_by(self, pid: int) -> Path:
        """The directory as the process sees it, from outside."""
        return Path(f"/proc/{pid}/root{self.directory}")

    def fill(self, pid: int) -> None:
        """Leaves not one byte free."""
        with (self.seen_by(pid) / "filler").open("ab", buffering=0) as filler:
            for size in (65_536, 4_096, 1):
                try:
                    while True:
                        filler.write(b"\0" * size)
                except OSError:
                    continue

    def relieve(self, pid: int) -> None:
        """Gives back what `fill` took."""
        (self.seen_by(pid) / "filler").unlink()


class Clock:
    """The wall clock of a server, which the test moves; its monotonic clock stays the machine's."""

    _LIBRARY = next(
        (
            str(path)
            for folder in ("/usr/lib", "/usr/lib64", "/usr/local/lib")
            for path in Path(folder).glob("**/faketime/libfaketimeMT.so.1")
        ),
        None,
    )

    def __init__(self, directory: Path) -> None:
        assert self._LIBRARY, "libfaketime is not installed"
        self._file = directory / "clock"
        self.set("+0")
        self.environment = {
            "LD_PRELOAD": self._LIBRARY,
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, offset: str) -> None:
        """Moves the clock to that offset from the machine's, such as `+13h` or `-2d`."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(offset + "\n")
        os.replace(fresh, self._file)
