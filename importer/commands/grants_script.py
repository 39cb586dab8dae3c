"""The SQL with which an administrator of Snowflake gives one import access: role, user, grants, network.

It grants no more than the import needs
(https://docs.snowflake.com/en/user-guide/security-access-control-privileges). It can be run again.
"""

from dataclasses import dataclass, field
from typing import assert_never

from importer.commands.query_objects import QueryObjects, TableName, query_objects
from importer.spec.import_spec import ImportSpec
from importer.spec.snowflake_target import SignIn, SnowflakeTarget
from importer.spec.sql import identifier, literal

#: The placeholders for what is not given, and where an administrator finds it.
_PLACEHOLDERS = {
    "user": "a name for the importer's user in Snowflake (--user)",
    "database": "the database of the tables that the query names without one",
    "schema": "the schema of the tables that the query names without one",
    "tenant id": "the tenant of the importer's identity in Entra ID (--tenant-id, or AZURE_TENANT_ID)",
    "object id": "the object id of the importer's managed identity, or of the OAuth client's service "
    "principal (--object-id)",
    "public key": "the public key that belongs to the private key in the vault, without its first and last "
    "line (--public-key)",
    "address range": "the addresses from which the importer reaches Snowflake (--address, may be repeated)",
    "issuer": "the issuer of the OAuth client's tokens",
    "keys url": "the address at which the issuer publishes its keys",
    "subject": "the claim `sub` in the OAuth client's tokens",
}

#: Tables in Snowflake's own database, and in the schema that every database has, take no grant.
_SNOWFLAKE, _INFORMATION_SCHEMA = "SNOWFLAKE", "INFORMATION_SCHEMA"


@dataclass(frozen=True, kw_only=True)
class Administration:
    """What the script needs beyond the connection; a value that is None or empty becomes a placeholder."""

    user: str | None = None
    tenant_id: str | None = None
    object_id: str | None = None
    public_key: str | None = None
    """In base64, as Snowflake takes it."""
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Credential:
    """The user of a sign-in method: its type, its properties, and comments on what is done by hand."""

    user_type: str = "SERVICE"
    properties: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)


def grants_script(
    spec: ImportSpec, target: SnowflakeTarget, given: Administration, lake_url: str | None
) -> str:
    """Return the script; `lake_url` is the location of the storage integration, None where there is none."""
    script = _Script(spec, target, given)
    sections = [
        ("The role, which may only run the query", script.role()),
        ("The user", script.user()),
        ("The addresses from which the user may connect", script.network()),
    ]
    if target.sign_in is SignIn.OAUTH:
        sections.append(("The issuer of the user's tokens", script.oauth_integration()))
    if lake_url is not None:
        sections.append(("The warehouse's access to the data lake", script.storage_integration(lake_url)))
    sections.append(("Next steps", script.next_steps()))
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
        self._role = identifier(self._role_name)
        self._warehouse = identifier(_name(target.warehouse))
        user = given.user or target.user
        self._user = identifier(_name(user)) if user else "<user>"
        self._tenant_id = given.tenant_id or "<tenant id>"
        self._credential = self._sign_in_credential()

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
            *(["-- For a view or another kind of table, replace TABLE by its kind."] if own else []),
            *(f"GRANT SELECT ON TABLE {_schema(t)}.{identifier(t.name)} {to}" for t in own),
            *_by_hand(self._reads),
        ]

    def user(self) -> list[str]:
        kind = self._credential.user_type
        properties = [
            f"TYPE = {kind}",
            f"DEFAULT_ROLE = {self._role}",
            f"DEFAULT_WAREHOUSE = {self._warehouse}",
            "DEFAULT_SECONDARY_ROLES = ()",
            *self._default_namespace(),
            *self._credential.properties,
        ]
        return [
            f"CREATE USER IF NOT EXISTS {self._user} TYPE = {kind};",
            f"ALTER USER {self._user} SET",
            *(f"  {line}" for line in properties[:-1]),
            f"  {properties[-1]};",
            f"GRANT ROLE {self._role} TO USER {self._user};",
        ]

    def _default_namespace(self) -> list[str]:
        """Return the property that completes table names, where the query leaves some incomplete."""
        incomplete = [t for t in self._reads.tables if t.database is None]
        if not incomplete:
            return []
        schema = ".<schema>" if any(t.schema is None for t in incomplete) else ""
        return [f"DEFAULT_NAMESPACE = '<database>{schema}'"]

    def _sign_in_credential(self) -> _Credential:
        match self._target.sign_in:
            case SignIn.WORKLOAD_IDENTITY:
                return self._workload_identity()
            case SignIn.KEY_PAIR:
                return self._key_pair()
            case SignIn.OAUTH:
                by_identity = "<object id>" if self._is_entra() else "<subject>"
                login_name = self._given.object_id or by_identity
                return _Credential(properties=[f"LOGIN_NAME = {literal(login_name)}"])
            case SignIn.PROGRAMMATIC_TOKEN:
                return self._programmatic_token()
            case SignIn.PASSWORD:
                comment = (
                    "-- Set the password by hand. Snowflake is ending passwords for services: plan to change "
                    "snowflake.signIn."
                )
                return _Credential("LEGACY_SERVICE", comments=[comment])
            case _:
                assert_never(self._target.sign_in)

    def _workload_identity(self) -> _Credential:
        # https://docs.snowflake.com/en/user-guide/workload-identity-federation
        issuer = literal(f"https://login.microsoftonline.com/{self._tenant_id}/v2.0")
        subject = literal(self._given.object_id or "<object id>")
        return _Credential(
            properties=[f"WORKLOAD_IDENTITY = (TYPE = AZURE ISSUER = {issuer} SUBJECT = {subject})"],
            comments=[
                "-- Once per tenant, an administrator of Entra ID consents to Snowflake's application, whose",
                "-- application id is fd3f753b-eed3-462c-b6a7-a4b5bb650aad.",
            ],
        )

    def _key_pair(self) -> _Credential:
        # https://docs.snowflake.com/en/user-guide/key-pair-auth#configuring-key-pair-rotation
        return _Credential(
            properties=[f"RSA_PUBLIC_KEY = {literal(self._given.public_key or '<public key>')}"],
            comments=[
                "-- To rotate the key without a failed import:",
                f"--   ALTER USER {self._user} SET RSA_PUBLIC_KEY_2 = '<new public key>';",
                "-- Both keys are valid now. Store the new private key as the next version of the secret in",
                "-- the vault, and run one import. Then:",
                f"--   ALTER USER {self._user} UNSET RSA_PUBLIC_KEY;",
                "-- At the next rotation, swap the two properties.",
            ],
        )

    def _programmatic_token(self) -> _Credential:
        # https://docs.snowflake.com/en/user-guide/programmatic-access-tokens
        return _Credential(
            comments=[
                "-- This creates the token and shows it once. Store it in the vault, and nowhere else:",
                f'--   ALTER USER {self._user} ADD PROGRAMMATIC ACCESS TOKEN "AI_PLATFORM"',
                f"--     ROLE_RESTRICTION = {literal(self._role_name)} DAYS_TO_EXPIRY = 90;",
                "-- To rotate it, with both tokens valid for a day:",
                f'--   ALTER USER {self._user} ROTATE PROGRAMMATIC ACCESS TOKEN "AI_PLATFORM"',
                "--     EXPIRE_ROTATED_TOKEN_AFTER_HOURS = 24;",
            ]
        )

    def _is_entra(self) -> bool:
        """Return whether Entra ID issues the OAuth tokens."""
        url = self._target.oauth_token_url
        return url is None or url.startswith("https://login.microsoftonline.com/")

    def network(self) -> list[str]:
        name = identifier(f"{self._role_name}_NETWORK")
        ranges = ", ".join(literal(address) for address in self._given.addresses or ["<address range>"])
        return [
            f"CREATE NETWORK POLICY IF NOT EXISTS {name} ALLOWED_IP_LIST = ({ranges});",
            f"ALTER NETWORK POLICY {name} SET ALLOWED_IP_LIST = ({ranges});",
            f"ALTER USER {self._user} SET NETWORK_POLICY = {name};",
        ]

    def oauth_integration(self) -> list[str]:
        """Return how Snowflake verifies the user's tokens.

        https://docs.snowflake.com/en/sql-reference/sql/create-security-integration-oauth-external
        """
        kind, issuer, keys = "CUSTOM", "<issuer>", "<keys url>"
        if self._is_entra():
            kind, issuer = "AZURE", f"https://sts.windows.net/{self._tenant_id}/"
            keys = f"https://login.microsoftonline.com/{self._tenant_id}/discovery/v2.0/keys"
        audience = (self._target.oauth_scope or "").removesuffix("/.default")
        return [
            "-- An account has one integration per issuer. If it exists, add this audience and role to it.",
            "USE ROLE ACCOUNTADMIN;",
            'CREATE SECURITY INTEGRATION IF NOT EXISTS "AI_PLATFORM_OAUTH"',
            "  TYPE = EXTERNAL_OAUTH",
            "  ENABLED = TRUE",
            f"  EXTERNAL_OAUTH_TYPE = {kind}",
            f"  EXTERNAL_OAUTH_ISSUER = {literal(issuer)}",
            f"  EXTERNAL_OAUTH_JWS_KEYS_URL = {literal(keys)}",
            f"  EXTERNAL_OAUTH_AUDIENCE_LIST = ({literal(audience)})",
            "  EXTERNAL_OAUTH_TOKEN_USER_MAPPING_CLAIM = 'sub'",
            "  EXTERNAL_OAUTH_SNOWFLAKE_USER_MAPPING_ATTRIBUTE = 'LOGIN_NAME'",
            f"  EXTERNAL_OAUTH_ALLOWED_ROLES_LIST = ({literal(self._role_name)})",
            "  EXTERNAL_OAUTH_ANY_ROLE_MODE = 'ENABLE';",
        ]

    def storage_integration(self, lake_url: str) -> list[str]:
        """Return how Snowflake signs in to the data lake.

        https://docs.snowflake.com/en/user-guide/data-load-azure-config
        """
        name = identifier(_name(self._spec.storage_integration or ""))
        return [
            "USE ROLE ACCOUNTADMIN;",
            f"CREATE STORAGE INTEGRATION IF NOT EXISTS {name}",
            "  TYPE = EXTERNAL_STAGE",
            "  STORAGE_PROVIDER = 'AZURE'",
            "  ENABLED = TRUE",
            f"  AZURE_TENANT_ID = {literal(self._tenant_id)}",
            f"  STORAGE_ALLOWED_LOCATIONS = ({literal(lake_url)});",
            f"GRANT USAGE ON INTEGRATION {name} TO ROLE {self._role};",
            "-- This shows AZURE_CONSENT_URL, which an administrator of Entra ID opens once, and",
            "-- AZURE_MULTI_TENANT_APP_NAME; set snowflake.unload.integrationPrincipal to its object id:",
            f"--   DESC STORAGE INTEGRATION {name};",
        ]

    def next_steps(self) -> list[str]:
        """Return, as comments, the steps that cannot be repeated with the script."""
        lines = [
            "-- A preview checks the query in this role, so the deployer needs it too:",
            f"--   GRANT ROLE {self._role} TO USER <deployer>;",
        ]
        if self._spec.mode == "unload":
            lines += [
                "-- Snowflake unloads to the lake's URL only if this parameter is false:",
                "--   SHOW PARAMETERS LIKE 'PREVENT_UNLOAD_TO_INLINE_URL' IN ACCOUNT;",
            ]
        return [*lines, *self._credential.comments]


def _head(name: str, body: str) -> str:
    code = "\n".join(line for line in body.splitlines() if not line.startswith("--"))
    found = [key for key in _PLACEHOLDERS if f"<{key}>" in code]
    replace = [f"--   <{key}>: {_PLACEHOLDERS[key]}" for key in found]
    return "\n".join(
        [
            f"-- Access to Snowflake for the import {name}, from `python -m importer grants {name}`.",
            "-- It can be run again; the network policy then has the addresses given here, and no others.",
            *(["-- Replace these before you run it:", *replace] if replace else []),
        ]
    )


def _by_hand(reads: QueryObjects) -> list[str]:
    """Return, as comments, the grants that do not follow from the query alone."""
    lines = [
        f"-- {t.database}.{t.schema}.{t.name}: grant the role a database role of SNOWFLAKE that has this view"
        for t in reads.tables
        if t.database == _SNOWFLAKE
    ]
    lines += [
        f"-- {name}: GRANT USAGE ON FUNCTION with the types of its arguments" for name in reads.functions
    ]
    lines += [f"-- {name}: GRANT USAGE, or READ, ON STAGE" for name in reads.stages]
    # a quoted name may contain a line break, and the rest of the name would not be a comment
    return ["-- Grant these by hand:", *(" ".join(line.split()) for line in lines)] if lines else []


def _database(table: TableName) -> str:
    return identifier(table.database) if table.database is not None else "<database>"


def _schema(table: TableName) -> str:
    return f"{_database(table)}.{identifier(table.schema) if table.schema is not None else '<schema>'}"


def _name(written: str) -> str:
    """Return the name that a written identifier stands for: in capitals, unless it is in quotes."""
    if written.startswith('"'):
        return written[1:-1].replace('""', '"')
    return written.upper()
