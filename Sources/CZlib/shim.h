#pragma once
#include <zlib.h>

// zlib's initialisers are macros that pass the version; Swift sees functions only.
static inline int cz_inflate_init_raw(z_stream *stream) { return inflateInit2(stream, -15); }
static inline int cz_inflate_init(z_stream *stream) { return inflateInit(stream); }
static inline int cz_deflate_init(z_stream *stream, int level) { return deflateInit(stream, level); }
