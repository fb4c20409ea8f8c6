-- Unique tasks: which task has a key, and which one waits for that one to end. Included by gates.lua.
-- An envelope with flag 16 says, behind its gates and two bytes that say how long it is, 'ie60000 shop.price:user-7': what becomes of a second one
-- (r raise, i ignore, p it replaces the first), until when the first has the key (e it has ended, s a worker was given it), for how many
-- ms at most (none: as long as that), and the key. See decision 0053.
-- unique: key → 'until in ms or 0, blank, id' of the task that has it; on a second line the same of the one that waits for it to end.
-- A row says nothing by itself: it counts while that task is unfinished, and is of that key. So nothing that ends a task can leave one
-- behind that refuses anybody; what is left of one goes with the next look, or with mend_unique.
-- Who waits behind another is parked for 'unique', which no worker looks for: that is not in `needs`. What is done about these is in
-- successors.lua.

local function unique(tag, ready, at_gates)
  local made_successors
  local call, tasks, hash = redis.call, tag .. 'tasks', tag .. 'unique'
  local rows, coming, dropped = {}, {}, {} -- key → row; ids of what this call stores, and of what it cannot store
  local to_park, over = {}, {} -- of these, those that wait behind another: id → place; what they replace, and with what, in turn
  local ended = {} -- keys, and ids that let go of them, in turn
  local any, wrong, successors

  -- Whether any task here is unique: one command a call.
  local function exists()
    if any == nil then any = call('EXISTS', hash) == 1 end
    return any
  end

  -- What becomes of a second one, until when, ms or '', key; nil: it is not unique, or in a way that is not known here.
  local function read(envelope)
    local flags, size = string.byte(envelope, 4), #envelope
    if not flags or math.floor(flags / 16) % 2 == 0 or size < 28 then return nil end
    local header, _, id = struct.unpack('>I4I4B', envelope, 17)
    local at = 26 + header + id
    if math.floor(flags / 8) % 2 == 1 and at + 1 < size then at = at + 2 + struct.unpack('>I2', envelope, at) end
    if at + 2 > size then return nil end
    local found = string.sub(envelope, at + 2, at + 1 + struct.unpack('>I2', envelope, at))
    return string.match(found, '^([rip])([es])(%d*) ([^\n]+)$')
  end

  local function mode_of(envelope) return (read(envelope)) end

  local function key_of(envelope)
    local _, _, _, key = read(envelope)
    return key
  end

  -- Whether a task is unfinished, and one of this key.
  local function is_there(id, key)
    if coming[id] then return true end
    local envelope = call('HGET', tasks, id)
    return envelope and key_of(envelope) == key
  end

  local function parsed(value)
    local row = {}
    if not value then return row end
    row.till, row.id, row.next_till, row.next = string.match(value, '^(%d+) ([^\n]+)\n?(%d*) ?([^\n]*)$')
    if row.next == '' then row.next = nil end
    return row
  end

  -- A row, without those that are no tasks any more, or that have had the key for as long as they may: then the next one has it.
  local function row_of(key, now)
    local row = rows[key]
    if row then return row end
    row = parsed(call('HGET', hash, key))
    if row.next and not is_there(row.next, key) then row.next = nil end
    if row.id and not ((row.till == '0' or tonumber(row.till) > now) and is_there(row.id, key)) then
      row.id, row.till, row.next, row.freed = row.next, row.next_till, nil, row.next
    end
    rows[key] = row
    return row
  end

  local function text_of(row) return row.till .. ' ' .. row.id .. (row.next and '\n' .. row.next_till .. ' ' .. row.next or '') end

  local function write(key, row)
    if not row.id then return call('HDEL', hash, key) end
    call('HSET', hash, key, text_of(row))
  end

  -- A task comes, of this envelope. Gives back nil: it may, and has the key, or is behind who has it; or the id of the one that is there,
  -- and whether that is an error.
  local function claim(id, envelope, now, may_replace)
    local mode, _, ms, key = read(envelope)
    if not key then return nil end
    local row, till = row_of(key, now), ms == '' and '0' or text(now + tonumber(ms))
    if row.id and not (mode == 'p' and may_replace) then return row.id, mode ~= 'i' end
    local is_replaced = row.id and not row.next and successors().waits(row.id)
    coming[id], row.is_pending = true, true
    if row.next then
      over[#over + 1], over[#over + 2], to_park[row.next] = row.next, id, nil
      row.next, row.next_till, to_park[id] = id, till, true
    elseif not row.id then
      row.id, row.till = id, till
    elseif is_replaced then
      over[#over + 1], over[#over + 2] = row.id, id
      row.id, row.till = id, till
    else
      row.next, row.next_till, to_park[id] = id, till, true
    end
    return nil
  end

  -- Claim for all that come: of `answers`, which say 1 of them, those become others that do not. Gives back how many these are, and the
  -- refusal of all, if there is somebody to be told that one is there already.
  local function claim_all(ids, answers, envelope_of, now, is_told)
    local kept_out, refused = 0, { 'duplicate' }
    for n, id in ipairs(ids) do
      if answers[n] == 1 then
        local fine, first, is_error = pcall(claim, id, envelope_of(n), now, true)
        if not fine then -- a key of the wrong type: it is not stored
          wrong, answers[n] = wrong or failure(first), 2
        elseif first then
          answers[n] = is_told and first or 0
          if is_error then refused[#refused + 1], refused[#refused + 2] = n, first end
        end
        if answers[n] ~= 1 then kept_out = kept_out + 1 end
      end
    end
    return kept_out, is_told and refused[2] and refused
  end

  -- Of what comes, what has to wait behind another: it is parked when what was claimed is written.
  local function is_behind(id, place)
    if not to_park[id] then return false end
    to_park[id] = place
    return true
  end

  -- What would stop `commit` in its middle; before anything is written. `must_be`: see types.lua.
  local function would_stop(must_be)
    if over[1] or next(to_park) then return successors().would_stop(must_be) end
  end

  -- Write what was claimed, once its tasks are stored; gives back how many others they replace. `ending`: what ends these, see ending.lua.
  local function commit(now, ending)
    local list, has_freed = {}, false
    for key, row in pairs(rows) do
      if not (dropped[row.id or ''] or dropped[row.next or '']) then
        if row.id then
          list[#list + 1], list[#list + 2] = key, text_of(row)
        else
          call('HDEL', hash, key)
        end
      end
      has_freed = has_freed or row.freed
    end
    if list[1] then call('HSET', hash, unpack(list)) end
    if not (over[1] or has_freed or next(to_park)) then return 0 end
    return successors().commit(now, ending)
  end

  -- A task does not have its key any more: who waits behind it has.
  local function let_go(id, key)
    if rows[key] and not rows[key].is_pending then rows[key] = nil end -- to be looked at anew
    local row = parsed(call('HGET', hash, key))
    if row.id == id and not row.next then
      call('HDEL', hash, key)
    elseif row.id == id or row.next == id then
      successors().let_go(id, key, row)
    end
  end

  local function free_noted()
    for n = 1, #ended, 2 do pcall(let_go, ended[n + 1], ended[n]) end
    ended = {}
  end

  -- Note a task that ends, while its envelope is there. Gives back what lets go of its key, once that is sure.
  local function note_end(id)
    local envelope = exists() and call('HGET', tasks, id)
    local key = envelope and key_of(envelope)
    if key then ended[#ended + 1], ended[#ended + 2] = key, id end
    return free_noted
  end

  -- A worker is given a task. Gives back the letter by which that is held, of what is to be looked at as it ends; and what lets go of the
  -- keys of those that have had them.
  local function begin(id, envelope, letter, free)
    local _, till, _, key = read(envelope)
    if not key then return letter, free end
    if till == 'e' then
      local at = string.find('saxyghkl', letter, 1, true)
      return string.sub('ghklghkl', at, at), free
    end
    ended[#ended + 1], ended[#ended + 2] = key, id
    return letter, free_noted
  end

  function successors()
    if not made_successors then
      -- include successors
      made_successors = behind_others({
        tag = tag, ready = ready, gates = at_gates, rows = rows, coming = coming, dropped = dropped,
        to_park = to_park, over = over, exists = exists, read = read, key_of = key_of, is_there = is_there, parsed = parsed, row_of = row_of, write = write,
        let_go = let_go,
      })
    end
    return made_successors
  end

  return {
    mode_of = mode_of, claim = claim, claim_all = claim_all, is_behind = is_behind, would_stop = would_stop, commit = commit, begin = begin, note_end = note_end,
    successors = successors,
    drop = function(id) dropped[id] = true end, -- one that was to come is not stored after all
    wrong = function() return wrong end, -- with a key: an error, for the reply
  }
end
