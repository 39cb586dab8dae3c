"""The token with which Snowflake writes into one folder: a shared access signature by a delegation key."""

from datetime import UTC, datetime, timedelta

from azure.storage.blob import UserDelegationKey, generate_blob_sas

from importer.lake.azure import calling
from importer.lake.datastore import Datastore

#: What an unload needs in its folder: read, add, create, write, list
#: (https://docs.snowflake.com/en/user-guide/data-load-azure-config, "Generate the SAS token").
_UNLOAD_PERMISSIONS = "racwl"

#: How far the clocks of Azure and of this machine may differ
#: (https://learn.microsoft.com/azure/storage/common/storage-sas-overview#best-practices-when-using-sas).
_CLOCK_SKEW = timedelta(minutes=15)


def delegation_key(datastore: Datastore, lifetime: timedelta) -> UserDelegationKey:
    """Return a key that signs tokens for the account's blobs in the importer's name.

    The importer needs the role Storage Blob Delegator on the account.
    """
    now = datetime.now(UTC)
    with calling(f"user delegation key of {datastore.account_url}"):
        account = datastore.open_account()
        return account.get_user_delegation_key(now - _CLOCK_SKEW, now + lifetime + _CLOCK_SKEW)


def folder_token(datastore: Datastore, folder: str, key: UserDelegationKey) -> str:
    """Return a token with which Snowflake unloads into a folder, over HTTPS only, until the key expires.

    The account must have a hierarchical namespace, as the data lake has
    (https://learn.microsoft.com/rest/api/storageservices/create-user-delegation-sas).
    """
    return generate_blob_sas(
        datastore.account,
        datastore.container,
        folder.rstrip("/"),
        is_directory=True,
        user_delegation_key=key,
        permission=_UNLOAD_PERMISSIONS,
        expiry=key.signed_expiry,
        protocol="https",
    )
