// A group of texts through the embeddings and all layers.
#pragma once

constexpr int GROUP_TOKENS = 96;  // of whole texts, so that what they become stays in the cache; a longer text is a group

struct Space {  // of a group: rows of each token
    float *hidden, *normalized, *qkv, *mixed, *inner;
    float* attention;
    void* operand;
};

inline int widest_inner(const Settings& s) { return s.is_gated ? 2 * s.intermediate : s.intermediate; }

inline size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

inline size_t operand_space(const Encoder& encoder, int tokens) {
    size_t most = encoder.project.outputs ? operand_bytes(encoder.project, tokens) : 0;
    for (int i = 0; i < encoder.settings.layers; ++i) {
        const Layer& layer = encoder.layers[i];
        for (const Product* product : {&layer.qkv, &layer.attention_out, &layer.expand, &layer.contract}) {
            const size_t bytes = operand_bytes(*product, tokens);
            most = bytes > most ? bytes : most;
        }
    }
    return most;
}

// Where each part lies within memory for groups of `tokens`, in texts of up to `longest`; how much that is.
inline size_t lay_out(const Encoder& encoder, int tokens, int longest, char* memory, Space& space) {
    const Settings& s = encoder.settings;
    size_t used = 0;
    auto floats = [&](size_t count) {
        float* here = memory ? reinterpret_cast<float*>(memory + used) : nullptr;
        used += aligned(count * sizeof(float));
        return here;
    };
    const size_t rows = tokens, widest = s.hidden > s.embedding_width ? s.hidden : s.embedding_width;
    space.hidden = floats(rows * widest);
    space.normalized = floats(rows * widest);
    space.qkv = floats(rows * 3 * s.hidden);
    space.mixed = floats(rows * s.hidden);
    space.inner = floats(rows * widest_inner(s));
    space.attention = floats(attention_floats(longest, s.hidden / s.heads));
    space.operand = memory ? memory + used : nullptr;
    return used + aligned(operand_space(encoder, tokens));
}

inline void observe(const Observed& observed, int place, const float* rows, int count, int width) {
    if (!observed.largest) return;
    float* largest = observed.largest + size_t(place) * observed.widest;
    for (int row = 0; row < count; ++row)
        for (int i = 0; i < width; ++i) {
            const float value = __builtin_fabsf(rows[size_t(row) * width + i]);
            if (value > largest[i]) largest[i] = value;
        }
}

// A token's vector: its word, its place and its segment, added and normalised; projected where it is narrower.
inline void embed(const Encoder& encoder, const Batch& batch, int first_text, int last_text, const Space& space) {
    const Settings& s = encoder.settings;
    const int start = batch.offsets[first_text], count = batch.offsets[last_text] - start, width = s.embedding_width;
    for (int text = first_text; text < last_text; ++text) {
        int real = 0;
        for (int at = batch.offsets[text]; at < batch.offsets[text + 1]; ++at) {
            const int id = batch.ids[at];
            int position = at - batch.offsets[text];
            if (s.first_position) {  // RoBERTa counts the tokens that are no padding, which a text may spell out
                real += id != s.padding_id;
                position = id == s.padding_id ? s.padding_id : s.padding_id + real;
            }
            float* to = space.normalized + size_t(at - start) * width;
            const float* word = encoder.tokens + size_t(id) * width;
            const float* place = s.positions ? encoder.position_table + size_t(position) * width : nullptr;
            const float* segment =
                s.segment_types ? encoder.segments + size_t(batch.segments ? batch.segments[at] : 0) * width : nullptr;
            for (int i = 0; i < width; ++i) {
                float value = word[i];
                if (place) value += place[i];
                if (segment) value += segment[i];
                to[i] = value;
            }
        }
    }
    if (!encoder.project.outputs) {
        normalize_rows(space.normalized, count, width, encoder.embedding_norm, s.norm_epsilon, space.hidden);
        return;
    }
    normalize_rows(space.normalized, count, width, encoder.embedding_norm, s.norm_epsilon, space.normalized);
    const Operand operand = operand_of(encoder.project, space.normalized, count, space.operand);
    multiply_rows(encoder.project, operand, count, {space.hidden, size_t(s.hidden), nullptr, NONE});
}

// The rows of `one` token of each text alone: (texts, width).
inline void take_rows(const float* from, const int* rows, int count, int width, float* to) {
    for (int i = 0; i < count; ++i)
        __builtin_memcpy(to + size_t(i) * width, from + size_t(rows[i]) * width, sizeof(float) * width);
}

// One layer: attention, then feed-forward, each added to what went in, with a norm before or after.
//
// `only` names one token of each text; then `space.hidden` becomes (texts, hidden), of these tokens.
inline void through_layer(const Encoder& encoder, int index, const Batch& batch, int first_text, int last_text,
                          const int* only, Space& space, const Observed& observed) {
    const Settings& s = encoder.settings;
    const Layer& layer = encoder.layers[index];
    const int start = batch.offsets[first_text], hidden = s.hidden, head_width = hidden / s.heads;
    int count = batch.offsets[last_text] - start;
    auto multiply_by = [&](const Product& product, int which, const float* rows, float* to, const float* residual,
                           Activation activation) {
        observe(observed, 4 * index + which, rows, count, product.inputs);
        const Operand operand = operand_of(product, rows, count, space.operand);
        multiply_rows(product, operand, count, {to, size_t(product.outputs), residual, activation});
    };
    auto normalized = [&](Norm norm, float* rows) {
        if (!norm.weight) return rows;
        normalize_rows(rows, count, hidden, norm, s.norm_epsilon, space.normalized);
        return space.normalized;
    };
    auto normalize_in_place = [&](Norm norm) {
        if (norm.weight) normalize_rows(space.hidden, count, hidden, norm, s.norm_epsilon, space.hidden);
    };

    multiply_by(layer.qkv, 0, normalized(layer.before_attention, space.hidden), space.qkv, nullptr, NONE);
    const AttentionShape shape{s.heads, head_width, layer.window, encoder.distance_bias, s.longest};
    for (int text = first_text; text < last_text; ++text) {
        const int from = batch.offsets[text] - start, length = batch.offsets[text + 1] - batch.offsets[text];
        if (!length) continue;
        float* qkv = space.qkv + size_t(from) * 3 * hidden;
        for (int i = 0; i < length && layer.rotary_cosines; ++i) {
            const size_t place = size_t(i) * (s.rotary_width / 2);
            rotate(qkv + size_t(i) * 3 * hidden, 2 * s.heads, head_width, s.rotary_width, layer.rotary_cosines + place,
                   layer.rotary_sines + place);
        }
        const int row = only ? text - first_text : from;
        attend(qkv, length, shape, only ? only[row] - from : 0, only ? 1 : length, space.mixed + size_t(row) * hidden,
               space.attention);
    }
    if (only) {
        count = last_text - first_text;
        take_rows(space.hidden, only, count, hidden, space.normalized);
        __builtin_memcpy(space.hidden, space.normalized, sizeof(float) * count * hidden);
    }
    multiply_by(layer.attention_out, 1, space.mixed, space.hidden, space.hidden, NONE);
    normalize_in_place(layer.after_attention);
    const Activation activation = s.is_gated ? NONE : s.activation;
    multiply_by(layer.expand, 2, normalized(layer.before_feed_forward, space.hidden), space.inner, nullptr, activation);
    if (s.is_gated) gate(space.inner, count, s.intermediate, s.activation);
    multiply_by(layer.contract, 3, space.inner, space.hidden, space.hidden, NONE);
    normalize_in_place(layer.after_feed_forward);
}
