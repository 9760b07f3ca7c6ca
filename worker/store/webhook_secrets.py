"""What webhooks are signed with: a secret for each service; two, while it is being exchanged."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, insert, or_, select, update

from worker import clock
from worker.store.tables import services, webhook_secrets


def valid(connection: Connection, service: str) -> list[str]:
    """All that are valid now, the present one first."""
    alive = or_(webhook_secrets.c.expires_at.is_(None), webhook_secrets.c.expires_at > clock.now())
    mine = select(webhook_secrets.c.secret).where(webhook_secrets.c.service == service, alive)
    return list(connection.execute(mine.order_by(webhook_secrets.c.id.desc())).scalars())


def present(connection: Connection, service: str) -> str | None:
    """The one that is not about to end."""
    mine = (webhook_secrets.c.service == service, webhook_secrets.c.expires_at.is_(None))
    return connection.execute(select(webhook_secrets.c.secret).where(*mine)).scalar()


def without(connection: Connection) -> list[str]:
    """The services on record that have no present secret."""
    having = select(webhook_secrets.c.service).where(webhook_secrets.c.expires_at.is_(None))
    return list(connection.execute(select(services.c.name).where(services.c.name.not_in(having))).scalars())


def lock(connection: Connection, service: str) -> bool:
    """Nobody else exchanges the service's secret before the transaction's end. False: there is no such service."""
    mine = select(services.c.name).where(services.c.name == service).with_for_update()
    return connection.execute(mine).first() is not None


def add(connection: Connection, service: str, secret: str) -> None:
    """From now on the present one; whoever calls has seen to the one before."""
    values = {"service": service, "secret": secret, "created_at": clock.now()}
    connection.execute(insert(webhook_secrets).values(values))


def retire(connection: Connection, service: str, expires_at: datetime) -> None:
    """Let the present one end then, and forget those that have ended."""
    mine = webhook_secrets.c.service == service
    present = update(webhook_secrets).where(mine, webhook_secrets.c.expires_at.is_(None))
    connection.execute(present.values(expires_at=expires_at))
    connection.execute(delete(webhook_secrets).where(mine, webhook_secrets.c.expires_at <= clock.now()))
