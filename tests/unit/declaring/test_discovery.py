from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from automagik_prompts.declaring import discovery
from automagik_prompts.declaring.discovery import PromptModule, find_prompt_modules, import_prompt_modules
from automagik_prompts.exceptions import DeclarationError

Distribute = Callable[[str, dict[str, str], str], None]


@pytest.fixture
def distribute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Distribute]:
    """Installs small distributions in a folder on the path, with a real `.dist-info` each."""
    monkeypatch.syspath_prepend(str(tmp_path))
    modules: list[str] = []

    def install(name: str, entries: dict[str, str], source: str) -> None:
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = "\n".join(f"{entry} = {module}" for entry, module in entries.items())
        (info / "entry_points.txt").write_text(f"[{discovery.GROUP}]\n{lines}\n")
        for module in entries.values():
            top = module.partition(":")[0]
            modules.append(top)
            (tmp_path / f"{top}.py").write_text(source)

    yield install
    for module in modules:
        sys.modules.pop(module, None)


def test_installed_packages_are_found_without_importing_them(distribute: Distribute) -> None:
    """Each entry point of the group is found, with the package that brings it, in the order of names."""
    distribute("zeta-dist", {"zeta": "zeta_prompts_module"}, "raise RuntimeError('imported')")
    distribute("alpha-dist", {"beta": "beta_prompts_module", "alpha": "alpha_prompts_module:thing"}, "")
    found = find_prompt_modules(["named.module"])
    assert [module for module in found if module.distribution in {"zeta-dist", "alpha-dist", None}] == [
        PromptModule("alpha", "alpha_prompts_module", "alpha-dist"),
        PromptModule("beta", "beta_prompts_module", "alpha-dist"),
        PromptModule("zeta", "zeta_prompts_module", "zeta-dist"),
        PromptModule("named.module", "named.module"),
    ]
    assert not {"zeta_prompts_module", "alpha_prompts_module"} & set(sys.modules)


def test_importing_declares(distribute: Distribute, tmp_path: Path) -> None:
    """Importing the modules runs their declarations, those that are named directly included."""
    distribute("one-dist", {"one": "one_prompts_module"}, "DECLARED = True")
    (tmp_path / "two_prompts_module.py").write_text("DECLARED = True")
    found = import_prompt_modules(["two_prompts_module"])
    assert {"one_prompts_module", "two_prompts_module"} <= {module.module for module in found}
    assert sys.modules["one_prompts_module"].DECLARED
    assert sys.modules.pop("two_prompts_module").DECLARED


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_module_at_all", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
        ("raise RuntimeError('boom')", "RuntimeError: boom"),
        ("def broken(:", "SyntaxError"),
    ],
)
def test_a_module_that_cannot_be_imported_is_named(source: str, reason: str, distribute: Distribute) -> None:
    """The error names the module, the package that brings it, and what to do."""
    distribute("bad-dist", {"bad": "bad_prompts_module"}, source)
    with pytest.raises(DeclarationError) as refused:
        import_prompt_modules()
    assert "The prompt module 'bad_prompts_module' of the package bad-dist cannot be imported" in refused.value.message
    assert reason in refused.value.message
    assert "remove its entry point" in refused.value.message


def test_a_module_that_is_named_and_missing() -> None:
    """A module from the settings has no package to name."""
    with pytest.raises(DeclarationError, match=r"The prompt module 'no_such\.module' cannot be imported"):
        import_prompt_modules(["no_such.module"])


def test_a_wrong_declaration_is_told_as_it_is(distribute: Distribute) -> None:
    """What is wrong with a prompt is not wrapped into a story about importing."""
    source = "from automagik_prompts import prompt\n\nX = prompt('{{', agent='a')"
    distribute("wrong-dist", {"wrong": "wrong_prompts_module"}, source)
    with pytest.raises(DeclarationError, match=r"The prompt for a/default is not a valid template.*module\.py:3\."):
        import_prompt_modules()
