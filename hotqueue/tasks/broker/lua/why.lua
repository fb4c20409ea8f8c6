-- What there is to say of why a task waits, in one look. Writes nothing.
-- KEYS 1 tasks 2 attempts 3 ready 4 ready:async 5 suspects 6 scheduled 7 result:<id> 8-10 done 11 dead:tasks 12 paused 13 workers
--      14 stats
-- ARGV 1 id 2, 3 of whoever asks inside a task: its worker, and its id; '' for others
-- Returns { now, where it is, as look.lua has it, attempts, envelope without its payload, first bytes of its result (or the queue that has it, quoted), tasks ahead or due ms,
--   how many stand in the same set, what is paused, 1 if workers did anything in the last two minutes, the worker that has it in hand,
--   the number of the fetch, 1 if it may not have been started, 1 if it waits past its expiry, what it waits for at a gate: { 1 if the
--   asking task has a slot there, and what at_gate.lua returns }; { of each worker: its id, its lease or registration, how
--   many it has in hand (-1: not counted), then `about` below }, how many workers there are; the
--   task behind which it waits, since they have one unique key, or '' }
local tasks, attempts, ready, ready_async, suspects, scheduled = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local result, dead_tasks, paused, workers, stats = KEYS[7], KEYS[11], KEYS[12], KEYS[13], KEYS[14]
local done = { KEYS[8], KEYS[9], KEYS[10] }
local id, asking_worker, asking_task = ARGV[1], ARGV[2], ARGV[3]
local LISTED = 200 -- workers that are told of
local newer = newer_queue()
if newer then return newer end
local now = now_ms()
local tag = string.sub(tasks, 1, -6)

local envelope = redis.call('HGET', tasks, id) or ''
local past = redis.call('HGET', attempts, id) or ''
local a = history().split(past)

local there -- the queue that has it, quoted

-- Where it is, tasks ahead of it or its time, and how many stand there.
local function where_it_is()
  if redis.call('EXISTS', result) == 1 then return 'result', 0, 0 end
  if envelope == '' then
    return is_done(done, id) and 'done' or (redis.call('HEXISTS', dead_tasks, id) == 1 and 'dead') or 'unknown', 0, 0
  end
  for _, set in ipairs({ ready, ready_async, suspects }) do
    local rank = redis.call('ZRANK', set, id)
    if rank then return set == suspects and 'suspect' or 'ready', rank, redis.call('ZCARD', set) end
  end
  local due = redis.call('ZSCORE', scheduled, id)
  if due then return 'scheduled', due, 0 end
  local rank = gates(ready).lanes().rank(id)
  if rank then return 'lane', rank, 0 end
  local step = redis.pcall('HGET', tag .. 'steps', id)
  if type(step) == 'string' then
    there = string.match(step, '^%d+ %d+ %S+ [^ =~]*[=~](%S+)')
    return there and 'elsewhere' or 'waits', 0, 0
  end
  return a.need ~= '-' and 'parked' or 'held', 0, 0
end

local where, detail, of = where_it_is()

local about = { 'name', 'host', 'pid', 'kind', 'lease', 'tasks' }
local holder, fetch, may_wait = '', '', 0

local function each_worker(worker, score)
  local held, count = tag .. 'held:' .. worker, -1
  if where == 'held' and holder == '' then
    local found = holds().find_held(held, id)
    if found then
      holder, fetch = worker, string.match(found.field, '^%d+') or ''
      may_wait = found.behind < STARTED and string.find('sgxk', found.origin, 1, true) and holds().each_id(held) > 1 and 1 or 0
    end
  end
  if asking_worker ~= '' then count = holds().each_id(held) end
  return { worker, score, count, unpack(redis.call('HMGET', tag .. 'worker:' .. worker, unpack(about))) }
end

local function all_workers()
  local rows = {}
  local found = redis.call('ZRANGE', workers, 0, where == 'held' and -1 or LISTED - 1, 'WITHSCORES')
  for i = 1, #found, 2 do
    local row = each_worker(found[i], found[i + 1])
    if #rows < LISTED or found[i] == holder then rows[#rows + 1] = row end
  end
  return rows, redis.call('ZCARD', workers)
end

local function worked_lately()
  local minute, fields = math.floor(now / 60000), {}
  for back = 0, 1 do
    for _, what in ipairs({ 'succeeded', 'ended', 'failed', 'retried', 'put_back', 'parked', 'lost' }) do
      fields[#fields + 1] = text(minute - back) .. ':' .. what
    end
  end
  local found = redis.pcall('HMGET', stats, unpack(fields))
  for i = 1, #fields do
    if found[i] then return 1 end
  end
  return 0
end

local function at_gate()
  local found = gates(ready).lanes().at_gate(id)
  if not found[1] then return {} end
  return { redis.call('SISMEMBER', tag .. 'slots:' .. found[2], asking_task), unpack(found) }
end

local waits = string.find('ready suspect lane parked held waits', where, 1, true)
local rows, count = {}, 0
if waits then rows, count = all_workers() end
local lines = waits and redis.pcall('GET', paused) or ''
return {
  text(now), where, past, without_payload(envelope), where == 'result' and redis.call('GETRANGE', result, 0, 63) or there or '', detail, of,
  type(lines) == 'table' and '1 0' or lines or '', count == 0 and waits and worked_lately() or 0, holder, fetch, may_wait,
  (tonumber(a.expires) or math.huge) <= now and where ~= 'held' and 1 or 0, where == 'lane' and at_gate() or {}, rows, count,
  a.need == 'unique' and gates(ready).unique().successors().holder(envelope) or '',
}
