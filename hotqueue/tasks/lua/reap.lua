-- Put back what a worker holds, at its old place, and strike the worker off once nothing is left. At most 1,000 a call.
-- KEYS 1 attempts 2 ready 3 ready:async 4 ready:alone 5 held:<worker> 6 workers 7 worker:<worker> 8 bell 9 bell:async 10 stats
-- ARGV 1 worker 2 'dead' (known to be) or 'lease' (only when its lease has run out) 3 line of JSON that says what happened
--      4 verdict for the charged ('-', 'T': ran into its time limit, 'R': was revoked) 5 '*' to charge all, or '' 6… ids to charge
-- A charged task goes to ready:alone and has one delivery more (none with a verdict: its process was ended by us);
-- the others go back where they came from.
-- Returns { held tasks put back, left to do, ids charged }; { -1 } when the worker still has its lease.
local wrong = must_be('zset', KEYS[2], KEYS[3], KEYS[4]) or must_be('hash', KEYS[1], KEYS[5], KEYS[7])
if wrong then return wrong end
local now = now_ms()
local deadline = redis.call('ZSCORE', KEYS[6], ARGV[1])
if ARGV[2] == 'lease' and (not deadline or tonumber(deadline) > now) then return { -1 } end
local charged, all, accused = {}, ARGV[5] == '*', {}
for i = 6, #ARGV do accused[ARGV[i]] = true end

local function charge(id)
  local a = split_attempts(redis.call('HGET', KEYS[1], id))
  if ARGV[4] == '-' then a[2] = a[2] + 1 end
  a[5] = ARGV[4]
  a[6] = a[6] .. '\n' .. ARGV[3]
  redis.call('HSET', KEYS[1], id, join_attempts(a))
  charged[#charged + 1] = id
end

local ORIGIN = { s = KEYS[2], a = KEYS[3], x = KEYS[4] }
local all_held = redis.call('HLEN', KEYS[5])
-- Which ones come first does not matter: each goes back to its place. A dead worker may have left very many.
local held = all_held > 400 and redis.call('HRANDFIELD', KEYS[5], 200, 'WITHVALUES') or redis.call('HGETALL', KEYS[5])
local last = #held
for i = 1, last, 2 do
  local id = held[i]
  local _, origin, place = split_held(held[i + 1])
  redis.call('HDEL', KEYS[5], id)
  if all or accused[id] then
    charge(id)
    origin = 'x'
  end
  redis.call('ZADD', ORIGIN[origin], place, id)
end
if last / 2 == all_held then
  redis.call('ZREM', KEYS[6], ARGV[1])
  redis.call('DEL', KEYS[7])
end
if #charged > 0 then count(KEYS[10], now, 'lost', #charged) end
if redis.call('ZCARD', KEYS[2]) + redis.call('ZCARD', KEYS[4]) > 0 then ring(KEYS[8], last / 2 + 1) end
if redis.call('ZCARD', KEYS[3]) > 0 then ring(KEYS[9], last / 2 + 1) end
return { last / 2, all_held - last / 2, charged }
