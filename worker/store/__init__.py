"""The database: tables, and what is asked of them. One set of queries for SQLite and PostgreSQL; a function takes an
open connection and never commits."""
