"""Tasks that run in the program itself: `queue.testing()`."""
