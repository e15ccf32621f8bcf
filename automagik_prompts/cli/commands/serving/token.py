"""The command `token`: make, list and revoke tokens, which let programs in over the network."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer

from automagik_prompts.cli.completion import complete_agents
from automagik_prompts.cli.moments import duration
from automagik_prompts.cli.output.serving import TokenLine, TokenList, token_state
from automagik_prompts.cli.output.tables import columns, print_table
from automagik_prompts.cli.output.text import age, plural, print_json, print_line, print_note, when
from automagik_prompts.cli.session import Access, Session, command
from automagik_prompts.domain.policy import NewToken, Token
from automagik_prompts.domain.roles import ROLES
from automagik_prompts.storage.database import Database


class TokenAction(StrEnum):
    """What to do."""

    CREATE = "create"
    LIST = "list"
    REVOKE = "revoke"


@command
def token(
    session: Session,
    action: Annotated[TokenAction, typer.Argument(metavar="ACTION", help="create, list or revoke.")],
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="The token's name; for revoke also its number.", show_default=False),
    ] = None,
    role: Annotated[
        list[str] | None,
        typer.Option(
            "--role",
            metavar="ROLE",
            help="What it may do. May be given several times.",
            autocompletion=lambda: list(ROLES),
            show_default=False,
        ),
    ] = None,
    agent: Annotated[
        list[str] | None,
        typer.Option(
            "--agent",
            metavar="PATTERN",
            help="Only for agents of this name or pattern. May be given several times.",
            autocompletion=complete_agents,
            show_default=False,
        ),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option("--expires", metavar="TIME", help="How long it holds: 12h, 90d (the default), 2w, or never."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="List also those that are revoked or have expired.")] = False,
) -> None:
    """Make, list or revoke tokens, which let programs in over the network.

    The secret of a new one is printed once, alone on stdout. Only its hash is kept.
    """
    if action is not TokenAction.CREATE and (role or agent or expires is not None):
        raise typer.BadParameter("--role, --agent and --expires are for: token create")
    if action is not TokenAction.LIST and every:
        raise typer.BadParameter("--all is for: token list")
    if action is TokenAction.LIST:
        _list(session, name, every=every)
    elif name is None:
        raise typer.BadParameter(f"token {action} takes the name of a token")
    elif action is TokenAction.REVOKE:
        _revoke(session, name)
    elif not role:
        raise typer.BadParameter(f"Say by --role what it may do: {', '.join(ROLES)}")
    else:
        _create(session, name, role, agent or ["*"], duration(expires or "90d", "--expires"))


def _create(session: Session, name: str, roles: list[str], agents: list[str], expires: timedelta | None) -> None:
    async def create(database: Database) -> tuple[NewToken, tuple[Token, ...]]:
        edits = session.edits(database)
        return await edits.create_token(name, roles=roles, agents=agents, expires=expires), await edits.tokens()

    made, known = session.run(create, Access.WRITE)
    for one in known:
        if one.name == made.token.name and one.id != made.token.id and one.is_usable(datetime.now(UTC)):
            print_note(
                f"Token {one.id} is called {one.name}, too, and holds on. When it is used no more: automagik-prompts "
                f"token revoke {one.id}"
            )
    if session.json:
        print_json(TokenList(tokens=[TokenLine.of(made.token, datetime.now(UTC))], secret=made.secret))
        return
    one = made.token
    ends = f"until {when(one.expires_at)}" if one.expires_at is not None else "for ever"
    print_note(
        f"Token {one.id}, {one.name}: {', '.join(one.actor.roles)} for {_agents(one)}, {ends}. It is shown this once:"
    )
    print_line(made.secret)


def _revoke(session: Session, name: str) -> None:
    revoked = session.run(lambda database: session.edits(database).revoke_token(name), Access.WRITE)
    if session.json:
        print_json(TokenList(tokens=[TokenLine.of(revoked, datetime.now(UTC))]))
        return
    print_line(f"Token {revoked.id}, {revoked.name}: revoked; every server obeys within a second")


def _list(session: Session, name: str | None, *, every: bool) -> None:
    now = datetime.now(UTC)
    known = session.run(lambda database: session.edits(database).tokens())
    named = [one for one in known if name is None or one.name == name]
    shown = [one for one in named if every or one.is_usable(now)]
    if session.json:
        print_json(TokenList(tokens=[TokenLine.of(one, now) for one in shown]))
        return
    if shown:
        print_table(
            columns(">no.", "name", "roles", "agents", "=state", "=ends", ">used"), [_row(one, now) for one in shown]
        )
    elif named:
        print_line(f"No token is usable; {plural(len(named), 'is', 'are')} not any more (--all).")
    else:
        print_line("There are no tokens. Make one: automagik-prompts token create NAME --role viewer")


def _row(one: Token, now: datetime) -> tuple[str, ...]:
    return (
        str(one.id),
        one.name,
        ", ".join(one.actor.roles),
        ", ".join(one.actor.agents),
        token_state(one, now),
        when(one.expires_at) if one.expires_at is not None else "never",
        age(one.last_used_at) if one.last_used_at is not None else "never",
    )


def _agents(one: Token) -> str:
    return "all agents" if one.actor.agents == ("*",) else ", ".join(one.actor.agents)
