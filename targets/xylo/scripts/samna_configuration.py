"""Set what a file of lehr's says in a configuration of samna's.

configured(XyloConfiguration(), "configuration.json")
"""

import json
from pathlib import Path


def configured(configuration, file):
    """Set in an object of samna's what `file` says.

    The rest stays as samna has it, and what its version does not know is left out.
    """
    values = json.loads(Path(file).read_text("utf-8"))
    configuration.from_json(json.dumps(_over(json.loads(configuration.to_json()), values)))
    return configuration


def _over(old, new):
    if isinstance(old, dict) and isinstance(new, dict) and "dimensions" not in new:
        return {**old, **{name: _over(old.get(name), value) for name, value in new.items()}}
    return new
