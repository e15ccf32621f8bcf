"""Declaring prompts by files: `prompts_from_package` reads a package with a module or a text file for each status."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from importlib import import_module
from importlib.resources import files
from pkgutil import iter_modules
from types import ModuleType

from automagik_prompts.declaring.declared import PromptText, Site
from automagik_prompts.declaring.front_matter import split_details
from automagik_prompts.declaring.registry import Registry, registry
from automagik_prompts.domain.keys import Status
from automagik_prompts.domain.protocols import StatusFunction
from automagik_prompts.domain.review import OnDrift
from automagik_prompts.domain.validation import MAX_NOTE_LENGTH, Format, check_format, check_optional, normalized
from automagik_prompts.exceptions import DeclarationError, InvalidPromptError

_SUFFIXES = (".md", ".txt", ".hbs")


def prompts_from_package(
    package: str | ModuleType,
    *,
    agent: str,
    primary: Status | None = None,
    status: StatusFunction | None = None,
    variables: Collection[str] = (),
    format: Format = "handlebars",
    protected: Collection[Status] = (),
    approvals: int = 1,
    approve_code: bool = False,
    on_drift: OnDrift | None = None,
    registry: Registry = registry,
) -> None:
    """Declare the prompts in a package: one module, or one `.md`, `.txt` or `.hbs` file, for each status.

    The status key is the file's name in upper case. A module holds the constant `PROMPT`. Names that begin with an
    underscore or a dot, and files named README, are passed over. A file's text is taken byte for byte as UTF-8.
    A `.md` file may begin with a front matter that gives its `name`, `note` and `format`; it is one only if every key
    is one of these, else it belongs to the text.

    Args:
        package: The package or its name, as in `"stan.prompts"`.
        agent: The agent's name.
        primary: The primary status: a string, or an enum member by its value or its name.
        status: A sync or async function of the run context that returns the present status.
        variables: Names to expose to templates besides those that the texts use.
        format: How texts are read that do not say so themselves.
        protected: The statuses whose active version changes only when another person has approved it.
        approvals: How many people besides who asks have to approve.
        approve_code: Whether what the code activates needs approval as well; it was reviewed as code otherwise.
        on_drift: What becomes of a new text of the code where a person's version is active: `"keep"` the person's,
            activate the code's (`"code"`), or keep it and have `sync` end with an error until somebody has decided
            (`"fail"`). `check` reports a drift in any case. `"keep"` by default.
        registry: Where to declare them.

    Raises:
        DeclarationError: The declaration is invalid, or the package holds no prompt.
    """
    module = import_module(package) if isinstance(package, str) else package
    if not hasattr(module, "__path__"):
        raise DeclarationError(f"{module.__name__} is not a package; name the package with the prompts.", agent=agent)
    texts: dict[str, str] = {}
    places: dict[str, str] = {}
    for stem, text, place in (*_module_texts(module, agent), *_file_texts(module, agent)):
        key = normalized(stem.upper())
        if key in texts:
            raise DeclarationError(
                f"The status {key!r} of agent {agent!r} is declared twice: in {places[key]} and in {place}. Keep one.",
                agent=agent,
                status_key=key,
            )
        texts[key], places[key] = text, place
    if not texts:
        raise DeclarationError(
            f"The package {module.__name__} holds no prompt. Add a module or a .md, .txt or .hbs file for each status.",
            agent=agent,
        )
    registry.declare(
        agent,
        texts,
        where=module.__name__,
        primary=primary,
        status=status,
        variables=variables,
        format=check_format(format),
        places=places,
        site=Site(module.__name__, object(), is_whole=True),
        protected=protected,
        approvals=approvals,
        approve_code=approve_code,
        on_drift=on_drift,
    )


def _module_texts(package: ModuleType, agent: str) -> Iterator[tuple[str, str, str]]:
    """Yield name, text and place of each module with a prompt."""
    for info in sorted(iter_modules(package.__path__), key=lambda found: found.name):
        if info.name.startswith("_") or info.ispkg:
            continue
        child = import_module(f"{package.__name__}.{info.name}")
        text = getattr(child, "PROMPT", None)
        if not isinstance(text, str):
            raise DeclarationError(
                f"The module {child.__name__} has no constant PROMPT with a string. Add it, or begin the module's name "
                "with an underscore.",
                agent=agent,
            )
        yield info.name, text, child.__name__


def _with_details(text: str, place: str) -> str:
    """Return a Markdown file's text with the name, note and format that its front matter gives."""
    try:
        if (found := split_details(text, place)) is None:
            return text
        details, body = found
        declared = PromptText(body)
        declared.prompt_format = check_format(details.get("format", "handlebars"))
        declared.prompt_name = check_optional(details.get("name"), "prompt name")
        declared.prompt_note = check_optional(details.get("note"), "note", limit=MAX_NOTE_LENGTH)
    except InvalidPromptError as error:
        raise DeclarationError(f"{error.message} Declared at {place}.") from error
    return declared


def _is_readme(stem: str) -> bool:
    return stem.partition(".")[0].upper() == "README"


def _file_texts(package: ModuleType, agent: str) -> Iterator[tuple[str, str, str]]:
    """Yield name, text and place of each file with a prompt."""
    for file in sorted(files(package).iterdir(), key=lambda found: found.name):
        stem, dot, suffix = file.name.rpartition(".")
        if dot + suffix not in _SUFFIXES or file.name.startswith(("_", ".")) or _is_readme(stem):
            continue
        place = f"{package.__name__}/{file.name}"
        try:
            text = file.read_bytes().decode()
            yield stem, _with_details(text, place) if suffix == "md" else text, place
        except UnicodeDecodeError as error:
            raise DeclarationError(
                f"The file {place} is not UTF-8: {error.reason} at byte {error.start}. Save it as UTF-8.", agent=agent
            ) from error
