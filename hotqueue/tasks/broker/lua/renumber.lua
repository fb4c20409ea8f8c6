-- Give what waits in the outbox numbers above one that its queue has seen: this outbox began anew, or lost its last numbers, since.
-- KEYS 1 posted:<queue>
-- ARGV 1 the number 2 numbers, then 3 their ids, each with a newline behind it
-- Returns how many these were. Late, or twice, it changes nothing but what it names.
local posted = KEYS[1]
local newer = newer_queue()
if newer then return newer end
redis.call('ZREM', posted, '') -- as may_grow
local ids, n, moved = {}, 0, 0
local t = redis.call('TIME')
local last = redis.call('ZREVRANGE', posted, 0, 0, 'WITHSCORES')[2]
local next_number = math.max(t[1] * 1000000 + t[2], tonumber(ARGV[1]) + 1, (tonumber(last) or 0) + 1)
for id in string.gmatch(ARGV[3], '([^\n]+)\n') do ids[#ids + 1] = id end
for number in string.gmatch(ARGV[2], '([^\n]+)\n') do
  n = n + 1
  local found = redis.call('ZRANGEBYSCORE', posted, number, number)[1]
  if found and string.sub(found, 1, #ids[n] + 1) == ids[n] .. '\n' then
    redis.call('ZADD', posted, 'XX', text(next_number), found)
    next_number, moved = next_number + 1, moved + 1
  end
end
return moved
