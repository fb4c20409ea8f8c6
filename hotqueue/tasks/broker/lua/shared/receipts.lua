-- What came from the outboxes of other queues: known until it has been struck there, however long that takes. Put behind the prelude. See
-- docs/decisions/0050.

-- receipts: a queue → the highest number that came from it, and when that was heard of last in ms. received:<queue>: id → number, of what
-- came from it and may not have been struck yet.
-- Numbers come in their order: each call brings all that is left at the source, from the lowest on up to some. So what has no receipt,
-- and a number that is no higher than one that came before, has been struck: who brings it read it long ago (2: read again).
-- In a function, as in owning.lua. `at`: behind which of ARGV there are the source, the lowest number that is left there, and the numbers.
local function receiving(receipts, received, ids, at, now)
  local source, numbers, given = ARGV[at + 1], {}, {}
  for number in string.gmatch(ARGV[at + 3], '[^\n]+') do numbers[#numbers + 1] = number end
  local highest = tonumber(string.match(redis.call('HGET', receipts, source) or '0', '^%d+')) or 0
  for i, id in ipairs(ids) do
    if redis.call('ZSCORE', received, id) then
      given[i] = 0
    elseif tonumber(numbers[i]) <= highest then
      given[i] = 2
    end
  end

  -- Once the tasks are stored: remember that they came. Gives back the answers, and the highest number behind them.
  local function note(answers)
    redis.call('ZREMRANGEBYSCORE', received, '-inf', '(' .. ARGV[at + 2])
    for i, id in ipairs(ids) do
      if answers[i] ~= 2 then
        redis.call('ZADD', received, 'GT', numbers[i], id) -- not lower: who read it long ago may come after others
        highest = math.max(highest, tonumber(numbers[i]))
      end
    end
    redis.call('HSET', receipts, source, text(highest) .. ' ' .. text(now))
    answers[#answers + 1] = text(highest)
    return answers
  end

  return { given = given, note = note }
end
