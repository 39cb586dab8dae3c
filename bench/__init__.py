"""Benchmarks of imports and curation."""

import importer  # noqa: F401 - it sets Arrow's allocator, before other imports
