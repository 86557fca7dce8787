"""What clients saw of several nodes, and whether any of it breaks the promise.

Each client notes when an operation began, when it ended and what it was answered, all by one clock. An
operation without an answer, or with one that says "unavailable", promises nothing. What was answered is held
against two rules:

1. No validation that began after a termination of the session was answered is accepted.
2. No validation of a session whose beginning was answered before it began is refused, as long as nobody has
   begun to terminate the session.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

#: The clock of all clients.
now = time.monotonic


class Kind(Enum):
    """What was asked for."""

    BEGIN = "begin"
    VALIDATE = "validate"
    TERMINATE = "terminate"


class Answer(Enum):
    """What was answered."""

    #: Done, or accepted.
    YES = "yes"
    #: Refused.
    NO = "no"
    #: The server says that it cannot tell.
    UNAVAILABLE = "unavailable"
    #: Nothing came back, or not in time: it may have happened.
    NONE = "none"


@dataclass(frozen=True)
class Operation:
    """One request as its client saw it."""

    kind: Kind
    session: str
    node: int
    began: float
    ended: float
    answer: Answer


@dataclass(frozen=True)
class Violation:
    """Two operations that cannot both be right."""

    rule: str
    first: Operation
    second: Operation


class History:
    """Everything that clients saw, in no particular order."""

    def __init__(self) -> None:
        self._operations: list[Operation] = []
        self._lock = threading.Lock()

    def note(
        self, kind: Kind, session: str, node: int, began: float, ended: float, answer: Answer
    ) -> Operation:
        operation = Operation(kind, session, node, began, ended, answer)
        with self._lock:
            self._operations.append(operation)
        return operation

    def operations(self) -> list[Operation]:
        with self._lock:
            return list(self._operations)

    def counts(self) -> Counter[tuple[str, str]]:
        """How often each kind of operation was answered in each way."""
        return Counter((seen.kind.value, seen.answer.value) for seen in self.operations())

    def slowest(self, kind: Kind, answer: Answer = Answer.YES) -> float:
        """The longest that an operation with this answer took, in seconds."""
        took = (
            seen.ended - seen.began
            for seen in self.operations()
            if seen.kind is kind and seen.answer is answer
        )
        return max(took, default=0.0)

    def violations(self) -> list[Violation]:
        """Every validation that breaks a rule, with the operation that makes it wrong."""
        return judge(self.operations())


def judge(operations: Iterable[Operation]) -> list[Violation]:
    """The violations among these operations."""
    by_session: dict[str, list[Operation]] = defaultdict(list)
    for operation in operations:
        by_session[operation.session].append(operation)
    return [violation for seen in by_session.values() for violation in _judge_session(seen)]


def _judge_session(seen: list[Operation]) -> Iterable[Violation]:
    terminations = [one for one in seen if one.kind is Kind.TERMINATE]
    answered = min(
        (one for one in terminations if one.answer is Answer.YES), key=lambda one: one.ended, default=None
    )
    # A request without an answer may still be carried out at any time from its beginning on.
    first = min(terminations, key=lambda one: one.began, default=None)
    begun = next(
        (one for one in seen if one.kind is Kind.BEGIN and one.answer is Answer.YES), None
    )
    for one in seen:
        if one.kind is not Kind.VALIDATE:
            continue
        if one.answer is Answer.YES and answered is not None and one.began > answered.ended:
            yield Violation("accepted after its termination was answered", answered, one)
        if (
            one.answer is Answer.NO
            and begun is not None
            and one.began > begun.ended
            and (first is None or one.ended < first.began)
        ):
            yield Violation("refused although nobody had terminated it", begun, one)
