"""Chaos: whatever strikes a run at whatever moment, the database is at one of its places and no acknowledged write is lost."""
