"""Reads a stack's settings: the only reader of Pulumi config."""

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping

import pulumi
from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from stacks.settings.altered import altered_values
from stacks.settings.explain import SettingsError, explain, problem
from stacks.settings.stack import PROJECT, Settings

#: How alike a namespace and the project's are, if one is a typo of the other: one letter of ten may differ.
_LIKENESS = 0.85


def load(config: Mapping[str, str] | None = None, secret_keys: frozenset[str] = frozenset()) -> Settings:
    """Return the stack's settings, from `config` (by default the running stack's, by full key).

    Raises SettingsError with a line for each setting that is missing, unknown or breaks its rule, or whose
    namespace is a typo of the project's.
    """
    if config is None:
        config = _stack_config()
        secret_keys = frozenset(key for key in config if pulumi.runtime.config.is_config_secret(key))
    own = {
        key.removeprefix(f"{PROJECT}:"): value
        for key, value in config.items()
        if key.startswith(f"{PROJECT}:")
    }
    problems = list(_misspelt_namespaces(config))
    parsed = {key: _parse(key, value) for key, value in own.items()}
    for path, rule, value in altered_values(parsed, []):
        is_secret = f"{PROJECT}:{path[0]}" in secret_keys
        problems.append(problem(PROJECT, path, rule, "(secret)" if is_secret else value))
    try:
        settings = Settings.model_validate(parsed)
    except ValidationError as error:
        problems += explain(error, PROJECT, pulumi.get_stack(), Settings, secret_keys)
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


def _misspelt_namespaces(config: Iterable[str]) -> Iterator[str]:
    """Yield a line for each key that Pulumi passes on unread, since its namespace is nearly the project's."""
    project = _letters(PROJECT)
    for key in config:
        namespace, _, name = key.partition(":")
        likeness = difflib.SequenceMatcher(None, _letters(namespace), project).ratio()
        if namespace != PROJECT and likeness >= _LIKENESS:
            yield f"{key}: no such namespace, so this sets nothing; did you mean {PROJECT}:{name}?"


def _letters(namespace: str) -> str:
    """Return a namespace without case and separators."""
    return re.sub(r"[\W_]", "", namespace).casefold()


def _stack_config() -> dict[str, str]:
    # pulumi.Config reads a key by name only; a typo shows up only where all the keys are seen.
    return {**pulumi.runtime.config.get_config_env(), **pulumi.runtime.config.CONFIG.get()}


def _parse(key: str, value: str) -> object:
    """Return the value of a top-level setting: structured values arrive as JSON, scalars as they are."""
    field = next((f for n, f in Settings.model_fields.items() if to_camel(n) == key), None)
    if field is None or field.annotation is str:
        return value
    try:
        return json.loads(value)
    except (json.JSONDecodeError, RecursionError):
        return value
