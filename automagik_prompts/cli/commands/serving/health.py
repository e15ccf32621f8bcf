"""The command `health`: how a running process fares, seen from outside."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from pydantic import BaseModel, ConfigDict, ValidationError

from automagik_prompts.cli.moments import seconds
from automagik_prompts.cli.output.serving import SeenHealth
from automagik_prompts.cli.output.text import one_line, plural, print_json, print_line
from automagik_prompts.cli.remote import Answer, ask
from automagik_prompts.cli.session import FOUND, Debug, Json
from automagik_prompts.exceptions import PromptsError

_PROBLEMS = {
    "unreadable": "the database cannot be read now",
    "unservable": "{versions} cannot be served here",
    "spelling": "{statuses} spelt otherwise in the database than in the code",
    "hidden_rows": "row-level security may hide rows from it",
    "unwritten": "what its code declares is not written to the database",
    "unheard": "notifications do not arrive, so changes are found by polling",
    "unreported": "it is not shown in the fleet, or its runs are not counted",
    "notice": "{notices} in its log",
}
_LONGEST = 10
"""Details that are printed, at most."""


class _Report(BaseModel):
    """What the route says; another release may say more."""

    model_config = ConfigDict(extra="ignore")

    ready: bool
    state: str
    state_age: float
    snapshot_age: float | None
    lag: float
    agents: int
    problems: dict[str, int]
    details: dict[str, Any] | None = None


def health(
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL",
            help="The health route; /health where the URL names no path, http:// where it names no scheme.",
            show_default=False,
        ),
    ],
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout", metavar="SECONDS", min=0.1, max=600, callback=seconds, help="Wait no longer than that."
        ),
    ] = 5.0,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001  # `app.run` looks for it
) -> None:
    """Show how a running process fares, by asking its health route.

    Exit code 3 where it answers and something needs a look: it is not ready, not live, or has problems.
    """
    answer = ask(url, timeout)
    report = _read(answer)
    if json:
        print_json(SeenHealth(url=answer.url, http_status=answer.status, **report.model_dump()))
    else:
        _print(answer.url, report)
    if not report.ready or report.state != "live" or report.problems:
        raise typer.Exit(FOUND)


def _read(answer: Answer) -> _Report:
    """Return what the route says.

    Raises:
        PromptsError: It is the route of something else.
    """
    if answer.location is not None:
        raise PromptsError(
            f"{answer.url} leads on to {answer.location} (HTTP {answer.status}), which is not followed. If that is "
            "what you mean, ask there."
        )
    found = answer.json()
    if answer.status in {200, 503} and isinstance(found, dict) and found.get("service") == "automagik-prompts":
        try:
            return _Report.model_validate(found)
        except ValidationError as error:
            raise PromptsError(
                f"What {answer.url} says is not understood by this release "
                f"({plural(error.error_count(), 'field')}). Use the release of the process."
            ) from None
    raise PromptsError(
        f"{answer.url} answers HTTP {answer.status}, and is not the health route of this library. Name its path, such "
        "as http://host:port/health: it is where the application has mounted plugin.health_app()."
    )


def _print(url: str, report: _Report) -> None:
    """Print it so that each line fits a terminal of 80 columns, but for what a URL or a detail says."""
    ready = "ready" if report.ready else "not ready"
    print_line(f"{ready}, {report.state} for {_span(report.state_age)}: {url}")
    read = f"read {_span(report.snapshot_age)} ago" if report.snapshot_age is not None else "not read yet"
    lag = f"; a change of {_span(report.lag)} ago is not served yet" if report.lag else ""
    print_line(f"  database  {read}{lag}")
    print_line(f"  agents    {report.agents}")
    problems = [_problem(code, count) for code, count in report.problems.items()] or ["none"]
    for number, words in enumerate(problems):
        print_line(f"  {'' if number else 'problems':8}  {words}")
    for name, value in (report.details or {}).items():
        if name != "problems" and value is not None:
            print_line(f"  {name:8}  {one_line(str(value))}")
    said = (report.details or {}).get("problems")
    for words in said[:_LONGEST] if isinstance(said, list) else []:
        print_line(f"    {one_line(str(words))}")


def _problem(code: str, count: int) -> str:
    words = _PROBLEMS.get(code, "{count}").format(
        count=count,
        versions=plural(count, "active version"),
        statuses=plural(count, "status is", "statuses are"),
        notices=plural(count, "notice"),
    )
    return f"{code}: {words}"


def _span(seconds: float) -> str:
    """Return a span of time for people: `0.4 s`, `12 min`, `3 h`, `40 d`."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{seconds:.1f} s"
