-- Changes of schedules, and what they fire. Put behind the prelude. See docs/decisions/0051.

-- A change counts only if its schedule is as it was when it was read: so a slot is fired once, whoever else is about to fire it. Then the
-- tasks that are fired are stored and the next slot is set in one step.
-- In a function, as in receipts.lua. `at`: behind which of ARGV there are the changes, seven of them each: name, state that was read ('':
-- none), new state ('': the schedule is removed), new row ('': it stays), ms at which it is to fire ('': not at all), how many of the tasks
-- are what it fires, and what it posts to other queues (for set_schedules.lua).
local function firing(schedules, states, next_slots, at)
  local wrong = must_be('hash', schedules, states) or must_be('zset', next_slots)
  if wrong then error(wrong.err, 0) end
  local changes, given, first = {}, {}, 1
  for from = at + 1, #ARGV, 7 do
    local change = { from = from, first = first, last = first + ARGV[from + 5] - 1 }
    change.counts = (redis.call('HGET', states, ARGV[from]) or '') == ARGV[from + 1]
    for n = change.first, change.last do given[n] = not change.counts and 0 or nil end
    changes[#changes + 1], first = change, change.last + 1
  end

  local function carry_out(name, _, state, row, due)
    if state == '' then
      redis.call('HDEL', states, name)
      redis.call('HDEL', schedules, name)
    else
      redis.call('HSET', states, name, state)
      if row ~= '' then redis.call('HSET', schedules, name, row) end
    end
    if due == '' then redis.call('ZREM', next_slots, name) else redis.call('ZADD', next_slots, due, name) end
  end

  -- Once the tasks are stored. Gives back whether each change was carried out (1) or not (0).
  local function note(answers)
    local done = {}
    for n, change in ipairs(changes) do
      for i = change.first, change.last do
        if answers[i] == 2 then change.counts = false end -- it could not be stored: a key of the wrong type
      end
      if change.counts then carry_out(unpack(ARGV, change.from, change.from + 4)) end
      done[n] = change.counts and 1 or 0
    end
    return done
  end

  return { changes = changes, given = given, note = note }
end
