#include "interface.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <new>

namespace likewise {

constexpr int MOST_HEADS = 64;          // products after the pooling
constexpr int32_t MOST_SIZE = 1 << 24;  // of anything: so no count of numbers leaves 63 bits, nor a row's 31

struct Handle {
    Encoder encoder;
    Product heads[MOST_HEADS];
    const InstructionSet* instructions = nullptr;
};

namespace {

constexpr size_t ALIGNMENT = 64;
constexpr size_t MOST_KEPT = size_t(64) << 20;  // bytes of a thread's memory between calls

int failed(char* error, const char* format, ...) __attribute__((format(printf, 2, 3)));
int failed(char* error, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    if (error) std::vsnprintf(error, LIKEWISE_ERROR_SIZE, format, arguments);
    va_end(arguments);
    return 1;
}

void* allocated(size_t bytes) {
    void* memory = nullptr;  // of exactly this size, so that a sanitizer sees what lies beyond
    if (posix_memalign(&memory, ALIGNMENT, bytes)) throw std::bad_alloc();
    return memory;
}

// Each thread's memory for what is computed; it grows to what the largest call needs, and ends with the thread.
struct Workspace {
    void* memory = nullptr;
    size_t size = 0;
    ~Workspace() { std::free(memory); }

    void clear() {
        std::free(memory);
        memory = nullptr;
        size = 0;
    }
};
thread_local Workspace workspace;

// At the end of a call: a thread does not keep for ever what one long text needed.
struct Tidied {
    ~Tidied() {
        if (workspace.size > MOST_KEPT) workspace.clear();
    }
};

void* from_workspace(size_t bytes) {
    if (bytes > workspace.size) {
        workspace.clear();
        workspace.memory = allocated(bytes);
        workspace.size = bytes;
    }
    return workspace.memory;
}

void release(Product& product) {
    std::free(product.owned);
    product = Product{};
}

// Where each part of a product lies within its block of memory, which may be null; how long that is.
size_t lay_out(Product& product, const InstructionSet& set, int32_t outputs, void* memory) {
    size_t used = 0;
    auto part = [&](size_t bytes) -> void* {
        void* here = memory ? static_cast<char*>(memory) + used : nullptr;
        used += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        return here;
    };
    auto floats = [&](size_t count) { return static_cast<float*>(part(sizeof(float) * count)); };
    const size_t padded = (size_t(outputs) + set.panel - 1) / set.panel * set.panel;
    product.bias = floats(padded);
    if (product.dtype == INT8) {
        product.weight_scales = floats(padded);
        product.weight_sums = floats(padded * product.blocks);
        product.input_scales = floats(product.inputs);
    }
    product.weights = part(set.packed_size(product.inputs, outputs, product.dtype));  // the last: what reads on is seen
    return used;
}

bool is_x86_with(const char* name) {
#ifdef LIKEWISE_X86
    const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (!std::strcmp(name, "avx2")) return has_avx2;
    const bool has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                            __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                            __builtin_cpu_supports("avx512vnni");
    if (!std::strcmp(name, "avx512_vnni")) return has_avx512;
#ifdef LIKEWISE_AVX512_BF16
    if (!std::strcmp(name, "avx512")) return has_avx512 && __builtin_cpu_supports("avx512bf16");
#endif
#ifdef LIKEWISE_AVX_VNNI
    if (!std::strcmp(name, "avx_vnni")) {
        // GCC 12's __builtin_cpu_supports does not know AVX-VNNI: CPUID leaf 7, subleaf 1, bit 4 of EAX.
        unsigned eax = 7, ebx = 0, ecx = 1, edx = 0;
        __asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
        return has_avx2 && (eax >> 4 & 1);
    }
#endif
#endif
    return !std::strcmp(name, "generic");
}

const InstructionSet* instructions_called(const char* name) {
    if (!is_x86_with(name)) return nullptr;
#ifdef LIKEWISE_X86
    if (!std::strcmp(name, "avx2")) return &avx2_instructions();
    if (!std::strcmp(name, "avx512_vnni")) return &avx512_vnni_instructions();
#endif
#ifdef LIKEWISE_AVX_VNNI
    if (!std::strcmp(name, "avx_vnni")) return &avx_vnni_instructions();
#endif
#ifdef LIKEWISE_AVX512_BF16
    if (!std::strcmp(name, "avx512")) return &avx512_instructions();
#endif
    return &generic_instructions();
}

Product* product_of(Handle& handle, int32_t part, int32_t layer) {
    if (part == PROJECT) return &handle.encoder.project;
    if (part == HEAD) return layer >= 0 && layer < MOST_HEADS ? &handle.heads[layer] : nullptr;
    if (layer < 0 || layer >= handle.encoder.settings.layers) return nullptr;
    Layer& found = handle.encoder.layers[layer];
    switch (part) {
        case QKV: return &found.qkv;
        case ATTENTION_OUT: return &found.attention_out;
        case EXPAND: return &found.expand;
        case CONTRACT: return &found.contract;
        default: return nullptr;
    }
}

// Where a product of this shape is to stand, and into `made` how its inputs are cut; nullptr, and an error, where the
// encoder has none such.
Product* new_product(Handle& handle, int32_t part, int32_t layer, int32_t dtype, int32_t outputs, int32_t inputs, Product& made,
                     char* error) {
    const Settings& s = handle.encoder.settings;
    Product* product = product_of(handle, part, layer);
    if (!product) return failed(error, "there is no product %d in layer %d", part, layer), nullptr;
    if (dtype < FLOAT32 || dtype > INT8) return failed(error, "there is no dtype %d", dtype), nullptr;
    const int32_t inner = s.is_gated ? 2 * s.intermediate : s.intermediate;
    const int32_t expected[][3] = {{PROJECT, s.hidden, s.embedding_width}, {QKV, 3 * s.hidden, s.hidden},
                                   {ATTENTION_OUT, s.hidden, s.hidden},    {EXPAND, inner, s.hidden},
                                   {CONTRACT, s.hidden, s.intermediate}};
    for (const auto& [name, rows, columns] : expected)
        if (part == name && (outputs != rows || inputs != columns))
            return failed(error, "the product %d must be (%d, %d), not (%d, %d)", part, rows, columns, outputs, inputs), nullptr;
    if (outputs < 1 || inputs < 1 || outputs > 3 * MOST_SIZE || inputs > MOST_SIZE)
        return failed(error, "a product cannot be (%d, %d)", outputs, inputs), nullptr;
    made.inputs = inputs;
    made.dtype = static_cast<Dtype>(dtype);
    made.blocks = handle.instructions->blocks_of(inputs, made.dtype);
    made.block_width = handle.instructions->block_width_of(inputs, made.dtype);
    return product;
}

// Where an array of a part is kept, and how many numbers it must have.
struct Place {
    const float** pointer = nullptr;
    int64_t count = 0;
};

Place place_of(Encoder& encoder, int32_t part, int32_t layer) {
    const Settings& s = encoder.settings;
    const int64_t hidden = s.hidden, width = s.embedding_width;
    switch (part) {
        case TOKEN_TABLE: return {&encoder.tokens, s.vocabulary * width};
        case POSITION_TABLE: return {&encoder.position_table, s.positions * width};
        case SEGMENT_TABLE: return {&encoder.segments, s.segment_types * width};
        case DISTANCE_BIAS: return {&encoder.distance_bias, s.heads * (2 * int64_t(s.longest) - 1)};
        case EMBEDDING_NORM_WEIGHT: return {&encoder.embedding_norm.weight, width};
        case EMBEDDING_NORM_BIAS: return {&encoder.embedding_norm.bias, width};
        case LAST_NORM_WEIGHT: return {&encoder.last_norm.weight, hidden};
        case LAST_NORM_BIAS: return {&encoder.last_norm.bias, hidden};
        default: break;
    }
    if (layer < 0 || layer >= s.layers) return {};
    Layer& found = encoder.layers[layer];
    const int64_t angles = int64_t(s.longest) * (s.rotary_width / 2);
    switch (part) {
        case BEFORE_ATTENTION_WEIGHT: return {&found.before_attention.weight, hidden};
        case BEFORE_ATTENTION_BIAS: return {&found.before_attention.bias, hidden};
        case AFTER_ATTENTION_WEIGHT: return {&found.after_attention.weight, hidden};
        case AFTER_ATTENTION_BIAS: return {&found.after_attention.bias, hidden};
        case BEFORE_FEED_FORWARD_WEIGHT: return {&found.before_feed_forward.weight, hidden};
        case BEFORE_FEED_FORWARD_BIAS: return {&found.before_feed_forward.bias, hidden};
        case AFTER_FEED_FORWARD_WEIGHT: return {&found.after_feed_forward.weight, hidden};
        case AFTER_FEED_FORWARD_BIAS: return {&found.after_feed_forward.bias, hidden};
        case ROTARY_COSINES: return {&found.rotary_cosines, angles};
        case ROTARY_SINES: return {&found.rotary_sines, angles};
        default: return {};
    }
}

int checked(const Settings& s, char* error) {
    const int32_t sizes[] = {s.vocabulary, s.embedding_width, s.hidden, s.heads, s.intermediate, s.longest};
    for (int32_t size : sizes)
        if (size < 1 || size > MOST_SIZE) return failed(error, "a size of the encoder is %d", size);
    if (s.layers < 0 || s.layers > 10000) return failed(error, "an encoder cannot have %d layers", s.layers);
    if (s.positions < 0 || s.segment_types < 0) return failed(error, "a table cannot have fewer than no rows");
    if (s.hidden % s.heads) return failed(error, "%d heads do not divide %d dimensions", s.heads, s.hidden);
    if (s.activation < NONE || s.activation > LOGISTIC) return failed(error, "there is no activation %d", s.activation);
    if (s.rotary_width < 0 || s.rotary_width % 2 || s.rotary_width > s.hidden / s.heads)
        return failed(error, "%d of %d dimensions cannot be rotated", s.rotary_width, s.hidden / s.heads);
    if (s.first_position && (s.padding_id < 0 || s.padding_id >= s.positions))
        return failed(error, "the padding token %d has no position", s.padding_id);
    if (s.positions && s.positions - (s.first_position ? s.padding_id + 1 : 0) < s.longest)
        return failed(error, "%d positions are too few for texts of %d tokens", s.positions, s.longest);
    return 0;
}

// Whether the products and tables that every encoder needs are there.
int completed(const Handle& handle, char* error) {
    const Encoder& encoder = handle.encoder;
    const Settings& s = encoder.settings;
    if (!encoder.tokens || !encoder.embedding_norm.weight) return failed(error, "the encoder has no embeddings yet");
    if (s.positions && !encoder.position_table) return failed(error, "the encoder has no position table yet");
    if (s.segment_types && !encoder.segments) return failed(error, "the encoder has no segment table yet");
    if (s.embedding_width != s.hidden && !encoder.project.outputs) return failed(error, "the encoder has no projection yet");
    for (int32_t i = 0; i < s.layers; ++i) {
        const Layer& layer = encoder.layers[i];
        if (!layer.qkv.outputs || !layer.attention_out.outputs || !layer.expand.outputs || !layer.contract.outputs)
            return failed(error, "layer %d lacks a product", i);
        if (s.rotary_width && (!layer.rotary_cosines || !layer.rotary_sines))
            return failed(error, "layer %d lacks its rotation", i);
    }
    return 0;
}

}  // namespace
}  // namespace likewise

using namespace likewise;

int likewise_version() { return LIKEWISE_VERSION; }

const char* likewise_instruction_sets() {
    if (is_x86_with("avx512")) return "avx512 avx2 generic";
    if (is_x86_with("avx512_vnni")) return "avx512_vnni avx2 generic";
    if (is_x86_with("avx_vnni")) return "avx_vnni avx2 generic";
    if (is_x86_with("avx2")) return "avx2 generic";
    return "generic";
}

int likewise_is_native(const char* instructions, int32_t dtype) {
    if (!instructions) return 0;
    const bool is_512 = !std::strcmp(instructions, "avx512");
    if (dtype == BFLOAT16) return is_512;
    return std::strcmp(instructions, "generic") != 0;
}

Handle* likewise_new(const Settings* settings, const char* instructions, char* error) {
    if (!settings || !instructions) return failed(error, "an encoder needs settings and an instruction set"), nullptr;
    if (checked(*settings, error)) return nullptr;
    const InstructionSet* set = instructions_called(instructions);
    if (!set) return failed(error, "this machine has no instruction set %.40s", instructions), nullptr;
    Handle* handle = new (std::nothrow) Handle;
    if (!handle) return failed(error, "there is no memory left"), nullptr;
    handle->encoder.settings = *settings;
    handle->instructions = set;
    handle->encoder.layers = new (std::nothrow) Layer[settings->layers + 1];
    if (!handle->encoder.layers) {
        delete handle;
        return failed(error, "there is no memory left"), nullptr;
    }
    return handle;
}

void likewise_delete(Handle* handle) {
    if (!handle) return;
    release(handle->encoder.project);
    for (Product& head : handle->heads) release(head);
    for (int32_t i = 0; i < handle->encoder.settings.layers; ++i) {
        Layer& layer = handle->encoder.layers[i];
        for (Product* product : {&layer.qkv, &layer.attention_out, &layer.expand, &layer.contract}) release(*product);
    }
    delete[] handle->encoder.layers;
    delete handle;
}

int likewise_set_array(Handle* handle, int32_t part, int32_t layer, const float* values, int64_t count, char* error) {
    if (!handle || !values) return failed(error, "there is no encoder, or no array");
    const Place place = place_of(handle->encoder, part, layer);
    if (!place.pointer) return failed(error, "there is no array %d in layer %d", part, layer);
    if (count != place.count)
        return failed(error, "the array %d of layer %d must have %lld numbers, not %lld", part, layer,
                      static_cast<long long>(place.count), static_cast<long long>(count));
    *place.pointer = values;
    return 0;
}

int likewise_set_product(Handle* handle, int32_t part, int32_t layer, int32_t dtype, const float* weight, const float* bias,
                         const float* input_scales, int32_t outputs, int32_t inputs, char* error) {
    if (!handle || !weight) return failed(error, "there is no encoder, or no array");
    if (input_scales && dtype != INT8) return failed(error, "inputs are scaled before they are rounded to int8 alone");
    Product made;
    Product* product = new_product(*handle, part, layer, dtype, outputs, inputs, made, error);
    if (!product) return 1;
    const InstructionSet& set = *handle->instructions;
    try {
        release(*product);
        made.packed_bytes = lay_out(made, set, outputs, nullptr);
        made.packed = made.owned = allocated(made.packed_bytes);
    } catch (const std::bad_alloc&) {
        return failed(error, "there is no memory left for the weights");
    }
    std::memset(made.owned, 0, made.packed_bytes);
    lay_out(made, set, outputs, made.owned);
    if (bias) std::memcpy(made.bias, bias, sizeof(float) * outputs);
    if (input_scales) std::memcpy(made.input_scales, input_scales, sizeof(float) * inputs);
    for (int32_t i = 0; i < inputs && dtype == INT8 && !input_scales; ++i) made.input_scales[i] = 1.0f;
    made.outputs = outputs;
    set.pack(made, weight);
    *product = made;
    return 0;
}

int likewise_set_packed(Handle* handle, int32_t part, int32_t layer, int32_t dtype, const void* packed, int64_t bytes,
                        int32_t outputs, int32_t inputs, char* error) {
    if (!handle || !packed) return failed(error, "there is no encoder, or no product");
    Product made;
    Product* product = new_product(*handle, part, layer, dtype, outputs, inputs, made, error);
    if (!product) return 1;
    const InstructionSet& set = *handle->instructions;
    made.packed_bytes = lay_out(made, set, outputs, nullptr);
    if (bytes < 0 || size_t(bytes) != made.packed_bytes)
        return failed(error, "the product (%d, %d) is %lld bytes packed, not %lld", outputs, inputs,
                      static_cast<long long>(made.packed_bytes), static_cast<long long>(bytes));
    if (reinterpret_cast<uintptr_t>(packed) % ALIGNMENT)
        return failed(error, "a packed product must lie at a multiple of %zu bytes", ALIGNMENT);
    release(*product);
    lay_out(made, set, outputs, const_cast<void*>(packed));  // packed already: it is only read
    made.packed = packed;
    made.outputs = outputs;
    *product = made;
    return 0;
}

const void* likewise_packed(Handle* handle, int32_t part, int32_t layer, int64_t* bytes) {
    const Product* product = handle ? product_of(*handle, part, layer) : nullptr;
    if (!product || !product->outputs || !bytes) return nullptr;
    *bytes = static_cast<int64_t>(product->packed_bytes);
    return product->packed;
}

int likewise_set_window(Handle* handle, int32_t layer, int32_t window, char* error) {
    if (!handle || layer < 0 || layer >= handle->encoder.settings.layers) return failed(error, "there is no layer %d", layer);
    if (window < 0) return failed(error, "a window cannot be %d tokens wide", window);
    handle->encoder.layers[layer].window = window < MOST_SIZE ? window : MOST_SIZE;
    return 0;
}

int likewise_encode(const Handle* handle, const int32_t* ids, int64_t tokens, const int32_t* offsets, int32_t texts,
                    const int32_t* skipped, const int32_t* segments, const int32_t* modes, int32_t mode_count, float* out,
                    int64_t out_count, float* largest, int64_t largest_count, char* error) {
    if (!handle || !offsets || !modes || texts < 0 || tokens < 0 || mode_count < 1 || mode_count > 64)
        return failed(error, "an encoder needs offsets and a pooling");
    if ((tokens && !ids) || (out_count && !out)) return failed(error, "there are no tokens, or there is no room for vectors");
    if (completed(*handle, error)) return 1;
    const Settings& s = handle->encoder.settings;
    Pooling poolings[64];
    for (int32_t i = 0; i < mode_count; ++i) {
        if (modes[i] < CLS || modes[i] > TOKENS || (modes[i] == TOKENS && mode_count > 1))
            return failed(error, "there is no pooling %d among %d", modes[i], mode_count);
        poolings[i] = static_cast<Pooling>(modes[i]);
    }
    if (offsets[0] != 0 || offsets[texts] != tokens) return failed(error, "offsets must go from 0 to %lld", static_cast<long long>(tokens));
    for (int32_t text = 0; text < texts; ++text) {
        const int64_t length = int64_t(offsets[text + 1]) - offsets[text];
        if (length < 0) return failed(error, "offsets must ascend, but text %d has %lld tokens", text, static_cast<long long>(length));
        if (length > s.longest)
            return failed(error, "text %d has %lld tokens, but the longest text has %d", text, static_cast<long long>(length), s.longest);
        if (skipped && (skipped[text] < 0 || skipped[text] >= (length ? length : 1)))
            return failed(error, "%d of %lld tokens cannot be left out", skipped[text], static_cast<long long>(length));
    }
    for (int64_t i = 0; i < tokens; ++i) {
        if (ids[i] < 0 || ids[i] >= s.vocabulary) return failed(error, "token %d is none of %d", ids[i], s.vocabulary);
        if (segments && (segments[i] < 0 || segments[i] >= (s.segment_types ? s.segment_types : INT32_MAX)))
            return failed(error, "segment %d is none of %d", segments[i], s.segment_types);
    }
    const int64_t wanted = poolings[0] == TOKENS ? tokens * s.hidden : int64_t(texts) * mode_count * s.hidden;
    if (out_count != wanted)
        return failed(error, "there must be room for %lld numbers, not %lld", static_cast<long long>(wanted), static_cast<long long>(out_count));
    Observed observed{largest, s.hidden > s.intermediate ? s.hidden : s.intermediate};
    if (largest && largest_count != int64_t(s.layers) * 4 * observed.widest)
        return failed(error, "there must be room for %lld numbers to be observed", static_cast<long long>(s.layers) * 4 * observed.widest);
    if (!wanted) return 0;
    const Batch batch{ids, offsets, skipped, segments, texts};
    const Tidied at_the_end;
    try {
        handle->instructions->encode(handle->encoder, batch, poolings, mode_count, out, observed, from_workspace);
    } catch (const std::bad_alloc&) {
        return failed(error, "there is no memory left to encode %lld tokens", static_cast<long long>(tokens));
    }
    return 0;
}

int likewise_multiply(const Handle* handle, int32_t layer, const float* rows, int64_t count, float* out, int64_t out_count,
                      char* error) {
    if (!handle || layer < 0 || layer >= MOST_HEADS || !handle->heads[layer].outputs) return failed(error, "there is no head %d", layer);
    const Product& product = handle->heads[layer];
    if (count < 0 || count > INT32_MAX || out_count != count * product.outputs || (count && (!rows || !out)))
        return failed(error, "there must be room for %lld rows of %d", static_cast<long long>(count), product.outputs);
    if (!count) return 0;
    const Tidied at_the_end;
    try {
        handle->instructions->multiply(product, rows, static_cast<int32_t>(count), out, from_workspace);
    } catch (const std::bad_alloc&) {
        return failed(error, "there is no memory left for %lld rows", static_cast<long long>(count));
    }
    return 0;
}
