"""The contacts whom Stan talks to, the products he sells, and the register that tells whether a company is in order."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum


class ContactStatus(Enum):
    """How far a contact has come; each status has a prompt of its own in `stan.prompts`."""

    NOT_REGISTERED = "NOT_REGISTERED"
    PENDING_REVIEW = "PENDING_REVIEW"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"


@dataclass
class Contact:
    """A person who writes to Stan; the status changes while they talk."""

    name: str
    status: ContactStatus = ContactStatus.NOT_REGISTERED
    company: str | None = None


@dataclass(frozen=True)
class Product:
    """Something that Stan sells."""

    name: str
    unit: str
    price: Decimal


@dataclass(frozen=True)
class Company:
    """What the public register knows of a company."""

    name: str
    status: ContactStatus


# Stands in for the public register of companies, which a real application would ask over the network.
REGISTER = {
    "11222333000181": Company("Padaria Aurora", ContactStatus.APPROVED),
    "11444777000161": Company("Doce Novo", ContactStatus.PENDING_REVIEW),
    "33444555000181": Company("Massas do Porto", ContactStatus.REJECTED),
}

PRODUCTS = (
    Product("Wheat flour type 1", "25 kg bag", Decimal("89.90")),
    Product("Dark chocolate 70 %", "5 kg block", Decimal("312.00")),
    Product("Dry yeast", "500 g pack", Decimal("21.50")),
)

_WEIGHTS = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)


def tax_id_digits(written: str) -> str | None:
    """Return the 14 digits of a Brazilian company tax id (CNPJ), or `None` where its check digits are wrong."""
    digits = "".join(char for char in written if char in "0123456789")
    if len(digits) != 14:
        return None
    expected = digits[:12]
    while len(expected) < 14:
        weights = _WEIGHTS[-len(expected) :]
        rest = sum(int(digit) * weight for digit, weight in zip(expected, weights, strict=True)) % 11
        expected += "0" if rest < 2 else str(11 - rest)
    return digits if digits == expected else None
