-- Steps: tasks that wait for others to end. All that a script does to `steps` and `dead:steps` is done here. Put behind lanes and ending.
-- See docs/decisions/0061.

-- steps: a step that waits → 'how many ends it needs yet, how many of these have failed, its place, when it is due once they have come,
-- the workflow whose sender has not sent all of it yet, " r" if it is the last step of what was put in its place, or nothing'. It is in
-- `tasks`, and in no set.
-- Of one that runs in another queue, this is what stands for it: behind when it is due there is a sign, and that queue's name, quoted. '>' it is to go
-- there, '=' it has gone, and ends when that queue says so; '?' and '~' the same of a task that is in that queue, and only waited for. '@in' in the
-- place of the workflow: what it takes is on its way here from another queue.
-- dead:steps: the same, a newline, and the envelope, of a step that has ended since one before it is dead: that may be retried.
-- steps:reported: tasks here whose end another queue is to be told. In their lines in `owned` that is h, and the queue's name, quoted.
-- steps:todo: ends that are still to be followed, where there was more to do than one script should: 'verb, cause, task, the steps behind
-- it', a line each. steps:open: a workflow of which more is to be sent → until when, in ms.
-- What waits for the end of a task stands in `owned`, see owning.lua, each with a letter before it: s it needs a success, a any end, f one failure.
-- A line goes with the end that it waited for: so a task counts once, however often it is delivered, revived, or heard of.
-- Verbs: S it succeeded, D it is dead, V it is over in any other way, U it ended as one before it is dead, W that one was put in its place
-- with it, so that it has failed itself, G as one before it is over, or the dead one was thrown away, X it was for a failure that did not come,
-- R it is to run again, P what could not be posted is to be. A cause is F or R (failed, revoked), and where it arose.

-- Whether those keys hold nothing that few workflows need, so that none of them is of the wrong type: then owners are made as checked.
local function are_unused(tag)
  return redis.call('EXISTS', tag .. 'owned:over', tag .. 'dead:steps', tag .. 'steps:todo', tag .. 'steps:reported', tag .. 'ready',
    tag .. 'ready:async', tag .. 'scheduled', tag .. 'expiring') == 0
end

function following(ready, owners, now) -- declared in ending.lua, which has to end steps as well
  if made_following then return made_following end
  local made = {}
  made_following = made
  local tag = string.sub(ready, 1, -6)
  local tasks, steps, resumable, todo = tag .. 'tasks', tag .. 'steps', tag .. 'dead:steps', tag .. 'steps:todo'
  local FOLLOWED_AT_ONCE, OF_A_STEP, BEHIND_MS = 1000, 4, 3600000 -- what one script follows; what a step costs of it that ends or begins; see client/result.py
  local REPLACED = ' r'
  local STEPS_IN_PART = 250 -- steps behind one task that are in one element of steps:todo
  local rows, changed, due_now, unposted = {}, {}, {}, {}
  local released = { s = 0, a = 0 }
  local is_earlier = false -- than all that was scheduled
  local queue, first = {}, 1

  -- Whether there is something in a key that is to be of this kind. A script that is stopped in its middle would lose what it has begun to follow.
  local function has(key, kind)
    local found = redis.call('TYPE', key).ok
    if found ~= kind and found ~= 'none' then error('WRONGTYPE ' .. key .. ' holds a ' .. found .. ', not a ' .. kind, 0) end
    return found == kind
  end

  has(steps, 'hash')
  made.has_waiters = has(tag .. 'waiters', 'hash')
  made.has_told = false -- how a step ends stands in its history, since this script
  made.envelopes = {} -- of steps that begin now, for whoever fetches them in the same script
  local has_todo = false
  if not owners.is_checked then
    has_todo = has(todo, 'list')
    has(resumable, 'hash')
    for _, name in ipairs({ 'ready', 'ready:async', 'scheduled', 'expiring' }) do has(tag .. name, 'zset') end
    has(tag .. 'steps:reported', 'set')
  end

  -- --- rows -------------------------------------------------------------------------------------------------------------------

  local function row_in(value)
    local left, failed, place, due, root = string.match(value, '^(%d+) (%d+) (%S+) (%S*) ([^\n]*)')
    return left and { left = tonumber(left), failed = tonumber(failed), place = place, due = due, root = root }
  end

  local function text_of(row) return text(row.left) .. ' ' .. text(row.failed) .. ' ' .. row.place .. ' ' .. row.due .. ' ' .. row.root end

  -- What is known of a step that has not begun; false: there is none such.
  local function row_of(id)
    if rows[id] ~= nil then return rows[id] end
    local value, row = redis.call('HGET', steps, id), nil
    if value then
      row = row_in(value)
      if row then row.waits = true end
    else
      value = redis.call('HGET', resumable, id)
      row = value and row_in(value)
      if row then row.envelope = string.match(value, '^[^\n]*\n(.*)$') end
    end
    rows[id] = row or false
    return rows[id]
  end

  -- --- other queues -----------------------------------------------------------------------------------------------------------

  -- Of what stands for one in another queue: when it is due, the sign, the queue.
  local function elsewhere(row) return string.match(row.due, '^([^>=?~]*)([>=?~])(.+)$') end

  local function has_gone(row) return string.find(row.due, '[=~]') ~= nil end

  -- --- what becomes of a step -------------------------------------------------------------------------------------------------

  local function release(id, row)
    local due, sign, queue = elsewhere(row)
    if sign then return not has_gone(row) and made.go_abroad(id, row, due, sign, queue) end
    redis.call('HDEL', steps, id)
    rows[id] = false
    local envelope = redis.call('HGET', tasks, id)
    if not envelope then return end
    local later = string.match(row.due, '^%+(%d+)$')
    local flags = (string.byte(envelope, 4) or 0) % 32
    due = later and now + later or tonumber(row.due)
    local is_ready, is_told = false, false -- how it ends stands with it: a worker says so
    if flags > 15 then is_ready, is_told = made.take_key(id, row, envelope) end
    if is_ready == nil then return end
    if due and due > now and not is_told then
      local before = redis.call('ZRANGE', tag .. 'scheduled', 0, 0)[1]
      redis.call('ZADD', tag .. 'scheduled', text(due), id)
      is_earlier = is_earlier or redis.call('ZRANGE', tag .. 'scheduled', 0, 0)[1] ~= before
    elseif flags > 7 and not is_told and gates(ready).of(envelope) then
      gates(ready).enter(id, row.place, gates(ready).of(envelope))
    else
      local kind = kind_of(envelope) == 'a' and 'a' or 's'
      redis.call('ZADD', kind == 'a' and tag .. 'ready:async' or ready, row.place, id)
      if not is_told then made.envelopes[id] = envelope end
      released[kind] = released[kind] + 1
    end
  end

  local function note(id, row)
    if not row.is_noted then changed[#changed + 1], row.is_noted = id, true end
    if row.left == 0 then due_now[#due_now + 1] = id end
  end

  -- --- ends -------------------------------------------------------------------------------------------------------------------

  local function count_off(id, row, is_for_failure)
    row.left, row.is_for_failure = math.max(0, row.left - 1), is_for_failure
    note(id, row)
    return 1
  end

  -- Follow the end of a task to one step behind it; gives back what that cost.
  local function follow_to(kind, id, verb, cause, from)
    if kind == 'h' then
      made.report_end(id, from, verb, cause)
      return OF_A_STEP
    end
    local row = row_of(id)
    -- What has replaced an errback waits for none of the other ends that this one might have begun with.
    if not row or (kind == 'f' and row.root == REPLACED) then return 1 end
    if verb == 'P' then
      if row.waits then release(id, row) end
      return OF_A_STEP
    end
    if has_gone(row) then return 1 end
    if verb == 'R' then
      if kind ~= 'a' then made.resume(id, row) end
    elseif verb == 'X' then
      made.drop(id, row)
    elseif kind == 'a' or (kind == 's' and verb == 'S') then
      return count_off(id, row)
    elseif kind == 'f' and (verb == 'D' or verb == 'W') then
      row.failed = 1
      made.resume(id, row)
      if row.waits then release(id, row) end
    elseif kind == 'f' and verb ~= 'U' then
      return count_off(id, row, true)
    else
      made.fail(id, row, cause, verb == 'V' or verb == 'G')
    end
    return OF_A_STEP
  end

  -- Have steps begin, or end, for which all has come.
  local function begin_due()
    local some = due_now
    due_now = {}
    for _, id in ipairs(some) do
      local row = rows[id]
      if row and row.left == 0 and row.is_for_failure then
        made.drop(id, row)
      elseif row and row.waits and row.left == 0 then
        release(id, row)
      end
    end
  end

  -- Write what has become of steps that something was counted off of: of each once, however often it was.
  local function flush()
    for _, id in ipairs(changed) do
      local row = rows[id]
      if row then row.is_noted = nil end
      if row and row.waits then
        redis.call('HSET', steps, id, text_of(row))
      elseif row then
        redis.call('HSET', resumable, id, text_of(row) .. '\n' .. row.envelope)
      end
    end
    changed = {}
  end

  -- An end as elements of steps:todo, with so many steps in each.
  local function packed(e)
    local parts, some, number = {}, {}, 0
    for line in string.gmatch(e.behind, '\n[^\n]+') do
      some[#some + 1] = line
      if #some == STEPS_IN_PART then parts[#parts + 1], some = table.concat(some), {} end
    end
    if #some > 0 then parts[#parts + 1] = table.concat(some) end
    for n, part in ipairs(parts) do parts[n] = e.verb .. '\n' .. e.cause .. '\n' .. e.from .. part end
    return parts
  end

  local function unpacked(element)
    local verb, cause, from, behind = string.match(element, '^(%u)\n([^\n]*)\n([^\n]*)(.*)$')
    return verb and { verb = verb, cause = cause, from = from, behind = behind }
  end

  local function next_end()
    local e = queue[first]
    if e then
      first = first + 1
      return e
    end
    local element = has_todo and redis.call('LPOP', todo)
    return element and (unpacked(element) or { behind = '' })
  end

  local function take_in()
    for _, e in ipairs(owners.taken_ends()) do queue[#queue + 1] = e end
  end

  -- Follow the ends that this script has brought about, and those that were left by others, as many as it may: what is left goes to
  -- steps:todo, in the order in which it is to be followed.
  function made.follow()
    local had_more = has_todo
    take_in()
    if had_more then
      for _, e in ipairs(queue) do
        for _, part in ipairs(packed(e)) do redis.call('RPUSH', todo, part) end
      end
      queue = {}
    end
    local budget = FOLLOWED_AT_ONCE
    while budget > 0 do
      local e = next_end()
      if not e then break end
      local at = 1
      while budget > 0 do
        local from, stop, kind, id = string.find(e.behind, '^\n(%l)([^\n]+)', at)
        if not from then
          at = #e.behind + 1
          break
        end
        at = stop + 1
        budget = budget - follow_to(kind, id, e.verb, e.cause, e.from)
      end
      if at <= #e.behind then
        e.behind = string.sub(e.behind, at)
        first = first - 1
        queue[first] = e
      end
      if #due_now > 0 then begin_due() end
      take_in()
    end
    flush()
    has_todo = has_todo or first <= #queue or #unposted > 0
    for n = #queue, first, -1 do
      local parts = packed(queue[n])
      for i = #parts, 1, -1 do redis.call('LPUSH', todo, parts[i]) end
    end
    queue, first = {}, 1
    for _, e in ipairs(unposted) do redis.call('RPUSH', todo, packed(e)[1]) end
    unposted = {}
    local left = has_todo and redis.call('LLEN', todo) or 0
    has_todo = left > 0
    owners.mark(has_todo, had_more)
    if made_ending then made_ending.tell() end
    return left
  end

  -- Wake workers for what was released; but for those of one kind, for whom a fetch has rung.
  function made.ring(but)
    if (released.s > 0 or is_earlier) and but ~= 's' then ring(tag .. 'bell', math.max(1, released.s), ready) end
    if released.a > 0 and but ~= 'a' then ring(tag .. 'bell:async', released.a, tag .. 'ready:async') end
    released, is_earlier = { s = 0, a = 0 }, false
  end

  -- What few scripts ask for is made when the first of it is.
  local function make_rest()
    -- What was written in vain is left in steps:todo, and written later.
    function made.leave_for_later(verb, cause, from, line) unposted[#unposted + 1] = { verb = verb, cause = cause, from = from, behind = line } end

    -- A step begins, and takes its unique key. Gives back nil where it waits instead; and whether it is not to run: another has the key, and it
    -- ends as that one does, or as one too many. So its history says, with that one's id, for the worker that is given it.
    function made.take_key(id, row, envelope)
      local value = redis.pcall('HGET', tag .. 'attempts', id)
      if type(value) == 'table' then return true, false end -- of the wrong type, it keeps nobody out
      local a = history().split(value)
      if a.verdict == 'J' or a.verdict == 'D' then
        made.has_told = true
        return true, true
      end
      local verdict, holder = gates(ready).unique().successors().take(id, envelope, row.place, now, owners, function() return ending(ready, owners) end)
      if verdict == nil then return true, false end
      if verdict == 'parked' then return nil end
      a.verdict = verdict
      a.errors = a.errors .. '\n' .. cjson.encode({ at = now, kind = verdict == 'J' and 'joined' or 'duplicate', error = 'task ' .. holder .. ' has the unique key', task = holder })
      redis.call('HSET', tag .. 'attempts', id, history().join(a))
      made.has_told = true -- also for a fetch in the same script
      if verdict == 'D' then return true, true end
      made.wait(id, 1, row.place, '', row.root == REPLACED and REPLACED or '')
      local part = 0
      while owners.owns_part(id, part) do part = part + 1 end
      owners.own_part(id, part, holder .. '\n', 'T', '\na' .. id)
      return nil
    end

    function made.go_abroad(id, row, due, sign, queue)
      local envelope = redis.call('HGET', tasks, id)
      if not envelope then
        rows[id] = false
        return redis.call('HDEL', steps, id)
      end
      local later = string.match(due, '^%+(%d+)$')
      if later then due = text(now + later) end
      local expires, is_step = tonumber(history().split(redis.call('HGET', tag .. 'attempts', id)).expires), sign == '>'
      local name = abroad(tag).name_of(queue)
      if not abroad(tag).post(name, is_step and 'p' or 'w', id, is_step and envelope or '', due, expires and text(expires)) then
        made.leave_for_later('P', '', id, '\np' .. id)
      else
        row.due = due .. (is_step and '=' or '~') .. queue
      end
      redis.call('HSET', steps, id, text_of(row))
    end

    -- Tell another queue how a task ended that is waited for there.
    function made.report_end(home, id, verb, cause)
      local record, ms = '', 0
      if verb == 'W' then verb = 'D' end -- it has failed itself
      if verb ~= 'R' and verb ~= 'G' and verb ~= 'X' then record, ms = owners.record_of(id) end
      if not made.report(home, id, verb, cause, record, text(ms)) then
        made.leave_for_later(verb, cause, id, '\nh' .. home)
      elseif verb ~= 'D' and verb ~= 'U' and verb ~= 'R' then
        redis.call('SREM', tag .. 'steps:reported', id)
        owners.let_go({ id })
      end
    end

    -- A step ends as one before it did. It is kept while that one can be retried.
    function made.fail(id, row, cause, is_for_good)
      if row.waits then
        if not is_for_good then
          row.failed, row.waits, row.envelope = row.failed + 1, false, redis.call('HGET', tasks, id) or ''
          redis.call('HSET', resumable, id, text_of(row) .. '\n' .. row.envelope)
        else
          rows[id] = false
        end
        redis.call('HDEL', steps, id)
        local record = 'C' .. string.sub(cause, 1, 1) .. text(now) .. ' ' .. string.sub(cause, 2)
        ending(ready, owners).end_waiting(id, record, text(BEHIND_MS), tag .. 'result:' .. id, is_for_good and 'G' or row.root == REPLACED and 'W' or 'U', cause)
      elseif is_for_good then
        rows[id] = false
        redis.call('HDEL', resumable, id)
        owners.end_dead(id, cause)
      else
        row.failed = row.failed + 1
        note(id, row)
      end
    end

    -- A step that was only to run after a failure: there was none.
    function made.drop(id, row)
      if not row.waits then return made.fail(id, row, 'R' .. id, true) end -- of which there is a record already
      rows[id] = false
      redis.call('HDEL', steps, id)
      ending(ready, owners).end_waiting(id, '', '0', tag .. 'result:' .. id, 'X', 'R' .. id)
    end

    -- One before it, which had failed, is to run again. It waits again when that was the last that had, unless its unique key has gone to another.
    function made.resume(id, row)
      if row.waits then return end
      row.failed = math.max(0, row.failed - 1)
      note(id, row)
      if row.failed > 0 then return end
      local envelope = row.envelope
      -- What was put in the place of a task has its key; others take theirs when they begin.
      local is_unique = (string.byte(envelope, 4) or 0) % 32 > 15 and row.root == REPLACED and not elsewhere(row)
      if is_unique and gates(ready).unique().claim(id, envelope, now, false) then return end
      redis.call('HDEL', resumable, id)
      row.waits, row.envelope = true, nil
      redis.call('HSET', tasks, id, envelope)
      redis.call('HSET', steps, id, text_of(row))
      if is_unique then gates(ready).unique().successors().keep_claim(envelope) end
      if #envelope > SMALL_TASK then redis.pcall('SADD', tag .. 'large', id) end
      owners.take_back(id)
    end

    -- --- sending ----------------------------------------------------------------------------------------------------------------

    function made.wait(id, left, place, due, root)
      rows[id] = { left = left, failed = 0, place = place, due = due, root = root, waits = true }
      redis.call('HSET', steps, id, text_of(rows[id]))
    end

    -- The same of a task in whose place others were put.
    function made.wait_replaced(id, left, place, due) made.wait(id, left, place, due, REPLACED) end

    -- A step that waits for nothing begins.
    function made.start(id, place, due) release(id, { place = place, due = due }) end

    -- Have a step wait for the end of tasks. own: the number of the part of what it owns that these are; '' if it takes nothing of them.
    -- Gives back what is wrong with that.
    function made.put_behind(id, kind, own, names, states)
      if own ~= '' then return owners.own_part(id, tonumber(own), names, states, '\n' .. kind .. id) end
      owners.note_behind(owners.lines(names), '\n' .. kind .. id)
    end

    -- What stands for a step of another queue, and waits for nothing, goes there.
    function made.begin(id)
      local row = rows[id]
      if row and row.waits and row.left == 0 then release(id, row) end
    end

    -- All that a step takes has come from the queue that sent it here.
    function made.arrived(id)
      local row = row_of(id)
      row.left, row.root = 0, ''
      release(id, row)
    end

    -- Have something stand for a task of another queue that is to be waited for, and that queue tell how it ends.
    function made.watch(id, queue)
      redis.call('HSET', tasks, id, '\1sd\0')
      made.wait(id, 0, '0', '?' .. queue, '')
      made.begin(id)
    end

    -- --- what other queues say --------------------------------------------------------------------------------------------------

    made.row_of = row_of

    -- Gives back false where that could not be written.
    function made.report(home, id, verb, cause, record, ms)
      return abroad(tag).post(abroad(tag).name_of(home), 'e', id, verb .. ' ' .. ms .. ' ' .. cause .. '\n' .. record)
    end

    -- A task that something stands for here has ended in its queue, or is to run again there. Said again it changes nothing.
    function made.ended_elsewhere(id, verb, cause, record, ms)
      local row = row_of(id)
      if not row or not has_gone(row) then return end
      if verb == 'R' then return made.resume(id, row) end
      if not row.waits and (verb == 'D' or verb == 'U') then return end
      if not row.waits and verb == 'G' then return made.fail(id, row, cause, true) end
      if not row.waits then made.resume(id, row) end -- it has run again, of which we were not told
      redis.call('HDEL', steps, id)
      rows[id] = false
      if verb == 'D' or verb == 'U' then
        row.failed, row.waits, row.envelope = 1, false, redis.call('HGET', tasks, id) or ''
        redis.call('HSET', resumable, id, text_of(row) .. '\n' .. row.envelope)
        rows[id] = row
      end
      if record == '' and verb ~= 'S' and verb ~= 'X' then
        record, ms = 'C' .. string.sub(cause, 1, 1) .. text(now) .. ' ' .. string.sub(cause, 2), text(BEHIND_MS)
      end
      ending(ready, owners).end_waiting(id, record, ms, tag .. 'result:' .. id, verb == 'G' and 'V' or verb, cause, true)
    end

    -- Ask the queue that has a step to end it; its end comes back. False: no other queue has it.
    function made.end_elsewhere(id, record, ms, is_to_stop)
      local row = row_of(id)
      local _, sign, queue = elsewhere(row or { due = '' })
      if not row or not row.waits or not has_gone(row) then return false end
      if sign == '=' then
        local body = (is_to_stop and '1 ' or '0 ') .. ms .. ' ' .. record
        abroad(tag).post(abroad(tag).name_of(queue), 'k', id, body)
      end
      return true
    end

    -- Ask again how tasks end that other queues have; some of them. Gives back where to go on, '0' at the end.
    function made.ask_again(cursor)
      local found = redis.call('HSCAN', steps, cursor, 'COUNT', 200)
      for i = 1, #found[2], 2 do
        local row = row_in(found[2][i + 1])
        if row and has_gone(row) then
          local _, _, queue = elsewhere(row)
          abroad(tag).post(abroad(tag).name_of(queue), 'w', found[2][i], '')
        end
      end
      return found[1]
    end

    -- --- looking after ----------------------------------------------------------------------------------------------------------

    -- What a step waits for is lost. Gives back whether it was one that waits; those behind it end because of it. (V, not G: a queue that is
    -- told of its end gets the record along, which says why.)
    function made.end_lost(id)
      local row = row_of(id)
      if not row or not row.waits or has_gone(row) then return false end
      rows[id] = false
      redis.call('HDEL', steps, id)
      ending(ready, owners).end_waiting(id, 'CF' .. text(now) .. ' *', text(BEHIND_MS), tag .. 'result:' .. id, 'V', 'F' .. id)
      return true
    end

    -- End what waits of a workflow whose sender died before it had sent all of it; some of it. Gives back where to go on, '0' at the end.
    function made.end_unsent(root, cursor)
      local found = redis.call('HSCAN', steps, cursor, 'COUNT', 200)
      for i = 1, #found[2], 2 do
        local row = row_in(found[2][i + 1])
        if row and row.root == root and not has_gone(row) then
          row.waits = true
          made.fail(found[2][i], row, 'F', true)
        end
      end
      return found[1]
    end
  end

  return setmetatable(made, { __index = function(_, name)
    setmetatable(made, nil)
    make_rest()
    return made[name]
  end })
end
