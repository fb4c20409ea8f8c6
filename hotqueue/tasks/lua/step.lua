-- Finish what a worker has done and fetch what it has room for, in one trip.
-- KEYS 1 tasks 2 attempts 3 ready 4 ready:async 5 ready:alone 6 scheduled 7 held:<worker> 8 workers 9 worker:<worker>
--      10 bell 11 bell:async 12 seq 13 stats 14 paused 15 dead 16 dead:tasks 17-19 done 20 needs
--      21… two an action: result:<id> and waiters:<id>, or parked:<need> twice
-- ARGV 1 worker 2 fetch number 3 room (0: no fetch) 4 kind to fetch ('s', 'a') 5 '1': a task of ready:alone may come, alone
--      6 bytes at most; then six an action: id, number it was fetched under, code, blob, ms, extra
--      codes: S success, X end without result, E end with another result, D dead (extra: its record), R retry after ms
--      (extra: attempts), P put back, K park (extra: need)
-- Returns { now, ms until the next due task (-1: none), alive, sizes of the other two ready sets, number of needs,
--           ids that were gone, id, place, origin, attempts, envelope, … } ; alive 0: the worker was given up; 2: late fetch.
local k = { tasks = KEYS[1], attempts = KEYS[2], done = { KEYS[17], KEYS[18], KEYS[19] } }
local held, seq = KEYS[7], KEYS[12]
local now = now_ms()
local gone, tally = {}, {}
local ORIGIN = { s = KEYS[3], a = KEYS[4], x = KEYS[5] }

local function bury(id, record)
  redis.call('HSET', KEYS[16], id, record .. '\n' .. (redis.call('HGET', k.tasks, id) or ''))
  redis.call('ZADD', KEYS[15], text(now), id)
  local old = redis.call('ZRANGEBYSCORE', KEYS[15], '-inf', text(now - 7776000000), 'LIMIT', 0, 10)
  local over = redis.call('ZCARD', KEYS[15]) - 10000
  if over > 0 then old = redis.call('ZRANGE', KEYS[15], 0, over - 1) end
  for _, dropped in ipairs(old) do
    redis.call('ZREM', KEYS[15], dropped)
    redis.call('HDEL', KEYS[16], dropped)
    tally.dead_dropped = (tally.dead_dropped or 0) + 1
  end
end

local function again(id, delay, attempts)
  redis.call('HSET', k.attempts, id, attempts)
  if delay > 0 then return redis.call('ZADD', KEYS[6], text(now + delay), id) end
  local envelope = redis.call('HGET', k.tasks, id)
  if envelope then
    redis.call('ZADD', kind_of(envelope) == 'a' and KEYS[4] or KEYS[3], new_place(seq, envelope), id)
  end
end

local function park(id, place, need, parked)
  local a = split_attempts(redis.call('HGET', k.attempts, id))
  a[3] = need
  redis.call('HSET', k.attempts, id, join_attempts(a))
  redis.call('ZADD', parked, place, id)
  redis.call('SADD', KEYS[20], need)
end

local NAMES = { S = 'succeeded', X = 'succeeded', E = 'ended', D = 'failed', R = 'retried', P = 'put_back', K = 'parked' }

local function finish(i, n)
  local id, number, code = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local value = redis.call('HGET', held, id)
  local place, fetched, origin
  if value then place, fetched, origin = split_held(value) end
  if not value or (number ~= '*' and fetched ~= number) then
    gone[#gone + 1] = id
    return
  end
  redis.call('HDEL', held, id)
  tally[NAMES[code]] = (tally[NAMES[code]] or 0) + 1
  if code == 'R' then return again(id, tonumber(ARGV[i + 4]), ARGV[i + 5]) end
  if code == 'P' then return redis.call('ZADD', ORIGIN[origin], place, id) end
  if code == 'K' then return park(id, place, ARGV[i + 5], KEYS[21 + 2 * n]) end
  if code == 'D' then bury(id, ARGV[i + 5]) end
  conclude(k, now, id, ARGV[i + 3], ARGV[i + 4], KEYS[21 + 2 * n], KEYS[22 + 2 * n])
end

local function fits(envelopes, limit)
  local total = 0
  for i = 1, #envelopes do
    total = total + #(envelopes[i] or '')
    if total > limit and i > 1 then return i - 1 end
  end
  return #envelopes
end

local function take(key, room, origin, out)
  local popped = redis.call('ZPOPMIN', key, room)
  if #popped == 0 then return 0 end
  local ids = {}
  for i = 1, #popped, 2 do ids[#ids + 1] = popped[i] end
  local envelopes = redis.call('HMGET', k.tasks, unpack(ids))
  local attempts = redis.call('HMGET', k.attempts, unpack(ids))
  local keep, pairs_ = fits(envelopes, tonumber(ARGV[6])), {}
  for i = 1, #ids do
    if i > keep then
      redis.call('ZADD', key, popped[2 * i], ids[i])
    elseif envelopes[i] then
      pairs_[#pairs_ + 1] = ids[i]
      pairs_[#pairs_ + 1] = popped[2 * i] .. ' ' .. ARGV[2] .. ' ' .. origin
      for _, v in ipairs({ ids[i], popped[2 * i], origin, attempts[i] or '', envelopes[i] }) do out[#out + 1] = v end
    end
  end
  if #pairs_ > 0 then redis.call('HSET', held, unpack(pairs_)) end
  return #pairs_ / 2
end

local function fetch(out)
  if not redis.call('ZSCORE', KEYS[8], ARGV[1]) then return 0 end
  if tonumber(redis.call('HGET', KEYS[9], 'fetch') or '0') >= tonumber(ARGV[2]) then return 2 end
  local kind, room, got = ARGV[4], tonumber(ARGV[3]), 0
  if redis.call('EXISTS', KEYS[14]) == 0 then
    if ARGV[5] == '1' then got = take(KEYS[5], 1, 'x', out) end
    if got == 0 then take(ORIGIN[kind], room, kind, out) end
  end
  redis.call('HSET', KEYS[9], 'fetch', ARGV[2])
  local bell = kind == 'a' and KEYS[11] or KEYS[10]
  if redis.call('ZCARD', ORIGIN[kind]) > 0 and redis.call('LLEN', bell) == 0 then redis.call('LPUSH', bell, '1') end
  return 1
end

local n = 0
for i = 7, #ARGV, 6 do
  finish(i, n)
  n = n + 1
end
local out, alive = {}, 1
if tonumber(ARGV[3]) > 0 then alive = fetch(out) end
for what, by in pairs(tally) do count(KEYS[13], now, what, by) end
local first = redis.call('ZRANGE', KEYS[6], 0, 0, 'WITHSCORES')
local due = first[2] and math.max(0, tonumber(first[2]) - now) or -1
local others = redis.call('ZCARD', ARGV[4] == 'a' and KEYS[3] or KEYS[4])
local head = { text(now), due, alive, others, redis.call('ZCARD', KEYS[5]), redis.call('SCARD', KEYS[20]), gone }
for i = 1, #out do head[7 + i] = out[i] end
return head
