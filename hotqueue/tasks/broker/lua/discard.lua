-- Throw dead tasks away.
-- KEYS 1 dead 2 dead:tasks 3 dead:bytes
-- ARGV ids
-- Returns how many there were.
local dead, dead_tasks, dead_bytes = KEYS[1], KEYS[2], KEYS[3]
local wrong = must_be('zset', dead) or must_be('hash', dead_tasks)
if wrong then return wrong end
local before = redis.call('ZCARD', dead)
for _, id in ipairs(ARGV) do drop_dead(dead, dead_tasks, dead_bytes, id) end
return before - redis.call('ZCARD', dead)
