"""Miroir: one Meilisearch address in front of many nodes, with settings identical on each."""

__version__ = "0.1.0"
