// y = x Wᵀ + b: weights packed into panels, tiles of some tokens by some vectors of outputs.
//
// Each output is one chain of sums over the inputs, in their order, whatever else is in the tile: so the same bits.
#pragma once

template <int V>
struct Constant {
    static constexpr int value = V;
};

constexpr int PANEL = TILE_VECTORS * LANES;  // outputs

// Inputs of a block, at most: its weights for a panel stay near. In int8 each block of a token has a scale of its own,
// and the smaller the block, the less one large input costs the others.
inline int most_inputs(Dtype dtype) { return dtype == INT8 ? 256 : 512; }
inline int blocks_of(int inputs, Dtype dtype) { return (inputs + most_inputs(dtype) - 1) / most_inputs(dtype); }
inline int block_width_of(int inputs, Dtype dtype) {
    const int blocks = blocks_of(inputs, dtype), width = (inputs + blocks - 1) / blocks;
    return (width + 3) / 4 * 4;
}
inline int panels_of(int outputs) { return (outputs + PANEL - 1) / PANEL; }

inline size_t bytes_of(Dtype dtype) { return dtype == FLOAT32 ? 4 : dtype == BFLOAT16 ? 2 : 1; }

// What a product is given: rows of its own kind of number.
struct Operand {
    const void* rows;
    size_t stride;        // numbers from one row to the next
    const float* scales;  // int8: (rows, blocks)
};

// A step of a product in float32; those of the other kinds of numbers are each instruction set's own.
struct Float32Step {
    static constexpr int GROUP = 1;
    using Stored = float;
    using Weight = float;
    using Sum = Floats;
    using Inputs = Floats;
    using Weights = Floats;
    static Sum zero() { return zeros(); }
    static Inputs input(const Stored* from) { return broadcast(*from); }
    static Weights weights(const Weight* from) { return load(from); }
    static Sum step(Sum sum, Inputs inputs, Weights weights) { return multiply_add(inputs, weights, sum); }
    static Floats floats(Sum sum) { return sum; }
};

// sums[m][v] = Σ of `groups` groups of inputs of M rows, by N vectors of outputs that follow each other.
template <class Step, int M, int N>
inline void tile(const typename Step::Stored* rows, size_t row_stride, const typename Step::Weight* weights,
                 size_t weight_stride, int groups, typename Step::Sum (&sums)[M][N]) {
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m)
#pragma GCC unroll 8
        for (int n = 0; n < N; ++n) sums[m][n] = Step::zero();
    for (int k = 0; k < groups; ++k, weights += weight_stride, rows += Step::GROUP) {
        typename Step::Weights by[N];
#pragma GCC unroll 8
        for (int n = 0; n < N; ++n) by[n] = Step::weights(weights + n * LANES * Step::GROUP);
#pragma GCC unroll 8
        for (int m = 0; m < M; ++m) {
            typename Step::Inputs inputs = Step::input(rows + m * row_stride);
#pragma GCC unroll 8
            for (int n = 0; n < N; ++n) sums[m][n] = Step::step(sums[m][n], inputs, by[n]);
        }
    }
}

// Calls `function` with the number of rows of each tile as a constant: TILE_ROWS, and in the end what is left.
template <class Function>
inline void in_tiles(int rows, Function function) {
    int row = 0;
    for (; row <= rows - TILE_ROWS; row += TILE_ROWS) function(row, Constant<TILE_ROWS>{});
    switch (rows - row) {
        case 1: function(row, Constant<1>{}); break;
        case 2: function(row, Constant<2>{}); break;
        case 3: function(row, Constant<3>{}); break;
        case 4: function(row, Constant<(TILE_ROWS > 4 ? 4 : 1)>{}); break;
        case 5: function(row, Constant<(TILE_ROWS > 5 ? 5 : 1)>{}); break;
        default: break;
    }
}

struct Output {
    float* rows;
    size_t stride;
    const float* residual;  // of the same stride, added; or nullptr. It may be `rows` itself
    Activation activation;
};

// One block of inputs of all rows, by one panel of outputs; the sums of earlier blocks stand in `out` already.
template <class Step>
inline void panel_block(const Product& product, const Operand& operand, int count, int block, int panel, const Output& out) {
    using Stored = typename Step::Stored;
    using Weight = typename Step::Weight;
    const int groups = product.block_width / Step::GROUP;
    const int first = panel * PANEL;
    const int width = product.outputs - first < PANEL ? product.outputs - first : PANEL;
    const bool is_first = block == 0, is_last = block + 1 == product.blocks;
    const Stored* inputs = static_cast<const Stored*>(operand.rows) + size_t(block) * product.block_width;
    const Weight* weights = static_cast<const Weight*>(product.weights) +
                            (size_t(panel) * product.blocks + block) * product.block_width * PANEL;
    in_tiles(count, [&](int row, auto rows_here) {
        constexpr int M = decltype(rows_here)::value;
        typename Step::Sum sums[M][TILE_VECTORS];
        tile<Step, M, TILE_VECTORS>(inputs + row * operand.stride, operand.stride, weights, PANEL * Step::GROUP, groups, sums);
#pragma GCC unroll 8
        for (int m = 0; m < M; ++m) {
            float* to = out.rows + (row + m) * out.stride + first;
            const float* residual = out.residual ? out.residual + (row + m) * out.stride + first : nullptr;
#pragma GCC unroll 8
            for (int n = 0; n < TILE_VECTORS; ++n) {
                const int at = n * LANES, here = width - at;
                if (here <= 0) break;
                Floats value = Step::floats(sums[m][n]);
                if constexpr (Step::GROUP == 4) {
                    const size_t column = size_t(first) + at;
                    const size_t padded = size_t(panels_of(product.outputs)) * PANEL;
                    value = subtract(value, load(product.weight_sums + block * padded + column));
                    Floats scale = multiply(broadcast(operand.scales[size_t(row + m) * product.blocks + block]),
                                            load(product.weight_scales + column));
                    value = multiply(value, scale);
                }
                if (here >= LANES) {
                    if (!is_first) value = add(value, load(to + at));
                    if (is_first && residual) value = add(value, load(residual + at));
                    if (is_last) value = add(value, load(product.bias + first + at));
                    store(to + at, value);
                } else {
                    if (!is_first) value = add(value, load_part(to + at, here));
                    if (is_first && residual) value = add(value, load_part(residual + at, here));
                    if (is_last) value = add(value, load(product.bias + first + at));
                    store_part(to + at, value, here);
                }
            }
        }
        if (is_last && out.activation != NONE)
            for (int m = 0; m < M; ++m) activate(out.activation, out.rows + (row + m) * out.stride + first, width);
    });
}

template <class Step>
inline void multiply_by(const Product& product, const Operand& operand, int count, const Output& out) {
    for (int block = 0; block < product.blocks; ++block)
        for (int panel = 0; panel < panels_of(product.outputs); ++panel)
            panel_block<Step>(product, operand, count, block, panel, out);
}

inline void multiply_rows(const Product& product, const Operand& operand, int count, const Output& out) {
    if (product.dtype == INT8) return multiply_by<Int8Step>(product, operand, count, out);
    if (product.dtype == BFLOAT16) return multiply_by<BFloat16Step>(product, operand, count, out);
    multiply_by<Float32Step>(product, operand, count, out);
}

// Bytes of what `count` rows become before a product of this kind.
inline size_t operand_bytes(const Product& product, int count) {
    const size_t stride = size_t(product.blocks) * product.block_width + LANES;
    return count * (stride * bytes_of(product.dtype) + product.blocks * sizeof(float)) + 64;
}

// Float32 rows as a product takes them: scaled, rounded, filled up. `space` holds `operand_bytes`.
inline Operand operand_of(const Product& product, const float* rows, int count, void* space) {
    const int inputs = product.inputs;
    const bool is_whole = product.blocks * product.block_width == inputs;
    if (product.dtype == FLOAT32 && is_whole) return {rows, size_t(inputs), nullptr};
    const size_t stride = (size_t(product.blocks) * product.block_width + LANES - 1) / LANES * LANES;
    float* scales = static_cast<float*>(space);
    void* stored = scales + (size_t(count) * product.blocks + 15) / 16 * 16;
    for (int row = 0; row < count; ++row) {
        const float* from = rows + size_t(row) * inputs;
        auto scaled = [&](int i, int n) {
            Floats value = n == LANES ? load(from + i) : load_part(from + i, n);
            if (product.dtype != INT8) return value;
            return multiply(value, n == LANES ? load(product.input_scales + i) : load_part(product.input_scales + i, n));
        };
        for (int block = 0; block < product.blocks; ++block) {
            const int first = block * product.block_width;
            const int last = first + product.block_width < inputs ? first + product.block_width : inputs;
            Floats scale = zeros();
            if (product.dtype == INT8) {
                Floats most = zeros();
                for (int i = first; i < last; i += LANES) most = larger(most, magnitude(scaled(i, last - i < LANES ? last - i : LANES)));
                const float found = largest(most);
                scales[size_t(row) * product.blocks + block] = found / 127.0f;
                scale = broadcast(found > 0 ? 127.0f / found : 0.0f);
            }
            for (int i = first; i < first + product.block_width; i += LANES) {
                const int n = last - i < 0 ? 0 : last - i < LANES ? last - i : LANES;
                Floats value = scaled(i, n);
                const size_t at = row * stride + i;
                if (product.dtype == INT8) {
                    store_bytes(static_cast<uint8_t*>(stored) + at, to_whole(multiply(value, scale)));
                } else if (product.dtype == BFLOAT16) {
                    store_bfloat16(static_cast<uint16_t*>(stored) + at, value);
                } else {
                    store(static_cast<float*>(stored) + at, value);
                }
            }
        }
    }
    return {stored, stride, scales};
}

inline uint16_t nearest_bfloat16(float value) {
    uint16_t lanes[LANES];
    store_bfloat16(lanes, broadcast(value));
    return lanes[0];
}

inline void pack(Product& product, const float* weight) {
    const int padded = panels_of(product.outputs) * PANEL;
    const int group = product.dtype == FLOAT32 ? 1 : product.dtype == BFLOAT16 ? 2 : 4;
    auto value_of = [&](int output, int input) {
        if (output >= product.outputs || input >= product.inputs) return 0.0f;
        const float value = weight[size_t(output) * product.inputs + input];
        return product.dtype == INT8 ? value / product.input_scales[input] : value;
    };
    for (int output = 0; output < padded && product.dtype == INT8; ++output) {
        float most = 0;
        for (int input = 0; input < product.inputs; ++input) {
            const float value = value_of(output, input);
            most = value > most ? value : -value > most ? -value : most;
        }
        product.weight_scales[output] = most / MOST_WEIGHT;
        for (int block = 0; block < product.blocks; ++block) product.weight_sums[size_t(block) * padded + output] = 0;
    }
    size_t at = 0;
    for (int panel = 0; panel < padded / PANEL; ++panel)
        for (int block = 0; block < product.blocks; ++block)
            for (int k = 0; k < product.block_width; k += group)
                for (int n = 0; n < PANEL; ++n)
                    for (int j = 0; j < group; ++j, ++at) {
                        const int output = panel * PANEL + n, input = block * product.block_width + k + j;
                        const float value = k + j < product.block_width ? value_of(output, input) : 0.0f;
                        if (product.dtype == FLOAT32) {
                            static_cast<float*>(product.weights)[at] = value;
                        } else if (product.dtype == BFLOAT16) {
                            static_cast<uint16_t*>(product.weights)[at] = nearest_bfloat16(value);
                        } else {
                            const float scale = product.weight_scales[output];
                            float whole = scale > 0 ? __builtin_nearbyintf(value / scale) : 0.0f;
                            // Else of weights that are infinite, no numbers, or so small that their scale is inexact.
                            if (!(__builtin_fabsf(whole) <= MOST_WEIGHT)) whole = value < 0 ? -MOST_WEIGHT : MOST_WEIGHT;
                            static_cast<int8_t*>(product.weights)[at] = static_cast<int8_t>(whole);
                            product.weight_sums[size_t(block) * padded + output] += 128.0f * whole;
                        }
                    }
}
