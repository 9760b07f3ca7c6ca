"""The database: does it answer, and does it have the tables of this release?"""

from __future__ import annotations

from ops.doctor.check import Check, Finding, fail, ok
from ops.doctor.subject import Subject
from worker import migrations


def _migrations(subject: Subject) -> Finding:
    database = subject.database
    if migrations.pending(database):
        return fail("it is not up to date")
    return ok(f"{database.engine.dialect.name} answers, and is up to date")


CHECKS = (
    Check(
        name="database",
        what="the database and its migrations",
        expected="it answers, and none is missing",
        mend="see that it runs; lazaretto migrate",
        look=_migrations,
    ),
)
