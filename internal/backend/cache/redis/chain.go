package redis

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"ward/internal/backend/cache"
	"ward/internal/base/fault"
)

// The scripts, whose numbers have 16 hexadecimal digits: see cache.Head and cache.EncodeValue.
const (
	// KEYS: head, names; ARGV: prev, next, number, fresh, anew, ttl, ttl of the head
	markScript = `
local h = redis.call('GET', KEYS[1])
if not h or #h ~= 48 or string.sub(h, 17, 32) ~= ARGV[1] or ARGV[5] == '1' then
  h = ARGV[4] .. ARGV[2] .. ARGV[3]
  redis.call('SET', KEYS[1], h, 'PX', ARGV[7])
  return {h}
end
local g = string.sub(h, 1, 16)
local out = {g .. ARGV[2] .. ARGV[3]}
redis.call('SET', KEYS[1], out[1], 'PX', ARGV[7])
for i = 2, #KEYS do
  local was = redis.call('GET', KEYS[i])
  if not was or string.sub(was, 1, 16) ~= g then was = '' end
  out[i] = was
  redis.call('SET', KEYS[i], g .. ARGV[3], 'PX', ARGV[6])
end
return out`
	// KEYS: head, names; ARGV: generation, ttl, values
	putScript = `
local h = redis.call('GET', KEYS[1])
if not h or string.sub(h, 1, 16) ~= ARGV[1] then return 0 end
for i = 2, #KEYS do
  local v = ARGV[i + 1]
  local was = redis.call('GETRANGE', KEYS[i], 0, 31)
  if #was < 32 or string.sub(was, 1, 16) ~= ARGV[1] or tonumber(string.sub(was, 17, 32), 16) <= tonumber(string.sub(v, 17, 32), 16) then
    redis.call('SET', KEYS[i], v, 'PX', ARGV[2])
  end
end
return 1`
	// KEYS: head; ARGV: head, instead or empty, ttl
	claimScript = `
local h = redis.call('GET', KEYS[1])
if not h or h == ARGV[2] then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3]) end
return 1`
)

//nolint:gochecknoglobals // constants
var (
	markLua  = rueidis.NewLuaScript(markScript)
	putLua   = rueidis.NewLuaScript(putScript)
	claimLua = rueidis.NewLuaScript(claimScript)
)

func millis(d time.Duration) string { return strconv.FormatInt(max(d.Milliseconds(), 1), 10) }

// GetMany implements cache.Chainer.
//
// Errors: Unavailable while Redis can't be reached.
func (t *Tier) GetMany(ctx context.Context, names []string) ([][]byte, error) {
	client, err := t.connected(ctx)
	if err != nil {
		return nil, err
	}
	list, err := client.Do(ctx, client.B().Mget().Key(names...).Build()).ToArray()
	if err != nil {
		return nil, failed(ctx, err)
	}
	values := make([][]byte, len(names))
	for i := range list {
		if list[i].IsNil() {
			continue
		}
		text, err := list[i].ToString()
		if err != nil {
			return nil, failed(ctx, err)
		}
		values[i] = []byte(text)
	}
	return values, nil
}

// Mark implements cache.Chainer.
//
// Errors: Unavailable while Redis can't be reached.
func (t *Tier) Mark(ctx context.Context, m cache.Mark) (head cache.Head, old [][]byte, err error) {
	client, err := t.connected(ctx)
	if err != nil {
		return head, nil, err
	}
	anew := "0"
	if m.Anew {
		anew = "1"
	}
	reply, err := markLua.Exec(ctx, client, append([]string{m.Head}, m.Names...), []string{
		cache.Digits(m.Prev), cache.Digits(m.Next), cache.Digits(m.Number), cache.Digits(m.Fresh), anew, millis(m.TTL), millis(m.HeadTTL),
	}).AsStrSlice()
	if err != nil {
		return head, nil, failed(ctx, err)
	}
	head, ok := cache.DecodeHead([]byte(reply[0]))
	if !ok {
		return head, nil, fault.Unavailable("redis gave another head than it was given")
	}
	for _, text := range reply[1:] {
		old = append(old, []byte(text))
	}
	return head, old, nil
}

// Put implements cache.Chainer.
//
// Errors: Unavailable while Redis can't be reached.
func (t *Tier) Put(ctx context.Context, head string, generation uint64, names []string, values []cache.Numbered, ttl time.Duration) error {
	client, err := t.connected(ctx)
	if err != nil {
		return err
	}
	args := make([]string, 2, len(values)+2)
	args[0], args[1] = cache.Digits(generation), millis(ttl)
	for _, v := range values {
		args = append(args, rueidis.BinaryString(cache.EncodeValue(generation, v)))
	}
	if err := putLua.Exec(ctx, client, append([]string{head}, names...), args).Error(); err != nil {
		return failed(ctx, err)
	}
	return nil
}

// Claim implements cache.Chainer.
//
// Errors: Unavailable while Redis can't be reached.
func (t *Tier) Claim(ctx context.Context, name string, head cache.Head, instead *cache.Head, ttl time.Duration) error {
	client, err := t.connected(ctx)
	if err != nil {
		return err
	}
	was := ""
	if instead != nil {
		was = instead.Encode()
	}
	if err := claimLua.Exec(ctx, client, []string{name}, []string{head.Encode(), was, millis(ttl)}).Error(); err != nil {
		return failed(ctx, err)
	}
	return nil
}
