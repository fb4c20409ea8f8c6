-- What is known of one task.
-- KEYS 1 tasks 2 attempts 3 ready 4 ready:async 5 suspects 6 scheduled 7 result:<id> 8-10 done 11 dead:tasks 12 progress:<id>
-- ARGV 1 id
-- Returns { where, result or '', attempts or '', tasks ahead or due ms, envelope or '', progress or '', 1 if it waits past its expiry };
--   where: 'result', 'done', 'ready', 'suspect', 'scheduled', 'lane', 'waits', 'elsewhere' (in the place of the result: in which queue, quoted), 'parked', 'held', 'dead'
--   or 'unknown'.
local tasks, attempts, ready, ready_async, suspects, scheduled = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local result = KEYS[7]
local dead_tasks, progress = KEYS[11], KEYS[12]
local done = { KEYS[8], KEYS[9], KEYS[10] }
local id = ARGV[1]
local newer = newer_queue()
if newer then return newer end
local reported = redis.call('GET', progress) or ''
local envelope = redis.call('HGET', tasks, id) or ''
local past = redis.call('HGET', attempts, id) or ''
local record = redis.call('GET', result)
if record then return { 'result', record, past, 0, envelope, reported, 0 } end
if envelope == '' then
  local where = is_done(done, id) and 'done'
    or (redis.call('HEXISTS', dead_tasks, id) == 1 and 'dead') or 'unknown'
  return { where, '', past, 0, '', reported, 0 }
end
local a = history().split(past)
local lapsed = (tonumber(a.expires) or math.huge) <= now_ms() and 1 or 0
for _, set in ipairs({ ready, ready_async, suspects }) do
  local rank = redis.call('ZRANK', set, id)
  if rank then return { set == suspects and 'suspect' or 'ready', '', past, rank, envelope, reported, lapsed } end
end
local due = redis.call('ZSCORE', scheduled, id)
if due then return { 'scheduled', '', past, due, envelope, reported, lapsed } end
local rank = gates(ready).lanes().rank(id)
if rank then return { 'lane', '', past, rank, envelope, reported, lapsed } end
local step = redis.pcall('HGET', string.sub(tasks, 1, -6) .. 'steps', id)
if type(step) == 'string' then
  local queue = string.match(step, '^%d+ %d+ %S+ [^ =~]*[=~](%S+)')
  return { queue and 'elsewhere' or 'waits', queue or '', past, 0, envelope, reported, queue and 0 or lapsed }
end
if a.need ~= '-' then return { 'parked', '', past, 0, envelope, reported, lapsed } end
return { 'held', '', past, 0, envelope, reported, 0 }
