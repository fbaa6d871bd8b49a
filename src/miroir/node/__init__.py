"""The embedded node: a small Meilisearch-compatible server, a package of its own."""
