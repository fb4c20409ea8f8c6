-- End steps for which nothing that is to come counts any more: what did was in a key that others at our keys deleted. Those are left that
-- are not as they were seen: what they wait for has come meanwhile.
-- KEYS 1 ready 2 owned 3 steps 4 steps:todo
-- ARGV of each step its id, and its row as it was seen; at most 250 of them
-- Returns how many were ended; -1: ends are to be followed first.
local ready, owned, steps, steps_todo = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local wrong = newer_queue() or must_be('hash', owned, steps) or must_be('list', steps_todo)
if wrong then return wrong end
if redis.call('EXISTS', steps_todo) == 1 then return -1 end
local now, ended, tag = now_ms(), 0, string.sub(ready, 1, -6)
local owners = owning(owned, now)
local follow = following(ready, owners, now)
for i = 1, #ARGV, 2 do
  if redis.call('HGET', steps, ARGV[i]) == ARGV[i + 1] and follow.end_lost(ARGV[i]) then ended = ended + 1 end
end
follow.follow()
follow.ring()
gates(ready).ring()
return ended
