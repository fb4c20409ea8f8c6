-- Gates of tasks, and the lanes in which tasks wait at them; put behind the prelude, bells and history in front of scripts that move tasks.
-- An envelope with flag 8 has gates: what its call header begins with, a line a gate, after two bytes that say how long. A task with gates
-- is in ready while it has a slot of each, or else in its lane: see decisions 0044 and 0052.
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

-- What a script does at gates; made for the first task that has some, so that the others pay for none of it: see history.lua.
local made_gates
local function gates(ready)
  if made_gates then return made_gates end
  local made = {}
  made_gates = made

  -- What there is to do about unique tasks, see unique.lua; here, since all scripts that do anything about them have gates.
  local made_unique
  function made.unique()
    made_unique = made_unique or unique(ready, made, history, ring)
    return made_unique
  end

  local tag = string.sub(ready, 1, -6)
  local tasks, attempts, gated, blocked, lanes = tag .. 'tasks', tag .. 'attempts', tag .. 'gated', tag .. 'blocked', tag .. 'lanes'
  local SETS = { s = ready, a = tag .. 'ready:async', x = tag .. 'suspects' }
  local admitted = { s = 0, a = 0, x = 0 }
  local wrong -- the first error
  local are_keys_paused -- once that was asked
  local IN_TURN = 16 -- tasks that take turns at most that are fetched together
  local SAME = 5 -- lanes one after another that go to the same other gate

  local made_turns, made_rates
  local function turning()
    made_turns = made_turns or turns(tag)
    return made_turns
  end
  local function rating()
    made_rates = made_rates or rates(tag)
    return made_rates
  end

  -- Do what may meet a key of the wrong type; gives back whether it was done, and what it gives back.
  local function try(what, ...)
    local fine, found = pcall(what, ...)
    if not fine then wrong = wrong or failure(found) end
    return fine, found
  end

  -- --- what a task has --------------------------------------------------------------------------------------------------------

  local function gate_of(kind, line)
    local what, bound, key = string.match(line, '^(%l)(%S*) (.+)$')
    if what == 'c' then return tonumber(bound) and { what = what, name = key, key = key, limit = tonumber(bound) } end
    if what == 'r' then
      local limit, period = string.match(bound, '^(%d+)/(%d+)$')
      return limit and { what = what, name = 'r' .. period .. ' ' .. key, key = key, limit = tonumber(limit), period = tonumber(period) }
    end
    if what == 'f' then return { what = what, name = 'f' .. kind .. bound, key = key, limit = 1 } end
  end

  local known = {} -- tasks by their texts: in a batch most have the same
  local function read(found)
    if not found then return nil end
    if known[found] ~= nil then return known[found] or nil end
    known[found] = false
    local task, names = { kind = string.sub(found, 1, 1) }, {}
    for line in string.gmatch(string.sub(found, 2), '[^\n]+') do
      local gate = gate_of(task.kind, line)
      if not gate then return nil end -- of a form that is not known here
      task[#task + 1] = gate
      task.is_fair = gate.what == 'f'
      names[#names + 1] = gate.what == 'f' and gate.name .. ' ' .. gate.key or gate.name
    end
    if not task[1] then return nil end
    task.lane = table.concat(names, '\n')
    known[found] = task
    return task
  end

  -- The kind and the gates of a task, as one text; nil: it has none, though its flags may look like that. Turns are taken among those of
  -- one priority, which is put in front of their key.
  function made.of(envelope)
    if math.floor((string.byte(envelope, 4) or 0) / 8) % 2 == 0 or #envelope < 28 then return nil end
    local header, _, id = struct.unpack('>I4I4B', envelope, 17)
    local at = 26 + header + id
    if at + 2 > #envelope then return nil end
    local lines = string.sub(envelope, at + 2, at + 1 + struct.unpack('>I2', envelope, at))
    local from = string.find('\n' .. lines, '\nf ', 1, true)
    if from then lines = string.sub(lines, 1, from) .. string.byte(envelope, 3) .. string.sub(lines, from + 1) end
    local found = kind_of(envelope) .. lines
    return read(found) and found
  end

  -- The same of a task, though `gated` may have been deleted.
  local function text_for_sure(id)
    local found = redis.pcall('HGET', gated, id)
    if type(found) == 'string' then return found end
    local envelope = redis.call('HGET', tasks, id)
    return envelope and made.of(envelope)
  end

  -- What a task has; nil: it has no gates, as far as `gated` says.
  local function task_of(id)
    local found = redis.pcall('HGET', gated, id)
    if type(found) == 'table' then found = text_for_sure(id) end
    return read(found)
  end

  local function lane_of(name) return tag .. 'lane:' .. name end
  local function slots_of(name) return tag .. 'slots:' .. name end
  local function turns_of(name) return tag .. 'turns:' .. name end

  local function is_suspect(id) return history().split(redis.call('HGET', attempts, id)).width > 0 end

  -- --- slots ------------------------------------------------------------------------------------------------------------------

  local function is_paused(key)
    if are_keys_paused == nil then are_keys_paused = redis.call('EXISTS', tag .. 'paused:keys') == 1 end
    return are_keys_paused and redis.call('HEXISTS', tag .. 'paused:keys', key) == 1
  end

  -- How many of those that take turns may be in ready, and be fetched together: fewer than there are keys that wait, and one where few are, so
  -- that who comes later waits for no more than a turn.
  local function turns_at_once(name)
    return math.max(1, math.min(IN_TURN, redis.call('ZCARD', turns_of(name)) - 1))
  end

  local function has_room(gate)
    gate.taken = redis.call('SCARD', slots_of(gate.name))
    if gate.what == 'f' then return gate.taken == 0 or gate.taken < turns_at_once(gate.name) end
    local used = gate.what == 'r' and gate.taken < gate.limit and rating().used(gate) or 0
    return gate.taken + used < gate.limit
  end

  -- The first gate that is shut for a task; nil: none is. A suspect takes no turn: it waits for its process.
  local function shut_at(task, as_suspect)
    for _, gate in ipairs(task) do
      if is_paused(gate.key) then return 'p' .. gate.key end
      if not (as_suspect and gate.what == 'f') and not has_room(gate) then return gate.name end
    end
  end

  local function take_slot(id, gate)
    redis.call('SADD', slots_of(gate.name), id)
    if gate.taken == 0 then redis.pcall('SADD', lanes, gate.name) end
  end

  local function take_slots(id, task, as_suspect)
    for _, gate in ipairs(task) do
      if not (as_suspect and gate.what == 'f') then take_slot(id, gate) end
    end
  end

  local function give_up_slots(id, task)
    for _, gate in ipairs(task) do redis.pcall('SREM', slots_of(gate.name), id) end
  end

  local function close_if_empty(name)
    if redis.call('EXISTS', slots_of(name), lane_of(name), turns_of(name)) == 0 then redis.pcall('SREM', lanes, name) end
  end

  -- --- ready, and lanes -------------------------------------------------------------------------------------------------------

  -- It has its slots: have it stand where workers fetch it.
  local function stand(id, kind, place, as_suspect)
    kind = as_suspect and 'x' or kind == 'a' and 'a' or 's'
    redis.call('ZADD', SETS[kind], place, id)
    admitted[kind] = admitted[kind] + 1
  end

  local function wait(id, lane, place)
    redis.call('ZADD', lane_of(lane), place, id)
    redis.pcall('SADD', blocked, id)
    redis.pcall('SADD', lanes, lane)
  end

  local function leave_lane(id, lane)
    redis.pcall('SREM', blocked, id)
    return redis.call('ZREM', lane_of(lane), id) == 1
  end

  local function set_timer(gate)
    local at = string.sub(gate, 1, 1) == 'r' and rating().opens_at(gate)
    if at then rating().set_timer(gate, at) end
  end

  -- A lane waits at the gate that is shut for its first task.
  local function wait_at(gate, lane, turn)
    turning().join(gate, lane, turn)
    redis.pcall('SADD', lanes, gate)
    set_timer(gate)
  end

  local function wait_no_more_at(gate, lane)
    if turning().leave(gate, lane) then return end
    if string.sub(gate, 1, 1) == 'r' then rating().drop_timer(gate) end
    close_if_empty(gate)
  end

  -- The same at whichever of its gates it waits; gives back which turn it had there.
  local function wait_nowhere(task)
    local turn
    local function leave(gate)
      local found = turning().turn_of(gate, task.lane)
      if found then wait_no_more_at(gate, task.lane) end
      turn = turn or found
    end
    for _, gate in ipairs(task) do
      leave(gate.name)
      leave('p' .. gate.key)
    end
    return turn
  end

  -- The place in ready of one whose turn it is: its own, or else behind those that had theirs before.
  local function behind_turns(task, place)
    local gate = task[#task]
    if gate.taken == 0 then return place end
    local ids, last = redis.call('SMEMBERS', slots_of(gate.name)), tonumber(place)
    for _, other in ipairs(redis.call('ZMSCORE', SETS[task.kind], unpack(ids))) do last = math.max(last, (tonumber(other or nil) or 0) + 1) end
    return string.format('%.0f', last)
  end

  -- Let a task that is the first of its lane into ready, or out of there if it is no task any more. Gives back whether it went, and else
  -- the gate that is shut for it (nil: its gates are not known here); and what it has.
  local function admit_first(lane, id, place)
    local is_there = redis.call('HEXISTS', tasks, id) == 1
    local task = is_there and read(text_for_sure(id))
    if not is_there then return leave_lane(id, lane) end
    if not task then return false end
    local as_suspect = task.is_fair and is_suspect(id)
    local shut = shut_at(task, as_suspect)
    if shut then return false, shut, task end
    local fine, failed = pcall(function()
      as_suspect = is_suspect(id)
      local to = task.is_fair and not as_suspect and behind_turns(task, place) or place
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
    local first = redis.call('ZRANGE', lane_of(lane), 0, 0, 'WITHSCORES')
    return first[1], first[2]
  end

  local opening, open = {}, nil -- gates that are being opened

  -- Nobody waits any more at a gate that a task has, and may be open: who waits at its others may have gone there for it.
  local function open_others(gate, task)
    for _, other in ipairs(task) do
      if other.name ~= gate and not opening[other.name] and redis.call('EXISTS', turns_of(other.name)) == 1 then open(other.name, task) end
    end
  end

  -- Let those in that wait at a gate, a lane after another, until it is shut. A lane whose first task finds another gate shut goes there;
  -- where it is the same for several, the others stay, and come once that is open.
  local function let_in(gate, task)
    local last, times = nil, 0
    local window = string.sub(gate, 1, 1) == 'f' and { what = 'f', name = gate }
    for _ = 1, MOST do
      if window and not has_room(window) then return end -- whoever waits there
      local lane, turn, has_others = turning().first(gate)
      if not lane then return task and task[2] and open_others(gate, task) end
      local id, place = first_of(lane)
      local went, shut, found
      if id then went, shut, found = admit_first(lane, id, place) end
      if shut == gate then return set_timer(gate) end
      task = found or task
      local next_id, next_place
      if went then next_id, next_place = first_of(lane) end
      if not next_id then
        wait_no_more_at(gate, lane)
        if shut then wait_at(shut, lane, turn) elseif lane ~= gate then close_if_empty(lane) end
      elseif has_others then
        turning().join(gate, lane, found and found.is_fair and turning().next_turn(place) or next_place)
      end
      times = shut and shut == last and times + 1 or 0
      if times == SAME then return end
      last = shut
    end
    rating().set_timer(gate, 0) -- the others in a moment
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
    if redis.call('SREM', slots_of(gate.name), id) == 1 then open(gate.name, task) end
    close_if_empty(gate.name)
  end

  local function free(id, task, what)
    for _, gate in ipairs(task) do
      if not what or gate.what == what then try(free_slot, id, gate, task) end
    end
  end

  -- Whether a task has to wait behind others: in its own lane, or else at one of its gates behind other lanes; and at which gate.
  local function waits_behind(task)
    local waiting = { lane_of(task.lane) }
    for _, gate in ipairs(task) do waiting[#waiting + 1] = turns_of(gate.name) end
    if redis.call('EXISTS', unpack(waiting)) == 0 then return false end
    for i = 1, #waiting do
      if redis.call('EXISTS', waiting[i]) == 1 then return true, i > 1 and task[i - 1].name end
    end
  end

  local function enter(id, place, task)
    local as_suspect = is_suspect(id)
    local is_behind, shut = waits_behind(task)
    if not is_behind then shut = shut_at(task, as_suspect) end
    if not is_behind and not shut then
      take_slots(id, task, as_suspect)
      return stand(id, task.kind, place, as_suspect)
    end
    wait(id, task.lane, place)
    if shut then return wait_at(shut, task.lane, place) end
    if first_of(task.lane) == id then ask(task.lane) end
  end

  -- --- what scripts ask for ---------------------------------------------------------------------------------------------------

  -- A task comes to where it may run: into ready, or into its lane. False where it could not: it stands nowhere.
  function made.enter(id, place, found)
    redis.pcall('HSET', gated, id, found)
    local task = read(found)
    local fine = try(enter, id, place, task)
    if not fine then give_up_slots(id, task) end
    return fine
  end

  -- The same for one that has been there before; false: it has no gates, or of a form that is not known here.
  function made.enter_again(id, place)
    local found = text_for_sure(id)
    if not read(found) then return false end
    made.enter(id, place, found)
    return true
  end

  -- How many of the first of a fetch start at once, and may so be fetched together. Of what a rate bounds, those count from now on, so that
  -- few are to wait behind others, and none for a worker to wake up; of what takes turns, one that is fetched goes before who comes later.
  function made.together(envelopes, count, kind, is_later)
    local times = {} -- of each gate how many more
    for i = 1, kind == 'a' and 0 or count do
      for _, gate in ipairs(envelopes[i] and read(made.of(envelopes[i])) or {}) do
        if gate.what ~= 'c' then
          if not times[gate.name] then
            times[gate.name] = gate.what == 'f' and turns_at_once(gate.name) or is_later and 0 or math.max(1, math.floor(gate.limit / RATE_PART))
          end
          times[gate.name] = times[gate.name] - 1
          if times[gate.name] < 0 then return i - 1 end
        end
      end
    end
    return count
  end

  -- It starts: of what a rate bounds it counts from now on, and of what takes turns it makes room.
  local function count_start(id, gate, task)
    if gate.what == 'f' then return free_slot(id, gate, task) end
    rating().start(gate)
    redis.call('SREM', slots_of(gate.name), id)
    if redis.call('EXISTS', turns_of(gate.name)) == 0 then return close_if_empty(gate.name) end
    if has_room(gate) then open(gate.name, task) else set_timer(gate.name) end
  end

  -- Have a task that is fetched start. It may come from where it was put back, without the slots that it had: of a rate it needs none, if
  -- that lets one more start. Gives back the gate that is shut for it.
  local function start(id, task)
    local missing = {}
    for _, gate in ipairs(task) do
      if is_paused(gate.key) then return 'p' .. gate.key end
      if gate.what == 'r' and rating().used(gate) >= gate.limit then return gate.name end
      if gate.what == 'c' and redis.call('SISMEMBER', slots_of(gate.name), id) == 0 then
        if not has_room(gate) then return gate.name end
        missing[#missing + 1] = gate
      end
    end
    for _, gate in ipairs(missing) do take_slot(id, gate) end
    for _, gate in ipairs(task) do
      if gate.what ~= 'c' then count_start(id, gate, task) end
    end
  end

  local function go_back(id, place, task, shut)
    wait(id, task.lane, place)
    if first_of(task.lane) ~= id then return end
    wait_nowhere(task)
    if shut then wait_at(shut, task.lane, place) end
  end

  -- The letter by which a task from this set is held: without gates that of the set. Nil: a gate is shut, and it is in its lane now.
  function made.admit(id, place, envelope, letter)
    local task = read(made.of(envelope))
    if not task then return letter end
    local fine, shut = try(start, id, task)
    if fine and not shut then return string.sub('ghkl', string.find('saxy', letter, 1, true)) end
    try(go_back, id, place, task, fine and shut)
    if fine then free(id, task) end
  end

  -- It does not run now, and is not about to: its slots go to the next.
  function made.free(id)
    local task = task_of(id)
    if task then free(id, task) end
  end

  -- What becomes of the slots of a task that a worker lets go of, by its code in step.lua: what goes back to its place in ready keeps
  -- them, as does what has ended and whose outcome comes apart. A suspect waits for its process first. `counted`: when it was fetched,
  -- of one that goes back unstarted, in ms; else ''.
  function made.pass_on(id, code, head, counted)
    local task = read(text_for_sure(id))
    if not task then return end
    if code == 'P' and counted ~= '' then
      for _, gate in ipairs(task) do
        if gate.what == 'r' then try(rating().take_back, gate, tonumber(counted) or 0) end
      end
    end
    local is_end = string.find('SXED', code, 1, true)
    if is_end then redis.pcall('HDEL', gated, id) end
    if is_end or code == 'R' or code == 'K' or (code == 'P' and string.find(head, '^[klKL]')) then free(id, task, 'c') end
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
    if not shut and head.is_fair and redis.call('EXISTS', slots_of(head[#head].name)) == 1 then shut = head[#head].name end -- until the next fetch
    for _, gate in ipairs(head) do
      local is_paused_key = shut == 'p' .. gate.key
      if is_paused_key or shut == gate.name then
        local opens = gate.what == 'r' and not is_paused_key and rating().opens_in(gate.name)
        local used = not is_paused_key and gate.taken + (gate.what == 'r' and rating().used(gate) or 0) or 0
        local found = { is_paused_key and 'p' or gate.what, gate.key, gate.limit, used, gate.period or 0, opens or -1, rank,
          redis.call('ZRANK', turns_of(shut), task.lane) or 0 }
        for _, other in ipairs(redis.call('SRANDMEMBER', slots_of(gate.name), 10)) do found[#found + 1] = other end
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
    if is_there then redis.pcall('SADD', lanes, task_of(id).lane) end
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
    if is_to_stop then changed = redis.call('HSETNX', paused, key, rating().now()) else changed = redis.call('HDEL', paused, key) end
    are_keys_paused = nil
    if not is_to_stop then try(open, 'p' .. key) end
    return changed == 1
  end

  -- Look at gates at which somebody waits, and whose time has come.
  function made.open_due()
    try(rating().due, function(gate) try(open, gate) end)
  end

  -- --- in order ---------------------------------------------------------------------------------------------------------------

  local LOOKED_AT = 100 -- of those that have slots, any, and of those that wait, the first: there may be fifty such lanes in a call

  local function may_have_slot(id, name)
    if redis.call('HEXISTS', tasks, id) == 0 or made.rank(id) then return false end
    if string.find(name, '^[rf]') then -- until it is fetched
      return redis.call('ZSCORE', SETS.s, id) or redis.call('ZSCORE', SETS.a, id) or redis.call('ZSCORE', SETS.x, id)
    end
    return not redis.call('ZSCORE', tag .. 'scheduled', id) and history().split(redis.call('HGET', attempts, id)).need == '-'
  end

  local function mend(name)
    for _, id in ipairs(redis.call('SRANDMEMBER', slots_of(name), LOOKED_AT)) do
      if not may_have_slot(id, name) then redis.call('SREM', slots_of(name), id) end
    end
    local first = redis.call('ZRANGE', lane_of(name), 0, LOOKED_AT - 1)
    if first[1] then
      local texts = redis.call('HMGET', gated, unpack(first))
      for n, id in ipairs(first) do
        local envelope = not texts[n] and redis.call('HGET', tasks, id)
        local found = envelope and made.of(envelope)
        if found then redis.call('HSET', gated, id, found) end
      end
      redis.call('SADD', blocked, unpack(first))
      ask(name)
    end
    turning().drop_empty(name, LOOKED_AT, function(lane) return redis.call('EXISTS', lane_of(lane)) == 0 end)
    open(name)
    close_if_empty(name)
  end

  -- Put a lane or a gate in order, whatever was done to its keys: nobody has a slot who could not run, and no slot is free while tasks wait.
  function made.mend(name) try(mend, name) end

  -- The same of timers.
  function made.mend_timers() try(rating().mend) end

  -- What was wrong: an error, for the reply.
  function made.wrong() return wrong end

  -- Ring for those that were let in; `but`: not for this kind, as somebody of it fetches at once. And for one, if something is due sooner.
  function made.ring(but)
    local sync = (but == 's' and 0 or admitted.s) + admitted.x
    if sync == 0 and made_rates and made_rates.is_earlier() then sync = 1 end
    if sync > 0 then ring(tag .. 'bell', sync, ready) end
    if admitted.a > 0 and but ~= 'a' then ring(tag .. 'bell:async', admitted.a, SETS.a) end
  end

  return made
end
