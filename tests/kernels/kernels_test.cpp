// The kernels through their C interface, with tiny random encoders; tests/kernels/test_sanitizers.py builds and runs it.
//
// Every array that the kernels are given is a heap block of exactly its size, so that a sanitizer sees what lies beyond.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "interface.h"

using namespace likewise;

namespace {

using Floats = std::vector<float>;
using Ints = std::vector<int32_t>;

const Ints EVERY_POOLING = {CLS, MAX, MEAN, MEAN_SQRT_LENGTH, WEIGHTED_MEAN, LAST_TOKEN};
const char* const DTYPES[] = {"float32", "bfloat16", "int8"};
constexpr int THREADS = 8;

char error[LIKEWISE_ERROR_SIZE];

void expect(bool holds, const std::string& what) {
    if (holds) return;
    std::fprintf(stderr, "failed: %s (last error: %s)\n", what.c_str(), error);
    std::exit(1);
}

void refused(const std::string& what, int failed) {
    expect(failed == 1 && std::strlen(error) > 10, "refused: " + what);
    std::memset(error, 0, sizeof error);
}

std::vector<std::string> instruction_sets() {
    std::istringstream names(likewise_instruction_sets());
    std::vector<std::string> found;
    for (std::string name; names >> name;) found.push_back(name);
    return found;
}

float drawn(std::mt19937& random, float most) { return (static_cast<float>(random() % 20001) / 10000.0f - 1.0f) * most; }

Floats drawn_floats(std::mt19937& random, size_t count, float most, float around = 0) {
    Floats values(count);
    for (float& value : values) value = around + drawn(random, most);
    return values;
}

// ---- Encoders

struct Kind {
    std::string name;
    Settings settings;
    bool norms_before = false;  // and one at the end, and no biases
    int32_t window = -1;        // of the last layer
    bool has_distance_bias = false;
    bool has_input_scales = false;
};

Settings sizes(int32_t hidden, int32_t heads, int32_t intermediate, int32_t longest, Activation activation) {
    Settings s{};
    s.vocabulary = 50;
    s.embedding_width = s.hidden = hidden;
    s.layers = 2;
    s.heads = heads;
    s.intermediate = intermediate;
    s.longest = longest;
    s.activation = activation;
    s.norm_epsilon = 1e-5f;
    return s;
}

std::vector<Kind> kinds() {
    Settings bert = sizes(36, 4, 43, 140, GELU);
    bert.positions = 140;
    bert.segment_types = 2;
    Settings roberta = sizes(20, 2, 33, 99, RELU);
    roberta.first_position = 2;
    roberta.padding_id = 1;
    roberta.positions = 101;
    Settings narrow = sizes(36, 3, 40, 20, TANH_GELU);
    narrow.embedding_width = 7;
    Settings gated = sizes(36, 3, 21, 140, SILU);
    gated.is_gated = 1;
    gated.rotary_width = 10;
    Settings whole = sizes(32, 2, 32, 64, LOGISTIC);
    whole.is_gated = 1;
    whole.rotary_width = 16;
    Settings wide = sizes(516, 6, 9, 3, GELU);  // inputs of several blocks, which fill no whole vectors
    wide.layers = 1;
    Settings least = sizes(1, 1, 1, 5, NONE);
    Settings shallow = sizes(12, 3, 5, 30, GELU);
    shallow.layers = 0;
    return {{"bert", bert, false, -1, false, true},
            {"roberta", roberta, false, -1, true, false},
            {"narrow", narrow, false, 0, false, true},
            {"gated", gated, true, 5, false, true},
            {"whole", whole, true, 40, true, false},
            {"wide", wide, false, -1, false, true},
            {"least", least, true, -1, false, false},
            {"shallow", shallow, true, -1, false, false}};
}

struct Filled {
    Kind kind;
    Handle* handle;
    std::vector<Floats> kept;  // what the kernels read where it is

    Filled(const Kind& of, const std::string& instructions)
        : kind(of), handle(likewise_new(&of.settings, instructions.c_str(), error)) {
        expect(handle != nullptr, "a new encoder " + of.name);
    }
    Filled(const Filled&) = delete;
    ~Filled() { likewise_delete(handle); }

    void set_array(int32_t part, int32_t layer, Floats values) {
        kept.push_back(std::move(values));
        const int failed = likewise_set_array(handle, part, layer, kept.back().data(), kept.back().size(), error);
        expect(!failed, kind.name + ": array " + std::to_string(part));
    }
};

// Products are packed: what they were made of is gone when this returns.
void set_product(const Filled& to, std::mt19937& random, int32_t part, int32_t layer, int32_t dtype, int32_t outputs,
                 int32_t inputs) {
    const Floats weight = drawn_floats(random, size_t(outputs) * inputs, 2.0f / std::sqrt(static_cast<float>(inputs)));
    const Floats bias = drawn_floats(random, outputs, 0.1f);
    const Floats scales = drawn_floats(random, inputs, 0.4f, 1.0f);
    const int failed = likewise_set_product(to.handle, part, layer, dtype, weight.data(), to.kind.norms_before ? nullptr : bias.data(),
                                            to.kind.has_input_scales && dtype == INT8 ? scales.data() : nullptr, outputs,
                                            inputs, error);
    expect(!failed, to.kind.name + ": product " + std::to_string(part));
}

void set_norm(Filled& to, std::mt19937& random, int32_t weight, int32_t layer, int32_t width) {
    to.set_array(weight, layer, drawn_floats(random, width, 0.3f, 1.0f));
    if (!to.kind.norms_before) to.set_array(weight + 1, layer, drawn_floats(random, width, 0.1f));
}

void fill(Filled& to, int32_t dtype) {
    std::mt19937 random(7);
    const Settings& s = to.kind.settings;
    to.set_array(TOKEN_TABLE, -1, drawn_floats(random, size_t(s.vocabulary) * s.embedding_width, 1.0f));
    if (s.positions) to.set_array(POSITION_TABLE, -1, drawn_floats(random, size_t(s.positions) * s.embedding_width, 0.5f));
    if (s.segment_types) to.set_array(SEGMENT_TABLE, -1, drawn_floats(random, size_t(s.segment_types) * s.embedding_width, 0.5f));
    if (to.kind.has_distance_bias) to.set_array(DISTANCE_BIAS, -1, drawn_floats(random, size_t(s.heads) * (2 * s.longest - 1), 1.0f));
    set_norm(to, random, EMBEDDING_NORM_WEIGHT, -1, s.embedding_width);
    if (to.kind.norms_before) set_norm(to, random, LAST_NORM_WEIGHT, -1, s.hidden);
    if (s.embedding_width != s.hidden) set_product(to, random, PROJECT, -1, FLOAT32, s.hidden, s.embedding_width);
    for (int32_t layer = 0; layer < s.layers; ++layer) {
        set_product(to, random, QKV, layer, dtype, 3 * s.hidden, s.hidden);
        set_product(to, random, ATTENTION_OUT, layer, dtype, s.hidden, s.hidden);
        set_product(to, random, EXPAND, layer, dtype, (s.is_gated ? 2 : 1) * s.intermediate, s.hidden);
        set_product(to, random, CONTRACT, layer, dtype, s.hidden, s.intermediate);
        set_norm(to, random, to.kind.norms_before ? BEFORE_ATTENTION_WEIGHT : AFTER_ATTENTION_WEIGHT, layer, s.hidden);
        set_norm(to, random, to.kind.norms_before ? BEFORE_FEED_FORWARD_WEIGHT : AFTER_FEED_FORWARD_WEIGHT, layer, s.hidden);
        if (s.rotary_width) {
            Floats cosines, sines;
            for (int32_t place = 0; place < s.longest; ++place)
                for (int32_t i = 0; i < s.rotary_width / 2; ++i) {
                    const float angle = static_cast<float>(place) / static_cast<float>(i + 1);
                    cosines.push_back(std::cos(angle));
                    sines.push_back(std::sin(angle));
                }
            to.set_array(ROTARY_COSINES, layer, Floats(cosines.begin(), cosines.end()));  // without room to grow
            to.set_array(ROTARY_SINES, layer, Floats(sines.begin(), sines.end()));
        }
    }
    if (to.kind.window >= 0) expect(!likewise_set_window(to.handle, to.kind.settings.layers - 1, to.kind.window, error), "a window");
}

// ---- Texts

struct Texts {
    Ints ids, offsets, skipped, segments;
    int32_t count() const { return static_cast<int32_t>(offsets.size()) - 1; }
};

Texts texts_of(const Settings& s, const Ints& lengths) {
    std::mt19937 random(11);
    Texts made;
    made.offsets.assign(lengths.size() + 1, 0);
    for (size_t i = 0; i < lengths.size(); ++i) made.offsets[i + 1] = made.offsets[i] + lengths[i];
    made.ids.resize(made.offsets.back());
    made.segments.resize(made.offsets.back());
    for (int32_t& id : made.ids) id = random() % s.vocabulary;
    for (int32_t& segment : made.segments) segment = s.segment_types ? random() % s.segment_types : 0;
    for (int32_t length : lengths) made.skipped.push_back(length ? random() % length : 0);
    made.skipped = Ints(made.skipped.begin(), made.skipped.end());
    return made;
}

Texts alone(const Texts& from, int32_t text) {
    const int32_t first = from.offsets[text], end = from.offsets[text + 1];
    return {Ints(from.ids.begin() + first, from.ids.begin() + end), Ints{0, end - first}, Ints{from.skipped[text]},
            Ints(from.segments.begin() + first, from.segments.begin() + end)};
}

// Every length near the sizes of tiles, vectors and groups; and hundreds of short texts in any order.
Ints lengths_of(const Settings& s) {
    Ints lengths;
    for (int32_t length : {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 96, 97, s.longest})
        if (length <= s.longest) lengths.push_back(length);
    std::mt19937 random(5);
    const int32_t most = s.longest < 12 ? s.longest : 12;
    for (int i = s.hidden > 100 ? 196 : 0; i < 200; ++i) lengths.push_back(random() % (most + 1));
    return lengths;
}

struct Given {  // what may be left out
    bool skipped = true, segments = true;
    Floats* largest = nullptr;
};

Floats encoded(const Filled& encoder, const Texts& texts, const Ints& modes, const Given& given) {
    const int64_t rows = modes[0] == TOKENS ? texts.ids.size() : texts.count() * modes.size();
    Floats out(rows * encoder.kind.settings.hidden);
    char problem[LIKEWISE_ERROR_SIZE] = "";  // of this call: others may run at once
    const int failed = likewise_encode(
        encoder.handle, texts.ids.data(), texts.ids.size(), texts.offsets.data(), texts.count(),
        given.skipped ? texts.skipped.data() : nullptr, given.segments ? texts.segments.data() : nullptr, modes.data(),
        static_cast<int32_t>(modes.size()), out.data(), out.size(), given.largest ? given.largest->data() : nullptr,
        given.largest ? given.largest->size() : 0, problem);
    expect(!failed, encoder.kind.name + ": " + problem);
    return out;
}

bool are_finite(const Floats& values) {
    for (float value : values)
        if (!std::isfinite(value)) return false;
    return true;
}

bool are_same(const float* one, const float* other, size_t count) { return !count || !std::memcmp(one, other, count * sizeof(float)); }

// ---- What must hold

void check_batches(const Filled& encoder, const std::string& where) {
    const Settings& s = encoder.kind.settings;
    const Texts texts = texts_of(s, lengths_of(s));
    for (const Given given : {Given{true, true}, Given{false, false}}) {
        std::map<Ints, Floats> found;
        for (const Ints& modes : {EVERY_POOLING, Ints{TOKENS}}) {
            found[modes] = encoded(encoder, texts, modes, given);
            expect(are_finite(found[modes]), where + ": finite numbers");
        }
        for (int32_t text = 0; text < texts.count(); text += text < 25 ? 1 : 17) {
            const Texts single = alone(texts, text);
            for (const auto& [modes, among] : found) {
                const Floats same = encoded(encoder, single, modes, given);
                const size_t first = modes[0] == TOKENS ? texts.offsets[text] : text * modes.size();
                expect(are_same(same.data(), &among[first * s.hidden], same.size()), where + ": a text alone is what it is among others");
            }
        }
    }
    // Where no text is empty and one token of each is read, the kernels take a shorter way.
    Ints lengths;
    for (int32_t length : lengths_of(s))
        if (length) lengths.push_back(length);
    const Texts filled = texts_of(s, lengths);
    const Floats tokens = encoded(encoder, filled, {TOKENS}, Given{});
    for (int32_t mode : {CLS, LAST_TOKEN}) {
        const Floats ones = encoded(encoder, filled, {mode}, Given{});
        for (int32_t text = 0; text < filled.count(); ++text) {
            const int32_t token = mode == CLS ? filled.offsets[text] + filled.skipped[text] : filled.offsets[text + 1] - 1;
            expect(are_same(&ones[size_t(text) * s.hidden], &tokens[size_t(token) * s.hidden], s.hidden), where + ": one token is read");
        }
    }
}

void check_observed(const Filled& encoder, const std::string& where) {
    const Settings& s = encoder.kind.settings;
    const int32_t widest = s.hidden > s.intermediate ? s.hidden : s.intermediate;
    const Texts texts = texts_of(s, {3, 0, s.longest});
    Floats largest(size_t(s.layers) * 4 * widest);
    const Floats watched = encoded(encoder, texts, {MEAN}, {true, true, &largest});
    expect(watched == encoded(encoder, texts, {MEAN}, Given{}), where + ": watching changes nothing");
    for (int32_t i = 0; i < s.layers * 4; ++i) {
        const int32_t inputs = i % 4 == 3 ? s.intermediate : s.hidden;
        float most = 0;
        for (int32_t j = 0; j < inputs; ++j) most = std::fmax(most, largest[size_t(i) * widest + j]);
        expect(std::isfinite(most) && (most > 0 || s.activation == RELU || s.hidden == 1), where + ": what a product is given is seen");
        for (int32_t j = inputs; j < widest; ++j) expect(largest[size_t(i) * widest + j] == 0, where + ": no more than that");
    }
    const Floats before = largest;
    encoded(encoder, alone(texts, 0), {MEAN}, {true, true, &largest});
    expect(largest == before, where + ": the largest stay");
}

void check_nothing_to_do(const Filled& encoder, const std::string& where) {
    const int32_t offsets[] = {0, 0, 0, 0};
    const int32_t modes[] = {MEAN}, tokens[] = {TOKENS};
    const auto encode = [&](int32_t texts, const int32_t* mode, float* out, int64_t count) {
        return likewise_encode(encoder.handle, nullptr, 0, offsets, texts, nullptr, nullptr, mode, 1, out, count, nullptr, 0, error);
    };
    expect(!encode(0, modes, nullptr, 0), where + ": no texts");
    expect(!encode(0, tokens, nullptr, 0), where + ": no texts, no tokens");
    expect(!encode(3, tokens, nullptr, 0), where + ": texts without tokens");
    Floats zeros(3 * size_t(encoder.kind.settings.hidden), 1.0f);
    expect(!encode(3, modes, zeros.data(), zeros.size()), where + ": empty texts");
    expect(zeros == Floats(zeros.size(), 0.0f), where + ": empty texts are zeros");
}

// Products of heads: every size around vectors, panels and blocks, against sums in double.
void check_heads(const std::string& instructions) {
    const Filled encoder(kinds().back(), instructions);
    std::mt19937 random(3);
    for (int32_t dtype = FLOAT32; dtype <= INT8; ++dtype)
        for (const auto& [outputs, inputs] : std::vector<std::pair<int, int>>{
                 {1, 1}, {3, 2}, {7, 5}, {8, 16}, {17, 13}, {33, 64}, {65, 100}, {2, 511}, {5, 512}, {5, 513}, {9, 1003}}) {
            const Floats weight = drawn_floats(random, size_t(outputs) * inputs, 1.0f), bias = drawn_floats(random, outputs, 1.0f);
            const Floats scales = drawn_floats(random, inputs, 0.4f, 1.0f);
            for (int variant = 0; variant < 4; ++variant) {
                const bool has_bias = variant & 1, has_scales = variant & 2 && dtype == INT8;
                const int32_t head = variant;  // set again for each size: the earlier one is released
                expect(!likewise_set_product(encoder.handle, HEAD, head, dtype, weight.data(), has_bias ? bias.data() : nullptr,
                                             has_scales ? scales.data() : nullptr, outputs, inputs, error), "a head");
                for (int64_t count : {0, 1, 5, 6, 9}) {
                    const Floats rows = drawn_floats(random, count * inputs, 1.0f);
                    Floats out(count * outputs);
                    expect(!likewise_multiply(encoder.handle, head, rows.data(), count, out.data(), out.size(), error), "a product");
                    for (int64_t row = 0; row < count; ++row)
                        for (int o = 0; o < outputs; ++o) {
                            double sum = has_bias ? bias[o] : 0.0;
                            for (int i = 0; i < inputs; ++i) sum += double(rows[row * inputs + i]) * weight[size_t(o) * inputs + i];
                            const double apart = dtype == FLOAT32 ? 1e-5 : dtype == BFLOAT16 ? 1e-2 : 3e-2;
                            expect(std::fabs(out[row * outputs + o] - sum) < apart * std::sqrt(inputs) + 1e-6,
                                   instructions + ": " + DTYPES[dtype] + " product of " + std::to_string(inputs) + ", " + std::to_string(outputs));
                        }
                }
            }
        }
}

// A product as it is packed, in memory of its own of exactly its size, as a mapped file gives it.
struct Packed {
    int64_t bytes = 0;
    void* memory = nullptr;

    Packed(Handle* handle, int32_t part, int32_t layer) {
        const void* found = likewise_packed(handle, part, layer, &bytes);
        expect(found != nullptr && bytes % 64 == 0, "a packed product");
        expect(!posix_memalign(&memory, 64, bytes), "memory");
        std::memcpy(memory, found, bytes);
    }
    Packed(const Packed&) = delete;
    ~Packed() { std::free(memory); }
};

// An encoder of packed products computes the same bits as the one that packed them, which is gone.
void check_packed(const Kind& kind, const std::string& instructions, int32_t dtype) {
    const Settings& s = kind.settings;
    const Texts texts = texts_of(s, {1, s.longest, 0, s.longest / 2});
    const int32_t inner = s.is_gated ? 2 * s.intermediate : s.intermediate;
    const int32_t shapes[][3] = {{QKV, 3 * s.hidden, s.hidden}, {ATTENTION_OUT, s.hidden, s.hidden},
                                 {EXPAND, inner, s.hidden}, {CONTRACT, s.hidden, s.intermediate}};
    std::vector<std::unique_ptr<Packed>> packed;
    Filled mapped(kind, instructions);
    fill(mapped, FLOAT32);
    Floats expected;
    {
        Filled first(kind, instructions);
        fill(first, dtype);
        expected = encoded(first, texts, EVERY_POOLING, Given{});
        for (int32_t layer = 0; layer < s.layers; ++layer)
            for (const auto& shape : shapes) packed.push_back(std::make_unique<Packed>(first.handle, shape[0], layer));
    }
    size_t at = 0;
    for (int32_t layer = 0; layer < s.layers; ++layer)
        for (const auto& [part, outputs, inputs] : shapes) {
            const Packed& product = *packed[at++];
            auto set = [&](const void* memory, int64_t bytes, int32_t rows) {
                return likewise_set_packed(mapped.handle, part, layer, dtype, memory, bytes, rows, inputs, error);
            };
            refused("a packed product of another size", set(product.memory, product.bytes - 64, outputs));
            refused("a packed product of no size", set(product.memory, -1, outputs));
            refused("a packed product of another shape", set(product.memory, product.bytes, outputs + 1));
            refused("a packed product that lies askew", set(static_cast<char*>(product.memory) + 4, product.bytes, outputs));
            refused("no packed product", set(nullptr, product.bytes, outputs));
            expect(!set(product.memory, product.bytes, outputs), "a packed product");
        }
    expect(encoded(mapped, texts, EVERY_POOLING, Given{}) == expected, instructions + ", " + kind.name + ": the same bits, packed");
    int64_t bytes = 0;
    expect(!likewise_packed(nullptr, QKV, 0, &bytes) && !likewise_packed(mapped.handle, QKV, s.layers, &bytes) &&
               !likewise_packed(mapped.handle, HEAD, 3, &bytes) && !likewise_packed(mapped.handle, 5, 0, &bytes),
           "no packed product where there is none");
}

// Numbers that no model should have: the results mean nothing, but nothing may break.
void check_extremes(const std::string& instructions) {
    const Filled encoder(kinds().back(), instructions);
    const float extremes[] = {INFINITY, -INFINITY, NAN, 3e38f, -3e38f, 1e-38f, 2e-43f, 1e-45f, -0.0f, 0.0f, 1.0f};
    constexpr int32_t SIZE = 21;
    for (int32_t dtype = FLOAT32; dtype <= INT8; ++dtype)
        for (float extreme : extremes) {
            std::mt19937 random(13);
            for (float other : extremes) {
                Floats weight(SIZE * SIZE, other), rows = drawn_floats(random, 3 * SIZE, 1.0f), out(rows.size());
                weight[5] = rows[1] = extreme;
                for (int i = SIZE; i < 2 * SIZE; ++i) rows[i] = extreme;
                expect(!likewise_set_product(encoder.handle, HEAD, 0, dtype, weight.data(), nullptr, nullptr, SIZE, SIZE, error), "a head");
                expect(!likewise_multiply(encoder.handle, 0, rows.data(), 3, out.data(), out.size(), error), "a product");
            }
        }
}

// ---- What must be refused

void check_settings_refused() {
    const Settings fine = kinds()[1].settings;
    const auto with = [&](const std::string& what, const std::function<void(Settings&)>& change) {
        Settings changed = fine;
        change(changed);
        refused(what, likewise_new(&changed, "generic", error) == nullptr);
    };
    for (int32_t Settings::*size : {&Settings::vocabulary, &Settings::embedding_width, &Settings::hidden, &Settings::heads,
                                    &Settings::intermediate, &Settings::longest})
        for (int32_t value : {0, -1, INT32_MIN, INT32_MAX, (1 << 28) + 1}) with("a size", [&](Settings& s) { s.*size = value; });
    for (int32_t value : {-1, 10001, INT32_MAX, INT32_MIN}) with("layers", [&](Settings& s) { s.layers = value; });
    for (int32_t value : {-1, INT32_MIN, 1, 100}) with("positions", [&](Settings& s) { s.positions = value; });
    for (int32_t value : {-1, INT32_MIN, INT32_MAX, 2}) with("padding", [&](Settings& s) { s.padding_id = value; });
    for (int32_t value : {-1, INT32_MIN}) with("segments", [&](Settings& s) { s.segment_types = value; });
    for (int32_t value : {-2, 3, 12, INT32_MAX, INT32_MIN}) with("a rotation", [&](Settings& s) { s.rotary_width = value; });
    for (int32_t value : {-1, 6, INT32_MAX}) with("an activation", [&](Settings& s) { s.activation = static_cast<Activation>(value); });
    with("heads that do not divide", [](Settings& s) { s.heads = 3; });
    with("no positions to count", [](Settings& s) { s.positions = 0; });
    refused("no settings", likewise_new(nullptr, "generic", error) == nullptr);
    refused("no instructions", likewise_new(&fine, nullptr, error) == nullptr);
    refused("unknown instructions", likewise_new(&fine, std::string(300, 'x').c_str(), error) == nullptr);
    expect(likewise_new(&fine, "", nullptr) == nullptr, "refused without a place for the error");
    expect(!likewise_is_native(nullptr, INT8) && !likewise_is_native("generic", INT8) && !likewise_is_native("generic", BFLOAT16),
           "no instructions for it");
}

void check_parts_refused(const Filled& encoder) {
    Handle* handle = encoder.handle;
    const Settings& s = encoder.kind.settings;
    const float one[] = {1};
    for (int32_t part : {-1, 3000, 18, 31, 32, 38, INT32_MAX, INT32_MIN})
        refused("an unknown array", likewise_set_array(handle, part, 0, one, 1, error));
    for (int32_t part = TOKEN_TABLE; part <= ROTARY_SINES; ++part) {
        refused("a wrong count", likewise_set_array(handle, part, 0, one, 12345, error));
        refused("a negative count", likewise_set_array(handle, part, 0, one, -1, error));
        refused("no array", likewise_set_array(handle, part, 0, nullptr, 1, error));
        refused("no encoder", likewise_set_array(nullptr, part, 0, one, 1, error));
    }
    for (int32_t layer : {-1, s.layers, INT32_MAX, INT32_MIN}) {
        refused("an array of no layer", likewise_set_array(handle, AFTER_ATTENTION_WEIGHT, layer, one, s.hidden, error));
        refused("a product of no layer", likewise_set_product(handle, QKV, layer, FLOAT32, one, nullptr, nullptr, 3 * s.hidden, s.hidden, error));
        refused("a window of no layer", likewise_set_window(handle, layer, 3, error));
    }
    for (int32_t head : {-1, 64, INT32_MAX}) {
        refused("a head too many", likewise_set_product(handle, HEAD, head, FLOAT32, one, nullptr, nullptr, 1, 1, error));
        refused("a head that is not there", likewise_multiply(handle, head, one, 1, nullptr, 1, error));
    }
    for (int32_t part : {-1, 0, 17, 31, 38, INT32_MAX})
        refused("an unknown product", likewise_set_product(handle, part, 0, FLOAT32, one, nullptr, nullptr, 1, 1, error));
    for (int32_t part : {PROJECT, QKV, ATTENTION_OUT, EXPAND, CONTRACT})
        refused("a product's shape", likewise_set_product(handle, part, 0, FLOAT32, one, nullptr, nullptr, 1, 1, error));
    for (int32_t size : {0, -1, INT32_MIN, INT32_MAX}) {
        refused("a head's outputs", likewise_set_product(handle, HEAD, 0, FLOAT32, one, nullptr, nullptr, size, 1, error));
        refused("a head's inputs", likewise_set_product(handle, HEAD, 0, FLOAT32, one, nullptr, nullptr, 1, size, error));
    }
    for (int32_t dtype : {-1, 3, INT32_MAX})
        refused("a dtype", likewise_set_product(handle, HEAD, 0, dtype, one, nullptr, nullptr, 1, 1, error));
    refused("scales without rounding", likewise_set_product(handle, HEAD, 0, FLOAT32, one, nullptr, one, 1, 1, error));
    refused("no weights", likewise_set_product(handle, HEAD, 0, FLOAT32, nullptr, nullptr, nullptr, 1, 1, error));
    refused("no encoder", likewise_set_product(nullptr, HEAD, 0, FLOAT32, one, nullptr, nullptr, 1, 1, error));
    refused("a window", likewise_set_window(handle, 0, -1, error));
    refused("a window of nothing", likewise_set_window(nullptr, 0, 1, error));
    refused("a head that is not there", likewise_multiply(handle, 5, one, 1, nullptr, 1, error));

    expect(!likewise_set_product(handle, HEAD, 0, FLOAT32, one, nullptr, nullptr, 1, 1, error), "a head");
    float out[] = {0};
    for (int64_t count : {int64_t(-1), int64_t(2), INT64_MAX, INT64_MIN})
        refused("rows", likewise_multiply(handle, 0, one, count, out, 1, error));
    refused("no rows", likewise_multiply(handle, 0, nullptr, 1, out, 1, error));
    refused("no room", likewise_multiply(handle, 0, one, 1, nullptr, 1, error));
    refused("no encoder", likewise_multiply(nullptr, 0, one, 1, out, 1, error));
    expect(!likewise_multiply(handle, 0, one, 1, out, 1, error) && out[0] == 1.0f, "a head after all that");
}

struct Call {  // of likewise_encode, to be spoilt
    Ints ids{1, 2, 3, 4}, offsets{0, 1, 1, 4}, skipped{0, 0, 2}, segments{0, 1, 0, 1}, modes{MEAN};
    const int32_t *ids_at = ids.data(), *offsets_at = offsets.data(), *modes_at = modes.data();
    int64_t tokens = 4, out_count;
    int32_t texts = 3, mode_count = 1;
    Floats out, largest;
    float* out_at;

    explicit Call(const Settings& s) : out_count(3 * s.hidden), out(3 * s.hidden), out_at(out.data()) {}
    Call(const Call&) = delete;
    int made(const Handle* handle) {
        return likewise_encode(handle, ids_at, tokens, offsets_at, texts, skipped.data(), segments.data(), modes_at, mode_count, out_at,
                               out_count, largest.empty() ? nullptr : largest.data(), largest.size(), error);
    }
};

void check_calls_refused(const Filled& encoder) {
    const auto with = [&](const std::string& what, const std::function<void(Call&)>& change) {
        Call call(encoder.kind.settings);
        change(call);
        refused(what, call.made(encoder.handle));
    };
    expect(!Call(encoder.kind.settings).made(encoder.handle), "a call that is fine");
    for (int32_t id : {-1, encoder.kind.settings.vocabulary, INT32_MAX, INT32_MIN}) with("an id", [&](Call& c) { c.ids[3] = id; });
    for (int32_t segment : {-1, 2, INT32_MAX}) with("a segment", [&](Call& c) { c.segments[0] = segment; });
    for (int32_t skipped : {-1, 3, INT32_MAX}) with("tokens to skip", [&](Call& c) { c.skipped[2] = skipped; });
    with("tokens to skip of none", [](Call& c) { c.skipped[1] = 1; });
    with("offsets that do not ascend", [](Call& c) { c.offsets[1] = 2; });
    with("offsets below zero", [](Call& c) { c.offsets[1] = INT32_MIN; });
    with("offsets beyond", [](Call& c) { c.offsets[2] = INT32_MAX; });
    with("offsets that begin late", [](Call& c) { c.offsets[0] = 1; });
    with("offsets that end early", [](Call& c) { c.offsets[3] = 3; });
    with("fewer tokens", [](Call& c) { c.tokens = 3; });
    for (int64_t tokens : {int64_t(-1), INT64_MIN, INT64_MAX}) with("tokens", [&](Call& c) { c.tokens = tokens; });
    for (int32_t texts : {-1, INT32_MIN}) with("texts", [&](Call& c) { c.texts = texts; });
    for (int32_t count : {0, -1, 65, INT32_MAX}) with("poolings", [&](Call& c) { c.mode_count = count; });
    for (int32_t mode : {-1, 7, INT32_MAX}) with("a pooling", [&](Call& c) { c.modes[0] = mode; });
    with("tokens among poolings", [](Call& c) { c.modes_at = (c.modes = {MEAN, TOKENS}).data(), c.mode_count = 2; });
    for (int64_t room : {int64_t(0), int64_t(1), int64_t(-1), INT64_MAX}) with("room", [&](Call& c) { c.out_count = room; });
    with("room to observe", [](Call& c) { c.largest.assign(3, 0.0f); });
    with("no ids", [](Call& c) { c.ids_at = nullptr; });
    with("no offsets", [](Call& c) { c.offsets_at = nullptr; });
    with("no poolings", [](Call& c) { c.modes_at = nullptr; });
    with("no vectors", [](Call& c) { c.out_at = nullptr; });
    refused("no encoder", Call(encoder.kind.settings).made(nullptr));
    const Ints long_text(encoder.kind.settings.longest + 1, 1), its_offsets{0, static_cast<int32_t>(long_text.size())};
    with("a text that is too long", [&](Call& c) {
        c.ids_at = long_text.data(), c.offsets_at = its_offsets.data(), c.tokens = long_text.size(), c.texts = 1;
    });
}

// An encoder that lacks one of the parts that it needs.
void check_incomplete(const Kind& kind) {
    Filled encoder(kind, "generic");
    const Settings& s = kind.settings;
    const int32_t offsets[] = {0, 1}, id[] = {1}, modes[] = {MEAN};
    Floats out(s.hidden);
    const auto encode = [&] {
        return likewise_encode(encoder.handle, id, 1, offsets, 1, nullptr, nullptr, modes, 1, out.data(), out.size(), nullptr, 0, error);
    };
    refused(kind.name + " without parts", encode());
    encoder.set_array(TOKEN_TABLE, -1, Floats(size_t(s.vocabulary) * s.embedding_width));
    refused(kind.name + " without a norm", encode());
    encoder.set_array(EMBEDDING_NORM_WEIGHT, -1, Floats(s.embedding_width));
    if (s.positions || s.segment_types || s.layers) refused(kind.name + " without more", encode());
    fill(encoder, FLOAT32);
    expect(!encode(), kind.name + " with all of them");
    fill(encoder, INT8);  // everything twice
    expect(!encode(), kind.name + " with all of them again");
}

// ---- Threads

void check_threads(const Filled& encoder, const std::string& where) {
    const Settings& s = encoder.kind.settings;
    const int32_t most = s.longest < 40 ? s.longest : 40;
    std::vector<Texts> batches;
    std::vector<Floats> expected;
    for (int i = 0; i < THREADS; ++i) {
        batches.push_back(texts_of(s, {i % most, 1, most - i % most, most}));
        expected.push_back(encoded(encoder, batches.back(), EVERY_POOLING, Given{}));
    }
    const Floats rows(3 * 5, 0.5f);
    const Floats weight(7 * 5, 0.25f);
    expect(!likewise_set_product(encoder.handle, HEAD, 0, FLOAT32, weight.data(), nullptr, nullptr, 7, 5, error), "a head");
    std::vector<std::thread> threads;
    std::vector<int> is_same(THREADS, 1);
    for (int thread = 0; thread < THREADS; ++thread)
        threads.emplace_back([&, thread] {
            for (int turn = 0; turn < 3; ++turn) {
                const int batch = (thread + turn) % THREADS;
                if (encoded(encoder, batches[batch], EVERY_POOLING, Given{}) != expected[batch]) is_same[thread] = 0;
                Floats out(3 * 7);
                char problem[LIKEWISE_ERROR_SIZE];
                if (likewise_multiply(encoder.handle, 0, rows.data(), 3, out.data(), out.size(), problem)) is_same[thread] = 0;
                if (out != Floats(3 * 7, 0.625f)) is_same[thread] = 0;
            }
        });
    for (std::thread& thread : threads) thread.join();
    for (int same : is_same) expect(same, where + ": the same bits in each of many threads");
}

}  // namespace

int main(int count, char** arguments) {
    const bool in_threads = count > 1 && std::string(arguments[1]) == "threads";
    expect(likewise_version() == LIKEWISE_VERSION, "one version");
    for (const std::string& instructions : instruction_sets())
        for (const Kind& kind : kinds())
            for (int32_t dtype = FLOAT32; dtype <= INT8; ++dtype) {
                const std::string where = instructions + ", " + kind.name + ", " + DTYPES[dtype];
                Filled encoder(kind, instructions);
                fill(encoder, dtype);
                if (in_threads) {
                    check_threads(encoder, where);
                    continue;
                }
                check_batches(encoder, where);
                check_observed(encoder, where);
                check_nothing_to_do(encoder, where);
                check_packed(kind, instructions, dtype);
            }
    if (in_threads) return 0;
    for (const std::string& instructions : instruction_sets()) {
        check_heads(instructions);
        check_extremes(instructions);
    }
    check_settings_refused();
    for (const Kind& kind : kinds()) check_incomplete(kind);
    Filled encoder(kinds()[0], "generic");
    fill(encoder, FLOAT32);
    check_parts_refused(encoder);
    check_calls_refused(encoder);
    likewise_delete(nullptr);
    return 0;
}
