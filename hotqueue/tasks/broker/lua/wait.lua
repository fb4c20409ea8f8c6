-- Tell a client's reply list about tasks that are finished or unknown; register it for the others.
-- KEYS 1 tasks 2-4 done 5 reply:<client> 6 waiters 7 attempts 8… result:<id> of each task
-- ARGV ids
-- Returns { id, ms until it expires, … } of those still to come that may. A registration lives as long as its task. 'E' tells of
-- one that is past its expiry: the client ends it, as no worker may be there to.
local done, expiring, now = { KEYS[2], KEYS[3], KEYS[4] }, {}, now_ms()
local registered, attempts = redis.call('HMGET', KEYS[6], unpack(ARGV)), redis.call('HMGET', KEYS[7], unpack(ARGV))

local function is_registered(replies)
  return replies and string.find('\n' .. replies .. '\n', '\n' .. KEYS[5] .. '\n', 1, true)
end

-- A task that very many clients wait for keeps the latest thousand or so; the others ask again.
local function register(id, kept)
  if kept and #kept > 80000 then kept = string.match(string.sub(kept, -80000), '\n(.*)$') end
  redis.call('HSET', KEYS[6], id, kept and (kept .. '\n' .. KEYS[5]) or KEYS[5])
end

local function is_unfinished(id) return redis.call('HEXISTS', KEYS[1], id) == 1 end

local function answer(n, id)
  local blob = redis.call('GET', KEYS[7 + n])
  if blob then return tell(KEYS[5], 'R', id, blob) end
  if is_unfinished(id) then
    register(id, registered[n])
    return true
  end
  tell(KEYS[5], is_done(done, id) and 'D' or 'U', id, '')
end

for n, id in ipairs(ARGV) do
  -- Asked again, most are registered still, and that is all that there is to find out.
  if (is_registered(registered[n]) and is_unfinished(id)) or answer(n, id) then
    local expires = attempts[n] and tonumber(split_attempts(attempts[n])[4])
    if expires and expires <= now then
      tell(KEYS[5], 'E', id, text(now - expires))
    elseif expires then
      expiring[#expiring + 1] = id
      expiring[#expiring + 1] = expires - now
    end
  end
end
return expiring
