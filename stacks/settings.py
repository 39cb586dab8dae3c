"""Every setting of a stack: its type, default, rule and meaning. The only reader of Pulumi config."""

import json
import os
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Self

import pulumi
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from importer.schedule import check_cron, windows_time_zone
from importer.spec import (
    DEFAULT_KEEP_VERSIONS,
    DEFAULT_MODE,
    AssetName,
    KeepVersions,
    Mode,
    Query,
    SignIn,
    SnowflakeTarget,
)
from stacks.explain import contradiction, explain

PROJECT = "ai-platform"


def check_secret_name(name: str) -> str:
    """Return the name of a Key Vault secret.

    https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates
    """
    if not re.fullmatch(r"[0-9A-Za-z-]{1,127}", name):
        raise contradiction([], "must be the name of a secret (letters, digits and hyphens), not the secret")
    return name


#: 2 to 11 characters: with the 5 of the longest component's and 8 random ones it fits the 24 of a storage
#: account or vault (https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules).
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{1,10}$")]
Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_$]*$")]
#: An organisation and account, or an account locator with its region
#: (https://docs.snowflake.com/en/user-guide/admin-account-identifier).
SnowflakeAccount = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
#: Checked in our own words, as whoever takes it for the secret itself must not find that in an error.
SecretName = Annotated[str, AfterValidator(check_secret_name)]
#: https://datatracker.ietf.org/doc/html/rfc1123#section-2
HostName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9-]*\.)*[A-Za-z0-9-]+$")]
#: https://learn.microsoft.com/azure/virtual-machines/vm-naming-conventions
NodeSize = Annotated[str, StringConstraints(pattern=r"^Standard_[A-Za-z0-9_]+$")]
ObjectId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
#: An image is named by digest, so that the same settings always run the same code.
Image = Annotated[str, StringConstraints(pattern=r"^[^\s@]+@sha256:[0-9a-f]{64}$")]


class Endpoints(StrEnum):
    """Where Azure and Snowflake answer."""

    PUBLIC = "public"
    LOCAL = "local"


class SettingsError(Exception):
    """A setting that cannot be used: one line each, naming the setting's path, the rule and the value."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=False)


class SnowflakeSettings(_Section):
    """How the platform reaches Snowflake."""

    account: SnowflakeAccount = Field(description="Account identifier, such as `myorg-myaccount`.")
    warehouse: Identifier = Field(description="Warehouse that runs the imports.")
    role: Identifier = Field(description="Role of the importer; it needs SELECT on what the imports read.")
    host: HostName | None = Field(
        default=None, description="Host, where it is not `<account>.snowflakecomputing.com`: a private link."
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


class ImportSettings(_Section):
    """One import: a query of Snowflake that becomes versions of a data asset."""

    name: AssetName = Field(description="Name of the import and of its data asset.")
    query: Query = Field(description="One SELECT statement.")
    schedule: Annotated[str, AfterValidator(check_cron)] = Field(
        description="Cron expression: minute, hour, `*`, `*`, weekday."
    )
    time_zone: Annotated[str, AfterValidator(windows_time_zone)] = Field(
        default="UTC", description="Time zone of `schedule`, by its IANA or Windows name."
    )
    mode: Mode = Field(default=DEFAULT_MODE, description="`stream`: rows pass through the job.")
    enabled: bool = Field(default=True, description="Whether the schedule fires.")
    run_on_create: bool = Field(default=True, description="Whether the first import starts with `pulumi up`.")
    keep_versions: KeepVersions = Field(
        default=DEFAULT_KEEP_VERSIONS,
        description="How many versions stay; older ones are archived and their files deleted.",
    )


class ClusterSettings(_Section):
    """The AKS cluster."""

    kubernetes_version: Annotated[str, StringConstraints(pattern=r"^1\.\d{2}$")] | None = Field(
        default=None, description="Minor version such as `1.34`; AKS's default where it is absent."
    )
    node_size: NodeSize = Field(default="Standard_D4ds_v5", description="Virtual machine size of the nodes.")
    min_nodes: Annotated[int, Field(ge=1, le=1000)] = Field(default=2, description="Fewest nodes.")
    max_nodes: Annotated[int, Field(ge=1, le=1000)] = Field(default=5, description="Most nodes.")
    administrators: ObjectId | None = Field(
        default=None,
        description="Object id of the Entra ID group that administers what runs on the cluster; "
        "where it is absent, whoever runs the first `pulumi up` does.",
    )

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> Self:
        if self.min_nodes > self.max_nodes:
            raise contradiction(["minNodes"], f"must be at most maxNodes ({self.max_nodes})", self.min_nodes)
        return self


class Settings(_Section):
    """The settings of a stack, `ai-platform:<name>` in `Pulumi.<stack>.yaml`."""

    name: Name = Field(description="What the names of all resources start with, such as `globodev`.")
    location: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+$")] = Field(
        description="Azure region, such as `westeurope`."
    )
    snowflake: SnowflakeSettings = Field(description="How the platform reaches Snowflake.")
    importer_image: Image = Field(description="Image of the importer, by digest: `registry/name@sha256:…`.")
    imports: list[ImportSettings] = Field(default=[], description="What is imported, and when.")
    cluster: ClusterSettings = Field(default=ClusterSettings(), description="The AKS cluster.")
    log_retention_days: Annotated[int, Field(ge=30, le=730)] = Field(
        default=90, description="Days that Log Analytics keeps logs."
    )
    tags: dict[str, str] = Field(
        default={}, description="Tags of every resource, besides `project` and `stack`."
    )
    endpoints: Endpoints = Field(
        default=Endpoints.PUBLIC,
        description="`local`: the local cloud's addresses, from the environment (`.local/env`).",
    )

    @model_validator(mode="after")
    def _imports_have_own_names(self) -> Self:
        names = [item.name for item in self.imports]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise contradiction(["imports", index, "name"], "is the name of an earlier import", name)
        return self

    @model_validator(mode="after")
    def _password_only_locally(self) -> Self:
        if self.snowflake.sign_in is SignIn.PASSWORD and self.endpoints is not Endpoints.LOCAL:
            raise contradiction(
                ["snowflake", "signIn"],
                "Snowflake has ended passwords for services; use workload_identity",
                "password",
            )
        return self

    def snowflake_target(self) -> SnowflakeTarget:
        """Return how the importer reaches Snowflake, but for where the vault keeps `secretName`."""
        s = self.snowflake
        address: dict[str, Any] = {"host": s.host or f"{s.account}.snowflakecomputing.com"}
        if self.endpoints is Endpoints.LOCAL:
            address = _local_snowflake(os.environ)
        return SnowflakeTarget(
            account=s.account,
            warehouse=s.warehouse,
            role=s.role,
            user=s.user,
            sign_in=s.sign_in,
            **address,
        )


def _local_snowflake(environment: Mapping[str, str]) -> dict[str, Any]:
    names = {"host": "SNOWFLAKE_HOST", "port": "SNOWFLAKE_PORT", "protocol": "SNOWFLAKE_PROTOCOL"}
    missing = [name for name in names.values() if name not in environment]
    if missing:
        raise SettingsError(
            f"{PROJECT}:endpoints: local needs {', '.join(missing)} in the environment; "
            "run `python -m localcloud start`, then `. .local/env`"
        )
    return {field: environment[name] for field, name in names.items()}


def load(config: Mapping[str, str] | None = None, secret_keys: frozenset[str] = frozenset()) -> Settings:
    """Return the stack's settings, from `config` (by default the running stack's, by full key).

    Raises SettingsError with a line for each setting that is missing, unknown or breaks its rule.
    """
    if config is None:
        config = _stack_config()
        secret_keys = frozenset(key for key in config if pulumi.runtime.config.is_config_secret(key))
    own = {
        key.removeprefix(f"{PROJECT}:"): value
        for key, value in config.items()
        if key.startswith(f"{PROJECT}:")
    }
    try:
        return Settings.model_validate({key: _parse(key, value) for key, value in own.items()})
    except ValidationError as error:
        raise SettingsError("\n".join(explain(error, PROJECT, Settings, secret_keys))) from None


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
    except json.JSONDecodeError:
        return value
