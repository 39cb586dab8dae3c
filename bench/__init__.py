"""The benchmarks."""

import importer  # noqa: F401 - which allocator Arrow has is settled before others are imported
