-- Announce tasks that are finished or unknown in a client's reply list; register it for the others.
-- KEYS 1 tasks 2-4 done 5 reply:<client> 6 waiters 7 attempts 8… result:<id> of each task
-- ARGV ids
-- Returns { id, ms until it expires, … } of those still to come that may. A registration lives as long as its task. 'E' stands for
-- one that is past its expiry: the client ends it, as no worker may be there to.
local TASKS, DONE_1, DONE_2, DONE_3, REPLY, WAITERS, ATTEMPTS = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local function result_of(n) return KEYS[7 + n] end
local expiring = {}
local registered, histories = redis.call('HMGET', WAITERS, unpack(ARGV)), {}
if redis.call('EXISTS', ATTEMPTS, string.sub(TASKS, 1, -6) .. 'schema:' .. SCHEMA + 1) > 0 then
  local newer = newer_queue()
  if newer then return newer end
  histories = redis.call('HMGET', ATTEMPTS, unpack(ARGV))
end

local function is_registered(replies)
  return replies and string.find('\n' .. replies .. '\n', '\n' .. REPLY .. '\n', 1, true)
end

-- A task that very many clients wait for keeps the latest thousand or so; the others ask again.
local function register(id, kept)
  if kept and #kept > 80000 then kept = string.match(string.sub(kept, -80000), '\n(.*)$') end
  redis.call('HSET', WAITERS, id, kept and (kept .. '\n' .. REPLY) or REPLY)
end

local function is_unfinished(id) return redis.call('HEXISTS', TASKS, id) == 1 end

local function answer(n, id)
  local blob = redis.call('GET', result_of(n))
  if blob then return announce(REPLY, 'R', id, blob) end
  if is_unfinished(id) then
    register(id, registered[n])
    return true
  end
  announce(REPLY, is_done({ DONE_1, DONE_2, DONE_3 }, id) and 'D' or 'U', id, '')
end

for n, id in ipairs(ARGV) do
  -- Asked again, most are registered still, and that is all that there is to find out.
  if (is_registered(registered[n]) and is_unfinished(id)) or answer(n, id) then
    local expires = histories[n] and tonumber(history().split(histories[n]).expires)
    local now = expires and now_ms()
    if expires and expires <= now then
      announce(REPLY, 'E', id, text(now - expires))
    elseif expires then
      expiring[#expiring + 1] = id
      expiring[#expiring + 1] = expires - now
    end
  end
end
return expiring
