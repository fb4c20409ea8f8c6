"""Where queues live: the only room that speaks to redis-py. Knows no queue."""
