-- Which of many queues a supervisor is to sweep now: of those that nobody has swept for a while its share, and all that are overdue.
-- KEYS 1 shares:swept 2 shares:sweepers
-- ARGV 1 supervisor 2 ms for which it counts as one that sweeps 3 ms between two sweeps of a queue 4 how many of the queues it sweeps
--      in any case: the first ones 5… names of its queues
-- Returns { now, how many supervisors sweep, number of a queue, when it was swept before (-1: not lately), … }; queues are noted as swept.
-- Nothing depends on these keys but how much is done twice: they may be lost, or be others for others.
local shares_swept, shares_sweepers = KEYS[1], KEYS[2]
local supervisor, counts_ms, every, in_any_case = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local FIRST = 5 -- of the arguments that are names
local KEPT_MS = 60000
local now = now_ms()
redis.call('ZREMRANGEBYSCORE', shares_sweepers, '-inf', text(now)) -- first, as may_grow
redis.call('ZADD', shares_sweepers, text(now + counts_ms), supervisor)
local count = redis.call('ZCARD', shares_sweepers)
local names = #ARGV - FIRST + 1
local before = redis.call('ZMSCORE', shares_swept, unpack(ARGV, FIRST))
local room, out, noted = math.ceil(names / count), { text(now), count }, {}
for n = 1, names do
  local at = tonumber(before[n] or -1)
  if at > now then at = -1 end -- from before the clock was put back
  local is_due = at <= now - 0.9 * every
  if n <= in_any_case or (is_due and (room > 0 or at <= now - 1.9 * every)) then
    if n > in_any_case then room = room - 1 end
    out[#out + 1], out[#out + 2] = n, text(at)
    noted[#noted + 1], noted[#noted + 2] = text(now), ARGV[FIRST + n - 1]
  end
end
if #noted > 0 then redis.call('ZADD', shares_swept, unpack(noted)) end
if count == 1 then redis.call('PEXPIRE', shares_sweepers, KEPT_MS) end -- it may be new
if redis.call('PTTL', shares_swept) < KEPT_MS / 2 then
  redis.call('ZREMRANGEBYSCORE', shares_swept, '-inf', text(now - KEPT_MS))
  redis.call('PEXPIRE', shares_swept, KEPT_MS)
  redis.call('PEXPIRE', shares_sweepers, KEPT_MS)
end
return out
