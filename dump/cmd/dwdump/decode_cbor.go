package main

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
)

// cborReader writes CBOR as JSON while it reads it, and builds nothing in between: a null is
// one byte of the file and many of a tree in memory.
//
//	map keys    become strings: 1 is "1"
//	bytes       base64
//	times       their text or number
//	other tags  {"tag":37,"value":...}
type cborReader struct {
	left []byte
	keys int // maps in the keys of maps around this place
}

const (
	maxLevels = 1024 // as deep as cbor/1 reads
	maxInKeys = 3    // each one doubles the backslashes
	maxBignum = 1 << 10
)

var (
	errShort = errors.New("cbor/1: it ends too early")
	errDeep  = errors.New("cbor/1: it is nested too deep")
)

func decodeCBOR(into, encoded []byte) ([]byte, error) {
	r := cborReader{left: encoded}
	b, err := r.item(into, maxLevels)
	if err == nil && len(r.left) > 0 {
		err = fmt.Errorf("cbor/1: %d bytes are too many", len(r.left))
	}
	if err != nil {
		return into, err
	}
	return b, nil
}

// Major types of RFC 8949.
const (
	cborUnsigned = iota
	cborNegative
	cborBytes
	cborText
	cborArray
	cborMap
	cborTag
	cborSimple
)

// head reads the head of an item. info is its low five bits, n what they stand for.
func (r *cborReader) head() (major, info byte, n uint64, err error) {
	if len(r.left) == 0 {
		return 0, 0, 0, errShort
	}
	major, info = r.left[0]>>5, r.left[0]&31
	r.left = r.left[1:]
	if info < 24 {
		return major, info, uint64(info), nil
	}
	if info > 27 {
		return 0, 0, 0, fmt.Errorf("cbor/1: an item of unknown length, or none at all (%#x)", major<<5|info)
	}
	bytes, err := r.take(1 << (info - 24))
	for _, c := range bytes {
		n = n<<8 | uint64(c)
	}
	return major, info, n, err
}

func (r *cborReader) take(n uint64) ([]byte, error) {
	if n > uint64(len(r.left)) {
		return nil, errShort
	}
	taken := r.left[:n]
	r.left = r.left[n:]
	return taken, nil
}

func (r *cborReader) item(b []byte, levels int) ([]byte, error) {
	if levels == 0 {
		return b, errDeep
	}
	major, info, n, err := r.head()
	if err != nil {
		return b, err
	}
	switch major {
	case cborUnsigned:
		return strconv.AppendUint(b, n, 10), nil
	case cborNegative:
		return appendNegative(b, new(big.Int).SetUint64(n)), nil
	case cborBytes:
		bytes, err := r.take(n)
		return appendBase64(b, bytes), err
	case cborText:
		text, err := r.take(n)
		return appendText(b, string(text)), err
	case cborArray:
		return r.array(b, n, levels-1)
	case cborMap:
		return r.pairs(b, n, levels-1)
	case cborTag:
		return r.tagged(b, n, levels-1)
	default:
		return appendSimple(b, info, n)
	}
}

// appendNegative appends -1-n.
func appendNegative(b []byte, n *big.Int) []byte { return n.Not(n).Append(b, 10) }

func (r *cborReader) array(b []byte, n uint64, levels int) (_ []byte, err error) {
	b = append(b, '[')
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = r.item(b, levels); err != nil {
			return b, err
		}
	}
	return append(b, ']'), nil
}

func (r *cborReader) pairs(b []byte, n uint64, levels int) (_ []byte, err error) {
	b = append(b, '{')
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = r.key(b, levels); err != nil {
			return b, err
		}
		b = append(b, ':')
		if b, err = r.item(b, levels); err != nil {
			return b, err
		}
	}
	return append(b, '}'), nil
}

func (r *cborReader) key(b []byte, levels int) ([]byte, error) {
	if r.keys++; r.keys > maxInKeys {
		return b, errDeep
	}
	key, err := r.item(nil, levels)
	r.keys--
	switch {
	case err != nil:
		return b, err
	case key[0] == '"':
		return append(b, key...), nil
	default:
		return appendText(b, string(key)), nil
	}
}

// Tags whose content tells more than they do.
const (
	tagTimeText      = 0
	tagTimeNumber    = 1
	tagBignum        = 2
	tagNegative      = 3
	tagSelfDescribed = 55799
)

func (r *cborReader) tagged(b []byte, tag uint64, levels int) ([]byte, error) {
	switch tag {
	case tagTimeText, tagTimeNumber, tagSelfDescribed:
		return r.item(b, levels)
	case tagBignum, tagNegative:
		if number, ok := r.bignum(); ok && tag == tagBignum {
			return number.Append(b, 10), nil
		} else if ok {
			return appendNegative(b, number), nil
		}
	}
	b = strconv.AppendUint(append(b, `{"tag":`...), tag, 10)
	b, err := r.item(append(b, `,"value":`...), levels)
	return append(b, '}'), err
}

// bignum reads the bytes of a number, unless they are so many that it takes seconds to
// write it in decimal.
func (r *cborReader) bignum() (*big.Int, bool) {
	before := r.left
	major, _, n, err := r.head()
	if err == nil && major == cborBytes && n <= maxBignum {
		if bytes, err := r.take(n); err == nil {
			return new(big.Int).SetBytes(bytes), true
		}
	}
	r.left = before
	return nil, false
}

func appendSimple(b []byte, info byte, n uint64) ([]byte, error) {
	switch info {
	case 20, 21:
		return strconv.AppendBool(b, info == 21), nil
	case 22, 23:
		return append(b, "null"...), nil
	case 25:
		return appendFloat(b, half(uint16(n)), 32), nil
	case 26:
		return appendFloat(b, float64(math.Float32frombits(uint32(n))), 32), nil
	case 27:
		return appendFloat(b, math.Float64frombits(n), 64), nil
	default:
		b = strconv.AppendUint(append(b, `{"simple":`...), n, 10)
		return append(b, '}'), nil
	}
}

// half reads a float of 16 bits: 1 for the sign, 5 for the exponent, 10 for the fraction.
func half(bits uint16) float64 {
	exponent, fraction := int(bits>>10&31), float64(bits&1023)
	value := math.Ldexp(1024+fraction, exponent-25)
	switch {
	case exponent == 0:
		value = math.Ldexp(fraction, -24)
	case exponent == 31 && fraction != 0:
		value = math.NaN()
	case exponent == 31:
		value = math.Inf(1)
	}
	if bits>>15 == 1 {
		return -value
	}
	return value
}
