"""The conformance suite over lehr's own targets, and over others that are installed here."""

import pytest

from lehr.targets.conformance.test_contract import *  # noqa: F403
from lehr.targets.conformance.test_exact import *  # noqa: F403
from lehr.targets.registry import Entry, entries


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_every_registered_target_loads(entry: Entry) -> None:
    assert entry.target is not None, entry.reason
