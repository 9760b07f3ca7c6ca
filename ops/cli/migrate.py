"""`lazaretto migrate`: what comes before everything else, also after an update."""

from __future__ import annotations

import typer

from worker import migrations
from worker.settings import load
from worker.store.database import Database


def migrate() -> None:
    """Bring the database up to date. Safe to repeat."""
    database = Database(load().database_url.get_secret_value(), timeout=None)
    migrations.upgrade(database)
    typer.echo("the database is up to date")
