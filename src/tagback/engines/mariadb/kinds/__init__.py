"""The kinds of objects, one module for each."""
