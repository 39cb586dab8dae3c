"""What the fork server of `tests/importer_process.py` imports before it forks; the tests do not import it."""

import sys
from importlib import import_module
from pkgutil import walk_packages

import importer

# DuckDB, which looks at its import, shows its progress if the main module has no file, as in a notebook.
sys.modules["__main__"].__file__ = __file__

# each command imports what it needs when it runs
for _module in walk_packages(importer.__path__, "importer."):
    if _module.name != "importer.__main__":  # which each command runs
        import_module(_module.name)
