"""Which aliases a resource of azure-native is registered with."""

import pulumi
from pulumi_azure_native import privatedns

from stacks.azure_aliases import without_api_versions
from tools.declared import declare


def aliases_of_zone(*own: str | pulumi.Alias) -> list[str | pulumi.Alias]:
    """Declare a private DNS zone with aliases of the program's own; return those that are registered."""
    found: list[str | pulumi.Alias] = []

    def record(args: pulumi.ResourceTransformationArgs) -> None:
        found.extend(args.opts.aliases or [])  # type: ignore[arg-type]

    def program() -> None:
        privatedns.PrivateZone(
            "zone",
            resource_group_name="group",
            opts=pulumi.ResourceOptions(aliases=[*own], transformations=[without_api_versions, record]),
        )

    declare(program)
    return found


def types(aliases: list[str | pulumi.Alias]) -> list[object]:
    return [alias.type_ for alias in aliases if isinstance(alias, pulumi.Alias)]


def test_aliases_with_an_api_version_are_dropped_and_that_of_a_moved_type_stays() -> None:
    assert types(aliases_of_zone()) == ["azure-native:network:PrivateZone"]


def test_aliases_that_the_program_sets_stay() -> None:
    renamed, urn = pulumi.Alias(name="before"), "urn:pulumi:dev::ai-platform::azure-native:a:B::c"
    assert aliases_of_zone(renamed, urn)[:2] == [renamed, urn]


def test_a_resource_without_aliases_for_api_versions_is_unchanged() -> None:
    opts = pulumi.ResourceOptions(aliases=[pulumi.Alias(type_="ai-platform:index:Vault")])
    args = pulumi.ResourceTransformationArgs(None, "ai-platform:index:Lake", "lake", {}, opts)  # type: ignore[arg-type]
    assert without_api_versions(args) is None
