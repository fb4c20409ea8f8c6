-- Append messages to a bounded list, all or none.
-- KEYS: 1 list    ARGV: 1 greatest length, 2… messages
-- Returns the new length; -1 - the present length when they do not fit.
local length = redis.call('LLEN', KEYS[1])
if length + #ARGV - 1 > tonumber(ARGV[1]) then
  return -1 - length
end
for first = 2, #ARGV, 1000 do -- unpack is bounded by Lua's stack
  length = redis.call('RPUSH', KEYS[1], unpack(ARGV, first, math.min(first + 999, #ARGV)))
end
return length
