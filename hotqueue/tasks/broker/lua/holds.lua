-- What workers hold: all that a script does to held:<worker> is done here. Put in front of those that do, behind the prelude.

-- held: the number of a fetch, from the second chunk on with ':1', ':2' … behind it → a record of up to CHUNK tasks. What has ended,
-- and whose outcome is still to come apart, has a record of its own: 'L' and its id.
-- A record: '1', the form; how many tasks, three digits; how many of its fetch start after them, four digits; of each a head: which
-- set it came from (s ready, a ready:async; of the suspects x sync and y async ones; capital: it was revoked before, and does not
-- start) and its place in that set, sixteen digits; then the ids, each with a newline before it, and one after the last.
-- Who settles a batch settles the first tasks of a record, in their order: that is one comparison, however many. A task that goes from
-- the middle leaves a gap, '-' for its set and no id, so that the others keep their number from the end: see take_back.
local CHUNK = 100
local STARTED = 9999 -- behind what is not to be taken back
local RECORDS = 8 -- that are let go of in one call: others wait for that long
local FRONT, HEAD = 8, 17 -- bytes before the heads, and of one
local NEWER = 'of a form that this version does not know: a newer one has been at work here; upgrade this worker'

local function pad(place)
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

local function joined(count, behind, heads, ids) return string.format('1%03d%04d', count, behind) .. heads .. ids end

-- Each task of a record: its id, origin, place, whether it was revoked before, and how many of its fetch start after it.
local function each_of(record, visit)
  local at, n = record.from + 1, 0
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
local function each_in(field, value, visit)
  local record = opened(value)
  if record then
    each_of(record, visit)
    return true
  end
  local origin, place = string.match(value, '^%d+ ([saxy]) ([%d.e+-]+) ?%d*r?$')
  if origin then visit(field, origin, pad(place), false, 0, 1) end
  return origin ~= nil
end

-- Each task that a worker holds, as each_of, with the field behind.
local function each_held(held, visit)
  local all = redis.call('HGETALL', held)
  for i = 1, #all, 2 do
    each_in(all[i], all[i + 1], function(id, origin, place, was_revoked, behind)
      visit(id, origin, place, was_revoked, behind, all[i])
    end)
  end
end

-- Those of some ids that a worker holds; for few, without taking the records apart.
local function which_are_held(held, ids)
  local values, found = redis.call('HVALS', held), {}
  for _, id in ipairs(ids) do
    for _, value in ipairs(values) do
      if string.find(value, '\n' .. id .. '\n', 1, true) then
        found[#found + 1] = id
        break
      end
    end
  end
  return found
end

-- Let go of all that a worker holds, some records at a time; gives back how many records are left, and what else is there is dropped.
local function let_go_all(held, visit)
  local count = redis.call('HLEN', held)
  -- Which ones come first does not matter: each goes back to its place.
  local some = count > RECORDS and redis.call('HRANDFIELD', held, RECORDS, 'WITHVALUES') or redis.call('HGETALL', held)
  for i = 1, #some, 2 do
    each_in(some[i], some[i + 1], visit)
    redis.call('HDEL', held, some[i])
  end
  return count - #some / 2
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

local function write(held, field, record, heads, ids)
  if string.find(ids, '[^\n]') then
    redis.call('HSET', held, field, joined(#heads / HEAD, record.behind, heads, ids))
  else
    redis.call('HDEL', held, field)
  end
end

-- Let go of tasks of one record: those of which `goes` says so. Gives back how many these were.
local function let_go_some(held, field, record, goes)
  local heads, ids, gone = {}, {}, 0
  for n = 1, record.count do heads[n], ids[n] = '-' .. string.rep('0', 16), '' end
  each_of(record, function(id, origin, place, was_revoked, behind, n)
    if goes(id, origin, place, behind) then
      gone = gone + 1
    else
      heads[n], ids[n] = head_of(origin, place, was_revoked), id
    end
  end)
  while #heads > 0 and ids[1] == '' do -- a gap at the front keeps nobody's number
    table.remove(heads, 1)
    table.remove(ids, 1)
  end
  if gone > 0 then write(held, field, record, table.concat(heads), '\n' .. table.concat(ids, '\n') .. '\n') end
  return gone
end

-- Let go of the tasks that are named, if this record has them. `text`: their ids, each with a newline after it; `names`: the same as a list.
-- Gives back the heads of those that it had, by their numbers in the list; nil in the place of others.
local function let_go(held, field, text, names)
  local value = redis.call('HGET', held, field)
  local record = value and opened(value)
  if not record then return {} end
  local heads, count, from = {}, #names, record.from
  if string.sub(value, from + 1, from + #text) == text then -- the first ones, in their order
    for n = 1, count do heads[n] = string.sub(value, FRONT + HEAD * (n - 1) + 1, FRONT + HEAD * n) end
    write(held, field, record, string.sub(value, FRONT + HEAD * count + 1, from - 1), string.sub(value, from + #text))
    return heads
  end
  local wanted = {}
  for n, id in ipairs(names) do wanted[id] = n end
  let_go_some(held, field, record, function(id, origin, place)
    if not wanted[id] then return false end
    heads[wanted[id]] = head_of(origin, place)
    return true
  end)
  return heads
end

-- Let go of what of some records is not in hand.
local function let_go_but(held, fields, in_hand)
  for field in pairs(fields) do
    local record = opened(redis.call('HGET', held, field))
    if record then
      let_go_some(held, field, record, function(id) return not in_hand[id] end)
    else
      redis.call('HDEL', held, field)
    end
  end
end

-- Let go of those tasks of a fetch that are among its last `tail`; gives back how many these were.
local function let_go_unstarted(held, fetch, tail, visit)
  local gone = 0
  for _, field in ipairs(redis.call('HKEYS', held)) do
    local record = string.match(field, '^%d+') == fetch and opened(redis.call('HGET', held, field))
    gone = gone + (record and let_go_some(held, field, record, function(id, origin, place, behind)
      if behind < tail then visit(id, origin, place) end
      return behind < tail
    end) or 0)
  end
  return gone
end

-- Let go of a task, wherever it is held: first where an outcome that comes apart leaves it. Gives back its head, or nil.
local function let_go_one(held, id)
  local head = let_go(held, 'L' .. id, id .. '\n', { id })[1]
  if head then return head end
  local all = redis.call('HGETALL', held)
  for i = 1, #all, 2 do
    if string.find(all[i + 1], '\n' .. id .. '\n', 1, true) then
      head = let_go(held, all[i], id .. '\n', { id })[1]
      if head then return head end
    end
  end
end

-- Have a task that has ended stay held until its outcome comes: it is no part of its fetch any more.
local function keep_apart(held, id, head)
  redis.call('HSET', held, 'L' .. id, joined(1, STARTED, head, '\n' .. id .. '\n'))
end

-- The set that a head, or its first letter, says, of those of ready, async and suspected tasks; and the place in it.
local function place_of(head, ready, ready_async, suspects)
  local origin = string.lower(string.sub(head, 1, 1))
  return origin == 's' and ready or origin == 'a' and ready_async or suspects, string.sub(head, 2)
end

-- Hold again what a script that failed had let go of, so that it can be settled again: before the others, since it has started.
local function hold_again(held, field, heads, ids)
  if #ids == 0 then return end
  if field == '*' then
    for n, id in ipairs(ids) do keep_apart(held, id, heads[n]) end
    return
  end
  local value = redis.call('HGET', held, field)
  local record = value and opened(value)
  local other_heads = record and string.sub(value, FRONT + 1, record.from - 1) or ''
  local other_ids = record and string.sub(value, record.from) or '\n'
  local count, behind = #ids + (record and record.count or 0), record and record.behind or STARTED
  redis.call('HSET', held, field, joined(count, behind, table.concat(heads) .. other_heads, '\n' .. table.concat(ids, '\n') .. other_ids))
end
