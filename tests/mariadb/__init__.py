"""Deployments on MariaDB, where every statement that changes the schema commits."""
