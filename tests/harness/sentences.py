"""Tests whose name is a sentence of the text that the product began with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: Every sentence that has a test, by its section.
covered: set[tuple[str, str]] = set()


def shows(section: str, text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Gives a test the sentence that it shows as its name."""

    def mark(test: Callable[..., Any]) -> Callable[..., Any]:
        assert (section, text) not in covered, "two tests for one sentence"
        # Where two sections share a sentence, the second one's test names its section as well.
        is_repeated = any(other == text for _, other in covered)
        covered.add((section, text))
        test.sentence = f"{text} ({section})" if is_repeated else text  # type: ignore[attr-defined]
        return test

    return mark
