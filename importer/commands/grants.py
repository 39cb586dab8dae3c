"""The script with which an administrator of Snowflake lets one import in: role, user, grants, network.

The grants are no more than the import needs (https://docs.snowflake.com/en/user-guide/security-access-control-privileges),
and each statement can be run again.
"""

import base64
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from importer.commands.query_objects import QueryObjects, TableName, query_objects
from importer.errors import ImporterError
from importer.lake.blob import AssetBlobs
from importer.spec.import_spec import ImportSpec
from importer.spec.snowflake_target import SignIn, SnowflakeTarget
from importer.versions.workspace import Workspace

#: What the script leaves open where nobody has said it, and where that is found.
_PLACEHOLDERS = {
    "user": "a name for the importer's user in Snowflake (--user)",
    "database": "the database of the tables that the query names without one",
    "schema": "the schema of the tables that the query names without one",
    "tenant id": "the tenant of the importer's identity in Entra ID (--tenant-id, or AZURE_TENANT_ID)",
    "object id": "the object id of the importer's managed identity, or of the OAuth client's service "
    "principal (--object-id)",
    "public key": "the public key to the private key in the vault, less its first and last line "
    "(--public-key)",
    "address range": "where the importer comes from, as Snowflake sees it (--address, as often as needed)",
    "issuer": "the issuer of the tokens of the OAuth client",
    "keys url": "where the issuer publishes its keys",
    "subject": "the claim `sub` in the tokens of the OAuth client",
}

#: Snowflake's own database, and the schema that every database has: neither takes a grant on a table.
_SNOWFLAKE, _INFORMATION_SCHEMA = "SNOWFLAKE", "INFORMATION_SCHEMA"

_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, kw_only=True)
class Administration:
    """What the connection does not hold and the script needs; None or nothing: a placeholder in its place."""

    user: str | None = None
    tenant_id: str | None = None
    object_id: str | None = None
    public_key: str | None = None
    """In base64, as Snowflake takes it."""
    addresses: tuple[str, ...] = ()


def administration(
    user: str | None,
    tenant_id: str | None,
    object_id: str | None,
    public_key: Path | None,
    addresses: Sequence[str],
) -> Administration:
    """Return what the command's options give; an ImporterError says which of them cannot be used."""
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
    """Return the public key in a file; its content is in no error, as it may be the private one."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise ImporterError(f"--public-key {path}: {error.strerror}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ImporterError(
            f"--public-key {path}: not a public key in PEM; of a private key, `openssl pkey -pubout` makes it"
        ) from None
    return base64.b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def import_grants(name: str, given: Administration) -> str:
    """Return the script for an import of the workspace in the environment."""
    workspace = Workspace()
    spec = workspace.spec(name)
    lake_url = None
    if spec.storage_integration:
        lake_url = AssetBlobs(workspace.datastore(spec.datastore), spec.name).snowflake_url("")
    return grants_script(spec, workspace.connection(spec.connection), given, lake_url)


def grants_script(
    spec: ImportSpec, target: SnowflakeTarget, given: Administration, lake_url: str | None
) -> str:
    """Return the script; `lake_url` is what the storage integration opens, None where there is none."""
    script = _Script(spec, target, given)
    sections = [
        ("The role, which may run the query and nothing else", script.role()),
        ("The user", script.user()),
        ("Where the user may come from", script.network()),
    ]
    if target.sign_in is SignIn.OAUTH:
        sections.append(("Whose tokens sign the user in", script.oauth_integration()))
    if lake_url is not None:
        sections.append(("What opens the data lake to the warehouse", script.storage_integration(lake_url)))
    sections.append(("Afterwards", script.afterwards()))
    body = "\n\n".join("\n".join([f"-- {title}", *lines]) for title, lines in sections if lines)
    return f"{_head(spec.name, body)}\n\n{body}\n"


class _Script:
    """The sections of the script, as lines."""

    def __init__(self, spec: ImportSpec, target: SnowflakeTarget, given: Administration) -> None:
        self._spec = spec
        self._target = target
        self._given = given
        self._reads = query_objects(spec.query)
        self._role_name = _name(target.role)
        self._role = _quoted(self._role_name)
        self._warehouse = _quoted(_name(target.warehouse))
        user = given.user or target.user
        self._user = _quoted(_name(user)) if user else "<user>"

    def role(self) -> list[str]:
        to = f"TO ROLE {self._role};"
        tables = self._reads.tables
        databases = sorted({_database(t) for t in tables if t.database != _SNOWFLAKE})
        own = [t for t in tables if t.database != _SNOWFLAKE and t.schema != _INFORMATION_SCHEMA]
        return [
            "USE ROLE SECURITYADMIN;",
            f"CREATE ROLE IF NOT EXISTS {self._role};",
            f"GRANT USAGE ON WAREHOUSE {self._warehouse} {to}",
            *(f"GRANT USAGE ON DATABASE {name} {to}" for name in databases),
            *(f"GRANT USAGE ON SCHEMA {name} {to}" for name in sorted({_schema(t) for t in own})),
            *(["-- Of a view, or another kind of table, write the kind in place of TABLE."] if own else []),
            *(f"GRANT SELECT ON TABLE {_schema(t)}.{_quoted(t.name)} {to}" for t in own),
            *_by_hand(self._reads),
        ]

    def user(self) -> list[str]:
        kind = "LEGACY_SERVICE" if self._target.sign_in is SignIn.PASSWORD else "SERVICE"
        properties = [
            f"TYPE = {kind}",
            f"DEFAULT_ROLE = {self._role}",
            f"DEFAULT_WAREHOUSE = {self._warehouse}",
            "DEFAULT_SECONDARY_ROLES = ()",
            *self._default_namespace(),
            *self._credential(),
        ]
        return [
            f"CREATE USER IF NOT EXISTS {self._user} TYPE = {kind};",
            f"ALTER USER {self._user} SET",
            *(f"  {line}" for line in properties[:-1]),
            f"  {properties[-1]};",
            f"GRANT ROLE {self._role} TO USER {self._user};",
        ]

    def _default_namespace(self) -> list[str]:
        """Return the property that completes the names of tables, where the query leaves some incomplete."""
        incomplete = [t for t in self._reads.tables if t.database is None]
        if not incomplete:
            return []
        schema = ".<schema>" if any(t.schema is None for t in incomplete) else ""
        return [f"DEFAULT_NAMESPACE = '<database>{schema}'"]

    def _credential(self) -> list[str]:
        """Return the property that proves the user, where its sign-in has one.

        https://docs.snowflake.com/en/user-guide/workload-identity-federation
        https://docs.snowflake.com/en/user-guide/key-pair-auth
        """
        match self._target.sign_in:
            case SignIn.WORKLOAD_IDENTITY:
                issuer = f"https://login.microsoftonline.com/{self._tenant_id()}/v2.0"
                subject = _text(self._given.object_id or "<object id>")
                return [f"WORKLOAD_IDENTITY = (TYPE = AZURE ISSUER = {_text(issuer)} SUBJECT = {subject})"]
            case SignIn.KEY_PAIR:
                return [f"RSA_PUBLIC_KEY = {_text(self._given.public_key or '<public key>')}"]
            case SignIn.OAUTH:
                by_identity = "<object id>" if self._is_entra() else "<subject>"
                return [f"LOGIN_NAME = {_text(self._given.object_id or by_identity)}"]
        return []

    def _tenant_id(self) -> str:
        return self._given.tenant_id or "<tenant id>"

    def _is_entra(self) -> bool:
        """Return whether the OAuth tokens are of Entra ID."""
        url = self._target.oauth_token_url
        return url is None or url.startswith("https://login.microsoftonline.com/")

    def network(self) -> list[str]:
        name = _quoted(f"{self._role_name}_NETWORK")
        ranges = ", ".join(_text(address) for address in self._given.addresses or ["<address range>"])
        return [
            f"CREATE NETWORK POLICY IF NOT EXISTS {name} ALLOWED_IP_LIST = ({ranges});",
            f"ALTER NETWORK POLICY {name} SET ALLOWED_IP_LIST = ({ranges});",
            f"ALTER USER {self._user} SET NETWORK_POLICY = {name};",
        ]

    def oauth_integration(self) -> list[str]:
        """Return how Snowflake knows a token of the user's.

        https://docs.snowflake.com/en/sql-reference/sql/create-security-integration-oauth-external
        """
        kind, issuer, keys = "CUSTOM", "<issuer>", "<keys url>"
        if self._is_entra():
            tenant = self._tenant_id()
            kind, issuer = "AZURE", f"https://sts.windows.net/{tenant}/"
            keys = f"https://login.microsoftonline.com/{tenant}/discovery/v2.0/keys"
        audience = (self._target.oauth_scope or "").removesuffix("/.default")
        return [
            "-- An account has one integration for an issuer: to one that is there, add audience and role.",
            "USE ROLE ACCOUNTADMIN;",
            'CREATE SECURITY INTEGRATION IF NOT EXISTS "AI_PLATFORM_OAUTH"',
            "  TYPE = EXTERNAL_OAUTH",
            "  ENABLED = TRUE",
            f"  EXTERNAL_OAUTH_TYPE = {kind}",
            f"  EXTERNAL_OAUTH_ISSUER = {_text(issuer)}",
            f"  EXTERNAL_OAUTH_JWS_KEYS_URL = {_text(keys)}",
            f"  EXTERNAL_OAUTH_AUDIENCE_LIST = ({_text(audience)})",
            "  EXTERNAL_OAUTH_TOKEN_USER_MAPPING_CLAIM = 'sub'",
            "  EXTERNAL_OAUTH_SNOWFLAKE_USER_MAPPING_ATTRIBUTE = 'LOGIN_NAME'",
            f"  EXTERNAL_OAUTH_ALLOWED_ROLES_LIST = ({_text(self._role_name)})",
            "  EXTERNAL_OAUTH_ANY_ROLE_MODE = 'ENABLE';",
        ]

    def storage_integration(self, lake_url: str) -> list[str]:
        """Return how Snowflake signs in to the data lake.

        https://docs.snowflake.com/en/user-guide/data-load-azure-config
        """
        name = _quoted(_name(self._spec.storage_integration or ""))
        return [
            "USE ROLE ACCOUNTADMIN;",
            f"CREATE STORAGE INTEGRATION IF NOT EXISTS {name}",
            "  TYPE = EXTERNAL_STAGE",
            "  STORAGE_PROVIDER = 'AZURE'",
            "  ENABLED = TRUE",
            f"  AZURE_TENANT_ID = {_text(self._tenant_id())}",
            f"  STORAGE_ALLOWED_LOCATIONS = ({_text(lake_url)});",
            f"GRANT USAGE ON INTEGRATION {name} TO ROLE {self._role};",
            "-- This shows AZURE_CONSENT_URL, for an administrator of Entra ID to open once, and",
            "-- AZURE_MULTI_TENANT_APP_NAME, whose object id is for snowflake.unload.integrationPrincipal:",
            f"--   DESC STORAGE INTEGRATION {name};",
        ]

    def afterwards(self) -> list[str]:
        """Return, as comments, what is no statement to be run again."""
        lines = [
            "-- The query is checked in a preview by whoever deploys, in this role:",
            f"--   GRANT ROLE {self._role} TO USER <deployer>;",
        ]
        if self._spec.mode == "unload":
            lines += [
                "-- Snowflake may write to an address only where this is false:",
                "--   SHOW PARAMETERS LIKE 'PREVENT_UNLOAD_TO_INLINE_URL' IN ACCOUNT;",
            ]
        life = _CREDENTIAL_LIFE.get(self._target.sign_in, "")
        return lines + life.format(user=self._user, role=self._role_name).splitlines()


#: How a credential begins and is changed, by the sign-in that has one
#: (https://docs.snowflake.com/en/user-guide/key-pair-auth#configuring-key-pair-rotation,
#: https://docs.snowflake.com/en/user-guide/programmatic-access-tokens).
_CREDENTIAL_LIFE = {
    SignIn.WORKLOAD_IDENTITY: """\
-- Once for the tenant, an administrator of Entra ID consents to Snowflake's application there:
-- its application id is fd3f753b-eed3-462c-b6a7-a4b5bb650aad.""",
    SignIn.KEY_PAIR: """\
-- To change the key in two steps, with no import that fails:
--   ALTER USER {user} SET RSA_PUBLIC_KEY_2 = '<new public key>';
-- Now both are valid. Set the new private key as the newest version of the vault's secret, and import once.
--   ALTER USER {user} UNSET RSA_PUBLIC_KEY;
-- The next time, the two properties change places.""",
    SignIn.PROGRAMMATIC_TOKEN: """\
-- The token is shown once, by this; it goes into the vault's secret and nowhere else:
--   ALTER USER {user} ADD PROGRAMMATIC ACCESS TOKEN "AI_PLATFORM"
--     ROLE_RESTRICTION = '{role}' DAYS_TO_EXPIRY = 90;
-- To change it, with both valid for a day:
--   ALTER USER {user} ROTATE PROGRAMMATIC ACCESS TOKEN "AI_PLATFORM"
--     EXPIRE_ROTATED_TOKEN_AFTER_HOURS = 24;""",
    SignIn.PASSWORD: """\
-- Snowflake ends passwords of services: choose another snowflake.signIn; until then, set it by hand.""",
}


def _head(name: str, body: str) -> str:
    code = "\n".join(line for line in body.splitlines() if not line.startswith("--"))
    found = [key for key in _PLACEHOLDERS if f"<{key}>" in code]
    replace = [f"--   <{key}>: {_PLACEHOLDERS[key]}" for key in found]
    return "\n".join(
        [
            f"-- Lets the import {name} into Snowflake; made by `python -m importer grants {name}`.",
            "-- It can be run again; the addresses of the network policy are then those given here.",
            *(["-- Replace before it is run:", *replace] if replace else []),
        ]
    )


def _by_hand(reads: QueryObjects) -> list[str]:
    """Return, as comments, the grants that the query alone does not tell."""
    lines = [
        f"-- {t.database}.{t.schema}.{t.name}: grant the role a database role of SNOWFLAKE that has this view"
        for t in reads.tables
        if t.database == _SNOWFLAKE
    ]
    lines += [
        f"-- {name}: GRANT USAGE ON FUNCTION with the types of its arguments" for name in reads.functions
    ]
    lines += [f"-- {name}: GRANT USAGE, or READ, ON STAGE" for name in reads.stages]
    # a quoted name may have a line break in it, and what follows that would be no comment
    return ["-- To be granted by hand:", *(" ".join(line.split()) for line in lines)] if lines else []


def _database(table: TableName) -> str:
    return _quoted(table.database) if table.database is not None else "<database>"


def _schema(table: TableName) -> str:
    return f"{_database(table)}.{_quoted(table.schema) if table.schema is not None else '<schema>'}"


def _name(identifier: str) -> str:
    """Return the name that an identifier stands for, as a connection has it."""
    if identifier.startswith('"'):
        return identifier[1:-1].replace('""', '"')
    return identifier.upper()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + re.sub(r"(['\\])", r"\1\1", value) + "'"
