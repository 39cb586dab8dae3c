"""The local cloud's processes, and the environment that a shell sources."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil
import pytest
from tenacity import retry, retry_if_not_result, stop_after_delay, wait_fixed

from localcloud import services
from localcloud.arm import ArmStore
from localcloud.certificate import ensure_certificate
from localcloud.environment import variables, write_environment
from localcloud.home import SUBSCRIPTION_ID, Home
from localcloud.processes import is_alive
from localcloud.services import Service, ServiceError, running_pid, start_services, stop_services
from localcloud.snowflake_account import ensure_passwords
from tests.local_cloud import Cloud, new_cloud

WORKSPACE = (
    f"/subscriptions/{SUBSCRIPTION_ID}/resourceGroups/rg/providers/"
    "Microsoft.MachineLearningServices/workspaces/ws"
)


@pytest.fixture
def own_cloud(tmp_path: Path) -> Iterator[Cloud]:
    cloud = new_cloud(tmp_path / "cloud")
    yield cloud
    cloud.run("stop")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return new_cloud(tmp_path / "home").home


def script(name: str, code: str) -> Service:
    """A service that runs a line of Python and listens on no port."""
    return Service(name, (), lambda _: [sys.executable, "-c", code])


def listening_addresses(processes: Iterable[int], port: int) -> set[str]:
    """The local addresses on which one of the processes listens on `port`."""
    connections = [one for pid in processes for one in psutil.Process(pid).net_connections("tcp")]
    return {
        one.laddr.ip for one in connections if one.status == psutil.CONN_LISTEN and one.laddr.port == port
    }


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_cloud_starts_restarts_a_killed_service_and_stops(own_cloud: Cloud) -> None:
    own_cloud.start()
    first = {name: own_cloud.pid(name) for name in services.SERVICES}
    assert own_cloud.run("status").returncode == 0
    for port in own_cloud.home.ports.values():
        # IPv4, or the same address as IPv6 writes it
        addresses = listening_addresses(first.values(), port)
        assert addresses, port
        assert addresses <= {"127.0.0.1", "::ffff:127.0.0.1"}, port

    os.kill(first["blob"], signal.SIGKILL)
    status = own_cloud.run("status", "--json")
    assert status.returncode == 3
    assert [name for name, state in json.loads(status.stdout).items() if not state["running"]] == ["blob"]
    own_cloud.start()
    assert {name for name in first if own_cloud.pid(name) != first[name]} == {"blob"}

    last = [own_cloud.pid(name) for name in services.SERVICES]
    assert own_cloud.run("stop").returncode == 0
    assert not [pid for pid in last if is_alive(pid)]
    assert not any(is_open(port) for port in own_cloud.home.ports.values())
    assert own_cloud.run("stop").returncode == 0


def test_taken_port_is_an_error_that_names_it(own_cloud: Cloud) -> None:
    port = own_cloud.home.ports["snowflake"]
    with socket.create_server(("127.0.0.1", port)):
        done = own_cloud.run("start", "snowflake")
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith(f"snowflake: port {port} is taken")
    assert "localcloud.json" in line


def test_unknown_service_is_an_error_that_lists_the_services(own_cloud: Cloud) -> None:
    done = own_cloud.run("start", "storage")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "unknown service storage: expected one of blob, snowflake, azure, providers"
    ]


def test_service_that_ends_is_an_error_with_its_last_line(home: Home) -> None:
    code = "print('first'); print('no space left'); raise SystemExit(1)"
    broken = Service("broken", ("blob",), lambda _: [sys.executable, "-c", code])
    with pytest.raises(ServiceError) as failed:
        start_services(home, [broken])
    assert str(failed.value) == "broken: did not start: no space left"


def test_service_that_never_answers_is_an_error(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    mute = Service("mute", ("blob",), lambda _: [sys.executable, "-c", "import signal; signal.pause()"])
    monkeypatch.setattr(services, "START_SECONDS", 0.5)
    monkeypatch.setattr(services, "SERVICES", {"mute": mute})
    with pytest.raises(ServiceError, match="mute: no answer within"):
        start_services(home, [mute])
    stop_services(home)
    assert running_pid(home, mute) is None


def test_service_that_ignores_sigterm_is_killed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: signal.pause()"
    stubborn = script("stubborn", code)
    monkeypatch.setattr(services, "STOP_SECONDS", 0.5)
    monkeypatch.setattr(services, "SERVICES", {"stubborn": stubborn})
    start_services(home, [stubborn])
    assert running_pid(home, stubborn) is not None
    stop_services(home)
    assert running_pid(home, stubborn) is None


def test_other_process_with_the_recorded_id_is_not_stopped(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = script("gone", "")
    monkeypatch.setattr(services, "SERVICES", {"gone": service})
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as other:
        noted = home.path / "pids" / "gone.json"
        noted.parent.mkdir()
        noted.write_text(json.dumps({"pid": other.pid, "start": "another"}))
        assert running_pid(home, service) is None
        stop_services(home)
        assert other.poll() is None
        other.kill()


def test_shell_sources_the_environment(tmp_path: Path) -> None:
    home = new_cloud(tmp_path / "it's a $HOME").home
    ensure_passwords(home)
    write_environment(home)
    printed = subprocess.run(
        ["sh", "-c", '. "$1"; env -0', "sh", str(home.environment_file)],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    sourced = dict(line.split("=", 1) for line in printed.split("\0") if line)
    assert variables(home).items() <= sourced.items()
    assert sourced["PATH"].startswith(f"{Path(sys.executable).parent}:")
    assert sourced["PATH"].endswith(":/usr/bin:/bin")
    assert home.environment_file.stat().st_mode & 0o777 == 0o600


def test_path_has_the_virtual_environment_before_the_chosen_pulumi(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_passwords(home)
    monkeypatch.setenv("AI_PLATFORM_PULUMI_BIN", str(tmp_path / "pulumi"))
    write_environment(home)
    assert (
        f"export PATH={Path(sys.executable).parent}:{tmp_path / 'pulumi'}:"
        in home.environment_file.read_text()
    )


def test_created_workspace_and_lake_add_their_variables(home: Home) -> None:
    ensure_passwords(home)
    names = {"AZURE_STORAGE_CONNECTION_STRING", "AZURE_RESOURCE_GROUP", "AZUREML_WORKSPACE"}
    assert not names & variables(home).keys()
    datastore = f"{WORKSPACE}/datastores/rawdata"
    ArmStore(home.arm_db).put(
        datastore, {"id": datastore, "name": "rawdata", "properties": {"accountName": "lakeabc"}}
    )
    found = variables(home)
    assert (found["AZURE_RESOURCE_GROUP"], found["AZUREML_WORKSPACE"]) == ("rg", "ws")
    assert f"BlobEndpoint={home.blob_url}/lakeabc;" in found["AZURE_STORAGE_CONNECTION_STRING"]


def test_secrets_are_made_once_and_readable_only_by_their_owner(home: Home) -> None:
    ensure_passwords(home)
    ensure_certificate(home)
    files = (home.vault_file, home.certificate_key, home.ca_bundle)
    made = [file.read_text() for file in files]
    ensure_passwords(home)
    ensure_certificate(home)
    assert [file.read_text() for file in files] == made
    assert [file.stat().st_mode & 0o777 for file in files[:2]] == [0o600, 0o600]
    assert len(set(json.loads(made[0]).values())) == 2


def test_services_end_when_their_directory_is_deleted(own_cloud: Cloud) -> None:
    own_cloud.start()
    processes = [own_cloud.pid(name) for name in services.SERVICES]
    shutil.rmtree(own_cloud.home.path, ignore_errors=True)  # they still write to it
    shutil.rmtree(own_cloud.home.path, ignore_errors=True)

    @retry(retry=retry_if_not_result(bool), stop=stop_after_delay(20), wait=wait_fixed(0.2))
    def all_have_ended() -> bool:
        return not any(is_alive(process) for process in processes)

    assert all_have_ended()
