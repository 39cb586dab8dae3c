"""Each way to sign in, by the real connector and azure-identity: what the administrator's script lets in."""

import json
import logging
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from typer.testing import CliRunner

from importer.__main__ import app
from importer.errors import ImporterError
from importer.lake.azure import credential
from importer.snowflake.session import connect, deployer_connection, execute
from importer.snowflake.sign_in import stored_secret
from importer.spec.import_spec import ImportSpec
from importer.spec.scheduled_job import SPEC_VARIABLE
from importer.spec.snowflake_target import SignIn, SnowflakeTarget
from localcloud.arm import ArmStore
from localcloud.home import SUBSCRIPTION_ID, TENANT_ID, Home, write_atomically
from localcloud.houses import TABLE
from localcloud.identity import DEPLOYER_ID, create_token
from localcloud.snowflake_account import read_passwords
from tests.local_cloud import Cloud, new_cloud

GROUP = f"/subscriptions/{SUBSCRIPTION_ID}/resourceGroups/rg"
WORKSPACE = f"{GROUP}/providers/Microsoft.MachineLearningServices/workspaces/ws"
VAULT = f"{GROUP}/providers/Microsoft.KeyVault/vaults/kv"
SNOWFLAKES_APPLICATION = "api://fd3f753b-eed3-462c-b6a7-a4b5bb650aad"
SCOPE = "api://33333333-3333-3333-3333-333333333333/.default"
ROBOT_ID = "44444444-4444-4444-4444-444444444444"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A local cloud with a workspace and a vault, whose variables the tests have."""
    cloud = new_cloud(tmp_path_factory.mktemp("sign-in"))
    put(cloud.home, GROUP, "Microsoft.Resources/resourceGroups")
    put(cloud.home, VAULT, "Microsoft.KeyVault/vaults")
    put(cloud.home, WORKSPACE, "Microsoft.MachineLearningServices/workspaces")
    cloud.start("azure", "snowflake")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in cloud.env.items():
            patch.setenv(name, value)
        # the connector gives a token of Entra ID to no other host than Snowflake's
        patch.setenv("SNOWFLAKE_WIF_ALLOWED_HOST_SUFFIXES", "127.0.0.1")
        yield cloud.home
    cloud.run("stop")


@pytest.fixture(autouse=True)
def _own_credential() -> Iterator[None]:
    """Let azure-identity see the variables of each test."""
    credential.cache_clear()
    yield
    credential.cache_clear()


def put(home: Home, arm_id: str, kind: str, **properties: Any) -> None:
    document = {"id": arm_id, "name": arm_id.rpartition("/")[2], "type": kind, "properties": properties}
    ArmStore(home.arm_db).put(arm_id, document)


def target(home: Home, way: SignIn, **changes: Any) -> SnowflakeTarget:
    """Return the connection `snowflake`, registered in the workspace with the sign-in."""
    made = SnowflakeTarget(
        **{
            "account": "local",
            "host": "127.0.0.1",
            "port": home.ports["snowflake"],
            "protocol": "http",
            "warehouse": "IMPORT_WH",
            "role": "IMPORTER",
            "user": "IMPORTER",
            "sign_in": way,
            **changes,
        }
    )
    kind = "Microsoft.MachineLearningServices/workspaces/connections"
    metadata = made.to_metadata()
    put(
        home,
        f"{WORKSPACE}/connections/snowflake",
        kind,
        category="Snowflake",
        authType="None",
        target="x",
        metadata=metadata,
    )
    return made


def administer(home: Home, *statements: str) -> list[tuple[Any, ...]]:
    """Run the statements as the account's administrator, and return what the last one does."""
    someone = target(home, SignIn.PASSWORD).model_copy(update={"role": "SYSADMIN"})
    sign_in = {"user": "DEPLOYER", "password": read_passwords(home)["DEPLOYER"]}
    with closing(deployer_connection(someone, sign_in)) as connection:
        return [row for statement in statements for row in execute(connection, statement)][-1:]


def let_in(home: Home, made: SnowflakeTarget, *options: str) -> None:
    """Run what `importer grants` prints for the user; the local Snowflake has its role and grants."""
    spec = ImportSpec(name="houses", connection="snowflake", query=f"SELECT * FROM {TABLE}")  # noqa: S608
    environment = {SPEC_VARIABLE: spec.model_dump_json()} | {
        "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION_ID,
        "AZURE_RESOURCE_GROUP": "rg",
        "AZUREML_WORKSPACE": "ws",
    }
    target(home, **{"way": made.sign_in, **made.model_dump(exclude={"sign_in"})})
    printed = CliRunner().invoke(app, ["grants", "houses", *options], env=environment, catch_exceptions=False)
    assert printed.exit_code == 0, printed.output
    administer(home, *re.findall(r"^ALTER USER [^;]*;", printed.output, re.MULTILINE))


def signed_in(made: SnowflakeTarget, secret: str | None) -> tuple[Any, ...]:
    """Return user and role of a session of the importer's, and that it can read the houses."""
    with closing(connect(made, secret, "sign-in")) as connection:
        [(rows,)] = execute(connection, f"SELECT count(*) FROM {TABLE}").fetchall()  # noqa: S608
        [who] = execute(connection, "SELECT current_user(), current_role()").fetchall()
    return (*who, rows)


LET_IN = ("IMPORTER", "IMPORTER", 2930)


class Answers(BaseHTTPRequestHandler):
    """An HTTP server whose answers a test gives."""

    answer: Callable[["Answers", str], tuple[int, dict[str, Any]]]

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        status, document = type(self).answer(self, body)
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(
    answer: Callable[[Answers, str], tuple[int, dict[str, Any]]], certificate_of: Home | None = None
) -> Iterator[str]:
    """Serve what `answer` makes of a request and its body; yield the address. TLS with a certificate."""
    handler = type("Handler", (Answers,), {"answer": answer})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        if certificate_of is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate_of.certificate, certificate_of.certificate_key)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"{'https' if certificate_of else 'http'}://127.0.0.1:{server.server_port}/token"
        finally:
            server.shutdown()
            thread.join()


def new_key() -> tuple[str, str]:
    """Return a private key in PEM, and its public key as Snowflake takes it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return private, "".join(public.splitlines()[1:-1])


def store(home: Home, secret: str) -> None:
    """Make `secret` the newest version of the vault's."""
    kept = json.loads(home.vault_file.read_text()) | {"snowflake-importer": secret}
    write_atomically(home.vault_file, json.dumps(kept), mode=0o600)


def test_managed_identity_signs_in_as_the_user_with_its_object_id(home: Home) -> None:
    made = target(home, SignIn.WORKLOAD_IDENTITY, user=None)
    let_in(home, made, "--user", "importer", "--tenant-id", TENANT_ID, "--object-id", DEPLOYER_ID)
    assert signed_in(made, None) == LET_IN
    let_in(home, made, "--user", "importer", "--tenant-id", TENANT_ID, "--object-id", ROBOT_ID)
    with pytest.raises(ImporterError, match="No user has this identity"):
        connect(made, None, "sign-in")


def test_identity_of_azure_mls_compute_signs_in(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    made = target(home, SignIn.WORKLOAD_IDENTITY, user=None)
    let_in(home, made, "--user", "importer", "--tenant-id", TENANT_ID, "--object-id", ROBOT_ID)
    asked: list[dict[str, list[str]]] = []

    def endpoint(request: Answers, _: str) -> tuple[int, dict[str, Any]]:
        asked.append(parse_qs(urlsplit(request.path).query) | {"secret": [request.headers["secret"]]})
        token, expires_on = create_token(asked[-1]["resource"][0], "robot", ROBOT_ID)
        return 200, {"access_token": token, "expires_on": expires_on, "token_type": "Bearer", "resource": "x"}

    with serving(endpoint) as url:
        # https://learn.microsoft.com/azure/machine-learning/how-to-identity-based-service-authentication
        monkeypatch.delenv("IDENTITY_ENDPOINT")
        for name, value in {"MSI_ENDPOINT": url, "MSI_SECRET": "s", "AZURE_CLIENT_ID": "robot"}.items():
            monkeypatch.setenv(name, value)
        credential.cache_clear()
        assert signed_in(made, None) == LET_IN
    assert asked[0]["resource"] == [SNOWFLAKES_APPLICATION]
    assert (asked[0]["clientid"], asked[0]["secret"]) == (["robot"], ["s"])


def test_identity_of_a_pod_on_aks_signs_in(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = target(home, SignIn.WORKLOAD_IDENTITY, user=None)
    let_in(home, made, "--user", "importer", "--tenant-id", TENANT_ID, "--object-id", ROBOT_ID)
    asked: list[dict[str, list[str]]] = []

    def entra_id(_: Answers, body: str) -> tuple[int, dict[str, Any]]:
        asked.append(parse_qs(body))
        token, _expires_on = create_token(SNOWFLAKES_APPLICATION, "robot", ROBOT_ID)
        return 200, {"access_token": token, "expires_in": 3600, "token_type": "Bearer"}

    federated = tmp_path / "token"
    federated.write_text("of-the-cluster")
    with serving(entra_id, home) as url:
        # what the webhook gives a pod: https://azure.github.io/azure-workload-identity/docs/introduction.html
        monkeypatch.delenv("IDENTITY_ENDPOINT")
        monkeypatch.setenv("AZURE_AUTHORITY_HOST", url.removesuffix("/token"))
        monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(federated))
        monkeypatch.setenv("AZURE_CLIENT_ID", "robot")
        credential.cache_clear()
        assert signed_in(made, None) == LET_IN
    assert asked[0]["scope"] == [f"{SNOWFLAKES_APPLICATION}/.default"]
    assert (asked[0]["client_id"], asked[0]["client_assertion"]) == (["robot"], ["of-the-cluster"])


def test_oauth_by_the_importers_own_identity(home: Home) -> None:
    made = target(home, SignIn.OAUTH, user=None, oauth_scope=SCOPE)
    let_in(home, made, "--user", "importer", "--tenant-id", TENANT_ID, "--object-id", DEPLOYER_ID)
    assert signed_in(made, None) == LET_IN
    let_in(home, made, "--user", "importer", "--tenant-id", TENANT_ID, "--object-id", ROBOT_ID)
    with pytest.raises(ImporterError, match=r"390303.*Invalid OAuth access token"):
        connect(made, None, "sign-in")


def test_oauth_by_a_client_with_a_secret(home: Home) -> None:
    def identity_provider(request: Answers, body: str) -> tuple[int, dict[str, Any]]:
        form = parse_qs(body)
        right = "Basic Y2xpZW50OmNhbmFyeS03Mzkx"  # client:canary-7391
        if request.headers["Authorization"] != right or form["grant_type"] != ["client_credentials"]:
            return 401, {"error": "invalid_client"}
        token, _ = create_token(form["scope"][0].removesuffix("/.default"), "client", ROBOT_ID)
        return 200, {"access_token": token, "token_type": "Bearer"}

    with serving(identity_provider) as url:
        made = target(home, SignIn.OAUTH, oauth_scope=SCOPE, oauth_client_id="client", oauth_token_url=url)
        let_in(home, made, "--object-id", ROBOT_ID)
        assert signed_in(made, "canary-7391") == LET_IN
        with pytest.raises(ImporterError, match="cannot sign in to Snowflake") as refused:
            connect(made, "canary-9999", "sign-in")
    assert "canary" not in str(refused.value)


def test_key_rotation_in_two_steps_fails_no_import(home: Home) -> None:
    made = target(home, SignIn.KEY_PAIR, secret_uri=f"{home.azure_url}/vaults/kv/secrets/snowflake-importer")
    (old, old_public), (new, new_public) = new_key(), new_key()

    def imported() -> tuple[Any, ...]:
        return signed_in(made, stored_secret(made))

    store(home, old)
    with pytest.raises(ImporterError, match=r"390144.*JWT token is invalid"):
        imported()
    administer(home, f"ALTER USER IMPORTER SET RSA_PUBLIC_KEY = '{old_public}'")
    assert imported() == LET_IN
    administer(home, f"ALTER USER IMPORTER SET RSA_PUBLIC_KEY_2 = '{new_public}'")
    assert imported() == LET_IN
    store(home, new)
    assert imported() == LET_IN
    administer(home, "ALTER USER IMPORTER UNSET RSA_PUBLIC_KEY")
    assert imported() == LET_IN
    with pytest.raises(ImporterError, match=r"390144.*JWT token is invalid"):
        connect(made, old, "sign-in")


def test_script_sets_the_public_key_of_a_file(home: Home, tmp_path: Path) -> None:
    made = target(home, SignIn.KEY_PAIR)
    private, public = new_key()
    file = tmp_path / "public.pem"
    file.write_text(f"-----BEGIN PUBLIC KEY-----\n{public}\n-----END PUBLIC KEY-----\n")
    let_in(home, made, "--public-key", str(file))
    assert signed_in(made, private) == LET_IN


def test_removed_programmatic_token_is_refused(home: Home) -> None:
    made = target(home, SignIn.PROGRAMMATIC_TOKEN)
    add = "ALTER USER IMPORTER ADD PROGRAMMATIC ACCESS TOKEN AI_PLATFORM ROLE_RESTRICTION = 'IMPORTER'"
    [(_, token)] = administer(home, add)
    assert signed_in(made, token) == LET_IN
    administer(home, "ALTER USER IMPORTER REMOVE PROGRAMMATIC ACCESS TOKEN AI_PLATFORM")
    with pytest.raises(ImporterError, match="Programmatic access token is invalid") as refused:
        connect(made, token, "sign-in")
    assert token not in str(refused.value)


def test_public_key_of_a_user_survives_a_restart(home: Home) -> None:
    made = target(home, SignIn.KEY_PAIR)
    private, public = new_key()
    administer(home, f"ALTER USER IMPORTER SET RSA_PUBLIC_KEY = '{public}'")
    cloud = Cloud(home)
    cloud.run("stop")
    cloud.start("azure", "snowflake")
    assert signed_in(made, private) == LET_IN


def test_alter_user_in_the_importers_role_is_refused(home: Home) -> None:
    with pytest.raises(ImporterError, match="'IMPORTER' does not exist or not authorized"):
        administer(home, "USE ROLE IMPORTER", "ALTER USER IMPORTER SET LOGIN_NAME = 'x'")


def test_logs_contain_no_token_and_no_key(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    private, public = new_key()
    administer(home, f"ALTER USER IMPORTER SET RSA_PUBLIC_KEY = '{public}' LOGIN_NAME = '{DEPLOYER_ID}'")
    [(_, token)] = administer(home, "ALTER USER IMPORTER ADD PAT canary")
    signed_in(target(home, SignIn.KEY_PAIR), private)
    signed_in(target(home, SignIn.PROGRAMMATIC_TOKEN), token)
    signed_in(target(home, SignIn.OAUTH, oauth_scope=SCOPE), None)
    made = target(home, SignIn.WORKLOAD_IDENTITY)
    let_in(home, made, "--tenant-id", TENANT_ID, "--object-id", DEPLOYER_ID)
    signed_in(made, None)
    given = [credential().get_token(scope).token for scope in (SCOPE, f"{SNOWFLAKES_APPLICATION}/.default")]
    logs = caplog.text + "".join(path.read_text() for path in (home.path / "logs").iterdir())
    claims = [text.split(".")[1] for text in given]
    assert caplog.records
    assert not [s for s in (token, *given, *claims, *private.splitlines()[1:-1]) if s in logs]
