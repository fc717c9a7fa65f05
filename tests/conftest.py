"""Fixtures that every folder of tests uses."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("lehr", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lehr")
