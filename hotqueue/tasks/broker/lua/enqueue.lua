-- Store tasks under their ids, unless an id is known already; place or schedule them; ring.
-- KEYS 1 tasks 2 attempts 3 ready 4 ready:async 5 scheduled 6 seq 7 bell 8 bell:async 9 dead:tasks 10-12 done 13 stats
--      14 expiring 15 large 16 enqueued; of what comes from the outbox of another queue, 17 receipts 18 received:<queue>; of what schedules
--      fire, behind these 19 schedules 20 schedules:states 21 schedules:next
-- ARGV 1 names of the tasks, a line each with a colon in front, or one for all of them 2 ids, each with a newline behind it 3 '' (all may run at once, and never expire), or of
--      each task a line: due ('', '+ms' or ms), a blank, expires (the same) 4… envelopes; then
--      what receipts.lua says, or firing.lua, or how many tasks may wait
-- Returns one number a task: 1 stored, 0 known already; or, of a unique one that is not stored, the id of the one that is there before
-- it; and what receipts.lua says, or what firing.lua says. Or nothing was stored: -1 and how many wait, for not all of them may wait as
-- well; or 'duplicate', and of each unique one for which that is an error its number and the id of the one that is there.
-- UNIQUE 1: some of them are unique; what has none of these knows nothing of it.
-- STEPS 1: they are steps of a workflow, a lot of it; behind how many may wait ('' any): its id; until when, in ms from now, more of it is to come
--   ('' that is all); '1' if some came before; what there is to say of it ('' nothing new), for how long in ms once the step is over that is named
--   behind that; how many ends each step needs, a line each, with
--   '>' and a queue's name behind that of one that is to run there; tasks of other queues that are waited for, each with its queue, a line each;
--   then of each step that waits for some of these, or for others: its id,
--   what it waits for (see steps.lua), the number of the part of what it owns that these are ('' nothing), and their ids. Either all of them
--   are stored or known, or nothing is: 'known' and the ids of those that are, 'unknown' and of those that they need, 'late'.
-- Places are written before tasks: an error in between leaves a place without a task, which fetch throws away.
local tasks, attempts, ready, ready_async, scheduled, seq = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local bell, bell_async, dead_tasks = KEYS[7], KEYS[8], KEYS[9]
local stats, expiring, large = KEYS[13], KEYS[14], KEYS[15]
local done = { KEYS[10], KEYS[11], KEYS[12] }
local enqueued, results = KEYS[16], string.sub(tasks, 1, -6) .. 'result:'
local now = now_ms()
local ids, dues, expiries_of, answers = lines_of(ARGV[2]), {}, {}, {}

-- An instant: '' none, '+250' in 250 ms, '1700000000000' itself; server time, so a caller's clock does not matter.
local function instant(spec, now)
  if spec == '' then return nil end
  if string.sub(spec, 1, 1) == '+' then return now + tonumber(string.sub(spec, 2)) end
  return tonumber(spec)
end

for due, expires in string.gmatch(ARGV[3], '([^ \n]*) ([^\n]*)\n') do
  local i = #dues + 1
  dues[i], expiries_of[i] = due, expires
end
local n = #ids
local function envelope_of(i) return ARGV[3 + i] end
local RECEIPTS, RECEIVED = KEYS[17], KEYS[18]
local SCHEDULES, SCHEDULES_STATES, SCHEDULES_NEXT = KEYS[19], KEYS[20], KEYS[21]
local came = SCHEDULES and firing(SCHEDULES, SCHEDULES_STATES, SCHEDULES_NEXT, 3 + n)
  or RECEIPTS and receiving(RECEIPTS, RECEIVED, ids, 3 + n, now)

local function known_ids()
  local known, unfinished = {}, redis.call('HMGET', tasks, unpack(ids))
  local died = redis.call('HMGET', dead_tasks, unpack(ids))
  local records = {}
  for i = 1, n do records[i] = results .. ids[i] end
  local any_record = redis.call('EXISTS', unpack(records)) > 0
  local any_done = redis.call('EXISTS', unpack(done)) > 0
  for i = 1, n do
    known[i] = unfinished[i] or died[i] or (any_record and redis.call('EXISTS', records[i]) == 1)
      or (any_done and (is_done(done, ids[i]) or is_done(done, had_record(ids[i]))))
  end
  return known
end

local places = { s = {}, a = {}, later = {} }
local to_gates, gated -- ids, places, gates and numbers in turn; ids and gates
local new, histories, expiries, seen = {}, {}, {}, {}

local function add(list, one, two)
  list[#list + 1] = one
  list[#list + 1] = two
end

local known = known_ids()
local fresh = 0
for i = 1, n do
  if came and came.given[i] then
    answers[i] = came.given[i]
  elseif known[i] or seen[ids[i]] then
    answers[i] = 0
  else
    answers[i], seen[ids[i]] = 1, true
    fresh = fresh + 1
  end
end
local lay = STEPS == 1 and laying(ids, ARGV, 4 + n)
if lay then
  local refusal = lay.refusal(answers, fresh)
  if refusal then return refusal end
end
if UNIQUE == 1 then
  local kept_out, refusal = gates(ready).unique().claim_all(ids, answers, lay and lay.envelope_of or envelope_of, now, not came)
  if refusal then return refusal end
  if STEPS == 1 and kept_out > 0 then -- a workflow with a step left out is none
    local refused = { 'duplicate' }
    for i = 1, n do
      if type(answers[i]) == 'string' then add(refused, i, answers[i]) end
    end
    return gates(ready).unique().wrong() or refused
  end
  fresh = fresh - kept_out
end
if fresh == 0 then return UNIQUE == 1 and not came and gates(ready).unique().wrong() or came and came.note(answers) or answers end

local most = not came and tonumber(ARGV[4 + n])
if most then
  local coming = 0
  for i = 1, n do
    if answers[i] == 1 and (instant(dues[i] or '', now) or 0) <= now and not (lay and lay.waits(i)) then coming = coming + 1 end
  end
  -- No more wait than there are: where that is enough, nothing else is counted.
  if coming > 0 and redis.call('HLEN', tasks) + coming > most then
    local waiting = waiting_tasks(ready)
    if UNIQUE == 1 then coming = coming - gates(ready).unique().successors().leaving() end
    if waiting + coming > most then return { -1, waiting } end
  end
end

-- Tell workers with a glob that there is a queue which was not there, or which they have let go of. For others it costs nothing, for
-- it happens once. Who may not publish is not heard: such workers look for new queues as well.
local function announce_new()
  for _, key in ipairs({ stats, enqueued, string.sub(tasks, 1, -6) .. 'accounts' }) do redis.pcall('PERSIST', key) end
  redis.pcall('PUBLISH', 'hotqueue:new', string.sub(tasks, 11, -8)) -- {hotqueue:<name>}:tasks
end

local last
local MOST_ENQUEUED = 10000 -- fields: nobody has looked after the queue for long

-- How many of each name were stored. In a key of the wrong type that stops nothing.
local function count_enqueued()
  local names, numbers, minute = lines_of(ARGV[1]), {}, text(math.floor(now / 60000))
  if #names < 2 and not lay then
    numbers[names[1] or ':'] = fresh
  else
    for i = 1, n do
      local name = names[i] or names[1] or ':'
      if answers[i] == 1 and not (lay and lay.is_elsewhere(i)) then numbers[name] = (numbers[name] or 0) + 1 end -- there it is counted as it comes
    end
  end
  for name, number in pairs(numbers) do redis.pcall('HINCRBY', enqueued, minute .. name, number) end
  if math.floor(last / 1024) == math.floor((last - fresh) / 1024) then return end -- now and then
  local fields = redis.pcall('HLEN', enqueued)
  if type(fields) == 'number' and fields > MOST_ENQUEUED then redis.call('DEL', enqueued) end
end

last = redis.call('INCRBY', seq, fresh) - fresh
local newer = last + fresh > LAST_NUMBER and newer_queue() -- the numbers of a newer queue are
if newer then return newer end
for i = 1, n do
  if answers[i] == 1 then
    local due, expires, envelope = instant(dues[i] or '', now), instant(expiries_of[i] or '', now), envelope_of(i)
    last = last + 1
    local priority, flags = string.byte(envelope, 3, 4)
    local found = flags and flags > 7 and gates(ready).of(envelope)
    if lay and lay.waits(i) then
      lay.note(i, text((200 - priority) * BAND + last), dues[i] or '')
    elseif due and due > now then
      add(places.later, text(due), ids[i])
    elseif UNIQUE == 1 and gates(ready).unique().is_behind(ids[i], text((200 - priority) * BAND + last)) then
      -- it is parked, see `commit`
    elseif found then
      to_gates, gated = to_gates or {}, gated or {}
      add(to_gates, ids[i], text((200 - priority) * BAND + last))
      add(to_gates, found, i)
      add(gated, ids[i], found)
    else
      add(places[kind_of(envelope)], text((200 - priority) * BAND + last), ids[i])
    end
    if expires then
      add(histories, ids[i], '0 0 - ' .. text(expires) .. ' -')
      add(expiries, text(expires), ids[i])
    end
    if #envelope > SMALL_TASK then redis.pcall('SADD', large, ids[i]) end
    add(new, ids[i], envelope)
  end
end

local function store(command, key, list)
  if #list > 0 then redis.call(command, key, unpack(list)) end
end
-- Of those that go to several keys none is left in one of them without being a task: under that id it would be sent again.
local wrong_key = (places.later[1] or histories[1]) and must_be('zset', expiring, scheduled, ready, ready_async)
  or UNIQUE == 1 and gates(ready).unique().would_stop(must_be)
if wrong_key then return wrong_key end
local first = #places.later > 0 and redis.call('ZRANGE', scheduled, 0, 0)[1]
store('HSET', attempts, histories)
store('ZADD', expiring, expiries)
store('ZADD', scheduled, places.later)
store('ZADD', ready, places.s)
store('ZADD', ready_async, places.a)
store('HSET', tasks, new)
if to_gates then
  gates(ready).note(gated)
  for i = 1, #to_gates, 4 do
    local id = to_gates[i]
    if not gates(ready).enter(id, to_gates[i + 1], to_gates[i + 2], true) then -- a key of the wrong type: it is not stored
      answers[to_gates[i + 3]] = 2 -- what comes from an outbox comes again
      for _, hash in ipairs({ tasks, attempts }) do redis.call('HDEL', hash, id) end
      redis.pcall('ZREM', expiring, id)
      gates(ready).lanes().forget(id)
      if UNIQUE == 1 then gates(ready).unique().drop(id) end
    end
  end
  gates(ready).ring()
end
if lay then lay.commit() end
local replaced = UNIQUE == 1 and gates(ready).unique().commit(now, ending) or 0
if replaced > 0 then count(stats, now, 'revoked', replaced) end
local is_earliest = #places.later > 0 and redis.call('ZRANGE', scheduled, 0, 0)[1] ~= first
if #places.s > 0 or is_earliest then ring(bell, math.max(#places.s / 2, 1), ready) end
if #places.a > 0 then ring(bell_async, #places.a / 2, ready_async) end
local wrong = not came and (to_gates and gates(ready).wrong() or UNIQUE == 1 and gates(ready).unique().wrong())
if wrong then return wrong end
count_enqueued()
if last == fresh then announce_new() end
return came and came.note(answers) or answers
