"""Tools of the tree: checks, and suites that others wrote."""
