"""Suite of what every target must do, run by pytest over the registered targets of everybody.

    pytest --pyargs lehr.targets.conformance --lehr-target NAME

It needs pytest and hypothesis (the extra `test`); importing `lehr.targets` needs neither.
"""
