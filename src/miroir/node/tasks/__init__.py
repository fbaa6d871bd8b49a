"""The task queue: what was asked, in which order it is done, and what came of it."""
