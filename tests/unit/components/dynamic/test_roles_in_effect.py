"""The wait until roles work, against a clock that a sleep moves."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pulumi.output import UNKNOWN

from components.dynamic import roles_in_effect
from components.dynamic.provider import ResourceError
from components.dynamic.roles_in_effect import ASSIGNMENT_SECONDS, SECONDS_VARIABLE, RolesInEffectProvider
from localcloud import environment

PROVIDER = RolesInEffectProvider()
START = datetime(2026, 11, 28, 6, 0, tzinfo=UTC)


class Clock:
    """The time of day, which only a sleep moves."""

    def __init__(self) -> None:
        self.slept = 0.0

    def sleep(self, seconds: float) -> None:
        self.slept += seconds

    def now(self, _: object) -> datetime:
        return START + timedelta(seconds=self.slept)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.delenv(SECONDS_VARIABLE, raising=False)
    monkeypatch.setattr(time, "sleep", clock.sleep)
    monkeypatch.setattr(time, "monotonic", lambda: clock.slept)
    monkeypatch.setattr(roles_in_effect, "datetime", clock_of(clock))
    return clock


def clock_of(clock: Clock) -> type[datetime]:
    class Today(datetime):
        now = clock.now  # type: ignore[assignment]

    return Today


def role(name: str, age: float | None = 0) -> dict[str, Any]:
    """Return a role that was created `age` seconds ago; None: Azure has not reported when."""
    created = {} if age is None else {"created_on": (START - timedelta(seconds=age)).isoformat()}
    return {"id": f"/roles/{name}", **created}


def properties(*roles: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {"__provider": "pickled", "roles": list(roles), "seconds": ASSIGNMENT_SECONDS, **others}


@pytest.mark.parametrize(
    ("roles", "waited"),
    [
        ([role("a")], 600),
        ([role("a", 500), role("b", 590)], 100),
        ([role("a", 600), role("b", 86400)], 0),
        ([role("a", None)], 600),
        ([role("a", -3600)], 600),  # this machine's clock is slow
        ([{"id": "/roles/a", "created_on": "2026-11-28T05:55:00.1234567Z"}], 300),
        ([], 0),
    ],
    ids=["new", "youngest", "old", "unknown-time", "future", "seven-digits", "none"],
)
def test_creation_waits_until_the_youngest_role_is_old_enough(
    clock: Clock, roles: list[dict[str, Any]], waited: float
) -> None:
    created = PROVIDER.create(properties(*roles))
    assert clock.slept == pytest.approx(waited, abs=0.2)
    assert created.outs == {"roles": roles, "seconds": ASSIGNMENT_SECONDS}


def test_update_waits_only_for_roles_that_were_added(clock: Clock) -> None:
    known = role("a", 10)
    PROVIDER.update("roles", properties(known), properties(known, role("b", 450)))
    assert clock.slept == 150
    PROVIDER.update("roles", properties(known, role("b")), properties(known))
    assert clock.slept == 150


def test_only_other_roles_are_a_change() -> None:
    old = properties(role("a"), role("b"), kubeconfig="old")
    same = properties(role("b", 60), role("a"), seconds=1, kubeconfig="new")
    assert PROVIDER.diff("roles", old, same).changes is False
    assert PROVIDER.diff("roles", old, properties(role("a"))).changes is True
    assert PROVIDER.diff("roles", old, properties(role("a"), {"id": UNKNOWN})).changes is True
    assert PROVIDER.diff("roles", old, properties() | {"roles": UNKNOWN}).changes is True


def test_local_cloud_says_how_long_its_roles_take(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment.ROLE_SECONDS_VARIABLE == SECONDS_VARIABLE
    monkeypatch.setenv(SECONDS_VARIABLE, "0")
    PROVIDER.create(properties(role("a"), kubeconfig="not asked"))
    assert clock.slept == 0
    monkeypatch.setenv(SECONDS_VARIABLE, "4")
    PROVIDER.create(properties(role("a", 1)))
    assert clock.slept == 3


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The cluster's answers, of which the last one is repeated."""
    answers: list[str | None] = []
    monkeypatch.setattr(roles_in_effect, "check_sign_in", lambda _: None)
    monkeypatch.setattr(
        roles_in_effect, "why_refused", lambda _: answers.pop(0) if len(answers) > 1 else answers[0]
    )
    return answers


def test_cluster_is_asked_until_it_lets_the_deployer_in(clock: Clock, answers: list[str | None]) -> None:
    answers += ["no role", "no role", None]
    PROVIDER.create(properties(role("a"), kubeconfig="{}"))
    assert clock.slept == 20


def test_cluster_that_refuses_for_too_long_is_an_error_in_one_line(
    clock: Clock, answers: list[str | None]
) -> None:
    answers += ["User does not have access"]
    with pytest.raises(ResourceError, match=r"^the cluster .* namespaces: User does not have access\. Set "):
        PROVIDER.create(properties(role("a"), kubeconfig="{}"))
    assert clock.slept == 15 * 60


def test_old_administrator_costs_no_question(clock: Clock, answers: list[str | None]) -> None:
    answers += ["refused"]
    PROVIDER.create(properties(role("a", 3600), kubeconfig="{}"))
    assert clock.slept == 0


def test_missing_kubelogin_is_an_error_at_once(clock: Clock) -> None:
    kubeconfig = '{"users": [{"user": {"exec": {"command": "kubelogin-that-is-not-installed"}}}]}'
    with pytest.raises(ResourceError, match="kubelogin-that-is-not-installed is not on PATH: install it"):
        PROVIDER.create(properties(role("a"), kubeconfig=kubeconfig))
    assert clock.slept == 0
