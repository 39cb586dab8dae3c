"""Reads the YAML that `az ml data import`, `az ml schedule` and `az ml connection` take or print.

A file may contain a secret, so no message quotes it.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from importer.commands.migrate.documents import (
    Connection,
    DataImport,
    Document,
    Found,
    ImportSchedule,
    Inventory,
    Refusal,
)

Kind = TypeVar("Kind", bound=BaseModel)

_UNKNOWN = "not a data import, import schedule or connection"


class _UnreadableError(Exception):
    """Why a document cannot be migrated."""


class _BrokenError(_UnreadableError):
    """Why a file or document cannot be read until its owner fixes it."""


def read_files(paths: Iterable[Path]) -> Inventory:
    """Return the documents of the files, and a refusal for each that cannot be migrated."""
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
    """Yield the documents of a file: one or several, or the items of a list that `az ml … list` printed."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise _BrokenError("not UTF-8 text") from None
    except OSError as error:
        raise _BrokenError(f"cannot be read: {error.strerror}") from None
    try:
        for document in yaml.safe_load_all(text):
            yield from document if isinstance(document, list) else [document]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise _BrokenError(f"invalid YAML{place}") from None
    except (yaml.YAMLError, ValueError, RecursionError):  # an invalid date is a ValueError
        raise _BrokenError("invalid YAML") from None


def _parse(content: object, folder: Path) -> Document:
    """Return the document of one of the three kinds; the files that it names are relative to `folder`."""
    if not isinstance(content, dict):
        raise _UnreadableError(_UNKNOWN)
    if "import_data" in content:
        return _validate(ImportSchedule, {**content, "import_data": _action(content["import_data"], folder)})
    if _is_import_source(content.get("source")):
        return _validate(DataImport, content)
    if "target" in content and "type" in content:
        return _validate(Connection, content)
    if "trigger" in content:
        raise _UnreadableError("a schedule, but not of an import")
    raise _UnreadableError(_UNKNOWN)


def _is_import_source(source: object) -> bool:
    # feature sets and data indexes have a `source` too
    return isinstance(source, dict) and ("connection" in source or source.get("type") == "database")


def _action(action: object, folder: Path) -> object:
    """Return the data import of a schedule, which may be in another file."""
    if not isinstance(action, str):
        return action
    if action.startswith("azureml:"):
        raise _BrokenError("import_data refers to the workspace: migrate with --workspace")
    name = action.removeprefix("file:")
    try:
        documents = list(_documents(folder / name))
    except _BrokenError as error:
        raise _BrokenError(f"import_data: {name}: {error}") from None
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise _BrokenError(f"import_data: {name}: not a data import")
    return documents[0]


def _validate(kind: type[Kind], content: dict[object, object]) -> Kind:
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise _BrokenError(first_problem(error)) from None


def first_problem(error: ValidationError) -> str:
    """Return the first field that is wrong and why, without its value."""
    first = error.errors(include_input=False)[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
