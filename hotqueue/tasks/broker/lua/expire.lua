-- End tasks that wait past their `expires`.
-- KEYS 1-15 as `end_waiting` in the prelude has them, then two a task: result:<id>, parked:<need>
-- ARGV two a task: id, need
-- Returns the ids of those that were ended. One that a worker has in hand is looked at again later: it may come back.
local wrong = must_be('hash', KEYS[1], KEYS[2], KEYS[8]) or must_be('zset', KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[13])
if wrong then return wrong end
may_grow(KEYS[1])
local now, ended = now_ms(), {}
for n = 1, #ARGV / 2 do
  local id = ARGV[2 * n - 1]
  local a = split_attempts(redis.call('HGET', KEYS[2], id))
  local expires, tries = tonumber(a[4]), a[1] + a[2] + a[7] + a[8]
  if not expires or redis.call('HEXISTS', KEYS[1], id) == 0 then
    redis.call('ZREM', KEYS[13], id)
  elseif expires > now then
    redis.call('ZADD', KEYS[13], text(expires), id)
  elseif leave(id, KEYS[15 + 2 * n], ARGV[2 * n]) then
    end_waiting(id, 'E' .. text(expires) .. ' ' .. text(now) .. ' ' .. text(tries), 3600000, KEYS[14 + 2 * n])
    ended[#ended + 1] = id
  else
    redis.call('ZADD', KEYS[13], text(now + 5000), id)
  end
end
if #ended > 0 then count(KEYS[12], now, 'expired', #ended) end
return ended
