"""What Redis does in one step.

A guard is a random word that stands for "unchanged since": it is set before a book is read in PostgreSQL,
every write removes it, and what was read is only kept while the same guard still stands. A bar keeps new
guards from being set while a write is under way.
"""

GUARD = """
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', redis.call('TIME')[1])
if redis.call('EXISTS', KEYS[2]) == 1 then return false end
redis.call('SET', KEYS[1], ARGV[1], 'NX', 'EX', ARGV[2])
return redis.call('GET', KEYS[1])
"""
"""KEYS: guard, bars. ARGV: a new word, seconds. Gives the guard's word, or nothing while a write bars it."""

KEEP = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3])
return 1
"""
"""KEYS: guard, entry. ARGV: the guard's word, value, seconds. Gives 1 if the value is kept."""

BAR = """
local last = redis.call('TIME')[1] + ARGV[3]
for place, key in ipairs(KEYS) do
    if place <= tonumber(ARGV[1]) then
        redis.call('ZADD', key, last, ARGV[2])
        redis.call('EXPIRE', key, ARGV[3])
    else
        redis.call('DEL', key)
    end
end
"""
"""KEYS: bars, then what must go. ARGV: how many are bars, the writer's word, seconds."""

FORGET = """
for place, key in ipairs(KEYS) do
    if place <= tonumber(ARGV[1]) then
        redis.call('ZREM', key, ARGV[2])
    else
        redis.call('DEL', key)
    end
end
"""
"""KEYS: bars, then what must go. ARGV: how many are bars, the writer's word."""
