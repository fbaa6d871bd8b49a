"""Suites that others wrote, run against the embedded node: replayed cases, and an SDK's tests."""
