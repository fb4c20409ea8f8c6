-- Ask other queues once more how the tasks end that something stands for here: what they said may be lost, as a failover loses things. Some of them.
-- KEYS 1 ready 2 owned 3 steps
-- ARGV 1 where to go on, 0 at first
-- Returns where to go on, '0' at the end.
local ready, owned, steps = KEYS[1], KEYS[2], KEYS[3]
local wrong = newer_queue() or must_be('hash', owned, steps)
if wrong then return wrong end
may_grow(owned)
local now = now_ms()
return following(ready, owning(owned, now), now).ask_again(ARGV[1])
