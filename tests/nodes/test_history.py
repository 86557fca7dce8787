"""The judge of the histories, judged: it must see what is wrong and nothing else."""

from __future__ import annotations

import pytest

from harness.history import Answer, Kind, Operation, judge


def seen(kind: Kind, began: float, ended: float, answer: Answer = Answer.YES) -> Operation:
    return Operation(kind, "session", 0, began, ended, answer)


BEGIN = seen(Kind.BEGIN, 0, 1)
TERMINATE = seen(Kind.TERMINATE, 10, 11)


@pytest.mark.parametrize(
    "validation",
    [
        pytest.param(seen(Kind.VALIDATE, 2, 3), id="accepted-before"),
        pytest.param(seen(Kind.VALIDATE, 10.5, 10.6), id="accepted-while-it-is-terminated"),
        pytest.param(seen(Kind.VALIDATE, 10.9, 20), id="accepted-late-but-asked-before-the-answer"),
        pytest.param(seen(Kind.VALIDATE, 12, 13, Answer.NO), id="refused-after"),
        pytest.param(seen(Kind.VALIDATE, 10.5, 10.6, Answer.NO), id="refused-while-it-is-terminated"),
        pytest.param(seen(Kind.VALIDATE, 0.5, 0.6, Answer.NO), id="refused-before-it-was-there"),
        pytest.param(seen(Kind.VALIDATE, 2, 3, Answer.UNAVAILABLE), id="unavailable"),
        pytest.param(seen(Kind.VALIDATE, 12, 13, Answer.NONE), id="no-answer"),
    ],
)
def test_what_may_happen_is_no_violation(validation: Operation) -> None:
    assert judge([BEGIN, validation, TERMINATE]) == []


def test_a_session_accepted_after_its_termination_was_answered_is_a_violation() -> None:
    accepted = seen(Kind.VALIDATE, 11.001, 12)
    [violation] = judge([accepted, BEGIN, TERMINATE])
    assert (violation.first, violation.second) == (TERMINATE, accepted)


def test_a_session_that_is_refused_and_that_nobody_terminated_is_a_violation() -> None:
    refused = seen(Kind.VALIDATE, 2, 3, Answer.NO)
    assert [one.second for one in judge([BEGIN, refused])] == [refused]
    assert [one.second for one in judge([BEGIN, refused, TERMINATE])] == [refused]


@pytest.mark.parametrize("answer", [Answer.UNAVAILABLE, Answer.NONE])
def test_a_termination_without_a_yes_promises_nothing_and_excuses_refusals(answer: Answer) -> None:
    unclear = seen(Kind.TERMINATE, 10, 11, answer)
    accepted = seen(Kind.VALIDATE, 12, 13)
    refused = seen(Kind.VALIDATE, 14, 15, Answer.NO)
    assert judge([BEGIN, unclear, accepted, refused]) == []


def test_sessions_are_judged_apart() -> None:
    other = Operation(Kind.VALIDATE, "other", 0, 12, 13, Answer.YES)
    assert judge([BEGIN, TERMINATE, other]) == []
