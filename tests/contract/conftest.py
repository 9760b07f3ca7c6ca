"""The contract tests need the same databases and buckets as the service tests."""

from tests.service.conftest import buckets, database_url

__all__ = ["buckets", "database_url"]
