-- What is done where tasks wait at gates, and when these are looked after; included by gates.lua, which makes it when it is asked for.
-- A lane waits at one gate, the first that is shut for its first task: see turns.lua for who is next there. Whoever frees a slot lets
-- lanes of that gate in; one that finds another gate shut goes there.
local function lanes(at)
  -- include turns
  -- include timers
  local made, call, try, read, text_for_sure, rating = {}, redis.call, at.try, at.read, at.text_for_sure, at.rating
  local has_room, take_slots, stand, is_suspect = at.has_room, at.take_slots, at.stand, at.is_suspect
  local close_if_empty = at.close_if_empty
  local tag, sets = at.tag, at.sets
  local tasks, gated, blocked, all_lanes = tag .. 'tasks', tag .. 'gated', tag .. 'blocked', tag .. 'lanes'
  local turning, timing = turns(tag), nil
  local SAME = 5 -- lanes one after another that go to the same other gate

  local function timers_of_gates()
    if not timing then
      timing = timers(tag, rating())
    end
    return timing
  end

  local function keys_of(task) return string.gmatch(task.text, ' ([^\n]+)') end
  local function lane_of(name) return tag .. 'lane:' .. name end
  local function slots_of(name) return tag .. 'slots:' .. name end
  local function turns_of(name) return tag .. 'turns:' .. name end

  -- What a task has; nil: it has no gates, as far as `gated` says.
  local function task_of(id)
    local found = redis.pcall('HGET', gated, id)
    if type(found) == 'table' then found = text_for_sure(id) end
    return read(found)
  end

  -- --- slots ------------------------------------------------------------------------------------------------------------------

  -- The first gate that is shut for a task; nil: none is. A suspect takes no turn: it waits for its process.
  local function shut_at(task, as_suspect)
    local key = at.paused_key(task)
    if key then return 'p' .. key end
    for _, gate in ipairs(task) do
      if not (as_suspect and gate.what == 'f') and not has_room(gate) then return gate.name end
    end
  end

  local function give_up_slots(id, task)
    for _, gate in ipairs(task) do redis.pcall('SREM', gate.slots, id) end
  end
  made.give_up_slots = give_up_slots

  -- --- lanes ------------------------------------------------------------------------------------------------------------------

  local function wait(id, lane, place, is_known)
    call('ZADD', lane_of(lane), place, id)
    redis.pcall('SADD', blocked, id)
    if not is_known then redis.pcall('SADD', all_lanes, lane) end
  end

  local function leave_lane(id, lane)
    redis.pcall('SREM', blocked, id)
    return call('ZREM', lane_of(lane), id) == 1
  end

  local function set_timer(gate)
    local at = string.sub(gate, 1, 1) == 'r' and rating().opens_at(gate)
    if at then timers_of_gates().set(gate, at) end
  end

  -- A lane waits at the gate that is shut for its first task.
  local function wait_at(gate, lane, turn)
    turning.join(gate, lane, turn)
    redis.pcall('SADD', all_lanes, gate)
    set_timer(gate)
  end

  local function wait_no_more_at(gate, lane)
    if turning.leave(gate, lane) then return end
    if string.sub(gate, 1, 1) == 'r' then timers_of_gates().drop(gate) end
    close_if_empty(gate)
  end

  -- The same at whichever of its gates it waits; gives back which turn it had there.
  local function wait_nowhere(task)
    local turn
    local function leave(gate)
      local found = turning.turn_of(gate, task.lane)
      if found then wait_no_more_at(gate, task.lane) end
      turn = turn or found
    end
    for _, gate in ipairs(task) do leave(gate.name) end
    for key in keys_of(task) do leave('p' .. key) end
    return turn
  end

  -- Behind all of those that take turns and are in ready.
  local function behind_turns(gate, kind)
    local last = 0
    for _, place in ipairs(call('ZMSCORE', sets[kind], unpack(call('SMEMBERS', gate.slots)))) do last = math.max(last, (tonumber(place or nil) or 0) + 1) end
    return last
  end

  -- The place in ready of one whose turn it is: its own, or else behind those that had theirs before.
  local function place_in_turn(task, place)
    local gate = task[#task]
    return gate.taken == 0 and place or text(math.max(tonumber(place), behind_turns(gate, task.kind)))
  end

  -- Let a task that is the first of its lane into ready, or out of there if it is no task any more. Gives back whether it went, and else
  -- the gate that is shut for it (nil: its gates are not known here); and what it has.
  local function admit_first(lane, id, place)
    local is_there = call('HEXISTS', tasks, id) == 1
    local task = is_there and read(text_for_sure(id))
    if not is_there then return leave_lane(id, lane) end
    if not task then return false end
    local as_suspect = task.is_fair and is_suspect(id)
    local shut = shut_at(task, as_suspect)
    if shut then return false, shut, task end
    local fine, failed = pcall(function()
      as_suspect = is_suspect(id)
      local to = task.is_fair and not as_suspect and place_in_turn(task, place) or place
      take_slots(id, task, as_suspect)
      leave_lane(id, lane)
      stand(id, task.kind, to, as_suspect)
    end)
    if fine then return true, nil, task end
    give_up_slots(id, task) -- where it was
    wait(id, lane, place)
    error(failed, 0)
  end

  -- The first of a lane, and its place.
  local function first_of(lane)
    local first = call('ZRANGE', lane_of(lane), 0, 0, 'WITHSCORES')
    return first[1], first[2]
  end

  -- --- turns, several at once -------------------------------------------------------------------------------------------------

  -- What the first of a lane has, if it may come in without any more ado; `coming`: gate → how many do before it.
  local function may_come(id, text, past, coming)
    local task = call('HEXISTS', tasks, id) == 1 and read(text)
    if not task or (past and is_suspect(id)) or at.paused_key(task) then return nil end
    for _, gate in ipairs(task) do
      if gate.what ~= 'f' and not has_room(gate, coming[gate.name]) then return nil end
    end
    for _, gate in ipairs(task) do coming[gate.name] = (coming[gate.name] or 0) + 1 end
    return task
  end

  -- Those of the first lanes that may come in together, in turn: up to the first that needs more, or for which there is no room.
  local function coming_together(window, keys)
    local list, ids, coming = {}, {}, {}
    for n, lane in ipairs(call('ZRANGE', window.turns, 0, at.turns_of(keys) - window.taken - 1)) do
      local line = call('ZRANGE', lane_of(lane), 0, 1, 'WITHSCORES')
      if not line[1] then break end
      list[n], ids[n] = { lane = lane, id = line[1], place = line[2], is_last = not line[3] }, line[1]
    end
    if not ids[2] then return {} end
    local texts, pasts = call('HMGET', gated, unpack(ids)), call('HMGET', tag .. 'attempts', unpack(ids))
    for n, each in ipairs(list) do
      each.task = window.taken + n <= at.turns_of(keys) and may_come(each.id, texts[n], pasts[n], coming)
      if not each.task then return { unpack(list, 1, n - 1) } end
      if each.is_last then keys = keys - 1 end
    end
    return list
  end

  local function take_slots_together(window, list, ids)
    local names = window.taken == 0 and { window.name } or {}
    call('SADD', window.slots, unpack(ids))
    for _, each in ipairs(list) do
      for n = 1, #each.task - 1 do
        local gate = each.task[n]
        call('SADD', gate.slots, each.id)
        if gate.taken == 0 then names[#names + 1] = gate.name end
      end
    end
    if names[1] then redis.pcall('SADD', all_lanes, unpack(names)) end
  end

  local function stand_together(window, list, ids)
    local kind, places, last = list[1].task.kind, {}, nil
    if window.taken > 0 then last = behind_turns(window, kind) end
    for n, each in ipairs(list) do
      last = math.max(tonumber(each.place), last or 0)
      places[2 * n - 1], places[2 * n] = text(last), each.id
      last = last + 1
    end
    take_slots_together(window, list, ids)
    redis.pcall('SREM', blocked, unpack(ids))
    for _, each in ipairs(list) do call('ZREM', lane_of(each.lane), each.id) end
    at.stand_all(kind, places)
  end

  local function let_in_together(window, list)
    local ids, empty, behind = {}, {}, {}
    for n, each in ipairs(list) do
      ids[n] = each.id
      table.insert(each.is_last and empty or behind, each.lane)
    end
    local fine, failed = pcall(stand_together, window, list, ids)
    if not fine then -- where they were
      for _, each in ipairs(list) do
        give_up_slots(each.id, each.task)
        wait(each.id, each.lane, each.place)
      end
      error(failed, 0)
    end
    turning.go_behind(window.name, behind, list[1].place)
    if not empty[1] then return end
    turning.leave(window.name, unpack(empty))
    redis.pcall('SREM', all_lanes, unpack(empty))
  end

  -- --- gates that open --------------------------------------------------------------------------------------------------------

  local opening, open = {}, nil -- gates that are being opened

  -- Nobody waits any more at a gate that a task has, and may be open: who waits at its others may have gone there for it.
  local function open_others(gate, task)
    for _, other in ipairs(task) do
      if other.name ~= gate and not opening[other.name] and call('EXISTS', other.turns) == 1 then open(other.name, task) end
    end
  end

  -- Let in what waits in the lane whose turn it is. Gives back whether that was all, for now; a task that has this gate; the gate that was
  -- shut for it, and how often in a row that was the same.
  local function let_in_first(gate, task, last, times)
    local lane, turn, has_others = turning.first(gate)
    if not lane then return true, task and task[2] and open_others(gate, task) end
    local id, place = first_of(lane)
    local went, shut, found
    if id then went, shut, found = admit_first(lane, id, place) end
    if shut == gate then return true, set_timer(gate) end
    local next_id, next_place
    if went then next_id, next_place = first_of(lane) end
    if not next_id then
      wait_no_more_at(gate, lane)
      if shut then wait_at(shut, lane, turn) elseif lane ~= gate then close_if_empty(lane) end
    elseif has_others then
      turning.join(gate, lane, found and found.is_fair and turning.next_turn(place) or next_place)
    end
    times = shut and shut == last and times + 1 or 0
    return times == SAME, found or task, shut, times
  end

  -- Let those in that wait at a gate, a lane after another, until it is shut. A lane whose first task finds another gate shut goes there;
  -- where it is the same for several, the others stay, and come once that is open.
  local function let_in(gate, task)
    local last, times, may_be_several = nil, 0, true
    local window = string.sub(gate, 1, 1) == 'f' and { what = 'f', name = gate, slots = slots_of(gate), turns = turns_of(gate) }
    for _ = 1, MOST do
      local list = {}
      if window then
        local keys = call('ZCARD', window.turns)
        window.taken = call('SCARD', window.slots)
        local room = at.turns_of(keys) - window.taken
        if room < 1 and window.taken > 0 then return end -- whoever waits there
        list = room > 1 and may_be_several and coming_together(window, keys) or list
        may_be_several = list[2] ~= nil
      end
      if may_be_several and window then
        let_in_together(window, list)
        task, times, last = list[1].task, 0, nil
      else
        local is_over
        is_over, task, last, times = let_in_first(gate, task, last, times)
        if is_over then return end
      end
    end
    timers_of_gates().set(gate, 0) -- the others in a moment
  end

  -- A gate may be open. `task`: one that had a slot there.
  function open(gate, task)
    opening[gate] = true
    local fine, failed = pcall(let_in, gate, task)
    opening[gate] = nil
    if not fine then error(failed, 0) end
  end

  -- The first of a lane is another one: let it in, or have the lane wait where that has to.
  local function ask(lane)
    local id, place = first_of(lane)
    local task = id and read(text_for_sure(id))
    local turn = task and wait_nowhere(task)
    while id do
      local went, shut, found = admit_first(lane, id, place)
      if shut then return wait_at(shut, lane, found.is_fair and turn or place) end
      if not went then return end
      id, place = first_of(lane)
    end
    close_if_empty(lane)
  end

  local function free_slot(id, gate, task)
    if call('SREM', gate.slots, id) == 1 then open(gate.name, task) end
    close_if_empty(gate.name)
  end

  local function free(id, task, what)
    for _, gate in ipairs(task) do
      if not what or gate.what == what then try(free_slot, id, gate, task) end
    end
  end

  local function close(names)
    local keys = {}
    for _, name in ipairs(names) do
      keys[#keys + 1], keys[#keys + 2], keys[#keys + 3] = slots_of(name), lane_of(name), turns_of(name)
    end
    if names[1] and #keys <= MOST and call('EXISTS', unpack(keys)) == 0 then return redis.pcall('SREM', all_lanes, unpack(names)) end
    for _, name in ipairs(names) do close_if_empty(name) end
  end

  -- A slot of a gate was given up by a task. `is_asked`: that others may come in there was looked at.
  local function pass_one(gate, task, is_asked)
    local is_waited_at = call('EXISTS', gate.turns) == 1
    if not is_waited_at then return open_others(gate.name, task) end
    if is_asked then return end
    if gate.what == 'r' and not has_room(gate) then return set_timer(gate.name) end
    open(gate.name, task)
  end

  -- Slots of these gates were given up, by these tasks. Mostly somebody waits for a turn, and at no other gate: one question tells.
  function made.pass(gates, having)
    local names, fair, is_freed, asked = {}, {}, {}, {}
    for _, gate in ipairs(gates) do
      is_freed[gate.name] = true
      table.insert(gate.what == 'f' and fair or names, gate.name)
    end
    for _, task in ipairs(having) do
      for n = 1, #task - (task.is_fair and 1 or 0) do asked[#asked + 1] = task[n].turns end
    end
    local is_only_turns = not asked[1] or (#asked <= MOST and call('EXISTS', unpack(asked)) == 0)
    local is_asked = {}
    for _, task in ipairs(having) do
      if is_only_turns and task.is_fair and not is_asked[task[#task].name] then try(open, task[#task].name, task) end
      if is_only_turns then is_asked[task[#task].name] = true end
      for _, gate in ipairs(is_only_turns and {} or task) do
        if is_freed[gate.name] then
          try(pass_one, gate, task, is_asked[gate.name])
          is_asked[gate.name] = true
        end
      end
    end
    try(close, names)
    try(close, fair)
  end

  -- Whether a task has to wait behind others: in its own lane, or else at one of its gates behind other lanes; and at which gate.
  local function waits_behind(task)
    if call('EXISTS', lane_of(task.lane)) == 1 then return true end
    for _, gate in ipairs(task) do
      if call('EXISTS', gate.turns) == 1 then return true, gate.name end
    end
  end

  -- A task comes, and somebody waits, or a gate is shut: see gates.lua.
  function made.enter(id, place, task, as_suspect)
    local is_behind, shut = waits_behind(task)
    if not is_behind then shut = shut_at(task, as_suspect) end
    if not is_behind and not shut then
      take_slots(id, task, as_suspect)
      return stand(id, task.kind, place, as_suspect)
    end
    wait(id, task.lane, place, is_behind and not shut)
    if shut then return wait_at(shut, task.lane, place) end
    if call('ZRANK', lane_of(task.lane), id) == 0 then ask(task.lane) end
  end

  -- --- what scripts ask for ---------------------------------------------------------------------------------------------------

  -- One comes that has been there before; false: it has no gates, or of a form that is not known here.
  function made.enter_again(id, place)
    local found = text_for_sure(id)
    if not read(found) then return false end
    at.enter(id, place, found)
    return true
  end

  local function go_back(id, place, task, shut)
    wait(id, task.lane, place)
    if first_of(task.lane) ~= id then return end
    wait_nowhere(task)
    if shut then wait_at(shut, task.lane, place) end
  end

  -- A task that was fetched does not start, as this gate is shut, or as it could not be asked: see `admit`.
  function made.send_back(id, place, task, was_asked, shut)
    try(go_back, id, place, task, was_asked and shut)
    if was_asked then free(id, task) end
  end

  -- One that has not ended is let go of: see `pass_on` in gates.lua.
  function made.pass_on(id, task, code, head, counted)
    if code == 'P' and counted ~= '' then
      for _, gate in ipairs(task) do
        if gate.what == 'r' then try(rating().take_back, gate, tonumber(counted) or 0) end
      end
    end
    if code == 'R' or code == 'K' or (code == 'P' and string.find(head, '^[klKL]')) then free(id, task, 'c') end
  end

  -- It does not run now, and is not about to: its slots go to the next.
  function made.free(id)
    local task = task_of(id)
    if task then free(id, task) end
  end

  -- It has ended.
  function made.forget(id)
    local task = task_of(id)
    if not task then return end
    redis.pcall('HDEL', gated, id)
    free(id, task)
  end

  -- Where a task stands in its lane; nil: it does not.
  function made.rank(id)
    local task = task_of(id)
    local rank = task and redis.pcall('ZRANK', lane_of(task.lane), id)
    return type(rank) == 'number' and rank
  end

  -- At which gate it waits, and what keeps it shut: see at_gate.lua.
  function made.at_gate(id)
    local rank, task = made.rank(id), task_of(id)
    local first = rank and first_of(task.lane)
    local head = first and read(text_for_sure(first))
    if not head then return {} end
    local shut = shut_at(head, head.is_fair and is_suspect(first))
    if not shut and head.is_fair and call('EXISTS', head[#head].slots) == 1 then shut = head[#head].name end -- until the next fetch
    local keys = keys_of(head)
    for _, gate in ipairs(head) do
      local key = keys()
      local is_paused_key = shut == 'p' .. key
      if is_paused_key or shut == gate.name then
        local opens = gate.what == 'r' and not is_paused_key and rating().opens_in(gate.name)
        local used = not is_paused_key and gate.taken + (gate.what == 'r' and rating().used(gate) or 0) or 0
        local found = { is_paused_key and 'p' or gate.what, key, gate.limit, used, gate.period or 0, opens or -1, rank,
          call('ZRANK', turns_of(shut), task.lane) or 0 }
        for _, other in ipairs(call('SRANDMEMBER', gate.slots, 10)) do found[#found + 1] = other end
        return found
      end
    end
    return { '', '', 0, 0, 0, -1, rank, 0 }
  end

  -- Its place there, as text; nil: it does not wait there.
  function made.place(id)
    local task = task_of(id)
    local place = task and redis.pcall('ZSCORE', lane_of(task.lane), id)
    return type(place) == 'string' and place or nil
  end

  -- Whether it does; if so, its lane is among those that are looked after.
  function made.is_in_lane(id)
    local is_there = made.rank(id)
    if is_there then redis.pcall('SADD', all_lanes, task_of(id).lane) end
    return is_there
  end

  -- Take a task out of its lane, as it ends; false: it does not wait there.
  function made.leave(id)
    local task = task_of(id)
    if not task then return false end
    local fine, was_there = try(leave_lane, id, task.lane)
    if not (fine and was_there) then return false end
    if redis.pcall('EXISTS', lane_of(task.lane)) == 0 then try(wait_nowhere, task) end
    try(ask, task.lane)
    return true
  end

  -- Pause a key, or have it go on: true where it was not so before.
  function made.pause(key, is_to_stop)
    local paused, changed = tag .. 'paused:keys', nil
    if is_to_stop then changed = call('HSETNX', paused, key, text(rating().now)) else changed = call('HDEL', paused, key) end
    if not is_to_stop then try(open, 'p' .. key) end
    return changed == 1
  end

  -- Look at gates at which somebody waits, and whose time has come.
  function made.open_due()
    try(timers_of_gates().due, function(gate) try(open, gate) end)
  end

  -- --- in order ---------------------------------------------------------------------------------------------------------------

  local LOOKED_AT = 100 -- of those that have slots, any, and of those that wait, the first: there may be fifty such lanes in a call

  local function may_have_slot(id, name)
    if call('HEXISTS', tasks, id) == 0 or made.rank(id) then return false end
    if string.find(name, '^[rf]') then -- until it is fetched
      return call('ZSCORE', sets.s, id) or call('ZSCORE', sets.a, id) or call('ZSCORE', sets.x, id)
    end
    return not call('ZSCORE', tag .. 'scheduled', id) and history().split(call('HGET', tag .. 'attempts', id)).need == '-'
  end

  local function mend(name)
    for _, id in ipairs(call('SRANDMEMBER', slots_of(name), LOOKED_AT)) do
      if not may_have_slot(id, name) then call('SREM', slots_of(name), id) end
    end
    local first = call('ZRANGE', lane_of(name), 0, LOOKED_AT - 1)
    if first[1] then
      local texts = call('HMGET', gated, unpack(first))
      for n, id in ipairs(first) do
        local envelope = not texts[n] and call('HGET', tasks, id)
        local found = envelope and at.of(envelope)
        if found then call('HSET', gated, id, found) end
      end
      call('SADD', blocked, unpack(first))
      ask(name)
    end
    turning.drop_empty(name, LOOKED_AT, function(lane) return call('EXISTS', lane_of(lane)) == 0 end)
    open(name)
    close_if_empty(name)
  end

  -- Put a lane or a gate in order, whatever was done to its keys: nobody has a slot who could not run, and no slot is free while tasks wait.
  function made.mend(name) try(mend, name) end

  -- Whether somebody who sleeps is to be told that something is due sooner.
  function made.is_earlier() return timing and timing.is_earlier() end

  -- The same of timers.
  function made.mend_timers() try(timers_of_gates().mend) end

  return made
end
