"""The hosts that a client of Snowflake connects to, derived from the account."""

import pytest

from components.network.outbound import snowflake_hosts, snowflake_service_tags


@pytest.mark.parametrize(
    ("account", "stages", "tags"),
    [
        ("xy12345.west-europe.azure", [], ["Storage"]),
        ("myorg-myaccount", [], ["Storage"]),
        ("xy12345.europe-west4.gcp", ["storage.googleapis.com"], []),
        ("xy12345.eu-central-1", ["*.s3.eu-central-1.amazonaws.com"], []),
        ("xy12345.us-east-2.aws", ["*.s3.us-east-2.amazonaws.com"], []),
        ("xy12345", ["*.s3.us-west-2.amazonaws.com"], []),
    ],
)
def test_stages_follow_from_the_accounts_cloud(account: str, stages: list[str], tags: list[str]) -> None:
    own = [f"{account}.snowflakecomputing.com", "ocsp.snowflakecomputing.com"]
    assert snowflake_hosts(account, None, []) == own + stages
    assert snowflake_service_tags(account, []) == tags


def test_given_stages_stand_in_place_of_the_derived() -> None:
    account = "xy12345.eu-central-1"
    bucket = "sfc-1-stage.s3.eu-central-1.amazonaws.com"
    assert snowflake_hosts(account, None, [bucket])[2:] == [bucket]
    assert snowflake_service_tags(account, [bucket]) == []
    # no host rule reaches an Azure storage account
    assert snowflake_hosts(account, None, ["Sfc1.Blob.Core.Windows.net"])[2:] == []
    assert snowflake_service_tags(account, ["Sfc1.Blob.Core.Windows.net"]) == ["Storage"]


def test_account_host_may_be_another_and_is_listed_once_in_lower_case() -> None:
    hosts = snowflake_hosts("MYORG-MYACCOUNT", "Acme.snowflakecomputing.cn", ["acme.snowflakecomputing.cn"])
    assert hosts == ["acme.snowflakecomputing.cn", "ocsp.snowflakecomputing.cn"]
