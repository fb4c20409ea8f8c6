-- Unique tasks: which task has a key, and which one waits for that one to end. Put before lanes.
-- An envelope with flag 16 says, behind its gates and two bytes that say how long it is, 'ie60000 shop.price:user-7': what becomes of a second one
-- (r raise, i ignore, p it replaces the first), until when the first has the key (e it has ended, s a worker was given it), for how many
-- ms at most (none: as long as that), and the key. See decision 0053.
-- unique: key → 'until in ms or 0, blank, id' of the task that has it; on a second line the same of the one that waits for it to end.
-- A row says nothing by itself: it counts while that task is unfinished, and is of that key. So nothing that ends a task can leave one
-- behind that refuses anybody; what is left of one goes with the next look, or with mend_unique.
-- Who waits behind another is parked for 'unique', which no worker looks for: that is not in `needs`.

-- It is made by gates(…).unique(), which gives it what it needs: each function that it found by itself would cost all steps a search.
local function unique(ready, at_gates, history, ring)
  local made = {}
  local tag = string.sub(ready, 1, -6)
  local tasks, attempts, hash, behind = tag .. 'tasks', tag .. 'attempts', tag .. 'unique', tag .. 'parked:unique'
  local rows, coming, dropped = {}, {}, {} -- key → row; ids of what this call stores, and of what it cannot store
  local to_park, over = {}, {} -- of these, those that wait behind another: id → place; what they replace, and with what, in turn
  local ended = {} -- keys, and ids that let go of them, in turn
  local any, wrong

  local function text(number) return string.format('%.0f', number) end

  -- Whether any task here is unique: one command a call.
  local function exists()
    if any == nil then any = redis.call('EXISTS', hash) == 1 end
    return any
  end

  -- What becomes of a second one, until when, ms or '', key; nil: it is not unique, or in a way that is not known here.
  local function read(envelope)
    local flags, size = string.byte(envelope, 4), #envelope
    if not flags or math.floor(flags / 16) % 2 == 0 or size < 28 then return nil end
    local header, _, id = struct.unpack('>I4I4B', envelope, 17)
    local at = 26 + header + id
    if math.floor(flags / 8) % 2 == 1 and at + 1 < size then at = at + 2 + struct.unpack('>I2', envelope, at) end
    if at + 2 > size then return nil end
    local found = string.sub(envelope, at + 2, at + 1 + struct.unpack('>I2', envelope, at))
    return string.match(found, '^([rip])([es])(%d*) ([^\n]+)$')
  end

  local function key_of(envelope)
    local _, _, _, key = read(envelope)
    return key
  end

  -- Whether a task is unfinished, and one of this key.
  local function is_there(id, key)
    if coming[id] then return true end
    local envelope = redis.call('HGET', tasks, id)
    return envelope and key_of(envelope) == key
  end

  local function parsed(value)
    local row = {}
    row.till, row.id, row.next_till, row.next = string.match(value or '', '^(%d+) ([^\n]+)\n?(%d*) ?([^\n]*)$')
    if row.next == '' then row.next = nil end
    return row
  end

  -- A row, without those that are no tasks any more, or that have had the key for as long as they may: then the next one has it.
  local function row_of(key, now)
    local row = rows[key]
    if row then return row end
    row = parsed(redis.call('HGET', hash, key))
    if row.next and not is_there(row.next, key) then row.next = nil end
    if row.id and not ((row.till == '0' or tonumber(row.till) > now) and is_there(row.id, key)) then
      row.id, row.till, row.next, row.freed = row.next, row.next_till, nil, row.next
    end
    rows[key] = row
    return row
  end

  local function write(key, row)
    if not row.id then return redis.call('HDEL', hash, key) end
    redis.call('HSET', hash, key, row.till .. ' ' .. row.id .. (row.next and '\n' .. row.next_till .. ' ' .. row.next or ''))
  end

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
    if at_gates.enter_again(id, place) then return end
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
  local function waits(id)
    if coming[id] then return true end
    for _, set in ipairs({ ready, tag .. 'ready:async', tag .. 'suspects', tag .. 'scheduled' }) do
      if redis.call('ZSCORE', set, id) then return true end
    end
    return at_gates.rank(id) or history().split(redis.call('HGET', attempts, id)).need ~= '-'
  end

  -- A task comes, of this envelope. Gives back nil: it may, and has the key, or is behind who has it; or the id of the one that is there,
  -- and whether that is an error.
  function made.claim(id, envelope, now, may_replace)
    local mode, _, ms, key = read(envelope)
    if not key then return nil end
    local row, till = row_of(key, now), ms == '' and '0' or text(now + tonumber(ms))
    if row.id and not (mode == 'p' and may_replace) then return row.id, mode ~= 'i' end
    local is_replaced = row.id and not row.next and waits(row.id)
    coming[id] = true
    if row.next then
      over[#over + 1], over[#over + 2], to_park[row.next] = row.next, id, nil
      row.next, row.next_till, to_park[id] = id, till, true
    elseif not row.id then
      row.id, row.till = id, till
    elseif is_replaced then
      over[#over + 1], over[#over + 2] = row.id, id
      row.id, row.till = id, till
    else
      row.next, row.next_till, to_park[id] = id, till, true
    end
    return nil
  end

  -- Of what comes, what has to wait behind another: it is parked when what was claimed is written.
  function made.is_behind(id, place)
    if not to_park[id] then return false end
    to_park[id] = place
    return true
  end

  -- Claim for all that come: of `answers`, which say 1 of them, those become others that do not. Gives back how many these are, and the
  -- refusal of all, if there is somebody to be told that one is there already.
  function made.claim_all(ids, answers, envelope_of, now, is_told, failure)
    local kept_out, refused = 0, { 'duplicate' }
    for n, id in ipairs(ids) do
      if answers[n] == 1 then
        local fine, first, is_error = pcall(made.claim, id, envelope_of(n), now, true)
        if not fine then -- a key of the wrong type: it is not stored
          wrong, answers[n] = wrong or failure(first), 2
        elseif first then
          answers[n] = is_told and first or 0
          if is_error then refused[#refused + 1], refused[#refused + 2] = n, first end
        end
        if answers[n] ~= 1 then kept_out = kept_out + 1 end
      end
    end
    return kept_out, is_told and refused[2] and refused
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

  -- What would stop `commit` in its middle; before anything is written. `must_be`: see types.lua.
  function made.would_stop(must_be)
    if not (over[1] or next(to_park)) then return nil end
    return must_be('zset', ready, tag .. 'ready:async', tag .. 'suspects', tag .. 'scheduled', tag .. 'expiring', behind)
      or must_be('hash', attempts, tag .. 'waiters', tag .. 'owned') or must_be('list', tag .. 'owned:over')
      or must_be('set', tag .. 'revoked', tag .. 'large', tag .. 'needs')
  end

  -- One that was to come is not stored after all.
  function made.drop(id) dropped[id] = true end

  -- Write what was claimed, once its tasks are stored; gives back how many others they replace. `ending`: what ends these, see ending.lua.
  function made.commit(now, ending)
    for key, row in pairs(rows) do
      if not (dropped[row.id or ''] or dropped[row.next or '']) then write(key, row) end
    end
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

  -- A task does not have its key any more: who waits behind it has.
  local function let_go(id, key)
    local row = parsed(redis.call('HGET', hash, key))
    if row.id == id then
      row.id, row.till, row.next = row.next and is_there(row.next, key) and row.next, row.next_till, nil
      write(key, row)
      if row.id then release(row.id) end
    elseif row.next == id then
      row.next = nil
      write(key, row)
    end
  end

  -- A task waits no more, and ends: see ending.lua.
  function made.forget(id)
    if not exists() then return end
    local envelope = redis.call('HGET', tasks, id)
    local key = envelope and key_of(envelope)
    if key then pcall(let_go, id, key) end -- of the wrong type, it holds up nobody
  end

  local function free_noted()
    for n = 1, #ended, 2 do pcall(let_go, ended[n + 1], ended[n]) end
    ended = {}
  end

  -- Note a task that ends, while its envelope is there. Gives back what lets go of its key, once that is sure.
  function made.note_end(id)
    local envelope = exists() and redis.call('HGET', tasks, id)
    local key = envelope and key_of(envelope)
    if key then ended[#ended + 1], ended[#ended + 2] = key, id end
    return free_noted
  end

  -- A worker is given a task. Gives back the letter by which that is held, of what is to be looked at as it ends; and what lets go of the
  -- keys of those that have had them.
  function made.begin(id, envelope, letter, free)
    local _, till, _, key = read(envelope)
    if not key then return letter, free end
    if till == 'e' then
      local at = string.find('saxyghkl', letter, 1, true)
      return string.sub('ghklghkl', at, at), free
    end
    ended[#ended + 1], ended[#ended + 2] = key, id
    return letter, free_noted
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

  -- What was wrong with a key: an error, for the reply.
  function made.wrong() return wrong end

  return made
end
