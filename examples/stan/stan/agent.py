"""The agent: a model, a name, what it depends on, and its tools. There is no prompt in here."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic_ai import Agent, ModelRetry, RunContext
from pydantic_ai.models import Model

from stan.contacts import PRODUCTS, REGISTER, Contact, ContactStatus, Product, tax_id_digits


@dataclass
class StanDeps:
    """What one conversation with Stan depends on.

    Prompts reach exactly those values that a prompt in the code uses, such as `contact.name`. A text that somebody
    writes later cannot reach `crm_token`: it is refused.
    """

    contact: Contact
    products: tuple[Product, ...] = PRODUCTS
    crm_token: str = field(default="", repr=False)


class StanAgent(Agent[StanDeps, str]):
    """Stan, ready to talk; the name is what joins him to his prompts."""

    def __init__(self, model: Model | str) -> None:
        super().__init__(model, name="stan", deps_type=StanDeps, tools=[verify_tax_id, quote])


async def verify_tax_id(ctx: RunContext[StanDeps], tax_id: str) -> str:
    """Look a company's tax id (CNPJ) up in the public register and set the contact's status by what it says.

    Args:
        ctx: The run.
        tax_id: The 14 digits, with or without punctuation.
    """
    digits = tax_id_digits(tax_id)
    if digits is None:
        return "This is no valid tax id: a digit is wrong or missing. Ask the contact to check it."
    company = REGISTER.get(digits)
    if company is None:
        return "The register knows no company with this tax id. Ask the contact to check it."
    contact = ctx.deps.contact
    # From here on the next model request of this same run carries the prompt for the new status.
    contact.company, contact.status = company.name, company.status
    return f"The company is {company.name}; the contact's status is now {company.status.value}."


async def quote(ctx: RunContext[StanDeps], product: str, quantity: int) -> str:
    """Return the total price of a quantity of a product.

    Args:
        ctx: The run.
        product: The product's name as in the price list.
        quantity: How many units.
    """
    if ctx.deps.contact.status is not ContactStatus.APPROVED:
        return "Prices are for approved buyers only."
    found = next((item for item in ctx.deps.products if item.name.casefold() == product.casefold()), None)
    if found is None or quantity < 1:
        names = ", ".join(item.name for item in ctx.deps.products)
        raise ModelRetry(f"Ask for one of {names}, and a quantity of at least 1.")
    return f"{quantity} x {found.name} ({found.unit}): {found.price * quantity} BRL"
