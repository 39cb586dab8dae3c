"""The question to a cluster, against a server with its own authority and a sign-in command of the test's."""

import base64
import json
import ssl
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from components.cluster.cluster import kubelogin_config
from components.dynamic.cluster_access import check_sign_in, why_refused
from localcloud.certificate import ensure_certificate
from tests.local_cloud import new_cloud


@dataclass
class Cluster:
    """A server that answers each review with `status`, and keeps what it was asked."""

    address: str = ""
    authority: bytes = b""
    status: dict[str, Any] = field(default_factory=dict)
    http_status: int = 201
    asked: list[tuple[str, str | None, dict[str, Any]]] = field(default_factory=list)

    def kubeconfig(self, command: str) -> str:
        """Return the kubeconfig that the program makes of AKS's, with another sign-in command."""
        authority = base64.b64encode(self.authority).decode()
        cluster = {"server": self.address, "certificate-authority-data": authority}
        given = {"clusters": [{"name": "aks", "cluster": cluster}], "users": [{"name": "u", "user": {}}]}
        made = json.loads(kubelogin_config(base64.b64encode(json.dumps(given).encode()).decode()))
        made["users"][0]["user"]["exec"]["command"] = command
        return json.dumps(made)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            cluster.asked.append((self.path, self.headers["authorization"], body))
            answer = json.dumps({"status": cluster.status}).encode()
            self.send_response(cluster.http_status)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    home = new_cloud(tmp_path / "cloud").home
    ensure_certificate(home)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(home.certificate, home.certificate_key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        cluster.address = f"https://127.0.0.1:{server.server_port}"
        cluster.authority = home.ca_bundle.read_bytes()
        yield cluster
        server.shutdown()


def sign_in_command(directory: Path, script: str) -> str:
    file = directory / "sign-in"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return str(file)


PRINTS_TOKEN = """test -n "$KUBERNETES_EXEC_INFO" && echo '{"status": {"token": "abc"}}'"""


def test_allowed_review_is_no_refusal_and_asks_to_create_namespaces(cluster: Cluster, tmp_path: Path) -> None:
    cluster.status = {"allowed": True}
    assert why_refused(cluster.kubeconfig(sign_in_command(tmp_path, PRINTS_TOKEN))) is None
    ((path, token, review),) = cluster.asked
    assert path == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    assert token == "Bearer abc"
    asked_for = review["spec"]["resourceAttributes"]
    assert (asked_for["verb"], asked_for["resource"], asked_for["group"]) == ("create", "namespaces", "")


def test_denied_review_is_refused_with_the_clusters_reason(cluster: Cluster, tmp_path: Path) -> None:
    cluster.status = {"allowed": False, "reason": "User does not have access to the resource in Azure."}
    refusal = why_refused(cluster.kubeconfig(sign_in_command(tmp_path, PRINTS_TOKEN)))
    assert refusal == "User does not have access to the resource in Azure."


@pytest.mark.parametrize(
    ("http_status", "script", "said"),
    [
        (401, PRINTS_TOKEN, "HTTP 401 Unauthorized"),
        (
            201,
            "echo first >&2; echo 'Please run az login' >&2; exit 1",
            "the sign-in failed: Please run az login",
        ),
        (201, "echo no JSON", "Expecting value"),
    ],
)
def test_failed_sign_in_is_a_refusal_in_one_line(
    cluster: Cluster, tmp_path: Path, http_status: int, script: str, said: str
) -> None:
    cluster.status, cluster.http_status = {"allowed": True}, http_status
    refusal = why_refused(cluster.kubeconfig(sign_in_command(tmp_path, script)))
    assert refusal
    assert said in refusal
    assert "\n" not in refusal


def test_unreachable_cluster_is_a_refusal(cluster: Cluster, tmp_path: Path) -> None:
    command = sign_in_command(tmp_path, PRINTS_TOKEN)
    cluster.address = "https://127.0.0.1:1"
    assert "refused" in str(why_refused(cluster.kubeconfig(command))).lower()


def test_sign_in_command_that_is_installed_is_no_problem(cluster: Cluster, tmp_path: Path) -> None:
    assert check_sign_in(cluster.kubeconfig(sign_in_command(tmp_path, PRINTS_TOKEN))) is None
