"""All queries. One set for SQLite and PostgreSQL; a function takes an open connection and never commits."""
