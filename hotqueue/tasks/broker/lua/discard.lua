-- Throw dead tasks away: as many as are read at once, one at least. But for steps of workflows they can be brought back for a while.
-- KEYS 1 dead 2 dead:tasks 3 dead:bytes 4 owned 5 discarded 6 discarded:tasks
-- ARGV 1 ms for which they can 2 what they are marked with 3… ids
-- Returns { how many of the ids were seen to, how many of these there were, how many of them can be brought back }.
local dead, dead_tasks, dead_bytes, owned, discarded, discarded_tasks = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local wrong = newer_queue() or must_be('zset', dead, discarded) or must_be('hash', dead_tasks, owned, discarded_tasks)
if wrong then return wrong end
local keep_ms, mark, now = tonumber(ARGV[1]), ARGV[2], now_ms()
local tag = string.sub(dead, 1, -#'dead' - 1)
local owners = redis.call('EXISTS', owned) == 1 and owning(owned, now)
if owners then following(tag .. 'ready', owners, now) end -- before anything is written
local seen, count, back, bytes, has_memory = 0, 0, 0, 0, true

-- What ends others with it, or is the last to hold on to what they left, is over for good.
local function ends_others(id)
  local entry, names = unpack(owners and owners.of({ id }) or {})
  return names or string.find(entry or '', '\n', 1, true)
end

-- Note what it takes to bring it back, for as long as there is memory; gives back whether it can be.
local function keep(id, size)
  local head, why = (redis.call('ZSCORE', dead, id) or text(now)) .. ' ', nil
  if ends_others(id) then why = '-' elseif size > MOST_DISCARDED_BYTES then why = '+' end
  if why then
    has_memory = note_discarded(discarded, discarded_tasks, id, head .. why .. ' ' .. mark .. '\n', now)
    return false
  end
  local kept = redis.pcall('HGET', tag .. 'checkpoints', id)
  if type(kept) ~= 'string' then kept = '' end
  local entry = head .. #kept .. ' ' .. mark .. '\n' .. kept .. redis.call('HGET', dead_tasks, id)
  bytes = bytes + #entry
  has_memory = note_discarded(discarded, discarded_tasks, id, entry, now)
  return has_memory
end

for n = 3, #ARGV do
  local id = ARGV[n]
  local size, is_kept = redis.call('HSTRLEN', dead_tasks, id), false
  local was_dead = size > 0 or redis.call('ZSCORE', dead, id)
  if size > 0 and keep_ms > 0 and has_memory then is_kept = keep(id, size) end
  drop_dead(dead, dead_tasks, dead_bytes, id)
  if was_dead then
    count, back = count + 1, back + (is_kept and 1 or 0)
    for _, key in ipairs({ tag .. 'stream:' .. id, tag .. 'streamed:' .. id }) do
      local left = is_kept and redis.call('PTTL', key)
      if not is_kept then
        redis.call('DEL', key)
      elseif left > keep_ms or left < 0 then -- below 0: it would stay for good
        redis.call('PEXPIRE', key, text(keep_ms))
      end
    end
    if owners then owners.end_dead(id) end
  end
  seen = seen + 1
  if bytes > READ_BYTES then break end
end
if back > 0 or redis.call('EXISTS', discarded) == 1 then trim_discarded(discarded, discarded_tasks, now, keep_ms) end
if owners then
  following(tag .. 'ready', owners, now).follow()
  made_following.ring()
end
return { seen, count, back }
