-- End a task that waits. One that a worker has in hand does not start any more, if it has not yet; stop it if it has, when told to.
-- KEYS 1 tasks 2 attempts 3 ready 4 ready:async 5 suspects 6 scheduled 7 needs 8 waiters 9-11 done 12 stats 13 expiring
--      14 revoked 15 large 16 owned 17 result:<id> 18 parked:<need> 19 control
-- ARGV 1 id 2 need 3 result 4 its ms to live 5 '1': stop it if it runs
-- Returns { 'revoked' }, { 'held' }, { 'elsewhere' } (another queue has it, and is to be told), { 'unknown' } (never existed, or has ended), or { 'parked', need }: ask again with that need.
local tasks, attempts, ready, stats, revoked, owned = KEYS[1], KEYS[2], KEYS[3], KEYS[12], KEYS[14], KEYS[16]
local result, parked, control = KEYS[17], KEYS[18], KEYS[19]
local id, believed, record, ttl, is_to_stop = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5] == '1'
local wrong = newer_queue() or must_be('hash', owned)
if wrong then return wrong end
local ending = ending(ready) -- before anything is written: see owning.lua
may_grow(control)
if redis.call('HEXISTS', tasks, id) == 0 then
  redis.call('HDEL', control, id)
  redis.call('SREM', revoked, id)
  return { 'unknown' }
end
local need = history().split(redis.call('HGET', attempts, id)).need
if not ending.leave(id, parked, believed) then
  if need ~= '-' and need ~= believed then return { 'parked', need } end
  if made_following and made_following.end_elsewhere(id, record, ttl, is_to_stop) then return { 'elsewhere' } end
  redis.call('SADD', revoked, id)
  if is_to_stop then redis.call('HSET', control, id, record) end
  return { 'held' }
end
redis.call('HDEL', control, id)
count(stats, now_ms(), 'revoked', 1)
ending.end_waiting(id, record, ttl, result)
ending.follow()
gates(ready).ring()
return { 'revoked' }
