"""The imports of a stack without the platform: in a workspace that is there already."""

import pulumi
from pulumi_azure_native import authorization, keyvault, storage
from pulumi_azure_native import machinelearningservices as ml

from components.identity.custom_role import CustomRole, data_registrar
from components.identity.identity import Role, assign_role
from components.storage.lake import CLEAN_CONTAINER, storage_endpoint
from components.workspace.workspace import blob_datastore
from stacks.imports import Destination, Imports
from stacks.settings.existing import ExistingSettings
from stacks.settings.stack import PROJECT, Settings

#: The datastore that is made where a container is given and no datastore.
DATASTORE = "rawdata"


class ImportsAlone:
    """The connection, the schedules and the roles of imports, and nothing else.

    The workspace, its datastore and the identity are the settings' own. `outputs` are the stack's.
    """

    def __init__(self, settings: Settings, existing: ExistingSettings, stack: str) -> None:
        self._settings = settings
        self._existing = existing
        roles = self._grant()
        datastore = existing.datastore or self._make_datastore()
        self._imports = Imports(
            settings,
            Destination(
                workspace={
                    "subscription_id": existing.subscription_id,
                    "resource_group": existing.resource_group,
                    "name": existing.workspace,
                },
                datastore=datastore,
                clean_datastore=existing.clean_datastore or CLEAN_CONTAINER,  # no import has `curate` then
                identity_client_id=existing.identity_client_id,
                tags={"project": PROJECT, "stack": stack, **settings.tags},
                ready=roles,
                secret_uri=self._secret_uri(),
            ),
        )
        self.outputs: dict[str, pulumi.Input[object]] = {
            "workspace": existing.workspace,
            "imports": self._imports.outputs,
        }

    def _grant(self) -> list[pulumi.Resource]:
        """Let the identity register data, and write to the container and read the secret that are given."""
        existing, secret = self._existing, self._settings.snowflake.secret_name
        register = data_registrar(self._settings.name, existing.resource_group_id)
        grants = [self._assign("workspace", register, existing.workspace_id)]
        if existing.container_id is not None:
            grants.append(
                self._assign("container", Role.STORAGE_BLOB_DATA_CONTRIBUTOR, existing.container_id)
            )
        if existing.vault_id is not None and secret is not None:
            secret_id = f"{existing.vault_id}/secrets/{secret}"
            grants.append(self._assign("secret", Role.KEY_VAULT_SECRETS_USER, secret_id))
        return grants

    def _assign(self, on: str, role: Role | CustomRole, scope: str) -> pulumi.Resource:
        return assign_role(
            f"{self._settings.name}-importer-on-{on}",
            role,
            scope,
            self._existing.identity_principal_id,
            authorization.PrincipalType.SERVICE_PRINCIPAL,
            pulumi.ResourceOptions(),
        )

    def _make_datastore(self) -> pulumi.Output[str]:
        """Make the container a datastore of the workspace, without a credential."""
        _, _, _, _, group, *_, account, _, _, _, container = str(self._existing.container_id).split("/")
        found = storage.get_storage_account_output(account_name=account, resource_group_name=group)
        datastore = ml.Datastore(
            f"{self._settings.name}-{DATASTORE}",
            resource_group_name=self._existing.resource_group,
            workspace_name=self._existing.workspace,
            name=DATASTORE,
            properties=blob_datastore(
                account,
                container,
                found.primary_endpoints.apply(lambda endpoints: storage_endpoint(endpoints.blob)),
            ),
        )
        return datastore.name

    def _secret_uri(self) -> pulumi.Output[str] | None:
        secret, vault_id = self._settings.snowflake.secret_name, self._existing.vault_id
        if secret is None or vault_id is None:
            return None
        vault = keyvault.get_vault_output(
            vault_name=vault_id.rsplit("/", 1)[1], resource_group_name=vault_id.split("/")[4]
        )
        return pulumi.Output.format("{0}secrets/{1}", vault.properties.vault_uri, secret)
