"""What a version says: its text and how the text is read; the one place where both are checked together."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from shlex import quote

from automagik_prompts.domain.text import content_hash, word
from automagik_prompts.domain.validation import check_format, check_text
from automagik_prompts.exceptions import InvalidPromptError
from automagik_prompts.templating.compiling import compile_template
from automagik_prompts.templating.exposure import check_exposed
from automagik_prompts.templating.template import Template


@dataclass(frozen=True, slots=True)
class PromptContent:
    """The content of a version.

    Two versions are the same if their `identity` is. Only `digest` is stored: it is the hash of the text alone and
    means the same in rows, pins, exports and histories.

    Attributes:
        text: The text.
        format: How it is read.
    """

    text: str = field(repr=False)
    format: str = "handlebars"

    def check_unchanged(self, stored: str, *, agent: str, status_key: str, version: int | None) -> None:
        """Check that it is what was written, by the hash that stands beside it.

        Args:
            stored: The hash; empty where plain SQL gave none.
            agent: The agent it is for, for the message.
            status_key: The status it is for.
            version: Its number.

        Raises:
            InvalidPromptError: It was changed in place: "version 1" would not mean the same any more.
        """
        if stored and stored != self.digest:
            raise InvalidPromptError(
                f"The text of version {version} of {agent}/{status_key} was changed in place: its hash is not the one "
                "that it was written with. Put it back, or keep it as a new version (automagik-prompts copy "
                f"--version {version} --activate {word(agent)} {word(status_key)} {quote(agent)} {quote(status_key)}).",
                agent=agent,
                status_key=status_key,
            )

    @property
    def digest(self) -> str:
        """The SHA-256 of the text, hexadecimal."""
        return content_hash(self.text)

    @property
    def identity(self) -> tuple[str, str]:
        """What tells it from other contents: compared, and never stored as one digest."""
        return self.digest, self.format

    def validate(
        self, exposed: Collection[str] | None = None, *, agent: str | None = None, status_key: str | None = None
    ) -> Template:
        """Check that it can be kept and served, and return it compiled.

        Args:
            exposed: The variables that the text may use; `None` where that is not known.
            agent: The agent it is for, for messages.
            status_key: The status it is for, for messages.

        Raises:
            InvalidPromptError: It cannot be kept, or is no template that could be served.
            UnexposedVariableError: It uses a variable that is not exposed.
        """
        text = check_text(self.text, agent=agent, status_key=status_key)
        template = compile_template(text, check_format(self.format), agent=agent, status_key=status_key)
        if exposed is None:
            return template
        check_exposed(template, exposed, agent=agent, status_key=status_key)
        return template.opened(exposed)
