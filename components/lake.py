"""Where the platform's data lies."""

from dataclasses import dataclass
from urllib.parse import urlsplit

import pulumi
from pulumi_azure_native import storage

from components.component import Args, Tags
from importer.emulator import is_emulator

RAW_CONTAINER = "rawdata"
CLEAN_CONTAINER = "cleandata"

#: What an Azure ML datastore calls `endpoint`, in the public cloud.
PUBLIC_ENDPOINT = "core.windows.net"


@dataclass(kw_only=True)
class LakeArgs(Args):
    """What a lake needs from outside."""

    resource_group: pulumi.Input[str]
    location: pulumi.Input[str]
    tags: Tags | None = None


class Lake(pulumi.ComponentResource):
    """A storage account with a hierarchical namespace and a container each for raw and clean data.

    `name`, of lower-case letters and digits, starts the account's.
    Only Entra ID opens it: no account keys, no anonymous access, TLS 1.2. Deleted blobs and containers
    can be restored for 14 days. Leaves role assignments to `Identity.grant`, and the workspace's own
    storage account, which cannot have a hierarchical namespace, to the workspace.
    """

    account_name: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    raw_container: pulumi.Output[str]
    raw_container_id: pulumi.Output[str]
    clean_container: pulumi.Output[str]
    clean_container_id: pulumi.Output[str]

    def __init__(self, name: str, args: LakeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ai-platform:index:Lake", name, None, opts)
        args = LakeArgs.of(args)
        account = storage.StorageAccount(
            name,
            resource_group_name=args.resource_group,
            location=args.location,
            kind=storage.Kind.STORAGE_V2,
            sku=storage.SkuArgs(name=storage.SkuName.STANDARD_ZRS),
            is_hns_enabled=True,
            allow_shared_key_access=False,
            allow_blob_public_access=False,
            default_to_o_auth_authentication=True,
            enable_https_traffic_only=True,
            minimum_tls_version=storage.MinimumTlsVersion.TLS1_2,
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        # Azure names the blob service of every account `default`.
        storage.BlobServiceProperties(
            f"{name}-blobs",
            resource_group_name=args.resource_group,
            account_name=account.name,
            blob_services_name="default",
            delete_retention_policy=storage.DeleteRetentionPolicyArgs(enabled=True, days=14),
            container_delete_retention_policy=storage.DeleteRetentionPolicyArgs(enabled=True, days=14),
            opts=pulumi.ResourceOptions(parent=self),
        )
        raw, clean = (
            storage.BlobContainer(
                f"{name}-{container}",
                resource_group_name=args.resource_group,
                account_name=account.name,
                container_name=container,
                public_access=storage.PublicAccess.NONE,
                opts=pulumi.ResourceOptions(parent=self),
            )
            for container in (RAW_CONTAINER, CLEAN_CONTAINER)
        )
        self.account_name = account.name
        self.endpoint = account.primary_endpoints.apply(
            lambda endpoints: storage_endpoint(endpoints.blob) if endpoints else PUBLIC_ENDPOINT
        )
        self.raw_container, self.raw_container_id = raw.name, raw.id
        self.clean_container, self.clean_container_id = clean.name, clean.id
        self.register_outputs(
            {
                "account_name": self.account_name,
                "endpoint": self.endpoint,
                "raw_container": self.raw_container,
                "raw_container_id": self.raw_container_id,
                "clean_container": self.clean_container,
                "clean_container_id": self.clean_container_id,
            }
        )


def storage_endpoint(blob_url: str) -> str:
    """Return what an Azure ML datastore calls `endpoint`: `core.windows.net` of `https://a.blob.core.windows.net/`.

    The storage emulator's URLs hold the account in the path: there it is the address itself
    (https://learn.microsoft.com/azure/storage/common/storage-connect-azurite).
    """
    host = urlsplit(blob_url).netloc
    return host if is_emulator(host) else host.split(".blob.", 1)[1]
