"""Each action as each role over REST: it comes to the same as in Python, word for word."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from automagik_prompts.api.problems import told
from automagik_prompts.domain.policy import Actor, Identity
from automagik_prompts.domain.roles import Roles
from automagik_prompts.exceptions import PromptsError
from automagik_prompts.plugin import PromptPlugin
from tests.acceptance import roles
from tests.acceptance.roles import ACTIONS, PEOPLE, Action, Found, Seeded, Try

NEW, APPROVED, VIP = (f"/agents/seller/statuses/{key}" for key in ("NEW", "APPROVED", "VIP"))
PATIENCE = 60.0


class Sent(NamedTuple):
    """A request: `OWN` in its path is the actor's own request for approval."""

    method: str
    path: str
    body: dict[str, Any] | None = None


OVER_REST = {
    "`comment`": Sent("POST", "/comments", {"agent": "seller", "status_key": "NEW", "version": 2, "text": "Too long?"}),
    "save a draft (`save_draft`; in Python and over REST)": Sent("PUT", f"{NEW}/draft", {"text": "Ask"}),
    "`create`": Sent("POST", f"{NEW}/versions", {"text": "Ask."}),
    "`create --activate`": Sent("POST", f"{NEW}/versions", {"text": "Ask.", "activate": True}),
    "`activate`": Sent("POST", f"{NEW}/activate", {"version": 3}),
    "`rollback`": Sent("POST", f"{NEW}/rollback", {}),
    "`deactivate`": Sent("POST", f"{NEW}/deactivate", {}),
    "`activate` in a protected status": Sent("POST", f"{APPROVED}/activate", {"version": 3}),
    "`activate --emergency` there": Sent(
        "POST", f"{APPROVED}/activate", {"version": 3, "emergency": True, "note": "It lies."}
    ),
    "`withdraw`": Sent("POST", f"{NEW}/versions/3/withdrawal", {}),
    "`withdraw --undo`": Sent("DELETE", f"{NEW}/versions/4/withdrawal"),
    "`delete`": Sent("DELETE", f"{NEW}/versions/3"),
    "`keep` a version that has drifted": Sent("POST", f"{VIP}/keep", {}),
    "`request`": Sent("POST", f"{NEW}/requests", {"version": 3}),
    "`approve`": Sent("POST", "/requests/1/approve", {}),
    "`approve` one's own request": Sent("POST", "/requests/OWN/approve", {}),
    "`decline`": Sent("POST", "/requests/1/decline", {"note": "It names a fee."}),
    "`request --withdraw`: one's own": Sent("POST", "/requests/OWN/withdraw", {}),
}
LOOKS = (
    Sent("GET", "/agents/seller/statuses"),
    Sent("GET", f"{NEW}/versions?limit=1"),
    Sent("GET", "/agents/seller/versions"),
    Sent("GET", "/events?agent=seller"),
    Sent("GET", "/search?text=tax&agent=seller"),
)
"""The ways to look, in the order of the actions."""

ELSEWHERE = {"`copy`", "`import` of a new text", "`sync`", "`token create`, as well as `list` and `revoke`"}
"""What REST has no request of its own for."""


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Seeded:
    """A database that all tries begin with a copy of."""
    return asyncio.run(roles.seeded(tmp_path_factory.mktemp("roles") / "seeded.db"))


def sent_for(action: Action) -> Sent | None:
    """Return the request by which something is done."""
    if not action.changes:
        return LOOKS[[one for one in ACTIONS if not one.changes].index(action)]
    return OVER_REST.get(action.row)


def test_nothing_is_left_out() -> None:
    """Each action has its request, or is named as having none."""
    assert {action.row for action in ACTIONS if sent_for(action) is None} == ELSEWHERE


async def over_rest(actor: Actor, sent: Sent, seed: Seeded, folder: Path) -> Try:
    """Do something over REST as somebody, whose roles come with them."""
    file = seed.copy_to(folder / "rest.db")
    code = roles.shop(new=roles.NEW_CODE, vip="Greet by name and title.")
    plugin = PromptPlugin(
        f"sqlite://{file}",
        policy=Roles(),
        registry=code,
        seed=False,
        heartbeat=0,
        disk_snapshot=False,
        startup_timeout=PATIENCE,
    )
    async with plugin:
        transport = httpx.ASGITransport(plugin.api(identify=lambda _: Identity(actor)))
        async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1") as client:
            path = sent.path.replace("OWN", str(seed.own[actor.id]))
            condition = "If-None-Match" if sent.method == "PUT" else "If-Match"
            answer = await client.request(sent.method, path, json=sent.body, headers={condition: "*"})
    said = answer.json()["detail"] if answer.status_code == 403 else None
    assert said is not None or answer.status_code in {200, 201, 202}, (sent, answer.text)
    found = Found.REFUSED if said is not None else Found.ASKED if answer.status_code == 202 else Found.DONE
    return Try(found, said, roles._written(file, seed), roles.rows_of(file) == seed.rows)


@pytest.mark.parametrize("role", PEOPLE)
def test_it_comes_to_the_same(role: str, seed: Seeded, tmp_path: Path) -> None:
    """The same is allowed, in the same words but for commands refused, the same events stand there, and no others."""
    actor = PEOPLE[role]
    for action in ACTIONS:
        if (sent := sent_for(action)) is None:
            continue
        in_python = asyncio.run(roles.try_in_python(actor, action, seed, tmp_path))
        found = asyncio.run(over_rest(actor, sent, seed, tmp_path))
        said = told(PromptsError(in_python.said)) if in_python.said is not None else None
        assert (found.found, found.said, found.written) == (in_python.found, said, in_python.written), sent
        assert found.unchanged or found.found is not Found.REFUSED, sent
