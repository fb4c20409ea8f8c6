-- How tasks ended: kept, remembered, and sent to those who wait for it. Put behind the prelude.

local REPLY_MS = 60000      -- a reply list nobody reads is gone after this
local INLINE = 65536        -- larger results are fetched by the waiter itself
local UNREAD = 524288       -- a result is put there if, were all that lie there unread as large, they took no more than this
local LONG = 10000          -- messages that lie there unread at most

-- Which third of the done sets belongs to this minute; the one two minutes old has expired when its turn comes again.
local function remember_done(done, now, id)
  local key = done[math.floor(now / 60000) % 3 + 1]
  redis.call('SADD', key, id)
  redis.call('EXPIRE', key, 119)
end

local function is_done(done, id)
  for i = 1, 3 do
    if redis.call('SISMEMBER', done[i], id) == 1 then return true end
  end
  return false
end

-- A client that does not read costs no memory but for ids: the longer its list, the smaller what is put there, and then a mark that
-- something is missing. It reads the records itself, whose sizes it is sent.
local function announce(reply, status, id, blob)
  local size = #blob
  if size > INLINE then status, blob = 'B', text(size) end
  local length = redis.call('RPUSH', reply, status .. id .. '\0' .. blob)
  if length > LONG + 1 then
    redis.call('RPOP', reply)
  elseif length > LONG then
    redis.call('LSET', reply, -1, '?')
  elseif status == 'R' and size * length > UNREAD then
    redis.call('LSET', reply, -1, 'B' .. id .. '\0' .. text(size))
  end
  redis.call('PEXPIRE', reply, REPLY_MS)
end

-- waiters: 'reply list, reply list, …' of a task. Reply lists are found by name, as step.lua finds results and parked sets:
-- they share the queue's slot.
local function announce_all(replies, status, id, blob)
  for reply in string.gmatch(replies, '[^\n]+') do announce(reply, status, id, blob) end
end

-- Store how a task ended whose result nobody owns (else: owning.lua); without a record, or with a short-lived one, the id is
-- remembered a while. With one it is marked:
-- enqueue has to know it, but once the record has expired nobody may take it for a task that ended without one.
local function had_record(id) return '\0' .. id end

local function keep_record(done, now, id, blob, ttl, result)
  if blob == '' or ttl == '0' then return remember_done(done, now, id) end
  redis.call('SET', result, blob, 'PX', ttl)
  if tonumber(ttl) < 120000 then remember_done(done, now, had_record(id)) end
end

local function announce_end(replies, id, blob) announce_all(replies, blob == '' and 'D' or 'R', id, blob) end
