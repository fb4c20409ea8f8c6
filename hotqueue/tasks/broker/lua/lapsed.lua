-- Tasks whose `expires` has come, at most 1,000. Writes nothing.
-- KEYS 1 expiring 2 attempts
-- Returns { id, what it is parked for or '-', … }.
local found = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', text(now_ms()), 'LIMIT', 0, MOST)) do
  found[#found + 1] = id
  found[#found + 1] = split_attempts(redis.call('HGET', KEYS[2], id))[3]
end
return found
