"""Run network.json, which lies beside this file.

Samples [N][T][inputs] come from standard input, spikes and membranes go to standard output.
"""

import json
import pathlib
import sys

model = json.loads((pathlib.Path(__file__).parent / "network.json").read_text())
neurons = [layer for layer in model["layers"] if "threshold" in layer]
spikes: dict[str, list[list[list[int]]]] = {layer["name"]: [] for layer in neurons}
membranes: dict[str, list[list[list[int]]]] = {layer["name"]: [] for layer in neurons}

for sample in json.load(sys.stdin):
    v = {layer["name"]: [0] * len(layer["threshold"]) for layer in neurons}
    value = {
        layer["name"]: [0] * len(layer.get("weight", layer.get("threshold")))
        for layer in model["layers"]
    }
    for trace in (spikes, membranes):
        for steps in trace.values():
            steps.append([])
    for x in sample:
        before, value = value, {"input": x}
        for layer in model["layers"]:
            name = layer["name"]
            edges = [(before if late else value)[source] for source, late in layer["from"]]
            arriving = [sum(values) for values in zip(*edges, strict=True)]
            if "weight" in layer:
                value[name] = [
                    sum(w * a for w, a in zip(row, arriving, strict=True))
                    for row in layer["weight"]
                ]
                continue
            for i, threshold in enumerate(layer["threshold"]):
                product = v[name][i] * layer["k"]
                # rounded toward zero
                leaked = product >> layer["n"] if product >= 0 else -(-product >> layer["n"])
                given = (arriving[i] << layer["F"]) + layer["bias"][i]
                m = leaked + given - threshold * before[name][i]
                v[name][i] = min(max(m, layer["low"]), layer["high"])
            value[name] = [
                int(m > threshold) for m, threshold in zip(v[name], layer["threshold"], strict=True)
            ]
            spikes[name][-1].append(value[name])
            membranes[name][-1].append(list(v[name]))

json.dump({"spikes": spikes, "membranes": membranes}, sys.stdout)
