// AVX2 and FMA: 8 floats at a time. With AVX-VNNI, int8 products of whole bytes; without, weights of 7 bits.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

constexpr int LANES = 8;
constexpr int TILE_VECTORS = 2;
constexpr int TILE_ROWS = 6;  // 12 of the 16 registers hold sums
#ifdef __AVXVNNI__
constexpr int MOST_WEIGHT = 127;
#else
constexpr int MOST_WEIGHT = 64;  // two products of 255 by 64 still fit into the 16 bits of vpmaddubsw
#endif

using Floats = __m256;
using Ints = __m256i;

inline __m256i first_lanes(int count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

inline Floats zeros() { return _mm256_setzero_ps(); }
inline Floats broadcast(float value) { return _mm256_set1_ps(value); }
inline Floats load(const float* from) { return _mm256_loadu_ps(from); }
inline Floats load_part(const float* from, int count) { return _mm256_maskload_ps(from, first_lanes(count)); }
inline void store(float* to, Floats a) { _mm256_storeu_ps(to, a); }
inline void store_part(float* to, Floats a, int count) { _mm256_maskstore_ps(to, first_lanes(count), a); }
inline Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
inline Floats subtract(Floats a, Floats b) { return _mm256_sub_ps(a, b); }
inline Floats multiply(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
inline Floats divide(Floats a, Floats b) { return _mm256_div_ps(a, b); }
inline Floats multiply_add(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
inline Floats larger(Floats a, Floats b) { return _mm256_max_ps(a, b); }
inline Floats smaller(Floats a, Floats b) { return _mm256_min_ps(a, b); }
inline Floats magnitude(Floats a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
inline Floats to_whole(Floats a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
// 2^a for whole a between -126 and 127.
inline Floats power_of_two(Floats a) {
    __m256i exponents = _mm256_add_epi32(_mm256_cvtps_epi32(a), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(exponents, 23));
}
inline float sum(Floats a) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}
inline float largest(Floats a) {
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
}

inline __m256i rounded_to_bfloat16(Floats a) {  // in the lower half of each lane
    __m256i bits = _mm256_castps_si256(a);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    __m256i is_number = _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_ORD_Q));
    __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    return _mm256_srli_epi32(_mm256_blendv_epi8(quiet, rounded, is_number), 16);
}
inline void store_bfloat16(uint16_t* to, Floats a) {
    __m256i halves = rounded_to_bfloat16(a);
    __m128i packed = _mm_packus_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), packed);
}
// Whole numbers between -127 and 127, stored plus 128.
inline void store_bytes(uint8_t* to, Floats a) {
    __m256i whole = _mm256_add_epi32(_mm256_cvtps_epi32(a), _mm256_set1_epi32(128));
    __m128i shorts = _mm_packus_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packus_epi16(shorts, shorts));
}

template <class Stored>
inline int32_t four_bytes(const Stored* from) {
    int32_t bits;
    std::memcpy(&bits, from, sizeof bits);
    return bits;
}

// How a step of a product works, beside Float32Step in product.h: GROUP inputs at a time, of each of LANES outputs.
// Widened to float32: not faster than float32, but half the memory.
struct BFloat16Step {
    static constexpr int GROUP = 2;
    using Stored = uint16_t;
    using Weight = uint16_t;
    using Sum = Floats;
    using Inputs = __m256i;
    using Weights = __m256i;
    static Floats first(__m256i pairs) { return _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16)); }
    static Floats second(__m256i pairs) {
        return _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32(static_cast<int32_t>(0xffff0000))));
    }
    static Sum zero() { return zeros(); }
    static Inputs input(const Stored* from) { return _mm256_set1_epi32(four_bytes(from)); }
    static Weights weights(const Weight* from) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)); }
    static Sum step(Sum sum, Inputs inputs, Weights weights) {
        sum = multiply_add(first(inputs), first(weights), sum);
        return multiply_add(second(inputs), second(weights), sum);
    }
    static Floats floats(Sum sum) { return sum; }
};

struct Int8Step {
    static constexpr int GROUP = 4;
    using Stored = uint8_t;
    using Weight = int8_t;
    using Sum = Ints;
    using Inputs = __m256i;
    using Weights = __m256i;
    static Sum zero() { return _mm256_setzero_si256(); }
    static Inputs input(const Stored* from) { return _mm256_set1_epi32(four_bytes(from)); }
    static Weights weights(const Weight* from) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)); }
    static Sum step(Sum sum, Inputs inputs, Weights weights) {
#ifdef __AVXVNNI__
        return _mm256_dpbusd_avx_epi32(sum, inputs, weights);
#else
        __m256i pairs = _mm256_maddubs_epi16(inputs, weights);
        return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
#endif
    }
    static Floats floats(Sum sum) { return _mm256_cvtepi32_ps(sum); }
};
