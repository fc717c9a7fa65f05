"""Contradictions of a recipe's delays: what they need time for and do not have."""

from __future__ import annotations

from collections.abc import Iterator

from lehr.train.keys.delay import DelayRecipe
from lehr.train.keys.graph import FROM_INPUT
from lehr.train.keys.network import NetworkRecipe


def delay_contradictions(net: NetworkRecipe, data_steps: int | None) -> Iterator[str]:
    """Say what is wrong with the delays of layers, in sentences.

    Args:
        net: with the layers.
        data_steps: of the data; None where a sample is held for all steps.
    """
    graph = net.graph
    for place, sources, layer in zip(graph.places, graph.sources, net.weighted, strict=True):
        if layer.delay is not None:
            held = FROM_INPUT in sources and data_steps is None
            key = f"network.layers.{place}.delay"
            yield from _of_delay(key, layer.delay, held, net.steps, data_steps)


def _of_delay(
    key: str, delay: DelayRecipe, held: bool, steps: int, data_steps: int | None
) -> Iterator[str]:
    if not delay.learn:
        for name in ("lr", "until"):
            if (value := getattr(delay, name)) is not None:
                yield (
                    f"{key}.{name} is {value:g}, but {key}.learn is false, and delays that do "
                    "not learn stay as they are drawn; leave one out"
                )
    if held:
        yield (
            f"{key}.max is {delay.max}, but the input is held for all steps (data.steps is "
            "not given), and is the same at any time; leave 'delay' out, or encode the input "
            "with data.encoding and data.steps"
        )
    for name, most in (("network.steps", steps), ("data.steps", data_steps)):
        if most is not None and delay.max >= most:
            yield (
                f"{key}.max is {delay.max}, but {name} is {most}, after which nothing "
                f"arrives; use at most {most - 1}"
            )
            break
