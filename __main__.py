"""The platform of one stack: read its settings, build it, export what a person starts from."""

import pulumi

from stacks import settings
from stacks.platform import Platform

try:
    platform = Platform(settings.load(), pulumi.get_stack())
except settings.SettingsError as error:
    raise pulumi.RunError(str(error)) from None

for name, value in platform.outputs.items():
    pulumi.export(name, value)
