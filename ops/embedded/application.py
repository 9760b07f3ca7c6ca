"""Lazaretto's own processes, as the supervisor sees them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import httpx

from ops.embedded.programs import ours
from ops.embedded.service import Service
from worker.lanes import Lane

_HAND_BACK_SECONDS = 7  # from the end of a worker's stop_seconds to its own; mostly it takes three
_DELIVERIES = 32  # at once; they wait, mostly
_STEPS_BACK = 5  # niceness; with 10 small uploads are no faster, and large ones may run into their time limits
# Each service is a session of its own, and Linux shares the processor between sessions first (sched(7), "The autogroup
# feature"): a niceness that the session does not have as well counts among its own processes alone.
_STEP_BACK = '{ echo "$0" > /proc/self/autogroup; } 2> /dev/null; exec nice -n "$0" "$@"'
_QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING")
_WEBHOOKS = "LAZARETTO_WEBHOOK_"
_NOTIFIED = frozenset(  # all else that the notifier knows
    f"LAZARETTO_{name}"
    for name in ("ENV", "HOME", "METRICS_DIR", "DATABASE_URL", "REDIS_URL", "POLICY_FILE", "CONNECT_TIMEOUT")
)
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (where one connects to what listens everywhere)


@dataclass
class Part(Service):
    """A process of ours that has no address; once it runs, it does its work."""

    name: str
    arguments: list[str]
    variables: Mapping[str, str] = field(repr=False)
    stop_seconds: float = 10  # what it is busy with may end; what is cut off, the sweeper recovers
    niceness: int = 0  # how far it steps back behind all others

    def command(self) -> list[str]:
        stepping_back = ["sh", "-c", _STEP_BACK, str(self.niceness)] if self.niceness else []
        return [*stepping_back, ours(self.arguments[0]), *self.arguments[1:]]

    def environment(self) -> Mapping[str, str]:
        return self.variables

    def ready(self) -> bool:
        return True


@dataclass
class Api(Service):
    """The HTTP API; ready when `/readyz` says that everything it needs is. A long line is no reason to wait: it gets
    shorter as soon as there are workers."""

    host: str
    port: int
    variables: Mapping[str, str] = field(repr=False)
    name: str = "api"
    ready_seconds: float = 60
    stop_seconds: float = 10

    @property
    def url(self) -> str:
        """Where clients on this machine find it."""
        host = _EVERYWHERE.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def command(self) -> list[str]:
        return [
            ours("uvicorn"),
            *("api.app:create_app", "--factory", "--host", self.host, "--port", str(self.port)),
            *("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--timeout-graceful-shutdown", "30"),
        ]

    def environment(self) -> Mapping[str, str]:
        return self.variables

    def ready(self) -> bool:
        try:
            answer = httpx.get(f"{self.url}/readyz", timeout=5, trust_env=False)
            checks = answer.json()["checks"]
            return answer.is_success and all(checks[each]["status"] == "ok" for each in checks.keys() - {"room"})
        except (httpx.HTTPError, ValueError, KeyError):
            return False


def worker(processes: int, variables: Mapping[str, str], *, lanes: Iterable[Lane] = (Lane.SCANS,)) -> Part:
    """The Celery worker, which does one scan in each of its processes."""
    return _worker("worker", lanes, processes, variables)


def slow_worker(processes: int, variables: Mapping[str, str]) -> Part:
    """The same for what takes its time: however long its lines, small uploads have the other worker to themselves, and
    the processor first. What nobody waits for comes after the large uploads."""
    return _worker("slow-worker", (Lane.LARGE, Lane.BULK), processes, variables, _STEPS_BACK)


def _worker(name: str, lanes: Iterable[Lane], processes: int, variables: Mapping[str, str], niceness: int = 0) -> Part:
    stop_seconds = float(variables["LAZARETTO_STOP_SECONDS"]) + _HAND_BACK_SECONDS
    queues = ",".join(lanes)
    celery = ["celery", "-A", "worker.tasks", "worker", "--queues", queues, "--concurrency", str(processes), *_QUIET]
    return Part(name, celery, variables, stop_seconds, niceness)


def notifier(variables: Mapping[str, str]) -> Part:
    """The Celery worker that delivers webhooks, each in a thread; it is told of no file, store or scanner."""
    celery = ["celery", "-A", "worker.notifier", "worker", "--queues", "webhooks", "--pool", "threads"]
    known = {name: value for name, value in variables.items() if name in _NOTIFIED or name.startswith(_WEBHOOKS)}
    return Part("notifier", [*celery, "--concurrency", str(_DELIVERIES), *_QUIET], known)


def sweeper(variables: Mapping[str, str]) -> Part:
    """The sweeper, which recovers what was lost."""
    return Part("sweeper", ["lazaretto", "sweep", "--every", "5s"], variables)
