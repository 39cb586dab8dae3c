"""The imports of a stack in an existing workspace, without the platform."""

from datetime import datetime

import pulumi
from pulumi_azure_native import authorization, keyvault, storage
from pulumi_azure_native import machinelearningservices as ml

from components.arm_id import part_of
from components.component import after
from components.dynamic.roles_in_effect import RolesInEffect, RolesInEffectArgs
from components.identity.custom_role import CustomRole, data_registrar
from components.identity.identity import Role, assign_role
from components.storage.lake import CLEAN_CONTAINER, storage_endpoint
from components.workspace.workspace import blob_datastore
from stacks.imports import Destination, Imports
from stacks.settings.existing import ExistingSettings
from stacks.settings.stack import PROJECT, Settings

#: The first part of the names of the connection to Snowflake and of the datastore. The second is the stack's
#: name, because other stacks may use the same workspace.
CONNECTION = "snowflake"
DATASTORE = "rawdata"


class ImportsAlone:
    """Imports in an existing workspace, and the roles that their identity needs.

    Makes a datastore if the settings name only a container. The workspace, the container, the identity and
    the vault exist already. `now` is when the stack is deployed. `outputs` are the stack's outputs.
    """

    def __init__(self, settings: Settings, existing: ExistingSettings, stack: str, now: datetime) -> None:
        self._settings = settings
        self._existing = existing
        roles = RolesInEffect(f"{settings.name}-importer-roles", RolesInEffectArgs(roles=self._grant()))
        self._imports = Imports(
            settings,
            Destination(
                workspace={
                    "subscription_id": existing.subscription_id,
                    "resource_group": existing.resource_group,
                    "name": existing.workspace,
                },
                connection=f"{CONNECTION}_{settings.name}",
                datastore=self._datastore(),
                clean_datastore=existing.clean_datastore or CLEAN_CONTAINER,  # without one, no `curate`
                identity_client_id=after(existing.identity_client_id, [roles]),
                tags={"project": PROJECT, "stack": stack, **settings.tags},
                now=now,
                secret_uri=self._secret_uri(),
                adopt=existing.adopt,
            ),
        )
        self.outputs: dict[str, pulumi.Input[object]] = {
            "workspace": existing.workspace,
            "imports": self._imports.outputs,
        }

    def _grant(self) -> list[authorization.RoleAssignment]:
        """Let the identity register data, write to the container and read the sign-in's secret."""
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

    def _assign(self, on: str, role: Role | CustomRole, scope: str) -> authorization.RoleAssignment:
        return assign_role(
            f"{self._settings.name}-importer-on-{on}",
            role,
            scope,
            self._existing.identity_principal_id,
            authorization.PrincipalType.SERVICE_PRINCIPAL,
            pulumi.ResourceOptions(),
        )

    def _datastore(self) -> pulumi.Input[str]:
        """Return the datastore that imports write to; without one, make one for the container."""
        existing = self._existing
        if existing.datastore is not None:
            return existing.datastore
        if existing.container_id is None:
            raise ValueError("imports need a datastore or a container")
        account_name = part_of(existing.container_id, "name")
        account = storage.get_storage_account_output(
            account_name=account_name,
            resource_group_name=part_of(existing.container_id, "resource_group"),
        )
        datastore = ml.Datastore(
            f"{self._settings.name}-{DATASTORE}",
            resource_group_name=existing.resource_group,
            workspace_name=existing.workspace,
            name=f"{DATASTORE}_{self._settings.name}",
            properties=blob_datastore(
                account_name,
                part_of(existing.container_id, "resource_name"),
                account.primary_endpoints.apply(lambda endpoints: storage_endpoint(endpoints.blob)),
            ),
            # earlier versions named it `rawdata`, and the registered data assets refer to it by its name
            opts=pulumi.ResourceOptions(ignore_changes=["name"]),
        )
        return datastore.name

    def _secret_uri(self) -> pulumi.Output[str] | None:
        secret, vault_id = self._settings.snowflake.secret_name, self._existing.vault_id
        if secret is None or vault_id is None:
            return None
        vault = keyvault.get_vault_output(
            vault_name=part_of(vault_id, "name"), resource_group_name=part_of(vault_id, "resource_group")
        )
        return pulumi.Output.format("{0}secrets/{1}", vault.properties.vault_uri, secret)
