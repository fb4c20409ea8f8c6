-- How many tasks stand nowhere: in no ready set, not scheduled, not parked, held by no registered worker.
-- KEYS 1 tasks 2 ready 3 ready:async 4 suspects 5 scheduled 6 workers 7 needs 8 seq 9 bell 10 bell:async
--      11 large 12 blocked 13 lanes 14 gated 15… held:<worker> of each registered worker, then parked:<need> of each need
-- ARGV 1 how many workers 2 how many needs, then the names of both, then ids
-- Returns { tasks that stand nowhere, of the given ids those that did and are now in a ready set or in their lanes, how many tasks are worth reading
--   at once, above 0 if there are tasks with gates, the same of unique ones }; the first is -1 when workers or needs have changed meanwhile.
--   A task is restored behind the others: its old place is not known.
local tasks, ready, ready_async, suspects, scheduled, workers = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local needs, seq, bell, bell_async, large = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local blocked, lanes, gated = KEYS[12], KEYS[13], KEYS[14]
local sets = { ready, ready_async, suspects, scheduled }
local tag = string.sub(ready, 1, -6)
local behind, steps = tag .. 'parked:unique', tag .. 'steps' -- which are not in `needs`
local function holder(n) return KEYS[14 + n] end
local worker_count, need_count = tonumber(ARGV[1]), tonumber(ARGV[2])
local wrong = newer_queue() or must_be('hash', tasks) or must_be('zset', ready, ready_async, suspects, scheduled, workers)
if wrong then return wrong end
if redis.call('ZCARD', workers) ~= worker_count or redis.call('SCARD', needs) ~= need_count then return { -1, {}, 1, 0, 0 } end
for i = 1, worker_count do
  if not redis.call('ZSCORE', workers, ARGV[2 + i]) then return { -1, {}, 1, 0, 0 } end
end
for i = 1, need_count do
  if redis.call('SISMEMBER', needs, ARGV[2 + worker_count + i]) == 0 then return { -1, {}, 1, 0, 0 } end
end

local is_held, held_count = {}, 0
local note = #ARGV > 2 + worker_count + need_count and function(id) is_held[id] = true end or nil
for i = 1, worker_count do held_count = held_count + holds().each_id(holder(i), note) end

local function stands(id)
  for _, set in ipairs(sets) do
    if redis.call('ZSCORE', set, id) then return true end
  end
  if is_held[id] or type(redis.pcall('ZSCORE', behind, id)) == 'string' or redis.pcall('HEXISTS', steps, id) == 1 then return true end
  if gates(ready).lanes().rank(id) then
    redis.pcall('SADD', blocked, id) -- it may have been deleted
    return true
  end
  for i = worker_count + 1, worker_count + need_count do
    if type(redis.pcall('ZSCORE', holder(i), id)) == 'string' then return true end -- else of the wrong type: nothing stands there
  end
  return false
end

local restored = {}
if note then may_grow(tasks) end
for i = 3 + worker_count + need_count, #ARGV do
  local id = ARGV[i]
  local envelope = not stands(id) and redis.call('HGET', tasks, id)
  if envelope then
    local is_async, found = kind_of(envelope) == 'a', gates(ready).of(envelope)
    local set, place = is_async and ready_async or ready, new_place(seq, envelope)
    local is_in, flags = true, string.byte(envelope, 4)
    if flags and flags > 15 and gates(ready).unique().successors().waits_behind(id, envelope, place, now_ms()) then
      -- it is parked
    elseif found then
      gates(ready).lanes().forget(id)
      is_in = gates(ready).enter(id, place, found)
    else
      redis.call('ZADD', set, place, id)
      ring(is_async and bell_async or bell, 1, set)
    end
    if is_in then restored[#restored + 1] = id end
  end
end
gates(ready).ring()

local function size_of(command, key)
  local found = redis.pcall(command, key)
  return type(found) == 'number' and found or 0
end

local nowhere = redis.call('HLEN', tasks) - held_count - size_of('SCARD', blocked) - size_of('ZCARD', behind) - size_of('HLEN', steps)
for _, set in ipairs(sets) do nowhere = nowhere - redis.call('ZCARD', set) end
if redis.call('ZSCORE', scheduled, '\n') then nowhere = nowhere + 1 end -- no task: see timers.lua
for i = worker_count + 1, worker_count + need_count do nowhere = nowhere - size_of('ZCARD', holder(i)) end
local page = nowhere > 0 and page_of(tasks, large) or 1
return { nowhere, restored, page, redis.call('EXISTS', lanes, blocked, gated), redis.call('EXISTS', tag .. 'unique', behind) }
