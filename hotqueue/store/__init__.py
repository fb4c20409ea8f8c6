"""Where queues live: the only room that speaks to redis-py.

Knows no queue: no names of keys but to say which of them is of the wrong type, no messages, no tasks. Uses embedded/ for a
server that comes along, and what stands beside it (runtime, keys, errors). Others use `Store`; `store`, `packing`, `resolve`
and `patience` import no redis.
"""
