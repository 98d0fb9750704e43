"""The script that changes the numbers. It runs inside the transaction that moves the checkpoint, so
that adding is as safe as writing absolute values.

Only it can know what a deleted error has added, page by page; and as it meets every number, it
drops those that became zero, so that nothing tells how a log was cut into pages.

All keys of a read model share a slot of a Redis Cluster, hence keys may be made up here.
"""

from projections.stats.layout import KINDS, RESOLUTIONS, RESOLVING_MS, SLOTS, Kind

CHANGE = f"""
local SLOTS, KINDS, RESOLUTION = {SLOTS}, {KINDS}, {Kind.RESOLUTION:d}
local SHAPE = '<' .. string.rep('I4', SLOTS + KINDS)
local NOTHING = string.rep('\\0', 4 * (SLOTS + KINDS))

local prefix = ARGV[1]
local deleted, sums, slots = unpack(cmsgpack.unpack(ARGV[2]))
local days = {{}}

local function add(key, field, by)
  if redis.call('HINCRBY', key, field, by) == 0 then
    redis.call('HDEL', key, field)
  end
end

-- Days stay unpacked until the end: a page changes many slots of few days.
local function add_slot(key, slot, by)
  local day = math.floor(slot / SLOTS)
  days[key] = days[key] or {{}}
  local counts = days[key][day]
  if not counts then
    counts = {{struct.unpack(SHAPE, redis.call('HGET', key, day) or NOTHING)}}
    days[key][day] = counts
  end
  local place, sum = slot - day * SLOTS + 1, SLOTS + slot % KINDS + 1
  counts[place] = counts[place] + by
  counts[sum] = counts[sum] + by
end

local function forget(group, counts)
  local added = redis.call('HGETALL', group)
  for i = 1, #added, 2 do
    local by = -added[i + 1]
    for _, key in ipairs(counts) do
      if added[i] == '{RESOLVING_MS}' then
        add(key, '{RESOLVING_MS}', by)
      else
        local slot = tonumber(added[i])
        add_slot(key, slot, by)
        if slot % KINDS == RESOLUTION then add(key, '{RESOLUTIONS}', by) end
      end
    end
  end
  redis.call('DEL', group)
end

-- What goes comes before what comes: an error may do both in one page.
for i = 1, #deleted, 2 do
  forget(prefix .. deleted[i], {{prefix .. deleted[i + 1], KEYS[1]}})
end
for i = 1, #sums, 3 do add(prefix .. sums[i], sums[i + 1], sums[i + 2]) end
for i = 1, #slots, 3 do add_slot(prefix .. slots[i], slots[i + 1], slots[i + 2]) end

for key, changed in pairs(days) do
  for day, counts in pairs(changed) do
    local packed = struct.pack(SHAPE, unpack(counts, 1, SLOTS + KINDS))
    if packed == NOTHING then
      redis.call('HDEL', key, day)
    else
      redis.call('HSET', key, day, packed)
    end
  end
end
"""
"""KEYS[1]: the numbers of all applications. ARGV: the prefix of every key, and in MessagePack three
flat arrays: (group, its application's numbers) of deleted errors, (key, field, number) to add, and
(key, slot, number) to add."""
