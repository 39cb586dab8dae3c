"""How the importer reaches Snowflake, as the workspace connection records it."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Generic, Literal, NamedTuple, TypeVar, assert_never

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from importer.spec.names import Identifier

#: An organisation and account, or an account locator with its region
#: (https://docs.snowflake.com/en/user-guide/admin-account-identifier).
Account = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]


class SignIn(StrEnum):
    """The method by which the importer signs in to Snowflake; `sign_in_needs` describes each."""

    WORKLOAD_IDENTITY = "workload_identity"
    KEY_PAIR = "key_pair"
    OAUTH = "oauth"
    PROGRAMMATIC_TOKEN = "programmatic_token"  # noqa: S105 - the name of a method
    PASSWORD = "password"  # noqa: S105 - the name of a method


class Need(StrEnum):
    """Whether a sign-in method needs a field of the connection."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    ABSENT = "absent"
    WITH_CLIENT = "with client"
    """Required where `oauth_client_id` is set, absent where it is not."""


_T = TypeVar("_T")


class SignInFields(NamedTuple, Generic[_T]):
    """One value for each field of a connection that depends on the sign-in method.

    `secret` is the Key Vault secret: a private key, a token, a password or an OAuth client's secret.
    """

    user: _T
    oauth_scope: _T
    oauth_client_id: _T
    secret: _T
    oauth_token_url: _T


def sign_in_needs(method: SignIn) -> SignInFields[Need]:
    """Return which fields a sign-in method needs; settings and importer check theirs with `wrong_fields`."""
    match method:
        case SignIn.WORKLOAD_IDENTITY:
            return SignInFields(
                user=Need.OPTIONAL,
                oauth_scope=Need.ABSENT,
                oauth_client_id=Need.ABSENT,
                secret=Need.ABSENT,
                oauth_token_url=Need.ABSENT,
            )
        case SignIn.OAUTH:
            return SignInFields(
                user=Need.OPTIONAL,
                oauth_scope=Need.REQUIRED,
                oauth_client_id=Need.OPTIONAL,
                secret=Need.WITH_CLIENT,
                oauth_token_url=Need.WITH_CLIENT,
            )
        case SignIn.KEY_PAIR | SignIn.PROGRAMMATIC_TOKEN | SignIn.PASSWORD:
            return SignInFields(
                user=Need.REQUIRED,
                oauth_scope=Need.ABSENT,
                oauth_client_id=Need.ABSENT,
                secret=Need.REQUIRED,
                oauth_token_url=Need.ABSENT,
            )
        case _:
            assert_never(method)


class WrongField(NamedTuple):
    """A field that a sign-in method needs and that is not set, or the other way round."""

    field: str
    """Its name in `SignInFields`."""
    is_missing: bool
    by_client: bool
    """Whether this follows from `oauth_client_id`, else from the method alone."""


def wrong_fields(method: SignIn, given: SignInFields[str | None]) -> Iterator[WrongField]:
    """Yield the fields that are missing or that the method does not use, in the order of `SignInFields`."""
    has_client = given.oauth_client_id is not None
    needs = sign_in_needs(method)
    for field, need, value in zip(SignInFields._fields, needs, given, strict=True):
        match need:
            case Need.OPTIONAL:
                continue
            case Need.REQUIRED | Need.ABSENT:
                is_needed = need is Need.REQUIRED
            case Need.WITH_CLIENT:
                is_needed = has_client
            case _:
                assert_never(need)
        if is_needed != (value is not None):
            yield WrongField(field, is_missing=is_needed, by_client=need is Need.WITH_CLIENT)


class SnowflakeOptions(BaseModel):
    """Where and as which role queries run: a stack's settings declare it, and the connection records it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    account: Account = Field(description="Account identifier, such as `myorg-myaccount`.")
    warehouse: Identifier = Field(description="Warehouse that runs the imports' queries.")
    role: Identifier = Field(
        description="Role of the importer; it needs SELECT on the tables that imports read."
    )
    # A warehouse runs 8 statements at a time by default, and queues the others
    # (https://docs.snowflake.com/en/sql-reference/parameters#max-concurrency-level).
    concurrent_imports: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=8,
        description="Number of imports that may query the warehouse at the same time; others wait.",
    )
    sign_in: SignIn = Field(
        default=SignIn.WORKLOAD_IDENTITY,
        description="How the importer signs in. `workload_identity` stores no secret; `oauth` has one only "
        "with a client; `key_pair` and `programmatic_token` read theirs from the platform's vault; "
        "`password` is for `endpoints: local`.",
    )
    user: Identifier | None = Field(
        default=None,
        description="User of the importer; optional with `workload_identity` and `oauth`, where Snowflake "
        "finds the user by the token.",
    )


class SnowflakeTarget(SnowflakeOptions):
    """How to reach Snowflake: what the workspace connection holds. Never a secret, only where one is kept."""

    host: str
    port: int = 443
    protocol: Literal["https", "http"] = "https"
    secret_uri: str | None = None
    oauth_scope: str | None = None
    """The scope of an OAuth token; without `oauth_client_id` the importer's own identity gets the token."""
    oauth_client_id: str | None = None
    oauth_token_url: str | None = None

    def to_metadata(self) -> dict[str, str]:
        """Return the metadata of a workspace connection: strings only, empty values left out."""
        return {key: str(value) for key, value in self.model_dump(mode="json").items() if value is not None}

    @classmethod
    def from_metadata(cls, metadata: dict[str, str]) -> "SnowflakeTarget":
        """Return the target that `to_metadata` described; other keys are ignored."""
        return cls.model_validate({k: v for k, v in metadata.items() if k in cls.model_fields})
