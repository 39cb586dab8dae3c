"""The settings of the Azure ML workspace, and of its compute clusters."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from importer.spec.section import Section
from stacks.settings.explain import contradiction
from stacks.settings.types import HostPattern, ObjectId, SubnetId, VmSize

#: The compute cluster that builds the importer's environment, if there is no image of it.
IMAGE_BUILD_COMPUTE = "image-builds"

#: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftmachinelearningservices
ComputeName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z][a-zA-Z0-9-]{1,22}[a-zA-Z0-9]$")]


class FirewallSku(StrEnum):
    """The size of a managed network's firewall, as Azure writes it."""

    BASIC = "Basic"
    STANDARD = "Standard"


class ComputeClusterSettings(Section):
    """A compute cluster of the workspace, in addition to serverless compute."""

    name: ComputeName = Field(description="Name of the compute cluster.")
    vm_size: VmSize = Field(description="Virtual machine size, such as `Standard_D4ds_v5`.")
    max_nodes: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=4, description="Maximum number of nodes; the minimum is 0."
    )
    idle_minutes: Annotated[int, Field(ge=1, le=1440)] = Field(
        default=15, description="Minutes after which an idle node is removed."
    )


class WorkspaceSettings(Section):
    """The Azure ML workspace."""

    hbi: bool = Field(
        default=False,
        description="Whether the data has high business impact: Microsoft then collects less diagnostic "
        "data. Cannot be changed later.",
    )
    managed_network: bool = Field(
        default=True,
        description="Jobs run in a network that Azure ML manages, and reach approved destinations only. "
        "`false`: they run in `computeSubnetId`.",
    )
    firewall_sku: FirewallSku = Field(
        default=FirewallSku.STANDARD,
        description="Firewall of the managed network. `Basic` costs less and passes at most 0.25 Gbit/s, "
        "which is enough if every import has the mode `unload`.",
    )
    outbound_hosts: list[HostPattern] = Field(
        default=[],
        description="More hosts that jobs may reach over HTTP and HTTPS, such as `packages.globo.example`. "
        "Without `importerImage`, they also reach conda-forge and PyPI, for the importer's packages.",
    )
    data_scientists: ObjectId | None = Field(
        default=None,
        description="Object id of the Entra ID group that works in the workspace and reads the lake's data. "
        "Needs `dataScientistsActAsWorkspaceIdentities`.",
    )
    data_scientists_act_as_workspace_identities: bool = Field(
        default=False,
        description="Allows `dataScientists`: jobs that they submit can act as every identity of the "
        "workspace, and so write raw data, sign in to Snowflake and change the workspace. See "
        "docs/security.md.",
    )
    cosmos_db_principal: ObjectId | None = Field(
        default=None,
        description="Object id of Azure Cosmos DB's principal in your tenant (application "
        "`a232010e-820c-4083-83bb-3ace5fc29d0b`). Only a workspace that version 0.1.0 made with "
        "`customerManagedKey` needs it: Cosmos DB encrypts its metadata.",
    )
    compute_subnet_id: SubnetId | None = Field(
        default=None, description="Existing subnet that jobs run in, if `managedNetwork` is `false`."
    )
    compute_clusters: list[ComputeClusterSettings] = Field(
        default=[], description="Compute clusters, in addition to serverless compute."
    )

    @model_validator(mode="after")
    def _compute_clusters_fit(self) -> Self:
        names = [cluster.name.lower() for cluster in self.compute_clusters]
        for index, cluster in enumerate(self.compute_clusters):
            if names[index] in names[:index]:
                raise contradiction(
                    ["computeClusters", index, "name"],
                    "is the name of an earlier compute cluster",
                    cluster.name,
                )
            if names[index] == IMAGE_BUILD_COMPUTE:
                raise contradiction(
                    ["computeClusters", index, "name"],
                    "is the name of the platform's own compute cluster, which builds images",
                    cluster.name,
                )
        return self

    @model_validator(mode="after")
    def _one_network_for_jobs(self) -> Self:
        if self.compute_subnet_id is not None and self.managed_network:
            raise contradiction(["computeSubnetId"], "must be absent if managedNetwork is true")
        if self.compute_subnet_id is None and not self.managed_network:
            # Azure-assigned addresses are not on the storage account's allow-list
            raise contradiction(["computeSubnetId"], "required if managedNetwork is false")
        return self
