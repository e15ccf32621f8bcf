"""What browsers are sent as scripts: small, whole, and from nowhere else."""

from __future__ import annotations

import json
import re
from pathlib import Path

from automagik_prompts.console.rendering import STATIC

ROOT = Path(__file__).parents[3]
FRONTEND = ROOT / "frontend"

_HOST = re.compile(r"(?:https?:)?//(?:[a-z0-9-]+\.)+[a-z]{2,}[^\s\"'`)]*|\b(?:git|ssh)://\S+", re.IGNORECASE)
_NAMES_OF_XML = "http://www.w3.org/"


def _hosts(text: str) -> set[str]:
    return {found for found in _HOST.findall(text) if not found.startswith(_NAMES_OF_XML)}


def test_no_file_of_a_page_names_a_host() -> None:
    """What a browser is sent loads nothing from elsewhere; names of XML are no addresses."""
    for path in STATIC.iterdir():
        assert not _hosts(path.read_text(encoding="utf-8")), path.name
    assert _hosts('import "//cdn.example.com/x.js"; fetch("https://example.org")')


def test_the_lock_says_what_and_not_from_where() -> None:
    """The lock has each package's hash, and no address of a registry."""
    text = (FRONTEND / "package-lock.json").read_text(encoding="utf-8")
    assert not _hosts(text)
    packages = {name: one for name, one in json.loads(text)["packages"].items() if name}
    assert packages
    assert all("integrity" in one and "resolved" not in one for one in packages.values())


def test_the_bundle_has_its_licences() -> None:
    """Each package that is bundled stands with its licence beside the bundle, in the version of the lock."""
    packages = json.loads((FRONTEND / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    licences = (STATIC / "editor.licences.txt").read_text(encoding="utf-8")
    for name in ("@codemirror/view", "@codemirror/state", "@codemirror/lint", "style-mod", "crelt"):
        assert f"{name} {packages[f'node_modules/{name}']['version']}\n" in licences
    assert licences.count("Permission is hereby granted") == len(re.findall(r"^\S+ \d+\.\d+\.\d+$", licences, re.M))


def test_own_scripts_are_few() -> None:
    """The console's own scripts, without what is bundled with them, have fewer than 400 lines."""
    own = [FRONTEND / "editor.js", *(path for path in STATIC.glob("*.js") if path.name != "editor.js")]
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in own) < 400
