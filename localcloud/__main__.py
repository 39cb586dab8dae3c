"""`python -m localcloud`: starts, stops and shows the local cloud."""

import json
from typing import Annotated

import typer

from localcloud.certificate import ensure_certificate
from localcloud.environment import write_environment
from localcloud.home import Home
from localcloud.jobs import stop_jobs
from localcloud.pulumi_state import recover_from_kill
from localcloud.services import (
    SERVICES,
    ServiceError,
    exclusive,
    is_healthy,
    log_file,
    running_pid,
    start_services,
    stop_services,
)
from localcloud.snowflake_account import ensure_passwords

#: The exit code of `status` if a service does not run.
NOT_RUNNING = 3

app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)


@app.command()
def start(
    names: Annotated[
        list[str] | None, typer.Argument(help="Services to start; default: all.", show_default=False)
    ] = None,
) -> None:
    """Start the services that do not run, and wait until they answer."""
    unknown = sorted(set(names or []) - set(SERVICES))
    if unknown:
        _fail(f"unknown service {unknown[0]}: expected one of {', '.join(SERVICES)}")
    services = [SERVICES[name] for name in names or SERVICES]
    home = Home.open()
    with exclusive(home):
        ensure_certificate(home)
        ensure_passwords(home)
        try:
            started = start_services(home, services)
        except ServiceError as error:
            _fail(str(error))
        write_environment(home)
        recover_from_kill(home)
    for service in services:
        ports = ", ".join(str(home.ports[key]) for key in service.ports)
        typer.echo(f"{service.name:10} {'started' if service in started else 'runs'} on 127.0.0.1:{ports}")


@app.command()
def stop() -> None:
    """Stop the services and the jobs of this local cloud; its data stays."""
    home = Home.open()
    with exclusive(home):
        stop_services(home)
        stop_jobs(home)
        recover_from_kill(home)


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show which services run; the exit code is 0 if all do, else 3."""
    home = Home.open()
    states = {
        name: {
            "running": is_healthy(home, service),
            "pid": running_pid(home, service),
            "ports": [home.ports[key] for key in service.ports],
            "log": str(log_file(home, service)),
        }
        for name, service in SERVICES.items()
    }
    if as_json:
        typer.echo(json.dumps(states, indent=2))
    else:
        for name, state in states.items():
            typer.echo(
                f"{name:10} {'runs' if state['running'] else 'does not run; log: ' + str(state['log'])}"
            )
    if not all(state["running"] for state in states.values()):
        raise typer.Exit(NOT_RUNNING)


@app.command()
def env() -> None:
    """Write `.local/env` again, with the workspace and data lake that `pulumi up` has created since."""
    home = Home.open()
    ensure_passwords(home)
    write_environment(home)
    typer.echo(home.environment_file)


def _fail(message: str) -> None:
    typer.echo(message, err=True)
    raise typer.Exit(1)


app(prog_name="python -m localcloud")
