"""Draw the picture of the README: the line from recipe to chip, with the figures of a demo.

lehr demo && python benchmarks/picture.py lehr-demo > docs/line.svg
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from jinja2 import Environment

WIDTH, HEIGHT, GAP = 168, 104, 28
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.name { font-weight: 600; font-size: 15px; }
.figure { font-weight: 600; }
.below { fill: #59636e; }
.box { fill: #f6f8fa; stroke: #818b98; }
.last { fill: #dafbe1; stroke: #1a7f37; }
.arrow { stroke: #818b98; stroke-width: 1.5; fill: none; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; }
  .below { fill: #9198a1; }
  .box { fill: #151b23; stroke: #656c76; }
  .last { fill: #12261e; stroke: #3fb950; }
}
""".strip()
PICTURE = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {{ width }} {{ height }}" role="img"
     aria-labelledby="title">
<title id="title">{{ title }}</title>
<style>
{{ style }}
</style>
{% for station in stations -%}
<g transform="translate({{ station.x }} 1)">
<rect class="{{ 'last' if loop.last else 'box' }}" width="{{ box }}" height="{{ tall }}" rx="8"/>
<text class="name" x="12" y="26">{{ station.name }}</text>
{% for line in station.lines -%}
<text class="{{ line.kind }}" x="12" y="{{ 48 + 20 * loop.index0 }}">{{ line.text }}</text>
{% endfor -%}
{% if not loop.last -%}
<path class="arrow" d="M {{ box + 4 }} {{ tall // 2 }} h 18 m -6 -5 l 6 5 l -6 5"/>
{% endif -%}
</g>
{% endfor -%}
</svg>
"""


def picture(summary: dict[str, Any]) -> str:
    """Draw the line of a demo.

    Args:
        summary: what `lehr demo` writes to `summary.json`.

    Returns:
        The text of an SVG image.
    """
    share = {name: f"{100 * value:.2f} %" for name, value in summary["accuracy"].items()}
    pairs = summary["compared_with_reference"]
    values = {pair["values"] for pair in pairs.values()}
    differ = sum(pair["membranes_differ"] + pair["spikes_differ"] for pair in pairs.values())
    if len(values) != 1 or differ:
        raise ValueError("a demo in which something differs is no picture of lehr")
    tools = " and ".join(title for title in pairs if title in share)
    stations = (
        (
            "train",
            f"float {share['float weights']}",
            f"annealed {share['annealed and binarized']}",
            "+-1 weights",
        ),
        ("export", f"integer {share['integer']}", "NIR with integer", "thresholds"),
        (
            "simulate",
            f"reference {share['reference simulator']}",
            "every spike, every",
            "membrane, bit-exact",
        ),
        ("build", "C, ONNX, Verilog", "Xylo, Speck, Loihi,", "ReckOn and others"),
        ("verify", f"0 of {values.pop():,}", "membranes differ", f"({tools})"),
    )
    drawn = [
        {
            "x": 1 + index * (WIDTH + GAP),
            "name": name,
            "lines": [
                {"text": line, "kind": "below" if _is_word(line) else "figure"} for line in lines
            ],
        }
        for index, (name, *lines) in enumerate(stations)
    ]
    spoken = ", ".join(f"{name}: {'; '.join(lines)}" for name, *lines in stations)
    environment = Environment(autoescape=True, keep_trailing_newline=True)
    return environment.from_string(PICTURE).render(
        stations=drawn,
        style=STYLE,
        title=f"The line from recipe to chip, on handwritten digits. {spoken}",
        box=WIDTH,
        tall=HEIGHT,
        width=len(stations) * (WIDTH + GAP) - GAP + 2,
        height=HEIGHT + 2,
    )


def _is_word(line: str) -> bool:
    return not any(character.isdigit() for character in line) or line.startswith("+-")


def main(folder: Annotated[Path, typer.Argument(help="What `lehr demo` wrote.")]) -> None:
    """Print the picture of a demo."""
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    typer.echo(picture(summary), nl=False)


if __name__ == "__main__":
    typer.run(main)
