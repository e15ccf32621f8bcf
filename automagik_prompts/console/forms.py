"""What a form has sent: names and texts, lines ending as the library has them."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, Request
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from automagik_prompts.api.problems import ProblemError

MAX_FIELDS = 1000
"""Fields of a form, at most."""


class Form:
    """The fields of a form.

    Args:
        fields: Each field's name and text, in their order.
    """

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        self.fields = fields

    def text(self, name: str, default: str = "") -> str:
        """Return what stands in a field; of several of one name the last."""
        return next((value for known, value in reversed(self.fields) if known == name), default)

    def number(self, name: str) -> int | None:
        """Return the number in a field; `None` where it is empty.

        Raises:
            ProblemError: It holds no number.
        """
        given = self.text(name).strip()
        if not given:
            return None
        if not (given.isascii() and given.isdigit() and len(given) < 11):
            raise ProblemError(422, "invalid-request", f"The field {name} takes a number, not {given:.40}.")
        return int(given)

    def optional(self, name: str) -> str | None:
        """Return what stands in a field without the space around it; `None` where there is nothing."""
        return self.text(name).strip() or None

    def __contains__(self, name: str) -> bool:
        return any(known == name for known, _ in self.fields)

    def under(self, prefix: str) -> dict[str, str]:
        """Return the fields whose names begin so, by the rest of the name."""
        return {name.removeprefix(prefix): value for name, value in self.fields if name.startswith(prefix)}


async def read_form(request: Request) -> Form:
    """Return what a form has sent.

    Raises:
        ProblemError: It is no form, or none that a page of the console sends.
    """
    request.state.form = None  # it is being read, which can be done once
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        body = await request.body()
    except ClientDisconnect:
        raise ProblemError(422, "invalid-request", "The form was not sent whole.") from None
    if body and kind != "application/x-www-form-urlencoded":
        raise ProblemError(415, "invalid-request", "A page of the console sends its forms in another way.")
    try:
        found = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=MAX_FIELDS
        )
    except ValueError:
        raise ProblemError(422, "invalid-request", "The form is no text in UTF-8, or has too many fields.") from None
    # Browsers send each line's end as CR LF, whatever was typed or pasted.
    request.state.form = form = Form([(name, value.replace("\r\n", "\n")) for name, value in found])
    return form


async def form_of(request: Request) -> Form | None:
    """Return the form of a request that cannot be done, read or not yet; `None` where it has none that can be read.

    Args:
        request: The request.
    """
    if request.method != "POST":
        return None
    try:
        found: Form | None = request.state.form if hasattr(request.state, "form") else await read_form(request)
    except (ProblemError, HTTPException, ClientDisconnect):
        return None
    return found


Sent = Annotated[Form, Depends(read_form)]
