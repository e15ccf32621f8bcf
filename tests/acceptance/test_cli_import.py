"""Files that are older than what is active, passed over, or links: an import and an export undo nothing by accident."""

from __future__ import annotations

from pathlib import Path

from tests.operator import Operator


def prepared(tmp_path: Path) -> tuple[Operator, Path]:
    """Export one prompt, and have another version active since."""
    operator = Operator(tmp_path, f"sqlite://{tmp_path / 'prompts.db'}")
    operator.do("upgrade")
    for text in ("The first text.", "The second text."):
        operator.do("create", "shop", "NEW", "--text", text, "--new-agent", "--activate")
    operator.do("export", "files")
    operator.do("create", "shop", "NEW", "--text", "What a colleague wrote since.", "--activate", "--author", "joao")
    return operator, tmp_path / "files" / "shop" / "NEW.md"


def test_an_older_export_undoes_nothing(tmp_path: Path) -> None:
    """The active version has moved on: refused by name, with both differences, unless it is insisted on."""
    operator, file = prepared(tmp_path)
    assert "version: 2" in file.read_text()
    refused = operator.run("import", "files", "--activate", "--yes")
    assert refused.code == 1
    assert "shop/NEW: another version is active now" in refused.err
    assert "What a colleague wrote since." in refused.err
    assert "--force" in refused.err
    file.write_text(file.read_text().replace("The second text.", "My own text."))
    refused = operator.run("import", "files", "--activate", "--dry-run")
    assert refused.code == 1
    assert "My own text." in refused.err
    assert operator.do("show", "shop", "NEW").strip().endswith("What a colleague wrote since.")
    assert operator.run("import", "files").code == 0  # a version beside the active one undoes nothing
    operator.do("import", "files", "--activate", "--force", "--yes")
    assert operator.do("show", "shop", "NEW").strip().endswith("My own text.")


def test_a_file_for_another_database_is_no_older_one(tmp_path: Path) -> None:
    """Where the version that a file names is not this database's, there is nothing to compare it with."""
    operator, _ = prepared(tmp_path)
    target = f"sqlite://{tmp_path / 'other.db'}"
    operator.do("create", "shop", "NEW", "--text", "Its own.", "--new-agent", "--activate", "--database-url", target)
    operator.do("import", "files", "--to", target, "--activate", "--yes")


def test_files_that_are_passed_over_are_told_by_the_exit_code(tmp_path: Path) -> None:
    """A byte order mark does no harm; a file without a front matter is no prompt, and `import` and `check` say so."""
    operator, file = prepared(tmp_path)
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert operator.run("import", "files", "--dry-run").code == 0
    (tmp_path / "files" / "README.md").write_text("About these files.")
    assert operator.run("import", "files", "--dry-run").code == 0
    (tmp_path / "files" / "shop" / "APPROVED.md").write_text("A prompt that somebody meant to add.")
    passed = operator.run("import", "files", "--dry-run")
    assert (passed.code, "APPROVED.md has no front matter" in passed.err) == (3, True)
    found = operator.run("check", "--files", "files", "--no-database")
    assert (found.code, "file-passed-over" in found.out) == (3, True)


def test_an_export_follows_no_link(tmp_path: Path) -> None:
    """A link in the place of a file is replaced, one in the place of a folder refused; what they lead to stays."""
    operator, file = prepared(tmp_path)
    tool = tmp_path / "tool.sh"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    file.unlink()
    file.symlink_to(tool)
    operator.do("export", "files")
    assert tool.read_text() == "#!/bin/sh\n"
    assert not file.is_symlink()
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "files" / "shop").rename(elsewhere)
    (tmp_path / "files" / "shop").symlink_to(elsewhere)
    (elsewhere / "NEW.md").unlink()
    refused = operator.run("export", "files")
    assert (refused.code, "is a link" in refused.err) == (1, True)
    assert list(elsewhere.iterdir()) == []
