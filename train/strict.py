"""The common base of a recipe's tables."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1)]


class Strict(BaseModel):
    """A table of a recipe: no other keys, and no change after it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
