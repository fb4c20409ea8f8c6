-- End some of the tasks that wait in a queue, of those that were there at a given moment: a portion with each call.
-- KEYS 1 tasks 2 attempts 3 ready 4 ready:async 5 suspects 6 scheduled 7 needs 8 waiters 9-11 done 12 stats 13 expiring
--      14 revoked 15 large 16 owned 17 source, that is tasks, scheduled, or parked:<need>
-- ARGV 1 what the key of a result begins with 2 cursor 3 how many to look at, about 4 which of them, letters: w wait for a worker, s for
--      their time, r to be run again, p parked 5 '1': mark those that a worker has in hand, as revoke.lua does 6 the last number that
--      had been given at that moment 7 that moment in ms 8 name of their task, '' any 9 of their schedule, '' any
--      10… what their headers are to have: JSON objects of one member, in the form in which headers are written
-- Returns { cursor to go on with, '0' at the end; how many were ended; how many to look at with the next call }.
local tasks, attempts, ready, ready_async, suspects, scheduled = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local needs, waiters, stats, expiring, revoked, large = KEYS[7], KEYS[8], KEYS[12], KEYS[13], KEYS[14], KEYS[15]
local owned, source = KEYS[16], KEYS[17]
local results, cursor, page, letters, is_to_mark = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5] == '1'
local last, began, name, schedule = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8], ARGV[9]
local known_for = '3600000' -- ms: see client/result.py
local AT_ONCE = 250 -- some 15 commands for each that is ended
local wrong = newer_queue() or must_be('hash', tasks, attempts, waiters, owned)
  or must_be('zset', ready, ready_async, suspects, scheduled, expiring) or must_be('set', needs, revoked, large)
if wrong then return wrong end
local ending = ending(ready) -- before anything is written: see owning.lua
may_grow(tasks)
local now, ended = now_ms(), 0
local task_of = pausing(string.sub(tasks, 1, -6)).task_of

local function parked_of(need) return string.sub(tasks, 1, -6) .. 'parked:' .. need end

-- How a task waits, and its place if it has one; nil: it does not, a worker has it in hand.
local function waits(id, a)
  if redis.call('ZSCORE', scheduled, id) then return a.retries > 0 and 'r' or 's' end
  for _, set in ipairs({ ready, ready_async, suspects }) do
    local place = redis.call('ZSCORE', set, id)
    if place then return 'w', place end
  end
  local place = a.need ~= '-' and redis.pcall('ZSCORE', parked_of(a.need), id)
  if type(place) == 'string' then return (a.need == 'unique' or string.find(a.need, '^paused:')) and 'w' or 'p', place end
  place = gates(ready).lanes().place(id) or string.match(redis.call('HGET', string.sub(tasks, 1, -6) .. 'steps', id) or '', '^%d+ %d+ (%S+) [^ =~]* ')
  if place then return 'w', place end
end

-- Whether it was there at that moment: by its number, which what was sent later has a higher one than. What was scheduled, or failed,
-- has got one since, or none yet: by when it was sent, as its sender's clock says.
local function was_there(envelope, a, place)
  local number = place and tonumber(place) % BAND
  if number and number <= last then return true end
  if number and a.retries == 0 and (string.byte(envelope, 4) or 0) % 2 == 0 then return false end
  return #envelope < 26 or struct.unpack('>I8', envelope, 9) <= began
end

-- What an envelope says beyond the arguments; behind texts for scripts, of which flags 8 and 16 say that they are there.
local function headers_of(envelope)
  local flags = string.byte(envelope, 4)
  if #envelope < 26 or flags % 2 == 0 then return '', nil end
  local header, call, id = struct.unpack('>I4I4B', envelope, 17)
  local at, stop = 26 + header + id, 25 + header + id + call
  for _, flag in ipairs({ 8, 16 }) do
    if math.floor(flags / flag) % 2 == 1 then at = at + 2 + struct.unpack('>I2', envelope, at) end
  end
  local said = string.sub(envelope, at, stop)
  local fine, found = pcall(cjson.decode, said)
  return said, fine and type(found) == 'table' and found.headers or nil
end

-- Both as texts, which keep all digits of a number, and by where they stand.
local function has_headers(envelope)
  local said, found = headers_of(envelope)
  if type(found) ~= 'table' then return false end
  for i = 10, #ARGV do
    local member, key, value = string.sub(ARGV[i], 2, -2), next(cjson.decode(ARGV[i]))
    local _, at = string.find(said, member, 1, true)
    while at and not string.find(said, '^[,}]', at + 1) do _, at = string.find(said, member, at + 1, true) end
    if not at or found[key] ~= value then return false end
  end
  return true
end

local function is_meant(id, envelope)
  if schedule ~= '' then
    local prefix = 'periodic:' .. schedule .. ':'
    if string.sub(id, 1, #prefix) ~= prefix or not string.find(id, '^%d+%-%d%d%-%d%dT[%d:.]+Z$', #prefix + 1) then return false end
  end
  return (name == '' or task_of(envelope) == name) and (#ARGV < 10 or has_headers(envelope))
end

local function see(id, envelope)
  if not (envelope and is_meant(id, envelope)) then return end
  local a = history().split(redis.call('HGET', attempts, id))
  local letter, place = waits(id, a)
  if not letter and is_to_mark then
    local is_told = made_following and made_following.end_elsewhere(id, 'R' .. text(now) .. ' 0', known_for, false)
    if not is_told then redis.call('SADD', revoked, id) end
  elseif letter and string.find(letters, letter, 1, true) and was_there(envelope, a, place) and ending.leave(id, parked_of(a.need), a.need) then
    redis.call('HDEL', string.sub(tasks, 1, -6) .. 'control', id)
    ending.end_waiting(id, 'R' .. text(now) .. ' ' .. text(a.retries), known_for, results .. id)
    ended = ended + 1
  end
end

local has_envelopes = source == tasks
local found = redis.call(has_envelopes and 'HSCAN' or 'ZSCAN', source, cursor, 'COUNT', page)
for i = 1, #found[2], 2 do
  local id = found[2][i]
  see(id, has_envelopes and found[2][i + 1] or redis.call('HGET', tasks, id))
end
if ended > 0 then count(stats, now, 'revoked', ended) end
ending.follow()
gates(ready).ring()
return { found[1], ended, math.min(AT_ONCE, redis.call('EXISTS', tasks) == 1 and page_of(tasks, large) or 1) }
