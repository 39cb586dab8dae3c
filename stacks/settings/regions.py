"""Regions without availability zones, and reserved words: what the settings check before any call."""

#: Regions without availability zones in March 2025
#: (https://learn.microsoft.com/azure/reliability/regions-list).
WITHOUT_ZONES = frozenset(
    {
        "australiacentral",
        "australiacentral2",
        "australiasoutheast",
        "brazilsoutheast",
        "canadaeast",
        "francesouth",
        "germanynorth",
        "jioindiacentral",
        "jioindiawest",
        "koreasouth",
        "northcentralus",
        "norwaywest",
        "southafricawest",
        "southindia",
        "swedensouth",
        "switzerlandwest",
        "uaecentral",
        "ukwest",
        "westcentralus",
        "westindia",
        "westus",
    }
)

#: https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/error-reserved-resource-name
_RESERVED_WORDS = frozenset(
    {
        "access",
        "azure",
        "bing",
        "bizspark",
        "biztalk",
        "cortana",
        "directx",
        "dotnet",
        "dynamics",
        "excel",
        "exchange",
        "forefront",
        "groove",
        "hololens",
        "hyperv",
        "kinect",
        "lync",
        "msdn",
        "o365",
        "office",
        "office365",
        "onedrive",
        "onenote",
        "outlook",
        "powerpoint",
        "sharepoint",
        "skype",
        "visio",
        "visualstudio",
        "xbox",
    }
)
_RESERVED_ANYWHERE = ("microsoft", "windows")
_RESERVED_AT_START = "login"


def reserved_word(name: str) -> str | None:
    """Return the reserved word because of which Azure rejects names that start with `name`, or None."""
    if name in _RESERVED_WORDS:
        return name
    if name.startswith(_RESERVED_AT_START):
        return _RESERVED_AT_START
    return next((word for word in _RESERVED_ANYWHERE if word in name), None)
