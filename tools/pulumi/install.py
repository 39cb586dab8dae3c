"""Prints the directory of a Pulumi CLI with its Python language host.

It uses the `pulumi` on PATH, else that of an earlier run in the user's cache directory, else Pulumi's
installer, else a build from Go modules. It needs Python only: the virtual environment does not exist yet.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

#: The version to install: that of the SDK in requirements.txt.
VERSION = "3.259.0"
#: The oldest CLI on PATH that is used; the SDK asks the engine which features it has.
OLDEST = (3, 200, 0)

INSTALLER = "https://get.pulumi.com"
CLI = "pulumi"
LANGUAGE_HOST = "pulumi-language-python"
#: Scripts from the SDK that start the program and the dynamic providers.
SCRIPTS = {
    "pulumi-language-python-exec": "python/cmd/pulumi-language-python-exec",
    "pulumi-resource-pulumi-python": "python/dist/pulumi-resource-pulumi-python",
}
PROGRAMS = (CLI, LANGUAGE_HOST, *SCRIPTS)

HERE = Path(__file__).resolve().parent


class InstallError(Exception):
    """No Pulumi CLI can be installed; the message says why and what to do."""


def main() -> int:
    """Print the directory, with progress on standard error; return the exit code."""
    try:
        print(find_on_path() or install(cache_directory()))
    except (InstallError, OSError) as error:
        print(f"pulumi: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def find_on_path() -> Path | None:
    """Return the directory of the `pulumi` on PATH, if it is recent and complete."""
    found = shutil.which(CLI)
    if found is None:
        return None
    link = Path(found)
    if all(map(shutil.which, PROGRAMS)):
        directory = link.parent
    elif is_complete(link.resolve().parent):
        directory = link.resolve().parent
    else:
        say(f"{found} is not used: there is no {LANGUAGE_HOST} beside it or on PATH.")
        return None
    version = version_of(link)
    if version is None or version < OLDEST:
        say(f"{found} is not used: it is not version {'.'.join(map(str, OLDEST))} or newer.")
        return None
    return directory


def is_complete(directory: Path) -> bool:
    """Return whether the directory has the CLI and all that a Python program needs."""
    return all(os.access(directory / program, os.X_OK) for program in PROGRAMS)


def version_of(cli: Path) -> tuple[int, ...] | None:
    """Return the version that the CLI prints, or None if it prints no version."""
    environment = os.environ | {"PULUMI_SKIP_UPDATE_CHECK": "true"}
    result = subprocess.run([cli, "version"], capture_output=True, text=True, env=environment, check=False)
    match = re.match(r"v?(\d+)\.(\d+)\.(\d+)", result.stdout)
    return tuple(map(int, match.groups())) if match and result.returncode == 0 else None


def cache_directory() -> Path:
    """Return the user's cache directory for this project (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "ai-platform")


def install(cache: Path) -> Path:
    """Return the directory of the CLI in the cache, after installing it if it is missing.

    It is installed in a `.partial` directory and then renamed, so that an interrupted installation is never
    taken for a complete one. A lock makes a second call wait for the first.
    """
    final = cache / f"pulumi-{VERSION}"
    if is_complete(final / "bin"):
        return final / "bin"
    cache.mkdir(parents=True, exist_ok=True)
    with locked(cache / f"{final.name}.lock"):
        if is_complete(final / "bin"):
            return final / "bin"
        partial = cache / f"{final.name}.partial"
        remove(partial)
        partial.mkdir()
        if not download(partial):
            build(partial / "bin", cache / f"{final.name}.log")
        remove(final)
        partial.rename(final)
    say(f"version {VERSION} is ready in {final / 'bin'}.")
    return final / "bin"


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold the lock; wait if another process holds it."""
    with file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another installation is under way; waiting for it.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def remove(directory: Path) -> None:
    """Remove the directory, if there is one."""
    if directory.exists():
        shutil.rmtree(directory)


def download(target: Path) -> bool:
    """Run Pulumi's installer into `target`; return whether the CLI is complete."""
    script = target / "install.sh"
    fetch: list[str | Path] = [
        "curl",
        "-fsSL",
        "--connect-timeout",
        "5",
        "--max-time",
        "30",
        "-o",
        script,
        INSTALLER,
    ]
    if shutil.which("curl") is None or not succeeds(fetch):
        return False
    say(f"downloading version {VERSION} from {INSTALLER}.")
    installer: list[str | Path] = [
        "sh",
        script,
        "--version",
        VERSION,
        "--install-root",
        target,
        "--no-edit-path",
    ]
    return succeeds(installer) and is_complete(target / "bin")


def succeeds(command: list[str | Path]) -> bool:
    """Run the command silently; return whether it succeeded within five minutes."""
    try:
        return subprocess.run(command, capture_output=True, timeout=300, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def build(target: Path, log: Path) -> None:
    """Build the CLI and the language host from Go modules, in parallel, and add the SDK's scripts."""
    if shutil.which("go") is None:
        raise InstallError(
            f"{INSTALLER} cannot be reached and there is no Go to build it with: "
            f"install Pulumi {'.'.join(map(str, OLDEST))} or newer, or Go 1.26, and try again"
        )
    say(f"building version {VERSION} from Go modules, once: about 5 minutes.")
    target.mkdir()
    with log.open("w") as output:
        builds = [start_build(HERE / module, target, output) for module in ("engine", "language")]
        failed = [build for build in builds if build.wait() != 0]
    if failed:
        raise InstallError(f"the build failed: {last_line(log)} (full log: {log})")
    sdk = output_of(
        ["go", "list", "-m", "-f", "{{.Dir}}", "github.com/pulumi/pulumi/sdk/v3"], HERE / "engine"
    )
    for program, source in SCRIPTS.items():
        shutil.copyfile(Path(sdk, source), target / program)
        (target / program).chmod(0o755)


def start_build(module: Path, target: Path, output: IO[str]) -> subprocess.Popen[bytes]:
    """Start to build the tool in the module's go.mod."""
    flags = f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{VERSION}"
    command = ["go", "build", "-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags", flags]
    return subprocess.Popen(
        [*command, "-o", f"{target}/", "tool"],
        cwd=module,
        env=go_environment(),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
    )


def go_environment() -> dict[str, str]:
    """Return an environment without the user's settings that would change the build."""
    return os.environ | {"HOME": str(Path.home()), "CGO_ENABLED": "0", "GOWORK": "off"}


def output_of(command: list[str], directory: Path) -> str:
    """Return the output of the command, without the line break at its end."""
    result = subprocess.run(
        command, cwd=directory, env=go_environment(), capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        raise InstallError(f"{' '.join(command)} failed: {result.stderr.strip()}")
    return result.stdout.strip()


def last_line(file: Path) -> str:
    """Return the last line of the file that is not blank."""
    lines = [line.strip() for line in file.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "no output"


def say(message: str) -> None:
    """Print a line of progress on standard error."""
    print(f"pulumi: {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
