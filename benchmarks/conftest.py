"""The modules of this folder are found by name, as they are when a script of it runs."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
