"""`python -m bench.imports_alone FILE plain|frozen`: imports the modules in FILE, and prints the CPU seconds.

`plain` imports as Python does, `frozen` as `__main__.py` does, without garbage collection.
"""

import gc
import importlib
import json
import resource
import sys
from contextlib import suppress
from pathlib import Path

#: Modules of the process that listed the others.
OWN = ("__main__", "sitecustomize")


def main() -> None:
    """Import the modules, and print what it took."""
    file, way = sys.argv[1:]
    if way == "frozen":
        gc.disable()
    importlib.import_module("stacks.program")
    # the rest is loaded when a component first needs it
    for module in json.loads(Path(file).read_text())["modules"]:
        if module not in OWN:
            with suppress(ImportError):  # the name of a part that its package puts into sys.modules itself
                importlib.import_module(module)
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(used.ru_utime + used.ru_stime)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
