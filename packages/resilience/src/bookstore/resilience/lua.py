"""The two ways to count a quota, as scripts that run inside Redis.

They do what `quota.py` does, in microseconds of Redis' own clock, so that no client's clock matters. Each is
called with

    KEYS[1]  the key
    ARGV[1]  [what the quota says (two numbers), cost, want, wait, patience, at]

and grants `want` units, or as many as there are but at least `cost`, now or reserved for at most `wait` from
now, or none. A negative cost gives back what was granted for the instant `at`. The answer: units granted,
units left, microseconds until the grant is due (or would be), microseconds until the quota is whole again,
and the instant that the grant is for, in microseconds.

Question and answer are one string each, JSON and numbers between spaces: a client takes longer over each
further argument than Redis takes to read it.

A key lives as long as it matters, and at least a millisecond: `PX 0` would be an error, and `EXPIRE 0` would
delete the key and with it the limit.

What lies further ahead than `patience`, the longest wait of anybody, was written before the clock of Redis
was set back. It counts as spent just now: nothing extra is granted, and nobody waits for the clock to catch
up.
"""

from typing import Final

from bookstore.resilience.link import Script

_NOW = """, cost, want, wait, patience, instant = unpack(cjson.decode(ARGV[1]))
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local function answer(...) return string.format('%.0f %.0f %.0f %.0f %.0f', ...) end
"""

# The quota says: microseconds per unit, and of the whole burst.
GCRA = (
    "local step, span"
    + _NOW
    + """
local known = tonumber(redis.call('GET', KEYS[1]) or now)
local full = math.max(known, now)
if full > now + span + patience then full = now + span end
local take, delay = cost, 0
if cost > 0 then
  take = math.max(cost, math.min(want, math.floor((span - full + now) / step + 0.000001)))
  delay = math.max(0, full + take * step - span - now)
end
if delay > wait + 0.5 then
  take = 0
else
  full = math.max(full + take * step, now)
end
if take ~= 0 or full < known then
  local ttl = math.ceil((full - now) / 1000) + 1
  redis.call('SET', KEYS[1], string.format('%.3f', full), 'PX', string.format('%.0f', ttl))
end
local left = math.max(0, math.floor((span - full + now) / step + 0.000001))
return answer(take, left, math.ceil(delay - 0.5), math.ceil(full - now), now)
"""
)

# The quota says: units per period, and microseconds of it.
SLIDING_LOG = (
    "local limit, per"
    + _NOW
    + """
local key = KEYS[1]
local function at(index) return tonumber(redis.call('LINDEX', key, index) or now) end
local used = redis.call('LLEN', key)
if used > 0 and at(-1) > now + patience then
  redis.call('DEL', key)
  for _ = 1, used do redis.call('RPUSH', key, string.format('%.0f', now)) end
end
while used > 0 and at(0) <= now - per do
  redis.call('LPOP', key)
  used = used - 1
end
local take, delay = cost, 0
if cost > 0 then
  take = math.max(cost, math.min(want, limit - used))
  local due, over = now, used + take - limit
  if used > 0 then due = math.max(due, at(-1)) end
  if over > 0 then due = math.max(due, at(over - 1) + per) end
  delay = due - now
end
if delay > wait then
  take = 0
elseif take < 0 then
  used = used - redis.call('LREM', key, take, string.format('%.0f', instant))
else
  for _ = 1, take do redis.call('RPUSH', key, string.format('%.0f', now + delay)) end
  used = used + take
end
local reset = 0
if used > 0 then
  reset = at(-1) + per - now
  redis.call('PEXPIRE', key, string.format('%.0f', math.ceil(reset / 1000) + 1))
end
return answer(take, math.max(0, limit - used), math.ceil(delay), math.ceil(reset), now + delay)
"""
)

SCRIPTS: Final = {"gcra": Script(GCRA), "sliding_log": Script(SLIDING_LOG)}
"""By the algorithm of a quota."""
