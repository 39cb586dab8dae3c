"""The local Snowflake account: its users with roles and passwords, its warehouse and its database."""

import json
import secrets

from localcloud.home import Home, write_atomically

#: The roles of each user, the default one first.
ROLES = {"DEPLOYER": ("SYSADMIN", "IMPORTER"), "IMPORTER": ("IMPORTER",)}

#: Roles that may only read; the others may do everything.
READ_ONLY_ROLES = frozenset({"IMPORTER"})

#: The only warehouse, and the default one of each user.
WAREHOUSE = "IMPORT_WH"

#: The only storage integration: it has access to all of the local Blob storage, and every role may use it.
STORAGE_INTEGRATION = "LAKE"

#: A schema, in any database, that the read-only roles have no grant on.
PRIVATE_SCHEMA = "PRIVATE"
DATABASE = "GLOBOREALTY"
SCHEMA = "REAL_ESTATE"


def ensure_passwords(home: Home) -> None:
    """Add a random password to the vault's file for each user without one."""
    kept = json.loads(home.vault_file.read_text()) if home.vault_file.exists() else {}
    missing = [name for name in map(_secret_name, ROLES) if name not in kept]
    if missing:
        made = {name: secrets.token_urlsafe(24) for name in missing}
        write_atomically(home.vault_file, json.dumps(kept | made, indent=2) + "\n", mode=0o600)


def read_passwords(home: Home) -> dict[str, str]:
    """Return the password of each user; the first start has created them."""
    kept = json.loads(home.vault_file.read_text())
    return {user: kept[_secret_name(user)] for user in ROLES}


def _secret_name(user: str) -> str:
    return f"snowflake-{user.lower()}"
