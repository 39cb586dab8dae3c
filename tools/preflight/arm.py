"""Reads from Azure Resource Manager, as the person or pipeline that is signed in."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from azure.core import PipelineClient
from azure.core.credentials import TokenCredential
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.policies import UserAgentPolicy
from azure.core.rest import HttpRequest, HttpResponse
from azure.mgmt.core.policies import ARMChallengeAuthenticationPolicy

from components.dynamic.retry import ArmRetryPolicy

Document = dict[str, Any]

_ADDRESS = "https://management.azure.com"


class Arm:
    """GET requests for one subscription."""

    def __init__(self, subscription_id: str, credential: TokenCredential, address: str = _ADDRESS) -> None:
        #: the ARM id of the subscription
        self.subscription = f"/subscriptions/{subscription_id}"
        self._client: PipelineClient[HttpRequest, HttpResponse] = PipelineClient(
            address,
            policies=[
                UserAgentPolicy("ai-platform-preflight"),
                ArmRetryPolicy(),
                ARMChallengeAuthenticationPolicy(credential, f"{_ADDRESS}/.default"),
            ],
        )

    def get(self, path: str, api_version: str, **query: str) -> Document | None:
        """Return the document at `path`, an ARM id; None if it does not exist."""
        return self._get(f"{path}?{urlencode({'api-version': api_version, **query})}")

    def items(self, path: str, api_version: str, **query: str) -> Iterator[Document]:
        """Yield the documents of a collection, of every page."""
        page = self.get(path, api_version, **query)
        while page is not None:
            yield from page.get("value", [])
            following = page.get("nextLink")
            page = self._get(following) if following else None

    def _get(self, address: str) -> Document | None:
        response = self._client.send_request(HttpRequest("GET", self._client.format_url(address)))
        if response.status_code == 404:
            return None
        if response.status_code >= 400:
            raise HttpResponseError(response=response)
        document: Document = response.json()
        return document
