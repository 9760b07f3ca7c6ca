"""The end of a worker: what runs may go on for a while, what then still runs is handed back.

Celery 5.7 has two ways to stop (`celery.apps.worker`). The warm one, on SIGTERM, waits for running tasks without end.
The cold one, on SIGQUIT and a second SIGINT, drops them where they stand; a "soft" time before that is slept through
whether or not anything still runs. Here every signal begins the warm one, and a timer brings it to an end. Nothing
depends on the environment: `REMAP_SIGTERM` changes Celery's handlers, which are not used.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from celery.concurrency.base import BasePool
from celery.worker import state

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
# From the main process to its pool. `billiard.common.reset_signals`, which comes after `in_pool_process`, leaves this
# one alone, as it does every ignored one.
_HAND_BACK = signal.SIGUSR2


def in_main_process(pool: BasePool, seconds: float) -> None:
    """From now on a signal ends this worker, with exit code 0; what its pool runs may go on for `seconds`, or until a
    second signal comes.

    To be called when Celery has set its own handlers. Ours interrupt the main thread anywhere: they take no lock, and
    write no log.
    """
    asked = False

    def ask(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        # What Celery's own handler does. The loop looks at it at least once a second.
        state.should_stop = os.EX_OK  # type: ignore[assignment]  # whose stubs know of None alone
        if asked:
            _hand_back(pool)
        else:
            asked = True
            signal.setitimer(signal.ITIMER_REAL, seconds)

    signal.signal(signal.SIGALRM, lambda *_: _hand_back(pool))
    for number in _SIGNALS:
        signal.signal(number, ask)


def in_pool_process(stop: Callable[[], None]) -> None:
    """Let the main process decide when this one ends; `stop` hands back what it runs, and must be safe in a handler.

    Signals to the whole group, as service managers send them, must not reach the scan: billiard's own handler would
    end it. The sandbox, which starts later, ignores them likewise.
    """
    signal.signal(_HAND_BACK, lambda *_: stop())
    for number in (*_SIGNALS, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _hand_back(pool: BasePool) -> None:
    with suppress(AttributeError):  # Celery has forgotten the processes: they have all ended
        for pid in pool.info["processes"]:
            with suppress(ProcessLookupError):
                os.kill(pid, _HAND_BACK)
