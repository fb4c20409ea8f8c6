-- Tell a client's reply list about tasks that are finished or unknown; register it for the others.
-- KEYS 1 tasks 2-4 done 5 reply:<client> 6… two a task: result:<id>, waiters:<id>
-- ARGV 1 ms a registration lasts 2… ids
-- Returns how many are still to come.
local done, waiting = { KEYS[2], KEYS[3], KEYS[4] }, 0
for n = 2, #ARGV do
  local id, result, waiters = ARGV[n], KEYS[2 * n + 2], KEYS[2 * n + 3]
  local blob = redis.call('GET', result)
  if blob then
    tell(KEYS[5], 'R', id, blob)
  elseif redis.call('HEXISTS', KEYS[1], id) == 1 then
    redis.call('SADD', waiters, KEYS[5])
    redis.call('PEXPIRE', waiters, ARGV[1])
    waiting = waiting + 1
  else
    tell(KEYS[5], is_done(done, id) and 'D' or 'U', id, '')
  end
end
return waiting
