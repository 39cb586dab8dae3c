"""One stack: read its settings, build the platform or its imports alone, export what a person starts from."""

import pulumi

from stacks.imports_alone import ImportsAlone
from stacks.platform import Platform
from stacks.settings import stack as settings


def build() -> Platform | ImportsAlone:
    """Return what the stack's settings ask for."""
    stack = settings.load()
    if stack.existing is not None:
        return ImportsAlone(stack, stack.existing, pulumi.get_stack())
    return Platform(stack, pulumi.get_stack())


try:
    built = build()
except settings.SettingsError as error:
    raise pulumi.RunError(str(error)) from None

for name, value in built.outputs.items():
    pulumi.export(name, value)
