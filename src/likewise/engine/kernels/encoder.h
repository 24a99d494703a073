// What an encoder is: its sizes and its weights, packed for one instruction set; and what each instruction set offers.
#pragma once

#include <cstddef>
#include <cstdint>

namespace likewise {

enum Dtype : int32_t { FLOAT32 = 0, BFLOAT16 = 1, INT8 = 2 };
enum Activation : int32_t { NONE = 0, GELU = 1, TANH_GELU = 2, RELU = 3, SILU = 4, LOGISTIC = 5 };
enum Pooling : int32_t { CLS = 0, MAX = 1, MEAN = 2, MEAN_SQRT_LENGTH = 3, WEIGHTED_MEAN = 4, LAST_TOKEN = 5, TOKENS = 6 };

// y = x Wᵀ + b, packed: panels of outputs, and within each block of inputs a panel's weights lie as they are read.
//
// All its parts lie in one block of memory, which can be kept in a file and read where it lies.
struct Product {
    int32_t inputs = 0, outputs = 0;
    Dtype dtype = FLOAT32;
    int32_t blocks = 0;       // the inputs are cut into so many blocks …
    int32_t block_width = 0;  // … of so many, the last one filled up with zeros
    float* bias = nullptr;           // (panels * panel width), zeros where there is none
    float* weight_scales = nullptr;  // int8: (panels * panel width)
    float* weight_sums = nullptr;    // int8: (blocks, panels * panel width), 128 Σ w, as activations are stored plus 128
    float* input_scales = nullptr;   // int8: (inputs), what each input is multiplied by first
    void* weights = nullptr;
    const void* packed = nullptr;  // the block of memory …
    size_t packed_bytes = 0;
    void* owned = nullptr;  // … and the same where the encoder has to free it
};

struct Norm {
    const float* weight = nullptr;  // nullptr: there is none
    const float* bias = nullptr;    // nullptr: zeros
};

struct Layer {
    Product qkv, attention_out, expand, contract;
    Norm before_attention, after_attention, before_feed_forward, after_feed_forward;
    int32_t window = -1;                                           // tokens seen to either side; -1: all
    const float *rotary_cosines = nullptr, *rotary_sines = nullptr;  // (longest, rotary_width / 2)
};

// The same fields, in the same order, stand in engine/library.py.
struct Settings {
    int32_t vocabulary, embedding_width, hidden, layers, heads, intermediate;
    int32_t longest;         // tokens of the longest text
    int32_t positions;       // rows of the position table; 0: there is none
    int32_t first_position;  // not 0: RoBERTa's count of tokens that are no padding
    int32_t padding_id, segment_types;
    Activation activation;
    int32_t is_gated;  // whether the expanded half is multiplied by another, as wide
    int32_t rotary_width;
    float norm_epsilon;
};

struct Encoder {
    Settings settings;
    const float *tokens = nullptr, *position_table = nullptr, *segments = nullptr;
    Norm embedding_norm, last_norm;
    Product project;                         // of embeddings that are narrower; no outputs: there is none
    const float* distance_bias = nullptr;    // (heads, 2 longest - 1), added to the scores, by key minus query
    Layer* layers = nullptr;
};

struct Batch {
    const int32_t* ids;      // (tokens)
    const int32_t* offsets;  // (texts + 1)
    const int32_t* skipped;  // (texts), tokens that the pooling leaves out, or nullptr
    const int32_t* segments; // (tokens), or nullptr
    int32_t texts;
};

// What the products are given, at its largest, for each input: (layers, 4, widest); or nullptr.
struct Observed {
    float* largest;
    int32_t widest;
};

// Memory for a call; it is kept from call to call, so that a thread allocates once.
using Allocate = void* (*)(size_t bytes);

struct InstructionSet {
    const char* name;
    int32_t panel;  // outputs that are packed together
    int (*blocks_of)(int inputs, Dtype dtype);
    int (*block_width_of)(int inputs, Dtype dtype);
    size_t (*packed_size)(int32_t inputs, int32_t outputs, Dtype dtype);  // bytes of the weights
    void (*pack)(Product& product, const float* weight);                  // (outputs, inputs)
    void (*multiply)(const Product& product, const float* rows, int32_t count, float* out, Allocate allocate);
    void (*encode)(const Encoder& encoder, const Batch& batch, const Pooling* modes, int32_t mode_count, float* out,
                   const Observed& observed, Allocate allocate);
};

const InstructionSet& generic_instructions();
#ifdef LIKEWISE_X86
const InstructionSet& avx2_instructions();
const InstructionSet& avx_vnni_instructions();
const InstructionSet& avx512_vnni_instructions();
const InstructionSet& avx512_instructions();
#endif

}  // namespace likewise
