"""Networks whose updates are said in fields.

Files in float units, and networks with other fraction bits, are made of these alone.
"""

from __future__ import annotations

from lehr.errors import NotMappable
from lehr.network import Network
from lehr.update import Program


def require_fields(net: Network) -> None:
    """Refuse a network with layers whose updates are programs that no fields say.

    Raises:
        NotMappable: naming all of these layers.
    """
    own = [name for name, neuron in net.neurons.items() if isinstance(neuron.arithmetic, Program)]
    if own:
        raise NotMappable(
            f"{', '.join(own)}: updated by a program of its own, which no fields of Arithmetic say;"
            " use the file as it is, which says it exactly, or a network in fields"
        )
