"""The public side of one small cluster, over real sockets."""
