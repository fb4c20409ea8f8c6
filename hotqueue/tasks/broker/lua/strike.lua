-- Strike what has come to its queue out of the outbox; once nothing is left there, and the queue was told so, out of the list of queues.
-- KEYS 1 outbox 2 posted:<queue>
-- ARGV 1 queue 2 '' or the number that the queue was told of 3 numbers, then 4 their ids, each with a newline behind it
-- Returns { the number before which all has been struck, how much is left }. Late, or twice, it strikes nothing but what it names.
local outbox, posted = KEYS[1], KEYS[2]
local queue, told = ARGV[1], ARGV[2]
local wrong = newer_queue() or must_be('hash', outbox) or must_be('zset', posted)
if wrong then return wrong end
may_grow(outbox)
local ids, n, behind = {}, 0, tonumber(string.match(redis.call('HGET', outbox, queue) or '', '^%d+$') or '0')
for id in string.gmatch(ARGV[4], '([^\n]+)\n') do ids[#ids + 1] = id end
for number in string.gmatch(ARGV[3], '([^\n]+)\n') do
  n = n + 1
  local found = redis.call('ZRANGEBYSCORE', posted, number, number)[1]
  if found and string.sub(found, 1, #ids[n] + 1) == ids[n] .. '\n' then
    redis.call('ZREM', posted, found)
    behind = math.max(behind, tonumber(number) + 1)
  end
end
local left = redis.call('ZCARD', posted)
if left == 0 and told ~= '' and tonumber(told) >= behind then
  redis.call('HDEL', outbox, queue)
elseif n > 0 then
  redis.call('HSET', outbox, queue, text(behind))
end
return { text(behind), left }
