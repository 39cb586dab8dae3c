"""The settings of Snowflake: how it is reached, and what it may reach."""

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from importer.spec import SignIn
from stacks.explain import contradiction
from stacks.section import ObjectId, Section


def check_secret_name(name: str) -> str:
    """Return the name of a Key Vault secret.

    https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates
    """
    if not re.fullmatch(r"[0-9A-Za-z-]{1,127}", name):
        raise contradiction([], "must be the name of a secret (letters, digits and hyphens), not the secret")
    return name


Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_$]*$")]
#: An organisation and account, or an account locator with its region
#: (https://docs.snowflake.com/en/user-guide/admin-account-identifier).
SnowflakeAccount = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
#: Checked in our own words, as whoever takes it for the secret itself must not find that in an error.
SecretName = Annotated[str, AfterValidator(check_secret_name)]
#: https://datatracker.ietf.org/doc/html/rfc1123#section-2
HostName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9-]*\.)*[A-Za-z0-9-]+$")]
#: A host, or all below a domain, as the managed network's rules take it.
HostPattern = Annotated[
    str, StringConstraints(pattern=r"^(\*\.)?[A-Za-z0-9]([A-Za-z0-9-]*\.)+[A-Za-z0-9-]+$")
]
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
    stage_hosts: list[HostPattern] = Field(
        default=[],
        description="Hosts that large results come from, those of type STAGE in `SELECT SYSTEM$ALLOWLIST()`, "
        "where Snowflake runs on AWS; else jobs may reach every bucket of its region. On Azure a managed "
        "network can only let jobs reach all storage accounts, or none, where every import is an `unload`.",
    )
    sign_in: SignIn = Field(
        default=SignIn.WORKLOAD_IDENTITY,
        description="`workload_identity` stores no secret; `key_pair` reads a key from the platform's vault; "
        "`password` only where `endpoints` is `local`.",
    )
    user: Identifier | None = Field(
        default=None, description="User of the importer; with `workload_identity` Snowflake finds it itself."
    )
    secret_name: SecretName | None = Field(
        default=None, description="Secret of the platform's vault that holds the key or password of `user`."
    )
    unload: UnloadSettings = Field(
        default=UnloadSettings(), description="How Snowflake reaches the lake, for the mode `unload`."
    )

    @model_validator(mode="after")
    def _sign_in_is_complete(self) -> Self:
        if self.sign_in is SignIn.WORKLOAD_IDENTITY:
            if self.secret_name is not None:
                raise contradiction(["secretName"], "must be absent where signIn is workload_identity")
            return self
        for name, value in (("user", self.user), ("secretName", self.secret_name)):
            if value is None:
                raise contradiction([name], f"required where signIn is {self.sign_in}")
        return self
