"""Runs the program of the stack (`stacks/program.py`)."""

import gc

import pulumi

# Loading 2,000 modules leaves little garbage; searching them for it would take a quarter of the time.
gc.disable()
from stacks.program import declare  # noqa: E402

gc.freeze()
gc.enable()

pulumi.run(declare)
