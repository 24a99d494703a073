// AVX-512 with VNNI, with BF16 or without: 16 floats at a time, 32 registers.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

constexpr int LANES = 16;
constexpr int TILE_VECTORS = 4;
constexpr int TILE_ROWS = 6;  // 24 of the 32 registers hold sums
constexpr int MOST_WEIGHT = 127;

using Floats = __m512;
using Ints = __m512i;

inline __mmask16 first_lanes(int count) { return static_cast<__mmask16>((1u << count) - 1); }

inline Floats zeros() { return _mm512_setzero_ps(); }
inline Floats broadcast(float value) { return _mm512_set1_ps(value); }
inline Floats load(const float* from) { return _mm512_loadu_ps(from); }
inline Floats load_part(const float* from, int count) { return _mm512_maskz_loadu_ps(first_lanes(count), from); }
inline void store(float* to, Floats a) { _mm512_storeu_ps(to, a); }
inline void store_part(float* to, Floats a, int count) { _mm512_mask_storeu_ps(to, first_lanes(count), a); }
inline Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
inline Floats subtract(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
inline Floats multiply(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
inline Floats divide(Floats a, Floats b) { return _mm512_div_ps(a, b); }
inline Floats multiply_add(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
inline Floats larger(Floats a, Floats b) { return _mm512_max_ps(a, b); }
inline Floats smaller(Floats a, Floats b) { return _mm512_min_ps(a, b); }
inline Floats magnitude(Floats a) { return _mm512_abs_ps(a); }
inline Floats to_whole(Floats a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
// 2^a for whole a between -126 and 127.
inline Floats power_of_two(Floats a) {
    __m512i exponents = _mm512_add_epi32(_mm512_cvtps_epi32(a), _mm512_set1_epi32(127));
    return _mm512_castsi512_ps(_mm512_slli_epi32(exponents, 23));
}
inline float sum(Floats a) { return _mm512_reduce_add_ps(a); }
inline float largest(Floats a) { return _mm512_reduce_max_ps(a); }

inline void store_bfloat16(uint16_t* to, Floats a) {
#ifdef __AVX512BF16__
    __m256bh halves = _mm512_cvtneps_pbh(a);
#else
    // To the nearest, ties to even; what is no number stays none.
    __m512i bits = _mm512_castps_si512(a);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
    rounded = _mm512_mask_blend_epi32(_mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q), rounded, quiet);
    __m256i halves = _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16));
#endif
    std::memcpy(to, &halves, sizeof halves);
}
// Whole numbers between -127 and 127, stored plus 128.
inline void store_bytes(uint8_t* to, Floats a) {
    __m512i whole = _mm512_add_epi32(_mm512_cvtps_epi32(a), _mm512_set1_epi32(128));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(whole));
}

template <class Stored>
inline __m512i four_bytes_everywhere(const Stored* from) {
    int32_t bits;
    std::memcpy(&bits, from, sizeof bits);
    return _mm512_set1_epi32(bits);
}

// How a step of a product works, beside Float32Step in product.h: GROUP inputs at a time, of each of LANES outputs.
// Without BF16 it is widened to float32: not faster than float32, but half the memory.
struct BFloat16Step {
    static constexpr int GROUP = 2;
    using Stored = uint16_t;
    using Weight = uint16_t;
    using Sum = Floats;
    using Inputs = __m512i;
    using Weights = __m512i;
    static Sum zero() { return zeros(); }
    static Inputs input(const Stored* from) { return four_bytes_everywhere(from); }
    static Weights weights(const Weight* from) { return _mm512_loadu_si512(from); }
    static Sum step(Sum sum, Inputs inputs, Weights weights) {
#ifdef __AVX512BF16__
        return _mm512_dpbf16_ps(sum, (__m512bh)inputs, (__m512bh)weights);
#else
        sum = multiply_add(first(inputs), first(weights), sum);
        return multiply_add(second(inputs), second(weights), sum);
#endif
    }
    static Floats first(__m512i pairs) { return _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16)); }
    static Floats second(__m512i pairs) {
        return _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(static_cast<int32_t>(0xffff0000))));
    }
    static Floats floats(Sum sum) { return sum; }
};

struct Int8Step {
    static constexpr int GROUP = 4;
    using Stored = uint8_t;
    using Weight = int8_t;
    using Sum = Ints;
    using Inputs = __m512i;
    using Weights = __m512i;
    static Sum zero() { return _mm512_setzero_si512(); }
    static Inputs input(const Stored* from) { return four_bytes_everywhere(from); }
    static Weights weights(const Weight* from) { return _mm512_loadu_si512(from); }
    static Sum step(Sum sum, Inputs inputs, Weights weights) { return _mm512_dpbusd_epi32(sum, inputs, weights); }
    static Floats floats(Sum sum) { return _mm512_cvtepi32_ps(sum); }
};
