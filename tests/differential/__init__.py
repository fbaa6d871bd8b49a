"""Random worlds and questions: a cluster's answers beside those of one node holding everything."""
