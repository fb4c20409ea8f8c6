-- Put back what a worker holds, at its old place, and strike the worker off once nothing is left. At most 1,000 a call.
-- KEYS 1 attempts 2 ready 3 ready:async 4 suspects 5 held:<worker> 6 workers 7 worker:<worker> 8 bell 9 bell:async 10 stats
-- ARGV 1 worker 2 'dead' (known to be) or 'lease' (only when its lease has run out) 3 line of JSON that says what happened
--      4 what that means for the charged: '-' their process died, 'L' it was lost with its host or its supervisor, 'T' it was
--      ended for their time limit, 'R' because they were revoked 5 how many ran side by side in that process
--      6 '*' to charge all, or '' 7… id to charge, '1' if it is not to run again
-- Returns { held tasks put back, left to do, ids charged }; { -1 } when the worker still has its lease.
-- One that ran alone when its process died has one delivery more, and is a suspect that runs alone; of several that ran side by
-- side each has one shared death more, and is a suspect at its second. Suspects run in quarantine, so many side by side as
-- their `width` says; each death in which one ran halves it. See docs/decisions/0028 and 0029.
local LOSSES, TOGETHER = 3, 4 -- hosts lost with a task until it is a suspect; how many such run side by side at first
local wrong = must_be('zset', KEYS[2], KEYS[3], KEYS[4]) or must_be('hash', KEYS[1], KEYS[5], KEYS[7])
if wrong then return wrong end
local now = now_ms()
local deadline = redis.call('ZSCORE', KEYS[6], ARGV[1])
if ARGV[2] == 'lease' and (not deadline or tonumber(deadline) > now) then return { -1 } end
local what, ran = ARGV[4], tonumber(ARGV[5])
local charged, all, accused = {}, ARGV[6] == '*', {}
for i = 7, #ARGV, 2 do accused[ARGV[i]] = ARGV[i + 1] end

local function half(width) return math.max(1, math.ceil(width / 2)) end

local function charge_death(a)
  if ran == 1 then
    a[2], a[9] = a[2] + 1, 1
    return
  end
  a[7] = a[7] + 1
  if a[9] > 0 then
    a[9] = half(math.min(a[9], ran))
  elseif a[7] >= 2 then
    a[9] = half(ran)
  end
end

local function charge_loss(a)
  if a[9] == 1 then
    a[2] = a[2] + 1 -- it was alone in quarantine
    return
  end
  a[8] = a[8] + 1
  if a[9] > 0 then
    a[9] = half(a[9])
  elseif a[8] >= LOSSES then
    a[9] = TOGETHER
  end
end

local READY, SUSPECTS = { s = KEYS[2], a = KEYS[3], x = KEYS[2], y = KEYS[3] }, KEYS[4]

-- Charge a task; return where it goes. What has nothing to run any more is told so by whoever fetches it next.
local function charge(id, origin)
  local a = split_attempts(redis.call('HGET', KEYS[1], id))
  if what == '-' then charge_death(a) elseif what == 'L' then charge_loss(a) else a[5] = what end
  a[6] = a[6] .. '\n' .. ARGV[3]
  redis.call('HSET', KEYS[1], id, join_attempts(a))
  charged[#charged + 1] = id
  local is_over = what == 'T' or what == 'R' or accused[id] == '1'
  return (is_over or a[9] == 0) and READY[origin] or SUSPECTS
end

local ORIGIN = { s = KEYS[2], a = KEYS[3], x = KEYS[4], y = KEYS[4] }
local all_held = redis.call('HLEN', KEYS[5])
-- Which ones come first does not matter: each goes back to its place. A dead worker may have left very many.
local held = all_held > 400 and redis.call('HRANDFIELD', KEYS[5], 200, 'WITHVALUES') or redis.call('HGETALL', KEYS[5])
local last = #held
for i = 1, last, 2 do
  local id = held[i]
  local _, origin, place = split_held(held[i + 1])
  redis.call('HDEL', KEYS[5], id)
  redis.call('ZADD', (all or accused[id]) and charge(id, origin) or ORIGIN[origin], place, id)
end
if last / 2 == all_held then
  redis.call('ZREM', KEYS[6], ARGV[1])
  redis.call('DEL', KEYS[7])
end
if #charged > 0 then count(KEYS[10], now, 'lost', #charged) end
if redis.call('ZCARD', KEYS[2]) + redis.call('ZCARD', KEYS[4]) > 0 then ring(KEYS[8], last / 2 + 1, KEYS[2]) end
if redis.call('ZCARD', KEYS[3]) > 0 then ring(KEYS[9], last / 2 + 1, KEYS[3]) end
return { last / 2, all_held - last / 2, charged }
