-- Counting that a task came to a queue, by its name, which the envelope says where nobody else does; as `count_enqueued` in enqueue.lua.
local function count_coming(tag, now, envelope)
  local name = '?'
  if #envelope > 25 then
    local header, _, its_id = struct.unpack('>I4I4B', envelope, 17)
    local fine, said = pcall(cjson.decode, string.sub(envelope, 26 + its_id, 25 + its_id + header))
    if fine and type(said) == 'table' and type(said.task) == 'string' and said.task ~= '' then name = string.gsub(said.task, '\n', ' ') end
  end
  local number = redis.pcall('HINCRBY', tag .. 'enqueued', text(math.floor(now / 60000)) .. ':' .. name, 1)
  if number ~= 1 then return end -- a field that was there is no more of them
  if redis.call('HLEN', tag .. 'enqueued') > 10000 then redis.call('DEL', tag .. 'enqueued') end -- nobody has counted for long
end

