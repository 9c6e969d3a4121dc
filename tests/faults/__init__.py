"""A fault at every place of a deployment and of a rollback, one at a time: what is left must be the start or the end."""
