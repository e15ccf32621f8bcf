from __future__ import annotations

import copy
import json
import pickle
import re
import sys
from collections.abc import Callable, Iterator
from enum import Enum, StrEnum
from pathlib import Path

import pytest

from automagik_prompts.declaring.decorators import prompt, prompts
from automagik_prompts.declaring.packages import prompts_from_package
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.text import content_hash
from automagik_prompts.domain.validation import Format
from automagik_prompts.exceptions import DeclarationError

HERE = "test_decorators.py:"


def texts(registry: Registry, agent: str) -> dict[str, str]:
    """Return what is declared for an agent."""
    return {key: declared.text for key, declared in registry.agents[agent].prompts.items()}


# One constant.


def test_a_prompt_is_still_a_string(registry: Registry) -> None:
    """Code that used the constant before goes on as before."""
    text = "You are a {kind} helper for {{name}}."
    declared = prompt(text, agent="simple", name="Simple", note="first", registry=registry)
    assert declared == text
    assert isinstance(declared, str)
    assert declared.format(kind="good").startswith("You are a good helper for {name}")
    assert f"{declared}" == "%s" % declared == str(declared) == declared + "" == text  # noqa: UP031  # all ways count
    assert json.loads(json.dumps(declared)) == text
    assert {text: 1}[declared] == 1
    assert re.match("You", declared)
    assert repr(declared) == repr(text)
    for copied in (pickle.loads(pickle.dumps(declared)), copy.copy(declared), copy.deepcopy(declared)):  # noqa: S301  # ours
        assert copied == text
        assert type(copied) is str


def test_a_prompt_is_declared_with_its_details(registry: Registry) -> None:
    """The registry knows the text, its details, its variables, and where it was declared."""
    prompt("Hi {{name}}", agent="simple", name="Greeting", note="why", variables=["contact.name"], registry=registry)
    agent = registry.agents["simple"]
    assert (agent.name, agent.primary, sorted(agent.exposed)) == ("simple", "default", ["contact.name", "name"])
    declared = agent.prompts["default"]
    assert (declared.agent, declared.status_key, declared.text) == ("simple", "default", "Hi {{name}}")
    assert (declared.format, declared.name, declared.note) == ("handlebars", "Greeting", "why")
    assert declared.content_hash == content_hash("Hi {{name}}")
    assert type(declared.text) is str
    assert HERE in declared.where
    assert "Hi" not in repr(declared)
    assert agent.texts == {"Hi {{name}}"}


def test_several_statuses_by_single_constants(registry: Registry) -> None:
    """One constant after the other; the first is the primary status until one says that it is."""
    prompt("A", agent="stan", status_key="A", registry=registry)
    assert registry.agents["stan"].primary == "A"
    prompt("B", agent="stan", status_key="B", primary=True, registry=registry)
    prompt("C", agent="stan", status_key="C", registry=registry)
    assert registry.agents["stan"].primary == "B"
    prompt("D", agent="other", status_key="X", registry=registry)
    prompt("E", agent="other", registry=registry)
    assert registry.agents["other"].primary == "default"


class Status(StrEnum):
    """The statuses of an application."""

    OPEN = "open"
    DONE = "done"


class Legacy(Enum):
    """Statuses whose names are the keys."""

    OPEN = 1


def test_a_status_may_be_an_enum_member(registry: Registry) -> None:
    """Its value is the key, as a plain string."""
    prompt("A", agent="stan", status_key=Status.OPEN, registry=registry)
    (key,) = registry.agents["stan"].prompts
    assert key == "open"
    assert type(key) is str
    assert type(registry.agents["stan"].prompts["open"].status_key) is str


@pytest.mark.parametrize(
    ("declare", "reason"),
    [
        (lambda r: prompt(" ", agent="a", registry=r), "The prompt for a/default is blank."),
        (lambda r: prompt("x\0", agent="a", registry=r), "NUL character U+0000 at position 2"),
        (lambda r: prompt(5, agent="a", registry=r), "must be a string, not int"),  # type: ignore[arg-type]  # tested
        (lambda r: prompt("One\n{{#if x}}", agent="a", registry=r), "Unclosed block at line 2, column 10"),
        (
            lambda r: prompt("{{#if x}}", registry=r, agent="a", status_key="S"),
            "The prompt for a/S is not a valid templ",
        ),
        (lambda r: prompt("x", agent="", registry=r), "The agent name is blank"),
        (lambda r: prompt("x", agent="a" * 256, registry=r), "The agent name has 256 characters"),
        (lambda r: prompt("x", agent="a", status_key="", registry=r), "The status key is blank"),
        (lambda r: prompt("x", agent="a", status_key="s" * 256, registry=r), "The status key has 256 characters"),
        (lambda r: prompt("x", agent="a", status_key="a\nb", registry=r), "control character U+000A at position 2"),
        (lambda r: prompt("x", agent="a", name="n" * 256, registry=r), "The prompt name has 256 characters"),
        (
            lambda r: prompt("x", agent="a", note="n" * 10_001, registry=r),
            "The note has 10001 characters; at most 10000",
        ),
        (lambda r: prompt("x", agent="a", format="jinja", registry=r), "The format 'jinja' is unknown"),  # type: ignore[arg-type]  # tested
        (lambda r: prompt("x", agent="a", variables=["_x"], registry=r), "'_x' cannot be exposed as a variable"),
        (lambda r: prompt("x", primary=True, registry=r), "does not say agent=..."),
        (lambda r: prompt("x", status_key="A", registry=r), "does not say agent=..."),
        (lambda r: prompt("x", variables=["y"], registry=r), "does not say agent=..."),
    ],
)
def test_a_constant_that_cannot_be_right_fails_where_it_stands(
    declare: Callable[[Registry], str], reason: str, registry: Registry
) -> None:
    """The error names file and line of the declaration, and nothing is declared."""
    with pytest.raises(DeclarationError) as refused:
        declare(registry)
    assert reason in refused.value.message
    assert HERE in refused.value.message
    assert not registry.agents


def test_the_longest_note(registry: Registry) -> None:
    """A constant's note may have as many characters as one that is given with a write."""
    prompt("x", agent="a", note="n" * 10_000, registry=registry)
    assert registry.agents["a"].prompts["default"].note == "n" * 10_000


def test_the_same_status_with_different_texts(registry: Registry) -> None:
    """Both places are named; the same text twice is one declaration, and one of them may add details."""
    prompt("A", agent="stan", registry=registry)
    prompt("A", agent="stan", name="Name", note="Note", registry=registry)
    prompt("A", agent="stan", registry=registry)
    declared = registry.agents["stan"].prompts["default"]
    assert (declared.name, declared.note) == ("Name", "Note")
    others: list[tuple[str, Format]] = [("B", "handlebars"), ("A", "text")]
    for text, kind in others:
        with pytest.raises(DeclarationError, match="'default' of agent 'stan' is declared twice") as refused:
            prompt(text, agent="stan", format=kind, registry=registry)
        assert refused.value.message.count(HERE) == 2
        assert (refused.value.agent, refused.value.status_key) == ("stan", "default")
    assert texts(registry, "stan") == {"default": "A"}


def test_two_primaries(registry: Registry) -> None:
    """An agent has one primary status."""
    prompt("A", agent="stan", status_key="A", primary=True, registry=registry)
    with pytest.raises(DeclarationError, match="is 'A' in one declaration and 'B' at") as refused:
        prompt("B", agent="stan", status_key="B", primary=True, registry=registry)
    assert HERE in refused.value.message


def test_several_statuses_and_no_primary(registry: Registry) -> None:
    """Where it is not clear which status stands in for others, the code has to say so."""
    prompt("A", agent="stan", status_key="A", registry=registry)
    with pytest.raises(DeclarationError, match=r"several statuses \(A, B\) and no primary one, at .*primary="):
        prompt("B", agent="stan", status_key="B", registry=registry)
    assert texts(registry, "stan") == {"A": "A"}


# Classes.


def test_a_class_of_prompts(registry: Registry) -> None:
    """Upper-case strings are prompts and their names the status keys; everything else stays as it is."""

    def status(_ctx: object) -> str:
        return "NEW"

    @prompts("stan", primary="NEW", status=status, variables=["contact.*"], registry=registry)
    class StanPrompts:
        NEW = "Hello {{name}}"
        APPROVED_2 = "Welcome"
        LIMIT = 5
        _HIDDEN = "not a prompt"
        lower = "not a prompt"
        Mixed = "not a prompt"

        def method(self) -> str:
            return self.NEW

    assert texts(registry, "stan") == {"NEW": "Hello {{name}}", "APPROVED_2": "Welcome"}
    agent = registry.agents["stan"]
    assert (agent.primary, agent.status, sorted(agent.exposed)) == ("NEW", status, ["contact.*", "name"])
    assert agent.prompts["NEW"].where.endswith("StanPrompts")
    assert StanPrompts().method() == StanPrompts.NEW == "Hello {{name}}"
    assert StanPrompts.LIMIT == 5


def test_details_inside_a_class(registry: Registry) -> None:
    """`prompt(...)` in a class body adds name, note and format."""

    @prompts("stan", primary="A", registry=registry)
    class StanPrompts:
        A = prompt("plain {{x}", format="text", name="The A", note="no template")
        B = prompt("{{x}}", name="The B")

    found = registry.agents["stan"].prompts
    assert (found["A"].format, found["A"].name, found["A"].note) == ("text", "The A", "no template")
    assert (found["B"].format, found["B"].name, found["B"].note) == ("handlebars", "The B", None)
    assert StanPrompts.A == "plain {{x}"
    assert registry.agents["stan"].exposed == {"x"}


def test_classes_inherit(registry: Registry) -> None:
    """A subclass has its bases' prompts, overrides some, and takes others away."""

    class Mixin:
        EXTRA = "extra"

    class Base:
        A = "base a"
        B = "base b"
        C = "base c"

    @prompts("child", primary="A", registry=registry)
    class Child(Mixin, Base):
        B = "child b"
        C = None  # type: ignore[assignment]  # this is how a subclass takes a prompt away
        D = "child d"

    assert texts(registry, "child") == {"A": "base a", "B": "child b", "EXTRA": "extra", "D": "child d"}
    assert Child.A == "base a"


def test_string_enums(registry: Registry) -> None:
    """A `StrEnum` is declared by its members' names, details included, and stays an enum."""

    @prompts("stan", primary="NEW", registry=registry)
    class Texts(StrEnum):
        NEW = prompt("Hello {{name}}", name="New")
        APPROVED = "Welcome"

    assert texts(registry, "stan") == {"NEW": "Hello {{name}}", "APPROVED": "Welcome"}
    assert registry.agents["stan"].prompts["NEW"].name == "New"
    assert Texts("Welcome") is Texts.APPROVED
    assert str(Texts.NEW) == f"{Texts.NEW}" == "Hello {{name}}"


def test_enum_members_with_equal_texts_are_two_statuses(registry: Registry) -> None:
    """Python makes the second an alias of the first; both names are statuses."""

    @prompts("stan", primary="A", registry=registry)
    class Texts(StrEnum):
        A = "the same"
        B = "the same"

    assert list(Texts) == [Texts.A]
    assert texts(registry, "stan") == {"A": "the same", "B": "the same"}


def test_other_enums(registry: Registry) -> None:
    """A plain enum with strings works as well, and members that are no strings are passed over."""

    @prompts("stan", primary="A", registry=registry)
    class Texts(Enum):
        A = "text"
        N = 5

    assert texts(registry, "stan") == {"A": "text"}
    assert Texts.N.value == 5


def test_the_primary_status_by_enum_member(registry: Registry) -> None:
    """The member of a status enum means its value where that is a status, otherwise its name."""

    @prompts("one", primary=Legacy.OPEN, registry=registry)
    class _One:
        OPEN = "a"
        DONE = "b"

    registry.declare("two", {"open": "a", "done": "b"}, where="here", primary=Status.DONE)
    assert (registry.agents["one"].primary, registry.agents["two"].primary) == ("OPEN", "done")


class Crossed(Enum):
    """Statuses whose values are each other's names."""

    NEW = "approved"
    APPROVED = "new"


def test_a_primary_in_another_spelling(registry: Registry) -> None:
    """It is found as a status is found everywhere, and kept as it is declared; so is the implied one."""

    @prompts("one", primary="new", registry=registry)
    class _One:
        NEW = "a"
        DONE = "b"

    @prompts("two", registry=registry)
    class _Two:
        DEFAULT = "a"
        DONE = "b"

    assert (registry.agents["one"].primary, registry.agents["two"].primary) == ("NEW", "DEFAULT")
    prompt("c", agent="one", status_key="LATER", registry=registry)
    assert registry.agents["one"].primary == "NEW"


def test_a_member_that_is_two_statuses_is_refused(registry: Registry) -> None:
    """By its value one and by its name another: whichever was served would be a guess, so the declaration fails."""
    with pytest.raises(DeclarationError, match=r"Crossed\.NEW means the status 'APPROVED' by its value and 'NEW' by"):

        @prompts("a", primary=Crossed.NEW, registry=registry)
        class _A:
            NEW = "a"
            APPROVED = "b"

    with pytest.raises(DeclarationError, match=r"Texts\.NEW means the status 'APPROVED' by its value and 'NEW' by"):

        @prompts("b", primary="NEW", registry=registry)
        class Texts(Enum):
            NEW = "Approved"
            APPROVED = "Quote prices."

    prompt("a", agent="c", status_key=Crossed.NEW, primary=True, registry=registry)
    with pytest.raises(
        DeclarationError, match="'approved' by its value and 'NEW' by its name, and agent 'c'"
    ) as refused:
        prompt("b", agent="c", status_key="NEW", registry=registry)
    assert HERE in refused.value.message
    assert (refused.value.agent, refused.value.status_key) == ("c", "approved")
    assert list(registry.agents) == ["c"]
    assert texts(registry, "c") == {"approved": "a"}


def test_a_member_finds_what_is_declared(registry: Registry) -> None:
    """A constant for a status that a class has declared by its name is that status; another text for it is refused."""
    registry.declare("a", {"OPEN": "open"}, where="here")
    prompt("open", agent="a", status_key=Legacy.OPEN, name="Open", registry=registry)
    assert registry.agents["a"].prompts["OPEN"].name == "Open"
    with pytest.raises(DeclarationError, match="'OPEN' of agent 'a' is declared twice with different texts"):
        prompt("other", agent="a", status_key=Status.OPEN, registry=registry)
    prompt("text", agent="b", status_key=Legacy.OPEN, registry=registry)
    assert texts(registry, "b") == {"OPEN": "text"}


@pytest.mark.parametrize(
    ("first", "second"),
    [("NEW", "new"), ("default", "DEFAULT"), ("CAF\u00c9", "cafe\u0301"), ("stra\u00dfe", "STRASSE")],
)
def test_two_spellings_of_one_status(first: str, second: str, registry: Registry) -> None:
    """Even with equal texts: which one is kept would depend on what is imported first."""
    prompt("a", agent="stan", status_key=first, registry=registry)
    with pytest.raises(DeclarationError, match="differ only in case or in Unicode form, at ") as refused:
        prompt("a", agent="stan", status_key=second, registry=registry)
    assert refused.value.message.count(HERE) == 2
    with pytest.raises(DeclarationError, match="differ only in case"):
        registry.declare("new", {first: "a", second: "b"}, where="here", primary=first)
    assert list(registry.agents) == ["stan"]


def test_names_are_kept_in_one_form(registry: Registry) -> None:
    """Agents and statuses in NFC, so that a name typed on another system is the same; texts are not touched."""
    text = "e\u0301"
    prompt(text, agent="cafe\u0301", status_key="ate\u0301", registry=registry)
    prompt(text, agent="caf\u00e9", status_key="at\u00e9", registry=registry)
    assert texts(registry, "caf\u00e9") == {"at\u00e9": text}
    assert list(registry.agents) == ["caf\u00e9"]
    with pytest.raises(DeclarationError, match="is declared twice"):
        registry.declare("a", {"\u00e9": "a", "e\u0301": "b"}, where="here", primary="\u00e9")


def test_a_primary_that_is_not_declared(registry: Registry) -> None:
    """An unknown primary status fails with what there is and where it was said."""
    with pytest.raises(DeclarationError) as refused:

        @prompts("stan", primary="NWE", registry=registry)
        class _StanPrompts:
            NEW = "a"
            OLD = "b"

    assert "The primary status 'NWE' of agent 'stan' has no prompt" in refused.value.message
    assert "_StanPrompts. Declared are: NEW, OLD." in refused.value.message
    assert not registry.agents


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "declares no prompts for 'stan'"),
        ({"lower": "x", "N": 5}, "declares no prompts for 'stan'"),
        ({"A": "ok", "B": "  "}, "The prompt for stan/B is blank"),
        (
            {"A": "ok", "B": "{{#each x}}\n{{/if}}"},
            "The prompt for stan/B is not a valid template: each doesn't match if",
        ),
        ({"A": "ok", "B": "\ud800"}, "The prompt for stan/B contains the lone surrogate U+D800"),
        ({"A": "ok", "B" * 256: "x"}, "The status key has 256 characters"),
    ],
)
def test_a_class_that_cannot_be_right(body: dict[str, object], reason: str, registry: Registry) -> None:
    """One wrong text refuses the class, by its name."""
    with pytest.raises(DeclarationError) as refused:
        prompts("stan", primary="A", registry=registry)(type("Wrong", (), body))
    assert reason in refused.value.message
    assert f"{__name__}.Wrong" in refused.value.message
    assert not registry.agents


def test_a_class_and_a_constant_for_one_agent(registry: Registry) -> None:
    """An agent's declarations may be in several places; the registry's generation tells that something is new."""
    assert registry.generation == 0

    @prompts("stan", primary="A", registry=registry)
    class _StanPrompts:
        A = "a"

    assert registry.generation == 1
    before = registry.agents
    prompt("b {{y}}", agent="stan", status_key="B", registry=registry)
    assert registry.generation == 2
    assert texts(registry, "stan") == {"A": "a", "B": "b {{y}}"}
    assert registry.agents["stan"].primary == "A"
    assert set(before["stan"].prompts) == {"A"}, "a mapping that somebody holds never changes"
    prompt("b {{y}}", agent="stan", status_key="B", registry=registry)
    assert registry.generation == 2, "a module that is imported again declares nothing new"


# Packages.


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[dict[str, bytes | str]], str]]:
    """Makes a package of prompts that can be imported, and forgets it afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made: list[str] = []

    def make(contents: dict[str, bytes | str]) -> str:
        name = f"made_prompts_{len(made)}"
        made.append(name)
        (tmp_path / name).mkdir()
        for path, content in {"__init__.py": "", **contents}.items():
            target = tmp_path / name / path
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)
        return name

    yield make
    for module in [module for module in sys.modules if module.partition(".")[0] in made]:
        del sys.modules[module]


MakePackage = Callable[[dict[str, bytes | str]], str]


def test_a_package_of_prompts(package: MakePackage, registry: Registry) -> None:
    """A module or a file for each status, the key from the file's name; what is no prompt is passed over."""
    name = package(
        {
            "not_registered.py": 'PROMPT = "Ask for {{tax_id}}."',
            "approved.md": "# Approved\n\n{{name}}\n",
            "rejected.txt": "No.",
            "pending_review.hbs": "Wait.",
            "detailed.py": "import automagik_prompts as a\nPROMPT = a.prompt('{{', format='text', name='D', note='n')",
            "README.md": "about the prompts",
            "readme.pt.md": "sobre",
            "_draft.md": "{{",
            "_helper.py": "x = 1",
            ".hidden.md": "{{",
            "data.json": "{}",
            "notes.md.bak": "{{",
            "sub/inner.md": "{{",
        }
    )
    prompts_from_package(name, agent="stan", primary="not_registered", variables=["vip"], registry=registry)
    assert texts(registry, "stan") == {
        "NOT_REGISTERED": "Ask for {{tax_id}}.",
        "APPROVED": "# Approved\n\n{{name}}\n",
        "REJECTED": "No.",
        "PENDING_REVIEW": "Wait.",
        "DETAILED": "{{",
    }
    agent = registry.agents["stan"]
    assert (agent.primary, sorted(agent.exposed)) == ("NOT_REGISTERED", ["name", "tax_id", "vip"])
    assert agent.prompts["APPROVED"].where == f"{name}/approved.md"
    assert agent.prompts["NOT_REGISTERED"].where == f"{name}.not_registered"
    detailed = agent.prompts["DETAILED"]
    assert (detailed.format, detailed.name, detailed.note) == ("text", "D", "n")


def test_the_longest_note_in_a_file(package: MakePackage, registry: Registry) -> None:
    """A front matter's note has the same limit as any other, and a longer one is refused with the file's name."""
    file = "---\nnote: {}\n---\nText."
    prompts_from_package(package({"a.md": file.format("n" * 10_000)}), agent="a", registry=registry)
    declared = registry.agents["a"].prompts["A"]
    assert (declared.text, declared.note) == ("Text.", "n" * 10_000)
    name = package({"b.md": file.format("n" * 10_001)})
    with pytest.raises(DeclarationError, match=f"The note has 10001 characters; at most 10000 .*{name}/b.md"):
        prompts_from_package(name, agent="b", registry=registry)
    assert "b" not in registry.agents


def test_a_files_text_is_taken_byte_for_byte(package: MakePackage, registry: Registry) -> None:
    """A byte order mark, line ends of any kind, a missing or doubled last one: all stay."""
    contents: dict[str, bytes | str] = {
        "bom.md": b"\xef\xbb\xbftext",
        "crlf.txt": b"a\r\nb\rc\n",
        "end.hbs": b"a\n\n",
        "none.md": b"a",
        "form.md": "e\u0301 \u00e9",
    }
    name = package(contents)
    prompts_from_package(name, agent="stan", primary="BOM", registry=registry)
    for file, content in contents.items():
        expected = content if isinstance(content, bytes) else content.encode()
        assert texts(registry, "stan")[file.partition(".")[0].upper()].encode() == expected


def test_a_package_that_is_imported_already(package: MakePackage, registry: Registry) -> None:
    """The package itself may be given, and a format for all of its texts."""
    module = __import__(package({"a.md": "{{", "b.py": "PROMPT = '}}{{'"}))
    prompts_from_package(module, agent="stan", primary="A", format="text", registry=registry)
    assert {declared.format for declared in registry.agents["stan"].prompts.values()} == {"text"}


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        ({}, "{name} holds no prompt. Add a module or a .md, .txt or .hbs file"),
        ({"README.md": "x"}, "{name} holds no prompt"),
        ({"a.md": "x", "a.txt": "x"}, "'A' of agent 'stan' is declared twice: in {name}/a.md and in {name}/a.txt"),
        ({"a.md": "x", "A.md": "x"}, "'A' of agent 'stan' is declared twice: in {name}/A.md and in {name}/a.md"),
        ({"a.py": "PROMPT = 'x'", "a.md": "x"}, "is declared twice: in {name}.a and in {name}/a.md"),
        ({"a.py": "TEXT = 'x'"}, "The module {name}.a has no constant PROMPT with a string"),
        ({"a.py": "PROMPT = 5"}, "The module {name}.a has no constant PROMPT with a string"),
        ({"a.md": b"caf\xe9"}, "The file {name}/a.md is not UTF-8: unexpected end of data at byte 3"),
        ({"a.md": ""}, "The prompt for stan/A is blank"),
        ({"a.md": "x", "b.md": "one\ntwo {{#if}}x{{/if}}"}, "The prompt for stan/B has a block {{{{#if}}}}"),
        (
            {"b.md": "one\ntwo {{name"},
            "at line 2, column 11. To serve a text verbatim, with its braces, use the format 'text'.",
        ),
        ({"b.md": "{{name"}, "Declared at {name}/b.md."),
        ({"b.md": "x"}, "The primary status 'A' of agent 'stan' has no prompt, at {name}. Declared are: B."),
    ],
)
def test_a_package_that_cannot_be_right(
    contents: dict[str, bytes | str], reason: str, package: MakePackage, registry: Registry
) -> None:
    """The error names the package and the file, and nothing is declared."""
    name = package(contents)
    with pytest.raises(DeclarationError) as refused:
        prompts_from_package(name, agent="stan", primary="A", registry=registry)
    assert reason.format(name=name) in refused.value.message
    assert name in refused.value.message
    assert not registry.agents


def test_a_module_is_no_package(registry: Registry) -> None:
    """A single module is refused by its name, and a package that is not there raises what Python raises."""
    with pytest.raises(DeclarationError, match=r"json\.tool is not a package; name the package with the prompts"):
        prompts_from_package("json.tool", agent="stan", registry=registry)
    with pytest.raises(ModuleNotFoundError):
        prompts_from_package("no_such_package_at_all", agent="stan", registry=registry)


def test_real_texts_are_declared_as_they_are(real_prompts: dict[str, str], registry: Registry) -> None:
    """Real prompts, with braces, code and every language, go in unchanged."""
    for title, text in real_prompts.items():
        prompt(text, agent=title.strip(), format="text" if "{{" in text else "handlebars", registry=registry)
    assert {agent.prompts["default"].text for agent in registry.agents.values()} == set(real_prompts.values())
