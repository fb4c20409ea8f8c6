-- Register a consumer.
-- KEYS: 1 consumers, 2 consumer    ARGV: 1 consumer, 2 folder of its presence file, 3 lease in ms
-- Returns 1. Repeated: the same, with a later deadline.
redis.call('ZREM', KEYS[1], ARGV[1]) -- a write that a full server allows lets the next ones pass: consumers drain it
local now = redis.call('TIME')
redis.call('HSET', KEYS[2], 'folder', ARGV[2])
redis.call('HSETNX', KEYS[2], 'turn', 0) -- a repeat that comes late must not turn the number back
redis.call('ZADD', KEYS[1], string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[3]), ARGV[1])
return 1
