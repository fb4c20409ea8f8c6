-- Add a batch of items to the stream of a task that a worker runs; or have a new attempt at it begin.
-- KEYS 1 stream:<id> 2 streamed:<id> 3 workers 4 held:<worker>
-- ARGV 1 worker 2 id 3 run, a name of its own for each 4 attempt, as known ('': none) 5 number of the first item 6 number of items 7 batch
--      8 begin: 'n' a new attempt, 'c' one that goes on where the last one ended, '': no
--      9 items that are kept 10 bytes that are kept 11 ms after which all of it is gone
-- Returns { code, attempt, number of items so far }; code 1 done, now or before; 2 there is no room before those have read who are waited for;
--      0 refused: the task is not this worker's any more, or another run of it has begun
-- streamed: 'run'; 'attempt', the ms in which it began, so that each is later than the one before; 'count' of items so far; 'first' that
-- is there; 'bytes' that are; 'largest' batch; 'r:' and a reader → the attempt that it reads, how many items it has read of
-- it, and until when it is waited for, in ms. In `stream`: attempt-n → the batch that ends with the n-th item.
local stream, streamed, workers, held = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local worker, id, run, as_known, batch, begin = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[7], ARGV[8]
local from, number, most, most_bytes, ttl = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[9]), tonumber(ARGV[10]), ARGV[11]
local wrong = must_be('stream', stream) or must_be('hash', streamed, held) or must_be('zset', workers)
if wrong then return wrong end
if not redis.call('ZSCORE', workers, worker) or not holds().find_held(held, id) then return { 0, '', 0 } end
local now = now_ms()
local known, readers = {}, {}
local all = redis.call('HGETALL', streamed)
for i = 1, #all, 2 do
  if string.sub(all[i], 1, 2) == 'r:' then readers[all[i]] = all[i + 1] else known[all[i]] = all[i + 1] end
end
local attempt = known.attempt

local function stay()
  redis.call('PEXPIRE', stream, ttl)
  redis.call('PEXPIRE', streamed, ttl)
end

-- A batch that nobody would take for items wakes those who wait for some of the attempt before.
local function begin_anew(which, count)
  attempt = which
  redis.call('DEL', stream)
  redis.call('XADD', stream, attempt .. '-' .. text(count), 'i', '')
  local fresh = { 'run', run, 'attempt', attempt, 'count', text(count), 'first', text(count), 'bytes', '0', 'largest', '0' }
  redis.call('HSET', streamed, unpack(fresh))
  known = { run = run, count = text(count), first = text(count), bytes = '0', largest = '0' }
end

if begin ~= '' and known.run ~= run then
  if begin == 'c' and attempt and redis.call('EXISTS', stream) == 1 then
    redis.call('HSET', streamed, 'run', run)
  else
    begin_anew(text(math.max(now, (tonumber(attempt) or 0) + 1)), 0)
  end
  known.run = run
elseif not known.run or (known.run ~= run and (tonumber(as_known) or 0) > (tonumber(attempt) or 0)) then
  begin_anew(as_known, from) -- it was forgotten meanwhile, or how this run began was: by a server that took the place of another
  known.run = run
elseif known.run ~= run then
  return { 0, '', 0 }
end
local count, bytes = tonumber(known.count) or 0, tonumber(known.bytes) or 0
if number == 0 or from + number <= count then
  stay()
  return { 1, attempt, count }
end
if from < count then return redis.error_reply('ERR a batch of a stream begins with item ' .. text(from) .. ', and not with ' .. text(count)) end

-- How many items those have read who are waited for, the slowest of them; nil: nobody is.
local function read_by_all()
  local least
  for field, value in pairs(readers) do
    local whose, at, till = string.match(value, '^(%d*) (%d+) (%d+)$')
    if not till or tonumber(till) <= now then
      redis.call('HDEL', streamed, field)
    else
      at = whose == attempt and tonumber(at) or 0
      if not least or at < least then least = at end
    end
  end
  return least
end

local read = read_by_all()
if read and read < count and (count + number - read > most or bytes + #batch > most_bytes) then return { 2, attempt, count } end
count, bytes = from + number, bytes + #batch -- from > count: what is between is lost, with a server that had not passed it on
redis.call('XADD', stream, attempt .. '-' .. text(count), 'i', batch)
local first = tonumber(known.first) or 0
for _ = 1, MOST do -- a batch goes as a whole: a few more may be left, which nobody is given
  local oldest = (count - first > most or bytes > most_bytes) and redis.call('XRANGE', stream, '-', '+', 'COUNT', 2) or {}
  local last = oldest[2] and tonumber(string.match(oldest[1][1], '%-(%d+)$'))
  if not last or (count - last < most and bytes <= most_bytes) then break end
  bytes, first = bytes - #oldest[1][2][2], last
  redis.call('XDEL', stream, oldest[1][1])
end
first = math.max(first, count - most)
local largest = text(math.max(tonumber(known.largest) or 0, #batch))
redis.call('HSET', streamed, 'count', text(count), 'bytes', text(bytes), 'first', text(first), 'largest', largest)
stay()
return { 1, attempt, count }
