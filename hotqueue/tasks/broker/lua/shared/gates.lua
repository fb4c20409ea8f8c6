-- Gates of tasks, and the lanes in which tasks wait at them; put behind the prelude, bells and history in front of scripts that move tasks.
-- An envelope with flag 8 has gates: what its call header begins with, a line a gate, after two bytes that say how long. A task with gates
-- is in ready while it has a slot of each, or else in its lane: see decisions 0044, 0052 and 0060.
--   c4 k:x          at most four at a time: a slot is had until it ends
--   r100/60000 k:x  at most a hundred start in any 60 s: a slot is had until it starts, and then it counts in a log, see rates.lua
--   f k:x           keys take turns: one of the tasks of a kind and a priority is in ready, until it is fetched; see turns.lua
--   and each key may be paused: a gate of which nobody has a slot.
-- gated: id → kind and gates. slots:<gate>: ids that have one. lane:<lane>: id → place. blocked: all ids in lanes. lanes: all gates and
-- lanes with something in these. paused:keys: what says itself. A lane is for all tasks with the same gates, whatever their limits.
-- All of them are found by name, as parked sets are: a script that meets no such task asks for none of them.
-- What somebody else put in the place of a lane's keys costs others nothing: nothing here raises. A task that can stand neither in ready nor
-- in its lane stands nowhere until that is put right, and the audit restores it; mend_lanes says what is wrong.
-- What of `held` has a slot says so by its letter: g, h, k and l for s, a, x and y.

-- What a script does at gates; made for the first task that has some, so that the others pay for none of it: see history.lua. Here is what
-- every such task needs, where all gates are open and nobody waits; the rest is in lanes.lua.
local made_gates
local function gates(ready)
  if made_gates then return made_gates end
  local made, made_lanes, made_rates, made_unique, wrong -- wrong: the first error
  local call = redis.call
  local tag = string.sub(ready, 1, -6)
  local gated, all_lanes, paused_keys = tag .. 'gated', tag .. 'lanes', tag .. 'paused:keys'
  local known, fetched, gates_of = {}, {}, {} -- tasks by their texts, and by their envelopes; gates by their names
  local IN_TURN = 16 -- tasks that take turns at most that are fetched together
  local sets, admitted = { s = ready, a = tag .. 'ready:async', x = tag .. 'suspects' }, { s = 0, a = 0, x = 0 }
  local are_keys_paused -- once that was asked

  -- What there is to do about unique tasks; here, since all scripts that do anything about them have gates.
  local function at_unique()
    if not made_unique then
      -- include unique
      made_unique = unique(tag, ready, made)
    end
    return made_unique
  end

  local function rating()
    if not made_rates then
      -- include rates
      made_rates = rates(tag)
    end
    return made_rates
  end

  local at_lanes -- what there is to do where somebody waits

  -- Do what may meet a key of the wrong type; gives back whether it was done, and what it gives back.
  local function try(what, ...)
    local fine, found = pcall(what, ...)
    if not fine then wrong = wrong or failure(found) end
    return fine, found
  end

  -- --- what a task has --------------------------------------------------------------------------------------------------------

  -- Of tasks with the same limit, one and the same.
  local function gate_of(what, name, limit, period)
    local gate = gates_of[name]
    if gate and gate.limit == limit then return gate end
    gate = { what = what, name = name, limit = limit, period = period, taken = 0, slots = tag .. 'slots:' .. name, turns = tag .. 'turns:' .. name }
    gates_of[name] = gate
    return gate
  end

  -- One line of a text, and where the next begins.
  local function read_line(found, at)
    local what = string.byte(found, at)
    if what == 99 then -- c
      local limit, name, after = string.match(found, '^(%d+) ([^\n]+)\n?()', at + 1)
      return name and gate_of('c', name, tonumber(limit)), after, name
    elseif what == 114 then -- r
      local limit, name, period, after = string.match(found, '^(%d+)/((%d+) [^\n]+)\n?()', at + 1)
      name = name and 'r' .. name
      return name and gate_of('r', name, tonumber(limit), tonumber(period)), after, name
    elseif what == 102 then -- f
      local name, key, after = string.match(found, '^(%S*)( [^\n]+)\n?()', at + 1)
      name = name and 'f' .. string.sub(found, 1, 1) .. name
      return name and gate_of('f', name, 1), after, name and name .. key
    end
  end

  -- The gates of a task; in a batch most have the same text. Tables are made as large as they will be: Redis spends as much on each as on
  -- a command.
  local function read(found)
    local task = known[found or '']
    if task ~= nil or not found then return task or nil end
    known[found] = false
    local size = #found
    local one, at, lane = read_line(found, 2)
    if not one then return nil end -- of a form that is not known here
    local two, three, name, is_fair = nil, nil, nil, one.what == 'f'
    if at <= size then
      two, at, name = read_line(found, at)
      if not two then return nil end
      lane, is_fair = lane .. '\n' .. name, two.what == 'f'
    end
    if at <= size then
      three, at, name = read_line(found, at)
      if not three or at <= size then return nil end
      lane, is_fair = lane .. '\n' .. name, three.what == 'f'
    end
    task = { one, two, three, kind = string.sub(found, 1, 1), is_fair = is_fair, lane = lane, text = found }
    known[found] = task
    return task
  end

  -- The kind and the gates of a task, as one text; nil: it has none, though its flags may look like that. Turns are taken among those of
  -- one priority, which is put in front of their key.
  local function of(envelope)
    if math.floor((string.byte(envelope, 4) or 0) / 8) % 2 == 0 or #envelope < 28 then return nil end
    local header, _, id = struct.unpack('>I4I4B', envelope, 17)
    local at = 26 + header + id
    if at + 2 > #envelope then return nil end
    local lines = string.sub(envelope, at + 2, at + 1 + struct.unpack('>I2', envelope, at))
    local from, found = string.byte(lines) == 102 and 1 or string.find(lines, '\nf ', 1, true), nil
    if from then
      if from > 1 then from = from + 1 end
      found = kind_of(envelope) .. string.sub(lines, 1, from) .. string.byte(envelope, 3) .. string.sub(lines, from + 1)
    else
      found = kind_of(envelope) .. lines
    end
    return read(found) and found
  end

  -- What a fetched task has.
  local function read_fetched(envelope)
    local task = fetched[envelope]
    if task == nil then
      task = read(of(envelope)) or false
      fetched[envelope] = task
    end
    return task
  end

  -- The text of a task, though `gated` may have been deleted.
  local function text_for_sure(id)
    local found = redis.pcall('HGET', gated, id)
    if type(found) == 'string' then return found end
    local envelope = call('HGET', tag .. 'tasks', id)
    return envelope and of(envelope)
  end

  -- --- slots ------------------------------------------------------------------------------------------------------------------

  local function is_suspect(id)
    local past = call('HGET', tag .. 'attempts', id)
    return past and history().split(past).width > 0
  end

  -- The first of its keys that is paused.
  local function paused_key(task)
    if are_keys_paused == nil then are_keys_paused = call('EXISTS', paused_keys) == 1 end
    if not are_keys_paused then return nil end
    for key in string.gmatch(task.text, ' ([^\n]+)') do
      if call('HEXISTS', paused_keys, key) == 1 then return key end
    end
  end

  -- How many of those that take turns may be in ready, and be fetched together: fewer than there are keys that wait, and one where few are, so
  -- that who comes later waits for no more than a turn.
  local function turns_of(keys) return math.max(1, math.min(IN_TURN, keys - 1)) end

  local function turns_at_once(gate) return turns_of(call('ZCARD', gate.turns)) end

  -- `more`: how many come before it.
  local function has_room(gate, more)
    gate.taken = call('SCARD', gate.slots) + (more or 0)
    if gate.what == 'f' then return gate.taken == 0 or gate.taken < turns_at_once(gate) end
    local used = gate.what == 'r' and gate.taken < gate.limit and rating().used(gate) or 0
    return gate.taken + used < gate.limit
  end

  -- Of each gate that its task has room for. A suspect takes no turn: it waits for its process.
  local function take_slots(id, task, as_suspect)
    local new = {}
    for _, gate in ipairs(task) do
      if not (as_suspect and gate.what == 'f') then
        call('SADD', gate.slots, id)
        if gate.taken == 0 then new[#new + 1] = gate.name end
      end
    end
    if new[1] then redis.pcall('SADD', all_lanes, unpack(new)) end
  end

  -- It has its slots: have it stand where workers fetch it.
  local function stand_all(kind, places)
    call('ZADD', sets[kind], unpack(places))
    admitted[kind] = admitted[kind] + #places / 2
  end

  local function stand(id, kind, place, as_suspect) stand_all(as_suspect and 'x' or kind == 'a' and 'a' or 's', { place, id }) end

  -- --- what is given up goes to the next ----------------------------------------------------------------------------------------

  local freed, ids_of, tasks_of, ended = {}, {}, {}, {} -- gates; who had slots of them, by their names; their tasks; ids of what ended

  local function note_free(id, gate, task)
    if not ids_of[gate.name] then
      freed[#freed + 1], ids_of[gate.name] = gate, {}
    end
    table.insert(ids_of[gate.name], id)
    if not tasks_of[task] then
      tasks_of[#tasks_of + 1], tasks_of[task] = task, true
    end
  end

  local function close_if_empty(name)
    if call('EXISTS', tag .. 'slots:' .. name, tag .. 'lane:' .. name, tag .. 'turns:' .. name) == 0 then redis.pcall('SREM', all_lanes, name) end
  end

  -- Give up what was noted, and let those in who wait for it: mostly there is nobody, which one question tells.
  local function pass_slots()
    if ended[1] then redis.pcall('HDEL', gated, unpack(ended)) end
    ended = {}
    if not freed[1] then return end
    local open, given, tasks, asked, kept = freed, ids_of, tasks_of, {}, {}
    freed, ids_of, tasks_of = {}, {}, {}
    for _, gate in ipairs(open) do
      if gate.what == 'r' then try(rating().write, gate) end
      try(call, 'SREM', gate.slots, unpack(given[gate.name]))
      kept[#kept + 1], kept[#kept + 2] = gate.slots, tag .. 'lane:' .. gate.name
    end
    for _, task in ipairs(tasks) do
      for _, gate in ipairs(task) do asked[#asked + 1] = gate.turns end
    end
    if #asked > MOST or call('EXISTS', unpack(asked)) > 0 then return at_lanes().pass(open, tasks) end
    if call('EXISTS', unpack(kept)) == 0 then
      local names = {}
      for n, gate in ipairs(open) do names[n] = gate.name end
      redis.pcall('SREM', all_lanes, unpack(names))
    elseif open[2] then
      for _, gate in ipairs(open) do close_if_empty(gate.name) end
    end
  end

  -- --- what scripts ask for ---------------------------------------------------------------------------------------------------

  -- Tasks that come: ids and their texts, in turn.
  local function note(list) redis.pcall('HSET', gated, unpack(list)) end

  local function enter_or_wait(id, place, task, is_new)
    local as_suspect, asked = not is_new and is_suspect(id), { paused_keys, tag .. 'lane:' .. task.lane }
    for n, gate in ipairs(task) do asked[n + 2] = gate.turns end
    if call('EXISTS', unpack(asked)) > 0 then return at_lanes().enter(id, place, task, as_suspect) end
    for _, gate in ipairs(task) do
      if not (as_suspect and gate.what == 'f') and not has_room(gate) then return at_lanes().enter(id, place, task, as_suspect) end
    end
    take_slots(id, task, as_suspect)
    stand(id, task.kind, place, as_suspect)
  end

  -- A task comes to where it may run: into ready, or into its lane. False where it could not: it stands nowhere.
  -- `is_new`: it is noted, and nothing has happened to it.
  local function enter(id, place, found, is_new)
    if not is_new then redis.pcall('HSET', gated, id, found) end
    local task = read(found)
    local fine = try(enter_or_wait, id, place, task, is_new)
    if not fine then at_lanes().give_up_slots(id, task) end
    return fine
  end

  -- How many of the first of a fetch start at once, and may so be fetched together. Of what a rate bounds, those count from now on, so that
  -- few are to wait behind others, and none for a worker to wake up; of what takes turns, one that is fetched goes before who comes later.
  local function together(envelopes, count, kind, is_later)
    local times = {} -- of each gate how many more
    for i = 1, kind == 'a' and 0 or count do
      for _, gate in ipairs(envelopes[i] and read_fetched(envelopes[i]) or {}) do
        if gate.what ~= 'c' then
          local left = times[gate.name]
            or gate.what == 'f' and turns_at_once(gate)
            or is_later and 0
            or math.max(1, math.floor(gate.limit / RATE_PART))
          if left < 1 then return i - 1 end
          times[gate.name] = left - 1
        end
      end
    end
    return count
  end

  -- Have a task that is fetched start: of what a rate bounds it counts from now on, and of what takes turns it makes room. It may come from
  -- where it was put back, without the slots that it had: of a rate it needs none, if that lets one more start. Gives back the gate that
  -- is shut for it.
  local function start(id, task)
    local missing
    local key = paused_key(task)
    if key then return 'p' .. key end
    for _, gate in ipairs(task) do
      if gate.what == 'r' and rating().used(gate) >= gate.limit then return gate.name end
      if gate.what == 'c' and call('SISMEMBER', gate.slots, id) == 0 then
        if not has_room(gate) then return gate.name end
        missing = missing or {}
        missing[#missing + 1] = gate
      end
    end
    if missing then take_slots(id, missing) end
    for _, gate in ipairs(task) do
      if gate.what == 'r' then rating().start(gate) end
      if gate.what ~= 'c' then note_free(id, gate, task) end
    end
  end

  -- The letter by which a task from this set is held: without gates that of the set. Nil: a gate is shut, and it is in its lane now.
  -- What it gives up by its start goes on with `pass_slots`.
  local function admit(id, place, envelope, letter)
    local task = read_fetched(envelope)
    if not task then return letter end
    local fine, shut = try(start, id, task)
    if fine and not shut then return string.sub('ghkl', string.find('saxy', letter, 1, true)) end
    pass_slots()
    at_lanes().send_back(id, place, task, fine, shut)
  end

  local asked_for, texts -- ids that were asked for together; their texts

  -- What becomes of the slots of a task that a worker lets go of, by its code in step.lua: what goes back to its place in ready keeps
  -- them, as does what has ended and whose outcome comes apart. A suspect waits for its process first. `counted`: when it was fetched,
  -- of one that goes back unstarted, in ms; else ''. `ids`: those that it is let go of with. What one that has ended had goes on
  -- with `pass_slots`.
  local function pass_on(id, code, head, counted, ids)
    if asked_for ~= ids then
      asked_for, texts = ids, {}
      local found = redis.pcall('HMGET', gated, unpack(ids))
      for n, text in ipairs(found.err and {} or found) do texts[ids[n]] = text end
    end
    local task = read(texts[id] or text_for_sure(id))
    if not task then return end
    if not string.find('SXED', code, 1, true) then return at_lanes().pass_on(id, task, code, head, counted) end
    ended[#ended + 1] = id
    for _, gate in ipairs(task) do
      if gate.what == 'c' then note_free(id, gate, task) end
    end
  end

  -- Ring for those that were let in; `but`: not for this kind, as somebody of it fetches at once. And for one, if something is due sooner.
  local function ring_for_admitted(but)
    local sync = (but == 's' and 0 or admitted.s) + admitted.x
    if sync == 0 and made_lanes and made_lanes.is_earlier() then sync = 1 end
    if sync > 0 then ring(tag .. 'bell', sync, ready) end
    if admitted.a > 0 and but ~= 'a' then ring(tag .. 'bell:async', admitted.a, sets.a) end
  end

  function at_lanes()
    if not made_lanes then
      -- include lanes
      made_lanes = lanes({
        tag = tag, sets = sets, try = try, read = read, of = of, text_for_sure = text_for_sure, rating = rating, enter = enter,
        is_suspect = is_suspect, paused_key = paused_key, has_room = has_room, take_slots = take_slots, stand = stand,
        stand_all = stand_all, turns_of = turns_of, close_if_empty = close_if_empty,
      })
    end
    return made_lanes
  end

  made = {
    of = of, note = note, enter = enter, together = together, admit = admit, pass_on = pass_on, pass_slots = pass_slots, ring = ring_for_admitted,
    lanes = at_lanes, unique = at_unique,
    wrong = function() return wrong end, -- an error, for the reply
  }
  made_gates = made
  return made
end
