-- Put a worker's last unstarted tasks back at their places, uncharged: their permits were drained.
-- KEYS 1 held:<worker> 2 ready 3 ready:async 4 suspects 5 bell 6 bell:async 7 worker:<worker>
-- ARGV 1 fetch number modulo 256 2 how many, from the tail 3 mark of this call
-- Returns how many went back. Sent again under the same mark it changes nothing: what is last by then may run.
local wrong = must_be('zset', KEYS[2], KEYS[3], KEYS[4])
if wrong then return wrong end
local last_mark, last_count = string.match(redis.call('HGET', KEYS[7], 'taken_back') or '', '^(%S+) (%d+)$')
if last_mark == ARGV[3] then return tonumber(last_count) end
local ORIGIN = { s = KEYS[2], a = KEYS[3], x = KEYS[4], y = KEYS[4] }
local held, mine = redis.call('HGETALL', KEYS[1]), {}
for i = 1, #held, 2 do
  local number, origin, place = split_held(held[i + 1])
  if number ~= '0' and tonumber(number) % 256 == tonumber(ARGV[1]) then mine[#mine + 1] = { held[i], place, origin } end
end
-- Equal places cannot be: each came from its own INCR. The order is the order in which the worker starts them.
table.sort(mine, function(a, b) return tonumber(a[2]) > tonumber(b[2]) end)
local last = math.min(#mine, tonumber(ARGV[2]))
for i = 1, last do
  redis.call('HDEL', KEYS[1], mine[i][1])
  redis.call('ZADD', ORIGIN[mine[i][3]], mine[i][2], mine[i][1])
end
if last > 0 then
  if redis.call('EXISTS', KEYS[7]) == 1 then redis.call('HSET', KEYS[7], 'taken_back', ARGV[3] .. ' ' .. last) end
  ring(KEYS[5], last)
  if redis.call('ZCARD', KEYS[3]) > 0 then ring(KEYS[6], last) end
end
return last
