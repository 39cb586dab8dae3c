"""One stack: read its settings, build the platform or its imports alone, export what a person starts from."""

import pulumi

from stacks.imports_alone import ImportsAlone
from stacks.platform import Platform
from stacks.settings.explain import SettingsError
from stacks.settings.load import load


def build() -> Platform | ImportsAlone:
    """Return what the stack's settings ask for."""
    settings = load()
    if settings.existing is not None:
        return ImportsAlone(settings, settings.existing, pulumi.get_stack())
    return Platform(settings, pulumi.get_stack())


try:
    built = build()
except SettingsError as error:
    raise pulumi.RunError(str(error)) from None

for name, value in built.outputs.items():
    pulumi.export(name, value)
