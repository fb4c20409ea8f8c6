-- Put back what a worker holds, at its old place, and deregister the worker once nothing is left. Some 800 a call.
-- KEYS 1 attempts 2 ready 3 ready:async 4 suspects 5 held:<worker> 6 workers 7 worker:<worker> 8 bell 9 bell:async 10 stats
-- ARGV 1 worker 2 'dead' (known to be) or 'lease' (only when its lease, or its registration, has run out) 3 line of JSON that says what happened
--      4 what that means for the charged: '-' their process died, 'L' it was lost with its host or its supervisor, 'T' it was
--      ended for their time limit, 'R' because they were revoked 5 how many ran side by side in that process
--      6 '*' to charge all, or '' 7… id to charge, '1' if it is not to run again
-- Returns { held tasks put back, records left to do, ids charged }; { -1 } when the worker still has its lease.
-- One that ran alone when its process died has one delivery more, and is a suspect that runs alone; of several that ran side by
-- side each has one shared death more, and is a suspect at its second. Suspects run in quarantine, so many side by side as
-- their `width` says; each death in which one ran halves it. See docs/decisions/0028 and 0029.
local attempts, ready, ready_async, suspects, held, workers = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local worker, bell, bell_async, stats = KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local worker_id, mode, cause, verdict, ran, everyone = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6]
local LOSSES, TOGETHER = 3, 4 -- hosts lost with a task until it is a suspect; how many such run side by side at first
local wrong = must_be('zset', ready, ready_async, suspects) or must_be('hash', attempts, held, worker)
if wrong then return wrong end
local now = now_ms()
local deadline = redis.call('ZSCORE', workers, worker_id)
if mode == 'lease' and (not deadline or math.abs(tonumber(deadline)) > now) then return { -1 } end
may_grow(held)
local told = telling(string.sub(ready, 1, -6), now)
local charged, all, accused = {}, everyone == '*', {}
for i = 7, #ARGV, 2 do accused[ARGV[i]] = ARGV[i + 1] end

local function half(width) return math.max(1, math.ceil(width / 2)) end

local function charge_death(a)
  if ran == 1 then
    a.deliveries, a.width = a.deliveries + 1, 1
    return
  end
  a.shared = a.shared + 1
  if a.width > 0 then
    a.width = half(math.min(a.width, ran))
  elseif a.shared >= 2 then
    a.width = half(ran)
  end
end

local function charge_loss(a)
  if a.width == 1 then
    a.deliveries = a.deliveries + 1 -- it was alone in quarantine
    return
  end
  a.lost = a.lost + 1
  if a.width > 0 then
    a.width = half(a.width)
  elseif a.lost >= LOSSES then
    a.width = TOGETHER
  end
end

local READY = { s = ready, a = ready_async, x = ready, y = ready_async, g = ready, h = ready_async, k = ready, l = ready_async }

-- Charge a task; return where it goes. What has nothing to run any more is ended by whoever fetches it next.
local function charge(id, origin)
  local a = history().split(redis.call('HGET', attempts, id))
  if verdict == '-' then charge_death(a) elseif verdict == 'L' then charge_loss(a) else a.verdict = verdict end
  a.errors = a.errors .. '\n' .. cause
  redis.call('HSET', attempts, id, history().join(a))
  charged[#charged + 1] = id
  told.add('lost', redis.call('HGET', string.sub(ready, 1, -6) .. 'tasks', id))
  local is_over = verdict == 'T' or verdict == 'R' or accused[id] == '1'
  return (is_over or a.width == 0) and READY[origin] or suspects
end

-- Of what has a slot, what goes back to its place in ready keeps it; a suspect waits for its process first.
local put_back = 0
local left = holds().let_go_all(held, function(id, origin, place)
  local set = holds().place_of(origin, ready, ready_async, suspects)
  if all or accused[id] then set = charge(id, origin) end
  redis.call('ZADD', set, place, id)
  if set == suspects then gates(ready).lanes().free(id) end
  put_back = put_back + 1
end)
if left == 0 then
  redis.call('ZREM', workers, worker_id)
  redis.call('DEL', worker)
end
if #charged > 0 then count(stats, now, 'lost', #charged) end
told.commit()
gates(ready).ring()
if redis.call('ZCARD', ready) + redis.call('ZCARD', suspects) > 0 then ring(bell, put_back + 1, ready) end
if redis.call('ZCARD', ready_async) > 0 then ring(bell_async, put_back + 1, ready_async) end
return { put_back, left, charged }
