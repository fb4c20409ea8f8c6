-- What scripts share that end tasks that wait; put in front of them, behind the prelude.
-- KEYS 1 tasks 2 attempts 3 ready 4 ready:async 5 suspects 6 scheduled 7 needs 8 waiters 9-11 done 12 stats 13 expiring
--      14 revoked 15 large 16 owned; those of the script itself come behind.
local tasks, attempts, ready, ready_async, suspects, scheduled = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local needs, waiters, stats, expiring, revoked, large = KEYS[7], KEYS[8], KEYS[12], KEYS[13], KEYS[14], KEYS[15]
local owned = KEYS[16]
local done = { KEYS[9], KEYS[10], KEYS[11] }

-- Take a task out of the set in which it waits, its lane among them; false when a worker has it in hand, or it is parked for something else.
local function leave(id, parked, need)
  for _, set in ipairs({ ready, ready_async, suspects, scheduled }) do
    if redis.call('ZREM', set, id) == 1 then return true end
  end
  if gates(ready).leave(id) then return true end
  if redis.call('ZREM', parked, id) == 0 then return false end
  if redis.call('EXISTS', parked) == 0 then redis.call('SREM', needs, need) end
  return true
end

local owners = redis.call('EXISTS', owned) == 1 and owning(owned, now_ms())

local function end_waiting(id, blob, ttl, result)
  gates(ready).forget(id)
  redis.call('HDEL', tasks, id)
  redis.call('HDEL', attempts, id)
  redis.call('ZREM', expiring, id)
  redis.call('SREM', revoked, id)
  redis.call('SREM', large, id)
  if owners then
    local entry, names = unpack(owners.of({ id }))
    owners.keep(done, id, blob, ttl, entry)
    if names then owners.end_owner(id, names) end
  else
    keep_record(done, now_ms(), id, blob, ttl, result)
  end
  local replies = redis.call('HGET', waiters, id)
  if replies then
    redis.call('HDEL', waiters, id)
    announce_end(replies, id, blob)
  end
end
