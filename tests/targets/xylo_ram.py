"""Write images of a configuration's memories with the vendor's writer.

python xylo_ram.py IN.npz OUT.npz configuration.json SCRIPTS
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, sys.argv[4])
from xylosim.tools import save_to_RAM_files_V2
from xylosim_run import layer_of

layer, kept = layer_of(json.loads(Path(sys.argv[3]).read_text("utf-8"))["value0"])
with np.load(sys.argv[1]) as arrays:
    x = arrays["x"]
layer.evolve(x.tolist())
with tempfile.TemporaryDirectory() as folder:
    save_to_RAM_files_V2(folder, layer, x, 1e-3)
    images = {
        path.name: np.frombuffer(path.read_bytes(), np.uint8)
        for path in Path(folder).glob("*")
        if path.is_file()
    }
np.savez(sys.argv[2], **images)
