-- Do what another queue has posted for this one, of workflows: see abroad.lua. What was heard before is known by its receipt, as in receipts.lua.
-- KEYS 1 tasks 2 attempts 3 ready 4 seq 5 owned 6 receipts 7 received:<queue> 8 steps:reported 9-11 done 12 stats 13 expiring 14 revoked
-- ARGV 1-3 as receipts.lua has them: that queue, the lowest number left there, the numbers 4 ids of the messages, each with a newline behind it
--      5 that queue's name, quoted 6 '1': of the one message that comes, more is to come: of what the step takes; then of each message: when the step is
--      due, when it expires, what is said, the number of the part of what it takes that comes along, these ids, each with a newline behind it, and a
--      letter each, R its record comes along, D it has none; then of each record: its id, and it
-- Returns { 1 heard, 0 known already, 2 as in receipts.lua, of each message; the highest number that came from there; whether there is something
--   for that queue in our outbox; for how many there is }. Said again, it changes nothing.
local tasks, attempts, ready, seq, owned, steps_reported = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[8]
local done, stats, expiring, revoked = { KEYS[9], KEYS[10], KEYS[11] }, KEYS[12], KEYS[13], KEYS[14]
local source, home, has_more = ARGV[1], ARGV[5], ARGV[6] == '1'
local ids, now, tag = lines_of(ARGV[4]), now_ms(), string.sub(tasks, 1, -6)
local wrong = newer_queue() or must_be('hash', tasks, attempts, owned, KEYS[6]) or must_be('zset', ready, KEYS[7], expiring) or must_be('set', steps_reported, revoked)
if wrong then return wrong end
local owners = owning(owned, now)
local follow = following(ready, owners, now) -- before anything is written
local ending, came, answers = ending(ready, owners), receiving(KEYS[6], KEYS[7], ids, 0, now), {}
local function record_of(id) return redis.call('GET', tag .. 'result:' .. id) end

-- The records that come along stay for as long as steps own them.
local function lay_records(from)
  for i = from, #ARGV, 2 do redis.call('SET', tag .. 'result:' .. ARGV[i], ARGV[i + 1], 'NX', 'PX', 60000) end
end

local function ended(id)
  return redis.call('HEXISTS', tag .. 'dead:tasks', id) + redis.call('HEXISTS', tag .. 'dead:steps', id) > 0 and 'dead'
    or redis.call('EXISTS', tag .. 'result:' .. id) == 1 and 'result'
    or (is_done(done, id) or is_done(done, had_record(id))) and 'done'
end

-- That queue is to be told how a task ends.
local function note_home(id)
  if owners.is_awaited_by(id, 'h' .. home) then return end
  owners.own({ id }, 'T', '\nh' .. home)
  redis.call('SADD', steps_reported, id)
end

local function report(id, verb, cause, record, ms)
  if not follow.report(home, id, verb, cause, record, ms) then error('WRONGTYPE the outbox for ' .. source .. ' is none', 0) end
end

-- Tell how a task ends: now, if it has.
local function watch(id)
  if redis.call('HEXISTS', tasks, id) == 1 then return note_home(id) end
  local where, record = ended(id), record_of(id)
  local ms = record and math.max(0, redis.call('PTTL', tag .. 'result:' .. id)) or 0
  local verb, cause = 'V', 'R' .. id
  if where == 'dead' then
    note_home(id)
    verb, cause = 'D', 'F' .. id
  elseif where == 'done' or (record and string.sub(record, 1, 2) == '\1S') then
    verb = 'S'
  elseif not where then -- nothing is known of it
    cause = 'F' .. id
  end
  report(id, verb, cause, record or '', text(ms))
end

local function announce_new()
  redis.pcall('PERSIST', stats)
  redis.pcall('PUBLISH', 'hotqueue:new', string.sub(tasks, 11, -8))
end

local function arrive(id, envelope, due, expires, part, names, states)
  local row = follow.row_of(id)
  if not (row and row.waits and row.root == '@in') then
    if redis.call('HEXISTS', tasks, id) == 1 or ended(id) then return watch(id) end
    local place = new_place(seq, envelope)
    if expires ~= '' then
      redis.call('HSET', attempts, id, '0 0 - ' .. expires .. ' -')
      redis.call('ZADD', expiring, expires, id)
    end
    redis.call('HSET', tasks, id, envelope)
    follow.wait(id, 1, place, due, '@in')
    note_home(id)
    if #envelope > SMALL_TASK then redis.pcall('SADD', tag .. 'large', id) end
    count_coming(tag, now, envelope)
    if redis.call('GET', seq) == '1' then announce_new() end
  end
  if names ~= '' then owners.own_part(id, tonumber(part), names, states, '') end
  if not has_more then follow.arrived(id) end
end

local function end_task(id, said)
  local is_to_stop, ms, record = string.match(said, '^(%d) (%d+) (.*)$')
  if redis.call('HEXISTS', tasks, id) == 0 then
    if not ended(id) then report(id, 'V', 'R' .. id, record, ms) end
    return
  end
  local need = history().split(redis.call('HGET', attempts, id)).need
  if ending.leave(id, tag .. 'parked:' .. need, need) then
    redis.call('HDEL', tag .. 'control', id)
    count(stats, now, 'revoked', 1)
    ending.end_waiting(id, record, ms, tag .. 'result:' .. id)
  elseif not follow.end_elsewhere(id, record, ms, is_to_stop == '1') then
    redis.call('SADD', revoked, id)
    if is_to_stop == '1' then redis.call('HSET', tag .. 'control', id, record) end
  end
end

local function hear_end(id, said)
  local verb, ms, cause, record = string.match(said, '^(%u) (%d+) ([^\n]*)\n(.*)$')
  if verb then follow.ended_elsewhere(id, verb, cause, record, ms) end
end

local function is_for_steps(i) return string.byte(ARGV[6 * i + 3], 2) == 112 end -- p

local function hear(i)
  local at, id = 7 + 6 * (i - 1), string.match(ids[i], '^=%d+ (.+)$')
  local letter, said = string.match(ARGV[at + 2], '^%z(%l)(.*)$')
  if not id then return end
  if letter == 'p' then
    arrive(id, said, ARGV[at], ARGV[at + 1], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5])
  elseif letter == 'w' then
    watch(id)
  elseif letter == 'k' then
    end_task(id, said)
  elseif letter == 'e' then
    hear_end(id, said)
  end
end

local brings_steps = false
for i = 1, #ids do brings_steps = brings_steps or is_for_steps(i) end
if not brings_steps then may_grow(tasks) end
lay_records(7 + 6 * #ids)
for i = 1, #ids do
  answers[i] = came.given[i] or 1
  if answers[i] == 1 then hear(i) end
end
follow.follow()
follow.ring()
gates(ready).ring()
if not has_more then came.note(answers) else answers[#answers + 1] = '0' end
answers[#answers + 1] = redis.call('HEXISTS', tag .. 'outbox', source)
answers[#answers + 1] = redis.call('HLEN', tag .. 'outbox')
return answers
