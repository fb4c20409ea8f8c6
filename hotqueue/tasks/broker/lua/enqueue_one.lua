-- Store one task that may run at once, unless its id is known already; ring. What `delay` sends: no prelude, few calls.
-- KEYS 1 tasks 2 ready or ready:async 3 seq 4 the bell of that 5 dead:tasks 6-8 done 9 stats 10 large 11 result:<id>
-- ARGV 1 id 2 envelope
-- Returns 1 stored, 0 known already.
local id, envelope, call, pcall = ARGV[1], ARGV[2], redis.call, redis.pcall
if call('EXISTS', KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[11]) > 0 then
  if call('HEXISTS', KEYS[5], id) + call('EXISTS', KEYS[11]) > 0 then return 0 end
  for third = 6, 8 do -- how a task that ended is remembered: see keep_record in the prelude
    if call('SISMEMBER', KEYS[third], id) + call('SISMEMBER', KEYS[third], '\0' .. id) > 0 then return 0 end
  end
end
if call('HSETNX', KEYS[1], id, envelope) == 0 then return 0 end
local seq = pcall('INCR', KEYS[3])
local placed = seq
if type(seq) == 'number' then -- a number as an argument keeps all its digits, unlike one joined to text; see new_place
  placed = pcall('ZADD', KEYS[2], (200 - (string.byte(envelope, 3) or 100)) * 35184372088832 + seq, id)
end
if type(placed) == 'table' then -- a key of the wrong type: nothing was stored
  call('HDEL', KEYS[1], id)
  return placed
end
if #envelope > SMALL_TASK then pcall('SADD', KEYS[10], id) end
local tokens = pcall('LLEN', KEYS[4])
if tokens == 0 then -- as `ring` in the prelude
  for _ = 1, math.min(4, call('ZCARD', KEYS[2])) do call('LPUSH', KEYS[4], '1') end
elseif type(tokens) == 'number' and tokens < 4 then
  call('LPUSH', KEYS[4], '1')
end
pcall('HINCRBY', KEYS[9], math.floor(call('TIME')[1] / 60) .. ':enqueued', 1)
return 1
