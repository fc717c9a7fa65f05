"""Nine cores with memories of their own, and which layer goes into which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

KI = 1024
KERNELS = tuple(k * KI for k in (16, 16, 16, 32, 32, 64, 64, 16, 16))
"""Entries of kernel memory of each core, a byte each.

Source: sinabs, `DynapcnnConfigBuilder.get_constraints`; samna's validator.
"""
NEURONS = tuple(k * KI for k in (64, 64, 64, 32, 32, 16, 16, 16, 16))
"""Entries of neuron memory of each core, 16 bits each. Source: as above."""


@dataclass(frozen=True)
class Need:
    """Entries of memory that a layer takes."""

    kernel: int
    neurons: int

    def fits(self, core: int) -> bool:
        """Return whether a core holds them."""
        return self.kernel <= KERNELS[core] and self.neurons <= NEURONS[core]


def placed(needs: Mapping[str, Need]) -> dict[str, int] | None:
    """Return a core for each layer, all different; None where there is no such placing.

    It is a maximum matching by augmenting paths. Any core sends to any other, so that memories
    alone decide. Layers come in their order, cores from the lowest: the same for the same needs.
    """
    holder: dict[int, str] = {}

    def augment(layer: str, tried: set[int]) -> bool:
        for core in range(len(KERNELS)):
            if core in tried or not needs[layer].fits(core):
                continue
            tried.add(core)
            if core not in holder or augment(holder[core], tried):
                holder[core] = layer
                return True
        return False

    if not all(augment(layer, set()) for layer in needs):
        return None
    at = {layer: core for core, layer in holder.items()}
    return {layer: at[layer] for layer in needs}


def table(needs: Mapping[str, Need]) -> str:
    """Return what each layer takes and which cores hold it, in one line."""
    entries = []
    for layer, need in needs.items():
        held = ", ".join(str(core) for core in range(len(KERNELS)) if need.fits(core))
        entries.append(
            f"{layer} {need.kernel:,} of kernels and {need.neurons:,} of neurons: "
            f"{f'core {held}' if held else 'none'}"
        )
    return "; ".join(entries)
