-- End a task that waits; mark one that runs when it is to be stopped.
-- KEYS 1 tasks 2 attempts 3 ready 4 ready:async 5 suspects 6 scheduled 7 parked:<need> 8 result:<id> 9 waiters
--      10-12 done 13 control 14 stats
-- ARGV 1 id 2 result 3 its ms to live 4 '1': stop it if it runs
-- Returns 'revoked', 'running' or 'unknown' (never existed, or has ended).
local id, now = ARGV[1], now_ms()
if redis.call('HEXISTS', KEYS[1], id) == 0 then
  redis.call('HDEL', KEYS[13], id)
  return 'unknown'
end
local waited = 0
for i = 3, 7 do waited = waited + redis.call('ZREM', KEYS[i], id) end
if waited == 0 then
  if ARGV[4] == '1' then redis.call('HSET', KEYS[13], id, ARGV[2]) end
  return 'running'
end
redis.call('HDEL', KEYS[13], id)
count(KEYS[14], now, 'revoked', 1)
redis.call('HDEL', KEYS[1], id)
redis.call('HDEL', KEYS[2], id)
keep_record({ KEYS[10], KEYS[11], KEYS[12] }, now, id, ARGV[2], ARGV[3], KEYS[8])
local replies = redis.call('HGET', KEYS[9], id)
if replies then
  redis.call('HDEL', KEYS[9], id)
  tell_end(replies, id, ARGV[2])
end
return 'revoked'
