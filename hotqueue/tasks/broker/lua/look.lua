-- What is known of one task.
-- KEYS 1 tasks 2 attempts 3 ready 4 ready:async 5 suspects 6 scheduled 7 result:<id> 8-10 done 11 dead:tasks 12 progress:<id>
-- ARGV 1 id
-- Returns { where, result or '', attempts or '', tasks ahead or due ms, envelope or '', progress or '', 1 if it waits past its expiry };
--   where: 'result', 'done', 'ready', 'suspect', 'scheduled', 'parked', 'held', 'dead' or 'unknown'.
local id = ARGV[1]
local progress = redis.call('GET', KEYS[12]) or ''
local envelope = redis.call('HGET', KEYS[1], id) or ''
local attempts = redis.call('HGET', KEYS[2], id) or ''
local result = redis.call('GET', KEYS[7])
if result then return { 'result', result, attempts, 0, envelope, progress, 0 } end
if envelope == '' then
  local where = is_done({ KEYS[8], KEYS[9], KEYS[10] }, id) and 'done'
    or (redis.call('HEXISTS', KEYS[11], id) == 1 and 'dead') or 'unknown'
  return { where, '', attempts, 0, '', progress, 0 }
end
local history = split_attempts(attempts)
local lapsed = (tonumber(history[4]) or math.huge) <= now_ms() and 1 or 0
for i = 3, 5 do
  local rank = redis.call('ZRANK', KEYS[i], id)
  if rank then return { i == 5 and 'suspect' or 'ready', '', attempts, rank, envelope, progress, lapsed } end
end
local due = redis.call('ZSCORE', KEYS[6], id)
if due then return { 'scheduled', '', attempts, due, envelope, progress, lapsed } end
if history[3] ~= '-' then return { 'parked', '', attempts, 0, envelope, progress, lapsed } end
return { 'held', '', attempts, 0, envelope, progress, 0 }
