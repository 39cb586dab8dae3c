"""The tools: which Pulumi CLI they use, what an offline preview sees, what `make clean` removes."""

import os
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from tools import offline_preview
from tools.pulumi import install

ROOT = Path(__file__).resolve().parents[3]

#: Variables of `.local/env` that redirect clients to the local cloud.
LOCAL_ROUTES = ("PULUMI_DEBUG_PROVIDERS", "AZUREML_DEV_URL_MFE")


def write_program(file: Path, text: str = "exit 0") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


def write_cli(directory: Path, version: str) -> Path:
    for program in install.PROGRAMS:
        write_program(directory / program, f"echo {version}")
    return directory


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory on PATH before the system's tools, with a curl that reaches nothing."""
    directory = tmp_path / "path"
    write_program(directory / "curl", "exit 6")
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")
    return directory


@pytest.fixture
def go(path: Path, tmp_path: Path) -> Path:
    """A `go` on PATH that imitates `go build` and `go list`; the file lists its builds."""
    for source in install.SCRIPTS.values():
        write_program(tmp_path / "sdk" / source)
    builds = tmp_path / "builds"
    write_program(
        path / "go",
        f"""
        if [ "$1" = list ]; then echo {tmp_path}/sdk; exit; fi
        module=$(basename "$PWD")
        echo $module >>{builds}
        while [ "$1" != -o ]; do shift; done
        if [ $module = engine ]; then cp "$0" "$2/pulumi"; else cp "$0" "$2/pulumi-language-python"; fi
        """,
    )
    return builds


@pytest.mark.parametrize("version", ["v3.200.0", "v3.259.0", "v3.300.1", "v4.0.0"])
def test_recent_cli_on_path_is_used(path: Path, version: str) -> None:
    write_cli(path, version)

    assert install.find_on_path() == path


@pytest.mark.parametrize("version", ["v3.199.9", "v2.300.0", "nonsense"])
def test_old_cli_on_path_is_not_used(path: Path, version: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_cli(path, version)

    assert install.find_on_path() is None
    assert "3.200.0 or newer" in capsys.readouterr().err


def test_cli_without_language_host_is_not_used(path: Path) -> None:
    write_cli(path, "v3.300.0")
    (path / install.LANGUAGE_HOST).unlink()

    assert install.find_on_path() is None


def test_link_on_path_is_followed_to_the_directory_with_the_language_host(path: Path, tmp_path: Path) -> None:
    real = write_cli(tmp_path / "pulumi" / "bin", "v3.300.0")
    (path / "pulumi").symlink_to(real / "pulumi")

    assert install.find_on_path() == real


@pytest.mark.usefixtures("path")
def test_earlier_installation_is_used(tmp_path: Path) -> None:
    bin_directory = write_cli(tmp_path / "cache" / f"pulumi-{install.VERSION}" / "bin", "v3.259.0")

    assert install.install(tmp_path / "cache") == bin_directory


def test_two_calls_without_network_build_once(go: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    threads = [threading.Thread(target=install.install, args=[cache]) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert install.is_complete(cache / f"pulumi-{install.VERSION}" / "bin")
    assert sorted(go.read_text().split()) == ["engine", "language"]


def test_failed_build_is_one_line_and_leaves_no_directory(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    write_program(path / "go", "echo 'no space left on device'; exit 1")

    assert install.main() == 1
    assert "the build failed: no space left on device" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "ai-platform" / f"pulumi-{install.VERSION}").exists()


@pytest.mark.usefixtures("go")
def test_interrupted_build_is_started_again(tmp_path: Path) -> None:
    partial = tmp_path / f"pulumi-{install.VERSION}.partial" / "bin"
    write_program(partial / "pulumi", "half of it")

    directory = install.install(tmp_path)

    assert install.is_complete(directory)
    assert "half of it" not in (directory / "pulumi").read_text()
    assert not partial.exists()


def test_no_network_and_no_go_is_an_error_that_says_what_to_install(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(path))

    with pytest.raises(install.InstallError, match=r"install Pulumi 3\.200\.0 or newer, or Go"):
        install.install(tmp_path)


def test_installed_cli_and_sdk_have_the_same_version() -> None:
    engine = (ROOT / "tools/pulumi/engine/go.mod").read_text()

    assert pinned()["pulumi"] == install.VERSION
    assert re.findall(r"pulumi/(?:pkg|sdk)/v3 v(\S+)", engine) == [install.VERSION] * 2


def test_lock_has_every_direct_dependency_within_its_bounds() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    direct = chain(*project["dependency-groups"].values())

    for requirement in map(Requirement, direct):
        version = pinned().get(requirement.name.lower(), "none")
        assert version in requirement.specifier, f"{requirement} is locked at {version}: run make lock"


def pinned() -> dict[str, str]:
    """The name and version of each package in dev-requirements.txt."""
    lock = (ROOT / "dev-requirements.txt").read_text()
    return dict(re.findall(r"^([a-z0-9-]+)(?:\[[^]]*\])?==(\S+)", lock, re.MULTILINE))


def test_offline_preview_sees_no_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AZURE_CLIENT_SECRET", "ARM_CLIENT_ID", "SNOWFLAKE_PASSWORD", "PULUMI_ACCESS_TOKEN"):
        monkeypatch.setenv(name, "from the user")

    environment = offline_preview.offline_environment(tmp_path)

    assert "from the user" not in environment.values()
    assert environment["HOME"].startswith(str(tmp_path))
    assert environment["PULUMI_BACKEND_URL"].startswith(f"file://{tmp_path}")


def test_offline_preview_replaces_encrypted_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encrypted = {
        "secretsprovider": "azurekeyvault://vault/keys/key",
        "encryptedkey": "AAAA",
        "config": {"p:token": {"secure": "AAAB"}, "p:deep": {"list": [{"secure": "AAAC"}], "plain": 1}},
    }
    monkeypatch.setattr(offline_preview, "ROOT", tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("name: p\n")
    (tmp_path / "Pulumi.dev.yaml").write_text(yaml.safe_dump(encrypted))

    file = offline_preview.write_project(tmp_path / "Pulumi.dev.yaml", tmp_path / "project")

    assert yaml.safe_load(file.read_text()) == {
        "config": {
            "p:token": offline_preview.PLACEHOLDER,
            "p:deep": {"list": [offline_preview.PLACEHOLDER], "plain": 1},
        }
    }


def test_offline_preview_of_an_unknown_stack_is_one_line() -> None:
    command = [sys.executable, "-m", "tools.offline_preview", "nowhere"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert result.returncode == 1
    assert result.stderr == "preview: there is no Pulumi.nowhere.yaml: create it, or name another STACK\n"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("preview", "preview --diff --stack dev --refresh"),
        ("down", "destroy --stack dev --refresh"),
    ],
)
def test_stack_other_than_local_uses_the_users_backend(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, expected: str
) -> None:
    write_cli(path, "v3.259.0")
    calls = tmp_path / "calls"
    write_program(
        path / "pulumi", f'[ "$1" = version ] && echo v3.259.0 || echo "$PULUMI_BACKEND_URL $*" >{calls}'
    )
    monkeypatch.setenv("MAKE", "true")  # the set-up is done
    monkeypatch.setenv("LOCALCLOUD_HOME", str(tmp_path / "localcloud"))
    monkeypatch.setenv("PULUMI_BACKEND_URL", "azblob://state")
    for name in ("OFFLINE", "SUMMARY", *LOCAL_ROUTES):
        monkeypatch.delenv(name, raising=False)

    subprocess.run(["tools/stack.sh", command, "dev", "--refresh"], cwd=ROOT, check=True)

    assert calls.read_text() == f"azblob://state {expected}\n"
    assert not (tmp_path / "localcloud").exists()


def test_summary_of_a_preview_is_made_from_what_pulumi_prints_as_json(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cli(path, "v3.259.0")
    calls = tmp_path / "calls"
    answer = '{"changeSummary": {"same": 3}}'
    write_program(
        path / "pulumi", f"[ \"$1\" = version ] && echo v3.259.0 || {{ echo $* >{calls}; echo '{answer}'; }}"
    )
    monkeypatch.setenv("MAKE", "true")
    monkeypatch.setenv("SUMMARY", "1")
    for name in ("OFFLINE", *LOCAL_ROUTES):
        monkeypatch.delenv(name, raising=False)

    command = ["tools/stack.sh", "preview", "dev", "--refresh"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    assert calls.read_text() == "preview --json --stack dev --refresh\n"
    assert done.stdout.startswith("dev: nothing to change, 3 unchanged\n")


@pytest.mark.parametrize(
    ("exit_code", "called"), [(0, ["preflight dev", "up --stack dev --refresh"]), (1, ["preflight dev"])]
)
def test_up_of_a_stack_for_azure_runs_pulumi_only_if_the_preflight_passes(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exit_code: int, called: list[str]
) -> None:
    write_cli(path, "v3.259.0")
    calls = tmp_path / "calls"
    write_program(path / "pulumi", f'[ "$1" = version ] && echo v3.259.0 || echo "$*" >>{calls}')
    program = (
        f"import sys; open({str(calls)!r}, 'a').write(f'preflight {{sys.argv[1]}}\\n'); sys.exit({exit_code})"
    )
    (tmp_path / "tools" / "preflight").mkdir(parents=True)
    (tmp_path / "tools" / "preflight" / "__main__.py").write_text(program)
    for name in (".venv", "Pulumi.yaml", "tools/stack.sh", "tools/environment.sh", "tools/pulumi"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.setenv("MAKE", "true")  # the set-up is done
    for name in ("OFFLINE", *LOCAL_ROUTES):
        monkeypatch.delenv(name, raising=False)

    done = subprocess.run(["tools/stack.sh", "up", "dev", "--refresh"], cwd=tmp_path, check=False)

    assert done.returncode == exit_code
    assert calls.read_text().splitlines() == called


@pytest.mark.parametrize("command", ["up", "preview", "preflight", "down"])
def test_stack_for_azure_in_the_local_environment_is_refused_before_pulumi_runs(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    calls = tmp_path / "calls"
    write_program(path / "pulumi", f"echo $* >{calls}")
    monkeypatch.setenv("MAKE", "true")
    monkeypatch.delenv("OFFLINE", raising=False)
    for name in LOCAL_ROUTES:
        monkeypatch.setenv(name, "https://127.0.0.1:1")

    result = subprocess.run(
        ["tools/stack.sh", command, "dev"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert result.returncode == 1
    assert not calls.exists()
    assert result.stderr == (
        f"{command}: this shell has sourced .local/env, which sends dev to the local cloud: use a new shell\n"
    )


def test_second_local_stack_is_deployed_in_the_local_environment(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cli(path, "v3.259.0")
    monkeypatch.setenv("MAKE", "true")
    monkeypatch.setenv("PULUMI_DEBUG_PROVIDERS", "azure-native:1,kubernetes:2")
    for name in ("tools", ".venv", "Pulumi.yaml"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "Pulumi.second.yaml").write_text("config:\n  ai-platform:endpoints: local # of .local/env\n")

    result = subprocess.run(
        ["tools/stack.sh", "up", "second"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert (result.returncode, result.stderr) == (0, "")


@pytest.fixture
def local_calls(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Run a command of the stack `local` with stand-ins for all programs; return what it called, in order."""
    calls = tmp_path / "calls"
    note = f'echo "$(basename $0) $*" >>{calls}'
    write_program(path / "pulumi", note)
    write_program(path / "date", f"{note}; echo 2026-11-28T09:00:00Z")
    write_program(
        tmp_path / ".venv/bin/python", f'[ "$1" != tools/pulumi/install.py ] || exec echo {path}\n{note}'
    )
    (tmp_path / "tools").symlink_to(ROOT / "tools")
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local/env").touch()
    monkeypatch.setenv("MAKE", "true")  # the set-up is done
    monkeypatch.delenv("LOCALCLOUD_HOME", raising=False)

    def run(command: str) -> list[str]:
        subprocess.run(["tools/stack.sh", command, "local"], cwd=tmp_path, check=True)
        return calls.read_text().splitlines()

    return run


def test_up_waits_for_the_imports_that_started_since_it_began(
    local_calls: Callable[[str], list[str]],
) -> None:
    calls = local_calls("up")
    (began,) = [index for index, call in enumerate(calls) if call.startswith("date -u ")]
    (deploys,) = [
        index for index, call in enumerate(calls) if re.match(r"pulumi up |python tools/up\.py", call)
    ]
    assert began < deploys
    assert calls[-1] == "python -m importer list --wait --since 2026-11-28T09:00:00Z"


def test_down_says_in_one_line_what_stays(
    local_calls: Callable[[str], list[str]], capfd: pytest.CaptureFixture[str]
) -> None:
    assert local_calls("down")[-1] == "python -m localcloud stop"
    assert capfd.readouterr().err == (
        ".local keeps the tables of the local Snowflake, its passwords, and logs (docs/local.md); "
        "rm -r .local removes them\n"
    )


def test_down_before_up_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALCLOUD_HOME", str(tmp_path / "never"))
    result = subprocess.run(
        ["tools/stack.sh", "down", "local"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (result.returncode, result.stdout) == (0, "")
    assert not (tmp_path / "never").exists()


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working tree with files of the set-up and of `make up`, and files that stay."""
    monkeypatch.delenv("LOCALCLOUD_HOME", raising=False)
    tree = tmp_path / "tree"
    for name in (
        ".venv/bin/python",
        ".local/pids/blob.json",
        "localcloud/node_modules/azurite/main.js",
        "importer/job/__pycache__/run.pyc",
        ".git/info/__pycache__/x",
        "importer/job/run.py",
        "localcloud/package.json",
    ):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).touch()
    return tree


def clean(tree: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "tools" / "clean.sh"], cwd=tree, capture_output=True, text=True, check=False
    )


def files_in(tree: Path) -> set[str]:
    return {path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file()}


@pytest.mark.parametrize("noted", ["", '{"pid": 99999999, "start": "a"}'])
def test_clean_removes_only_what_the_set_up_made(tree: Path, noted: str) -> None:
    (tree / ".local/pids/blob.json").write_text(noted)

    assert clean(tree).returncode == 0
    assert files_in(tree) == {".git/info/__pycache__/x", "importer/job/run.py", "localcloud/package.json"}


def test_clean_refuses_while_a_service_of_the_local_cloud_runs(tree: Path) -> None:
    (tree / ".local/pids/blob.json").write_text(f'{{"pid": {os.getpid()}, "start": "a"}}\n')
    before = files_in(tree)

    result = clean(tree)

    assert (result.returncode, files_in(tree)) == (1, before)
    assert "blob" in result.stderr
    assert "run make down first" in result.stderr
