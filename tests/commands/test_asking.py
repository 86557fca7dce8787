"""Commands that ask, with a person at a terminal."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import termios
import time

import pytest

from harness.people import PASSWORD, Person, fresh_name
from harness.program import BINARY, PATIENCE, Lastseen, clean_environment


class Terminal:
    """A command that runs at a terminal of its own."""

    def __init__(self, server: Lastseen, *arguments: str) -> None:
        self.ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            # A password is asked for at the terminal that controls the session.
            [
                *("setsid", "--ctty", "--wait", str(BINARY)),
                *("--database", f"sqlite:{server.database}", *arguments),
            ],
            cwd=server.directory,
            env=clean_environment(),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        self.said = ""

    def read_until(self, text: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while text not in self.said:
            assert time.monotonic() < deadline, self.said
            if select.select([self.ours], [], [], 0.2)[0]:
                try:
                    self.said += os.read(self.ours, 4096).decode()
                except OSError:
                    # The other end is closed: everything has been said.
                    assert text in self.said, self.said
                    return

    def type(self, text: str) -> None:
        os.write(self.ours, text.encode())

    def type_unseen(self, prompt: str, text: str) -> None:
        """Types once the command has asked, and the terminal shows nothing of what is typed any more."""
        self.read_until(prompt)
        deadline = time.monotonic() + PATIENCE
        while termios.tcgetattr(self.ours)[3] & termios.ECHO:
            assert time.monotonic() < deadline, "the terminal shows what is typed"
        self.type(text)

    def end(self) -> int:
        status = self.process.wait(PATIENCE)
        try:
            while chunk := os.read(self.ours, 4096):
                self.said += chunk.decode()
        except OSError:
            pass
        os.close(self.ours)
        return status


@pytest.mark.parametrize("answer", ["y", "yes", "Y"])
def test_a_yes_ends_the_sessions_of_an_account(server: Lastseen, ada: Person, answer: str) -> None:
    device = ada.device()
    terminal = Terminal(server, "sessions", "terminate", "--account", ada.name)
    terminal.read_until("[y/N]")
    assert ada.name in terminal.said
    assert device.is_signed_in()
    terminal.type(answer + "\n")
    assert terminal.end() == 0
    assert not device.is_signed_in()


@pytest.mark.parametrize("answer", ["", "n", "no", "maybe", "yess"])
def test_anything_else_ends_nothing(server: Lastseen, ada: Person, answer: str) -> None:
    device = ada.device()
    terminal = Terminal(server, "sessions", "terminate", "--account", ada.name)
    terminal.read_until("[y/N]")
    terminal.type(answer + "\n")
    assert terminal.end() == 1
    assert device.is_signed_in()


def test_a_password_is_asked_for_twice_and_never_shown(server: Lastseen) -> None:
    name = fresh_name()
    terminal = Terminal(server, "account", "add", name)
    terminal.type_unseen("Password:", PASSWORD + "\n")
    terminal.type_unseen("again:", PASSWORD + "\n")
    assert terminal.end() == 0, terminal.said
    assert PASSWORD not in terminal.said
    assert Person(server, name).device().is_signed_in()


def test_two_passwords_that_differ_do_nothing(server: Lastseen) -> None:
    name = fresh_name()
    terminal = Terminal(server, "account", "add", name)
    terminal.type_unseen("Password:", PASSWORD + "\n")
    terminal.type_unseen("again:", PASSWORD + "!\n")
    assert terminal.end() == 1
    assert name not in server.run("account", "list").done()
