"""Every error this library raises, under one root.

A message says what happened, with which agent and status, and what to do next; the same facts are attributes, so
that a program need not read the message. No message contains a prompt's text.
"""

from __future__ import annotations

from typing import Any


class PromptsError(Exception):
    """The root of all errors of this library.

    Args:
        message: What happened and what to do next.
        agent: The agent concerned, where there is one.
        status_key: The status key concerned, where there is one.
    """

    def __init__(self, message: str, *, agent: str | None = None, status_key: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.agent = agent
        self.status_key = status_key

    def __reduce__(self) -> tuple[object, ...]:
        # An exception is made anew from its arguments alone otherwise, which knows no keywords.
        return _restored, (type(self), self.args, vars(self))


def _restored(kind: type[PromptsError], arguments: tuple[object, ...], facts: dict[str, object]) -> PromptsError:
    """Make an error anew in another process."""
    error = kind.__new__(kind, *arguments)
    vars(error).update(facts)
    return error


class ConfigurationError(PromptsError):
    """A setting has a value that cannot work, or an optional dependency that it needs is not installed."""


class DeclarationError(PromptsError):
    """A declaration in code is invalid; raised where it is made."""


class InvalidPromptError(PromptsError, ValueError):
    """A text, a name or a template was refused before anything was written."""


class UnexposedVariableError(InvalidPromptError):
    """A template uses a variable that the agent's code does not expose.

    Args:
        message: What happened and what to do next.
        names: The variables that are not exposed.
        agent: The agent concerned, where there is one.
        status_key: The status key concerned, where there is one.
    """

    def __init__(
        self, message: str, *, names: tuple[str, ...], agent: str | None = None, status_key: str | None = None
    ) -> None:
        super().__init__(message, agent=agent, status_key=status_key)
        self.names = names


class RenderError(PromptsError):
    """A prompt could not be filled: a value is missing in mode `error`, or the result would be too long."""


class NoActivePromptError(PromptsError, LookupError):
    """Neither the database nor the code has a prompt that could be served for an agent and status."""


class PromptNotFoundError(PromptsError, LookupError):
    """The agent, the status or the version that was asked for does not exist in the database."""


class UnknownAgentError(PromptNotFoundError):
    """There is no agent of that name; the message names the nearest ones, or the first ones that there are."""


class ConflictError(PromptsError):
    """Somebody else wrote to the agent since its revision was read; read again and decide again.

    Args:
        message: What happened and what to do next.
        expected: The revision that the caller had read.
        actual: The revision that the agent has now.
        agent: The agent concerned.
    """

    def __init__(self, message: str, *, expected: int, actual: int, agent: str) -> None:
        super().__init__(message, agent=agent)
        self.expected = expected
        self.actual = actual


class NotAllowedError(PromptsError):
    """The policy does not allow the actor to do this; nothing was written.

    Args:
        message: What happened and what to do next.
        actor: The id of who asked; `None` where nobody said.
        operation: What was asked for, such as `"activate"`.
        agent: The agent concerned, where there is one.
        status_key: The status concerned, where there is one.
    """

    def __init__(
        self,
        message: str,
        *,
        actor: str | None,
        operation: str,
        agent: str | None = None,
        status_key: str | None = None,
    ) -> None:
        super().__init__(message, agent=agent, status_key=status_key)
        self.actor = actor
        self.operation = operation


class DriftError(PromptsError):
    """Statuses of code with `on_drift="fail"` have drifted, and nobody has decided; all else was written.

    Args:
        message: What happened and what to do next.
        results: What `sync` did.
    """

    def __init__(self, message: str, *, results: tuple[Any, ...]) -> None:
        super().__init__(message)
        self.results = results


class DatabaseUnavailableError(PromptsError):
    """The database cannot be reached or refuses the operation now; what is served is not affected."""


class AccessDeniedError(DatabaseUnavailableError):
    """The server refuses the user or the password; it is tried again, but seldom."""


class MissingRightError(DatabaseUnavailableError):
    """The database's user has no right to this, or nobody has; nothing was written.

    Args:
        message: What happened and what to do next.
        user: The database's user; `None` where the URL names none.
        refusal: The database's own words.
        roles: The roles of `automagik-prompts grants` that have the right, where it is known what was to be done.
        agent: The agent concerned, where there is one.
        status_key: The status concerned, where there is one.
    """

    def __init__(
        self,
        message: str,
        *,
        user: str | None,
        refusal: str,
        roles: tuple[str, ...] = (),
        agent: str | None = None,
        status_key: str | None = None,
    ) -> None:
        super().__init__(message, agent=agent, status_key=status_key)
        self.user = user
        self.refusal = refusal
        self.roles = roles


class SchemaError(PromptsError):
    """The database's schema is not the one that this release needs; the message names the command to run."""
