"""The Azure ML workspace."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
from pulumi_azure_native import machinelearningservices as ml

from components.arm_id import resource_group_id
from components.component import Args, ServiceArgs, after
from components.dynamic.roles_in_effect import RolesInEffect, RolesInEffectArgs
from components.identity.identity import Identity, Role
from components.network.outbound import OutboundServiceArgs, changes_of_the_service, managed_network
from components.network.private_link import add_private_endpoint
from components.observability.diagnostics import add_diagnostics
from components.storage.encryption import EncryptionKeyArgs
from components.storage.storage_account import StorageAccount, make_storage_account
from components.storage.vault import Vault, VaultArgs

#: Every service of the storage account: notebooks are files, pipelines use queues and tables
#: (https://learn.microsoft.com/azure/machine-learning/how-to-secure-workspace-vnet#secure-azure-storage-accounts).
STORAGE_GROUPS = ("blob", "file", "queue", "table")

#: Azure makes a managed network in about 30 minutes, 10 more with its firewall, longer with many rules
#: (https://learn.microsoft.com/azure/machine-learning/how-to-managed-network#manually-provision-a-managed-vnet).
NETWORK_TIMEOUT = "90m"


@dataclass(kw_only=True)
class WorkspaceArgs(Args):
    """What a workspace needs from outside."""

    service: ServiceArgs
    application_insights_id: pulumi.Input[str]
    tenant_id: pulumi.Input[str]
    registry_id: pulumi.Input[str]
    job_identity_ids: Sequence[pulumi.Input[str]] = ()
    """Identities that jobs of the workspace may act as, and so everyone who may submit a job."""
    storage_sku: pulumi.Input[str] = "Standard_ZRS"
    encryption_key: EncryptionKeyArgs | None = None
    hbi: bool = False
    """Whether the data is of high business impact: Microsoft collects less to diagnose with, and the nodes'
    scratch disks are encrypted, and cleaned between jobs. Only a new workspace takes it."""
    managed_network: bool = True
    """Whether jobs run in a network of the workspace's own. Azure does not take it back."""
    outbound_hosts: Sequence[str] = ()
    """Hosts that jobs reach from the managed network; `*.` at the start takes all below one."""
    outbound_service_tags: Sequence[str] = ()
    """Service tags that jobs reach from the managed network."""
    outbound_services: Mapping[str, OutboundServiceArgs] = field(default_factory=dict)
    """Services that jobs reach by private endpoint, by the names of their rules. Those of the workspace
    itself (storage, vault, registry) are there already, and Azure refuses them."""
    firewall_sku: pulumi.Input[str] = ml.FirewallSku.STANDARD
    """The firewall that lets the hosts through. `Basic` costs less, and passes 0.25 Gbit/s at most: enough
    where imports `unload` (https://learn.microsoft.com/azure/firewall/firewall-performance)."""
    image_build_compute: str | None = None
    """The name of the compute cluster that builds images of environments, which `add_compute_cluster` makes.
    Without one, Azure ML builds them on serverless compute, which reaches neither a storage account nor a
    registry that is behind a firewall
    (https://learn.microsoft.com/azure/machine-learning/how-to-secure-workspace-vnet#enable-azure-container-registry-acr)."""
    compute_subnet_id: pulumi.Input[str] | None = None
    """The subnet that jobs run in, serverless or on a cluster, where `managed_network` is off."""
    studio_container_ids: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """ARM ids of the containers whose data the studio shows, by a word for each."""


@dataclass(kw_only=True)
class ComputeClusterArgs(Args):
    """What a compute cluster is."""

    vm_size: pulumi.Input[str]
    max_nodes: pulumi.Input[int]
    identity_id: pulumi.Input[str]
    """The identity that jobs on the cluster act as, unless they name another one of the cluster."""
    idle_seconds: int
    """Seconds after which an idle node is removed."""


class Workspace(pulumi.ComponentResource):
    """An Azure ML workspace with an identity, a storage account and a vault of its own.

    `name` (lower-case letters and digits) is the start of all their names. The vault is for the workspace's
    own secrets: users who may submit jobs can read it, so keep other secrets elsewhere. Their jobs can act as
    every identity of the workspace, its own included
    (https://learn.microsoft.com/azure/machine-learning/how-to-use-serverless-compute#identity-support-and-credential-passthrough).
    Azure ML has no job that acts as a system-assigned identity, but such an identity exists only after the
    workspace, so it cannot have the roles that a managed network and a customer-managed key need from the
    start. Datastores hold no
    key: users and jobs access the data with their own identity. `add_datastore` adds a datastore. Jobs are
    serverless; `add_compute_cluster` adds a cluster, which costs nothing while it is idle.

    Jobs run in a network that Azure manages, from which they reach approved destinations only. It is
    provisioned together with the workspace: otherwise the first job would wait 40 minutes for it, or fail. In
    an existing workspace the first compute provisions it, and older computes must be created again
    (https://learn.microsoft.com/azure/machine-learning/how-to-managed-network).
    Without a managed network, jobs run in the given subnet, or else at addresses that the workspace's storage
    denies.

    With `allowed_address_ranges`, the workspace itself can be reached from every address by identities with a
    role: Azure ML's stable API (2025-12-01) has no list of ranges. Its storage and vault do check addresses.
    Pulumi protects the workspace, but it has no lock: see `deletion_protection`. Leaves the roles of its
    users to `Identity.grant`.
    """

    workspace_name: pulumi.Output[str]
    resource_id: pulumi.Output[str]
    storage_account_id: pulumi.Output[str]
    vault_id: pulumi.Output[str]
    #: the ids of the containers that jobs read their code from and write logs to, by a word for each
    job_containers: Mapping[str, pulumi.Output[str]]

    def __init__(self, name: str, args: WorkspaceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ai-platform:index:Workspace", name, None, opts)
        self._name = name
        self._args = args = WorkspaceArgs.of(args)
        # fail now: Azure would refuse this only after most of the platform has been made
        # (https://learn.microsoft.com/azure/machine-learning/how-to-managed-network#limitations)
        if args.managed_network and args.compute_subnet_id is not None:
            raise ValueError(f"{name}: Azure ML takes no subnet for jobs beside a managed network")
        account = make_storage_account(
            name,
            args.service,
            self,
            sku=args.storage_sku,
            hierarchical_namespace=False,
            groups=STORAGE_GROUPS,
            encryption_key=args.encryption_key,
        )
        vault = self._make_vault()
        identity = Identity(
            f"{name}-identity",
            args.service,
            pulumi.ResourceOptions(parent=self),
        )
        self._workspace = self._make_workspace(account, vault, identity)
        own_role = identity.grant(Role.CONTRIBUTOR, "workspace", self._workspace.id)
        own_role_in_effect = RolesInEffect(
            f"{name}-workspace-roles",
            RolesInEffectArgs(roles=[own_role]),
            pulumi.ResourceOptions(parent=self),
        )
        endpoints: list[pulumi.Resource] = []
        # `name` itself is the storage account's
        add_diagnostics(f"{name}-workspace", self._workspace.id, args.service.log_analytics_id, self)
        if args.service.private_link is not None:
            group = "amlworkspace"
            endpoint = add_private_endpoint(
                f"{name}-{group}-endpoint",
                self._workspace.id,
                group,
                args.service.private_link,
                args.service,
                self,
            )
            endpoints.append(endpoint.ready)
        self._ready = [own_role_in_effect, *endpoints]
        # resources that name the workspace call it, so they depend on its role and endpoint
        self.workspace_name = after(self._workspace.name, self._ready)
        self.resource_id = self._workspace.id
        self.storage_account_id = account.account.id
        self.job_containers = _job_containers(
            after(account.account.id, [own_role, *endpoints]), self._workspace.workspace_id
        )
        self.vault_id = vault.resource_id
        self.register_outputs(
            {
                "workspace_name": self.workspace_name,
                "resource_id": self.resource_id,
                "storage_account_id": self.storage_account_id,
                "vault_id": self.vault_id,
            }
        )

    def add_datastore(
        self,
        datastore_name: str,
        account_name: pulumi.Input[str],
        endpoint: pulumi.Input[str],
        container_name: pulumi.Input[str],
    ) -> ml.Datastore:
        """Make a container of another storage account a datastore that holds no credential."""
        return ml.Datastore(
            f"{self._name}-{datastore_name}",
            resource_group_name=self._args.service.resource_group,
            workspace_name=self.workspace_name,
            name=datastore_name,
            properties=blob_datastore(
                account_name,
                container_name,
                endpoint,
                ml.ServiceDataAccessAuthIdentity.WORKSPACE_USER_ASSIGNED_IDENTITY,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def add_compute_cluster(self, cluster_name: str, args: ComputeClusterArgs) -> ml.Compute:
        """Make a compute cluster that scales down to zero nodes and allows no sign-in to its nodes.

        Its nodes are in the same network as all jobs. They have no public address if the workspace has a
        private endpoint, which they then need
        (https://learn.microsoft.com/azure/machine-learning/how-to-secure-training-vnet).
        Azure changes only the identity and the scale of a cluster. Any other change replaces it, and the old
        cluster is deleted first, because jobs refer to it by name.
        """
        fixed = ("vmSize", "vmPriority", "subnet", "enableNodePublicIp", "remoteLoginPortPublicAccess")
        return ml.Compute(
            f"{self._name}-{cluster_name}",
            resource_group_name=self._args.service.resource_group,
            location=self._args.service.location,
            workspace_name=self._workspace.name,
            compute_name=cluster_name,
            identity=ml.ManagedServiceIdentityArgs(
                type=ml.ManagedServiceIdentityType.USER_ASSIGNED, user_assigned_identities=[args.identity_id]
            ),
            properties=ml.AmlComputeArgs(
                compute_type="AmlCompute",
                disable_local_auth=True,
                properties=self._node_properties(args),
            ),
            tags=self._args.service.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=self._ready,
                delete_before_replace=True,
                replace_on_changes=[
                    "properties.disableLocalAuth",
                    *(f"properties.properties.{key}" for key in fixed),
                ],
            ),
        )

    def _node_properties(self, args: ComputeClusterArgs) -> ml.AmlComputePropertiesArgs:
        subnet_id = self._args.compute_subnet_id
        return ml.AmlComputePropertiesArgs(
            os_type=ml.OsType.LINUX,
            vm_size=args.vm_size,
            vm_priority=ml.VmPriority.DEDICATED,
            scale_settings=ml.ScaleSettingsArgs(
                min_node_count=0,
                max_node_count=args.max_nodes,
                node_idle_time_before_scale_down=f"PT{args.idle_seconds}S",
            ),
            enable_node_public_ip=self._args.service.private_link is None and not self._args.managed_network,
            remote_login_port_public_access=ml.RemoteLoginPortPublicAccess.DISABLED,
            subnet=ml.ResourceIdArgs(id=subnet_id) if subnet_id is not None else None,
        )

    def _make_vault(self) -> Vault:
        args = self._args
        return Vault(
            f"{self._name}kv",
            VaultArgs(
                service=args.service,
                tenant_id=args.tenant_id,
            ),
            pulumi.ResourceOptions(parent=self),
        )

    def _make_workspace(self, account: StorageAccount, vault: Vault, identity: Identity) -> ml.Workspace:
        args = self._args
        roles = self._grant_roles(identity, account, vault)
        key_identity = [args.encryption_key.identity_id] if args.encryption_key is not None else []
        return ml.Workspace(
            self._name,
            resource_group_name=args.service.resource_group,
            location=args.service.location,
            kind="Default",
            sku=ml.SkuArgs(name="Basic", tier=ml.SkuTier.BASIC),
            identity=ml.ManagedServiceIdentityArgs(
                type=ml.ManagedServiceIdentityType.USER_ASSIGNED,
                user_assigned_identities=[identity.resource_id, *args.job_identity_ids, *key_identity],
            ),
            primary_user_assigned_identity=identity.resource_id,
            storage_account=account.account.id,
            key_vault=vault.resource_id,
            application_insights=args.application_insights_id,
            container_registry=args.registry_id,
            system_datastores_auth_mode=ml.SystemDatastoresAuthMode.IDENTITY,
            public_network_access=(
                ml.PublicNetworkAccessType.ENABLED
                if args.service.allowed_address_ranges
                else ml.PublicNetworkAccessType.DISABLED
            ),
            managed_network=(
                managed_network(
                    args.outbound_hosts,
                    args.outbound_service_tags,
                    args.outbound_services,
                    args.firewall_sku,
                )
                if args.managed_network
                else None
            ),
            provision_network_now=args.managed_network or None,
            image_build_compute=args.image_build_compute,
            serverless_compute_settings=_serverless_compute(args),
            encryption=_encryption(args.encryption_key),
            enable_service_side_cmk_encryption=True if args.encryption_key is not None else None,
            hbi_workspace=args.hbi or None,
            tags=args.service.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[vault, *account.ready, roles],
                protect=args.service.keep,
                replace_on_changes=["hbiWorkspace", "encryption"],
                ignore_changes=[
                    # a rotated key has another version, but is the same key
                    "encryption.keyVaultProperties.keyIdentifier",
                    # a workspace keeps the kind of encryption that it was made with
                    "enableServiceSideCMKEncryption",
                    *changes_of_the_service(
                        args.outbound_hosts, args.outbound_service_tags, args.outbound_services
                    ),
                ],
                custom_timeouts=pulumi.CustomTimeouts(create=NETWORK_TIMEOUT, update=NETWORK_TIMEOUT),
            ),
        )

    def _grant_roles(self, identity: Identity, storage: StorageAccount, vault: Vault) -> RolesInEffect:
        """Give the workspace's identity the roles that Azure ML requires; return the wait until they work.

        https://learn.microsoft.com/azure/machine-learning/how-to-identity-based-service-authentication#workspace
        With a managed network the identity also approves that network's private endpoints. It gets that role
        on the resource group, because the workspace, one of the targets, does not exist yet, and on each
        target in another resource group
        (https://learn.microsoft.com/azure/machine-learning/how-to-managed-network#approval-of-private-endpoints).
        """
        account_id = storage.account.id
        identity.grant(Role.CONTRIBUTOR, "storage", account_id)
        identity.grant(Role.STORAGE_BLOB_DATA_CONTRIBUTOR, "storage", account_id)
        identity.grant(Role.CONTRIBUTOR, "vault", vault.resource_id)
        identity.grant(Role.KEY_VAULT_ADMINISTRATOR, "vault", vault.resource_id)
        identity.grant(Role.CONTRIBUTOR, "registry", self._args.registry_id)
        identity.grant(Role.CONTRIBUTOR, "insights", self._args.application_insights_id)
        if self._args.managed_network:
            group_id = account_id.apply(resource_group_id)
            identity.grant(Role.AI_NETWORK_CONNECTION_APPROVER, "group", group_id)
            for name, service in self._args.outbound_services.items():
                if service.elsewhere:
                    identity.grant(Role.AI_NETWORK_CONNECTION_APPROVER, name, service.resource_id)
        self._let_studio_show_data(storage, identity)
        return identity.in_effect()

    def _let_studio_show_data(self, storage: StorageAccount, identity: Identity) -> None:
        """Let the workspace's identity read what the studio shows, and the private endpoints of the storage.

        https://learn.microsoft.com/azure/machine-learning/how-to-enable-studio-virtual-network
        """
        for word, container_id in self._args.studio_container_ids.items():
            identity.grant(Role.STORAGE_BLOB_DATA_READER, word, container_id)
        for group in ("blob", "file"):
            if group in storage.endpoint_ids:
                identity.grant(Role.READER, f"{group}-endpoint", storage.endpoint_ids[group])


def _job_containers(
    account_id: pulumi.Output[str], workspace_guid: pulumi.Output[str]
) -> dict[str, pulumi.Output[str]]:
    """Return the ids of the two containers that jobs use, known once the workspace has made them.

    The first has code and inputs (the datastore `workspaceblobstore`), the second outputs and logs
    (`workspaceartifactstore`)
    (https://learn.microsoft.com/azure/machine-learning/concept-data#datastore).
    """
    known = pulumi.Output.all(account_id, workspace_guid)
    containers = known.apply(lambda found: f"{found[0]}/blobServices/default/containers/azureml")
    return {
        "code": pulumi.Output.format("{0}-blobstore-{1}", containers, workspace_guid),
        "logs": containers,
    }


def blob_datastore(
    account_name: pulumi.Input[str],
    container_name: pulumi.Input[str],
    endpoint: pulumi.Input[str],
    studio_identity: ml.ServiceDataAccessAuthIdentity | None = None,
) -> ml.AzureBlobDatastoreArgs:
    """Return a datastore that holds no credential; the studio reads it as `studio_identity`."""
    return ml.AzureBlobDatastoreArgs(
        datastore_type="AzureBlob",
        account_name=account_name,
        container_name=container_name,
        endpoint=endpoint,
        protocol="https",
        credentials=ml.NoneDatastoreCredentialsArgs(credentials_type="None"),
        service_data_access_auth_identity=studio_identity,
    )


def _serverless_compute(args: WorkspaceArgs) -> ml.ServerlessComputeSettingsArgs | None:
    """Return the network of serverless jobs without a managed network: the given subnet, if there is one.

    https://learn.microsoft.com/azure/machine-learning/how-to-use-serverless-compute
    """
    if args.compute_subnet_id is None:
        return None
    return ml.ServerlessComputeSettingsArgs(
        serverless_compute_custom_subnet=args.compute_subnet_id,
        serverless_compute_no_public_ip=args.service.private_link is not None,
    )


def _encryption(key: EncryptionKeyArgs | None) -> ml.EncryptionPropertyArgs | None:
    """Return the encryption of the workspace's metadata: with `key`, or None for Microsoft's own key.

    With a key, the encryption is service-side: Azure stores the metadata with its own services. Otherwise it
    would make a database, a search service and a storage account in the subscription, at its cost, and Azure
    Cosmos DB's principal would need the key. Service-side encryption is a preview without key rotation: the
    workspace stays with the first version of the key, which does not expire, as an expiry time of a rotation
    policy is that of later versions
    (https://learn.microsoft.com/azure/machine-learning/concept-customer-managed-keys#preview-service-side-encryption-of-metadata,
    https://learn.microsoft.com/azure/key-vault/keys/how-to-configure-key-rotation).
    """
    if key is None:
        return None
    return ml.EncryptionPropertyArgs(
        status=ml.EncryptionStatus.ENABLED,
        identity=ml.IdentityForCmkArgs(user_assigned_identity=key.identity_id),
        key_vault_properties=ml.KeyVaultPropertiesArgs(
            key_vault_arm_id=key.vault_id, key_identifier=key.key_version_uri
        ),
    )
