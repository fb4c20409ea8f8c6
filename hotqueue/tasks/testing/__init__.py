"""`queue.testing()`: tasks that run in the program itself, and messages that stay in it.

Speaks to no store and starts no process. Uses what a worker is made of (`worker`, `execution`, `client`, `wire`, `rules`), so
that a task meets here what it meets there; nothing but `methods` uses it.
"""
