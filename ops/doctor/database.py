"""The database: does it answer, and does it have the tables of this release?"""

from __future__ import annotations

import psycopg
from sqlalchemy import make_url, text

from ops.doctor.check import Check, Finding, danger, fail, judged, not_applicable, ok, warn
from ops.doctor.subject import Subject
from worker import migrations
from worker.errors import DatabaseUnavailable

_POWERS = {  # columns of pg_roles
    "rolsuper": "it may do anything (SUPERUSER)",
    "rolcreaterole": "it may make roles (CREATEROLE)",
    "rolcreatedb": "it may make databases (CREATEDB)",
    "rolbypassrls": "it sees every row (BYPASSRLS)",
}
_NOWHERE = "/nonexistent"
_ASKED = ("no password supplied", "password authentication failed", "requires a valid client certificate")
_ROLE = text("SELECT * FROM pg_roles WHERE rolname = current_user")


def _migrations(subject: Subject) -> Finding:
    database = subject.database
    if migrations.pending(database):
        return fail("it is not up to date")
    return ok(f"{database.engine.dialect.name} answers, and is up to date")


def _password(subject: Subject) -> Finding:
    """Asked as anybody would who can reach it, and knows what our role is called."""
    url = make_url(subject.settings.database_url.get_secret_value())
    host = url.host or url.query.get("host")  # which libpq takes from either
    if url.get_backend_name() == "sqlite" or host is None or (isinstance(host, str) and host.startswith("/")):
        return not_applicable("nobody reaches it over a network")
    anonymous = url.set(drivername="postgresql", password=None).render_as_string()
    wait = max(1, int(subject.settings.connect_timeout))
    try:  # neither PGPASSWORD nor ~/.pgpass nor a certificate may help
        psycopg.connect(anonymous, password="", passfile=_NOWHERE, sslcert=_NOWHERE, connect_timeout=wait).close()
    except psycopg.OperationalError as fault:
        if any(word in str(fault) for word in _ASKED):
            return ok("it refuses")
        raise DatabaseUnavailable(f"the database does not answer ({str(fault).strip()})") from fault
    return danger(subject, "it answers whoever asks")


def _role(subject: Subject) -> Finding:
    database = subject.database
    if database.engine.dialect.name == "sqlite":
        return not_applicable("SQLite has no roles")
    with database.read() as connection:
        role = connection.execute(_ROLE).mappings().one()
    powers = [power for column, power in _POWERS.items() if role[column]]
    return judged(powers, f"{role['rolname']} has no powers beyond its own tables", warn)


CHECKS = (
    Check(
        name="database",
        what="the database and its migrations",
        expected="it answers, and none is missing",
        mend="see that it runs; lazaretto migrate",
        look=_migrations,
    ),
    Check(
        name="database-password",
        what="PostgreSQL, asked without a password",
        expected="it refuses",
        mend="replace trust by scram-sha-256 in pg_hba.conf; put the password into LAZARETTO_DATABASE_URL",
        look=_password,
    ),
    Check(
        name="database-role",
        what="what our role in the database may do",
        expected="use its own tables, and nothing else",
        mend="ALTER ROLE … NOSUPERUSER NOCREATEROLE NOCREATEDB NOBYPASSRLS",
        look=_role,
    ),
)
