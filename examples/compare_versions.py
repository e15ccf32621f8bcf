"""Two versions of one prompt over a small data set, with Pydantic Evals: which one is better, before it is activated?

python examples/compare_versions.py                              offline, with a scripted model
python examples/compare_versions.py --model openai:gpt-5-mini    with a real one

It needs `pydantic-evals`. Its releases ask for one release of Pydantic AI each; where that is another one than yours,
`pip install --no-deps pydantic-evals pyyaml` does as well.
"""

from __future__ import annotations

import argparse
import asyncio
import re
from dataclasses import dataclass

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, SystemPromptPart, TextPart, UserPromptPart
from pydantic_ai.models import Model, infer_model
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_evals import Case, Dataset
from pydantic_evals.evaluators import EqualsExpected, Evaluator, EvaluatorContext
from pydantic_evals.reporting import EvaluationReport

from automagik_prompts import ActivePrompt, PromptPlugin, prompt, prompt_version

TRIAGE = prompt(
    """\
You sort messages of customers. Answer with one word, the team that shall reply: sales, billing or support.
- price: sales
- invoice: billing
- broken: support
Anything else: support
""",
    agent="triage",
)

DRAFT = """\
You sort messages of customers. Answer with one word, the team that shall reply: sales, billing or support.
- price: sales
- quote: sales
- invoice: billing
- refund: billing
- broken: support
Anything else: support
"""


@dataclass
class OneWord(Evaluator[str, str]):
    """Checks that the agent answers with the name of a team and nothing else."""

    def evaluate(self, ctx: EvaluatorContext[str, str]) -> bool:
        """Return whether the answer is one of the teams."""
        return ctx.output in {"sales", "billing", "support"}


CASES = Dataset[str, str](
    name="triage",
    cases=[
        Case(name="price", inputs="What is the price of a pallet?", expected_output="sales"),
        Case(name="quote", inputs="Please quote 40 bags of flour.", expected_output="sales"),
        Case(name="invoice", inputs="My invoice is wrong.", expected_output="billing"),
        Case(name="refund", inputs="I want a refund for order 7.", expected_output="billing"),
        Case(name="broken", inputs="The mixer arrived broken.", expected_output="support"),
        Case(name="hours", inputs="When are you open?", expected_output="support"),
    ],
    evaluators=[EqualsExpected(evaluation_name="right team"), OneWord()],
)


async def compare(model: Model, versions: tuple[int, ...]) -> dict[int, EvaluationReport[str, str]]:
    """Run the data set under each version, and return the reports."""
    async with PromptPlugin("sqlite://:memory:", startup_timeout=30) as plugin:
        # The draft is version 2. It is not active: no customer has seen it yet.
        await plugin.create("triage", "default", DRAFT, author="ana", note="knows quotes and refunds")
        agent = Agent(model, capabilities=[ActivePrompt("triage", plugin=plugin)])

        async def sort(message: str) -> str:
            return (await agent.run(message)).output.strip().lower()

        reports = {}
        for version in versions:
            async with prompt_version("triage", "default", version, plugin=plugin):
                reports[version] = await CASES.evaluate(sort, name=f"version {version}", progress=False)
        return reports


def score(report: EvaluationReport[str, str], assertion: str) -> float:
    """Return the share of cases that passed an assertion."""
    passed = [case.assertions[assertion].value for case in report.cases]
    return sum(passed) / len(passed)


def scripted(messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
    """Answer without a model vendor: follow the rules in the system prompt to the letter."""
    parts = [part for message in messages if isinstance(message, ModelRequest) for part in message.parts]
    told = next(part.content for part in parts if isinstance(part, SystemPromptPart))
    said = next(str(part.content) for part in reversed(parts) if isinstance(part, UserPromptPart))
    rules = re.findall(r"^- (\w+): (\w+)$", told, re.MULTILINE)
    return ModelResponse([TextPart(next((team for word, team in rules if word in said), "support"))])


def main() -> None:
    """Compare version 1 and the draft, and print a report of the scores."""
    parser = argparse.ArgumentParser(description="Compare two versions of a prompt over a data set.")
    parser.add_argument("--model", help="a real model such as openai:gpt-5-mini; without it everything stays offline")
    name = parser.parse_args().model
    model: Model = FunctionModel(scripted) if name is None else infer_model(name)
    reports = asyncio.run(compare(model, (1, 2)))
    print(f"{'':10} {'right team':>10} {'one word':>10}  wrong")
    for version, report in reports.items():
        wrong = ", ".join(case.name for case in report.cases if not case.assertions["right team"].value)
        scores = [f"{score(report, assertion):>10.0%}" for assertion in ("right team", "OneWord")]
        print(f"version {version:<2} {' '.join(scores)}  {wrong or 'none'}")


if __name__ == "__main__":
    main()
