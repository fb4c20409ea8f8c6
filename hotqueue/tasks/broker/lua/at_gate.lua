-- At which gate a task waits, and what keeps it shut. Writes nothing.
-- KEYS 1 ready
-- ARGV 1 id
-- Returns nothing where it waits in no lane, else { what gate ('c', 'r', 'f', 'p'; '': none is shut for the first of its lane), key, limit,
--   slots taken there (of a rate, with the starts that count), period in ms, ms until a rate lets the next one start (-1: not known),
--   tasks ahead of it in its lane, lanes ahead of that at the gate, ids of some that have slots there … }.
local ready, id = KEYS[1], ARGV[1]
local newer = newer_queue()
if newer then return newer end
return gates(ready).lanes().at_gate(id)
