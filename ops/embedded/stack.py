"""The embedded stack from nothing to `ready`, and back to nothing."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ops.embedded.application import Api, notifier, slow_worker, sweeper, worker
from ops.embedded.configuration import Wishes, complete, write_stack_env
from ops.embedded.faults import Interrupted, StackFault
from ops.embedded.home import Home
from ops.embedded.ports import LOOPBACK, free
from ops.embedded.process import tail
from ops.embedded.programs import ours
from ops.embedded.servers import compose
from ops.embedded.supervisor import Supervisor
from ops.samples import write_samples

_STOP_SECONDS = "8"  # an operator who pressed Ctrl-C waits for it; what is handed back goes on with the next start


def run(wishes: Wishes) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP. Raises `StackFault` when it cannot."""
    home = Home(wishes.path("LAZARETTO_HOME") or Path("var"))
    try:
        with Supervisor(home.logs, say) as supervisor, suppress(Interrupted):
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, lambda *_: supervisor.interrupt())
            _serve(supervisor, home, wishes)
        say("stopped")
    finally:
        home.close()


def say(line: str) -> None:
    """One line for the operator; the program goes on when nobody listens any more."""
    with suppress(OSError):
        print(f"lazaretto: {line}", file=sys.stderr, flush=True)


def _serve(supervisor: Supervisor, home: Home, wishes: Wishes) -> None:
    began = time.monotonic()
    host, port = _address(wishes)
    servers = compose(home, wishes, say)
    stop_seconds = wishes.given("LAZARETTO_STOP_SECONDS") or _STOP_SECONDS
    fixed = {"LAZARETTO_HOME": str(home.path), "LAZARETTO_HOST": host, "LAZARETTO_PORT": str(port)}
    fixed |= {"LAZARETTO_STOP_SECONDS": stop_seconds, "LAZARETTO_METRICS_DIR": str(home.metrics())}
    variables = complete(wishes, fixed | servers.settings)
    write_stack_env(home.path / "stack.env", variables)

    supervisor.launch(*servers.services)
    _migrate(supervisor, home.logs / "migrate.log", variables)
    api = Api(host, port, variables)
    processes = wishes.number("LAZARETTO_WORKERS", max(2, os.cpu_count() or 2))
    # They put up with servers that are still starting, as they must with outages; it saves seconds.
    workers = worker(processes, variables), slow_worker(processes, variables)
    supervisor.launch(api, *workers, notifier(variables))
    supervisor.await_ready()
    supervisor.start(sweeper(variables))  # last: on a first start the store has no buckets to look into before

    say(f"ready after {time.monotonic() - began:.1f} s; settings in {home.path / 'stack.env'}, logs in {home.logs}")
    print(f"ready {api.url}", flush=True)
    if wishes.given("LAZARETTO_SMOKE") != "0":
        supervisor.run([ours("lazaretto"), "submit", str(write_samples(home.path / "samples"))], variables)
    supervisor.watch()


def _migrate(supervisor: Supervisor, log: Path, variables: Mapping[str, str]) -> None:
    """Bring the database up to date; it needs none of the servers that are starting meanwhile."""
    code = supervisor.run([ours("lazaretto"), "migrate"], variables, log)
    if code != 0:
        raise StackFault(f"the migrations failed (exit code {code}); the end of {log}:\n{tail(log)}")


def _address(wishes: Wishes) -> tuple[str, int]:
    """Where the API will listen. Raises `StackFault` where it cannot."""
    host, port = wishes.given("LAZARETTO_HOST") or LOOPBACK, wishes.number("LAZARETTO_PORT", 8000)
    try:
        available = free(port, host)
    except (OSError, OverflowError) as fault:
        raise StackFault(f"LAZARETTO_HOST={host}, LAZARETTO_PORT={port}: no such address here ({fault})") from fault
    if not available:
        raise StackFault(f"port {port} on {host} is taken; stop what listens there, or set LAZARETTO_PORT")
    return host, port
