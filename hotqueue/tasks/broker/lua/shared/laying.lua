-- Steps of a workflow as they are sent; put behind steps. See docs/decisions/0061.

-- ids: of the steps of a lot; args, at: what is said of them, and behind which of these that begins: see enqueue.lua. `replaced`: the one of
-- them in whose place they are; `owners`: of this script.
local function laying(ids, args, at, replaced, owners)
  local made = {}
  local tag = string.sub(KEYS[1], 1, -6)
  local now = now_ms()
  local root, more_in, is_later, words, words_ms, keeper = args[at + 1], args[at + 2], args[at + 3] == '1', args[at + 4], args[at + 5], args[at + 6]
  local lefts, to_write, behind = lines_of(args[at + 7]), {}, {}
  local open, owned = tag .. 'steps:open', tag .. 'owned'
  local follow
  local watched, to_watch = {}, lines_of(args[at + 8])
  for i = 1, #to_watch, 2 do watched[to_watch[i]] = to_watch[i + 1] end
  for i = at + 9, #args, 4 do
    behind[#behind + 1] = { step = args[i], kind = args[i + 1], own = args[i + 2], names = args[i + 3] }
  end

  -- Whether a step ends as another does that has its unique key, if there is one.
  local function may_join(i)
    local envelope = args[3 + i]
    return not replaced and (string.byte(envelope, 4) or 0) % 32 > 15 and gates(KEYS[3]).unique().mode_of(envelope) == 'i'
  end

  -- Whether a step begins otherwise than tasks do that are sent: later, or with a look at who has its key.
  function made.waits(i) return lefts[i] ~= '0' or may_join(i) end

  function made.is_elsewhere(i) return string.find(lefts[i], '>', 1, true) ~= nil end

  -- By which it is looked at what is unique here: what waits takes its key when it begins.
  function made.envelope_of(i) return made.waits(i) and '' or args[3 + i] end

  -- How it is with a task that was not sent with these: as own.lua says; of one whose result is there, and no success, F if it is dead, else E.
  local function state_of(id)
    if redis.call('HEXISTS', tag .. 'tasks', id) == 1 then return 'T' end
    if redis.call('HEXISTS', tag .. 'dead:tasks', id) + redis.call('HEXISTS', tag .. 'dead:steps', id) > 0 then return 'F' end
    local record = redis.call('GETRANGE', tag .. 'result:' .. id, 0, 1)
    if record ~= '' then return record == '\1S' and 'R' or 'E' end
    return is_done({ tag .. 'done:0', tag .. 'done:1', tag .. 'done:2' }, id) and 'D' or 'U'
  end

  -- Looks at everything before anything is written.
  function made.refusal(answers, fresh)
    if fresh == 0 then return nil end
    if fresh < #ids then
      local known = { 'known' }
      for i, id in ipairs(ids) do
        if answers[i] ~= 1 then known[#known + 1] = id end
      end
      return known
    end
    if is_later and not redis.call('ZSCORE', open, root) then return { 'late' } end
    local own, unknown = {}, { 'unknown' }
    for _, id in ipairs(ids) do own[id] = true end
    for _, each in ipairs(behind) do
      each.states, each.ids = {}, lines_of(each.names)
      for n, id in ipairs(each.ids) do
        each.states[n] = own[id] and 'T' or state_of(id)
        if each.states[n] == 'U' and watched[id] then each.states[n] = 'T' end
        if each.states[n] == 'U' and replaced then each.states[n] = 'E' end -- nobody is there to be told
        if each.states[n] == 'U' then unknown[#unknown + 1] = id end
      end
    end
    if unknown[2] then return unknown end
    local wrong = must_be('hash', owned) or must_be('zset', open)
    if wrong then return wrong end
    owners = owners or owning(owned, now)
    follow = following(KEYS[3], owners, now)
  end

  -- The parts of what a step owns follow on what it owns already.
  function made.shift(step, by)
    for _, each in ipairs(behind) do
      if each.step == step and each.own ~= '' then each.own = text(tonumber(each.own) + by) end
    end
  end

  function made.note(i, place, due)
    local left, queue = string.match(lefts[i], '^(%d+)(.*)$')
    to_write[#to_write + 1] = { ids[i], tonumber(left), place, due .. queue }
  end

  -- What waits for one that has ended is told so now: how it ended, and why.
  local VERBS = { R = { 'S', 'F' }, D = { 'S', 'F' }, F = { 'D', 'F' }, E = { 'V', 'R' } }

  function made.commit()
    local is_open = more_in ~= '' or is_later
    for id, queue in pairs(watched) do
      if state_of(id) == 'U' then follow.watch(id, queue) end
    end
    for _, each in ipairs(to_write) do
      if each[1] == replaced then
        follow.wait_replaced(unpack(each))
      else
        follow.wait(each[1], each[2], each[3], each[4], is_open and root or '')
      end
    end
    if words ~= '' then owners.own_text(keeper, 'workflow:' .. root, words, words_ms) end
    for _, each in ipairs(behind) do
      follow.put_behind(each.step, each.kind, each.own, each.names, table.concat(each.states))
      for n, id in ipairs(each.ids) do
        local verb = VERBS[each.states[n]]
        if verb then owners.note_over_already(id, each.kind .. each.step, verb[1], verb[2] .. id) end
      end
    end
    for n = #to_write, 1, -1 do follow.begin(to_write[n][1]) end -- from the first to the last
    if more_in ~= '' then
      redis.call('ZADD', open, text(now + more_in), root)
    elseif is_later then
      redis.call('ZREM', open, root)
    end
    follow.follow()
    follow.ring()
  end

  return made
end
