-- Store one task that may run at once, unless its id is known already; ring. What `delay` sends: no prelude, few calls.
-- KEYS 1 tasks 2 ready or ready:async 3 seq 4 the bell of that 5 dead:tasks 6-8 done 9 enqueued 10 large 11 result:<id>
-- ARGV 1 id 2 the name of the task, behind a colon 3 envelope
-- Returns 1 stored, 0 known already.
local tasks, ready, seq, bell, dead_tasks = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local done_1, done_2, done_3, enqueued, large, result = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local id, envelope, call, pcall = ARGV[1], ARGV[3], redis.call, redis.pcall
if call('EXISTS', dead_tasks, done_1, done_2, done_3, result) > 0 then
  if call('HEXISTS', dead_tasks, id) + call('EXISTS', result) > 0 then return 0 end
  for _, done in ipairs({ done_1, done_2, done_3 }) do -- how a task that ended is remembered: see keep_record in results.lua
    if call('SISMEMBER', done, id) + call('SISMEMBER', done, '\0' .. id) > 0 then return 0 end
  end
end
if call('HSETNX', tasks, id, envelope) == 0 then return 0 end
local number = pcall('INCR', seq)
local placed = number
if type(number) == 'number' and number > LAST_NUMBER then -- those of a newer queue are; see newer_queue in the prelude
  local prefix, name = string.match(tasks, '^({[^:]*:(.-)}:)')
  local newer = call('GET', prefix .. 'schema:' .. SCHEMA + 1)
  number = newer and redis.error_reply('NEWERQUEUE ' .. newer .. ' ' .. SCHEMA .. ' ' .. name) or number
  placed = number
end
if type(number) == 'number' then -- a number as an argument keeps all its digits, unlike one joined to text; see new_place
  placed = pcall('ZADD', ready, (200 - (string.byte(envelope, 3) or 100)) * 35184372088832 + number, id)
end
if type(placed) == 'table' then -- a key of the wrong type, or we are too old for it: nothing was stored
  call('HDEL', tasks, id)
  return placed
end
if #envelope > SMALL_TASK then pcall('SADD', large, id) end
local tokens = pcall('LLEN', bell)
if tokens == 0 then -- as `ring` in bells.lua
  for _ = 1, math.min(4, call('ZCARD', ready)) do call('LPUSH', bell, '1') end
elseif type(tokens) == 'number' and tokens < 4 then
  call('LPUSH', bell, '1')
end
pcall('HINCRBY', enqueued, math.floor(call('TIME')[1] / 60) .. ARGV[2], 1)
local fields = number % 1024 == 0 and pcall('HLEN', enqueued) -- as in enqueue.lua
if type(fields) == 'number' and fields > 10000 then call('DEL', enqueued) end
if number == 1 then -- as `announce_new` in enqueue.lua
  for _, thing in ipairs({ 'stats', 'enqueued', 'accounts' }) do pcall('PERSIST', string.sub(tasks, 1, -6) .. thing) end
  pcall('PUBLISH', 'hotqueue:new', string.sub(tasks, 11, -8))
end
return 1
