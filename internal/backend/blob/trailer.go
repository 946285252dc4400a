package blob

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// A trailer is 8 bytes "WARDBLB1", 8 size of the content, 8 milliseconds since 1970 when it was stored, 32 SHA-256 of the content, 1 length of the media
// type, 71 media type padded with zeros. Numbers are big-endian.
const (
	trailerSize  = 128
	trailerMagic = "WARDBLB1"
	maxMediaType = trailerSize - 8 - 8 - 8 - sha256.Size - 1
)

func encodeTrailer(i Info) []byte {
	b := make([]byte, 0, trailerSize)
	b = append(b, trailerMagic...)
	b = binary.BigEndian.AppendUint64(b, uint64(i.Size))               //nolint:gosec // not negative
	b = binary.BigEndian.AppendUint64(b, uint64(i.Stored.UnixMilli())) //nolint:gosec // not negative
	b = append(b, i.SHA256[:]...)
	b = append(b, byte(len(i.MediaType)))
	b = append(b, i.MediaType...)
	return b[:trailerSize] // make gave zeros
}

func decodeTrailer(b []byte) (i Info, ok bool) {
	if len(b) != trailerSize || string(b[:8]) != trailerMagic {
		return i, false
	}
	i.Size = int64(binary.BigEndian.Uint64(b[8:]))                          //nolint:gosec // checked below
	i.Stored = time.UnixMilli(int64(binary.BigEndian.Uint64(b[16:]))).UTC() //nolint:gosec // any time will do
	copy(i.SHA256[:], b[24:])
	n := int(b[24+sha256.Size])
	if i.Size < 0 || n > maxMediaType {
		return i, false
	}
	i.MediaType = string(b[25+sha256.Size : 25+sha256.Size+n])
	return i, true
}
