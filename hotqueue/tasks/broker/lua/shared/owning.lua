-- Results that tasks own, and who owns them: all that a script does to `owned`. Put behind the prelude, results and history. See
-- docs/decisions/0043.

-- owned: an id → 'how often it is owned, a blank, when its own time is over': in ms, '-' while its end is still to come, 'x' if it ended
-- without a result, '+ms' where that begins once nobody owns it. While it is owned, its result stays. Behind that the steps that wait for
-- its end, each with a newline and its kind before it, see steps.lua. And the other way round: a newline and an owner → the ids that it
-- owns, each with a newline behind it; further ones under that, a newline, and the number of the part.
-- owned:over: the same texts, of owners that are over: what they owned is let go of by and by.

-- What can be done about it, in a function that makes these functions where there is something to do: see history.lua for why.
-- `is_checked`: there are no parts of owners that are over.
local function owning(owned, now, is_checked)
  local LET_GO_AT_ONCE = 100 -- results that one script lets go of
  local tag = string.sub(owned, 1, -#'owned' - 1)
  local over, results = owned .. ':over', tag .. 'result:'
  local let_go_of, taken_apart = 0, 0
  if not is_checked then -- now: a script that is stopped in its middle would leave what an owner owned to nobody
    local found = redis.call('TYPE', over).ok
    if found ~= 'list' and found ~= 'none' then error('WRONGTYPE ' .. over .. ' holds a ' .. found .. ', not a list', 0) end
  end

  local function field_of(owner, part) return '\n' .. owner .. (part > 0 and '\n' .. text(part) or '') end

  local function lines(names)
    local found = {}
    for id in string.gmatch(names or '', '([^\n]+)\n') do found[#found + 1] = id end
    return found
  end

  -- How often an id is owned, when its own time is over, and which steps wait for it; nil: none of that.
  local function entry_of(value)
    local number, till, behind = string.match(value or '', '^(%d+) ([-+x%d]+)(.*)$')
    return tonumber(number), till, behind
  end

  local function entry(number, till, behind) return text(number) .. ' ' .. till .. behind end

  local function write(id, number, till, behind)
    if number == 0 and behind == '' then return redis.call('HDEL', owned, id) end
    redis.call('HSET', owned, id, entry(number, till, behind))
  end

  local function times_of(ids)
    local times = {}
    for _, id in ipairs(ids) do times[id] = (times[id] or 0) + 1 end
    return times
  end

  -- What is known of tasks that end: of each its entry as one that is owned, and what it owns itself.
  local function of(ids)
    local fields = {}
    for n, id in ipairs(ids) do fields[2 * n - 1], fields[2 * n] = id, field_of(id, 0) end
    return redis.call('HMGET', owned, unpack(fields))
  end

  -- What steps.lua has to follow: how a task ended ('verb'), what to say was why ('cause'), the task, the steps that waited for it.
  local ends = {}

  -- Gives back those of them that may still wait for it: those of a task that can be retried, see steps.lua.
  local function note_end(verb, cause, id, behind)
    if behind == '' then return '' end
    ends[#ends + 1] = { verb = verb, cause = cause, from = id, behind = behind }
    if verb == 'R' then return behind end
    if verb == 'D' or verb == 'W' then return (string.gsub(behind, '\n[af][^\n]*', '')) end
    return verb == 'U' and string.gsub(behind, '\na[^\n]*', '') or ''
  end

  -- Whether steps wait for any of these, of which that is known (see `of`).
  local function are_awaited(entries)
    for n = 1, #entries, 2 do
      if entries[n] and string.find(entries[n], '\n', 1, true) then return true end
    end
    return false
  end

  -- That ends are still to be followed: a newline, so that the next step of a worker looks, whatever else is owned.
  local function mark(has_more, had_more)
    if has_more then redis.call('HSET', owned, '\n', '') elseif had_more then redis.call('HDEL', owned, '\n') end
  end

  -- Whether any step waits for the end of a task, or to be told of one.
  local function has_steps()
    local tag = string.sub(owned, 1, -#'owned' - 1)
    return redis.call('EXISTS', tag .. 'steps', tag .. 'dead:steps', tag .. 'steps:todo', tag .. 'steps:reported') > 0
  end

  local function taken_ends()
    local found = ends
    ends = {}
    return found
  end

  -- What is kept of many tasks in one command, until `write_kept`: fields of `owned`.
  local fields

  local function write_kept()
    if not fields then return end
    redis.call('HSET', owned, unpack(fields))
    fields = nil
  end

  -- Store how a task ended, of which this is known. While it is owned the record stays, though the task is to have none (ttl 0).
  -- is_later: `write_kept` comes, and nobody looks before.
  local function keep(done, id, blob, ttl, known, verb, cause, is_later)
    local number, till, behind = entry_of(known)
    if number then behind = note_end(verb, cause, id, behind) end
    if number == 0 then write(id, 0, '-', behind) end
    if not number or number == 0 then return keep_record(done, now, id, blob, ttl, results .. id) end
    till = blob == '' and 'x' or text(now + ttl)
    if is_later then
      fields = fields or {}
      local n = #fields
      fields[n + 1], fields[n + 2] = id, entry(number, till, behind)
      if n > MOST then write_kept() end
    else
      write(id, number, till, behind)
    end
    if blob ~= '' then redis.call('SET', results .. id, blob) else redis.call('DEL', results .. id) end -- of a run before
    if blob == '' or tonumber(ttl) == 0 then
      remember_done(done, now, id)
    elseif tonumber(ttl) < 120000 then
      remember_done(done, now, had_record(id))
    end
  end

  -- Let go of results, of each as often as it is named: what nobody owns any more has what is left of its time. `entries`: what is
  -- known of them, if it is; `also`: a field of `owned` that goes as well.
  local function let_go(ids, entries, also)
    local times, gone = times_of(ids), { also }
    entries = entries or redis.call('HMGET', owned, unpack(ids))
    for n, id in ipairs(ids) do
      local number, till, behind = entry_of(entries[n])
      if number and times[id] and number > times[id] then
        write(id, number - times[id], till, behind)
      elseif number and number > 0 and times[id] then
        if behind == '' then gone[#gone + 1] = id else write(id, 0, till, behind) end
        local at = tonumber(till)
        if string.sub(till, 1, 1) == '+' then
          redis.call('PEXPIRE', results .. id, string.sub(till, 2))
        elseif at and at > now then
          redis.call('PEXPIREAT', results .. id, text(at))
        elseif at then
          redis.call('DEL', results .. id)
        end
      end
      times[id] = nil
    end
    if #gone > 0 then redis.call('HDEL', owned, unpack(gone)) end
  end

  -- An owner is over: it ended and cannot be retried. `names`: what it owns, as it stands in `owned`. What that is beyond some, or
  -- beyond what a script should do, is left to let_go.lua.
  local function end_owner(owner, names)
    -- Of a thousand owners of a thousand, which one step may end, few are taken apart here.
    local found, part = taken_apart < MOST and lines(names) or {}, 1
    local more
    if #found > 0 and #found + let_go_of <= LET_GO_AT_ONCE then
      local count = #found
      found[count + 1] = field_of(owner, 1)
      local entries = redis.call('HMGET', owned, unpack(found))
      found[count + 1], more = nil, entries[count + 1]
      if not more then -- that is all, as of most
        taken_apart, let_go_of = taken_apart + count, let_go_of + count
        return let_go(found, entries, field_of(owner, 0))
      end
    else
      more = redis.call('HGET', owned, field_of(owner, 1))
    end
    redis.call('HDEL', owned, field_of(owner, 0))
    local parts = { names }
    while more and #found > 0 and #found + #lines(more) + let_go_of <= LET_GO_AT_ONCE do
      parts[#parts + 1] = more
      for _, id in ipairs(lines(more)) do found[#found + 1] = id end
      redis.call('HDEL', owned, field_of(owner, part))
      part = part + 1
      more = redis.call('HGET', owned, field_of(owner, part))
    end
    taken_apart = taken_apart + #found
    if not more and #found > 0 and #found + let_go_of <= LET_GO_AT_ONCE then
      let_go_of = let_go_of + #found
      return let_go(found)
    end
    if not more and names == '' then return end
    redis.call('RPUSH', over, unpack(parts))
    while more do
      redis.call('RPUSH', over, more)
      redis.call('HDEL', owned, field_of(owner, part))
      part = part + 1
      more = redis.call('HGET', owned, field_of(owner, part))
    end
  end

  -- The same of many that a script ends, once it has stored how they ended: what one of them owns may be among them.
  local noted = {}
  local function note_over(owner, names)
    if names then noted[#noted + 1], noted[#noted + 2] = owner, names end
  end

  local function end_noted()
    for n = 1, #noted, 2 do end_owner(noted[n], noted[n + 1]) end
  end

  -- What workers are given of tasks whose results are owned: they keep them though the task is to have none.
  local function as_wanted(ids, histories)
    for from = 1, #ids, MOST do
      local entries = redis.call('HMGET', owned, unpack(ids, from, math.min(from + MOST - 1, #ids)))
      for n, entry in ipairs(entries) do
        local at = from + n - 1
        local is_owned = (entry_of(entry) or 0) > 0
        if is_owned and not histories[at] then
          histories[at] = '0 0 - - W'
        elseif is_owned then
          local a = history().split(histories[at])
          if a.verdict == '-' then
            a.verdict = 'W'
            histories[at] = history().join(a)
          end
        end
      end
    end
  end

  local made = {
    is_checked = is_checked or false, lines = lines, of = of, keep = keep, end_owner = end_owner, note_over = note_over, end_noted = end_noted, let_go = let_go, write_kept = write_kept,
    note_end = note_end, are_awaited = are_awaited, taken_ends = taken_ends, has_steps = has_steps, mark = mark, as_wanted = as_wanted,
  }

  -- What few scripts ask for is made when the first of it is.
  local function make_rest()
    -- A step was put behind a task that has ended already: it is told, unless the task may be retried, and waits for it no more.
    function made.note_over_already(id, line, verb, cause)
      local number, till, behind = entry_of(redis.call('HGET', owned, id))
      local left = note_end(verb, cause, id, '\n' .. line)
      if number then write(id, number, till, string.sub(behind, 1, #behind - #line - 1) .. left) end
    end

    function made.is_awaited_by(id, line)
      return string.find((redis.call('HGET', owned, id) or '') .. '\n', '\n' .. line .. '\n', 1, true) ~= nil
    end

    function made.is_owned(id) return (entry_of(redis.call('HGET', owned, id)) or 0) > 0 end

    -- The record of a task that is owned, and for how many ms it would stay by itself; '' and 0 where it left none.
    function made.record_of(id)
      local _, till = entry_of(redis.call('HGET', owned, id))
      local at = string.find(till or '', '^%d') and tonumber(till)
      if not at then return '', 0 end
      return redis.call('GET', results .. id) or '', math.max(0, at - now)
    end

    -- Note that results are owned, each as often as it is named; states: a letter each, see own.lua. `behind`: what waits for their end.
    function made.own(ids, states, behind)
      local entries, times = redis.call('HMGET', owned, unpack(ids)), times_of(ids)
      for n, id in ipairs(ids) do
        local number, till, before = entry_of(entries[n])
        if times[id] then
          if not number or number == 0 then
            number, till = 0, string.sub(states, n, n) == 'D' and 'x' or '-'
            local left = string.sub(states, n, n) == 'T' and -1 or redis.call('PTTL', results .. id)
            if left >= 0 then -- 0: less than a millisecond
              redis.call('PERSIST', results .. id)
              till = text(now + left)
            end
          end
          write(id, number + times[id], till, (before or '') .. (behind or ''))
          times[id] = nil
        end
      end
    end

    -- Note that a step waits for the end of tasks, and needs nothing that they leave.
    function made.note_behind(ids, behind)
      local entries = redis.call('HMGET', owned, unpack(ids))
      for n, id in ipairs(ids) do
        local number, till, before = entry_of(entries[n])
        write(id, number or 0, till or '-', (before or '') .. behind)
      end
    end

    -- Have a text of no task stay as a result under a name of its own while a task is its owner, which owns nothing yet but what is in
    -- `before`; and `ttl` ms longer.
    function made.own_text(owner, name, blob, ttl, before)
      redis.call('SET', results .. name, blob)
      redis.call('HSET', owned, field_of(owner, 0), (before or '') .. name .. '\n', name, '1 +' .. ttl)
    end

    -- The steps that wait for the end of a task, each with a newline and its kind before it.
    function made.behind_of(id)
      local _, _, behind = entry_of(redis.call('HGET', owned, id))
      return behind or ''
    end

    function made.owns_part(owner, part) return redis.call('HEXISTS', owned, field_of(owner, part)) == 1 end

    -- Note what a task owns, a part of it; nil, or what is wrong with that. Said again it is what it was.
    function made.own_part(owner, part, names, states, behind)
      local field = field_of(owner, part)
      local before = redis.call('HGET', owned, field)
      if before == names then return nil end
      if before then return 'is something else' end
      if part > 0 and redis.call('HEXISTS', owned, field_of(owner, part - 1)) == 0 then return 'comes too early' end
      redis.call('HSET', owned, field, names)
      made.own(lines(names), states, behind)
    end

    -- A task is replaced, and owns no more what it did, but for what there is to say of the workflow that it is the last step of, which is
    -- given back. What was said of others in its place goes at once, since the same may be said of those to come.
    function made.end_replaced(owner)
      local kept, part, names = '', 0, redis.call('HGET', owned, field_of(owner, 0))
      if names and string.find(names, '^%l+:') then
        for _, id in ipairs(lines(names)) do
          if string.sub(id, 1, 9) == 'workflow:' then kept = kept .. id .. '\n' else let_go({ id }) end
        end
        if kept == '' then redis.call('HDEL', owned, field_of(owner, 0)) else redis.call('HSET', owned, field_of(owner, 0), kept) end
        part, names = 1, redis.call('HGET', owned, field_of(owner, 1))
      end
      while names do
        redis.call('HDEL', owned, field_of(owner, part))
        redis.call('RPUSH', over, names)
        part = part + 1
        names = redis.call('HGET', owned, field_of(owner, part))
      end
      return kept
    end

    -- A task is over that died, or was to go on behind one that did: nobody can retry it any more, and it owns nothing.
    function made.end_dead(id, cause)
      local known, names = unpack(of({ id }))
      local number, till, behind = entry_of(known)
      if number and behind ~= '' then write(id, number, till, note_end('G', cause or 'F' .. id, id, behind)) end
      if names then end_owner(id, names) end
    end

    -- End owners, some at a time, that are no tasks any more, which only others at our keys bring about. Gives back where to go on ('0': all
    -- were looked at), and how many these were.
    function made.mend(tasks, dead_tasks, cursor)
      local scanned, ended = redis.call('HSCAN', owned, cursor, 'COUNT', 200), 0
      for i = 1, #scanned[2], 2 do
        local owner = string.match(scanned[2][i], '^\n([^\n]+)$')
        local exists = owner and redis.call('HEXISTS', tasks, owner) + redis.call('HEXISTS', dead_tasks, owner) > 0
        if owner and not exists and redis.call('HEXISTS', string.sub(tasks, 1, -6) .. 'dead:steps', owner) == 0 then
          end_owner(owner, scanned[2][i + 1])
          ended = ended + 1
        end
      end
      return { scanned[1], ended }
    end

    -- Which steps wait for the ends of tasks that are still to come, of some of these, and each for how many. Gives back where to go on ('0': all
    -- were looked at), and of each its id, and how many.
    function made.awaited(tasks, cursor)
      local scanned, times = redis.call('HSCAN', owned, cursor, 'COUNT', 200), {}
      local out = { scanned[1] }
      for i = 1, #scanned[2], 2 do
        local id, entry = scanned[2][i], scanned[2][i + 1]
        if string.byte(id) ~= 10 and string.find(entry, '\n%l') and redis.call('HEXISTS', tasks, id) == 1 then
          for kind, step in string.gmatch(entry, '\n(%l)([^\n]+)') do
            if kind ~= 'h' then times[step] = (times[step] or 0) + 1 end
          end
        end
      end
      for step, number in pairs(times) do out[#out + 1], out[#out + 2] = step, number end
      return out
    end

    -- Let go of a part of what owners had which are over; gives back how many parts are left.
    function made.let_go_of_part()
      local ids = lines(redis.call('LPOP', over))
      if #ids > 0 then let_go(ids) end
      return redis.call('LLEN', over)
    end

    -- A result is not wanted any more by whoever sent its task: whoever owns it keeps it.
    function made.forget(id)
      local number, till, behind = entry_of(redis.call('HGET', owned, id))
      local stream, streamed = tag .. 'stream:' .. id, tag .. 'streamed:' .. id
      if not number or number == 0 then return redis.call('DEL', results .. id, stream, streamed) end
      redis.call('DEL', stream, streamed)
      if tonumber(till) then write(id, number, text(now), behind) end
    end

    -- A task runs again: what is there of its end goes, and whoever owns that waits for the next.
    function made.take_back(id)
      redis.call('DEL', results .. id)
      local number, _, behind = entry_of(redis.call('HGET', owned, id))
      if number then write(id, number, '-', note_end('R', '', id, behind)) end
    end
  end

  return setmetatable(made, { __index = function(_, name)
    setmetatable(made, nil)
    make_rest()
    return made[name]
  end })
end
