"""Whether the deployer may administer a cluster, asked of the cluster itself as kubectl would."""

import base64
import json
import os
import shutil
import ssl
import subprocess
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPSHandler, Request, build_opener

#: https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access
_REVIEW_PATH = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_REVIEW = {
    "apiVersion": "authorization.k8s.io/v1",
    "kind": "SelfSubjectAccessReview",
    "spec": {"resourceAttributes": {"group": "", "resource": "namespaces", "verb": "create"}},
}

#: What kubectl tells a plugin that signs in
#: (https://kubernetes.io/docs/reference/access-authn-authz/authentication/#input-and-output-formats).
_EXEC_INFO = {
    "apiVersion": "client.authentication.k8s.io/v1beta1",
    "kind": "ExecCredential",
    "spec": {"interactive": False},
}

_SIGN_IN_SECONDS = 60
_ANSWER_SECONDS = 30


def check_sign_in(kubeconfig: str) -> str | None:
    """Return what is missing on this machine to sign in to the cluster; None if nothing is."""
    command = _sign_in(json.loads(kubeconfig))["command"]
    if shutil.which(command):
        return None
    return f"{command} is not on PATH: install it (https://azure.github.io/kubelogin/install.html)"


def why_refused(kubeconfig: str) -> str | None:
    """Return why the deployer may not create a namespace, as text; None if the cluster allows it."""
    config = json.loads(kubeconfig)
    try:
        token = _token(_sign_in(config))
        status = _review(config["clusters"][0]["cluster"], token)
    except subprocess.SubprocessError as error:
        return f"the sign-in failed: {_last_line(error)}"
    except HTTPError as error:
        return f"HTTP {error.code} {error.reason}"
    except URLError as error:
        return str(error.reason)
    except (OSError, HTTPException, ValueError, KeyError) as error:
        return f"{type(error).__name__}: {error}"
    if status.get("allowed"):
        return None
    return str(status.get("reason") or "its role is not in effect")


def _sign_in(config: dict[str, Any]) -> dict[str, Any]:
    sign_in: dict[str, Any] = config["users"][0]["user"]["exec"]
    return sign_in


def _token(sign_in: dict[str, Any]) -> str:
    """Return the token that the kubeconfig's sign-in command prints."""
    done = subprocess.run(
        [sign_in["command"], *sign_in["args"]],
        env={**os.environ, "KUBERNETES_EXEC_INFO": json.dumps(_EXEC_INFO)},
        capture_output=True,
        text=True,
        timeout=_SIGN_IN_SECONDS,
        check=True,
    )
    token: str = json.loads(done.stdout)["status"]["token"]
    return token


def _review(cluster: dict[str, str], token: str) -> dict[str, Any]:
    """Return the status of a SelfSubjectAccessReview, which every signed-in user may create."""
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    context = ssl.create_default_context(cadata=authority)
    request = Request(  # noqa: S310 - AKS's address is https
        cluster["server"].rstrip("/") + _REVIEW_PATH,
        json.dumps(_REVIEW).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with build_opener(HTTPSHandler(context=context)).open(request, timeout=_ANSWER_SECONDS) as answer:
        status: dict[str, Any] = json.load(answer)["status"]
    return status


def _last_line(error: subprocess.SubprocessError) -> str:
    """Return the last line that the sign-in command has printed to standard error."""
    output = error.stderr if isinstance(error, subprocess.CalledProcessError) else None
    lines = str(output or error).strip().splitlines()
    return lines[-1] if lines else "no reason given"
