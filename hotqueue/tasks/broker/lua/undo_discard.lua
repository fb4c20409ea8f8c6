-- Bring dead tasks back that were thrown away: into the dead list, as they were; as many as are read at once, one at least.
-- KEYS 1 dead 2 dead:tasks 3 dead:bytes 4 discarded 5 discarded:tasks 6 tasks
-- ARGV 1 ms for which they can be 2 what they are marked with, '' anything 3… ids
-- Returns { how many of the ids were seen to, those that are dead again, those that are not, each with why: 'late' (or never thrown away),
--   'step' (it ended others with it), 'large' (it was), 'there' (a task of this id is), 'full' (the dead list is) }. Of another mark: neither.
local dead, dead_tasks, dead_bytes, discarded, discarded_tasks, tasks = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local wrong = newer_queue() or must_be('zset', dead, discarded) or must_be('hash', dead_tasks, discarded_tasks, tasks)
if wrong then return wrong end
local KEPT_MS, STREAM_MS = 7776000000, 86400000 -- 90 days, as long as the dead are kept; a day, as results are if nobody says more
local checkpoints = string.sub(dead, 1, -#'dead' - 1) .. 'checkpoints'
local ms, mark, now = tonumber(ARGV[1]), ARGV[2], now_ms()
local back, kept, seen, bytes = {}, {}, 0, 0
may_grow(dead_tasks)

local function put_back(id, died, number, rest)
  local checkpoint, record = string.sub(rest, 1, number), string.sub(rest, number + 1)
  if number > 0 and type(redis.pcall('HSET', checkpoints, id, checkpoint)) == 'number' then
    redis.call('PEXPIRE', checkpoints, text(KEPT_MS))
  end
  redis.call('HSET', dead_tasks, id, record)
  redis.call('ZADD', dead, died, id)
  redis.pcall('INCRBY', dead_bytes, #rest)
  for _, kind in ipairs({ 'stream:', 'streamed:' }) do
    redis.call('PEXPIRE', string.sub(dead, 1, -#'dead' - 1) .. kind .. id, text(STREAM_MS))
  end
end

-- Why it cannot be brought back, or nothing.
local function refusal(id, at, died, number, size)
  if redis.call('HEXISTS', tasks, id) + redis.call('HEXISTS', dead_tasks, id) > 0 then return 'there' end
  if not died or not at or (tonumber(at) or 0) <= now - ms then return 'late' end
  if number == '-' then return 'step' end
  if number == '+' then return 'large' end
  local taken = tonumber(redis.call('GET', dead_bytes)) or 0
  if redis.call('ZCARD', dead) >= MOST_DEAD or taken + size > MOST_DEAD_BYTES then return 'full' end
end

for n = 3, #ARGV do
  local id = ARGV[n]
  local entry = redis.call('HGET', discarded_tasks, id) or ''
  local died, number, own_mark, rest = string.match(entry, '^(%S+) (%S+) ([^\n]*)\n(.*)$')
  if not tonumber(died) or not (string.find(number, '^%d+$') or string.find(number, '^[-+]$')) then died = nil end
  if mark == '' or mark == own_mark then
    local why = refusal(id, redis.call('ZSCORE', discarded, id), died, number, #(rest or ''))
    if why then
      kept[#kept + 1], kept[#kept + 2] = id, why
    else
      put_back(id, died, tonumber(number), rest)
      forget_discarded(discarded, discarded_tasks, id)
      back[#back + 1] = id
    end
  end
  seen, bytes = seen + 1, bytes + #entry
  if bytes > READ_BYTES then break end
end
return { seen, back, kept }
