"""The plain queue: put, get, consume, worker, and their asyncio twins.

`methods` is what HotQueue gets from here. Knows nothing of tasks, names no redis client, and pickles in `codec` alone. Uses
`store`, and the files below it: keys, presence, runtime, hints, errors.
"""
