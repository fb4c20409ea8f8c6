-- Put some lanes in order, whatever was done to their keys: see `mend` in lanes.lua. What is blocked is in a lane, or stands nowhere.
-- KEYS 1 ready 2 lanes 3 blocked 4 gated
-- ARGV 1 how many lanes, and blocked tasks, at most; any: with each call there are others
-- Returns how many lanes there are.
local ready, lanes, blocked = KEYS[1], KEYS[2], KEYS[3]
local most = ARGV[1]
local newer = newer_queue()
if newer then return newer end
for _, id in ipairs(redis.call('SRANDMEMBER', blocked, most)) do
  if not gates(ready).rank(id) then redis.call('SREM', blocked, id) end
end
for _, key in ipairs(redis.call('SRANDMEMBER', lanes, most)) do gates(ready).mend(key) end
gates(ready).ring()
return redis.call('SCARD', lanes)
