"""An example or more for each help page: commands in an order in which they can be given.

The tests run them all.
"""

from __future__ import annotations

from collections.abc import Mapping

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "": (
        "lehr models get digits",
        "lehr build digits/model.nir --target c \\",
        "    -i digits/samples.npz -o out",
        "lehr verify out",
        "lehr train digits -o run",
        "lehr export run -o model.nir",
        "lehr recipes samples digits -o in.npz",
        "lehr simulate model.nir -i in.npz",
        "lehr report run -o report.html",
    ),
    "demo": ("lehr demo", "lehr inspect lehr-demo/model.nir"),
    "train": (
        "lehr train digits --set train.epochs=5 -o run",
        "lehr train digits-reckon --target reckon \\",
        "    --set train.epochs=2 -o chip",
        "lehr train fashion-mnist-short --data data -o shirts",
        "lehr train digits --quick -o quick",
    ),
    "search": (
        "lehr search digits --space space.toml --trials 2 \\",
        "    --set train.epochs=1 -o study",
        "lehr report study",
    ),
    "export": (
        "lehr export run -o model.nir",
        "lehr export model.nir --for snntorch -o floats.nir",
        "lehr export mine.py:build -i spikes.npz -o mine.nir",
    ),
    "quantize": (
        "lehr quantize graph.nir --calibrate spikes.npz \\",
        "    --dt 1e-3 -o integer.nir",
    ),
    "convert": (
        "lehr convert ann.py:trained -i digits.npz \\",
        "    --full-scale 16 --steps 32 -o spiking.nir",
    ),
    "simulate": (
        "lehr simulate model.nir -i in.npz",
        "lehr simulate model.nir -i in.npz --trace all -o out.npz",
        "lehr simulate model.nir -i in.npz --workers 2",
        "lehr simulate model.nir -i in.npz --compare out.npz",
        "lehr simulate model.nir -i in.npz --device memristor.toml",
        "lehr simulate model.nir -i shards -o out.npz",
        "lehr simulate motion.nir -i motion.csv \\",
        "    --frames code=delta,threshold=0.5",
    ),
    "inspect": ("lehr inspect model.nir", "lehr inspect graph.nir --structure"),
    "widths": (
        "lehr widths model.nir",
        "lehr widths model.nir -i in.npz --risk 0.2 -o narrow.nir",
    ),
    "check": ("lehr check model.nir", "lehr check model.nir --target fpga"),
    "build": (
        "lehr build model.nir --target c -o out -i in.npz",
        "lehr build model.nir --target c -o board \\",
        "    --option device=nrf52840",
    ),
    "verify": ("lehr verify out", "lehr verify out -n 2"),
    "prove": ("lehr prove out", "lehr prove model.nir --only widths"),
    "report": (
        "lehr report out",
        "lehr report model.nir -i in.npz -o network.html",
        "lehr report run -o run.html --md",
    ),
    "models": ("lehr models list", "lehr models get digits"),
    "models list": ("lehr models list",),
    "models get": ("lehr models get digits-loihi -o zoo",),
    "conformance": ("lehr conformance -o golden",),
    "doctor": ("lehr doctor", "lehr doctor --json"),
    "recipes": ("lehr recipes list", "lehr recipes copy digits mine.toml"),
    "recipes list": ("lehr recipes list",),
    "recipes copy": ("lehr recipes copy digits mine.toml",),
    "recipes schema": (
        "lehr recipes schema",
        "lehr recipes schema -o recipe.schema.json",
    ),
    "recipes samples": (
        "lehr recipes samples digits -o in.npz",
        "lehr recipes samples fashion-mnist-short \\",
        "    --data data -o shirts.npz",
    ),
    "targets": ("lehr targets list", "lehr targets show c"),
    "targets list": ("lehr targets list",),
    "targets show": ("lehr targets show c",),
    "targets ops": ("lehr targets ops",),
}
"""Lines by the words of a command after `lehr`; a backslash at the end continues a line."""
