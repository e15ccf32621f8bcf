from __future__ import annotations

import re
from pathlib import Path

import pytest

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.editing import commands, sync
from automagik_prompts.schema.migrate import downgrade, upgrade
from automagik_prompts.storage.database import Database
from tests.operator import Operator

MODULE = """from automagik_prompts import prompts


@prompts("maria", primary="NEW")
class Maria:
    NEW = "Ask {{name}}."
    APPROVED = "Quote prices to {{name}}."
"""


@pytest.fixture
async def operator(tmp_path: Path, sqlite_url: str) -> Operator:
    """An operator of a release whose code has changed under a person's version."""
    registry = Registry()
    old = {"NEW": "Ask {{name}}.", "APPROVED": "Sell to {{name}}.", "GONE": "Bye."}
    registry.declare("maria", old, where="here", primary="NEW")
    async with Database(sqlite_url) as database:
        await upgrade(database)
        await sync.seed(database, registry.agents)
        await commands.create(database, "maria", "APPROVED", "Sell gently.", activate=True)
    (tmp_path / "shop.py").write_text(MODULE)
    operator = Operator(tmp_path, sqlite_url)
    operator.environment["AUTOMAGIK_PROMPTS_MODULES"] = "shop"
    return operator


def test_findings_have_an_exit_code_of_their_own(operator: Operator) -> None:
    """Errors are exit code 3, warnings alone 0 unless strict, and what is ignored does not count."""
    found = operator.run("check")
    assert (found.code, found.err) == (3, "")
    assert found.out == (
        "error    drift: maria/APPROVED: version 2 by a person is active, and the code has changed since, to a text "
        "that the database has not seen: sync first. Keep it (automagik-prompts keep maria APPROVED), take the code's "
        "(activate), or write one of both (create --based-on).\n"
        "         automagik-prompts diff maria APPROVED --code\n"
        "         --- version 1 (base)\n"
        "         +++ the code\n"
        "         @@ -1 +1 @@\n"
        "         -Sell to {{name}}.\n"
        "         \\ No newline at end of text\n"
        "         +Quote prices to {{name}}.\n"
        "         \\ No newline at end of text\n"
        "         --- version 1 (base)\n"
        "         +++ version 2 (active)\n"
        "         @@ -1 +1 @@\n"
        "         -Sell to {{name}}.\n"
        "         \\ No newline at end of text\n"
        "         +Sell gently.\n"
        "         \\ No newline at end of text\n"
        "warning  orphan: maria/GONE came from code (version 1) and is not in code any more.\n"
        "         automagik-prompts history maria GONE\n"
        "1 error, 1 warning\n"
    )
    assert operator.run("check", "--ignore", "drift").code == 0
    assert operator.run("check", "--ignore", "drift", "--strict").code == 3
    assert operator.run("check", "--ignore", "drift", "--ignore", "orphan", "--strict").code == 0
    assert operator.run("check", "--agent", "somebody").code == 0


def test_findings_are_annotations_on_github(operator: Operator) -> None:
    """Each finding is a workflow command that points to the line in code or to the file."""
    operator.do("export", "prompts")
    path = operator.folder / "prompts" / "maria" / "NEW.md"
    path.write_text(path.read_text().replace("{{name}}", "{{secret}}"))
    found = operator.run("check", "--files", "prompts", "--format", "github")
    assert found.code == 3
    lines = found.out.splitlines()
    assert all(
        re.fullmatch(r"::(error|warning) (file=[^,]+,line=\d+,)?title=automagik-prompts [a-z-]+::.+", line)
        for line in lines
    )
    drift = next(line for line in lines if "drift" in line)
    assert drift.startswith("::error file=shop.py,line=4,title=automagik-prompts drift::maria/APPROVED: version 2")
    assert "::error file=prompts/maria/NEW.md,line=11,title=automagik-prompts unexposed::" in found.out


async def test_nothing_is_written_not_even_a_migration(operator: Operator) -> None:
    """A database that lacks migrations is reported as it is, and stays so."""
    async with Database(operator.url) as database:
        await downgrade(database, 2)
    before = (operator.folder / "prompts.db").read_bytes()
    found = operator.run("check", "--json")
    assert found.code == 3
    assert [finding["kind"] for finding in found.json["findings"]] == ["migrations"]
    assert (operator.folder / "prompts.db").read_bytes() == before


def test_files_and_code_are_compared_without_a_database(operator: Operator) -> None:
    """A pull request can be checked where there is no database."""
    operator.do("export", "prompts")
    arguments = ("check", "--files", "prompts", "--no-database", "--database-url", "sqlite://missing.db")
    assert operator.run(*arguments).code == 0
    (operator.folder / "shop.py").write_text(MODULE.replace("Ask {{name}}.", "Ask.").replace(" to {{name}}", ""))
    operator.do("rollback", "maria", "APPROVED")
    operator.do("export", "prompts")
    found = operator.run(*arguments, "--json")
    assert [finding["kind"] for finding in found.json["findings"]] == ["unexposed", "unexposed"]


def test_a_check_that_cannot_be_done_is_exit_code_1(operator: Operator) -> None:
    """A database that cannot be read, or a module that cannot be imported, is no finding."""
    assert operator.run("check", "--database-url", "postgresql://u@127.0.0.1:1/x").code == 1
    (operator.folder / "shop.py").write_text("raise RuntimeError('broken')")
    outcome = operator.run("check")
    assert (outcome.code, outcome.out) == (1, "")
    assert "The prompt module 'shop' cannot be imported: RuntimeError: broken" in outcome.err
    diagnosis = operator.run("doctor", "--json")
    assert diagnosis.code == 1
    assert diagnosis.json["checks"][0]["outcome"] == "failed"
    explained = operator.run("explain", "maria", "APPROVED", "--json")
    assert (explained.code, explained.json["version"]) == (0, 2)
    assert "'shop' cannot be imported" in explained.json["notes"][0]
