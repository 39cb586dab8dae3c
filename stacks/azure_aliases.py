"""Resources of azure-native without the aliases that this program cannot need."""

import re

import pulumi

#: A type in an SDK of one API version, such as `azure-native:storage/v20230101:StorageAccount`.
_TYPE_OF_ONE_API_VERSION = re.compile(r"azure-native:\w+/v\d{8}\w*:\w+")


def without_api_versions(
    args: pulumi.ResourceTransformationArgs,
) -> pulumi.ResourceTransformationResult | None:
    """Return the resource without its aliases for API versions; None if it has none.

    Each class of azure-native declares an alias for every API version that its resource ever had: up to a
    hundred. They let a program move from the SDK of one API version, in which a storage account has the type
    `azure-native:storage/v20230101:StorageAccount`, to the default SDK, in which the type has no version.
    This program has only ever used the default SDK, so no state holds a type with an API version, and no such
    alias can match. Pulumi's SDK nevertheless makes about a dozen Outputs of each alias: half of the
    program's time.

    Other aliases stay: those that a component sets, and those of azure-native for a type that has moved to
    another module (`azure-native:network:PrivateZone`, now `azure-native:privatedns:PrivateZone`).
    """
    aliases = args.opts.aliases or []
    kept = [alias for alias in aliases if not _is_for_an_api_version(alias)]
    if len(kept) == len(aliases):
        return None
    args.opts.aliases = kept
    return pulumi.ResourceTransformationResult(args.props, args.opts)


def _is_for_an_api_version(alias: pulumi.Input[str | pulumi.Alias]) -> bool:
    if not isinstance(alias, pulumi.Alias) or not isinstance(alias.type_, str):
        return False
    return _TYPE_OF_ONE_API_VERSION.fullmatch(alias.type_) is not None
