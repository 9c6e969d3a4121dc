"""Random pairs of PostgreSQL schemas: from each there must be a plan to the other, and back."""
