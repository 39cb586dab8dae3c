"""`pulumi preview` of a stack without account, credential or state: the local cloud's providers answer it.

Usage: python -m tools.offline_preview STACK [--summary] [argument of pulumi preview ...]

Two previews of the same settings print the same text, so `diff` of the previews of two branches shows what a
change does: names and ids derive from URNs, "now" is a fixed time, and resources are sorted.

Everything is in a temporary directory: the state (empty, so every resource shows as created), the providers'
files, a copy of the stack's configuration with nothing to decrypt, and a home directory, in which no sign-in
is found. The user's own state stays as it is, and in the repository only Python's bytecode cache changes.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NoReturn

import yaml

from tools import preview_summary, preview_text

ROOT = Path(__file__).resolve().parents[1]

#: What a preview takes from the user's environment: enough to run, and nothing to sign in with.
KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "TERM", "NO_COLOR", "TMPDIR")

#: Tells the program that nothing is deployed: `stacks/settings/deployment.py` reads it.
OFFLINE_VARIABLE = "AI_PLATFORM_OFFLINE_PREVIEW"

#: The argument that asks for the summary.
SUMMARY = "--summary"

#: Stands where the stack has an encrypted value.
PLACEHOLDER = "offline-preview"

#: The keys of a stack's file that say how its secrets are encrypted
#: (https://www.pulumi.com/docs/iac/concepts/projects/stack-settings-file/).
ENCRYPTION_KEYS = ("secretsprovider", "encryptedkey", "encryptionsalt")


def main() -> int:
    """Preview the stack that the command line names; return pulumi's exit code."""
    signal.signal(signal.SIGTERM, stop)
    stack, *given = sys.argv[1:]
    arguments = [argument for argument in given if argument != SUMMARY]
    if not config_of(stack).exists():
        print(
            f"preview: there is no {config_of(stack).name}: create it, or name another STACK", file=sys.stderr
        )
        return 1
    try:
        with tempfile.TemporaryDirectory(prefix="ai-platform-preview-") as directory:
            return preview(config_of(stack), arguments, Path(directory), is_summary=SUMMARY in given)
    except KeyboardInterrupt:
        return 130


def config_of(stack: str) -> Path:
    """Return the path of the stack's configuration."""
    return ROOT / f"Pulumi.{stack}.yaml"


def stop(*_: object) -> NoReturn:
    """Leave as at Ctrl-C, so that everything is cleaned up."""
    raise KeyboardInterrupt


def preview(
    settings: Path,
    arguments: list[str],
    directory: Path,
    variables: Mapping[str, str] | None = None,
    *,
    is_summary: bool = False,
) -> int:
    """Preview the stack that has these settings, with all files in `directory`; return pulumi's exit code.

    `variables` are set for pulumi and the providers in addition. With `is_summary`, print the summary only.
    """
    stack = settings.stem.removeprefix("Pulumi.")
    config = write_project(settings, directory / "project")
    environment = offline_environment(directory) | dict(variables or {})
    home = directory / "localcloud"
    home.mkdir()
    log = home / "providers.log"
    with log.open("w") as errors, starting_providers(home, environment, errors) as providers:
        # The stack is made while the providers start. Its encryption salt goes into the copied configuration.
        create = ["pulumi", "stack", "init", stack, "--no-select", "--cwd", str(config.parent)]
        created = subprocess.run(create, env=environment, capture_output=True, text=True, check=False)
        if created.returncode != 0:
            print(f"preview: {created.stderr.strip()}", file=sys.stderr)
            return created.returncode
        environment["PULUMI_DEBUG_PROVIDERS"] = addresses_of(providers, log)
        form = ["--json"] if is_summary else ["--diff", "--suppress-progress", "--color", color()]
        command = ["pulumi", "preview", *form, "--stack", stack, "--config-file", str(config), *arguments]
        with subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
        ) as pulumi:
            printed, code = wait(pulumi)
    if is_summary:
        return preview_summary.show(stack, printed, code)
    is_json = {"--json", "-j"}.intersection(arguments)
    sys.stdout.write(preview_text.json_in_order(printed) if is_json else preview_text.in_order(printed))
    return code


def color() -> str:
    """Return pulumi's option for colors: it writes into a pipe, and this process perhaps to a terminal."""
    return "always" if sys.stdout.isatty() and "NO_COLOR" not in os.environ else "never"


def write_project(settings: Path, directory: Path) -> Path:
    """Write a copy of Pulumi.yaml and of the stack's settings; return the path of the latter."""
    directory.mkdir()
    file = directory / settings.name
    config = yaml.safe_load(settings.read_text()) or {}
    readable = {key: without_secrets(value) for key, value in config.items() if key not in ENCRYPTION_KEYS}
    file.write_text(yaml.safe_dump(readable))
    (directory / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())
    return file


def without_secrets(value: Any) -> Any:
    """Return the configuration value with a placeholder for each `secure:` value in it."""
    if isinstance(value, dict):
        if set(value) == {"secure"}:
            return PLACEHOLDER
        return {key: without_secrets(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_secrets(item) for item in value]
    return value


def offline_environment(directory: Path) -> dict[str, str]:
    """Return the environment of pulumi and of the providers: all they write goes to `directory`."""
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    for name in ("home", "state"):
        (directory / name).mkdir()
    return kept | {
        OFFLINE_VARIABLE: "true",
        "HOME": str(directory / "home"),
        "PULUMI_BACKEND_URL": f"file://{directory / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE": PLACEHOLDER,
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }


@contextmanager
def starting_providers(
    home: Path, environment: dict[str, str], errors: IO[str]
) -> Iterator[subprocess.Popen[str]]:
    """Start the stand-in providers on free ports, and end them with the context."""
    # The providers load the SDK's classes on one core while the program does so on another.
    arguments = ["--home", str(home), "--ports", "0,0", "--offline"]
    command = [sys.executable, "-m", "localcloud.providers", *arguments]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def addresses_of(providers: subprocess.Popen[str], log: Path) -> str:
    """Return the value of PULUMI_DEBUG_PROVIDERS: the providers print it as soon as they serve."""
    addresses = providers.stdout.readline().strip() if providers.stdout else ""
    if not addresses:
        reason = log.read_text().strip().rpartition("\n")[2]
        raise SystemExit(f"preview: the stand-in providers did not start: {reason}")
    return addresses


def wait(process: subprocess.Popen[str]) -> tuple[str, int]:
    """Return what the process prints, and its exit code; Ctrl-C reaches it too: it may end in its own way."""
    try:
        printed, _ = process.communicate()
    except KeyboardInterrupt:
        process.terminate()
        printed, _ = process.communicate()
    return printed, process.returncode


if __name__ == "__main__":
    sys.exit(main())
