-- Put the last unstarted tasks of a worker's fetch back at their places, uncharged: their permits were drained.
-- KEYS 1 held:<worker> 2 ready 3 ready:async 4 suspects 5 bell 6 bell:async
-- ARGV 1 fetch number 2 how many, from the tail
-- Returns how many went back. Which ones that are was settled when they were fetched: so it may come late, or twice, and puts back
-- nothing that has started meanwhile, under this number or another.
local wrong = must_be('zset', KEYS[2], KEYS[3], KEYS[4])
if wrong then return wrong end
local ORIGIN = { s = KEYS[2], a = KEYS[3], x = KEYS[4], y = KEYS[4] }
local held, back = redis.call('HGETALL', KEYS[1]), 0
for i = 1, #held, 2 do
  local number, origin, place, behind = split_held(held[i + 1])
  if number == ARGV[1] and behind ~= '' and tonumber(behind) < tonumber(ARGV[2]) then
    redis.call('HDEL', KEYS[1], held[i])
    redis.call('ZADD', ORIGIN[origin], place, held[i])
    back = back + 1
  end
end
if back > 0 then
  ring(KEYS[5], back, KEYS[2])
  if redis.call('ZCARD', KEYS[3]) > 0 then ring(KEYS[6], back, KEYS[3]) end
end
return back
