"""Documents: payload formats, primary keys and ids, the table they are stored in, their views."""
