// Package jsontape reads a JSON document in one pass into a flat tape of nodes over the caller's bytes.
//
// It owns strictness: what Parse accepts is RFC 8259 and nothing else, with the rules of I-JSON (RFC 7493)
// that keep two readers from seeing two documents: no duplicate keys, no lone surrogates, no invalid UTF-8.
// Raw control characters, leading zeros, trailing commas, comments and byte order marks are refused as well,
// and so are nesting deeper than MaxDepth and documents with more values than their size can justify.
//
// It promises:
//   - bytes are never changed: every value and key can be had exactly as it was written (Raw), so decimals
//     keep their digits and escapes their spelling;
//   - a Doc that is used again allocates nothing once its tape has grown to the size of the documents;
//   - after Parse a Doc is only read, so many goroutines may walk it at once;
//   - a *SyntaxError says where (offset, line, column) and what was expected, and never repeats values.
//
// Results alias the source: a Doc is good only as long as the bytes given to Parse are left alone.
package jsontape
