"""What all tests share: databases on both engines, fresh registries, plugins that are closed in the end."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from automagik_prompts.agent import plugins
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.storage.database import Database
from tests.processes import Launcher
from tests.proxy import Proxy
from tests.servers import PostgresServer

# What the extra `api` brings is not there in every environment that these suites run in.
collect_ignore = (
    []
    if all(find_spec(name) for name in ("fastapi", "httpx", "uvicorn"))
    else [f"integration/test_{name}.py" for name in ("health_route", "rest_streams", "serve", "token_door")]
)

ENGINES = ("sqlite", "postgres")
MakePlugin = Callable[..., PromptPlugin]


@contextmanager
def folder_of_a_server() -> Iterator[Path]:
    """Give a folder that is not in pytest's, for a PostgreSQL server.

    Run as root the server has a user of its own, and each other session that pytest begins shuts that user out of its
    folder.
    """
    with tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what tests have measured."""
    measured = [
        (report.nodeid.partition("::")[2], value)
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
        if name == "measured" and report.when == "call"
    ]
    if measured:
        terminalreporter.section("measured")
        for test, value in sorted(measured):
            terminalreporter.line(f"{test}: {value}")


@pytest.fixture(autouse=True)
def process_of_its_own() -> None:
    """Let no test see which plugins and agents others have left in this process."""
    plugins.forget()
    plugins.bound.clear()
    plugins.ran.clear()
    plugins.pinned.clear()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server; where it cannot be had, the tests that need it fail."""
    with folder_of_a_server() as folder:
        server = PostgresServer(folder)
        server.spare_the_disk()
        yield server
        server.stop()


@pytest.fixture
def server_folder() -> Iterator[Path]:
    """A folder for a PostgreSQL server of one test."""
    with folder_of_a_server() as folder:
        yield folder


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """An empty PostgreSQL database."""
    url = postgres.create_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """An SQLite file that does not exist yet."""
    return f"sqlite://{tmp_path / 'prompts.db'}"


@pytest.fixture(params=ENGINES)
def empty_url(request: pytest.FixtureRequest) -> str:
    """An empty database, on each engine."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
async def database_url(empty_url: str) -> str:
    """A database with the schema of this release, on each engine."""
    async with Database(empty_url) as database:
        await upgrade(database)
    return empty_url


@pytest.fixture
def proxy(postgres: PostgresServer) -> Iterator[Proxy]:
    """A door in front of the PostgreSQL server that the test can shut, jam or slam."""
    with Proxy(postgres.url) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """A process that forks children for tests; neither it nor any child may have printed a word in the end."""
    launcher = Launcher(tmp_path_factory.mktemp("launcher"))
    yield launcher
    launcher.close()
    assert not launcher.output()


@pytest.fixture
def registry() -> Registry:
    """Declarations of this test alone."""
    return Registry()


@pytest.fixture
def make_plugin(registry: Registry, tmp_path: Path) -> Iterator[MakePlugin]:
    """Makes plugins that are closed when the test ends."""
    made: list[PromptPlugin] = []

    def make(url: str, **settings: object) -> PromptPlugin:
        settings.setdefault("registry", registry)
        settings.setdefault("cache_dir", tmp_path / "cache")
        plugin = PromptPlugin(url, **settings)  # type: ignore[arg-type]  # each test passes what the plugin takes
        made.append(plugin)
        return plugin

    yield make
    for plugin in made:
        plugin.uninstall()
        plugin.close()


@pytest.fixture(scope="session")
def real_prompts() -> dict[str, str]:
    """Real prompts by title."""
    path = Path(__file__).parent / "data" / "prompts.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return {row["title"]: row["prompt"] for row in csv.DictReader(file)}
