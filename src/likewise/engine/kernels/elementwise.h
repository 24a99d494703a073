// What is done to each number, or to each token's vector, by itself.
#pragma once

// `function(vectors…)` of each place in `count` numbers, the last ones with a part of a vector.
template <class Whole, class Part>
inline void over(int count, Whole whole, Part part) {
    int i = 0;
    for (; i + LANES <= count; i += LANES) whole(i);
    if (i < count) part(i, count - i);
}

// e^a; below -87 what is smaller than any sum of probabilities can tell from nothing.
inline Floats exponential(Floats a) {
    a = smaller(larger(a, broadcast(-87.0f)), broadcast(88.0f));
    Floats whole = to_whole(multiply(a, broadcast(1.44269504f)));
    Floats rest = multiply_add(whole, broadcast(-0.693359375f), a);  // ln 2 in two parts, the first one exact
    rest = multiply_add(whole, broadcast(2.12194440e-4f), rest);
    Floats result = broadcast(1.9875691500e-4f);  // Cephes' polynomial for expf
    result = multiply_add(result, rest, broadcast(1.3981999507e-3f));
    result = multiply_add(result, rest, broadcast(8.3334519073e-3f));
    result = multiply_add(result, rest, broadcast(4.1665795894e-2f));
    result = multiply_add(result, rest, broadcast(1.6666665459e-1f));
    result = multiply_add(result, rest, broadcast(5.0000001201e-1f));
    result = multiply_add(result, multiply(rest, rest), add(rest, broadcast(1.0f)));
    return multiply(result, power_of_two(whole));
}

// The error function as a ratio of two polynomials in a², within 4e-7: the one that Eigen and XNNPACK use.
inline Floats error_function(Floats a) {
    a = smaller(larger(a, broadcast(-4.0f)), broadcast(4.0f));
    Floats square = multiply(a, a);
    Floats above = broadcast(-2.72614225801306e-10f);
    above = multiply_add(above, square, broadcast(2.77068142495902e-08f));
    above = multiply_add(above, square, broadcast(-2.10102402082508e-06f));
    above = multiply_add(above, square, broadcast(-5.69250639462346e-05f));
    above = multiply_add(above, square, broadcast(-7.34990630326855e-04f));
    above = multiply_add(above, square, broadcast(-2.95459980854025e-03f));
    above = multiply_add(above, square, broadcast(-1.60960333262415e-02f));
    Floats below = broadcast(-1.45660718464996e-05f);
    below = multiply_add(below, square, broadcast(-2.13374055278905e-04f));
    below = multiply_add(below, square, broadcast(-1.68282697438203e-03f));
    below = multiply_add(below, square, broadcast(-7.37332916720468e-03f));
    below = multiply_add(below, square, broadcast(-1.42647390514189e-02f));
    return divide(multiply(a, above), below);
}

inline Floats logistic(Floats a) {
    return divide(broadcast(1.0f), add(broadcast(1.0f), exponential(subtract(zeros(), a))));
}

inline Floats gelu(Floats a) {
    Floats half = multiply(a, broadcast(0.5f));
    return multiply_add(half, error_function(multiply(a, broadcast(0.707106781f))), half);
}

// 0.5 a (1 + tanh u) = a logistic(2 u)
inline Floats tanh_gelu(Floats a) {
    Floats cube = multiply(multiply(a, a), multiply(a, broadcast(0.044715f)));
    return multiply(a, logistic(multiply(add(a, cube), broadcast(2 * 0.797884561f))));
}

template <class Function>
inline void replace(float* values, int count, Function function) {
    over(count, [&](int i) { store(values + i, function(load(values + i))); },
         [&](int i, int n) { store_part(values + i, function(load_part(values + i, n)), n); });
}

__attribute__((noinline)) static void activate(Activation activation, float* values, int count) {
    switch (activation) {
        case GELU: return replace(values, count, [](Floats a) { return gelu(a); });
        case TANH_GELU: return replace(values, count, [](Floats a) { return tanh_gelu(a); });
        case RELU: return replace(values, count, [](Floats a) { return larger(a, zeros()); });
        case SILU: return replace(values, count, [](Floats a) { return multiply(a, logistic(a)); });
        case LOGISTIC: return replace(values, count, [](Floats a) { return logistic(a); });
        case NONE: return;
    }
}

// One token's vector of `width` numbers, normalised (Ba et al. 2016).
inline void normalize(const float* from, int width, Norm norm, float epsilon, float* to) {
    Floats total = zeros();
    over(width, [&](int i) { total = add(total, load(from + i)); },
         [&](int i, int count) { total = add(total, load_part(from + i, count)); });
    Floats mean = broadcast(sum(total) / static_cast<float>(width));
    Floats squares = zeros();
    over(width,
         [&](int i) {
             Floats apart = subtract(load(from + i), mean);
             squares = multiply_add(apart, apart, squares);
         },
         [&](int i, int count) {
             float rest[LANES];
             store(rest, subtract(load_part(from + i, count), mean));
             Floats apart = load_part(rest, count);
             squares = multiply_add(apart, apart, squares);
         });
    float variance = sum(squares) / static_cast<float>(width);
    Floats scale = broadcast(1.0f / __builtin_sqrtf(variance + epsilon));
    auto normalized = [&](Floats value, Floats weight, Floats bias) {
        return multiply_add(multiply(subtract(value, mean), scale), weight, bias);
    };
    over(width,
         [&](int i) {
             Floats bias = norm.bias ? load(norm.bias + i) : zeros();
             store(to + i, normalized(load(from + i), load(norm.weight + i), bias));
         },
         [&](int i, int count) {
             Floats bias = norm.bias ? load_part(norm.bias + i, count) : zeros();
             store_part(to + i, normalized(load_part(from + i, count), load_part(norm.weight + i, count), bias), count);
         });
}

inline void normalize_rows(const float* from, int rows, int width, Norm norm, float epsilon, float* to) {
    for (int row = 0; row < rows; ++row) normalize(from + size_t(row) * width, width, norm, epsilon, to + size_t(row) * width);
}

// inner = activation(inner) gate, of rows that hold both halves side by side; packed into rows half as wide.
inline void gate(float* rows, int count, int width, Activation activation) {
    for (int row = 0; row < count; ++row) {
        float* inner = rows + size_t(row) * 2 * width;
        const float* by = inner + width;
        float* to = rows + size_t(row) * width;
        activate(activation, inner, width);
        over(width, [&](int i) { store(to + i, multiply(load(inner + i), load(by + i))); },
             [&](int i, int n) { store_part(to + i, multiply(load_part(inner + i, n), load_part(by + i, n)), n); });
    }
}
