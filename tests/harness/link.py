"""A wire between two programs, which a test can cut, slow down and mend.

It is a program of the tests and no network namespace: those need rights that a container in CI has not. What it does
not show is a kernel whose packets are never acknowledged; whatever waits for the database here is bounded by a clock
of the program's own, and not by the kernel's patience.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass, field

#: The most that is carried at once.
PIECE = 65_536


@dataclass
class Way:
    """One of the two directions."""

    #: Set while what is sent arrives.
    open: threading.Event = field(default_factory=threading.Event)
    #: How long it takes.
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.open.set()


class Link:
    """Carries connections to a port on this machine. What is sent into a cut is on its way until it is mended:
    nobody is told of it, as with a wire."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.there = Way()
        self.back = Way()
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    # -- what happens to it

    def cut(self, there: bool = True, back: bool = True) -> None:
        """Nothing arrives any more, in one direction or in both."""
        if there:
            self.there.open.clear()
        if back:
            self.back.open.clear()

    def mend(self) -> None:
        """Everything arrives again, also what is late."""
        self.there.seconds = self.back.seconds = 0.0
        self.there.open.set()
        self.back.open.set()

    def slow(self, seconds: float) -> None:
        """Everything takes that much longer, in each direction."""
        self.there.seconds = self.back.seconds = seconds

    def sever(self) -> None:
        """Ends every connection that there is, at once and for both to see."""
        with self._lock:
            ended, self._sockets = self._sockets, set()
        for end in ended:
            with contextlib.suppress(OSError):
                # With no time to linger the other side gets a reset.
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self) -> None:
        """Ends it for good."""
        self._closed = True
        self.mend()
        self._listener.close()
        self.sever()

    # -- how it carries

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            near.close()
            return
        for end in (near, far):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            if self._closed:
                near.close()
                far.close()
                return
            self._sockets |= {near, far}
        threading.Thread(target=self._carry, args=(near, far, self.there), daemon=True).start()
        self._carry(far, near, self.back)

    def _carry(self, source: socket.socket, target: socket.socket, way: Way) -> None:
        try:
            while piece := source.recv(PIECE):
                if way.seconds:
                    time.sleep(way.seconds)
                way.open.wait()
                target.sendall(piece)
        except OSError:
            pass
        # The news of an end takes the same wire.
        way.open.wait()
        with self._lock:
            self._sockets -= {source, target}
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
