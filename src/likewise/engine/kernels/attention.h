// Scaled dot-product attention (Vaswani et al. 2017, equation 1) within each text, in float32.
#pragma once

// Dimensions i and i + width / 2 of each query and key, turned by the angle of the token's place (Su et al. 2021).
inline void rotate(float* vectors, int heads, int head_width, int rotary_width, const float* cosines, const float* sines) {
    const int half = rotary_width / 2;
    for (int head = 0; head < heads; ++head) {
        float *first = vectors + head * head_width, *second = first + half;
        auto turn = [&](Floats a, Floats b, Floats cosine, Floats sine, Floats& x, Floats& y) {
            x = subtract(multiply(a, cosine), multiply(b, sine));
            y = add(multiply(b, cosine), multiply(a, sine));
        };
        Floats x, y;
        over(half,
             [&](int i) {
                 turn(load(first + i), load(second + i), load(cosines + i), load(sines + i), x, y);
                 store(first + i, x);
                 store(second + i, y);
             },
             [&](int i, int n) {
                 turn(load_part(first + i, n), load_part(second + i, n), load_part(cosines + i, n), load_part(sines + i, n), x, y);
                 store_part(first + i, x, n);
                 store_part(second + i, y, n);
             });
    }
}

inline int rounded_up(int count, int to) { return (count + to - 1) / to * to; }

struct AttentionSpace {  // of one head of one text
    float* keys;    // (head width, key_stride), transposed
    float* values;  // (length, value_stride)
    float* scores;  // (TILE_ROWS, key_stride)
    float* mixed;   // (TILE_ROWS, value_stride)
    int key_stride, value_stride;
};

inline size_t attention_floats(int length, int head_width) {
    const size_t keys = rounded_up(length, PANEL) + PANEL, values = rounded_up(head_width, LANES);
    return keys * (head_width + TILE_ROWS) + values * (length + TILE_ROWS);
}

inline AttentionSpace attention_space(float* space, int length, int head_width) {
    const int keys = rounded_up(length, PANEL) + PANEL, values = rounded_up(head_width, LANES);
    float* after_keys = space + size_t(keys) * head_width;
    float* after_values = after_keys + size_t(values) * length;
    return {space, after_keys, after_values, after_values + size_t(TILE_ROWS) * keys, keys, values};
}

// out (M, columns) = rows (M, inner) by a matrix (inner, columns), both filled up to whole vectors.
template <int M, int N>
inline void small_tile(const float* rows, size_t row_stride, const float* by, size_t by_stride, int inner, float* out,
                       size_t out_stride) {
    Floats sums[M][N];
    tile<Float32Step, M, N>(rows, row_stride, by, by_stride, inner, sums);
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m)
#pragma GCC unroll 8
        for (int n = 0; n < N; ++n) store(out + m * out_stride + n * LANES, sums[m][n]);
}

template <int M>
inline void small_product(const float* rows, size_t row_stride, const float* by, size_t by_stride, int inner, int columns,
                          float* out, size_t out_stride) {
    int column = 0;
    for (; column + PANEL - LANES < columns; column += PANEL)
        small_tile<M, TILE_VECTORS>(rows, row_stride, by + column, by_stride, inner, out + column, out_stride);
    switch ((columns - column + LANES - 1) / LANES) {
        case 1: small_tile<M, 1>(rows, row_stride, by + column, by_stride, inner, out + column, out_stride); break;
        case 2: small_tile<M, (TILE_VECTORS > 2 ? 2 : 1)>(rows, row_stride, by + column, by_stride, inner, out + column, out_stride); break;
        case 3: small_tile<M, (TILE_VECTORS > 3 ? 3 : 1)>(rows, row_stride, by + column, by_stride, inner, out + column, out_stride); break;
        default: break;
    }
}

struct Seen {  // the keys that a query sees, from `first` up to and without `end`
    int first, end;
};

// Scores to weights: scaled, with a bias, e^(s - largest), and their sum. What is not seen becomes zero.
inline float to_weights(float* scores, int count, Seen seen, float scale, const float* bias) {
    Floats most = broadcast(-__builtin_inff());
    Floats by = broadcast(scale);
    auto biased = [&](Floats score, Floats more) { return multiply_add(score, by, more); };
    for (int i = 0; i < seen.first; ++i) scores[i] = 0.0f;
    float *from = scores + seen.first;
    const float* more = bias ? bias + seen.first : nullptr;
    const int width = seen.end - seen.first;
    float rest[LANES];
    over(width,
         [&](int i) {
             Floats score = biased(load(from + i), more ? load(more + i) : zeros());
             store(from + i, score);
             most = larger(most, score);
         },
         [&](int i, int n) {
             Floats score = biased(load_part(from + i, n), more ? load_part(more + i, n) : zeros());
             store_part(from + i, score, n);
             store(rest, score);
             for (int j = n; j < LANES; ++j) rest[j] = -__builtin_inff();
             most = larger(most, load(rest));
         });
    Floats largest_score = broadcast(largest(most));
    Floats total = zeros();
    over(width,
         [&](int i) {
             Floats weight = exponential(subtract(load(from + i), largest_score));
             store(from + i, weight);
             total = add(total, weight);
         },
         [&](int i, int n) {
             Floats weight = exponential(subtract(load_part(from + i, n), largest_score));
             store_part(from + i, weight, n);
             total = add(total, load_part(from + i, n));
         });
    for (int i = seen.end; i < count; ++i) scores[i] = 0.0f;
    return sum(total);
}

struct AttentionShape {
    int heads, head_width, window;
    const float* distance_bias;  // (heads, 2 longest - 1)
    int longest;
};

// One text: qkv (length, 3 heads head_width) → mixed (queries, heads head_width) of the tokens from `first_query` on.
inline void attend(const float* qkv, int length, const AttentionShape& shape, int first_query, int queries, float* mixed,
                   float* space_for_it) {
    const int hidden = shape.heads * shape.head_width, width = shape.head_width;
    const size_t stride = size_t(3) * hidden;
    const float scale = 1.0f / __builtin_sqrtf(static_cast<float>(width));
    const AttentionSpace space = attention_space(space_for_it, length, width);
    for (int head = 0; head < shape.heads; ++head) {
        const float *query = qkv + head * width, *key = query + hidden, *value = key + hidden;
        for (int d = 0; d < width; ++d) {
            float* to = space.keys + size_t(d) * space.key_stride;
            for (int i = 0; i < length; ++i) to[i] = key[i * stride + d];
            for (int i = length; i < space.key_stride; ++i) to[i] = 0.0f;
        }
        for (int i = 0; i < length; ++i) {
            float* to = space.values + size_t(i) * space.value_stride;
            for (int d = 0; d < width; ++d) to[d] = value[i * stride + d];
            for (int d = width; d < space.value_stride; ++d) to[d] = 0.0f;
        }
        const float* bias = shape.distance_bias ? shape.distance_bias + size_t(head) * (2 * shape.longest - 1) : nullptr;
        in_tiles(queries, [&](int row, auto rows_here) {
            constexpr int M = decltype(rows_here)::value;
            const int at = first_query + row, window = shape.window;
            // All keys that one of the tile's queries sees.
            const int first = window < 0 || at - window < 0 ? 0 : at - window;
            const int end = window < 0 || at + M + window > length ? length : at + M + window;
            small_product<M>(query + at * stride, stride, space.keys + first, space.key_stride, width, end - first,
                             space.scores, space.key_stride);
            float totals[M];
            for (int m = 0; m < M; ++m) {
                const int place = at + m;
                Seen seen{0, end - first};
                if (window >= 0) {
                    seen.first = place - window > first ? place - window - first : 0;
                    seen.end = place + window + 1 < end ? place + window + 1 - first : end - first;
                }
                const float* by_distance = bias ? bias + (shape.longest - 1 - place) + first : nullptr;
                totals[m] = to_weights(space.scores + size_t(m) * space.key_stride, end - first, seen, scale, by_distance);
            }
            small_product<M>(space.scores, space.key_stride, space.values + size_t(first) * space.value_stride,
                             space.value_stride, end - first, width, space.mixed, space.value_stride);
            for (int m = 0; m < M; ++m) {
                float* to = mixed + size_t(row + m) * hidden + head * width;
                const float* from = space.mixed + size_t(m) * space.value_stride;
                Floats share = broadcast(1.0f / totals[m]);
                over(width, [&](int i) { store(to + i, multiply(load(from + i), share)); },
                     [&](int i, int n) { store_part(to + i, multiply(load_part(from + i, n), share), n); });
            }
        });
    }
}
