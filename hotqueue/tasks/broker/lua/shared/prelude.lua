-- Functions that every operation shares; put in front of each script.
-- Places are carried as the strings Redis gives: joining a Lua number to text keeps 14 digits only and loses the place.
local BAND = 35184372088832 -- 2^45 places in each of 201 priority bands
local MOST = 1000           -- tasks that one call handles at most

-- Redis asks about memory only until a script has written: a first write that takes none, here one that changes nothing,
-- lets a full server pass the rest, which is how workers drain it.
local function may_grow(hash) redis.call('HDEL', hash, '') end

local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function text(number) return string.format('%.0f', number) end

-- The lines of a text, each with a newline behind it. Looking for newlines costs less than a pattern.
local function lines_of(lines)
  local found, from = {}, 1
  local at = string.find(lines, '\n', 1, true)
  while at do
    found[#found + 1] = string.sub(lines, from, at - 1)
    from = at + 1
    at = string.find(lines, '\n', from, true)
  end
  return found
end

-- Bytes 2 and 3 of an envelope: its kind and its priority + 100.
local function kind_of(envelope) return string.sub(envelope, 2, 2) end

local function new_place(seq, envelope)
  return text((200 - (string.byte(envelope, 3) or 100)) * BAND + redis.call('INCR', seq))
end

-- Counters do without: a key of the wrong type there stops no work.
local function count(stats, now, what, by)
  redis.pcall('HINCRBY', stats, text(math.floor(now / 60000)) .. ':' .. what, by)
end

-- The error of a call that was caught, for the reply.
local function failure(caught)
  if type(caught) == 'table' then return caught end
  return redis.error_reply(string.match(caught, 'WRONGTYPE.*') or caught)
end
