"""Who deploys: a person, or a service principal such as a pipeline's."""

import base64
import json
import os
from collections.abc import Mapping

import pulumi
from pulumi_azure_native import authorization

from stacks.settings.deployment import OFFLINE_VARIABLE
from stacks.settings.stack import Endpoints, Settings


def warn_of_a_person(settings: Settings) -> None:
    """Warn in a preview of schedules if a person is signed in to Azure.

    Azure ML runs a schedule for as long as its author may submit jobs: it stops when a person leaves or loses
    the role. `pulumi up` does not repeat the warning.
    """
    if not settings.imports or not _asks_azure(settings, os.environ):
        return
    if is_person(authorization.get_client_token().token):
        pulumi.log.warn(
            "you are signed in to Azure as a person: a schedule that you create or change stops when you "
            "lose your role in the workspace. Run pulumi up in the pipeline, as a service principal"
        )


def _asks_azure(settings: Settings, environment: Mapping[str, str]) -> bool:
    """Whether this is a preview with credentials for Azure, which has a sign-in to look at."""
    is_azure = settings.endpoints is Endpoints.PUBLIC and not environment.get(OFFLINE_VARIABLE)
    return is_azure and pulumi.runtime.is_dry_run()


def is_person(token: str) -> bool:
    """Whether an access token of Azure Resource Manager is a person's, by its claim `idtyp`.

    Entra ID sets the claim to `app` in the tokens of applications and managed identities
    (https://learn.microsoft.com/entra/identity-platform/optional-claims-reference).
    """
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return bool(claims.get("idtyp") != "app")
