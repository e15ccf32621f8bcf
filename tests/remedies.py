"""Every command that a message of the package tells people to run, found in its source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import automagik_prompts
from automagik_prompts.cli.app import COMMANDS
from automagik_prompts.settings import ENVIRONMENT_PREFIX

ROOT = Path(automagik_prompts.__file__).parent

_NAMED = re.compile(r"automagik-prompts ([a-z-]+)((?: (?:\{\}|%s|--[a-z-]+|[A-Z]{2,}|\.\.\.)(?![a-z]))*)")


def _words(node: ast.expr) -> str:
    """Return a text with `{}` for each value that is put into it."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(_words(part) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return ENVIRONMENT_PREFIX if ast.unparse(node.value) == "ENVIRONMENT_PREFIX" else "{}"
    return ""


def _texts(tree: ast.Module) -> Iterator[str]:
    """Yield the texts of a module but those that describe it."""
    described = {
        id(statement.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        for statement in node.body
        if isinstance(statement, ast.Expr)
    }
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in described | inner:
            yield _words(node)


def _said() -> Iterator[tuple[Path, str]]:
    """Yield each text of the package that may be said, with the module that has it."""
    for path in sorted(ROOT.rglob("*.py")):
        for text in _texts(ast.parse(path.read_text(encoding="utf-8"))):
            yield path.relative_to(ROOT), text.replace("\n", " ")


def named_settings() -> set[str]:
    """Return each variable that a message names."""
    return {name for _, text in _said() for name in re.findall(r"AUTOMAGIK_PROMPTS_[A-Z][A-Z_]*[A-Z]", text)}


def named_commands() -> dict[str, set[str]]:
    """Return each command that a message names, with the modules that do; values stand there as `{}`."""
    found: dict[str, set[str]] = {}
    for path, text in _said():
        for match in _NAMED.finditer(text):
            if match[1] in COMMANDS:
                found.setdefault(f"{match[1]}{match[2].replace('%s', '{}')}", set()).add(str(path))
    return found
