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
local held, now = KEYS[7], now_ms()
local done = { KEYS[17], KEYS[18], KEYS[19] }
local ORIGIN = { s = KEYS[3], a = KEYS[4], x = KEYS[5], y = KEYS[5] }
local NAMES = { S = 'succeeded', X = 'succeeded', E = 'ended', D = 'failed', R = 'retried', P = 'put_back', K = 'parked' }
local DEAD_MS = 7776000000 -- the dead are kept for 90 days
local gone, tally = {}, {}
local is_plain = redis.call('EXISTS', KEYS[2], KEYS[23], KEYS[24], KEYS[25]) == 0 -- no task of which more is kept than itself

local marks = is_plain and 0 or redis.pcall('SCARD', KEYS[24]) -- of the wrong type: nothing is revoked
if type(marks) == 'table' then marks = 0 end

local function is_revoked(id) return marks > 0 and redis.call('SISMEMBER', KEYS[24], id) == 1 end

local function bury(id, record, envelope)
  local entry = record .. '\n' .. (envelope or '')
  drop_dead(KEYS[15], KEYS[16], KEYS[22], id)
  redis.call('HSET', KEYS[16], id, entry)
  redis.call('ZADD', KEYS[15], text(now), id)
  local bytes, count = redis.call('INCRBY', KEYS[22], #entry), redis.call('ZCARD', KEYS[15])
  for _ = 2, count do -- of what died last, and is larger than all that may be kept, one is kept
    local oldest = redis.call('ZRANGE', KEYS[15], 0, 0, 'WITHSCORES')
    if count <= DEAD_TASKS and bytes <= DEAD_BYTES and tonumber(oldest[2]) > now - DEAD_MS then return end
    bytes = drop_dead(KEYS[15], KEYS[16], KEYS[22], oldest[1])
    count = count - 1
    tally.dead_dropped = (tally.dead_dropped or 0) + 1
  end
end

local function again(id, delay, attempts)
  redis.call('HSET', KEYS[2], id, attempts)
  is_plain = false
  if delay > 0 then return redis.call('ZADD', KEYS[6], text(now + delay), id) end
  local envelope = redis.call('HGET', KEYS[1], id)
  if envelope then
    redis.call('ZADD', kind_of(envelope) == 'a' and KEYS[4] or KEYS[3], new_place(KEYS[12], envelope), id)
  end
end

local function park(id, place, need, parked)
  local a = split_attempts(redis.call('HGET', KEYS[2], id))
  a[3] = need
  redis.call('HSET', KEYS[2], id, join_attempts(a))
  is_plain = false
  redis.call('ZADD', parked, place, id)
  redis.call('SADD', KEYS[20], need)
end

-- Which actions are of tasks that this worker still holds under the number that it says; their holds are dropped.
local function own(count)
  local ids, ours, freed = {}, {}, {}
  for i = 1, count do ids[i] = ARGV[1 + 6 * i] end
  local values = redis.call('HMGET', held, unpack(ids))
  for i = 1, count do
    local number = ARGV[2 + 6 * i]
    if values[i] and (number == '*' or string.sub(values[i], 1, #number + 1) == number .. ' ') then
      ours[#ours + 1] = { i, values[i] }
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
    local at = 1 + 6 * our[1]
    local id, code = ARGV[at], ARGV[at + 2]
    if code == 'K' and is_revoked(id) then code = 'P' end -- parked, nobody might ever fetch it, and end it
    if NAMES[code] then tally[NAMES[code]] = (tally[NAMES[code]] or 0) + 1 end
    if code == 'R' then
      again(id, tonumber(ARGV[at + 4]), ARGV[at + 5])
    elseif code == 'P' or code == 'K' then
      local _, origin, place = split_held(our[2])
      if code == 'P' then redis.call('ZADD', ORIGIN[origin], place, id) else park(id, place, ARGV[at + 5], KEYS[25 + our[1]]) end
    elseif code == 'L' then
      local _, origin, place = split_held(our[2])
      redis.call('HSET', held, id, '0 ' .. origin .. ' ' .. place) -- of no fetch: nobody takes it back as unstarted
    else
      if code == 'D' then bury(id, ARGV[at + 5], redis.call('HGET', KEYS[1], id)) end
      keep_record(done, now, id, ARGV[at + 3], ARGV[at + 4], KEYS[25 + our[1]])
      ended[#ended + 1] = id
    end
    our.is_moved = #ended == 0 or ended[#ended] ~= id
  end
  if #ended == 0 then return end
  redis.call('HDEL', KEYS[1], unpack(ended))
  if not is_plain then
    redis.call('HDEL', KEYS[2], unpack(ended))
    redis.pcall('ZREM', KEYS[23], unpack(ended))
    redis.pcall('SREM', KEYS[24], unpack(ended))
    redis.pcall('SREM', KEYS[25], unpack(ended))
  end
  return ended
end

-- A key of the wrong type stops a script in its middle: what was not carried out stays held, and can be told again.
local function finish(count)
  local ours = own(count)
  local fine, ended = pcall(carry_out, ours)
  if fine then return ended end
  for _, our in ipairs(ours) do
    if not our.is_moved then redis.call('HSET', held, ARGV[1 + 6 * our[1]], our[2]) end
  end
  return nil, failure(ended)
end

local function tell_waiters(ended, count)
  local replies, told, blobs = redis.call('HMGET', KEYS[21], unpack(ended)), {}, {}
  for n, id in ipairs(ended) do
    if replies[n] then told[id] = replies[n] end
  end
  if not next(told) then return end
  redis.call('HDEL', KEYS[21], unpack(ended))
  for i = 1, count do
    local id = ARGV[1 + 6 * i]
    if told[id] then
      tell_end(told[id], id, ARGV[4 + 6 * i])
      told[id] = nil
    end
  end
end

-- How many of the first of a ready set, ids and places in turn, go out together. Their sizes are asked for as it goes, so that no
-- more is read than is handed over, whatever stands behind it.
local function fitting(line)
  local all, total, limit = #line / 2, 0, tonumber(ARGV[6])
  local are_small = is_plain or redis.call('EXISTS', KEYS[25]) == 0
  if all == 1 or (are_small and all * SMALL_TASK <= limit) then return all end
  for i = 1, #line, 2 do
    total = total + redis.call('HSTRLEN', KEYS[1], line[i])
    if total > limit and i > 1 then return (i - 1) / 2 end
  end
  return all
end

local function histories(ids)
  local found = redis.call('HMGET', KEYS[2], unpack(ids))
  for i = 1, #ids do
    if is_revoked(ids[i]) then found[i] = as_revoked(found[i]) end
  end
  return found
end

-- Hand over so many of a line of ids and places, which stand in a set (first there, or not); returns how many tasks these are.
local function hold(key, line, count, is_first, origin, out)
  local ids, holds, n, at = {}, {}, 0, #out
  for i = 1, count do ids[i] = line[2 * i - 1] end
  local envelopes = redis.call('HMGET', KEYS[1], unpack(ids))
  local attempts = is_plain and {} or histories(ids)
  local stamp = ARGV[2] .. ' ' .. origin .. ' '
  if is_first then redis.call('ZREMRANGEBYRANK', key, 0, count - 1) else redis.call('ZREM', key, unpack(ids)) end
  for i = 1, count do
    if envelopes[i] then
      out[at + 1], out[at + 2], out[at + 3], out[at + 4] = ids[i], origin, attempts[i] or '', envelopes[i]
      holds[n + 1], holds[n + 2] = ids[i], stamp .. line[2 * i] .. ' ' .. count - i .. (is_revoked(ids[i]) and 'r' or '')
      at, n = at + 4, n + 2
    end
  end
  local wrong = n > 0 and redis.pcall('HSET', held, unpack(holds))
  if type(wrong) ~= 'table' then return n / 2 end
  for i = 1, 2 * count, 2 do redis.call('ZADD', key, line[i + 1], line[i]) end
  error(wrong.err, 0) -- the text: Redis 6.2 knows no errors that are tables
end

local function take(key, room, origin, out)
  local line = redis.call('ZRANGE', key, 0, math.min(room, MOST) - 1, 'WITHSCORES')
  if #line > 0 then hold(key, line, fitting(line), true, origin, out) end
end

-- The first suspect that may run beside so many as its worker's process runs; below 0: that runs one at a time, whatever it is.
local function take_suspect(width, out)
  local first = redis.call('ZRANGE', KEYS[5], 0, 199, 'WITHSCORES')
  for i = 1, #first, 2 do
    if width < 0 or fits(width_of(redis.call('HGET', KEYS[2], first[i])), width) then
      local envelope = redis.call('HGET', KEYS[1], first[i])
      local origin = envelope and kind_of(envelope) == 'a' and 'y' or 'x'
      if hold(KEYS[5], { first[i], first[i + 1] }, 1, false, origin, out) > 0 then return end
    end
  end
end

local function fetch(out)
  if not redis.call('ZSCORE', KEYS[8], ARGV[1]) then return 0, 0 end
  if tonumber(redis.call('HGET', KEYS[9], 'fetch') or '0') >= tonumber(ARGV[2]) then return 2, 0 end
  local kind, room = ARGV[4], tonumber(ARGV[3])
  local is_paused = redis.call('EXISTS', KEYS[14]) == 1
  if not is_paused then
    if ARGV[5] == '0' then take(ORIGIN[kind], room, kind, out) else take_suspect(tonumber(ARGV[5]), out) end
  end
  redis.call('HSET', KEYS[9], 'fetch', ARGV[2])
  local bell = kind == 'a' and KEYS[11] or KEYS[10]
  local left = redis.call('ZCARD', ORIGIN[kind])
  if left > 0 and not is_paused and redis.pcall('LLEN', bell) == 0 then redis.call('LPUSH', bell, '1') end
  return 1, left
end

local function revoked_in_hand()
  local found = {}
  if marks == 0 then return found end
  local is_few = marks < redis.call('HLEN', held)
  for _, id in ipairs(is_few and redis.call('SMEMBERS', KEYS[24]) or redis.call('HKEYS', held)) do
    local is_both = is_few and redis.call('HEXISTS', held, id) == 1 or not is_few and is_revoked(id)
    if is_both then found[#found + 1] = id end
  end
  return found
end

local actions = (#ARGV - 6) / 6
if actions > 0 then
  local ended, failed = finish(actions)
  if failed then return failed end
  if ended then tell_waiters(ended, actions) end
end
local out = {}
local head = { text(now), -1, 1, 0, 0, 0, 0, gone, revoked_in_hand() }
if tonumber(ARGV[3]) > 0 then
  for i = 1, #head do out[i] = head[i] end
  head = out
  head[3], head[7] = fetch(out)
end
for what, by in pairs(tally) do count(KEYS[13], now, what, by) end
local first = redis.call('ZRANGE', KEYS[6], 0, 0, 'WITHSCORES')
if first[2] then head[2] = math.max(0, tonumber(first[2]) - now) end
head[4] = redis.call('ZCARD', ARGV[4] == 'a' and KEYS[3] or KEYS[4])
head[5] = redis.call('ZCARD', KEYS[5])
head[6] = redis.call('SCARD', KEYS[20])
return head
