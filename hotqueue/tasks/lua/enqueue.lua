-- Store tasks under their ids, unless an id is known already; place or schedule them; ring.
-- KEYS 1 tasks 2 attempts 3 ready 4 ready:async 5 scheduled 6 seq 7 bell 8 bell:async 9 dead:tasks 10-12 done 13 stats
--      14… result:<id> of each task
-- ARGV per task: id, due ('', '+ms' or ms), expires (the same), envelope
-- Returns one number a task: 1 stored, 0 known already.
-- The place is written before the task: an error in between leaves a place without a task, which fetch throws away.
local done = { KEYS[10], KEYS[11], KEYS[12] }
local now = now_ms()
local answers, stored, sync, async, earliest = {}, 0, 0, 0, nil

local function is_known(id, result)
  return redis.call('HEXISTS', KEYS[1], id) == 1 or redis.call('EXISTS', result) == 1
    or redis.call('HEXISTS', KEYS[9], id) == 1 or is_done(done, id)
end

local function store(id, due, expires, envelope)
  if expires then redis.call('HSET', KEYS[2], id, '0 0 - ' .. text(expires) .. ' -') end
  if due and due > now then
    redis.call('ZADD', KEYS[5], text(due), id)
    if redis.call('ZRANGE', KEYS[5], 0, 0)[1] == id then earliest = true end
  elseif kind_of(envelope) == 'a' then
    redis.call('ZADD', KEYS[4], new_place(KEYS[6], envelope), id)
    async = async + 1
  else
    redis.call('ZADD', KEYS[3], new_place(KEYS[6], envelope), id)
    sync = sync + 1
  end
  redis.call('HSET', KEYS[1], id, envelope)
end

for i = 1, #ARGV, 4 do
  local n = (i + 3) / 4
  local id = ARGV[i]
  if is_known(id, KEYS[13 + n]) then
    answers[n] = 0
  else
    store(id, instant(ARGV[i + 1], now), instant(ARGV[i + 2], now), ARGV[i + 3])
    answers[n] = 1
    stored = stored + 1
  end
end
if sync > 0 or earliest then ring(KEYS[7], math.max(sync, 1)) end
if async > 0 then ring(KEYS[8], async) end
if stored > 0 then count(KEYS[13], now, 'enqueued', stored) end
return answers
