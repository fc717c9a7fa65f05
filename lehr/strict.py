"""The common base of tables that users write: of recipes, and of the descriptions of devices."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Field

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]

LIST = Field(strict=False)
"""Of a tuple that is written as a list; what is in it is as strict as elsewhere."""

WORD, TABLE = "(word)", "(table)"
"""Tags of a key that is either a word or a table; no key is called so."""


def _form(value: Any) -> str:
    return TABLE if isinstance(value, dict | BaseModel) else WORD


WORD_OR_TABLE = Discriminator(_form)
"""Of a union of `Annotated[..., Tag(WORD)]` and `Annotated[..., Tag(TABLE)]`.

A wrong value has one mistake then, that of the form it is in.
"""


class Strict(BaseModel):
    """A table: no other keys, no values of another type, and no change after it is read.

    A field that is a tuple is annotated with LIST as well, since files have lists.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)
