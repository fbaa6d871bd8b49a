"""Implementations of the ports; know no service."""
