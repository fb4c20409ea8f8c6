-- Ending tasks that wait; put behind the prelude, bells, results, history, owning, lanes and telling, in front of
-- steps.

-- In a function that makes these functions where there is something to end: see history.lua for why. The keys are found by name, as
-- parked sets are.
local made_ending
local made_following -- by steps.lua
local following
local function ending(ready, owners)
  if made_ending then return made_ending end
  local made = {}
  made_ending = made
  local tag = string.sub(ready, 1, -6)
  local tasks, attempts, waiters, owned = tag .. 'tasks', tag .. 'attempts', tag .. 'waiters', tag .. 'owned'
  local sets = { ready, tag .. 'ready:async', tag .. 'suspects', tag .. 'scheduled' }
  local done = { tag .. 'done:0', tag .. 'done:1', tag .. 'done:2' }
  local steps = tag .. 'steps'
  owners = owners or redis.call('EXISTS', owned) == 1 and owning(owned, now_ms())
  if redis.call('EXISTS', steps, tag .. 'dead:steps', tag .. 'steps:reported') > 0 then
    owners = owners or owning(owned, now_ms())
    following(ready, owners, now_ms())
  end
  local told = telling(tag, now_ms())
  local has_checkpoints = redis.call('EXISTS', tag .. 'checkpoints') == 1

  -- Take a task out of the set in which it waits, its lane among them; false when a worker has it in hand, or another
  -- queue has, or it is parked for something else.
  function made.leave(id, parked, need)
    for _, set in ipairs(sets) do
      if redis.call('ZREM', set, id) == 1 then return true end
    end
    if gates(ready).lanes().leave(id) then return true end
    local row = redis.pcall('HGET', steps, id)
    if type(row) == 'string' and not string.find(row, '^%d+ %d+ %S+ [^ ]*[=~]') then return redis.call('HDEL', steps, id) == 1 end
    if redis.call('ZREM', parked, id) == 0 then return false end
    if redis.call('EXISTS', parked) == 0 then redis.call('SREM', tag .. 'needs', need) end
    return true
  end

  -- verb, cause: what that means for the steps behind it, see steps.lua; U, W: it is kept there, and what it owns. is_told: where it ended.
  function made.end_waiting(id, blob, ttl, result, verb, cause, is_told)
    gates(ready).unique().successors().forget(id)
    gates(ready).lanes().forget(id)
    if not is_told then told.add(string.sub(blob, 1, 1) == 'E' and 'expired' or 'revoked', redis.call('HGET', tasks, id)) end
    redis.call('HDEL', tasks, id)
    if redis.call('HDEL', attempts, id) == 1 then -- it has run before: what it has yielded stays as long as its end
      redis.call('PEXPIRE', tag .. 'stream:' .. id, ttl)
      redis.call('PEXPIRE', tag .. 'streamed:' .. id, ttl)
    end
    if has_checkpoints then redis.pcall('HDEL', tag .. 'checkpoints', id) end
    redis.call('ZREM', tag .. 'expiring', id)
    redis.call('SREM', tag .. 'revoked', id)
    redis.call('SREM', tag .. 'large', id)
    if owners then
      local entry, names = unpack(owners.of({ id }))
      owners.keep(done, id, blob, ttl, entry, verb or 'V', cause or 'R' .. id)
      if names and verb ~= 'U' and verb ~= 'W' then owners.end_owner(id, names) end
    else
      keep_record(done, now_ms(), id, blob, ttl, result)
    end
    local replies = redis.call('HGET', waiters, id)
    if replies then
      redis.call('HDEL', waiters, id)
      announce_end(replies, id, blob)
    end
  end

  made.tell = told.commit

  -- What follows of it for the steps behind what was ended.
  function made.follow()
    if made_following then made_following.follow() end
    told.commit()
    if not made_following then return end
    made_following.ring()
  end

  return made
end
