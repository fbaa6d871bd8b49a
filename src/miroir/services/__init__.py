"""Async services: drive the pure core through the ports; know no driver."""
