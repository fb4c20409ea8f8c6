-- A supervisor's beat for one queue: renew the leases of its workers, then survey the queue; ring where a ring was lost.
-- KEYS 1 workers 2 scheduled 3 control 4 tasks 5 ready 6 ready:async 7 suspects 8 bell 9 bell:async 10 paused 11 expiring 12 owned:over
--      13 outbox 14 receipts
-- ARGV 1 lease in ms (0: change nothing) 2… own workers
-- Returns { now, ms until the next due task (-1: none), own workers that were given up, { other worker, deadline, … },
--           { id of a running task to be stopped, the record to end it with, … } (at most STOPS), how many unfinished tasks, how
--           many suspects, what else is to be done, a sum of: 1 tasks wait past their expiry, 2 results are to be let go of,
--           4 there is something for other queues, 8 something came from others }; at a queue that is newer than we are, its schema
--           behind that, and none of it.
-- Leases come first: whatever any other key holds, nobody loses what he runs by it.
local workers, scheduled, control, tasks, ready, ready_async = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local suspects, bell, bell_async, paused, expiring = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local owned_over, outbox, receipts = KEYS[12], KEYS[13], KEYS[14]
local LONGEST = 120000 -- ms that any lease runs
local STOPS = 100 -- each takes a supervisor two requests; of more, some are told at random, and the others the next time
local now, lease = now_ms(), tonumber(ARGV[1])
redis.pcall('HDEL', control, '') -- as may_grow
local own, gone, others, renewed = {}, {}, {}, {}
for i = 2, #ARGV do
  own[ARGV[i]] = true
  renewed[#renewed + 1] = text(now + lease)
  renewed[#renewed + 1] = ARGV[i]
end
if #renewed > 0 and redis.call('ZADD', workers, 'XX', 'CH', unpack(renewed)) < #renewed / 2 then
  for i = 2, #ARGV do
    if not redis.call('ZSCORE', workers, ARGV[i]) then gone[#gone + 1] = ARGV[i] end
  end
end

local newer_key = string.sub(tasks, 1, -6) .. 'schema:' .. SCHEMA + 1
local is_idle = redis.call('EXISTS', scheduled, control, tasks, suspects, expiring, owned_over, outbox, receipts, newer_key) == 0
local newer = not is_idle and redis.call('GET', newer_key)
if newer then return { text(now), -1, gone, {}, {}, 0, 0, 0, tonumber(newer) } end

-- A lease that runs for longer than any is from before the clock was put back. Whoever lives renews it within a second.
local function plausible(worker, deadline)
  if lease == 0 or tonumber(deadline) <= now + math.max(LONGEST, lease) then return deadline end
  redis.call('ZADD', workers, 'XX', text(now + lease), worker)
  return text(now + lease)
end

local all = redis.call('ZRANGE', workers, 0, 999, 'WITHSCORES')
for i = 1, #all, 2 do
  if not own[all[i]] then
    others[#others + 1] = all[i]
    others[#others + 1] = plausible(all[i], all[i + 1])
  end
end

-- Of a queue in which there is nothing, that is all: there may be many.
if is_idle then
  return { text(now), -1, gone, others, {}, 0, 0, 0 }
end

-- Every wake token may be lost with whoever had it: while there is work, a bell that holds none is rung, for several, as more than
-- one may be stopped.
local function ring_again(which, waiting)
  local tokens = redis.pcall('LLEN', which)
  if tokens == 0 and redis.call('EXISTS', waiting) > 0 then ring(which, BELLS, waiting) end
end

local unfinished = redis.call('HLEN', tasks)
if unfinished > 0 and lease > 0 and redis.call('EXISTS', paused) == 0 then
  ring_again(bell, ready)
  ring_again(bell_async, ready_async)
end
local first = redis.call('ZRANGE', scheduled, 0, 0, 'WITHSCORES')
local due = first[2] and math.max(0, tonumber(first[2]) - now) or -1
local earliest = redis.pcall('ZRANGE', expiring, 0, 0, 'WITHSCORES')
local chores = ((tonumber(earliest[2]) or math.huge) <= now and 1 or 0)
  + 2 * redis.call('EXISTS', owned_over) + 4 * redis.call('EXISTS', outbox) + 8 * redis.call('EXISTS', receipts)
local suspected = redis.pcall('ZCARD', suspects) -- of the wrong type: fetch says so
if type(suspected) == 'table' then suspected = 0 end
local stops = redis.call('HLEN', control) > STOPS and redis.call('HRANDFIELD', control, STOPS, 'WITHVALUES')
  or redis.call('HGETALL', control)
return { text(now), due, gone, others, stops, unfinished, suspected, chores }
