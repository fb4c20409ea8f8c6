-- Throw dead tasks away.
-- KEYS 1 dead 2 dead:tasks 3 dead:bytes
-- ARGV ids
-- Returns how many there were.
local wrong = must_be('zset', KEYS[1]) or must_be('hash', KEYS[2])
if wrong then return wrong end
local before = redis.call('ZCARD', KEYS[1])
for _, id in ipairs(ARGV) do drop_dead(KEYS[1], KEYS[2], KEYS[3], id) end
return before - redis.call('ZCARD', KEYS[1])
