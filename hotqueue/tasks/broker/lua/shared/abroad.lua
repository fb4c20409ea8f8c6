-- What the steps of workflows have to say to other queues, written to the outbox: see outbox.lua, and docs/decisions/0066. Put in front of ending.

-- A message is an entry of the outbox whose id is '=', a number, a blank, and the task it is about; where a task has its envelope, it has a
-- nought, a letter, and what that one says:
-- p a step that is to run there: its envelope. w tell how a task ends, now if it has. k end a step: 1 if it is to be stopped, a blank, how long its
-- record is to stay, in ms, a blank, and the record. e how a task ended: a verb (see steps.lua), a blank, the same, a blank, the cause, a newline,
-- and its record.
local made_abroad
local function abroad(tag)
  if made_abroad then return made_abroad end
  local made, lasts = {}, {}
  made_abroad = made

  -- A queue's name as it stands in rows and lines: without blanks, newlines and signs.
  function made.name_of(quoted)
    return (string.gsub(quoted, '%%(%x%x)', function(code) return string.char(tonumber(code, 16)) end))
  end

  -- Gives back false where that could not be written: a key of the wrong type. Then nothing was.
  function made.post(queue, letter, id, body, due, expires)
    local posted = tag .. 'posted:' .. queue
    if not lasts[queue] then
      local found = redis.pcall('ZREVRANGE', posted, 0, 0, 'WITHSCORES')
      if found.err or type(redis.pcall('HSETNX', tag .. 'outbox', queue, '0')) == 'table' then return false end
      lasts[queue] = tonumber(found[2]) or 0
    end
    local t = redis.call('TIME')
    local number = math.max(t[1] * 1000000 + t[2], lasts[queue] + 1)
    lasts[queue] = number
    local head = '=' .. text(number) .. ' ' .. id .. '\n' .. (due or '') .. ' ' .. (expires or '') .. '\n\0'
    redis.call('ZADD', posted, text(number), head .. letter .. body)
    return true
  end

  return made
end
