"""The key of the company's own that data at rest is encrypted with."""

from dataclasses import dataclass

import pulumi

from components.component import Args


@dataclass(kw_only=True)
class EncryptionKeyArgs(Args):
    """A key that a service encrypts with, and the identity by which it reaches the key."""

    vault_id: pulumi.Input[str]
    vault_uri: pulumi.Input[str]
    key_name: pulumi.Input[str]
    key_uri: pulumi.Input[str]
    """The key's address without a version, so that a rotated key is taken up."""
    identity_id: pulumi.Input[str]
    identity_client_id: pulumi.Input[str]
