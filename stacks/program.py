"""The program of a stack: reads the settings, and builds the platform or the imports alone."""

import asyncio
import os
from collections.abc import Mapping

import pulumi

from stacks.azure_aliases import without_api_versions
from stacks.deployer import warn_of_a_person
from stacks.imports_alone import ImportsAlone
from stacks.platform import Platform
from stacks.settings.deployment import check_deployment, deployment_time
from stacks.settings.explain import SettingsError
from stacks.settings.load import load


async def declare() -> Mapping[str, pulumi.Input[object]]:
    """Declare every resource of the stack; return the outputs that a person or a script starts from.

    An error in the settings is shown without a traceback.
    """
    pulumi.runtime.register_stack_transformation(without_api_versions)
    try:
        outputs = _build().outputs
    except SettingsError as error:
        raise pulumi.RunError(str(error)) from None
    # Let the registrations start: Pulumi then waits for them one by one. Otherwise it would wait for all
    # Outputs together, and look at all of them again whenever one is known.
    await asyncio.sleep(0)
    return outputs


def _build() -> Platform | ImportsAlone:
    """Return what the stack's settings ask for."""
    settings, stack = load(), pulumi.get_stack()
    for line in check_deployment(settings, stack, os.environ):
        pulumi.log.warn(f"{line} (pulumi up refuses it)")
    warn_of_a_person(settings)
    now = deployment_time(os.environ)
    if settings.existing is not None:
        return ImportsAlone(settings, settings.existing, stack, now)
    return Platform(settings, stack, now)
