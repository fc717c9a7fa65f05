"""Compile the simulator's kernels into a wheel; everything else stands in pyproject.toml.

`LEHR_KERNELS=0` leaves them out, as an editable installation does: numba, which `lehr[train]`
brings, compiles them then where they run.
"""

import os
import subprocess
import sys

from setuptools import setup
from setuptools.command.build_py import build_py


class WithKernels(build_py):
    """Write the archive of kernels beside the engine that reads it."""

    def run(self) -> None:
        """Copy the packages, then compile what stands in the copy."""
        super().run()
        if self.editable_mode or os.environ.get("LEHR_KERNELS") == "0":
            return
        archive = "lehr/simulate/fast/kernels.zip"
        command = [sys.executable, "-B", "-m", "lehr.simulate.fast.shipping", archive]
        subprocess.run(command, check=True, cwd=self.build_lib)


setup(cmdclass={"build_py": WithKernels})
