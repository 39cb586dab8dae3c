"""The data lake."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import pulumi
from pulumi_azure_native import storage

from components.component import Args, ServiceArgs
from components.deletion_protection import kept
from components.storage.encryption import EncryptionKeyArgs
from components.storage.storage_account import make_storage_account
from importer.lake.emulator import is_emulator

RAW_CONTAINER = "rawdata"
CLEAN_CONTAINER = "cleandata"

#: What an Azure ML datastore calls `endpoint`, in the public cloud.
PUBLIC_ENDPOINT = "core.windows.net"


@dataclass(kw_only=True)
class LakeArgs(Args):
    """What a lake needs from outside."""

    service: ServiceArgs
    cool_after_days: pulumi.Input[int]
    """Days after which unchanged raw data moves to the cool tier."""
    sku: pulumi.Input[str] = storage.SkuName.STANDARD_ZRS
    """How the data is copied; Azure converts an account from one to another only where it can
    (https://learn.microsoft.com/azure/storage/common/redundancy-migration)."""
    encryption_key: EncryptionKeyArgs | None = None
    """The key that encrypts the data; by default Microsoft's."""
    immutable_days: pulumi.Input[int] | None = None
    """Days in which raw data can be neither changed nor deleted; by default none."""
    snowflake_subnet_ids: Sequence[pulumi.Input[str]] = ()
    """Snowflake's own subnets, which may reach the account for unloads
    (https://docs.snowflake.com/en/user-guide/data-load-azure-allow)."""


class Lake(pulumi.ComponentResource):
    """A storage account with a hierarchical namespace, and one container each for raw and for clean data.

    `name` (lower-case letters and digits) is the start of the account's name. Sign-in is by Entra ID only: no
    account keys, no anonymous access, TLS 1.2. `make_storage_account` describes its network access; Snowflake
    has access only from `snowflake_subnet_ids`. Deleted blobs and containers can be restored for 14 days. An
    account with a hierarchical namespace has no blob versions and no point-in-time restore
    (https://learn.microsoft.com/azure/storage/blobs/storage-feature-support-in-storage-accounts).

    Lifecycle rules move raw data to the cool tier, where reads work as before. They cannot delete abandoned
    attempts: these have the same prefix as committed ones, and such an account has no index tags to select
    them by. The importer deletes them at its next run.

    `immutable_days` protects each raw blob from its creation on. Until then, the importer's own deletions (of
    attempts, and of versions beyond `keep_versions`) fail and are retried at each run. The policy is not
    locked: locking cannot be undone, so it is left to the owner. Pulumi cannot remove the policy (see
    `_make_immutable`).

    Leaves role assignments to `Identity.grant`, and the workspace's own storage account, which cannot have a
    hierarchical namespace, to `Workspace`.
    """

    account_name: pulumi.Output[str]
    resource_id: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    raw_container: pulumi.Output[str]
    raw_container_id: pulumi.Output[str]
    clean_container: pulumi.Output[str]
    clean_container_id: pulumi.Output[str]

    def __init__(self, name: str, args: LakeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ai-platform:index:Lake", name, None, opts)
        self._name = name
        self._args = args = LakeArgs.of(args)
        account = make_storage_account(
            name,
            args.service,
            self,
            sku=args.sku,
            hierarchical_namespace=True,
            groups=("blob", "dfs"),
            encryption_key=args.encryption_key,
            allowed_subnet_ids=args.snowflake_subnet_ids,
            lock=True,
        ).account
        raw, clean = (
            storage.BlobContainer(
                f"{name}-{container}",
                resource_group_name=args.service.resource_group,
                account_name=account.name,
                container_name=container,
                public_access=storage.PublicAccess.NONE,
                opts=kept(self, args.service.keep),
            )
            for container in (RAW_CONTAINER, CLEAN_CONTAINER)
        )
        self._cool(account)
        if args.immutable_days is not None:
            self._make_immutable(account, raw, args.immutable_days)
        self.account_name = account.name
        self.resource_id = account.id
        self.endpoint = account.primary_endpoints.apply(
            lambda endpoints: storage_endpoint(endpoints.blob) if endpoints else PUBLIC_ENDPOINT
        )
        self.raw_container, self.raw_container_id = raw.name, raw.id
        self.clean_container, self.clean_container_id = clean.name, clean.id
        self.register_outputs(
            {
                "account_name": self.account_name,
                "resource_id": self.resource_id,
                "endpoint": self.endpoint,
                "raw_container": self.raw_container,
                "raw_container_id": self.raw_container_id,
                "clean_container": self.clean_container,
                "clean_container_id": self.clean_container_id,
            }
        )

    def _cool(self, account: storage.StorageAccount) -> None:
        """Move raw data to the cool tier when it is old.

        https://learn.microsoft.com/azure/storage/blobs/lifecycle-management-policy-structure
        """
        storage.ManagementPolicy(
            f"{self._name}-lifecycle",
            resource_group_name=self._args.service.resource_group,
            account_name=account.name,
            management_policy_name="default",
            policy=storage.ManagementPolicySchemaArgs(
                rules=[
                    storage.ManagementPolicyRuleArgs(
                        name="coolRawData",
                        type=storage.RuleType.LIFECYCLE,
                        enabled=True,
                        definition=storage.ManagementPolicyDefinitionArgs(
                            filters=storage.ManagementPolicyFilterArgs(
                                blob_types=["blockBlob"], prefix_match=[f"{RAW_CONTAINER}/"]
                            ),
                            actions=storage.ManagementPolicyActionArgs(
                                base_blob=storage.ManagementPolicyBaseBlobArgs(
                                    tier_to_cool=storage.DateAfterModificationArgs(
                                        days_after_modification_greater_than=self._args.cool_after_days
                                    )
                                )
                            ),
                        ),
                    )
                ]
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _make_immutable(
        self, account: storage.StorageAccount, container: storage.BlobContainer, days: pulumi.Input[int]
    ) -> None:
        """Protect the container's blobs from changes and deletion for some days after they were written.

        This is the only kind of policy that an account with a hierarchical namespace accepts
        (https://learn.microsoft.com/azure/storage/blobs/immutable-container-level-worm-policies).
        The provider cannot delete the policy (https://github.com/pulumi/pulumi-azure-native/issues/2156): it
        stays until `az storage container immutability-policy delete`, and so does a container that holds
        blobs.
        """
        storage.BlobContainerImmutabilityPolicy(
            f"{self._name}-{RAW_CONTAINER}-immutability",
            resource_group_name=self._args.service.resource_group,
            account_name=account.name,
            container_name=container.name,
            immutability_policy_name="default",
            immutability_period_since_creation_in_days=days,
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
        )


def storage_endpoint(blob_url: str) -> str:
    """Return an Azure ML datastore's `endpoint`: `core.windows.net` for `https://a.blob.core.windows.net/`.

    An emulator's URL has the account in its path; its endpoint is the address itself
    (https://learn.microsoft.com/azure/storage/common/storage-connect-azurite).
    """
    host = urlsplit(blob_url).netloc
    return host if is_emulator(host) else host.split(".blob.", 1)[1]
