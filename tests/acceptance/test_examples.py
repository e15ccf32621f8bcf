"""The examples and the demo, run as a newcomer runs them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.acceptance.commands import COMMAND, REPOSITORY, environment, run

EXAMPLES = REPOSITORY / "examples"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty working directory."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def test_simple(home: Path) -> None:
    """The smallest agent gets its prompt from the database, and says what it was told."""
    printed = run(sys.executable, EXAMPLES / "simple.py", cwd=home)
    assert "The model was told: You are a helpful assistant. Today is 2" in printed
    assert "version 1 of 'default' from database" in printed


def test_stan(home: Path) -> None:
    """Stan's tool changes the contact's status, and the next request of the same run carries the other prompt."""
    printed = run(sys.executable, "-m", "stan", cwd=home)
    changed = printed.index("verify_tax_id: The company is Padaria Aurora; the contact's status is now APPROVED.")
    assert printed.count("the model is told:") == 2
    assert printed.index("whose company is not registered yet") < changed
    assert printed.index("Padaria Aurora, an approved buyer.", changed) > changed
    assert printed.index("40 x Wheat flour type 1 (25 kg bag): 3596.00 BRL") > changed
    assert "{{" not in printed
    assert "[No data" not in printed


@pytest.mark.parametrize("example", [(EXAMPLES / "simple.py",), ("-m", "stan")], ids=["simple", "stan"])
def test_real_model_needs_its_package(home: Path, example: tuple[str | Path, ...]) -> None:
    """Asking for a model whose vendor's package is not installed, or for an unknown one, says what to do."""
    blocked = home / "blocked"
    blocked.mkdir()
    # Stands in for an environment without the vendor's package, whatever is installed here.
    (blocked / "openai.py").write_text("raise ImportError('not installed')", encoding="utf-8")
    env = environment(home, PYTHONPATH=str(blocked), OPENAI_API_KEY="none")
    printed = run(sys.executable, *example, "--model", "openai:gpt-5-mini", cwd=home, env=env, code=1)
    assert "pip install 'pydantic-ai-slim[openai]'" in printed
    assert "Traceback" not in printed
    printed = run(sys.executable, *example, "--model", "nobody:nothing", cwd=home, env=env, code=1)
    assert "Unknown model: nobody:nothing" in printed
    assert "Traceback" not in printed


def test_durable(home: Path) -> None:
    """A run that is killed goes on under its version, and says so; the next one has the new version."""
    pytest.importorskip("dbos")
    printed = run(sys.executable, EXAMPLES / "durable.py", cwd=home, env=environment(home, PYTHONWARNINGS="ignore"))
    before, _, fresh = printed.partition("4. ")
    assert before.count("You sell flour. Be brief.") == 2
    assert "versions [1, 1]" in before.partition("3. ")[2]
    assert "versions [2, 2]" in fresh
    assert "You sell flour. Greet everybody by name." in fresh
    assert not list(home.glob("*.db"))


def test_demo(home: Path, tmp_path: Path) -> None:
    """The demo shows the whole life of a prompt and leaves nothing behind."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    printed = run(sys.executable, EXAMPLES / "demo.py", cwd=home, env=environment(tmp_path, TMPDIR=str(temporary)))
    for line in (
        "ok the second request carried the other prompt",
        "ok the next run was told version 2",
        "ok the text that reads a secret was refused",
        "ok the model was told the first text, byte for byte",
        "ok the agent answered, with the same prompt",
        "state: stale",
    ):
        assert line in printed, printed
    table = printed[printed.index("What the database remembers of stan") :]
    assert "marta" in table
    assert table.count("yes") == 4
    left = [*home.iterdir(), *temporary.iterdir(), *tmp_path.glob("cache/*")]
    assert left == []


def test_demo_leaves_its_database_for_the_console(home: Path, tmp_path: Path) -> None:
    """Where it is told to, the demo keeps its database, as often as it is run, and names the command that opens it."""
    for _ in range(2):
        printed = run(sys.executable, EXAMPLES / "demo.py", "--keep", "kept", cwd=home, env=environment(tmp_path))
    command = next(line for line in printed.splitlines() if "console" in line and "--database-url" in line).split()
    assert command[1:] == ["console", "--database-url", "sqlite://kept/prompts.db"]
    assert (home / command[0]).is_file(), command[0]
    listed = run(COMMAND, "list", "stan", "--database-url", command[-1], cwd=home, env=environment(tmp_path))
    assert "APPROVED" in listed


def test_demo_fails_when_something_is_wrong(home: Path, tmp_path: Path) -> None:
    """A demo that does not see the other process' edit ends with an exit code that is not 0."""
    impatient = "import sys, demo; demo.SECONDS = 0.1; sys.exit(demo.main())"
    env = environment(tmp_path, PYTHONPATH=str(EXAMPLES), AUTOMAGIK_PROMPTS_POLL_INTERVAL="60")
    printed = run(sys.executable, "-c", impatient, cwd=home, env=env, code=1)
    assert "It did not happen within 0.1 s: version 2 arrived in this process" in printed
