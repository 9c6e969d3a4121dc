"""The ledger's tables. VERSION counts their forms: a tagback that knows only older ones refuses.

Types are those that every engine has, VARCHAR for texts in keys; a name that is some engine's word stands in quotes. Times
are ISO 8601 in UTC; names of objects are JSON. Every table has a primary key (logical replication and cluster set-ups
demand one).
"""

from __future__ import annotations

VERSION = 1

TABLES: tuple[str, ...] = (
    "CREATE TABLE {meta} (name VARCHAR(255) NOT NULL PRIMARY KEY, value TEXT NOT NULL)",
    """CREATE TABLE {deployment} (
        id BIGINT NOT NULL PRIMARY KEY,
        kind TEXT NOT NULL,
        outcome TEXT NOT NULL,
        tag TEXT NOT NULL,
        previous_tag TEXT NOT NULL,
        started TEXT NOT NULL,
        ended TEXT NOT NULL,
        who TEXT NOT NULL,
        host TEXT NOT NULL,
        tool TEXT NOT NULL,
        revision TEXT NOT NULL,
        epoch TEXT NOT NULL,
        snapshot_before BIGINT NOT NULL,
        snapshot_after BIGINT NOT NULL,
        reversibility TEXT NOT NULL,
        reasons TEXT NOT NULL,
        granular BIGINT NOT NULL)""",
    """CREATE TABLE {changeset} (
        deployment BIGINT NOT NULL,
        position BIGINT NOT NULL,
        id TEXT NOT NULL,
        checksum TEXT NOT NULL,
        body TEXT NOT NULL,
        snapshot BIGINT NOT NULL,
        reversibility TEXT NOT NULL,
        reasons TEXT NOT NULL,
        undone_by BIGINT NOT NULL,
        PRIMARY KEY (deployment, position))""",
    """CREATE TABLE {tag} (
        position BIGINT NOT NULL PRIMARY KEY,
        name TEXT NOT NULL,
        deployment BIGINT NOT NULL,
        depth BIGINT NOT NULL,
        snapshot BIGINT NOT NULL,
        set_at TEXT NOT NULL,
        who TEXT NOT NULL,
        state TEXT NOT NULL)""",
    """CREATE TABLE {snapshot} (
        id BIGINT NOT NULL PRIMARY KEY,
        parent BIGINT NOT NULL,
        fingerprint TEXT NOT NULL,
        engine TEXT NOT NULL,
        major TEXT NOT NULL,
        taken TEXT NOT NULL)""",
    """CREATE TABLE {snapshot_change} (
        snapshot BIGINT NOT NULL,
        object VARCHAR(255) NOT NULL,
        present BIGINT NOT NULL,
        PRIMARY KEY (snapshot, object))""",
    """CREATE TABLE {object} (
        digest VARCHAR(255) NOT NULL PRIMARY KEY,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        definition TEXT NOT NULL,
        depends_on TEXT NOT NULL)""",
    """CREATE TABLE {rename} (
        deployment BIGINT NOT NULL,
        position BIGINT NOT NULL,
        stage BIGINT NOT NULL,
        "before" TEXT NOT NULL,
        "after" TEXT NOT NULL,
        PRIMARY KEY (deployment, position))""",
    """CREATE TABLE {shelf} (
        deployment BIGINT NOT NULL,
        position BIGINT NOT NULL,
        stage BIGINT NOT NULL,
        snapshot BIGINT NOT NULL,
        undoes TEXT NOT NULL,
        back TEXT NOT NULL,
        kept TEXT NOT NULL,
        row_count BIGINT NOT NULL,
        size BIGINT NOT NULL,
        state TEXT NOT NULL,
        PRIMARY KEY (deployment, position))""",
    """CREATE TABLE {journal} (
        deployment BIGINT NOT NULL,
        position BIGINT NOT NULL,
        statement TEXT NOT NULL,
        state TEXT NOT NULL,
        at TEXT NOT NULL,
        PRIMARY KEY (deployment, position))""",
    """CREATE TABLE {receipt} (
        id BIGINT NOT NULL PRIMARY KEY,
        deployment BIGINT NOT NULL,
        tag TEXT NOT NULL,
        expected TEXT NOT NULL,
        actual TEXT NOT NULL,
        verdict TEXT NOT NULL,
        objects BIGINT NOT NULL,
        details TEXT NOT NULL,
        at TEXT NOT NULL)""",
)
