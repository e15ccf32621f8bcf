"""The command `serve`: the REST API by itself, for programs with tokens."""

from __future__ import annotations

import os
import socket
import sys
from importlib.util import find_spec
from typing import Annotated

import typer

from automagik_prompts.cli.commands.serving.listening import is_loopback, listen, url_of
from automagik_prompts.cli.output.serving import Served
from automagik_prompts.cli.output.text import print_json, print_line, print_note
from automagik_prompts.cli.session import Access, Session, command
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.roles import Roles
from automagik_prompts.editing import queries
from automagik_prompts.exceptions import ConfigurationError
from automagik_prompts.plugin import PromptPlugin

NOBODY = "(nobody)"
"""The agent that such a server follows: it serves no texts to runs, and looks up everything when it is asked."""

_NEEDED = ("fastapi", "uvicorn")
_EXTRA = (
    "The REST API needs the extra api, of which {missing} is not installed. Run: pip install 'automagik-prompts[api]'"
)


@command
def serve(
    session: Session,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65535, help="The port; 0 for any that is free.")
    ] = 8085,
) -> None:
    """Serve the REST API by itself, to programs with tokens.

    It goes on until it is told to end. It is at /api/v1, and the health route for probes at /health. It ends in order
    at SIGTERM and Ctrl-C.
    """
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        raise ConfigurationError(_EXTRA.format(missing=" and ".join(missing)))
    policy = session.policy or Roles()  # without one everybody could do everything, whatever their token says
    has_tokens = session.run(queries.has_usable_token, Access.WRITE)
    listener = listen(host, port)
    with listener:
        plugin = PromptPlugin(
            session.settings.database_url,
            only=[NOBODY],
            seed=False,
            disk_snapshot=False,
            policy=policy,
            registry=Registry(),
        )
        # Not before it is known that the extra is installed.
        from automagik_prompts.api.serving import run
        from automagik_prompts.api.tokens import by_token

        run(
            plugin,
            plugin.api(identify=by_token(plugin)),
            listener,
            lambda: _announce(session, host, listener, has_tokens=has_tokens),
        )


def _announce(session: Session, host: str, listener: socket.socket, *, has_tokens: bool) -> None:
    """Say where it listens, and what somebody should know who reads along."""
    url = url_of(listener)
    if session.json:
        print_json(Served(url=url, database=session.place, pid=os.getpid()), one_line=True)
    else:
        print_line(f"The REST API of {session.place} is at {url}/api/v1; Ctrl-C ends it.")
        sys.stdout.flush()  # also where nobody reads along: whoever has started it waits for this
    if not has_tokens:
        print_note(
            "Nobody is let in yet, as there is no usable token. Make one: automagik-prompts token create NAME "
            "--role viewer"
        )
    if not is_loopback(host):
        print_note(
            f"{host} can be reached from other machines, and tokens come unencrypted. Put a proxy with TLS before "
            "it, or listen at 127.0.0.1."
        )
