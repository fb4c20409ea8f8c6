-- End those of some tasks that wait, revoked: the steps of a workflow. Those that a worker has in hand do not start any more, if they have not yet.
-- Those that other queues have are ended by these, once they are told.
-- KEYS 1 tasks 2 attempts 3 ready 4 ready:async 5 suspects 6 scheduled 7 needs 8 waiters 9-11 done 12 stats 13 expiring
--      14 revoked 15 large 16 owned
-- ARGV ids, at most 1,000
-- Returns { how many were ended, of the others that have not ended their ids: a worker, or another queue, has them }.
local tasks, attempts, ready, stats, revoked, owned = KEYS[1], KEYS[2], KEYS[3], KEYS[12], KEYS[14], KEYS[16]
local wrong = newer_queue() or must_be('hash', tasks, attempts, owned) or must_be('set', revoked)
if wrong then return wrong end
local ending = ending(ready) -- before anything is written: see owning.lua
may_grow(tasks)
local now, ended, tag, held = now_ms(), 0, string.sub(tasks, 1, -6), {}
-- From the last to the first: what is ended is no longer there to be ended as one before it was.
for n = #ARGV, 1, -1 do
  local id = ARGV[n]
  if redis.call('HEXISTS', tasks, id) == 1 then
    local a = history().split(redis.call('HGET', attempts, id))
    if ending.leave(id, tag .. 'parked:' .. a.need, a.need) then
      redis.call('HDEL', tag .. 'control', id)
      ending.end_waiting(id, 'R' .. text(now) .. ' ' .. text(a.retries), '3600000', tag .. 'result:' .. id)
      ended = ended + 1
    else
      held[#held + 1] = id
      if not (made_following and made_following.end_elsewhere(id, 'R' .. text(now) .. ' 0', '3600000', false)) then
        redis.call('SADD', revoked, id)
      end
    end
  end
end
if ended > 0 then count(stats, now, 'revoked', ended) end
ending.follow()
gates(ready).ring()
return { ended, held }
