from __future__ import annotations

import inspect
import pickle

import pytest

from automagik_prompts import exceptions
from automagik_prompts.domain.text import closest
from automagik_prompts.exceptions import (
    ConflictError,
    InvalidPromptError,
    NoActivePromptError,
    PromptNotFoundError,
    PromptsError,
    UnexposedVariableError,
)

ERRORS = [kind for _, kind in inspect.getmembers(exceptions, inspect.isclass) if issubclass(kind, Exception)]


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_has_one_root_and_a_sentence(kind: type[Exception]) -> None:
    """Who catches `PromptsError` catches all, and each error's docstring says what it means."""
    assert issubclass(kind, PromptsError)
    assert (kind.__doc__ or "").strip().splitlines()[0].endswith(".")


def test_errors_are_also_what_callers_expect() -> None:
    """A refused value is a `ValueError`, and what cannot be found a `LookupError`."""
    assert issubclass(InvalidPromptError, ValueError)
    assert issubclass(UnexposedVariableError, InvalidPromptError)
    assert issubclass(NoActivePromptError, LookupError)
    assert issubclass(PromptNotFoundError, LookupError)


def test_facts_are_attributes() -> None:
    """A program need not read the message."""
    error = ConflictError("look again", expected=3, actual=4, agent="stan")
    assert (str(error), error.message, error.agent, error.expected, error.actual) == (
        "look again",
        "look again",
        "stan",
        3,
        4,
    )
    refused = UnexposedVariableError("no", names=("a",), agent="stan", status_key="A")
    assert (refused.names, refused.agent, refused.status_key) == (("a",), "stan", "A")


@pytest.mark.parametrize(
    "error",
    [
        PromptsError("m", agent="a", status_key="S"),
        NoActivePromptError("m"),
        ConflictError("m", expected=1, actual=2, agent="a"),
        UnexposedVariableError("m", names=("x",), agent="a", status_key="S"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_survives_the_way_between_processes(error: PromptsError) -> None:
    """A process pool or a task queue pickles errors; the facts come through."""
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes
    assert type(copy) is type(error)
    assert copy.args == error.args
    assert vars(copy) == vars(error)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("APROVED", ["APPROVED"]),
        ("approved", ["APPROVED"]),
        ("Not_Registered", ["NOT_REGISTERED"]),
        ("xyz", []),
        ("", []),
    ],
)
def test_the_nearest_spelling(name: str, found: list[str]) -> None:
    """A misspelt name is found, whatever its case."""
    assert closest(name, ["APPROVED", "REJECTED", "NOT_REGISTERED"]) == found


def test_names_that_differ_in_case_only_are_all_found() -> None:
    """All of them are offered, three at most."""
    assert closest("Ab", ["ab", "AB", "aB"]) == ["AB", "aB", "ab"]
    assert len(closest("abcd", ["abc1", "abc2", "abc3", "abc4"])) == 3
