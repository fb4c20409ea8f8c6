"""A queue of tasks in the store: an operation a method, a script an operation. The only room of tasks/ that sends commands."""
