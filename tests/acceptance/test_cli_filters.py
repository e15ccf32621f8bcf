"""Finding the few that matter: what `list` and `events` leave out."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer

from automagik_prompts.cli.moments import moment
from automagik_prompts.editing.direct import DatabaseEdits
from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.storage.database import Database
from tests.operator import Operator
from tests.processes import Launcher
from tests.reviewing import declared, seed
from tests.tampering import unkeep


@pytest.fixture
async def operator(tmp_path: Path, sqlite_url: str, launcher: Launcher) -> Operator:
    """An operator of four agents: one as the code has it, one that has drifted, two with a problem."""
    async with Database(sqlite_url) as database:
        await upgrade(database)
        for name in ("billing", "support-de", "support-fr", "seller"):
            await seed(database, declared(name, protected=()))
        bea = DatabaseEdits(database, author="bea")
        await bea.create("support-de", "NEW", "By bea.", activate=True, note="shorter")
        await seed(database, declared("support-de", "code two", protected=()))
        await bea.deactivate("support-fr", "APPROVED")
        await unkeep(database)
        await database.run(
            lambda db: db.execute_query(
                "UPDATE prompts SET prompt_text = 'by hand' WHERE status_key = 'NEW' AND agent_id = "
                "(SELECT id FROM agents WHERE name = 'seller')"
            )
        )
        # As if it had been so for long.
        await database.run(
            lambda db: db.execute_query("UPDATE prompts SET updated_at = '2026-01-01 00:00:00+00:00' WHERE version = 1")
        )
    return Operator(tmp_path, sqlite_url, launcher)


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ("support*", ["support-de/APPROVED", "support-de/NEW", "support-fr/APPROVED", "support-fr/NEW"]),
        ("support-?r --problem", ["support-fr/APPROVED"]),
        ("--drift", ["support-de/NEW"]),
        ("--problem", ["seller/NEW", "support-fr/APPROVED"]),
        ("--author bea", ["support-de/NEW"]),
        ("--changed-since 1d", ["support-de/APPROVED", "support-de/NEW"]),
        ("support* --drift --author code", []),
    ],
)
def test_list(operator: Operator, arguments: str, found: list[str]) -> None:
    """Each option leaves out what is not so, and all together what is not all of it."""
    done = operator.run("list", *arguments.split(), "--json")
    assert [f"{line['agent']}/{line['status_key']}" for line in done.json["statuses"]] == found
    if not found:
        assert operator.do("list", *arguments.split()) == "None of 4 statuses is so.\n"


def test_a_pattern_that_fits_nothing(operator: Operator) -> None:
    """It is told as such, and not as what there is none of."""
    assert operator.do("list", "sup?ort", "--drift") == "No agent fits 'sup?ort'.\n"


def test_events(operator: Operator) -> None:
    """By whom, what, and since when; as one line of JSON each."""
    done = operator.do("events", "--author", "bea", "--action", "activated", "--action", "deactivated", "--jsonl")
    lines = [json.loads(line) for line in done.splitlines()]
    assert [(line["agent"], line["action"]) for line in lines] == [
        ("support-fr", "deactivated"),
        ("support-de", "activated"),
    ]
    assert len(operator.do("events", "billing", "--since", "1d", "--jsonl").splitlines()) == 4
    assert operator.do("events", "billing", "--author", "bea") == "Nothing of that was done.\n"
    refused = operator.run("events", "--action", "actived")
    assert (refused.code, "activated" in refused.err) == (2, True)


NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("3d", NOW - timedelta(days=3)),
        ("45m", NOW - timedelta(minutes=45)),
        ("2w", NOW - timedelta(weeks=2)),
        ("2026-11-24T14:00+01:00", datetime(2026, 11, 24, 13, 0, tzinfo=UTC)),
        ("2026-11-24T14:00", datetime(2026, 11, 24, 14, 0).astimezone(UTC)),  # the local time is meant
        ("2026-11-24", datetime(2026, 11, 24).astimezone(UTC)),  # as above
    ],
)
def test_moments(given: str, meant: datetime) -> None:
    """A date, a time with or without a zone, and so long ago."""
    assert moment(given, "--since", NOW) == meant


@pytest.mark.parametrize("given", ["", "yesterday", "3", "3 d", "d", "-3d", "2026-13-01", "999999w"])
def test_what_is_no_moment(given: str) -> None:
    """Anything else is refused, and the message says how to say it."""
    with pytest.raises(typer.BadParameter, match="--since"):
        moment(given, "--since", NOW)
