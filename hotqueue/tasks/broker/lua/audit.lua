-- How many tasks stand nowhere: in no ready set, not scheduled, not parked, held by no registered worker.
-- KEYS 1 tasks 2 ready 3 ready:async 4 suspects 5 scheduled 6 workers 7 needs 8 seq 9 bell 10 bell:async
--      11… held:<worker> of each registered worker, then parked:<need> of each need
-- ARGV 1 how many workers 2 how many needs, then the names of both, then ids
-- Returns { tasks that stand nowhere, of the given ids those that did and are now in a ready set }; { -1 } when workers or
--   needs have changed meanwhile. A task is restored behind the others: its old place is not known.
local workers, needs = tonumber(ARGV[1]), tonumber(ARGV[2])
local wrong = must_be('hash', KEYS[1]) or must_be('zset', KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6])
if wrong then return wrong end
if redis.call('ZCARD', KEYS[6]) ~= workers or redis.call('SCARD', KEYS[7]) ~= needs then return { -1 } end
for i = 1, workers do
  if not redis.call('ZSCORE', KEYS[6], ARGV[2 + i]) then return { -1 } end
end
for i = 1, needs do
  if redis.call('SISMEMBER', KEYS[7], ARGV[2 + workers + i]) == 0 then return { -1 } end
end

local function stands(id)
  for i = 2, 5 do
    if redis.call('ZSCORE', KEYS[i], id) then return true end
  end
  for i = 1, workers do
    if redis.call('HEXISTS', KEYS[10 + i], id) == 1 then return true end
  end
  for i = workers + 1, workers + needs do
    if redis.call('ZSCORE', KEYS[10 + i], id) then return true end
  end
  return false
end

local restored = {}
for i = 3 + workers + needs, #ARGV do
  local id = ARGV[i]
  local envelope = not stands(id) and redis.call('HGET', KEYS[1], id)
  if envelope then
    local is_async = kind_of(envelope) == 'a'
    redis.call('ZADD', is_async and KEYS[3] or KEYS[2], new_place(KEYS[8], envelope), id)
    ring(is_async and KEYS[10] or KEYS[9], 1, is_async and KEYS[3] or KEYS[2])
    restored[#restored + 1] = id
  end
end
local nowhere = redis.call('HLEN', KEYS[1])
for i = 2, 5 do nowhere = nowhere - redis.call('ZCARD', KEYS[i]) end
for i = 1, workers do nowhere = nowhere - redis.call('HLEN', KEYS[10 + i]) end
for i = workers + 1, workers + needs do nowhere = nowhere - redis.call('ZCARD', KEYS[10 + i]) end
return { nowhere, restored }
