"""`concurrent.futures` over a queue: Executor, and the futures that it gives; nothing of it is on the path of a task."""
