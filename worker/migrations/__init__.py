"""The tables' history, and the one way to bring a database up to date."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from worker.store.database import Database


def upgrade(database: Database, revision: str = "head") -> None:
    """Bring the tables to a revision; nothing happens where they are there already."""
    _run(database, command.upgrade, revision)


def downgrade(database: Database, revision: str) -> None:
    """Take the tables back to a revision, and whatever only later ones hold with them."""
    _run(database, command.downgrade, revision)


def _run(database: Database, change: Callable[[Config, str], None], revision: str) -> None:
    with database.write() as connection:
        config = _config()
        config.attributes["connection"] = connection
        change(config, revision)


def pending(database: Database) -> bool:
    """Does the database lack a migration that this release needs?"""
    with database.read() as connection:
        present = MigrationContext.configure(connection).get_current_revision()
    return present != ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config
