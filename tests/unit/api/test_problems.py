"""What somebody who came over the network is told of an error."""

from __future__ import annotations

import pytest

from automagik_prompts.api.problems import told
from automagik_prompts.exceptions import InvalidPromptError, UnknownAgentError


@pytest.mark.parametrize(
    ("said", "over_the_network"),
    [
        (
            "Version 3 is withdrawn. Use another one, or take that back: automagik-prompts withdraw 'a b' NEW 3 --undo",
            "Version 3 is withdrawn. Use another one, or take that back.",
        ),
        ("There is no request 9. See: automagik-prompts requests", "There is no request 9."),
        (
            "Keep it (automagik-prompts keep a NEW), take the code's, or write one of both.",
            "Keep it, take the code's, or write one of both.",
        ),
        ("To add one, say so: --new-status (new_status=True).", "To add one, say so: new_status=True."),
        ("The text is blank.", "The text is blank."),
    ],
)
def test_commands_are_left_out(said: str, over_the_network: str) -> None:
    """Who has no command line is told none; what an option is called for programs stays."""
    assert told(InvalidPromptError(said)) == over_the_network


def test_other_agents_are_not_named() -> None:
    """Who asks may not be allowed to see them."""
    assert (
        told(UnknownAgentError("There is no agent 'x'. Did you mean 'secret'?", agent="x")) == "There is no agent 'x'."
    )
