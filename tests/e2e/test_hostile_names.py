"""The hostile names of the corpus over HTTP: each is taken in as it is sent, and told again as it was."""

from __future__ import annotations

import httpx

from tests import processes
from tests.corpus.case import Case
from tests.corpus.names import CASES
from tests.stack import Stack
from worker.intake import recordable

_LONGEST_ADDRESS = 60_000  # characters; more no HTTP client sends
_LONGEST_NAME = 4096  # characters that are recorded
_FORK_SERVER = "worker.sandbox.server"


def _address(name: str) -> str:
    """Every byte encoded, so that no client makes anything of dots and slashes."""
    return "/v1/uploads/" + "".join(f"%{byte:02X}" for byte in name.encode("utf-8", "replace"))


def _put(client: httpx.Client, case: Case) -> httpx.Response:
    declared = case.declared.strip() if case.declared else ""
    headers = {"Content-Type": declared} if declared else {}
    return client.put(_address(case.filename), content=case.make(), headers=headers)


def test_a_hostile_name_does_no_harm(stack: Stack) -> None:
    before = _lasting(stack)
    sent = [case for case in CASES if len(_address(case.filename)) <= _LONGEST_ADDRESS]
    with stack.client() as client:
        answers = [_put(client, case) for case in sent]
        assert {answer.status_code for answer in answers} == {httpx.codes.ACCEPTED}
        for case, answer in zip(sent, answers, strict=True):
            scan = client.get(f"/v1/scans/{answer.json()['id']}?wait=30").json()
            assert scan["filename"] == recordable(case.filename, _LONGEST_NAME), case
            assert scan["status"] == case.status, case
            assert {reason["code"] for reason in scan["reasons"]} == case.codes, case
    assert before <= stack.pids  # nobody has died


def _lasting(stack: Stack) -> frozenset[int]:
    """Its processes, but for the sandbox's children, each of which looks at one file and ends."""
    return frozenset(pid for pid in stack.pids if not _is_sandboxed(processes.parent(pid)))


def _is_sandboxed(pid: int) -> bool:
    return _FORK_SERVER in processes.command(pid)
