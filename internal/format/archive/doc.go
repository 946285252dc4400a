// Package archive takes JSON documents out of what people have: plain files, gzip, zstd and bzip2 streams, tar archives, and any nesting
// of these to a small depth. What something is, is seen from its first bytes and not from its name, so that it works on a pipe.
//
// A text is one JSON document, or a stream of them: one per line (NDJSON) or one after another. Documents are found by their
// brackets and not parsed; a line of NDJSON that is no whole document is given out as it is, for the parser to say what is
// wrong, and the next line is a new start.
//
// It is pure: it reads from the io.Reader that it is given and nothing else. Sizes are bounded: one document is at most
// [Options].Document bytes after unpacking, and archives nest at most three deep.
package archive
