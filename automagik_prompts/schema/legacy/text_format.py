"""Whether a text that was never meant as a template can be served as one; the one question put to today's library.

It cannot be frozen: a version that the engine of today refuses must not be adopted as a template.
"""

from __future__ import annotations

from automagik_prompts.exceptions import InvalidPromptError
from automagik_prompts.schema.legacy.frozen import Format
from automagik_prompts.templating.access import BUILTINS
from automagik_prompts.templating.compiling import compile_template


def format_of(text: str) -> tuple[Format, tuple[str, ...], str]:
    """Return how a text is to be read, the variables that it uses, and why it is no template, where it is none."""
    try:
        template = compile_template(text, "handlebars")
    except InvalidPromptError as error:
        reason = error.message.removeprefix("The prompt ").partition(" To serve a text verbatim")[0]
        return "text", (), f"no valid template: {reason.removeprefix('is not a valid template: ').rstrip('.')}"
    return "handlebars", tuple(sorted(template.variables - BUILTINS)), ""
