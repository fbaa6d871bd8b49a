"""
A soak: the product as processes, under load and faults, and a verdict from outside.

`python -m tests.soak --seconds 60 --seed 1 --shape 2x2`; what it proves: docs/internals/soak.md.
"""
