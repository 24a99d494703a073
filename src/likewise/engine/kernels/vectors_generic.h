// Plain C++: right everywhere, and what the other instruction sets are held against.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

constexpr int LANES = 4;
constexpr int TILE_VECTORS = 2;
constexpr int TILE_ROWS = 4;
constexpr int MOST_WEIGHT = 127;

// Vectors of the compiler's own (GCC and Clang): SSE2, NEON or whatever the machine's first instructions are.
typedef float Floats __attribute__((vector_size(sizeof(float) * LANES)));
typedef int32_t Ints __attribute__((vector_size(sizeof(int32_t) * LANES)));

inline Floats broadcast(float value) { return Floats{value, value, value, value}; }
inline Floats zeros() { return broadcast(0.0f); }
inline Floats load(const float* from) {
    Floats a;
    std::memcpy(&a, from, sizeof a);
    return a;
}
inline void store(float* to, Floats a) { std::memcpy(to, &a, sizeof a); }
inline Floats load_part(const float* from, int count) {
    Floats a = zeros();
    for (int i = 0; i < count; ++i) a[i] = from[i];
    return a;
}
inline void store_part(float* to, Floats a, int count) {
    for (int i = 0; i < count; ++i) to[i] = a[i];
}
inline Floats add(Floats a, Floats b) { return a + b; }
inline Floats subtract(Floats a, Floats b) { return a - b; }
inline Floats multiply(Floats a, Floats b) { return a * b; }
inline Floats divide(Floats a, Floats b) { return a / b; }
inline Floats multiply_add(Floats a, Floats b, Floats c) { return a * b + c; }
inline Floats larger(Floats a, Floats b) { return a > b ? a : b; }
inline Floats smaller(Floats a, Floats b) { return a < b ? a : b; }
inline Floats magnitude(Floats a) { return larger(a, -a); }
// The nearest whole number, of numbers below 2^22: where a float has no digits behind the point left.
inline Floats to_whole(Floats a) {
    const Floats shift = broadcast(12582912.0f);
    return (a + shift) - shift;
}
inline Ints to_ints(Floats a) { return __builtin_convertvector(a, Ints); }
// 2^a for whole a between -126 and 127.
inline Floats power_of_two(Floats a) { return (Floats)((to_ints(a) + 127) << 23); }
inline float sum(Floats a) { return (a[0] + a[2]) + (a[1] + a[3]); }
inline float largest(Floats a) {
    float found = a[0];
    for (int i = 1; i < LANES; ++i) found = a[i] > found ? a[i] : found;
    return found;
}

inline uint16_t rounded_to_bfloat16(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000) return static_cast<uint16_t>((bits >> 16) | 0x40);  // not a number
    return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
inline float from_bfloat16(uint16_t value) {
    uint32_t bits = static_cast<uint32_t>(value) << 16;
    float result;
    std::memcpy(&result, &bits, sizeof result);
    return result;
}
inline void store_bfloat16(uint16_t* to, Floats a) {
    for (int i = 0; i < LANES; ++i) to[i] = rounded_to_bfloat16(a[i]);
}
// Whole numbers between -127 and 127, stored plus 128.
inline void store_bytes(uint8_t* to, Floats a) {
    a = smaller(larger(a, broadcast(-127.0f)), broadcast(127.0f));  // what is no number has no whole one either
    for (int i = 0; i < LANES; ++i) to[i] = static_cast<uint8_t>(static_cast<int32_t>(a[i]) + 128);
}

// How a step of a product works, beside Float32Step in product.h: GROUP inputs at a time, of each of LANES outputs.
struct BFloat16Step {
    static constexpr int GROUP = 2;
    using Stored = uint16_t;
    using Weight = uint16_t;
    using Sum = Floats;
    struct Inputs {
        float first, second;
    };
    struct Weights {
        Floats first, second;
    };
    static Sum zero() { return zeros(); }
    static Inputs input(const Stored* from) { return {from_bfloat16(from[0]), from_bfloat16(from[1])}; }
    static Weights weights(const Weight* from) {
        Weights found;
        for (int i = 0; i < LANES; ++i) {
            found.first[i] = from_bfloat16(from[2 * i]);
            found.second[i] = from_bfloat16(from[2 * i + 1]);
        }
        return found;
    }
    static Sum step(Sum sum, Inputs inputs, Weights weights) {
        sum = multiply_add(broadcast(inputs.first), weights.first, sum);
        return multiply_add(broadcast(inputs.second), weights.second, sum);
    }
    static Floats floats(Sum sum) { return sum; }
};

struct Int8Step {
    static constexpr int GROUP = 4;
    using Stored = uint8_t;
    using Weight = int8_t;
    using Sum = Ints;
    using Inputs = const uint8_t*;
    using Weights = const int8_t*;
    static Sum zero() { return Ints{}; }
    static Inputs input(const Stored* from) { return from; }
    static Weights weights(const Weight* from) { return from; }
    static Sum step(Sum sum, Inputs inputs, Weights weights) {
        for (int i = 0; i < LANES; ++i)
            for (int j = 0; j < GROUP; ++j) sum[i] += int32_t{inputs[j]} * weights[GROUP * i + j];
        return sum;
    }
    static Floats floats(Sum sum) { return __builtin_convertvector(sum, Floats); }
};
