"""The command `console`: the web console by itself, for the person who starts it."""

from __future__ import annotations

import os
import socket
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated

import typer

from automagik_prompts.cli.commands.serving.listening import is_loopback, listen, url_of
from automagik_prompts.cli.commands.serving.serve import NOBODY
from automagik_prompts.cli.interaction import find_author
from automagik_prompts.cli.output.serving import Served
from automagik_prompts.cli.output.text import print_json, print_line, print_note
from automagik_prompts.cli.session import Access, Session, command, look_here
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.policy import Actor
from automagik_prompts.editing import queries
from automagik_prompts.exceptions import ConfigurationError
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.runtime.doors import Application, Identify

_NEEDED = ("fastapi", "jinja2", "uvicorn")
_EXTRA = (
    "The web console needs the extra console, of which {missing} is not installed. Run: pip install "
    "'automagik-prompts[console]'"
)


@command
def console(
    session: Session,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65535, help="The port; 0 for any that is free.")
    ] = 8086,
    label: Annotated[
        str | None,
        typer.Option(
            "--label", metavar="TEXT", help="What it is the console of, such as Production.", show_default=False
        ),
    ] = None,
    identify: Annotated[
        str | None,
        typer.Option(
            "--identify",
            metavar="MODULE:NAME",
            help="What tells who sends a request; without it one person is let in, by a link that works once.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Open the web console, as who calls this command.

    It prints a link that works once. It goes on until it is told to end, by SIGTERM or Ctrl-C. What is done there is
    done as by the command line: under the same name, with the same rights.
    """
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        raise ConfigurationError(_EXTRA.format(missing=" and ".join(missing)))
    known = _load(identify) if identify is not None else None
    if known is None and not is_loopback(host):
        raise ConfigurationError(
            f"{host} can be reached from other machines, and whoever opens the console there would act as you. Say by "
            "--identify MODULE:NAME who sends a request, or listen at 127.0.0.1."
        )
    author = find_author(None, session.settings)
    if known is None and author is None:
        raise ConfigurationError("It is not known who you are. Say so: AUTOMAGIK_PROMPTS_AUTHOR=NAME")
    session.run(queries.agents, Access.WRITE)
    listener = listen(host, port)
    with listener:
        plugin = PromptPlugin(
            session.settings.database_url,
            only=[NOBODY],
            seed=False,
            disk_snapshot=False,
            heartbeat=0,  # it serves nobody, and is none of the fleet
            policy=session.policy,
            registry=Registry(),
        )
        # Not before it is known that the extra is installed.
        from automagik_prompts.api.serving import run

        if known is not None:
            made: Application = plugin.console(identify=known, label=label)
            run(plugin, made, listener, lambda: _announce(session, url_of(listener), host))
        else:
            assert author is not None  # noqa: S101  # it was looked at above
            _run_alone(session, plugin, listener, Actor(author), label)


def _run_alone(
    session: Session, plugin: PromptPlugin, listener: socket.socket, actor: Actor, label: str | None
) -> None:
    """Run it for one person, who is let in by a link that only they are shown."""
    from automagik_prompts.api.serving import run
    from automagik_prompts.console.app import create_console
    from automagik_prompts.console.entrance import Entrance, Hosts

    port = listener.getsockname()[1]
    entrance = Entrance(actor, lambda code: _show(session, f"{url_of(listener)}/enter?code={code}"))
    names = frozenset(f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]", listener.getsockname()[0]))
    app = Hosts(create_console(plugin, entrance.identify, label, entrance), names)
    run(plugin, app, listener, entrance.offer)


def _show(session: Session, url: str) -> None:
    if session.json:
        print_json(Served(url=url, database=session.place, pid=os.getpid()), one_line=True)
    else:
        print_line(f"The console of {session.place}; the link works once, and Ctrl-C ends it:")
        print_line(url)
        sys.stdout.flush()  # also where nobody reads along: whoever has started it waits for this


def _announce(session: Session, url: str, host: str) -> None:
    """Say where it listens, where those who come are known by what they send."""
    if session.json:
        print_json(Served(url=url, database=session.place, pid=os.getpid()), one_line=True)
    else:
        print_line(f"The console of {session.place} is at {url}; Ctrl-C ends it.")
        sys.stdout.flush()
    if not is_loopback(host):
        print_note(f"{host} can be reached from other machines. Put a proxy with TLS before it.")


def _load(path: str) -> Identify:
    """Return what `--identify` names.

    Raises:
        ConfigurationError: There is no such object, or it cannot be called.
    """
    module, _, name = path.partition(":")
    if not (module and name):
        raise ConfigurationError(f"--identify takes MODULE:NAME, such as my_app.console:identify; {path!r} is not so.")
    look_here()
    try:
        found: object = getattr(import_module(module), name)
    except (Exception, SystemExit) as error:
        raise ConfigurationError(
            f"--identify {path} cannot be loaded ({type(error).__name__}: {error}), so nobody can be let in."
        ) from error
    if not callable(found):
        raise ConfigurationError(f"--identify {path} cannot be called. Name a function that takes a request.")
    return found
