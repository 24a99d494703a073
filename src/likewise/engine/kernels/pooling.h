// From one vector per token to one per text (Reimers & Gurevych 2019, section 3).
#pragma once

// One text's vectors (length, hidden) → (hidden); the first `skipped` tokens do not count.
inline void pool(Pooling mode, const float* rows, int length, int skipped, int hidden, float* to) {
    for (int i = 0; i < hidden; ++i) to[i] = 0.0f;
    if (length == 0) return;
    if (mode == CLS || mode == LAST_TOKEN) {
        const int token = mode == LAST_TOKEN || skipped >= length ? length - 1 : skipped;
        __builtin_memcpy(to, rows + size_t(token) * hidden, sizeof(float) * hidden);
        return;
    }
    float weights = 0;
    for (int token = skipped; token < length; ++token) {
        const float* row = rows + size_t(token) * hidden;
        const float weight = mode == WEIGHTED_MEAN ? static_cast<float>(token + 1) : 1.0f;
        weights += weight;
        if (mode == MAX) {
            for (int i = 0; i < hidden; ++i) to[i] = token == skipped || row[i] > to[i] ? row[i] : to[i];
        } else {
            for (int i = 0; i < hidden; ++i) to[i] += weight * row[i];
        }
    }
    if (mode == MAX) return;
    const float by = mode == MEAN_SQRT_LENGTH ? __builtin_sqrtf(weights) : weights;
    for (int i = 0; i < hidden; ++i) to[i] /= by;
}
