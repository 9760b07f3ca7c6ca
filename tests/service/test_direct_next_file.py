"""A service that uses one name of its own again and again: no file is lost to what becomes of the one before."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from tests import effects
from tests.system import SERVICE, System
from worker.direct_uploads import Announced, DirectUploads
from worker.quotas import Quotas
from worker.scan import Scan, Status

KEY = f"incoming/{SERVICE}/latest.txt"
FIRST, NEXT = b"The words of yesterday.\n", b"The words of today.\n"


@pytest.fixture
def direct(system: System) -> Iterator[DirectUploads]:
    quotas = Quotas(system.settings.redis_url.get_secret_value())
    yield system.direct_uploads(quotas)
    quotas.close()


def _put(system: System, data: bytes) -> None:
    system.objects.put(system.settings.quarantine_bucket, KEY, data)


def _enqueued(direct: DirectUploads) -> Scan:
    return direct.enqueue(KEY, Announced(SERVICE, "service:default", "request-1", "latest.txt"))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # what matters is what the store does
def test_the_next_file_stays_whenever_it_comes(system: System, direct: DirectUploads) -> None:
    system.parts.scanners.check()
    _put(system, FIRST)
    points = effects.recorded(system.objects, partial(system.work, _enqueued(direct).id))
    for number, point in enumerate((each for each in points if " S3 " in each.name), 1):
        _put(system, FIRST * (number + 1))
        scan, following = _enqueued(direct), NEXT * number
        with effects.at(system.objects, point, partial(_put, system, following)) as reached:
            system.work(scan.id)
        assert reached, point
        assert system.objects.head(system.settings.quarantine_bucket, KEY), point
        ended = system.work(_enqueued(direct).id)
        assert (ended.status, system.read(ended)) == (Status.CLEAN, following), point
    assert system.quarantined() == []
