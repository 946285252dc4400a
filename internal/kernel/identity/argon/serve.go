package argon

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"runtime/debug"

	"ward/internal/base/fault"
)

// A request is: the length of what follows, memory, passes, threads, the length of the salt, the salt, the password. An answer is the key.
const (
	headSize    = 4 + 4 + 4 + 1 + 1
	mostRequest = 4 << 10
)

func (h Hash) request(password string) ([]byte, error) {
	n := headSize + len(h.salt) + len(password)
	if n > mostRequest {
		return nil, fault.TooLarge("the password is too long")
	}
	b := make([]byte, 0, n)
	b = binary.BigEndian.AppendUint32(b, uint32(n-4))
	b = binary.BigEndian.AppendUint32(b, h.Memory)
	b = binary.BigEndian.AppendUint32(b, h.Time)
	b = append(b, h.Threads, byte(len(h.salt))) //nolint:gosec // at most 64
	b = append(b, h.salt...)
	return append(b, password...), nil
}

// Serve answers requests until the input ends: the loop of a process of its own. gentle has the kernel run it only where nobody else wants
// the CPU.
func Serve(in io.Reader, out io.Writer, gentle bool) error {
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(40 << 20) // one hash of the default, the next, and little more
	if gentle {
		giveWay()
	}
	r := bufio.NewReaderSize(in, mostRequest)
	buf := make([]byte, mostRequest)
	for {
		if _, err := io.ReadFull(r, buf[:4]); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		n := int(binary.BigEndian.Uint32(buf))
		if n < headSize-4 || n > mostRequest-4 {
			return errors.New("argon: a request of a wrong length")
		}
		b := buf[:n]
		if _, err := io.ReadFull(r, b); err != nil {
			return err
		}
		h := Hash{Params: Params{Memory: binary.BigEndian.Uint32(b), Time: binary.BigEndian.Uint32(b[4:]), Threads: b[8]}}
		salt := int(b[9])
		if len(b) < 10+salt || h.Memory > mostMemory || h.Time < 1 || h.Time > mostTime || h.Threads < 1 || h.Threads > mostThreads {
			return errors.New("argon: a request that can't be met")
		}
		h.salt = b[10 : 10+salt]
		key := h.derive(string(b[10+salt:]))
		clear(b)
		if _, err := out.Write(key); err != nil {
			return err
		}
	}
}
