-- What workers hold: all that a script does to held:<worker> is done here. Put in front of those that do, behind the prelude.

-- held: the number of a fetch, from the second chunk on with ':1', ':2' … behind it → a record of up to CHUNK tasks. What has ended,
-- and whose outcome is still to come apart, has a record of its own: 'L' and its id.
-- A record: '1', the form; how many tasks, three digits; how many of its fetch start after them, four digits; of each a head: which
-- set it came from (s ready, a ready:async; of the suspects x sync and y async ones; g, h, k and l for the same of tasks that have a
-- slot, see gates.lua; capital: it was revoked before, and does not start) and its place in that set, sixteen digits; then the ids, each with a newline before it, and one after the last.
-- Who settles a batch settles the first tasks of a record, in their order: that is one comparison, however many. A task that goes from
-- the middle leaves a gap, '-' for its set, so that the others keep their number from the end: see take_back.
local CHUNK = 100
local STARTED = 9999 -- behind what is not to be taken back
local GAP = 45 -- '-'
local FRONT = 8 -- bytes before the heads
local HEAD = 17 -- bytes of one
local LEASE_MS = 15000 -- of a worker that has not announced how long its leases are
local NEWER = 'of a form that this version does not know: a newer one has been at work here; upgrade this worker'

-- A place in sixteen digits, as most have; what others put there may have a point, an exponent or a sign, and not.
local function pad(place)
  if #place == 16 and not string.find(place, '.', 1, true) and not string.find(place, 'e', 1, true) and string.byte(place) ~= 45 then
    return place
  end
  local digits = #place <= 16 and string.match(place, '^%d+$') or string.format('%.0f', math.min(math.max(tonumber(place) or 0, 0), 9e15))
  return string.rep('0', 16 - #digits) .. digits
end

local function head_of(origin, place, is_revoked)
  return (is_revoked and string.upper(origin) or origin) .. pad(place)
end

-- The parts of a record; nil for what is none, raises for one of a newer form.
local function opened(value)
  local form, count, behind = string.match(value, '^(%d)(%d%d%d)(%d%d%d%d)')
  if not form then return nil end
  if form ~= '1' then error('ERR what a worker holds is ' .. NEWER, 0) end
  count = tonumber(count)
  local from = FRONT + HEAD * count + 1 -- the newline before the ids
  if string.sub(value, from, from) ~= '\n' then return nil end
  return { count = count, behind = tonumber(behind), from = from, value = value }
end

-- More than four digits of tasks are those of a recovery; the first of them are not to be taken back.
local function joined(count, behind, heads, ids) return string.format('1%03d%04d', count, math.min(behind, STARTED)) .. heads .. ids end

local function has_gaps(record)
  local at = string.find(record.value, '-', FRONT + 1, true)
  return at and at < record.from
end

local function holds_any(held) return redis.call('EXISTS', held) == 1 end

-- A worker that begins to hold something has a lease from now on: see sweep.lua for what stands in `workers`. `lease`: how long its are,
-- and behind that, when step.lua has noted it, a blank, the number of a fetch, a blank, and when that was, in ms.
local function begin_lease(workers, worker, score, now, lease)
  if tonumber(score) < 0 then redis.call('ZADD', workers, text(now + (tonumber(string.match(lease or '', '^%d+')) or LEASE_MS)), worker) end
end

-- Have a worker hold tasks, in this order, as brought by a fetch: heads and ids, both lists.
local function hold(held, fetch, heads, ids)
  local count, fields = #ids, {}
  for from = 1, count, CHUNK do
    local to = math.min(from + CHUNK - 1, count)
    fields[#fields + 1] = from == 1 and fetch or fetch .. ':' .. (from - 1) / CHUNK
    fields[#fields + 1] = joined(to - from + 1, count - to, table.concat(heads, '', from, to), '\n' .. table.concat(ids, '\n', from, to) .. '\n')
  end
  if #fields > 0 then redis.call('HSET', held, unpack(fields)) end
end

-- Write what is left of a record: its tasks from number `first` on, whose ids begin behind `from`. A gap there keeps nobody's number.
local function write(held, field, record, value, first, from)
  while first <= record.count and string.byte(value, FRONT + HEAD * (first - 1) + 1) == GAP do
    first, from = first + 1, string.find(value, '\n', from + 1, true) or #value
  end
  if first > record.count then return redis.call('HDEL', held, field) end
  if first > 1 then
    local heads = string.sub(value, FRONT + HEAD * (first - 1) + 1, record.from - 1)
    value = joined(record.count - first + 1, record.behind, heads, string.sub(value, from))
  end
  redis.call('HSET', held, field, value)
end

-- What few calls need is made when it is asked for: see history.lua.
local made_holds
local function holds()
  if made_holds then return made_holds end
  local made = {}
  made_holds = made

  -- Each task of a record: its id, origin, place, whether it was revoked before, and how many of its fetch start after it.
  function made.each_of(record, visit)
    local n = 0
    for id in string.gmatch(string.sub(record.value, record.from + 1), '([^\n]*)\n') do
      n = n + 1
      local head = FRONT + HEAD * (n - 1) + 1
      local origin = string.sub(record.value, head, head)
      if origin ~= '-' then
        local low = string.lower(origin)
        visit(id, low, string.sub(record.value, head + 1, head + 16), low ~= origin, record.behind + record.count - n, n)
      end
    end
  end

  -- Each task of what a field of `held` holds; false where that is nothing of ours. Before there were records, a field was an id:
  -- 'number origin place behind'.
  function made.each_in(field, value, visit)
    local record = opened(value)
    if record then
      made.each_of(record, visit)
      return true
    end
    local origin, place = string.match(value, '^%d+ ([saxy]) ([%d.e+-]+) ?%d*r?$')
    if origin then visit(field, origin, pad(place), false, 0, 1) end
    return origin ~= nil
  end

  -- Each task that a worker holds, as each_of, with the field behind.
  function made.each_held(held, visit)
    local all = redis.call('HGETALL', held)
    for i = 1, #all, 2 do
      made.each_in(all[i], all[i + 1], function(id, origin, place, was_revoked, behind)
        visit(id, origin, place, was_revoked, behind, all[i])
      end)
    end
  end

  -- Each id that a worker holds, and how many these are; where nothing has gone from the middle, without taking the records apart.
  function made.each_id(held, visit)
    local number = 0
    local all = redis.call('HGETALL', held)
    for i = 1, #all, 2 do
      local record = opened(all[i + 1])
      if record and not has_gaps(record) then
        number = number + record.count
        for id in string.gmatch(visit and string.sub(record.value, record.from + 1) or '', '[^\n]+') do visit(id) end
      else
        made.each_in(all[i], all[i + 1], function(id)
          number = number + 1
          if visit then visit(id) end
        end)
      end
    end
    return number
  end

  -- How a task is held: its origin, whether it was revoked before, how many of its fetch start after it, and in which field; nil: not
  -- at all.
  function made.find_held(held, id)
    local all, name, found = redis.call('HGETALL', held), '\n' .. id .. '\n', nil
    for i = 1, #all, 2 do
      if all[i] == id or string.find(all[i + 1], name, 1, true) then
        made.each_in(all[i], all[i + 1], function(each, origin, _, was_revoked, behind)
          if each == id then found = { origin = origin, was_revoked = was_revoked, behind = behind, field = all[i] } end
        end)
        if found then return found end
      end
    end
  end

  local RECORDS, AT_ONCE = 200, 800 -- records that are read to let go of them, and tasks in them: others wait for that long

  -- Let go of all that a worker holds, some records at a time; gives back how many records are left, and what else is there is dropped.
  function made.let_go_all(held, visit)
    local count, done, tasks = redis.call('HLEN', held), 0, 0
    -- Which ones come first does not matter: each goes back to its place.
    local some = count > RECORDS and redis.call('HRANDFIELD', held, RECORDS, 'WITHVALUES') or redis.call('HGETALL', held)
    while tasks < AT_ONCE and done < #some / 2 do
      local field = some[2 * done + 1]
      made.each_in(field, some[2 * done + 2], function(...)
        tasks = tasks + 1
        visit(...)
      end)
      redis.call('HDEL', held, field)
      done = done + 1
    end
    return count - done
  end

  -- Make gaps of the tasks of a record that have these numbers.
  function made.make_gaps(held, field, record, numbers)
    if #numbers == 0 then return end
    table.sort(numbers)
    local parts, at = {}, 1
    for _, n in ipairs(numbers) do
      local head = FRONT + HEAD * (n - 1) + 1
      parts[#parts + 1], parts[#parts + 2] = string.sub(record.value, at, head - 1), '-'
      at = head + 1
    end
    parts[#parts + 1] = string.sub(record.value, at)
    write(held, field, record, table.concat(parts), 1, record.from)
  end

  -- Let go of tasks of one record: those of which `goes` says so. Gives back how many these were.
  function made.let_go_some(held, field, record, goes)
    local numbers = {}
    made.each_of(record, function(id, origin, place, _, behind, n)
      if goes(id, origin, place, behind) then numbers[#numbers + 1] = n end
    end)
    made.make_gaps(held, field, record, numbers)
    return #numbers
  end

  local FEW = 3 -- ids that are looked for one by one

  -- Where in a record ids stand: number there → number in the list.
  function made.numbers_of(record, names)
    local found, value, number = {}, record.value, 0
    if #names > FEW then
      local wanted = {}
      for n, id in ipairs(names) do wanted[id] = n end
      for id in string.gmatch(string.sub(value, record.from + 1), '([^\n]*)\n') do
        number = number + 1
        if wanted[id] then found[number] = wanted[id] end
      end
      return found
    end
    for n, id in ipairs(names) do
      local at, newline = string.find(value, '\n' .. id .. '\n', record.from, true), record.from
      number = 1
      while at and newline < at do
        newline, number = string.find(value, '\n', newline + 1, true), number + 1
      end
      if at then found[number] = n end
    end
    return found
  end

  -- Let go of the tasks that are named, if this record has them, wherever in it. Gives back the heads of those that it had, by their
  -- numbers in the list, nil in the place of others; and the record as it was.
  function made.let_go(held, field, names)
    local value = redis.call('HGET', held, field)
    local record = value and opened(value)
    if not record then return {} end
    local heads, numbers = {}, {}
    for number, n in pairs(made.numbers_of(record, names)) do
      local head = string.sub(value, FRONT + HEAD * (number - 1) + 1, FRONT + HEAD * number)
      if string.byte(head) ~= GAP then heads[n], numbers[#numbers + 1] = head, number end
    end
    made.make_gaps(held, field, record, numbers)
    return heads, value
  end

  -- Let go of what of some records is not in hand.
  function made.let_go_but(held, fields, in_hand)
    for field in pairs(fields) do
      local record = opened(redis.call('HGET', held, field))
      if record then
        made.let_go_some(held, field, record, function(id) return not in_hand[id] end)
      else
        redis.call('HDEL', held, field)
      end
    end
  end

  -- Let go of those tasks of a fetch that are among its last `tail`; gives back how many these were.
  function made.let_go_unstarted(held, fetch, tail, visit)
    local gone = 0
    tail = math.min(tail, STARTED)
    for _, field in ipairs(redis.call('HKEYS', held)) do
      local record = string.match(field, '^%d+') == fetch and opened(redis.call('HGET', held, field))
      gone = gone + (record and made.let_go_some(held, field, record, function(id, origin, place, behind)
        if behind < tail then visit(id, origin, place) end
        return behind < tail
      end) or 0)
    end
    return gone
  end

  -- Whether a record has a task.
  function made.has(held, field, id)
    local value = redis.call('HGET', held, field)
    local record = value and opened(value)
    local number = record and next(made.numbers_of(record, { id }))
    return number and string.byte(value, FRONT + HEAD * (number - 1) + 1) ~= GAP or false
  end

  -- Let go of a task, wherever it is held: first where an outcome that comes apart leaves it. Gives back its head, or nil.
  function made.let_go_one(held, id)
    local head = made.let_go(held, 'L' .. id, { id })[1]
    if head then return head end
    local all = redis.call('HGETALL', held)
    for i = 1, #all, 2 do
      if string.find(all[i + 1], '\n' .. id .. '\n', 1, true) then
        head = made.let_go(held, all[i], { id })[1]
        if head then return head end
      end
    end
  end

  -- Have a task that has ended stay held until its outcome comes: it is no part of its fetch any more.
  function made.keep_apart(held, id, head)
    redis.call('HSET', held, 'L' .. id, joined(1, STARTED, string.lower(head), '\n' .. id .. '\n'))
  end

  -- The set that a head, or its first letter, says, of those of ready, async and suspected tasks; and the place in it.
  function made.place_of(head, ready, ready_async, suspects)
    local origin = string.lower(string.sub(head, 1, 1))
    if origin == 's' or origin == 'g' then return ready, string.sub(head, 2) end
    return (origin == 'a' or origin == 'h') and ready_async or suspects, string.sub(head, 2)
  end

  -- Hold again what a script that failed had let go of, but for the first `moved`, so that it can be settled again. `before`: its record.
  function made.hold_again(held, field, before, ids, heads, moved)
    if field == '*' then
      for n = moved + 1, #ids do
        if heads[n] then made.keep_apart(held, ids[n], heads[n]) end
      end
    elseif before then
      local done = {}
      for n = 1, moved do
        if heads[n] then done[#done + 1] = ids[n] end
      end
      redis.call('HSET', held, field, before)
      if #done > 0 then made.let_go(held, field, done) end
    end
  end

  return made
end

-- Let go of the tasks that are named, if this record has them. `text`: their ids, each with a newline after it; `names`: the same as a
-- list. Gives back the heads of those that it had, by their numbers in the list, nil in the place of others; and the record as it was.
local function let_go(held, field, text, names)
  local value = redis.call('HGET', held, field)
  local record = value and opened(value)
  if not record then return {} end
  local last = record.from + #text
  if string.sub(value, record.from + 1, last) ~= text or has_gaps(record) then return holds().let_go(held, field, names) end
  local heads = {} -- of the first ones, in their order
  for n = 1, #names do heads[n] = string.sub(value, FRONT + HEAD * (n - 1) + 1, FRONT + HEAD * n) end
  write(held, field, record, value, #names + 1, last)
  return heads, value
end
