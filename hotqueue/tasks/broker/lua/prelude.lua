-- Functions that every operation shares; put in front of each script.
-- Places are carried as the strings Redis gives: joining a Lua number to text keeps 14 digits only and loses the place.
local BAND = 35184372088832 -- 2^45 places in each of 201 priority bands
local BELLS = 4             -- wake tokens kept at most
local REPLY_MS = 60000      -- a reply list nobody reads is gone after this
local INLINE = 65536        -- larger results are fetched by the waiter itself
local UNREAD = 524288       -- a result is put there if, were all that lie there unread as large, they took no more than this
local LONG = 10000          -- messages that lie there unread at most
local MOST = 1000           -- tasks that one call handles at most

-- Redis asks about memory only until a script has written: a first write that takes none, here one that changes nothing,
-- lets a full server pass the rest, which is how workers drain it.
local function may_grow(hash) redis.call('HDEL', hash, '') end

local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function text(number) return string.format('%.0f', number) end

-- An instant: '' none, '+250' in 250 ms, '1700000000000' itself; server time, so a caller's clock does not matter.
local function instant(spec, now)
  if spec == '' then return nil end
  if string.sub(spec, 1, 1) == '+' then return now + tonumber(string.sub(spec, 2)) end
  return tonumber(spec)
end

-- Bytes 2 and 3 of an envelope: its kind and its priority + 100.
local function kind_of(envelope) return string.sub(envelope, 2, 2) end

local function new_place(seq, envelope)
  return text((200 - (string.byte(envelope, 3) or 100)) * BAND + redis.call('INCR', seq))
end

-- Bells and counters do without: a key of the wrong type there stops no work.
-- Whoever took a token may never come for its task: a process that is stopped takes one all the same. So a bell that holds none is
-- rung for every task that waits, those included that were rung for before and are still there.
local function ring(bell, tokens, ready)
  local length = redis.pcall('LLEN', bell)
  if type(length) == 'table' then return end
  local waiting = length == 0 and redis.pcall('ZCARD', ready)
  if type(waiting) == 'number' then tokens = math.max(tokens, waiting) end
  local room = BELLS - length
  for _ = 1, math.min(room, tokens) do redis.call('LPUSH', bell, '1') end
end

local function count(stats, now, what, by)
  redis.pcall('HINCRBY', stats, text(math.floor(now / 60000)) .. ':' .. what, by)
end

-- attempts: 'retries deliveries need expires verdict', three numbers more once they are not all nought (shared lost width, see
-- history.py), and then one line of JSON an error; in the table, `errors` are these lines, each with its newline in front.
local function split_attempts(value)
  local head, rest = string.match(value or '', '^([^\n]*)(.*)$')
  local retries, deliveries, need, expires, verdict, more = string.match(head, '^(%d+) (%d+) (%S+) (%S+) (%S+)(.*)$')
  if not retries then retries, deliveries, need, expires, verdict, more = 0, 0, '-', '-', '-', '' end
  local shared, lost, width = string.match(more, '^ (%d+) (%d+) (%d+)$')
  return {
    retries = tonumber(retries), deliveries = tonumber(deliveries), need = need, expires = expires, verdict = verdict,
    shared = tonumber(shared or 0), lost = tonumber(lost or 0), width = tonumber(width or 0), errors = rest,
  }
end

local function join_attempts(a)
  local head = text(a.retries) .. ' ' .. text(a.deliveries) .. ' ' .. a.need .. ' ' .. a.expires .. ' ' .. a.verdict
  if a.shared + a.lost + a.width > 0 then
    head = head .. ' ' .. text(a.shared) .. ' ' .. text(a.lost) .. ' ' .. text(a.width)
  end
  return head .. a.errors
end

-- How many suspects may run side by side with one, in one process. Each slot there takes a thread and six descriptors: so many
-- start within the 256 that some systems allow.
local SIDE_BY_SIDE = 32
local function width_of(attempts) return math.min(SIDE_BY_SIDE, math.max(1, split_attempts(attempts).width)) end

-- Whether a process that runs so many side by side is for a suspect of this width. In one of less than half, all that wait would
-- run more or less one by one, and wait for each other.
local function fits(own, width) return own >= width and own < 2 * width end

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

-- Store how a task ended; without a record, or with a short-lived one, the id is remembered a while. With one it is marked:
-- enqueue has to know it, but once the record has expired nobody may take it for a task that ended without one.
local function had_record(id) return '\0' .. id end

local function keep_record(done, now, id, blob, ttl, result)
  if blob == '' then return remember_done(done, now, id) end
  redis.call('SET', result, blob, 'PX', ttl)
  if tonumber(ttl) < 120000 then remember_done(done, now, had_record(id)) end
end

local function announce_end(replies, id, blob) announce_all(replies, blob == '' and 'D' or 'R', id, blob) end

-- Take a task out of the dead list; returns how many bytes are left in it. The count begins anew whenever the list is empty.
local function drop_dead(dead, tasks, bytes, id)
  local size = redis.call('HSTRLEN', tasks, id)
  redis.call('HDEL', tasks, id)
  redis.call('ZREM', dead, id)
  if redis.call('EXISTS', dead) == 0 then
    redis.call('DEL', bytes)
    return 0
  end
  return redis.call('INCRBY', bytes, 0 - size)
end

-- The error of a call that was caught, for the reply.
local function failure(caught)
  if type(caught) == 'table' then return caught end
  return redis.error_reply(string.match(caught, 'WRONGTYPE.*') or caught)
end

local function must_be(kind, ...)
  for _, key in ipairs({ ... }) do
    local found = redis.call('TYPE', key).ok
    if found ~= 'none' and found ~= kind then
      return redis.error_reply('WRONGTYPE ' .. key .. ' holds a ' .. found .. ', not a ' .. kind)
    end
  end
end

-- What a worker is given of a task that was revoked while one had it in hand: it ends it, and does not run it.
local function as_revoked(attempts)
  local a = split_attempts(attempts)
  a.verdict = 'R'
  return join_attempts(a)
end
