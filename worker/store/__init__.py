"""The database: tables, and what is asked of them. One set of queries for SQLite and PostgreSQL; a function takes an
open connection and never commits.

All of it       `database` (connections, transactions), `tables`, `counted` (how much one request asks)
A scan          `scans` (added, moved), `claims` (moved by its worker), `events`, `findings` (what it is found by),
                `rows` (as the domain has them)
All scans       `listing` (a page of some), `backlog` (what the sweeper looks for), `inventory` (page after page, for
                `reconcile`), `rollups` (how many ended) and `standing` (how many have not), `overdue` (what a sweeper
                that is away leaves lying)
Who asks        `services` (with their keys), `sessions`, `secrets`, `idempotency`
Webhooks        `outbox` (what is to be delivered), `endpoints` (how their receivers fare), `webhook_secrets`,
                `delivery_log` (what operators see)
Scanners        `scanners`
"""
