"""The shape of the package: no circles, who may query, what is public, and that everything says what it is.

Who may import whom is in `pyproject.toml`, which `make check` compares with the code.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import grimp
import pytest

import automagik_prompts

ROOT = Path(automagik_prompts.__file__).parent
PACKAGE = "automagik_prompts"

# What can reach a database, a disk or a network; nothing that an agent run goes through may have it.
DATABASE = {"tortoise", "aerich", "asyncpg", "aiosqlite", "sqlite3", "pypika_tortoise"}

# Who may send statements.
QUERIES = {"storage", "schema"}


# Longer, as they are what people read: the facade, and the loop that follows.
LONGEST = {"plugin.py": 340, "follower.py": 340, "database.py": 340}

QUERYING = {
    "execute_query",
    "execute_query_dict",
    "execute_insert",
    "execute_many",
    "execute_script",
    "using_db",
    "raw",
}

PUBLIC = [
    "ALLOW",
    "AccessDeniedError",
    "ActivePrompt",
    "Actor",
    "AgentInfo",
    "ApprovalRequest",
    "ConfigurationError",
    "ConflictError",
    "DatabaseUnavailableError",
    "Decision",
    "DeclarationError",
    "Draft",
    "Drift",
    "DriftError",
    "EditResult",
    "Event",
    "Explanation",
    "ExportedFile",
    "Fleet",
    "FleetProcess",
    "Followers",
    "Following",
    "FollowingProcess",
    "Health",
    "Identity",
    "InvalidPromptError",
    "Match",
    "MissingRightError",
    "NEEDS_APPROVAL",
    "NewToken",
    "NoActivePromptError",
    "NotAllowedError",
    "Operation",
    "Page",
    "Preview",
    "Prompt",
    "PromptChange",
    "PromptNotFoundError",
    "PromptPlugin",
    "PromptsError",
    "PromptsUsed",
    "Protection",
    "RenderError",
    "Replay",
    "ReplayedTurn",
    "RequestState",
    "RestorePlan",
    "RestoreStep",
    "Roles",
    "SchemaError",
    "ServedPrompt",
    "Snapshot",
    "Source",
    "State",
    "StatusSummary",
    "SyncResult",
    "TextState",
    "Token",
    "UnexposedVariableError",
    "Usage",
    "UsedPrompt",
    "default_plugin",
    "deny",
    "install",
    "prompt",
    "prompt_used",
    "prompt_version",
    "prompts",
    "prompts_from_package",
    "render",
    "replay",
    "resolve",
    "strip_provenance",
    "uninstall",
]


def modules() -> dict[str, Path]:
    """Return every module of the package by its name without the package's."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if "_migrations" not in parts:
            found[".".join(part for part in parts if part != "__init__")] = path
    return found


MODULES = modules()


@cache
def tree(module: str) -> ast.Module:
    """Return a module's syntax tree."""
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


@cache
def imports(module: str) -> tuple[tuple[str, int], ...]:
    """Return what a module imports, with the line, also inside functions; what only type checkers see is left out."""
    checked = {
        id(inner)
        for node in ast.walk(tree(module))
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    found: list[tuple[str, int]] = []
    for node in ast.walk(tree(module)):
        if id(node) in checked:
            continue
        if isinstance(node, ast.Import):
            found += ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}, line {node.lineno}: imports are absolute"
            found += ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)
    return tuple(found)


def own_imports(module: str) -> Iterator[tuple[str, int]]:
    """Yield the modules of this package that a module imports."""
    for name, line in imports(module):
        top, _, rest = name.partition(".")
        if top == PACKAGE:
            while rest and rest not in MODULES:
                rest = rest.rpartition(".")[0]
            yield rest, line


def foreign_imports(module: str) -> set[str]:
    """Return the other packages that a module imports."""
    return {name.partition(".")[0] for name, _ in imports(module)} - {PACKAGE}


def reach(module: str) -> set[str]:
    """Return everything of this package that is imported with a module."""
    reached: set[str] = set()
    waiting = [module]
    while waiting:
        one = waiting.pop()
        if one not in reached:
            reached.add(one)
            waiting += [name for name, _ in own_imports(one) if name]
    return reached


def is_command_line(module: str) -> bool:
    """Return whether a module belongs to the command line."""
    return module.partition(".")[0] in {"cli", "__main__"}


def test_nothing_is_imported_in_a_circle() -> None:
    """No module is imported by what it imports itself, types and imports inside functions included."""
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    circles = {
        module
        for module in graph.modules
        if any(graph.chain_exists(other, module) for other in graph.find_modules_directly_imported_by(module))
    }
    assert not circles


def test_declaring_prompts_loads_neither_agent_library_nor_command_line() -> None:
    """A module that only declares prompts does not load what serves them."""
    for module in ("declaring.decorators", "declaring.packages", "declaring.discovery"):
        loaded = set().union(*map(foreign_imports, reach(module)))
        assert not loaded & (DATABASE | {"pydantic_ai", "typer", "rich"}), module


def test_only_storage_and_schema_send_statements() -> None:
    """No other module sends statements."""
    for module in MODULES:
        called = {node.attr for node in ast.walk(tree(module)) if isinstance(node, ast.Attribute)} & QUERYING
        assert not called or module in QUERIES or module.partition(".")[0] in QUERIES, (module, called)


def test_only_two_modules_know_the_engine_from_inside() -> None:
    """The parts of the template engine that are not public are known in two places."""
    knowing = {name for name in MODULES if any("pydantic_handlebars._" in one for one, _ in imports(name))}
    assert knowing == {"templating.analysis", "templating.engine"}


def test_migrations_import_only_what_is_frozen() -> None:
    """What a migration file does can never change with the rest."""
    files = sorted((ROOT.parent / "aerich_migrations" / PACKAGE).glob("*.py"))
    assert len(files) >= 4
    for file in files:
        nodes = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)]
        own = {node.module for node in nodes if (node.module or "").startswith(PACKAGE)}
        assert own <= {f"{PACKAGE}.schema.legacy", f"{PACKAGE}.schema.legacy.frozen"}, file.name


def test_rooms_stay_small() -> None:
    """No folder has more modules than a reader can look over, and no module is longer than it need be."""
    folders: dict[Path, int] = {}
    for path in MODULES.values():
        folders[path.parent] = folders.get(path.parent, 0) + (path.name != "__init__.py")
        assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST.get(path.name, 320), path
    assert max(folders.values()) <= 15, folders


def test_the_public_names() -> None:
    """What can be imported from the package is written down here too, so that no name comes or goes by accident."""
    assert automagik_prompts.__all__ == sorted(
        automagik_prompts.__all__, key=lambda name: (not name.isupper(), name[0].islower(), name)
    )
    assert set(automagik_prompts.__all__) == set(PUBLIC)
    for name in PUBLIC:
        assert getattr(automagik_prompts, name).__module__.startswith(PACKAGE)
    assert set(PUBLIC) <= set(dir(automagik_prompts))
    with pytest.raises(AttributeError, match="has no attribute 'promt'"):
        automagik_prompts.promt  # noqa: B018  # that it raises is what is tested


def test_importing_the_package_loads_almost_nothing() -> None:
    """The database, the command line and Pydantic AI are loaded when they are first used."""
    watched = sorted(DATABASE | {"pydantic_ai", "typer", "rich", "pydantic"})
    code = f"import sys, automagik_prompts; print([name for name in {watched!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "[]"


def definitions(module: str) -> Iterator[tuple[str, ast.AST]]:
    """Yield each public function, class and method of a module with its name."""
    waiting: list[tuple[str, ast.AST]] = [("", tree(module))]
    while waiting:
        prefix, parent = waiting.pop()
        for node in ast.iter_child_nodes(parent):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith(
                "_"
            ):
                yield f"{prefix}{node.name}", node
                if isinstance(node, ast.ClassDef):
                    waiting.append((f"{prefix}{node.name}.", node))


@pytest.mark.parametrize("module", sorted(MODULES))
def test_everything_public_says_what_it_is(module: str) -> None:
    """Each module, public class, function and method has a docstring that begins with a whole sentence."""
    assert ast.get_docstring(tree(module)), f"{module} has no docstring"
    for name, node in definitions(module):
        assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if any("overload" in ast.unparse(decorator) for decorator in node.decorator_list):
            continue
        summary = (ast.get_docstring(node) or "").split("\n\n")[0].strip()
        assert summary.endswith((".", ":", "?")), (
            f"{module}.{name} has no docstring that begins with a sentence: {summary!r}"
        )
        assert summary[0].isupper() or summary[0] in "`[", f"{module}.{name}: {summary!r}"


def test_no_module_swallows_errors_silently() -> None:
    """Whatever catches everything does something about it: no `except: pass`, no bare `except`."""
    for module in MODULES:
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None, f"{module}, line {node.lineno}: a bare except"
                silent = all(isinstance(statement, ast.Pass) for statement in node.body)
                assert not silent, f"{module}, line {node.lineno}: an error is swallowed"
