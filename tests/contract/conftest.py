"""The contract tests need the same databases and buckets as the service tests."""

from tests.service.conftest import bucket_names, buckets, database_url

__all__ = ["bucket_names", "buckets", "database_url"]
