"""How to tell an emulator's address from Azure's."""

import ipaddress
from urllib.parse import urlsplit


def is_emulator(host: str) -> bool:
    """Return whether `host`, with or without a port, is an IP address: Azure's hosts have names.

    Azurite expects the account in the URL's path
    (https://learn.microsoft.com/azure/storage/common/storage-connect-azurite).
    """
    try:
        ipaddress.ip_address(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False
    return True
