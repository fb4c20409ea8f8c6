-- End tasks that wait past their `expires`.
-- KEYS 1 tasks 2 attempts 3 ready 4 ready:async 5 suspects 6 scheduled 7 needs 8 waiters 9-11 done 12 stats 13 expiring
--      14 revoked 15 large 16 owned, then two a task: result:<id>, parked:<need>
-- ARGV two a task: id, need
-- Returns the ids of those that were ended. One that a worker has in hand is looked at again later: it may come back.
local tasks, attempts, ready, ready_async, suspects, scheduled = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local waiters, stats, expiring, owned = KEYS[8], KEYS[12], KEYS[13], KEYS[16]
local function result_of(n) return KEYS[15 + 2 * n] end
local function parked_of(n) return KEYS[16 + 2 * n] end
local wrong = newer_queue() or must_be('hash', tasks, attempts, waiters, owned) or must_be('zset', ready, ready_async, suspects, scheduled, expiring)
if wrong then return wrong end
local ending = ending(ready) -- before anything is written: see owning.lua
may_grow(tasks)
local now, ended = now_ms(), {}
for n = 1, #ARGV / 2 do
  local id = ARGV[2 * n - 1]
  local a = history().split(redis.call('HGET', attempts, id))
  local expires, tries = tonumber(a.expires), a.retries + a.deliveries + a.shared + a.lost
  if not expires or redis.call('HEXISTS', tasks, id) == 0 then
    redis.call('ZREM', expiring, id)
  elseif expires > now then
    redis.call('ZADD', expiring, text(expires), id)
  elseif ending.leave(id, parked_of(n), ARGV[2 * n]) then
    ending.end_waiting(id, 'E' .. text(expires) .. ' ' .. text(now) .. ' ' .. text(tries), 3600000, result_of(n))
    ended[#ended + 1] = id
  else
    redis.call('ZADD', expiring, text(now + 5000), id)
  end
end
if #ended > 0 then count(stats, now, 'expired', #ended) end
ending.follow()
gates(ready).ring()
return ended
