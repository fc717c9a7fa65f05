"""Validate a configuration in samna 0.7.1.

    python samna_check.py IN.npz OUT.npz configuration.json

That version knows the first core of the family, as `pollen`: all of the second's configuration but
the biases.
"""

import sys
from pathlib import Path

import numpy as np
import samna
from samna.pollen.configuration import PollenConfiguration

sys.path.insert(0, str(Path(__file__).parent))
from samna_configuration import configured

configuration = configured(PollenConfiguration(), sys.argv[3])
valid, message = samna.pollen.validate_configuration(configuration)
if not valid:
    sys.exit(f"configuration is not valid: {message}")
again = PollenConfiguration()
again.from_json(configuration.to_json())
if again.to_json() != configuration.to_json():
    sys.exit("configuration is another after a round through JSON")
events = samna.pollen.pollen_configuration_to_event(configuration)
memory = [event for event in events if type(event).__name__ == "WriteMemoryValue"]
np.savez(
    sys.argv[2],
    address=np.array([event.address for event in memory], np.int64),
    value=np.array([event.data for event in memory], np.int64),
    registers=np.int64(len(events) - len(memory)),
)
