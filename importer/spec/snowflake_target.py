"""How the importer reaches Snowflake, as the workspace connection records it."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

#: How many imports at once ask the warehouse; it runs as many statements itself, others queue
#: (https://docs.snowflake.com/en/sql-reference/parameters#max-concurrency-level).
ConcurrentImports = Annotated[int, Field(ge=1, le=1000)]
DEFAULT_CONCURRENT_IMPORTS = 8


class SignIn(StrEnum):
    """How the importer proves to Snowflake who it is."""

    WORKLOAD_IDENTITY = "workload_identity"
    KEY_PAIR = "key_pair"
    OAUTH = "oauth"
    PROGRAMMATIC_TOKEN = "programmatic_token"  # noqa: S105 - the name of a method
    PASSWORD = "password"  # noqa: S105 - the name of a method


class SnowflakeTarget(BaseModel):
    """How to reach Snowflake: what the workspace connection holds. Never a secret, only where one is kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    account: str
    host: str
    port: int = 443
    protocol: Literal["https", "http"] = "https"
    warehouse: str
    role: str
    user: str | None = None
    sign_in: SignIn
    secret_uri: str | None = None
    oauth_scope: str | None = None
    """What an OAuth token is for; without `oauth_client_id` it is one of the importer's own identity."""
    oauth_client_id: str | None = None
    oauth_token_url: str | None = None
    concurrent_imports: ConcurrentImports = DEFAULT_CONCURRENT_IMPORTS

    def to_metadata(self) -> dict[str, str]:
        """Return the metadata of a workspace connection: strings only, empty values left out."""
        return {key: str(value) for key, value in self.model_dump(mode="json").items() if value is not None}

    @classmethod
    def from_metadata(cls, metadata: dict[str, str]) -> "SnowflakeTarget":
        """Return the target that `to_metadata` described; keys that are not ours are left alone."""
        return cls.model_validate({k: v for k, v in metadata.items() if k in cls.model_fields})
