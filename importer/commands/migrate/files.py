"""Reading the YAML that `az ml data import`, `az ml schedule` and `az ml connection` take or print.

What a file has besides may be a secret, so no message quotes a file.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from importer.commands.migrate.documents import (
    Connection,
    DataImport,
    Found,
    ImportSchedule,
    Inventory,
    Refusal,
)

Kind = TypeVar("Kind", bound=BaseModel)


class _UnreadableError(Exception):
    """A file or document that cannot be read: why not."""


class _BrokenError(_UnreadableError):
    """One that its owner has to mend."""


def read_files(paths: Iterable[Path]) -> Inventory:
    """Return the documents of the files, and of each that is none of ours a refusal."""
    inventory = Inventory([], [])
    for path in paths:
        try:
            documents = list(_documents(path))
        except _BrokenError as error:
            inventory.refused.append(Refusal(str(path), str(error), is_broken=True))
            continue
        for place, content in enumerate(documents, 1):
            where = str(path) if len(documents) == 1 else f"{path} (document {place})"
            try:
                inventory.found.append(Found(where, _parse(content, path.parent)))
            except _UnreadableError as error:
                inventory.refused.append(Refusal(where, str(error), isinstance(error, _BrokenError)))
    return inventory


def _documents(path: Path) -> Iterator[object]:
    """Yield what a file has: one document or several, or the list that `az ml … list` prints."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise _BrokenError("no text in UTF-8") from None
    except OSError as error:
        raise _BrokenError(f"cannot be read: {error.strerror}") from None
    try:
        for document in yaml.safe_load_all(text):
            yield from document if isinstance(document, list) else [document]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise _BrokenError(f"no YAML{place}") from None
    except (yaml.YAMLError, ValueError, RecursionError):  # a date that does not exist is a ValueError
        raise _BrokenError("no YAML") from None


def _parse(content: object, folder: Path) -> DataImport | ImportSchedule | Connection:
    """Return the document of one of the three kinds; `folder` is where the files that it names are."""
    if not isinstance(content, dict):
        raise _UnreadableError("neither a data import, an import schedule nor a connection")
    if "import_data" in content:
        return _validate(ImportSchedule, {**content, "import_data": _action(content["import_data"], folder)})
    if _is_import_source(content.get("source")):
        return _validate(DataImport, content)
    if "target" in content and "type" in content:
        return _validate(Connection, content)
    if "trigger" in content:
        raise _UnreadableError("a schedule of something else than an import")
    raise _UnreadableError("neither a data import, an import schedule nor a connection")


def _is_import_source(source: object) -> bool:
    # feature sets and data indexes have a `source` too
    return isinstance(source, dict) and ("connection" in source or source.get("type") == "database")


def _action(action: object, folder: Path) -> object:
    """Return the data import of a schedule, which may be in a file of its own."""
    if not isinstance(action, str):
        return action
    if action.startswith("azureml:"):
        raise _BrokenError("import_data names something in the workspace: migrate with --workspace")
    name = action.removeprefix("file:")
    try:
        documents = list(_documents(folder / name))
    except _BrokenError as error:
        raise _BrokenError(f"import_data: {name}: {error}") from None
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise _BrokenError(f"import_data: {name}: no data import")
    return documents[0]


def _validate(kind: type[Kind], content: dict[object, object]) -> Kind:
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise _BrokenError(first_problem(error)) from None


def first_problem(error: ValidationError) -> str:
    """Return which field is wrong and why, without its value."""
    first = error.errors(include_input=False)[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
