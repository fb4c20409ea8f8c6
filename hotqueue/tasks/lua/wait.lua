-- Tell a client's reply list about tasks that are finished or unknown; register it for the others.
-- KEYS 1 tasks 2-4 done 5 reply:<client> 6 waiters 7 attempts 8… result:<id> of each task
-- ARGV ids
-- Returns how many are still to come. A registration lives as long as its task. 'E' tells of one that is past its expiry: the
-- client ends it, as no worker may be there to.
local done, waiting, now = { KEYS[2], KEYS[3], KEYS[4] }, 0, now_ms()

local function register(id)
  local replies = redis.call('HGET', KEYS[6], id)
  if replies and string.find('\n' .. replies .. '\n', '\n' .. KEYS[5] .. '\n', 1, true) then return end
  -- A task that many clients wait for keeps the latest hundred; the others ask again each second.
  local kept = replies
  if kept and #kept > 8000 then kept = string.match(string.sub(kept, -8000), '\n(.*)$') end
  redis.call('HSET', KEYS[6], id, kept and (kept .. '\n' .. KEYS[5]) or KEYS[5])
end

for n, id in ipairs(ARGV) do
  local blob = redis.call('GET', KEYS[7 + n])
  if blob then
    tell(KEYS[5], 'R', id, blob)
  elseif redis.call('HEXISTS', KEYS[1], id) == 1 then
    register(id)
    local expires = tonumber(split_attempts(redis.call('HGET', KEYS[7], id))[4])
    if expires and expires <= now then tell(KEYS[5], 'E', id, text(now - expires)) end
    waiting = waiting + 1
  else
    tell(KEYS[5], is_done(done, id) and 'D' or 'U', id, '')
  end
end
return waiting
