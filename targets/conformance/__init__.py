"""What every target must do: a suite that pytest runs over the registered targets, lehr's own and everybody else's.

    pytest --pyargs lehr.targets.conformance --lehr-target NAME

It needs pytest and hypothesis (the extra `test`); importing `lehr.targets` needs neither.
"""
