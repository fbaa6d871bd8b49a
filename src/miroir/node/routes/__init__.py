"""The node's HTTP routes, one file per resource; `table.py` joins them."""
