-- Give results a time of their own that have none and that nobody owns, as `owned` was deleted.
-- KEYS 1 owned
-- ARGV 1 what the key of a result begins with 2 that time, in ms, then ids, at most 1,000
-- Returns how many these were.
local owned = KEYS[1]
local wrong = newer_queue() or must_be('hash', owned)
if wrong then return wrong end
local owners, expired = owning(owned, now_ms()), 0
for n = 3, #ARGV do
  if redis.call('PTTL', ARGV[1] .. ARGV[n]) == -1 and not owners.is_owned(ARGV[n]) then
    redis.call('PEXPIRE', ARGV[1] .. ARGV[n], ARGV[2])
    expired = expired + 1
  end
end
return expired
