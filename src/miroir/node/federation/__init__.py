"""
Federated multi-search: several queries, one list of hits.

    request -> checks of each query -> one finding per query -> merged per index -> merged over all

`request.py` checks bodies, `rules.py` whether rankings can be compared at all, `merge.py` orders
hits, `facets.py` adds facets up, `run.py` puts it together.
"""
