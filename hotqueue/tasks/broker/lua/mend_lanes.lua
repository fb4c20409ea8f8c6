-- Put some lanes in order, whatever was done to their keys: see `mend` in lanes.lua. What is blocked is in a lane, or stands nowhere;
-- what has gates is a task.
-- KEYS 1 ready 2 lanes 3 blocked 4 gated 5 tasks
-- ARGV 1 how many lanes, and blocked tasks, at most; any: with each call there are others
-- Returns how many lanes there are; what is wrong with one, once the others are in order.
local ready, lanes, blocked, gated, tasks = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local most = ARGV[1]
local newer = newer_queue()
if newer then return newer end
redis.pcall('HDEL', gated, '') -- as may_grow
local wrong

local function some(command, key)
  local found = redis.pcall(command, key, most)
  if not found.err then return found end
  wrong = wrong or found
  return {}
end

for _, id in ipairs(some('SRANDMEMBER', blocked)) do
  if not gates(ready).lanes().is_in_lane(id) then redis.call('SREM', blocked, id) end
end
for _, id in ipairs(some('HRANDFIELD', gated)) do
  if redis.call('HEXISTS', tasks, id) == 0 then redis.call('HDEL', gated, id) end
end
for _, key in ipairs(some('SRANDMEMBER', lanes)) do gates(ready).lanes().mend(key) end
gates(ready).lanes().mend_timers()
gates(ready).ring()
return wrong or gates(ready).wrong() or redis.call('SCARD', lanes)
