"""Writes `docs/api.md` from the docstrings: `python -m tests.acceptance.api`, or `make docs`."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import automagik_prompts

PACKAGE = Path(automagik_prompts.__file__).parent
PAGE = PACKAGE.parent / "docs" / "api.md"

# Every public name has its place here; a new one makes a test fail until it has one, too.
GROUPS: dict[str, tuple[str, tuple[str, ...]]] = {
    "Declaring prompts": ("automagik_prompts", ("prompt", "prompts", "prompts_from_package")),
    "Giving them to agents": ("automagik_prompts", ("ActivePrompt", "install", "uninstall")),
    "Serving and editing": ("automagik_prompts", ("PromptPlugin", "default_plugin", "resolve", "render")),
    "Who may do what": (
        "automagik_prompts",
        (
            *(
                "Actor",
                "Identity",
                "Roles",
                "Operation",
                "Decision",
                "ALLOW",
                "NEEDS_APPROVAL",
                "deny",
                "TextState",
            ),
            *("Protection", "ApprovalRequest", "RequestState", "Draft", "Drift", "Token", "NewToken"),
        ),
    ),
    "Which prompt said that": ("automagik_prompts", ("prompt_used", "PromptsUsed", "UsedPrompt", "strip_provenance")),
    "Other versions": ("automagik_prompts", ("prompt_version", "replay", "Replay", "ReplayedTurn")),
    "What runs": (
        "automagik_prompts",
        ("Fleet", "FleetProcess", "Followers", "FollowingProcess", "Following", "Usage"),
    ),
    "Values": (
        "automagik_prompts",
        (
            *("Prompt", "EditResult", "SyncResult", "ServedPrompt", "Source", "State", "Snapshot", "Explanation"),
            *(
                "Health",
                "PromptChange",
                "Page",
                "RestorePlan",
                "RestoreStep",
                "AgentInfo",
                "StatusSummary",
                "Event",
                "Match",
                "Preview",
                "ExportedFile",
            ),
        ),
    ),
    "With a connection of your own": (
        "automagik_prompts.repository",
        (
            *("get_prompts_by_agent_id", "get_prompt_by_id", "get_active_prompt", "get_latest_version_for_status"),
            *("create_prompt", "set_prompt_active", "find_code_default_prompt", "PromptCreate"),
        ),
    ),
    "Errors": (
        "automagik_prompts",
        (
            "PromptsError",
            "AccessDeniedError",
            "ConfigurationError",
            "ConflictError",
            "DatabaseUnavailableError",
            "DeclarationError",
            "DriftError",
            "InvalidPromptError",
            "MissingRightError",
            "NoActivePromptError",
            "NotAllowedError",
            "PromptNotFoundError",
            "RenderError",
            "SchemaError",
            "UnexposedVariableError",
        ),
    ),
    "For tests": ("automagik_prompts.testing", ("override", "memory_plugin", "assert_prompt_used")),
}

HEAD = """\
# API

The public names, from their docstrings. `make docs` writes this page; a test makes sure that it is current.
"""

_SECTIONS = ("Args", "Attributes", "Raises", "Returns", "Yields")


def page() -> str:
    """Return the whole page."""
    toc = [f"- [{title}](#{re.sub(r'[^a-z ]', '', title.lower()).replace(' ', '-')})" for title in GROUPS]
    return "\n".join([HEAD, "\n".join(toc), *(_group(title).rstrip() + "\n" for title in GROUPS)])


def _group(title: str) -> str:
    module, names = GROUPS[title]
    return "\n".join([f"\n## {title}\n", *(_entry(module, name) for name in names)])


def _entry(module: str, name: str) -> str:
    """Return the section of one name: what it is called with, and what it is."""
    home = getattr(importlib.import_module(module), name).__module__
    source = Path(importlib.import_module(home).__file__ or "")
    body = ast.parse(source.read_text(encoding="utf-8")).body
    for value, doc in pairwise(body):
        if isinstance(value, ast.Assign) and ast.unparse(value.targets[0]) == name and isinstance(doc, ast.Expr):
            return f"### {name}\n\n```python\n{ast.unparse(value)}\n```\n\n{ast.literal_eval(doc.value)}\n"
    node = next(
        node
        for node in body
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name
    )
    prefix = "" if module == "automagik_prompts" else f"{module.rpartition('.')[2]}."
    lines = [f"### {prefix}{name}\n"]
    if isinstance(node, ast.ClassDef):
        lines += _class(node)
    else:
        lines += [f"```python\n{_signature(node)}\n```\n", _text(ast.get_docstring(node) or "")]
    return "\n".join(lines)


def _class(node: ast.ClassDef) -> Iterator[str]:
    constructor = next((one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"), None)
    if constructor is not None:
        yield f"```python\n{_signature(constructor, node.name)}\n```\n"
    elif node.bases and not _inherited(node):
        yield f"A subclass of {', '.join(f'`{ast.unparse(base)}`' for base in node.bases)}.\n"
    yield _text(ast.get_docstring(node) or "")
    yield from _fields(node)
    for one in [*node.body, *_inherited(node)]:
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and not one.name.startswith("_"):
            decorators = {ast.unparse(decorator) for decorator in one.decorator_list}
            if _is_hook(node, one):
                continue
            doc = _text(ast.get_docstring(one) or "")
            if "property" in decorators:
                yield f"#### {node.name}.{one.name}\n\n{doc}"
            else:
                yield f"#### {node.name}.{one.name}\n\n```python\n{_signature(one)}\n```\n\n{doc}"


_BASES = {
    "PluginEdits": "runtime/edits.py",
    "Doors": "runtime/doors.py",
    "EditService": "editing/service.py",
    "TextVerbs": "editing/verbs/texts.py",
    "ActivationVerbs": "editing/verbs/activation.py",
    "ReviewVerbs": "editing/verbs/review.py",
    "DriftVerbs": "editing/verbs/drifting.py",
    "DraftVerbs": "editing/verbs/drafting.py",
    "LookingVerbs": "editing/verbs/looking.py",
    "TokenVerbs": "editing/verbs/tokens.py",
    "PromptOptions": "agent/options.py",
}
"""Classes that are not public themselves, and whose members belong to the public class that has them."""


def _inherited(node: ast.ClassDef) -> list[ast.stmt]:
    """Return what a class has from others of this package that are not public themselves."""
    found: list[ast.stmt] = []
    for base in node.bases:
        name = ast.unparse(base).partition("[")[0]
        if name in _BASES:
            body = ast.parse((PACKAGE / _BASES[name]).read_text()).body
            theirs = next(one for one in body if isinstance(one, ast.ClassDef) and one.name == name)
            mine = {one.name for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}
            found += [one for one in [*theirs.body, *_inherited(theirs)] if getattr(one, "name", None) not in mine]
    return found


def _fields(node: ast.ClassDef) -> Iterator[str]:
    """Yield the fields that have a docstring of their own."""
    begun = False
    body = [*node.body, *_inherited(node)]
    for field, doc in pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(doc, ast.Expr)
            and isinstance(doc.value, ast.Constant)
            and isinstance(doc.value.value, str)
        ):
            if not begun:
                yield "**Attributes**\n"
                begun = True
            text = " ".join(inspect.cleandoc(doc.value.value).split())
            yield f"- `{ast.unparse(field.target)}: {ast.unparse(field.annotation)}{_default(field.value)}`: {text}"
    if begun:
        yield ""


def _default(value: ast.expr | None) -> str:
    """Return a field's default, also out of `field(default=...)`."""
    if isinstance(value, ast.Call):
        value = next((keyword.value for keyword in value.keywords if keyword.arg == "default"), None)
    return f" = {ast.unparse(value)}" if value is not None else ""


def _is_hook(node: ast.ClassDef, method: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Return whether a method is there for Pydantic AI or for this package's own modules to call."""
    if node.name == "ActivePrompt":
        return True
    return node.name == "PromptPlugin" and method.name in {
        *("is_chosen", "is_started", "identity", "where", "actor", "visible", "require_policy")
    }


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef, name: str | None = None) -> str:
    """Return how a function is called, over several lines if it is long."""
    arguments = [argument for argument in ast.unparse(node.args).split(", ") if argument]
    parts = [_spaced(part) for part in _joined(arguments)]
    if parts and parts[0] in {"self", "cls"}:
        parts = parts[1:]
    returns = f" -> {ast.unparse(node.returns)}" if node.returns is not None and name is None else ""
    begin = "async def " if isinstance(node, ast.AsyncFunctionDef) else ""
    called = f"{begin}{name or node.name}"
    line = f"{called}({', '.join(parts)}){returns}"
    if len(line) <= 100:
        return line
    return "\n".join([f"{called}(", *(f"    {part}," for part in parts), f"){returns}"])


def _spaced(argument: str) -> str:
    """Write an argument with an annotation and a default the way people do."""
    name, equals, default = argument.partition("=")
    return f"{name} = {default}" if equals and ":" in name else argument


def _joined(pieces: list[str]) -> list[str]:
    """Put together what a comma inside brackets has torn apart."""
    found: list[str] = []
    for piece in pieces:
        if found and found[-1].count("[") + found[-1].count("(") > found[-1].count("]") + found[-1].count(")"):
            found[-1] += f", {piece}"
        else:
            found.append(piece)
    return found


def _text(docstring: str) -> str:
    """Return a docstring as Markdown: its sections become lists."""
    lines: list[str] = []
    section = None
    for line in docstring.splitlines():
        if (name := line.removesuffix(":")) in _SECTIONS and line.endswith(":"):
            section = name
            lines.append(f"**{section}**\n")
        elif section is None or not line.strip():
            lines.append(line)
            section = section if line.strip() or section is None else None
        elif section == "Returns":
            lines.append(line.strip())
        elif line.startswith("    ") and not line.startswith("     "):
            lines.append(re.sub(r"^(\*{0,2}[\w.]+): ", r"- `\1`: ", line.strip()))
        else:
            lines[-1] += f" {line.strip()}"
    return textwrap.dedent("\n".join(lines)).strip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE.relative_to(PACKAGE.parent)} is written\n")
