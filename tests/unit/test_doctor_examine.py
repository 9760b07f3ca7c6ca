"""The checklist is run to its end, whatever one of its checks does, and prints no secret."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from pydantic import SecretStr

from ops.doctor.check import Check, Finding, Verdict, danger, fail, info, judged, ok, warn, worst
from ops.doctor.checklist import CHECKLIST
from ops.doctor.examine import examine, passed
from ops.doctor.subject import Subject
from worker.errors import StoreUnavailable
from worker.settings import Settings

PASSWORD = "4c9d1e7a35f802b6"
SETTINGS = Settings(_env_file=None, redis_url=SecretStr(f"redis://:{PASSWORD}@127.0.0.1:9/0"))
SUBJECT = Subject({}, SETTINGS, ())


def _check(look: Callable[[Subject], Finding], seconds: float = 5) -> Check:
    return Check("name", "what", "expected", "mend", look, seconds)


def _findings(*looks: Callable[[Subject], Finding]) -> list[Finding]:
    return [result.finding for result in examine([_check(look) for look in looks], SUBJECT)]


def _away(_subject: Subject) -> Finding:
    raise StoreUnavailable("the store is away")


def _broken(_subject: Subject) -> Finding:
    raise KeyError("thing")


def test_what_cannot_be_looked_at_is_a_failure_with_its_reason_and_stops_no_other() -> None:
    away, broken, sound = _findings(_away, _broken, lambda _: ok("sound"))
    assert away == fail("could not be looked at: the store is away")
    assert broken == fail("could not be looked at: KeyError: 'thing'")
    assert sound == ok("sound")


def test_what_hangs_is_a_failure_and_is_not_waited_for() -> None:
    released = threading.Event()

    def hang(_subject: Subject) -> Finding:
        released.wait(60)
        return ok("at last")

    begun = time.monotonic()
    hung, sound = examine([_check(hang, seconds=0.3), _check(lambda _: ok("sound"))], SUBJECT)
    released.set()
    assert time.monotonic() - begun < 5
    assert hung.finding == fail("could not be looked at: no answer within 0.3 s")
    assert sound.finding == ok("sound")


def test_checks_wait_side_by_side() -> None:
    def slow(_subject: Subject) -> Finding:
        time.sleep(0.3)
        return ok("done")

    begun = time.monotonic()
    examine([_check(slow)] * 20, SUBJECT)
    assert time.monotonic() - begun < 3


def test_no_secret_is_printed_whoever_quotes_it() -> None:
    def quote(_subject: Subject) -> Finding:
        raise ValueError(f"cannot parse redis://:{PASSWORD}@host")

    [found] = _findings(quote)
    assert PASSWORD not in found.found
    assert "********" in found.found


def test_only_failures_fail() -> None:
    def all_pass(*verdicts: Finding) -> bool:
        looks: list[Callable[[Subject], Finding]] = [lambda _, each=each: each for each in verdicts]  # type: ignore[misc]
        return passed(examine([_check(look) for look in looks], SUBJECT))

    assert all_pass(ok("a"), warn("b"), info("c"))
    assert not all_pass(ok("a"), fail("b"))


def test_several_findings_are_as_bad_as_the_worst_which_is_told_first() -> None:
    assert worst([ok("a"), fail("b"), warn("c"), ok("a")]) == fail("b; c; a")
    assert judged([], "sound") == ok("sound")
    assert judged(["a", "b"], "sound", warn) == warn("a; b")


def test_what_is_dangerous_is_a_warning_in_development() -> None:
    assert danger(SUBJECT, "weak").verdict is Verdict.WARN
    assert danger(Subject({"LAZARETTO_ENV": "production"}, SETTINGS, ()), "weak").verdict is Verdict.FAIL


def test_each_line_has_a_name_of_its_own_and_says_what_to_do() -> None:
    names = [check.name for check in CHECKLIST]
    assert len(set(names)) == len(names)
    assert all(check.what and check.expected and check.mend for check in CHECKLIST)


def test_where_nothing_can_be_reached_nothing_is_sound_but_what_needs_nothing() -> None:
    """Settings that cannot be read: each check that needs them says so, none passes."""
    subject = Subject({}, None, ("LAZARETTO_PORT: no number",))
    results = examine(CHECKLIST, subject)
    alone = {result.check.name for result in results if result.finding.verdict is not Verdict.FAIL}
    assert alone <= {"mode", "secrets", "published-secrets"} | {
        check.name for check in CHECKLIST if check.name.startswith("version-")
    }
    [settings] = [result.finding for result in results if result.check.name == "settings"]
    assert settings == fail("LAZARETTO_PORT: no number")
