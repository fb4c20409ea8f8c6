-- Finish what a worker has done and fetch what it has room for, in one trip.
-- KEYS 1 tasks 2 attempts 3 ready 4 ready:async 5 suspects 6 scheduled 7 held:<worker> 8 workers 9 worker:<worker>
--      10 bell 11 bell:async 12 seq 13 stats 14 paused 15 dead 16 dead:tasks 17-19 done 20 needs 21 waiters
--      22 dead:bytes 23 expiring 24 revoked 25 large 26 owned
-- ARGV 1 worker 2 fetch number 3 room (0: no fetch; below 0: what comes may start later) 4 kind to fetch ('s', 'a') 5 0, or: fetch a suspect, to run beside so many (-1: alone)
--      6 bytes at most 7 what the key of a result begins with 8 the same of parked:<need>; where something is settled
--      9 what is told of it, to be counted (see wire/account.py), and runs, of tasks that have the first four
--      of these in common: code, the record of `held` that they are in ('*': any), ms, extra, ids (each with a newline behind it),
--      and a blob for each where the code has some
--      codes: N replaced by a plan (blob: see replacing.lua; first: what comes may wait for what ends here), S success (blob), X end
--      without result, E end with another result (blob) (extra: what it sends to other queues, see
--      outbox.lua), D dead (blob; extra: its record), R retry
--      after ms (extra: attempts), P put back (extra: when it was fetched, in ms, if it was not started), K park (extra: need), L stay held: it has ended, and its outcome comes apart
-- Returns { now, ms until the next due task (-1: none), alive, size of the other kind's ready set, of the suspects,
--           number of needs, size of our kind's ready set after a fetch (of suspects: how many went to their lanes), ids that were gone,
--           ids that were revoked and are not to be started any more: those in hand among them; few others may be there as well,
--           ids that were fetched, each with a newline behind it, of each the set it came from, attempts of each or none, envelope, … }
--   alive: 0 the worker was given up; 2 a late fetch, refused; 3 refused, as the queue is newer: its schema stands in the place of the
--   size; 4 as 1, and tasks of some names are paused: these names are in one element more, the last.
--   10 more: something was posted for other queues.
--   Or { now, -1, 5 }, and nothing was done: there are steps of workflows, which are for the script that has STEPS 1. What has 0 pays for none
--   of what that can do.
local TASKS, ATTEMPTS, READY, READY_ASYNC, SUSPECTS, SCHEDULED = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local HELD, WORKERS, WORKER, BELL, BELL_ASYNC, SEQ = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12]
local STATS, PAUSED, DEAD, DEAD_TASKS = KEYS[13], KEYS[14], KEYS[15], KEYS[16]
local NEEDS, WAITERS, DEAD_BYTES, EXPIRING, REVOKED, LARGE = KEYS[20], KEYS[21], KEYS[22], KEYS[23], KEYS[24], KEYS[25]
local OWNED = KEYS[26]
local TRIES = 10 -- to find tasks whose gates are not shut
local NOTE_MS = 1000 -- after which it is noted with a worker's lease, once more, when it fetched
local HEAD_SIZE = 9 -- of what is returned, all but what was fetched
local DEAD_MS = 7776000000 -- the dead are kept for 90 days
local DONE_1, DONE_2, DONE_3 = KEYS[17], KEYS[18], KEYS[19]
local WORKER_ID, FETCH_NUMBER, KIND, RESULTS, PARKED_FOR = ARGV[1], ARGV[2], ARGV[4], ARGV[7], ARGV[8]
local room, width, most_bytes = tonumber(ARGV[3]), tonumber(ARGV[5]), tonumber(ARGV[6])
local is_later = room < 0
if is_later then room = -room end
local now = now_ms()
local own = KIND == 'a' and READY_ASYNC or READY
local gone, tally = {}, {}
local is_paused, is_plain = false, true -- no task of which more is kept than itself; 'owned': than who owns its result
local has_more, has_owned
local marks, owners, pauses = 0, nil, nil
local free_unique -- lets go of the keys of those that ended
local buried -- of those, the dead, if there are any
local is_replacing = STEPS == 1 and ARGV[10] == 'N'
if STEPS == 1 then -- the last one is asked for as often as there are others, and once more, so that one question answers for it apart from them
  local kept = redis.call('EXISTS', PAUSED, ATTEMPTS, EXPIRING, REVOKED, LARGE, OWNED, OWNED, OWNED, OWNED, OWNED, OWNED)
  has_more, has_owned = kept % 6 > 0, kept > 5
else
  has_more = redis.call('EXISTS', PAUSED, ATTEMPTS, EXPIRING, REVOKED, LARGE, OWNED) > 0
end
if has_more then
  local kept = redis.call('EXISTS', ATTEMPTS, EXPIRING, REVOKED, LARGE, OWNED, OWNED, OWNED, OWNED, OWNED)
  is_plain, has_owned = kept % 5 == 0, kept > 4
end
if has_owned or is_replacing then
  -- include owning
  owners = owning(OWNED, now, STEPS == 1 and are_unused(string.sub(TASKS, 1, -6)))
  is_plain = is_plain and 'owned'
end
if has_more then
  local lines = redis.pcall('GET', PAUSED)
  is_paused = type(lines) == 'table' -- of the wrong type: nothing is fetched
  if type(lines) == 'string' then
    -- include pausing
    pauses = pausing(string.sub(TASKS, 1, -6), lines, history, gates)
    is_paused = pauses.is_all(lines)
    if is_paused then pauses = nil end -- they are of names
  end
  marks = redis.pcall('SCARD', REVOKED) -- of the wrong type: nothing is revoked
end
if type(marks) == 'table' then marks = 0 end

local function is_revoked(id) return marks > 0 and redis.call('SISMEMBER', REVOKED, id) == 1 end

-- Have it counted what a worker says of what it has done, but for what was not its own any more, or was not carried out.
local function tell(undone)
  local told, tag = ARGV[9], string.sub(TASKS, 1, -6)
  if told == '' then return end
  if #undone > 0 then
    local ids = table.concat(undone, '\n')
    told = '\3' .. struct.pack('>I4', #ids) .. ids .. told
  end
  local length = redis.pcall('RPUSH', tag .. 'accounts', told)
  if type(length) == 'number' and (length == 1 or length % 100 == 0) then
    -- include accounts
    look_after_accounts(tag, now, told, length)
  end
end

-- What a worker has done. Gives back the error that stopped it, if one did.
local function settle()
  local done, undone = { DONE_1, DONE_2, DONE_3 }, {}

  -- The runs of this call.
  local function read_runs()
    local runs, at = {}, 10
    while at <= #ARGV do
      local run = { code = ARGV[at], field = ARGV[at + 1], ms = ARGV[at + 2], extra = ARGV[at + 3], text = ARGV[at + 4], ids = lines_of(ARGV[at + 4]) }
      run.ends, run.blobs = string.find('SXED', run.code, 1, true), string.find('SEDN', run.code, 1, true) and at + 4
      at = at + 5 + (run.blobs and #run.ids or 0)
      runs[#runs + 1] = run
    end
    return runs
  end

  local function blob_of(run, n) return run.blobs and ARGV[run.blobs + n] or '' end

  -- What becomes of a task that has not ended, and of one that died besides: few have these functions made.
  local function carry_out_other(id, run, code, head)
    local function bury(id, record, envelope)
      -- include dead_list
      buried = buried or {}
      buried[id] = true
      local entry = record .. '\n' .. (envelope or '')
      local kept = redis.pcall('HSTRLEN', string.sub(TASKS, 1, -6) .. 'checkpoints', id)
      kept = type(kept) == 'number' and kept or 0
      drop_dead(DEAD, DEAD_TASKS, DEAD_BYTES, id, true)
      redis.call('HSET', DEAD_TASKS, id, entry)
      redis.call('ZADD', DEAD, text(now), id)
      local bytes, number = redis.pcall('INCRBY', DEAD_BYTES, #entry + kept), redis.call('ZCARD', DEAD)
      if type(bytes) == 'table' then bytes = 0 end
      for _ = 2, number do -- of what died last, and is larger than all that may be kept, one is kept
        local oldest = redis.call('ZRANGE', DEAD, 0, 0, 'WITHSCORES')
        if number <= MOST_DEAD and bytes <= MOST_DEAD_BYTES and tonumber(oldest[2]) > now - DEAD_MS then return end
        bytes = drop_dead(DEAD, DEAD_TASKS, DEAD_BYTES, oldest[1])
        if owners then owners.end_dead(oldest[1]) end
        number = number - 1
        tally.dropped = (tally.dropped or 0) + 1
      end
    end

    local function again(id, delay, value)
      redis.call('HSET', ATTEMPTS, id, value)
      is_plain = false
      if delay > 0 then return redis.call('ZADD', SCHEDULED, text(now + delay), id) end
      local envelope = redis.call('HGET', TASKS, id)
      if envelope and not (made_gates and made_gates.lanes().enter_again(id, new_place(SEQ, envelope))) then
        redis.call('ZADD', kind_of(envelope) == 'a' and READY_ASYNC or READY, new_place(SEQ, envelope), id)
      end
    end

    local function park(id, place, need)
      local a = history().split(redis.call('HGET', ATTEMPTS, id))
      a.need = need
      redis.call('SADD', NEEDS, need) -- first: a key of the wrong type leaves it in no two places
      redis.call('HSET', ATTEMPTS, id, history().join(a))
      is_plain = false
      redis.call('ZADD', PARKED_FOR .. need, place, id)
    end

    if code == 'D' then
      return bury(id, run.extra, redis.call('HGET', TASKS, id))
    elseif code == 'R' then
      return again(id, tonumber(run.ms), run.extra)
    elseif code == 'L' then
      return holds().keep_apart(HELD, id, head)
    end
    local set, place = holds().place_of(head, READY, READY_ASYNC, SUSPECTS)
    if code == 'P' then return redis.call('ZADD', set, place, id) end
    park(id, place, run.extra)
  end

  -- What may meet a key of the wrong type comes before what is to happen once: the slot goes on, and what it sends is posted, last.
  local function carry_out_one(run, n, code, head)
    local id, letter = run.ids[n], string.byte(head)
    local has_slot = letter ~= 115 and letter ~= 97 and string.find(head, '^[ghklGHKL]') -- not s, nor a
    if STEPS == 1 and code == 'N' then
      local function give_up()
        if has_slot then gates(READY).pass_on(id, 'X', head, '', run.ids) end
        if has_slot then gates(READY).pass_slots() end
      end
      is_plain = false
      replacing(READY, owners, now, SEQ).replace(id, blob_of(run, n), give_up)
      return
    end
    if not run.ends then
      if has_slot then gates(READY).pass_on(id, code, head, run.extra, run.ids) end
      return carry_out_other(id, run, code, head)
    end
    if code == 'D' then redis.call('ZCARD', DEAD) redis.call('HLEN', DEAD_TASKS) end -- of the wrong type: nothing is written
    local post
    if run.extra ~= '' and code ~= 'D' then
      -- include outbox
      post = posting(string.sub(RESULTS, 1, -#'result:' - 1))(run.extra)
    end
    if owners then
      local verb = code == 'D' and 'D' or code == 'E' and 'V' or 'S' -- what that means for steps behind it, see steps.lua
      owners.keep(done, id, blob_of(run, n), run.ms, run.owned[2 * n - 1], verb, (code == 'D' and 'F' or 'R') .. id, code == 'S')
    else
      keep_record(done, now, id, blob_of(run, n), run.ms, RESULTS .. id)
    end
    if code == 'D' then carry_out_other(id, run, code, head) end
    if has_slot then gates(READY).pass_on(id, code, head, '', run.ids) end
    if post then post() end
    if owners and code ~= 'D' then owners.note_over(id, run.owned[2 * n]) end
    if has_slot then free_unique = gates(READY).unique().note_end(id) or free_unique end
  end

  -- Carry out a run for those of its tasks that this worker still holds; the others are gone. A key of the wrong type stops a script in
  -- its middle: what was not carried out is held again, and can be settled again.
  local function carry_out(run, ended)
    local heads, before, moved = {}, nil, 0
    local fine, failed = pcall(function()
      if run.field == '*' then
        for n, id in ipairs(run.ids) do heads[n] = holds().let_go_one(HELD, id) end
      else
        heads, before = let_go(HELD, run.field, run.text, run.ids)
      end
      if owners and run.ends then
        run.owned = owners.of(run.ids)
        if STEPS == 1 and owners.are_awaited(run.owned) then following(READY, owners, now) end
      end
      for n, id in ipairs(run.ids) do
        local code = run.code
        if heads[n] then
          -- Parked, nobody might ever fetch it, and end it; and nothing is to come in its place.
          if (code == 'K' or code == 'N') and is_revoked(id) then code, undone[#undone + 1] = 'P', id end
          carry_out_one(run, n, code, heads[n])
          if run.ends then ended[#ended + 1] = id end
          tally[code] = (tally[code] or 0) + 1
        else
          gone[#gone + 1] = id
        end
        moved = n
      end
    end)
    if fine then return end
    holds().hold_again(HELD, run.field, before, run.ids, heads, moved)
    for n = moved + 1, #run.ids do undone[#undone + 1] = run.ids[n] end
    return failure(failed)
  end

  local function forget(ended)
    if #ended == 0 then return end
    redis.call('HDEL', TASKS, unpack(ended))
    if is_plain then return end
    redis.call('HDEL', ATTEMPTS, unpack(ended))
    redis.pcall('ZREM', EXPIRING, unpack(ended))
    redis.pcall('SREM', REVOKED, unpack(ended))
    redis.pcall('SREM', LARGE, unpack(ended))
    local checkpoints = string.sub(TASKS, 1, -6) .. 'checkpoints'
    if redis.call('EXISTS', checkpoints) == 0 then return end
    for _, id in ipairs(ended) do -- what the dead have kept for their next run stays, as they may have one
      if not (buried and buried[id]) then redis.pcall('HDEL', checkpoints, id) end
    end
  end

  local function finish(runs)
    local ended, failed = {}, nil
    may_grow(TASKS) -- of the wrong type, it stops us here: what has ended is removed from it last, and would run again
    for n, run in ipairs(runs) do
      failed = carry_out(run, ended)
      if failed then
        for after = n + 1, #runs do
          for _, id in ipairs(runs[after].ids) do undone[#undone + 1] = id end
        end
        break
      end
    end
    if owners then owners.write_kept() end
    forget(ended)
    if made_gates then made_gates.pass_slots() end
    if free_unique then free_unique() end
    if owners then owners.end_noted() end
    return ended, failed
  end

  local function announce_ended(runs, ended)
    if #ended == 0 then return end
    if STEPS == 1 and made_following then -- which has asked
      if not made_following.has_waiters then return end
    elseif redis.call('EXISTS', WAITERS) == 0 then
      return
    end
    local replies, waiting = redis.call('HMGET', WAITERS, unpack(ended)), {}
    for n, id in ipairs(ended) do
      if replies[n] then waiting[id] = replies[n] end
    end
    if not next(waiting) then return end
    redis.call('HDEL', WAITERS, unpack(ended))
    for _, run in ipairs(runs) do
      for n, id in ipairs(run.ids) do
        if waiting[id] and run.ends then
          announce_end(waiting[id], id, blob_of(run, n))
          waiting[id] = nil
        end
      end
    end
  end

  local runs = read_runs()
  local ended, failed = finish(runs)
  for _, id in ipairs(gone) do undone[#undone + 1] = id end
  tell(undone)
  announce_ended(runs, ended)
  return failed
end

-- As many tasks as there is room for. Gives back whether the worker is known, and how many are left.
local function fetch(out)
  -- How many of the first of a ready set, ids and places in turn, go out together. Their sizes are asked for as it goes, so that no
  -- more is read than is handed over, whatever stands behind it.
  local function fitting(line)
    local all, total, limit = #line / 2, 0, most_bytes
    local are_small = is_plain or redis.call('EXISTS', LARGE) == 0
    if all == 1 or (are_small and all * SMALL_TASK <= limit) then return all end
    for i = 1, #line, 2 do
      total = total + redis.call('HSTRLEN', TASKS, line[i])
      if total > limit and i > 1 then return (i - 1) / 2 end
    end
    return all
  end

  local function histories(ids, is_plain)
    local found = {}
    if is_plain then
      for i = 1, #ids do found[i] = false end
    else
      found = redis.call('HMGET', ATTEMPTS, unpack(ids))
    end
    for i = 1, #ids do
      if is_revoked(ids[i]) then found[i] = history().as_revoked(found[i]) end
    end
    if owners then owners.as_wanted(ids, found) end
    return found
  end

  -- Hand over so many of a line of ids and places, which stand in a set (first there, or not). Returns how many tasks these are,
  -- and how many had to go to their lanes.
  local function hand_over(key, line, count, is_first, origin, out)
    local ids, heads = {}, {}
    local begin_unique
    for i = 1, count do ids[i] = line[2 * i - 1] end
    local known = STEPS == 1 and count == 1 and made_following and made_following.envelopes[ids[1]]
    local envelopes, has_gates = known and { known } or redis.call('HMGET', TASKS, unpack(ids)), false
    for i = 1, count do
      if envelopes[i] and (string.byte(envelopes[i], 4) or 0) % 32 > 7 then has_gates = true end
    end
    if has_gates then
      local most = gates(READY).together(envelopes, count, KIND, is_later)
      for i = count, most + 1, -1 do ids[i] = nil end
      count = most
      if count == 0 then return 0, 0 end
    end
    if STEPS == 1 and made_following and made_following.has_told then is_plain = false end
    local past = is_plain ~= true and histories(ids, is_plain) -- before anything is written: a key of the wrong type stops us here
    if is_first then redis.call('ZREMRANGEBYRANK', key, 0, count - 1) else redis.call('ZREM', key, unpack(ids)) end
    local found, pasts, at, number, to_lanes = {}, {}, #out + 3, 0, 0
    local refuse = string.find(table.concat(ids), '\n', 1, true) -- no id of ours: here they stand in lines
    for i = 1, count do
      if envelopes[i] and (ids[i] == '' or refuse and string.find(ids[i], '\n', 1, true)) then
        redis.call('HDEL', TASKS, ids[i])
      elseif envelopes[i] then
        local letter, flags = origin, has_gates and (string.byte(envelopes[i], 4) or 0) % 32 or 0
        if flags > 7 then letter = gates(READY).admit(ids[i], line[2 * i], envelopes[i], origin) end
        if letter and flags > 15 then letter, begin_unique = gates(READY).unique().begin(ids[i], envelopes[i], letter, begin_unique) end
        if letter then
          number = number + 1
          found[number] = ids[i]
          if past then pasts[number] = past[i] or '' end
          heads[number] = head_of(letter, line[2 * i], is_revoked(ids[i]))
          out[at + number] = envelopes[i]
        else
          to_lanes = to_lanes + 1
        end
      end
    end
    if has_gates then gates(READY).pass_slots() end
    if number == 0 then return 0, to_lanes end
    out[at - 2], out[at - 1] = table.concat(found, '\n') .. '\n', string.rep(origin, number)
    out[at] = pasts
    local fine, wrong = pcall(hold, HELD, FETCH_NUMBER, heads, found)
    if fine and begin_unique then begin_unique() end
    if fine then return number, to_lanes end
    for i = 1, number do redis.call('ZADD', key, string.sub(heads[i], 2), found[i]) end
    error(type(wrong) == 'table' and wrong.err or wrong, 0) -- the text: Redis 6.2 knows no errors that are tables
  end

  -- Gives back whether the set is empty now, where that is known.
  local function take(key, origin, out)
    if pauses then is_plain = false end
    for _ = 1, TRIES do
      if pauses and not pauses.are_set_aside(key, room, fitting) then return end
      local line = redis.call('ZRANGE', key, 0, math.min(room, MOST) - 1, 'WITHSCORES')
      if #line == 0 then return end
      local count = fitting(line)
      local number, to_lanes = hand_over(key, line, count, true, origin, out)
      if number == count then return 2 * count == #line and count < room and count < MOST and not pauses end
      if number > 0 or to_lanes == 0 then return end -- else all of them are at shut gates
    end
  end

  -- The first suspect that may run beside so many as its worker's process runs; below 0: that runs one at a time, whatever it is.
  -- Returns how many had to go to their lanes.
  local function take_suspect(out)
    local all_to_lanes = 0
    local first = redis.call('ZRANGE', SUSPECTS, 0, 199, 'WITHSCORES')
    for i = 1, #first, 2 do
      local is_aside = pauses and pauses.set_aside(SUSPECTS, { first[i], first[i + 1] }, 1) > 0
      if not is_aside and (width < 0 or history().fits(history().width_of(redis.call('HGET', ATTEMPTS, first[i])), width)) then
        local envelope = redis.call('HGET', TASKS, first[i])
        local origin = envelope and kind_of(envelope) == 'a' and 'y' or 'x'
        local number, to_lanes = hand_over(SUSPECTS, { first[i], first[i + 1] }, 1, false, origin, out)
        all_to_lanes = all_to_lanes + to_lanes
        if number > 0 then break end
      end
    end
    return all_to_lanes
  end

  local score = redis.call('ZSCORE', WORKERS, WORKER_ID)
  if not score then return 0, 0 end
  local own_bell = KIND == 'a' and BELL_ASYNC or BELL
  local known = redis.call('HMGET', WORKER, 'fetch', 'lease')
  local last = tonumber(known[1] or '0')
  if not last then -- what keeps a worker of an older version from fetching, at no cost to others: see upgrade.lua
    local newer = redis.call('GET', string.sub(TASKS, 1, -6) .. 'schema:' .. SCHEMA + 1)
    if newer then
      -- The ring that brought us here was for somebody else.
      if redis.call('EXISTS', own) == 1 and redis.pcall('LLEN', own_bell) == 0 then redis.call('LPUSH', own_bell, '1') end
      return 3, tonumber(newer)
    end
  end
  if (last or 0) >= tonumber(FETCH_NUMBER) then return 2, 0 end
  local to_lanes, is_emptied = 0, false
  if not is_paused then
    if width == 0 then is_emptied = take(own, KIND, out) else to_lanes = take_suspect(out) end
  end
  if #out > HEAD_SIZE then begin_lease(WORKERS, WORKER_ID, score, now, known[2]) end
  local lease = known[2]
  if not lease or now - (tonumber(string.sub(lease, -13)) or 0) < NOTE_MS then
    redis.call('HSET', WORKER, 'fetch', FETCH_NUMBER)
  else -- by which people are told since when a task runs
    lease = (string.match(lease, '^%d+') or LEASE_MS) .. ' ' .. FETCH_NUMBER .. ' ' .. text(now)
    redis.call('HSET', WORKER, 'fetch', FETCH_NUMBER, 'lease', lease)
  end
  local left = is_emptied and not made_gates and 0 or redis.call('ZCARD', own)
  if left > 0 and not is_paused and redis.pcall('LLEN', own_bell) == 0 then redis.call('LPUSH', own_bell, '1') end
  return 1, width == 0 and left or to_lanes
end

local function count_all()
  if not next(tally) then return end
  local NAMES = { S = 'succeeded', E = 'ended', D = 'failed', R = 'retried', P = 'put_back', K = 'parked', N = 'replaced', dropped = 'dead_dropped' }
  tally.S, tally.X = (tally.S or 0) + (tally.X or 0), nil
  for what, by in pairs(tally) do
    if NAMES[what] and by > 0 then count(STATS, now, NAMES[what], by) end
  end
end

if STEPS == 0 and owners and owners.has_steps() then return { text(now), -1, 5 } end
local failed = #ARGV > 8 and settle()
if STEPS == 1 and owners and (made_following or redis.call('EXISTS', string.sub(RESULTS, 1, -#'result:' - 1) .. 'steps:todo') == 1) then
  following(READY, owners, now).follow()
end
if failed then
  count_all()
  if made_gates then made_gates.ring() end
  if STEPS == 1 and made_following then made_following.ring() end
  return failed
end
local FEW_MARKS = 100 -- so many are told as they are: who has none of them in hand knows better
local revoked_in_hand = {}
if marks > FEW_MARKS then
  holds().each_id(HELD, function(id)
    if is_revoked(id) then revoked_in_hand[#revoked_in_hand + 1] = id end
  end)
elseif marks > 0 then
  revoked_in_hand = redis.call('SMEMBERS', REVOKED)
end
local out = {}
local head = { text(now), -1, 1, 0, 0, 0, 0, gone, revoked_in_hand }
if room > 0 then
  for i = 1, #head do out[i] = head[i] end
  head = out
  head[3], head[7] = fetch(out)
end
count_all()
if made_gates then made_gates.ring(room > 0 and head[3] == 1 and KIND) end -- for its own kind, a fetch has rung
if STEPS == 1 and made_following then made_following.ring(room > 0 and head[3] == 1 and KIND) end
local other = KIND == 'a' and READY or READY_ASYNC
if redis.call('EXISTS', SCHEDULED, other, SUSPECTS, NEEDS) > 0 then
  local first = redis.call('ZRANGE', SCHEDULED, 0, 0, 'WITHSCORES')
  if first[2] then head[2] = math.max(0, tonumber(first[2]) - now) end
  head[4], head[5], head[6] = redis.call('ZCARD', other), redis.call('ZCARD', SUSPECTS), redis.call('SCARD', NEEDS)
  if pauses then head[6] = pauses.open_needs() end
end
if STEPS == 1 and made_abroad then head[3] = head[3] + 10 end
if pauses and head[3] % 10 == 1 then head[3], head[#head + 1] = head[3] + 3, pauses.names() end
return head
