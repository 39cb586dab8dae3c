"""The settings of Snowflake: how it is reached, and what it may reach."""

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from importer.spec.names import Identifier
from importer.spec.section import Section
from importer.spec.snowflake_target import DEFAULT_CONCURRENT_IMPORTS, ConcurrentImports, SignIn
from stacks.settings.explain import contradiction
from stacks.settings.types import HostPattern, ObjectId


def check_secret_name(name: str) -> str:
    """Return the name of a Key Vault secret.

    https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates
    """
    if not re.fullmatch(r"[0-9A-Za-z-]{1,127}", name):
        raise contradiction([], "must be the name of a secret (letters, digits and hyphens), not the secret")
    return name


#: An organisation and account, or an account locator with its region
#: (https://docs.snowflake.com/en/user-guide/admin-account-identifier).
SnowflakeAccount = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
#: Checked in our own words, as whoever takes it for the secret itself must not find that in an error.
SecretName = Annotated[str, AfterValidator(check_secret_name)]
#: https://datatracker.ietf.org/doc/html/rfc1123#section-2
HostName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9-]*\.)*[A-Za-z0-9-]+$")]
#: As `api://<application id>/.default`
#: (https://learn.microsoft.com/entra/identity-platform/scopes-oidc#the-default-scope).
Scope = Annotated[str, StringConstraints(pattern=r"^[^\s\"]+$")]
ClientId = Annotated[str, StringConstraints(pattern=r"^[^\s\"]+$")]
TokenUrl = Annotated[str, StringConstraints(pattern=r"^https://[^\s\"]+$")]
#: Snowflake's own subnets lie in its subscription.
SnowflakeSubnetId = Annotated[str, StringConstraints(pattern=r"^/subscriptions/[^/]+/.+/subnets/[^/]+$")]


class UnloadSettings(Section):
    """How Snowflake reaches the lake, where an import has the mode `unload`.

    A private endpoint of Snowflake's is no way: COPY INTO a URL does not take it, only a named stage does
    (https://docs.snowflake.com/en/user-guide/data-load-azure-private).
    """

    subnet_ids: list[SnowflakeSubnetId] = Field(
        default=[],
        description="Snowflake's subnets (`SELECT SYSTEM$GET_SNOWFLAKE_PLATFORM_INFO()`). The lake's public "
        "endpoint is on then, for these subnets alone.",
    )
    storage_integration: Identifier | None = Field(
        default=None,
        description="Storage integration that signs Snowflake in to the lake; where it is absent, each "
        "import hands over a signature that ends with it.",
    )
    integration_principal: ObjectId | None = Field(
        default=None,
        description="Object id of the integration's service principal in your tenant, which may then write "
        "raw data.",
    )

    @model_validator(mode="after")
    def _principal_is_an_integrations(self) -> Self:
        if self.integration_principal is not None and self.storage_integration is None:
            raise contradiction(["storageIntegration"], "required where integrationPrincipal is set")
        return self


class OAuthSettings(Section):
    """Where a token of external OAuth comes from, where `signIn` is `oauth`."""

    scope: Scope | None = Field(
        default=None,
        description="What the token is for: the scope of Snowflake's OAuth resource in your tenant, such as "
        "`api://<application id>/.default`.",
    )
    client_id: ClientId | None = Field(
        default=None,
        description="Client whose secret is in the vault (`snowflake.secretName`); where it is absent the "
        "token is of the importer's own identity, and there is no secret.",
    )
    token_url: TokenUrl | None = Field(
        default=None,
        description="Where the client gets its token, such as "
        "`https://login.microsoftonline.com/<tenant id>/oauth2/v2.0/token`.",
    )


class SnowflakeSettings(Section):
    """How the platform reaches Snowflake."""

    account: SnowflakeAccount = Field(description="Account identifier, such as `myorg-myaccount`.")
    warehouse: Identifier = Field(description="Warehouse that runs the imports.")
    role: Identifier = Field(description="Role of the importer; it needs SELECT on what the imports read.")
    host: HostName | None = Field(
        default=None,
        description="Host, where it is not `<account>.snowflakecomputing.com`: a private link, which jobs "
        "reach only where `workspace.managedNetwork` is `false`.",
    )
    concurrent_imports: ConcurrentImports = Field(
        default=DEFAULT_CONCURRENT_IMPORTS,
        description="How many imports at once ask the warehouse; others wait for their turn.",
    )
    stage_hosts: list[HostPattern] = Field(
        default=[],
        description="Hosts that large results come from, those of type STAGE in `SELECT SYSTEM$ALLOWLIST()`, "
        "where Snowflake runs on AWS; else jobs may reach every bucket of its region. On Azure a managed "
        "network can only let jobs reach all storage accounts, or none, where every import is an `unload`.",
    )
    sign_in: SignIn = Field(
        default=SignIn.WORKLOAD_IDENTITY,
        description="`workload_identity` stores no secret, nor does `oauth` without a client of its own; "
        "`key_pair` and `programmatic_token` read it from the platform's vault; `password` is for "
        "`endpoints: local`.",
    )
    user: Identifier | None = Field(
        default=None,
        description="User of the importer; with `workload_identity` and `oauth` Snowflake finds it itself.",
    )
    secret_name: SecretName | None = Field(
        default=None,
        description="Secret of the platform's vault: the private key in PEM, programmatic token or password "
        "of `user`, or the secret of `oauth.clientId`.",
    )
    oauth: OAuthSettings = Field(
        default=OAuthSettings(), description="Where a token comes from, where `signIn` is `oauth`."
    )
    allow_password: bool = Field(
        default=False,
        description="Takes `signIn: password` outside the stack `local`, with a warning: Snowflake refuses "
        "passwords of services, so it is for an account that still lets this one in.",
    )
    unload: UnloadSettings = Field(
        default=UnloadSettings(), description="How Snowflake reaches the lake, for the mode `unload`."
    )

    @model_validator(mode="after")
    def _sign_in_is_complete(self) -> Self:
        if self.sign_in is SignIn.OAUTH:
            self._check_oauth()
            return self
        if self.oauth != OAuthSettings():
            raise contradiction(["oauth"], f"must be absent where signIn is {self.sign_in}")
        if self.sign_in is SignIn.WORKLOAD_IDENTITY:
            if self.secret_name is not None:
                raise contradiction(["secretName"], "must be absent where signIn is workload_identity")
            return self
        for name, value in (("user", self.user), ("secretName", self.secret_name)):
            if value is None:
                raise contradiction([name], f"required where signIn is {self.sign_in}")
        return self

    def _check_oauth(self) -> None:
        """Raise a contradiction unless `oauth` is an identity's, or a client's with its secret."""
        if self.oauth.scope is None:
            raise contradiction(["oauth", "scope"], "required where signIn is oauth")
        has_client = self.oauth.client_id is not None
        for path, value in (
            (["secretName"], self.secret_name),
            (["oauth", "tokenUrl"], self.oauth.token_url),
        ):
            if has_client and value is None:
                raise contradiction([*path], "required where oauth.clientId is set")
            if not has_client and value is not None:
                raise contradiction([*path], "must be absent where oauth.clientId is")
