"""`lazaretto metrics`: what is counted on a machine that runs workers and no API, for Prometheus.

The API's `/metrics` tells of its own machine, and of the installation as a whole: queues, scanners, dependencies. On
every other machine one such process tells of that machine, from `LAZARETTO_METRICS_DIR`, which its workers share.
"""

from __future__ import annotations

import signal
from typing import Annotated

import typer
from prometheus_client import CollectorRegistry, start_http_server

from worker import metric_files, telemetry
from worker.errors import Permanent
from worker.exposition import Machine
from worker.policies import Policies
from worker.settings import load


def metrics(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where to listen.")] = 9464,
    host: Annotated[str, typer.Option(help="On which address; no key is asked for.")] = "127.0.0.1",
) -> None:
    """Serve what the processes of this machine have counted, until it is stopped."""
    telemetry.configure()
    settings = load()
    if settings.metrics_dir is None:
        raise Permanent("nothing is shared here", expected="LAZARETTO_METRICS_DIR, the same as the workers have")
    metric_files.share(settings.metrics_dir)
    registry = CollectorRegistry(auto_describe=True)
    registry.register(Machine(Policies(settings.policy_file)))
    ending = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as fault:
        raise Permanent(f"cannot listen on {host}:{port} ({fault})", expected="another --port, or --host") from fault
    typer.echo(f"serving http://{host}:{port}/metrics")
    signal.sigwait(ending)
    server.shutdown()
    thread.join()
