-- Finish what a worker has done and fetch what it has room for, in one trip.
-- KEYS 1 tasks 2 attempts 3 ready 4 ready:async 5 suspects 6 scheduled 7 held:<worker> 8 workers 9 worker:<worker>
--      10 bell 11 bell:async 12 seq 13 stats 14 paused 15 dead 16 dead:tasks 17-19 done 20 needs 21 waiters
--      22 dead:bytes 23 expiring 24 revoked 25 large 26… one an action: result:<id>, or parked:<need>
-- ARGV 1 worker 2 fetch number 3 room (0: no fetch) 4 kind to fetch ('s', 'a') 5 0, or: fetch a suspect, to run beside so many (-1: alone)
--      6 bytes at most; then six an action: id, number it was fetched under, code, blob, ms, extra
--      codes: S success, X end without result, E end with another result, D dead (extra: its record), R retry after ms
--      (extra: attempts), P put back, K park (extra: need), L stay held: it has ended, and its outcome comes apart
-- Returns { now, ms until the next due task (-1: none), alive, size of the other kind's ready set, of the suspects,
--           number of needs, size of our kind's ready set after a fetch, ids that were gone,
--           ids in hand that were revoked and are not to be started any more,
--           id, origin, attempts, envelope, … }
--   alive: 0 the worker was given up; 2 a late fetch, refused.
local tasks, attempts, ready, ready_async, suspects, scheduled = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local held, workers, worker, bell, bell_async, seq = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12]
local stats, paused, dead, dead_tasks = KEYS[13], KEYS[14], KEYS[15], KEYS[16]
local needs, waiters, dead_bytes, expiring, revoked, large = KEYS[20], KEYS[21], KEYS[22], KEYS[23], KEYS[24], KEYS[25]
local done = { KEYS[17], KEYS[18], KEYS[19] }
local function subject_of(n) return KEYS[25 + n] end -- of an action
local worker_id, fetch_number, room, kind = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local width, most_bytes = tonumber(ARGV[5]), tonumber(ARGV[6])
local now = now_ms()
local ORIGIN = { s = ready, a = ready_async, x = suspects, y = suspects }
local NAMES = { S = 'succeeded', X = 'succeeded', E = 'ended', D = 'failed', R = 'retried', P = 'put_back', K = 'parked' }
local DEAD_MS = 7776000000 -- the dead are kept for 90 days
local gone, tally = {}, {}
local is_plain = redis.call('EXISTS', attempts, expiring, revoked, large) == 0 -- no task of which more is kept than itself

local marks = is_plain and 0 or redis.pcall('SCARD', revoked) -- of the wrong type: nothing is revoked
if type(marks) == 'table' then marks = 0 end

local function is_revoked(id) return marks > 0 and redis.call('SISMEMBER', revoked, id) == 1 end

local function bury(id, record, envelope)
  local entry = record .. '\n' .. (envelope or '')
  drop_dead(dead, dead_tasks, dead_bytes, id)
  redis.call('HSET', dead_tasks, id, entry)
  redis.call('ZADD', dead, text(now), id)
  local bytes, number = redis.call('INCRBY', dead_bytes, #entry), redis.call('ZCARD', dead)
  for _ = 2, number do -- of what died last, and is larger than all that may be kept, one is kept
    local oldest = redis.call('ZRANGE', dead, 0, 0, 'WITHSCORES')
    if number <= DEAD_TASKS and bytes <= DEAD_BYTES and tonumber(oldest[2]) > now - DEAD_MS then return end
    bytes = drop_dead(dead, dead_tasks, dead_bytes, oldest[1])
    number = number - 1
    tally.dead_dropped = (tally.dead_dropped or 0) + 1
  end
end

local function again(id, delay, history)
  redis.call('HSET', attempts, id, history)
  is_plain = false
  if delay > 0 then return redis.call('ZADD', scheduled, text(now + delay), id) end
  local envelope = redis.call('HGET', tasks, id)
  if envelope then
    redis.call('ZADD', kind_of(envelope) == 'a' and ready_async or ready, new_place(seq, envelope), id)
  end
end

local function park(id, place, need, parked)
  local a = split_attempts(redis.call('HGET', attempts, id))
  a.need = need
  redis.call('HSET', attempts, id, join_attempts(a))
  is_plain = false
  redis.call('ZADD', parked, place, id)
  redis.call('SADD', needs, need)
end

-- Which actions are of tasks that this worker still holds under the number that it says; their holds are dropped.
local function own(count)
  local ids, ours, freed = {}, {}, {}
  for i = 1, count do ids[i] = ARGV[1 + 6 * i] end
  local values = redis.call('HMGET', held, unpack(ids))
  for i = 1, count do
    local number = ARGV[2 + 6 * i]
    if values[i] and (number == '*' or string.sub(values[i], 1, #number + 1) == number .. ' ') then
      ours[#ours + 1] = { n = i, value = values[i] }
      freed[#freed + 1] = ids[i]
    else
      gone[#gone + 1] = ids[i]
    end
  end
  may_grow(held)
  if #freed > 0 then redis.call('HDEL', held, unpack(freed)) end
  return ours
end

local function carry_out(ours)
  local ended = {}
  for _, our in ipairs(ours) do
    local at = 1 + 6 * our.n
    local id, code = ARGV[at], ARGV[at + 2]
    if code == 'K' and is_revoked(id) then code = 'P' end -- parked, nobody might ever fetch it, and end it
    if NAMES[code] then tally[NAMES[code]] = (tally[NAMES[code]] or 0) + 1 end
    if code == 'R' then
      again(id, tonumber(ARGV[at + 4]), ARGV[at + 5])
    elseif code == 'P' or code == 'K' then
      local _, origin, place = split_held(our.value)
      if code == 'P' then redis.call('ZADD', ORIGIN[origin], place, id) else park(id, place, ARGV[at + 5], subject_of(our.n)) end
    elseif code == 'L' then
      local _, origin, place = split_held(our.value)
      redis.call('HSET', held, id, '0 ' .. origin .. ' ' .. place) -- of no fetch: nobody takes it back as unstarted
    else
      if code == 'D' then bury(id, ARGV[at + 5], redis.call('HGET', tasks, id)) end
      keep_record(done, now, id, ARGV[at + 3], ARGV[at + 4], subject_of(our.n))
      ended[#ended + 1] = id
    end
    our.is_moved = #ended == 0 or ended[#ended] ~= id
  end
  if #ended == 0 then return end
  redis.call('HDEL', tasks, unpack(ended))
  if not is_plain then
    redis.call('HDEL', attempts, unpack(ended))
    redis.pcall('ZREM', expiring, unpack(ended))
    redis.pcall('SREM', revoked, unpack(ended))
    redis.pcall('SREM', large, unpack(ended))
  end
  return ended
end

-- A key of the wrong type stops a script in its middle: what was not carried out stays held, and can be settled again.
local function finish(count)
  local ours = own(count)
  local fine, ended = pcall(carry_out, ours)
  if fine then return ended end
  for _, our in ipairs(ours) do
    if not our.is_moved then redis.call('HSET', held, ARGV[1 + 6 * our.n], our.value) end
  end
  return nil, failure(ended)
end

local function announce_ended(ended, count)
  local replies, waiting = redis.call('HMGET', waiters, unpack(ended)), {}
  for n, id in ipairs(ended) do
    if replies[n] then waiting[id] = replies[n] end
  end
  if not next(waiting) then return end
  redis.call('HDEL', waiters, unpack(ended))
  for i = 1, count do
    local id = ARGV[1 + 6 * i]
    if waiting[id] then
      announce_end(waiting[id], id, ARGV[4 + 6 * i])
      waiting[id] = nil
    end
  end
end

-- How many of the first of a ready set, ids and places in turn, go out together. Their sizes are asked for as it goes, so that no
-- more is read than is handed over, whatever stands behind it.
local function fitting(line)
  local all, total, limit = #line / 2, 0, most_bytes
  local are_small = is_plain or redis.call('EXISTS', large) == 0
  if all == 1 or (are_small and all * SMALL_TASK <= limit) then return all end
  for i = 1, #line, 2 do
    total = total + redis.call('HSTRLEN', tasks, line[i])
    if total > limit and i > 1 then return (i - 1) / 2 end
  end
  return all
end

local function histories(ids)
  local found = redis.call('HMGET', attempts, unpack(ids))
  for i = 1, #ids do
    if is_revoked(ids[i]) then found[i] = as_revoked(found[i]) end
  end
  return found
end

-- Hand over so many of a line of ids and places, which stand in a set (first there, or not); returns how many tasks these are.
local function hold(key, line, count, is_first, origin, out)
  local ids, holds, n, at = {}, {}, 0, #out
  for i = 1, count do ids[i] = line[2 * i - 1] end
  local envelopes = redis.call('HMGET', tasks, unpack(ids))
  local found = is_plain and {} or histories(ids)
  local stamp = fetch_number .. ' ' .. origin .. ' '
  if is_first then redis.call('ZREMRANGEBYRANK', key, 0, count - 1) else redis.call('ZREM', key, unpack(ids)) end
  for i = 1, count do
    if envelopes[i] then
      out[at + 1], out[at + 2], out[at + 3], out[at + 4] = ids[i], origin, found[i] or '', envelopes[i]
      holds[n + 1], holds[n + 2] = ids[i], stamp .. line[2 * i] .. ' ' .. count - i .. (is_revoked(ids[i]) and 'r' or '')
      at, n = at + 4, n + 2
    end
  end
  local wrong = n > 0 and redis.pcall('HSET', held, unpack(holds))
  if type(wrong) ~= 'table' then return n / 2 end
  for i = 1, 2 * count, 2 do redis.call('ZADD', key, line[i + 1], line[i]) end
  error(wrong.err, 0) -- the text: Redis 6.2 knows no errors that are tables
end

local function take(key, origin, out)
  local line = redis.call('ZRANGE', key, 0, math.min(room, MOST) - 1, 'WITHSCORES')
  if #line > 0 then hold(key, line, fitting(line), true, origin, out) end
end

-- The first suspect that may run beside so many as its worker's process runs; below 0: that runs one at a time, whatever it is.
local function take_suspect(out)
  local first = redis.call('ZRANGE', suspects, 0, 199, 'WITHSCORES')
  for i = 1, #first, 2 do
    if width < 0 or fits(width_of(redis.call('HGET', attempts, first[i])), width) then
      local envelope = redis.call('HGET', tasks, first[i])
      local origin = envelope and kind_of(envelope) == 'a' and 'y' or 'x'
      if hold(suspects, { first[i], first[i + 1] }, 1, false, origin, out) > 0 then return end
    end
  end
end

local function fetch(out)
  if not redis.call('ZSCORE', workers, worker_id) then return 0, 0 end
  if tonumber(redis.call('HGET', worker, 'fetch') or '0') >= tonumber(fetch_number) then return 2, 0 end
  local is_paused = redis.call('EXISTS', paused) == 1
  if not is_paused then
    if width == 0 then take(ORIGIN[kind], kind, out) else take_suspect(out) end
  end
  redis.call('HSET', worker, 'fetch', fetch_number)
  local own_bell = kind == 'a' and bell_async or bell
  local left = redis.call('ZCARD', ORIGIN[kind])
  if left > 0 and not is_paused and redis.pcall('LLEN', own_bell) == 0 then redis.call('LPUSH', own_bell, '1') end
  return 1, left
end

local function revoked_in_hand()
  local found = {}
  if marks == 0 then return found end
  local is_few = marks < redis.call('HLEN', held)
  for _, id in ipairs(is_few and redis.call('SMEMBERS', revoked) or redis.call('HKEYS', held)) do
    local is_both = is_few and redis.call('HEXISTS', held, id) == 1 or not is_few and is_revoked(id)
    if is_both then found[#found + 1] = id end
  end
  return found
end

local actions = (#ARGV - 6) / 6
if actions > 0 then
  local ended, failed = finish(actions)
  if failed then return failed end
  if ended then announce_ended(ended, actions) end
end
local out = {}
local head = { text(now), -1, 1, 0, 0, 0, 0, gone, revoked_in_hand() }
if room > 0 then
  for i = 1, #head do out[i] = head[i] end
  head = out
  head[3], head[7] = fetch(out)
end
for what, by in pairs(tally) do count(stats, now, what, by) end
local first = redis.call('ZRANGE', scheduled, 0, 0, 'WITHSCORES')
if first[2] then head[2] = math.max(0, tonumber(first[2]) - now) end
head[4] = redis.call('ZCARD', kind == 'a' and ready or ready_async)
head[5] = redis.call('ZCARD', suspects)
head[6] = redis.call('SCARD', needs)
return head
