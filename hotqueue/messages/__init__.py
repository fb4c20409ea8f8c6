"""The plain queue: put, get, consume, worker. Knows nothing of tasks."""
