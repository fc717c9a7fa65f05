"""Texts in Markdown, from templates."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def rendered(template: str, **facts: Any) -> str:
    """Fill in one of `templates/`; a fact that it lacks is an error of whoever calls."""
    environment = Environment(  # noqa: S701 - it writes Markdown, not HTML
        loader=PackageLoader("lehr.zoo"), undefined=StrictUndefined, keep_trailing_newline=True
    )
    return environment.get_template(template).render(**facts)
