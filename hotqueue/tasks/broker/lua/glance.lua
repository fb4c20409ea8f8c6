-- How a queue is, as numbers: for whoever looks at many of them. Writes nothing.
-- KEYS 1 tasks
-- ARGV 1 how many the schema is that the caller knows
-- Returns for a queue in which there is nothing, 0; else { counts, one after another with blanks between them, who works there, what is
-- paused, the keys of gates that are }. The counts: of messages, tasks, ready ones, suspects, scheduled, at gates, steps, parked, dead,
-- workers, schedules; then whether it is newer. Who works there: as `workers` has it, a name and its score a line each.
-- Where nothing is paused, and no gate is: the first two alone, as one text, with the end of a line between them.
-- Texts, not lists of numbers: a thousand queues are read in a second, and whoever reads them sees at a text whether anything has changed.
local tasks = KEYS[1]
local tag = string.sub(tasks, 1, -#'tasks' - 1)
local listed = string.sub(tag, 2, -3)
local dead, workers, schedules, paused = tag .. 'dead', tag .. 'workers', tag .. 'schedules', tag .. 'paused'
local newer = tag .. 'schema:' .. (ARGV[1] + 1)
local messages = redis.call('LLEN', listed)
-- Of most queues the half of this is not there, and one question says so.
if redis.call('EXISTS', paused, tag .. 'paused:keys', newer, tag .. 'suspects', tag .. 'parked:unique', tag .. 'needs', tag .. 'timers',
              tag .. 'blocked', tag .. 'steps') == 0 then
  local count, failed, crew, planned = redis.call('HLEN', tasks), redis.call('ZCARD', dead), redis.call('ZCARD', workers), redis.call('HLEN', schedules)
  if messages + count + failed + crew + planned == 0 then return 0 end
  local ready, due = redis.call('ZCARD', tag .. 'ready') + redis.call('ZCARD', tag .. 'ready:async'), redis.call('ZCARD', tag .. 'scheduled')
  local at_work = crew > 0 and table.concat(redis.call('ZRANGE', workers, 0, -1, 'WITHSCORES'), '\n') or ''
  return string.format('%d %d %d 0 %d 0 0 0 %d %d %d 0\n', messages, count, ready, due, failed, crew, planned) .. at_work
end
if redis.call('EXISTS', tasks, dead, workers, schedules, paused, tag .. 'paused:keys', newer) == 0 then
  if messages == 0 then return 0 end
  return { messages .. ' 0 0 0 0 0 0 0 0 0 0 0', '', '', {} }
end
local suspects, parked = redis.call('ZCARD', tag .. 'suspects'), redis.call('ZCARD', tag .. 'parked:unique')
for _, need in ipairs(redis.call('SMEMBERS', tag .. 'needs')) do
  if need ~= 'unique' then parked = parked + redis.call('ZCARD', tag .. 'parked:' .. need) end
end
local gates, is_field = {}, false
for _, part in ipairs(redis.call('HGETALL', tag .. 'paused:keys')) do
  is_field = not is_field
  if is_field then gates[#gates + 1] = part end
end
local counts = {
  messages,
  redis.call('HLEN', tasks),
  redis.call('ZCARD', tag .. 'ready') + redis.call('ZCARD', tag .. 'ready:async') + suspects,
  suspects,
  redis.call('ZCARD', tag .. 'scheduled') - redis.call('EXISTS', tag .. 'timers'),
  redis.call('SCARD', tag .. 'blocked'),
  redis.call('HLEN', tag .. 'steps'),
  parked,
  redis.call('ZCARD', dead),
  redis.call('ZCARD', workers),
  redis.call('HLEN', schedules),
  redis.call('EXISTS', newer),
}
local at_work = table.concat(redis.call('ZRANGE', workers, 0, -1, 'WITHSCORES'), '\n')
return { table.concat(counts, ' '), at_work, redis.call('GET', paused) or '', gates }
