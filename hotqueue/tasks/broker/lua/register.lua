-- Announce a worker: its lease, and what it is.
-- KEYS 1 workers 2 worker:<worker>
-- ARGV 1 worker 2 lease in ms 3… field, value, …
-- Returns the server's time in ms. Repeated, or late, it lets no late fetch in: the number of the last fetch stays as it is.
local workers, worker = KEYS[1], KEYS[2]
local newer = newer_queue()
if newer then return newer end
local now = now_ms()
may_grow(worker)
redis.call('ZADD', workers, text(now + ARGV[2]), ARGV[1])
redis.call('HSETNX', worker, 'fetch', '0')
redis.call('HSETNX', worker, 'since', text(now))
redis.call('HSET', worker, unpack(ARGV, 3))
return text(now)
