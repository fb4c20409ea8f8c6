-- Gates of tasks, and the lanes in which tasks wait at them; put behind the prelude, bells and history in front of scripts that move tasks.
-- An envelope with flag 8 has gates: what its call header begins with, a line a gate, after two bytes that say how long. 'c4 t:name':
-- at most four at a time under that key. A task with gates is in ready while it has a slot, or else in its lane: see decision 0044.
-- gated: id → kind and gates. slots:<key>: ids that have one. lane:<key>: id → place. blocked: all ids in lanes. lanes: all keys.
-- All of them are found by name, as parked sets are: a script that meets no such task asks for none of them.
-- What somebody else put in the place of a lane's keys costs others nothing: nothing here raises. A task that can stand neither in ready nor
-- in its lane stands nowhere until that is put right, and the audit restores it; mend_lanes says what is wrong.
-- What of `held` has a slot says so by its letter: g, h, k and l for s, a, x and y.

-- What a script does at gates; made for the first task that has some, so that the others pay for none of it: see history.lua.
local made_gates
local function gates(ready)
  if made_gates then return made_gates end
  local made = {}
  made_gates = made
  local tag = string.sub(ready, 1, -6)
  local tasks, attempts, gated, blocked, lanes = tag .. 'tasks', tag .. 'attempts', tag .. 'gated', tag .. 'blocked', tag .. 'lanes'
  local SETS = { s = ready, a = tag .. 'ready:async', x = tag .. 'suspects' }
  local admitted = { s = 0, a = 0, x = 0 }
  local wrong -- the first error

  -- Do what may meet a key of the wrong type; gives back whether it was done, and what it gives back.
  local function try(what, ...)
    local fine, found = pcall(what, ...)
    if not fine then wrong = wrong or failure(found) end
    return fine, found
  end

  -- The kind and the gates of a task, as one text; nil: it has none, though its flags may look like that.
  function made.of(envelope)
    if math.floor((string.byte(envelope, 4) or 0) / 8) % 2 == 0 or #envelope < 28 then return nil end
    local header, _, id = struct.unpack('>I4I4B', envelope, 17)
    local at = 26 + header + id
    if at + 2 > #envelope then return nil end
    local found = string.sub(envelope, at + 2, at + 1 + struct.unpack('>I2', envelope, at))
    return string.match(found, '^c[1-9]%d* [^\n]+$') and kind_of(envelope) .. found
  end

  local function lane_of(key) return tag .. 'lane:' .. key end
  local function slots_of(key) return tag .. 'slots:' .. key end

  local function read(found)
    local kind, limit, key = string.match(found or '', '^(%a)c(%d+) (.+)$')
    return kind, tonumber(limit), key
  end

  local function gates_in(envelope) return read(envelope and made.of(envelope)) end

  -- Kind, limit and key; none for a task that has no gates.
  local function gates_of(id)
    local found = redis.pcall('HGET', gated, id)
    if type(found) == 'table' then return gates_in(redis.call('HGET', tasks, id)) end
    return read(found)
  end

  -- The same as one text, though `gated` may have been deleted.
  local function text_for_sure(id)
    local found = redis.pcall('HGET', gated, id)
    if type(found) == 'string' then return found end
    local envelope = redis.call('HGET', tasks, id)
    return envelope and made.of(envelope)
  end

  local function gates_for_sure(id) return read(text_for_sure(id)) end

  local function take_slot(id, limit, key)
    local used = redis.call('SCARD', slots_of(key))
    if used >= limit then return false end
    redis.call('SADD', slots_of(key), id)
    if used == 0 then redis.pcall('SADD', lanes, key) end
    return true
  end

  -- It has a slot: have it stand where workers fetch it.
  local function stand(id, kind, place)
    kind = history().split(redis.call('HGET', attempts, id)).width > 0 and 'x' or kind == 'a' and 'a' or 's'
    redis.call('ZADD', SETS[kind], place, id)
    admitted[kind] = admitted[kind] + 1
  end

  local function leave_lane(id, key)
    redis.pcall('SREM', blocked, id)
    return redis.call('ZREM', lane_of(key), id) == 1
  end

  local function wait(id, key, place)
    redis.call('ZADD', lane_of(key), place, id)
    redis.pcall('SADD', blocked, id)
    redis.pcall('SADD', lanes, key)
  end

  local function close_if_empty(key)
    if redis.call('EXISTS', slots_of(key), lane_of(key)) == 0 then redis.pcall('SREM', lanes, key) end
  end

  -- Let the first of a lane into ready, or take it out of there if it is no task any more; false: it has to wait.
  local function admit_first(key, id, place)
    local is_there = redis.call('HEXISTS', tasks, id) == 1
    local kind, limit = gates_for_sure(id)
    if is_there and not (kind and take_slot(id, limit, key)) then return false end -- no kind: of a form that is not known here
    leave_lane(id, key)
    if is_there then stand(id, kind, place) end
    return true
  end

  -- Let those into ready that are first in a lane, while there are slots; the first waits for its own limit, and the others for it.
  local function admit_next(key)
    for _ = 1, MOST do
      local first = redis.call('ZRANGE', lane_of(key), 0, 0, 'WITHSCORES')
      if not first[1] then return end
      local fine, is_in = try(admit_first, key, first[1], first[2])
      if not fine then -- where it was
        redis.pcall('SREM', slots_of(key), first[1])
        wait(first[1], key, first[2])
      end
      if not (fine and is_in) then return end
    end
  end

  local function free(id, key)
    if redis.call('SREM', slots_of(key), id) == 1 then admit_next(key) end
    close_if_empty(key)
  end

  local function enter(id, place, kind, limit, key)
    if redis.call('EXISTS', lane_of(key)) == 0 and take_slot(id, limit, key) then return stand(id, kind, place) end
    wait(id, key, place)
    if redis.call('ZRANK', lane_of(key), id) == 0 then admit_next(key) end
  end

  -- A task comes to where it may run: into ready, or into its lane. False where it could not: it stands nowhere.
  function made.enter(id, place, found)
    redis.pcall('HSET', gated, id, found)
    local kind, limit, key = read(found)
    local fine = try(enter, id, place, kind, limit, key)
    if not fine then redis.pcall('SREM', slots_of(key), id) end
    return fine
  end

  -- The same for one that has been there before; false: it has no gates, or of a form that is not known here.
  function made.enter_again(id, place)
    local found = text_for_sure(id)
    local _, _, key = read(found)
    if key then made.enter(id, place, found) end
    return key ~= nil
  end

  local function has_slot(id, limit, key)
    return redis.call('SISMEMBER', slots_of(key), id) == 1 or take_slot(id, limit, key)
  end

  -- The letter by which a task from this set is held: without gates that of the set. Nil: it gets no slot, and is in its lane now.
  function made.admit(id, place, envelope, letter)
    local _, limit, key = read(made.of(envelope))
    if not key then return letter end
    local fine, has = try(has_slot, id, limit, key)
    if fine and has then return string.sub('ghkl', string.find('saxy', letter, 1, true)) end
    try(wait, id, key, place)
  end

  -- It does not run now, and is not about to: its slot goes to the next of its lane.
  function made.free(id)
    local _, _, key = gates_of(id)
    if key then try(free, id, key) end
  end

  -- What becomes of the slot of a task that a worker lets go of, by its code in step.lua: what goes back to its place in ready keeps
  -- it, as does what has ended and whose outcome comes apart. A suspect waits for its process first.
  function made.pass_on(id, code, head)
    local _, _, key = gates_for_sure(id)
    if not key then return end
    local is_end = string.find('SXED', code, 1, true)
    if is_end then redis.pcall('HDEL', gated, id) end
    if is_end or code == 'R' or code == 'K' or (code == 'P' and string.find(head, '^[klKL]')) then try(free, id, key) end
  end

  -- It has ended.
  function made.forget(id)
    local _, _, key = gates_of(id)
    if not key then return end
    redis.pcall('HDEL', gated, id)
    try(free, id, key)
  end

  -- Where a task stands in its lane; nil: it does not.
  function made.rank(id)
    local _, _, key = gates_of(id)
    local rank = key and redis.pcall('ZRANK', lane_of(key), id)
    return type(rank) == 'number' and rank
  end

  -- Take a task out of its lane, as it ends; false: it does not wait there.
  function made.leave(id)
    local _, _, key = gates_of(id)
    if not key then return false end
    local fine, was_there = try(leave_lane, id, key)
    if not (fine and was_there) then return false end
    try(admit_next, key)
    return true
  end

  local LOOKED_AT = 100 -- of those that have slots, any, and of those that wait, the first: there may be fifty such lanes in a call

  local function mend(key)
    for _, id in ipairs(redis.call('SRANDMEMBER', slots_of(key), LOOKED_AT)) do
      if redis.call('HEXISTS', tasks, id) == 0 or redis.call('ZSCORE', lane_of(key), id)
        or redis.call('ZSCORE', tag .. 'scheduled', id) or history().split(redis.call('HGET', attempts, id)).need ~= '-' then
        redis.call('SREM', slots_of(key), id)
      end
    end
    local first = redis.call('ZRANGE', lane_of(key), 0, LOOKED_AT - 1)
    if first[1] then
      local known = redis.call('HMGET', gated, unpack(first))
      for n, id in ipairs(first) do
        local envelope = not known[n] and redis.call('HGET', tasks, id)
        local found = envelope and made.of(envelope)
        if found then redis.call('HSET', gated, id, found) end
      end
      redis.call('SADD', blocked, unpack(first))
    end
    admit_next(key)
    close_if_empty(key)
  end

  -- Put a lane in order, whatever was done to its keys: nobody has a slot who could not run, and no slot is free while tasks wait.
  function made.mend(key) try(mend, key) end

  -- What was wrong: an error, for the reply.
  function made.wrong() return wrong end

  -- Ring for those that were let in; `but`: not for this kind, as somebody of it fetches at once.
  function made.ring(but)
    local sync = (but == 's' and 0 or admitted.s) + admitted.x
    if sync > 0 then ring(tag .. 'bell', sync, ready) end
    if admitted.a > 0 and but ~= 'a' then ring(tag .. 'bell:async', admitted.a, SETS.a) end
  end

  return made
end
