-- Putting a plan in the place of a task that a worker has in hand: its last step has the id of that task. Put behind laying. See
-- docs/decisions/0067.

-- blob: parts, each behind four bytes that say how long it is: what there is to say of the plan ('' nothing), and for how long in ms once
-- the task is over; how many steps; of each its id, when it is due, when it expires, its envelope; then what enqueue.lua is told of a lot.
local function replacing(ready, owners, now, seq)
  local made = {}
  local tag = string.sub(ready, 1, -6)
  -- include coming
  local tasks, attempts, expiring, large = tag .. 'tasks', tag .. 'attempts', tag .. 'expiring', tag .. 'large'

  local function parts_of(blob)
    local parts, at, size = {}, 1, nil
    while at <= #blob do
      size, at = struct.unpack('>I4', blob, at)
      parts[#parts + 1] = string.sub(blob, at, at + size - 1)
      at = at + size
    end
    return parts
  end

  local function instant(spec)
    local later = string.match(spec, '^%+(%d+)$')
    return later and now + later or tonumber(spec)
  end

  -- What was known of the task is forgotten, but for who waits for its end, and that it was revoked.
  local function forget(id)
    redis.call('HDEL', attempts, id)
    redis.call('ZREM', expiring, id)
    redis.pcall('SREM', large, id)
    redis.pcall('HDEL', tag .. 'checkpoints', id)
    redis.call('DEL', tag .. 'result:' .. id)
  end

  local function store(id, expires, envelope)
    redis.call('HSET', tasks, id, envelope)
    local till = instant(expires)
    if till then
      redis.call('HSET', attempts, id, '0 0 - ' .. text(till) .. ' -')
      redis.call('ZADD', expiring, text(till), id)
    end
    if #envelope > SMALL_TASK then redis.pcall('SADD', large, id) end
  end

  -- `give_up`: has the slots that the task had at gates go to others.
  function made.replace(id, blob, give_up)
    local parts, ids, fresh = parts_of(blob), {}, {}
    local words, words_ms, count = parts[1], parts[2], tonumber(parts[3])
    for n = 1, count do ids[n], fresh[n] = parts[4 * n], 1 end
    local lay = laying(ids, parts, 3 + 4 * count, id, owners)
    local follow = following(ready, owners, now)
    local refusal = must_be('hash', tasks, attempts) or must_be('zset', expiring) or lay.refusal(fresh, count)
    if refusal then error(refusal.err or 'ERR a plan in the place of a task cannot be laid', 0) end
    give_up()
    forget(id)
    local kept, free = owners.end_replaced(id), {}
    if words ~= '' then owners.own_text(id, 'replacement:' .. id, words, words_ms, kept) end
    lay.shift(id, (words ~= '' or kept ~= '') and 1 or 0)
    for n = 1, count do
      local due, expires, envelope = parts[4 * n + 1], parts[4 * n + 2], parts[4 * n + 3]
      store(ids[n], expires, envelope)
      if ids[n] ~= id and not lay.is_elsewhere(n) then count_coming(tag, now, envelope) end
      local place = new_place(seq, envelope)
      if lay.waits(n) then lay.note(n, place, due) else free[#free + 1] = { ids[n], place, due } end
    end
    lay.commit()
    for _, each in ipairs(free) do follow.start(unpack(each)) end
  end

  return made
end
