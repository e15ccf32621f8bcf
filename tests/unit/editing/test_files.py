from __future__ import annotations

import codecs
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automagik_prompts.domain.keys import PromptKey
from automagik_prompts.domain.validation import check_name, check_text
from automagik_prompts.editing.files.folder import file_paths, find_files, read_folder
from automagik_prompts.editing.files.text import PromptFile, read_file, write_file
from automagik_prompts.exceptions import InvalidPromptError

STRANGE = [
    "plain",
    "ends with a line feed\n",
    "ends with two\n\n",
    "\nbegins with one",
    "\n\n",
    "Windows\r\nlines\r\n",
    "old Mac\rlines\r",
    "---\nagent: other\n---\n",
    "text\n---\nmore",
    "{{#if name}}\n  hello {{name}}\n{{/if}}",
    "\ufeffbyte order mark",
    "right to left \u202e and joined 👩‍👩‍👧, NFC é, NFD e\u0301, \u2028 and \x85",
    "tab\tand blank at the end \n",
]

names = st.text(min_size=1, max_size=60).filter(lambda name: is_name(name))
texts = st.text(min_size=1).filter(lambda text: is_text(text))


def is_name(name: str) -> bool:
    """Whether the library takes a name."""
    try:
        check_name(name, "name")
    except InvalidPromptError:
        return False
    return True


def is_text(text: str) -> bool:
    """Whether the library takes a text."""
    try:
        check_text(text)
    except InvalidPromptError:
        return False
    return True


@pytest.mark.parametrize("text", STRANGE)
def test_a_text_comes_back_byte_for_byte(text: str) -> None:
    """What a file was written from is what is read from it."""
    prompt = PromptFile("stan", "APPROVED", text)
    assert read_file(write_file(prompt), "a.md") == prompt


@given(agent=names, status=names, text=texts, name=st.none() | texts, variables=st.lists(names, unique=True))
def test_a_file_holds_any_prompt(agent: str, status: str, text: str, name: str | None, variables: list[str]) -> None:
    """Every prompt that the library takes comes back from its file, and two prompts never have the same file."""
    prompt = PromptFile(agent, status, text, "text", name, primary=True, variables=tuple(variables))
    content = write_file(prompt)
    assert read_file(content, "a.md") == prompt
    assert write_file(read_file(content, "a.md")) == content


def test_the_form_is_stable() -> None:
    """This is the form that stands in people's git histories; it changes only on purpose."""
    prompt = PromptFile("stan", "A: b", "Hi\n", "handlebars", "yes", primary=True, variables=("name", "contact.*"))
    assert write_file(prompt).decode() == (
        '---\nagent: stan\nstatus: "A: b"\nprimary: true\nformat: handlebars\nname: "yes"\n'
        'variables: ["name", "contact.*"]\n---\n\nHi\n\n'
    )


@given(value=names)
def test_quoted_values_are_json(value: str) -> None:
    """Where a value needs quotes it is a JSON string, which is a YAML string as well."""
    line = write_file(PromptFile(value, "x", "y")).decode().split("\n")[1]
    written = line.removeprefix("agent: ")
    assert written == value or json.loads(written) == value


def test_people_may_write_the_front_matter_by_hand() -> None:
    """Single quotes, comments, empty lines, another order and a missing empty line are read as YAML reads them."""
    content = b"---\n# ours\nstatus: 'it''s'\n\nagent: the seller\nformat: text\nname: ~\n---\nHello"
    assert read_file(content, "a.md") == PromptFile("the seller", "it's", "Hello", "text")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"Hello", "a.md, line 1: a front matter must begin here"),
        (b"---\nagent: stan\n", "a.md: the front matter has no end"),
        (b"---\nagent: stan\n---\n\nx", "a.md: the front matter needs the key 'status'"),
        (b"---\nagent: stan\nstatus: A\nagent: b\n---\n\nx", "a.md, line 4: the key 'agent' is there twice"),
        (b"---\nagent: stan\nstaus: A\n---\n\nx", "a.md, line 3: expected `key: value`"),
        (b"---\nagent: stan\nstatus: a: b\n---\n\nx", "a.md, line 3: put this value into double quotes"),
        (b"---\nagent: stan\nstatus: no\n---\n\nx", "a.md, line 3: put this value into double quotes"),
        (b'---\nagent: stan\nstatus: "A\n---\n\nx', "a.md, line 3: this value is not valid JSON"),
        (b"---\nagent: stan\nstatus: 'A\n---\n\nx", "a.md, line 3: a string in single quotes"),
        (b"---\nagent: stan\nstatus: A\nprimary: maybe\n---\n\nx", "the key 'primary' must be true or false"),
        (b"---\nagent: stan\nstatus: A\nformat: jinja\n---\n\nx", "The format 'jinja' is unknown"),
        (b"---\nagent: stan\nstatus: A\nvariables: name\n---\n\nx", "must be a list of names"),
        (b'---\nagent: " "\nstatus: A\n---\n\nx', "The agent name is blank"),
        (b"---\r\nagent: stan\r\nstatus: A\r\n---\r\n\r\nx", "has Windows line ends"),
        (b"---\nagent: st\xffan\n---\n", "a.md is not UTF-8"),
    ],
)
def test_a_wrong_file_is_refused_by_name_and_line(content: bytes, words: str) -> None:
    """What is wrong with a file is said with its name, and with the line where there is one."""
    with pytest.raises(InvalidPromptError, match=r"a\.md") as raised:
        read_file(content, "a.md")
    assert words in raised.value.message


def test_the_first_line_of_the_text_is_known() -> None:
    """Messages about a text can point to its place in the file."""
    content = write_file(PromptFile("stan", "A", "one\ntwo"))
    first = read_file(content, "a.md").first_line
    assert content.decode().split("\n")[first - 1] == "one"


def test_names_become_file_names_that_every_system_keeps() -> None:
    """Names that a file system refuses or takes for one another still have files of their own."""
    names = [
        ("stan", "default"),
        ("stan", "DEFAULT"),
        ("stan", "a/b\\c"),
        ("stan", ".hidden"),
        ("stan", "con"),
        ("stan", "readme"),
        ("stan", "e\u0301"),
        ("stan", "\u00e9"),
        ("stan", "x" * 255),
        ("stan", "x" * 254 + "y"),
        ("..", "up"),
        ("a b", "Üñï 方"),
    ]
    keys = [PromptKey(*name) for name in names]
    paths = file_paths(keys)
    assert len({str(path).casefold() for path in paths.values()}) == len(keys)
    for key, path in paths.items():
        assert len(path.parts) == 2, key
        assert not any(part.startswith(".") or len(part.encode()) > 200 for part in path.parts), key
    assert str(paths[PromptKey("a b", "Üñï 方")]) == "a b/Üñï 方.md"
    assert paths[PromptKey("stan", "a/b\\c")].name == "a%2Fb%5Cc.md"


def test_a_folder_is_read_with_what_is_no_prompt_passed_over(tmp_path: Path) -> None:
    """A README and hidden folders are left alone; two files for one prompt are an error that names both."""
    (tmp_path / "stan").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / "README.md").write_text("# Prompts\n")
    (tmp_path / ".git" / "x.md").write_text("---\nagent: x\n---\n")
    (tmp_path / "notes.txt").write_text("# Prompts\n")
    (tmp_path / "stan" / "A.md").write_bytes(codecs.BOM_UTF8 + write_file(PromptFile("stan", "A", "text")))
    files, passed_over = read_folder(tmp_path)
    assert [(file.prompt.key, file.prompt.text) for file in files] == [(("stan", "A"), "text")]
    assert passed_over == [tmp_path / "notes.txt"]
    (tmp_path / "stan" / "B.md").write_bytes(write_file(PromptFile("stan", "A", "other")))
    with pytest.raises(InvalidPromptError, match=r"stan/A has two files: .*A\.md and .*B\.md"):
        read_folder(tmp_path)
    with pytest.raises(InvalidPromptError, match="There is no folder"):
        find_files(tmp_path / "nowhere")
