"""`importer grants`: what its options give, and the script for an import of the workspace."""

import base64
import re
import uuid
from collections.abc import Sequence
from ipaddress import IPv4Network
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from importer.commands.grants_script import Administration, grants_script
from importer.errors import ImporterError
from importer.versions.workspace import Workspace

_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def administration(
    user: str | None,
    tenant_id: str | None,
    object_id: str | None,
    public_key: Path | None,
    addresses: Sequence[str],
) -> Administration:
    """Return what the command's options give; an ImporterError names an option with a wrong value."""
    for option, value in (("--tenant-id", tenant_id), ("--object-id", object_id)):
        if value is not None and not _ID.fullmatch(value):
            raise ImporterError(f"{option} {value}: expected an id such as {uuid.UUID(int=0)}")
    for address in addresses:
        try:
            IPv4Network(address)
        except ValueError:
            raise ImporterError(f"--address {address}: expected IPv4, such as 203.0.113.0/28") from None
    key = _public_key(public_key) if public_key is not None else None
    return Administration(
        user=user, tenant_id=tenant_id, object_id=object_id, public_key=key, addresses=tuple(addresses)
    )


def _public_key(path: Path) -> str:
    """Return the public key in a file; errors never quote the file, which may be the private key."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise ImporterError(f"--public-key {path}: {error.strerror}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ImporterError(
            f"--public-key {path}: not a public key in PEM (`openssl pkey -pubout` makes it)"
        ) from None
    return base64.b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def import_grants(name: str, given: Administration) -> str:
    """Return the script for an import of the workspace in the environment."""
    workspace = Workspace()
    spec = workspace.spec(name)
    lake_url = None
    if spec.storage_integration:
        lake_url = workspace.datastore(spec.datastore).snowflake_url()
    return grants_script(spec, workspace.connection(spec.connection), given, lake_url)
