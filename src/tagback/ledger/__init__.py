"""What the target remembers: deployments, changesets, tags, snapshots, receipts."""
