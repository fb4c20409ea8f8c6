-- Finish what a worker has done and fetch what it has room for, in one trip.
-- KEYS 1 tasks 2 attempts 3 ready 4 ready:async 5 suspects 6 scheduled 7 held:<worker> 8 workers 9 worker:<worker>
--      10 bell 11 bell:async 12 seq 13 stats 14 paused 15 dead 16 dead:tasks 17-19 done 20 needs 21 waiters
--      22 dead:bytes 23 expiring 24 revoked 25 large
-- ARGV 1 worker 2 fetch number 3 room (0: no fetch) 4 kind to fetch ('s', 'a') 5 0, or: fetch a suspect, to run beside so many (-1: alone)
--      6 bytes at most 7 what the key of a result begins with 8 the same of parked:<need>; then runs, of tasks that have the first four
--      of these in common: code, the record of `held` that they are in ('*': any), ms, extra, ids (each with a newline behind it),
--      and a blob for each where the code has some
--      codes: S success (blob), X end without result, E end with another result (blob), D dead (blob; extra: its record), R retry
--      after ms (extra: attempts), P put back, K park (extra: need), L stay held: it has ended, and its outcome comes apart
-- Returns { now, ms until the next due task (-1: none), alive, size of the other kind's ready set, of the suspects,
--           number of needs, size of our kind's ready set after a fetch, ids that were gone,
--           ids that were revoked and are not to be started any more: those in hand among them; few others may be there as well,
--           ids that were fetched, each with a newline behind it, of each the set it came from, attempts of each or none, envelope, … }
--   alive: 0 the worker was given up; 2 a late fetch, refused.
local tasks, attempts, ready, ready_async, suspects, scheduled = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local held, workers, worker, bell, bell_async, seq = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12]
local stats, paused, dead, dead_tasks = KEYS[13], KEYS[14], KEYS[15], KEYS[16]
local needs, waiters, dead_bytes, expiring, revoked, large = KEYS[20], KEYS[21], KEYS[22], KEYS[23], KEYS[24], KEYS[25]
local done = { KEYS[17], KEYS[18], KEYS[19] }
local worker_id, fetch_number, room, kind = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local width, most_bytes, results, parked_for = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7], ARGV[8]
local now = now_ms()
local ORIGIN = { s = ready, a = ready_async, x = suspects, y = suspects }
local HAS_BLOB = { S = true, E = true, D = true }
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

local function park(id, place, need)
  local a = split_attempts(redis.call('HGET', attempts, id))
  a.need = need
  redis.call('HSET', attempts, id, join_attempts(a))
  is_plain = false
  redis.call('ZADD', parked_for .. need, place, id)
  redis.call('SADD', needs, need)
end

-- The runs of this call.
local function read_runs()
  local runs, at = {}, 9
  while at <= #ARGV do
    local run = { code = ARGV[at], field = ARGV[at + 1], ms = ARGV[at + 2], extra = ARGV[at + 3], text = ARGV[at + 4], ids = {} }
    for id in string.gmatch(run.text, '([^\n]+)\n') do run.ids[#run.ids + 1] = id end
    run.blobs = HAS_BLOB[run.code] and at + 4
    at = at + 5 + (run.blobs and #run.ids or 0)
    runs[#runs + 1] = run
  end
  return runs
end

local function blob_of(run, n) return run.blobs and ARGV[run.blobs + n] or '' end

local END = { S = true, X = true, E = true, D = true }

local function carry_out_one(run, n, code, head)
  local id = run.ids[n]
  if END[code] then
    if code == 'D' then bury(id, run.extra, redis.call('HGET', tasks, id)) end
    return keep_record(done, now, id, blob_of(run, n), run.ms, results .. id)
  elseif code == 'R' then
    return again(id, tonumber(run.ms), run.extra)
  elseif code == 'L' then
    return keep_apart(held, id, head)
  end
  local set, place = place_of(head, ready, ready_async, suspects)
  if code == 'P' then redis.call('ZADD', set, place, id) else park(id, place, run.extra) end
end

-- Carry out a run for those of its tasks that this worker still holds; the others are gone. A key of the wrong type stops a script in
-- its middle: what was not carried out is held again, and can be settled again.
local function carry_out(run, ended)
  local heads, before, moved = {}, nil, 0
  local fine, failed = pcall(function()
    if run.field == '*' then
      for n, id in ipairs(run.ids) do heads[n] = let_go_one(held, id) end
    else
      heads, before = let_go(held, run.field, run.text, run.ids)
    end
    for n, id in ipairs(run.ids) do
      local code = run.code
      if heads[n] then
        if code == 'K' and is_revoked(id) then code = 'P' end -- parked, nobody might ever fetch it, and end it
        carry_out_one(run, n, code, heads[n])
        if END[code] then ended[#ended + 1] = id end
        if NAMES[code] then tally[NAMES[code]] = (tally[NAMES[code]] or 0) + 1 end
      else
        gone[#gone + 1] = id
      end
      moved = n
    end
  end)
  if fine then return end
  hold_again(held, run.field, before, run.ids, heads, moved)
  return failure(failed)
end

local function forget(ended)
  if #ended == 0 then return end
  redis.call('HDEL', tasks, unpack(ended))
  if is_plain then return end
  redis.call('HDEL', attempts, unpack(ended))
  redis.pcall('ZREM', expiring, unpack(ended))
  redis.pcall('SREM', revoked, unpack(ended))
  redis.pcall('SREM', large, unpack(ended))
end

local function finish(runs)
  local ended, failed = {}, nil
  may_grow(held)
  for _, run in ipairs(runs) do
    failed = carry_out(run, ended)
    if failed then break end
  end
  forget(ended)
  return ended, failed
end

local function announce_ended(runs, ended)
  if #ended == 0 or redis.call('EXISTS', waiters) == 0 then return end
  local replies, waiting = redis.call('HMGET', waiters, unpack(ended)), {}
  for n, id in ipairs(ended) do
    if replies[n] then waiting[id] = replies[n] end
  end
  if not next(waiting) then return end
  redis.call('HDEL', waiters, unpack(ended))
  for _, run in ipairs(runs) do
    for n, id in ipairs(run.ids) do
      if waiting[id] and END[run.code] then
        announce_end(waiting[id], id, blob_of(run, n))
        waiting[id] = nil
      end
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
local function hand_over(key, line, count, is_first, origin, out)
  local ids, heads = {}, {}
  for i = 1, count do ids[i] = line[2 * i - 1] end
  local envelopes = redis.call('HMGET', tasks, unpack(ids))
  if is_first then redis.call('ZREMRANGEBYRANK', key, 0, count - 1) else redis.call('ZREM', key, unpack(ids)) end
  local found, at, number = {}, #out + 3, 0
  local refuse = string.find(table.concat(ids), '\n', 1, true) -- no id of ours: here they stand in lines
  for i = 1, count do
    if envelopes[i] and (ids[i] == '' or refuse and string.find(ids[i], '\n', 1, true)) then
      redis.call('HDEL', tasks, ids[i])
    elseif envelopes[i] then
      number = number + 1
      found[number] = ids[i]
      heads[number] = head_of(origin, line[2 * i], is_revoked(ids[i]))
      out[at + number] = envelopes[i]
    end
  end
  if number == 0 then return 0 end
  out[at - 2], out[at - 1] = table.concat(found, '\n') .. '\n', string.rep(origin, number)
  out[at] = is_plain and {} or histories(found)
  for i = 1, is_plain and 0 or number do out[at][i] = out[at][i] or '' end
  local fine, wrong = pcall(hold, held, fetch_number, heads, found)
  if fine then return number end
  for i = 1, 2 * count, 2 do redis.call('ZADD', key, line[i + 1], line[i]) end
  error(type(wrong) == 'table' and wrong.err or wrong, 0) -- the text: Redis 6.2 knows no errors that are tables
end

local function take(key, origin, out)
  local line = redis.call('ZRANGE', key, 0, math.min(room, MOST) - 1, 'WITHSCORES')
  if #line > 0 then hand_over(key, line, fitting(line), true, origin, out) end
end

-- The first suspect that may run beside so many as its worker's process runs; below 0: that runs one at a time, whatever it is.
local function take_suspect(out)
  local first = redis.call('ZRANGE', suspects, 0, 199, 'WITHSCORES')
  for i = 1, #first, 2 do
    if width < 0 or fits(width_of(redis.call('HGET', attempts, first[i])), width) then
      local envelope = redis.call('HGET', tasks, first[i])
      local origin = envelope and kind_of(envelope) == 'a' and 'y' or 'x'
      if hand_over(suspects, { first[i], first[i + 1] }, 1, false, origin, out) > 0 then return end
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

local FEW_MARKS = 100 -- so many are told as they are: who has none of them in hand knows better

local function revoked_in_hand()
  if marks == 0 then return {} end
  if marks <= FEW_MARKS then return redis.call('SMEMBERS', revoked) end
  local found = {}
  each_id(held, function(id)
    if is_revoked(id) then found[#found + 1] = id end
  end)
  return found
end

local function count_all()
  for what, by in pairs(tally) do count(stats, now, what, by) end
end

if #ARGV > 8 then
  local runs = read_runs()
  local ended, failed = finish(runs)
  announce_ended(runs, ended)
  if failed then
    count_all()
    return failed
  end
end
local out = {}
local head = { text(now), -1, 1, 0, 0, 0, 0, gone, revoked_in_hand() }
if room > 0 then
  for i = 1, #head do out[i] = head[i] end
  head = out
  head[3], head[7] = fetch(out)
end
count_all()
local first = redis.call('ZRANGE', scheduled, 0, 0, 'WITHSCORES')
if first[2] then head[2] = math.max(0, tonumber(first[2]) - now) end
head[4] = redis.call('ZCARD', kind == 'a' and ready or ready_async)
head[5] = redis.call('ZCARD', suspects)
head[6] = redis.call('SCARD', needs)
return head
