-- The records of many tasks, in one text: for whoever takes what thousands have returned, and would read a reply for each.
-- KEYS 1 result:<id> (with no id: what the keys of all begin with)
-- ARGV ids, each with a newline behind it
-- Returns of each of the first, as many as are to be read together, eight digits that say how long it is ('-' and seven noughts: there is none),
-- and the record. Where there are larger ones among them, few are read: each byte costs a script more than it costs MGET.
local RESULT = KEYS[1]
local AT_ONCE, ENOUGH = 200, 262144
local ids, found, total, from, heads = {}, {}, 0, 1, {} -- heads: of records of the same length, which most are
for id in string.gmatch(ARGV[1], '([^\n]*)\n') do ids[#ids + 1] = RESULT .. id end
while from <= #ids and total < ENOUGH do
  local some = redis.call('MGET', unpack(ids, from, math.min(from + AT_ONCE - 1, #ids)))
  for n = 1, #some do
    local record, at = some[n], #found
    local size = record and #record or 0
    found[at + 1] = record and (heads[size] or string.format('%08d', size)) or '-0000000'
    if record then
      heads[size] = found[at + 1]
      found[at + 2] = record
      total = total + size
    end
  end
  from = from + AT_ONCE
end
return table.concat(found)
