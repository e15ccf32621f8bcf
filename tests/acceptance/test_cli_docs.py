from __future__ import annotations

import doctest
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from automagik_prompts.cli.app import COMMANDS
from tests.operator import PATIENCE, Operator

BASH = shutil.which("bash") or "/bin/bash"
DOCUMENT = Path(__file__).parents[2] / "docs" / "cli.md"
SHARED = ("--database-url", "--json", "--debug", "--help", "-h")

# What differs from run to run: the time, how long ago it was, and the number of places after a point.
VARYING = (
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d"), "<moment>"),
    (re.compile(r"\b\d\d:\d\d:\d\d\b"), "<time>"),
    (re.compile(r" +\b\d+[smh]\b"), " <age>"),
    (re.compile(r"\b\d+\.\d s\b"), "<seconds>"),
)


def sections() -> dict[str, str]:
    """The text under each heading of the second level."""
    parts = re.split(r"^## (.+)$", DOCUMENT.read_text(), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_described(name: str) -> None:
    """Each command has a section that names it, its arguments and its options; shared options have one of their own."""
    section, everywhere = sections()[name], sections()["What holds for every command"]
    assert f"automagik-prompts {name}" in section
    for parameter in COMMANDS[name].load(name).params:
        if parameter.param_type_name == "argument":
            described = (parameter.metavar or "").strip("[]")
            assert re.search(rf"[\s`\[]{re.escape(described)}[\]`\s]", section), described
            continue
        for option in (*parameter.opts, *parameter.secondary_opts):
            place = everywhere if option in SHARED or option == "-y" else section
            assert re.search(rf"`{re.escape(option)}[`\s]", place), option


def test_every_section_is_about_a_command_or_all_of_them() -> None:
    """No section is left over from a command that is gone, and the index at the top leads to each of them."""
    assert set(sections()) == {*COMMANDS, "In five minutes", "What holds for every command"}
    index = DOCUMENT.read_text().partition("## ")[0]
    assert set(re.findall(r"\]\(#([a-z-]+)\)", index)) >= set(COMMANDS)


def test_every_example_runs(tmp_path: Path) -> None:
    """Each example runs, in the order of the document, and prints what the document says."""
    operator = Operator(tmp_path, "")
    environment = dict(operator.environment)
    for name in ("AUTOMAGIK_PROMPTS_DATABASE_URL", "AUTOMAGIK_PROMPTS_AUTHOR"):
        del environment[name]
    blocks = re.findall(r"^```(python|console)\n(.*?)^```$", DOCUMENT.read_text(), flags=re.M | re.S)
    (tmp_path / "shop_prompts.py").write_text(next(body for kind, body in blocks if kind == "python"))
    examples = [one for kind, body in blocks if kind == "console" for one in re.split(r"^\$ ", body, flags=re.M)[1:]]
    assert len(examples) > len(COMMANDS)
    for example in examples:
        line, _, expected = example.partition("\n")
        if line.startswith("export "):
            environment |= dict(pair.split("=", 1) for pair in line.split()[1:])
            continue
        done = subprocess.run(
            [BASH, "-o", "pipefail", "-c", line],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, f"{line}: {done.stderr}"
        assert same(expected, done.stdout), f"{line}\nprinted:\n{done.stdout}\nthe document says:\n{expected}"
    for line in re.findall(r"run: (automagik-prompts .+)$", DOCUMENT.read_text(), flags=re.M):
        done = subprocess.run(
            [BASH, "-c", line],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        # The examples leave one status without an active version.
        assert done.returncode == (0 if "--no-database" in line else 3), f"{line}: {done.stderr}"


def same(expected: str, printed: str) -> bool:
    """Compare what the document says with what was printed; three dots stand for anything."""
    for pattern, word in VARYING:
        expected, printed = pattern.sub(word, expected), pattern.sub(word, printed)
    return doctest.OutputChecker().check_output(expected, printed, doctest.ELLIPSIS)
