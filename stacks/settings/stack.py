"""The settings of a stack: each with its type, default, rule and meaning."""

import os
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    StringConstraints,
    model_validator,
)

from components.arm_id import part_of
from importer.spec.section import Section
from importer.spec.snowflake_target import SignIn, SnowflakeOptions, SnowflakeTarget
from stacks.settings.alerts import AlertSettings
from stacks.settings.cluster import ClusterSettings
from stacks.settings.existing import ExistingSettings
from stacks.settings.explain import contradiction
from stacks.settings.imports import ImportSettings
from stacks.settings.lake import LakeSettings
from stacks.settings.network import Isolation, NetworkSettings, aks_zone, endpoint_zones
from stacks.settings.regions import WITHOUT_ZONES, reserved_word
from stacks.settings.snowflake import SnowflakeSettings
from stacks.settings.types import RegistryId
from stacks.settings.workspace import WorkspaceSettings

PROJECT = "ai-platform"

#: 2 to 11 characters: names of storage accounts and vaults have at most 24, of which a component's suffix
#: takes up to 5, and Pulumi's random suffix 8 (https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules).
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{1,10}$")]
#: By digest, so that the same settings always run the same code.
Image = Annotated[str, StringConstraints(pattern=r"^[^\s@]+@sha256:[0-9a-f]{64}$")]
AvailabilityZone = Annotated[Literal["1", "2", "3"], BeforeValidator(str)]
#: 128 characters for storage (https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources)
TagName = Annotated[str, StringConstraints(pattern=r"^[^<>%&\\?/]{1,128}$")]
TagValue = Annotated[str, StringConstraints(max_length=256)]
#: The most tags that a resource can have, without `project` and `stack`.
MAX_TAGS = 50 - 2


#: The region of a stack that makes no resource in a region: it has only imports, in an existing workspace.
_NO_REGION = "none"


class Endpoints(StrEnum):
    """Which Azure and Snowflake the stack uses."""

    PUBLIC = "public"
    LOCAL = "local"


class Settings(Section):
    """The settings of a stack, `ai-platform:<name>` in `Pulumi.<stack>.yaml`."""

    name: Name = Field(description="Start of all resource names, such as `globodev`.")
    location: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+$")] = Field(
        description="Azure region, such as `westeurope`; not needed with `existing`."
    )
    snowflake: SnowflakeSettings = Field(description="How the platform reaches Snowflake.")
    importer_image: Image | None = Field(
        default=None,
        description="Image of the importer, by digest: `registry/name@sha256:…`. Without one, the program "
        "registers the importer of this repository in the workspace: docs/imports.md.",
    )
    importer_registry_id: RegistryId | None = Field(
        default=None,
        description="ARM id of the Azure registry of `importerImage`, if that is not the platform's own. "
        "Imports then may pull from it, and reach it by private endpoint.",
    )
    imports: list[ImportSettings] = Field(default=[], description="The imports, each with its schedule.")
    isolation: Isolation = Field(
        default=Isolation.PRIVATE,
        description="`private`: services have private addresses only. `public`: they also have public "
        "addresses, which only `network.allowedAddressRanges` may reach.",
    )
    keep: bool = Field(
        default=False,
        description="Deletion protection: Pulumi and Azure refuse to delete what stores data. See "
        "docs/keeping.md.",
    )
    zones: list[AvailabilityZone] = Field(
        default=["1", "2", "3"],
        description="Availability zones that the platform spreads over. Set `[]` in a region without zones.",
    )
    geo_redundant: bool = Field(
        default=False,
        description="Replicates stored data to the paired region. Check that your data may be stored there.",
    )
    existing: ExistingSettings | None = Field(
        default=None,
        description="Deploy only imports, into an existing workspace.",
    )
    customer_managed_key: bool = Field(
        default=False,
        description="Encrypts stored data with the platform's own key instead of Microsoft's. Turning this "
        "on later replaces the workspace and the registry. Nodes' disks follow the key's yearly rotation "
        "only if `cluster.ephemeralOsDisk` is `false`.",
    )
    network: NetworkSettings = Field(default=NetworkSettings(), description="The network.")
    lake: LakeSettings = Field(default=LakeSettings(), description="The data lake.")
    workspace: WorkspaceSettings = Field(default=WorkspaceSettings(), description="The workspace.")
    cluster: ClusterSettings = Field(default=ClusterSettings(), description="The AKS cluster.")
    alerts: AlertSettings = Field(default=AlertSettings(), description="Alerts.")
    log_retention_days: Annotated[int, Field(ge=30, le=730)] = Field(
        default=90, description="Days that Log Analytics keeps logs."
    )
    tags: Annotated[dict[TagName, TagValue], Field(max_length=MAX_TAGS)] = Field(
        default={}, description="Tags of every resource, in addition to `project` and `stack`."
    )
    endpoints: Endpoints = Field(
        default=Endpoints.PUBLIC,
        description="`local`: the local cloud, whose addresses are in the environment (`.local/env`).",
    )

    @model_validator(mode="before")
    @classmethod
    def _imports_alone_need_no_region(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("existing") is not None:
            return {"location": _NO_REGION, **given}
        return given

    @model_validator(mode="after")
    def _name_is_not_reserved(self) -> Self:
        word = reserved_word(self.name)
        if word is not None:
            raise contradiction(["name"], f"Azure rejects names with the reserved word {word}", self.name)
        return self

    @model_validator(mode="after")
    def _region_has_the_zones(self) -> Self:
        if len(set(self.zones)) < len(self.zones):
            raise contradiction(["zones"], "contains a zone twice", self.zones)
        if self.zones and self.location in WITHOUT_ZONES:
            raise contradiction(
                ["zones"], f"{self.location} has no availability zones; set zones to []", self.zones
            )
        return self

    @model_validator(mode="after")
    def _people_have_the_roles_of_their_jobs(self) -> Self:
        """Refuse people in the workspace, unless a setting accepts that they get the roles of its identities.

        A serverless job takes the client id of any user-assigned identity of its workspace, its own included
        (https://learn.microsoft.com/azure/machine-learning/how-to-use-serverless-compute#identity-support-and-credential-passthrough).
        """
        workspace = self.workspace
        if workspace.data_scientists is None or workspace.data_scientists_act_as_workspace_identities:
            return self
        raise contradiction(
            ["workspace", "dataScientists"],
            f"their jobs could act as {' and '.join(self.identities_of_jobs)}, which may do more than they: "
            "set workspace.dataScientistsActAsWorkspaceIdentities to accept that",
            workspace.data_scientists,
        )

    @model_validator(mode="after")
    def _network_fits(self) -> Self:
        self.network.check_access(is_private=self.is_private, has_cluster=self.cluster.enabled)
        has_private_cluster = self.is_private and self.cluster.enabled
        self.network.check_api_server(self.location, is_private=has_private_cluster)
        api_server_zones = [aks_zone(self.location)] if has_private_cluster else []
        self.network.check_zones([*self.endpoint_zones, *api_server_zones])
        return self

    @model_validator(mode="after")
    def _existing_secret_has_a_vault(self) -> Self:
        if self.existing and self.snowflake.secret_name and self.existing.vault_id is None:
            raise contradiction(["existing", "vaultId"], "required if snowflake.secretName is set")
        return self

    @model_validator(mode="after")
    def _image_names_its_registry(self) -> Self:
        if self.importer_image is None:
            return self
        registry = self.importer_image.split("/")[0]
        if self.endpoints is not Endpoints.LOCAL and not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", registry):
            raise contradiction(
                ["importerImage"],
                "must start with the host name of a registry, without a port",
                self.importer_image,
            )
        return self

    @model_validator(mode="after")
    def _image_can_be_pulled(self) -> Self:
        """Refuse an image that no role lets imports pull: their identity pulls it.

        A registry's host is its name, which is unique in Azure, and perhaps a hash
        (https://learn.microsoft.com/azure/container-registry/container-registry-get-started-portal#configure-domain-name-label).
        """
        if self.importer_registry_id is not None and self.importer_image is None:
            raise contradiction(["importerRegistryId"], "must be absent if importerImage is absent")
        if self.importer_image is None or self.existing or self.endpoints is Endpoints.LOCAL:
            return self
        host = self.importer_image.split("/")[0]
        if self.importer_registry_id is not None:
            expected = part_of(self.importer_registry_id, "name").lower()
            if not re.fullmatch(rf"{expected}(-[a-z0-9]+)?\.azurecr\.io", host):
                raise contradiction(
                    ["importerRegistryId"], f"is not the registry of importerImage ({host})", expected
                )
        elif not re.fullmatch(rf"{self.name}registry[0-9a-z]*(-[a-z0-9]+)?\.azurecr\.io", host):
            raise contradiction(
                ["importerImage"],
                "is not in the platform's own registry (the stack's output registry): copy it there with "
                "`az acr import`, or set importerRegistryId",
                self.importer_image,
            )
        return self

    @model_validator(mode="after")
    def _tags_have_own_names(self) -> Self:
        # https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources#limitations
        seen = {"project", "stack"}
        for name in self.tags:
            if name.casefold() in seen:
                raise contradiction(["tags", name], "is already set; tag names must differ in more than case")
            seen.add(name.casefold())
        return self

    @model_validator(mode="after")
    def _cluster_fits_the_network(self) -> Self:
        if self.cluster.enabled and self.network.is_own:
            self.cluster.check_network(self.network, is_private=self.is_private)
        return self

    @model_validator(mode="after")
    def _snowflake_reaches_the_lake(self) -> Self:
        if self.endpoints is Endpoints.LOCAL:
            return self
        for index, item in enumerate(self.imports):
            if item.mode == "unload" and self.existing is None and not self.snowflake.unload.subnet_ids:
                raise contradiction(
                    ["imports", index, "mode"],
                    "no Snowflake subnet may reach the lake: set snowflake.unload.subnetIds, or use stream",
                    item.mode,
                )
        return self

    @model_validator(mode="after")
    def _import_names_are_unique(self) -> Self:
        names = [item.name for item in self.imports]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise contradiction(["imports", index, "name"], "is the name of an earlier import", name)
        return self

    @model_validator(mode="after")
    def _clean_asset_names_are_unique(self) -> Self:
        names = [item.name for item in self.imports]
        for index, item in enumerate(self.imports):
            if item.curate is None:
                continue
            if item.curate.asset in names:
                raise contradiction(
                    ["imports", index, "curate", "asset"],
                    "is the name of another asset",
                    item.curate.asset,
                )
            if self.existing and self.existing.clean_datastore is None:
                raise contradiction(["existing", "cleanDatastore"], "required if an import has curate")
            names.append(item.curate.asset)
        return self

    @model_validator(mode="after")
    def _password_is_allowed(self) -> Self:
        if self.uses_password and not self.snowflake.allow_password:
            raise contradiction(
                ["snowflake", "signIn"],
                "Snowflake no longer accepts passwords of services; use workload_identity",
                "password",
            )
        return self

    @property
    def is_private(self) -> bool:
        """Whether services have private addresses only."""
        return self.isolation is Isolation.PRIVATE

    @property
    def allowed_address_ranges(self) -> list[str]:
        """The public address ranges that may reach the services: none in a private platform."""
        return [] if self.is_private else list(map(str, self.network.allowed_address_ranges))

    @property
    def makes_network(self) -> bool:
        """Whether the platform makes a network: no existing one is set, and something would be in it."""
        return self.network.is_own and (self.is_private or self.cluster.enabled)

    @property
    def endpoint_zones(self) -> list[str]:
        """The private DNS zones that the platform's private endpoints are registered in."""
        if not self.makes_network and self.network.endpoints_subnet_id is None:
            return []
        return endpoint_zones(self.location, is_private=self.is_private, has_cluster=self.cluster.enabled)

    @property
    def builds_importer(self) -> bool:
        """Whether the platform's workspace builds the environment of imports, as they have no image."""
        return bool(self.imports) and self.importer_image is None

    @property
    def identities_of_jobs(self) -> list[str]:
        """What jobs in the workspace can act as: the identities attached to it and to its computes."""
        identities = ["the workspace's own identity"]
        if self.imports:
            identities.append("the importer's")
        if self.customer_managed_key:
            identities.append("that of the encryption key")
        if self.workspace.compute_clusters or self.builds_importer:
            identities.append("those of its compute clusters")
        return identities

    @property
    def uses_password(self) -> bool:
        """Whether imports sign in with a password to a Snowflake that is not local."""
        return self.snowflake.sign_in is SignIn.PASSWORD and self.endpoints is not Endpoints.LOCAL

    @property
    def unloads(self) -> bool:
        """Whether an import has the mode `unload`: Snowflake writes to the lake."""
        return any(item.mode == "unload" for item in self.imports)

    def snowflake_target(self) -> SnowflakeTarget:
        """Return how the importer reaches Snowflake, without the secret's address."""
        s = self.snowflake
        address: dict[str, Any] = {"host": s.host or f"{s.account}.snowflakecomputing.com"}
        if self.endpoints is Endpoints.LOCAL:
            address = _local_snowflake(os.environ)
        shared = s.model_dump(include=set(SnowflakeOptions.model_fields), by_alias=False)
        oauth = {f"oauth_{name}": value for name, value in s.oauth}
        return SnowflakeTarget(**shared, **oauth, **address)


def _local_snowflake(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the address of the local Snowflake; `check_deployment` has found that it is set."""
    names = {"host": "SNOWFLAKE_HOST", "port": "SNOWFLAKE_PORT", "protocol": "SNOWFLAKE_PROTOCOL"}
    return {field: environment[name] for field, name in names.items()}
