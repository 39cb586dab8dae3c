"""Runs the jobs of the local workspace as processes, when their schedules fire or are triggered.

A job outlives the service that started it. Its state is in the directory `jobs/<name>/`: its processes hold
`lock` as long as one of them runs, `process` is the id of their group, `exit_code` is written at the end,
`user_logs/std_log.txt` is the output, and `code` is the working directory. A job without code runs in this
repository, as if its image contained it.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import IO

from azure.core.exceptions import AzureError
from starlette.concurrency import run_in_threadpool
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from importer.spec.schedule import next_tick, version_of
from importer.spec.scheduled_job import SPEC_VARIABLE
from localcloud.arm import ArmStore, Document
from localcloud.code_snapshots import CodeSnapshots
from localcloud.home import Home
from localcloud.image_builds import build_problem
from localcloud.job_identities import identity_problem
from localcloud.roles import Roles

#: The property of a job that names the schedule that started it.
SCHEDULE_PROPERTY = "azureml.scheduleName"

#: How often the runner checks schedules and processes, in seconds.
_INTERVAL = 0.5
#: A scheduled time that is further in the past was missed (the machine slept) and is skipped.
_PUNCTUALITY = timedelta(minutes=1)
_MOST_AT_ONCE = 4
#: The file with the output of a job, in its directory.
_LOG = Path("user_logs", "std_log.txt")
#: How long a job may take to end after SIGTERM, in seconds.
_GRACE = 5.0

_REPOSITORY = Path(__file__).resolve().parents[1]
_WORKSPACE_TYPE = "microsoft.machinelearningservices/workspaces"
# Runs the command ($1) in its own shell, so that its exit code is written even if it calls `exit`.
_WRAPPER = (
    'echo $$ > "$2/process"; sh -c "$1"; echo $? > "$2/exit_code.new"; mv "$2/exit_code.new" "$2/exit_code"'
)
_EXPRESSION = re.compile(r"\$\{\{\s*(?:parent\.)?inputs\.(\w+)\s*}}")


class JobError(Exception):
    """A job that cannot be started; the message says why."""


class JobRunner:
    """The jobs of a local cloud: queued in the `ArmStore`, run in `jobs/`, at most four at once."""

    def __init__(self, home: Home, store: ArmStore) -> None:
        self._home = home
        self._store = store
        self._roles = Roles(home, store)

    async def run(self, lock: threading.Lock) -> None:
        """Fire schedules and track jobs until cancelled, holding `lock` while the store is used."""
        since = datetime.now(UTC)
        while True:
            await asyncio.sleep(_INTERVAL)
            now = datetime.now(UTC)
            try:
                await run_in_threadpool(self._step, lock, since, now)
            except Exception as error:
                print(f"jobs: {error!r}; trying again", flush=True)  # noqa: T201
            else:
                since = now

    def _step(self, lock: threading.Lock, since: datetime, now: datetime) -> None:
        with lock:
            self.fire(max(since, now - _PUNCTUALITY), now)
            self.advance()

    def fire(self, since: datetime, now: datetime) -> None:
        """Queue a job for each enabled schedule with a time after `since` and not after `now`."""
        for schedule in self._documents("schedules"):
            trigger = schedule["properties"]["trigger"]
            if trigger["triggerType"] != "Cron" or not schedule["properties"].get("isEnabled", True):
                continue
            changed = datetime.fromisoformat(schedule["systemData"]["lastModifiedAt"])
            tick = next_tick(trigger["expression"], trigger.get("timeZone", "UTC"), max(since, changed))
            if tick <= now:
                # the name follows from schedule and time, so that a job is queued once
                self._queue(schedule, tick, sha256(schedule["id"].encode()).hexdigest()[:6])

    def trigger(self, schedule: Document, at: datetime) -> str:
        """Queue a job of `schedule` for the time `at` (aware) and return its name."""
        return self._queue(schedule, at, secrets.token_hex(3))

    def _queue(self, schedule: Document, at: datetime, suffix: str) -> str:
        """Store the job of `schedule` for `at`, unless it exists, and return its name."""
        version = version_of(at)
        name = f"{schedule['name']}-{version}-{suffix}"
        workspace, _, _ = schedule["id"].rpartition("/schedules/")
        job_id = f"{workspace}/jobs/{name}"
        if self._store.get(job_id) is None:
            definition = schedule["properties"]["action"]["jobDefinition"]
            properties = {
                **definition,
                # as in https://learn.microsoft.com/azure/machine-learning/how-to-schedule-pipeline-job
                "displayName": f"{schedule['name']}-{version}",
                "inputs": _with_trigger_time(definition.get("inputs", {}), at),
                "properties": {**definition.get("properties", {}), SCHEDULE_PROPERTY: schedule["name"]},
                "status": "NotStarted",
                # in Azure, this is the address of the job's page in the studio, which shows its log
                "services": {
                    "Studio": {"endpoint": (self._log_of(name)).as_uri(), "jobServiceType": "Studio"}
                },
            }
            created = datetime.now(UTC).isoformat()
            job = {
                "id": job_id,
                "name": name,
                "type": "Microsoft.MachineLearningServices/workspaces/jobs",
                "systemData": {"createdAt": created, "lastModifiedAt": created},
                "properties": properties,
            }
            self._store.put(job_id, job)
        return name

    def advance(self) -> None:
        """Record which jobs have ended, and start those that wait."""
        running = 0
        for job in self._documents("jobs"):
            if job["properties"]["status"] == "Running":
                if self._process(job).is_alive():
                    running += 1
                else:
                    self._record_end(job)
        waiting = [job for job in self._documents("jobs") if job["properties"]["status"] == "NotStarted"]
        waiting.sort(key=lambda job: str(job["systemData"]["createdAt"]))
        for job in waiting[: _MOST_AT_ONCE - running]:
            self._start(job)

    def cancel(self, job: Document) -> None:
        """End the processes of a job that has not ended, and mark it as canceled."""
        if job["properties"]["status"] in ("NotStarted", "Running"):
            self._process(job).stop()
            self._set_status(job, "Canceled")

    def cancel_all(self) -> None:
        """Cancel every job that has not ended, also one whose workspace has been deleted."""
        for job in self._documents("jobs"):
            self.cancel(job)
        for directory in (self._home.path / "jobs").glob("*/"):
            JobProcess(directory).stop()

    def _start(self, job: Document) -> None:
        # the status first, then the process, so that a crash in between never starts a job twice
        self._set_status(job, "Running")
        try:
            command, variables, code_uri = _command_of(job, self._store)
            self._check_roles(job, variables)
            directory = self._get_code(job, code_uri) if code_uri is not None else _REPOSITORY
            self._process(job).start(command, directory, {**self._base_environment(), **variables})
        except (JobError, AzureError, OSError) as error:
            self._set_status(job, "Failed", str(error))

    def _check_roles(self, job: Document, variables: Mapping[str, str]) -> None:
        """Raise a JobError if the job's identity may not write its data, or has no role on the workspace."""
        principal = self._roles.principal_of(variables.get("AZURE_CLIENT_ID", ""))
        workspace = job["id"].rpartition("/jobs/")[0]
        datastore = json.loads(variables.get(SPEC_VARIABLE, "{}")).get("datastore")
        target = (self._store.get(f"{workspace}/datastores/{datastore}") or {}).get("properties", {})
        end = f"/{target.get('accountName')}/blobServices/default/containers/{target.get('containerName')}"
        containers = [d["id"] for d in self._store.descendants("") if d["id"].endswith(end)]
        needs = [(container, "Storage Blob Data Contributor") for container in containers]
        if not principal or not needs:  # not made by the program
            return
        for scope, role in [*needs, (workspace, None)]:
            if why := self._roles.why_lacking(principal, role, scope):
                raise JobError(f"The job's identity needs {role or 'a role'} on {scope} (403): {why}.")

    def _get_code(self, job: Document, code_uri: str) -> Path:
        """Return the job's own directory with the code that was uploaded to `code_uri`."""
        directory = Path(self._home.path, "jobs", job["name"], "code")
        shutil.rmtree(directory, ignore_errors=True)
        CodeSnapshots(self._home).copy(code_uri, directory)
        return directory

    def _record_end(self, job: Document) -> None:
        process = self._process(job)
        code = process.exit_code()
        if code == 0:
            self._set_status(job, "Completed")
        elif code is None:
            self._set_status(job, "Failed", "The job's process ended without an exit code; it was killed.")
        else:
            self._set_status(
                job, "Failed", process.last_line() or f"The command ended with exit code {code}."
            )

    def _set_status(self, job: Document, status: str, message: str | None = None) -> None:
        now = datetime.now(UTC).isoformat()
        properties = {**job["properties"], "status": status}
        if status == "Running":
            properties["startTimeUtc"] = now
        else:
            properties["endTimeUtc"] = now
        if message:
            properties["error"] = {"code": "UserError", "message": message}
        system = {**job["systemData"], "lastModifiedAt": now}
        self._store.put(job["id"], {**job, "properties": properties, "systemData": system})

    def _process(self, job: Document) -> "JobProcess":
        return JobProcess(self._home.path / "jobs" / job["name"])

    def _log_of(self, job_name: str) -> Path:
        return self._home.path / "jobs" / job_name / _LOG

    def _documents(self, kind: str) -> list[Document]:
        wanted = f"{_WORKSPACE_TYPE}/{kind}"
        return [d for d in self._store.descendants("") if d.get("type", "").lower() == wanted]

    def _base_environment(self) -> dict[str, str]:
        """Return the environment of every job: the addresses of the local cloud, and little else."""
        bundle = str(self._home.ca_bundle)
        return {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "HOME": os.environ.get("HOME", "/"),
            "LANG": os.environ.get("LANG", "C.UTF-8"),
            "AZUREML_DEV_URL_MFE": self._home.azure_url,
            "IDENTITY_ENDPOINT": self._home.identity_url,
            "IDENTITY_HEADER": "local",
            "REQUESTS_CA_BUNDLE": bundle,
            "SSL_CERT_FILE": bundle,
        }


class JobProcess:
    """The processes of one job, found through the files in its directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._log = directory / _LOG
        self._group = directory / "process"
        self._exit_code = directory / "exit_code"

    def start(self, command: str, directory: Path, environment: Mapping[str, str]) -> None:
        """Run `command` in its own session; its processes hold the lock as long as one of them runs."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._group.unlink(missing_ok=True)
        self._exit_code.unlink(missing_ok=True)
        with self._open_lock() as lock, self._log.open("w") as log:
            fcntl.flock(lock, fcntl.LOCK_EX)
            subprocess.Popen(
                ["/bin/sh", "-c", _WRAPPER, "sh", command, str(self._directory)],
                cwd=directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[lock.fileno()],
            )

    def _open_lock(self) -> IO[str]:
        return (self._directory / "lock").open("a")

    def is_alive(self) -> bool:
        """Whether a process of the job is running."""
        if not self._directory.exists():
            return False
        with self._open_lock() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def stop(self) -> None:
        """End the processes of the job: SIGTERM first, then SIGKILL."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(RetryError):
                Retrying(retry=retry_if_result(bool), stop=stop_after_delay(_GRACE), wait=wait_fixed(0.05))(
                    self._signal, number
                )

    def _signal(self, number: signal.Signals) -> bool:
        """Send a signal to the processes, if any; return whether one is still running."""
        if self.is_alive():
            # right after the start the file may be missing or empty
            with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError):
                os.killpg(int(self._group.read_text()), number)
        return self.is_alive()

    def exit_code(self) -> int | None:
        """Return the exit code of the command, or None if it was killed before it could write one."""
        return int(self._exit_code.read_text()) if self._exit_code.exists() else None

    def last_line(self) -> str:
        """Return the last line of the log that is not blank."""
        lines = self._log.read_text(errors="replace").split("\n") if self._log.exists() else []
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


def stop_jobs(home: Home) -> None:
    """Cancel every job of a local cloud that has not ended, without its workspace service."""
    JobRunner(home, ArmStore(home.arm_db)).cancel_all()


def _with_trigger_time(inputs: Document, at: datetime) -> Document:
    """Return pipeline inputs with the scheduled time, in ISO 8601, for `creation_context.trigger_time`."""
    time = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        key: {**value, "value": time} if "creation_context.trigger_time" in str(value.get("value")) else value
        for key, value in inputs.items()
    }


def _command_of(job: Document, store: ArmStore) -> tuple[str, dict[str, str], str | None]:
    """Return the command, the variables and the code's address of a pipeline job of one command step."""
    steps = list(job["properties"].get("jobs", {}).values())
    if len(steps) != 1 or steps[0]["type"] != "command":
        raise JobError("The local cloud runs only pipeline jobs with one command step.")
    step = steps[0]
    component = _referred(step["componentId"], "component", store)["componentSpec"]
    pipeline_inputs = {key: str(given["value"]) for key, given in job["properties"].get("inputs", {}).items()}
    inputs = {
        key: _resolve(str(given["value"]), pipeline_inputs) for key, given in step.get("inputs", {}).items()
    }
    variables = {key: str(value) for key, value in step.get("environment_variables", {}).items()}
    kinds = [kind for kind in ("environment", "code") if component.get(kind)]
    referred = {kind: _referred(component[kind], kind, store) for kind in kinds}
    workspace_id = str(job["id"]).rpartition("/jobs/")[0]
    problem = identity_problem(step, workspace_id, store)
    if problem is None and "environment" in referred:
        problem = build_problem(referred["environment"], workspace_id, store)
    if problem is not None:
        raise JobError(problem)
    code_uri = str(referred["code"]["codeUri"]) if "code" in referred else None
    return _resolve(component["command"], inputs), variables, code_uri


def _referred(reference: str, kind: str, store: ArmStore) -> Document:
    """Return the properties of a resource that a job refers to by ARM id, with or without `azureml:`."""
    document = store.get(reference.removeprefix("azureml:"))
    if document is None:
        raise JobError(f"The {kind} {reference} was not found.")
    properties: Document = document["properties"]
    return properties


def _resolve(text: str, inputs: Mapping[str, str]) -> str:
    """Return `text` with its `${{inputs.…}}` expressions replaced by the values of `inputs`."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in inputs:
            raise JobError(f"The input {match[1]} of {text!r} has no value.")
        return inputs[match[1]]

    return _EXPRESSION.sub(value, text)
