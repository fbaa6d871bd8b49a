"""A cluster beside one node that holds everything."""
