// The C interface: what engine/library.py calls through ctypes. Every function checks what it is given.
//
// Functions that can fail return 0, or 1 and write a sentence into `error`. An encoder is filled by one thread; then any
// number of threads may use it at once.
#pragma once

#include "encoder.h"

#ifdef _WIN32
#define LIKEWISE_EXPORT extern "C" __declspec(dllexport)
#else
#define LIKEWISE_EXPORT extern "C" __attribute__((visibility("default")))
#endif

namespace likewise {

struct Handle;

// The same numbers stand in engine/library.py.
enum Part : int32_t {
    TOKEN_TABLE = 0, POSITION_TABLE = 1, SEGMENT_TABLE = 2, DISTANCE_BIAS = 3,
    EMBEDDING_NORM_WEIGHT = 4, EMBEDDING_NORM_BIAS = 5, LAST_NORM_WEIGHT = 6, LAST_NORM_BIAS = 7,
    BEFORE_ATTENTION_WEIGHT = 8, BEFORE_ATTENTION_BIAS = 9, AFTER_ATTENTION_WEIGHT = 10, AFTER_ATTENTION_BIAS = 11,
    BEFORE_FEED_FORWARD_WEIGHT = 12, BEFORE_FEED_FORWARD_BIAS = 13,
    AFTER_FEED_FORWARD_WEIGHT = 14, AFTER_FEED_FORWARD_BIAS = 15,
    ROTARY_COSINES = 16, ROTARY_SINES = 17,
    PROJECT = 32, QKV = 33, ATTENTION_OUT = 34, EXPAND = 35, CONTRACT = 36, HEAD = 37,
};

}  // namespace likewise

constexpr int LIKEWISE_ERROR_SIZE = 256;
constexpr int LIKEWISE_VERSION = 2;  // of this interface

LIKEWISE_EXPORT int likewise_version();
// The names of the instruction sets that this machine has, best first, separated by spaces.
LIKEWISE_EXPORT const char* likewise_instruction_sets();
// Whether `dtype` is multiplied by instructions made for it, with this set.
LIKEWISE_EXPORT int likewise_is_native(const char* instructions, int32_t dtype);

LIKEWISE_EXPORT likewise::Handle* likewise_new(const likewise::Settings* settings, const char* instructions, char* error);
LIKEWISE_EXPORT void likewise_delete(likewise::Handle* handle);
// Arrays that are read where they are: they must outlive the encoder. `part` is one of enum Part.
LIKEWISE_EXPORT int likewise_set_array(likewise::Handle* handle, int32_t part, int32_t layer, const float* values,
                                       int64_t count, char* error);
// A product's weights (outputs, inputs), which are packed; bias and input_scales, of int8 alone, may be null.
LIKEWISE_EXPORT int likewise_set_product(likewise::Handle* handle, int32_t part, int32_t layer, int32_t dtype,
                                         const float* weight, const float* bias, const float* input_scales,
                                         int32_t outputs, int32_t inputs, char* error);
// The same product as it was packed by this instruction set: read where it is, it must outlive the encoder.
LIKEWISE_EXPORT int likewise_set_packed(likewise::Handle* handle, int32_t part, int32_t layer, int32_t dtype,
                                        const void* packed, int64_t bytes, int32_t outputs, int32_t inputs, char* error);
// A product as it is packed, for likewise_set_packed; null where there is none.
LIKEWISE_EXPORT const void* likewise_packed(likewise::Handle* handle, int32_t part, int32_t layer, int64_t* bytes);
LIKEWISE_EXPORT int likewise_set_window(likewise::Handle* handle, int32_t layer, int32_t window, char* error);
// Texts → vectors. `out` has `out_count` floats: (texts, modes * hidden), or (tokens, hidden).
LIKEWISE_EXPORT int likewise_encode(const likewise::Handle* handle, const int32_t* ids, int64_t tokens,
                                    const int32_t* offsets, int32_t texts, const int32_t* skipped, const int32_t* segments,
                                    const int32_t* modes, int32_t mode_count, float* out, int64_t out_count,
                                    float* largest, int64_t largest_count, char* error);
// Rows (count, inputs) by the product of a head: (count, outputs).
LIKEWISE_EXPORT int likewise_multiply(const likewise::Handle* handle, int32_t layer, const float* rows, int64_t count,
                                      float* out, int64_t out_count, char* error);
