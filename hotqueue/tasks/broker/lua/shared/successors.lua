-- Unique tasks that wait behind others, or replace them; and what is left of rows. Included by unique.lua, which makes it when it is
-- asked for. `at`: what it shares with that.
local function behind_others(at)
  local tag, ready, at_gates = at.tag, at.ready, at.gates
  local rows, coming, dropped, to_park, over = at.rows, at.coming, at.dropped, at.to_park, at.over
  local key_of, is_there, parsed, row_of, write = at.key_of, at.is_there, at.parsed, at.row_of, at.write
  local tasks, attempts, hash, behind = tag .. 'tasks', tag .. 'attempts', tag .. 'unique', tag .. 'parked:unique'
  local made = {}

  local function note_need(id, need)
    local a = history().split(redis.call('HGET', attempts, id))
    a.need = need
    local value = history().join(a)
    if value == '0 0 - - -' then redis.call('HDEL', attempts, id) else redis.call('HSET', attempts, id, value) end
  end

  local function park(id, place)
    note_need(id, 'unique')
    redis.call('ZADD', behind, place, id)
  end

  -- A task that waited behind another has the key now: it may run, unless it is due later.
  local function release(id)
    local place, envelope = redis.call('ZSCORE', behind, id), redis.call('HGET', tasks, id)
    if not (place and envelope) then return end
    redis.call('ZREM', behind, id)
    note_need(id, '-')
    if at_gates.lanes().enter_again(id, place) then return end
    local is_async = string.sub(envelope, 2, 2) == 'a'
    local set = is_async and tag .. 'ready:async' or ready
    redis.call('ZADD', set, place, id)
    ring(tag .. (is_async and 'bell:async' or 'bell'), 1, set)
  end

  -- The id of the task that has the key of a call; '' where none has.
  function made.holder(envelope)
    local key = key_of(envelope)
    local found = key and redis.pcall('HGET', hash, key)
    return type(found) == 'string' and parsed(found).id or ''
  end

  -- Whether a task waits, rather than is in a worker's hand.
  function made.waits(id)
    if coming[id] then return true end
    for _, set in ipairs({ ready, tag .. 'ready:async', tag .. 'suspects', tag .. 'scheduled' }) do
      if redis.call('ZSCORE', set, id) then return true end
    end
    return at_gates.lanes().rank(id) or history().split(redis.call('HGET', attempts, id)).need ~= '-'
  end

  -- How many of those that wait for a worker go, as they are replaced.
  function made.leaving()
    local count = 0
    for n = 1, #over, 2 do
      if not redis.call('ZSCORE', tag .. 'scheduled', over[n]) then count = count + 1 end
    end
    return count
  end

  -- Write what was claimed for one task, as it is stored; nobody is replaced by it.
  function made.keep_claim(envelope)
    local key = key_of(envelope)
    if key then write(key, rows[key]) end
  end

  function made.would_stop(must_be)
    return must_be('zset', ready, tag .. 'ready:async', tag .. 'suspects', tag .. 'scheduled', tag .. 'expiring', behind)
      or must_be('hash', attempts, tag .. 'waiters', tag .. 'owned') or must_be('list', tag .. 'owned:over')
      or must_be('set', tag .. 'revoked', tag .. 'large', tag .. 'needs')
  end

  -- Behind what was written: see `commit` in unique.lua.
  function made.commit(now, ending)
    for id, place in pairs(to_park) do
      if place ~= true then park(id, place) end -- else it is due later
    end
    for _, row in pairs(rows) do
      if row.freed and row.freed == row.id then release(row.id) end
    end
    local replaced = 0
    for n = 1, #over, 2 do
      local id, by = over[n], over[n + 1]
      if not dropped[by] then
        local need = history().split(redis.call('HGET', attempts, id)).need
        ending(ready).leave(id, tag .. 'parked:' .. need, need)
        ending(ready).end_waiting(id, 'U' .. text(now) .. ' ' .. by, 3600000, tag .. 'result:' .. id)
        replaced = replaced + 1
      end
    end
    if replaced > 0 then ending(ready).follow() end
    return replaced
  end

  -- A task that is due, or stood nowhere, comes to where it may run: true if it has to wait behind another, and stands there now.
  function made.waits_behind(id, envelope, place, now)
    local fine, is_behind = pcall(function()
      local key = key_of(envelope)
      local row = key and row_of(key, now)
      if not row then return false end
      if row.freed then
        write(key, row)
        release(row.id)
        row.freed = nil
      end
      if row.next == id then park(id, place) end
      return row.next == id
    end)
    return fine and is_behind
  end

  -- The task that waits for another's unique key, if one does.
  local function next_of(id)
    local envelope = redis.call('HGET', tasks, id)
    local key = envelope and key_of(envelope)
    local row = key and parsed(redis.call('HGET', hash, key))
    return row and row.id == id and row.next
  end

  -- Whether a task waits, however indirectly, for a step to end; also where that cannot be told.
  local function waits_for(wanted, id, owners)
    local steps, seen, at = { id }, { [id] = true }, 1
    while steps[at] and at <= 1000 do
      local behind = owners.behind_of(steps[at])
      local parked = next_of(steps[at])
      if parked then behind = behind .. '\na' .. parked end
      for kind, step in string.gmatch(behind, '\n(%l)([^\n]+)') do
        if kind == 'h' or step == wanted then return true end -- h: what follows of it is in another queue
        if not seen[step] then steps[#steps + 1], seen[step] = step, true end
      end
      at = at + 1
    end
    return steps[at] ~= nil
  end

  local function end_replaced(id, by, now, ending)
    local need = history().split(redis.call('HGET', attempts, id)).need
    local ends = ending()
    ends.leave(id, tag .. 'parked:' .. need, need)
    ends.end_waiting(id, 'U' .. text(now) .. ' ' .. by, 3600000, tag .. 'result:' .. id)
    count(tag .. 'stats', now, 'revoked', 1)
  end

  -- A step of a workflow begins, and takes its key. Gives back nil: it has it; 'parked': it has it when another has ended; 'D' and the id of
  -- who has it: it cannot have it; 'J' and that id: it is to end as that one does. `ending` gives what ends tasks.
  function made.take(id, envelope, place, now, owners, ending)
    local fine, verdict, holder = pcall(function()
      local mode, _, ms, key = at.read(envelope)
      if not key then return nil end
      if made.waits_behind(id, envelope, place, now) then return 'parked' end -- it was claimed when it was sent
      local row, till = row_of(key, now), ms == '' and '0' or text(now + tonumber(ms))
      if row.id == id then return nil end
      if not row.id then
        row.id, row.till = id, till
        write(key, row)
        return nil
      end
      local first = row.id
      -- Of who waits for steps that came in its place, this may be one.
      local is_circle = redis.call('HEXISTS', tag .. 'steps', first) == 1 and waits_for(first, id, owners)
      if is_circle or mode == 'r' then return 'D', first end
      if mode == 'i' then return 'J', first end
      local last = row.next
      if last or not made.waits(first) then
        row.next, row.next_till = id, till
        write(key, row)
        park(id, place)
        if last then end_replaced(last, id, now, ending) end
        return 'parked'
      end
      row.id, row.till = id, till
      write(key, row)
      end_replaced(first, id, now, ending)
      return nil
    end)
    if fine then return verdict, holder end -- else of the wrong type, it holds up nobody
  end

  -- A task does not have its key any more, or does not wait for it: who waits behind it has.
  function made.let_go(id, key, row)
    if row.id == id then
      row.id, row.till, row.next = row.next and is_there(row.next, key) and row.next, row.next_till, nil
      write(key, row)
      if row.id then release(row.id) end
    else
      row.next = nil
      write(key, row)
    end
  end

  -- A task waits no more, and ends: see ending.lua.
  function made.forget(id)
    if not at.exists() then return end
    local envelope = redis.call('HGET', tasks, id)
    local key = envelope and key_of(envelope)
    if key then pcall(at.let_go, id, key) end -- of the wrong type, it holds up nobody
  end

  -- Remove what is left of tasks that ended unseen, and let those go on that wait behind them; some of them, with each call others.
  function made.mend(now, most)
    for _, key in ipairs(redis.call('HRANDFIELD', hash, most)) do
      local row = parsed(redis.call('HGET', hash, key))
      if not row.id or redis.call('HEXISTS', tasks, row.id) == 0 or (row.till ~= '0' and tonumber(row.till) <= now)
        or (row.next and redis.call('HEXISTS', tasks, row.next) == 0) then
        row = row_of(key, now)
        write(key, row)
        if row.freed then release(row.id) end
      end
    end
    for _, id in ipairs(redis.call('ZRANDMEMBER', behind, most)) do
      local envelope = redis.call('HGET', tasks, id)
      local key = envelope and key_of(envelope)
      local row = key and parsed(redis.call('HGET', hash, key))
      if not key then
        redis.call('ZREM', behind, id)
      elseif row.id == id then
        release(id)
      elseif not row.id then -- the row was deleted
        write(key, { id = id, till = '0' })
        release(id)
      elseif not row.next then
        row.next, row.next_till = id, '0'
        write(key, row)
      end
    end
  end

  return made
end
