-- End a task that waits. One that a worker has in hand does not start any more, if it has not yet; stop it if it has, when told to.
-- KEYS 1-15 as `end_waiting` in the prelude has them 16 result:<id> 17 parked:<need> 18 control
-- ARGV 1 id 2 need 3 result 4 its ms to live 5 '1': stop it if it runs
-- Returns { 'revoked' }, { 'held' }, { 'unknown' } (never existed, or has ended), or { 'parked', need }: ask again with that need.
local id = ARGV[1]
may_grow(KEYS[18])
if redis.call('HEXISTS', KEYS[1], id) == 0 then
  redis.call('HDEL', KEYS[18], id)
  redis.call('SREM', KEYS[14], id)
  return { 'unknown' }
end
local need = split_attempts(redis.call('HGET', KEYS[2], id))[3]
if not leave(id, KEYS[17], ARGV[2]) then
  if need ~= '-' and need ~= ARGV[2] then return { 'parked', need } end
  redis.call('SADD', KEYS[14], id)
  if ARGV[5] == '1' then redis.call('HSET', KEYS[18], id, ARGV[3]) end
  return { 'held' }
end
redis.call('HDEL', KEYS[18], id)
count(KEYS[12], now_ms(), 'revoked', 1)
end_waiting(id, ARGV[3], ARGV[4], KEYS[16])
return { 'revoked' }
