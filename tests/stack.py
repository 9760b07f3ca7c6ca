"""The embedded stack as a process of its own, the way `make run` starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import httpx
from dotenv import dotenv_values

from ops.embedded.ports import choose
from tests import processes

_READY_SECONDS = 90
_STOP_SECONDS = 60


def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for a condition; fails with `what` and when it has not come about in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)


class Stack:
    """One stack in `folder`; its home lies there too."""

    def __init__(self, folder: Path, signatures: Path, **variables: str) -> None:
        """Start it with these variables, which override the defaults of a test."""
        folder.mkdir(exist_ok=True)
        self.home = folder / "home"
        self.port = choose(["api"])["api"]
        self._stdout, self._stderr = folder / "stdout", folder / "stderr"
        defaults = {
            "LAZARETTO_HOME": str(self.home),
            "LAZARETTO_PORT": str(self.port),
            "LAZARETTO_SMOKE": "0",
            "LAZARETTO_CLAMAV_DATABASE_DIR": str(signatures),
        }
        with self._stdout.open("wb") as stdout, self._stderr.open("wb") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ops.embedded"],
                cwd=folder,  # where no .env of the developer's is
                env=_neutral() | defaults | variables,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,  # the terminal's Ctrl-C is the suite's
            )

    @classmethod
    @contextmanager
    def started(cls, folder: Path, signatures: Path, **variables: str) -> Iterator[Stack]:
        """A stack that is ready, and stopped afterwards."""
        stack = cls(folder, signatures, **variables)
        try:
            stack.await_ready()
            yield stack
        finally:
            stack.stop()

    def await_ready(self) -> None:
        """Wait for the line that says so; fails, with what the stack said, when it ends before."""
        until(lambda: "ready " in self.output or self._process.poll() is not None, _READY_SECONDS, "a stack")
        assert "ready " in self.output, self.said

    @property
    def base_url(self) -> str:
        """Where its API is, as its own line says."""
        return next(line for line in self.output.splitlines() if line.startswith("ready ")).removeprefix("ready ")

    @property
    def env(self) -> dict[str, str]:
        """The content of its `stack.env`."""
        return {name: value for name, value in dotenv_values(self.home / "stack.env").items() if value is not None}

    @property
    def api_key(self) -> str:
        """A key with every scope."""
        return self.env["LAZARETTO_BOOTSTRAP_API_KEY"]

    @contextmanager
    def client(self) -> Iterator[httpx.Client]:
        """Whoever has that key; every request has a connection of its own, so the API may come and go."""
        headers, apart = {"Authorization": f"Bearer {self.api_key}"}, httpx.Limits(max_keepalive_connections=0)
        with httpx.Client(base_url=self.base_url, headers=headers, timeout=120, limits=apart) as client:
            yield client

    def keys(self, bucket: str) -> list[str]:
        """What is in one of its buckets."""
        env = self.env
        session = boto3.session.Session(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"])
        store = session.client("s3", endpoint_url=env["AWS_ENDPOINT_URL_S3"], region_name=env["AWS_REGION"])
        pages = store.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
        store.close()
        return keys

    @property
    def output(self) -> str:
        """Its standard output so far."""
        return self._stdout.read_text()

    @property
    def said(self) -> str:
        """Its standard error so far: what it told the operator."""
        return self._stderr.read_text()

    @property
    def pids(self) -> frozenset[int]:
        """The processes that it consists of now, the supervisor included."""
        return processes.family(self._process.pid)

    def named(self, part: str) -> int:
        """The process whose command line contains `part`, the oldest where there are several."""
        return processes.oldest([pid for pid in self.pids if part in processes.command(pid)])

    def memory(self) -> dict[str, int]:
        """The most memory, in bytes, that each process of our own code has used so far."""
        ours = str(Path(sys.executable).parent)
        commands = {pid: processes.command(pid) for pid in self.pids}
        mine = {pid: text for pid, text in commands.items() if text.startswith(ours) and "/weed" not in text}
        return {f"{pid} {text[:80]}": processes.peak_memory(pid) for pid, text in mine.items()}

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the supervisor alone."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Its exit code, once it has ended; killed when it does not."""
        try:
            return self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise

    def stop(self) -> int:
        """Ask it to stop, unless it has; its exit code."""
        self._process.terminate()
        return self.wait()


def _neutral() -> dict[str, str]:
    """Our environment without the settings of whoever runs the tests."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("LAZARETTO_", "AWS_"))}
