"""The script that changes the dashboard's trends. It runs inside the transaction that moves the
checkpoint, so that adding is as safe as writing absolute values; only it can know what a deleted
error has added, and whether a bucket has become too large to be counted.

All keys of a read model share a slot of a Redis Cluster, hence keys may be made up here.
"""

CHANGE = """
local parts = cmsgpack.unpack(ARGV[1])
local prefix, COUNTED, SHARDS = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

local function buckets_of(app) return prefix .. 'buckets:' .. app end
local function values_of(app, bucket) return prefix .. 'values:' .. app .. ':' .. bucket end

local function add(key, field, by)
  local now = redis.call('HINCRBY', key, field, by)
  if now == 0 then redis.call('HDEL', key, field) end
  return now
end

-- Adds numbers to many fields of a hash at once; returns how many of them are new. All are above 0.
local function add_all(key, added)
  local new = 0
  for first = 1, #added, 2000 do
    local fields, sums = {}, {}
    for i = first, math.min(first + 1999, #added), 2 do fields[#fields + 1] = added[i] end
    local found = redis.call('HMGET', key, unpack(fields))
    for i = 1, #fields do
      if not found[i] then new = new + 1 end
      sums[2 * i - 1], sums[2 * i] = fields[i], (found[i] or 0) + added[first + 2 * i - 1]
    end
    redis.call('HSET', key, unpack(sums))
  end
  return new
end

local function forget_values(app, bucket)
  local key = values_of(app, bucket)
  redis.call('DEL', key)
  for shard = 0, SHARDS - 1 do redis.call('DEL', key .. ':' .. shard) end
end

local function estimate(app, bucket)
  local sum, key = 0, values_of(app, bucket)
  for shard = 0, SHARDS - 1 do sum = sum + redis.call('PFCOUNT', key .. ':' .. shard) end
  redis.call('HSET', buckets_of(app), bucket, '~' .. sum)
end

local function shard_of(value)
  return tonumber(string.sub(redis.sha1hex(value), 1, 2), 16) % SHARDS
end

local function learn(key, values)
  local shards = {}
  for i = 1, #values do
    local shard = shard_of(values[i])
    shards[shard] = shards[shard] or {}
    table.insert(shards[shard], values[i])
  end
  for shard, some in pairs(shards) do
    for first = 1, #some, 1000 do
      local last = math.min(first + 999, #some)
      redis.call('PFADD', key .. ':' .. shard, unpack(some, first, last))
    end
  end
end

local function state(app, bucket)
  local found = redis.call('HGET', buckets_of(app), bucket)
  return found and string.sub(found, 1, 1) or ''
end

-- Returns whether the bucket is still small enough to be counted.
local function count(app, bucket, values)
  local more = add_all(values_of(app, bucket), values)
  return more == 0 or redis.call('HINCRBY', buckets_of(app), bucket, more) <= COUNTED
end

local function add_values(app, bucket, values)
  local now, key = state(app, bucket), values_of(app, bucket)
  if now == '?' then return end
  if now == '~' then
    local names = {}
    for i = 1, #values, 2 do names[#names + 1] = values[i] end
    learn(key, names)
    estimate(app, bucket)
  elseif not count(app, bucket, values) then
    learn(key, redis.call('HKEYS', key))
    redis.call('DEL', key)
    estimate(app, bucket)
  end
end

local function take_value(app, bucket, value, by)
  local now = state(app, bucket)
  if now == '~' then
    forget_values(app, bucket)
    redis.call('HSET', buckets_of(app), bucket, '?')
  elseif now ~= '?' and add(values_of(app, bucket), value, -by) == 0 then
    add(buckets_of(app), bucket, -1)
  end
end

local function take_count(app, bucket, by)
  if add(buckets_of(app), bucket, -by) == 0 then
    for _, kind in ipairs({'c', 'u'}) do
      redis.call('HDEL', buckets_of(app), bucket .. kind)
      forget_values(app, bucket .. kind)
    end
  end
end

local function delete(id, app)
  local group = prefix .. 'group:' .. id
  local added = redis.call('HGETALL', group)
  local hours = {}
  for i = 1, #added, 2 do
    local hour, kind, value = string.match(added[i], '^(%-?%d+)(%a?)(.*)$')
    local day = string.format('%d', math.floor(hour / 24))
    if kind == '' then
      hours[#hours + 1] = {hour, day, added[i + 1]}
    else
      take_value(app, 'h' .. hour .. kind, value, added[i + 1])
      take_value(app, 'd' .. day .. kind, value, added[i + 1])
    end
  end
  -- Counts come last: a bucket that becomes empty takes all that is left of it along.
  for _, one in ipairs(hours) do
    take_count(app, 'h' .. one[1], one[3])
    take_count(app, 'd' .. one[2], one[3])
  end
  redis.call('DEL', group)
end

for _, part in ipairs(parts) do
  local counts, values, groups, deleted = unpack(part)
  for i = 1, #counts, 3 do add(buckets_of(counts[i]), counts[i + 1], counts[i + 2]) end
  for i = 1, #values, 3 do add_values(values[i], values[i + 1], values[i + 2]) end
  for i = 1, #groups, 2 do add_all(prefix .. 'group:' .. groups[i], groups[i + 1]) end
  for i = 1, #deleted, 2 do delete(deleted[i], deleted[i + 1]) end
end
"""
"""KEYS[1]: the checkpoint, for its slot. ARGV: in MessagePack an array of parts, each four flat
arrays: (application, bucket, number) of occurrences; (application, bucket and kind, array of value
and number); (group, array of field and number); (group, application) of the errors that are deleted
then. The prefix of every key; how many values are counted; the number of HyperLogLogs, which must
divide 256."""
