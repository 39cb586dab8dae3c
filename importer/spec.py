"""What one import is: the interface between the schedule that starts it and the importer that runs it."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from importer.contract.rules import Contract
from importer.curate.rules import Curate
from importer.incremental.rules import Incremental
from importer.query import normalise_query

if TYPE_CHECKING:
    from azure.ai.ml.entities import Schedule

#: An Azure ML asset name (https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules);
#: no hyphen, so that it is a Python and a Snowflake identifier too.
AssetName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Query = Annotated[str, AfterValidator(normalise_query)]

#: How the rows get from Snowflake to the data lake; `stream`: through the job, `unload`: straight from
#: Snowflake's warehouse.
Mode = Literal["stream", "unload"]
DEFAULT_MODE: Mode = "stream"

#: An identifier that needs no quotes (https://docs.snowflake.com/en/sql-reference/identifiers-syntax).
Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_$]{0,254}$")]

#: How many versions of an asset stay, and for how many days; what either keeps stays.
KeepVersions = Annotated[int, Field(ge=1, le=1000)]
DEFAULT_KEEP_VERSIONS = 30
KeepDays = Annotated[int, Field(ge=1, le=36500)]

#: How much memory the importer may take in mode `stream`, in MB: 240 are for its libraries, the rest is for
#: chunks of the result, of up to 48 each, and the rows that are being encoded.
MemoryMB = Annotated[int, Field(ge=400, le=65536)]
DEFAULT_MEMORY_MB = 400

#: How many imports at once ask the warehouse; it runs as many statements itself, others queue
#: (https://docs.snowflake.com/en/sql-reference/parameters#max-concurrency-level).
ConcurrentImports = Annotated[int, Field(ge=1, le=1000)]
DEFAULT_CONCURRENT_IMPORTS = 8

#: The environment variable that carries an `ImportSpec` as JSON into the job; who reads the schedule finds
#: it there too. Azure ML keeps a schedule's tags short, and its properties as they were first.
SPEC_VARIABLE = "IMPORT_SPEC"

#: The environment variable that tells the job which image it runs in.
IMAGE_VARIABLE = "IMPORTER_IMAGE"

#: The one step of the job's pipeline.
JOB_STEP = "import"

#: The tag of a schedule and of its jobs that holds the import's name.
IMPORT_TAG = "import"


class ImportSpec(BaseModel):
    """One import: which query, through which connection, into which asset."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: AssetName
    connection: str
    datastore: str = "rawdata"
    query: Query
    mode: Mode = DEFAULT_MODE
    storage_integration: Identifier | None = None
    """What opens the data lake to Snowflake's warehouse; None: a token for the one import."""
    keep_versions: KeepVersions = DEFAULT_KEEP_VERSIONS
    keep_days: KeepDays | None = None
    memory_mb: MemoryMB = DEFAULT_MEMORY_MB
    incremental: Incremental | None = None
    contract: Contract | None = None
    curate: Curate | None = None
    clean_datastore: str = "cleandata"
    """Where the clean asset lies."""

    @field_validator("storage_integration")
    @classmethod
    def _check_mode(cls, name: str | None, info: ValidationInfo) -> str | None:
        if name is not None and info.data.get("mode") == "stream":
            raise ValueError("is for mode unload: in mode stream Snowflake needs no access to the data lake")
        return name


def step_variables(schedule: "Schedule") -> dict[str, str]:
    """Return the environment variables that a schedule gives to the step that runs the importer.

    There are none where a person has put another job in its place, or taken the step away.
    """
    steps: dict[str, Any] = getattr(schedule.create_job, "jobs", None) or {}
    variables = getattr(steps.get(JOB_STEP), "environment_variables", None) or {}
    return {name: str(value) for name, value in variables.items()}


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
