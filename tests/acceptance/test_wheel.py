"""The package as others get it: its wheel and Stan's, in an environment that holds nothing else."""

from __future__ import annotations

import json
import sqlite3
import sys
import sysconfig
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.commands import REPOSITORY, environment, run

MIGRATIONS = sorted(path.name for path in (REPOSITORY / "aerich_migrations" / "automagik_prompts").glob("*.py"))

# A host that has never heard of this library: it loads what the group names, and builds its agents by name.
HOST = """
import json
from importlib.metadata import entry_points
from types import SimpleNamespace

for plugin in entry_points(group="automagik.plugins"):
    plugin.load()()

from pydantic_ai import Agent
from pydantic_ai.messages import ModelResponse, TextPart
from pydantic_ai.models.function import FunctionModel

import logging; logging.disable()  # the second run leaves variables out, which is told
requests = []

def answer(messages, info):
    parts = [part for message in messages for part in message.parts]
    requests.append([part.content for part in parts if part.part_kind == "system-prompt"])
    return ModelResponse([TextPart("Good morning.")])

agent = Agent(FunctionModel(answer), name="stan")
agent.run_sync("Hello.")
contact = SimpleNamespace(name="Ana", company="Padaria Aurora", status="APPROVED")
agent.run_sync("Hello.", deps=SimpleNamespace(contact=contact, products=[]))
Agent(FunctionModel(answer), name="somebody else").run_sync("Hello.")
print(json.dumps(requests))
"""

CAPABILITIES = """
import sys
from importlib.metadata import entry_points

capability = next(iter(entry_points(group="pydantic_ai.capabilities", name="ActivePrompt"))).load()
assert "tortoise" not in sys.modules, "loading the capability loaded the database library"

import stan.prompts
from pydantic_ai import Agent

spec = {"model": "test", "capabilities": [{"ActivePrompt": {"agent": "stan", "status": "REJECTED"}}]}
agent = Agent.from_spec(spec, custom_capability_types=[capability])
print(agent.run_sync("Hello.").all_messages()[0].parts[0].content)
"""


@dataclass(frozen=True)
class Installed:
    """An environment with the two wheels.

    Attributes:
        bin: The folder of its programs.
        packages: The folder of its packages.
        sdist: The source distribution that the wheel was built from.
        wheel: The wheel.
    """

    bin: Path
    packages: Path
    sdist: Path
    wheel: Path


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Build source distribution and wheel, and install the wheel beside Stan's into an empty environment."""
    folder = tmp_path_factory.mktemp("wheel")
    dist, home = folder / "dist", folder / "venv"
    tools = environment(folder, PYTHONWARNINGS="ignore")  # what pip and build do inside is theirs
    build = (sys.executable, "-m", "build", "--no-isolation", "--outdir", dist)
    run(*build, REPOSITORY, cwd=folder, env=tools)  # the wheel out of the source distribution
    run(*build, "--wheel", REPOSITORY / "examples" / "stan", cwd=folder, env=tools)
    (sdist,), (wheel,), (stan,) = (list(dist.glob(name)) for name in ("*.tar.gz", "automagik*.whl", "stan*.whl"))

    venv.create(home, symlinks=True)
    paths = {"base": str(home), "platbase": str(home)}
    programs, packages = (Path(sysconfig.get_path(name, "venv", paths)) for name in ("scripts", "purelib"))
    pip = (sys.executable, "-m", "pip", "--python", programs / "python", "--quiet")
    run(*pip, "install", wheel, stan, cwd=folder, env=tools, seconds=600)
    run(*pip, "check", cwd=folder, env=tools)
    return Installed(programs, packages, sdist, wheel)


def test_contents(installed: Installed) -> None:
    """The wheel has the library, its types, its licence and the whole history, and nothing else."""
    names = zipfile.ZipFile(installed.wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"automagik_prompts"}
    folder = "automagik_prompts/_migrations/automagik_prompts/"
    assert sorted(name.removeprefix(folder) for name in names if name.startswith(folder)) == MIGRATIONS
    assert len(MIGRATIONS) == 9
    assert "automagik_prompts/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if "__pycache__" in name]

    with tarfile.open(installed.sdist) as archive:
        sources = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"README.md", "CHANGELOG.md", "LICENSE", "Makefile", ".ci/run", "examples/demo.py", "tests/conftest.py"}
    assert wanted | {f"aerich_migrations/automagik_prompts/{name}" for name in MIGRATIONS} <= sources


def test_dependencies(installed: Installed) -> None:
    """The environment has no driver for a server, no model vendor's package and no test tool."""
    present = {path.name.partition("-")[0].lower() for path in installed.packages.glob("*.dist-info")}
    assert {"automagik_prompts", "stan", "pydantic_ai_slim", "tortoise_orm", "aerich"} <= present
    assert present.isdisjoint({"asyncpg", "openai", "anthropic", "pytest", "hatchling", "pip"})


def test_host_knows_only_the_groups(installed: Installed, tmp_path: Path) -> None:
    """A host that loads `automagik.plugins` and builds `Agent(name="stan")` gets Stan's prompt to the model."""
    nobody, approved, other = json.loads(run(installed.bin / "python", "-I", "-c", HOST, cwd=tmp_path))
    assert len(nobody) == len(approved) == 1
    assert nobody[0].startswith("You are Stan, who sells baking ingredients to business buyers.")
    assert "whose company is not registered yet" in nobody[0]
    assert "Ana of\nPadaria Aurora, an approved buyer." in approved[0]
    assert other == []
    with sqlite3.connect(tmp_path / "automagik_prompts.db") as connection:
        served = connection.execute("SELECT status_key FROM prompts WHERE is_active ORDER BY 1").fetchall()
    connection.close()
    assert [key for (key,) in served] == ["APPROVED", "NOT_REGISTERED", "PENDING_REVIEW", "REJECTED"]


def test_capability_by_entry_point(installed: Installed, tmp_path: Path) -> None:
    """The capability is found under `pydantic_ai.capabilities`, and serves in an agent spec."""
    printed = run(installed.bin / "python", "-I", "-c", CAPABILITIES, cwd=tmp_path)
    assert "say so kindly, once, and show the way back" in printed


def test_upgrade(installed: Installed, tmp_path: Path) -> None:
    """The installed command applies the whole history, again without effect, and aerich's own command agrees."""
    env = environment(tmp_path, AUTOMAGIK_PROMPTS_DATABASE_URL=f"sqlite://{tmp_path / 'prompts.db'}")
    command = installed.bin / "automagik-prompts"
    first = run(command, "upgrade", cwd=tmp_path, env=env)
    assert all(name in first for name in MIGRATIONS), first
    again = run(command, "upgrade", cwd=tmp_path, env=env)
    assert not any(name in again for name in MIGRATIONS), again
    with sqlite3.connect(tmp_path / "prompts.db") as connection:
        applied = connection.execute("SELECT version, length(content) FROM aerich ORDER BY id").fetchall()
    connection.close()
    assert [version for version, _ in applied] == MIGRATIONS
    assert all(length > 100 for _, length in applied)

    location = installed.packages / "automagik_prompts" / "_migrations"
    (tmp_path / "pyproject.toml").write_text(
        f'[tool.aerich]\ntortoise_orm = "automagik_prompts.TORTOISE_ORM"\nlocation = "{location}"\nsrc = "./."\n',
        encoding="utf-8",
    )
    assert run(installed.bin / "aerich", "history", cwd=tmp_path, env=env).split() == MIGRATIONS
    assert "No available heads" in run(installed.bin / "aerich", "heads", cwd=tmp_path, env=env)
    fresh = {**env, "AUTOMAGIK_PROMPTS_DATABASE_URL": f"sqlite://{tmp_path / 'fresh.db'}"}
    assert MIGRATIONS[-1] in run(installed.bin / "aerich", "upgrade", cwd=tmp_path, env=fresh)
    assert "is up to date" in run(command, "upgrade", cwd=tmp_path, env=fresh)


def test_sync_and_list(installed: Installed, tmp_path: Path) -> None:
    """The installed command writes what an installed package declares, and lists it."""
    env = environment(tmp_path, AUTOMAGIK_PROMPTS_DATABASE_URL=f"sqlite://{tmp_path / 'prompts.db'}")
    command = installed.bin / "automagik-prompts"
    run(command, "sync", cwd=tmp_path, env=env)
    listed = run(command, "list", cwd=tmp_path, env=env)
    for status in ("APPROVED", "NOT_REGISTERED", "PENDING_REVIEW", "REJECTED"):
        assert status in listed


def test_server_without_driver(installed: Installed, tmp_path: Path) -> None:
    """A server's URL without the extra is refused with the command that installs it."""
    env = environment(tmp_path, AUTOMAGIK_PROMPTS_DATABASE_URL="postgresql://user:secret@localhost/prompts")
    printed = run(installed.bin / "automagik-prompts", "list", cwd=tmp_path, env=env, code=1)
    assert "pip install 'automagik-prompts[postgres]'" in " ".join(printed.split())
    assert "secret" not in printed
    assert "Traceback" not in printed


def test_stan_talks(installed: Installed, tmp_path: Path) -> None:
    """Stan's package is complete by itself: it talks, offline."""
    assert "Padaria Aurora is approved" in run(installed.bin / "python", "-m", "stan", cwd=tmp_path)
