"""Which text is served for a status: the one rule, for what the database has active and what the code declares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from automagik_prompts.declaring.declared import DeclaredAgent, DeclaredPrompt
from automagik_prompts.domain.keys import DEFAULT_STATUS_KEY, SpellingClash, StatusKeys
from automagik_prompts.domain.records import ActiveVersion, AgentInfo
from automagik_prompts.domain.served import Reason, ReasonCode, Selection, ServedPrompt, Source
from automagik_prompts.domain.summaries import WithdrawnVersion
from automagik_prompts.following.memory.packing import Packed, withdrawn_of


@dataclass(frozen=True, slots=True)
class Problem:
    """An active version that this process cannot serve.

    Attributes:
        prompt: The version.
        reason: Why not, without its text.
    """

    prompt: ActiveVersion
    reason: str

    @property
    def agent(self) -> str:
        """The agent's name."""
        return self.prompt.agent


@dataclass(frozen=True, slots=True)
class AgentTexts:
    """What code and database have for one agent, and the rule that chooses among it.

    Attributes:
        name: The agent's name.
        primary: Its primary status.
        default: Its status `default`, as it is spelt.
        keys: Its statuses, each found however it is given.
        code: The code's texts.
        served: The versions from the database that can be served.
        problems: Why others cannot, by status.
        faults: The same with these versions.
        read: The agent as it was read; `None` where only the code knows it.
        chosen: What is served for each status, and under `None` for a status that nobody defined.
    """

    name: str
    primary: str
    default: str
    keys: StatusKeys
    code: Mapping[str, DeclaredPrompt]
    served: Mapping[str, ServedPrompt]
    problems: Mapping[str, Reason]
    faults: tuple[Problem, ...] = ()
    read: Packed | None = field(repr=False, default=None)
    chosen: Mapping[str | None, Selection] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        chosen = {key: self.select(key) for key in (None, *self.keys, self.primary)}
        object.__setattr__(self, "chosen", {key: found for key, found in chosen.items() if found is not None})

    @property
    def withdrawn(self) -> tuple[WithdrawnVersion, ...]:
        """The withdrawn versions."""
        return withdrawn_of(self.read) if self.read is not None else ()

    def is_withdrawn(self, prompt: ServedPrompt) -> bool:
        """Return whether a version of this agent is withdrawn, or a text of the code that equals a withdrawn one."""
        withdrawn = self.withdrawn
        if prompt.prompt_id is None:
            return any(
                (one.status_key, one.content_hash) == (prompt.status_key, prompt.content_hash) for one in withdrawn
            )
        return any((one.prompt_id, one.version) == (prompt.prompt_id, prompt.version) for one in withdrawn)

    def clashes(self) -> Iterator[SpellingClash]:
        """Yield the statuses that the code spells otherwise than the database."""
        for key, prompt in self.code.items():
            if prompt.status_key != key:
                yield SpellingClash(self.name, prompt.status_key, key)

    def select(self, status_key: str | None) -> Selection | None:
        """Choose: the active version of the status, of the primary one, of `"default"`; then the code's, likewise."""
        if status_key is not None and status_key not in self.problems:
            # As it mostly is: the status has an active version, and a text in the code.
            own, declared = self.served.get(status_key), self._code(status_key)
            if own is not None and declared is not None and not self._is_gone(declared):
                return Selection(own, code=declared)
        chain = list(dict.fromkeys(key for key in (status_key, self.primary, self.default) if key is not None))
        # A withdrawn text of the code stands in only where there is no other.
        declares = [key for key in chain if key in self.code]
        coded = min(declares, key=lambda key: self._is_gone(self._code(key)), default=None)
        code = self._code(coded) if coded is not None else None
        for key in chain:
            prompt = self.served.get(key)
            if prompt is None and key in self.problems:
                # An active version that this process cannot serve: its own code comes before another status.
                declared = self._code(key)
                prompt = declared if not self._is_gone(declared) else None
            if prompt is not None:
                return Selection(prompt, self._reasons(status_key, key, prompt), code, self._is_gone(code))
        if code is None or coded is None:
            return None
        return Selection(code, self._reasons(status_key, coded, code), code)

    def _is_gone(self, code: ServedPrompt | None) -> bool:
        return code is not None and bool(self.withdrawn) and self.is_withdrawn(code)

    def _code(self, status_key: str) -> ServedPrompt | None:
        declared = self.code.get(status_key)
        return declared.served if declared is not None else None

    def _reasons(self, asked: str | None, key: str, prompt: ServedPrompt) -> tuple[Reason, ...]:
        found = []
        if asked is None:
            found.append(Reason(ReasonCode.NO_PROMPT))
        elif asked != key:
            found.append(self.problems.get(asked) or Reason(ReasonCode.NOT_ACTIVE, asked))
        if key in self.problems:
            found.append(self.problems[key])
        if asked != key:
            is_primary = key == self.primary
            found.append(Reason(ReasonCode.PRIMARY_STANDS_IN if is_primary else ReasonCode.STATUS_STANDS_IN, key))
        if prompt.source is Source.CODE:
            found.append(Reason(ReasonCode.CODE))
        elif key in self.problems:
            found.append(Reason(ReasonCode.LAST_GOOD, key, prompt.version))
        return tuple(found)


def agent_texts(
    name: str,
    declared: DeclaredAgent | None,
    info: AgentInfo | None,
    served: Mapping[str, ServedPrompt],
    faults: tuple[Problem, ...] = (),
    read: Packed | None = None,
) -> AgentTexts:
    """Bring together what code and database say of an agent: a status has one key, spelt as in the database."""
    prompts: Mapping[str, DeclaredPrompt] = declared.prompts if declared is not None else {}
    problems = {
        fault.prompt.status_key: Reason(ReasonCode.UNSERVABLE, fault.prompt.status_key, fault.prompt.version)
        for fault in faults
    }
    # This process' own code says which status comes first.
    primary = declared.primary if declared is not None else info.default_status_key if info else DEFAULT_STATUS_KEY
    stored = {**served, **problems}
    keys = declared.keys if declared is not None and not stored else StatusKeys(stored, prompts)
    is_clear = all(key in keys for key in prompts)
    return AgentTexts(
        name=name,
        primary=keys.find(primary) or primary,
        default=keys.find(DEFAULT_STATUS_KEY) or DEFAULT_STATUS_KEY,
        keys=keys,
        code=prompts if is_clear else {keys.find(key) or key: prompt for key, prompt in prompts.items()},
        served=served,
        problems=problems,
        faults=faults,
        read=read,
    )
