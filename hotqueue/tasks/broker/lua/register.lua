-- Announce a worker: its lease, and what it is.
-- KEYS 1 workers 2 worker:<worker> 3 held:<worker>
-- ARGV 1 worker 2 its leases in ms 3 ms for which it counts as registered while it holds nothing 4… field, value, …
-- Returns the server's time in ms. Repeated, or late, it lets no late fetch in: the number of the last fetch stays as it is.
local workers, worker, held = KEYS[1], KEYS[2], KEYS[3]
local newer = newer_queue()
if newer then return newer end
local now = now_ms()
may_grow(worker)
redis.call('ZADD', workers, holds_any(held) and text(now + ARGV[2]) or text(0 - now - ARGV[3]), ARGV[1])
redis.call('HSETNX', worker, 'fetch', '0')
redis.call('HSETNX', worker, 'since', text(now))
redis.call('HSET', worker, 'lease', ARGV[2], unpack(ARGV, 4))
return text(now)
