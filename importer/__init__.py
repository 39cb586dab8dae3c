"""Imports a Snowflake query as a versioned data asset of Azure Machine Learning."""

import os

# Arrow's own choice. Snowflake's connector would set the C library's, with which encoding takes 1.6 times as
# long here: it gives memory back to the system, and asks for it again, with every page of a file.
os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "mimalloc"

__version__ = "0.1.0"
