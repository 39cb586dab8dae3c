"""The settings of Snowflake: how the platform reaches it, and how it reaches the lake."""

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from importer.spec.names import Identifier
from importer.spec.section import Section
from importer.spec.snowflake_target import SignInFields, SnowflakeOptions, wrong_fields
from stacks.settings.explain import contradiction
from stacks.settings.types import HostPattern, ObjectId


def check_secret_name(name: str) -> str:
    """Return `name` if a Key Vault secret can have it; else raise a contradiction.

    https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates
    """
    if not re.fullmatch(r"[0-9A-Za-z-]{1,127}", name):
        raise contradiction([], "must be the name of a secret (letters, digits and hyphens), not the secret")
    return name


#: Checked by a function: a pattern's error would show the value, which may be the secret itself by mistake.
SecretName = Annotated[str, AfterValidator(check_secret_name)]
#: https://datatracker.ietf.org/doc/html/rfc1123#section-2
HostName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9-]*\.)*[A-Za-z0-9-]+$")]
#: As `api://<application id>/.default`
#: (https://learn.microsoft.com/entra/identity-platform/scopes-oidc#the-default-scope).
Scope = Annotated[str, StringConstraints(pattern=r"^[^\s\"]+$")]
ClientId = Annotated[str, StringConstraints(pattern=r"^[^\s\"]+$")]
TokenUrl = Annotated[str, StringConstraints(pattern=r"^https://[^\s\"]+$")]
#: Snowflake's subnets are in Snowflake's own subscription.
SnowflakeSubnetId = Annotated[str, StringConstraints(pattern=r"^/subscriptions/[^/]+/.+/subnets/[^/]+$")]


#: Where the settings have each field that a sign-in method may need.
_SIGN_IN_PATHS = SignInFields(
    user=("user",),
    oauth_scope=("oauth", "scope"),
    oauth_client_id=("oauth", "clientId"),
    secret=("secretName",),
    oauth_token_url=("oauth", "tokenUrl"),
)


class UnloadSettings(Section):
    """How Snowflake's warehouse reaches the lake, for imports in mode `unload`.

    A private endpoint of Snowflake does not help: COPY INTO uses it for a named stage only, not for a URL
    (https://docs.snowflake.com/en/user-guide/data-load-azure-private).
    """

    subnet_ids: list[SnowflakeSubnetId] = Field(
        default=[],
        description="Snowflake's subnets: `SELECT SYSTEM$GET_SNOWFLAKE_PLATFORM_INFO()` lists them. With "
        "any, the lake's public endpoint is on, for these subnets alone.",
    )
    storage_integration: Identifier | None = Field(
        default=None,
        description="Storage integration with which Snowflake signs in to the lake. Without one, each "
        "import gives Snowflake a signature that is valid for that import only.",
    )
    integration_principal: ObjectId | None = Field(
        default=None,
        description="Object id of the integration's service principal in your tenant; it gets permission to "
        "write raw data.",
    )

    @model_validator(mode="after")
    def _principal_is_an_integrations(self) -> Self:
        if self.integration_principal is not None and self.storage_integration is None:
            raise contradiction(["storageIntegration"], "required if integrationPrincipal is set")
        return self


class OAuthSettings(Section):
    """Where a token of external OAuth comes from, if `signIn` is `oauth`.

    The importer gets each field with `oauth_` before its name.
    """

    scope: Scope | None = Field(
        default=None,
        description="Scope of the token: the scope of Snowflake's OAuth resource in your tenant, such as "
        "`api://<application id>/.default`.",
    )
    client_id: ClientId | None = Field(
        default=None,
        description="Client that gets the token; its secret is in the vault (`snowflake.secretName`). "
        "Without a client, the importer's own identity gets the token, and there is no secret.",
    )
    token_url: TokenUrl | None = Field(
        default=None,
        description="URL at which the client gets its token, such as "
        "`https://login.microsoftonline.com/<tenant id>/oauth2/v2.0/token`.",
    )


class SnowflakeSettings(SnowflakeOptions, Section):
    """How the platform reaches Snowflake: the options that the importer gets, and what they lead to."""

    host: HostName | None = Field(
        default=None,
        description="Host, if it is not `<account>.snowflakecomputing.com`: that of a private link, for "
        "example, which jobs reach only if `workspace.managedNetwork` is `false`.",
    )
    stage_hosts: list[HostPattern] = Field(
        default=[],
        description="Hosts that large results come from, if Snowflake runs on AWS: those of type STAGE in "
        "`SELECT SYSTEM$ALLOWLIST()`. Without them, jobs may reach every bucket of its region. If Snowflake "
        "runs on Azure, a managed network lets jobs reach all storage accounts, or none if every import has "
        "the mode `unload`.",
    )
    secret_name: SecretName | None = Field(
        default=None,
        description="Name of a secret in the platform's vault: the private key (PEM), programmatic token or "
        "password of `user`, or the secret of `oauth.clientId`.",
    )
    oauth: OAuthSettings = Field(
        default=OAuthSettings(), description="Where a token comes from, if `signIn` is `oauth`."
    )
    allow_password: bool = Field(
        default=False,
        description="Allows `signIn: password` outside the stack `local`, with a warning: Snowflake is "
        "ending passwords for services, so this is for an account that still accepts them.",
    )
    unload: UnloadSettings = Field(
        default=UnloadSettings(), description="How Snowflake reaches the lake, for the mode `unload`."
    )

    @model_validator(mode="after")
    def _sign_in_has_what_it_needs(self) -> Self:
        given = SignInFields(
            user=self.user,
            oauth_scope=self.oauth.scope,
            oauth_client_id=self.oauth.client_id,
            secret=self.secret_name,
            oauth_token_url=self.oauth.token_url,
        )
        wrong = next(wrong_fields(self.sign_in, given), None)
        if wrong is None:
            return self
        path = getattr(_SIGN_IN_PATHS, wrong.field)
        rule = "required" if wrong.is_missing else "must be absent"
        if not wrong.by_client:
            raise contradiction([*path], f"{rule} if signIn is {self.sign_in}")
        raise contradiction([*path], f"{rule} if oauth.clientId is {'set' if wrong.is_missing else 'absent'}")
